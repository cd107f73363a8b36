// What a training of industrial size takes: the cost model of mr_als/planning/estimate.py, for the assumptions of
// mr_als/teaching/industry.py. `known` holds the constants of both.

const vectorBytes = (n, rank) => n * (8 + 4 * rank);

// Bytes of the half that solves a side: plays read, vectors sent, vectors copied to each machine, vectors written.
function halfBytes(sizes, side, join) {
  const { rank, rows, blocks, plays, vectors } = sizes;
  const routes = join === "broadcast" ? 0 : Math.ceil(blocks / 8);
  const written = vectorBytes(rows[side], rank) + routes * rows[side] + 88 * blocks;
  if (join === "broadcast") return { read: plays, sent: 0, copied: vectorBytes(rows[1 - side], rank), written };
  return { read: plays, sent: vectorBytes(vectors[side], rank) + 56 * blocks * blocks, copied: 0, written };
}

// Seconds of moving a half's bytes on `nodes` machines, by what is waited for.
function movingSeconds(moved, join, nodes, a, known) {
  const passed = moved.read * (join === "shuffle" ? 2 : 1) + moved.sent;
  const each = (known.base64 / nodes) * a.slowest;
  return {
    network: (each * (passed + (known.replicas - 1) * moved.written)) / a.network + moved.copied / a.network,
    disk: (each * (a.touches * passed + known.replicas * moved.written)) / a.disk + moved.copied / a.disk,
    coding: (each * 2 * (passed + moved.written)) / (a.coded * a.cores),
  };
}

// All figures of a training: bytes, the seconds of an average half and what they are made of, hours and node-hours.
function extrapolate(a, scale, join, known) {
  const pairs = Math.min(Math.round(scale.plays / a.plays_per_pair), scale.users * scale.items);
  const rows = [scale.users, scale.items];
  const routed = [1, 0].map((side) => Math.min(a.distinct * pairs, rows[side] * scale.blocks));
  const sizes = { rank: a.rank, rows, blocks: scale.blocks, plays: pairs * a.bytes_per_play, vectors: routed };
  // a block is solved by one core
  const cores = Math.min(a.nodes * a.cores, scale.blocks);
  const solving = (pairs / a.pairs_a_second / cores) * a.slowest;
  const parts = { starting: a.job_seconds, solving, network: 0, disk: 0, coding: 0 };
  for (const side of [0, 1]) {
    const moving = movingSeconds(halfBytes(sizes, side, join), join, Math.min(a.nodes, cores), a, known);
    for (const [name, seconds] of Object.entries(moving)) parts[name] += seconds / 2;
  }
  const half = Object.values(parts).reduce((sum, seconds) => sum + seconds);
  const moved = halfBytes(sizes, 0, join);
  const hours = (2 * a.iterations * half) / 3600;
  return {
    pairs, plays: 2 * sizes.plays, user_vectors: vectorBytes(rows[0], a.rank), item_vectors: vectorBytes(rows[1], a.rank),
    sent: join === "shuffle" ? known.base64 * (moved.read + moved.sent) : a.nodes * moved.copied,
    parts, half, hours, node_hours: hours * a.nodes,
  };
}

// Bytes, and numbers of things, in powers of a thousand.
function inUnits(value, units) {
  let n = 0;
  while (value >= 1000 && n < units.length - 1) [value, n] = [value / 1000, n + 1];
  return `${Number(value.toPrecision(3))}${units[n]}`;
}
const size = (bytes) => inUnits(bytes, [" B", " kB", " MB", " GB", " TB"]);
const count = (n) => inUnits(n, ["", "k", "M", "G", "T"]);
