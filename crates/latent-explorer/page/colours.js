// Colours that people with any colour vision can tell apart (Okabe & Ito; Tol), and a ramp that grows in lightness (viridis).

const classColours = [[0x00, 0x72, 0xb2], [0xe6, 0x9f, 0x00], [0x00, 0x9e, 0x73], [0xd5, 0x5e, 0x00], [0x56, 0xb4, 0xe9], [0xcc, 0x79, 0xa7],
  [0x5b, 0x4b, 0xb8], [0x99, 0x99, 0x33], [0x9c, 0x2b, 0x68], [0x84, 0x8b, 0x98], [0x8a, 0x5a, 0x30], [0x44, 0xd0, 0xb0], [0xdd, 0xcc, 0x77], [0xe0, 0x30, 0x50]];
const ramp = [[68, 1, 84], [72, 40, 120], [62, 74, 137], [49, 104, 142], [38, 130, 142], [31, 158, 137], [53, 183, 121], [110, 206, 88], [181, 222, 43], [253, 231, 37]];

export function classColour(index) {
  const plain = classColours[index % classColours.length];
  const base = document.documentElement.dataset.theme === "dark" ? plain.map((v) => v + 0.28 * (255 - v)) : plain;
  const round = Math.floor(index / classColours.length) % 3;
  return round === 0 ? base : round === 1 ? base.map((v) => v / 2 + 110) : base.map((v) => v * 0.6);
}

export function rampColour(share) {
  const at = Math.min(0.9999, Math.max(0, share)) * (ramp.length - 1);
  const [low, rest] = [Math.floor(at), at % 1];
  return ramp[low].map((v, i) => v + rest * (ramp[low + 1][i] - v));
}

export const css = ([r, g, b]) => `rgb(${Math.round(r)} ${Math.round(g)} ${Math.round(b)})`;
export const rampCss = `linear-gradient(90deg, ${ramp.map(css).join(", ")})`;

// All but the outermost values share the ramp: one outlier does not take it all.
export function valueRange(values) {
  const kept = Float32Array.from(values).filter(Number.isFinite).sort();
  if (!kept.length) return [0, 1];
  const at = (share) => kept[Math.round(share * (kept.length - 1))];
  const [low, high] = [at(0.01), at(0.99)];
  return high > low ? [low, high] : [low - 0.5, low + 0.5];
}

export const themed = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
