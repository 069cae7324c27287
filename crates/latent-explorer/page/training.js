// A training: its curves, fresh samples of the newest checkpoint, held-out rows as they come back.
import { el, number, thousands, tell, choice, put } from "./dom.js";
import { ask, numbers, decode, rowsOf, model, condition } from "./api.js";
import { curves, keyOf } from "./charts.js";
import { pictures, rowPictures, isImage } from "./pictures.js";
import { saveSvg } from "./save.js";

const trainingLines = [];
let trainingNext = 0;

const smoothed = (points, width) => {
  if (points.length < 2 * width) return points;
  const out = [];
  let sum = 0;
  points.forEach((p, i) => { sum += p[1]; if (i >= width) sum -= points[i - width][1]; if (i >= width - 1) out.push([p[0], sum / width]); });
  return out;
};

export function trainingView() {
  const chart = el("div", { class: "chart" }), said = el("p", { class: "lead" }), samples = el("div", {}), back = el("div", {});
  let shownName = "loss", generation = -1, alive = true;
  const names = el("div", {});
  async function read() {
    const found = await ask("training", { query: { from: trainingNext } });
    if (found.next < trainingNext || (found.lines.length && trainingLines.length && found.lines[0].step < trainingLines[0].step)) trainingLines.length = 0;
    trainingNext = found.next;
    trainingLines.push(...found.lines);
    return found.lines.length;
  }
  function paint() {
    const all = [...new Set(trainingLines.flatMap((line) => Object.keys(line)))].filter((name) => !["step", "epoch", "validation"].includes(name));
    if (!all.length) { put(chart, el("p", { class: "note" }, "The log has no line yet.")); return; }
    if (!all.includes(shownName)) shownName = all[0];
    put(names, choice(all.map((name) => [name, name]), shownName, (name) => { shownName = name; paint(); }, { "aria-label": "Curve" }));
    const of = (validation) => trainingLines.filter((line) => line.validation === validation && Number.isFinite(line[shownName])).map((line) => [line.epoch, line[shownName]]);
    const train = of(false);
    const series = [{ name: "training, each step", points: train, colour: "#8aa3b8", thin: true }, { name: "training, smoothed", points: smoothed(train, Math.max(1, Math.round(train.length / 40))), colour: "#0072b2" }, { name: "validation", points: of(true), colour: "#d55e00" }].filter((one) => one.points.length);
    put(chart, curves(series, { title: shownName, x: "epochs", y: shownName }), keyOf(series));
  }
  async function pictured() {
    const codes = await numbers("samples", { body: { sampler: "prior", count: 32, seed: 1, condition } });
    put(samples, pictures(await decode(rowsOf(codes))));
    if (!model.run.without_data && model.progress.rows >= 8) {
      const list = [0, 1, 2, 3, 4, 5, 6, 7];
      const [data, again] = await Promise.all([rowPictures(list), rowPictures(list, "reconstruction")]);
      put(back, pictures(data), pictures(again));
    }
  }
  (async () => {
    while (alive) {
      try {
        if (await read() || !chart.childElementCount) paint();
        const now = model.progress;
        said.textContent = now.is_training ? `Step ${thousands(now.training_step)}${now.training_total ? ` of ${thousands(now.training_total)}` : ""}. The pictures are of the checkpoint after step ${thousands(now.step ?? 0)}.` : "This training is over.";
        if (model.run && now.generation !== generation && now.rows > 0) { generation = now.generation; await pictured(); }
      } catch (error) { if (alive && error.status !== 503) tell(error.message); }
      await new Promise((done) => setTimeout(done, model.progress && model.progress.is_training ? 700 : 4000));
    }
  })();
  const of = el("section", { class: "trainingview", "aria-label": "Training" }, el("h1", {}, "Training"), said, el("div", { class: "row" }, names, el("button", { type: "button", onclick: () => { const found = chart.querySelector("svg"); if (found) saveSvg(found, "curves.svg"); } }, "SVG")), chart,
    el("h2", {}, "Samples of the prior"), samples, el("h2", {}, "Held-out rows, and as they come back"), back);
  of.leave = () => { alive = false; };
  return of;
}
