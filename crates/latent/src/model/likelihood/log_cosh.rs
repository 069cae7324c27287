//! Log-cosh: an error counts like its square where it is small and like itself where it is large.
//!
//! p(x|z) = Π_i f((x_i − g_i(z)) / b) / b,  ln f(u) = −(1/a) ln cosh(a u) − ln Z,  Z = √π Γ(1/2a) / (a Γ(1/2a + 1/2))
//!
//! The larger a, the nearer to a Laplace density of scale b; the smaller, the nearer to a normal one of variance b²/a. With b = 1 the
//! loss is the paper's but for a constant, which makes it a density.
//!
//! Reference: Chen et al., *Log Hyperbolic Cosine Loss Improves Variational Auto-Encoder* (2019).

use burn::tensor::Tensor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Likelihood;
use super::gamma::ln_gamma;
use super::location::{Location, Standard};
use super::normal::{MeanRange, Scale};
use crate::batch::Noise;
use crate::config::ConfigError;
use crate::device::{Device, host};
use crate::member::{Context, Named, Settings};
use crate::weights::Init;

/// How sharp the peak is, and how wide.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LogCoshSettings {
    /// How b is found: fixed or learned.
    pub scale: Scale,
    /// b in normalised units: the fixed value, or where a learned one starts.
    pub b: f32,
    /// a, how soon an error stops to count like its square: at some b/a.
    pub sharpness: f64,
    /// Where the decoder's mean may lie.
    pub mean: MeanRange,
}

impl Default for LogCoshSettings {
    fn default() -> Self {
        Self { scale: Scale::Learned, b: 1.0, sharpness: 10.0, mean: MeanRange::Auto }
    }
}

impl Named for LogCoshSettings {
    const KIND: &'static str = "log-cosh";
    const ABOUT: &'static str = "between a normal and a Laplace density about g(z): b fixed or learned";
}

impl LogCoshSettings {
    fn location(&self) -> Location<'_> {
        Location { kind: Self::KIND, scale: self.scale, width: ("b", self.b), mean: &self.mean }
    }
}

impl Settings<dyn Likelihood> for LogCoshSettings {
    fn declare(&self, context: &mut Context<'_>) -> Result<(), ConfigError> {
        if !(0.01..=1000.0).contains(&self.sharpness) {
            let what = format!("{} is not a sharpness", self.sharpness);
            return Err(ConfigError::value("sharpness", what, "give a number from 0.01 to 1000, such as 10"));
        }
        self.location().declare(context)
    }

    fn init(&self, context: &Context<'_>, init: &mut Init<'_>) -> Result<Box<dyn Likelihood>, ConfigError> {
        Ok(self.location().init(context, init, Box::new(LogCosh::new(self.sharpness))))
    }
}

/// Places at which the distribution function is known.
const CELLS: usize = 1 << 13;

struct LogCosh {
    /// a
    sharpness: f64,
    /// ln Z
    log_normaliser: f64,
    /// How far from one place to the next.
    step: f64,
    /// P(|u| < place · step)
    within: Vec<f64>,
}

impl LogCosh {
    fn new(a: f64) -> Self {
        let half = 0.5 / a;
        let log_normaliser = 0.5 * std::f64::consts::PI.ln() + ln_gamma(half) - a.ln() - ln_gamma(half + 0.5);
        // Beyond it f is below e⁻³⁰.
        let step = (30.0 + std::f64::consts::LN_2 / a) / CELLS as f64;
        let f = |u: f64| {
            let y = a * u;
            (-(y + (-2.0 * y).exp().ln_1p() - std::f64::consts::LN_2) / a - log_normaliser).exp()
        };
        let mut within = vec![0.0];
        let mut sum = 0.0;
        for cell in 0..CELLS {
            let left = cell as f64 * step;
            // Simpson's rule on both sides of 0.
            sum += 2.0 * step / 6.0 * (f(left) + 4.0 * f(left + 0.5 * step) + f(left + step));
            within.push(sum);
        }
        Self { sharpness: a, log_normaliser, step, within }
    }

    /// The |u| below which a share of f lies.
    fn quantile(&self, share: f64) -> f64 {
        let above = self.within.partition_point(|p| *p < share).clamp(1, CELLS);
        let (low, high) = (self.within[above - 1], self.within[above]);
        let part = ((share - low) / (high - low).max(f64::MIN_POSITIVE)).clamp(0.0, 1.0);
        (above as f64 - 1.0 + part) * self.step
    }
}

impl Standard for LogCosh {
    fn log_density(&self, u: Tensor<2>) -> Tensor<2> {
        // ln cosh y = |y| + ln(1 + e^−2|y|) − ln 2, which never overflows.
        let y = (u * self.sharpness).abs();
        let log_cosh = (y.clone() * -2.0).exp().log1p() + y;
        (log_cosh - std::f64::consts::LN_2) * (-1.0 / self.sharpness) - self.log_normaliser
    }

    /// The inverse of the distribution function, known at many places, at a uniform number.
    fn draw(&self, features: usize, noise: Noise<'_>, device: &Device) -> Tensor<2> {
        let uniforms = noise.uniforms(1, features, device);
        let dims = uniforms.dims();
        let of = |u: f32| {
            let centred = 2.0 * f64::from(u) - 1.0;
            (self.quantile(centred.abs()) * centred.signum()) as f32
        };
        device.tensor(host(&uniforms).into_iter().map(of).collect(), dims)
    }
}
