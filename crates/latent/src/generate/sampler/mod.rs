//! Samplers: P(z) as it came out, not as it was wished.
//!
//! Training asks the codes of all rows to lie as the prior p(z) does; they never quite do. A sampler is fitted on the codes
//! that training rows have in the end (draws of q(z|x), its centre where q is a point) and drawn from in the prior's place:
//!
//! ```text
//! x ──f──▶ q(z|x) ──▶ z ──fit──▶ p̂(z) ──draw──▶ z ──g──▶ p(x|z)
//! ```
//!
//! One file a sampler, one line in [`samplers`]. A sampler is the arrays that its fit leaves: what draws is built from them,
//! after a fit and after a load alike, so that a saved sampler draws the same codes. Members see codes in the coordinates of
//! a [`Chart`]: the reals, each dimension with mean 0 and variance 1 (bits are left as they are).
//!
//! References: Ghosh et al., *From Variational to Deterministic Autoencoders* (arXiv 1903.12436); Chadebec et al.,
//! *Pythae* (arXiv 2206.08309).

mod autoregressive;
mod autoregressive_bits;
mod chart;
mod choose;
mod codes;
mod conditioning;
mod em;
mod error;
mod file;
mod fitted;
mod flow;
mod flow_matching;
mod flow_unet;
mod gaussian_mixture;
mod how;
mod judge;
mod kernel_density;
mod learn;
mod maf;
mod masked;
mod normal;
mod normal_flow;
mod onnx;
mod pace;
mod per_class;
mod prior;
mod real_nvp;
#[cfg(test)]
mod tests;
mod two_stage;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::time::Instant;

pub use chart::{Chart, Space};
pub use choose::{Choice, Judged, auto_kinds, fit_auto, fit_one};
pub use codes::CodeSet;
pub use error::SamplerError;
pub use fitted::{FitOptions, FittedSampler};
pub(in crate::generate) use fitted::{identity, is_of};
pub use how::How;
pub use judge::{TwoSample, cubic_mmd, two_sample};
use onnx::ONE_PASS;
pub use onnx::{NoiseGraph, NoiseLaw, SamplerGraph, Source};
pub use pace::{LearnedSettings, Pace, Paced};
use serde::{Deserialize, Serialize};

use crate::array::Array;
use crate::batch::{Given, Noise};
use crate::generate::Result;
use crate::key::Key;
use crate::member::{Axis, Member, Named};
use crate::model::View;
use crate::store::StoreError;
use crate::store::onnx::Node;

/// What a fit leaves, by name.
pub type Arrays = BTreeMap<String, Array>;

/// A way to draw codes.
pub trait Sampler: Send + Sync {
    /// One code for each row of `noise`, `rows × dims`. The code of a row is the same in any batch.
    ///
    /// # Errors
    /// What `how` asks for and this sampler cannot give.
    fn draw(&self, view: &View<'_>, noise: Noise<'_>, how: &How) -> Result<Vec<f32>>;

    /// The same for rows of which this is told: samplers that know no condition draw as ever.
    ///
    /// # Errors
    /// As [`Sampler::draw`].
    fn draw_given(&self, view: &View<'_>, given: Given<'_>, noise: Noise<'_>, how: &How) -> Result<Vec<f32>> {
        let _ = given;
        self.draw(view, noise, how)
    }

    /// A draw in a graph, in the chart's coordinates: from inputs of noise, which `graph.noise` declares.
    ///
    /// # Errors
    /// [`StoreError::NoGraph`] for what is no feed-forward map of its noise, as by default.
    fn trace(&self, view: &View<'_>, graph: &mut NoiseGraph) -> Result<Node, StoreError> {
        let _ = (view, graph);
        Err(StoreError::no_graph("a sampler that is no feed-forward map of its noise", ONE_PASS))
    }

    /// ln p̂(z) of each of these codes in nats; none where the sampler has no density.
    fn log_density(&self, view: &View<'_>, codes: &[f32]) -> Option<Vec<f64>> {
        let _ = (view, codes);
        None
    }

    /// Whether it can draw codes of that class alone.
    fn knows_class(&self, class: usize) -> bool {
        let _ = class;
        false
    }

    /// Whether codes are drawn for what each row is told, and for nothing beside it.
    fn follows_told(&self) -> bool {
        false
    }

    /// Whether its draws can be [guided](How::guidance).
    fn can_be_guided(&self) -> bool {
        false
    }
}

/// The settings of a sampler: config → check → fit → arrays → sampler.
pub trait SamplerSettings: Send + Sync {
    /// Refuses settings that make no sense, and codes that it cannot be fitted on.
    ///
    /// # Errors
    /// What is wrong and what to do.
    fn check(&self, space: &Space) -> Result<()>;

    /// Learns from codes what [`restore`](Self::restore) builds the sampler from.
    ///
    /// # Errors
    /// Codes that cannot be learned from; training that fails.
    fn fit(&self, fitting: &Fitting<'_>) -> Result<Arrays>;

    /// Builds the sampler; says what is wrong with the arrays where they are not such a fit's.
    ///
    /// # Errors
    /// What is wrong with the arrays.
    fn restore(&self, space: &Space, arrays: Arrays) -> Result<Box<dyn Sampler>, String>;

    /// Whether it takes codes as the model has them, outside a [`Chart`].
    fn takes_raw_codes(&self) -> bool {
        false
    }
}

/// What a sampler is fitted on, and at what expense.
#[derive(Clone, Copy)]
pub struct Fitting<'a> {
    /// The codes, in the chart's coordinates.
    pub codes: &'a CodeSet,
    /// What they are.
    pub space: &'a Space,
    /// What the fit's noise descends from.
    pub key: Key,
    /// When the fit should be over, if it may not take as long as it likes.
    pub deadline: Option<Instant>,
    /// Told how far it is, from 0 to 1.
    pub progress: &'a dyn Fn(f64),
    /// Where one that learns says how it went; of several, the last.
    pub learned: &'a Cell<Option<Learned>>,
}

/// How a sampler that learns by steps has learned.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Learned {
    /// Steps that it took.
    pub steps: u64,
    /// Steps that its settings have; the clock left fewer where `steps` are.
    pub planned: u64,
    /// Its least loss on validation codes: what its [`Pace`] is for, to be held against fits of the same sampler on the same codes.
    pub loss: f64,
}

impl Fitting<'_> {
    /// Whether the time is over.
    pub fn is_late(&self) -> bool {
        self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }
}

impl<T: SamplerSettings + Named> Member<dyn SamplerSettings> for T {
    fn boxed(self) -> Box<dyn SamplerSettings> {
        Box::new(self)
    }
}

/// The samplers that ship.
pub fn samplers() -> Axis<dyn SamplerSettings> {
    Axis::new("sampler")
        .with::<prior::PriorSamplerSettings>()
        .with::<normal::NormalSamplerSettings>()
        .with::<gaussian_mixture::GaussianMixtureSettings>()
        .with::<kernel_density::KernelDensitySettings>()
        .with::<Paced<two_stage::TwoStageSettings>>()
        .with::<Paced<maf::MafSettings>>()
        .with::<Paced<real_nvp::RealNvpSettings>>()
        .with::<Paced<flow_matching::FlowMatchingSettings>>()
        .with::<Paced<flow_unet::FlowUNetSettings>>()
        .with::<Paced<autoregressive_bits::AutoregressiveBitsSettings>>()
        .with::<Paced<autoregressive::AutoregressiveSettings>>()
        .with::<Paced<masked::MaskedSettings>>()
}
