// Histograms that filter, and curves: plain SVG, so that they can be saved.
import { el, svg, number } from "./dom.js";

export function histogramOf(values, bins, range) {
  const [low, high] = range;
  const counts = new Uint32Array(bins);
  for (const value of values) {
    if (!Number.isFinite(value)) continue;
    const at = Math.floor(((value - low) / (high - low || 1)) * bins);
    if (at >= 0 && at <= bins) counts[Math.min(bins - 1, at)]++;
  }
  return counts;
}

const histogramWidth = 288, histogramHeight = 46;

function barsPath(counts, most) {
  const step = histogramWidth / counts.length;
  return Array.from(counts, (count, i) => {
    const height = most ? (count / most) * (histogramHeight - 2) : 0;
    return count ? `M${(i * step).toFixed(1)} ${histogramHeight}v${(-Math.max(1, height)).toFixed(1)}h${(step - 0.6).toFixed(1)}v${Math.max(1, height).toFixed(1)}z` : "";
  }).join("");
}

// A histogram whose range can be brushed by pointer or keys; `change` hears [low, high] or null.
export function brushed(title, values, range, chosen, change) {
  const bins = 48, all = histogramOf(values, bins, range), most = Math.max(...all);
  const under = svg("path", { d: barsPath(all, most), class: "bars under" });
  const over = svg("path", { d: barsPath(all, most), class: "bars" });
  const shade = svg("rect", { class: "brush", y: 0, height: histogramHeight, x: 0, width: 0 });
  const view = svg("svg", { viewBox: `0 0 ${histogramWidth} ${histogramHeight}`, preserveAspectRatio: "none", "aria-hidden": "true" }, under, over, shade);
  const said = el("output", {});
  const [low, high] = range, span = high - low || 1;
  const value = (x) => low + (x / histogramWidth) * span;
  let now = chosen;
  const slider = (name, index) => el("input", { type: "range", min: 0, max: 100, step: 1, value: index ? 100 : 0, "aria-label": `${title}, ${name}`,
    oninput: () => { const ends = sides.map((side) => low + (Number(side.value) / 100) * span); pick([Math.min(...ends), Math.max(...ends)]); } });
  const sides = [slider("from", 0), slider("to", 1)];
  function paint() {
    const [a, b] = now || range;
    shade.setAttribute("x", (histogramWidth * (a - low)) / span);
    shade.setAttribute("width", now ? (histogramWidth * (b - a)) / span : 0);
    said.textContent = now ? `${number(a)} to ${number(b)}` : `${number(low)} to ${number(high)}`;
    clear.hidden = !now;
    sides[0].value = (100 * (a - low)) / span;
    sides[1].value = (100 * (b - low)) / span;
  }
  function pick(next) {
    now = next && next[1] - next[0] > span * 0.995 ? null : next;
    paint();
    change(now);
  }
  const clear = el("button", { type: "button", class: "quiet", hidden: true, onclick: () => pick(null), "aria-label": `${title}: all values` }, "×");
  let from = null;
  const at = (event) => { const box = view.getBoundingClientRect(); return Math.max(0, Math.min(histogramWidth, ((event.clientX - box.left) / box.width) * histogramWidth)); };
  view.addEventListener("pointerdown", (event) => { from = at(event); view.setPointerCapture(event.pointerId); });
  view.addEventListener("pointermove", (event) => {
    if (from === null) return;
    const to = at(event);
    if (Math.abs(to - from) > 3) pick([value(Math.min(from, to)), value(Math.max(from, to))]);
  });
  view.addEventListener("pointerup", (event) => { if (from !== null && Math.abs(at(event) - from) <= 3) pick(null); from = null; });
  const of = el("div", { class: "histogram" }, el("div", { class: "head" }, el("span", {}, title), said, clear), view, el("div", { class: "sides" }, sides));
  of.update = (shown) => { const counts = histogramOf(shown, bins, range); over.setAttribute("d", barsPath(counts, most)); };
  paint();
  return of;
}

export function bars(counts, range, title) {
  const most = Math.max(1, ...counts);
  return el("figure", { class: "histogram" }, svg("svg", { viewBox: `0 0 ${histogramWidth} ${histogramHeight}`, preserveAspectRatio: "none", role: "img", "aria-label": title },
    svg("path", { d: barsPath(counts, most), class: "bars" })), el("div", { class: "head" }, el("span", {}, number(range[0])), el("span", {}, number(range[1]))));
}

function ticks(low, high, count) {
  const span = high - low || 1, rough = span / count, size = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((m) => m * size).find((s) => span / s <= count) || size * 10;
  const all = [];
  for (let v = Math.ceil(low / step) * step; v <= high + step * 1e-6; v += step) all.push(Math.abs(v) < step * 1e-6 ? 0 : v);
  return all;
}

// Curves: series [{ name, points: [[x, y]], colour, dash, band: [[x, low, high]] }]; x may be logarithmic.
export function curves(series, { title, x, y, log = false, width = 680, height = 320, range } = {}) {
  const left = 64, right = 14, top = 14, bottom = 40;
  const points = series.flatMap((one) => one.points).filter(([a, b]) => Number.isFinite(a) && Number.isFinite(b));
  const fx = (v) => (log ? Math.log2(v) : v);
  const of = svg("svg", { viewBox: `0 0 ${width} ${height}`, class: "curves", role: "img", "aria-label": title || "curves" });
  if (!points.length) return of;
  const xs = points.map((p) => fx(p[0])), sorted = points.map((p) => p[1]).sort((a, b) => a - b);
  let [x0, x1] = [Math.min(...xs), Math.max(...xs)];
  let [y0, y1] = range || [sorted[Math.floor(0.01 * (sorted.length - 1))], sorted[Math.ceil(0.985 * (sorted.length - 1))]];
  if (x1 === x0) x1 = x0 + 1;
  if (y1 === y0) y1 = y0 + 1;
  const pad = 0.06 * (y1 - y0);
  [y0, y1] = [y0 - pad, y1 + pad];
  const px = (v) => left + ((fx(v) - x0) / (x1 - x0)) * (width - left - right);
  const py = (v) => top + (1 - (Math.max(y0, Math.min(y1, v)) - y0) / (y1 - y0)) * (height - top - bottom);
  for (const v of ticks(y0, y1, 5)) of.append(svg("line", { x1: left, x2: width - right, y1: py(v), y2: py(v), class: "rule" }), svg("text", { x: left - 8, y: py(v) + 4, "text-anchor": "end" }, number(v, 2)));
  const marks = log ? Array.from({ length: Math.floor(x1) - Math.ceil(x0) + 1 }, (_, i) => 2 ** (Math.ceil(x0) + i)).filter((_, i) => i % 2 === 0) : ticks(x0, x1, 6);
  for (const v of marks) of.append(svg("text", { x: px(v), y: height - bottom + 18, "text-anchor": "middle" }, number(v, 2)));
  of.append(svg("text", { x: (left + width - right) / 2, y: height - 4, "text-anchor": "middle", class: "axis" }, x || ""));
  of.append(svg("text", { x: 12, y: height / 2, class: "axis", transform: `rotate(-90 12 ${height / 2})`, "text-anchor": "middle" }, y || ""));
  series.forEach((one) => {
    const path = one.points.filter((p) => p.every(Number.isFinite)).map(([a, b], i) => `${i ? "L" : "M"}${px(a).toFixed(1)} ${py(b).toFixed(1)}`).join("");
    of.append(svg("path", { d: path, class: "curve", stroke: one.colour, "stroke-dasharray": one.dash || null, "stroke-width": one.thin ? 1 : 2, opacity: one.thin ? 0.55 : 1 }));
  });
  return of;
}

export const keyOf = (series) => el("ul", { class: "key" }, series.map((one) => { const dot = el("i"); dot.style.background = one.colour; return el("li", {}, dot, one.name); }));
