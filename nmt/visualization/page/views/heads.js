// A small picture of the mean and of each head; the other views show the head that is chosen here.
nmt.register("heads", {
  title: "Heads",
  applies: (view) => (view.words.heads?.length ?? 0) > 1,

  draw(root, context) {
    const { view, settings } = context;
    const buttons = [-1, ...view.words.heads.keys()].map((head) => {
      const matrix = nmt.matrixOf(view, { ...settings, head });
      const picture = nmt.element("canvas", {
        class: "heat-map", width: 4 * matrix.source.length, height: 4 * matrix.target.length, "aria-hidden": "true",
      });
      nmt.paint(picture, matrix, () => 1);
      const { entropy, aer } = head < 0 ? view : view.by_head[head];
      const numbers = [["entropy", entropy], ["error", aer]].filter(([, value]) => Number.isFinite(value));
      const text = numbers.map(([name, value]) => `${name} ${nmt.decimal(value)}`).join(" · ");
      return nmt.element(
        "button", { type: "button", class: "head", "aria-pressed": String(head === settings.head), data: { head } },
        picture, nmt.element("span", { text: head < 0 ? "Mean" : `Head ${head + 1}` }), nmt.element("span", { class: "muted", text }),
      );
    });
    root.append(nmt.element("div", { class: "heads" }, ...buttons));
    root.addEventListener("click", (event) => {
      const chosen = event.target.closest("[data-head]");
      if (chosen) context.choose("head", chosen.dataset.head);
    });
    return () => {};
  },
});
