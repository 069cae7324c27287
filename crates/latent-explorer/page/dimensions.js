// Sliders for every latent, the highest rate first; a page for each dimension.
import { el, number, newest, tell, thousands, add } from "./dom.js";
import { state, set } from "./state.js";
import { ask, numbers, decode, model, condition } from "./api.js";
import { offline } from "./offline.js";
import { picture, pictures, rowPictures, decodedStrip } from "./pictures.js";
import { bars } from "./charts.js";
import { latencies } from "./map.js";

const steps = 9;

// The values that a dimension takes: ±reach for a real one, all of them for one with few.
function valuesOf(dimension, count) {
  const support = model.run.supports[dimension.dim];
  if (support.kind === "bits") return [0, 1];
  if (support.kind === "index") return Array.from({ length: Math.min(count, support.values) }, (_, i) => Math.round((i * (support.values - 1)) / Math.max(1, Math.min(count, support.values) - 1)));
  const [low, high] = limits(dimension);
  return Array.from({ length: count }, (_, i) => low + ((high - low) * i) / (count - 1));
}

function limits(dimension) {
  const support = model.run.supports[dimension.dim];
  if (support.kind === "bits" || support.kind === "unit") return [0, 1];
  if (support.kind === "index") return [0, support.values - 1];
  const reach = Math.max(3, Math.ceil(2 * Math.max(Math.abs(dimension.range[0]), Math.abs(dimension.range[1]))) / 2);
  return [-Math.min(reach, 50), Math.min(reach, 50)];
}

export const codeOfState = () => {
  const given = state.code.split(",").map(Number);
  return given.length === model.run.dims && given.every(Number.isFinite) ? given : [...model.run.middle];
};

export function dimensionsView() {
  const of = el("section", { class: "dimensionsview", "aria-label": "Dimensions" });
  if (offline) { walksView(of); return of; }
  if (state.dim !== "") { dimensionPage(of, Number(state.dim)); return of; }
  const code = codeOfState();
  const shown = picture("The code that the sliders make, decoded", "huge");
  const draw = newest(async (since) => {
    shown.show(await decode([code]));
    if (since) latencies.push(performance.now() - since);
  });
  const remember = () => set({ code: code.map((v) => v.toPrecision(5)).join(",") }, true);
  const list = el("div", { class: "sliders" });
  const begin = el("p", { class: "actions" },
    el("button", { type: "button", onclick: () => take(model.run.middle) }, "Middle"),
    el("button", { type: "button", onclick: async () => take(Array.from((await numbers("samples", { body: { sampler: "prior", count: 1, seed: Math.floor(Math.random() * 1e9), condition } })).data)) }, "A draw of the prior"),
    state.row !== "" && !model.run.without_data ? el("button", { type: "button", onclick: async () => take((await ask("row", { query: { row: state.row } })).code) }, "The pinned row") : null);
  const sliders = [];
  function take(next) {
    next.forEach((v, i) => { code[i] = v; });
    sliders.forEach((slider) => slider.refresh());
    draw(0);
    remember();
  }
  function slider(dimension) {
    const [low, high] = limits(dimension), support = model.run.supports[dimension.dim];
    const whole = support.kind === "bits" || support.kind === "index";
    const said = el("output", {});
    const input = el("input", { type: "range", min: low, max: high, step: whole ? 1 : (high - low) / 400, "aria-label": `z${dimension.dim + 1}`,
      oninput: (event) => { code[dimension.dim] = Number(input.value); said.textContent = number(code[dimension.dim], 2); draw(event.timeStamp); remember(); } });
    // Where codes lie: two standard deviations of the rows' codes, and how wide a single region is.
    const track = el("div", { class: "spread", "aria-hidden": "true" }, el("i", { class: "rowsd" }), el("i", { class: "onesd" }));
    const at = (v) => (100 * (v - low)) / (high - low || 1);
    const mark = (i, half) => { const [a, b] = [Math.max(0, at(dimension.mean - half)), Math.min(100, at(dimension.mean + half))]; i.style.left = `${a}%`; i.style.width = `${Math.max(0.3, b - a)}%`; };
    mark(track.children[0], 2 * Math.sqrt(dimension.variance));
    mark(track.children[1], dimension.deviation || 0);
    const rate = el("i", { class: "rate" });
    rate.style.width = `${Math.min(100, (100 * (dimension.rate || 0)) / (mostRate || 1))}%`;
    const line = el("div", { class: "slider" },
      el("button", { type: "button", class: "name", title: "What this dimension carries", onclick: () => set({ dim: String(dimension.dim) }) }, `z${dimension.dim + 1}`),
      el("div", { class: "ratebar", title: "mean rate" }, rate, el("small", {}, dimension.rate === null ? `variance ${number(dimension.variance, 2)}` : `${number(dimension.rate, 2)} nats`)),
      el("div", { class: "control" }, track, input), said);
    line.refresh = () => { input.value = code[dimension.dim]; said.textContent = number(code[dimension.dim], 2); };
    line.refresh();
    sliders.push(line);
    return line;
  }
  let mostRate = 1;
  ask("dimensions").then((all) => {
    mostRate = Math.max(1e-9, ...all.map((one) => one.rate || 0));
    const active = all.filter((one) => one.active), idle = all.filter((one) => !one.active);
    list.append(...active.slice(0, 128).map(slider));
    if (active.length > 128) list.append(el("p", { class: "note" }, `and ${active.length - 128} more`));
    if (idle.length) list.append(el("details", {}, el("summary", {}, `${idle.length} ${idle.length === 1 ? "dimension carries" : "dimensions carry"} nothing (a rate below 0.01 nats)`), idle.slice(0, 128).map(slider)));
    draw(0);
  }, (error) => tell(error.message));
  add(of, el("div", { class: "beside" }, el("div", { class: "stuck" }, shown, begin, conditionControls(() => draw(0)), el("p", { class: "note" }, "Wide band: where the codes of rows lie (two deviations). Narrow band: how wide the region of one row is.")), list));
  return of;
}

// What a conditional model is told, for the whole page.
export function conditionControls(change) {
  if (!model.run.condition.length) return null;
  return el("fieldset", { class: "conditions" }, el("legend", {}, "The model is told"), model.run.condition.map((told) => {
    const say = (value) => { condition[told.name] = value; change(); };
    const input = told.classes.length
      ? el("select", { "aria-label": told.name, onchange: () => say(input.value) }, told.classes.map((name) => el("option", { value: name }, name)))
      : el("input", { type: "range", min: told.range[0], max: told.range[1], step: (told.range[1] - told.range[0]) / 100 || 1, value: condition[told.name], "aria-label": told.name, oninput: () => say(input.value) });
    input.value = condition[told.name];
    return el("label", { class: "field" }, el("span", {}, told.name), input);
  }));
}

async function dimensionPage(of, dim) {
  const back = el("button", { type: "button", onclick: () => set({ dim: "" }) }, "← All dimensions");
  add(of, el("p", { class: "actions" }, back));
  try {
    const [full, all] = await Promise.all([ask("dimension", { query: { dim } }), ask("dimensions")]);
    const place = all.findIndex((one) => one.dim === dim);
    const other = (offset, text) => (all[place + offset] ? el("button", { type: "button", onclick: () => set({ dim: String(all[place + offset].dim) }) }, text) : null);
    add(of.firstChild, other(-1, "Higher rate"), other(1, "Lower rate"));
    const code = codeOfState(), values = valuesOf(full, steps);
    const codes = values.map((value) => code.map((v, i) => (i === dim ? value : v)));
    add(of, el("h1", {}, `z${dim + 1}`),
      el("p", { class: "lead" }, full.rate === null ? `Variance of the codes ${number(full.variance)}.` : `${number(full.rate)} nats of rate, place ${place + 1} of ${all.length}. Variance of the codes ${number(full.variance)}, mean deviation of a region ${number(full.deviation)}.`),
      el("ul", { class: "relatives" }, full.relatives.map((one) => el("li", {}, one.about))),
      el("h2", {}, "Traversal"), await decodedStrip(codes, values.map((v) => number(v, 2))),
      el("h2", {}, "Codes of the rows"), bars(full.histogram, full.range, "Histogram of the codes"));
    if (!model.run.without_data && full.top.length) {
      const [top, bottom] = await Promise.all([rowPictures(full.top), rowPictures(full.bottom)]);
      const pinRow = (list) => (i) => set({ view: "map", dim: "", row: String(list[i]) });
      add(of, el("h2", {}, "Rows with the greatest values"), pictures(top, null, pinRow(full.top)), el("h2", {}, "Rows with the least"), pictures(bottom, null, pinRow(full.bottom)));
    }
  } catch (error) { tell(error.message); }
}

// Offline: traversals as they were decoded.
async function walksView(of) {
  const [all, walks] = await Promise.all([ask("dimensions"), ask("walks")]);
  for (const walk of walks) {
    const dimension = all.find((one) => one.dim === walk.dim);
    add(of, el("h2", {}, `z${walk.dim + 1}  `, el("small", {}, dimension.rate === null ? "" : `${number(dimension.rate)} nats`)), pictures(walk.pictures, walk.values.map((v) => number(v, 2)), null, "strip"));
  }
}
