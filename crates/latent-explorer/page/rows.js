// What the page knows of the rows: places, fields, which are shown, which are selected. Views share it.
import { model, numbers } from "./api.js";
import { columnRanges } from "./pictures.js";

export const rows = { n: 0, places: new Float32Array(), fields: {}, filters: {}, hidden: new Set(), visible: new Uint8Array(), selected: new Set(), groups: { A: [], B: [] } };
const rowListeners = new Set();
export const hearRows = (listener) => { rowListeners.add(listener); return () => rowListeners.delete(listener); };
export const changedRows = (what) => { for (const listener of [...rowListeners]) listener(what); };

export async function loadPlaces(plane) {
  const block = await numbers("points", { query: { plane } });
  rows.places = block.data;
  rows.n = block.data.length / 2;
  filterRows();
}

export async function loadField(name, fresh = false) {
  if (!rows.fields[name] || fresh || (name === "log_p" && model.progress.log_p < Math.min(5000, rows.n))) rows.fields[name] = (await numbers("field", { query: { name } })).data;
  return rows.fields[name];
}

// The fields that can colour and filter.
export function fieldNames() {
  const names = [];
  if (model.run.classes.length) names.push(["label", "label"]);
  names.push(["split", "held out or training"], ["error", "reconstruction error"]);
  if (!model.run.without_density || model.run.supports.length) names.push(["rate", "rate, nats"]);
  if (!model.run.without_density) names.push(["log_p", "log P(x), nats"]);
  model.run.columns.forEach((name) => names.push(["column:" + name, name]));
  for (let dim = 1; dim <= Math.min(model.run.dims, 64); dim++) names.push([`z${dim}`, `z${dim}`]);
  return names;
}

export const fieldTitle = (name) => (fieldNames().find(([key]) => key === name) || [name, name])[1];

export async function loadColumnRanges() {
  if (!model.run.columns.length) return;
  await Promise.all(model.run.columns.map(async (name, i) => {
    const values = await loadField("column:" + name).catch(() => null);
    if (!values || !values.length) return;
    let [low, high] = [Infinity, -Infinity];
    for (const v of values) { if (v < low) low = v; if (v > high) high = v; }
    columnRanges[i] = [low, high];
  }));
}

// Which rows pass all filters but `except`.
export function passing(except) {
  const pass = new Uint8Array(rows.n).fill(1);
  for (const [name, range] of Object.entries(rows.filters)) {
    const values = rows.fields[name];
    if (name === except || !range || !values) continue;
    for (let i = 0; i < rows.n; i++) if (!(values[i] >= range[0] && values[i] <= range[1])) pass[i] = 0;
  }
  const labels = rows.fields.label;
  if (rows.hidden.size && labels) for (let i = 0; i < rows.n; i++) if (rows.hidden.has(labels[i])) pass[i] = 0;
  return pass;
}

export function filterRows() {
  rows.visible = passing(null);
}
