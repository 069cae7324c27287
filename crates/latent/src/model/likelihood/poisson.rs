//! Poisson: x are counts, and the decoder gives the logarithm of their rate.
//!
//! p(v|z) = Π_i λ_i^{v_i} e^{−λ_i} / v_i!,  λ = e^{g(z)}
//!
//! v are the whole numbers of the user's files, which x = (v − offset) / scale is made of.
//!
//! References: Gopalan et al., *Scalable Recommendation with Hierarchical Poisson Factorization* (arXiv 1311.1704); as a decoder,
//! Zhao et al., *Variational Autoencoders for Sparse and Overdispersed Discrete Data* (arXiv 1905.00616), a baseline there.

use burn::tensor::Tensor;
use rand_distr::{Distribution, Poisson as PoissonLaw};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::gamma::ln_gamma;
use super::{BaseMeasure, Likelihood, refuse_levels, repeat_x, sum_observed};
use crate::batch::{Batch, Noise};
use crate::config::ConfigError;
use crate::data::{Normalisation, ValueKind};
use crate::device::{Device, host, host_f64};
use crate::member::{Context, Life, Named, Outputs, Settings};
use crate::model::View;
use crate::store::StoreError;
use crate::store::onnx::{Graph, Node};
use crate::weights::{Init, Weights};

/// No settings.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PoissonSettings {}

/// ln λ stays in this range: beyond it rates leave single precision.
const LOG_RATE: f64 = 20.0;

/// A rate starts from this on, where a column has no counts at all.
const LEAST_RATE: f64 = 1e-2;

struct Poisson {
    /// How counts became x.
    normalisation: Normalisation,
}

impl Named for PoissonSettings {
    const KIND: &'static str = "poisson";
    const ABOUT: &'static str = "counts with a rate of e^g(z)";
}

impl Settings<dyn Likelihood> for PoissonSettings {
    fn declare(&self, context: &mut Context<'_>) -> Result<(), ConfigError> {
        let facts = context.facts;
        refuse_levels(facts, Self::KIND)?;
        if facts.kind == ValueKind::Binary {
            return Err(ConfigError::combination(
                "likelihood `poisson` describes counts, and this data is binary",
                "use likelihood.kind = \"bernoulli\"",
            ));
        }
        let (normalisation, features) = (&facts.normalisation, facts.shape.features());
        if !normalisation.stored.is_integer() && normalisation.whole.len() < features {
            return Err(ConfigError::combination(
                "likelihood `poisson` describes counts, and not all of this data is whole numbers",
                "use likelihood.kind = \"normal\"",
            ));
        }
        let log_rate = |(index, mean): (usize, &f32)| {
            let (offset, scale) = normalisation.of(index);
            (f64::from(*mean) * scale + offset).max(LEAST_RATE).ln() as f32
        };
        let bias = Some(&facts.mean).filter(|mean| mean.len() == features);
        let bias = bias.map(|mean| mean.iter().enumerate().map(log_rate).collect());
        context.outputs = Outputs::each(facts.shape, 1, bias);
        Ok(())
    }

    fn init(&self, context: &Context<'_>, _: &mut Init<'_>) -> Result<Box<dyn Likelihood>, ConfigError> {
        Ok(Box::new(Poisson { normalisation: context.facts.normalisation.clone() }))
    }
}

impl Life for Poisson {}

impl Poisson {
    /// Offset and scale of each feature, `[1, features]` each.
    fn offset_and_scale(&self, features: usize, device: &Device) -> [Tensor<2>; 2] {
        let (offset, scale): (Vec<f64>, Vec<f64>) = (0..features).map(|i| self.normalisation.of(i)).unzip();
        [offset, scale].map(|values| device.tensor_f64(values, [1, features]))
    }
}

impl Likelihood for Poisson {
    fn measure(&self) -> BaseMeasure {
        BaseMeasure::Counts
    }

    /// −∞ below 0, where there are no counts.
    fn log_density(&self, _: &View<'_>, outputs: Tensor<2>, batch: &Batch) -> Tensor<1> {
        let [rows, features] = outputs.dims();
        let device = Device::of(&outputs);
        let x = match &batch.mask {
            // What is masked may be no number.
            Some(mask) => batch.x.clone().mask_fill(mask.clone().lower_elem(0.5), 0.0),
            None => batch.x.clone(),
        };
        let [offset, scale] = self.offset_and_scale(features, &device);
        let counts = (x * scale + offset).round();
        let factorials = host_f64(&counts).into_iter().map(|v| ln_gamma(v.max(0.0) + 1.0)).collect();
        let factorials = device.tensor_f64(factorials, counts.dims());
        let log_rate = outputs.clamp(-LOG_RATE, LOG_RATE);
        let counts = repeat_x(&counts, rows);
        let log_p = counts.clone() * log_rate.clone() - log_rate.exp() - repeat_x(&factorials, rows);
        sum_observed(log_p.mask_fill(counts.lower_elem(-0.5), f32::NEG_INFINITY), batch)
    }

    fn mean(&self, _: &View<'_>, outputs: Tensor<2>) -> Tensor<2> {
        let [offset, scale] = self.offset_and_scale(outputs.dims()[1], &Device::of(&outputs));
        (outputs.clamp(-LOG_RATE, LOG_RATE).exp() - offset) / scale
    }

    fn trace(&self, _: &Weights, graph: &mut Graph, outputs: &Node) -> Result<Node, StoreError> {
        let features = outputs.features();
        let each = |of: fn((f64, f64)) -> f64| -> Vec<f32> {
            (0..features).map(|i| of(self.normalisation.of(i)) as f32).collect()
        };
        let log_rate = graph.clamp(outputs, Some(-LOG_RATE as f32), Some(LOG_RATE as f32));
        let rate = graph.unary("Exp", &log_rate);
        let rate = graph.rows(rate);
        let above = graph.with("Sub", &rate, &each(|(offset, _)| offset), &[features]);
        Ok(graph.with("Div", &above, &each(|(_, scale)| scale), &[features]))
    }

    fn draw(&self, _: &View<'_>, outputs: Tensor<2>, noise: Noise<'_>) -> Tensor<2> {
        let (device, dims) = (Device::of(&outputs), outputs.dims());
        let mut x = host(&outputs);
        for (row, x) in x.chunks_mut(dims[1].max(1)).enumerate() {
            let n = noise.ids.len().max(1);
            let id = noise.ids.get(row % n).copied().unwrap_or(0);
            let mut generator = noise.key.fold(id).fold(noise.first + row / n).generator();
            for (index, x) in x.iter_mut().enumerate() {
                let (offset, scale) = self.normalisation.of(index);
                let rate = f64::from(*x).clamp(-LOG_RATE, LOG_RATE).exp();
                // A rate that is no number has no counts.
                let count = PoissonLaw::new(rate).map_or(0.0, |law| law.sample(&mut generator));
                *x = ((count - offset) / scale) as f32;
            }
        }
        device.tensor(x, dims)
    }
}
