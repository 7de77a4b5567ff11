// Logistic regression with one input: the threshold decides where the border is, and which mistakes are made.
"use strict";

widgets.define("threshold", (place, data) => {
  const { svg, fixed } = widgets;
  const { hours, passed, probability } = data;
  const order = hours.map((_, i) => i).sort((i, k) => hours[i] - hours[k]);
  const last = Math.ceil(Math.max(...hours));

  const picture = widgets.picture(280, "Students by their hours of study, the predicted probability, and the threshold.");
  const axes = new widgets.Axes(picture, {
    x: [0, last], y: [-0.3, 1.3], bottom: 244, xlabel: "hours of study", yticks: [0, 0.5, 1], ylabel: "probability to pass",
  });
  const side = svg("rect", { y: axes.y(1.3), height: axes.y(-0.3) - axes.y(1.3), fill: "var(--red)", "fill-opacity": 0.13 });
  axes.inside.append(side);
  const marks = hours.map((x, i) => {
    // students of one outcome are in a band, spread so that they can be seen; where in it means nothing
    const spread = 0.05 + 0.18 * ((i * 0.618034) % 1);
    const [cx, cy] = [axes.x(x), axes.y(passed[i] ? 1 + spread : -spread)];
    const shape = passed[i] ? svg("rect", { x: cx - 2.5, y: cy - 2.5, width: 5, height: 5 }) : svg("circle", { cx, cy, r: 2.7 });
    shape.setAttribute("fill", passed[i] ? "var(--red)" : "var(--blue)");
    axes.inside.append(shape);
    return shape;
  });
  axes.curve({ stroke: "currentColor", "stroke-width": 2 }, order.map((i) => hours[i]), order.map((i) => probability[i]));
  const level = axes.curve({ stroke: "var(--green)", "stroke-width": 1.5, "stroke-dasharray": "6 4" });
  const border = axes.curve({ stroke: "var(--green)", "stroke-width": 2 });
  place.append(picture);
  const text = widgets.readout(place);
  const table = widgets.confusion(place, ["fail", "pass"], ["failed", "passed"]);

  // Between any two students the curve is f(w x + b); w and b follow from two of them, neither of whom is too sure.
  const logit = (p) => Math.log(p / (1 - p));
  const near = (p) => order.reduce((best, i) => (Math.abs(probability[i] - p) < Math.abs(probability[best] - p) ? i : best));
  const [i, k] = [near(0.2), near(0.8)];
  const w = (logit(probability[k]) - logit(probability[i])) / (hours[k] - hours[i]);
  const b = logit(probability[i]) - w * hours[i];

  function show(threshold) {
    const at = (logit(threshold) - b) / w;
    const counts = [[0, 0], [0, 0]];
    passed.forEach((outcome, n) => {
      const predicted = Number(probability[n] > threshold);
      counts[outcome][predicted]++;
      marks[n].setAttribute("stroke", predicted === outcome ? "none" : "currentColor");
    });
    level.move([0, at, last], [threshold, threshold, threshold]);
    border.move([at, at], [-0.3, 1.3]);
    const from = Math.max(axes.x(0), Math.min(axes.x(last), axes.x(at)));
    side.setAttribute("x", from);
    side.setAttribute("width", axes.x(last) - from);
    table(counts);
    const right = counts[0][0] + counts[1][1];
    text.textContent =
      `Predicted to pass: who has f(z) > ${fixed(threshold, 2)}, that is more than ${fixed(at, 2)} hours. Right: ${right} of ` +
      `${hours.length}. Wrong (ringed): of those predicted to pass ${counts[0][1]} failed, of the others ${counts[1][0]} passed.`;
  }

  const range = { label: "threshold", min: 0.05, max: 0.95, step: 0.01, value: 0.5, text: (value) => fixed(value, 2) };
  widgets.slider(place, range, show);
  show(0.5);
});
