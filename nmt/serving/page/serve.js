// The page of the server: what is typed is translated, and each word shows why it stands there.
(() => {
  const DELAY = 250; // milliseconds of silence before a text is sent
  const MOST_TRIES = 3; // of a request while the server is busy
  const find = (selector) => document.querySelector(selector);
  const settings = find("#settings");
  const area = find("#text");
  const results = find("#results");
  const details = find("#details");
  const figures = new Intl.NumberFormat("en");
  const state = { models: [], limit: Infinity, needsKey: false, columns: [], detail: null, timer: 0, view: nmt.newSettings() };

  start();

  async function start() {
    fill("beam", [["", "of the model"], ...[1, 2, 3, 5, 8, 12, 20].map((size) => [String(size), size === 1 ? "1 (greedy)" : String(size)])]);
    fill("best", [1, 3, 5, 10].map((number) => [String(number), String(number)]));
    area.addEventListener("input", typed);
    settings.addEventListener("input", (event) => changed(event.target.name));
    settings.elements.key.addEventListener("change", loadModels);
    settings.addEventListener("submit", (event) => event.preventDefault());
    find(".clear").addEventListener("click", () => {
      area.value = "";
      area.focus();
      typed();
    });
    try {
      const answer = await (await fetch("frontend/settings")).json();
      state.limit = answer.charLimit;
      state.needsKey = answer.keyRequired;
      settings.querySelector(".key").hidden = !answer.keyRequired;
    } catch {
      find("#summary").textContent = "The server does not answer; reload the page to try again.";
      return;
    }
    await loadModels();
    typed();
  }

  async function loadModels() {
    if (state.needsKey && !settings.elements.key.value) {
      find("#summary").textContent = "Enter an API key to start.";
      return;
    }
    let answer;
    try {
      answer = await ask("v1/models");
    } catch (problem) {
      find("#summary").textContent = problem.message;
      return;
    }
    find("#summary").textContent = "";
    state.models = answer.models;
    const names = state.models.map((model) => [model.name, `${model.name}: ${direction(model)}`]);
    fill("model", names);
    fill("other", [["", "nothing"], ...names]);
    settings.querySelector(".compare").hidden = names.length < 2;
    settings.querySelector('[name="model"]').closest(".field").hidden = names.length < 2;
    if (names.length < 2) find("#summary").textContent = names[0][1];
    changed("model");
  }

  function changed(name) {
    if (name === "key") return; // it is read when it is complete
    if (name === "model" || name === "other") makeColumns();
    translate();
  }

  function typed() {
    const { length } = area.value;
    const count = find("#count");
    count.textContent = length ? `${figures.format(length)} of ${figures.format(state.limit)} characters` : "";
    count.classList.toggle("over", length > state.limit);
    find(".clear").hidden = length === 0;
    clearTimeout(state.timer);
    state.timer = setTimeout(translate, DELAY);
  }

  /** Make a column for each chosen model. */
  function makeColumns() {
    for (const column of state.columns) column.cancel();
    const chosen = ["model", "other"].map((name) => settings.elements[name].value).filter(Boolean);
    const models = chosen.map((name) => state.models.find((model) => model.name === name));
    state.columns = models.map(newColumn);
    results.replaceChildren(...state.columns.map((column) => column.root));
    find(".columns").classList.toggle("two", models.length > 1);
    find("#from").textContent = models.length ? models[0].source.name : "Text";
    if (models.length) area.lang = models[0].source.code;
    closeDetails();
  }

  function translate() {
    clearTimeout(state.timer);
    for (const column of state.columns) column.translate(area.value);
  }

  /** Make the column of a model: its translation of the text, and what belongs to one sentence. */
  function newColumn(model) {
    const output = nmt.element("p", { class: "output", dir: "auto", lang: model.target.code });
    const under = nmt.element("div", {});
    const status = nmt.element("div", { role: "status" });
    const copy = nmt.element("button", { type: "button", class: "step copy", hidden: true, text: "Copy", on: { click: copyText } });
    const sheet = nmt.element("div", { class: "sheet" }, status, output, under);
    const root = nmt.element(
      "section", { class: "column", "aria-label": `Translation by ${model.name}`, data: { model: model.name } },
      nmt.element("div", { class: "column-top" }, nmt.element("span", {}, model.target.name, " ", nmt.element("span", { class: "muted", text: state.models.length > 1 ? model.name : "" })), copy),
      sheet,
    );
    const column = { model, root, translate: translateText, cancel: () => controller.abort(), segments: [], active: null, text: "" };
    let controller = new AbortController();
    let newest = 0;
    return column;

    async function translateText(text) {
      controller.abort();
      controller = new AbortController();
      const number = ++newest;
      const [first] = state.columns;
      if (model.source.code !== first.model.source.code) {
        say(`${model.name} reads ${model.source.name}, not ${first.model.source.name}.`);
        return;
      }
      if (!text.trim()) {
        show({ text: "", segments: [] });
        return;
      }
      root.classList.add("late");
      const best = Number(settings.elements.best.value);
      const beam = settings.elements.beam.value;
      const body = { model: model.name, text, n_best: best, views: model.has_attention };
      if (beam) body.beam_size = Math.max(Number(beam), best);
      try {
        const answer = await ask("v1/translate", body, controller.signal);
        if (number === newest) show(answer.translations[0]);
      } catch (problem) {
        if (number === newest && problem.name !== "AbortError") say(problem.message);
      }
    }

    /** Show an error in place of a translation. */
    function say(message) {
      show({ text: "", segments: [] });
      status.replaceChildren(nmt.element("p", { class: "problem", text: message }));
    }

    function show(translation) {
      root.classList.remove("late");
      status.replaceChildren();
      column.text = translation.text;
      column.segments = translation.segments.map((segment) => ({ ...segment, column, original: segment.hypotheses[0], isChanged: false }));
      column.active = column.segments[0] ?? null;
      copy.hidden = !translation.text || !navigator.clipboard;
      if (state.detail?.column === column) closeDetails();
      draw();
    }

    /** Draw the whole text with its words, and what belongs to the active sentence. */
    function draw() {
      output.replaceChildren(...parts());
      rove(output);
      drawUnder();
    }

    /** Return the text as words of the segments, and what is between them. */
    function parts() {
      const made = [];
      let at = 0;
      for (const segment of column.segments) {
        const { text } = segment.hypotheses[0];
        const found = column.text.indexOf(text, at);
        if (found < 0) continue;
        made.push(nmt.shown(column.text.slice(at, found)).replaceAll("\ufffd\n", "\n"), ...words(segment));
        at = found + text.length;
      }
      made.push(column.text.slice(at));
      return made;
    }

    function words(segment) {
      const { text } = segment.hypotheses[0];
      const made = [];
      let at = 0;
      segment.places = unitsOf(segment).map((unit) => {
        const found = text.indexOf(unit, at);
        const start = found < 0 ? at : found;
        const place = { start, end: found < 0 ? at : found + unit.length };
        at = place.end;
        return place;
      });
      at = 0;
      segment.places.forEach((place, index) => {
        if (place.end <= place.start) return;
        if (place.start > at) made.push(text.slice(at, place.start));
        const attributes = { class: `word${segment.isChanged ? " changed" : ""}`, data: { side: "target", index }, text: text.slice(place.start, place.end) };
        if (model.kind === "exported") made.push(nmt.element("span", attributes));
        else made.push(wordOf(segment, index, attributes));
        at = place.end;
      });
      if (at < text.length) made.push(text.slice(at));
      return made;
    }

    function wordOf(segment, index, attributes) {
      const button = nmt.element("button", { type: "button", "aria-expanded": "false", ...attributes });
      const point = () => {
        if (column.active !== segment) {
          column.active = segment;
          drawUnder();
        }
        light(segment, { target: index });
      };
      button.addEventListener("pointerenter", point);
      button.addEventListener("focus", point);
      button.addEventListener("pointerleave", () => light(segment, null));
      button.addEventListener("blur", () => light(segment, null));
      button.addEventListener("click", () => openChoices(segment, index, button));
      segment.buttons ??= new Map();
      segment.buttons.set(index, button);
      return button;
    }

    /** Draw the source words, the n-best list and the buttons of the active sentence. */
    function drawUnder() {
      const segment = column.active;
      if (!segment) {
        under.replaceChildren();
        return;
      }
      const { view } = segment;
      const made = [];
      if (hasWeights(segment)) {
        segment.matrix = { weights: nmt.weights(view.words.weights), source: view.words.source, target: view.words.target };
        segment.looked = view.words.source.map((text, index) => {
          const word = nmt.element("span", { class: "word", data: { side: "source", index } }, nmt.element("bdi", { text }));
          word.addEventListener("pointerenter", () => light(segment, { source: index }));
          word.addEventListener("pointerleave", () => light(segment, null));
          return word;
        });
        const joint = view.units === "characters" ? "" : " ";
        const line = nmt.element("p", { class: "looked", dir: "auto", lang: model.source.code, "aria-label": "Source words" });
        segment.looked.forEach((word, index) => line.append(...(index ? [joint, word] : [word])));
        segment.said = nmt.element("p", { class: "said", "aria-live": "polite" });
        made.push(line, segment.said);
      } else if (model.kind === "exported") {
        made.push(nmt.element("p", { class: "said", text: "An exported file only translates: it shows no attention and no other words." }));
      } else if (view?.omitted) {
        made.push(nmt.element("p", { class: "said", text: `No weights are shown: ${view.omitted}.` }));
      }
      made.push(nmt.element("div", { class: "choices", hidden: true }));
      if (segment.hypotheses.length > 1 && !segment.isChanged) made.push(ranked(segment));
      made.push(actions(segment));
      under.replaceChildren(...made);
      light(segment, null);
    }

    function ranked(segment) {
      const items = segment.hypotheses.map((one) => nmt.element("li", {}, nmt.element("bdi", { lang: model.target.code, text: one.text }), nmt.element("span", { class: "share", title: "score", text: nmt.figure(one.score) })));
      return nmt.element("ol", { class: "ranked", "aria-label": "Translations, best first" }, ...items);
    }

    function actions(segment) {
      const toggle = (kind, text) => nmt.element("button", { type: "button", class: "step", "aria-pressed": String(isOpen(segment, kind)), data: { detail: kind }, text, on: { click: () => toggleDetails(segment, kind) } });
      const score = nmt.element("span", { class: "muted", text: `score ${nmt.figure(segment.hypotheses[0].score)}` });
      return nmt.element(
        "div", { class: "actions" },
        ...[
          hasWeights(segment) ? toggle("attention", "Attention") : null,
          model.kind === "run" ? toggle("trace", "Trace") : null,
          segment.isChanged ? nmt.element("button", { type: "button", class: "step", text: "Undo", on: { click: () => replace(segment, segment.first) } }) : null,
          score,
        ].filter((one) => one !== null),
      );
    }

    /** Light the words that a word is connected with, and say the weights. */
    function light(segment, at) {
      if (!segment.matrix || !segment.said) return;
      const { weights, source, target } = segment.matrix;
      const weight = (s, t) => weights[t * source.length + s];
      segment.looked.forEach((word, s) => mark(word, at?.target === undefined ? 0 : weight(s, at.target), at?.source === s));
      for (const [t, button] of segment.buttons ?? []) mark(button, at?.source === undefined ? 0 : weight(at.source, t), at?.target === t);
      if (at === null) {
        segment.said.textContent = "Point at a word to see where the model looks. Click it for other words.";
        return;
      }
      const isTarget = at.target !== undefined;
      const names = isTarget ? source : target;
      const largest = names
        .map((name, index) => [name, isTarget ? weight(index, at.target) : weight(at.source, index)])
        .filter(([, value]) => value > 0).sort((one, two) => two[1] - one[1]).slice(0, 3)
        .map(([name, value]) => `${nmt.shown(name)} ${nmt.number(value)}`);
      const name = nmt.shown(isTarget ? target[at.target] : source[at.source]);
      segment.said.textContent = `“${name}” ${isTarget ? "looks at" : "is looked at by"}: ${largest.join(" · ") || "nothing"}`;
    }

    async function openChoices(segment, index, button) {
      const box = under.querySelector(".choices");
      const isSame = button.getAttribute("aria-expanded") === "true";
      closeChoices();
      if (isSame) return;
      button.setAttribute("aria-expanded", "true");
      const prefix = segment.hypotheses[0].text.slice(0, segment.places[index].start).trimEnd();
      box.hidden = false;
      box.replaceChildren(nmt.element("p", { class: "muted", text: "…" }));
      box.onkeydown = (event) => {
        if (event.key === "Escape") {
          closeChoices();
          button.focus();
        }
      };
      try {
        const { alternatives } = await ask("v1/alternatives", { model: model.name, text: segment.source, prefix });
        if (button.getAttribute("aria-expanded") !== "true") return;
        const title = prefix ? nmt.element("h2", {}, "After ", nmt.element("q", { dir: "auto", text: prefix })) : nmt.element("h2", { text: "At the beginning" });
        const items = alternatives.map((one) => nmt.element("li", {}, choiceOf(segment, one)));
        box.replaceChildren(title, items.length ? nmt.element("ol", {}, ...items) : nmt.element("p", { class: "muted", text: "No other word may stand here." }));
      } catch (problem) {
        box.replaceChildren(nmt.element("p", { class: "problem", text: problem.message }));
      }
    }

    function choiceOf(segment, one) {
      return nmt.element(
        "button", { type: "button", class: "choice-word", data: { word: one.word }, on: { click: () => choose(segment, one) } },
        nmt.element("bdi", { lang: model.target.code, text: one.word }),
        nmt.element("span", { class: "share", text: nmt.number(one.probability) }),
        nmt.element("bdi", { class: "whole", lang: model.target.code, text: one.text }),
      );
    }

    /** Keep the words before, take another word, and translate the rest again. */
    async function choose(segment, one) {
      const number = newest;
      try {
        const body = { model: model.name, text: segment.source, prefix: one.prefix, views: model.has_attention };
        const answer = await ask("v1/translate", body, controller.signal);
        if (number !== newest) return;
        const [found] = answer.translations[0].segments;
        replace(segment, found, true);
      } catch (problem) {
        if (problem.name !== "AbortError") under.querySelector(".choices")?.replaceChildren(nmt.element("p", { class: "problem", text: problem.message }));
      }
    }

    /** Put another translation of a sentence into the text. */
    function replace(segment, found, isChanged = false) {
      segment.first ??= { hypotheses: segment.hypotheses, view: segment.view };
      let at = 0;
      for (const one of column.segments) {
        const { text } = one.hypotheses[0];
        const place = column.text.indexOf(text, at);
        if (place < 0) continue;
        if (one === segment) {
          column.text = column.text.slice(0, place) + found.hypotheses[0].text + column.text.slice(place + text.length);
          break;
        }
        at = place + text.length;
      }
      Object.assign(segment, { hypotheses: found.hypotheses, view: found.view, isChanged, matrix: null, buttons: new Map() });
      column.active = segment;
      const kind = state.detail?.segment === segment ? state.detail.kind : null;
      draw();
      if (kind) openDetails(segment, kind);
      output.querySelector(".word[tabindex='0']")?.focus();
    }

    function closeChoices() {
      for (const one of output.querySelectorAll("[aria-expanded=true]")) one.setAttribute("aria-expanded", "false");
      const box = under.querySelector(".choices");
      if (box) box.hidden = true;
    }

    async function copyText() {
      await navigator.clipboard.writeText(column.text);
      copy.textContent = "Copied";
      setTimeout(() => (copy.textContent = "Copy"), 1500);
    }
  }

  function isOpen(segment, kind) {
    return state.detail?.segment === segment && state.detail.kind === kind;
  }

  function toggleDetails(segment, kind) {
    if (isOpen(segment, kind)) closeDetails();
    else openDetails(segment, kind);
  }

  /** Show the attention or the trace of a sentence below the columns. */
  async function openDetails(segment, kind) {
    const { column } = segment;
    state.detail = { segment, column, kind };
    press();
    const panel = nmt.element("div", { class: "panel" });
    const name = kind === "trace" ? "Trace" : "Attention";
    const close = nmt.element("button", { type: "button", class: "step", text: "Close", on: { click: closeDetails } });
    details.replaceChildren(nmt.element("div", { class: "title" }, nmt.element("h2", { text: state.models.length > 1 ? `${name} (${column.model.name})` : name }), close), panel);
    details.hidden = false;
    if (kind === "attention") nmt.showSentence(panel, segment.view, state.view);
    else await trace(panel, segment, segment.isChanged ? segment.hypotheses[0].text : "");
  }

  async function trace(panel, segment, prefix) {
    panel.replaceChildren(nmt.element("p", { class: "muted", role: "status", text: "…" }));
    try {
      const view = await ask("v1/trace", { model: segment.column.model.name, text: segment.source, prefix });
      nmt.showTrace(panel, view, { force: (forced) => trace(panel, segment, forced) });
    } catch (problem) {
      panel.replaceChildren(nmt.element("p", { class: "problem", text: problem.message }));
    }
  }

  function closeDetails() {
    state.detail = null;
    details.hidden = true;
    details.replaceChildren();
    press();
  }

  function press() {
    for (const button of results.querySelectorAll("[data-detail]")) {
      const { segment, kind } = state.detail ?? {};
      const isMine = segment && button.closest(".column") === segment.column.root && segment.column.active === segment;
      button.setAttribute("aria-pressed", String(Boolean(isMine) && button.dataset.detail === kind));
    }
  }

  /** Return the words of a translation, or other units of its view. */
  function unitsOf(segment) {
    const units = hasWeights(segment) ? segment.view.words.target : segment.hypotheses[0].text.split(/\s+/);
    return units.filter(Boolean);
  }

  function hasWeights(segment) {
    return segment.view?.words?.weights !== undefined;
  }

  function mark(word, weight, isPointed) {
    if (weight > 0.005) word.dataset.shade = nmt.shade(weight);
    else delete word.dataset.shade;
    word.classList.toggle("pointed", isPointed);
  }

  /** Let Tab reach one word, and the arrow keys the others. */
  function rove(root) {
    const words = () => [...root.querySelectorAll("button.word")];
    words().forEach((word, index) => (word.tabIndex = index ? -1 : 0));
    root.onkeydown = (event) => {
      const all = words();
      const at = all.indexOf(document.activeElement);
      const next = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: all.length - 1 }[event.key];
      if (at < 0 || next === undefined || !all[next]) return;
      event.preventDefault();
      all.forEach((word) => (word.tabIndex = -1));
      all[next].tabIndex = 0;
      all[next].focus();
    };
  }

  function direction(model) {
    return `${model.source.name} to ${model.target.name}`;
  }

  function fill(name, options) {
    const select = settings.elements[name];
    const before = select.value;
    select.replaceChildren(...options.map(([value, text]) => nmt.element("option", { value, text })));
    if (options.some(([value]) => value === before)) select.value = before;
  }

  /** Ask the server; while it is busy, try again when it says so. */
  async function ask(path, body, signal) {
    for (let tries = 1; ; tries += 1) {
      const headers = { "Content-Type": "application/json" };
      const key = settings.elements.key.value;
      if (key) headers["X-API-Key"] = key;
      const given = body === undefined ? { headers, signal } : { method: "POST", headers, signal, body: JSON.stringify(body) };
      let answer;
      try {
        answer = await fetch(path, given);
      } catch (problem) {
        if (problem.name === "AbortError") throw problem;
        throw new Error("The server does not answer; try again later.");
      }
      if (answer.ok) return answer.json();
      if ([429, 503].includes(answer.status) && tries < MOST_TRIES) {
        await new Promise((resolve) => setTimeout(resolve, 1000 * Math.min(5, Number(answer.headers.get("Retry-After") ?? 1))));
        signal?.throwIfAborted();
        continue;
      }
      const problem = new Error((await answer.json().catch(() => null))?.error ?? `The server answers ${answer.status}.`);
      problem.status = answer.status;
      throw problem;
    }
  }
})();
