//! Unsupervised disentanglement ranking: models that disentangle find the same dimensions from any seed, up to order and
//! sign. With R_ab the similarity of dimension a of one model and b of another, over the informative dimensions of both:
//!
//! UDR_ij = 1/(d_a + d_b) [Σ_b max_a R_ab² / Σ_a R_ab + Σ_a max_b R_ab² / Σ_b R_ab];   UDR_i = median over j ≠ i
//!
//! R is the absolute rank correlation (Spearman), one of the paper's two variants. A dimension is informative where its rate
//! is above 0.01 nats.
//!
//! Reference: Duan et al., *Unsupervised Model Selection for Variational Disentangled Representation Learning*
//! (arXiv 1905.12614).

use crate::array::Array;
use crate::batch::Draw;
use crate::data::Rows;
use crate::error::Result;
use crate::evaluate::{Better, Estimate, Measure, Section};
use crate::model::Model;
use crate::model::{ACTIVE_NATS, Rate};

/// The score of each model, from codes of the same rows and which dimensions are informative; none for fewer than two models
/// or where the rows differ.
pub fn unsupervised_ranking(models: &[(Array, Vec<bool>)]) -> Option<Vec<f64>> {
    let rows = models.first()?.0.rows();
    if models.len() < 2 || rows < 2 || models.iter().any(|(codes, _)| codes.rows() != rows) {
        return None;
    }
    // Standardised ranks: a correlation is then a mean product.
    let ranked: Vec<Vec<Vec<f64>>> = models
        .iter()
        .map(|(codes, informative)| {
            let dims = (0..codes.width()).filter(|&d| informative.get(d).copied().unwrap_or(false));
            dims.map(|d| standard_ranks((0..rows).map(|row| codes.row(row)[d]).collect())).collect()
        })
        .collect();
    let score = |i: usize| {
        let mut others: Vec<f64> =
            (0..models.len()).filter(|&j| j != i).map(|j| similarity(&ranked[i], &ranked[j])).collect();
        others.sort_by(f64::total_cmp);
        let middle = others.len() / 2;
        if others.len() % 2 == 1 { others[middle] } else { 0.5 * (others[middle - 1] + others[middle]) }
    };
    Some((0..models.len()).map(score).collect())
}

/// The score of each trained model on these rows; all dimensions of a model without a rate count as informative.
///
/// # Errors
/// Where a model does not take the rows.
pub fn ranking_of_models(models: &[&Model], rows: &Rows) -> Result<Option<Vec<f64>>> {
    let each: Result<Vec<(Array, Vec<bool>)>> =
        models.iter().map(|model| informative_codes(model, rows)).collect();
    Ok(unsupervised_ranking(&each?))
}

/// Adds the score of a model, found on `rows` rows, to its section on disentanglement; where it has none, one is made.
pub fn add_ranking(sections: &mut Vec<Section>, score: f64, rows: usize) {
    let title = "unsupervised disentanglement ranking, Spearman";
    let measure = Measure::new("udr", title, "", Estimate::exact(score), rows, Better::Higher)
        .note("each run against the others of its method");
    let mut own = super::titled();
    match sections.iter_mut().find(|section| section.name == own.name) {
        Some(section) => section.add(measure),
        None => {
            own.add(measure);
            sections.push(own);
        }
    }
}

/// The means of q(z|x), and which dimensions have a rate above 0.01 nats.
fn informative_codes(model: &Model, rows: &Rows) -> Result<(Array, Vec<bool>)> {
    let (view, dims) = (model.view(), model.functions.latent.dims());
    let (mut rates, mut known) = (vec![0.0; dims], false);
    model.parts(rows, |batch| -> Result<()> {
        let (q, prior) = (view.encode(batch), view.prior(batch.given()));
        if let Some(rate) =
            Rate::new(q.as_ref(), prior.as_ref(), &Draw::new(q.centre().z), 1).and_then(|r| r.per_dimension)
        {
            known = true;
            let sums = crate::device::host_f64(&rate.sum_dim(0));
            rates.iter_mut().zip(sums).for_each(|(sum, v)| *sum += v / rows.len() as f64);
        }
        Ok(())
    })?;
    let informative = rates.iter().map(|rate| !known || *rate > ACTIVE_NATS).collect();
    Ok((model.encode(rows)?.mean, informative))
}

/// UDR of two models; 0 where either has no informative dimension.
fn similarity(a: &[Vec<f64>], b: &[Vec<f64>]) -> f64 {
    if a.is_empty() || b.is_empty() {
        return 0.0;
    }
    let correlation =
        |a: &[f64], b: &[f64]| (a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>() / a.len() as f64).abs();
    let r: Vec<Vec<f64>> = a.iter().map(|a| b.iter().map(|b| correlation(a, b)).collect()).collect();
    let strength = |values: &mut dyn Iterator<Item = f64>| {
        let (most, sum) = values.fold((0.0f64, 0.0), |(most, sum), v| (most.max(v), sum + v));
        if sum > 0.0 { most * most / sum } else { 0.0 }
    };
    let by_row: f64 = r.iter().map(|row| strength(&mut row.iter().copied())).sum();
    let by_column: f64 = (0..b.len()).map(|j| strength(&mut r.iter().map(|row| row[j]))).sum();
    (by_row + by_column) / (a.len() + b.len()) as f64
}

/// Ranks, the mean of equals, with mean 0 and variance 1.
fn standard_ranks(values: Vec<f32>) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    let mut first = 0;
    for equal in order.chunk_by(|&a, &b| values[a] == values[b]) {
        let rank = first as f64 + 0.5 * (equal.len() as f64 - 1.0);
        equal.iter().for_each(|&row| ranks[row] = rank);
        first += equal.len();
    }
    let n = values.len() as f64;
    let mean = 0.5 * (n - 1.0);
    let deviation = (ranks.iter().map(|r| (r - mean).powi(2)).sum::<f64>() / n).sqrt();
    ranks.iter().map(|r| if deviation > 0.0 { (r - mean) / deviation } else { 0.0 }).collect()
}
