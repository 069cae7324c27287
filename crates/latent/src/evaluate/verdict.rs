//! What the numbers mean, in words: each verdict stands beside the number that it derives from.

use super::Terms;
use crate::figure::Level;
use crate::model::ACTIVE_NATS;

/// The numbers that verdicts derive from.
#[derive(Clone, Debug, PartialEq)]
pub struct Findings {
    /// On training rows.
    pub train: Terms,
    /// On as many held-out rows.
    pub held_out: Terms,
    /// Validation loss by epoch.
    pub validation: Vec<[f64; 2]>,
    /// The validation loss of the weights that were kept.
    pub kept: Option<f64>,
    /// The standard deviation of a feature over the training rows, root mean square over features.
    pub spread: f64,
}

/// One judgement.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// A word for programs: `collapsed`, `overfitted`, `good` …
    pub name: &'static str,
    /// How serious.
    pub level: Level,
    /// The judgement in a sentence.
    pub headline: String,
    /// The number behind it, and what to do.
    pub evidence: String,
}

/// All judgements, gravest first; a model without a fault gets one that says so.
pub fn verdicts(findings: &Findings) -> Vec<Verdict> {
    if let Some(verdict) = broken(findings) {
        return vec![verdict];
    }
    let mut all: Vec<Verdict> = [
        collapsed(findings),
        overfitted(findings),
        mismatched(findings),
        unfinished(findings),
        idle(findings),
    ]
    .into_iter()
    .flatten()
    .collect();
    if !all.iter().any(|v| v.level == Level::Warning) {
        all.insert(0, good(findings));
    }
    all
}

/// A number that is not finite says nothing of anything else.
fn broken(f: &Findings) -> Option<Verdict> {
    let numbers = |t: &Terms| {
        [t.distortion.value, t.rate.map_or(0.0, |r| r.value), t.shuffle_loss.value, t.squared_error.value]
    };
    let bad = numbers(&f.train).into_iter().chain(numbers(&f.held_out)).any(|v| !v.is_finite());
    bad.then(|| Verdict {
        name: "broken",
        level: Level::Warning,
        headline: "Broken: the model gives numbers that are not finite".into(),
        evidence: format!(
            "Distortion is {:.1} nats on training rows and {:.1} on held-out rows. Train again with a lower \
             train.optimizer.learning_rate or train.clip = 1.0.",
            f.train.distortion.value, f.held_out.distortion.value
        ),
    })
}

/// The code carries nothing: the decoder gives the same whatever z is.
fn collapsed(f: &Findings) -> Option<Verdict> {
    let terms = &f.held_out;
    let rate = terms.rate.map(|r| r.value);
    let ignored = terms.shuffle_loss.value < 0.1 || rate.is_some_and(|r| r < 0.1);
    ignored.then(|| Verdict {
        name: "collapsed",
        level: Level::Warning,
        headline: "Collapsed: the decoder ignores the code".into(),
        evidence: format!(
            "A row explained by another row's code loses {:.2} nats{}. \
             Try a longer warm-up of the rate, free bits, or a lower weight of the rate.",
            terms.shuffle_loss.value,
            rate.map(|r| format!(", and the rate is {r:.2} nats per sample")).unwrap_or_default(),
        ),
    })
}

/// The model knows its training rows much better than new ones: validation had been lower, or a wide gap is left.
fn overfitted(f: &Findings) -> Option<Verdict> {
    let verdict = |evidence: String| Verdict {
        name: "overfitted",
        level: Level::Warning,
        headline: "Overfitted: it knows its training rows much better than new ones".into(),
        evidence,
    };
    let best = f.validation.iter().min_by(|a, b| a[1].total_cmp(&b[1]));
    let (Some([epoch, least]), Some([_, first])) = (best, f.validation.first()) else { return None };
    // What training has gained since the first validation: the scale of a loss worth a warning.
    let gained = (first - least).max(0.01 * least.abs()).max(1.0);
    if let Some(kept) = f.kept.filter(|kept| kept - least > 0.1 * gained) {
        return Some(verdict(format!(
            "Validation was {least:.1} nats at epoch {epoch:.0} and is {kept:.1} with the weights that were kept. \
             Use train.keep = \"best\", stop earlier (train.patience), or give more data.",
        )));
    }
    let loss = |t: &Terms| t.bound.unwrap_or(t.distortion);
    let (train, held_out) = (loss(&f.train), loss(&f.held_out));
    let gap = held_out.value - train.value;
    let noise = 3.0 * (train.error.powi(2) + held_out.error.powi(2)).sqrt();
    (gap > noise && gap > 0.25 * gained).then(|| {
        verdict(format!(
            "{:.1} nats on held-out rows against {:.1} on training rows: the gap of {gap:.1} is {:.0} % of what \
             validation has gained. Give more data, a smaller network, or stop earlier (train.patience).",
            held_out.value,
            train.value,
            100.0 * gap / gained
        ))
    })
}

/// The codes of the data are not where the prior says, so draws of the prior decode to something else. A rate says this
/// already where there is one.
fn mismatched(f: &Findings) -> Option<Verdict> {
    let t = &f.held_out;
    if t.rate.is_some() {
        return None;
    }
    // KL between normals with the codes' and the prior's mean and variance, a dimension.
    let gap = |((m, v), (mean, variance)): ((&f64, &f64), (&f64, &f64))| {
        let share = v / variance;
        0.5 * (share + (m - mean).powi(2) / variance - 1.0 - share.max(1e-9).ln())
    };
    let dims = t.code_mean.len().max(1) as f64;
    let (ours, theirs) =
        (t.code_mean.iter().zip(&t.code_variance), t.prior_mean.iter().zip(&t.prior_variance));
    let per_dimension = ours.zip(theirs).map(gap).sum::<f64>() / dims;
    (per_dimension > 0.25).then(|| Verdict {
        name: "prior-mismatch",
        level: Level::Note,
        headline: "The codes do not fill the prior: samples may not look like the data".into(),
        evidence: format!(
            "All codes together are {per_dimension:.2} nats per dimension away from the prior (by mean and variance). \
             A plain autoencoder asks nothing else of them; a VAE or a Wasserstein autoencoder does.",
        ),
    })
}

/// Validation was still falling at the end.
fn unfinished(f: &Findings) -> Option<Verdict> {
    let n = f.validation.len();
    let (last, before) = (f.validation.last()?, f.validation.get(n.checked_sub(1 + (n / 5).max(1))?)?);
    let epochs = last[0] - before[0];
    let gain = before[1] - last[1];
    let gained = f.validation.first()?[1] - last[1];
    (gain > 0.05 * gained.max(1.0)).then(|| Verdict {
        name: "unfinished",
        level: Level::Note,
        headline: "Still learning when it stopped".into(),
        evidence: format!(
            "Validation fell by {gain:.2} nats over the last {}. Go on with `--resume --epochs N`.",
            if epochs < 1.5 { "epoch".to_string() } else { format!("{epochs:.0} epochs") }
        ),
    })
}

/// Some dimensions carry nothing, which is waste and no fault.
fn idle(f: &Findings) -> Option<Verdict> {
    let rates = &f.held_out.rate_per_dimension;
    let active = rates.iter().filter(|&&r| r > ACTIVE_NATS).count();
    (active > 0 && active < rates.len()).then(|| Verdict {
        name: "idle-dimensions",
        level: Level::Note,
        headline: format!("{active} of {} latent dimensions are in use", rates.len()),
        evidence: format!(
            "The others carry less than {ACTIVE_NATS} nats each: the model found no use for them at this weight of the rate."
        ),
    })
}

fn good(f: &Findings) -> Verdict {
    let loss = |t: &Terms| t.bound.unwrap_or(t.distortion).value;
    Verdict {
        name: "good",
        level: Level::Good,
        headline: "The code is used and holds for new rows".into(),
        evidence: format!(
            "A row explained by another row's code loses {:.1} nats; held-out rows cost {:.1} nats, training rows {:.1}.",
            f.held_out.shuffle_loss.value,
            loss(&f.held_out),
            loss(&f.train),
        ),
    }
}
