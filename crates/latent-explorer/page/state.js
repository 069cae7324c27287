// The whole state stands behind # in the link: a finding is shared by sharing the link (with the token, on this machine).

const defaults = { view: "map", plane: "", colour: "", row: "", code: "", layers: "rows", window: "", filter: "", from: "", to: "",
  path: "spherical", temperature: "1", dim: "", classes: "", theme: "" };

export const state = { ...defaults, token: "" };
const listeners = new Set();

export function readLink() {
  const given = new URLSearchParams(location.hash.slice(1));
  for (const key of Object.keys(defaults)) state[key] = given.get(key) ?? defaults[key];
  state.token = given.get("token") ?? state.token;
}

let linkTimer = 0;
export function set(changes, quietly = false) {
  Object.assign(state, changes);
  clearTimeout(linkTimer);
  linkTimer = setTimeout(writeLink, 150);
  if (!quietly) for (const hear of [...listeners]) hear(changes);
}

export function writeLink() {
  const link = new URLSearchParams();
  if (state.token) link.set("token", state.token);
  for (const [key, value] of Object.entries(defaults)) if (state[key] !== value && state[key] !== "") link.set(key, state[key]);
  history.replaceState(null, "", "#" + link);
}

export function hear(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export const layers = () => new Set(state.layers.split(".").filter(Boolean));
export function setLayer(name, on) {
  const all = layers();
  if (on) all.add(name); else all.delete(name);
  set({ layers: [...all].join(".") });
}
