// The matrix, its halves, and the sum that solves a row. What is seen follows from `state` alone.

const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const state = {
  plays: data.plays.map((row) => [...row]), alpha: data.alpha, lambda: data.lambda, half: 0, side: "users", row: data.user,
};
const lastAllowed = 2 * data.maxIterations + 1;
const problem = () => ({ plays: state.plays, start: data.start, alpha: state.alpha, lambda: state.lambda });
const nextSide = () => (state.half % 2 ? "items" : "users");
// the largest number that a field takes
const MOST = 1e6;
let cells = [];
let pictured = null;

// What a cell may show below its plays.
const VIEWS = {
  score: (r, s) => s,
  preference: (r) => Number(r > 0),
  confidence: (r) => 1 + state.alpha * r,
  error: (r, s) => (1 + state.alpha * r) * (Number(r > 0) - s) ** 2,
};

function buildTable() {
  const head = element("tr", {}, element("th", { scope: "col" }, element("span", { class: "hidden" }, "user")));
  data.items.forEach((item, i) => head.append(element("th", { scope: "col" }, rowButton("items", i, item))));
  byId("plays").append(element("thead", {}, head));
  const body = element("tbody");
  cells = data.users.map((user, u) => {
    const row = element("tr", {}, element("th", { scope: "row" }, rowButton("users", u, user)));
    const made = data.items.map((item, i) => {
      const input = element("input", { type: "number", min: 0, max: MOST, step: "any", inputmode: "decimal" });
      input.value = state.plays[u][i];
      input.setAttribute("aria-label", `plays of ${item} by ${user}`);
      input.addEventListener("input", () => edit(input, (value) => (state.plays[u][i] = value), 0));
      const shown = element("span", { class: "value" });
      const cell = element("td", {}, input, shown);
      row.append(cell);
      return { cell, shown };
    });
    body.append(row);
    return made;
  });
  byId("plays").append(body);
}

function rowButton(side, row, name) {
  const button = element("button", { type: "button", class: `row ${side}` }, name);
  button.setAttribute("aria-label", `${name}: show how its vector is solved`);
  button.addEventListener("click", () => {
    show(side, row);
    byId("row-title").focus();
    byId("row").scrollIntoView({ block: "start" });
  });
  return button;
}

// Take a number from a field if it is one that may be, and say so if not.
function edit(input, take, least) {
  const value = input.value === "" ? 0 : Number(input.value);
  const good = Number.isFinite(value) && value >= least && value <= MOST;
  input.setAttribute("aria-invalid", String(!good));
  if (!good) return;
  take(value);
  render();
}

function show(side, row) {
  Object.assign(state, { side, row });
  render();
}

function step(half, words = "") {
  state.half = Math.min(Math.max(half, 0), lastAllowed);
  render(words);
}

function render(words = "") {
  // enough of them for axes that stay as they are while one steps
  const every = run(problem(), Math.max(state.half, Math.min(lastAllowed, 41)));
  const now = every[state.half];
  byId("next").textContent = `Next half: solve the ${nextSide()}`;
  byId("next").disabled = state.half === lastAllowed;
  byId("back").disabled = byId("restart").disabled = state.half === 0;
  const done = state.half ? `After half ${state.half}, ${now.solved} solved` : "At the start, all users at zero";
  byId("status").textContent = `${words}${done}: objective ${number(now.objective)}, weighted RMSE ${number(now.wrmse)}.`;
  renderCells(now);
  renderPictures(every, now);
  renderHistory(every);
  renderRow(now);
  for (const listener of state.listeners ?? []) listener();
}

function renderCells({ X, Y }) {
  const view = byId("view").value;
  const values = state.plays.map((row, u) => row.map((r, i) => VIEWS[view](r, dot(X[u], Y[i]))));
  const most = Math.max(...values.flat().map(Math.abs), view === "score" ? 1 : 1e-9);
  values.forEach((row, u) =>
    row.forEach((value, i) => {
      const { cell, shown } = cells[u][i];
      shown.textContent = number(value, 2);
      cell.className = `${value < 0 ? "below" : ""} ${state.plays[u][i] > 0 ? "played" : ""}`;
      cell.style.setProperty("--share", `${Math.round((45 * Math.abs(value)) / most)}%`);
    }),
  );
}

function renderPictures(every, now) {
  const tips = every.flatMap(({ X, Y }) => [...X, ...Y]);
  const rank = data.start[0].length;
  const axisNames = ["first number of a vector", rank > 2 ? `second number (of ${rank})` : "second number"];
  const before = pictured ?? now;
  const between = (from, to, share) => to.map((row, n) => row.map((value, k) => from[n][k] + share * (value - from[n][k])));
  const spoken = (names, vectors) => names.map((name, n) => `${name} ${vector(vectors[n])}`).join(", ");
  const words = `Vectors as arrows. Users: ${spoken(data.users, now.X)}. Items: ${spoken(data.items, now.Y)}.`;
  animate((share) => {
    pictured = { X: between(before.X, now.X, share), Y: between(before.Y, now.Y, share) };
    const groups = [
      { names: data.users, vectors: pictured.X, css: "users" },
      { names: data.items, vectors: pictured.Y, css: "items" },
    ];
    drawArrows(byId("arrows"), groups, tips, axisNames, words);
  });
}

function renderHistory(every) {
  // the start is so far off that nothing else would be seen beside it
  const states = every.slice(Math.min(1, state.half), state.half + 1);
  for (const [id, figure, name] of [["objective", "objective", "Objective"], ["wrmse", "wrmse", "Weighted RMSE"]]) {
    drawHistory(byId(id), states, figure, `${name} after each half: ${states.map((s) => number(s[figure])).join(", ")}`);
  }
  const rows = states.map((s) => {
    const figures = [s.wrmse, s.squaredError, s.penalty, s.objective].map((value) => number(value));
    return element("tr", {}, ...[String(s.half), s.solved || "start", ...figures].map((text) => element("td", {}, text)));
  });
  byId("history").replaceChildren(...rows);
}

// Formulas in MathML, which browsers draw and screen readers speak.
const math = (name, ...children) => {
  const made = document.createElementNS("http://www.w3.org/1998/Math/MathML", name);
  made.append(...children);
  return made;
};
const spelled = (value) => math("mn", number(value));
function matrixOf(values) {
  const rows = values.map((row) => math("mtr", ...row.map((value) => math("mtd", spelled(value)))));
  const made = math("mtable", ...rows);
  made.label = values.map((row) => row.map((value) => number(value)).join(", ")).join("; ");
  return made;
}
const column = (values) => matrixOf(values.map((value) => [value]));
// a term of a sum: what stands before it, the matrix in the brackets of the style sheet, and below it where it comes from
function term(before, values, below) {
  const formula = math("math", ...(before ? [math("mtext", before)] : []), values);
  formula.setAttribute("aria-label", `${before} [${values.label}]`);
  return element("span", { class: "term" }, formula, element("small", {}, below));
}

// Fill in the sum that solves the row that was chosen, the other side as it is now.
function renderRow({ X, Y }) {
  const { side, row, lambda, alpha } = state;
  const users = side === "users";
  const [names, others, fixed, own] = users ? [data.users, data.items, Y, X] : [data.items, data.users, X, Y];
  const plays = users ? state.plays[row] : state.plays.map((of) => of[row]);
  const letter = users ? "Y" : "X";
  byId("row-title").textContent = `The sum that solves ${names[row]}`;
  byId("row-choice").value = `${side} ${row}`;
  const { shared, terms, a, b } = equations(plays, fixed, alpha, lambda);
  if (!terms.length || !fixed.some((f) => f.some((value) => value !== 0))) {
    const atZero = `The ${users ? "items" : "users"} are all at zero: solve them first.`;
    byId("sum").replaceChildren(element("p", {}, terms.length ? atZero : "Without plays, a vector is zero."));
    return;
  }
  const x = solve(a, b);
  const plural = (r) => `${number(r)} play${r === 1 ? "" : "s"}`;
  const confidence = (r, c) => `c = 1 + ${number(alpha)} × ${number(r)} = ${number(c)}`;
  const weights = terms.map(({ n, r, c }) => `${others[n]} with ${plural(r)} has ${confidence(r, c)}`);
  const moves = `Now ${names[row]} is at ${vector(own[row])}; a half that solves the ${side} moves it to x.`;
  const isThere = own[row].every((value, k) => Math.abs(value - x[k]) < 1e-9);
  const parts = [
    element("p", {}, `The ${users ? "items" : "users"} are fixed where they are now. ${weights.join("; ")}.`),
    line(
      term("A =", matrixOf(shared), `${letter}′${letter}, for all ${side}`),
      ...terms.map(({ n, c, y }) => term(`+ ${number(c - 1)}`, matrixOf(outer(y)), `${others[n]}: c − 1`)),
      term(`+ ${number(lambda)}`, matrixOf(identity(b.length)), "lambda"),
      term("=", matrixOf(a), "A"),
    ),
    line(
      ...terms.map(({ n, c, y }, k) => term(`${k ? "+" : "b ="} ${number(c)}`, column(y), `${others[n]}: c`)),
      term("=", column(b), "b"),
    ),
    line(...inverse(a, b), term("x = A⁻¹ b =", column(x), names[row])),
    element("p", {}, isThere ? `This is the vector of ${names[row]}, as it is now.` : moves),
    scoresOf(users, others, plays, fixed, x),
  ];
  byId("sum").replaceChildren(...parts);
}

const line = (...terms) => element("div", { class: "sum" }, ...terms);

// The inverse of a 2 x 2 matrix can be written down.
function inverse(a, b) {
  if (b.length !== 2) return [];
  const det = a[0][0] * a[1][1] - a[0][1] * a[1][0];
  const swapped = [[a[1][1], -a[0][1]], [-a[1][0], a[0][0]]];
  const words = `${number(a[0][0])} × ${number(a[1][1])} − ${number(a[0][1])} × ${number(a[1][0])} = ${number(det)}`;
  const below = "diagonal swapped, rest negated";
  return [element("span", { class: "term" }, `det A = ${words}`), term(`A⁻¹ = 1/${number(det)}`, matrixOf(swapped), below)];
}

function scoresOf(users, others, plays, fixed, x) {
  const scores = fixed.map((f) => dot(f, x));
  const fresh = others.map((_, n) => n).filter((n) => !(plays[n] > 0)).sort((m, n) => scores[n] - scores[m]);
  const listed = fresh.map((n) => `${others[n]} ${number(scores[n])}`).join(", ");
  const words = users ? "Not played yet, best score x·y first" : "Users who have not played it, best score x·y first";
  return element("p", {}, fresh.length ? `${words}: ${listed}.` : "Nothing is left to recommend: all was played.");
}

function buildControls() {
  for (const name of ["alpha", "lambda"]) {
    const field = byId(name);
    const slider = byId(`${name}-slider`);
    field.value = state[name];
    const follow = () => {
      slider.value = Math.log10(state[name]);
      slider.setAttribute("aria-valuetext", number(state[name], 3));
    };
    field.addEventListener("input", () => edit(field, (value) => { state[name] = value; follow(); }, 1e-6));
    slider.addEventListener("input", () => {
      state[name] = Number((10 ** slider.value).toPrecision(2));
      field.value = state[name];
      follow();
      render();
    });
    follow();
  }
  const choice = byId("row-choice");
  for (const [side, names] of [["users", data.users], ["items", data.items]]) {
    const options = names.map((name, n) => element("option", { value: `${side} ${n}` }, name));
    choice.append(element("optgroup", { label: side }, ...options));
  }
  choice.addEventListener("change", () => {
    const [side, row] = choice.value.split(" ");
    show(side, Number(row));
  });
  byId("view").addEventListener("change", () => render());
  byId("next").addEventListener("click", () => step(state.half + 1));
  byId("back").addEventListener("click", () => step(state.half - 1));
  byId("restart").addEventListener("click", () => step(0));
  byId("finish").addEventListener("click", () => {
    const half = lastHalf(problem(), data.tolerance, data.maxIterations);
    const settled = `the weighted RMSE changed by less than ${100 * data.tolerance} % since the last user half`;
    step(half, `It stops here: ${half < lastAllowed ? settled : "no more halves are allowed"}. `);
  });
}

buildTable();
buildControls();
