//! The dear half of the section: annealing from either start, how far off it is where that can be known, and how far the
//! ELBO is from it.

use super::anchor::anchored;
use super::annealing::{Annealed, Annealing, anneal, bidirectional, seconds_per_transition, simulate};
use super::path::Start;
use super::{DRAWS, Judge, SHARES, read, rows_within};
use crate::batch::{Batch, Latent};
use crate::error::Result;
use crate::evaluate::{Better, Estimate, Measure};

impl Judge<'_> {
    /// Annealing from a start, the gap that bounds its error, and what follows from them.
    pub(super) fn annealing(&mut self, start: Start) -> Result<()> {
        if start == Start::Encoder && !self.has_rate() {
            return Ok(());
        }
        let (model, held_out) = (self.subject.model, self.subject.held_out);
        let (view, key) = (model.view(), self.subject.key.fold("annealing").fold(start.name()));
        // The better start gets more of the time.
        let share = match (start, self.has_rate()) {
            (Start::Encoder, _) => 0.6 * SHARES[2],
            (Start::Prior, true) => 0.4 * SHARES[2],
            (Start::Prior, false) => SHARES[2],
        };
        let name = start.name();
        let probe = read(model, held_out, &self.order[..self.order.len().min(32)])?;
        let settings = Annealing { chains: CHAINS[0], ..Annealing::default() };
        let per_transition = match seconds_per_transition(&view, &probe, start, &settings) {
            Ok(seconds) => seconds,
            Err(error) => {
                self.section.absent.push(format!("annealed importance sampling from the {name}: {error}"));
                return Ok(());
            }
        };
        let (settings, n) = match self.subject.rows {
            Some(rows) => (wanted(start), rows.min(self.order.len())),
            None => plan(self.seconds(0.65 * share), per_transition, start, self.order.len()),
        };
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
        let above = self.above_importance(&values);
        let paired = above.map_or(String::new(), |above| {
            let reach = above.high - above.value;
            format!("; on the same rows {:+.2} ± {reach:.2} nats against `iw_{}`", above.value, DRAWS[1])
        });
        let title = format!("log P(X) by annealed importance sampling from the {name}");
        let measure = Measure::new(
            &format!("ais_{name}"),
            &title,
            "nats",
            anchored(&self.cheap, &values),
            n,
            Better::Higher,
        );
        self.add_rows(measure.note(note + &paired), &ids, &values);
        if start == Start::Encoder {
            self.inference_gap(&values);
        }
        // All are lower bounds in expectation.
        if let Some(above) = above.filter(|above| above.high < -0.1) {
            self.section.warnings.push(format!(
                "Annealing from the {name} is {:.1} nats below the importance-weighted bound on the same rows: its chains did \
                 not get far enough. Read the bound, or give it more time (--full).",
                -above.value
            ));
        }
        self.sandwich(start, &settings, n, share)
    }

    /// Annealed less importance-weighted, on the rows that have both.
    fn above_importance(&self, annealed: &[f64]) -> Option<Estimate> {
        let importance = self.section.get(&format!("iw_{}", DRAWS[1]))?;
        let pairs = annealed.iter().zip(&importance.rows);
        Some(Estimate::mean(&pairs.map(|(annealed, (_, bound))| annealed - bound).collect::<Vec<_>>()))
    }

    /// How far annealing is off at most, on rows that the model makes: for those alone there is an exact draw of p(z|x).
    fn sandwich(&mut self, start: Start, settings: &Annealing, rows: usize, share: f64) -> Result<()> {
        let (view, name) = (self.subject.model.view(), start.name());
        let key = self.subject.key.fold("bidirectional").fold(name);
        // Two walks where annealing had one, in about half the time.
        let n = match (self.subject.rows, self.seconds(share)) {
            (Some(_), _) | (None, Some(_)) => (rows / 4).clamp(4, 100),
            (None, None) => 100,
        };
        // Simulated rows are told what the first held-out ones are.
        let model = self.subject.model;
        let n = if model.functions.condition > 0 { n.min(self.order.len()) } else { n };
        let (data, split) = self.subject.held_out;
        let told = Batch::new(
            data.rows(split, &self.order[..n.min(self.order.len())], 0)?,
            model.functions.sample.features(),
            model.weights.device(),
        );
        let (batch, z) = simulate(&view, n, told.condition.as_ref(), key.fold("simulate"));
        let (mut gaps, mut first) = (Vec::with_capacity(n), 0);
        while first < n {
            let count = 16.min(n - first);
            let part = (&batch.slice(first, count), &Latent::new(z.z.clone().narrow(0, first, count)));
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
        let title = format!("most that annealing from the {name} is off, on rows that the model made");
        self.section.add(
            Measure::new(&format!("ais_{name}_gap"), &title, "nats", gap, n, Better::Lower).note(
                "bidirectional Monte Carlo: the mean upper less the mean lower bound, between which the truth lies for rows \
                 that the model made; on held-out rows annealing may be further off",
            ),
        );
        if gap.value > 1.0 {
            self.section.warnings.push(format!(
                "Annealing from the {name} may be {:.1} nats off on rows that the model made (bidirectional Monte Carlo), and \
                 more on held-out ones: give it more time (--full).",
                gap.value
            ));
        }
        Ok(())
    }

    /// log P(X) − ELBO on the same rows: what q(z|x) is away from p(z|x).
    pub(super) fn inference_gap(&mut self, log_p: &[f64]) {
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
}

/// Chains of a row, the first that the time allows.
const CHAINS: [usize; 3] = [8, 4, 2];

/// How to anneal where the time is limited and suffices. From the encoder a tenth of the temperatures would do as well as
/// from the prior (Wu et al., figure 3).
fn wanted(start: Start) -> Annealing {
    let temperatures = match start {
        Start::Encoder => 100,
        Start::Prior => 400,
    };
    Annealing { temperatures, chains: CHAINS[0], ..Annealing::default() }
}

/// How to anneal, and how many of the rows, within `seconds`: fewer rows first, then fewer chains, and then fewer
/// temperatures, by which most is lost.
fn plan(seconds: Option<f64>, per_transition: f64, start: Start, rows: usize) -> (Annealing, usize) {
    let Some(seconds) = seconds else { return (Annealing::default(), rows) };
    let wanted = wanted(start).temperatures;
    let cost = |settings: &Annealing| settings.transitions() as f64 * per_transition;
    let fits = |settings: &Annealing| cost(settings) * 16.min(rows) as f64 <= seconds;
    let with = |chains, temperatures| Annealing { temperatures, chains, ..Annealing::default() };
    let mut settings = CHAINS
        .iter()
        .map(|&chains| with(chains, wanted))
        .find(fits)
        .unwrap_or_else(|| with(CHAINS[CHAINS.len() - 1], wanted));
    while settings.temperatures > 20 && !fits(&settings) {
        settings.temperatures = (settings.temperatures * 9 / 10).max(20);
    }
    let n = rows_within(Some(seconds), cost(&settings), [8, 500], rows);
    (settings, n)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_go_first_then_chains_then_temperatures() {
        let plan = |seconds, per_transition| {
            let (settings, n) = plan(seconds, per_transition, Start::Encoder, 10_000);
            (settings.temperatures, settings.chains, n)
        };
        // 8 · 99 + 4 · 25 transitions a row.
        assert_eq!(plan(Some(893.0), 0.01), (100, 8, 100));
        assert_eq!(plan(Some(893.0), 0.0001), (100, 8, 500));
        assert_eq!(plan(Some(893.0), 0.1), (100, 4, 18));
        // 2 · 99 + 2 · 25
        assert_eq!(plan(Some(893.0), 0.2), (100, 2, 18));
        let (temperatures, chains, n) = plan(Some(893.0), 0.4);
        assert!((40..100).contains(&temperatures) && chains == 2 && n >= 16);
        assert_eq!(plan(Some(1.0), 10.0), (20, 2, 8));
        assert_eq!(plan(None, 1.0), (1000, 16, 10_000));
    }
}
