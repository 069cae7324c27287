//! What training minimises: terms, each with a name, a weight and a schedule, under one estimator.
//!
//! Terms are in nats per sample and keep their names in the progress line, the log, TensorBoard and the report. A term, or an
//! estimator, may bring players of its own beside the one that moves the model: a critic, an encoder on another bound.
//!
//! ```text
//! pass               one way of a batch through the model: what terms read
//! here               Term, Value; Objective: the terms of a pass and the loss of a player
//! distortion, rate   the terms, and so on, one file each
//! estimator/         how terms become a loss
//! schedule           how a weight gets to its final value
//! settings           [objective], read, declared and built
//! ```

mod adversarial;
mod capacity;
mod code_entropy;
mod code_norm;
mod codebook;
mod commitment;
mod decoder_gradient;
mod decoder_weights;
mod density_ratio;
mod dip;
mod distortion;
mod edges;
pub mod estimator;
mod formula;
mod label;
mod mmd;
mod ms_ssim;
mod pass;
mod patch_critic;
mod patches;
mod rate;
mod schedule;
mod settings;
mod sliced;
mod texture;
mod total_correlation;

use burn::tensor::Tensor;

pub use adversarial::AdversarialSettings;
pub use capacity::CapacitySettings;
pub use code_entropy::CodeEntropySettings;
pub use code_norm::CodeNormSettings;
pub use codebook::CodebookSettings;
pub use commitment::CommitmentSettings;
pub use decoder_gradient::DecoderGradientSettings;
pub use decoder_weights::DecoderWeightsSettings;
pub use density_ratio::DensityRatioSettings;
pub use dip::{DipSettings, Of};
pub use distortion::DistortionSettings;
pub use edges::EdgesSettings;
pub use estimator::{Estimator, EstimatorSettings, estimators};
pub use label::{LabelSettings, Meaning};
pub use mmd::{Kernel, MmdSettings, mmd};
pub use ms_ssim::MsSsimSettings;
pub use pass::Pass;
pub use patch_critic::{CriticLoss, PatchCriticSettings};
pub use rate::RateSettings;
pub use schedule::Schedule;
pub use settings::{CommonSettings, ObjectiveSettings, TermPart};
pub use sliced::{SlicedWassersteinSettings, sliced_wasserstein};
pub use texture::TextureSettings;
pub use total_correlation::{Sampling, TotalCorrelationSettings};

use crate::config::ConfigError;
use crate::device::untracked;
use crate::member::{Axis, Context, Kept, Life, Progress, Settings};
use crate::optimizer::{MODEL, Player};

/// Something to minimise, a function of one pass through the model.
pub trait Term: Life {
    /// Its value for the player whose pass it is; none where it is undefined (what is undefined is absent from logs) or not
    /// that player's.
    fn value(&self, pass: &Pass<'_>) -> Option<Value>;

    /// The players that it brings, such as a critic: it is asked for their passes too, and they minimise it alone. Their
    /// weights are made under the term's path, for training only.
    fn players(&self) -> Vec<Player> {
        Vec::new()
    }

    /// What a user should know of it before the first step.
    fn note(&self) -> Option<String> {
        None
    }

    /// Whether what it asks for is what it will ask for in the end.
    fn settled(&self, progress: Progress) -> bool {
        let _ = progress;
        true
    }
}

/// A term on a pass: `[n]` or `[k·n]`, or `[1]` where it couples rows. In nats but for those without a unit (MMD).
#[derive(Clone, Debug)]
pub struct Value {
    /// What logs show.
    pub log: Tensor<1>,
    /// What the loss takes in its place, where that differs (free bits).
    pub penalty: Option<Tensor<1>>,
}

impl Value {
    /// What logs show is what the loss takes.
    pub fn new(value: Tensor<1>) -> Self {
        Self { log: value, penalty: None }
    }
}

/// The settings of a term.
pub type TermSettings = dyn Settings<dyn Term>;

/// The terms that ship.
pub fn terms() -> Axis<TermSettings> {
    Axis::new("term")
        .with::<distortion::DistortionSettings>()
        .with::<rate::RateSettings>()
        .with::<capacity::CapacitySettings>()
        .with::<total_correlation::TotalCorrelationSettings>()
        .with::<density_ratio::DensityRatioSettings>()
        .with::<dip::DipSettings>()
        .with::<mmd::MmdSettings>()
        .with::<sliced::SlicedWassersteinSettings>()
        .with::<commitment::CommitmentSettings>()
        .with::<codebook::CodebookSettings>()
        .with::<code_entropy::CodeEntropySettings>()
        .with::<label::LabelSettings>()
        .with::<adversarial::AdversarialSettings>()
        .with::<code_norm::CodeNormSettings>()
        .with::<decoder_weights::DecoderWeightsSettings>()
        .with::<decoder_gradient::DecoderGradientSettings>()
        .with::<edges::EdgesSettings>()
        .with::<texture::TextureSettings>()
        .with::<ms_ssim::MsSsimSettings>()
        .with::<patch_critic::PatchCriticSettings>()
}

/// Refuses codes of bits or indices for a term of codes that are numbers.
fn refuse_discrete(context: &Context<'_>, what: &str) -> Result<(), ConfigError> {
    match context.latent.blocks.iter().find(|block| block.support.values().is_some()) {
        Some(block) => Err(ConfigError::combination(
            format!("{what}, and {} of this posterior is {}", block.name, block.support.name()),
            format!("leave {} away, or use posterior.kind = \"point\"", context.path),
        )),
        None => Ok(()),
    }
}

/// A term with its name and weight.
pub struct Weighted {
    /// The name in every log.
    pub name: String,
    /// The final weight.
    pub weight: f64,
    /// How the weight gets there.
    pub schedule: Schedule,
    /// The term.
    pub term: Box<dyn Term>,
}

/// Terms under an estimator.
pub struct Objective {
    /// How terms become a loss.
    pub estimator: Box<dyn Estimator>,
    /// In the order of the configuration.
    pub terms: Vec<Weighted>,
}

/// The loss of a batch and the terms it is made of.
pub struct Loss {
    /// What gradients are taken of, in nats per sample.
    pub total: Tensor<1>,
    /// Named values, each the mean over the batch.
    pub terms: Vec<(String, Tensor<1>)>,
    /// What members recorded on the way, for when the step is taken.
    pub kept: Kept,
}

/// The terms of a pass, with the weights that they have now.
pub struct Values<'a> {
    pass: &'a Pass<'a>,
    entries: Vec<Entry<'a>>,
}

struct Entry<'a> {
    name: &'a str,
    weight: f64,
    /// Mean over the batch of what the loss takes.
    mean: Tensor<1>,
}

impl Values<'_> {
    /// Σ weight · mean over the terms that `wanted` names; 0 where there is none.
    pub fn sum(&self, wanted: impl Fn(&str) -> bool) -> Tensor<1> {
        let part = |entry: &Entry<'_>| entry.mean.clone() * entry.weight;
        let wanted = self.entries.iter().filter(|entry| entry.weight != 0.0 && wanted(entry.name));
        wanted
            .map(part)
            .reduce(|sum, part| sum + part)
            .unwrap_or_else(|| self.pass.distortion().clone().mean() * 0.0)
    }

    /// Whether the loss has any of the terms that `wanted` names.
    pub fn any(&self, wanted: impl Fn(&str) -> bool) -> bool {
        self.entries.iter().any(|entry| entry.weight != 0.0 && wanted(entry.name))
    }
}

impl Objective {
    /// Who moves, the model's player first.
    pub fn players(&self) -> Vec<Player> {
        let others = |objective: &Self| -> Vec<Player> {
            let terms = objective.terms.iter().flat_map(|weighted| weighted.term.players());
            objective.estimator.players().into_iter().chain(terms).collect()
        };
        let rivals = others(self);
        let mut all = vec![match rivals.is_empty() {
            true => Player::model(),
            false => Player::of(MODEL, move |path| !rivals.iter().any(|rival| (rival.moves)(path))),
        }];
        all.extend(others(self));
        all
    }

    /// The loss of a pass with each weight where its schedule has it at `progress`; `None` for final weights.
    pub fn loss(&self, pass: &Pass<'_>, progress: Option<Progress>) -> Loss {
        let own = |weighted: &&Weighted| weighted.term.players().iter().any(|p| p.name == pass.player);
        let (mut logs, total) = match self.terms.iter().find(own) {
            Some(weighted) => {
                // What it minimises alone is its loss: no second name for one number.
                let mut entries = Vec::new();
                value_of(weighted, pass, 1.0, &mut Vec::new(), &mut entries);
                (Vec::new(), Values { pass, entries }.sum(|_| true))
            }
            None => {
                let (mut logs, mut entries) = (Vec::new(), Vec::new());
                for weighted in &self.terms {
                    let weight = weighted.weight * progress.map_or(1.0, |p| weighted.schedule.factor(p));
                    value_of(weighted, pass, weight, &mut logs, &mut entries);
                }
                (logs, self.estimator.loss(pass, &Values { pass, entries }))
            }
        };
        logs.insert(0, ("loss".into(), untracked(total.clone())));
        Loss { total, terms: logs, kept: Kept::default() }
    }

    /// Whether every weight is where it will end.
    pub fn settled(&self, progress: Progress) -> bool {
        self.terms.iter().all(|t| t.schedule.factor(progress) >= 1.0 && t.term.settled(progress))
    }

    /// The members that live.
    pub fn lives(&self) -> impl Iterator<Item = &dyn Life> {
        let terms = self.terms.iter().map(|weighted| weighted.term.as_ref() as &dyn Life);
        std::iter::once(self.estimator.as_ref() as &dyn Life).chain(terms)
    }
}

/// Computes a term once: for the log, outside the gradient's graph, and for the loss.
fn value_of<'a>(
    weighted: &'a Weighted,
    pass: &Pass<'_>,
    weight: f64,
    logs: &mut Vec<(String, Tensor<1>)>,
    entries: &mut Vec<Entry<'a>>,
) {
    let Some(Value { log, penalty }) = weighted.term.value(pass) else { return };
    let mean = match penalty {
        Some(penalty) => {
            logs.push((weighted.name.clone(), pass.batch.mean(untracked(log))));
            pass.batch.mean(penalty)
        }
        None => {
            let mean = pass.batch.mean(log);
            logs.push((weighted.name.clone(), untracked(mean.clone())));
            mean
        }
    };
    entries.push(Entry { name: &weighted.name, weight, mean });
}
