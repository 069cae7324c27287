//! One file that works offline: the page with its data inside, a grid of decoded places in the decoder's stead.
//!
//! Scripts become one module (imports and `export` are left out; names are unique), the numbers base64, pictures one sprite.
//! What only a model can do is left out: the page says so.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use latent::array::Array;
use latent::data::write_text;
use latent::generate::Observe;
use latent::{Key, Model};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::api::{self, Numbers};
use crate::error::{ExplorerError, Refusal};
use crate::explored::Explored;
use crate::page::{FONTS, INDEX, SCRIPTS, STYLE};
use crate::shared::Shared;

/// Places along each side of the grid that is decoded, for small pictures.
const GRID: usize = 32;
/// Numbers of all pictures together, at most: some megabytes.
const PIXELS: usize = 6 << 20;
/// Values along a dimension that is walked, and dimensions.
const STEPS: usize = 9;
const WALKED: usize = 12;
/// Rows whose pictures go along.
const PICTURED: usize = 400;
/// Samples of the prior.
const SAMPLES: usize = 64;

pub(crate) fn export(
    shared: &Shared,
    path: &Path,
    most: usize,
    stop: &AtomicBool,
    progress: &dyn Fn(&str, f64),
) -> Result<(), ExplorerError> {
    let explored = shared.now().ok_or(ExplorerError::Stopped)?;
    // The survey runs in the background already.
    loop {
        if stop.load(Ordering::Relaxed) {
            return Err(ExplorerError::Stopped);
        }
        let known = explored.known();
        let done = known.rows >= explored.listed.len() || known.failure.is_some();
        let mapped = known.failure.is_some() || known.umap.is_none_or(|share| share >= 1.0);
        let waits_for_umap = known.umap.is_none()
            && explored.model.dims() > 2
            && explored.listed.len() >= 50
            && !has_umap(&known.planes);
        let share =
            0.4 * known.rows as f64 / explored.listed.len().max(1) as f64 + 0.4 * known.umap.unwrap_or(0.0);
        drop(known);
        if done && mapped && !waits_for_umap {
            break;
        }
        progress("codes and maps", share);
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    progress("pictures", 0.8);
    let data = gathered(shared, &explored, most).map_err(refused)?;
    progress("the page", 0.95);
    Ok(write_text(path, &page(&data))?)
}

fn has_umap(planes: &[(String, crate::plane::Plane)]) -> bool {
    planes.iter().any(|(name, _)| name == "umap")
}

fn refused(refusal: Refusal) -> ExplorerError {
    ExplorerError::System { what: "the page", source: std::io::Error::other(refusal.what) }
}

/// All that the page shows.
fn gathered(shared: &Shared, explored: &Explored, most: usize) -> Result<Value, Refusal> {
    let model = &explored.model;
    let known = explored.known();
    let dims = model.dims();
    let rows = known.rows.min(most);
    let mut planes = serde_json::Map::new();
    let per_picture = explored.model.facts.shape.features().max(1);
    let side = GRID.min(((PIXELS / 3 / per_picture) as f64).sqrt() as usize).max(4);
    for (name, plane) in &known.planes {
        let places: Vec<[f32; 2]> = plane.places(&known, 0, dims).into_iter().take(rows).collect();
        let window = window(&places, plane.is_linear());
        let at = |from: f32, to: f32, at: usize| from + (to - from) * (at as f32 + 0.5) / side as f32;
        let points: Vec<[f32; 2]> = (0..side * side)
            .map(|i| [at(window[0], window[1], i % side), at(window[2], window[3], i / side)])
            .collect();
        let mut codes = plane.lift(&points, &known, dims);
        explored.tidy(&mut codes);
        planes.insert(
            name.clone(),
            json!({
                "points": block(&Numbers::places(&places)),
                "window": window,
                "side": side,
                "grid": block(&decoded(explored, &codes)?),
                "linear": plane.is_linear(),
            }),
        );
    }
    let mut fields = serde_json::Map::new();
    let mut names: Vec<String> = ["label", "split", "rate", "error"].map(String::from).to_vec();
    names.extend((1..=dims.min(WALKED)).map(|dim| format!("z{dim}")));
    if !known.values.is_empty() {
        names.extend(model.facts.names_of_values().iter().take(24).map(|name| format!("column:{name}")));
    }
    for name in names {
        if let Ok(values) = api::field_of(explored, &known, &name) {
            let values: Vec<f32> = values.into_iter().take(rows).collect();
            fields.insert(name, block(&Numbers::single(&[values.len()], values)));
        }
    }
    drop(known);
    let pictured = PICTURED.min(PIXELS / 6 / per_picture).max(16).min(rows);
    // Rows with pictures are spread over all.
    let shown: Vec<usize> = (0..pictured).map(|i| i * rows / pictured.max(1)).collect();
    let mut pictures = json!(null);
    if explored.data.is_some() && !shown.is_empty() {
        let of = explored.rows(&shown)?;
        let back = model.reconstruct(&of)?;
        pictures = json!({
            "rows": shown,
            "data": block(&api::pixels_of(explored, &explored.samples(of.x))),
            "reconstruction": block(&api::pixels_of(explored, &back)),
        });
    }
    let all = api::all_dimensions(explored);
    let walked: Vec<usize> = all.iter().take(WALKED).map(|of| of.dim).collect();
    let ways = model.traversal_values(&walked, STEPS, 3.0);
    let mut walks = Vec::new();
    for way in &ways {
        let mut codes = latent::generate::traverse(&model.middle(), std::slice::from_ref(way));
        explored.tidy(&mut codes);
        walks.push(
            json!({ "dim": way.dim, "values": way.values, "pictures": block(&decoded(explored, &codes)?) }),
        );
    }
    let drawn = model.prior_codes(SAMPLES, Key::from_seed(1).fold("explore samples"));
    let samples = match drawn {
        Ok(codes) => block(&decoded(explored, &codes)?),
        Err(_) => json!(null),
    };
    Ok(json!({
        "run": api::run_of(shared, explored),
        "rows": rows,
        "planes": planes,
        "fields": fields,
        "pictures": pictures,
        "dimensions": all,
        "walks": walks,
        "samples": samples,
    }))
}

/// The window of a map: all but the outermost rows, or where the prior lies.
fn window(places: &[[f32; 2]], linear: bool) -> [f32; 4] {
    let side = |axis: usize| {
        let mut values: Vec<f32> = places.iter().map(|place| place[axis]).filter(|v| v.is_finite()).collect();
        values.sort_by(f32::total_cmp);
        let at = |share: f64| values.get((share * values.len().saturating_sub(1) as f64) as usize).copied();
        let (low, high) = (at(0.002).unwrap_or(-3.0), at(0.998).unwrap_or(3.0));
        let (low, high) = if linear { (low.min(-1.0), high.max(1.0)) } else { (low, high) };
        let margin = 0.06 * (high - low).max(1e-3);
        [low - margin, high + margin]
    };
    let (x, y) = (side(0), side(1));
    [x[0], x[1], y[0], y[1]]
}

fn decoded(explored: &Explored, codes: &Array) -> Result<Numbers, Refusal> {
    let model: &Model = &explored.model;
    let told = model.told(codes.rows(), Key::from_seed(1))?;
    let samples = model.decode_told(codes, &told, Observe::Mean, Key::from_seed(1))?;
    Ok(api::pixels_of(explored, &samples))
}

/// A block of numbers as JSON: deflated, since pictures repeat themselves.
fn block(numbers: &Numbers) -> Value {
    use std::io::Write;
    let mut packed = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
    // Writing to memory does not fail.
    let packed = packed.write_all(&numbers.bytes).and_then(|()| packed.finish()).unwrap_or_default();
    json!({ "shape": numbers.shape, "type": numbers.kind, "deflate": BASE64.encode(packed) })
}

/// The page with its data.
fn page(data: &Value) -> String {
    let mut script = String::new();
    for (_, text) in SCRIPTS {
        for line in text.lines() {
            if line.starts_with("import ") {
                continue;
            }
            script.push_str(line.strip_prefix("export ").unwrap_or(line));
            script.push('\n');
        }
    }
    let mut style = format!("\n{STYLE}");
    for (name, bytes) in FONTS {
        style = style.replace(name, &format!("data:font/otf;base64,{}", BASE64.encode(bytes)));
    }
    let hash = |text: &str| BASE64.encode(Sha256::digest(text.as_bytes()));
    let policy = format!(
        "default-src 'none'; script-src 'sha256-{}'; style-src 'sha256-{}'; img-src data: blob:; font-src data:",
        hash(&script),
        hash(&style)
    );
    // In JSON, `<` can stand only in strings: nothing in the data ends the element that it is in.
    let data = data.to_string().replace('<', "\\u003c");
    let mut page = INDEX
        .replace("<link rel=\"stylesheet\" href=\"/style.css\">", &format!("<style>{style}</style>"))
        .replace("<link rel=\"icon\" href=\"/icon.svg\">", "<link rel=\"icon\" href=\"data:,\">")
        .replace(
            "<meta charset=\"utf-8\">",
            &format!(
                "<meta charset=\"utf-8\">\n<meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">"
            ),
        );
    let end = format!(
        "<script type=\"application/json\" id=\"offline\">{data}</script>\n<script type=\"module\">{script}</script>"
    );
    page = page.replace("<script type=\"module\" src=\"/app.js\"></script>", &end);
    page
}
