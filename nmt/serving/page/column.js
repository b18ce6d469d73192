// A column of the page: the translation by one model, and what belongs to its active sentence.
(() => {
  const WORD = ".word[data-side]";
  const REST = 1000; // milliseconds after which a screen reader hears that a translation is there

  nmt.Column = class {
    #aborter = new AbortController();
    #newest = 0;
    #timer = 0;
    #gaps = []; // what is before each sentence, and after the last one
    #sentences = [];

    /** Make the column of a model; `page` has what the columns share. */
    constructor(model, page) {
      this.model = model;
      this.page = page;
      this.active = null;
      const { code, name } = model.target;
      this.output = nmt.element("p", { class: "output", dir: "auto", lang: code, data: { hint: "The translation appears here." } });
      this.under = nmt.element("div", { class: "under" });
      this.status = nmt.element("div", { role: "status" });
      this.spoken = nmt.element("p", { class: "hidden", role: "status" });
      this.copy = nmt.element("button", { type: "button", class: "step copy", hidden: true, text: "Copy", on: { click: () => this.#copyText() } });
      this.choices = new nmt.Choices(this);
      const of = page.models.length > 1 ? nmt.element("span", { class: "muted", text: ` ${model.name}` }) : null;
      const sheet = nmt.element("div", { class: "sheet" }, this.status, this.output, this.choices.root, this.under, this.spoken);
      this.root = nmt.element(
        "section", { class: "column", "aria-label": `Translation by ${model.name}`, data: { model: model.name } },
        nmt.element("div", { class: "column-top" }, nmt.element("h2", {}, name, of), this.copy),
        sheet,
      );
      this.choices.listen(sheet);
      this.#listen();
    }

    get text() {
      return this.#gaps.map((gap, index) => gap + (this.#sentences[index]?.text ?? "")).join("");
    }

    /** Translate a text; an older answer never replaces a newer one. */
    async translate(text) {
      this.cancel();
      const { signal } = this.#aborter;
      const number = ++this.#newest;
      if (!text.trim()) {
        this.#show({ text: "", segments: [] });
        return;
      }
      this.#wait();
      try {
        const { translations } = await this.ask("v1/translate", { text, ...this.page.search() }, signal);
        if (number === this.#newest) this.#show(translations[0]);
      } catch (problem) {
        if (number === this.#newest && problem.name !== "AbortError") this.#fail(problem.message, text);
      }
    }

    /** Ask the server something of this model. */
    ask(path, body, signal) {
      const waiting = (seconds) => this.#say(`The server is busy. Trying again in ${seconds}\u00a0s\u00a0…`);
      const ofModel = path === "v1/translate" ? { views: this.model.has_attention } : {};
      return this.page.ask(path, { model: this.model.name, ...ofModel, ...body }, { signal, waiting });
    }

    /** Stop what runs. */
    cancel() {
      this.#aborter.abort();
      this.#aborter = new AbortController();
      clearTimeout(this.#timer);
    }

    /** Show why there is no translation, in place of one. */
    refuse(message) {
      this.cancel();
      this.#newest += 1;
      this.#show({ text: "", segments: [] });
      this.#say(message);
    }

    /** Keep the words before, take another word, and translate the rest again. */
    async choose(sentence, prefix, index) {
      const number = this.#newest;
      this.#wait();
      try {
        const body = { text: sentence.source, prefix, ...this.page.search() };
        const { translations } = await this.ask("v1/translate", body, this.#aborter.signal);
        if (number !== this.#newest) return;
        this.#done();
        sentence.set(translations[0].segments[0], prefix, [...sentence.chosen.filter((one) => one < index), index]);
        this.#changed(sentence, index);
      } catch (problem) {
        if (number !== this.#newest || problem.name === "AbortError") return;
        this.#done();
        this.#say(problem.message);
      }
    }

    #undo(sentence) {
      sentence.undo();
      this.#changed(sentence, 0);
    }

    /** Draw a sentence that has another translation, and focus a word of it. */
    #changed(sentence, index) {
      this.active = sentence;
      this.#draw();
      const word = sentence.words.target[index];
      if (word) this.#focus(word);
      this.page.details.follow(this);
    }

    #show({ text, segments }) {
      this.#done();
      this.#gaps = [];
      this.#sentences = [];
      let at = 0;
      for (const segment of segments) {
        const sentence = new nmt.Sentence(segment, this.model);
        const start = text.indexOf(sentence.text, at);
        if (start < 0) continue;
        this.#gaps.push(text.slice(at, start));
        this.#sentences.push(sentence);
        at = start + sentence.text.length;
      }
      this.#gaps.push(text.slice(at));
      this.active = this.#sentences[0] ?? null;
      this.copy.hidden = !text || !navigator.clipboard;
      this.under.style.minHeight = "";
      this.#draw();
      this.page.details.follow(this);
      if (text) this.#timer = setTimeout(() => (this.spoken.textContent = `Translated to ${this.model.target.name}.`), REST);
    }

    #wait() {
      this.root.classList.add("late");
      this.root.classList.remove("stale");
      this.output.setAttribute("aria-busy", "true");
    }

    #done() {
      this.root.classList.remove("late", "stale");
      this.output.removeAttribute("aria-busy");
      this.status.replaceChildren();
      this.spoken.textContent = "";
    }

    #say(message, ...more) {
      this.status.replaceChildren(nmt.element("p", { class: "problem" }, message, ...more));
    }

    /** Show an error; what was there before stays, but dimmed, as it is no longer the translation. */
    #fail(message, text) {
      this.#done();
      this.root.classList.add("stale");
      const again = nmt.element("button", { type: "button", class: "step", text: "Try again", on: { click: () => this.translate(text) } });
      this.#say(message, " ", again);
    }

    /** Draw the whole text with its words, and what belongs to the active sentence. */
    #draw() {
      this.choices.close();
      const parts = this.#sentences.flatMap((sentence, number) => [nmt.shown(this.#gaps[number]), ...sentence.parts(number)]);
      this.output.replaceChildren(...parts.filter(Boolean), nmt.shown(this.#gaps.at(-1) ?? ""));
      const first = this.output.querySelector("button");
      if (first) first.tabIndex = 0;
      this.#drawUnder();
    }

    /** Draw the source words, the n-best list and the buttons of the active sentence. */
    #drawUnder() {
      const { active } = this;
      for (const one of this.#sentences) one.said = null;
      if (active === null) {
        this.under.replaceChildren();
        return;
      }
      const made = active.matrix ? active.sourceParts() : [nmt.element("p", { class: "said", text: this.#lacks() })];
      if (active.hypotheses.length > 1) made.push(this.#ranked());
      this.under.replaceChildren(...made, this.#actions());
      // It never shrinks while one text is shown, so that nothing moves under the pointer.
      this.under.style.minHeight = `${this.under.offsetHeight}px`;
    }

    /** Say why no attention is shown. */
    #lacks() {
      if (this.model.kind === "exported") return "An exported file only translates: it shows no attention, no other words and no trace.";
      if (!this.model.has_attention) return "This model has no attention. Choose a word for other words.";
      return `No weights are shown: ${this.active.view?.omitted ?? "there are none"}.`;
    }

    #ranked() {
      const items = this.active.hypotheses.map((one) => nmt.element(
        "li", {},
        nmt.element("bdi", { lang: this.model.target.code, text: one.text || "(empty)" }),
        nmt.element("span", { class: "share", title: "Score", text: nmt.figure(one.score) }),
      ));
      return nmt.element("ol", { class: "ranked", "aria-label": "Translations, best first" }, ...items);
    }

    #actions() {
      const { active, model, page } = this;
      const toggle = (kind, text) => nmt.element("button", {
        type: "button", class: "step", data: { detail: kind }, text,
        "aria-pressed": String(page.details.shows(active, kind)),
        on: { click: () => page.details.toggle(this, kind) },
      });
      const [best] = active.hypotheses;
      const title = `Score, by which translations are ranked; log-probability ${nmt.figure(best.log_probability)}`;
      const parts = [
        active.matrix ? toggle("attention", "Attention") : null,
        model.kind === "run" ? toggle("trace", "Trace") : null,
        active.isChanged ? nmt.element("button", { type: "button", class: "step", text: "Undo", on: { click: () => this.#undo(active) } }) : null,
        nmt.element("span", { class: "muted score", title, text: `score ${nmt.figure(best.score)}` }),
      ];
      return nmt.element("div", { class: "actions" }, ...parts.filter((one) => one !== null));
    }

    /** Follow pointer and keyboard over the words of both languages. */
    #listen() {
      for (const root of [this.output, this.under]) {
        root.addEventListener("pointerover", (event) => {
          if (event.pointerType === "mouse") this.#point(event.target.closest(WORD) ?? document.activeElement);
        });
        root.addEventListener("pointerleave", (event) => { if (event.pointerType === "mouse") this.#point(document.activeElement); });
        root.addEventListener("focusin", (event) => this.#point(event.target));
        root.addEventListener("focusout", () => this.#point(null));
        root.addEventListener("keydown", (event) => this.#move(event));
      }
      this.output.addEventListener("click", (event) => {
        const word = event.target.closest("button.word");
        if (word) this.choices.toggle(this.#sentences[word.dataset.sentence], word);
      });
    }

    /** Light what belongs to the word that an element is in. */
    #point(element) {
      const word = element?.closest(WORD);
      const isMine = word && this.root.contains(word);
      if (isMine && word.dataset.side === "target") {
        const sentence = this.#sentences[word.dataset.sentence];
        if (this.active !== sentence) {
          this.active?.light(null);
          this.active = sentence;
          this.#drawUnder();
        }
      }
      this.active?.light(isMine ? { [word.dataset.side]: Number(word.dataset.index) } : null, this.page.view.threshold);
    }

    /** Move along the words of a line with the arrow keys. */
    #move(event) {
      const words = [...event.currentTarget.querySelectorAll("button.word")];
      const at = words.indexOf(event.target);
      if (at < 0) return;
      const by = getComputedStyle(event.target).direction === "rtl" ? -1 : 1;
      const next = { ArrowLeft: at - by, ArrowRight: at + by, Home: 0, End: words.length - 1 }[event.key];
      if (next === undefined || !words[next]) return;
      event.preventDefault();
      this.#focus(words[next]);
    }

    /** Focus a word; it becomes the one of its line that Tab reaches. */
    #focus(word) {
      for (const one of word.parentElement.querySelectorAll("button.word")) one.tabIndex = -1;
      word.tabIndex = 0;
      word.focus();
    }

    async #copyText() {
      const isDone = await navigator.clipboard.writeText(this.text).then(() => true, () => false);
      this.copy.textContent = isDone ? "Copied" : "Not allowed";
      setTimeout(() => (this.copy.textContent = "Copy"), 1500);
    }
  };
})();
