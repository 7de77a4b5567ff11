// Batch, mini-batch and stochastic gradient descent, side by side: where each is after it has seen so many samples.
"use strict";

widgets.define("paths", (place, data) => {
  const { fixed, number } = widgets;
  const mean = (values) => values.reduce((a, b) => a + b, 0) / values.length;
  const { x, y } = data;
  // J(w, b) = mean of (w x + b − y)², of which only these means are needed
  const [xx, xm, xy, ym, yy] = [
    mean(x.map((v) => v * v)), mean(x), mean(x.map((v, i) => v * y[i])), mean(y), mean(y.map((v) => v * v)),
  ];
  const J = (w, b) => xx * w * w + 2 * xm * w * b + b * b - 2 * xy * w - 2 * ym * b + yy;
  const best = { w: (xy - xm * ym) / (xx - xm * xm) };
  best.b = ym - best.w * xm;
  const lowest = J(best.w, best.b);

  const all = Object.values(data.places).flat();
  const span = (i) => {
    const values = all.map((each) => each[i]);
    const margin = 0.12 * (Math.max(...values) - Math.min(...values));
    return [Math.min(...values) - margin, Math.max(...values) + margin];
  };
  const picture = widgets.picture(300, "The paths of the three kinds of gradient descent over the rings of equal loss.");
  const [ws, bs] = [span(0), span(1)];
  const axes = new widgets.Axes(picture, { x: ws, y: bs, bottom: 264, xlabel: "w", ylabel: "b" });
  const highest = Math.max(...ws.flatMap((w) => bs.map((b) => J(w, b)))) - lowest;
  const angles = Array.from({ length: 97 }, (_, i) => (i * Math.PI) / 48);
  for (let k = 0; k < 9; k++) {
    // An ellipse: the circle of this radius, by the inverse of J's Cholesky factor
    const radius = Math.sqrt(highest * 0.55 ** (8 - k));
    const across = Math.sqrt(xx - xm * xm);
    const ring = angles.map((t) => {
      const w = (radius * Math.cos(t)) / across;
      return [best.w + w, best.b + radius * Math.sin(t) - xm * w];
    });
    axes.curve({ stroke: "var(--grey)", "stroke-width": 0.8 }, ring.map((p) => p[0]), ring.map((p) => p[1]));
  }
  axes.dot({ r: 3, fill: "currentColor" }, best.w, best.b);

  const looks = [["blue", 2.4, 6], ["red", 1.8, 5], ["green", 1, 4]]; // as in the figure
  const kinds = Object.entries(data.places).map(([name, places], k) => {
    const [colour, width, r] = looks[k];
    const stroke = { stroke: `var(--${colour})`, "stroke-width": width, "stroke-linejoin": "round" };
    return { name, places, colour, path: axes.curve(stroke), r, batch: data.batch[name] };
  });
  kinds.reverse(); // the smoothest lies on top
  for (const kind of kinds) axes.inside.append(kind.path);
  for (const kind of kinds) kind.dot = axes.dot({ r: kind.r, fill: `var(--${kind.colour})`, stroke: "var(--paper)" });
  kinds.reverse();

  const epochs = Math.max(...kinds.map((kind) => ((kind.places.length - 1) * kind.batch) / x.length));
  const samples = epochs * x.length;
  const text = widgets.readout(place);
  const list = widgets.html("ul", { class: "widget-legend" });
  for (const kind of kinds) {
    kind.line = widgets.html("li", { style: `--mark: var(--${kind.colour})`, "data-kind": kind.name });
    list.append(kind.line);
  }
  place.prepend(picture);
  place.append(list);

  function show(seen) {
    for (const kind of kinds) {
      const steps = Math.min(Math.floor(seen / kind.batch), kind.places.length - 1);
      const walked = kind.places.slice(0, steps + 1);
      const [w, b] = walked.at(-1);
      kind.path.move(walked.map((p) => p[0]), walked.map((p) => p[1]));
      kind.dot.move(w, b);
      kind.line.textContent =
        `${kind.name}: ${steps} step${steps === 1 ? "" : "s"}, w = ${fixed(w, 3)}, b = ${fixed(b, 3)}, J = ${fixed(J(w, b), 4)}`;
    }
    text.textContent = `${seen} samples seen: ${number(seen / x.length, 2)} of ${epochs} epochs. The lowest J is ${fixed(lowest, 4)}.`;
  }

  const smallest = Math.min(...kinds.map((kind) => kind.batch));
  const range = { label: "samples seen", min: 0, max: samples, step: smallest, value: 0 };
  const slider = widgets.slider(place, range, show);
  const go = (seen) => {
    slider.value = seen;
    slider.show();
    show(Number(slider.value));
  };
  const buttons = widgets.row(place);
  widgets.button(buttons, "Start again", () => go(0));
  for (const kind of kinds.toReversed()) {
    const next = `${kind.batch} sample${kind.batch > 1 ? "s" : ""} more`;
    widgets.button(buttons, next, () => go(Number(slider.value) + kind.batch));
  }
  widgets.player(buttons, "Play", () => {
    go(Number(slider.value) + Math.max(1, samples / 128));
    return Number(slider.value) < samples;
  }, 60);
  show(0);
});
