// The page of a trace: the steps of one translation, its beam, its attention and its formulas.
(() => {
  const NAMES = {
    "target_embedding.output": "Embedding of the word before",
    inputs: "Input of the gates", input: "Input of the gates", before: "State before", state: "State after",
    query: "Query", context: "Context", vectors: "Output vector", input_feed: "Vector fed back",
  };
  const TITLES = { target_embedding: "Word before", "decoder.attention": "Attention", "decoder.second": "Second recurrent cell", decoder: "Output" };
  const GREEK = { alpha: "α", beta: "β", sigma: "σ", tau: "τ", sum: "Σ", prod: "Π" };

  /** Show a trace in `root`; `force(prefix)` continues from a prefix, without it the page shows the command. */
  function showTrace(root, view, { force = null } = {}) {
    const panel = nmt.element("div", { class: "trace-step", role: "region", "aria-live": "polite", "aria-label": "Step" });
    const parts = partsByPath(view);
    const state = { step: 0, head: 0 };
    const words = view.steps.map((step, index) => stepButton(step, index));
    const body = nmt.element("div", { class: "trace-body" }, heading(view));
    const tree = view.tree ? nmt.beamTree(view) : null;
    root.replaceChildren(body);
    if (view.steps.length) {
      const strip = nmt.element("ol", { class: "strip", "aria-label": "Steps of the translation" }, ...words.map((one) => nmt.element("li", {}, one)));
      strip.addEventListener("keydown", moveInStrip);
      body.append(section("Step by step", "Choose a word to see how it was computed.", strip, panel));
      open(0);
    }
    if (tree) body.append(section("The beam", beamHint(view.tree.places), tree));
    if (view.attention) {
      const attention = nmt.element("div", { class: "panel" });
      body.append(section("All attention", "", attention));
      nmt.showSentence(attention, { ...view.attention, score: null, log_probability: null }); // they are at the top
      attention.querySelector(".texts")?.remove();
    }
    if (view.parts.length) body.append(section("Formulas", "", formulaTable(view)));
    const fixed = Object.entries(view.arrays).filter(([, array]) => !array.is_step);
    if (fixed.length) body.append(section("The source", "Computed once, before the first word. First numbers of each vector.", sourceArrays(fixed, view)));

    function stepButton(step, index) {
      const bar = nmt.bar(step.probability);
      return nmt.element(
        "button", { type: "button", class: "strip-word", tabindex: index ? -1 : 0, data: { step: index }, on: { click: () => open(index) } },
        nmt.element("span", { class: "hidden", text: `Step ${index + 1}: ` }),
        nmt.element("bdi", { text: nmt.token(step.word) }), bar,
        nmt.element("span", { class: "share", text: nmt.figure(step.probability) }),
      );
    }

    function open(index) {
      state.step = index;
      words.forEach((one, at) => {
        one.tabIndex = at === index ? 0 : -1;
        if (at === index) one.setAttribute("aria-current", "step");
        else one.removeAttribute("aria-current");
      });
      drawStep();
      tree?.showStep(index);
    }

    function moveInStrip(event) {
      const to = { ArrowLeft: state.step - 1, ArrowRight: state.step + 1, Home: 0, End: words.length - 1 }[event.key];
      if (to === undefined || !words[to]) return;
      event.preventDefault();
      open(to);
      words[to].focus();
    }

    function drawStep() {
      const step = view.steps[state.step];
      const title = nmt.element(
        "h3", { class: "step-title" },
        `Step ${state.step + 1}: after `, quoted(nmt.token(step.previous)), state.step ? "" : " (the start)", " comes ", quoted(nmt.token(step.word)),
        state.step + 1 === view.steps.length ? " (the end)" : "",
        nmt.element("span", { class: "muted", text: ` probability ${nmt.figure(step.probability)}` }),
      );
      const cards = [...groups(view).map(([path, arrays]) => card(path, arrays, step)), nextCard(step)];
      cards.forEach((one, at) => one.querySelector("h4").prepend(nmt.element("span", { class: "ordinal", text: at + 1 })));
      panel.replaceChildren(title, nmt.element("div", { class: "cards" }, ...cards));
    }

    /** Return a card of one module, or of the attention: its formulas and its numbers at this step. */
    function card(path, arrays, step) {
      const isAttention = path === "decoder.attention";
      const own = parts.filter((part) => (isAttention ? part.paths.some((one) => one.startsWith(path)) : part.paths.includes(path)));
      const body = isAttention ? attentionBody(arrays) : [];
      const cell = step.cells.find((one) => one.path === path);
      if (cell) body.push(keptMeter(cell));
      for (const [name, array] of arrays) {
        const word = name.slice(name.lastIndexOf(".") + 1);
        if (isAttention && !/^decoder\.attention\.(context|vector)$/.test(name)) continue;
        if (array.shape.length > 2 || word === "weights" || word === "scores") continue;
        body.push(vector(NAMES[name] ?? NAMES[word] ?? readable(word), array, state.step));
      }
      const isFixed = isAttention && view.attention === null;
      const title = isFixed ? "Context" : TITLES[path] ?? path.replace(/^decoder\.cells\.(\d+)$/, (_, layer) => `Recurrent cell, layer ${Number(layer) + 1}`);
      return nmt.element("section", { class: `card${isAttention ? " wide" : ""}`, data: { part: path } }, nmt.element("h4", { text: title }), ...own.map(formulaOf), ...body);
    }

    /** Return the table of scores and weights over the source, of one head. */
    function attentionBody(arrays) {
      const found = Object.fromEntries(arrays);
      const heads = arrays.filter(([name]) => name.endsWith(".score.scores")).map(([name]) => name.replace(/\.score\.scores$/, ""));
      if (!found["decoder.attention.weights"]) return [];
      const at = heads.length > 1 ? heads[Math.min(state.head, heads.length - 1)] : "decoder.attention";
      const scores = found[`${at}.score.scores`]?.rows[state.step];
      const weights = (found[`${at}.alignment.weights`] ?? found[`${at}.weights`]).rows[state.step];
      const body = [];
      if (heads.length > 1) {
        const field = nmt.select("trace-head", "Head", heads.map((_, head) => [String(head), `Head ${head + 1}`]), String(state.head));
        field.addEventListener("input", (event) => {
          state.head = Number(event.target.value);
          drawStep();
          panel.querySelector('[name="trace-head"]').focus();
        });
        body.push(field);
      }
      const largest = Math.max(1e-9, ...(scores ?? []).map(Math.abs));
      const rows = view.source.map((word, source) => {
        const bar = nmt.bar(weights[source]);
        const score = nmt.element("td", { class: "score" }, nmt.element("span", { text: scores ? nmt.figure(scores[source]) : "–" }));
        if (scores) score.append(signedBar(scores[source] / largest));
        const weight = nmt.element("td", { class: weights[source] === 0 ? "weight zero" : "weight" }, nmt.element("span", { text: nmt.figure(weights[source]) }), bar);
        return nmt.element("tr", { data: { source, weight: weights[source] ?? "" } }, nmt.element("th", { scope: "row" }, nmt.element("bdi", { text: nmt.token(word) })), score, weight);
      });
      const head = nmt.element("tr", {}, ...["Source", "Score", "Weight"].map((text) => nmt.element("th", { scope: "col", text })));
      const caption = nmt.element("caption", { class: "hidden", text: "Score and weight of each source token" });
      const table = nmt.element("table", { class: "over-source" }, caption, nmt.element("thead", {}, head), nmt.element("tbody", {}, ...rows));
      const entropy = view.steps[state.step].attention_entropy;
      body.push(nmt.scrolling("Scores and weights", table));
      if (entropy !== null) body.push(nmt.element("p", { class: "muted", text: `Entropy of the weights: ${nmt.figure(entropy)} nats (0: it looks at one place)` }));
      return body;
    }

    function nextCard(step) {
      const output = nmt.element("div", { class: "forced", "aria-live": "polite" });
      const canForce = step.likeliest.some(isForcible);
      const items = step.likeliest.map((one) => {
        const bar = nmt.bar(one.probability);
        const isTaken = one.word === step.word;
        const content = [nmt.element("bdi", { text: nmt.token(one.word) }), bar, nmt.element("span", { class: "share", text: nmt.figure(one.probability) })];
        if (!isForcible(one)) {
          return nmt.element("li", { class: isTaken ? "taken" : null }, nmt.element("span", { class: "next-word" }, ...content));
        }
        const act = () => (force ? force(one.prefix) : showCommand(output, one));
        return nmt.element(
          "li", { class: isTaken ? "taken" : null },
          nmt.element("button", { type: "button", class: "next-word", data: { next: one.word, prefix: one.prefix }, title: "Continue from this word", on: { click: act } }, ...content),
        );
      });
      if (!step.likeliest.some((one) => one.word === step.word)) items.push(takenItem(step));
      const offer = canForce ? " Choose a word to continue from it." : "";
      const hint = nmt.element("p", { class: "muted", text: `Entropy: ${nmt.figure(step.entropy)} nats (0: certain).${offer}` });
      return nmt.element("section", { class: "card", data: { part: "next" } }, nmt.element("h4", { text: "Next word" }), formula("p = softmax(W o + b)"), nmt.element("ol", { class: "next-words" }, ...items), hint, output);
    }

    function isForcible(one) {
      return one.prefix !== null && (force !== null || one.command !== null);
    }

    /** Return the item of a chosen word that is not among the likeliest ones. */
    function takenItem(step) {
      const bar = nmt.bar(step.probability);
      const share = nmt.element("span", { class: "share", text: nmt.figure(step.probability) });
      const words = nmt.element("span", { class: "next-word" }, nmt.element("bdi", { text: nmt.token(step.word) }), bar, share);
      const why = view.prefix ? "forced, or better with the words after it" : "less likely here, but better with the words after it";
      return nmt.element("li", { class: "taken" }, nmt.element("span", { class: "next-why muted", text: `Chosen: ${why}` }), words);
    }

    function showCommand(output, one) {
      const code = nmt.element("code", { class: "command", text: one.command, tabindex: 0 });
      output.replaceChildren(nmt.element("p", { class: "muted" }, "To continue from ", quoted(one.prefix), ", run:"), code);
    }
  }

  function heading(view) {
    const text = (kind, index) =>
      nmt.element("p", { class: `text ${kind}`, dir: "auto", lang: view.languages[index], text: view.text[index] });
    const texts = nmt.element("header", { class: "texts" }, text("source", 0), text("target", 1));
    const rows = [["score", view.score], ["log-probability", view.log_probability]].map(([name, value]) =>
      nmt.element("div", {}, nmt.element("dt", { text: name }), nmt.element("dd", { text: nmt.figure(value) })));
    const made = nmt.element("div", { class: "trace-head" }, texts, nmt.element("dl", { class: "measures" }, ...rows));
    if (view.prefix) made.append(nmt.element("p", { class: "note" }, "The translation was forced to start with ", quoted(view.prefix), "."));
    for (const reason of view.lacks) made.append(nmt.element("p", { class: "note", text: `Not in this trace: ${reason}.` }));
    return made;
  }

  function section(title, hint, ...content) {
    const text = hint ? nmt.element("p", { class: "muted", text: hint }) : null;
    return nmt.element("section", { class: "trace-section", "aria-label": title }, nmt.element("h2", { text: title }), text, ...content);
  }

  function beamHint(places) {
    const kept = places === 1 ? "one place" : `${places} places`;
    return `Each column is a step: the ${2 * places} likeliest continuations, of which the beam keeps those that get its ${kept}. Numbers are probabilities of the token.`;
  }

  /** Return the arrays of a step, grouped by module in the order of computation. */
  function groups(view) {
    const found = new Map();
    for (const [name, array] of Object.entries(view.arrays)) {
      if (!array.is_step) continue;
      const path = name.startsWith("decoder.attention.") ? "decoder.attention" : name.slice(0, name.lastIndexOf("."));
      if (!found.has(path)) found.set(path, []);
      found.get(path).push([name, array]);
    }
    return [...found];
  }

  function partsByPath(view) {
    return view.parts.filter((part) => part.paths.length > 0);
  }

  function readable(name) {
    const text = name.replaceAll("_", " ");
    return text.charAt(0).toUpperCase() + text.slice(1);
  }

  function quoted(text) {
    return nmt.element("q", { dir: "auto", text });
  }

  function keptMeter(cell) {
    const parts = [nmt.element("span", {}, "Length of the state ", nmt.element("b", { text: nmt.figure(cell.norm) }))];
    if (cell.kept !== null) {
      const bar = nmt.bar(cell.kept);
      parts.push(nmt.element("span", {}, "Kept of the state before: ", nmt.element("b", { text: `${Math.round(100 * cell.kept)}%` })), bar);
    }
    return nmt.element("p", { class: "meter" }, ...parts);
  }

  /** Return the first numbers of a row of an array, with bars for their sign and size. */
  function vector(label, array, step) {
    const row = array.rows[Math.min(step, array.rows.length - 1)] ?? [];
    const size = array.shape[array.shape.length - 1] ?? 1;
    const largest = Math.max(1, ...row.map((value) => Math.abs(value ?? 0)));
    const items = row.map((value) => nmt.element("li", {}, nmt.element("span", { text: nmt.figure(value) }), signedBar((value ?? 0) / largest)));
    const rest = size > row.length ? ` (${row.length} of ${size} numbers)` : "";
    return nmt.element("div", { class: "vector" }, nmt.element("h5", {}, label, nmt.element("span", { class: "muted", text: rest })), nmt.element("ol", {}, ...items));
  }

  function signedBar(share) {
    const bar = nmt.element("span", { class: share < 0 ? "signed negative" : "signed", "aria-hidden": "true" });
    bar.style.setProperty("--share", Math.abs(share));
    return bar;
  }

  /** Return a formula with subscripts, superscripts and Greek letters. */
  function formula(text) {
    const made = nmt.element("span", { class: "formula" });
    const pattern = /([_^])(?:\{([^}]*)\}|([A-Za-z0-9<]+'?))|\b(?:alpha|beta|sigma|tau|sum|prod)(?![A-Za-z])/g;
    let at = 0;
    for (const found of text.matchAll(pattern)) {
      made.append(text.slice(at, found.index));
      if (found[1]) made.append(nmt.element(found[1] === "_" ? "sub" : "sup", { text: found[2] ?? found[3] }));
      else made.append(GREEK[found[0]]);
      at = found.index + found[0].length;
    }
    made.append(text.slice(at).replaceAll(" . ", " · "));
    return made;
  }

  function formulaOf(part) {
    const place = `${part.file}${part.line ? `:${part.line}` : ""}`;
    const formulas = part.formulas.map((text) => nmt.element("li", {}, formula(text)));
    const source = part.source ? nmt.element("span", { text: part.source }) : null;
    const code = nmt.element("code", { text: `${part.name} ${place}` });
    return nmt.element("div", { class: "part" }, nmt.element("ul", { class: "formulas" }, ...formulas), nmt.element("p", { class: "muted of-part" }, source, code));
  }

  function formulaTable(view) {
    const head = ["Part", "Formula", "Paper and code", "Weights"].map((text) => nmt.element("th", { scope: "col", text }));
    const rows = view.parts.map((part) => {
      const names = part.paths.flatMap((path) => view.parameters[path] ?? []);
      const formulas = nmt.element("ul", { class: "formulas" }, ...part.formulas.map((text) => nmt.element("li", {}, formula(text))));
      const owner = part.defined_by === part.name ? "" : ` (as ${part.defined_by})`;
      const weights = nmt.element("ul", { class: "names" }, ...names.map((name) => nmt.element("li", {}, nmt.element("code", { text: name }))));
      return nmt.element(
        "tr", {},
        nmt.element("th", { scope: "row" }, readable(part.kind), nmt.element("code", { text: part.name + owner })),
        nmt.element("td", {}, formulas),
        nmt.element("td", {}, part.source, nmt.element("code", { text: `${part.file}${part.line ? `:${part.line}` : ""}` })),
        nmt.element("td", {}, weights),
      );
    });
    const caption = nmt.element("caption", { class: "hidden", text: "Formulas of the configured parts" });
    const table = nmt.element("table", { class: "facts" }, caption, nmt.element("thead", {}, nmt.element("tr", {}, ...head)), nmt.element("tbody", {}, ...rows));
    return nmt.scrolling("Table of formulas", table);
  }

  /** Return the arrays of the source: a foldable table of first numbers for each. */
  function sourceArrays(arrays, view) {
    const boxes = arrays.map(([name, array]) => {
      const isTokens = array.rows.length === view.source.length && !name.startsWith("encoder.layers.");
      const rows = array.rows.map((row, index) => nmt.element(
        "tr", {},
        nmt.element("th", { scope: "row" }, nmt.element("bdi", { text: isTokens ? nmt.token(view.source[index]) : String(index + 1) })),
        ...row.map((value) => nmt.element("td", { text: nmt.figure(value) })),
      ));
      const caption = nmt.element("caption", { class: "hidden", text: name });
      const table = nmt.element("table", { class: "facts numbers" }, caption, nmt.element("tbody", {}, ...rows));
      return nmt.element(
        "details", {}, nmt.element("summary", {}, nmt.element("code", { text: name }), nmt.element("span", { class: "muted", text: ` ${array.shape.join(" × ")}` })),
        nmt.scrolling(name, table),
      );
    });
    return nmt.element("div", { class: "folded" }, ...boxes);
  }

  nmt.showTrace = showTrace;
  const root = document.querySelector("#trace");
  const [view] = nmt.data();
  if (root && view) {
    const count = view.steps.length;
    document.querySelector("#summary").textContent = count ? `${count} ${count === 1 ? "step" : "steps"}` : "";
    showTrace(root, view);
  }
})();
