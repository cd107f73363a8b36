// Sliders for the size of the data and of the cluster; the seconds of a half, and what they are made of.

const ROUND = [1, 1.2, 1.6, 2, 2.4, 3.2, 4, 5, 6.4, 8];
// all round numbers from one to another
function roundNumbers(low, high) {
  const every = [...Array(14).keys()].flatMap((power) => ROUND.map((m) => Math.round(m * 10 ** power)));
  return every.filter((n, k) => n >= low && n <= high && n !== every[k - 1]);
}
const SLIDERS = {
  users: { words: "users", stops: roundNumbers(1e4, 1e9) },
  items: { words: "items", stops: roundNumbers(1e4, 1e9) },
  plays: { words: "plays", stops: roundNumbers(1e6, 1e12) },
  rank: { words: "rank", stops: [8, 16, 32, 64, 128, 256] },
  nodes: { words: "machines", stops: roundNumbers(1, 1000) },
  cores: { words: "cores per machine", stops: [1, 2, 4, 8, 16, 32, 64] },
  blocks: { words: "blocks per side", stops: roundNumbers(4, 10000) },
};
const ASSUMED = {
  plays_per_pair: "plays per pair",
  bytes_per_play: "bytes per stored pair and side",
  pairs_a_second: "pairs solved per second and core, at the preset's rank",
  distinct: "vectors sent per pair",
  slowest: "time of the slowest task over the average",
  job_seconds: "seconds to start a job",
  network: "network bytes per second and machine",
  disk: "disk bytes per second and machine",
  touches: "how often a sent byte touches a disk",
  coded: "bytes encoded per second and core",
  iterations: "iterations",
};
const PARTS = {
  solving: "solving",
  network: "sending over the network",
  disk: "reading and writing on disk",
  coding: "base64 and pipes",
  starting: "starting the job",
};
const chosen = {};

function buildIndustry() {
  for (const [name, { words, stops }] of Object.entries(SLIDERS)) {
    const output = element("output", { for: `scale-${name}` });
    const input = element("input", { type: "range", id: `scale-${name}`, min: 0, max: stops.length - 1, step: 1 });
    input.addEventListener("input", () => {
      chosen[name] = stops[input.value];
      renderIndustry();
    });
    byId("sliders").append(element("div", { class: "slider" }, element("label", { for: `scale-${name}` }, words), output, input));
  }
  for (const [name, words] of Object.entries(ASSUMED)) {
    const input = element("input", { type: "number", id: `assumed-${name}`, step: "any", min: 0 });
    input.addEventListener("input", () => {
      const good = input.value !== "" && Number(input.value) > 0;
      input.setAttribute("aria-invalid", String(!good));
      if (good) chosen[name] = Number(input.value);
      if (good) renderIndustry();
    });
    byId("assumed").append(element("div", { class: "field" }, element("label", { for: `assumed-${name}` }, words), input));
  }
  byId("case").addEventListener("change", () => assume(byId("case").value));
  byId("industry-join").addEventListener("change", renderIndustry);
}

// Take all assumptions of a case; the sizes stay.
function assume(name) {
  Object.assign(chosen, data.known.cases[name]);
  chosen.case_rank = chosen.rank;
  for (const field of Object.keys(ASSUMED)) byId(`assumed-${field}`).value = chosen[field];
  renderIndustry();
}

function renderIndustry() {
  for (const [name, { stops }] of Object.entries(SLIDERS)) {
    const input = byId(`scale-${name}`);
    const away = stops.map((value) => Math.abs(value - chosen[name]));
    input.value = away.indexOf(Math.min(...away));
    input.setAttribute("aria-valuetext", count(chosen[name]));
    input.previousElementSibling.textContent = count(chosen[name]);
  }
  const join = byId("industry-join").value;
  // a step of the solver takes 4 rank operations a pair
  const a = { ...chosen, pairs_a_second: (chosen.pairs_a_second * chosen.case_rank) / chosen.rank };
  const found = extrapolate(a, chosen, join, data.known);
  const seconds = (value) => `${number(value, value < 10 ? 2 : value < 100 ? 1 : 0)} s`;
  const nodeHours = `${number(found.node_hours, found.node_hours < 10 ? 1 : 0)} node-hours`;
  byId("half-seconds").textContent =
    `A half takes ${seconds(found.half)}; training for ${chosen.iterations} iterations takes ${number(found.hours, 1)} hours ` +
    `on ${chosen.nodes} machine${chosen.nodes === 1 ? "" : "s"}, or ${nodeHours}.`;
  const shares = Object.entries(PARTS).map(([name, words]) => ({ name, words, value: found.parts[name] }));
  byId("bar").replaceChildren(...shares.map(({ name, value }) => {
    const part = element("span", { class: `part ${name}` });
    part.style.width = `${(100 * value) / found.half}%`;
    return part;
  }));
  byId("parts").replaceChildren(...shares.map(({ name, words, value }) =>
    element("tr", {}, element("th", { scope: "row" }, element("span", { class: `key ${name}` }), words),
      element("td", {}, seconds(value)), element("td", {}, `${number((100 * value) / found.half, 1)} %`)),
  ));
  const copied = join === "shuffle" ? "sent from map to reduce tasks in a user half" : "copied to all machines in a user half";
  const facts = [
    ["user-item pairs", count(found.pairs)],
    ["plays on disk, both sides", size(found.plays)],
    ["user vectors", size(found.user_vectors)],
    ["item vectors (a broadcast copies them to each machine)", size(found.item_vectors)],
    [copied, size(found.sent)],
  ];
  byId("facts").replaceChildren(
    ...facts.map(([words, value]) => element("tr", {}, element("th", { scope: "row" }, words), element("td", {}, value))),
  );
}

buildIndustry();
Object.assign(chosen, data.known.scale);
assume("central");
render();
