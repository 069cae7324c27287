// A sample of one's own: encoded, reconstructed, scored, put beside its nearest rows.
import { el, number, tell, put, add } from "./dom.js";
import { state, set } from "./state.js";
import { ask, model, decode } from "./api.js";
import { offline } from "./offline.js";
import { picture, pictures, rowPictures, isImage } from "./pictures.js";
import { rateOf } from "./panel.js";

const brought = [];
let showBrought = () => {};

export async function bringFile(file) {
  if (offline) { tell("To encode a sample the model is needed: latent explore RUN."); return; }
  if (file.size > 16 * 2 ** 20) { tell("Files of up to 16 MB are taken."); return; }
  try {
    for (const one of await ask("bring", { raw: file, query: { plane: state.plane } })) brought.unshift({ ...one, from: file.name });
    brought.length = Math.min(brought.length, 24);
    if (state.view === "bring") showBrought(); else set({ view: "bring" });
  } catch (error) { tell(error.message); }
}

export function bringView() {
  const of = el("section", { class: "bringview", "aria-label": "Your own" });
  if (offline) { add(of, el("p", { class: "lead" }, "To encode a sample of your own the model is needed: latent explore RUN.")); return of; }
  const input = el("input", { type: "file", id: "bring-file", multiple: true, accept: isImage() ? "image/png,image/jpeg,.npy" : ".csv,.npy", onchange: async () => { for (const file of input.files) await bringFile(file); input.value = ""; } });
  const list = el("div", { class: "brought" });
  add(of, el("h1", {}, "Bring your own"), el("label", { class: "drop", htmlFor: "bring-file" }, el("b", {}, isImage() ? "Drop a picture here, or choose one" : "Drop a csv or npy file here, or choose one"),
    el("span", {}, isImage() ? "It is cut to the model's proportions and resized. It stays on this machine." : "Its rows have the columns of the data. They stay on this machine."), input), isImage() ? null : rowForm(), list);
  showBrought = async () => {
    put(list, ...await Promise.all(brought.map(cardOfBrought)));
  };
  showBrought();
  of.leave = () => { showBrought = () => {}; };
  return of;
}

function rowForm() {
  const inputs = model.run.columns.map((name) => el("input", { inputMode: "decimal", "aria-label": name, placeholder: "0" }));
  const send = async () => {
    try {
      const values = inputs.map((input) => Number(input.value || 0));
      for (const one of await ask("bring-row", { body: { values, plane: state.plane } })) brought.unshift({ ...one, from: "typed" });
      showBrought();
    } catch (error) { tell(error.message); }
  };
  return el("details", {}, el("summary", {}, "Or type a row"), el("div", { class: "rowform" }, model.run.columns.map((name, i) => el("label", { class: "field" }, el("span", {}, name), inputs[i]))), el("p", { class: "actions" }, el("button", { type: "button", onclick: send }, "Encode it")));
}

async function cardOfBrought(one) {
  const sample = picture("Yours", "medium"), back = picture("Its reconstruction", "medium"), near = el("div", {}), scored = el("dd", {}, "…");
  const total = rateOf(one);
  const card = el("article", { class: "own" }, el("h2", {}, one.from), el("div", { class: "pair" }, el("figure", {}, sample, el("figcaption", {}, "yours, as the model sees it")), el("figure", {}, back, el("figcaption", {}, "reconstruction"))),
    el("dl", { class: "numbers" }, [["error", number(one.error)], ["rate", total === null ? "–" : `${number(total)} nats`]].map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))), el("div", {}, el("dt", {}, "log P(x) ≥"), scored)),
    el("p", { class: "actions" }, el("button", { type: "button", onclick: () => set({ view: "map", row: one.row }) }, "Show on the map"), el("button", { type: "button", onclick: () => set({ view: "judge", row: one.row }) }, "P(x) step by step"), el("button", { type: "button", onclick: () => set({ view: "dimensions", dim: "", code: one.code.map((v) => v.toPrecision(5)).join(",") }) }, "Edit its code")),
    el("h3", {}, "Nearest training rows, by code"), near);
  try {
    const data = await rowPictures([one.row]);
    sample.show(data);
    back.show(await rowPictures([one.row], "reconstruction"), 0, isImage() ? null : data.data);
    if (!model.run.without_data && one.nearest.length) near.append(pictures(await rowPictures(one.nearest.map((n) => n.row)), one.nearest.map((n) => `${n.label ?? n.name}  ${number(n.distance, 2)}`), (i) => set({ view: "map", row: String(one.nearest[i].row) })));
    if (model.run.without_density) scored.textContent = "–";
    else ask("weights", { body: { row: one.row, first: 0, draws: 256 } }).then((found) => {
      const most = Math.max(...found.posterior), sum = found.posterior.reduce((a, w) => a + Math.exp(w - most), 0);
      scored.textContent = `${number(most + Math.log(sum / found.posterior.length))} nats`;
    }, () => { scored.textContent = "–"; });
  } catch (error) { tell(error.message); }
  return card;
}
