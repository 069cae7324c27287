// Many points: WebGL2 where a graphics processor draws it, else a canvas whose pixels are blended by `blend.js`.
import { blended } from "./blend.js";

const vertexShader = `#version 300 es
in vec2 place; in vec4 colour; in float big;
uniform vec2 centre, scale; uniform float size;
out vec4 shade;
void main() {
  gl_Position = vec4((place - centre) * scale, 0.0, 1.0);
  gl_PointSize = colour.a == 0.0 ? 0.0 : size * big;
  if (colour.a == 0.0) gl_Position = vec4(9.0);
  shade = colour;
}`;
const fragmentShader = `#version 300 es
precision mediump float;
in vec4 shade; out vec4 pixel;
void main() {
  float far = length(gl_PointCoord - 0.5);
  if (far > 0.5) discard;
  float alpha = shade.a * smoothstep(0.5, 0.36, far);
  pixel = vec4(shade.rgb * alpha, alpha);
}`;

function program(gl) {
  const of = gl.createProgram();
  for (const [kind, source] of [[gl.VERTEX_SHADER, vertexShader], [gl.FRAGMENT_SHADER, fragmentShader]]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(of, shader);
  }
  ["place", "colour", "big"].forEach((name, i) => gl.bindAttribLocation(of, i, name));
  gl.linkProgram(of);
  return gl.getProgramParameter(of, gl.LINK_STATUS) ? of : null;
}

// Draws points [x, y] with colours [r, g, b, a] of bytes and sizes; `view` is { x, y, scale } with scale in pixels a unit.
export function pointDrawer(canvas) {
  const drawer = onto(canvas), kept = { places: new Float32Array(), colours: new Uint8Array(), sizes: new Float32Array() };
  const keep = (name, set) => (data) => { kept[name] = data; drawer[set](data); };
  return { ...drawer, setPlaces: keep("places", "setPlaces"), setColours: keep("colours", "setColours"), setSizes: keep("sizes", "setSizes"),
    // Each point that is seen, as (x, y, radius, colour) in pixels; false, and none of them, where they are more than `most`.
    each(most, view, size, take) {
      const { places, colours, sizes } = kept, seen = [];
      for (let i = 0; i < places.length / 2; i++) {
        const x = canvas.width / 2 + (places[2 * i] - view.x) * view.scale, y = canvas.height / 2 - (places[2 * i + 1] - view.y) * view.scale;
        if (colours[4 * i + 3] && x >= 0 && y >= 0 && x <= canvas.width && y <= canvas.height) seen.push([x, y, 0.43 * size * sizes[i], colours.subarray(4 * i, 4 * i + 4)]);
        if (seen.length > most) return false;
      }
      seen.forEach((point) => take(...point));
      return true;
    } };
}

// Whether the browser would draw WebGL on the processor: asked of a canvas that is thrown away, since a canvas keeps its first context.
function drawsInSoftware() {
  const gl = document.createElement("canvas").getContext("webgl2");
  if (!gl) return true;
  const info = gl.getExtension("WEBGL_debug_renderer_info");
  const by = String(gl.getParameter(info ? info.UNMASKED_RENDERER_WEBGL : gl.RENDERER));
  const free = gl.getExtension("WEBGL_lose_context");
  if (free) free.loseContext();
  return /swiftshader|llvmpipe|softpipe|software|basic render/i.test(by);
}

// `?points=webgl` and `?points=canvas` in the address choose.
function onto(canvas) {
  const chosen = new URLSearchParams(location.search).get("points");
  const plain = chosen === "canvas" || (chosen !== "webgl" && drawsInSoftware());
  const gl = plain ? null : canvas.getContext("webgl2", { antialias: false, premultipliedAlpha: true, preserveDrawingBuffer: true });
  const linked = gl && program(gl);
  return linked ? shaded(gl, linked, canvas) : blended(canvas);
}

function shaded(gl, linked, canvas) {
  gl.useProgram(linked);
  const places = gl.createBuffer(), colours = gl.createBuffer(), sizes = gl.createBuffer();
  const bind = (buffer, index, width, type, normalised) => {
    gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
    gl.enableVertexAttribArray(index);
    gl.vertexAttribPointer(index, width, type, normalised, 0, 0);
  };
  gl.enable(gl.BLEND);
  gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
  const at = (name) => gl.getUniformLocation(linked, name);
  const uniforms = { centre: at("centre"), scale: at("scale"), size: at("size") };
  let count = 0;
  const fill = (buffer, data) => { gl.bindBuffer(gl.ARRAY_BUFFER, buffer); gl.bufferData(gl.ARRAY_BUFFER, data, gl.DYNAMIC_DRAW); };
  bind(places, 0, 2, gl.FLOAT, false);
  bind(colours, 1, 4, gl.UNSIGNED_BYTE, true);
  bind(sizes, 2, 1, gl.FLOAT, false);
  return {
    kind: "WebGL2",
    setPlaces(data) { fill(places, data); count = data.length / 2; },
    setColours(data) { fill(colours, data); },
    setSizes(data) { fill(sizes, data); },
    draw(view, size, limit = Infinity) {
      gl.viewport(0, 0, canvas.width, canvas.height);
      gl.clearColor(0, 0, 0, 0);
      gl.clear(gl.COLOR_BUFFER_BIT);
      if (!count) return;
      gl.uniform2f(uniforms.centre, view.x, view.y);
      gl.uniform2f(uniforms.scale, (2 * view.scale) / canvas.width, (2 * view.scale) / canvas.height);
      gl.uniform1f(uniforms.size, size);
      gl.drawArrays(gl.POINTS, 0, Math.min(count, limit));
    },
  };
}

// Finds the nearest visible point: a grid of cells, each with the points in it.
export function nearestFinder(places, visible) {
  const n = places.length / 2;
  let [left, right, bottom, top] = [Infinity, -Infinity, Infinity, -Infinity];
  for (let i = 0; i < n; i++) {
    left = Math.min(left, places[2 * i]); right = Math.max(right, places[2 * i]);
    bottom = Math.min(bottom, places[2 * i + 1]); top = Math.max(top, places[2 * i + 1]);
  }
  const side = Math.max(1, Math.min(256, Math.round(Math.sqrt(n / 4))));
  const cell = (x, y) => {
    const cx = Math.floor(((x - left) / (right - left || 1)) * side), cy = Math.floor(((y - bottom) / (top - bottom || 1)) * side);
    return [Math.max(0, Math.min(side - 1, cx)), Math.max(0, Math.min(side - 1, cy))];
  };
  const starts = new Uint32Array(side * side + 1), of = new Uint32Array(n);
  const cellOf = new Uint32Array(n);
  for (let i = 0; i < n; i++) { const [cx, cy] = cell(places[2 * i], places[2 * i + 1]); cellOf[i] = cy * side + cx; starts[cellOf[i] + 1]++; }
  for (let c = 0; c < side * side; c++) starts[c + 1] += starts[c];
  const next = starts.slice();
  for (let i = 0; i < n; i++) of[next[cellOf[i]]++] = i;
  return (x, y, reach) => {
    const [x0, y0] = cell(x - reach, y - reach), [x1, y1] = cell(x + reach, y + reach);
    let best = -1, least = reach * reach;
    for (let cy = y0; cy <= y1; cy++) for (let cx = x0; cx <= x1; cx++) {
      const c = cy * side + cx;
      for (let k = starts[c]; k < starts[c + 1]; k++) {
        const i = of[k];
        if (visible && !visible(i)) continue;
        const square = (places[2 * i] - x) ** 2 + (places[2 * i + 1] - y) ** 2;
        if (square < least) [least, best] = [square, i];
      }
    }
    return best;
  };
}
