//! Another network whose matrices have spectral norm 1: a dense layer then stretches nothing, a k × k convolution at most k-fold.
//!
//! W̄ = W / σ(W),  v = Wᵀu / ‖Wᵀu‖,  u' = W v / ‖W v‖,  σ(W) = u'ᵀ W v
//!
//! u follows the largest singular value by one step of the power iteration with each step of training, and is brought close before
//! the first and after the last. The gradient passes σ(W). Kernels are matrices whose rows are their first axis, the channels of
//! the output (of a transposed convolution those of the input), as the authors of either paper have them. What else is in the
//! network, biases and batch normalisation, stays as it is. The decoder alone is held, unless `encoder` says otherwise.
//!
//! References: Miyato et al., *Spectral Normalization for Generative Adversarial Networks* (arXiv 1802.05957); for decoders, Ghosh
//! et al., *From Variational to Deterministic Autoencoders* (arXiv 1903.12436).

use burn::tensor::Tensor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{MlpSettings, Network, NetworkSettings};
use crate::config::ConfigError;
use crate::data::DataError;
use crate::device::untracked;
use crate::member::{
    Call, Context, Freeze, Kept, Life, Named, Nested, Progress, Recorder, Registry, Role, Settings, Start,
};
use crate::store::StoreError;
use crate::store::onnx::{Graph, Node};
use crate::weights::{Init, Initial, WeightId, Weights};

/// Which network, and in which role.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SpectralNormSettings {
    /// The network whose matrices are held.
    pub of: Nested<NetworkSettings>,
    /// Whether the encoder's are held, too.
    pub encoder: bool,
}

impl Default for SpectralNormSettings {
    fn default() -> Self {
        Self { of: Nested::new(MlpSettings::default()), encoder: false }
    }
}

impl Named for SpectralNormSettings {
    const KIND: &'static str = "spectral-norm";
    const ABOUT: &'static str = "another network whose matrices have spectral norm 1";

    fn nest(&mut self, registry: &Registry, path: &str) -> Result<(), ConfigError> {
        self.of.read(registry, &format!("{path}.of"))
    }
}

/// Steps of the power iteration before the first step of training and after the last.
const STEPS: usize = 30;

/// A norm is not taken for less.
const LEAST: f64 = 1e-12;

impl Settings<dyn Network> for SpectralNormSettings {
    fn declare(&self, context: &mut Context<'_>) -> Result<(), ConfigError> {
        context.inside("of", |context| self.of.get()?.declare(context))
    }

    fn init(&self, context: &Context<'_>, init: &mut Init<'_>) -> Result<Box<dyn Network>, ConfigError> {
        let before = init.count();
        let inner = self.of.get()?.init(context, init)?;
        let mut held = Vec::new();
        if self.encoder || context.wiring.role == Role::Decoder {
            for (weight, shape) in init.matrices_from(before) {
                let rows = shape[0];
                let shape = [rows, shape[1..].iter().product()];
                let name = format!("spectral{}", init.count() - before);
                let u = init.buffer(&name, &[rows], Initial::Normal(1.0));
                held.push(Held { weight, u, shape, name: init.path(&name) });
            }
        }
        Ok(Box::new(SpectralNorm { inner, held }))
    }
}

/// A matrix and what follows its largest singular value.
struct Held {
    weight: WeightId,
    /// `[rows]`
    u: WeightId,
    /// Rows and columns of the matrix.
    shape: [usize; 2],
    /// What u is called where it is recorded.
    name: String,
}

impl Held {
    /// W as a matrix.
    fn matrix(&self, weights: &Weights) -> Tensor<2> {
        weights.entry(self.weight).flat().reshape(self.shape)
    }

    /// One step of the power iteration from u: v, as a column, and the next u. Outside any gradient's graph.
    fn step(&self, matrix: &Tensor<2>, u: Tensor<1>) -> [Tensor<2>; 2] {
        let unit = |t: Tensor<2>| {
            let norm = (t.clone() * t.clone()).sum().sqrt().clamp_min(LEAST);
            t / norm.reshape([1, 1])
        };
        let v = unit(matrix.clone().transpose().matmul(u.reshape([self.shape[0], 1])));
        let u = unit(matrix.clone().matmul(v.clone()));
        [v, u]
    }

    /// Brings u close.
    fn settle(&self, weights: &mut Weights) {
        let matrix = untracked(self.matrix(weights));
        for _ in 0..STEPS {
            let [_, u] = self.step(&matrix, weights.get(self.u));
            weights.set(self.u, u.reshape([self.shape[0]]));
        }
    }
}

struct SpectralNorm {
    inner: Box<dyn Network>,
    held: Vec<Held>,
}

impl SpectralNorm {
    /// The weights with W̄ in the place of each W.
    fn normalised(&self, weights: &Weights, record: Option<&Recorder>) -> Weights {
        let mut normalised = weights.clone();
        for held in &self.held {
            let matrix = held.matrix(weights);
            let [v, u] = held.step(&untracked(matrix.clone()), untracked(weights.get(held.u)));
            if let Some(record) = record {
                record.first(&held.name, u.clone().reshape([held.shape[0]]));
            }
            let sigma = (matrix.clone().matmul(v) * u).sum().clamp_min(LEAST);
            let [rows, columns] = held.shape;
            normalised.set(held.weight, (matrix / sigma.reshape([1, 1])).reshape([rows * columns]));
        }
        normalised
    }

    fn settle(&self, weights: &mut Weights) {
        self.held.iter().for_each(|held| held.settle(weights));
    }
}

impl Network for SpectralNorm {
    fn forward(&self, call: &Call<'_>, input: Tensor<2>) -> Tensor<2> {
        let record = call.record.filter(|_| call.mode.is_training());
        let weights = self.normalised(call.weights, record);
        self.inner.forward(&Call { weights: &weights, ..*call }, input)
    }

    fn trace(
        &self,
        weights: &Weights,
        graph: &mut Graph,
        x: Node,
        condition: Option<&Node>,
    ) -> Result<Node, StoreError> {
        self.inner.trace(&self.normalised(weights, None), graph, x, condition)
    }

    fn affine(&self, weights: &Weights) -> Option<(Tensor<2>, Tensor<1>)> {
        self.inner.affine(&self.normalised(weights, None))
    }
}

impl Life for SpectralNorm {
    fn start(&self, start: &mut Start<'_>) -> Result<(), DataError> {
        self.inner.start(start)?;
        self.settle(start.weights);
        Ok(())
    }

    fn follow(&self, weights: &mut Weights, kept: &Kept, at: Progress) {
        self.inner.follow(weights, kept, at);
        for held in &self.held {
            if let Some(u) = kept.first(&held.name) {
                weights.set(held.u, u);
            }
        }
    }

    fn freeze(&self, freeze: &mut Freeze<'_>) -> Result<(), DataError> {
        self.settle(freeze.weights);
        self.inner.freeze(freeze)
    }
}
