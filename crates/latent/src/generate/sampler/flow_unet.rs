//! Flow matching on codes with a place: the velocity is a U-Net over their maps.
//!
//! What is learned and how draws are made is [flow matching](super::flow_matching)'s, with times t = 1/(1 + e^{−n}), n ~ N(0, 1):
//! the middle of the way, where noise becomes a picture, is learned more often than its ends. Beside x_t the network sees the normal's
//! guess of the code, which knows all places at once, and it moves by Muon: with both it learns some five times as much
//! in the same minutes (docs/results/defaults.md).
//!
//! References: Rombach et al., *Latent diffusion* (arXiv 2112.10752); Esser et al., *Scaling rectified flow transformers*
//! (arXiv 2403.03206) for the times.

use burn::tensor::Tensor;
use burn::tensor::activation::sigmoid;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::flow_matching::{CONDITION_DROPOUT, Seen, Velocity, check_flow, fit, restored};
use super::gaussian_mixture::needs_reals;
use super::{Arrays, Fitting, LearnedSettings, Pace, Sampler, SamplerError, Space};
use crate::batch::Noise;
use crate::config::ConfigError;
use crate::device::Device;
use crate::generate::Result;
use crate::network::{UNet, UNetConfig};
use crate::train::OptimizerKind;
use crate::weights::{Init, Weights};

/// The network and the solver.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FlowUNetSettings {
    /// Channels at the maps' own size; twice as many at each halving.
    pub channels: usize,
    /// Steps of Heun's method a draw, two evaluations of v each.
    pub solver_steps: usize,
    /// The share of rows whose class or condition is hidden in the fit, so that draws can be guided; 0 for no guidance.
    pub condition_dropout: f64,
    /// How far draws go along what was learned beyond the normal: 1 is what was learned, more is more typical and less diverse.
    pub autoguidance: f64,
}

impl Default for FlowUNetSettings {
    fn default() -> Self {
        Self { channels: 48, solver_steps: 12, condition_dropout: CONDITION_DROPOUT, autoguidance: 1.5 }
    }
}

/// More channels are taken for a mistake.
const MOST_CHANNELS: usize = 1024;

struct Maps {
    network: UNet,
}

impl Velocity for Maps {
    const SEES_GUESS: bool = true;

    fn apply(&self, weights: &Weights, x: Tensor<2>, told: Tensor<2>) -> Tensor<2> {
        self.network.apply(weights, x, told)
    }

    fn times(&self, noise: Noise<'_>, device: &Device) -> Tensor<2> {
        sigmoid(noise.normals(1, 1, device))
    }
}

impl FlowUNetSettings {
    fn build(&self, shape: [usize; 3], seen: Seen, init: &mut Init<'_>) -> Maps {
        let inputs = seen.codes * shape[0];
        let config = UNetConfig { shape, inputs, told: seen.told, channels: self.channels };
        Maps { network: config.init(init) }
    }
}

/// `[channels, height, width]` of the codes, where they have a place.
fn maps(space: &Space) -> Result<[usize; 3], SamplerError> {
    space.maps.ok_or_else(|| SamplerError::Unsuitable {
        sampler: "flow-unet".into(),
        what: "works on maps, and these codes have no place".into(),
        remedy: "use flow-matching, or train with codes that have one (--preset spatial-vae)".into(),
    })
}

impl LearnedSettings for FlowUNetSettings {
    const KIND: &'static str = "flow-unet";
    const ABOUT: &'static str = "flow matching whose velocity is a U-Net, for codes with a place";
    const PACE: Pace =
        Pace { steps: 24_000, batch: 64, learning_rate: 1e-3, ema: 0.999, optimizer: OptimizerKind::Muon };

    fn hidden(&self) -> &[usize] {
        &[]
    }

    fn check(&self, space: &Space) -> Result<()> {
        needs_reals("flow-unet", space)?;
        maps(space)?;
        if !(1..=MOST_CHANNELS).contains(&self.channels) {
            let what = format!("{} channels", self.channels);
            let remedy = format!("give 1 to {MOST_CHANNELS}, such as 64");
            return Err(ConfigError::value("sampler.channels", what, remedy).into());
        }
        check_flow(self.solver_steps, self.condition_dropout, self.autoguidance)
    }

    fn fit(&self, pace: Pace, fitting: &Fitting<'_>) -> Result<Arrays> {
        let shape = maps(fitting.space)?;
        fit(pace, fitting, self.condition_dropout, |seen, init| self.build(shape, seen, init))
    }

    fn restore(&self, space: &Space, arrays: Arrays) -> Result<Box<dyn Sampler>, String> {
        let shape = maps(space).map_err(|error| error.to_string())?;
        let build = |seen: Seen, init: &mut Init<'_>| self.build(shape, seen, init);
        restored(space, arrays, (self.solver_steps, self.autoguidance), build)
    }
}

#[cfg(test)]
mod tests {
    use super::super::learn::arrays_of;
    use super::super::normal_flow::NormalFlow;
    use super::*;
    use crate::array::Array;
    use crate::batch::Support;
    use crate::key::Key;

    /// Samplers of earlier versions have a network that sees x_t alone.
    #[test]
    fn a_network_without_the_guess_is_restored_as_one() {
        let settings = FlowUNetSettings { channels: 8, ..FlowUNetSettings::default() };
        let space = Space {
            dims: 32,
            support: Support::Reals,
            classes: Vec::new(),
            condition: 0,
            maps: Some([2, 4, 4]),
        };
        let mut codes = vec![0.0; 100 * 32];
        Key::from_seed(1).normals(&mut codes);
        let made = |looks: usize| {
            let mut weights = Weights::new(&Device::cpu());
            settings.build(
                [2, 4, 4],
                Seen { codes: looks, told: 11 },
                &mut Init::new(&mut weights, Key::from_seed(2)),
            );
            let mut arrays = arrays_of(&weights);
            let normal = NormalFlow::fit(&Array::matrix(codes.clone(), 32), &Device::cpu()).unwrap();
            normal.keep(&mut arrays);
            arrays
        };
        assert!(settings.restore(&space, made(1)).is_ok());
        let error = settings.restore(&space, made(2)).err().unwrap();
        assert!(error.contains("first"), "{error}");
        let said = |mut arrays: Arrays| {
            arrays.insert("guess".into(), Array::matrix(vec![1.0], 1));
            settings.restore(&space, arrays)
        };
        assert!(said(made(2)).is_ok());
        assert!(said(made(1)).is_err());
    }
}
