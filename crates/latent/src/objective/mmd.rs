//! Maximum mean discrepancy between drawn codes and the prior, by the unbiased estimator:
//!
//! MMD² = 1/n(n−1) Σ_{i≠j} [k(z_i, z_j) + k(p_i, p_j)] − 2/n² Σ_{i,j} k(z_i, p_j)
//!
//! with k summed over scales s: inverse multiquadratic C/(C + ‖a − b‖²), C = 2 d s, or the Gaussian
//! exp(−‖a − b‖²/C). It couples the rows of a batch.
//!
//! References: Gretton et al. (JMLR 2012); Tolstikhin et al., *Wasserstein Auto-Encoders* (arXiv 1711.01558).

use burn::tensor::Tensor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Pass, Term, Value};
use crate::batch::Noise;
use crate::config::ConfigError;
use crate::member::{Context, Life, Named, Settings};
use crate::weights::Init;

/// Kernel and scales.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MmdSettings {
    /// Which kernel.
    pub kernel: Kernel,
    /// The scales that the kernel is summed over.
    pub scales: Vec<f64>,
}

/// A positive-definite kernel of ‖a − b‖².
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Kernel {
    /// Inverse multiquadratic: heavy tails, so that far codes are still pulled.
    Imq,
    /// Gaussian.
    Rbf,
}

impl Default for MmdSettings {
    fn default() -> Self {
        Self { kernel: Kernel::Imq, scales: vec![0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0] }
    }
}

impl Named for MmdSettings {
    const KIND: &'static str = "mmd";
    const ABOUT: &'static str = "maximum mean discrepancy of the codes from the prior";
}

impl Settings<dyn Term> for MmdSettings {
    fn formula(&self) -> Option<String> {
        Some("MMD²(q(z), p(z))".into())
    }

    fn declare(&self, context: &mut Context<'_>) -> Result<(), ConfigError> {
        if self.scales.is_empty() || self.scales.iter().any(|s| !(s.is_finite() && *s > 0.0)) {
            return Err(ConfigError::value(
                "scales",
                format!("{:?} are not scales", self.scales),
                "give positive numbers, such as [0.5, 1.0, 2.0]",
            ));
        }
        let name = context.term().map(|term| term.name.clone()).unwrap_or_default();
        context.couple(format!("the term `{name}` couples the rows of a batch"), "");
        Ok(())
    }

    fn init(&self, _: &Context<'_>, _: &mut Init<'_>) -> Result<Box<dyn Term>, ConfigError> {
        Ok(Box::new(Mmd { settings: self.clone() }))
    }
}

struct Mmd {
    settings: MmdSettings,
}

impl Term for Mmd {
    fn value(&self, pass: &Pass<'_>) -> Option<Value> {
        let n = pass.batch.len();
        let z = &pass.draw().z.z;
        let noise = Noise::new(pass.key.fold("mmd"), &pass.batch.ids);
        let prior = pass.p.draw(pass.draws, noise).z.z;
        // Draw by draw: two codes of one row are no independent pair.
        let part = |t: &Tensor<2>, draw: usize| t.clone().narrow(0, draw * n, n);
        let each = (0..pass.draws).map(|draw| mmd(part(z, draw), part(&prior, draw), &self.settings));
        Some(Value::new(Tensor::cat(each.collect(), 0).mean()))
    }
}

impl Life for Mmd {}

/// The unbiased estimate between two samples of equal size, `[n, d]` each; 0 for a single row.
pub fn mmd(a: Tensor<2>, b: Tensor<2>, settings: &MmdSettings) -> Tensor<1> {
    let [n, d] = a.dims();
    if n < 2 {
        return (a * 0.0).sum();
    }
    let pairs = (n * (n - 1)) as f64;
    let constant = |scale: f64| 2.0 * d as f64 * scale;
    // The diagonal of a sample against itself is 1 at every scale; it is taken out of the sum.
    let diagonal = (n * settings.scales.len()) as f64;
    let sum = |squares: Tensor<2>| {
        let mut total: Option<Tensor<1>> = None;
        for &scale in &settings.scales {
            let c = constant(scale);
            let kernel = match settings.kernel {
                Kernel::Imq => (squares.clone() + c).recip() * c,
                Kernel::Rbf => (squares.clone() * (-1.0 / c)).exp(),
            };
            let part = kernel.sum();
            total = Some(match total {
                Some(total) => total + part,
                None => part,
            });
        }
        total.unwrap_or_else(|| squares.sum() * 0.0)
    };
    let own = sum(squared_distances(&a, &a)) + sum(squared_distances(&b, &b)) - 2.0 * diagonal;
    own * (1.0 / pairs) - sum(squared_distances(&a, &b)) * (2.0 / (n * n) as f64)
}

/// ‖a_i − b_j‖², never below 0, `[n, m]`.
fn squared_distances(a: &Tensor<2>, b: &Tensor<2>) -> Tensor<2> {
    let norm = |t: &Tensor<2>| (t.clone() * t.clone()).sum_dim(1);
    let cross = a.clone().matmul(b.clone().transpose());
    (norm(a) + norm(b).transpose() - cross * 2.0).clamp_min(0.0)
}
