// The other words at one place of a translation, in a box below the word.
nmt.Choices = class {
  #aborter = new AbortController();
  #word = null;

  /** Make the box of a column; it is in the sheet of the column. */
  constructor(column) {
    this.column = column;
    this.root = nmt.element("div", { class: "choices", role: "group", "aria-label": "Other words", tabindex: -1, hidden: true });
  }

  /** Follow focus and keyboard in the sheet: the box closes when neither it nor its word has the focus. */
  listen(sheet) {
    sheet.addEventListener("focusout", ({ relatedTarget }) => {
      if (document.hasFocus() && !this.root.contains(relatedTarget) && relatedTarget !== this.#word) this.close();
    });
    sheet.addEventListener("keydown", (event) => this.#key(event));
  }

  close() {
    this.#aborter.abort();
    this.#word?.setAttribute("aria-expanded", "false");
    this.#word = null;
    this.root.hidden = true;
  }

  /** Open the box of a word, or close it. */
  toggle(sentence, word) {
    const isOpen = this.#word === word;
    this.close();
    if (!isOpen) this.#open(sentence, word);
  }

  async #open(sentence, word) {
    const { column } = this;
    this.#word = word;
    this.#aborter = new AbortController();
    word.focus(); // not every browser focuses a button that is clicked
    word.setAttribute("aria-expanded", "true");
    const index = Number(word.dataset.index);
    const prefix = sentence.textBefore(index);
    const title = nmt.element("h3", {}, ...(prefix ? ["After ", nmt.element("q", { dir: "auto", text: prefix })] : ["At the beginning"]));
    this.#fill(title, nmt.element("p", { class: "muted", text: "Looking for other words …" }));
    try {
      const { alternatives } = await column.ask("v1/alternatives", { text: sentence.source, prefix }, this.#aborter.signal);
      const items = alternatives.map((one) => nmt.element("li", {}, this.#choice(one, one.word === word.textContent, () => this.#choose(sentence, one.prefix, index))));
      this.#fill(title, items.length ? nmt.element("ol", {}, ...items) : nmt.element("p", { class: "muted", text: "No other word may stand here." }));
      column.spoken.textContent = `${items.length} words. The arrow keys reach them.`;
    } catch (problem) {
      if (problem.name !== "AbortError") this.#fill(title, nmt.element("p", { class: "problem", text: problem.message }));
    }
  }

  #choice(one, isCurrent, choose) {
    const lang = this.column.model.target.code;
    return nmt.element(
      "button", { type: "button", class: "choice-word", "aria-current": isCurrent && "true", data: { word: one.word }, on: { click: choose } },
      nmt.element("bdi", { lang, text: one.word }),
      nmt.element("span", { class: "share", title: "Probability", text: nmt.number(one.probability) }),
      nmt.element("bdi", { class: "whole", lang, text: one.text }),
    );
  }

  #choose(sentence, prefix, index) {
    this.#word.focus();
    this.close();
    this.column.choose(sentence, prefix, index);
  }

  /** Show the box below its word, inside the sheet. */
  #fill(...content) {
    const { root } = this;
    root.replaceChildren(...content);
    root.hidden = false;
    const most = root.parentElement.clientWidth - root.offsetWidth;
    root.style.left = `${Math.max(0, Math.min(this.#word.offsetLeft, most))}px`;
    root.style.top = `${this.#word.offsetTop + this.#word.offsetHeight + 4}px`;
    root.scrollIntoView({ block: "nearest" });
  }

  #key(event) {
    if (this.#word === null) return;
    const buttons = [...this.root.querySelectorAll("button")];
    const at = buttons.indexOf(document.activeElement);
    const next = { ArrowDown: at + 1, ArrowUp: at - 1 }[event.key];
    if (event.key !== "Escape" && next === undefined) return;
    event.preventDefault();
    const word = this.#word;
    (buttons[next] ?? word).focus();
    if (event.key === "Escape") this.close();
  }
};
