// What the widgets share: elements, controls, axes. No library, nothing from the network.
//
// A widget is a file NAME.js with: widgets.define("NAME", (place, data) => { … }), where place is the element to draw in
// and data is what the page's script has recorded.
"use strict";

const widgets = (() => {
  const SVG = "http://www.w3.org/2000/svg";
  let identities = 0;

  /** An id that no other element of the page has. */
  const identity = () => `widget-${++identities}`;

  function fill(element, attributes, children) {
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  }

  /** An element of HTML. */
  const html = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);

  /** An element of SVG. */
  const svg = (tag, attributes = {}, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

  /** A picture, 360 units wide: as wide in pixels on a phone, so that a text of 12 units can be read there. */
  const picture = (height, label, width = 360) =>
    svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label });

  /** A number as text, with a true minus sign; at most so many digits after the point. */
  function number(value, digits = 3) {
    if (!Number.isFinite(value)) return value > 0 ? "∞" : Number.isNaN(value) ? "not a number" : "−∞";
    const size = Math.abs(value);
    const text = size >= 1e6 ? value.toExponential(1).replace("e+", "e") : String(Number(value.toFixed(digits)) + 0);
    return text.replaceAll("-", "−");
  }

  /** A number with always so many digits after the point, so that it doesn't jump while it changes. */
  const fixed = (value, digits) => (Number(value.toFixed(digits)) + 0).toFixed(digits).replace("-", "−");

  /** Numbers added up, as text: −8 − 32 + 2. */
  const added = (values, digits) =>
    values.map((v, i) => (i ? (v < 0 ? " − " : " + ") + number(Math.abs(v), digits) : number(v, digits))).join("");

  /** A slider with its label and its value. Returns the input; whoever sets its value in the program calls its show(). */
  function slider(parent, { label, min, max, step, value, text = (v) => number(v) }, changed) {
    const id = identity();
    const input = html("input", { type: "range", id, min, max, step, value });
    const output = html("output", { for: id });
    input.show = () => {
      output.textContent = text(Number(input.value));
      input.setAttribute("aria-valuetext", output.textContent);
    };
    input.addEventListener("input", () => {
      input.show();
      changed(Number(input.value));
    });
    input.show();
    parent.append(html("div", { class: "widget-slider" }, html("label", { for: id }, label), input, output));
    return input;
  }

  /** A button. */
  function button(parent, label, clicked, attributes = {}) {
    const made = html("button", { type: "button", ...attributes }, label);
    made.addEventListener("click", clicked);
    parent.append(made);
    return made;
  }

  /** One of several: radio buttons that look like a row of buttons. */
  function choice(parent, label, options, chosen, changed) {
    const group = html("fieldset", { class: "widget-choice" }, html("legend", {}, label));
    const name = identity();
    for (const [value, text] of Object.entries(options)) {
      const input = html("input", { type: "radio", name, value });
      input.checked = value === chosen;
      input.addEventListener("change", () => changed(value));
      group.append(html("label", {}, input, html("span", {}, text)));
    }
    parent.append(group);
    return group;
  }

  /** A row for buttons and sliders. */
  function row(parent, ...classes) {
    const made = html("div", { class: ["widget-row", ...classes].join(" ") });
    parent.append(made);
    return made;
  }

  /** The sentence that says what is seen. A screen reader reads it when it changes. */
  function readout(parent) {
    const made = html("p", { class: "widget-readout", "aria-live": "polite" });
    parent.append(made);
    return made;
  }

  /** A table of right and wrong predictions. Returns the function that fills it, from counts[true class][predicted]. */
  function confusion(parent, predicted, truth) {
    const head = (scope, words) => html("th", { scope }, words);
    const cells = truth.map(() => predicted.map(() => html("td")));
    const rows = truth.map((name, i) => html("tr", {}, head("row", name), ...cells[i]));
    const top = html("tr", {}, html("td"), ...predicted.map((name) => head("col", `predicted: ${name}`)));
    parent.append(html("table", { class: "widget-table" }, top, ...rows));
    return (counts) => cells.forEach((row, i) => row.forEach((cell, k) => (cell.textContent = counts[i][k])));
  }

  /** About so many round numbers from low to high. */
  function ticks(low, high, count = 5) {
    const rough = (high - low) / count;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].find((factor) => factor * power >= rough * 0.999) * power;
    const found = [];
    for (let k = Math.ceil(low / step - 1e-9); k * step <= high + step * 1e-9; k++) found.push(k * step);
    return found;
  }

  /** Axes within a picture: x and y are the lowest and the highest values; curves and points are clipped to them. */
  class Axes {
    constructor(parent, { x, y, xlabel = "", ylabel = "", left = 40, right = 350, top = 12, bottom = 200, xticks, yticks }) {
      const place = (range, from, to) => (value) => from + ((value - range[0]) / (range[1] - range[0])) * (to - from);
      this.x = place(x, left, right);
      this.y = place(y, bottom, top);
      this.value = (px, py) => [
        x[0] + ((px - left) / (right - left)) * (x[1] - x[0]),
        y[0] + ((bottom - py) / (bottom - top)) * (y[1] - y[0]),
      ];
      const clip = identity();
      const box = { x: left, y: top, width: right - left, height: bottom - top };
      const frame = svg("g", { class: "widget-axes" });
      frame.append(svg("path", { d: `M${left} ${top}V${bottom}H${right}` }));
      for (const value of xticks ?? ticks(...x)) {
        frame.append(svg("path", { d: `M${this.x(value)} ${bottom}v4` }));
        frame.append(svg("text", { x: this.x(value), y: bottom + 16, "text-anchor": "middle" }, number(value)));
      }
      for (const value of yticks ?? ticks(...y)) {
        frame.append(svg("path", { d: `M${left} ${this.y(value)}h-4` }));
        frame.append(svg("text", { x: left - 7, y: this.y(value) + 4, "text-anchor": "end" }, number(value)));
      }
      frame.append(svg("text", { x: (left + right) / 2, y: bottom + 31, "text-anchor": "middle" }, xlabel));
      frame.append(svg("text", { x: left + 6, y: top + 6 }, ylabel));
      this.inside = svg("g", { "clip-path": `url(#${clip})` });
      parent.append(svg("clipPath", { id: clip }, svg("rect", box)), frame, this.inside);
    }

    /** What a path of these points is, as its attribute d. */
    d(xs, ys) {
      const limit = (v) => Math.max(-1e4, Math.min(1e4, v)).toFixed(2); // far outside is as good as infinitely far
      return "M" + xs.map((x, i) => `${limit(this.x(x))} ${limit(this.y(ys[i]))}`).join("L");
    }

    /** A curve, whose points can be changed by its move(xs, ys). */
    curve(attributes, xs = [], ys = []) {
      const path = svg("path", { fill: "none", ...attributes });
      path.move = (u, v) => (u.length ? path.setAttribute("d", this.d(u, v)) : path.removeAttribute("d"));
      path.move(xs, ys);
      this.inside.append(path);
      return path;
    }

    /** A dot, which can be moved by its move(x, y). */
    dot(attributes, x = 0, y = 0) {
      const circle = svg("circle", { r: 4, ...attributes });
      circle.move = (u, v) => {
        circle.setAttribute("cx", this.x(u));
        circle.setAttribute("cy", Math.max(-1e4, Math.min(1e4, this.y(v))));
      };
      circle.move(x, y);
      this.inside.append(circle);
      return circle;
    }
  }

  /** Whether the reader has asked for pictures that don't move by themselves. */
  const still = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

  /** A button that calls step() several times a second until it returns false, or until it is pressed again. */
  function player(parent, label, step, interval = 500) {
    let timer = null;
    const stop = () => {
      clearInterval(timer);
      timer = null;
      made.textContent = label;
    };
    const made = button(parent, label, () => {
      if (timer !== null) return stop();
      if (still()) {
        while (step()); // to the end at once: nothing moves by itself
        return;
      }
      made.textContent = "Pause";
      timer = setInterval(() => step() || stop(), interval);
      if (!step()) stop();
    });
    made.stop = stop;
    return made;
  }

  /** Build the widgets of this name on the page; where that fails, the figure stays. */
  function define(name, build) {
    for (const place of document.querySelectorAll(`.widget-live[data-widget="${name}"]`)) {
      const made = html("div");
      build(made, JSON.parse(place.nextElementSibling.textContent));
      place.append(...made.childNodes);
      place.previousElementSibling.hidden = true;
      place.hidden = false;
    }
  }

  return { html, svg, picture, number, fixed, added, slider, button, choice, row, readout, confusion, Axes, player, define };
})();
