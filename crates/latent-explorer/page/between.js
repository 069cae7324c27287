// Ways between two samples, as a strip and moving; arithmetic with groups.
import { el, segmented, number, newest, tell, thousands, pause, put, add } from "./dom.js";
import { state, set } from "./state.js";
import { ask, numbers, decode, rowsOf, model } from "./api.js";
import { rows } from "./rows.js";
import { picture, pictures, rowPictures, decodedStrip } from "./pictures.js";
import { saveCanvas } from "./save.js";
import { conditionControls } from "./dimensions.js";

export const codeOfRow = async (row) => (await ask("row", { query: { row: String(row) } })).code;

// All pictures of a block side by side in one canvas.
export function stripCanvas(block) {
  const [n, height, width] = block.shape, one = picture("");
  const whole = el("canvas", { width: n * (width + 2), height });
  const context = whole.getContext("2d");
  for (let i = 0; i < n; i++) { one.show(block, i); context.drawImage(one, i * (width + 2), 0); }
  return whole;
}

function end(title, which, done) {
  const shown = picture(title, "medium");
  const take = (row) => { input.value = row; set({ [which]: row }, true); done(); };
  const input = el("input", { inputMode: "numeric", value: state[which], "aria-label": `${title}: row number`, onchange: () => take(input.value.trim()) });
  const of = el("div", { class: "end" }, el("h2", {}, title), shown, el("div", { class: "row" }, input,
    el("button", { type: "button", onclick: () => take(String(Math.floor(Math.random() * rows.n))) }, "Any"),
    state.row !== "" ? el("button", { type: "button", onclick: () => take(state.row) }, "Pinned") : null));
  of.refresh = async () => { if (state[which] !== "") shown.show(await rowPictures([state[which]])); };
  return of;
}

export function betweenView() {
  const of = el("section", { class: "betweenview", "aria-label": "Between" });
  if (model.run.without_data) { add(of, el("p", { class: "lead" }, `Rows cannot be shown: ${model.run.without_data}`)); return of; }
  const strip = el("div", {}), moving = picture("The way, moving", "large"), note = el("p", { class: "note" });
  const scrub = el("input", { type: "range", min: 0, max: 40, step: 1, value: 0, "aria-label": "Place on the way", oninput: () => show(Number(scrub.value)) });
  const play = el("button", { type: "button", onclick: () => (playing ? halt() : run()) }, "Play");
  let block = null, playing = false, alive = true;
  const show = (i) => { if (block) { moving.show(block, Math.min(i, block.shape[0] - 1)); scrub.value = i; } };
  const halt = () => { playing = false; play.textContent = "Play"; };
  async function run() {
    playing = true;
    play.textContent = "Pause";
    let i = Number(scrub.value), way = 1;
    while (playing && alive) {
      if (i >= 40) way = -1;
      if (i <= 0) way = 1;
      i += way;
      show(i);
      await pause(60);
    }
  }
  const walk = newest(async () => {
    await Promise.all([from.refresh(), to.refresh()]);
    if (state.from === "" || state.to === "") return;
    const [a, b] = await Promise.all([codeOfRow(state.from), codeOfRow(state.to)]);
    const body = { from: a, to: b, spherical: state.path === "spherical" };
    const codes = rowsOf(await numbers("between", { body: { ...body, steps: 41 } }));
    block = await decode(codes);
    const eleven = { shape: [11, ...block.shape.slice(1)], data: block.data };
    const width = block.data.length / 41, data = new block.data.constructor(11 * width);
    for (let i = 0; i < 11; i++) data.set(block.data.subarray(4 * i * width, (4 * i + 1) * width), i * width);
    eleven.data = data;
    put(strip, pictures(eleven, Array.from({ length: 11 }, (_, i) => (i / 10).toFixed(1)), (i) => show(4 * i), "strip"));
    const far = Math.hypot(...a.map((v, i) => v - b[i]));
    note.textContent = `The codes are ${number(far, 2)} apart. ` + (state.path === "spherical" ? "The great circle keeps the length of codes." : "The straight line passes nearer to the middle than codes lie.");
    show(Number(scrub.value));
  });
  const from = end("From", "from", walk), to = end("To", "to", walk);
  if (state.from === "" && rows.n > 1) set({ from: "0" }, true);
  if (state.to === "" && rows.n > 1) {
    const labels = rows.fields.label;
    let other = 1;
    if (labels) while (other < rows.n - 1 && labels[other] === labels[0]) other++;
    set({ to: String(other) }, true);
  }
  from.querySelector("input").value = state.from;
  to.querySelector("input").value = state.to;
  add(of, el("div", { class: "ends" }, from, el("div", { class: "middle" }, moving, scrub, el("p", { class: "actions" }, play, segmented("Path", [["spherical", "Great circle"], ["linear", "Straight"]], state.path, (path) => { set({ path }, true); walk(); })),
    conditionControls(walk)), to), strip, note,
    model.run.shape.length === 3 ? el("p", { class: "actions" }, el("button", { type: "button", onclick: () => block && saveCanvas(stripCanvas({ ...block }), "between.png") }, "Strip as PNG")) : null, arithmetic());
  walk();
  of.leave = () => { alive = false; };
  return of;
}

// C + strength · (mean of A − mean of B)
function arithmetic() {
  const out = el("div", {}), classes = model.run.classes;
  const options = [["", "choose…"], ["A", "group A of the map"], ["B", "group B of the map"], ...classes.map((name, i) => ["c" + i, name])];
  const picker = (name, value) => { const of = el("select", { "aria-label": name }, options.map(([key, text]) => el("option", { value: key }, text))); of.value = value; of.addEventListener("change", () => work()); return of; };
  const plus = picker("A, what is added", classes.length > 1 ? "c1" : "A"), minus = picker("B, what is taken away", classes.length > 1 ? "c0" : "B");
  const onto = el("input", { inputMode: "numeric", value: state.row || "0", "aria-label": "C: the row that it is added to" });
  onto.addEventListener("change", () => work());
  const members = (key) => {
    if (key === "A" || key === "B") return rows.groups[key].slice(0, 20000);
    const labels = rows.fields.label, wanted = Number(key.slice(1));
    return labels ? Array.from(labels.keys()).filter((i) => labels[i] === wanted).slice(0, 20000) : [];
  };
  const work = newest(async () => {
    if (!plus.value || !minus.value) return;
    const [a, b] = [members(plus.value), members(minus.value)];
    if (!a.length || !b.length) { put(out, el("p", { class: "note" }, "A group is empty: select rows on the map and put them into A or B.")); return; }
    const [of, away, start] = await Promise.all([ask("mean", { body: { rows: a } }), ask("mean", { body: { rows: b } }), codeOfRow(onto.value)]);
    const strengths = [-1, -0.5, 0, 0.5, 1, 1.5];
    const codes = strengths.map((s) => start.map((v, i) => v + s * (of.code[i] - away.code[i])));
    put(out, await decodedStrip(codes, strengths.map((s) => (s === 0 ? "C" : `${s > 0 ? "+" : "−"} ${Math.abs(s)}`))), el("p", { class: "note" }, `C + s (mean of ${thousands(of.rows)} − mean of ${thousands(away.rows)})`));
  });
  if (classes.length > 1) work();
  return el("div", { class: "arithmetic" }, el("h2", {}, "Arithmetic: C + s (A − B)"), el("div", { class: "row" }, el("label", { class: "field" }, el("span", {}, "A"), plus), el("label", { class: "field" }, el("span", {}, "B"), minus), el("label", { class: "field" }, el("span", {}, "C, a row"), onto)), out);
}
