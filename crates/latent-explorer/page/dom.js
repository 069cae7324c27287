// Elements from plain values: text is always text, never markup.

export function el(tag, props = {}, ...children) {
  const of = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) of.addEventListener(name.slice(2), value);
    else if (name === "class") of.className = value;
    else if (name in of && name !== "list" && name !== "form") of[name] = value;
    else of.setAttribute(name, value === true ? "" : value);
  }
  of.append(...children.flat(9).filter((child) => child !== null && child !== undefined && child !== false));
  return of;
}

export function svg(tag, props = {}, ...children) {
  const of = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(props)) if (value !== undefined && value !== null) of.setAttribute(name, value);
  of.append(...children.flat(9).filter(Boolean));
  return of;
}

export const add = (into, ...children) => into.append(...children.flat(9).filter((child) => child !== null && child !== undefined && child !== false && child !== ""));

// Puts children in the place of those that are there; lists are flattened, null is left out.
export function put(into, ...children) {
  into.replaceChildren(...children.flat(9).filter((child) => child !== null && child !== undefined && child !== false && child !== ""));
}

export const field = (label, control, note) => el("label", { class: "field" }, el("span", {}, label), control, note ? el("small", {}, note) : null);

export function choice(options, value, change, props = {}) {
  const of = el("select", { ...props, onchange: () => change(of.value) }, options.map(([key, name]) => el("option", { value: key }, name)));
  of.value = value;
  return of;
}

export function segmented(label, options, value, change) {
  const buttons = options.map(([key, name, title]) => el("button", { type: "button", "aria-pressed": String(key === value), title: title || "",
    onclick: () => { mark(key); change(key); } }, name));
  const mark = (chosen) => options.forEach(([key], i) => buttons[i].setAttribute("aria-pressed", String(key === chosen)));
  return el("div", { class: "segmented", role: "group", "aria-label": label }, buttons);
}

export function tick(label, value, change, note) {
  const box = el("input", { type: "checkbox", checked: value, onchange: () => change(box.checked) });
  return el("label", { class: "tick" }, box, el("span", {}, label), note ? el("small", {}, note) : null);
}

let toldTimer = 0;
export function tell(text) {
  const of = document.getElementById("told");
  of.textContent = text;
  of.classList.add("shown");
  clearTimeout(toldTimer);
  toldTimer = setTimeout(() => of.classList.remove("shown"), 6000);
}

export function number(value, digits = 3) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (Number.isInteger(value) && size < 1e6) return String(value).replace("-", "−");
  if (size >= 1e5 || (size > 0 && size < 1e-3)) return value.toExponential(2).replace("-", "−");
  return value.toFixed(size >= 100 ? 1 : size >= 10 ? 2 : digits).replace("-", "−");
}

export const thousands = (n) => String(n).replace(/\B(?=(\d{3})+$)/g, ",");

// Runs one at a time, and of those that wait only the newest.
export function newest(work) {
  let busy = false, next = null;
  return async (...args) => {
    next = args;
    if (busy) return;
    busy = true;
    while (next) {
      const now = next;
      next = null;
      try { await work(...now); } catch (error) { if (error.name !== "AbortError") tell(error.message); }
    }
    busy = false;
  };
}

export const pause = (ms) => new Promise((done) => setTimeout(done, ms));
export const frame = () => new Promise((done) => requestAnimationFrame(done));
