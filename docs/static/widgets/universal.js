// Universal approximation: the more hidden neurons, the more steps a network is the sum of, and the closer it comes.
"use strict";

widgets.define("universal", (place, data) => {
  const { fixed } = widgets;
  const { x, target } = data;
  const [low, high] = [x[0], x.at(-1)];
  const sizes = Object.keys(data.learnt).map(Number);
  const mean = (values) => values.reduce((a, b) => a + b, 0) / values.length;

  /** Steps of equal width: each rises, in the middle between two plateaus, by the difference of the target's values there. */
  function placed(units) {
    const width = (high - low) / (units + 1);
    const plateau = (k) => {
      const at = ((k + 0.5) * width * (x.length - 1)) / (high - low);
      const i = Math.min(Math.floor(at), x.length - 2);
      return target[i] + (at - i) * (target[i + 1] - target[i]);
    };
    const steep = 8 / width;
    const net = { w: [], b: [], v: [], c: [(plateau(0) + plateau(units)) / 2] };
    for (let k = 1; k <= units; k++) {
      net.w.push(steep);
      net.b.push(-steep * (low + k * width));
      net.v.push((plateau(k) - plateau(k - 1)) / 2); // tanh rises by 2
    }
    return net;
  }

  const unit = (net, k) => x.map((each) => net.v[k] * Math.tanh(net.w[k] * each + net.b[k]));

  const pictures = widgets.picture(376, "The function and the network above, the hidden neurons below.");
  const reach = Math.max(...target.map(Math.abs)) * 1.25;
  const above = new widgets.Axes(pictures, { x: [low, high], y: [-reach, reach], bottom: 190, ylabel: "f(x)" });
  above.curve({ stroke: "var(--grey)", "stroke-width": 6, "stroke-opacity": 0.55 }, x, target);
  const network = above.curve({ stroke: "var(--red)", "stroke-width": 2.2, class: "network" });
  const below = new widgets.Axes(pictures, {
    x: [low, high], y: [-reach, reach], top: 228, bottom: 340, xlabel: "x", ylabel: "each neuron's part", yticks: [-1, 0, 1],
  });
  const colours = ["blue", "orange", "green", "purple"].map((name) => `var(--${name})`);
  const parts = Array.from({ length: Math.max(...sizes) }, (_, k) =>
    below.curve({ stroke: colours[k % 4], "stroke-width": 1.5, "stroke-opacity": 0.85 }),
  );

  let way = "placed";
  let size = 2;
  function show() {
    const units = sizes[size];
    const net = way === "placed" ? placed(units) : data.learnt[units];
    const curves = net.v.map((_, k) => unit(net, k));
    const sum = x.map((_, i) => curves.reduce((total, curve) => total + curve[i], net.c[0]));
    network.move(x, sum);
    parts.forEach((part, k) => (k < units ? part.move(x, curves[k]) : part.move([], [])));
    const error = Math.sqrt(mean(sum.map((value, i) => (value - target[i]) ** 2)));
    text.textContent =
      `${units} hidden neuron${units > 1 ? "s" : ""} ${way === "placed" ? "placed by hand" : "learnt"}: ` +
      `${units} step${units > 1 ? "s" : ""}, ${3 * units + 1} parameters, root mean square error ${fixed(error, 3)}.`;
  }

  place.append(pictures);
  const text = widgets.readout(place);
  const range = { label: "hidden neurons", min: 0, max: sizes.length - 1, step: 1, value: size, text: (at) => sizes[at] };
  widgets.slider(place, range, (at) => {
    size = at;
    show();
  });
  widgets.choice(place, "The steps are", { placed: "placed by hand", learnt: "learnt by distnn" }, way, (chosen) => {
    way = chosen;
    show();
  });
  show();
});
