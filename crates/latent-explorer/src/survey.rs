//! The background thread: codes of all rows, a part at a time; then the UMAP; then log P(x), if somebody wants it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use latent::Key;
use latent::array::Array;
use latent::evaluate::{Umap, trust};
use latent::store::TensorFile;

use crate::error::Refusal;
use crate::explored::Explored;
use crate::plane::Plane;
use crate::shared::Shared;

/// Rows at once: some tens of milliseconds, so that a pointer never waits long.
const PART: usize = 256;
/// Rows that the principal plane is fitted on.
const FITTED: usize = 2048;
/// Rows that a UMAP is fitted on; others are put beside them.
const MAPPED: usize = 20_000;
/// Neighbours of a row in a UMAP.
const NEIGHBOURS: usize = 15;
/// Draws for log P(x) of a row on the map, and rows that get it.
const DRAWS: usize = 64;
const SCORED: usize = 5_000;

/// Begins to survey, on a thread that ends when the model is replaced or the server ends.
pub(crate) fn begin(shared: &Arc<Shared>, explored: Arc<Explored>) {
    let own = Arc::clone(shared);
    let begun = std::thread::Builder::new().name("survey".into()).spawn(move || {
        if let Err(refusal) = survey(&own, &explored) {
            explored.learn(|known| known.failure = Some(refusal.what));
        }
    });
    if begun.is_err()
        && let Some(explored) = shared.now()
    {
        explored.learn(|known| known.failure = Some("the system gives no more threads".into()));
    }
}

/// The key of what the explorer draws.
fn key() -> Key {
    Key::from_seed(1).fold("explore")
}

fn survey(shared: &Shared, explored: &Explored) -> Result<(), Refusal> {
    rows(shared, explored)?;
    // A run under way is not mapped at such cost.
    if explored.model.dims() > 2 && explored.listed.len() >= 50 && explored.step.is_none() {
        umap(shared, explored);
    }
    score(shared, explored)
}

/// Codes, rates and errors of the rows that are not known yet, and the principal plane.
pub(crate) fn rows(shared: &Shared, explored: &Explored) -> Result<(), Refusal> {
    let (model, dims, n) = (&explored.model, explored.model.dims(), explored.listed.len());
    let is_table = !explored.shape().is_image();
    let mut from = explored.known().rows;
    while from < n {
        if shared.is_over(explored) {
            return Ok(());
        }
        shared.give_way();
        let rows = explored.part(from, PART)?;
        let count = rows.len();
        let survey = model.survey(&rows, key())?;
        let values = match is_table {
            true => explored.samples(rows.x).values().into_iter().map(|v| v as f32).collect(),
            false => Vec::new(),
        };
        explored.take(survey, values);
        from += count.max(1);
        let has_plane = !explored.known().planes.is_empty();
        if !has_plane && (from >= FITTED || from >= n) {
            let codes = explored.known().mean[..from.min(FITTED) * dims].to_vec();
            if let Some(plane) = Plane::of_components(&codes, dims) {
                explored.learn(|known| known.planes.push(("pca".into(), plane)));
            }
        }
    }
    Ok(())
}

/// Fits a UMAP, or takes the one that is kept in the run folder.
fn umap(shared: &Shared, explored: &Explored) {
    let (dims, n) = (explored.model.dims(), explored.listed.len());
    explored.learn(|known| known.umap = Some(0.0));
    let (codes, points) = {
        let known = explored.known();
        let stride = n.div_ceil(MAPPED).max(1);
        let fitted: Vec<f32> = (0..n)
            .step_by(stride)
            .flat_map(|row| known.mean[row * dims..(row + 1) * dims].to_vec())
            .collect();
        (Array::matrix(known.mean.clone(), dims), Array::matrix(fitted, dims))
    };
    let path = shared.run.join("explorer/umap.safetensors");
    let identity = identity(&points);
    let kept = kept(&path, &identity).and_then(|places| Umap::restore(points.clone(), places, NEIGHBOURS));
    let is_kept = kept.is_some();
    let map = kept.or_else(|| {
        Umap::fit(points.clone(), NEIGHBOURS, key(), &|share| {
            shared.give_way();
            explored.learn(|known| known.umap = Some(0.95 * share));
            !shared.is_over(explored)
        })
    });
    let Some(map) = map else {
        // Codes that are not finite, or a model that is no longer wanted: there will be none.
        explored.learn(|known| known.umap = Some(1.0));
        return;
    };
    if !is_kept {
        keep(&path, &identity, &map);
    }
    let trust = trust(&points, map.places(), NEIGHBOURS, key());
    let places = if points.rows() == n { map.places().to_vec() } else { map.place(&codes) };
    explored.learn(|known| {
        known.planes.push(("umap".into(), Plane::Umap { places, map, trust }));
        known.umap = Some(1.0);
    });
}

/// What a map is of.
fn identity(points: &Array) -> String {
    use sha2::{Digest, Sha256};
    let mut hash = Sha256::new();
    hash.update(b"umap-1");
    points.values.iter().for_each(|v| hash.update(v.to_le_bytes()));
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn kept(path: &Path, identity: &str) -> Option<Vec<[f32; 2]>> {
    let file = TensorFile::load(path).ok()?;
    let places =
        file.arrays.get("places").filter(|_| file.header.get("of").is_some_and(|of| of == identity))?;
    Some(places.values.as_chunks().0.to_vec())
}

/// A folder that takes no file only costs the work again.
fn keep(path: &Path, identity: &str, map: &Umap) {
    let mut file = TensorFile::default();
    file.header.insert("of".into(), identity.into());
    let values = map.places().iter().flatten().copied().collect();
    file.arrays.insert("places".into(), Array::matrix(values, 2));
    let is_folder = path.parent().is_some_and(|folder| std::fs::create_dir_all(folder).is_ok());
    if is_folder {
        let _ = file.save(path);
    }
}

/// log P(x) of rows, once somebody wants it.
fn score(shared: &Shared, explored: &Explored) -> Result<(), Refusal> {
    if explored.model.lacks_density().is_some() {
        return Ok(());
    }
    while !explored.wants_log_p.load(Ordering::Relaxed) {
        if shared.is_over(explored) {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let n = explored.listed.len().min(SCORED);
    for from in (0..n).step_by(32) {
        if shared.is_over(explored) {
            return Ok(());
        }
        shared.give_way();
        let rows = explored.part(from, 32.min(n - from))?;
        let scores = explored.model.score(&rows, DRAWS, key())?;
        explored.learn(|known| {
            for (row, score) in scores.iter().enumerate() {
                if let Some(place) = known.log_p.get_mut(from + row) {
                    *place = score.log_p_lower as f32;
                }
            }
            known.log_p_known = from + scores.len();
        });
    }
    Ok(())
}
