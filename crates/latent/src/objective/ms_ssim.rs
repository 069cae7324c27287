//! Multi-scale structural similarity as a loss, 1 − MS-SSIM(x, g(z)): are light, contrast and structure of x kept in g(z), window by window?
//!
//! l = (2 μ_a μ_b + C₁)/(μ_a² + μ_b² + C₁),  cs = (2 σ_ab + C₂)/(σ_a² + σ_b² + C₂),  MS-SSIM = [l_M]^w_M · Π_j [cs_j]^w_j
//!
//! The definition is that of the evaluation: normal windows of σ = 1.5 and 11 × 11 pixels (the widest odd window that fits smaller
//! pictures, σ in proportion), C₁ = 0.01² and C₂ = 0.03², 2 × 2 means from scale to scale, each channel alone and then their
//! mean; a scale for every halving that leaves a full window, the five weights divided by the sum of those used. A factor is not
//! taken for less than 10⁻⁴, below which its power has no useful slope. It has no unit: its weight says how much it counts in nats.
//!
//! References: Wang, Simoncelli & Bovik, *Multi-scale structural similarity* (2003); Snell et al., *Learning to generate images with
//! perceptual similarity metrics* (ICIP 2017), as the loss of autoencoders.

use burn::tensor::Tensor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::edges::{both, images};
use super::{Pass, Term, Value};
use crate::config::ConfigError;
use crate::data::ValueKind;
use crate::device::Device;
use crate::member::{Context, Life, Named, Settings};
use crate::network::layer::pooled;
use crate::weights::Init;

/// How many scales.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MsSsimSettings {
    /// Scales at most, each half of the one before: 1 is plain SSIM.
    pub scales: usize,
}

impl Default for MsSsimSettings {
    fn default() -> Self {
        Self { scales: WEIGHTS.len() }
    }
}

const C1: f64 = 0.01 * 0.01;
const C2: f64 = 0.03 * 0.03;

/// The weights of the scales, finest first (Wang et al. 2003).
const WEIGHTS: [f64; 5] = [0.0448, 0.2856, 0.3001, 0.2363, 0.1333];

/// The radius of a full window.
const RADIUS: usize = 5;

/// A factor is not taken for less.
const LEAST: f64 = 1e-4;

impl Named for MsSsimSettings {
    const KIND: &'static str = "ms-ssim";
    const ABOUT: &'static str = "1 − MS-SSIM of the reconstruction";
}

impl Settings<dyn Term> for MsSsimSettings {
    fn formula(&self) -> Option<String> {
        Some(if self.scales == 1 { "(1 − SSIM(x, g(z)))" } else { "(1 − MS-SSIM(x, g(z)))" }.into())
    }

    fn declare(&self, context: &mut Context<'_>) -> Result<(), ConfigError> {
        images(context, "structures")?;
        if !matches!(context.facts.kind, ValueKind::Binary | ValueKind::Grey | ValueKind::Colour) {
            return Err(ConfigError::combination(
                "structural similarity is of pictures in [0, 1], and these are real numbers",
                format!("leave {} away, or give images of 8 or 16 bits", context.path),
            ));
        }
        if !(1..=WEIGHTS.len()).contains(&self.scales) {
            let what = format!("{} scales", self.scales);
            return Err(ConfigError::value("scales", what, format!("give 1 to {}", WEIGHTS.len())));
        }
        Ok(())
    }

    fn init(&self, context: &Context<'_>, _: &mut Init<'_>) -> Result<Box<dyn Term>, ConfigError> {
        Ok(Box::new(MsSsim { shape: images(context, "structures")?, scales: self.scales }))
    }
}

struct MsSsim {
    shape: [usize; 3],
    scales: usize,
}

/// The matrix that takes a line of `size` pixels to the weighted means of its windows of that radius, `[size, size − 2 radius]`.
fn window(size: usize, radius: usize, device: &Device) -> Tensor<2> {
    let sigma = 1.5 * radius.max(1) as f64 / RADIUS as f64;
    let weight = |i: usize| (-0.5 * ((i as f64 - radius as f64) / sigma).powi(2)).exp();
    let sum: f64 = (0..=2 * radius).map(weight).sum();
    let places = size - 2 * radius;
    let mut matrix = vec![0.0; size * places];
    for place in 0..places {
        (0..=2 * radius).for_each(|i| matrix[(place + i) * places + place] = weight(i) / sum);
    }
    device.tensor_f64(matrix, [size, places])
}

/// The means over all windows of each plane `[planes, h, w]` of SSIM, and of its second factor, `[planes]` each.
fn windows(a: Tensor<3>, b: Tensor<3>) -> [Tensor<1>; 2] {
    let [planes, height, width] = a.dims();
    let radius = RADIUS.min((height.min(width).max(1) - 1) / 2);
    let device = Device::of(&a);
    let (down, across) = (window(height, radius, &device), window(width, radius, &device));
    let (h, w) = (height - 2 * radius, width - 2 * radius);
    // Of planes turned round, since only the mean over windows counts.
    let smooth = |x: Tensor<3>| {
        let x = x.reshape([planes * height, width]).matmul(across.clone()).reshape([planes, height, w]);
        x.swap_dims(1, 2).reshape([planes * w, height]).matmul(down.clone()).reshape([planes, w * h])
    };
    let squares = smooth(a.clone() * a.clone() + b.clone() * b.clone());
    let products = smooth(a.clone() * b.clone());
    let (a, b) = (smooth(a), smooth(b));
    let means = a.clone() * a.clone() + b.clone() * b.clone();
    let both = a * b;
    let structure = ((products - both.clone()) * 2.0 + C2) / (squares - means.clone() + C2);
    let light = (both * 2.0 + C1) / (means + C1);
    let mean = |t: Tensor<2>| t.mean_dim(1).squeeze_dim::<1>(1);
    [mean(light * structure.clone()), mean(structure)]
}

/// MS-SSIM of pictures `[rows, channels, h, w]` in [0, 1] at `most` scales or as many as there are, `[rows]`.
fn multi_scale_ssim(mut a: Tensor<4>, mut b: Tensor<4>, most: usize) -> Tensor<1> {
    let [rows, channels, height, width] = a.dims();
    let halvings = (1..most).take_while(|scale| height.min(width) >> scale > 2 * RADIUS).count();
    let total: f64 = WEIGHTS[..=halvings].iter().sum();
    let planes = |x: &Tensor<4>| {
        let [.., h, w] = x.dims();
        x.clone().reshape([rows * channels, h, w])
    };
    let mut product: Option<Tensor<1>> = None;
    for (scale, weight) in WEIGHTS[..=halvings].iter().enumerate() {
        if scale > 0 {
            (a, b) = (pooled(a, 2), pooled(b, 2));
        }
        let [whole, structure] = windows(planes(&a), planes(&b));
        let factor = if scale == halvings { whole } else { structure };
        // With one scale there is no power, and a structure turned round counts as what it is.
        let factor =
            if halvings == 0 { factor } else { (factor.clamp_min(LEAST).log() * (weight / total)).exp() };
        product = Some(match product {
            Some(product) => product * factor,
            None => factor,
        });
    }
    let product = product.unwrap_or_else(|| Tensor::zeros([rows * channels], &a.device()));
    product.reshape([rows, channels]).mean_dim(1).squeeze_dim::<1>(1)
}

impl Term for MsSsim {
    /// `[k·n]`
    fn value(&self, pass: &Pass<'_>) -> Option<Value> {
        let [made, x] = both(pass, self.shape);
        Some(Value::new(multi_scale_ssim(made, x, self.scales).neg() + 1.0))
    }
}

impl Life for MsSsim {}
