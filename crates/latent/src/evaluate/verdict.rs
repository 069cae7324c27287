//! What the numbers mean, in words: each verdict stands beside the number that it derives from.

use super::Terms;
use crate::figure::Level;
use crate::generate::sampler::TwoSample;
use crate::model::ACTIVE_NATS;
use crate::train::COLLAPSE_REMEDY;

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
    /// How codes of the prior are told from draws of q(z|x) of held-out rows; none where there are too few.
    pub prior: Option<TwoSample>,
    /// The same of the sampler that was fitted and chosen, by name.
    pub fitted: Option<(String, TwoSample)>,
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
    let collapsed = collapsed(findings);
    // Where the code carries nothing, neither more steps nor another place of the codes is the matter.
    let (samples, unfinished) = match collapsed {
        None => (mismatched(findings), unfinished(findings)),
        Some(_) => (None, None),
    };
    let faults: Vec<Verdict> = [collapsed, overfitted(findings)].into_iter().flatten().collect();
    let good = faults.is_empty().then(|| good(findings));
    // A word on samples stands first where it is graver than what is good.
    let (grave, note): (Vec<_>, Vec<_>) = samples.into_iter().partition(|v| v.level == Level::Warning);
    let rest = [unfinished, idle(findings)].into_iter().flatten();
    faults.into_iter().chain(grave).chain(good).chain(note).chain(rest).collect()
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
            "A row explained by another row's code loses {:.2} nats{}",
            terms.shuffle_loss.value,
            match rate {
                Some(rate) => format!(", and the rate is {rate:.2} nats per sample. {COLLAPSE_REMEDY}."),
                None => ".".into(),
            },
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

/// Codes are taken for the same where a classifier tells them no better than this.
const ALIKE: f64 = 0.55;

/// And for others where it tells them at least this well.
const APART: f64 = 0.75;

/// What a two-sample test says of samples.
#[derive(Clone, Copy, PartialEq)]
enum Told {
    Alike,
    Roughly,
    Apart,
    /// Too few rows to say.
    Unknown,
}

impl Told {
    /// By the whole interval: what is not proved is not said.
    fn of(test: &TwoSample) -> Self {
        match test {
            t if t.accuracy_low > APART => Self::Apart,
            t if t.accuracy_low > ALIKE => Self::Roughly,
            t if t.accuracy_high < APART => Self::Alike,
            _ => Self::Unknown,
        }
    }
}

/// `96.0 % [95.1, 96.7]`
fn percent(t: &TwoSample) -> String {
    let [value, low, high] = [t.accuracy, t.accuracy_low, t.accuracy_high].map(|share| 100.0 * share);
    format!("{value:.1} % [{low:.1}, {high:.1}]")
}

/// The codes of the data are not where the prior's are, so draws of the prior decode to something else; unless a sampler that
/// was fitted draws them from where they are.
fn mismatched(f: &Findings) -> Option<Verdict> {
    let prior = f.prior.as_ref()?;
    let told = Told::of(prior);
    if !matches!(told, Told::Roughly | Told::Apart) {
        return None;
    }
    let mended = f.fitted.as_ref().filter(|(_, test)| Told::of(test) == Told::Alike);
    let place = if told == Told::Apart {
        "is not where the codes are"
    } else {
        "is only roughly where the codes are"
    };
    let headline = match mended {
        Some((name, _)) => format!("Samples: the prior {place}; the fitted {name} is"),
        None => format!("Samples: the prior {place}"),
    };
    let mut evidence = format!(
        "A classifier tells codes drawn from the prior from codes of held-out rows in {} of cases (50 %: not at all)",
        percent(prior)
    );
    evidence.push_str(&match (&f.fitted, mended) {
        (Some((name, test)), Some(_)) => {
            format!("; with the fitted {name}, which `latent sample` draws from, in {}.", percent(test))
        }
        (Some((name, test)), None) => format!(
            "; with the fitted {name}, which `latent sample` draws from, in {}. Fit others, or for longer: `latent fit-sampler \
             RUN --minutes 10`.",
            percent(test)
        ),
        (None, _) => {
            ": draws of the prior decode to what no row looks like. `latent fit-sampler RUN` learns where the codes lie.".into()
        }
    });
    let level = if told == Told::Apart && mended.is_none() { Level::Warning } else { Level::Note };
    Some(Verdict { name: "prior-mismatch", level, headline, evidence })
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

/// The code is sound. `good` is the model whose samples are, too; otherwise the word is of the code alone.
fn good(f: &Findings) -> Verdict {
    let loss = |t: &Terms| t.bound.unwrap_or(t.distortion).value;
    let mended = f.fitted.as_ref().is_some_and(|(_, test)| Told::of(test) == Told::Alike);
    let (name, headline) = match f.prior.as_ref().map(Told::of) {
        Some(Told::Alike) => {
            ("good", "The code is used and holds for new rows, and the prior lies where the codes do")
        }
        _ if mended => (
            "good",
            "The code is used and holds for new rows, and the fitted sampler lies where the codes do",
        ),
        Some(Told::Roughly | Told::Apart) => ("good-code", "The code is used and holds for new rows"),
        Some(Told::Unknown) | None => ("good", "The code is used and holds for new rows"),
    };
    let samples = match &f.prior {
        Some(test) => {
            let few =
                if Told::of(test) == Told::Unknown { ": too few rows to say more of samples" } else { "" };
            format!(
                " Codes of the prior are told from those of held-out rows in {} of cases (50 %: not at all){few}.",
                percent(test)
            )
        }
        None => {
            " Of samples nothing is known: there are too few held-out rows to compare codes with the prior."
                .into()
        }
    };
    Verdict {
        name,
        level: Level::Good,
        headline: headline.into(),
        evidence: format!(
            "A row explained by another row's code loses {:.1} nats; held-out rows cost {:.1} nats, training rows {:.1}.{samples}",
            f.held_out.shuffle_loss.value,
            loss(&f.held_out),
            loss(&f.train),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::estimate::Mean;

    fn mean(value: f64) -> Mean {
        Mean { value, error: 0.1 }
    }

    fn findings(prior: Option<f64>, fitted: Option<f64>) -> Findings {
        let terms = Terms {
            rows: 1000,
            distortion: mean(200.0),
            rate: Some(mean(20.0)),
            bound: Some(mean(220.0)),
            shuffle_loss: mean(50.0),
            rate_per_dimension: vec![2.0; 10],
            squared_error: mean(0.01),
            code_mean: vec![0.0; 10],
            code_variance: vec![1.0; 10],
            prior_mean: vec![0.0; 10],
            prior_variance: vec![1.0; 10],
        };
        let test = |accuracy: f64| TwoSample {
            accuracy,
            accuracy_low: accuracy - 0.01,
            accuracy_high: accuracy + 0.01,
            mmd: 0.0,
            mmd_error: 0.1,
            n: 2000,
        };
        Findings {
            train: terms.clone(),
            held_out: terms,
            validation: vec![
                [1.0, 300.0],
                [2.0, 221.0],
                [3.0, 220.5],
                [4.0, 220.4],
                [5.0, 220.3],
                [6.0, 220.2],
            ],
            kept: None,
            spread: 0.3,
            prior: prior.map(test),
            fitted: fitted.map(|accuracy| ("gaussian-mixture".into(), test(accuracy))),
        }
    }

    fn said(f: &Findings) -> Vec<(&'static str, Level)> {
        verdicts(f).iter().map(|v| (v.name, v.level)).collect()
    }

    #[test]
    fn no_model_is_good_whose_samples_are_not() {
        // 96 % of the codes of one run of ours were told from the prior's, and it was called good.
        let told = findings(Some(0.96), None);
        assert_eq!(said(&told), [("prior-mismatch", Level::Warning), ("good-code", Level::Good)]);
        let first = &verdicts(&told)[0];
        assert!(first.headline == "Samples: the prior is not where the codes are", "{first:?}");
        assert!(
            first.evidence.contains("96.0 % [95.0, 97.0]") && first.evidence.contains("fit-sampler"),
            "{first:?}"
        );
        // The fitted mixture mends it, and is named.
        let mended = findings(Some(0.96), Some(0.505));
        assert_eq!(said(&mended), [("good", Level::Good), ("prior-mismatch", Level::Note)]);
        assert!(
            verdicts(&mended)[1].evidence.contains("with the fitted gaussian-mixture"),
            "{:?}",
            verdicts(&mended)
        );
        // A sampler that is told as well mends nothing.
        assert_eq!(said(&findings(Some(0.96), Some(0.9)))[0], ("prior-mismatch", Level::Warning));
        assert_eq!(
            said(&findings(Some(0.6), None)),
            [("good-code", Level::Good), ("prior-mismatch", Level::Note)]
        );
        assert_eq!(said(&findings(Some(0.51), None)), [("good", Level::Good)]);
        // Every verdict that something is good says the number.
        for f in [&told, &mended, &findings(Some(0.51), None)] {
            let good = verdicts(f).into_iter().find(|v| v.level == Level::Good).unwrap();
            assert!(good.evidence.contains("told from those of held-out rows"), "{good:?}");
        }
        assert!(verdicts(&findings(None, None))[0].evidence.contains("too few held-out rows"));
    }

    #[test]
    fn a_collapsed_model_is_not_still_learning() {
        let mut f = findings(Some(0.96), None);
        f.validation = vec![[1.0, 300.0], [2.0, 250.0], [3.0, 220.0]];
        assert!(said(&f).contains(&("unfinished", Level::Note)));
        f.held_out.rate = Some(mean(0.01));
        assert_eq!(said(&f)[0], ("collapsed", Level::Warning));
        assert!(
            !said(&f).iter().any(|(name, _)| ["unfinished", "prior-mismatch", "good"].contains(name)),
            "{:?}",
            said(&f)
        );
    }
}
