// What the page asks of /api/, and nothing else.
import { state } from "./state.js";
import { offline, answerOffline } from "./offline.js";

async function request(path, { query, body, raw, signal } = {}) {
  const given = query ? "?" + new URLSearchParams(query) : "";
  const headers = { Authorization: "Bearer " + state.token };
  let payload = raw;
  if (body) {
    headers["Content-Type"] = "application/json";
    payload = JSON.stringify(body);
  }
  let answer;
  try {
    answer = await fetch("/api/" + path + given, { method: payload === undefined ? "GET" : "POST", headers, body: payload, signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The explorer does not answer: it may have ended.");
  }
  if (!answer.ok) {
    const said = await answer.json().catch(() => ({}));
    const error = new Error(said.error || `The explorer answers ${answer.status}.`);
    error.status = answer.status;
    throw error;
  }
  return answer;
}

export async function ask(path, options = {}) {
  if (offline) return answerOffline(path, options.query || {}, options.body || {});
  return (await request(path, options)).json();
}

export async function numbers(path, options = {}) {
  if (offline) return answerOffline(path, options.query || {}, options.body || {});
  const answer = await request(path, options);
  const buffer = await answer.arrayBuffer();
  const shape = (answer.headers.get("x-shape") || "0").split(",").map(Number);
  return { shape, data: answer.headers.get("x-type") === "u8" ? new Uint8Array(buffer) : new Float32Array(buffer) };
}

export async function file(path, options = {}) {
  if (offline) return answerOffline(path, {}, {});
  return (await request(path, options)).blob();
}

export const rowsOf = (block) => {
  const [n, width] = [block.shape[0], block.data.length / Math.max(1, block.shape[0])];
  return Array.from({ length: n }, (_, i) => Array.from(block.data.subarray(i * width, (i + 1) * width)));
};

// What is explored, and how far the work is; filled by app.js.
export const model = { run: null, progress: null };

// What a conditional model is told: chosen once for the page.
export const condition = {};
export const decode = (codes, more = {}) => numbers("decode", { body: { codes, condition, ...more } });
export const decodeAt = (points, plane, more = {}) => numbers("decode", { body: { points, plane, condition, ...more } });
