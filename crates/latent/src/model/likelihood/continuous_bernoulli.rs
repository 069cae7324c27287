//! Continuous Bernoulli: the density on [0, 1] proportional to λ^x (1 − λ)^(1−x), λ = sigmoid(l).
//!
//! log p(x|z) = Σ_i x_i l_i − softplus(l_i) + ln C(l_i),  ln C = ln(l / tanh(l/2)), → ln 2 as l → 0
//! mean = λ/(2λ−1) + 1/(2 artanh(1−2λ)) = 1/(1 − e^−l) − 1/l, → ½ as l → 0
//!
//! Reference: Loaiza-Ganem & Cunningham (arXiv 1907.06845).

use burn::tensor::Tensor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{BaseMeasure, Likelihood, mean_logits, needs_unit_interval, repeat_x, sum_observed};
use crate::batch::{Batch, Noise};
use crate::config::ConfigError;
use crate::data::ValueKind;
use crate::density::softplus;
use crate::device::Device;
use crate::member::{Context, Life, Named, Outputs, Settings};
use crate::model::View;
use crate::store::StoreError;
use crate::store::onnx::{Graph, Node};
use crate::weights::{Init, Weights};

/// No settings.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ContinuousBernoulliSettings {}

struct ContinuousBernoulli;

/// Below this |l| the series is used.
const SMALL: f64 = 0.05;

impl Named for ContinuousBernoulliSettings {
    const KIND: &'static str = "continuous-bernoulli";
    const ABOUT: &'static str = "a density on [0, 1] from the same logits";
}

impl Settings<dyn Likelihood> for ContinuousBernoulliSettings {
    fn declare(&self, context: &mut Context<'_>) -> Result<(), ConfigError> {
        if context.facts.kind == ValueKind::Binary {
            return Err(ConfigError::Combination {
                what: "likelihood `continuous-bernoulli` is a density on [0, 1], and this data is binary"
                    .into(),
                remedy: "use likelihood.kind = \"bernoulli\"".into(),
            });
        }
        needs_unit_interval(context.facts, Self::KIND)?;
        context.outputs = Outputs::each(context.facts.shape, 1, mean_logits(context.facts));
        Ok(())
    }

    fn init(&self, _: &Context<'_>, _: &mut Init<'_>) -> Result<Box<dyn Likelihood>, ConfigError> {
        Ok(Box::new(ContinuousBernoulli))
    }
}

impl Life for ContinuousBernoulli {}

/// ln C(l), even in l.
fn log_normaliser(l: Tensor<2>) -> Tensor<2> {
    let near = l.clone().abs().lower_elem(SMALL);
    let square = l.clone() * l.clone();
    // ln(l / tanh(l/2)) = ln 2 + l²/12 − 7 l⁴/1440 + …
    let series =
        square.clone() * (1.0 / 12.0) - square.clone() * square * (7.0 / 1440.0) + std::f64::consts::LN_2;
    // Away from 0: ln|l| + ln(1 + e^−|l|) − ln(1 − e^−|l|), which never overflows.
    let magnitude = l.abs().clamp_min(SMALL);
    let decay = magnitude.clone().neg().exp();
    let exact = magnitude.log() + decay.clone().log1p() - decay.neg().log1p();
    exact.mask_where(near, series)
}

impl Likelihood for ContinuousBernoulli {
    fn measure(&self) -> BaseMeasure {
        BaseMeasure::Lebesgue
    }

    fn log_density(&self, _: &View<'_>, outputs: Tensor<2>, batch: &Batch) -> Tensor<1> {
        let x = repeat_x(&batch.x, outputs.dims()[0]);
        let l = outputs;
        sum_observed(x * l.clone() - softplus(l.clone()) + log_normaliser(l), batch)
    }

    fn mean(&self, _: &View<'_>, outputs: Tensor<2>) -> Tensor<2> {
        let l = outputs;
        let near = l.clone().abs().lower_elem(SMALL);
        // ½ + l/12 − l³/720 + …
        let series = l.clone() / 12.0 - l.clone() * l.clone() * l.clone() / 720.0 + 0.5;
        let sign = l.clone().sign();
        let magnitude = l.abs().clamp_min(SMALL);
        // For l > 0; the mean at −l is 1 − mean(l).
        let upper = (magnitude.clone().neg().exp().neg() + 1.0).recip() - magnitude.recip();
        let exact = (upper - 0.5) * sign + 0.5;
        exact.mask_where(near, series)
    }

    fn trace(&self, _: &Weights, graph: &mut Graph, outputs: &Node) -> Result<Node, StoreError> {
        let l = outputs;
        // ½ + l/12 − l³/720 near 0
        let square = graph.binary("Mul", l, l);
        let inner = graph.with("Mul", &square, &[-1.0 / 720.0], &[1]);
        let inner = graph.with("Add", &inner, &[1.0 / 12.0], &[1]);
        let series = graph.binary("Mul", l, &inner);
        let series = graph.with("Add", &series, &[0.5], &[1]);
        let size = graph.unary("Abs", l);
        let size = graph.clamp(&size, Some(SMALL as f32), None);
        let fallen = graph.unary("Neg", &size);
        let fallen = graph.unary("Exp", &fallen);
        let fallen = graph.unary("Neg", &fallen);
        let rest = graph.with("Add", &fallen, &[1.0], &[1]);
        let (first, second) = (graph.unary("Reciprocal", &rest), graph.unary("Reciprocal", &size));
        let upper = graph.binary("Sub", &first, &second);
        let upper = graph.with("Add", &upper, &[-0.5], &[1]);
        let sign = graph.unary("Sign", l);
        let exact = graph.binary("Mul", &upper, &sign);
        let exact = graph.with("Add", &exact, &[0.5], &[1]);
        Ok(graph.where_small(l, SMALL as f32, &series, &exact))
    }

    /// By inverting F(x) = (e^{lx} − 1) / (e^l − 1): x = ln(1 + u (e^l − 1)) / l.
    fn draw(&self, _: &View<'_>, outputs: Tensor<2>, noise: Noise<'_>) -> Tensor<2> {
        let u = noise.uniforms(1, outputs.dims()[1], &Device::of(&outputs));
        let l = outputs;
        let near = l.clone().abs().lower_elem(1e-3);
        let negative = l.clone().lower_elem(0.0);
        let magnitude = l.abs().clamp_min(1e-3);
        // x at −l is 1 − x at l with u ↔ 1 − u; for l > 0: x = 1 + ln(u + (1 − u) e^−l) / l.
        let v = u.clone().mask_where(negative.clone(), u.clone().neg() + 1.0);
        let inner = v.clone() + (v.neg() + 1.0) * magnitude.clone().neg().exp();
        let upper = (inner.log() / magnitude + 1.0).clamp(0.0, 1.0);
        let x = upper.clone().mask_where(negative, upper.neg() + 1.0);
        x.mask_where(near, u)
    }
}
