// Logistic regression with two inputs: what the weights and the bias do to the line that divides the plane.
"use strict";

widgets.define("hyperplane", (place, data) => {
  const { svg, fixed } = widgets;
  const { x, y, classes } = data;
  const middle = (i) => (Math.min(...x.map((point) => point[i])) + Math.max(...x.map((point) => point[i]))) / 2;
  const reach = Math.max(...x.map((point) => Math.abs(point[1] - middle(1)))) * 1.08;

  const picture = widgets.picture(290, "The points of both classes, and the line that divides the plane.");
  // as long upward as to the right: only so is w seen at a right angle to the line
  const [left, right, top, bottom] = [40, 350, 12, 254];
  const wide = (reach * (right - left)) / (bottom - top);
  const [xs, ys] = [[middle(0) - wide, middle(0) + wide], [middle(1) - reach, middle(1) + reach]];
  const axes = new widgets.Axes(picture, { x: xs, y: ys, left, right, top, bottom, xlabel: "x₁", ylabel: "x₂" });
  const side = svg("path", { fill: "var(--red)", "fill-opacity": 0.13 });
  axes.inside.append(side);
  const marks = x.map(([u, v], i) => {
    const [cx, cy] = [axes.x(u), axes.y(v)];
    const shape = y[i] ? svg("rect", { x: cx - 2.8, y: cy - 2.8, width: 5.6, height: 5.6 }) : svg("circle", { cx, cy, r: 3 });
    shape.setAttribute("fill", y[i] ? "var(--red)" : "var(--blue)");
    axes.inside.append(shape);
    return shape;
  });
  const line = axes.curve({ stroke: "currentColor", "stroke-width": 2 });
  const arrow = axes.curve({ stroke: "var(--green)", "stroke-width": 2.5 });
  const tip = axes.dot({ r: 4, fill: "var(--green)" });
  place.append(picture);
  const text = widgets.readout(place);
  const table = widgets.confusion(place, classes, classes);

  /** The corners of the part of the axes where z > 0. */
  function above(height) {
    const corners = [[xs[0], ys[0]], [xs[1], ys[0]], [xs[1], ys[1]], [xs[0], ys[1]]];
    return corners.flatMap((corner, i) => {
      const next = corners[(i + 1) % 4];
      const [from, to] = [height(corner), height(next)];
      const kept = from > 0 ? [corner] : [];
      if (from > 0 === to > 0) return kept;
      const t = from / (from - to);
      return [...kept, [corner[0] + t * (next[0] - corner[0]), corner[1] + t * (next[1] - corner[1])]];
    });
  }

  const value = { w1: 1, w2: 0, b: 0 };
  function show() {
    const { w1, w2, b } = value;
    const height = ([u, v]) => u * w1 + v * w2 + b;
    const polygon = above(height);
    side.setAttribute("d", polygon.length ? `${axes.d(polygon.map((p) => p[0]), polygon.map((p) => p[1]))}Z` : "");
    const counts = [[0, 0], [0, 0]];
    let cost = 0;
    x.forEach((point, i) => {
      const z = height(point);
      cost += Math.log1p(Math.exp(-Math.abs(z))) + Math.max(0, y[i] ? -z : z); // −ln f(z), or −ln(1 − f(z))
      const predicted = Number(z > 0);
      counts[y[i]][predicted]++;
      marks[i].setAttribute("stroke", predicted === y[i] ? "none" : "currentColor");
    });
    // the point of the line nearest to the origin, the direction along it, and w from there
    const size = w1 * w1 + w2 * w2;
    if (size) {
      const foot = [(-b * w1) / size, (-b * w2) / size];
      const far = 100 / Math.sqrt(size);
      line.move([foot[0] - far * w2, foot[0] + far * w2], [foot[1] + far * w1, foot[1] - far * w1]);
      const end = [foot[0] + w1 / Math.sqrt(size), foot[1] + w2 / Math.sqrt(size)];
      arrow.move([foot[0], end[0]], [foot[1], end[1]]);
      tip.move(...end);
    } else {
      line.move([], []);
      arrow.move([], []);
    }
    tip.setAttribute("visibility", size ? "visible" : "hidden");
    table(counts);
    const term = (number, words) => `${number < 0 ? "−" : "+"} ${fixed(Math.abs(number), 2)}${words}`;
    text.textContent =
      `z = ${fixed(w1, 2)} x₁ ${term(w2, " x₂")} ${term(b, "")}. Right: ${counts[0][0] + counts[1][1]} of ${x.length}; ` +
      `wrong (ringed): ${counts[0][1] + counts[1][0]}. Mean cross-entropy: ${fixed(cost / x.length, 3)}.`;
  }

  const most = Math.ceil(1.2 * Math.max(...data.w.map(Math.abs), Math.abs(data.b)));
  const sliders = Object.entries({ w1: "w₁", w2: "w₂", b: "b" }).map(([name, label]) => {
    const range = { label, min: -most, max: most, step: 0.01, value: value[name], text: (v) => fixed(v, 2) };
    const slider = widgets.slider(place, range, (v) => {
      value[name] = v;
      show();
    });
    return [name, slider];
  });
  const set = (values) => {
    for (const [name, slider] of sliders) {
      value[name] = values[name];
      slider.value = values[name];
      slider.show();
    }
    show();
  };
  const buttons = widgets.row(place);
  widgets.button(buttons, "As trained by distnn", () => set({ w1: data.w[0], w2: data.w[1], b: data.b }));
  widgets.button(buttons, "Start again", () => set({ w1: 1, w2: 0, b: 0 }));
  show();
});
