// One step of data-parallel training on one, two or four ranks: other sums on the way, and the same weight in the end.
"use strict";

widgets.define("ranks", (place, data) => {
  const { svg, number, added } = widgets;
  const { gradients, w, rate } = data;
  const count = gradients.length;
  const sum = (values) => values.reduce((a, b) => a + b, 0);
  const total = sum(gradients);
  const after = w - (rate * total) / count;

  const stages = [
    (ranks) => `Each of ${ranks.length === 1 ? "one rank" : `${ranks.length} ranks`} has the weight w = ${number(w)} and its own samples of the batch.`,
    () => "Forward and backward: for each of its samples a rank computes the gradient of that sample's cost.",
    (ranks) => `Each rank adds up its own. Rank 0: ${added(gradients.slice(...ranks[0]))} = ${number(sum(gradients.slice(...ranks[0])))}.`,
    (ranks) =>
      ranks.length === 1
        ? `One rank has nothing to send: its sum is the whole one, ${number(total)}.`
        : `Allreduce: ${added(ranks.map((part) => sum(gradients.slice(...part))))} = ${number(total)}, and every rank gets it.`,
    () => `Update, on every rank: w − α · sum / ${count} = ${number(w)} − ${number(rate)} · (${number(total)}) / ${count} = ${number(after)}.`,
  ];
  let ranks = "2";
  let stage = 0;

  const picture = widgets.picture(262, "Ranks with their samples, gradients and sums.");
  place.append(picture);
  const text = widgets.readout(place);
  const write = (x, y, words, attributes = {}) => svg("text", { x, y, "text-anchor": "middle", ...attributes }, words);
  const colours = ["blue", "orange", "green", "purple"].map((name) => `var(--${name})`);

  function show() {
    const parts = data.ranks[ranks];
    picture.replaceChildren(write(155, 12, "samples and their gradients"), write(278, 12, "own sum"), write(334, 12, "sum"));
    const height = 236 / parts.length;
    parts.forEach(([start, stop], rank) => {
      const y = 22 + height * (rank + 0.5);
      const done = stage === 4;
      const group = svg("g", { "data-rank": rank });
      group.append(svg("rect", { x: 2, y: y - 22, width: 58, height: 44, rx: 6, fill: colours[rank], "fill-opacity": 0.18, stroke: colours[rank] }));
      group.append(write(31, y - 5, `rank ${rank}`));
      group.append(write(31, y + 12, `w = ${number(done ? after : w)}`, { class: done ? "weight slope" : "weight" }));
      for (let n = start; n < stop; n++) {
        const x = 80 + 22 * (n - start);
        group.append(svg("rect", { x: x - 10, y: y - 20, width: 20, height: 18, rx: 3, fill: colours[rank] }));
        group.append(write(x, y - 7, n + 1, { class: "on-colour" }));
        if (stage >= 1) group.append(write(x, y + 14, number(gradients[n]), { class: "gradient" }));
      }
      if (stage >= 2) group.append(write(278, y + 4, number(sum(gradients.slice(start, stop))), { class: "own value" }));
      if (stage >= 3) {
        const d = `M296 ${y}H${parts.length > 1 ? 308 : 314}`;
        if (parts.length > 1) group.append(svg("path", { d: `${d}V140`, class: "wire" }));
        group.append(write(334, y + 4, number(total), { class: "total slope" }));
      }
      picture.append(group);
    });
    text.textContent = stages[stage](parts);
    back.disabled = stage === 0;
    step.disabled = stage === stages.length - 1;
  }
  const go = (to) => {
    stage = Math.max(0, Math.min(stages.length - 1, to));
    show();
  };
  const names = Object.fromEntries(Object.keys(data.ranks).map((name) => [name, `${name} rank${name === "1" ? "" : "s"}`]));
  widgets.choice(place, "The batch is shared by", names, ranks, (chosen) => {
    ranks = chosen;
    show();
  });
  const buttons = widgets.row(place);
  widgets.button(buttons, "Start", () => go(0));
  const back = widgets.button(buttons, "Back", () => go(stage - 1));
  const step = widgets.button(buttons, "Step", () => go(stage + 1));
  widgets.player(buttons, "Play", () => {
    go(stage + 1);
    return stage < stages.length - 1;
  }, 1600);
  show();
});
