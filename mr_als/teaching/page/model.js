// The mathematics: implicit ALS on a small matrix, as mr_als/maths/reference.py has it, row by row.
// A problem is {plays, start, alpha, lambda}: plays[user][item], start the item vectors to begin with.

const transpose = (rows) => rows[0].map((_, column) => rows.map((row) => row[column]));
const dot = (a, b) => a.reduce((sum, value, n) => sum + value * b[n], 0);
const outer = (y) => y.map((left) => y.map((right) => left * right));
const scaled = (matrix, factor) => matrix.map((row) => row.map((value) => factor * value));
const added = (one, other) => one.map((row, n) => row.map((value, m) => value + other[n][m]));
const identity = (rank) => Array.from({ length: rank }, (_, n) => Array.from({ length: rank }, (_, m) => Number(n === m)));
const gram = (vectors) => vectors.map(outer).reduce(added);

// Solve a x = b by elimination, the largest pivot first.
function solve(a, b) {
  const rows = a.map((row, n) => [...row, b[n]]);
  const size = b.length;
  for (let n = 0; n < size; n++) {
    const pivot = rows.slice(n).reduce((best, row, m) => (Math.abs(row[n]) > Math.abs(rows[best][n]) ? n + m : best), n);
    [rows[n], rows[pivot]] = [rows[pivot], rows[n]];
    for (let m = n + 1; m < size; m++) {
      const factor = rows[m][n] / rows[n][n];
      for (let k = n; k <= size; k++) rows[m][k] -= factor * rows[n][k];
    }
  }
  const x = Array(size).fill(0);
  for (let n = size - 1; n >= 0; n--) x[n] = (rows[n][size] - dot(x.slice(n + 1), rows[n].slice(n + 1, size))) / rows[n][n];
  return x;
}

// The terms of a row's equations A x = b, by the Gram trick: only what was played adds to Y'Y.
function equations(row, fixed, alpha, lambda) {
  const shared = gram(fixed);
  const terms = row.flatMap((r, n) => (r > 0 ? [{ n, r, c: 1 + alpha * r, y: fixed[n] }] : []));
  const penalized = added(shared, scaled(identity(shared.length), lambda));
  const a = terms.reduce((sum, { c, y }) => added(sum, scaled(outer(y), c - 1)), penalized);
  const b = shared.map((_, k) => terms.reduce((sum, { c, y }) => sum + c * y[k], 0));
  return { shared, terms, a, b };
}

// Solve all rows; who played nothing has the vector zero.
function solveRows(plays, fixed, alpha, lambda) {
  return plays.map((row) => {
    const { a, b } = equations(row, fixed, alpha, lambda);
    return row.some((r) => r > 0) ? solve(a, b) : b.map(() => 0);
  });
}

// Squared error over all cells, penalty, objective and weighted RMSE.
function losses({ plays, alpha, lambda }, X, Y) {
  let squaredError = 0;
  let confidence = 0;
  let ofZero = 0;
  plays.forEach((row, u) =>
    row.forEach((r, i) => {
      const c = 1 + alpha * r;
      const p = Number(r > 0);
      squaredError += c * (p - dot(X[u], Y[i])) ** 2;
      confidence += c;
      ofZero += c * p;
    }),
  );
  const penalty = lambda * [...X, ...Y].reduce((sum, row) => sum + dot(row, row), 0);
  return { squaredError, penalty, objective: squaredError + penalty, wrmse: Math.sqrt(squaredError / confidence), ofZero };
}

// X, Y and the losses before the first half and after each of `halves` halves, users first.
function run(problem, halves) {
  const { plays, start, alpha, lambda } = problem;
  const turned = transpose(plays);
  let Y = start;
  let X = plays.map(() => start[0].map(() => 0));
  const states = [{ half: 0, solved: "", X, Y, ...losses(problem, X, Y) }];
  for (let half = 1; half <= halves; half++) {
    const solved = half % 2 ? "users" : "items";
    if (half % 2) X = solveRows(plays, Y, alpha, lambda);
    else Y = solveRows(turned, X, alpha, lambda);
    states.push({ half, solved, X, Y, ...losses(problem, X, Y) });
  }
  return states;
}

// After which half a training ends: two user halves whose weighted RMSE hardly differs, or the last one that is allowed.
function lastHalf(problem, tolerance, maxIterations) {
  const states = run(problem, 2 * maxIterations + 1);
  const ends = states.find(
    ({ half, wrmse, objective, ofZero }) =>
      half % 2 === 1 && half > 1 && objective <= 0.999 * ofZero && Math.abs(wrmse - states[half - 2].wrmse) < tolerance * wrmse,
  );
  return ends ? ends.half : states.length - 1;
}

// A number with four decimal places, or fewer if they suffice.
function number(value, digits = 4) {
  let few = 0;
  while (few < digits && Math.abs(value - Number(value.toFixed(few))) >= 5e-10) few++;
  const text = value.toFixed(few);
  return Number(text) === 0 ? text.replace("-", "") : text;
}

const vector = (values) => `(${values.map((value) => number(value)).join(", ")})`;
