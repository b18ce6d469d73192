// The page of many sentences: a list to filter and sort, and the sentence that is open.
(() => {
  const views = nmt.data();
  const { total } = nmt.data("total")[0] ?? { total: views.length };
  const find = (selector) => document.querySelector(selector);
  const list = find("[data-list]");
  const panel = find("#sentence");
  const settings = nmt.newSettings();
  const length = (view) => (view.words ? view.words.source.length + view.words.target.length : view.text.join(" ").length);
  const places = new Intl.NumberFormat("en");

  // Name, what is compared (largest first), and how it is shown.
  const orders = {
    line: ["Line", (view) => -view.line, () => ""],
    length: ["Length, longest first", length, (view) => String(length(view))],
    score: ["Score, lowest first", (view) => -view.score, (view) => nmt.decimal(view.score), "score"],
    entropy: ["Entropy, highest first", (view) => view.entropy, (view) => nmt.decimal(view.entropy), "entropy"],
    coverage: ["Coverage, worst first", (view) => view.coverage_error, (view) => nmt.decimal(view.coverage_error), "coverage_error"],
    aer: ["Alignment error, worst first", (view) => view.aer, (view) => nmt.decimal(view.aer), "aer"],
  };
  const has = (view, field) => field === undefined || (view[field] !== null && view[field] !== undefined);
  const usable = Object.entries(orders).filter(([, [, , , field]]) => views.some((view) => has(view, field)));

  const sort = find("select[name=sort]");
  sort.append(...usable.map(([value, [text]]) => nmt.element("option", { value, text })));
  const filter = find("input[name=filter]");
  const toggle = find(".list-toggle");
  const words = new Map(views.map((view) => [view, view.text.join("\n").toLowerCase()]));
  const items = new Map();
  const MOST_LISTED = 1000; // a browser takes seconds to list more
  let listed = [];
  let open = null;

  summarize();
  document.body.classList.toggle("single", views.length === 1 && total === 1);
  sort.addEventListener("input", refresh);
  filter.addEventListener("input", refresh);
  toggle.addEventListener("click", () => showList(toggle.getAttribute("aria-expanded") !== "true"));
  list.addEventListener("keydown", moveInList);
  window.addEventListener("hashchange", openFromAddress);
  refresh();
  openFromAddress();

  function summarize() {
    const all = places.format(total);
    const missing = total - views.length;
    find("#summary").textContent = missing
      ? `${places.format(views.length)} of ${all} lines are in this page; --html-lines N takes more`
      : `${all} ${total === 1 ? "sentence" : "sentences"}`;
  }

  /** Return the row of a sentence, which is made when it is first listed. */
  function itemOf(view) {
    if (!items.has(view)) items.set(view, item(view));
    return items.get(view);
  }

  function item(view) {
    const text = (side, kind) => nmt.element("span", { class: kind, dir: "auto", lang: view.languages?.[side], text: view.text[side] || " " });
    const value = nmt.element("span", { class: "value" });
    const button = nmt.element(
      "button", { type: "button", on: { click: () => choose(view) } },
      nmt.element("span", { class: "line", text: view.line }),
      nmt.element("span", { class: "pair" }, ...(view.grid ? [] : [text(0, "of-source")]), text(1, "of-target")),
      value,
    );
    return { button, value, row: nmt.element("li", {}, button) };
  }

  /** List the sentences that the filter leaves, in the order asked for. */
  function refresh() {
    const [, key, show, field] = orders[sort.value];
    const wanted = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    const left = views.filter((view) => wanted.every((word) => words.get(view).includes(word)));
    left.sort((one, two) => (has(two, field) ? key(two) : -Infinity) - (has(one, field) ? key(one) : -Infinity) || one.line - two.line);
    listed = left.slice(0, MOST_LISTED);
    for (const view of listed) itemOf(view).value.textContent = has(view, field) ? show(view) : "–";
    list.replaceChildren(...listed.map((view) => itemOf(view).row));
    const found = left.length === views.length ? "" : `${places.format(left.length)} of ${places.format(views.length)} sentences`;
    const first = listed.length === left.length ? "" : `the first ${places.format(listed.length)} are listed`;
    find(".list-count").textContent = [found, first].filter(Boolean).join("; ");
  }

  function openFromAddress() {
    const line = Number(location.hash.slice(1));
    const view = views.find((one) => one.line === line) ?? (open === null ? views[0] : null);
    if (view) show(view);
    else if (!views.length) panel.append(nmt.element("p", { class: "note", text: "There are no sentences." }));
  }

  function choose(view) {
    show(view);
    showList(false);
    try {
      history.replaceState(null, "", `#${view.line}`);
    } catch {
      // A frame of a notebook has no address.
    }
  }

  function show(view) {
    if (open !== null) itemOf(open).button.removeAttribute("aria-current");
    open = view;
    itemOf(view).button.setAttribute("aria-current", "true");
    toggle.textContent = `Sentence ${places.format(view.line)}`;
    const title = nmt.element("h2", { text: `Sentence ${places.format(view.line)}` });
    const step = (text, by) => nmt.element("button", { type: "button", class: "step", text, on: { click: () => move(by) } });
    const content = nmt.element("div", { class: "panel" });
    panel.replaceChildren(nmt.element("div", { class: "title" }, title, nmt.element("div", { class: "steps-of-list" }, step("Previous", -1), step("Next", 1))), content);
    nmt.showSentence(content, view, settings);
  }

  /** Open the sentence that is next in the list, or the one before. */
  function move(by) {
    const next = listed[(listed.indexOf(open) + by + listed.length) % listed.length];
    if (!next) return;
    choose(next);
    itemOf(next).row.scrollIntoView({ block: "nearest" });
    panel.querySelector(`.step:nth-child(${by < 0 ? 1 : 2})`).focus();
  }

  function moveInList(event) {
    const by = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (by === undefined) return;
    const buttons = [...list.querySelectorAll("button")];
    const next = buttons[buttons.indexOf(document.activeElement) + by];
    if (!next) return;
    event.preventDefault();
    next.focus();
  }

  function showList(isOpen) {
    toggle.setAttribute("aria-expanded", isOpen);
  }
})();
