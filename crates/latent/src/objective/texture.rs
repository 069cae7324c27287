//! Texture: g(z) has as much fine detail in each part of the image as x has, wherever the detail itself lies.
//!
//! Σ over bands s and windows w of n_w |ln (a_sw(g(z)) + ε) − ln (a_sw(x) + ε)|,    a_sw = mean of |∇ A^s ·| over the window
//!
//! Errors of pixels are least for the mean of all details that could be there, and a mean has none: reconstructions are blurred
//! where x is not known. This compares amounts: hair is as rough as hair, a cheek as smooth as a cheek. n_w is the number of pixels
//! of a window, so that the weight is nats per pixel and unit of the logarithm.
//!
//! Reference: local statistics of bands as texture follow Portilla & Simoncelli, *A parametric texture model based on joint
//! statistics of complex wavelet coefficients* (2000), of which this is the plainest part.

use burn::tensor::Tensor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::edges::{both, differences, images};
use super::{Pass, Term, Value};
use crate::config::ConfigError;
use crate::member::{Context, Life, Named, Settings};
use crate::network::layer::pooled;
use crate::weights::Init;

/// Bands and windows.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TextureSettings {
    /// Sizes of the image, each half of the one before.
    pub scales: usize,
    /// Sides of a window in pixels of its size.
    pub window: usize,
}

impl Default for TextureSettings {
    fn default() -> Self {
        Self { scales: 2, window: 4 }
    }
}

/// Detail below this is none: levels of 8 bits lie 1/255 apart.
const LEAST: f64 = 1.0 / 128.0;

impl Named for TextureSettings {
    const KIND: &'static str = "texture";
    const ABOUT: &'static str = "as much fine detail in each window as the image has";
}

impl Settings<dyn Term> for TextureSettings {
    fn formula(&self) -> Option<String> {
        Some("Σ_w n_w |ln a_w(g(z)) − ln a_w(x)|".into())
    }

    fn declare(&self, context: &mut Context<'_>) -> Result<(), ConfigError> {
        let [_, height, width] = images(context, "textures")?;
        if !(1..=16).contains(&self.scales) {
            let what = format!("{} sizes of the image", self.scales);
            return Err(ConfigError::value("scales", what, "give 1 to 16, such as 2"));
        }
        if !(1..height.min(width)).contains(&self.window) {
            let what = format!("windows of {} pixels", self.window);
            let remedy = format!("give 1 to {}, such as 4", height.min(width) - 1);
            return Err(ConfigError::value("window", what, remedy));
        }
        Ok(())
    }

    fn init(&self, context: &Context<'_>, _: &mut Init<'_>) -> Result<Box<dyn Term>, ConfigError> {
        Ok(Box::new(Texture { shape: images(context, "textures")?, settings: self.clone() }))
    }
}

struct Texture {
    shape: [usize; 3],
    settings: TextureSettings,
}

impl Texture {
    /// ln of the amount of detail in each window, down and across.
    fn amounts(&self, x: &Tensor<4>) -> [Tensor<4>; 2] {
        differences(x).map(|d| (pooled(d.abs(), self.settings.window) + LEAST).log())
    }
}

impl Term for Texture {
    /// `[k·n]`
    fn value(&self, pass: &Pass<'_>) -> Option<Value> {
        let [mut made, mut x] = both(pass, self.shape);
        let pixels = (self.settings.window * self.settings.window) as f64;
        let mut sum: Option<Tensor<1>> = None;
        for scale in 0..self.settings.scales {
            if scale > 0 {
                (made, x) = (pooled(made, 2), pooled(x, 2));
            }
            let [_, _, height, width] = x.dims();
            if height.min(width) <= self.settings.window {
                break;
            }
            for (made, x) in self.amounts(&made).into_iter().zip(self.amounts(&x)) {
                let off: Tensor<1> = (made - x).abs().flatten::<2>(1, 3).sum_dim(1).squeeze_dim(1);
                let off = off * (pixels / 2.0);
                sum = Some(match sum {
                    Some(sum) => sum + off,
                    None => off,
                });
            }
        }
        sum.map(Value::new)
    }
}

impl Life for Texture {}
