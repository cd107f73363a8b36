// Elements, arrows and curves. Colours are classes of the style sheet, so that they follow the reader's light or dark.

// Make an element; a child may be a text.
function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function shape(name, attributes = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

// A new picture in a place of the page, with what a screen reader says of it, and tips for its arrows.
function sheet(place, width, height, words) {
  const tips = ["users", "items", "ink"].map((colour) =>
    shape(
      "marker",
      { id: `${place.id}-${colour}`, viewBox: "0 0 10 10", refX: 9, refY: 5, markerWidth: 6, markerHeight: 6, orient: "auto" },
      shape("path", { class: `fill ${colour}`, d: "M0 0 L10 5 L0 10 z" }),
    ),
  );
  const drawn = shape("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": words }, shape("defs", {}, ...tips));
  place.replaceChildren(drawn);
  return drawn;
}

// Write words, on a ground that hides what lies below.
function write(drawn, x, y, words, css = "", anchor = "middle") {
  drawn.append(shape("text", { class: css, x, y, "text-anchor": anchor }, words));
}

// Round numbers around [low, high]: 1, 2 or 5 times a power of ten apart.
function roundTicks(low, high, about) {
  const span = high - low || Math.abs(high) || 1;
  const power = 10 ** Math.floor(Math.log10(span / about));
  const step = power * [1, 2, 5, 10].find((m) => span / (m * power) <= about);
  const ticks = [];
  for (let n = Math.floor(low / step + 1e-9); (n - 1) * step < high - 1e-9 * span || ticks.length < 2; n++) ticks.push(n * step);
  return ticks;
}

// The frame of a plot: maps data to places, draws ticks and the names of the axes.
function axes(drawn, box, xs, ys, names) {
  const [left, top, right, bottom] = box;
  const x = (value) => left + ((value - xs.low) / (xs.high - xs.low)) * (right - left);
  const y = (value) => bottom - ((value - ys.low) / (ys.high - ys.low)) * (bottom - top);
  for (const tick of xs.ticks) {
    drawn.append(shape("line", { class: "rule", x1: x(tick), x2: x(tick), y1: top, y2: bottom }));
    write(drawn, x(tick), bottom + 15, number(tick, 3), "tick");
  }
  for (const tick of ys.ticks) {
    drawn.append(shape("line", { class: "rule", x1: left, x2: right, y1: y(tick), y2: y(tick) }));
    write(drawn, left - 5, y(tick) + 4, number(tick, 3), "tick", "end");
  }
  drawn.append(shape("path", { class: "axis", d: `M${left} ${top} V${bottom} H${right}` }));
  write(drawn, (left + right) / 2, bottom + 32, names[0], "tick");
  write(drawn, left, top - 9, names[1], "tick", "start");
  return { x, y };
}

// Vectors as arrows from the origin. `groups` are {names, vectors, css}; `tips` all places that must fit in.
function drawArrows(place, groups, tips, names, words) {
  const flat = (vectors) => vectors.map((v) => [v[0], v[1] ?? 0]);
  const every = [...flat(tips), [0, 0]];
  const ends = [0, 1].map((n) => [Math.min(...every.map((v) => v[n])) - 0.12, Math.max(...every.map((v) => v[n])) + 0.16]);
  const width = 440;
  // a unit is as long across as up, within what is bearable; so angles are angles
  const unit = Math.min((width - 60) / (ends[0][1] - ends[0][0]), 330 / (ends[1][1] - ends[1][0]));
  const across = (width - 60) / unit - (ends[0][1] - ends[0][0]);
  const scales = ends.map(([low, high], n) => ({ low: low - (n ? 0 : across / 2), high: high + (n ? 0 : across / 2) }));
  for (const s of scales) s.ticks = roundTicks(s.low, s.high, 5).filter((tick) => tick >= s.low && tick <= s.high);
  const height = unit * (ends[1][1] - ends[1][0]);
  const drawn = sheet(place, width, height + 70, words);
  const { x, y } = axes(drawn, [45, 28, width - 15, 28 + height], scales[0], scales[1], names);
  const labels = [];
  for (const { names: ids, vectors, css } of groups) {
    flat(vectors).forEach(([a, b], n) => {
      if (Math.hypot(a, b) < 1e-3) return;
      const line = { x1: x(0), y1: y(0), x2: x(a), y2: y(b), class: `line ${css}`, "marker-end": `url(#${place.id}-${css})` };
      drawn.append(shape("line", line));
      const near = labels.find((label) => label.css === css && Math.hypot(label.x - x(a), label.y - y(b)) < 9);
      if (near) near.words += `, ${ids[n]}`;
      else labels.push({ words: ids[n], x: x(a), y: y(b), angle: Math.atan2(y(b) - y(0), x(a) - x(0)), css });
    });
  }
  placeLabels(drawn, labels, [45, 28, width - 2, 28 + height], [x(0), y(0)]);
}

// Write names beside the tips of arrows, each where it covers least of other names and of arrows.
function placeLabels(drawn, labels, frame, origin) {
  const shafts = labels.flatMap((label) =>
    [...Array(30).keys()].map((n) => [0, 1].map((k) => origin[k] + ((n + 1) / 30) * ([label.x, label.y][k] - origin[k]))),
  );
  const taken = [];
  for (const { words, x, y, angle, css } of labels) {
    const half = 4 * words.length + 2;
    const turns = [0, 0.5, -0.5, 1, -1, 1.6, -1.6, 2.3, -2.3, 3].map((turn) => angle + turn);
    const places = [10, 18, 27].flatMap((r) => turns.map((at) => [x + Math.cos(at) * (r + half), y + Math.sin(at) * (r + 2)]));
    const covered = ([a, b]) =>
      1000 * (a - half < frame[0] || a + half > frame[2] || b - 8 < frame[1] - 18 || b + 8 > frame[3]) +
      100 * taken.filter((t) => Math.abs(a - t.a) < half + t.half && Math.abs(b - t.b) < 15).length +
      shafts.filter((point) => Math.abs(point[0] - a) < half && Math.abs(point[1] - b) < 8).length;
    const [a, b] = places.reduce((best, one) => (covered(one) < covered(best) ? one : best));
    taken.push({ a, b, half });
    write(drawn, a, b + 4, words, `name ${css}`);
  }
}

// One figure over the halves: a dot for each half in the colour of the side that it solved, the last one larger.
function drawHistory(place, states, figure, words) {
  const drawn = sheet(place, 300, 170, words);
  const values = states.map((state) => state[figure]);
  const ys = { ticks: roundTicks(Math.min(...values), Math.max(...values), 3) };
  [ys.low, ys.high] = [ys.ticks[0], ys.ticks[ys.ticks.length - 1]];
  const last = Math.max(states[states.length - 1].half, 4);
  const xs = { low: 0, high: last, ticks: roundTicks(0, last, 5).filter((tick) => tick <= last && Number.isInteger(tick)) };
  const { x, y } = axes(drawn, [50, 26, 290, 130], xs, ys, ["half", figure === "wrmse" ? "weighted RMSE" : "objective"]);
  drawn.append(shape("polyline", { class: "thread", points: states.map((s) => `${x(s.half)},${y(s[figure])}`).join(" ") }));
  states.forEach((s, n) => {
    const css = s.solved || "ink";
    drawn.append(shape("circle", { class: `fill ${css}`, cx: x(s.half), cy: y(s[figure]), r: n === states.length - 1 ? 5.5 : 3 }));
  });
}

// Call `draw(share)` with shares from 0 to 1, in steps as the screen shows them; at once where motion is not wanted.
let moving = 0;
function animate(draw) {
  cancelAnimationFrame(moving);
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) {
    draw(1);
    return;
  }
  const begun = performance.now();
  const frame = (now) => {
    const share = Math.min(Math.max((now - begun) / 450, 0), 1);
    draw(share * (2 - share));
    moving = share < 1 ? requestAnimationFrame(frame) : 0;
  };
  moving = requestAnimationFrame(frame);
}
