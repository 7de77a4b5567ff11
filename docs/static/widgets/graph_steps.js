// Steps forward and backward through a graph of sums and products: each value from the values before it, each
// derivative from the one behind it.
"use strict";

widgets.define("graph_steps", (place, data) => {
  const { html, svg, number } = widgets;
  const names = [...Object.keys(data.inputs), ...data.steps.map((step) => step.name)];
  const result = data.steps.at(-1).name;
  const inputs = { ...data.inputs };

  // --- the rules: the value of a step, and its derivative by one of its factors or summands
  const valueOf = (term, values) => (typeof term === "number" ? term : values[term]);
  const compute = (step, values) =>
    step.of.map((term) => valueOf(term, values)).reduce((a, b) => (step.op === "add" ? a + b : a * b));
  const others = (step, at) => (step.op === "add" ? [1] : step.of.filter((_, i) => i !== at));
  const local = (step, at, values) => others(step, at).reduce((product, term) => product * valueOf(term, values), 1);

  // --- what a step is called in formulas: 2 b c, or a + u; and the same with numbers
  const spelled = (terms, joint) => terms.map((term) => (typeof term === "number" ? number(term) : term)).join(joint);
  const formula = (step) => spelled(step.of, step.op === "add" ? " + " : " ");
  const bracketed = (value) => (value < 0 ? `(${number(value)})` : number(value));
  const numeric = (terms, values, joint) => terms.map((term) => bracketed(valueOf(term, values))).join(joint);

  // --- the whole course: forward, then the seed, then each edge once, backward
  const edges = data.steps.flatMap((step) =>
    step.of.map((from, at) => ({ from, step, at })).filter((edge) => typeof edge.from === "string"),
  );
  const course = [
    { kind: "start" },
    ...data.steps.map((step) => ({ kind: "forward", step })),
    { kind: "seed" },
    ...data.steps.toReversed().flatMap((step) =>
      edges.filter((edge) => edge.step === step).map((edge) => ({ kind: "backward", edge })),
    ),
  ];

  /** All that is known after so many steps, and the sentence for the last one. */
  function follow(count) {
    const state = { values: { ...inputs }, slopes: {}, rules: new Map(), text: "", now: course[count] };
    for (const each of course.slice(0, count + 1)) {
      if (each.kind === "start") {
        state.text = "The inputs are known. Step forward: each node computes its value from those before it.";
      } else if (each.kind === "forward") {
        const { step } = each;
        const value = compute(step, state.values);
        const sum = step.op === "add";
        state.text =
          `Forward: ${step.name} = ${formula(step)} = ` +
          `${numeric(step.of, state.values, sum ? " + " : " · ")} = ${number(value)}.`;
        state.values[step.name] = value;
      } else if (each.kind === "seed") {
        state.slopes[result] = 1;
        state.text = `Now backward. ∂${result}/∂${result} = 1: if ${result} changes, ${result} changes by as much.`;
      } else {
        backward(each.edge, state);
      }
    }
    return state;
  }

  function backward({ from, step, at }, state) {
    const arrived = state.slopes[step.name];
    const rule = local(step, at, state.values);
    const sent = arrived * rule;
    const before = state.slopes[from];
    const factors = others(step, at);
    const symbol = factors.length > 1 || typeof factors[0] === "string" ? ` · ${spelled(factors, " ")}` : "";
    const chain = step.name === result ? `∂${step.name}/∂${from}` : `∂${result}/∂${step.name} · ∂${step.name}/∂${from}`;
    state.text =
      `Backward: ${step.name === result ? "" : `∂${result}/∂${from} = `}${chain} = ` +
      `${symbol ? `${bracketed(arrived)}${symbol} = ` : ""}${bracketed(arrived)} · ` +
      `${numeric(factors, state.values, " · ")} = ${number(sent)}.`;
    if (before !== undefined) state.text += ` A second path: ${number(before)} + ${bracketed(sent)} = ${number(before + sent)}.`;
    state.slopes[from] = (before ?? 0) + sent;
    const key = `${from}>${step.name}`; // one arrow, even where a step has the same factor twice
    state.rules.set(key, (state.rules.get(key) ?? 0) + rule);
  }

  // --- where the nodes stand: a column for each number of steps from the inputs
  const column = {};
  for (const name of Object.keys(inputs)) column[name] = 0;
  for (const step of data.steps) {
    column[step.name] = 1 + Math.max(...step.of.map((term) => (typeof term === "string" ? column[term] : 0)));
  }
  const columns = 1 + Math.max(...Object.values(column));
  const height = 84 * Object.keys(inputs).length;
  const at = {};
  Object.keys(inputs).forEach((name, i) => (at[name] = [34, 42 + 84 * i]));
  for (const step of data.steps) {
    const rows = step.of.filter((term) => typeof term === "string").map((term) => at[term][1]);
    at[step.name] = [34 + (292 * column[step.name]) / (columns - 1), rows.reduce((a, b) => a + b, 0) / rows.length];
  }

  // --- the picture
  const drawing = widgets.picture(height, `The graph of ${result}, with values and derivatives.`);
  const shape = { nodes: {}, edges: {} };
  for (const { from, step } of edges) {
    const key = `${from}>${step.name}`;
    if (shape.edges[key]) continue;
    const [x0, y0] = at[from];
    const [x1, y1] = at[step.name];
    const length = Math.hypot(x1 - x0, y1 - y0);
    const [dx, dy] = [(x1 - x0) / length, (y1 - y0) / length];
    const line = svg("path", { d: `M${x0 + 19 * dx} ${y0 + 19 * dy}L${x1 - 26 * dx} ${y1 - 26 * dy}`, class: "edge" });
    const tip = svg("path", { d: "M0 0L-9 -4.5V4.5Z", class: "tip" });
    const angle = (Math.atan2(dy, dx) * 180) / Math.PI;
    tip.setAttribute("transform", `translate(${x1 - 19 * dx} ${y1 - 19 * dy})rotate(${angle})`);
    const middle = { x: (x0 + x1) / 2 + 9 * dy, y: (y0 + y1) / 2 - 9 * dx + 4, "text-anchor": "middle", class: "rule" };
    shape.edges[key] = { line: svg("g", {}, line, tip), rule: svg("text", { ...middle, "data-edge": key }) };
    drawing.append(shape.edges[key].line);
  }
  for (const name of names) {
    const [x, y] = at[name];
    const circle = svg("circle", { cx: x, cy: y, r: 17 });
    const value = svg("text", { x, y: y - 22, "text-anchor": "middle", class: "value" });
    const slope = svg("text", { x, y: y + 32, "text-anchor": "middle", class: "slope" });
    const label = svg("text", { x, y: y + 4.5, "text-anchor": "middle", class: "name" }, name);
    shape.nodes[name] = { group: svg("g", { "data-node": name }, circle, label, value, slope), value, slope };
    drawing.append(shape.nodes[name].group);
  }
  for (const { rule } of Object.values(shape.edges)) drawing.append(rule);

  // --- the controls
  const fields = widgets.row(place, "widget-graph-inputs");
  for (const name of Object.keys(inputs)) {
    const field = html("input", { type: "number", step: "any", value: inputs[name], inputmode: "decimal" });
    field.addEventListener("input", () => {
      if (!Number.isFinite(field.valueAsNumber)) return; // half typed
      inputs[name] = field.valueAsNumber;
      show();
    });
    fields.append(html("label", { class: "widget-number" }, html("i", {}, name), " = ", field));
  }
  place.append(drawing);
  const text = widgets.readout(place);
  const buttons = widgets.row(place);
  let count = 0;
  const go = (to) => {
    count = Math.max(0, Math.min(course.length - 1, to));
    show();
  };
  const start = widgets.button(buttons, "Start", () => go(0));
  const back = widgets.button(buttons, "Back", () => go(count - 1));
  const step = widgets.button(buttons, "Step", () => go(count + 1));
  const end = widgets.button(buttons, "End", () => go(course.length));

  function show() {
    const state = follow(count);
    const { now } = state;
    for (const name of names) {
      const { group, value, slope } = shape.nodes[name];
      value.textContent = name in state.values ? number(state.values[name]) : "";
      slope.textContent = name in state.slopes ? number(state.slopes[name]) : "";
      const active = now.step?.name === name || now.edge?.from === name || (now.kind === "seed" && name === result);
      group.setAttribute("class", active ? `node ${now.kind}` : "node");
    }
    for (const [key, { line, rule }] of Object.entries(shape.edges)) {
      const [from, to] = key.split(">");
      const forward = now.kind === "forward" && now.step.name === to;
      const backward = now.kind === "backward" && now.edge.from === from && now.edge.step.name === to;
      line.setAttribute("class", forward ? "link forward" : backward ? "link backward" : "link");
      rule.textContent = state.rules.has(key) ? number(state.rules.get(key)) : "";
    }
    text.textContent = state.text;
    start.disabled = back.disabled = count === 0;
    step.disabled = end.disabled = count === course.length - 1;
  }
  show();
});
