// Two machines: which records a user half sends under each join, and what is done again when something dies.

const MACHINES = ["machine 0", "machine 1"];
const HOW = {
  broadcast: "Every map task gets all item vectors, and solves the users of its block.",
  "full grid": "A map task has one item block's vectors, and sends what these add to each A and b; reduce tasks add up.",
  "half grid": "Each item vector goes to the user blocks that need it; a reduce task has a block's plays and vectors, and solves.",
};
const told = { at: 0 };
const numberOf = (task) => Number(task.split(" ")[1]);

// The steps of a half: what is read and sent in each, and where tasks run; `dead` is a task, a machine or nothing.
function story(join, dead) {
  const { reads, sent } = JOINS[join](state.plays, data.layout, data.start[0].length);
  const maps = reads.filter(({ task }) => task.startsWith("map"));
  const reduces = reads.filter(({ task }) => task.startsWith("reduce"));
  const isMachine = MACHINES.includes(dead);
  const steps = [{ words: "Map tasks read their files.", reads: maps }];
  if (dead.startsWith("map") || (isMachine && join === "broadcast")) steps.push(...mapDies(dead, isMachine, maps));
  if (join === "broadcast") {
    steps.push({ words: "Map tasks solve the users of their block, and write the vectors. Nothing is shuffled.", done: true });
  } else {
    steps.push({ words: "Records travel from map to reduce: a block's number says which reduce task gets it.", sent });
    if (dead.startsWith("reduce") || isMachine) steps.push(...reduceDies(dead, isMachine, maps, sent));
    const how = join === "full grid" ? "add up the parts" : "join plays and vectors";
    steps.push({ words: `Reduce tasks ${how}, solve each user, and write the vectors.`, reads: reduces, done: true });
  }
  const same = " The bytes are the same as if nothing had died: a task's output depends only on its input.";
  if (dead !== "nothing") steps[steps.length - 1].words += same;
  return steps;
}

// A task starts again on the other machine; of a lost machine's files the file system has a copy there.
function again(task, isMachine, words, records) {
  const number = numberOf(task);
  const moved = { [task]: 1 - number, ...(isMachine ? { [`file ${number}`]: 1 - number } : {}) };
  return { words: `${task} starts again on machine ${1 - number}, ${words}`, again: true, moved, ...records };
}

function mapDies(dead, isMachine, maps) {
  const task = `map ${numberOf(dead)}`;
  const thrown = `Whatever ${task} had written is in the attempt's own folder, which is discarded; nobody has read from it.`;
  const reads = maps.filter((read) => read.task === task);
  const from = isMachine ? "from a copy of its files." : "and reads the same files.";
  return [{ words: `${dead} dies. ${thrown}`, dead }, again(task, isMachine, from, { reads })];
}

// By now the map tasks have finished; what they wrote is lost only with its machine, and needed only by the lost reduce task.
function reduceDies(dead, isMachine, maps, sent) {
  const number = numberOf(dead);
  const [map, reduce] = [`map ${number}`, `reduce ${number}`];
  const fetched = again(reduce, isMachine, "and fetches its records again.", { sent: sent.filter(({ to }) => to === reduce) });
  const gone = `${dead} dies. What it had fetched is gone; the map tasks' files are still there.`;
  if (!isMachine) return [{ words: gone, dead }, fetched];
  const lost = `${dead} dies: what ${map} wrote lay on its disk, what ${reduce} had fetched was in its memory.`;
  const from = `from a copy of its files; reduce ${1 - number} has its records already.`;
  return [{ words: lost, dead }, again(map, true, from, { reads: maps.filter(({ task }) => task === map) }), fetched];
}

// Where each task runs after some steps.
const placesAfter = (steps) => Object.assign({}, ...steps.map(({ moved }) => moved ?? {}));
const machineOf = (task, places) => places[task] ?? numberOf(task);

function renderMachines() {
  const join = document.querySelector("input[name=join]:checked").value;
  const tasks = join === "broadcast" ? ["map 0", "map 1"] : ["map 0", "map 1", "reduce 0", "reduce 1"];
  const chooser = byId("dead");
  const chosen = ["nothing", ...tasks, ...MACHINES].includes(chooser.value) ? chooser.value : "nothing";
  chooser.replaceChildren(...["nothing", ...tasks, ...MACHINES].map((name) => element("option", {}, name)));
  chooser.value = chosen;
  const steps = story(join, chosen);
  told.at = Math.min(told.at, steps.length);
  const seen = steps.slice(0, told.at);
  byId("machine-next").disabled = told.at === steps.length;
  byId("machine-back").disabled = told.at === 0;
  const places = placesAfter(seen);
  const begun = told.at && `Step ${told.at} of ${steps.length}. ${seen[told.at - 1].words} ${totals(seen)}`;
  byId("machine-status").textContent = begun || `${HOW[join]} ${steps.length} steps follow.`;
  renderRecords(seen);
  drawMachines(join, seen, places);
}

// All records of some steps, each with the machines between which it went.
function recordsOf(steps) {
  return steps.flatMap((step, n) => {
    const places = placesAfter(steps.slice(0, n + 1));
    const read = (step.reads ?? []).map((r) => ({ ...r, way: `file → ${r.task}`, network: false }));
    const sent = (step.sent ?? []).map((r) => {
      const network = machineOf(r.from, places) !== machineOf(r.to, places);
      return { ...r, way: `${r.from} → ${r.to}`, network };
    });
    return [...read, ...sent].map((r) => ({ ...r, again: Boolean(step.again), step: n + 1 }));
  });
}

function totals(steps) {
  const records = recordsOf(steps);
  const sum = (keep) => records.filter(keep).reduce((all, { bytes }) => all + bytes, 0);
  const [read, sent, between, twice] = [(r) => !r.from, (r) => r.from, (r) => r.network, (r) => r.again].map(sum);
  const once = `So far ${read} bytes read, ${sent} sent, ${between} of these between machines`;
  return twice ? `${once}; ${twice} were read or sent again.` : `${once}.`;
}

function renderRecords(steps) {
  const rows = recordsOf(steps).map((r) => {
    const notes = [r.again ? "again" : "", r.network ? "between machines" : ""].filter(Boolean).join(", ");
    const way = element("td", {}, r.way, element("small", {}, notes));
    const [step, what, bytes] = [r.step, r.what, r.bytes].map((text) => element("td", {}, String(text)));
    return element("tr", r.step === steps.length ? { class: "new" } : {}, step, what, way, bytes);
  });
  byId("records").replaceChildren(...rows);
}

const ROWS = { file: 36, map: 130, reduce: 250, out: 340 };

// Draw both machines side by side: files above, map tasks, reduce tasks, vectors below; the arrows of the last step.
function drawMachines(join, steps, places) {
  const last = steps[steps.length - 1] ?? {};
  const inReduce = join !== "broadcast";
  const drawn = sheet(byId("machines-picture"), 380, 392, `Two machines. ${last.words ?? ""}`);
  const lost = MACHINES.map((name) => steps.some((step) => step.dead === name));
  lost.forEach((dead, machine) => {
    const frame = { x: 10 + 186 * machine, y: 6, width: 176, height: 380, rx: 10 };
    drawn.append(shape("rect", { class: `machine ${dead ? "dead" : ""}`, ...frame }));
    write(drawn, 98 + 186 * machine, 26, `${MACHINES[machine]}${dead ? " is dead" : ""}`, "tick");
  });
  for (const n of [0, 1]) {
    const members = data.layout.users.members[n].map((u) => data.users[u]);
    const solved = members.join(" ").length > 14 ? `${members.length} users` : members.join(" ") || "nobody";
    const solver = inReduce ? "reduce" : "map";
    const boxes = [[`file ${n}`, `files ${n}`, "file"], [`map ${n}`, `map ${n}`, "task"]];
    if (inReduce) boxes.push([`reduce ${n}`, `reduce ${n}`, "task"]);
    if (last.done) boxes.push([`out ${n}`, `x of ${solved}`, "users"]);
    for (const [name, words, css] of boxes) {
      const task = name.replace("out", solver);
      const [x, y, width] = placeOf(name, task, places);
      const dies = last.dead === task;
      if (lost[machineOf(task, places)] && !last.dead) continue;
      const elsewhere = { file: `copy of ${n}`, task: `${words} again`, users: words }[css];
      const shown = dies ? `${words} is dead` : machineOf(task, places) === n ? words : elsewhere;
      drawn.append(shape("rect", { class: `box ${dies ? "dead" : css}`, x: x - width / 2, y, width, height: 38, rx: 6 }));
      write(drawn, x, y + 24, shown, 8.6 * shown.length > width ? "small" : "");
    }
  }
  drawTravel(drawn, last, places);
}

// The middle, the top and the width of a box: where two of a kind are on one machine, they share its width.
function placeOf(name, task, places) {
  const machine = machineOf(task, places);
  const other = task.replace(/\d/, (digit) => 1 - digit);
  const shared = machineOf(other, places) === machine;
  const [shift, width] = shared ? (machine === numberOf(task) ? [-47, 62] : [33, 90]) : [0, 156];
  return [98 + 186 * machine + shift, ROWS[name.split(" ")[0]], width];
}

// Arrows with bytes for what one step reads and sends, and a dot on the way of each.
function drawTravel(drawn, step, places) {
  const ways = {};
  const add = (from, to, bytes) => (ways[`${from} ${to}`] ??= { from, to, bytes: [] }).bytes.push(bytes);
  for (const { task, bytes } of step.reads ?? []) if (task.startsWith("map")) add(`file ${numberOf(task)}`, task, bytes);
  for (const { from, to, bytes } of step.sent ?? []) add(from, to, bytes);
  const arrows = Object.values(ways).map(({ from, to, bytes }) => {
    const [[x1, top], [x2, y2]] = [placeOf(from, from, places), placeOf(to, to, places)];
    return { x1, y1: top + 38, x2, y2, words: `${bytes.join(" + ")} B` };
  });
  for (const { x1, y1, x2, y2 } of arrows) {
    drawn.append(shape("line", { class: "line ink", x1, y1, x2, y2, "marker-end": "url(#machines-picture-ink)" }));
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) continue;
    const motion = shape("animateMotion", { dur: "1.4s", repeatCount: 2, fill: "freeze", path: `M${x1} ${y1} L${x2} ${y2}` });
    drawn.append(shape("circle", { class: "fill items", r: 4 }, motion));
  }
  // the bytes stand on their arrow, where no others do
  const taken = [];
  for (const { x1, y1, x2, y2, words } of arrows) {
    const half = 4 * words.length;
    const spots = [0.5, 0.25, 0.75, 0.15, 0.85].map((at) => [x1 + at * (x2 - x1), y1 + at * (y2 - y1)]);
    const free = ([x, y]) => taken.every((t) => Math.abs(t.x - x) > t.half + half || Math.abs(t.y - y) > 16);
    const [x, y] = spots.find(free) ?? spots[0];
    taken.push({ x, y, half });
    drawn.append(shape("rect", { class: "ground", x: x - half, y: y - 9, width: 2 * half, height: 16 }));
    write(drawn, x, y + 4, words, "small");
  }
}

function tell(at) {
  told.at = at;
  renderMachines();
}

byId("machine-next").addEventListener("click", () => tell(told.at + 1));
byId("machine-back").addEventListener("click", () => tell(told.at - 1));
byId("dead").addEventListener("change", () => tell(0));
document.querySelectorAll("input[name=join]").forEach((input) => input.addEventListener("change", () => tell(0)));
// the records are those of the matrix as it was edited
state.listeners = [renderMachines];
