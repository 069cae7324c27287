// The page: which view is shown, and what is new since.
import { el, tell, thousands, pause, put } from "./dom.js";
import { state, set, hear, readLink, writeLink } from "./state.js";
import { ask, model, condition } from "./api.js";
import { offline } from "./offline.js";
import { rows, changedRows, loadField, loadPlaces, loadColumnRanges, fieldNames } from "./rows.js";
import { mapView, mapNow, latencies } from "./map.js";
import { dimensionsView } from "./dimensions.js";
import { betweenView } from "./between.js";
import { judgeView } from "./judge.js";
import { bringView, bringFile } from "./bring.js";
import { trainingView } from "./training.js";

const main = document.getElementById("main"), tabs = document.getElementById("tabs");
const viewsOf = { map: ["Map", mapView], dimensions: ["Dimensions", dimensionsView], between: ["Between", betweenView], judge: ["P(x)", judgeView], bring: ["Your own", bringView], training: ["Training", trainingView] };
let current = null;

const systemDark = matchMedia("(prefers-color-scheme: dark)");
function theme() {
  document.documentElement.dataset.theme = state.theme || (systemDark.matches ? "dark" : "light");
  changedRows("theme");
}
systemDark.addEventListener("change", theme);
document.getElementById("theme").addEventListener("click", () => { set({ theme: document.documentElement.dataset.theme === "dark" ? "light" : "dark" }, true); theme(); });

function show() {
  if (!model.run) return;
  if (!viewsOf[state.view]) state.view = "map";
  if (current && current.leave) current.leave();
  current = viewsOf[state.view][1]();
  put(main, current);
  main.dataset.view = state.view;
  const hidden = offline ? ["between", "bring", "training"] : [];
  put(tabs, ...Object.entries(viewsOf).filter(([name]) => !hidden.includes(name)).map(([name, [title]]) => el("button", { type: "button", "aria-current": name === state.view ? "page" : null, onclick: () => set({ view: name, dim: "" }) }, title)));
}

function facts() {
  const run = model.run, shape = run.shape.length === 3 ? `${run.shape[1]}×${run.shape[2]}${run.shape[0] > 1 ? " colour" : ""} images` : `${run.shape[0]} columns`;
  document.getElementById("run-name").textContent = run.name;
  document.title = `${run.name} · latent`;
  const parts = [run.source, `${thousands(run.splits[0])} training and ${thousands(run.splits[1])} held-out rows of ${shape}`, `${run.dims} latent ${run.dims === 1 ? "dimension" : "dimensions"}`];
  if (run.preset) parts.push(run.preset);
  if (run.without_data) parts.push(`without the data (${run.without_data})`);
  document.getElementById("facts").textContent = parts.join("  ·  ");
}

async function begin() {
  for (;;) {
    try {
      model.progress = await ask("progress");
      if (model.progress.generation > 0) {
        model.run = await ask("run");
        return;
      }
      put(main, el("p", { class: "lead" }, "Training has not written its first checkpoint yet: the page begins with it."));
      await pause(500);
    } catch (error) {
      put(main, el("p", { class: "lead" }, error.message));
      if (error.status === 401) { await new Promise((done) => addEventListener("hashchange", done, { once: true })); readLink(); }
      await pause(1000);
    }
  }
}

const baseFields = () => [model.run.classes.length ? "label" : null, "split", "error", "rate"].filter(Boolean);

async function loadRows() {
  if (!model.progress.rows || !model.progress.planes.length) return;
  if (!model.progress.planes.some((plane) => plane.name === state.plane)) state.plane = model.progress.planes[0].name;
  const extra = fieldNames().some(([name]) => name === state.colour) ? [state.colour] : [];
  await Promise.all([...new Set([...baseFields(), ...extra])].map((name) => loadField(name, true).catch(() => null)));
  await loadPlaces(state.plane);
  changedRows("places");
}

// Work goes on in the background: the page asks how far it is, less and less often.
async function follow() {
  let seen = { rows: model.progress.rows, planes: model.progress.planes.length, generation: model.progress.generation, log_p: 0 };
  for (let quiet = 0; ;) {
    await pause(offline ? 1e8 : quiet > 20 ? 2500 : 500);
    try {
      const now = await ask("progress");
      model.progress = now;
      const strip = document.getElementById("facts");
      strip.dataset.progress = now.rows < now.of ? `${thousands(now.rows)} of ${thousands(now.of)} rows are encoded` : "";
      if (now.generation !== seen.generation) {
        model.run = await ask("run");
        rows.fields = {};
        await loadRows();
        await loadColumnRanges();
        facts();
        changedRows("model");
      } else if (now.rows > seen.rows * 1.3 + 200 || (now.rows !== seen.rows && now.rows === now.of) || (now.planes.length && !rows.n)) {
        await loadRows();
        if (now.rows === now.of) await loadColumnRanges();
      } else if (now.log_p !== seen.log_p && state.colour === "log_p") {
        await loadField("log_p", true);
        changedRows("field");
        seen.log_p = now.log_p;
        continue;
      } else {
        if (now.planes.length !== seen.planes || (now.umap !== null && now.umap < 1)) { changedRows("planes"); seen.planes = now.planes.length; }
        if (now.rows === seen.rows) quiet++; else quiet = 0;
        if (now.umap !== null && now.umap < 1) quiet = 0;
        if (now.is_training) quiet = Math.min(quiet, 5);
        continue;
      }
      quiet = 0;
      seen = { rows: now.rows, planes: now.planes.length, generation: now.generation, log_p: now.log_p };
      changedRows("planes");
    } catch (error) {
      if (error.status === 401) tell(error.message);
      await pause(3000);
    }
  }
}

addEventListener("hashchange", () => { readLink(); theme(); show(); });
hear((changes) => { if ("view" in changes || "dim" in changes) { show(); main.focus({ preventScroll: true }); scrollTo(0, 0); } });
addEventListener("dragover", (event) => event.preventDefault());
addEventListener("drop", async (event) => { event.preventDefault(); for (const file of event.dataTransfer.files) await bringFile(file); });

(async () => {
  readLink();
  theme();
  await begin();
  for (const told of model.run.condition) condition[told.name] = told.classes.length ? told.classes[0] : String(told.mean);
  if (!state.colour) state.colour = model.run.classes.length ? "label" : "error";
  facts();
  try { await loadRows(); await loadColumnRanges(); } catch (error) { tell(error.message); }
  if (model.progress.is_training && !new URLSearchParams(location.hash.slice(1)).has("view")) state.view = "training";
  show();
  writeLink();
  follow();
  window.latentPage = { state, set, rows, model, mapNow, latencies, bringFile };
})();
