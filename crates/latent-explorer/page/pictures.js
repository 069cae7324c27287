// A sample as what it is: an image, or the card of a row.
import { el, number, put } from "./dom.js";
import { model, numbers, decode } from "./api.js";

export const isImage = () => model.run.shape.length === 3;

function imageOf(block, index) {
  const [, height, width, channels] = block.shape;
  const size = height * width;
  const image = new ImageData(width, height);
  const from = index * size * channels;
  for (let i = 0; i < size; i++) {
    const at = from + i * channels;
    image.data[4 * i] = block.data[at];
    image.data[4 * i + 1] = block.data[channels === 3 ? at + 1 : at];
    image.data[4 * i + 2] = block.data[channels === 3 ? at + 2 : at];
    image.data[4 * i + 3] = 255;
  }
  return image;
}

// A range for each column of a table, from the rows on the map: filled by the map.
export const columnRanges = {};

function cardOf(values, before) {
  const names = model.run.columns;
  const bars = [...values].map((value, i) => {
    const [low, high] = columnRanges[i] || [Math.min(0, value), Math.max(1, value)];
    const at = (v) => `${Math.max(0, Math.min(100, (100 * (v - low)) / (high - low || 1)))}%`;
    const bar = el("i", { class: "bar" }, el("b"));
    bar.firstChild.style.left = at(value);
    if (before) {
      const was = el("b", { class: "was" });
      was.style.left = at(before[i]);
      bar.prepend(was);
    }
    return el("div", {}, el("dt", { title: names[i] }, names[i]), el("dd", {}, number(value)), bar);
  });
  return el("dl", { class: "card" }, bars);
}

// A place for a sample: `show` puts one there.
export function picture(label, size = "") {
  const canvas = isImage() ? el("canvas", { class: "picture " + size, width: model.run.shape[2], height: model.run.shape[1], role: "img", "aria-label": label }) : null;
  const of = canvas || el("div", { class: "carded", role: "group", "aria-label": label });
  of.show = (block, index = 0, before = null) => {
    if (canvas) {
      if (canvas.width !== block.shape[2]) [canvas.width, canvas.height] = [block.shape[2], block.shape[1]];
      canvas.getContext("2d").putImageData(imageOf(block, index), 0, 0);
      canvas.classList.toggle("soft", block.shape[2] > 40);
    } else {
      const width = block.shape[1];
      put(of, cardOf(block.data.subarray(index * width, (index + 1) * width), before));
    }
    of.dataset.shown = String(Number(of.dataset.shown || 0) + 1);
  };
  of.clear = () => { if (canvas) canvas.getContext("2d").clearRect(0, 0, canvas.width, canvas.height); else put(of); };
  return of;
}

// A grid or strip of samples; each is a button if `pick` is given.
export function pictures(block, names, pick, kind = "grid") {
  const n = block.shape[0];
  return el("div", { class: "pictures " + kind }, Array.from({ length: n }, (_, i) => {
    const one = picture(names ? names[i] : `sample ${i + 1}`);
    one.show(block, i);
    const caption = names ? el("small", {}, names[i]) : null;
    return pick ? el("button", { type: "button", class: "pick", onclick: () => pick(i), title: names ? names[i] : "" }, one, caption) : el("figure", {}, one, caption);
  }));
}

export const rowPictures = (rows, of = "data") => numbers("pictures", { query: { rows: rows.join(","), of } });

export async function decodedStrip(codes, names, pick) {
  return pictures(await decode(codes), names, pick, "strip");
}
