//! Two-stage VAE: a second VAE on the codes of the first, whose own codes u do lie as N(0, I).
//!
//! u ~ N(0, I),  z ~ p(z|u) = N(g(u), γ I)
//!
//! The first VAE finds the manifold on which data lie, the second the distribution on it; since its data fills its space, its
//! prior and its codes agree. It is the product's own model under the product's own loop, with codes for rows.
//!
//! Reference: Dai & Wipf, *Diagnosing and Enhancing VAE Models* (arXiv 1903.05789); as there, u has as many dimensions as z.

use latent_kernels::Activation;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::Told;
use super::gaussian_mixture::needs_reals;
use super::learn::{arrays_of, fill, fits, learn_sampler};
use super::onnx::{NoiseGraph, NoiseLaw};
use super::{Arrays, CodeSet, Fitting, How, LearnedSettings, Pace, Sampler, Space};
use crate::batch::{Given, Latent, Noise};
use crate::data::{Facts, Normalisation, SampleShape, StoredType, ValueKind};
use crate::device::{Device, host};
use crate::generate::Result;
use crate::model::likelihood::{MeanRange, NormalSettings, Scale};
use crate::model::posterior::{DiagonalNormalSettings, LatentSize};
use crate::model::prior::StandardNormalSettings;
use crate::model::{LatentModel, Part, Parts, View};
use crate::network::MlpSettings;
use crate::objective::estimator::ElboSettings;
use crate::objective::{CommonSettings, DistortionSettings, ObjectiveSettings, RateSettings, TermPart};
use crate::store::StoreError;
use crate::store::onnx::Node;
use crate::train::{Autoencoder, OptimizerKind};
use crate::weights::{Init, Weights};

/// The second VAE.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TwoStageSettings {
    /// The widths of the encoder's hidden layers; the decoder has them in reverse.
    pub hidden: Vec<usize>,
}

impl Default for TwoStageSettings {
    fn default() -> Self {
        Self { hidden: vec![256; 3] }
    }
}

impl TwoStageSettings {
    /// The members of the second VAE, on rows of `dims` standardised columns.
    fn parts(&self, dims: usize) -> Parts {
        let network = || {
            let hidden = self.hidden.clone();
            Box::new(MlpSettings { hidden, activation: Activation::Silu, ..MlpSettings::default() })
        };
        // γ starts small and is learned: were it the spread of the codes, u would stay unused.
        let likelihood = NormalSettings { scale: Scale::Learned, sigma: 0.2, mean: MeanRange::Line };
        Parts {
            likelihood: Part::new("sampler", Box::new(likelihood)),
            posterior: Part::new(
                "sampler",
                Box::new(DiagonalNormalSettings { latent: LatentSize::Dims(dims) }),
            ),
            prior: Part::new("sampler", Box::new(StandardNormalSettings {})),
            encoder: Part::new("sampler", network()),
            decoder: Part::new("sampler", network()),
        }
    }

    /// What it minimises: the evidence lower bound.
    fn objective() -> ObjectiveSettings {
        let term = |name: &str, settings| TermPart {
            name: name.into(),
            kind: name.into(),
            common: CommonSettings::default(),
            settings,
        };
        ObjectiveSettings {
            estimator: Box::new(ElboSettings::default()),
            terms: vec![
                term("distortion", Box::new(DistortionSettings {})),
                term("rate", Box::<RateSettings>::default()),
            ],
        }
    }
}

/// What codes in standard coordinates are, as data.
fn facts(dims: usize) -> Facts {
    Facts {
        source: "codes".into(),
        shape: SampleShape::Vector { columns: dims },
        kind: ValueKind::Real,
        normalisation: Normalisation {
            offset: vec![0.0],
            scale: vec![1.0],
            stored: StoredType::F32,
            range: None,
            whole: Vec::new(),
        },
        columns: Vec::new(),
        constant: Vec::new(),
        classes: Vec::new(),
        condition: Vec::new(),
        table: None,
        rows: [0; 3],
        mean: vec![0.0; dims],
        variance: vec![1.0; dims],
        hash: String::new(),
        overlaps: Vec::new(),
    }
}

impl LearnedSettings for TwoStageSettings {
    const KIND: &'static str = "two-stage";
    const ABOUT: &'static str = "a second VAE on the codes";
    const PACE: Pace =
        Pace { steps: 4000, batch: 512, learning_rate: 2e-3, ema: 0.0, optimizer: OptimizerKind::Adam };

    fn hidden(&self) -> &[usize] {
        &self.hidden
    }

    fn check(&self, space: &Space) -> Result<()> {
        needs_reals("two-stage", space)
    }

    fn fit(&self, pace: Pace, fitting: &Fitting<'_>) -> Result<Arrays> {
        let (parts, objective) = (self.parts(fitting.space.dims), Self::objective());
        let facts = facts(fitting.space.dims);
        // What the weights start from descends from the fit's key.
        let mut uniform = [0.0];
        fitting.key.fold("weights").uniforms(&mut uniform);
        let seed = (f64::from(uniform[0]) * (1u64 << 23) as f64) as u64;
        let (model, mut weights) = parts.build(&facts, seed, &Device::cpu())?;
        let mut context = parts.declare(&facts)?;
        objective.declare(&mut context)?;
        let objective = objective.init(&mut context, &mut Init::new(&mut weights, fitting.key))?;
        let mut task = Autoencoder::new(model, weights, objective);
        // The second model is told nothing of rows.
        let nothing = Told::default;
        let codes = CodeSet { train_told: nothing(), validation_told: nothing(), ..fitting.codes.clone() };
        learn_sampler(&mut task, pace, &Fitting { codes: &codes, ..*fitting })?;
        Ok(arrays_of(&task.weights))
    }

    fn restore(&self, space: &Space, mut arrays: Arrays) -> Result<Box<dyn Sampler>, String> {
        let (parts, facts) = (self.parts(space.dims), facts(space.dims));
        for (path, shape) in parts.outline(&facts).map_err(|error| error.to_string())? {
            fits(&arrays, &path, &shape)?;
        }
        let (model, mut weights) =
            parts.build(&facts, 0, &Device::cpu()).map_err(|error| error.to_string())?;
        fill(&mut weights, &mut arrays)?;
        let variance = model.likelihood.isotropic_variance(&View::evaluation(&model, &weights));
        let deviation = variance.map_or(0.0, |variance| variance.sqrt() as f32);
        Ok(Box::new(TwoStage { model, weights, deviation, dims: space.dims }))
    }
}

struct TwoStage {
    model: LatentModel,
    weights: Weights,
    /// √γ
    deviation: f32,
    dims: usize,
}

impl Sampler for TwoStage {
    fn draw(&self, _: &View<'_>, noise: Noise<'_>, how: &How) -> Result<Vec<f32>> {
        let second = View::evaluation(&self.model, &self.weights);
        let u = self.weights.device().tensor(how.normals(noise, self.dims), [noise.ids.len(), self.dims]);
        let mut codes = host(&second.mean(&Latent::new(u), Given::none()));
        let own = how.normals(Noise { key: noise.key.fold("likelihood"), ..noise }, self.dims);
        codes.iter_mut().zip(own).for_each(|(z, noise)| *z += self.deviation * noise);
        Ok(codes)
    }

    fn trace(&self, _: &View<'_>, to: &mut NoiseGraph) -> Result<Node, StoreError> {
        let normal = to.noise("normal", NoiseLaw::Normal, self.dims, None);
        let own = to.noise("normal_of_code", NoiseLaw::Normal, self.dims, Some("likelihood"));
        let graph = &mut to.graph;
        let outputs = self.model.decoder.trace(&self.weights, graph, normal, None)?;
        let mean = self.model.likelihood.trace(&self.weights, graph, &outputs)?;
        let own = graph.with("Mul", &own, &[self.deviation], &[1]);
        Ok(graph.binary("Add", &mean, &own))
    }
}
