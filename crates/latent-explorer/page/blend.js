// Points without a graphics processor: discs are blended into the pixels here, some ten times as fast as WebGL in software.

// Of a pixel of opacity d under a disc of opacity a: the opacity of both, and the share of the disc's colour in it (256 is all).
function blendTables() {
  const both = new Uint8Array(65536), share = new Uint16Array(65536);
  for (let a = 0; a < 256; a++) for (let d = 0; d < 256; d++) {
    const sum = a + d - (a * d) / 255;
    both[(a << 8) | d] = Math.round(sum);
    share[(a << 8) | d] = sum ? Math.round((256 * a) / sum) : 0;
  }
  return { both, share };
}

// The pixels of a disc about its middle one, and how much of each it covers, of 255: the edge of the shader's.
function discMask(size) {
  const reach = Math.max(0, Math.ceil(size / 2 - 0.5)), dx = [], dy = [], cover = [];
  for (let y = -reach; y <= reach; y++) for (let x = -reach; x <= reach; x++) {
    const t = Math.max(0, Math.min(1, (0.5 - Math.hypot(x, y) / size) / 0.14));
    const covered = Math.round(255 * t * t * (3 - 2 * t));
    if (covered) { dx.push(x); dy.push(y); cover.push(covered); }
  }
  return { reach, dx: Int16Array.from(dx), dy: Int16Array.from(dy), cover: Uint8Array.from(cover) };
}

export function blended(canvas) {
  // In main memory, where it is written.
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const { both, share } = blendTables(), masks = new Map();
  const mask = (size) => {
    const quarters = Math.max(4, Math.round(4 * size));
    if (!masks.has(quarters)) masks.set(quarters, discMask(quarters / 4));
    return masks.get(quarters);
  };
  let places = new Float32Array(), colours = new Uint8Array(), sizes = new Float32Array(), image = null, pixels = null;
  return {
    kind: "canvas",
    setPlaces(data) { places = data; },
    setColours(data) { colours = data; },
    setSizes(data) { sizes = data; },
    draw(view, size, limit = Infinity) {
      const { width, height } = canvas, n = Math.min(places.length / 2, limit);
      if (!width || !height) return;
      if (!image || image.width !== width || image.height !== height) {
        image = context.createImageData(width, height);
        pixels = new Uint32Array(image.data.buffer);
      }
      pixels.fill(0);
      let disc = null, discSize = NaN;
      for (let i = 0; i < n; i++) {
        const alpha = colours[4 * i + 3];
        if (!alpha) continue;
        const x = Math.floor(width / 2 + (places[2 * i] - view.x) * view.scale), y = Math.floor(height / 2 - (places[2 * i + 1] - view.y) * view.scale);
        if (sizes[i] !== discSize) { discSize = sizes[i]; disc = mask(size * discSize); }
        const { reach, dx, dy, cover } = disc;
        if (!(x >= -reach && y >= -reach && x < width + reach && y < height + reach)) continue;
        const inside = x >= reach && y >= reach && x < width - reach && y < height - reach;
        const r = colours[4 * i], g = colours[4 * i + 1], b = colours[4 * i + 2], colour = (b << 16) | (g << 8) | r;
        for (let k = 0; k < cover.length; k++) {
          const px = x + dx[k], py = y + dy[k];
          if (!inside && (px < 0 || py < 0 || px >= width || py >= height)) continue;
          const at = py * width + px, below = pixels[at], d = below >>> 24, a = (alpha * cover[k] * 257 + 32896) >> 16;
          if (!d) { pixels[at] = (a << 24) | colour; continue; }
          const pair = (a << 8) | d, w = share[pair], br = below & 255, bg = (below >>> 8) & 255, bb = (below >>> 16) & 255;
          pixels[at] = (both[pair] << 24) | ((bb + (((b - bb) * w) >> 8)) << 16) | ((bg + (((g - bg) * w) >> 8)) << 8) | (br + (((r - br) * w) >> 8));
        }
      }
      context.putImageData(image, 0, 0);
    },
  };
}
