// The beam as a tree: a column for each step, a line from each token to the one before it.
(() => {
  const ROW = 32;
  const GAP = 28; // between two columns
  const MANY = 6; // places of a beam of which only what is kept is shown at first
  const columnWidth = () => (window.innerWidth > 480 ? 168 : 128);
  const REASONS = {
    kept: "Kept: it has a place in the beam.",
    finished: "Finished: the translation ends here.",
    "worse than K": "Not kept: all places went to better continuations.",
    "blocked n-gram": "Not kept: it would repeat an n-gram.",
    forbidden: "Not kept: a rule forbids it.",
    constraint: "Not kept: the forced words ask for another continuation.",
    length: "Not kept: the limits of the length forbid it.",
  };

  /** Format a probability in at most five characters. */
  function shortShare(value) {
    return value < 0.005 ? value.toExponential(0).replace("-", "−") : value.toFixed(2);
  }

  /**
   * Return the tree of a trace: a picture to explore, and a table with all numbers.
   * Its `showStep(step)` marks a column and scrolls to it.
   */
  nmt.beamTree = (view) => {
    const { fields, nodes: rows, stops, stop_reason: stopReason, best } = view.tree;
    const nodes = rows.map((row) => Object.fromEntries(fields.map((name, at) => [name, row[at]])));
    const byId = new Map(nodes.map((node) => [node.id, node]));
    const onBest = new Set(path(byId.get(best)).map((node) => node.id));
    const groups = [...new Set(nodes.map((node) => node.group))];
    const settings = { group: groups[0] ?? 0, shown: view.tree.places > MANY ? "kept" : "all" };
    let column = columnWidth();
    let marked = null;
    const picture = nmt.element("div", { class: "beam-scroll", role: "group", "aria-label": "Picture of the beam", on: { keydown: move } });
    const readout = nmt.element("p", { class: "readout quiet", "aria-live": "polite" });
    const form = nmt.element(
      "form", { class: "controls", "aria-label": "Beam", on: { submit: (event) => event.preventDefault() } },
      nmt.choice("beam-shown", "Continuations", [["all", "All"], ["kept", "In the beam"]], settings.shown),
      ...[nmt.select("beam-group", "Group", groups.map((group) => [String(group), `Group ${group + 1}`]), String(settings.group))].filter(Boolean),
    );
    form.addEventListener("input", () => {
      const given = new FormData(form);
      settings.shown = given.get("beam-shown");
      settings.group = Number(given.get("beam-group") ?? settings.group);
      draw();
    });
    draw();
    const table = nmt.element("details", { class: "beam-table" }, nmt.element("summary", { text: "The beam as a table" }));
    table.addEventListener("toggle", () => { if (table.open && table.childElementCount === 1) table.append(nodeTable()); });
    const made = nmt.element("div", { class: "beam" }, form, readout, picture, legend(), table);
    made.showStep = (step) => {
      marked = step;
      mark();
      picture.scrollLeft = Math.max(0, (step - 0.5) * column);
    };
    return made;

    function mark() {
      picture.querySelectorAll(".beam-step").forEach((one, step) => one.classList.toggle("open", step === marked));
    }

    function path(node) {
      const found = [];
      for (let at = node; at; at = byId.get(at.parent)) found.unshift(at);
      return found;
    }

    function textOf(node) {
      return path(node).map((one) => nmt.token(one.token)).join(" ");
    }

    function inBeam(node) {
      return node.reason === "kept" || node.reason === "finished";
    }

    function draw() {
      column = columnWidth();
      const chosen = nodes.filter((node) => node.group === settings.group && (settings.shown === "all" || inBeam(node)));
      const steps = Math.max(0, ...chosen.map((node) => node.step)) + 1;
      const counts = Array(steps).fill(0);
      const places = new Map(chosen.map((node) => [node.id, { x: node.step * column, y: (1 + counts[node.step]++) * ROW }]));
      const height = (1 + Math.max(1, ...counts)) * ROW;
      const lines = nmt.shape("svg", { class: "beam-lines", width: steps * column, height, "aria-hidden": "true" });
      const box = nmt.element("div", { class: "beam-box" }, lines);
      box.style.setProperty("width", `${steps * column}px`);
      box.style.setProperty("height", `${height}px`);
      box.style.setProperty("--node", `${column - GAP}px`);
      for (let step = 0; step < steps; step++) {
        const isStop = stops.some(([group, at]) => group === settings.group && at === step);
        const name = nmt.element("span", { class: "beam-step", text: isStop ? `${step + 1} · search ends` : step + 1 });
        if (isStop) name.title = stopReason;
        place(name, step * column, 0);
        box.append(name);
      }
      for (const node of chosen) {
        const { x, y } = places.get(node.id);
        const parent = places.get(node.parent);
        if (parent) lines.append(line(node, parent, { x, y }));
        box.append(nodeButton(node, x, y));
      }
      picture.replaceChildren(box);
      mark();
      reach(buttons().find((one) => onBest.has(Number(one.dataset.node))) ?? buttons()[0]);
      show(null);
    }

    function buttons() {
      return [...picture.querySelectorAll("button[data-node]")];
    }

    /** Make a token the one that Tab reaches. */
    function reach(chosen) {
      for (const one of buttons()) one.tabIndex = one === chosen ? 0 : -1;
    }

    /** Move with the arrow keys: up and down in a step, left to the token before, right to the next step. */
    function move(event) {
      const node = byId.get(Number(event.target.dataset?.node));
      if (!node) return;
      const all = buttons();
      const ofStep = (step) => all.filter((one) => byId.get(Number(one.dataset.node)).step === step);
      const column = ofStep(node.step);
      const at = column.indexOf(event.target);
      const child = all.find((one) => byId.get(Number(one.dataset.node)).parent === node.id);
      const next = ofStep(node.step + 1);
      const to = {
        ArrowUp: column[at - 1], ArrowDown: column[at + 1],
        ArrowLeft: all.find((one) => Number(one.dataset.node) === node.parent),
        ArrowRight: child ?? next[Math.min(at, next.length - 1)],
        Home: all[0], End: all[all.length - 1],
      }[event.key];
      if (!to) return;
      event.preventDefault();
      reach(to);
      to.focus();
    }

    function place(one, x, y) {
      one.style.setProperty("left", `${x}px`);
      one.style.setProperty("top", `${y}px`);
    }

    function line(node, from, to) {
      const [x1, y1, x2, y2] = [from.x + column - GAP, from.y + ROW / 2, to.x, to.y + ROW / 2];
      const made = nmt.shape("path", { d: `M${x1} ${y1} C${x1 + 18} ${y1} ${x2 - 18} ${y2} ${x2} ${y2}`, "data-node": node.id });
      made.setAttribute("class", `beam-line${inBeam(node) ? " kept" : ""}${onBest.has(node.id) ? " best" : ""}`);
      return made;
    }

    function nodeButton(node, x, y) {
      const kind = onBest.has(node.id) ? "best" : inBeam(node) ? "kept" : "dropped";
      const made = nmt.element(
        "button",
        {
          type: "button", class: `beam-node ${kind} ${node.reason === "finished" ? "ends" : ""}`, data: { node: node.id, reason: node.reason },
          on: { pointerenter: () => show(node), focus: () => show(node), click: () => show(node), pointerleave: () => show(null), blur: () => show(null) },
        },
        nmt.element("bdi", { text: nmt.token(node.token) }),
        nmt.element("span", { class: "share", "aria-hidden": "true", text: shortShare(Math.exp(node.token_log_probability)) }),
        nmt.element("span", { class: "hidden", text: `, ${node.reason}` }),
      );
      place(made, x, y);
      return made;
    }

    /** Describe a node above the picture, and light the way to it. */
    function show(node) {
      const way = new Set(path(node).map((one) => String(one.id)));
      readout.classList.toggle("quiet", node === null);
      readout.textContent = node === null ? "Point at a token, or reach it with Tab and the arrow keys, to see why it was kept or not." : describe(node);
      for (const one of picture.querySelectorAll("[data-node]")) one.classList.toggle("lit", way.has(one.dataset.node));
    }

    function describe(node) {
      const rule = node.rule ? ` (${node.rule})` : "";
      const parts = [`log-probability ${nmt.figure(node.log_probability)}`];
      if (node.penalty) parts.push(`penalty ${nmt.figure(node.penalty)}`);
      if (node.length_part) parts.push(`length ${nmt.figure(node.length_part)}`);
      if (node.coverage_part) parts.push(`coverage ${nmt.figure(node.coverage_part)}`);
      const score = node.score === null ? "" : ` = score ${nmt.figure(node.score)}`;
      return `“${nmt.shown(textOf(node))}” ${REASONS[node.reason].replace(/\.$/, "")}${rule}. ${parts.join(" + ")}${score}`;
    }

    function legend() {
      const entry = (kind, text) => nmt.element("li", {}, nmt.element("span", { class: `beam-key ${kind}`, "aria-hidden": "true" }), text);
      return nmt.element("ul", { class: "legend", "aria-label": "Legend" }, entry("best", "the translation"), entry("kept", "in the beam"), entry("dropped", "not kept"), entry("kept ends", "finished"));
    }

    function nodeTable() {
      const columns = [
        ["Step", (node) => node.step + 1], ...(groups.length > 1 ? [["Group", (node) => node.group + 1]] : []),
        ["After", (node) => textOf(byId.get(node.parent))], ["Token", (node) => nmt.token(node.token)], ["Reason", (node) => (node.rule ? `${node.reason} (${node.rule})` : node.reason)],
        ["Log-probability of the token", (node) => nmt.figure(node.token_log_probability)], ["of all", (node) => nmt.figure(node.log_probability)],
        ["Penalty", (node) => nmt.figure(node.penalty)], ["Score", (node) => (node.score === null ? "" : nmt.figure(node.score))],
      ];
      const head = nmt.element("tr", {}, ...columns.map(([text]) => nmt.element("th", { scope: "col", text })));
      const body = nodes.map((node) => nmt.element("tr", { class: onBest.has(node.id) ? "best" : null }, ...columns.map(([, value]) => nmt.element("td", { text: value(node) }))));
      const caption = nmt.element("caption", { class: "hidden", text: "All continuations" });
      const made = nmt.element("table", { class: "facts numbers" }, caption, nmt.element("thead", {}, head), nmt.element("tbody", {}, ...body));
      return nmt.scrolling("Continuations", made);
    }
  };
})();
