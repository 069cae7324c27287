// log P(x) of a sample, closing in as draws come; samplers side by side.
import { el, number, thousands, tell, newest, choice, put, add } from "./dom.js";
import { state, set } from "./state.js";
import { ask, numbers, decode, rowsOf, model, condition } from "./api.js";
import { offline } from "./offline.js";
import { rows } from "./rows.js";
import { picture, pictures, rowPictures, isImage } from "./pictures.js";
import { curves, keyOf } from "./charts.js";
import { saveSvg, saveCanvas } from "./save.js";
import { conditionControls } from "./dimensions.js";
import { stripCanvas } from "./between.js";

// ln of the mean of exponentials, draw by draw.
function runningLogMean() {
  let most = -Infinity, sum = 0, squares = 0, n = 0;
  return {
    add(v) {
      n++;
      if (v > most) { const f = Math.exp(most - v); sum = sum * f + 1; squares = squares * f * f + 1; most = v; }
      else { const w = Math.exp(v - most); sum += w; squares += w * w; }
    },
    value: () => most + Math.log(sum / n),
    effective: () => (sum * sum) / squares,
    error: () => { const mean = sum / n, variance = Math.max(0, squares / n - mean * mean) * (n / Math.max(1, n - 1)); return Math.sqrt(variance / n) / mean; },
  };
}

export function judgeView() {
  const of = el("section", { class: "judgeview", "aria-label": "How probable" });
  add(of, offline || model.run.without_density || model.run.without_data ? el("p", { class: "lead" }, offline ? "log P(x) needs the model: latent explore RUN." : `There is no log P(x): ${model.run.without_density || model.run.without_data}.`) : likelihood(of), samplersSide());
  of.leave = () => { of.gone = true; };
  return of;
}

function likelihood(of) {
  const row = el("input", { inputMode: "numeric", value: state.row || "0", "aria-label": "Row" });
  const shown = picture("The row", "medium"), chart = el("div", { class: "chart" }), said = el("dl", { class: "numbers wide" });
  const most = 2048, part = 64;
  let run = 0;
  const colours = { importance: "#0072b2", elbo: "#d55e00", prior: "#8a8f99" };
  async function work() {
    const mine = ++run;
    set({ row: row.value.trim() }, true);
    try {
      shown.show(await rowPictures([state.row]));
      const weights = runningLogMean(), plain = runningLogMean();
      let total = 0, n = 0;
      const lines = { importance: [], elbo: [], prior: [] };
      while (n < most && mine === run && !of.gone) {
        const found = await ask("weights", { query: undefined, body: { row: state.row, first: n, draws: Math.min(part, most - n) } });
        found.posterior.forEach((w, i) => {
          n++;
          weights.add(w);
          plain.add(found.prior[i]);
          total += w;
          const keep = n <= 32 || n % Math.ceil(n / 48) === 0;
          if (keep) { lines.importance.push([n, weights.value()]); lines.elbo.push([n, total / n]); lines.prior.push([n, plain.value()]); }
        });
        const series = [{ name: "importance sampling from q(z|x)", points: lines.importance, colour: colours.importance }, { name: "ELBO, its mean", points: lines.elbo, colour: colours.elbo }, { name: "sampling from the prior", points: lines.prior, colour: colours.prior, dash: "5 4" }];
        const known = [...lines.importance, ...lines.elbo].map((p) => p[1]), top = Math.max(...known), bottom = Math.min(...known);
        const span = Math.max(2, top - bottom);
        put(chart, curves(series, { title: "log P(x) against draws", x: "draws", y: "nats", log: true, range: [bottom - 1.4 * span, top + 0.5 * span] }), keyOf(series));
        put(said, ...[["draws", thousands(n)], ["log P(x) ≥", `${number(weights.value())} ± ${number(weights.error(), 2)} nats`], ["ELBO", `${number(total / n)} nats`], ["gap: KL(q ‖ posterior)", `≥ ${number(weights.value() - total / n)} nats`],
          ["from the prior", `${number(plain.value())} nats`], ["draws that count", number(weights.effective(), 1)]].map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
      }
    } catch (error) { tell(error.message); }
  }
  row.addEventListener("change", work);
  setTimeout(work, 0);
  return el("div", {}, el("h1", {}, "How probable is this sample?"),
    el("p", { class: "lead" }, "P(x) is an integral over all codes. Of codes drawn from the prior few explain x, and the fewer the more dimensions there are; of codes drawn from q(z|x) most do, and each is weighed by how much likelier the prior finds it. Both close in on the same number, mostly from below: in two dimensions side by side, in twenty only the second within a lifetime."),
    el("div", { class: "beside narrow" }, el("div", {}, shown, el("div", { class: "row" }, row, el("button", { type: "button", onclick: () => { row.value = String(Math.floor(Math.random() * rows.n)); work(); } }, "Any row"), el("button", { type: "button", onclick: () => { const svgOf = chart.querySelector("svg"); if (svgOf) saveSvg(svgOf, "log-p.svg"); } }, "SVG")), said), chart));
}

function samplersSide() {
  const slots = el("div", { class: "samplers" }), count = 24;
  let seed = 1;
  const heat = el("output", {}, number(Number(state.temperature), 2));
  const temperature = el("input", { type: "range", min: 0.1, max: 1.5, step: 0.05, value: state.temperature, "aria-label": "Temperature", disabled: Boolean(offline),
    oninput: () => { heat.textContent = number(Number(temperature.value), 2); set({ temperature: temperature.value }, true); draw(); } });
  const names = offline ? ["prior"] : model.run.samplers;
  const places = new Map(names.map((name) => [name, el("div", {})]));
  const draw = newest(async () => {
    for (const name of names) {
      try {
        const block = offline ? await numbers("prior-samples") : await decode(rowsOf(await numbers("samples", { body: { sampler: name, count, seed, temperature: Number(temperature.value), condition } })));
        const grid = pictures({ shape: [Math.min(block.shape[0], count), ...block.shape.slice(1)], data: block.data });
        put(places.get(name), grid);
        places.get(name).block = block;
      } catch (error) { put(places.get(name), el("p", { class: "note" }, error.message)); }
    }
  });
  slots.append(...names.map((name) => el("section", {}, el("h3", {}, name === "prior" ? "The prior p(z)" : name, name === model.run.chosen && names.length > 1 ? el("small", {}, " chosen by fit-sampler") : null), places.get(name),
    isImage() ? el("p", { class: "actions" }, el("button", { type: "button", onclick: () => places.get(name).block && saveCanvas(stripCanvas(places.get(name).block), `samples-${name}.png`) }, "PNG")) : null)));
  draw();
  return el("div", { class: "sampling" }, el("h2", {}, "New samples"), el("div", { class: "row" }, el("label", { class: "field" }, el("span", {}, "Temperature"), temperature), heat, offline ? null : el("button", { type: "button", onclick: () => { seed++; draw(); } }, "Draw again")),
    conditionControls(draw), slots, names.length > 1 || offline ? null : el("p", { class: "note" }, "Codes that training left behind seldom lie as the prior does: latent fit-sampler RUN fits others to them, which then stand beside the prior here."));
}
