//! How likely are held-out rows? From the cheapest bound to the dearest estimate, all of the same log P(X):
//!
//! ELBO = −(distortion + rate) ≤ importance-weighted bound of k draws ≤ log P(X) ≈ annealed importance sampling
//!
//! Each stands on as many rows as its share of the time allows; the rows of a dearer estimator are among those of the
//! cheaper ones, so that their differences are paired: a mean over few rows is the cheap bound's over many and the mean
//! gain on the few. Bidirectional chains say how far off annealing is on rows that the model makes.
//!
//! Reference: Wu, Burda, Salakhutdinov & Grosse, *On the quantitative analysis of decoder-based generative models*
//! (arXiv 1611.04273), who find importance sampling more than a nat low at 10⁵ draws.

mod anchor;
mod annealing;
mod bounds;
mod estimates;
mod hmc;
mod path;
mod subset;
mod units;

pub use annealing::{Annealed, Annealing, Bracket, Schedule, anneal, bidirectional, simulate};
pub use hmc::{leapfrog, transition};
pub use path::{Path, Start, State};
pub(crate) use subset::{for_batches, read, rows_within, seconds_of, stratified};
pub use units::Units;

use super::{Better, Estimate, Measure, Section, Subject};
use crate::batch::Batch;
use crate::data::{Data, Split};
use crate::error::Result;
use crate::model::BaseMeasure;

/// Draws of the cheap and of the dear importance-weighted bound.
const DRAWS: [usize; 2] = [50, 5000];
/// Shares of the time: both bounds on both splits, the dear bound, annealing and its check from either start.
const SHARES: [f64; 3] = [0.15, 0.2, 0.65];

/// The section `likelihood`: distortion, rate and ELBO, importance-weighted bounds, annealing, bits per dimension, and the
/// gaps of inference and generalisation. What the model does not have is absent, with the reason.
///
/// # Errors
/// [`crate::model::ModelError::Foreign`] where the rows have another shape than the model's; what reading them says.
pub fn likelihood(subject: &Subject<'_>) -> Result<Section> {
    let (data, split) = subject.held_out;
    let mut judge = Judge {
        subject,
        section: Section::new("likelihood", "How likely are held-out rows?"),
        units: Units::of(subject.model),
        order: stratified(data, split, subject.key),
        elbo: Vec::new(),
        cheap: Vec::new(),
        levels: Vec::new(),
    };
    if judge.order.is_empty() {
        judge.section.absent.push(format!("everything: the {split} split has no rows"));
        return Ok(judge.section);
    }
    judge.bounds()?;
    if judge.units.measure == BaseMeasure::None {
        judge.section.absent.push(
            "log P(X), its bounds and bits per dimension: the likelihood is a Bernoulli cross-entropy on grey values and \
             no density. Train with data.binarize = \"dynamic\", or with likelihood.kind = \"discretised-logistic\", \
             \"continuous-bernoulli\" or \"normal\"."
                .into(),
        );
    } else if subject.model.functions.latent.is_discrete() {
        judge.importance()?;
        judge.enumeration()?;
    } else {
        judge.importance()?;
        for start in [Start::Encoder, Start::Prior] {
            judge.annealing(start)?;
        }
    }
    judge.bits_per_dimension();
    Ok(judge.section)
}

struct Judge<'a> {
    subject: &'a Subject<'a>,
    section: Section,
    units: Units,
    /// Positions of held-out rows; every estimator takes a beginning of it.
    order: Vec<usize>,
    /// The ELBO of the first of them; empty where there is none.
    elbo: Vec<f64>,
    /// Their cheap importance-weighted bound, which dearer estimates on fewer rows are tied to.
    cheap: Vec<f64>,
    /// Bits per dimension of levels under a density.
    levels: Vec<Measure>,
}

impl Judge<'_> {
    fn seconds(&self, share: f64) -> Option<f64> {
        self.subject.seconds.map(|seconds| seconds * share)
    }

    fn has_rate(&self) -> bool {
        self.subject.model.functions.posterior.has_density()
    }

    fn is_density(&self) -> bool {
        self.units.measure != BaseMeasure::None
    }

    /// How many rows an estimator reads that takes so long for one, in its share of the time.
    fn rows_within(&self, share: f64, per_row: f64, bounds: [usize; 2]) -> usize {
        match self.subject.rows {
            Some(rows) => rows.min(self.order.len()),
            None => rows_within(self.seconds(share), per_row, bounds, self.order.len()),
        }
    }

    /// How a number on `n` rows is tied to the cheap bound on more.
    fn anchor(&self, n: usize) -> String {
        match self.cheap.len() {
            more if more > n => {
                format!("; the bound with k = {} of {more} rows plus the mean gain on {n} of them", DRAWS[0])
            }
            _ => String::new(),
        }
    }

    fn add_rows(&mut self, measure: Measure, ids: &[u64], values: &[f64]) {
        self.section.add(measure.rows(ids, values));
    }

    fn each(
        &self,
        doing: &str,
        rows: (&Data, Split),
        positions: &[usize],
        each: impl FnMut(&Batch) -> Result<()>,
    ) -> Result<()> {
        let done = |share: f64| {
            if !doing.is_empty() {
                (self.subject.progress)(&format!("likelihood: {doing}"), share);
            }
        };
        for_batches(self.subject.model, rows, positions, &done, each)
    }

    /// Bits per dimension, from the bound on the most rows and from the tightest estimate. Of levels under a density they
    /// are those of the dequantised rows.
    fn bits_per_dimension(&mut self) {
        if self.units.measure == BaseMeasure::None {
            return;
        }
        if self.units.measure == BaseMeasure::Lebesgue {
            let absent = match self.units.dequantised {
                None => "bits per dimension: the columns are real numbers, each with a unit of its own",
                Some(_) if self.levels.is_empty() => {
                    "bits per dimension: a density of levels has them by a bound of its dequantised rows, and a point \
                     posterior gives none"
                }
                Some(_) => "",
            };
            self.section.absent.extend((!absent.is_empty()).then(|| absent.to_string()));
            return self.section.measures.append(&mut self.levels);
        }
        let sources = [
            ("bits_per_dimension_elbo", vec!["elbo"]),
            ("bits_per_dimension", vec!["log_p", "ais_encoder", "ais_prior", "iw_5000"]),
        ];
        for (name, from) in sources {
            let Some(source) = from.iter().find_map(|from| self.section.get(from)).cloned() else { continue };
            let Estimate { value, low, high } = source.estimate;
            let [value, low, high] = [value, high, low].map(|nats| self.units.bits(nats));
            let title = format!("bits per dimension, from `{}`", source.name);
            let estimate = Estimate { value, low, high };
            let measure = Measure::new(name, &title, "bits per dimension", estimate, source.n, Better::Lower);
            self.section.add(measure.note(self.units.words.clone()));
        }
    }
}
