//! Does each dimension of the code know one factor, and each factor one dimension? Measured where the factors are known: for
//! models of the source `shapes`.
//!
//! The metrics are pure functions of codes and factors with the definitions of disentanglement_lib (Locatello et al.,
//! arXiv 1811.12359), on the means of q(z|x); [`disentanglement`] asks them all.

mod beta_vae;
pub mod dci;
mod factor_vae;
mod forest;
mod mig;
mod modularity;
mod mutual;
mod sap;
#[cfg(test)]
mod tests;
mod udr;
mod votes;

use std::time::Instant;

pub use beta_vae::beta_vae_score;
pub use dci::{Dci, dci};
pub use factor_vae::factor_vae_score;
pub use mig::mutual_information_gap;
pub use modularity::modularity;
pub use sap::separated_attribute_predictability;
pub use udr::{add_ranking, ranking_of_models, unsupervised_ranking};

use super::statistics::jackknife::jackknife;
use super::{Better, Estimate, Measure, Section, Subject};
use crate::array::Array;
use crate::data::{Rows, shapes};
use crate::error::Result;
use crate::figure::{BarGroup, Bars, bars};
use mutual::Mutual;

/// Rows that the metrics look at.
const ROWS: usize = 15_000;

/// However little time there is, so many rows are encoded.
const LEAST: usize = 2000;

/// Groups of the jackknife, and of the dearer one around forests.
const GROUPS: [usize; 2] = [10, 5];

/// Whether the factors of the held-out rows are known.
pub fn applies(subject: &Subject) -> bool {
    shapes::is_source_of(subject.held_out.0.facts())
}

/// The section, still empty.
fn titled() -> Section {
    Section::new("disentanglement", "Does each dimension know one factor?")
}

/// All disentanglement metrics of a model of the source `shapes`, on random rows of all combinations of factors; absent for
/// other data, whose factors are not known.
///
/// # Errors
/// Where the model does not take the images, or a figure cannot be drawn.
pub fn disentanglement(subject: &Subject) -> Result<Section> {
    let mut section = titled();
    let (model, facts) = (subject.model, subject.held_out.0.facts());
    if !applies(subject) {
        section.absent.push(format!(
            "everything: the factors of {} are not known; those of --data {} are",
            facts.source,
            shapes::NAME
        ));
        return Ok(section);
    }
    let key = subject.key.fold("disentanglement");
    let mut ids: Vec<u64> =
        key.fold("rows").permutation(shapes::ROWS as usize).iter().map(|&r| r as u64).collect();
    ids.truncate(ROWS);
    let features = shapes::SIDE * shapes::SIDE;
    let (mut values, begun, mut encoded) = (Vec::new(), Instant::now(), 0);
    for part in ids.chunks(256) {
        let spent = begun.elapsed().as_secs_f64();
        if encoded >= LEAST && subject.seconds.is_some_and(|seconds| spent > 0.5 * seconds) {
            break;
        }
        (subject.progress)("encoding shapes", encoded as f64 / ids.len() as f64);
        let mut pixels = vec![0.0; features];
        let mut x = Vec::with_capacity(part.len() * features);
        for &id in part {
            shapes::draw(shapes::factors_of_row(id), &mut pixels);
            let first = x.len();
            x.resize(first + features, 0.0);
            facts.normalisation.x_from_value(&pixels, &mut x[first..]);
        }
        values.extend(model.encode(&Rows { x, ids: part.to_vec(), ..Rows::default() })?.mean.values);
        encoded += part.len();
    }
    ids.truncate(encoded);
    let codes = Array::matrix(values, model.functions.latent.dims());
    if codes.values.iter().any(|v| !v.is_finite()) {
        section.absent.push("everything: a code is not finite".into());
        return Ok(section);
    }
    let factors: Vec<Vec<u32>> =
        (0..5).map(|k| ids.iter().map(|&id| shapes::factors_of_row(id)[k]).collect()).collect();
    measure(subject, &codes, &factors, &mut section)?;
    Ok(section)
}

fn measure(subject: &Subject, codes: &Array, factors: &[Vec<u32>], section: &mut Section) -> Result<()> {
    let (n, key) = (codes.rows(), subject.key.fold("disentanglement"));
    let mut add = |name: &str, title: &str, estimate: Estimate, note: &str| {
        section.add(
            Measure::new(name, title, "", estimate, n, Better::Higher).note(note).within(format!("n = {n}")),
        );
    };
    (subject.progress)("gaps", 0.0);
    type Metric = fn(&Array, &[Vec<u32>]) -> f64;
    let histograms = "20 bins a dimension, as disentanglement_lib";
    let metrics: [(&str, &str, Metric, &str); 3] = [
        ("mig", "mutual information gap", mutual_information_gap, histograms),
        (
            "sap",
            "separated attribute predictability",
            separated_attribute_predictability,
            "R² for every factor",
        ),
        ("modularity", "modularity", modularity, histograms),
    ];
    for (name, title, metric, note) in metrics {
        add(name, title, with_interval(codes, factors, GROUPS[0], metric), note);
    }
    (subject.progress)("trees", 0.2);
    let whole = dci(codes, factors, key.fold("dci"));
    let each: Vec<Dci> = (0..GROUPS[1])
        .map(|group| {
            (subject.progress)("trees", 0.2 + 0.6 * group as f64 / GROUPS[1] as f64);
            let (codes, factors) = without(codes, factors, group, GROUPS[1]);
            dci(&codes, &factors, key.fold("dci"))
        })
        .collect();
    let of = |pick: fn(&Dci) -> f64| {
        jackknife(pick(&whole), &each.iter().map(pick).collect::<Vec<_>>()).within(0.0, 1.0)
    };
    let note = "Gini importance of ten bagged classification trees; the library boosts them";
    add("dci_disentanglement", "DCI disentanglement", of(|d| d.disentanglement), note);
    add("dci_completeness", "DCI completeness", of(|d| d.completeness), note);
    add(
        "dci_informativeness",
        "DCI informativeness: accuracy on held-out rows",
        of(|d| d.informativeness),
        note,
    );
    (subject.progress)("votes", 0.8);
    let pool = "15 000 batches of 64 from these rows; the interval is that of the 5 000 judged";
    let factor = factor_vae_score(codes, factors, key.fold("factor-vae"));
    let beta = beta_vae_score(codes, factors, key.fold("beta-vae"));
    let mut missing = Vec::new();
    for (name, title, score) in
        [("factor_vae_score", "FactorVAE score", factor), ("beta_vae_score", "β-VAE score", beta)]
    {
        match score {
            Some(score) => add(name, title, score, pool),
            None => missing.push(format!("{name}: no dimension varies")),
        }
    }
    section.absent.extend(missing);
    section.figures.push(picture(codes, factors)?);
    (subject.progress)("done", 1.0);
    Ok(())
}

/// A metric with its interval.
fn with_interval(
    codes: &Array,
    factors: &[Vec<u32>],
    groups: usize,
    metric: fn(&Array, &[Vec<u32>]) -> f64,
) -> Estimate {
    let each: Vec<f64> = (0..groups)
        .map(|group| {
            let (codes, factors) = without(codes, factors, group, groups);
            metric(&codes, &factors)
        })
        .collect();
    jackknife(metric(codes, factors), &each).within(0.0, 1.0)
}

/// All rows but those of one group.
fn without(codes: &Array, factors: &[Vec<u32>], group: usize, groups: usize) -> (Array, Vec<Vec<u32>>) {
    let kept: Vec<usize> = (0..codes.rows()).filter(|row| row % groups != group).collect();
    let values = kept.iter().flat_map(|&row| codes.row(row).iter().copied()).collect();
    let factors = factors.iter().map(|factor| kept.iter().map(|&row| factor[row]).collect()).collect();
    (Array::matrix(values, codes.width()), factors)
}

/// What each dimension says of each factor.
fn picture(codes: &Array, factors: &[Vec<u32>]) -> Result<(String, String, crate::figure::Figure)> {
    const MOST: usize = 16;
    let mutual = Mutual::of(codes, factors);
    let share = |d: usize, k: usize| mutual.of[d][k] / mutual.entropy[k];
    let total = |d: usize| (0..factors.len()).map(|k| share(d, k)).sum::<f64>();
    let mut order: Vec<usize> = (0..codes.width()).collect();
    order.sort_by(|&a, &b| total(b).total_cmp(&total(a)));
    order.truncate(MOST);
    let figure = bars(&Bars {
        title: "What each dimension says of each factor".into(),
        value_label: "I(z_j; factor) / H(factor)".into(),
        labels: order.iter().map(|d| format!("z{}", d + 1)).collect(),
        groups: shapes::FACTORS
            .iter()
            .enumerate()
            .map(|(k, (name, _))| BarGroup {
                name: (*name).into(),
                values: order.iter().map(|&d| share(d, k)).collect(),
            })
            .collect(),
        ..Bars::default()
    })?;
    let caption = "A disentangled code has one long bar a dimension, and one dimension a factor.";
    Ok(("disentanglement".into(), caption.into(), figure))
}
