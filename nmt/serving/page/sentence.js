// A sentence of a translation: its words, and the source words that the model looks at.
(() => {
  const NO_SPACES = /[\p{sc=Han}\p{sc=Hiragana}\p{sc=Katakana}\p{sc=Thai}\p{sc=Lao}\p{sc=Khmer}\p{sc=Myanmar}]/u;

  nmt.Sentence = class {
    /** Make a sentence from a segment of an answer by `model`. */
    constructor(segment, model) {
      this.model = model;
      this.first = segment;
      this.set(segment);
    }

    /** Take another translation, which starts with `prefix`; `chosen` are the places of the words that were chosen. */
    set({ source, hypotheses, view }, prefix = "", chosen = []) {
      Object.assign(this, { source, hypotheses, view, prefix, chosen });
      const matrix = view?.words ? nmt.matrixOf(view, { level: "words", head: -1 }) : null;
      this.matrix = matrix?.hasWeights ? matrix : null;
      this.words = { source: [], target: [] };
      this.said = null;
    }

    get text() {
      return this.hypotheses[0].text;
    }

    get isChanged() {
      return this.chosen.length > 0;
    }

    undo() {
      this.set(this.first);
    }

    /** Return the text before a word. */
    textBefore(index) {
      return this.text.slice(0, this.#places()[index].start).trimEnd();
    }

    /** Return the text: its words as buttons (of exported models as plain words), and what is between. */
    parts(number) {
      const made = [];
      let at = 0;
      this.words.target = this.#places().map(({ start, end }, index) => {
        if (start === end) return null;
        const word = this.#word(this.text.slice(start, end), index, number);
        made.push(nmt.shown(this.text.slice(at, start)), word);
        at = end;
        return word;
      });
      return [...made, nmt.shown(this.text.slice(at))];
    }

    #word(text, index, number) {
      const isExported = this.model.kind === "exported";
      const attributes = isExported ? {} : { type: "button", tabindex: -1, "aria-expanded": "false" };
      const kind = this.chosen.includes(index) ? "word chosen" : "word";
      const data = { side: "target", index, sentence: number };
      return nmt.element(isExported ? "span" : "button", { ...attributes, class: kind, data, text });
    }

    /** Return the places of the words in the text; a word that is not in it has an empty place. */
    #places() {
      const { text } = this;
      let at = 0;
      return (this.matrix?.target ?? wordsOf(text)).map((word) => {
        const start = text.indexOf(word, at);
        if (start < 0) return { start: at, end: at };
        at = start + word.length;
        return { start, end: at };
      });
    }

    /** Return the line of source words, and the line that says what is pointed at. */
    sourceParts() {
      const { view, matrix } = this;
      const joint = view.units === "characters" ? "" : " ";
      const line = nmt.element("p", { class: "looked", dir: "auto", "aria-label": "Source words", role: "group", data: { group: "row" } });
      this.words.source = matrix.source.map((_, index) => nmt.wordButton({ view, matrix }, "source", index));
      this.words.source.forEach((word, index) => line.append(...(index ? [joint, word] : [word])));
      this.said = nmt.element("p", { class: "said", "aria-live": "polite", data: { hint: "Point at a word to see where the model looks. Choose it for other words." } });
      return [line, this.said];
    }

    /** Light the words that a word is connected with, and say their weights; `null`: none. */
    light(at, threshold) {
      if (!this.said) return;
      const others = nmt.connected(this.matrix, at);
      for (const side of nmt.SIDES) {
        this.words[side].forEach((word, index) => {
          if (word === null) return;
          const weight = others?.side === side ? others.weights[index] : 0;
          if (weight > 0 && weight >= threshold) word.dataset.shade = nmt.shade(weight);
          else delete word.dataset.shade;
          word.classList.toggle("pointed", at?.[side] === index);
        });
      }
      this.said.textContent = at === null ? "" : nmt.describe(this.matrix, at);
    }
  };

  /** Return the words of a text; in scripts without spaces, its characters. */
  function wordsOf(text) {
    const words = text.split(/\s+/).filter(Boolean);
    const characters = new Intl.Segmenter(undefined, { granularity: "grapheme" });
    return words.flatMap((word) => (NO_SPACES.test(word) ? Array.from(characters.segment(word), (one) => one.segment) : [word]));
  }
})();
