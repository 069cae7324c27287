//! What is explored, and how far the work is.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Json;
use axum::extract::State;
use axum::routing::get;
use latent::batch::Support;
use latent::data::{Attribute, SampleShape, Split};
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::{Endpoint, Query, Result, Sent};
use crate::explored::Explored;
use crate::shared::Shared;

/// What is explored.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Run {
    /// What the run is called.
    name: String,
    /// The version of the program.
    version: String,
    /// The path or name of the data.
    source: String,
    /// `[channels, height, width]`, or `[columns]`.
    shape: Vec<usize>,
    /// The columns of a table.
    columns: Vec<String>,
    /// The classes of the data, in the order of their numbers.
    classes: Vec<String>,
    /// The number of latent dimensions.
    dims: usize,
    /// What each dimension can be.
    supports: Vec<Dimension>,
    /// The code in the middle of the prior.
    middle: Vec<f32>,
    /// Rows of the data on the map, in all.
    rows: usize,
    /// The rows of each split: train, validation, test.
    splits: [u64; 3],
    /// Whether rows of the data can be shown; else why not.
    without_data: Option<String>,
    /// Why there is no log P(x), if there is none.
    without_density: Option<String>,
    /// What codes can be drawn from.
    samplers: Vec<String>,
    /// The one that the run draws from.
    chosen: String,
    /// What a conditional model is told.
    condition: Vec<Told>,
    /// The preset and what it is.
    preset: Option<String>,
    /// Whether training is followed.
    is_training: bool,
}

/// What a dimension can be.
#[derive(Serialize, JsonSchema)]
struct Dimension {
    /// `reals`, `unit`, `bits` or `index`.
    kind: &'static str,
    /// How many values it takes, where they are few.
    values: Option<usize>,
}

/// Something that a conditional model is told.
#[derive(Serialize, JsonSchema)]
struct Told {
    name: String,
    /// The classes; empty for a number.
    classes: Vec<String>,
    /// Of a number: its mean and its range over the training rows.
    mean: f64,
    range: [f64; 2],
}

/// How far the work is.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Progress {
    /// Counts models: it grows when a run under way shows a newer one.
    generation: u64,
    /// The step that the model was taken after, of a run under way.
    step: Option<u64>,
    /// Rows surveyed, and rows in all.
    rows: usize,
    of: usize,
    /// The maps that there are.
    planes: Vec<Plane>,
    /// How far the UMAP is, from 0 to 1; none where it has not begun.
    umap: Option<f64>,
    /// Rows whose log P(x) is known.
    log_p: usize,
    /// Why the work ended before its time.
    failure: Option<String>,
    /// Steps of a training, and steps in all (0 where that is not known).
    training_step: u64,
    training_total: u64,
    /// Whether the training is followed and not over.
    is_training: bool,
}

/// A map.
#[derive(Serialize, JsonSchema)]
struct Plane {
    name: String,
    /// Whether every place has a code of its own.
    linear: bool,
    /// Of a UMAP: the share of a row's 15 neighbours that it keeps.
    trust: Option<f64>,
}

/// The lines of a training's log.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Training {
    /// The number of the line after the last.
    next: usize,
    /// Lines by name: `step`, `epoch`, `validation`, and the numbers of the log.
    lines: Vec<serde_json::Map<String, serde_json::Value>>,
}

/// Which lines.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct From {
    /// The first line that is wanted.
    #[serde(default)]
    from: usize,
}

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint {
            path: "/api/run",
            method: "get",
            about: "what is explored: the data, the latent, what can be drawn from",
            query: None,
            body: Sent::Nothing,
            answer: Sent::Json(schema_for!(Run)),
            handler: get(run),
        },
        Endpoint {
            path: "/api/progress",
            method: "get",
            about: "how far the codes of the rows, the maps and a training are",
            query: None,
            body: Sent::Nothing,
            answer: Sent::Json(schema_for!(Progress)),
            handler: get(progress),
        },
        Endpoint {
            path: "/api/training",
            method: "get",
            about: "the log of the run's training, from a line on",
            query: Some(schema_for!(From)),
            body: Sent::Nothing,
            answer: Sent::Json(schema_for!(Training)),
            handler: get(training),
        },
    ]
}

async fn run(State(shared): State<Arc<Shared>>) -> Result<Json<Run>> {
    Ok(Json(of(&shared, &*shared.explored()?)))
}

/// What is explored.
pub(crate) fn of(shared: &Shared, explored: &Explored) -> Run {
    let model = &explored.model;
    let facts = &model.facts;
    let told = |attribute: &Attribute| match attribute {
        Attribute::Class { name, classes, .. } => {
            Told { name: name.clone(), classes: classes.clone(), mean: 0.0, range: [0.0; 2] }
        }
        Attribute::Number { name, mean, range, .. } => {
            Told { name: name.clone(), classes: Vec::new(), mean: *mean, range: *range }
        }
    };
    let support = |support: Support| Dimension {
        kind: match support {
            Support::Reals => "reals",
            Support::UnitInterval => "unit",
            Support::Bits => "bits",
            Support::Index(_) => "index",
        },
        values: support.values(),
    };
    Run {
        name: shared.name.clone(),
        version: env!("CARGO_PKG_VERSION").into(),
        source: facts.source.clone(),
        shape: match facts.shape {
            SampleShape::Image { channels, height, width } => vec![channels, height, width],
            SampleShape::Vector { .. } => vec![facts.width()],
        },
        columns: if facts.shape.is_image() { Vec::new() } else { facts.names_of_values() },
        classes: if explored.labels.is_empty() { Vec::new() } else { facts.classes.clone() },
        dims: model.dims(),
        supports: model.functions.latent.supports().into_iter().map(support).collect(),
        middle: model.middle(),
        rows: explored.listed.len(),
        splits: facts.rows,
        without_data: explored.data.is_none().then(|| shared.without_data.clone()),
        without_density: model.lacks_density().map(String::from),
        samplers: explored.samplers.iter().map(|sampler| sampler.kind().to_string()).collect(),
        chosen: explored.chosen.clone(),
        condition: facts.condition.iter().map(told).collect(),
        preset: model.run().ok().and_then(|run| run.preset),
        is_training: shared.live.is_on.load(Ordering::Relaxed),
    }
}

async fn progress(State(shared): State<Arc<Shared>>) -> Json<Progress> {
    let live = &shared.live;
    let mut progress = Progress {
        generation: 0,
        step: None,
        rows: 0,
        of: 0,
        planes: Vec::new(),
        umap: None,
        log_p: 0,
        failure: None,
        training_step: live.step.load(Ordering::Relaxed),
        training_total: live.total.load(Ordering::Relaxed),
        is_training: live.is_on.load(Ordering::Relaxed) && !live.is_over.load(Ordering::Relaxed),
    };
    if let Some(explored) = shared.now() {
        let known = explored.known();
        progress.generation = explored.generation;
        progress.step = explored.step;
        (progress.rows, progress.of) = (known.rows, explored.listed.len());
        progress.planes = known
            .planes
            .iter()
            .map(|(name, plane)| Plane {
                name: name.clone(),
                linear: plane.is_linear(),
                trust: match plane {
                    crate::plane::Plane::Umap { trust, .. } => *trust,
                    _ => None,
                },
            })
            .collect();
        progress.umap = known.umap;
        progress.log_p = known.log_p_known;
        progress.failure = known.failure.clone();
    }
    Json(progress)
}

async fn training(State(shared): State<Arc<Shared>>, Query(asked): Query<From>) -> Json<Training> {
    if let Some(explored) = shared.now()
        && shared.live.lines(0).is_empty()
        && explored.data.as_ref().is_none_or(|data| !data.is_empty(Split::Train))
    {
        // A run that is over: its file is read once.
        shared.live.read(&shared.run);
    }
    let lines = shared.live.lines(asked.from);
    let next = asked.from + lines.len();
    let lines = lines.iter().map(|line| {
        let mut map = serde_json::Map::new();
        map.insert("step".into(), line.step.into());
        map.insert("epoch".into(), line.epoch.into());
        map.insert("validation".into(), line.validation.into());
        map.extend(line.values.iter().map(|(name, value)| (name.clone(), (*value).into())));
        map
    });
    Json(Training { next, lines: lines.collect() })
}
