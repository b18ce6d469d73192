"use strict";
// The common part of all pages: elements, data, and the panel that shows one sentence.
// Texts of users are only ever written with `textContent`.
const nmt = (() => {
  const registered = new Map();
  const SIDES = ["source", "target"];

  /** Add a view: `title`, `applies(view)` and `draw(root, context)`, which returns `update()`. */
  function register(name, view) {
    registered.set(name, view);
  }

  /** Make an element; `attributes` may have `text`, `data` (an object) and `on` (listeners). */
  function element(tag, attributes = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (value === null || value === undefined || value === false) continue;
      if (name === "text") made.textContent = shown(value);
      else if (name === "data") Object.assign(made.dataset, value);
      else if (name === "on") for (const [type, act] of Object.entries(value)) made.addEventListener(type, act);
      else made.setAttribute(name, value === true ? "" : value);
    }
    made.append(...children.filter((child) => child !== null));
    return made;
  }

  /** Make an SVG element. */
  function shape(tag, attributes = {}) {
    const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    return made;
  }

  /** Return a text with its control characters replaced, which have no glyphs. */
  function shown(text) {
    return String(text).replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, "\ufffd");
  }

  /** Return a word for a sentence: shortened, and without effect on the direction of writing. */
  function isolated(word) {
    const letters = [...shown(word).replace(/[\u202a-\u202e\u2066-\u2069]/g, "")];
    const text = letters.length > 40 ? `${letters.slice(0, 39).join("")}…` : letters.join("");
    return `\u2068${text}\u2069`;
  }

  /** Format a weight with three decimals; only an exact zero is `0`. */
  function number(weight) {
    if (weight === 0) return "0";
    return weight < 0.0005 ? "<0.001" : weight.toFixed(3);
  }

  /** Format another number with about three digits. */
  function decimal(value) {
    const text = value.toFixed(Math.abs(value) < 1 ? 3 : 2);
    return Number(text) === 0 ? "0" : text.replace("-", "\u2212");
  }

  /** Format a number of a model with three decimals; only an exact zero is `0`. */
  function figure(value) {
    if (value === null || value === undefined) return "NaN";
    if (value === 0) return "0";
    const size = Math.abs(value);
    const text = size < 0.0005 ? size.toExponential(0) : size >= 1000 ? size.toPrecision(4) : size.toFixed(3);
    return `${value < 0 ? "−" : ""}${text.replace("e-", "e−")}`;
  }

  /** Return a token as text; one without a glyph as its code points. */
  function token(text) {
    if (!/^[\p{C}\p{M}\p{Z}]*$/u.test(text)) return text;
    return Array.from(text, (one) => `U+${one.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`).join(" ") || "(empty)";
  }

  /** Make a bar for a share from 0 to 1, for the eye only. */
  function bar(share) {
    const made = element("span", { class: "bar", "aria-hidden": "true" });
    made.style.setProperty("--share", share ?? 0);
    return made;
  }

  /** Put a wide table into a box that scrolls, which the keyboard reaches. */
  function scrolling(label, table) {
    return element("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": label }, table);
  }

  /** Return the step of the colour scale of a weight: 0 only for exact zeros, 10 at most. */
  function shade(weight) {
    return weight === 0 ? 0 : Math.min(10, Math.max(1, Math.ceil(weight * 10 - 0.001)));
  }

  /** Return the bytes of a text in base64. */
  function bytes(text) {
    return Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
  }

  /** Return the 16-bit weights of a text in base64 as numbers from 0 to 1. */
  function weights(text) {
    const packed = bytes(text);
    return Float64Array.from(
      { length: packed.length / 2 },
      (_, at) => (packed[2 * at] + 256 * packed[2 * at + 1]) / 65535,
    );
  }

  /** Return the data of the page: the content of its JSON scripts of a class. */
  function data(name = "data") {
    const scripts = document.querySelectorAll(`script[type="application/json"].${name}`);
    return Array.from(scripts, (script) => JSON.parse(script.textContent));
  }

  /** Return the attention that a panel shows, at a level (words, pieces) and of a head. */
  function matrixOf(view, { level, head }) {
    const part = level === "pieces" && view.pieces ? view.pieces : view.words;
    const isWords = part === view.words;
    const ofHead = head >= 0 && part.heads ? part.heads[head] : part.weights;
    const values = ofHead === undefined ? null : weights(ofHead);
    const columns = part.source.length;
    const has = (pairs, s, t) => pairs.some(([source, target]) => source === s && target === t);
    const matrix = {
      source: part.source,
      target: part.target,
      isWords,
      hasWeights: values !== null,
      weight: (s, t) => values[t * columns + s],
      column: (s) => part.target.map((_, t) => values[t * columns + s]),
      row: (t) => Array.from(values.subarray(t * columns, (t + 1) * columns)),
      isPicked: (s, t) => picked[t] === s,
      gold: (s, t) => {
        if (!isWords || !view.gold) return null;
        if (has(view.gold.sure, s, t)) return "sure";
        return has(view.gold.possible, s, t) ? "possible" : null;
      },
    };
    // The mean of several heads has no position of its own.
    const picks = view.picks_one && values && (head >= 0 || !part.heads);
    const picked = picks ? part.target.map((_, t) => best(matrix.row(t))) : [];
    return matrix;
  }

  /** Paint the weights of a matrix; `strength(source, target, weight)` is the share of the colour. */
  function paint(canvas, matrix, strength) {
    const drawing = canvas.getContext("2d");
    const styles = getComputedStyle(document.documentElement);
    const colours = Array.from({ length: 11 }, (_, step) => styles.getPropertyValue(`--shade-${step}`));
    const [width, height] = [canvas.width / matrix.source.length, canvas.height / matrix.target.length];
    drawing.clearRect(0, 0, canvas.width, canvas.height);
    matrix.target.forEach((_, target) => matrix.source.forEach((_, source) => {
      const weight = matrix.weight(source, target);
      drawing.globalAlpha = weight === 0 ? 0 : strength(source, target, weight);
      drawing.fillStyle = colours[shade(weight)];
      drawing.fillRect(width * source, height * target, width, height);
    }));
  }

  /** Return the index of the largest weight; -1 if all are zero. */
  function best(row) {
    const largest = Math.max(0, ...row);
    return largest > 0 ? row.indexOf(largest) : -1;
  }

  /** Return whether a pair of words is lit by what is pointed at. */
  function isLit(at, source, target) {
    if (at === null) return false;
    return (at.source ?? source) === source && (at.target ?? target) === target;
  }

  /** Return the words that a pointed word is connected with: their side and their weights. */
  function connected(matrix, at) {
    if (at === null) return null;
    if (at.source === undefined) return { side: "source", weights: matrix.row(at.target) };
    return at.target === undefined ? { side: "target", weights: matrix.column(at.source) } : null;
  }

  /** Describe what is pointed at, for the line above the views. */
  function describe(matrix, at) {
    if (at === null) return "Point at a word, or reach it with Tab and the arrow keys.";
    const name = (side) => `“${isolated(matrix[side][at[side]])}”`;
    if (at.source !== undefined && at.target !== undefined) {
      return `${name("target")} looks at ${name("source")}: ${number(matrix.weight(at.source, at.target))}`;
    }
    const { side, weights: row } = connected(matrix, at);
    const largest = row
      .map((weight, index) => ({ weight, index }))
      .filter(({ weight }) => weight > 0)
      .sort((one, two) => two.weight - one.weight)
      .slice(0, 3)
      .map(({ weight, index }) => `${isolated(matrix[side][index])} ${number(weight)}`);
    const total = row.reduce((sum, weight) => sum + weight, 0);
    if (side === "source") {
      const rest = matrix.isWords && total < 0.9995 ? [`rest ${number(1 - total)}`] : [];
      const words = [...largest, ...rest].join(" · ");
      return `${name("target")} looks at: ${words || "nothing"}`;
    }
    return `${name("source")} is looked at by: ${largest.join(" · ") || "nothing"} (sum ${number(total)})`;
  }

  /** Make the button of a word. */
  function wordButton(context, side, index, ...children) {
    const { view, matrix } = context;
    const language = view.languages?.[side === "source" ? 0 : 1];
    const isInvisible = /^[\s\p{Cf}\p{Default_Ignorable_Code_Point}]*$/u.test(matrix[side][index]);
    const text = element("bdi", { text: isInvisible ? "␣" : matrix[side][index], lang: language });
    const attributes = { type: "button", class: "word", tabindex: index ? -1 : 0, data: { side, index } };
    const made = element("button", attributes, text, ...children);
    if (matrix[side][index].length > 12) made.title = shown(matrix[side][index]); // it may be cut
    const note = side === "source" ? coverageNote(context, index) : null;
    if (note) {
      made.classList.add(note.kind);
      made.append(element("span", { class: "hidden", text: ` (${note.text})` }));
    }
    return made;
  }

  /** Describe a source word that all target words together look at too little or too much. */
  function coverageNote({ view, matrix }, index) {
    const sum = matrix.isWords && matrix.hasWeights ? view.coverage[index] : 1;
    if (view.grid || view.omitted) return null;
    if (sum < 0.2) return { kind: "missed", text: `hardly looked at: ${number(sum)} in total` };
    return sum > 2 ? { kind: "repeated", text: `looked at often: ${number(sum)} in total` } : null;
  }

  /** Make a group of radio buttons that look like one switch; null with fewer than two choices. */
  function choice(name, legend, options, chosen) {
    if (options.length < 2) return null;
    const labels = options.map(([value, text]) =>
      element(
        "label", {},
        element("input", { type: "radio", name, value, checked: value === chosen }),
        element("span", { text }),
      ));
    return element("fieldset", { class: "choice" }, element("legend", { text: legend }), element("div", {}, ...labels));
  }

  /** Make a labelled list of options; null with fewer than two. */
  function select(name, legend, options, chosen) {
    if (options.length < 2) return null;
    const made = element("select", { name }, ...options.map(([value, text]) => element("option", { value, text })));
    made.value = chosen;
    return element("label", { class: "field" }, element("span", { text: legend }), made);
  }

  const newSettings = () => ({ level: "words", head: -1, threshold: 0.02, view: "all" });

  /** Show one sentence in `root`; `settings` are kept and changed by its controls. */
  function showSentence(root, view, settings = newSettings()) {
    const body = element("div", { class: "panel-body" });
    root.replaceChildren(texts(view), body);
    if (!view.words || view.words.weights === undefined) {
      body.append(measures(view, -1), element("p", { class: "note", text: `No weights are shown: ${view.omitted}.` }));
      return;
    }
    const numHeads = view.words.heads?.length ?? 0;
    if (settings.head >= numHeads) settings.head = -1;
    const fitting = [...registered].filter(([, one]) => one.applies?.(view));
    if (!fitting.some(([name]) => name === settings.view)) settings.view = "all";
    const drawn = element("div", { class: "drawn" });
    const form = controls(view, settings, fitting, numHeads, () => draw());
    body.append(form, drawn);

    function draw() {
      const context = { view, matrix: matrixOf(view, settings), settings, choose, at: null, pinned: null };
      const readout = element("p", { class: "readout", "aria-live": "polite" });
      const shownViews = fitting.filter(([name]) => settings.view === "all" || settings.view === name);
      const updates = [];
      const sections = shownViews.map(([name, one]) => {
        const section = element("section", { class: `view view-${name}`, "aria-label": one.title });
        section.append(element("h3", { text: one.title }));
        updates.push(one.draw(section, context));
        return section;
      });
      const views = element("div", { class: `views${sections.length > 1 ? " several" : ""}` }, ...sections);
      const note = view.omitted ? element("p", { class: "note", text: `Careful: ${view.omitted}.` }) : null;
      drawn.replaceChildren(measures(view, settings.head), ...(note ? [note] : []), readout, views, legend(context));
      listen(views, context, () => {
        readout.textContent = describe(context.matrix, context.at);
        readout.classList.toggle("quiet", context.at === null);
        updates.forEach((update) => update());
      });
    }
    draw();

    /** Set a control of the form from a view, and keep the focus on what was chosen. */
    function choose(name, value) {
      form.elements[name].value = value;
      form.dispatchEvent(new Event("input"));
      drawn.querySelector(`[data-${name}="${value}"]`)?.focus();
    }
  }

  /** Return the two texts of a sentence; of a picture only the target. */
  function texts(view) {
    const sides = view.grid ? ["target"] : SIDES;
    return element("header", { class: "texts" }, ...sides.flatMap((side) => text(view, side)));
  }

  /** Return a text, and a button that is shown if the text is cut, which shows all of it. */
  function text(view, side) {
    const index = SIDES.indexOf(side);
    const content = element("p", { class: `text ${side}`, dir: "auto", lang: view.languages?.[index], text: view.text[index] });
    const button = element("button", { type: "button", class: "more", hidden: true, on: { click: () => open(!content.classList.contains("open")) } });
    const open = (isOpen) => {
      content.classList.toggle("open", isOpen);
      button.setAttribute("aria-expanded", isOpen);
      button.textContent = isOpen ? `Show less of the ${side}` : `Show the whole ${side}`;
    };
    open(false);
    new ResizeObserver(() => {
      if (!content.classList.contains("open")) button.hidden = content.scrollHeight <= content.clientHeight + 1;
    }).observe(content);
    return [content, button];
  }

  /** Return the numbers of a sentence; of one head if it is shown. */
  function measures(view, head) {
    const part = head >= 0 ? view.by_head[head] : view;
    const rows = [
      ["score", view.score, "Ranks translations; of a given pair, the log-probability per token"],
      ["log-probability", view.log_probability, "Of the target, by the model"],
      ["attention entropy", part.entropy, "In nats: 0 if each word looks at one place, larger if it looks around"],
      ["coverage error", part.coverage_error, "Mean distance from 1 of how much each source word was looked at"],
      ["alignment error", part.aer, "Alignment error rate against the gold links"],
    ].filter(([, value]) => value !== null && value !== undefined);
    const items = rows.map(([name, value, title]) =>
      element("div", { title }, element("dt", { text: name }), element("dd", { text: decimal(value) })));
    return element("dl", { class: "measures" }, ...items);
  }

  /** Return the switches of a panel. */
  function controls(view, settings, fitting, numHeads, changed) {
    const heads = Array.from({ length: numHeads }, (_, head) => [String(head), `Head ${head + 1}`]);
    const names = fitting.map(([name, one]) => [name, one.title]);
    const range = element("input", { type: "range", name: "threshold", min: 0, max: 0.5, step: 0.01, value: settings.threshold });
    const limit = element("output", { text: settings.threshold.toFixed(2) });
    const units = view.units.charAt(0).toUpperCase() + view.units.slice(1);
    const form = element(
      "form", { class: "controls", "aria-label": "Display", on: { submit: (event) => event.preventDefault() } },
      ...[
        choice("view", "View", names.length > 1 ? [["all", "All"], ...names] : [], settings.view),
        choice("level", "Units", view.pieces ? [["words", units], ["pieces", "Subwords"]] : [], settings.level),
        select("head", "Head", [["-1", `Mean of ${numHeads}`], ...heads], String(settings.head)),
      ].filter((one) => one !== null),
      element("label", { class: "field range" }, element("span", {}, "Hide weights below ", limit), range),
    );
    form.addEventListener("input", () => {
      const given = new FormData(form);
      settings.view = given.get("view") ?? settings.view;
      settings.level = given.get("level") ?? settings.level;
      settings.head = Number(given.get("head") ?? -1);
      settings.threshold = Number(range.value);
      limit.textContent = settings.threshold.toFixed(2);
      changed();
    });
    return form;
  }

  /** Explain the marks that this sentence has. */
  function legend({ view, matrix }) {
    const steps = Array.from({ length: 10 }, (_, step) => element("span", { data: { shade: step + 1 } }));
    const entries = [
      element("li", { class: "scale" }, "small ", element("span", { class: "steps", "aria-hidden": "true" }, ...steps), " large weight"),
    ];
    if (matrix.target.some((_, t) => matrix.row(t).includes(0))) entries.push(entry("zero", "exactly zero"));
    if (view.picks_one) entries.push(entry("picked", "the position picked (in training: at random)"));
    if (matrix.isWords && view.gold) entries.push(entry("gold sure", "gold link"), entry("gold possible", "possible gold link"));
    if (matrix.isWords && !view.grid) {
      const sums = view.coverage;
      if (sums.some((sum) => sum < 0.2)) entries.push(word("missed", "hardly looked at (below 0.2 in total)"));
      if (sums.some((sum) => sum > 2)) entries.push(word("repeated", "looked at often (above 2 in total)"));
    }
    if (matrix.isWords && view.pieces) {
      entries.push(element("li", { text: "what a row lacks to 1 lies on the end of the sentence" }));
    }
    return element("ul", { class: "legend", "aria-label": "Legend" }, ...entries);

    function entry(kind, text) {
      return element("li", {}, element("span", { class: `cell ${kind}`, "aria-hidden": "true" }), text);
    }
    function word(kind, text) {
      return element("li", {}, element("span", { class: `word ${kind}`, "aria-hidden": "true", text: "word" }), text);
    }
  }

  /** Follow pointer and keyboard; `data-side` marks words, and `data-source` and `data-target` pairs. */
  function listen(root, context, update) {
    const point = (at) => {
      const next = at ?? context.pinned;
      if (JSON.stringify(next) === JSON.stringify(context.at)) return;
      context.at = next;
      update();
    };
    context.point = point; // for views that are no elements of words
    root.addEventListener("pointerover", (event) => {
      if (event.pointerType === "mouse") point(placeOf(event.target));
    });
    root.addEventListener("pointerleave", () => point(null));
    root.addEventListener("focusin", (event) => point(placeOf(event.target)));
    root.addEventListener("focusout", (event) => {
      if (!root.contains(event.relatedTarget)) point(null);
    });
    root.addEventListener("click", (event) => {
      const at = placeOf(event.target);
      const isSame = JSON.stringify(at) === JSON.stringify(context.pinned);
      context.pinned = isSame ? null : at;
      point(at !== null && isSame ? null : at);
    });
    root.addEventListener("keydown", (event) => {
      if (event.key === "Escape") {
        context.pinned = null;
        point(null);
      } else if (event.target.dataset.side !== undefined) {
        const next = neighbour(event.target, event.key, context.matrix);
        if (next === null) return;
        event.preventDefault();
        focusWord(next);
      }
    });
    update();
  }

  function placeOf(node) {
    const found = node.closest("[data-side], [data-source][data-target]");
    if (found === null) return null;
    const { side, index, source, target } = found.dataset;
    return side === undefined ? { source: Number(source), target: Number(target) } : { [side]: Number(index) };
  }

  /** Return the word that an arrow key leads to: along the words, or to the strongest connection. */
  function neighbour(word, key, matrix) {
    const group = word.closest("[data-group]");
    const words = [...group.querySelectorAll("[data-side]")];
    const at = words.indexOf(word);
    const [back, forth] = group.dataset.group === "row" ? ["ArrowLeft", "ArrowRight"] : ["ArrowUp", "ArrowDown"];
    const index = { [back]: at - 1, [forth]: at + 1, Home: 0, End: words.length - 1 }[key];
    if (index !== undefined) return words[index] ?? null;
    if (!key.startsWith("Arrow")) return null;
    const { side, weights: row } = connected(matrix, placeOf(word));
    return group.closest(".view").querySelector(`[data-side="${side}"][data-index="${Math.max(0, best(row))}"]`);
  }

  /** Focus a word; it becomes the one of its group that Tab reaches. */
  function focusWord(word) {
    for (const one of word.closest("[data-group]").querySelectorAll("[data-side]")) one.tabIndex = -1;
    word.tabIndex = 0;
    word.focus();
  }

  return {
    SIDES, register, element, shape, shown, number, decimal, figure, token, bar, scrolling, shade, bytes, weights,
    data, matrixOf, paint, isLit, connected, describe, wordButton, choice, select, newSettings, showSentence, focusWord,
  };
})();
