//! Two-stage VAE: a second VAE on the codes of the first, whose own codes u do lie as N(0, I).
//!
//! u ~ N(0, I),  z ~ p(z|u) = N(g(u), γ I)
//!
//! The first VAE finds the manifold on which data lie, the second the distribution on it; since its data fills its space, its
//! prior and its codes agree. It is the product's own model under the product's own loop, with codes for rows.
//!
//! Reference: Dai & Wipf, *Diagnosing and Enhancing VAE Models* (arXiv 1903.05789); as there, u has as many dimensions as z.

use serde::{Deserialize, Serialize};

use super::gaussian_mixture::needs_reals;
use super::learn::{Pace, arrays_of, fill, fits, learn_sampler};
use super::{Arrays, Fitting, How, Sampler, SamplerSettings, Space};
use crate::batch::{Latent, Noise};
use crate::config::{ConfigError, Layers, Run, resolve};
use crate::data::{Facts, Normalisation, SampleShape, StoredType, ValueKind};
use crate::device::{Device, host};
use crate::error::Result;
use crate::model::{LatentModel, Registry, View, build, outline};
use crate::objective::Objective;
use crate::train::Autoencoder;
use crate::weights::Weights;

/// The second VAE and its training.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TwoStageSettings {
    /// The widths of the encoder's hidden layers; the decoder has them in reverse.
    pub hidden: Vec<usize>,
    /// Steps of training.
    pub steps: u64,
    /// Codes in a step.
    pub batch: usize,
    /// η at the start.
    pub learning_rate: f64,
    /// Decay of the average of the weights that is kept; 0 for none.
    pub ema: f64,
}

impl Default for TwoStageSettings {
    fn default() -> Self {
        Self { hidden: vec![256; 3], steps: 4000, batch: 512, learning_rate: 2e-3, ema: 0.0 }
    }
}

impl TwoStageSettings {
    fn pace(&self) -> Pace {
        Pace { steps: self.steps, batch: self.batch, learning_rate: self.learning_rate, ema: self.ema }
    }

    /// The run of the second VAE, on rows of `dims` standardised columns.
    fn run(&self, dims: usize) -> Result<Run, ConfigError> {
        let mut layers = Layers::default();
        for assignment in [
            "likelihood={kind='normal', scale='optimal', mean='line'}".to_string(),
            format!("posterior={{kind='diagonal-normal', latent={dims}}}"),
            "prior={kind='standard-normal'}".into(),
            format!("network={{kind='mlp', hidden={:?}, activation='silu'}}", self.hidden),
            "objective.terms={distortion={}, rate={}}".into(),
        ] {
            layers.set(&assignment)?;
        }
        let facts = Facts {
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
            classes: Vec::new(),
            rows: [0; 3],
            mean: vec![0.0; dims],
            variance: vec![1.0; dims],
            hash: String::new(),
            overlaps: Vec::new(),
        };
        Ok(resolve(&layers, &facts, &Registry::default())?.0)
    }
}

impl SamplerSettings for TwoStageSettings {
    fn check(&self, space: &Space) -> Result<()> {
        needs_reals("two-stage", space)?;
        Ok(self.pace().check(&self.hidden)?)
    }

    fn fit(&self, fitting: &Fitting<'_>) -> Result<Arrays> {
        let registry = Registry::default();
        let mut run = self.run(fitting.space.dims)?;
        // What the weights start from descends from the fit's key.
        let mut uniform = [0.0];
        fitting.key.fold("weights").uniforms(&mut uniform);
        run.seed = (f64::from(uniform[0]) * (1u64 << 23) as f64) as u64;
        let (model, weights) = build(&run, &registry, &Device::cpu())?;
        let (posterior, _) = registry.posteriors.resolve(&run.posterior, "posterior")?;
        let (objective, _) = Objective::resolve(&run.objective, &registry, posterior.as_ref())?;
        let mut task = Autoencoder::new(model, weights, objective);
        learn_sampler(&mut task, self.pace(), fitting)?;
        Ok(arrays_of(&task.weights))
    }

    fn restore(&self, space: &Space, mut arrays: Arrays) -> Result<Box<dyn Sampler>, String> {
        let registry = Registry::default();
        let run = self.run(space.dims).map_err(|error| error.to_string())?;
        for (path, shape) in outline(&run, &registry).map_err(|error| error.to_string())? {
            fits(&arrays, &path, &shape)?;
        }
        let (model, mut weights) =
            build(&run, &registry, &Device::cpu()).map_err(|error| error.to_string())?;
        fill(&mut weights, &mut arrays)?;
        let found = weights.iter().find(|(_, weight)| weight.path() == "likelihood.log_variance");
        let log_variance = found.and_then(|(_, weight)| weight.values().first().copied());
        let deviation = log_variance.map_or(0.0, |v| (0.5 * v).exp());
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
        let mut codes = host(&second.mean(&Latent::new(u)));
        let own = how.normals(Noise { key: noise.key.fold("likelihood"), ..noise }, self.dims);
        codes.iter_mut().zip(own).for_each(|(z, noise)| *z += self.deviation * noise);
        Ok(codes)
    }
}
