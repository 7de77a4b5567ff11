// A convolution: nine products and their sum, at each position of an image; the sums are the map of the filter.
"use strict";

widgets.define("convolution", (place, data) => {
  const { svg, number, added } = widgets;
  const image = data.image;
  const brightest = Math.max(...image.flat());
  const [rows, columns] = [image.length, image[0].length];
  const names = Object.keys(data.filters);
  let name = names[0];
  let done = 0;

  const pixel = (i, j) => image[i]?.[j] ?? 0; // outside of the image there are zeros
  const window9 = (i, j) => [0, 1, 2].map((k) => [0, 1, 2].map((l) => pixel(i + k - 1, j + l - 1)));
  const products = (i, j) => window9(i, j).map((line, k) => line.map((value, l) => value * data.filters[name][k][l]));
  const total = (values) => values.flat().reduce((a, b) => a + b, 0);

  const picture = widgets.picture(292, "An image, a filter that slides over it, and the map of the sums.");
  const cell = Math.min(13, 130 / (columns + 2));
  const tile = (x, y, size, extra = {}) => svg("rect", { x, y, width: size, height: size, ...extra });
  /** Red for what is positive, blue for what is negative, the more so the larger. */
  const shade = (rect, value, largest, colour) => {
    rect.setAttribute("fill", colour ?? (value < 0 ? "var(--blue)" : "var(--red)"));
    rect.setAttribute("fill-opacity", Math.min(1, Math.abs(value) / largest));
  };
  const title = (x, y, words) => picture.append(svg("text", { x, y, "text-anchor": "middle" }, words));
  const across = (columns + 2) * cell;
  const [left, right, top] = [10, 350 - across, 22];

  title(left + across / 2, 14, "image");
  title(right + across / 2, 14, "map");
  picture.append(tile(left, top, across, { class: "frame faint" }), tile(right + cell, top + cell, across - 2 * cell, { class: "frame" }));
  picture.append(tile(left + cell, top + cell, across - 2 * cell, { class: "frame" }));
  const sums = [];
  image.forEach((line, i) =>
    line.forEach((value, j) => {
      const seen = tile(left + (j + 1) * cell, top + (i + 1) * cell, cell);
      shade(seen, value, brightest, "currentColor");
      const sum = tile(right + (j + 1) * cell, top + (i + 1) * cell, cell, { fill: "transparent", class: "sum" });
      sum.addEventListener("pointerdown", () => go(i * columns + j));
      sums.push(sum);
      picture.append(seen, sum);
    }),
  );
  const frame = tile(0, 0, 3 * cell, { class: "window" });
  const target = tile(0, 0, cell, { class: "window" });
  picture.append(frame, target);

  /** A table of three by three numbers. */
  function table(x, words) {
    title(x + 48, 184, words);
    return [0, 1, 2].map((k) =>
      [0, 1, 2].map((l) => {
        const rect = tile(x + 32 * l, 192 + 26 * k, 32, { height: 26, class: "frame" });
        rect.setAttribute("height", 26);
        const label = svg("text", { x: x + 32 * l + 16, y: 192 + 26 * k + 17, "text-anchor": "middle" });
        picture.append(rect, label);
        return { rect, label };
      }),
    );
  }
  const tables = [table(8, "pixels"), table(132, "filter"), table(256, "products")];
  title(118, 235, "·");
  title(242, 235, "=");

  function show() {
    const [i, j] = [Math.floor(done / columns), done % columns];
    const kernel = data.filters[name];
    const largest = Math.max(...kernel.flat().map(Math.abs));
    const reach = Math.max(...image.flatMap((line, k) => line.map((_, l) => Math.abs(total(products(k, l))))));
    sums.forEach((sum, k) =>
      k > done ? sum.setAttribute("fill-opacity", 0) : shade(sum, total(products(Math.floor(k / columns), k % columns)), reach),
    );
    frame.setAttribute("x", left + j * cell);
    frame.setAttribute("y", top + i * cell);
    target.setAttribute("x", right + (j + 1) * cell);
    target.setAttribute("y", top + (i + 1) * cell);
    const [seen, multiplied] = [window9(i, j), products(i, j)];
    for (const [k, l] of [0, 1, 2].flatMap((a) => [0, 1, 2].map((c) => [a, c]))) {
      const values = [seen[k][l], kernel[k][l], multiplied[k][l]];
      tables.forEach((each, t) => {
        each[k][l].label.textContent = number(values[t], 2);
        const most = [brightest, largest, brightest * largest][t];
        shade(each[k][l].rect, values[t] * 0.45, most, t ? undefined : "currentColor"); // pale: numbers stand there
      });
    }
    const terms = multiplied.flat().filter((value) => value !== 0);
    text.textContent =
      `Row ${i + 1}, column ${j + 1}: the sum of the products is ${terms.length > 1 ? `${added(terms, 4)} = ` : ""}` +
      `${number(total(multiplied), 4)}.`;
    slider.value = done + 1;
    slider.show();
  }
  const go = (to) => {
    done = Math.max(0, Math.min(rows * columns - 1, to));
    show();
  };

  place.append(picture);
  const text = widgets.readout(place);
  const range = { label: "position", min: 1, max: rows * columns, step: 1, value: 1 };
  const slider = widgets.slider(place, range, (value) => go(value - 1));
  const options = Object.fromEntries(names.map((each) => [each, each]));
  widgets.choice(place, "The filter finds", options, name, (chosen) => {
    name = chosen;
    show();
  });
  const buttons = widgets.row(place);
  widgets.button(buttons, "Back", () => go(done - 1));
  widgets.button(buttons, "Step", () => go(done + 1));
  widgets.player(buttons, "Play", () => {
    go(done + 1);
    return done < rows * columns - 1;
  }, 180);
  show();
});
