// Beside the map: what is under the pointer, how rows are coloured, layers, filters, the selection.
import { el, choice, segmented, tick, number, thousands, newest, tell, put } from "./dom.js";
import { state, set, layers, setLayer } from "./state.js";
import { ask, numbers, file, model } from "./api.js";
import { offline, isPictured } from "./offline.js";
import { classColour, css, rampCss, valueRange } from "./colours.js";
import { rows, changedRows, filterRows, loadField, fieldNames, fieldTitle, passing } from "./rows.js";
import { picture, pictures, rowPictures, isImage } from "./pictures.js";
import { brushed } from "./charts.js";
import { saveBlob, saveCanvas, copyLink } from "./save.js";


const figures = (pairs) => el("dl", { class: "numbers" }, pairs.filter(([, value]) => value !== null && value !== undefined).map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));

const codeAt = async (point) => Array.from((await numbers("lift", { body: { points: [point], plane: state.plane } })).data);

export const rateOf = (row) => (row.rates && row.rates.length ? row.rates.reduce((a, b) => a + b, 0) : null);

export function mapPanel(map) {
  const decoded = picture("The place under the pointer, decoded", "large");
  const sample = picture("The row", "small"), back = picture("Its reconstruction", "small");
  const where = el("p", { class: "where" }, "Move over the map: every place is decoded.");
  const about = el("div", { class: "about" });
  const pair = el("div", { class: "pair", hidden: true }, el("figure", {}, sample, el("figcaption", {}, "row")), el("figure", {}, back, el("figcaption", {}, "reconstruction")));
  const legend = el("div", { class: "legend" }), planeSlot = el("div", {}), histograms = el("div", { class: "histograms" }), chosen = el("div", { class: "chosen" }), layerSlot = el("div", { class: "layers" });
  const cache = new Map();

  async function pairOf(row) {
    if (!cache.has(row)) {
      if (cache.size > 300) cache.delete(cache.keys().next().value);
      const [data, reconstruction] = await Promise.all([rowPictures([row], "data"), rowPictures([row], "reconstruction")]);
      cache.set(row, { data, reconstruction });
    }
    return cache.get(row);
  }

  async function showPair(row) {
    if (model.run.without_data) return;
    if (!isPictured(row)) { pair.hidden = true; return; }
    const found = await pairOf(row);
    sample.show(found.data);
    back.show(found.reconstruction, 0, isImage() ? null : found.data.data);
    pair.hidden = false;
  }

  const describe = (row) => {
    const value = (name) => { const values = rows.fields[name]; return values ? number(values[row]) : null; };
    const label = rows.fields.label ? model.run.classes[rows.fields.label[row]] : null;
    return [["row", thousands(row)], ["label", label], ["split", rows.fields.split ? (rows.fields.split[row] ? "training" : "held out") : null], ["error", value("error")], ["rate", value("rate")], ["log P(x)", value("log_p")]];
  };

  const self = {
    element: null,
    pointer(block, place) {
      decoded.show(block);
      const plane = model.progress.planes.find((one) => one.name === state.plane) || {};
      where.textContent = `${state.plane === "latents" ? "z" : state.plane === "pca" ? "PCA" : "UMAP"} = (${number(place[0], 2)}, ${number(place[1], 2)})` + (plane.linear ? "" : ", between its nearest rows");
    },
    async hover(row) { put(about, figures(describe(row))); await showPair(row); },
    async pinned(row) {
      const total = rateOf(row);
      put(about, figures([["row", row.name], ["file", row.file], ["label", row.label], ["error", number(row.error)], ["rate", total === null ? null : `${number(total)} nats`], ["log P(x)", row.log_p === null || row.log_p === undefined ? null : `${number(row.log_p)} nats`]]),
        offline ? null : el("p", { class: "actions" },
          el("button", { type: "button", onclick: () => set({ view: "dimensions", code: row.code.map((v) => v.toPrecision(5)).join(",") }) }, "Edit its code"),
          el("button", { type: "button", onclick: () => { set({ from: state.to || "", to: row.row }); tell(state.from ? "Both ends are chosen: see Between." : "One end is chosen; pin another row for the other."); } }, "Walk from here"),
          el("button", { type: "button", onclick: () => set({ view: "judge" }) }, "P(x)")));
      await showPair(row.row);
    },
    here(place) {
      if (!offline) put(about, el("p", { class: "actions" }, el("button", { type: "button", onclick: async () => { const code = await codeAt(place); set({ view: "dimensions", code: code.map((v) => v.toPrecision(5)).join(",") }); } }, "Edit this code")));
    },
    planes, searched: showChosen,
  };

  function planes() {
    const names = { latents: "z₁, z₂", pca: "PCA", umap: "UMAP" };
    const there = model.progress.planes.map((plane) => [plane.name, names[plane.name] || plane.name]);
    const umap = model.progress.planes.find((plane) => plane.name === "umap");
    put(planeSlot, there.length > 1 ? segmented("How codes are drawn", there, state.plane, (plane) => { set({ plane, window: "" }, true); map.replane(); note(); }) : "",
      model.progress.umap !== null && model.progress.umap < 1 ? el("p", { class: "note" }, "UMAP: neighbours are sought ", el("progress", { max: 1, value: model.progress.umap, "aria-label": "UMAP" })) : "",
      planeNote);
    function note() {
      planeNote.textContent = state.plane === "umap" && umap ? `Neighbours stay neighbours: of a row's 15 nearest codes ${Math.round(100 * (umap.trust || 0))} % are among its 15 nearest here. Distances between clusters mean little.`
        : state.plane === "pca" ? "The plane in which codes differ most; a place is decoded as it lies in that plane." : "";
    }
    note();
  }
  const planeNote = el("p", { class: "note" });

  async function colour(name) {
    set({ colour: name }, true);
    try { await loadField(name); } catch (error) { tell(error.message); }
    paintLegend();
    map.recolour();
  }

  function paintLegend() {
    const values = rows.fields[state.colour];
    put(legend);
    if (!values) return;
    if (state.colour === "label" || state.colour === "split") {
      const names = state.colour === "label" ? model.run.classes : ["held out", "training"];
      const counts = new Map();
      for (const v of values) counts.set(v, (counts.get(v) || 0) + 1);
      names.slice(0, 40).forEach((name, i) => {
        const swatch = el("i");
        swatch.style.background = css(classColour(i));
        const on = !(state.colour === "label" && rows.hidden.has(i));
        legend.append(el("button", { type: "button", class: "class", "aria-pressed": String(on), disabled: state.colour !== "label", title: `${thousands(counts.get(i) || 0)} rows`, onclick: (event) => {
          if (event.shiftKey || event.altKey) { const alone = rows.hidden.size === model.run.classes.length - 1 && !rows.hidden.has(i); rows.hidden = new Set(alone ? [] : model.run.classes.map((_, k) => k).filter((k) => k !== i)); }
          else if (rows.hidden.has(i)) rows.hidden.delete(i); else rows.hidden.add(i);
          filtered();
          paintLegend();
        } }, swatch, name));
      });
      if (names.length > 40) legend.append(el("span", { class: "note" }, `and ${names.length - 40} more`));
    } else {
      const [low, high] = valueRange(values);
      const ramp = el("div", { class: "ramp" });
      ramp.style.background = rampCss;
      legend.append(ramp, el("div", { class: "head" }, el("span", {}, number(low)), el("span", {}, number(high))));
      if (state.colour === "log_p" && model.progress.log_p < Math.min(5000, rows.n)) legend.append(el("p", { class: "note" }, `${thousands(model.progress.log_p)} rows are scored so far; the first 5,000 will be.`));
    }
  }

  const shownFilters = new Map();
  function filtered() {
    filterRows();
    changedRows("filter");
    for (const [name, chart] of shownFilters) {
      const pass = passing(name), values = rows.fields[name];
      chart.update(values.filter((_, i) => pass[i]));
    }
    showChosen();
  }

  async function addFilter(name) {
    if (shownFilters.has(name)) return;
    const values = await loadField(name).catch(() => null);
    if (!values || !values.length) return;
    const sorted = Float32Array.from(values).filter(Number.isFinite).sort();
    if (!sorted.length) return;
    const range = [sorted[Math.floor(0.001 * (sorted.length - 1))], sorted[Math.ceil(0.995 * (sorted.length - 1))]];
    if (range[0] === range[1]) return;
    const chart = brushed(fieldTitle(name), values, range, rows.filters[name] || null, (next) => { if (next) rows.filters[name] = next; else delete rows.filters[name]; later(); });
    shownFilters.set(name, chart);
    histograms.append(chart);
  }
  let waits = false;
  const later = () => { if (!waits) { waits = true; requestAnimationFrame(() => { waits = false; filtered(); }); } };

  const fill = newest(async (list, slot) => {
    put(slot, pictures(await rowPictures(list), list.map((row) => String(row)), (i) => map_pin(list[i])));
  });
  const map_pin = (row) => { set({ row: String(row) }, true); changedRows("pin:" + row); };
  function showChosen() {
    const list = [...rows.selected];
    const passed = rows.visible.reduce((sum, v) => sum + v, 0);
    const narrowed = passed < rows.n;
    put(chosen);
    if (!list.length && !narrowed) { chosen.append(el("p", { class: "note" }, "Draw around rows with Lasso, or hold Shift and drag.")); return; }
    const all = list.length ? list : Array.from({ length: rows.n }, (_, i) => i).filter((i) => rows.visible[i]);
    const slot = el("div", {});
    chosen.append(el("p", {}, el("b", {}, thousands(all.length)), list.length ? " rows selected" : " rows pass the filters"),
      el("p", { class: "actions" }, ["A", "B"].map((name) => el("button", { type: "button", onclick: () => { rows.groups[name] = all; tell(`Group ${name} has ${thousands(all.length)} rows: see Between.`); } }, `As ${name}`)),
        offline ? null : ["csv", "npy"].map((kind) => el("button", { type: "button", onclick: () => file("codes", { body: { rows: all, as: kind } }).then((blob) => saveBlob(blob, `codes.${kind}`), (error) => tell(error.message)) }, kind.toUpperCase())),
        el("button", { type: "button", class: "quiet", onclick: () => { rows.selected.clear(); rows.filters = {}; rows.hidden.clear(); filterRows(); changedRows("filter"); put(histograms); shownFilters.clear(); firstFilters(); paintLegend(); showChosen(); } }, "Clear")), slot);
    if (!model.run.without_data && isImage() && all.length) fill(all.slice(0, 24), slot).catch(() => {});
  }

  function paintLayers() {
    const on = layers();
    const layer = (name, title, note) => tick(title, on.has(name), (value) => { setLayer(name, value); map.relayer(); }, note);
    put(layerSlot, layer("rows", "Rows of the data"),
      offline ? "" : [model.run.samplers.map((sampler) => layer("samples:" + sampler, sampler === "prior" ? "Samples of the prior" : `Samples of ${sampler}`)),
        model.run.supports.every((support) => support.kind === "reals") ? [layer("prior", "The prior's contours"), layer("regions", "Regions q(z|x) of rows")] : null,
        isImage() ? layer("mosaic", "Decoded mosaic") : null]);
  }

  const firstFilters = () => { for (const name of ["error", "rate"]) addFilter(name); };
  const search = el("input", { type: "search", placeholder: isImage() ? "label, file or row" : "label or row", "aria-label": "Search rows", onchange: async () => {
    try {
      const found = await ask("search", { query: { q: search.value } });
      rows.selected = new Set(found.rows);
      changedRows("selection");
      showChosen();
      tell(found.total ? `${thousands(found.total)} rows found${found.total > found.rows.length ? `, the first ${thousands(found.rows.length)} are selected` : ""}.` : "No row has that label, name or number.");
      if (found.rows.length === 1) map_pin(found.rows[0]);
    } catch (error) { tell(error.message); }
  } });
  const lassoButton = el("button", { type: "button", "aria-pressed": "false", onclick: () => { const on = lassoButton.getAttribute("aria-pressed") !== "true"; lassoButton.setAttribute("aria-pressed", String(on)); map.lasso(on); } }, "Lasso");
  const colourOptions = fieldNames().filter(([name]) => !offline || offline.fields[name]);
  const filterOptions = colourOptions.filter(([name]) => name !== "label" && name !== "split");
  self.element = el("aside", { class: "panel", "aria-label": "About the map" },
    el("section", { class: "under" }, decoded, where, pair, about),
    el("section", {}, el("h2", {}, "Map"), planeSlot, el("div", { class: "row" }, offline ? null : search, lassoButton, el("button", { type: "button", onclick: () => map.fit() }, "Whole"))),
    el("section", {}, el("h2", {}, "Colour"), choice(colourOptions, state.colour, colour, { "aria-label": "Colour by" }), legend),
    el("section", {}, el("h2", {}, "Layers"), layerSlot),
    el("section", {}, el("h2", {}, "Filter"), histograms, choice([["", "Filter by…"], ...filterOptions], "", (name) => name && addFilter(name), { "aria-label": "Filter by another number" })),
    el("section", {}, el("h2", {}, "Selection"), chosen),
    el("section", { class: "take" }, el("h2", {}, "Take away"), el("p", { class: "actions" }, el("button", { type: "button", onclick: () => saveCanvas(map.save(), "map.png") }, "Map as PNG"), el("button", { type: "button", onclick: () => saveBlob(new Blob([map.saveVector()], { type: "image/svg+xml" }), "map.svg") }, "Map as SVG"), offline ? null : [el("button", { type: "button", onclick: copyLink }, "Link"), el("button", { type: "button", onclick: () => file("codes", { body: { rows: [], as: "npy" } }).then((blob) => saveBlob(blob, "codes.npy"), (error) => tell(error.message)) }, "All codes")])));
  if (!isImage()) self.element.classList.add("tabular");
  planes();
  paintLayers();
  firstFilters();
  showChosen();
  colour(state.colour);
  return self;
}
