// What a canvas would draw, as SVG: the same drawing code makes both.

const fixed = (value) => String(Math.round(value * 100) / 100);
const escaped = (text) => String(text).replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);

// Takes the calls of a 2D context that the map makes, in pixels, and gives the text of an SVG.
export class Vector {
  constructor(width, height) {
    Object.assign(this, { width, height, parts: [], path: "", dash: "", globalAlpha: 1, lineWidth: 1, fillStyle: "#000", strokeStyle: "#000" });
  }
  clearRect() {}
  beginPath() { this.path = ""; }
  closePath() { this.path += "Z"; }
  moveTo(x, y) { this.path += `M${fixed(x)} ${fixed(y)}`; }
  lineTo(x, y) { this.path += `L${fixed(x)} ${fixed(y)}`; }
  arc(x, y, radius) { this.ellipse(x, y, radius, radius, 0); }
  // A whole ellipse, in two halves.
  ellipse(x, y, a, b, angle) {
    const [dx, dy] = [a * Math.cos(angle), a * Math.sin(angle)], half = `A${fixed(a)} ${fixed(b)} ${fixed((angle * 180) / Math.PI)} 1 1 `;
    this.path += `M${fixed(x - dx)} ${fixed(y - dy)}${half}${fixed(x + dx)} ${fixed(y + dy)}${half}${fixed(x - dx)} ${fixed(y - dy)}Z`;
  }
  setLineDash(lengths) { this.dash = lengths.length ? ` stroke-dasharray="${lengths.map(fixed).join(" ")}"` : ""; }
  fill() { this.parts.push(`<path d="${this.path}" fill="${escaped(this.fillStyle)}" opacity="${fixed(this.globalAlpha)}"/>`); }
  stroke() { this.parts.push(`<path d="${this.path}" fill="none" stroke="${escaped(this.strokeStyle)}" stroke-width="${fixed(this.lineWidth)}" opacity="${fixed(this.globalAlpha)}"${this.dash}/>`); }
  fillRect(x, y, w, h) { this.parts.push(`<rect x="${fixed(x)}" y="${fixed(y)}" width="${fixed(w)}" height="${fixed(h)}" fill="${escaped(this.fillStyle)}"/>`); }
  disc(x, y, radius, [r, g, b, alpha]) { this.parts.push(`<circle cx="${fixed(x)}" cy="${fixed(y)}" r="${fixed(radius)}" fill="rgb(${r} ${g} ${b})" fill-opacity="${fixed(alpha / 255)}"/>`); }
  drawImage(canvas, x, y, w, h) {
    this.parts.push(`<image x="${fixed(x)}" y="${fixed(y)}" width="${fixed(w)}" height="${fixed(h)}" preserveAspectRatio="none" image-rendering="pixelated" href="${canvas.toDataURL("image/png")}"/>`);
  }
  text() {
    return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${this.width} ${this.height}" width="${this.width}" height="${this.height}">${this.parts.join("\n")}</svg>`;
  }
}
