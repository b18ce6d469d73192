// The attention or the trace of a sentence, below the columns.
nmt.Details = class {
  #aborter = new AbortController();
  #column = null;
  #sentence = null;
  #kind = null;

  constructor(root, page) {
    this.root = root;
    this.page = page;
    root.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.#leave();
    });
  }

  /** Return whether a sentence is shown in this way. */
  shows(sentence, kind) {
    return this.#sentence === sentence && this.#kind === kind;
  }

  toggle(column, kind) {
    if (this.shows(column.active, kind)) {
      this.close();
      return;
    }
    this.#open(column, kind);
    this.root.querySelector("h2").focus();
  }

  /** Show the new translation of a column that is shown. */
  follow(column) {
    if (this.#column !== column) return;
    if (column.active) this.#open(column, this.#kind);
    else this.close();
  }

  close() {
    this.#aborter.abort();
    this.#column = this.#sentence = this.#kind = null;
    this.root.hidden = true;
    this.root.replaceChildren();
    this.#press();
  }

  /** Close it, and go back to the button that opened it. */
  #leave() {
    const button = this.#column.root.querySelector(`[data-detail=${this.#kind}]`);
    this.close();
    button?.focus();
  }

  #open(column, kind) {
    const isSame = this.#column === column && this.#kind === kind;
    [this.#column, this.#sentence, this.#kind] = [column, column.active, kind];
    this.#press();
    if (!isSame) this.#frame();
    const { prefix, view } = column.active;
    if (kind === "trace") this.#trace(prefix);
    else nmt.showSentence(this.root.querySelector(".panel"), view, this.page.view);
  }

  #frame() {
    const name = this.#kind === "trace" ? "Trace" : "Attention";
    const title = this.page.models.length > 1 ? `${name}, ${this.#column.model.name}` : name;
    const close = nmt.element("button", { type: "button", class: "step", text: "Close", on: { click: () => this.#leave() } });
    this.root.replaceChildren(
      nmt.element("div", { class: "title" }, nmt.element("h2", { tabindex: -1, text: title }), close),
      nmt.element("div", { class: "panel" }),
    );
    this.root.hidden = false;
  }

  /** Show a trace; what was there before stays until it comes. */
  async #trace(prefix) {
    this.#aborter.abort();
    this.#aborter = new AbortController();
    const { signal } = this.#aborter;
    const panel = this.root.querySelector(".panel");
    if (!panel.hasChildNodes()) panel.append(nmt.element("p", { class: "muted", role: "status", text: "Computing …" }));
    panel.classList.add("late");
    try {
      const view = await this.#column.ask("v1/trace", { text: this.#sentence.source, prefix }, signal);
      const hadFocus = panel.contains(document.activeElement);
      nmt.showTrace(panel, view, { force: (forced) => this.#trace(forced) });
      if (hadFocus) this.root.querySelector("h2").focus();
    } catch (problem) {
      if (problem.name === "AbortError") return;
      panel.replaceChildren(nmt.element("p", { class: "problem", role: "status", text: problem.message }));
    }
    panel.classList.remove("late");
  }

  #press() {
    for (const button of this.page.results.querySelectorAll("[data-detail]")) {
      const isMine = this.#column?.root.contains(button) && this.#column.active === this.#sentence;
      button.setAttribute("aria-pressed", String(Boolean(isMine) && button.dataset.detail === this.#kind));
    }
  }
};
