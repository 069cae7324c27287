//! Does the model tell foreign rows from its own? The AUROC of several scores, each higher for what is more foreign.
//!
//! log P(X) alone is known to fail: a model of Fashion-MNIST finds MNIST digits likelier than clothes (Nalisnick et al.,
//! arXiv 1810.09136). The corrections: what is likely may yet be *atypical*, too plain (*complexity*, *background*), or
//! strange to the encoder (*regret*). Each is another answer; the table shows which one works here.

mod auroc;
mod background;
mod p_value;
mod regret;

pub use auroc::{auroc, roc};
pub use background::{Levels, compressed_bits, has_levels};
pub use p_value::p_values;
pub use regret::{Climb, regret};

use super::likelihood::{for_batches, rows_within, seconds_of, stratified};
use super::{Better, Measure, Section, Subject};
use crate::batch::{Batch, Latent, Support};
use crate::data::{Data, Split};
use crate::device::{host, host_f64};
use crate::error::Result;
use crate::figure::{Axis, Line, Plot, Series, plot};
use crate::key::Key;
use crate::model::Model;
use crate::model::{BaseMeasure, ModelError, Rate, score};

/// Draws of the importance-weighted bound that stands for log P(X).
const DRAWS: usize = 32;

/// The section `anomaly`: how well each score tells the rows of `subject.foreign` from held-out rows.
///
/// # Errors
/// [`ModelError::Foreign`] where the foreign rows have another shape or another normalisation than the model's own; what
/// reading rows says.
pub fn anomaly(subject: &Subject<'_>) -> Result<Section> {
    let mut section = Section::new("anomaly", "Does it tell foreign rows from its own?");
    let Some(foreign) = subject.foreign else {
        section.absent.push("everything: no foreign data was given to tell apart".into());
        return Ok(section);
    };
    check(subject.model, foreign)?;
    let (data, split) = subject.held_out;
    let own = stratified(data, split, subject.key);
    let others = stratified(foreign, Split::Test, subject.key);
    if own.is_empty() {
        section.absent.push(format!("everything: the {split} split has no rows"));
        return Ok(section);
    }
    let mut judge = Judge { subject, levels: None, train_entropy: None };
    let probe = &own[..own.len().min(32)];
    let per_row = seconds_of(|| judge.scores((data, split), probe, "").map(|_| ()))? / probe.len() as f64;
    // Own rows, foreign rows, and training rows, which need less.
    let n =
        |rows: usize| rows_within(subject.seconds.map(|seconds| seconds / 2.6), per_row, [50, 2000], rows);
    judge.read_training(n(usize::MAX).min(2000))?;
    let own = judge.scores((data, split), &own[..n(own.len())], "own rows")?;
    let others = judge.scores((foreign, Split::Test), &others[..n(others.len())], "foreign rows")?;
    let source = &foreign.facts().source;
    let mut series = Vec::new();
    for (own, foreign) in own.0.iter().zip(&others.0) {
        let Some(estimate) = auroc(&foreign.values, &own.values) else {
            section.absent.push(format!("AUROC by {}: a score is not a number", own.title));
            continue;
        };
        let counts =
            format!("{} rows of {source} against {} held-out rows", foreign.values.len(), own.values.len());
        let mut note = if own.note.is_empty() { counts } else { format!("{counts}; {}", own.note) };
        // What the experiment on coverage found (docs/results/intervals.md).
        if estimate.value > 0.95 {
            note.push_str("; the interval is cautious near 1");
        }
        let (name, title) = (format!("auroc_{}", own.name), format!("AUROC by {}", own.title));
        let rows = own.values.len() + foreign.values.len();
        let measure = Measure::new(&name, &title, "", estimate, rows, Better::Higher);
        section.add(measure.note(note).within(format!("against {source}")));
        series.push(Series::line(own.name, roc(&foreign.values, &own.values)));
    }
    judge.absences(&mut section);
    series.push(Series::line("chance", vec![[0.0, 0.0], [1.0, 1.0]]).drawn(Line::Dashed));
    let figure = plot(&Plot {
        title: format!("Telling {source} from the model's own rows"),
        x: Axis::linear("share of own rows taken for foreign").between(0.0, 1.0),
        y: Axis::linear("share of foreign rows found").between(0.0, 1.0),
        series,
        ..Plot::default()
    })?;
    let caption =
        "What each score finds of the foreign rows, against how many own rows it takes for foreign.";
    section.figures.push(("anomaly-roc".into(), caption.into(), figure));
    warn(&mut section, source);
    Ok(section)
}

/// A score of some rows, and what it is in words.
struct Scored {
    name: &'static str,
    title: String,
    note: String,
    values: Vec<f64>,
}

/// Every score that the model has, of some rows.
#[derive(Default)]
struct Scores(Vec<Scored>);

impl Scores {
    fn add(&mut self, name: &'static str, title: &str, note: &str, values: Vec<f64>) {
        match self.0.iter_mut().find(|known| known.name == name) {
            Some(known) => known.values.extend(values),
            None => self.0.push(Scored { name, title: title.into(), note: note.into(), values }),
        }
    }
}

struct Judge<'a> {
    subject: &'a Subject<'a>,
    /// The levels of training pixels.
    levels: Option<Levels>,
    /// The mean of −log p over training rows.
    train_entropy: Option<f64>,
}

impl Judge<'_> {
    fn is_density(&self) -> bool {
        self.subject.model.functions.likelihood.measure() != BaseMeasure::None
    }

    fn has_q(&self) -> bool {
        self.subject.model.functions.posterior.has_density()
    }

    /// The training rows' mean −log p and levels, which two corrections compare with.
    fn read_training(&mut self, n: usize) -> Result<()> {
        let Some(train) = self.subject.train.filter(|train| !train.is_empty(Split::Train)) else {
            return Ok(());
        };
        let mut order = stratified(train, Split::Train, self.subject.key);
        order.truncate(n);
        let facts = &self.subject.model.facts;
        let (mut levels, mut log_p) = (Levels::default(), Vec::new());
        for_batches(
            self.subject.model,
            (train, Split::Train),
            &order,
            &self.told("training rows"),
            |batch| {
                if has_levels(facts) {
                    levels.count(facts, &host(&batch.x));
                }
                log_p.extend(self.log_p(batch)?.unwrap_or_default());
                Ok(())
            },
        )?;
        self.levels = has_levels(facts).then_some(levels);
        self.train_entropy = (!log_p.is_empty()).then(|| -log_p.iter().sum::<f64>() / log_p.len() as f64);
        Ok(())
    }

    fn told(&self, doing: &str) -> impl Fn(f64) {
        let doing = (!doing.is_empty()).then(|| format!("anomaly: {doing}"));
        move |share| {
            if let Some(doing) = &doing {
                (self.subject.progress)(doing, share);
            }
        }
    }

    /// What stands for log p(x): the importance-weighted bound, or −(cross-entropy + rate) where there is no density. None
    /// where q is a point.
    fn log_p(&self, batch: &Batch) -> Result<Option<Vec<f64>>> {
        let (view, key) = (self.subject.model.view(), self.subject.key.fold("anomaly"));
        if !self.has_q() {
            return Ok(None);
        }
        if self.is_density() {
            let scores = score(&view, batch, DRAWS, key)?;
            return Ok(Some(scores.iter().map(|score| score.log_p_lower).collect()));
        }
        let (q, n) = (view.encode(batch), batch.len());
        let draw = q.draw(DRAWS, batch.noise(key));
        let value = view.log_likelihood(batch, &draw.z).reshape([DRAWS, n]).mean_dim(0).reshape([n]);
        let rate = Rate::new(q.as_ref(), view.prior(batch.given()).as_ref(), &draw, DRAWS);
        Ok(Some(host_f64(&match rate {
            Some(rate) => value - rate.total,
            None => value,
        })))
    }

    fn scores(&self, rows: (&Data, Split), positions: &[usize], doing: &str) -> Result<Scores> {
        let model = self.subject.model;
        let (view, facts) = (model.view(), &model.facts);
        let key: Key = self.subject.key.fold("anomaly");
        let mut all = Scores::default();
        for_batches(model, rows, positions, &self.told(doing), |batch| {
            let centre: Latent = view.encode(batch).centre();
            let distortion: Vec<f64> = host_f64(&view.log_likelihood(batch, &centre).neg());
            let log_p = self.log_p(batch)?;
            if let Some(log_p) = &log_p {
                let (title, note) = if self.is_density() {
                    ("plain −log P(X)", format!("importance-weighted bound, k = {DRAWS}"))
                } else {
                    (
                        "cross-entropy + rate",
                        "there is no density: the training loss stands for −log P(X)".into(),
                    )
                };
                all.add("likelihood", title, &note, log_p.iter().map(|v| -v).collect());
            }
            all.add("distortion", "distortion at the centre of q(z|x)", "", distortion.clone());
            if let Ok(values) = regret(&view, batch, &Climb::default(), key.fold("regret")) {
                let note = format!("{} steps of Adam from the encoder's q", Climb::default().steps);
                all.add("regret", "likelihood regret", &note, values);
            }
            // Without a posterior's density the distortion stands for −log p.
            let cost: Vec<f64> = log_p.map_or(distortion, |log_p| log_p.iter().map(|v| -v).collect());
            if let Some(entropy) = self.train_entropy {
                let values = cost.iter().map(|cost| (cost - entropy).abs()).collect();
                all.add("typicality", "typicality |−log P(X) − mean of training rows|", "", values);
            }
            if has_levels(facts) {
                let x = host(&batch.x);
                let bits = compressed_bits(facts, &x);
                let values = cost.iter().zip(bits).map(|(cost, bits)| cost / std::f64::consts::LN_2 - bits);
                all.add(
                    "complexity",
                    "−log₂ P(X) less input complexity",
                    "length once deflated, by the best of three filters",
                    values.collect(),
                );
                if let Some(levels) = &self.levels {
                    let values = cost
                        .iter()
                        .zip(levels.log_density(facts, &x))
                        .map(|(cost, background)| cost + background);
                    let note = "the background: independent pixels with the levels' shares in training rows";
                    all.add("background", "likelihood ratio to a background", note, values.collect());
                }
            }
            Ok(())
        })?;
        Ok(all)
    }

    /// Scores that this model does not have, and why.
    fn absences(&self, section: &mut Section) {
        let model = self.subject.model;
        let mut absent = |what: &str| section.absent.push(what.into());
        if !self.has_q() {
            absent(
                "plain likelihood and regret: the posterior is a point and has no density. Read the distortion, which stands \
                 for −log P(X) in the corrections.",
            );
        } else if model.functions.latent.blocks.iter().any(|block| block.support == Support::Bits) {
            absent("likelihood regret: it improves a normal q(z|x), and this latent is bits");
        }
        if self.train_entropy.is_none() && self.has_q() {
            absent("typicality: it needs the mean −log P(X) of training rows, and none were given");
        }
        if !has_levels(&model.facts) {
            absent("input complexity and background ratio: the rows are not images of levels");
        } else if self.levels.is_none() {
            absent("background ratio: it needs the levels of training rows, and none were given");
        }
        absent(
            "likelihood ratio to a second network trained on perturbed rows (1906.02845): only one model was given",
        );
    }
}

/// Says so where plain likelihood fails, and what works instead.
fn warn(section: &mut Section, source: &str) {
    let Some(plain) = section.get("auroc_likelihood").map(|measure| measure.estimate) else { return };
    let best = section.measures.iter().filter(|m| m.name != "auroc_likelihood");
    let best = best.max_by(|a, b| a.estimate.value.total_cmp(&b.estimate.value));
    let remedy = match best.filter(|best| best.estimate.low > plain.high.max(0.6)) {
        Some(best) => format!("Use `{}`, {:.3}", best.name, best.estimate.value),
        None => "None of the corrections does much better".into(),
    };
    let warning = if plain.value < 0.5 {
        format!(
            "Plain likelihood fails: rows of {source} are likelier to the model than its own held-out rows (AUROC {:.3}). \
             {remedy}.",
            plain.value
        )
    } else if plain.low < 0.6 {
        format!(
            "Plain likelihood hardly tells rows of {source} from its own (AUROC {:.3}). {remedy}.",
            plain.value
        )
    } else {
        return;
    };
    section.warnings.push(warning);
}

/// Refuses rows that do not mean by their numbers what the model's do.
fn check(model: &Model, foreign: &Data) -> Result<()> {
    let (ours, theirs) = (&model.facts, foreign.facts());
    let refuse = |what: String| ModelError::Foreign {
        what,
        remedy: "open the foreign data with `Model::open`, which fits it to the model".into(),
    };
    if ours.shape != theirs.shape {
        return Err(refuse(format!(
            "a row of {} is {}, and the model's rows are {}",
            theirs.source, theirs.shape, ours.shape
        ))
        .into());
    }
    let scaled = (&ours.normalisation.offset, &ours.normalisation.scale);
    if scaled != (&theirs.normalisation.offset, &theirs.normalisation.scale) {
        return Err(
            refuse(format!("{} was normalised in another way than the model's data", theirs.source)).into()
        );
    }
    if foreign.is_empty(Split::Test) {
        return Err(refuse(format!("{} has no rows in its test split", theirs.source)).into());
    }
    Ok(())
}
