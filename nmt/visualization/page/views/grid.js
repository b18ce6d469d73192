// A picture, and one panel for each target word with what it looked at.
nmt.register("grid", {
  title: "Picture",
  applies: (view) => Boolean(view.grid),

  draw(root, context) {
    const { matrix, view, settings } = context;
    const { rows, columns } = view.grid;
    const colours = nmt.bytes(view.grid.rgb);
    const size = Math.max(6, Math.round(192 / columns)); // of a cell of a panel
    const gap = columns <= 32 ? 2 : 0;
    const cells = matrix.source.map((_, index) => {
      const made = nmt.element("button", {
        type: "button", class: "pixel", tabindex: index ? -1 : 0, data: { side: "source", index },
        "aria-label": `cell ${matrix.source[index]}`,
      });
      made.style.setProperty("--colour", `rgb(${colours.slice(3 * index, 3 * index + 3).join(" ")})`);
      return made;
    });
    const picture = nmt.element("div", { class: "picture", role: "group", "aria-label": "picture", data: { group: "row" } }, ...cells);
    picture.style.setProperty("--columns", columns);
    const panels = matrix.target.map((_, target) => {
      const panel = nmt.element("canvas", { width: size * columns, height: size * rows, "aria-hidden": "true" });
      drawPanel(panel.getContext("2d"), matrix.row(target));
      return nmt.element("li", {}, nmt.wordButton(context, "target", target, panel));
    });
    const list = nmt.element("ol", { class: "panels", "aria-label": "target words", data: { group: "row" } }, ...panels);
    const both = nmt.element("div", { class: "grid-attention" }, picture, list);
    both.style.setProperty("--shape", columns / rows);
    root.append(both);

    /** Draw each cell in its colour, faded to grey by its share of the largest weight. */
    function drawPanel(canvas, row) {
      const largest = Math.max(1e-9, ...row);
      row.forEach((weight, index) => {
        const [left, top] = [size * (index % columns), size * Math.floor(index / columns)];
        const share = weight / largest;
        const mixed = [0, 1, 2].map((channel) => Math.round(share * colours[3 * index + channel] + (1 - share) * 214));
        canvas.fillStyle = weight > 0 ? `rgb(${mixed.join(" ")})` : "rgb(242 242 242)";
        canvas.fillRect(left, top, size - gap, size - gap);
        if (weight === 0) hatch(canvas, left, top);
      });
    }

    /** Mark a cell with a weight of exactly zero, which no colour can be mistaken for. */
    function hatch(canvas, left, top) {
      canvas.save();
      canvas.beginPath();
      canvas.rect(left, top, size - gap, size - gap);
      canvas.clip();
      canvas.strokeStyle = "rgb(165 165 165)";
      canvas.beginPath();
      for (let offset = 4; offset < 2 * size; offset += 8) {
        canvas.moveTo(left + offset, top);
        canvas.lineTo(left + offset - size, top + size);
      }
      canvas.stroke();
      canvas.restore();
    }

    return () => {
      const { at } = context;
      const weights = at?.target === undefined ? null : matrix.row(at.target);
      const largest = weights ? Math.max(1e-9, ...weights) : 1;
      cells.forEach((one, index) => {
        one.classList.toggle("pointed", at?.source === index);
        one.classList.toggle("zero", weights !== null && weights[index] === 0);
        one.style.setProperty("--share", weights ? weights[index] / largest : 1);
        const isShown = weights !== null && weights[index] >= Math.max(settings.threshold, 0.01);
        const text = nmt.element("span", { text: isShown ? weights[index].toFixed(2) : "" });
        one.replaceChildren(...(isShown && Math.max(rows, columns) <= 8 ? [text] : []));
      });
      list.querySelectorAll("button").forEach((one, index) => {
        const weight = at?.source === undefined ? 0 : matrix.weight(at.source, index);
        one.classList.toggle("pointed", at?.target === index);
        one.dataset.shade = weight > 0 ? nmt.shade(weight) : "";
      });
    };
  },
});
