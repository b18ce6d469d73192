// How many words each target word looks at: exp of the entropy of its weights.
nmt.register("spread", {
  title: "Spread",
  applies: (view) => !view.grid,

  draw(root, context) {
    const { matrix } = context;
    const rows = matrix.target.map((_, target) => {
      const row = matrix.row(target);
      const total = row.reduce((sum, weight) => sum + weight, 0);
      const shares = row.filter((weight) => weight > 0).map((weight) => weight / total);
      const entropy = -shares.reduce((sum, share) => sum + share * Math.log(share), 0);
      return nmt.element("li", {}, nmt.wordButton(context, "target", target), ` ${nmt.decimal(Math.exp(entropy))}`);
    });
    root.append(nmt.element("ol", { data: { group: "column" } }, ...rows));
    return () => rows.forEach((row, target) => row.classList.toggle("pointed", context.at?.target === target));
  },
});
