// The map: rows in two dimensions, the decoder under the pointer, layers below and above.
import { el, newest, tell } from "./dom.js";
import { state, set, layers } from "./state.js";
import { ask, numbers, decodeAt, model, rowsOf } from "./api.js";
import { classColour, rampColour, valueRange, css, themed } from "./colours.js";
import { pointDrawer, nearestFinder } from "./points.js";
import { rows, hearRows, changedRows, filterRows, loadField, loadPlaces } from "./rows.js";
import { isImage, picture } from "./pictures.js";
import { mapPanel } from "./panel.js";
import { Vector } from "./vector.js";

export const latencies = [];
export const mapNow = { view: null, drawer: null, frames: 0, sampled: {} };

// The lines at which a grid of values crosses a level.
function isolines(values, side, level) {
  const lines = [];
  const cross = (a, b) => (level - a) / (b - a);
  for (let j = 0; j < side - 1; j++) for (let i = 0; i < side - 1; i++) {
    const [a, b, c, d] = [values[j * side + i], values[j * side + i + 1], values[(j + 1) * side + i + 1], values[(j + 1) * side + i]];
    const ends = [];
    if (a > level !== b > level) ends.push([i + cross(a, b), j]);
    if (b > level !== c > level) ends.push([i + 1, j + cross(b, c)]);
    if (d > level !== c > level) ends.push([i + cross(d, c), j + 1]);
    if (a > level !== d > level) ends.push([i, j + cross(a, d)]);
    for (let k = 0; k + 1 < ends.length; k += 2) lines.push([ends[k], ends[k + 1]]);
  }
  return lines;
}

export function ellipse(context, x, y, [xx, xy, yy], scale, deviations) {
  const middle = (xx + yy) / 2, apart = Math.sqrt(((xx - yy) / 2) ** 2 + xy * xy);
  const [a, b] = [Math.sqrt(Math.max(0, middle + apart)), Math.sqrt(Math.max(0, middle - apart))];
  const angle = 0.5 * Math.atan2(2 * xy, xx - yy);
  context.beginPath();
  context.ellipse(x, y, Math.max(0.5, deviations * a * scale), Math.max(0.5, deviations * b * scale), -angle, 0, 2 * Math.PI);
}

const inside = (polygon, x, y) => {
  let is = false;
  for (let i = 0, j = polygon.length - 1; i < polygon.length; j = i++) {
    const [[xi, yi], [xj, yj]] = [polygon[i], polygon[j]];
    if (yi > y !== yj > y && x < ((xj - xi) * (y - yi)) / (yj - yi) + xi) is = !is;
  }
  return is;
};

export function mapView() {
  const under = el("canvas", { class: "layer" }), points = el("canvas", { class: "layer" });
  const over = el("canvas", { class: "layer over", tabIndex: 0, role: "application",
    "aria-label": "Map of the codes. Arrow keys move a cross that is decoded, plus and minus zoom, Enter pins the row beside the cross, Escape lets go." });
  const stage = el("div", { class: "stage" }, under, points, over);
  const drawer = pointDrawer(points);
  const view = { x: 0, y: 0, scale: 60, fitted: false };
  Object.assign(mapNow, { view, drawer, rows });
  const panel = mapPanel({ show: paint, recolour, relayer, replane, fit, lasso: (on) => { lassoing = on; stage.classList.toggle("lassoing", on); }, save, saveVector });
  let find = () => -1, lasso = null, lassoing = false, hovered = -1, pinned = null, cross = null, regions = null, mosaic = null, contours = null;
  let ratio = 1, wanted = false, wantsAll = false, alive = true, moving = false, budget = 1e5, drawnAt = 0;

  const toView = (x, y) => [over.width / 2 + (x - view.x) * view.scale * ratio, over.height / 2 - (y - view.y) * view.scale * ratio];
  const toPlace = (px, py) => [view.x + (px - over.clientWidth / 2) / view.scale, view.y - (py - over.clientHeight / 2) / view.scale];
  const bounds = () => [...toPlace(0, over.clientHeight), ...toPlace(over.clientWidth, 0)];

  // What only marks a place leaves the rows and the layers below as they are.
  function paint(only) {
    if (only !== "marks") wantsAll = true;
    if (wanted) return;
    wanted = true;
    requestAnimationFrame(() => { const all = wantsAll; wanted = wantsAll = false; draw(all); });
  }

  const pointSize = () => Math.max(2, Math.min(9, 2.2 + 90 / Math.sqrt(rows.n + 1) + Math.log2(Math.max(1, view.scale / 60)) * 0.6)) * ratio;

  function draw(all = true) {
    if (!alive) return;
    mapNow.frames++;
    if (!all) { drawOver(); return; }
    const on = layers();
    const size = pointSize();
    // While the map moves, as many rows are drawn as keep up: their order is random, so that the first stand for all.
    const now = performance.now(), took = now - drawnAt;
    drawnAt = now;
    if (moving && took > 40 && took < 2000) budget = Math.max(3000, budget * 0.6);
    else if (moving && took < 24) budget = Math.min(1e7, budget * 1.2);
    drawer.draw({ x: view.x, y: view.y, scale: view.scale * ratio }, size, moving ? Math.round(budget) : Infinity);
    points.style.opacity = on.has("rows") || Object.keys(mapNow.sampled).some((name) => on.has(name)) ? 1 : 0;
    drawUnder(on);
    drawOver();
  }

  function drawUnder(on, context = under.getContext("2d")) {
    context.clearRect(0, 0, under.width, under.height);
    if (on.has("mosaic") && mosaic) {
      context.imageSmoothingEnabled = false;
      for (const tile of mosaic.tiles) {
        const [x, y] = toView(tile.x, tile.y), side = mosaic.step * view.scale * ratio;
        const w = side * 0.98, h = w * (model.run.shape[1] / model.run.shape[2]);
        context.drawImage(tile.canvas, x - w / 2, y - h / 2, w, h);
      }
    }
    if (on.has("prior") && contours) {
      context.strokeStyle = themed("--muted");
      context.lineWidth = 1.2 * ratio;
      contours.lines.forEach((lines, level) => {
        context.globalAlpha = [0.95, 0.7, 0.5, 0.35][level];
        context.setLineDash(level > 1 ? [5 * ratio, 4 * ratio] : []);
        context.beginPath();
        for (const [a, b] of lines) { context.moveTo(...toView(...contours.at(a))); context.lineTo(...toView(...contours.at(b))); }
        context.stroke();
      });
      context.setLineDash([]);
      context.globalAlpha = 1;
    }
    if (on.has("regions") && regions) {
      const [left, bottom, right, top] = bounds();
      const labels = rows.fields.label;
      let drawn = 0;
      for (let i = 0; i < rows.n && drawn < 1500; i++) {
        const [x, y] = [rows.places[2 * i], rows.places[2 * i + 1]];
        if (!rows.visible[i] || x < left || x > right || y < bottom || y > top) continue;
        drawn++;
        ellipse(context, ...toView(x, y), regions.subarray(3 * i, 3 * i + 3), view.scale * ratio, 2);
        context.fillStyle = css(labels ? classColour(labels[i]) : [90, 140, 190]);
        context.globalAlpha = 0.16;
        context.fill();
        context.globalAlpha = 0.5;
        context.lineWidth = 0.6 * ratio;
        context.strokeStyle = context.fillStyle;
        context.stroke();
      }
      context.globalAlpha = 1;
    }
  }

  function drawOver(context = over.getContext("2d")) {
    context.clearRect(0, 0, over.width, over.height);
    const ink = themed("--ink"), paper = themed("--paper");
    const ring = (x, y, radius, colour) => {
      for (const [width, style] of [[5, paper], [2.5, colour]]) {
        context.beginPath();
        context.arc(x, y, radius * ratio, 0, 2 * Math.PI);
        context.lineWidth = width * ratio;
        context.strokeStyle = style;
        context.stroke();
      }
    };
    if (pinned) {
      const [x, y] = toView(...pinned.place);
      if (pinned.covariance) {
        context.strokeStyle = themed("--accent");
        context.fillStyle = themed("--accent");
        for (const deviations of [1, 2]) {
          ellipse(context, x, y, pinned.covariance, view.scale * ratio, deviations);
          context.globalAlpha = 0.12;
          context.fill();
          context.globalAlpha = 1;
          context.lineWidth = 1.5 * ratio;
          context.stroke();
        }
      }
      ring(x, y, 7, themed("--accent"));
    }
    if (hovered >= 0) ring(...toView(rows.places[2 * hovered], rows.places[2 * hovered + 1]), 6, ink);
    if (cross) {
      const [x, y] = toView(...cross);
      for (const [width, style] of [[4, paper], [1.5, ink]]) {
        context.lineWidth = width * ratio;
        context.strokeStyle = style;
        context.beginPath();
        context.moveTo(x - 9 * ratio, y); context.lineTo(x + 9 * ratio, y);
        context.moveTo(x, y - 9 * ratio); context.lineTo(x, y + 9 * ratio);
        context.stroke();
      }
    }
    if (lasso && lasso.length > 1) {
      context.beginPath();
      lasso.forEach(([px, py], i) => (i ? context.lineTo : context.moveTo).call(context, px * ratio, py * ratio));
      context.closePath();
      context.globalAlpha = 0.12;
      context.fillStyle = themed("--accent");
      context.fill();
      context.globalAlpha = 1;
      context.lineWidth = 1.5 * ratio;
      context.strokeStyle = themed("--accent");
      context.stroke();
    }
  }

  // Colours of rows, then of samples that are drawn as layers.
  function recolour() {
    const on = layers(), extra = Object.entries(mapNow.sampled).filter(([name, places]) => on.has(name) && places);
    const total = rows.n + extra.reduce((sum, [, places]) => sum + places.length / 2, 0);
    const colours = new Uint8Array(4 * total), sizes = new Float32Array(total), places = new Float32Array(2 * total);
    places.set(rows.places.subarray(0, 2 * rows.n));
    const values = rows.fields[state.colour], dark = document.documentElement.dataset.theme === "dark";
    const isClass = state.colour === "label" || state.colour === "split";
    const range = values && !isClass ? valueRange(values) : [0, 1];
    const plainColour = dark ? [150, 170, 190] : [70, 90, 115];
    const base = Math.round(255 * Math.max(0.35, Math.min(0.9, 14 / Math.sqrt(Math.sqrt(rows.n + 1)))));
    for (let i = 0; i < rows.n; i++) {
      let colour = plainColour, alpha = base;
      if (values) {
        const v = values[i];
        if (isClass) colour = classColour(v);
        else if (Number.isFinite(v)) colour = rampColour((v - range[0]) / (range[1] - range[0]));
        else alpha = 40;
      }
      const chosen = rows.selected.size && rows.selected.has(i);
      if (rows.selected.size && !chosen) alpha = Math.round(alpha * 0.25);
      if (!rows.visible[i] || !on.has("rows")) alpha = 0;
      colours.set([colour[0], colour[1], colour[2], alpha], 4 * i);
      sizes[i] = chosen ? 1.4 : 1;
    }
    let at = rows.n;
    extra.forEach(([name, found]) => {
      const colour = name === "samples:prior" ? (dark ? [255, 255, 255] : [20, 20, 24]) : [214, 40, 110];
      for (let i = 0; i < found.length / 2; i++, at++) {
        places.set(found.subarray(2 * i, 2 * i + 2), 2 * at);
        colours.set([...colour, 210], 4 * at);
        sizes[at] = 1.6;
      }
    });
    drawer.setPlaces(places);
    drawer.setColours(colours);
    drawer.setSizes(sizes);
    find = nearestFinder(rows.places, (i) => rows.visible[i]);
    paint();
  }

  function fit() {
    if (!rows.n) return;
    const side = (axis) => {
      const values = Float32Array.from({ length: rows.n }, (_, i) => rows.places[2 * i + axis]).sort();
      return [values[Math.floor(0.002 * (rows.n - 1))], values[Math.ceil(0.998 * (rows.n - 1))]];
    };
    const [[left, right], [bottom, top]] = [side(0), side(1)];
    [view.x, view.y] = [(left + right) / 2, (bottom + top) / 2];
    decodeUnder([view.x, view.y], 0);
    view.scale = Math.min((over.clientWidth * 0.88) / (right - left || 1), (over.clientHeight * 0.88) / (top - bottom || 1));
    moved();
  }

  let settleTimer = 0;
  function moved() {
    moving = true;
    paint();
    clearTimeout(settleTimer);
    settleTimer = setTimeout(() => { moving = false; set({ window: [view.x, view.y, view.scale].map((v) => v.toPrecision(5)).join(",") }, true); settle(); }, 160);
  }

  const settle = newest(async () => {
    const on = layers();
    const linear = (model.progress.planes.find((plane) => plane.name === state.plane) || {}).linear;
    const [left, bottom, right, top] = bounds();
    if (on.has("prior") && linear) {
      const side = 72;
      try {
        const block = await numbers("prior", { query: { plane: state.plane, left, right, bottom, top, size: side } });
        const most = block.data.reduce((a, b) => Math.max(a, b), -Infinity);
        contours = { at: ([i, j]) => [left + ((right - left) * i) / (side - 1), bottom + ((top - bottom) * j) / (side - 1)],
          lines: [0.5, 2, 4.5, 8].map((below) => isolines(block.data, side, most - below)) };
      } catch (error) { contours = null; tell(error.message); }
    } else contours = null;
    if (on.has("mosaic") && isImage()) {
      const across = Math.max(4, Math.round(over.clientWidth / 58)), step = (right - left) / across;
      const tall = model.run.shape[1] / model.run.shape[2], down = Math.max(3, Math.round((top - bottom) / (step * tall)));
      const at = Array.from({ length: across * down }, (_, k) => [left + step * ((k % across) + 0.5), bottom + step * tall * (Math.floor(k / across) + 0.5)]);
      const tiles = [];
      for (let from = 0; from < at.length; from += 128) {
        const part = at.slice(from, from + 128), block = await decodeAt(part, state.plane);
        part.forEach(([x, y], i) => { const canvas = picture(""); canvas.show(block, i); tiles.push({ x, y, canvas }); });
        mosaic = { tiles: [...tiles], step };
        paint();
      }
    } else mosaic = null;
    if (on.has("regions") && linear && !regions) {
      try { regions = (await numbers("regions", { query: { plane: state.plane } })).data; } catch (error) { tell(error.message); }
    }
    paint();
  });

  async function relayer() {
    const on = layers();
    for (const name of on) {
      if (!name.startsWith("samples:") || mapNow.sampled[name]) continue;
      const sampler = name.slice(8);
      try {
        const codes = await numbers("samples", { body: { sampler, count: 600, seed: 1, temperature: Number(state.temperature) || 1 } });
        mapNow.sampled[name] = (await numbers("place", { body: { plane: state.plane, codes: rowsOf(codes) } })).data;
      } catch (error) { tell(error.message); }
    }
    regions = on.has("regions") ? regions : null;
    recolour();
    settle();
  }

  async function replane() {
    mapNow.sampled = {};
    [regions, mosaic, contours, hovered, cross] = [null, null, null, -1, null];
    await loadPlaces(state.plane);
    await relayer();
    fit();
    if (state.row) await pin(state.row);
  }

  // The decoder under the pointer: of all places that the pointer passes, the newest that is not yet answered.
  const decodeUnder = newest(async (place, since) => {
    const block = await decodeAt([place], state.plane);
    panel.pointer(block, place);
    if (since) { latencies.push(performance.now() - since); if (latencies.length > 500) latencies.shift(); }
  });
  const showRow = newest(async (row) => { if (row === hovered) await panel.hover(row); });

  function look(px, py, since) {
    const place = toPlace(px, py);
    decodeUnder(place, since);
    const found = layers().has("rows") ? find(place[0], place[1], 9 / view.scale) : -1;
    if (found !== hovered) {
      hovered = found;
      if (found >= 0) showRow(found);
      paint("marks");
    }
    return place;
  }

  async function pin(row) {
    set({ row: String(row) }, true);
    try {
      pinned = await ask("row", { query: { row: String(row), plane: state.plane } });
      if (!pinned.place) pinned = null;
      else panel.pinned(pinned);
    } catch (error) { pinned = null; tell(error.message); }
    paint("marks");
  }

  const held = new Map();
  let start = null, pinch = null;
  const spot = (event) => { const box = over.getBoundingClientRect(); return [event.clientX - box.left, event.clientY - box.top]; };
  over.addEventListener("pointerdown", (event) => {
    over.setPointerCapture(event.pointerId);
    held.set(event.pointerId, spot(event));
    if (held.size === 2) {
      const [a, b] = [...held.values()];
      pinch = { far: Math.hypot(a[0] - b[0], a[1] - b[1]), scale: view.scale };
      lasso = null;
    } else {
      start = { at: spot(event), view: { ...view }, moved: false };
      if (lassoing || event.shiftKey) lasso = [spot(event)];
    }
  });
  over.addEventListener("pointermove", (event) => {
    const [px, py] = spot(event);
    if (held.has(event.pointerId)) held.set(event.pointerId, [px, py]);
    if (pinch && held.size === 2) {
      const [a, b] = [...held.values()];
      zoom(pinch.scale * (Math.hypot(a[0] - b[0], a[1] - b[1]) / pinch.far), (a[0] + b[0]) / 2, (a[1] + b[1]) / 2);
      return;
    }
    if (start && Math.hypot(px - start.at[0], py - start.at[1]) > 4) start.moved = true;
    if (lasso) { lasso.push([px, py]); paint("marks"); return; }
    if (start && start.moved && event.pointerType !== "touch-hover") {
      view.x = start.view.x - (px - start.at[0]) / view.scale;
      view.y = start.view.y + (py - start.at[1]) / view.scale;
      moved();
      return;
    }
    look(px, py, event.timeStamp);
  });
  const release = (event) => {
    held.delete(event.pointerId);
    if (pinch) { if (held.size < 2) pinch = null; start = null; return; }
    if (lasso && lasso.length > 2) select(lasso);
    else if (start && !start.moved) {
      const [px, py] = spot(event);
      const place = look(px, py, event.timeStamp);
      over.focus({ preventScroll: true });
      if (hovered >= 0) { cross = null; pin(hovered); } else { cross = place; panel.here(place); }
    }
    [start, lasso] = [null, null];
    paint("marks");
  };
  over.addEventListener("pointerup", release);
  over.addEventListener("pointercancel", (event) => { held.delete(event.pointerId); [start, lasso, pinch] = [null, null, null]; paint(); });
  over.addEventListener("pointerleave", () => { if (hovered >= 0) { hovered = -1; paint("marks"); } });
  function zoom(scale, px, py) {
    const [x, y] = toPlace(px, py);
    view.scale = Math.max(1e-3, Math.min(1e7, scale));
    const [nx, ny] = toPlace(px, py);
    view.x += x - nx;
    view.y += y - ny;
    moved();
  }
  over.addEventListener("wheel", (event) => { event.preventDefault(); zoom(view.scale * Math.exp(-event.deltaY * 0.0016), ...spot(event)); }, { passive: false });
  over.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    if (step) {
      event.preventDefault();
      const far = (event.shiftKey ? 40 : 10) / view.scale;
      cross = cross ? [cross[0] + step[0] * far, cross[1] + step[1] * far] : [view.x, view.y];
      const [px, py] = toView(...cross);
      look(px / ratio, py / ratio, event.timeStamp);
      paint("marks");
    } else if (event.key === "+" || event.key === "=") zoom(view.scale * 1.3, over.clientWidth / 2, over.clientHeight / 2);
    else if (event.key === "-") zoom(view.scale / 1.3, over.clientWidth / 2, over.clientHeight / 2);
    else if (event.key === "Enter" && cross) { if (hovered >= 0) pin(hovered); else panel.here(cross); }
    else if (event.key === "Escape") { [cross, pinned] = [null, null]; rows.selected.clear(); set({ row: "" }, true); changedRows("selection"); recolour(); }
    else if (event.key === "0") fit();
  });

  function select(polygon) {
    const places = polygon.map(([px, py]) => toPlace(px, py));
    rows.selected.clear();
    for (let i = 0; i < rows.n; i++) if (rows.visible[i] && inside(places, rows.places[2 * i], rows.places[2 * i + 1])) rows.selected.add(i);
    changedRows("selection");
    recolour();
  }

  function save() {
    const whole = el("canvas", { width: over.width, height: over.height });
    const context = whole.getContext("2d");
    context.fillStyle = themed("--paper");
    context.fillRect(0, 0, whole.width, whole.height);
    draw();
    for (const layer of [under, points, over]) context.drawImage(layer, 0, 0);
    return whole;
  }

  // As SVG. More rows than a drawing program bears stay a picture in it.
  const mostDiscs = 20000;
  function saveVector() {
    const whole = new Vector(over.width, over.height);
    whole.fillStyle = themed("--paper");
    whole.fillRect(0, 0, whole.width, whole.height);
    drawUnder(layers(), whole);
    if (!drawer.each(mostDiscs, { x: view.x, y: view.y, scale: view.scale * ratio }, pointSize(), (...disc) => whole.disc(...disc))) {
      draw();
      whole.drawImage(points, 0, 0, whole.width, whole.height);
    }
    drawOver(whole);
    return whole.text();
  }

  const sizes = new ResizeObserver(() => {
    ratio = Math.min(2, window.devicePixelRatio || 1);
    for (const layer of [under, points, over]) [layer.width, layer.height] = [Math.round(stage.clientWidth * ratio), Math.round(stage.clientHeight * ratio)];
    if (!view.fitted && rows.n && stage.clientWidth > 0) {
      const given = state.window.split(",").map(Number);
      view.fitted = true;
      if (given.length === 3 && given.every(Number.isFinite)) { [view.x, view.y, view.scale] = given; moved(); } else fit();
    }
    paint();
    settle();
  });
  sizes.observe(stage);
  const deaf = hearRows((what) => {
    if (what === "places" || what === "filter" || what === "theme" || what === "selection" || what === "field") recolour();
    if (what === "places" && !view.fitted && stage.clientWidth) { view.fitted = true; fit(); }
    if (what === "selection") panel.searched();
    if (what === "model") { mapNow.sampled = {}; regions = null; relayer(); }
    if (what === "planes") panel.planes();
    if (what.startsWith("pin:")) pin(what.slice(4));
  });
  recolour();
  relayer();
  if (state.row) pin(state.row);
  Object.assign(mapNow, { fit, pin, look, zoom, draw, saveVector, toView: (x, y) => toView(x, y).map((v) => v / ratio), select });
  const of = el("section", { class: "mapview", "aria-label": "Map" }, stage, panel.element);
  of.leave = () => { alive = false; sizes.disconnect(); deaf(); };
  return of;
}
