// The page as one file: what a server would answer comes from the data inside.

const offlineElement = document.getElementById("offline");
export const offline = offlineElement ? JSON.parse(offlineElement.textContent) : null;
const unpackedBlocks = new Map();

async function unpacked(block) {
  if (!unpackedBlocks.has(block)) {
    const bytes = Uint8Array.from(atob(block.deflate), (c) => c.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
    const buffer = await new Response(stream).arrayBuffer();
    unpackedBlocks.set(block, { shape: block.shape, data: block.type === "u8" ? new Uint8Array(buffer) : new Float32Array(buffer) });
  }
  return unpackedBlocks.get(block);
}

const needsModel = () => { throw new Error("This needs the model: latent explore RUN. This file shows what was decoded when it was written."); };

function picked(numbers, rows) {
  const width = numbers.data.length / numbers.shape[0];
  const data = new numbers.data.constructor(rows.length * width);
  rows.forEach((row, i) => data.set(numbers.data.subarray(row * width, (row + 1) * width), i * width));
  return { shape: [rows.length, ...numbers.shape.slice(1)], data };
}

// The picture of the row nearest in number: not every row's is on board.
const nearestPictured = (row) => offline.pictures.rows.reduce((best, at, i, all) => (Math.abs(at - row) < Math.abs(all[best] - row) ? i : best), 0);
export const isPictured = (row) => !offline || (offline.pictures && offline.pictures.rows.includes(Number(row)));

export async function answerOffline(path, query, body) {
  switch (path) {
    case "run": return offline.run;
    case "progress": return { generation: 1, rows: offline.rows, of: offline.rows, log_p: 0, is_training: false, umap: null,
      planes: Object.entries(offline.planes).map(([name, plane]) => ({ name, linear: plane.linear, trust: null })) };
    case "points": return unpacked(offline.planes[query.plane].points);
    case "field": return offline.fields[query.name] ? unpacked(offline.fields[query.name]) : needsModel();
    case "dimensions": return offline.dimensions;
    case "search": return { rows: [], total: 0 };
    case "training": return { next: 0, lines: [] };
    case "walks": return Promise.all(offline.walks.map(async (walk) => ({ ...walk, pictures: await unpacked(walk.pictures) })));
    case "prior-samples": return offline.samples ? unpacked(offline.samples) : needsModel();
    case "pictures": {
      if (!offline.pictures) return needsModel();
      return picked(await unpacked(offline.pictures[query.of]), query.rows.split(",").map((row) => nearestPictured(Number(row))));
    }
    case "row": {
      const row = Number(query.row);
      const value = async (name) => (offline.fields[name] ? (await unpacked(offline.fields[name])).data[row] : null);
      const label = await value("label");
      const place = await unpacked(offline.planes[query.plane || Object.keys(offline.planes)[0]].points);
      return { row: query.row, name: `row ${row}`, label: label === null ? null : offline.run.classes[label], rate: await value("rate"),
        rates: [await value("rate")], error: await value("error"), code: null, place: [place.data[2 * row], place.data[2 * row + 1]] };
    }
    case "decode": {
      const plane = offline.planes[body.plane];
      if (!body.points || !plane) return needsModel();
      const [left, right, bottom, top] = plane.window, side = plane.side;
      const at = (v, from, to) => Math.min(side - 1, Math.max(0, Math.floor(((v - from) / (to - from)) * side)));
      return picked(await unpacked(plane.grid), body.points.map(([x, y]) => at(y, bottom, top) * side + at(x, left, right)));
    }
    default: return needsModel();
  }
}
