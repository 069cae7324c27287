//! The cheap half of the section: distortion, rate, ELBO, importance-weighted bounds, the exact sum over a few bits, and
//! training rows against held-out ones.

use super::anchor::{anchored, raised};
use super::{DRAWS, Judge, SHARES, seconds_of, stratified};
use crate::batch::Batch;
use crate::data::{Data, Split};
use crate::device::host_f64;
use crate::error::Result;
use crate::evaluate::{Better, Estimate, Mean, Measure};
use crate::key::Key;
use crate::model::{MOST_CODES, Model, Score, log_density_by_enumeration, score, score_in_blocks};
use crate::objective::Pass;

/// Draws of q from which distortion is averaged.
const BOUND_DRAWS: usize = 8;

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
    /// Distortion, rate, ELBO and the cheap importance-weighted bound, held out and in training.
    pub(super) fn bounds(&mut self) -> Result<()> {
        let probe = &self.order[..self.order.len().min(64)];
        let per_row = seconds_of(|| self.bounds_of(self.subject.held_out, probe, "", false).map(|_| ()))?
            / probe.len() as f64;
        // Held-out rows, training rows and, where there are any, dequantised ones.
        let passes = if self.units.dequantised.is_some() { 3.0 } else { 2.0 };
        let n = self.rows_within(SHARES[0] / passes, per_row, [64, 5000]);
        let found = self.bounds_of(self.subject.held_out, &self.order[..n], "bounds", false)?;
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
        self.cheap = found.importance().iter().map(|v| self.units.log_density(*v)).collect();
        let estimate = Estimate::mean(&self.cheap);
        self.add_importance(DRAWS[0], &found.ids, &found.scores, estimate);
        self.dequantised(n)?;
        self.generalisation(&found)
    }

    /// What a density says of levels: the probability of a level is the density's integral over the level's width, so that
    ///
    /// E_u log p(v + u) ≤ log P(v),  u uniform in ±½ of a level
    ///
    /// (Theis, van den Oord & Bethge, *A note on the evaluation of generative models*, arXiv 1511.01844, section 3.1).
    fn dequantised(&mut self, n: usize) -> Result<()> {
        let Some(levels) = self.units.dequantised else { return Ok(()) };
        let found = self.bounds_of(self.subject.held_out, &self.order[..n], "bounds of levels", true)?;
        let sources = [
            ("bits_per_dimension_elbo", "the ELBO".to_string(), found.elbo()),
            ("bits_per_dimension", format!("the bound with k = {}", DRAWS[0]), found.importance()),
        ];
        for (name, of, nats) in sources {
            let bits: Vec<f64> =
                nats.iter().map(|nats| self.units.bits(self.units.log_density(*nats))).collect();
            let title = format!("bits per dimension, from {of} of dequantised levels");
            let note = format!(
                "probabilities on {levels} levels, from above: each number with uniform noise of a level's width, which a \
                 model of whole levels was not trained on"
            );
            let measure =
                Measure::new(name, &title, "bits per dimension", Estimate::mean(&bits), n, Better::Lower);
            self.levels.push(measure.note(note).rows(&found.ids, &bits));
        }
        Ok(())
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
        let train = self.bounds_of((train, Split::Train), &order, "bounds of training rows", false)?;
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

    fn bounds_of(
        &self,
        (data, split): (&Data, Split),
        positions: &[usize],
        doing: &str,
        dequantise: bool,
    ) -> Result<Bounds> {
        let model = self.subject.model;
        let key = self.subject.key;
        let mut all = Bounds::default();
        let importance = self.has_rate() && self.is_density();
        self.each(doing, (data, split), positions, |batch| {
            let spread = dequantise.then(|| spread(model, batch, key.fold("dequantise")));
            let (n, batch) = (batch.len(), spread.as_ref().unwrap_or(batch));
            let pass = Pass::new(model.view(), batch, BOUND_DRAWS, key.fold("elbo"));
            let distortion = pass.distortion().clone().reshape([BOUND_DRAWS, n]).mean_dim(0);
            all.distortion.extend(host_f64(&distortion));
            all.rate.extend(pass.rate().map(|rate| host_f64(&rate.total)).unwrap_or_default());
            if importance {
                all.scores.extend(score(&model.view(), batch, DRAWS[0], key.fold("importance"))?);
            }
            all.ids.extend(&batch.ids);
            Ok(())
        })?;
        Ok(all)
    }

    fn add_importance(&mut self, k: usize, ids: &[u64], scores: &[Score], estimate: Estimate) {
        let values: Vec<f64> = scores.iter().map(|s| self.units.log_density(s.log_p_lower)).collect();
        let average = |of: fn(&Score) -> f64| scores.iter().map(of).sum::<f64>() / scores.len() as f64;
        let (effective, error) = (average(|s| s.effective_samples), average(|s| s.standard_error));
        let title = format!("importance-weighted lower bound, k = {k}");
        let measure =
            Measure::new(&format!("iw_{k}"), &title, "nats", estimate, values.len(), Better::Higher);
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
    pub(super) fn importance(&mut self) -> Result<()> {
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
        let n = self.rows_within(SHARES[1], per_row, [8, 1000]);
        let (mut ids, mut scores, mut gains) = (Vec::new(), Vec::new(), Vec::new());
        self.each(&format!("importance-weighted bound, k = {k}"), held_out, &self.order[..n], |batch| {
            ids.extend(&batch.ids);
            let found = score_in_blocks(&model.view(), batch, (k, DRAWS[0]), key.fold("importance"))?;
            gains.extend(found.iter().map(|(score, cheap)| score.log_p_lower - cheap));
            scores.extend(found.into_iter().map(|(score, _)| score));
            Ok(())
        })?;
        // More draws never lower the bound, and so they do not here: the gain of each row is on its own draws.
        let estimate = raised(&self.cheap, &gains);
        self.add_importance(k, &ids, &scores, estimate);
        Ok(())
    }

    /// log P(X) itself, by a sum over all codes.
    pub(super) fn enumeration(&mut self) -> Result<()> {
        let (model, held_out) = (self.subject.model, self.subject.held_out);
        self.section.absent.push(
            "annealed importance sampling: it moves codes along a gradient, and bits and indices have none"
                .into(),
        );
        // How many codes there are, in bits.
        let sizes = model.functions.latent.supports().into_iter().filter_map(|support| support.values());
        let bits = sizes.map(|size| (size as f64).log2()).sum::<f64>();
        if bits > (MOST_CODES as f64).log2() {
            self.section.absent.push(format!(
                "exact log P(X): a sum over 2^{bits:.0} codes is too long; at most {MOST_CODES} codes are summed over"
            ));
            return Ok(());
        }
        let exact = |batch: &Batch| log_density_by_enumeration(&model.view(), batch).map(|p| host_f64(&p));
        let probe = &self.order[..self.order.len().min(8)];
        let per_row = seconds_of(|| self.each("", held_out, probe, |batch| Ok(exact(batch).map(|_| ())?)))?
            / probe.len() as f64;
        let n = self.rows_within(SHARES[2], per_row, [8, 5000]);
        let (mut ids, mut values) = (Vec::new(), Vec::new());
        self.each("sum over all codes", held_out, &self.order[..n], |batch| {
            ids.extend(&batch.ids);
            values.extend(exact(batch)?.iter().map(|p| self.units.log_density(*p)));
            Ok(())
        })?;
        let measure =
            Measure::new("log_p", "log P(X)", "nats", anchored(&self.cheap, &values), n, Better::Higher);
        self.add_rows(
            measure.note(format!("exact: a sum over 2^{bits:.0} codes{}", self.anchor(n))),
            &ids,
            &values,
        );
        self.inference_gap(&values);
        Ok(())
    }
}

/// The rows with uniform noise of a level's width in each number.
fn spread(model: &Model, batch: &Batch, key: Key) -> Batch {
    let device = model.weights.device();
    let features = model.functions.sample.features();
    let scale = &model.facts.normalisation.scale;
    let width = (0..features).map(|at| (1.0 / scale[at % scale.len()].abs()) as f32).collect();
    let noise = batch.noise(key).uniforms(1, features, device) - 0.5;
    let noise = noise * device.tensor(width, [1, features]).expand([batch.len(), features]);
    Batch { x: batch.x.clone() + noise, ..batch.clone() }
}
