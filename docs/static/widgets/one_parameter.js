// Gradient descent with one parameter: what the learning rate does.
"use strict";

widgets.define("one_parameter", (place, data) => {
  const { number, fixed, svg } = widgets;
  const [low, high] = data.range;
  const { x, y } = data;
  // the mean squared error of ŷ = θ x, and its derivative
  const mean = (of) => x.reduce((sum, _, i) => sum + of(x[i], y[i]), 0) / x.length;
  const J = (theta) => mean((u, v) => (theta * u - v) ** 2);
  const slope = (theta) => mean((u, v) => 2 * (theta * u - v) * u);

  const grid = Array.from({ length: 201 }, (_, i) => low + ((high - low) * i) / 200);
  const costs = grid.map(J);
  const top = Math.max(...costs);
  const picture = widgets.picture(246, "J over θ, and the steps of the descent.");
  const axes = new widgets.Axes(picture, { x: [low, high], y: [-0.04 * top, 1.04 * top], xlabel: "θ", ylabel: "J(θ)", bottom: 210 });
  axes.curve({ stroke: "var(--blue)", "stroke-width": 2.5 }, grid, costs);
  const tangent = axes.curve({ stroke: "var(--green)", "stroke-width": 1.5, "stroke-dasharray": "5 4" });
  const path = axes.curve({ stroke: "var(--red)", "stroke-width": 1.2 });
  const trail = svg("g", { fill: "var(--red)" });
  axes.inside.append(trail);
  const dot = axes.dot({ r: 6, fill: "var(--red)", class: "here" });
  place.append(picture);
  const text = widgets.readout(place);

  const LIMIT = 1e9; // what has diverged so far isn't followed further
  let rate = Object.values(data.rates)[0];
  let thetas = [data.start];
  const theta = () => thetas.at(-1);
  const verdict = () => {
    if (thetas.length < 2) return "";
    const [before, now] = thetas.slice(-2);
    if (J(now) > J(before)) return " J has grown: α is too large, the steps diverge.";
    if (Math.abs(slope(now)) < 1e-3) return " The slope is almost 0: the minimum.";
    if (slope(now) * slope(before) < 0) return " The step went beyond the minimum.";
    return "";
  };

  function show() {
    const at = theta();
    const [rise, cost] = [slope(at), J(at)];
    tangent.move([low, high], [cost + rise * (low - at), cost + rise * (high - at)]);
    path.move(thetas, thetas.map(J));
    trail.replaceChildren(
      ...thetas.slice(0, -1).map((each) => {
        const [cx, cy] = [axes.x(each), axes.y(J(each))].map((v) => Math.max(-1e4, Math.min(1e4, v)));
        return svg("circle", { cx, cy, r: 3 });
      }),
    );
    dot.move(at, cost);
    const next = at - rate * rise;
    const signed = rise < 0 ? `(${fixed(rise, 3)})` : fixed(rise, 3);
    text.textContent =
      `After ${thetas.length - 1} step${thetas.length === 2 ? "" : "s"}: θ = ${fixed(at, 3)}, J = ${fixed(cost, 3)}, ` +
      `slope = ${fixed(rise, 3)}. Next: θ − α · slope = ${fixed(at, 3)} − ${number(rate)} · ${signed} = ${fixed(next, 3)}.` +
      verdict();
    step.disabled = Math.abs(at) > LIMIT;
  }
  const advance = () => {
    if (Math.abs(theta()) > LIMIT || thetas.length > 200) return false;
    thetas.push(theta() - rate * slope(theta()));
    show();
    return Math.abs(slope(theta())) > 1e-3 && theta() >= low - (high - low) && theta() <= high + (high - low);
  };
  const restart = () => {
    run.stop();
    thetas = [data.start];
    show();
  };

  const named = (value) => Object.keys(data.rates).find((name) => data.rates[name] === value);
  const largest = Math.max(...Object.values(data.rates)) * 1.1;
  const unit = 10 ** Math.floor(Math.log10(Math.min(...Object.values(data.rates))));
  const range = { label: "α", min: unit, max: Math.ceil(largest / unit) * unit, step: unit, value: rate };
  const slider = widgets.slider(place, range, (value) => {
    rate = Number(value.toPrecision(12));
    for (const input of rates.querySelectorAll("input")) input.checked = input.value === named(rate);
    restart();
  });
  const options = Object.fromEntries(Object.keys(data.rates).map((name) => [name, name]));
  const rates = widgets.choice(place, "The learning rate is", options, named(rate), (name) => {
    rate = data.rates[name];
    slider.value = rate;
    slider.show();
    restart();
  });
  const buttons = widgets.row(place);
  widgets.button(buttons, "Start again", restart);
  const step = widgets.button(buttons, "Step", () => {
    run.stop();
    advance();
  });
  const run = widgets.player(buttons, "Run", advance, 350);
  show();
});
