// Two columns of words, and a line for each weight: stronger for larger ones.
nmt.register("lines", {
  title: "Lines",
  applies: (view) => !view.grid,

  draw(root, context) {
    const { matrix, settings } = context;
    const rows = Math.max(matrix.source.length, matrix.target.length, 1);
    const words = Object.fromEntries(nmt.SIDES.map((side) => [side, column(side)]));
    const svg = nmt.shape("svg", {
      class: "arcs", viewBox: `0 0 100 ${rows}`, preserveAspectRatio: "none", "aria-hidden": "true",
    });
    const arcs = [];
    matrix.target.forEach((_, target) => matrix.source.forEach((_, source) => {
      const weight = matrix.weight(source, target);
      if (weight > 0 && (weight >= settings.threshold || matrix.isPicked(source, target))) {
        arcs.push(arc(source, target, weight));
      }
    }));
    arcs.sort((one, two) => one.dataset.weight - two.dataset.weight);
    svg.append(...arcs);
    const box = nmt.element("div", { class: "lines" }, words.source.list, svg, words.target.list);
    box.style.setProperty("--rows", rows);
    box.classList.toggle("long", rows > 40);
    root.append(box);

    function column(side) {
      const items = matrix[side].map((_, index) => {
        const number = nmt.element("span", { class: "number", "aria-hidden": "true" });
        const button = nmt.wordButton(context, side, index);
        return { number, button, item: nmt.element("li", {}, button, number) };
      });
      const list = nmt.element(
        "ol", { class: `words ${side}`, "aria-label": `${side} words`, data: { group: "column" } },
        ...items.map(({ item }) => item),
      );
      return { items, list };
    }

    function place(side, index) {
      return ((index + 0.5) * rows) / matrix[side].length;
    }

    function arc(source, target, weight) {
      const [from, to] = [place("source", source), place("target", target)];
      const made = nmt.shape("path", {
        d: `M0 ${from} C45 ${from} 55 ${to} 100 ${to}`,
        class: matrix.isPicked(source, target) ? "arc picked" : "arc",
        "data-source": source, "data-target": target, "data-weight": weight.toFixed(6),
      });
      made.style.setProperty("--weight", weight.toFixed(4));
      return made;
    }

    return () => {
      const { at } = context;
      const others = nmt.connected(matrix, at);
      svg.classList.toggle("pointing", at !== null);
      for (const one of arcs) {
        one.classList.toggle("lit", nmt.isLit(at, Number(one.dataset.source), Number(one.dataset.target)));
      }
      for (const side of nmt.SIDES) {
        words[side].items.forEach(({ number, button }, index) => {
          const weight = weightOf(side, index);
          const isShown = weight !== null && weight > 0 && weight >= settings.threshold;
          number.textContent = isShown ? nmt.number(weight) : "";
          button.dataset.shade = isShown ? nmt.shade(weight) : "";
          button.classList.toggle("pointed", at?.[side] === index);
        });
      }

      /** Return the weight between a word and the pointed one; null if there is none to show. */
      function weightOf(side, index) {
        if (at === null) return null;
        if (at.source !== undefined && at.target !== undefined) {
          return side === "target" && at.target === index ? matrix.weight(at.source, at.target) : null;
        }
        return others.side === side ? others.weights[index] : null;
      }
    };
  },
});
