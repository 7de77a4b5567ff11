// An activation and its derivative: the derivative is the slope of the tangent, wherever the point is moved.
"use strict";

widgets.define("activations", (place, data) => {
  const { html, fixed, svg } = widgets;
  const { x, curves } = data;
  const names = Object.keys(curves);
  const [low, high] = [x[0], x.at(-1)];
  let name = names[0];
  let index = Math.round(x.length * 0.65);

  const select = html("select");
  for (const each of names) select.append(html("option", { value: each }, each.replaceAll("_", " ")));
  place.append(html("label", { class: "widget-row" }, "activation", select));

  const picture = widgets.picture(256, "An activation, its derivative, and the tangent at a point.");
  place.append(picture);
  let [axes, tangent, onF, onSlope] = [];

  /** Axes that fit the curves; −2 to 2 at least, so that two activations look as different as they are. */
  function draw() {
    const { f, slope } = curves[name];
    const shown = [...f, ...slope];
    const y = [Math.max(Math.min(-1.2, ...shown), -4.2), Math.min(Math.max(1.4, ...shown), 4.2)];
    picture.replaceChildren();
    axes = new widgets.Axes(picture, { x: [low, high], y, bottom: 220, xlabel: "x" });
    axes.curve({ stroke: "var(--grey)", "stroke-width": 0.8 }, [low, high], [0, 0]);
    axes.curve({ stroke: "var(--grey)", "stroke-width": 0.8 }, [0, 0], y);
    tangent = axes.curve({ stroke: "var(--green)", "stroke-width": 2 });
    axes.curve({ stroke: "var(--red)", "stroke-width": 2, "stroke-dasharray": "6 4" }, x, slope);
    axes.curve({ stroke: "var(--blue)", "stroke-width": 2.5 }, x, f);
    onSlope = axes.dot({ r: 5, fill: "var(--red)" });
    onF = axes.dot({ r: 6, fill: "var(--blue)" });
    picture.append(
      svg("text", { x: 48, y: 22, class: "value" }, "f"),
      svg("text", { x: 60, y: 22, class: "slope" }, "f′"),
    );
    show();
  }

  function show() {
    const { f, slope } = curves[name];
    const [at, value, rise] = [x[index], f[index], slope[index]];
    onF.move(at, value);
    onSlope.move(at, rise);
    tangent.move([at - 1.6, at + 1.6], [value - 1.6 * rise, value + 1.6 * rise]);
    text.textContent =
      `${name.replaceAll("_", " ")}: f(${fixed(at, 2)}) = ${fixed(value, 3)}, and f′(${fixed(at, 2)}) = ${fixed(rise, 3)} ` +
      `is the slope of the tangent (green). ${Math.abs(rise) < 0.05 ? "So flat that little of a derivative passes back." : ""}`;
  }

  const text = widgets.readout(place);
  const range = { label: "x", min: 0, max: x.length - 1, step: 1, value: index, text: (i) => fixed(x[i], 2) };
  const slider = widgets.slider(place, range, (i) => {
    index = i;
    show();
  });
  select.addEventListener("change", () => {
    name = select.value;
    draw();
  });
  // The point can be dragged, too.
  const drag = (event) => {
    if (!event.buttons) return;
    const box = picture.getBoundingClientRect();
    const [at] = axes.value(((event.clientX - box.left) / box.width) * 360, 0);
    slider.value = Math.round(((at - low) / (high - low)) * (x.length - 1));
    slider.dispatchEvent(new Event("input"));
  };
  picture.classList.add("widget-drag");
  picture.addEventListener("pointerdown", drag);
  picture.addEventListener("pointermove", drag);
  draw();
});
