// The weights as a table: a row for each target word, a column for each source word.
nmt.register("matrix", {
  title: "Matrix",
  applies: () => true,

  draw(root, context) {
    const { matrix, settings } = context;
    // A browser takes seconds to lay out more cells.
    if (matrix.source.length * matrix.target.length > 10_000) return drawPicture(root, context);
    const columns = matrix.source.length;
    const cells = [];
    const heads = { source: [], target: [] };
    const caption = nmt.element("caption", {
      class: "hidden",
      text: "Attention weights: a row for each target word, a column for each source word",
    });
    const top = nmt.element("tr", { data: { group: "row" } }, corner());
    matrix.source.forEach((word, index) => top.append(head("source", index, word)));
    const body = nmt.element("tbody", { data: { group: "column" } });
    matrix.target.forEach((word, target) => {
      const row = nmt.element("tr", {}, head("target", target, word));
      matrix.source.forEach((_, source) => row.append(cell(source, target)));
      body.append(row);
    });
    const table = nmt.element("table", { class: "matrix" }, caption, nmt.element("thead", {}, top), body);
    const spotlight = nmt.element("div", { class: "spotlight", hidden: true });
    const scroll = nmt.element("div", { class: "scroll" }, table, spotlight);
    let lit = [];
    root.append(scroll);
    new ResizeObserver(fit).observe(scroll);

    /** Choose the largest cells that fit; numbers are shown if they fit into the cells. */
    function fit() {
      const names = heads.target.length ? heads.target[0].offsetWidth : 0;
      const room = (scroll.clientWidth - names - 4) / Math.max(matrix.source.length, 1);
      const size = Math.max(16, Math.min(48, Math.floor(room) - 2));
      table.style.setProperty("--cell", `${size}px`);
      table.classList.toggle("numbers", size >= 32);
      table.classList.toggle("dense", size < 22);
      lightUp();
    }

    function corner() {
      return nmt.element("td", { class: "corner" });
    }

    function head(side, index, word) {
      // Words of Chinese, Japanese and Korean stand upright, others lie on their side.
      const isUpright = /[\p{sc=Han}\p{sc=Hiragana}\p{sc=Katakana}\p{sc=Hangul}\p{Extended_Pictographic}]/u.test(word);
      const made = nmt.element(
        "th", { scope: side === "source" ? "col" : "row", class: isUpright ? "upright" : null },
        nmt.wordButton(context, side, index),
      );
      heads[side].push(made);
      return made;
    }

    function cell(source, target) {
      const weight = matrix.weight(source, target);
      const kinds = [weight === 0 ? "zero" : "weight"];
      if (weight > 0 && weight < settings.threshold) kinds.push("below");
      if (matrix.isPicked(source, target)) kinds.push("picked");
      const gold = matrix.gold(source, target);
      if (gold) kinds.push("gold", gold);
      const made = nmt.element("td", {
        class: kinds.join(" "), text: nmt.number(weight),
        data: { source, target, weight: weight.toFixed(6), shade: nmt.shade(weight) },
      });
      cells.push(made);
      return made;
    }

    /** Leave the lit cells as they are, and dim the others. */
    function lightUp() {
      const [first, last] = [lit[0], lit[lit.length - 1]];
      spotlight.hidden = first === undefined;
      if (spotlight.hidden) return;
      spotlight.style.setProperty("transform", `translate(${first.offsetLeft}px, ${first.offsetTop}px)`);
      spotlight.style.setProperty("width", `${last.offsetLeft + last.offsetWidth - first.offsetLeft}px`);
      spotlight.style.setProperty("height", `${last.offsetTop + last.offsetHeight - first.offsetTop}px`);
    }

    return () => {
      const { at } = context;
      for (const one of lit) one.classList.remove("lit");
      lit = cells.filter((_, place) => nmt.isLit(at, place % columns, Math.floor(place / columns)));
      for (const one of lit) one.classList.add("lit");
      lightUp();
      for (const side of nmt.SIDES) {
        heads[side].forEach((one, index) => one.classList.toggle("pointed", at?.[side] === index));
      }
    };
  },
});

/** Draw the weights of long sentences as a picture; the words of the other view reach them, too. */
function drawPicture(root, context) {
  const { matrix, settings } = context;
  const [columns, rows] = [matrix.source.length, matrix.target.length];
  const size = Math.max(3, Math.floor(900 / columns));
  const canvas = nmt.element("canvas", {
    class: "heat-map", width: size * columns, height: size * rows, role: "img",
    "aria-label": `attention weights of ${rows} target words over ${columns} source words`,
  });
  const note = `A table of ${rows} × ${columns} words is drawn as a picture: target words from top to bottom.`;
  root.append(nmt.element("p", { class: "muted", text: note }), canvas);
  canvas.addEventListener("pointermove", (event) => {
    const box = canvas.getBoundingClientRect();
    const index = (at, length, most) => Math.min(most - 1, Math.max(0, Math.floor((at / length) * most)));
    context.point({
      source: index(event.clientX - box.left, box.width, columns),
      target: index(event.clientY - box.top, box.height, rows),
    });
  });

  return () => nmt.paint(canvas, matrix, (source, target, weight) => {
    if (weight < settings.threshold) return 0;
    return context.at === null || nmt.isLit(context.at, source, target) ? 1 : 0.3;
  });
}
