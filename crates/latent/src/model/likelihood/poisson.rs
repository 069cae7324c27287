//! Poisson: x are counts, and the decoder gives the logarithm of their rate.
//!
//! p(v|z) = Π_i λ_i^{v_i} e^{−λ_i} / v_i!,  λ = e^{g(z)}
//!
//! v are the whole numbers of the user's files, which x = (v − offset) / scale is made of. It is computed as
//! v (δ − (e^δ − 1)) − (ln v! − v ln v + v) with δ = ln λ − ln v, so that large counts lose no digits.
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
use crate::data::{DataError, Normalisation, ValueKind};
use crate::device::{Device, host, host_f64};
use crate::member::{Context, Life, Named, Outputs, Settings, Start};
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

impl Life for Poisson {
    fn start(&self, start: &mut Start<'_>) -> Result<(), DataError> {
        let rows = start.rows(START_ROWS)?;
        let features = rows.x.dims()[1];
        let is_below = |(place, x): (usize, &f64)| {
            let (offset, scale) = self.normalisation.of(place % features);
            x * scale + offset < -0.5
        };
        // What is not given is NaN, and below nothing.
        match host_f64(&rows.x).iter().enumerate().find(|at| is_below((at.0, at.1))) {
            None => Ok(()),
            Some((place, x)) => {
                let (offset, scale) = self.normalisation.of(place % features);
                Err(DataError::Mismatch {
                    path: "likelihood.kind".into(),
                    what: format!(
                        "`poisson` describes counts, and row {} (counted from 0) has {} in its feature {}",
                        rows.ids[place / features],
                        (x * scale + offset).round(),
                        place % features
                    ),
                    remedy: "use \"normal\", or leave such rows out".into(),
                })
            }
        }
    }
}

/// Training rows that are looked at for what is no count.
const START_ROWS: usize = 4096;

/// ln λ where v is likeliest, and −ln p there: ln v and ln v! − v ln v + v; of no counts 0 and, by the choice of this 0, 1.
fn at_mode(count: f64) -> [f64; 2] {
    match count >= 1.0 {
        true => [count.ln(), ln_gamma(count + 1.0) - count * count.ln() + count],
        false => [0.0, 1.0],
    }
}

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
        let at_mode: Vec<[f64; 2]> = host_f64(&counts).into_iter().map(at_mode).collect();
        let [log_count, surprise] = [0, 1].map(|of| {
            let values = at_mode.iter().map(|both| both[of]).collect();
            repeat_x(&device.tensor_f64(values, counts.dims()), rows)
        });
        let counts = repeat_x(&counts, rows);
        let off = outputs.clamp(-LOG_RATE, LOG_RATE) - log_count;
        // e^δ − 1 = 2 e^{δ/2} sinh(δ/2)
        let half = off.clone() * 0.5;
        let beyond = half.clone().exp() * half.sinh() * 2.0;
        // Of no counts −λ is left, which is −(e^δ − 1) − 1 with δ = ln λ.
        let some = counts.clone().greater_elem(0.5).float().cast(off.dtype());
        let log_p = counts.clone().clamp_min(1.0) * (off * some - beyond) - surprise;
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
