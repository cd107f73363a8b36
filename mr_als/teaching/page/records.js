// What travels in a user half on two map tasks and two reduce tasks, and how many bytes each record has: the sizes of
// mr_als/records, array by array. A layout is {names, order, members}: `order` the places by hash, `members` of each block.

const padded = (bytes) => 8 * Math.ceil(bytes / 8);
// magic, checksum and count; then for each array its type, its length and its bytes
const packed = (arrays) => 16 + arrays.reduce((sum, bytes) => sum + 16 + padded(bytes), 0);
// `kind TAB field TAB base64 LF`
const lineBytes = (kind, field, bytes) => kind + field + 3 + 4 * Math.ceil(bytes / 3);
// letters of a block's number, of a numbered piece, of that behind a mark for the order
const BLOCK = 8;
const PIECE = 18;
const ORDERED = 20;
const smallest = (top) => [1, 2, 4, 8].find((bytes) => top < 256 ** bytes);

// The plays of a block: who has some, in hash order, how many pairs, and the bytes of the packed block.
function playsOf(plays, side, block) {
  const rows = side.order.filter((n) => side.members[block].includes(n) && plays[n].some((r) => r > 0));
  const strengths = rows.flatMap((n) => plays[n].filter((r) => r > 0));
  const columns = new Set(rows.flatMap((n) => plays[n].flatMap((r, m) => (r > 0 ? [m] : []))));
  const whole = strengths.every(Number.isInteger);
  const units = strengths.map((r) => (whole ? r : Math.round(r * 65536)));
  const degrees = rows.map((n) => plays[n].filter((r) => r > 0).length);
  const words = rows.reduce((sum, n) => sum + padded(new TextEncoder().encode(side.names[n]).length), 0);
  const wide = (values) => smallest(Math.max(0, ...values));
  const bytes = packed([
    8, 8 * rows.length, 4 * rows.length, words, wide(degrees) * rows.length,
    smallest(Math.max(0, columns.size - 1)) * strengths.length, 8 * columns.size, wide(units) * strengths.length,
  ]);
  return { rows, pairs: strengths.length, columns, bytes };
}

const listed = (side, rows) => rows.map((n) => side.names[n]).join(" ");
const blocksWith = (plays, side) => side.members.map((_, block) => block).filter((block) => playsOf(plays, side, block).pairs);

// What a task that solves has of Y'Y, whatever the join.
const shared = (task, rank) => ({ task, what: data.shared, bytes: packed([8 * rank, 8 * rank * rank]) });

// Every task has all item vectors, and solves the block it reads.
function broadcast(plays, { users, items }, rank) {
  const n = items.names.length;
  const both = packed([8 * rank, 8 * rank * rank, 8 * n, 4 * n * rank]);
  const reads = blocksWith(plays, users).flatMap((block, task) => [
    shared(`map ${task}`, rank),
    { task: `map ${task}`, what: `all ${n} item vectors`, bytes: both - shared("", rank).bytes },
    { task: `map ${task}`, what: `plays of user block ${block}`, bytes: lineBytes(5, PIECE, playsOf(plays, users, block).bytes) },
  ]);
  return { reads, sent: [] };
}

// A task has the vectors of one item block, and sends what these add to A and b of each user.
function fullGrid(plays, { users, items }, rank) {
  const turned = transpose(plays);
  const reads = [0, 1].map((n) => shared(`reduce ${n}`, rank));
  const sent = [];
  items.members.forEach((members, task) => {
    if (!members.length) return;
    const bytes = lineBytes(5, PIECE, playsOf(turned, items, task).bytes);
    reads.push({ task: `map ${task}`, what: `vectors of ${listed(items, members)}`, bytes: members.length * (8 + 4 * rank) });
    reads.push({ task: `map ${task}`, what: "plays of these items", bytes });
    users.members.forEach((of, block) => {
      const rows = of.filter((u) => members.some((i) => plays[u][i] > 0));
      const n = rows.length;
      const numbers = packed([8 * n, 2 * n * rank * (rank + 1), 4 * n * rank]);
      const what = `parts of A and b of ${listed(users, rows)}`;
      if (n) sent.push({ from: `map ${task}`, to: `reduce ${block}`, what, bytes: lineBytes(BLOCK, PIECE, numbers) });
    });
  });
  return { reads, sent };
}

// Plays and vectors of a block meet in its reducer; a vector is sent to the blocks that need it.
function halfGrid(plays, { users, items }, rank) {
  const reads = ["map 0", "map 1", "reduce 0", "reduce 1"].map((task) => shared(task, rank));
  const sent = [];
  const needs = users.members.map((_, block) => playsOf(plays, users, block));
  const turned = transpose(plays);
  users.members.forEach((_, task) => {
    const from = `map ${task}`;
    const vectors = items.order.filter((i) => items.members[task].includes(i) && turned[i].some((r) => r > 0));
    const n = vectors.length;
    const { rows, pairs, bytes } = needs[task];
    if (pairs) {
      reads.push({ task: from, what: `plays of user block ${task}`, bytes: lineBytes(5, PIECE, bytes) });
      const what = `plays of ${listed(users, rows)}, ${pairs} pairs`;
      sent.push({ from, to: `reduce ${task}`, what, bytes: lineBytes(BLOCK, ORDERED, bytes) });
    }
    if (!n) return;
    const file = packed([8, 8 * n, 4 * n * rank, n]);
    reads.push({ task: from, what: `item block ${task}: vectors of ${listed(items, vectors)}`, bytes: lineBytes(7, PIECE, file) });
    needs.forEach(({ columns }, block) => {
      const routed = vectors.filter((i) => columns.has(i));
      const numbers = packed([8 * routed.length, 4 * routed.length * rank]);
      const what = `vectors of ${listed(items, routed)}`;
      if (routed.length) sent.push({ from, to: `reduce ${block}`, what, bytes: lineBytes(BLOCK, ORDERED, numbers) });
    });
  });
  return { reads, sent };
}

const JOINS = { broadcast, "full grid": fullGrid, "half grid": halfGrid };
