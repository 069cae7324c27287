//! What each dimension of the latent carries.
//!
//! ```text
//! rate_d = mean KL(q(z_d|x) ‖ p(z_d)) in nats;  a dimension below `ACTIVE_NATS` carries nothing
//! η² = Var(E[z_d | class]) / Var(z_d): how much of it the class explains;  r: its correlation with a column
//! ```

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::routing::get;
use latent::evaluate::dimensions_by_rate;
use latent::model::ACTIVE_NATS;
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::{Endpoint, Query, Result, Sent};
use crate::error::Refusal;
use crate::explored::{Explored, Known};
use crate::shared::{Lane, Shared};

/// A dimension at a glance.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Dimension {
    /// Its number, from 0; it is shown as z1 and so on.
    pub dim: usize,
    /// Its mean rate in nats; none where the rate doesn't split.
    pub rate: Option<f64>,
    /// Mean and variance of the codes of the rows.
    pub mean: f64,
    pub variance: f64,
    /// The mean deviation of q(z|x).
    pub deviation: Option<f64>,
    /// The least and greatest code.
    pub range: [f32; 2],
    /// Whether it carries something: a rate of 0.01 nats or, where there is none, a variance of 0.01.
    pub active: bool,
}

/// A dimension in full.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Full {
    #[serde(flatten)]
    at_a_glance: Dimension,
    /// Rows in bins of equal width over its range.
    histogram: Vec<u32>,
    /// The rows with the greatest and the least codes.
    top: Vec<usize>,
    bottom: Vec<usize>,
    /// What it goes with, the strongest first.
    relatives: Vec<Relative>,
}

/// Something that a dimension goes with.
#[derive(Serialize, JsonSchema)]
struct Relative {
    /// `label`, or a column.
    name: String,
    /// η² for labels, the correlation for a column.
    strength: f64,
    /// In words.
    about: String,
}

/// Which dimension.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Which {
    /// Its number, from 0.
    dim: usize,
}

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint {
            path: "/api/dimensions",
            method: "get",
            about: "every dimension at a glance, the highest rate first",
            query: None,
            body: Sent::Nothing,
            answer: Sent::Json(schema_for!(Vec<Dimension>)),
            handler: get(dimensions),
        },
        Endpoint {
            path: "/api/dimension",
            method: "get",
            about: "one dimension: its histogram, its extreme rows, what it goes with",
            query: Some(schema_for!(Which)),
            body: Sent::Nothing,
            answer: Sent::Json(schema_for!(Full)),
            handler: get(dimension),
        },
    ]
}

async fn dimensions(State(shared): State<Arc<Shared>>) -> Result<Json<Vec<Dimension>>> {
    shared.compute(Lane::Long, |explored| Ok(all(explored))).await.map(Json)
}

/// Every dimension, the highest rate first; the greatest variance where there are no rates.
pub(crate) fn all(explored: &Explored) -> Vec<Dimension> {
    let known = explored.known();
    let dims = explored.model.dims();
    let mut all: Vec<Dimension> = (0..dims).map(|dim| glance(explored, &known, dim)).collect();
    let by: Vec<f64> = all.iter().map(|of| of.rate.unwrap_or(of.variance)).collect();
    let order = dimensions_by_rate(&by, dims);
    let mut place = vec![0; dims];
    order.into_iter().enumerate().for_each(|(at, dim)| place[dim] = at);
    all.sort_by_key(|of| place[of.dim]);
    all
}

fn glance(explored: &Explored, known: &Known, dim: usize) -> Dimension {
    let dims = explored.model.dims().max(1);
    let n = known.rows.max(1) as f64;
    let (mut sum, mut squares, mut range) = (0.0f64, 0.0f64, [f32::INFINITY, f32::NEG_INFINITY]);
    for row in known.mean.chunks_exact(dims) {
        let z = row[dim];
        sum += f64::from(z);
        squares += f64::from(z).powi(2);
        range = [range[0].min(z), range[1].max(z)];
    }
    let mean = sum / n;
    let variance = (squares / n - mean * mean).max(0.0);
    let rate = known.rate_sums.get(dim).map(|sum| sum / n);
    let deviation = (!known.deviation.is_empty())
        .then(|| known.deviation.chunks_exact(dims).map(|row| f64::from(row[dim])).sum::<f64>() / n);
    if known.rows == 0 {
        range = [-2.0, 2.0];
    }
    let active =
        if known.rows == 0 { true } else { rate.map_or(variance > 0.01, |rate| rate >= ACTIVE_NATS) };
    Dimension { dim, rate, mean, variance, deviation, range, active }
}

async fn dimension(State(shared): State<Arc<Shared>>, Query(asked): Query<Which>) -> Result<Json<Full>> {
    shared.compute(Lane::Long, move |explored| full(explored, asked.dim)).await.map(Json)
}

/// Bins of a histogram.
const BINS: usize = 40;

fn full(explored: &Explored, dim: usize) -> Result<Full> {
    let dims = explored.model.dims();
    if dim >= dims {
        return Err(Refusal::missing(format!(
            "there is no dimension {dim}; the last is {}",
            dims.saturating_sub(1)
        )));
    }
    let known = explored.known();
    let at_a_glance = glance(explored, &known, dim);
    let z: Vec<f32> = known.mean.chunks_exact(dims).map(|row| row[dim]).collect();
    let [low, high] = at_a_glance.range;
    let mut histogram = vec![0; BINS];
    for z in &z {
        let at = ((z - low) / (high - low).max(1e-9) * BINS as f32) as usize;
        histogram[at.min(BINS - 1)] += 1;
    }
    let mut order: Vec<usize> = (0..z.len()).collect();
    order.sort_by(|&a, &b| z[b].total_cmp(&z[a]));
    let top = order.iter().take(12).copied().collect();
    let bottom = order.iter().rev().take(12).copied().collect();
    Ok(Full { relatives: relatives(explored, &known, &z, &at_a_glance), at_a_glance, histogram, top, bottom })
}

fn relatives(explored: &Explored, known: &Known, z: &[f32], of: &Dimension) -> Vec<Relative> {
    let facts = &explored.model.facts;
    let mut found = Vec::new();
    if !explored.labels.is_empty() && of.variance > 0.0 {
        let mut sums = vec![(0.0f64, 0.0f64); facts.classes.len()];
        for (z, label) in z.iter().zip(&explored.labels) {
            if let Some(sum) = sums.get_mut(*label as usize) {
                sum.0 += f64::from(*z);
                sum.1 += 1.0;
            }
        }
        let mut means: Vec<(f64, f64, usize)> = sums
            .iter()
            .enumerate()
            .filter(|(_, sum)| sum.1 > 0.0)
            .map(|(class, sum)| (sum.0 / sum.1, sum.1, class))
            .collect();
        let between: f64 = means.iter().map(|(mean, count, _)| count * (mean - of.mean).powi(2)).sum();
        let share = between / z.len().max(1) as f64 / of.variance;
        means.sort_by(|a, b| a.0.total_cmp(&b.0));
        if let (Some(least), Some(most)) = (means.first(), means.last()) {
            let name = |class: usize| facts.classes.get(class).cloned().unwrap_or_default();
            found.push(Relative {
                name: "label".into(),
                strength: share,
                about: format!(
                    "the class explains {:.0} % of its variance: lowest for {} ({:.2}), highest for {} ({:.2})",
                    100.0 * share,
                    name(least.2),
                    least.0,
                    name(most.2),
                    most.0
                ),
            });
        }
    }
    let names = facts.names_of_values();
    if !known.values.is_empty() {
        for (at, name) in names.iter().enumerate() {
            let column = known.values.iter().skip(at).step_by(names.len());
            if let Some(r) = correlation(z, column) {
                let about =
                    format!("{name} {} with it (r = {r:.2})", if r > 0.0 { "rises" } else { "falls" });
                found.push(Relative { name: name.clone(), strength: r, about });
            }
        }
    }
    found.sort_by(|a, b| b.strength.abs().total_cmp(&a.strength.abs()));
    found.truncate(6);
    found
}

/// Pearson's r; none where one of the two never changes.
fn correlation<'a>(a: &[f32], b: impl Iterator<Item = &'a f32>) -> Option<f64> {
    let (mut n, mut sums) = (0.0f64, [0.0f64; 5]);
    for (a, b) in a.iter().zip(b) {
        let (a, b) = (f64::from(*a), f64::from(*b));
        if a.is_finite() && b.is_finite() {
            n += 1.0;
            for (sum, v) in sums.iter_mut().zip([a, b, a * a, b * b, a * b]) {
                *sum += v;
            }
        }
    }
    let [a, b, aa, bb, ab] = sums.map(|sum| sum / n);
    let (va, vb) = (aa - a * a, bb - b * b);
    (va > 1e-12 && vb > 1e-12).then(|| (ab - a * b) / (va * vb).sqrt()).filter(|r| r.is_finite())
}
