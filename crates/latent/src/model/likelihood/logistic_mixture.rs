//! Mixture of discretised logistics: each pixel is one of K components, which give its channels probabilities of 256 levels.
//!
//! P(x|z) = Π_pixels Σ_k π_k Π_c P_logistic(x_c; μ_ck + Σ_{j<c} γ_cjk (x_j − ½), s_ck)
//!
//! A channel's mean depends on the channels before it, γ = tanh(g), so that colours hang together. P_logistic is that of the
//! likelihood `discretised-logistic`. The decoder gives K (1 + 2 C + C (C − 1) / 2) numbers for each pixel of C channels: 3 K for grey,
//! 10 K for colour. The numbers of a vector are pixels of one channel.
//!
//! Reference: Salimans et al., *PixelCNN++* (arXiv 1701.05517), on [0, 1] in the place of [−1, 1].

use burn::tensor::Tensor;
use burn::tensor::activation::{log_softmax, softmax};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::discretised_logistic::{LOG_SCALE, clamped_mean, trace_clamped_mean};
use super::{BaseMeasure, Likelihood, check_levels, has_levels, needs_unit_interval, repeat_x};
use crate::batch::{Batch, Noise};
use crate::config::ConfigError;
use crate::data::{Facts, SampleShape};
use crate::density::{log_sum_exp, sum_dimensions};
use crate::device::Device;
use crate::member::{Context, Life, Named, Outputs, Settings};
use crate::model::View;
use crate::store::StoreError;
use crate::store::onnx::{Graph, Node};
use crate::weights::{Init, Weights};

/// How many components of how many levels.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LogisticMixtureSettings {
    /// K, the number of components.
    pub components: usize,
    /// The number of levels of a value.
    pub levels: u32,
}

impl Default for LogisticMixtureSettings {
    fn default() -> Self {
        Self { components: 10, levels: 256 }
    }
}

/// More are taken for a mistake.
const MOST_COMPONENTS: usize = 256;
const MOST_CHANNELS: usize = 4;

impl Named for LogisticMixtureSettings {
    const KIND: &'static str = "logistic-mixture";
    const ABOUT: &'static str = "probabilities of 256 levels from a mixture of logistics, channels coupled";
}

impl Settings<dyn Likelihood> for LogisticMixtureSettings {
    fn declare(&self, context: &mut Context<'_>) -> Result<(), ConfigError> {
        let facts = context.facts;
        needs_unit_interval(facts, Self::KIND)?;
        check_levels(facts, Self::KIND, self.levels)?;
        if !(1..=MOST_COMPONENTS).contains(&self.components) {
            let what = format!("{} components", self.components);
            return Err(ConfigError::value("components", what, format!("give 1 to {MOST_COMPONENTS}")));
        }
        let law = self.law(facts);
        if law.channels > MOST_CHANNELS {
            return Err(ConfigError::combination(
                format!(
                    "the components couple all channels of a pixel, and these images have {}",
                    law.channels
                ),
                "use likelihood.kind = \"discretised-logistic\"",
            ));
        }
        let numbers = law.numbers();
        let shape = match facts.shape {
            SampleShape::Image { height, width, .. } => {
                SampleShape::Image { channels: numbers, height, width }
            }
            SampleShape::Vector { columns } => SampleShape::Vector { columns: columns * numbers },
        };
        context.outputs = Outputs { shape, bias: Some(law.bias(facts)) };
        Ok(())
    }

    fn init(&self, context: &Context<'_>, _: &mut Init<'_>) -> Result<Box<dyn Likelihood>, ConfigError> {
        Ok(Box::new(self.law(context.facts)))
    }
}

impl LogisticMixtureSettings {
    fn law(&self, facts: &Facts) -> LogisticMixture {
        let (channels, pixels) = match facts.shape {
            SampleShape::Image { channels, height, width } => (channels, height * width),
            SampleShape::Vector { columns } => (1, columns),
        };
        let on_levels = has_levels(facts);
        LogisticMixture { components: self.components, channels, pixels, levels: self.levels, on_levels }
    }
}

/// ln s at the start.
const START: f32 = -2.0;

struct LogisticMixture {
    /// K
    components: usize,
    /// C
    channels: usize,
    pixels: usize,
    levels: u32,
    /// Whether the data lies on the levels.
    on_levels: bool,
}

/// The parameters of each pixel of each row, a row `[K]` each: `[rows · pixels, K]`.
struct Parameters {
    logits: Tensor<2>,
    /// Of each channel.
    mean: Vec<Tensor<2>>,
    log_scale: Vec<Tensor<2>>,
    /// γ of each pair of channels: (1, 0), (2, 0), (2, 1) …
    coupling: Vec<Tensor<2>>,
}

impl Parameters {
    /// The mean of a channel, given those before it, `[rows · pixels, K]` or `[rows · pixels, 1]` each.
    fn mean_given(&self, channel: usize, before: &[Tensor<2>]) -> Tensor<2> {
        let first = channel * channel.saturating_sub(1) / 2;
        let shift = |(j, x): (usize, &Tensor<2>)| {
            let coupling = self.coupling[first + j].clone();
            let dims = coupling.dims();
            coupling * (x.clone() - 0.5).expand(dims)
        };
        before.iter().enumerate().map(shift).fold(self.mean[channel].clone(), |mean, shift| mean + shift)
    }
}

impl Life for LogisticMixture {}

impl LogisticMixture {
    /// Numbers that the decoder gives for each pixel.
    fn numbers(&self) -> usize {
        let c = self.channels;
        self.components * (1 + 2 * c + c * (c - 1) / 2)
    }

    /// Means beside each other about the data's, over two of its standard deviations.
    fn bias(&self, facts: &Facts) -> Vec<f32> {
        let (k, features) = (self.components, self.channels * self.pixels);
        let of = |list: &[f32], none: f32, i: usize| if list.len() == features { list[i] } else { none };
        let mut bias = vec![0.0; k * self.pixels];
        for channel in 0..self.channels {
            for component in 0..k {
                let apart = 2.0 * ((component as f32 + 0.5) / k as f32 - 0.5);
                bias.extend((0..self.pixels).map(|pixel| {
                    let i = channel * self.pixels + pixel;
                    of(&facts.mean, 0.5, i) + apart * of(&facts.variance, 0.04, i).max(1e-4).sqrt()
                }));
            }
        }
        bias.extend(std::iter::repeat_n(START, self.channels * k * self.pixels));
        bias.resize(self.numbers() * self.pixels, 0.0);
        bias
    }

    fn parameters(&self, outputs: Tensor<2>) -> Parameters {
        let (rows, k, c, pixels) = (outputs.dims()[0], self.components, self.channels, self.pixels);
        let all = outputs.reshape([rows, self.numbers(), pixels]);
        let part =
            |first: usize| all.clone().narrow(1, first * k, k).swap_dims(1, 2).reshape([rows * pixels, k]);
        Parameters {
            logits: part(0),
            mean: (0..c).map(|channel| part(1 + channel)).collect(),
            log_scale: (0..c).map(|channel| part(1 + c + channel).clamp(LOG_SCALE.0, LOG_SCALE.1)).collect(),
            coupling: (0..c * (c - 1) / 2).map(|pair| part(1 + 2 * c + pair).tanh()).collect(),
        }
    }

    /// A channel of rows, `[rows, features]` → `[rows · pixels, 1]`.
    fn channel(&self, rows: &Tensor<2>, channel: usize) -> Tensor<2> {
        let part = rows.clone().narrow(1, channel * self.pixels, self.pixels);
        part.reshape([rows.dims()[0] * self.pixels, 1])
    }

    /// Channels `[rows · pixels, 1]` each → `[rows, features]`.
    fn rows(&self, channels: Vec<Tensor<2>>, rows: usize) -> Tensor<2> {
        Tensor::cat(channels.into_iter().map(|x| x.reshape([rows, self.pixels])).collect(), 1)
    }
}

impl Likelihood for LogisticMixture {
    /// Values off the levels, as arrays of floats may hold, have no probability.
    fn measure(&self) -> BaseMeasure {
        if self.on_levels { BaseMeasure::Counting { levels: self.levels } } else { BaseMeasure::None }
    }

    /// Where some channels of a pixel are missing, those count that come before the first of them.
    fn log_density(&self, _: &View<'_>, outputs: Tensor<2>, batch: &Batch) -> Tensor<1> {
        let (rows, k) = (outputs.dims()[0], self.components);
        let (levels, cells) = (self.levels as usize, rows * self.pixels);
        let parameters = self.parameters(outputs);
        let mask = batch.mask.as_ref().map(|mask| repeat_x(mask, rows));
        let x = repeat_x(&batch.x, rows);
        let mut log_p = log_softmax(parameters.logits.clone(), 1);
        let mut before: Vec<Tensor<2>> = Vec::new();
        let mut seen: Option<Tensor<2>> = None;
        for channel in 0..self.channels {
            let mut own = self.channel(&x, channel);
            if let Some(mask) = &mask {
                let mask = self.channel(mask, channel);
                own = own.mask_fill(mask.clone().lower_elem(0.5), 0.5);
                seen = Some(seen.map_or(mask.clone(), |seen| seen * mask));
            }
            let mean = parameters.mean_given(channel, &before);
            let each = |t: Tensor<2>| t.reshape([cells * k, 1]);
            let level = own.clone().expand([cells, k]);
            let log_scale = parameters.log_scale[channel].clone();
            let distortion =
                latent_kernels::logistic_distortion(each(mean), each(log_scale), each(level), levels);
            let mut own_log_p = distortion.neg().reshape([cells, k]);
            if let Some(seen) = &seen {
                own_log_p = own_log_p.mask_fill(seen.clone().lower_elem(0.5).expand([cells, k]), 0.0);
            }
            log_p = log_p + own_log_p;
            before.push(own);
        }
        sum_dimensions(log_sum_exp(log_p).reshape([rows, self.pixels]))
    }

    /// Σ_k π_k E[x_c|k], in which the means of the channels before stand for them.
    fn mean(&self, _: &View<'_>, outputs: Tensor<2>) -> Tensor<2> {
        let rows = outputs.dims()[0];
        let parameters = self.parameters(outputs);
        let weights = softmax(parameters.logits.clone(), 1);
        let mut before: Vec<Tensor<2>> = Vec::new();
        for channel in 0..self.channels {
            let mean = parameters.mean_given(channel, &before);
            before.push(clamped_mean(mean, parameters.log_scale[channel].clone()));
        }
        self.rows(before.into_iter().map(|mean| (weights.clone() * mean).sum_dim(1)).collect(), rows)
    }

    fn trace(&self, _: &Weights, graph: &mut Graph, outputs: &Node) -> Result<Node, StoreError> {
        let (k, c, pixels) = (self.components, self.channels, self.pixels);
        let all = graph.reshape(outputs.clone(), &[self.numbers(), pixels]);
        // Components last, as [pixels, K].
        let part = |graph: &mut Graph, first: usize| {
            let places: Vec<usize> = (first * k..(first + 1) * k).collect();
            let part = graph.take(&all, 1, &places);
            graph.transpose(&part, &[0, 2, 1])
        };
        let logits = part(graph, 0);
        let weights = graph.softmax(&logits);
        let mut before: Vec<Node> = Vec::new();
        let mut means = Vec::new();
        for channel in 0..c {
            let mut mean = part(graph, 1 + channel);
            for (j, x) in before.iter().enumerate() {
                let coupling = part(graph, 1 + 2 * c + channel * (channel - 1) / 2 + j);
                let coupling = graph.unary("Tanh", &coupling);
                let off = graph.with("Add", x, &[-0.5], &[1]);
                let shift = graph.binary("Mul", &coupling, &off);
                mean = graph.binary("Add", &mean, &shift);
            }
            let log_scale = part(graph, 1 + c + channel);
            let log_scale = graph.clamp(&log_scale, Some(LOG_SCALE.0 as f32), Some(LOG_SCALE.1 as f32));
            let scale = graph.unary("Exp", &log_scale);
            let own = trace_clamped_mean(graph, &mean, &scale);
            let weighed = graph.binary("Mul", &weights, &own);
            let mean = graph.product(&weighed, &vec![1.0; k], [k, 1]);
            means.push(graph.reshape(mean, &[pixels]));
            before.push(own);
        }
        Ok(graph.beside(&means))
    }

    /// A component for each pixel, then channel after channel μ + s logit(u), rounded to a level.
    fn draw(&self, _: &View<'_>, outputs: Tensor<2>, noise: Noise<'_>) -> Tensor<2> {
        let (rows, k, device) = (outputs.dims()[0], self.components, Device::of(&outputs));
        let parameters = self.parameters(outputs);
        let uniforms = noise.uniforms(1, (k + self.channels) * self.pixels, &device);
        let chosen = uniforms.clone().narrow(1, 0, k * self.pixels).reshape([rows * self.pixels, k]);
        // The greatest of ln π + Gumbel noise is at k with probability π_k.
        let gumbel = chosen.log().neg().log().neg();
        let component = (parameters.logits.clone() + gumbel).argmax(1);
        let top = f64::from(self.levels - 1);
        let mut before: Vec<Tensor<2>> = Vec::new();
        for channel in 0..self.channels {
            let mean = parameters.mean_given(channel, &before).gather(1, component.clone());
            let scale = parameters.log_scale[channel].clone().gather(1, component.clone()).exp();
            let u = self
                .channel(&uniforms.clone().narrow(1, k * self.pixels, self.channels * self.pixels), channel);
            let logistic = u.clone().log() - (u.neg() + 1.0).log();
            before.push(((mean + scale * logistic).clamp(0.0, 1.0) * top).round() / top);
        }
        self.rows(before, rows)
    }
}
