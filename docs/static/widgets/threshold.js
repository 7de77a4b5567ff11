// Logistic regression: the threshold decides where the hyperplane is, and which mistakes are made.
"use strict";

widgets.define("threshold", (place, data) => {
  const { html, svg, number, fixed } = widgets;
  const { x, y, w, b } = data;
  const z = x.map((point) => point[0] * w[0] + point[1] * w[1] + b);
  const span = (i) => {
    const values = x.map((point) => point[i]);
    const margin = 0.05 * (Math.max(...values) - Math.min(...values));
    return [Math.min(...values) - margin, Math.max(...values) + margin];
  };
  const [xs, ys] = [span(0), span(1)];
  const [name0, name1] = data.classes ?? ["0", "1"];
  const [label1, label2] = data.labels ?? ["x₁", "x₂"];

  const picture = widgets.picture(300, `The points of class ${name0} and ${name1}, and the hyperplane between them.`);
  const axes = new widgets.Axes(picture, { x: xs, y: ys, bottom: 264, xlabel: label1, ylabel: label2 });
  const side = svg("path", { fill: "var(--red)", "fill-opacity": 0.13 });
  axes.inside.append(side);
  const marks = x.map(([u, v], i) => {
    const [cx, cy] = [axes.x(u), axes.y(v)];
    const colour = y[i] ? "var(--red)" : "var(--blue)";
    const shape = y[i] ? svg("rect", { x: cx - 3, y: cy - 3, width: 6, height: 6 }) : svg("circle", { cx, cy, r: 3.2 });
    shape.setAttribute("fill", colour);
    axes.inside.append(shape);
    return shape;
  });
  const line = axes.curve({ stroke: "currentColor", "stroke-width": 2, class: "hyperplane" });
  place.append(picture);
  const text = widgets.readout(place);

  const cell = () => html("td");
  const [tn, fp, fn, tp] = [cell(), cell(), cell(), cell()];
  const head = (words) => html("th", { scope: "col" }, words);
  const row = (words, ...cells) => html("tr", {}, html("th", { scope: "row" }, words), ...cells);
  place.append(
    html(
      "table",
      { class: "widget-table" },
      html("tr", {}, html("td"), head(`predicted ${name0}`), head(`predicted ${name1}`)),
      row(`is ${name0}`, tn, fp),
      row(`is ${name1}`, fn, tp),
    ),
  );

  /** The part of the axes' corners where z is above a limit, as a polygon. */
  function above(limit) {
    const corners = [[xs[0], ys[0]], [xs[1], ys[0]], [xs[1], ys[1]], [xs[0], ys[1]]];
    const height = ([u, v]) => u * w[0] + v * w[1] + b - limit;
    return corners.flatMap((corner, i) => {
      const next = corners[(i + 1) % 4];
      const [from, to] = [height(corner), height(next)];
      const kept = from > 0 ? [corner] : [];
      if (from > 0 === to > 0) return kept;
      const t = from / (from - to);
      return [...kept, [corner[0] + t * (next[0] - corner[0]), corner[1] + t * (next[1] - corner[1])]];
    });
  }

  function show(threshold) {
    const limit = Math.log(threshold / (1 - threshold)); // f(z) > threshold ⇔ z > limit
    const polygon = above(limit);
    polygon.length ? side.setAttribute("d", `${axes.d(polygon.map((p) => p[0]), polygon.map((p) => p[1]))}Z`) : side.removeAttribute("d");
    // the point of the hyperplane nearest to the origin, and the direction along it
    const size = w[0] ** 2 + w[1] ** 2;
    const foot = [(w[0] * (limit - b)) / size, (w[1] * (limit - b)) / size];
    const far = (10 * (xs[1] - xs[0] + ys[1] - ys[0])) / Math.sqrt(size);
    line.move([foot[0] - far * w[1], foot[0] + far * w[1]], [foot[1] + far * w[0], foot[1] - far * w[0]]);

    const counts = [[0, 0], [0, 0]];
    z.forEach((value, i) => {
      const predicted = Number(value > limit);
      counts[y[i]][predicted]++;
      marks[i].setAttribute("stroke", predicted === y[i] ? "none" : "currentColor");
      marks[i].setAttribute("stroke-width", 1.8);
    });
    [[tn, fp], [fn, tp]].forEach((cells, i) => cells.forEach((each, k) => (each.textContent = counts[i][k])));
    const right = counts[0][0] + counts[1][1];
    text.textContent =
      `f(z) > ${fixed(threshold, 2)} where z > ${fixed(limit, 2)}. Right: ${right} of ${x.length}, wrong (ringed): ` +
      `${x.length - right}; ${counts[0][1]} of class ${name0} taken for ${name1}, ${counts[1][0]} of class ${name1} for ${name0}.`;
  }

  const range = { label: "threshold", min: 0.01, max: 0.99, step: 0.01, value: 0.5, text: (v) => number(v, 2) };
  widgets.slider(place, range, show);
  show(0.5);
});
