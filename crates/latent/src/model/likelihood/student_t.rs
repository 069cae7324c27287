//! Student's t: a normal density with heavy tails, so that a few pixels far off cost little.
//!
//! p(x|z) = Π_i t_ν((x_i − g_i(z)) / s) / s,  ln t_ν(u) = ln Γ((ν+1)/2) − ln Γ(ν/2) − ½ ln πν − (ν+1)/2 ln(1 + u²/ν)
//!
//! ν → ∞ is the normal density of standard deviation s. An error counts like its square where it is small and like its logarithm
//! where it is large.
//!
//! Reference: Takahashi et al., *Student-t Variational Autoencoder for Robust Density Estimation* (IJCAI 2018), with one s for all
//! features in the place of one from the decoder. Draws: Bailey, *Polar generation of random variates with the t-distribution*
//! (Mathematics of Computation 1994).

use burn::tensor::Tensor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Likelihood;
use super::gamma::ln_gamma;
use super::location::{Location, Standard};
use super::normal::{MeanRange, Scale};
use crate::batch::Noise;
use crate::config::ConfigError;
use crate::device::Device;
use crate::member::{Context, Named, Settings};
use crate::weights::Init;

/// How heavy the tails are, and how wide.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StudentTSettings {
    /// How s is found: fixed or learned.
    pub scale: Scale,
    /// s in normalised units: the fixed value, or where a learned one starts.
    pub s: f32,
    /// ν, the degrees of freedom: the fewer, the heavier the tails.
    pub degrees: f64,
    /// Where the decoder's mean may lie.
    pub mean: MeanRange,
}

impl Default for StudentTSettings {
    fn default() -> Self {
        Self { scale: Scale::Learned, s: 1.0, degrees: 5.0, mean: MeanRange::Auto }
    }
}

impl Named for StudentTSettings {
    const KIND: &'static str = "student-t";
    const ABOUT: &'static str = "heavy tails about g(z): s fixed or learned";
}

impl StudentTSettings {
    fn location(&self) -> Location<'_> {
        Location { kind: Self::KIND, scale: self.scale, width: ("s", self.s), mean: &self.mean }
    }
}

impl Settings<dyn Likelihood> for StudentTSettings {
    fn declare(&self, context: &mut Context<'_>) -> Result<(), ConfigError> {
        // At 1 and below there is no mean.
        if !(self.degrees > 1.0 && self.degrees <= 1e6) {
            let what = format!("{} degrees of freedom", self.degrees);
            return Err(ConfigError::value("degrees", what, "give a number above 1, such as 5"));
        }
        self.location().declare(context)
    }

    fn init(&self, context: &Context<'_>, init: &mut Init<'_>) -> Result<Box<dyn Likelihood>, ConfigError> {
        Ok(self.location().init(context, init, Box::new(StudentT { degrees: self.degrees })))
    }
}

struct StudentT {
    /// ν
    degrees: f64,
}

impl Standard for StudentT {
    fn log_density(&self, u: Tensor<2>) -> Tensor<2> {
        let nu = self.degrees;
        let half = 0.5 * (nu + 1.0);
        let constant = ln_gamma(half) - ln_gamma(0.5 * nu) - 0.5 * (std::f64::consts::PI * nu).ln();
        (u.clone() * u * (1.0 / nu)).log1p() * -half + constant
    }

    /// cos(2πv) √(ν (u^{−2/ν} − 1)) of two uniform numbers.
    fn draw(&self, features: usize, noise: Noise<'_>, device: &Device) -> Tensor<2> {
        let both = noise.uniforms(1, 2 * features, device);
        let log_u = both.clone().narrow(1, 0, features).log();
        let angle = both.narrow(1, features, features) * (2.0 * std::f64::consts::PI);
        // e^t − 1 = 2 e^{t/2} sinh(t/2): with many degrees t is so small that e^t itself rounds to steps.
        let half = log_u * (-1.0 / self.degrees);
        let square = half.clone().exp() * half.sinh() * 2.0;
        angle.cos() * (square.clamp_min(0.0) * self.degrees).sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::host;
    use crate::key::Key;

    #[test]
    fn many_degrees_are_drawn_as_a_normal_density_near_its_centre_too() {
        let ids: Vec<u64> = (0..4000).collect();
        let noise = Noise::new(Key::from_seed(5), &ids);
        let draws = host(&StudentT { degrees: 1e6 }.draw(1, noise, &Device::cpu()));
        let near: Vec<f32> = draws.into_iter().filter(|x| x.abs() < 0.1).collect();
        // 4,000 · 0.0797 = 319 of them, with a deviation of 17.
        assert!((250..390).contains(&near.len()), "{}", near.len());
        assert!(near.iter().all(|x| *x != 0.0));
    }
}
