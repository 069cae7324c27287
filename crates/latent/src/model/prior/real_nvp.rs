//! p(z) by a flow of affine couplings, learned with the model: ln p(z) = ln N(u(z); 0, I) + ln |det ∂u/∂z|.
//!
//! A decoder may put its codes wherever it likes and the prior follows; the rate is a mean over draws.
//!
//! References: Dinh, Sohl-Dickstein & Bengio, *Density estimation using Real NVP* (arXiv 1605.08803); as a prior, Xu et al., *On the
//! Necessity and Effectiveness of Learning the Prior of Variational Auto-Encoder* (arXiv 1905.13452).

use std::sync::Arc;

use burn::tensor::Tensor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Prior, needs_support};
use crate::batch::{Draw, Given, Latent, Noise, Support};
use crate::config::ConfigError;
use crate::density::{CouplingFlow, Density, Flow, flow_log_density};
use crate::member::{Context, Life, Named, Settings};
use crate::model::View;
use crate::weights::{Init, Weights};

/// The couplings.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RealNvpPriorSettings {
    /// The number of couplings.
    pub layers: usize,
    /// The widths of each coupling's hidden layers.
    pub hidden: Vec<usize>,
}

impl Default for RealNvpPriorSettings {
    fn default() -> Self {
        Self { layers: 8, hidden: vec![128; 2] }
    }
}

/// More are taken for a mistake.
const MOST_LAYERS: usize = 64;

impl Named for RealNvpPriorSettings {
    const KIND: &'static str = "real-nvp";
    const ABOUT: &'static str = "a flow of affine couplings, learned with the model";
}

impl Settings<dyn Prior> for RealNvpPriorSettings {
    fn declare(&self, context: &mut Context<'_>) -> Result<(), ConfigError> {
        if !(1..=MOST_LAYERS).contains(&self.layers) {
            let what = format!("{} couplings", self.layers);
            return Err(ConfigError::value("layers", what, format!("give 1 to {MOST_LAYERS}")));
        }
        if self.hidden.contains(&0) {
            let what = format!("{:?} has a layer of width 0", self.hidden);
            return Err(ConfigError::value("hidden", what, "give each layer at least one unit"));
        }
        context.prior_factorises = false;
        needs_support(context, "the reals", |support| support == Support::Reals)
    }

    fn init(&self, context: &Context<'_>, init: &mut Init<'_>) -> Result<Box<dyn Prior>, ConfigError> {
        let dims = context.latent.dims();
        let flow = CouplingFlow::new(dims, self.layers, &self.hidden, init);
        Ok(Box::new(RealNvp { flow: Arc::new(flow), dims }))
    }
}

struct RealNvp {
    flow: Arc<CouplingFlow>,
    dims: usize,
}

impl Prior for RealNvp {
    fn density(&self, view: &View<'_>, _: Given<'_>) -> Box<dyn Density> {
        Box::new(Flowed { flow: Arc::clone(&self.flow), weights: view.weights.clone(), dims: self.dims })
    }
}

impl Life for RealNvp {}

/// One density for all rows.
struct Flowed {
    flow: Arc<CouplingFlow>,
    weights: Weights,
    dims: usize,
}

impl Density for Flowed {
    fn draw(&self, draws: usize, noise: Noise<'_>) -> Draw {
        let u = noise.normals(draws, self.dims, self.weights.device());
        Draw::new(self.flow.x_from_u(&self.weights, u))
    }

    fn log_density(&self, z: &Latent) -> Option<Tensor<1>> {
        Some(flow_log_density(self.flow.as_ref(), &self.weights, z.z.clone()))
    }

    fn log_density_per_dimension(&self, _: &Latent) -> Option<Tensor<2>> {
        None
    }

    /// Where 0 goes: the mean has no closed form.
    fn centre(&self) -> Latent {
        let zero = self.weights.device().tensor(vec![0.0; self.dims], [1, self.dims]);
        Latent::new(self.flow.x_from_u(&self.weights, zero))
    }

    fn rows(&self, _: &[usize]) -> Box<dyn Density> {
        Box::new(Self { flow: Arc::clone(&self.flow), weights: self.weights.clone(), dims: self.dims })
    }

    fn detached(&self) -> Box<dyn Density> {
        Box::new(Self { flow: Arc::clone(&self.flow), weights: self.weights.detached(), dims: self.dims })
    }

    fn parameters(&self) -> Vec<(&'static str, Tensor<2>)> {
        Vec::new()
    }
}
