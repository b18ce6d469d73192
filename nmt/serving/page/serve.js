// The page of the server: what is typed is translated, and each word shows why it stands there.
(() => {
  const DELAY = 250; // milliseconds of silence before a text is sent
  const BEAM_SIZES = [1, 2, 3, 5, 8, 12, 20];
  const NUM_BEST = [1, 3, 5, 10];
  const find = (selector) => document.querySelector(selector);
  const settings = find("#settings");
  const fields = settings.elements;
  const area = find("#text");
  const figures = new Intl.NumberFormat("en");
  let limit = Infinity;
  let columns = [];
  let timer = 0;

  // What the columns share.
  const page = {
    models: [],
    view: nmt.newSettings(),
    results: find("#results"),
    ask: (path, body, options) => nmt.ask(path, body, { ...options, key: fields.key.value }),
    search: () => {
      const size = Number(fields.beam.value);
      return { n_best: Number(fields.best.value), ...(size ? { beam_size: size } : {}) };
    },
  };
  page.details = new nmt.Details(find("#details"), page);
  start();

  async function start() {
    fill("best", NUM_BEST.map((number) => [String(number), String(number)]));
    area.addEventListener("input", typed);
    settings.addEventListener("input", (event) => changed(event.target.name));
    settings.addEventListener("submit", (event) => event.preventDefault());
    fields.key.addEventListener("change", loadModels);
    find(".clear").addEventListener("click", () => write(""));
    find(".swap").addEventListener("click", swap);
    try {
      const { charLimit, keyRequired } = await nmt.ask("frontend/settings");
      limit = charLimit;
      find(".key").hidden = !keyRequired;
      if (keyRequired) summarize("Enter an API key to start.");
      else await loadModels();
    } catch (problem) {
      summarize(`${problem.message} Reload the page to try again.`);
    }
  }

  async function loadModels() {
    try {
      page.models = (await page.ask("v1/models")).models;
    } catch (problem) {
      summarize(problem.message);
      return;
    }
    const [first] = page.models;
    const isOne = page.models.length < 2;
    summarize(isOne ? `${first.name}: ${directionOf(first)}` : "");
    fill("model", page.models.map(optionOf));
    for (const field of settings.querySelectorAll(".several")) field.hidden = isOne;
    makeColumns();
    typed();
  }

  function changed(name) {
    if (name === "key") return; // it is read when it is complete
    if (name === "model" || name === "other") makeColumns();
    translate();
  }

  /** Make a column for each chosen model, and choices that fit them. */
  function makeColumns() {
    const others = page.models.filter((model) => model.name !== fields.model.value);
    fill("other", [["", "Nothing"], ...others.map(optionOf)]);
    const chosen = [fields.model.value, fields.other.value].map((name) => page.models.find((model) => model.name === name)).filter(Boolean);
    for (const column of columns) column.cancel();
    page.details.close();
    columns = chosen.map((model) => new nmt.Column(model, page));
    page.results.replaceChildren(...columns.map((column) => column.root));
    find(".columns").classList.toggle("two", columns.length > 1);
    const { source, beam_size: size } = chosen[0];
    find("#from").textContent = source.name;
    area.lang = source.code;
    fill("beam", [["", columns.length > 1 ? "Of each model" : `${size} (of the model)`], ...BEAM_SIZES.map((one) => [String(one), one === 1 ? "1 (greedy)" : String(one)])]);
    find(".swap").hidden = reverseOf(chosen[0]) === undefined;
  }

  function typed() {
    const { length } = [...area.value];
    find("#count").textContent = length ? `${figures.format(length)} of ${figures.format(limit)} characters` : "";
    find("#count").classList.toggle("over", length > limit);
    find(".clear").hidden = length === 0;
    clearTimeout(timer);
    timer = setTimeout(translate, DELAY);
  }

  function translate() {
    clearTimeout(timer);
    const text = area.value;
    const excess = [...text].length - limit;
    for (const column of columns) {
      const [one, first] = [column.model.source, columns[0].model.source];
      if (one.code !== first.code) column.refuse(`${column.model.name} reads ${one.name}, not ${first.name}.`);
      else if (excess > 0) column.refuse(`The text is too long: shorten it by ${figures.format(excess)} characters.`);
      else column.translate(text);
    }
  }

  /** Translate the translation back, with a model of the other direction. */
  function swap() {
    const [{ text, model }] = columns;
    fields.model.value = reverseOf(model).name;
    fields.other.value = "";
    makeColumns();
    write(text || area.value);
  }

  function reverseOf({ source, target }) {
    return page.models.find((one) => one.source.code === target.code && one.target.code === source.code);
  }

  function write(text) {
    area.value = text;
    area.focus();
    typed();
  }

  function summarize(text) {
    find("#summary").textContent = text;
  }

  function directionOf({ source, target }) {
    return `${source.name} to ${target.name}`;
  }

  function optionOf(model) {
    return [model.name, `${model.name}: ${directionOf(model)}`];
  }

  function fill(name, options) {
    const select = fields[name];
    const before = select.value;
    select.replaceChildren(...options.map(([value, text]) => nmt.element("option", { value, text })));
    if (options.some(([value]) => value === before)) select.value = before;
  }
})();
