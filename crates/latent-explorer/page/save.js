// Files to take away.
import { el, tell } from "./dom.js";

export function saveBlob(blob, name) {
  const link = el("a", { href: URL.createObjectURL(blob), download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  tell(`${name} is in your downloads.`);
}

export const saveCanvas = (canvas, name) => canvas.toBlob((blob) => saveBlob(blob, name), "image/png");

// An SVG element with the colours that it has on the page.
export function saveSvg(element, name) {
  const copy = element.cloneNode(true);
  const originals = [element, ...element.querySelectorAll("*")], copies = [copy, ...copy.querySelectorAll("*")];
  originals.forEach((from, i) => {
    const style = getComputedStyle(from);
    for (const property of ["fill", "stroke", "stroke-width", "font-size", "font-family", "opacity"]) copies[i].setAttribute(property, style.getPropertyValue(property));
  });
  copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  saveBlob(new Blob([new XMLSerializer().serializeToString(copy)], { type: "image/svg+xml" }), name);
}

export function copyLink() {
  navigator.clipboard?.writeText(location.href).then(() => tell("The link holds this view. It opens on this machine while the explorer runs."), () => tell(location.href));
}
