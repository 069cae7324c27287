//! The model's own prior p(z), as a sampler among others: what the fitted ones are measured against.

use std::any::Any;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::onnx::{NoiseGraph, NoiseLaw, ONE_PASS};
use super::{Arrays, Fitting, How, Sampler, SamplerError, SamplerSettings, Space};
use crate::batch::{Given, Latent, Noise};
use crate::density::{Density, FactorisedBits, NormalMixture, StandardNormal, Uniform};
use crate::device::{host, host_f64};
use crate::generate::Result;
use crate::member::Named;
use crate::model::View;
use crate::store::StoreError;
use crate::store::onnx::Node;

/// No settings.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PriorSamplerSettings {}

struct PriorSampler {
    dims: usize,
}

impl Named for PriorSamplerSettings {
    const KIND: &'static str = "prior";
    const ABOUT: &'static str = "the model's own prior, not fitted";
}

impl SamplerSettings for PriorSamplerSettings {
    fn check(&self, _: &Space) -> Result<()> {
        Ok(())
    }

    fn fit(&self, _: &Fitting<'_>) -> Result<Arrays> {
        Ok(Arrays::new())
    }

    fn restore(&self, space: &Space, _: Arrays) -> Result<Box<dyn Sampler>, String> {
        Ok(Box::new(PriorSampler { dims: space.dims }))
    }

    fn takes_raw_codes(&self) -> bool {
        true
    }
}

impl Sampler for PriorSampler {
    fn draw(&self, view: &View<'_>, noise: Noise<'_>, how: &How) -> Result<Vec<f32>> {
        self.draw_given(view, Given::rows(noise.ids), noise, how)
    }

    fn draw_given(&self, view: &View<'_>, given: Given<'_>, noise: Noise<'_>, how: &How) -> Result<Vec<f32>> {
        let prior = view.prior(given);
        if how.is_plain() {
            return Ok(host(&prior.draw(1, noise).z.z));
        }
        let any: &dyn Any = prior.as_ref();
        if any.is::<StandardNormal>() {
            return Ok(how.normals(noise, self.dims));
        }
        how.without_truncation("this model's prior")?;
        let changed: Box<dyn Density> = if let Some(mixture) = any.downcast_ref::<NormalMixture>() {
            let log_variance = mixture.log_variance.clone() + 2.0 * how.temperature.ln();
            Box::new(NormalMixture { log_variance, ..mixture.clone() })
        } else if let Some(bits) = any.downcast_ref::<FactorisedBits>() {
            let logits = bits.logits.clone() * (1.0 / how.temperature);
            Box::new(FactorisedBits { logits, gradient: bits.gradient })
        } else {
            return Err(SamplerError::Request {
                what: "this model's prior has no temperature".into(),
                remedy: "leave the temperature at 1, or draw from a fitted sampler (latent fit-sampler)"
                    .into(),
            }
            .into());
        };
        Ok(host(&changed.draw(1, noise).z.z))
    }

    fn trace(&self, view: &View<'_>, to: &mut NoiseGraph) -> Result<Node, StoreError> {
        let blank = view.blank();
        let prior = view.prior(blank.given());
        let any: &dyn Any = prior.as_ref();
        if any.is::<StandardNormal>() {
            return Ok(to.noise("normal", NoiseLaw::Normal, self.dims, None));
        }
        if any.is::<Uniform>() {
            return Ok(to.noise("uniform", NoiseLaw::Uniform, self.dims, None));
        }
        Err(StoreError::no_graph("a prior of this kind", ONE_PASS))
    }

    fn log_density(&self, view: &View<'_>, codes: &[f32]) -> Option<Vec<f64>> {
        let rows = codes.len() / self.dims.max(1);
        let z = Latent::new(view.weights.device().tensor(codes.to_vec(), [rows, self.dims]));
        view.prior(Given::none()).log_density(&z).map(|log_density| host_f64(&log_density))
    }
}
