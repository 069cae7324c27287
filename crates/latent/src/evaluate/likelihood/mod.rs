//! How likely are held-out rows? From the cheapest bound to the dearest estimate, all of the same log P(X):
//!
//! ELBO = −(distortion + rate) ≤ importance-weighted bound of k draws ≤ log P(X) ≈ annealed importance sampling
//!
//! Each stands on as many rows as its share of the time allows; the rows of a dearer estimator are among those of the
//! cheaper ones, so that their differences are paired. Bidirectional chains say how far off annealing itself is.
//!
//! Reference: Wu, Burda, Salakhutdinov & Grosse, *On the quantitative analysis of decoder-based generative models*
//! (arXiv 1611.04273), who find importance sampling more than a nat low at 10⁵ draws.

mod annealing;
mod hmc;
mod path;
mod subset;
mod units;

pub use annealing::{Annealed, Annealing, Bracket, Schedule, anneal, bidirectional, simulate};
pub use hmc::{leapfrog, transition};
pub use path::{Path, Start, State};
pub(crate) use subset::{for_batches, rows_within, seconds_of, stratified};
pub use units::Units;

use annealing::seconds_per_transition;

use super::{Better, Estimate, Mean, Measure, Section, Subject};
use crate::batch::{Batch, Support};
use crate::data::{Data, Split};
use crate::device::host_f64;
use crate::error::Result;
use crate::model::{BaseMeasure, MOST_BITS, Score, log_density_by_enumeration, score};
use crate::objective::Pass;
use crate::store::Model;

/// Draws of q from which distortion is averaged.
const BOUND_DRAWS: usize = 8;
/// Draws of the cheap and of the dear importance-weighted bound.
const DRAWS: [usize; 2] = [50, 5000];
/// Shares of the time: both bounds on both splits, the dear bound, annealing and its check from either start.
const SHARES: [f64; 3] = [0.15, 0.2, 0.65];

/// The section `likelihood`: distortion, rate and ELBO, importance-weighted bounds, annealing, bits per dimension, and the
/// gaps of inference and generalisation. What the model does not have is absent, with the reason.
///
/// # Errors
/// What reading rows says.
pub fn likelihood(subject: &Subject<'_>) -> Result<Section> {
    let (data, split) = subject.held_out;
    let mut judge = Judge {
        subject,
        section: Section::new("likelihood", "How likely are held-out rows?"),
        units: Units::of(subject.model),
        order: stratified(data, split, subject.key),
        elbo: Vec::new(),
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
    } else if subject.model.model.latent.blocks.iter().all(|block| block.support == Support::Bits) {
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
}

/// Bounds of rows.
#[derive(Default)]
struct Bounds {
    ids: Vec<u64>,
    distortion: Vec<f64>,
    rate: Vec<f64>,
    scores: Vec<Score>,
}

impl Bounds {
    fn elbo(&self) -> Vec<f64> {
        self.distortion.iter().zip(&self.rate).map(|(d, r)| -(d + r)).collect()
    }

    fn importance(&self) -> Vec<f64> {
        self.scores.iter().map(|score| score.log_p_lower).collect()
    }
}

impl Judge<'_> {
    fn seconds(&self, share: f64) -> Option<f64> {
        self.subject.seconds.map(|seconds| seconds * share)
    }

    fn has_rate(&self) -> bool {
        self.subject.model.model.posterior.has_density()
    }

    fn is_density(&self) -> bool {
        self.units.measure != BaseMeasure::None
    }

    /// How a number on `n` rows is tied to the ELBO on more.
    fn anchor(&self, n: usize) -> String {
        match self.elbo.len() {
            more if more > n => format!("; the ELBO of {more} rows plus the mean difference on {n} of them"),
            _ => String::new(),
        }
    }

    fn add_rows(&mut self, measure: Measure, ids: &[u64], values: &[f64]) {
        self.section.add(measure.rows(ids, values));
    }

    /// Distortion, rate, ELBO and the cheap importance-weighted bound, held out and in training.
    fn bounds(&mut self) -> Result<()> {
        let probe = &self.order[..self.order.len().min(64)];
        let per_row =
            seconds_of(|| self.bounds_of(self.subject.held_out, probe, "").map(|_| ()))? / probe.len() as f64;
        let n = rows_within(self.seconds(SHARES[0] / 2.0), per_row, [64, 5000], self.order.len());
        let found = self.bounds_of(self.subject.held_out, &self.order[..n], "bounds")?;
        let what = match self.is_density() {
            true => self.units.words.clone(),
            false => {
                "no density but a cross-entropy: not to be compared with other models' likelihoods".into()
            }
        };
        let distortion: Vec<f64> = found.distortion.iter().map(|d| d + self.units.log_scale).collect();
        let mean = |name: &str, title: &str, values: &[f64], better: Better| {
            Measure::new(name, title, "nats", Estimate::mean(values), values.len(), better)
        };
        let measure = mean("distortion", "distortion −log p(x|z), z ~ q(z|x)", &distortion, Better::Neither);
        self.add_rows(measure.note(what.clone()), &found.ids, &distortion);
        if !self.has_rate() {
            self.section.absent.push(
                "rate, ELBO and importance-weighted bounds: the posterior is a point and has no density. Read the \
                 distortion, or train with posterior.kind = \"diagonal-normal\"."
                    .into(),
            );
            return Ok(());
        }
        let measure = mean("rate", "rate KL(q(z|x) ‖ p(z))", &found.rate, Better::Neither);
        self.add_rows(measure, &found.ids, &found.rate);
        if !self.is_density() {
            let loss: Vec<f64> = found.elbo().iter().map(|v| -v).collect();
            let measure = mean("loss", "cross-entropy + rate, no log-likelihood", &loss, Better::Lower);
            self.add_rows(measure.note(what), &found.ids, &loss);
            return Ok(());
        }
        self.elbo = found.elbo().iter().map(|v| self.units.log_density(*v)).collect();
        let elbo = mean("elbo", "evidence lower bound", &self.elbo, Better::Higher);
        self.section.add(elbo.note(what).rows(&found.ids, &self.elbo));
        self.add_importance(DRAWS[0], &found.ids, &found.scores);
        self.generalisation(&found)
    }

    /// Training rows against as many held-out rows, by the cheap importance-weighted bound.
    fn generalisation(&mut self, held_out: &Bounds) -> Result<()> {
        let Some(train) = self.subject.train.filter(|train| !train.is_empty(Split::Train)) else {
            self.section
                .absent
                .push("the gap between training and held-out rows: no training rows were given".into());
            return Ok(());
        };
        let mut order = stratified(train, Split::Train, self.subject.key);
        order.truncate(held_out.ids.len());
        let train = self.bounds_of((train, Split::Train), &order, "bounds of training rows")?;
        let n = train.ids.len();
        let [train, held_out] =
            [train.importance(), held_out.importance()[..n].to_vec()].map(|values| Mean::of(&values));
        let error = train.error.hypot(held_out.error);
        let gap = Estimate::normal(train.value - held_out.value, error);
        let title = "training rows above held-out rows";
        self.section.add(Measure::new("train_test_gap", title, "nats", gap, n, Better::Lower).note(format!(
            "importance-weighted bound with k = {} on {n} rows of each: {:.2} in training",
            DRAWS[0],
            self.units.log_density(train.value)
        )));
        Ok(())
    }

    fn bounds_of(&self, (data, split): (&Data, Split), positions: &[usize], doing: &str) -> Result<Bounds> {
        let model = self.subject.model;
        let key = self.subject.key;
        let mut all = Bounds::default();
        let importance = self.has_rate() && self.is_density();
        self.each(doing, (data, split), positions, |batch| {
            let n = batch.len();
            let pass = Pass::new(model.view(), batch, BOUND_DRAWS, key.fold("elbo"));
            let distortion = pass.distortion.clone().reshape([BOUND_DRAWS, n]).mean_dim(0);
            all.distortion.extend(host_f64(&distortion));
            all.rate.extend(pass.rate.as_ref().map(|rate| host_f64(&rate.total)).unwrap_or_default());
            if importance {
                all.scores.extend(score(&model.view(), batch, DRAWS[0], key.fold("importance"))?);
            }
            all.ids.extend(&batch.ids);
            Ok(())
        })?;
        Ok(all)
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

    fn add_importance(&mut self, k: usize, ids: &[u64], scores: &[Score]) {
        let values: Vec<f64> = scores.iter().map(|s| self.units.log_density(s.log_p_lower)).collect();
        let average = |of: fn(&Score) -> f64| scores.iter().map(of).sum::<f64>() / scores.len() as f64;
        let (effective, error) = (average(|s| s.effective_samples), average(|s| s.standard_error));
        let title = format!("importance-weighted lower bound, k = {k}");
        let measure = Measure::new(
            &format!("iw_{k}"),
            &title,
            "nats",
            anchored(&self.elbo, &values),
            values.len(),
            Better::Higher,
        );
        let note = format!(
            "a lower bound of log P(X) in expectation (k = 1 is the ELBO); mean effective sample size {effective:.1} of {k}, \
             mean standard error of a row {error:.3} nats{}",
            self.anchor(values.len())
        );
        self.section.add(measure.note(note).rows(ids, &values));
        if k == DRAWS[1] && effective < 10.0 {
            self.section.warnings.push(format!(
                "The importance-weighted bound is loose: of {k} draws {effective:.1} count. Read the annealed estimate."
            ));
        }
    }

    /// The dear importance-weighted bound.
    fn importance(&mut self) -> Result<()> {
        if !self.has_rate() {
            return Ok(());
        }
        let k = DRAWS[1];
        let (model, key, held_out) = (self.subject.model, self.subject.key, self.subject.held_out);
        let probe = &self.order[..self.order.len().min(16)];
        let per_row = seconds_of(|| {
            self.each("", held_out, probe, |batch| Ok(score(&model.view(), batch, k / 50, key).map(|_| ())?))
        })? * 50.0
            / probe.len() as f64;
        let n = rows_within(self.seconds(SHARES[1]), per_row, [8, 1000], self.order.len());
        let (mut ids, mut scores) = (Vec::new(), Vec::new());
        self.each(&format!("importance-weighted bound, k = {k}"), held_out, &self.order[..n], |batch| {
            ids.extend(&batch.ids);
            scores.extend(score(&model.view(), batch, k, key.fold("importance"))?);
            Ok(())
        })?;
        self.add_importance(k, &ids, &scores);
        Ok(())
    }

    /// log P(X) itself, by a sum over all codes.
    fn enumeration(&mut self) -> Result<()> {
        let (model, held_out) = (self.subject.model, self.subject.held_out);
        self.section
            .absent
            .push("annealed importance sampling: it moves codes along a gradient, and bits have none".into());
        let bits = model.model.latent.dims();
        if bits > MOST_BITS {
            self.section.absent.push(format!(
                "exact log P(X): a sum over 2^{bits} codes is too long; at most {MOST_BITS} bits are summed over"
            ));
            return Ok(());
        }
        let exact = |batch: &Batch| log_density_by_enumeration(&model.view(), &batch.x).map(|p| host_f64(&p));
        let probe = &self.order[..self.order.len().min(8)];
        let per_row = seconds_of(|| self.each("", held_out, probe, |batch| Ok(exact(batch).map(|_| ())?)))?
            / probe.len() as f64;
        let n = rows_within(self.seconds(SHARES[2]), per_row, [8, 5000], self.order.len());
        let (mut ids, mut values) = (Vec::new(), Vec::new());
        self.each("sum over all codes", held_out, &self.order[..n], |batch| {
            ids.extend(&batch.ids);
            values.extend(exact(batch)?.iter().map(|p| self.units.log_density(*p)));
            Ok(())
        })?;
        let measure =
            Measure::new("log_p", "log P(X)", "nats", anchored(&self.elbo, &values), n, Better::Higher);
        self.add_rows(
            measure.note(format!("exact: a sum over 2^{bits} codes{}", self.anchor(n))),
            &ids,
            &values,
        );
        self.inference_gap(&values);
        Ok(())
    }

    /// Annealing from a start, the gap that bounds its error, and what follows from them.
    fn annealing(&mut self, start: Start) -> Result<()> {
        if start == Start::Encoder && !self.has_rate() {
            return Ok(());
        }
        let (model, held_out) = (self.subject.model, self.subject.held_out);
        let (view, key) = (model.view(), self.subject.key.fold("annealing").fold(start.name()));
        let starts = if self.has_rate() { 2.0 } else { 1.0 };
        let share = SHARES[2] / starts;
        let name = start.name();
        let probe = data_batch(model, held_out, &self.order[..self.order.len().min(32)])?;
        let settings = Annealing { chains: CHAINS, ..Annealing::default() };
        let per_transition = match seconds_per_transition(&view, &probe, start, &settings) {
            Ok(seconds) => seconds,
            Err(error) => {
                self.section.absent.push(format!("annealed importance sampling from the {name}: {error}"));
                return Ok(());
            }
        };
        let (settings, n) = plan(self.seconds(0.65 * share), per_transition, start, self.order.len());
        let (mut ids, mut found) = (Vec::new(), Vec::new());
        self.each(&format!("annealing from the {name}"), held_out, &self.order[..n], |batch| {
            ids.extend(&batch.ids);
            found.extend(anneal(&view, batch, start, &settings, key)?);
            Ok(())
        })?;
        let values: Vec<f64> = found.iter().map(|f| self.units.log_density(f.score.log_p_lower)).collect();
        let average = |of: fn(&Annealed) -> f64| found.iter().map(of).sum::<f64>() / found.len() as f64;
        let note = format!(
            "a lower bound in expectation; {} temperatures, {} chains of which {:.1} count, HMC of {} leapfrog steps, \
             acceptance {:.2}, mean standard error of a row {:.3} nats{}",
            settings.temperatures,
            settings.chains,
            average(|f| f.score.effective_samples),
            settings.leapfrogs,
            average(|f| f.acceptance),
            average(|f| f.score.standard_error),
            self.anchor(n),
        );
        let title = format!("log P(X) by annealed importance sampling from the {name}");
        let measure = Measure::new(
            &format!("ais_{name}"),
            &title,
            "nats",
            anchored(&self.elbo, &values),
            n,
            Better::Higher,
        );
        self.add_rows(measure.note(note), &ids, &values);
        if start == Start::Encoder {
            self.inference_gap(&values);
        }
        self.sandwich(start, &settings, n, share)
    }

    /// How far annealing is off, on rows that the model makes.
    fn sandwich(&mut self, start: Start, settings: &Annealing, rows: usize, share: f64) -> Result<()> {
        let (view, name) = (self.subject.model.view(), start.name());
        let key = self.subject.key.fold("bidirectional").fold(name);
        // Two walks where annealing had one, in about half the time.
        let n = match self.seconds(share) {
            Some(_) => (rows / 4).clamp(4, 100),
            None => 100,
        };
        let (batch, z) = simulate(&view, n, key.fold("simulate"));
        let (mut gaps, mut first) = (Vec::with_capacity(n), 0);
        while first < n {
            let count = 16.min(n - first);
            let part =
                (&batch.slice(first, count), &crate::batch::Latent::new(z.z.clone().narrow(0, first, count)));
            gaps.extend(
                bidirectional(&view, part, start, settings, key)?
                    .iter()
                    .map(|b| b.upper - b.lower.log_p_lower),
            );
            first += count;
            (self.subject.progress)(
                &format!("likelihood: error of annealing from the {name}"),
                first as f64 / n as f64,
            );
        }
        let gap = Estimate::mean(&gaps);
        let title = format!("most that annealing from the {name} is off");
        self.section.add(
            Measure::new(&format!("ais_{name}_gap"), &title, "nats", gap, n, Better::Lower).note(
                "bidirectional Monte Carlo on rows that the model made: the mean upper less the mean lower bound, between \
                 which the truth lies",
            ),
        );
        if gap.value > 1.0 {
            self.section.warnings.push(format!(
                "Annealing from the {name} may be {:.1} nats off (bidirectional Monte Carlo): give it more time (--full).",
                gap.value
            ));
        }
        Ok(())
    }

    /// log P(X) − ELBO on the same rows: what q(z|x) is away from p(z|x).
    fn inference_gap(&mut self, log_p: &[f64]) {
        let gaps: Vec<f64> = log_p.iter().zip(&self.elbo).map(|(log_p, elbo)| log_p - elbo).collect();
        if gaps.is_empty() {
            return;
        }
        let title = "inference gap log P(X) − ELBO, the mean KL(q(z|x) ‖ p(z|x))";
        let estimate = Estimate::mean(&gaps);
        self.section.add(
            Measure::new("inference_gap", title, "nats", estimate, gaps.len(), Better::Lower)
                .note("paired rows"),
        );
    }

    /// Bits per dimension, from the bound on the most rows and from the tightest estimate.
    fn bits_per_dimension(&mut self) {
        let sources = [
            ("bits_per_dimension_elbo", vec!["elbo"]),
            ("bits_per_dimension", vec!["log_p", "ais_encoder", "ais_prior", "iw_5000"]),
        ];
        for (name, from) in sources {
            let Some(source) = from.iter().find_map(|from| self.section.get(from)).cloned() else { continue };
            let bits = |nats: f64| self.units.bits_per_dimension(nats);
            let Estimate { value, low, high } = source.estimate;
            let (Some(value), Some(low), Some(high)) = (bits(value), bits(high), bits(low)) else {
                self.section.absent.push(
                    "bits per dimension: the columns are real numbers, each with a unit of its own".into(),
                );
                return;
            };
            let title = format!("bits per dimension, from `{}`", source.name);
            let estimate = Estimate { value, low, high };
            let measure = Measure::new(name, &title, "bits per dimension", estimate, source.n, Better::Lower);
            self.section.add(measure.note(self.units.words.clone()));
        }
    }
}

/// The rows at these positions.
fn data_batch(model: &Model, (data, split): (&Data, Split), positions: &[usize]) -> Result<Batch> {
    let rows = data.rows(split, positions, 0)?;
    Ok(Batch::new(rows, model.model.sample.features(), model.weights.device()))
}

/// The mean of an estimate that only the first n of N rows have, by way of the ELBO e that all have:
///
/// ē_N + d̄_n, d = y − e, with variance var(e)/N + var(d)/n + 2 cov(e, d)/N
///
/// Rows differ by far more nats than estimators do, so that a plain mean of n rows would tell which rows these are. The
/// plain mean where there is no ELBO, or on all of its rows.
fn anchored(elbo: &[f64], values: &[f64]) -> Estimate {
    let (all, n) = (elbo.len() as f64, values.len());
    if elbo.len() <= n || n < 2 {
        return Estimate::mean(values);
    }
    let differences: Vec<f64> = values.iter().zip(elbo).map(|(value, elbo)| value - elbo).collect();
    let (bound, difference) = (Mean::of(elbo), Mean::of(&differences));
    let here = Mean::of(&elbo[..n]).value;
    let products = differences.iter().zip(elbo).map(|(d, e)| (d - difference.value) * (e - here));
    let covariance = products.sum::<f64>() / (n - 1) as f64;
    let variance = bound.error.powi(2) + difference.error.powi(2) + 2.0 * covariance / all;
    Estimate::normal(bound.value + difference.value, variance.max(0.0).sqrt())
}

/// Chains of a row, unless everything may take as long as it takes.
const CHAINS: usize = 8;

/// How to anneal, and how many of the rows, within `seconds`: fewer rows first, then fewer temperatures.
fn plan(seconds: Option<f64>, per_transition: f64, start: Start, rows: usize) -> (Annealing, usize) {
    let Some(seconds) = seconds else { return (Annealing::default(), rows) };
    // From the encoder a tenth of the temperatures would do as well as from the prior (Wu et al., figure 3).
    let wanted = match start {
        Start::Encoder => 100,
        Start::Prior => 400,
    };
    let least = 16.min(rows);
    let settings = |temperatures| Annealing { temperatures, chains: CHAINS, ..Annealing::default() };
    let cost = |temperatures| settings(temperatures).transitions() as f64 * per_transition;
    let mut temperatures = wanted;
    while temperatures > 20 && cost(temperatures) * least as f64 > seconds {
        temperatures = (temperatures * 4 / 5).max(20);
    }
    (settings(temperatures), rows_within(Some(seconds), cost(temperatures), [8, 500], rows))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Key;

    /// Rows of a known mean, the dear estimate on a tenth of them: the interval holds it, and is not much wider than had
    /// all rows been taken.
    #[test]
    fn an_anchored_mean_is_nearly_that_of_all_rows() {
        let (mut held, trials) = (0, 1000);
        for trial in 0..trials {
            let mut noise = vec![0.0; 800];
            Key::from_seed(95).fold(trial as u64).normals(&mut noise);
            let elbo: Vec<f64> = noise[..400].iter().map(|e| -240.0 + 70.0 * f64::from(*e)).collect();
            let gaps = elbo.iter().zip(&noise[400..]).map(|(e, g)| 3.0 - 0.02 * (e + 240.0) + f64::from(*g));
            let values: Vec<f64> = elbo.iter().zip(gaps).map(|(e, gap)| e + gap).collect();
            let found = anchored(&elbo, &values[..40]);
            let all = Estimate::mean(&values);
            assert!(found.high - found.low < 1.1 * (all.high - all.low));
            held += usize::from(found.low <= -237.0 && -237.0 <= found.high);
        }
        assert!((930..=970).contains(&held), "{held} of {trials}");
    }
}
