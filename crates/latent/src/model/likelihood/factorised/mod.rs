//! Mixed columns, each by itself given the code: p(x|z) = Π_c p(x_c|z), as most autoencoders of tables have it.
//!
//! category: softmax of its logits;  gap: a Bernoulli;  number: Σ_k π_k(z) [F((b − m_k(z)) / s_k) − F((a − m_k(z)) / s_k)]
//!
//! F is the logistic distribution function, a and b the edges of the value's level on the column's line (its rank's logit, or
//! its standardised value), so that probabilities of all levels sum to 1 whatever the network says; within a level of real
//! numbers the density is even, as the likelihood `mixed` has it: the two are in the same unit. One m for each number, or
//! with modes m_k = μ_k + 4 σ_k tanh(a(z)) about each mode of the column with π from the decoder. s is learned for each
//! column, or comes from the decoder for each row.
//!
//! What columns have to do with each other must all be in z. `mixed` lets columns see each other, which measures better.
//!
//! References: Xu et al., *Modeling Tabular Data using Conditional GAN* (TVAE, arXiv 1907.00503) for modes; Nazábal et al.,
//! *Handling Incomplete Heterogeneous Data using VAEs* (HI-VAE, arXiv 1807.03653) for gaps that are left out; Salimans et al.
//! (arXiv 1701.05517) for logistics on levels.

mod numbers;
#[cfg(test)]
mod tests;

use burn::tensor::activation::{log_sigmoid, log_softmax};
use burn::tensor::{Int, Tensor, TensorData};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use numbers::Line;
use numbers::{Mode, edges, modes};

use super::evidence::{Allowed, Completed, Evidence, fraction, join, pick, softmax};
use super::{BaseMeasure, Likelihood};
use crate::batch::{Batch, Noise};
use crate::config::ConfigError;
use crate::data::table::{GAP, Scale, UNKNOWN};
use crate::data::{SampleShape, Table, ValueKind};
use crate::density::sum_dimensions;
use crate::device::{Device, host};
use crate::member::{Context, Life, Named, Outputs, Settings};
use crate::model::View;
use crate::network::columns::{Seen, no_table};
use crate::weights::{Init, Initial, WeightId, Weights};

/// How numbers and gaps are described.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FactorisedSettings {
    /// The line on which the noise of a number is measured.
    pub numbers: Line,
    /// What the scale of a number's noise depends on.
    pub scale: Spread,
    /// Where a scale that is learned for each column starts, on its line.
    pub s: f32,
    /// Whether it is part of x which cells are empty; otherwise they are left out of log p, and no cell that is drawn is
    /// empty.
    pub gaps: bool,
}

/// What the scale of a number's noise depends on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Spread {
    /// Its column: one learned number each.
    #[default]
    Column,
    /// The row: the decoder says it.
    Row,
}

impl Default for FactorisedSettings {
    fn default() -> Self {
        Self { numbers: Line::Rank, scale: Spread::Column, s: 0.3, gaps: true }
    }
}

impl Named for FactorisedSettings {
    const KIND: &'static str = "factorised";
    const ABOUT: &'static str = "mixed columns with gaps, each by itself given z";
}

/// ln s is kept in this range: rows that are all alike would drive it to −∞.
const LOG_SCALE: (f64, f64) = (-7.0, 3.0);

/// The columns of a table and where the decoder says what of them.
struct Layout {
    columns: Vec<Own>,
    /// Places of numbers among the columns.
    numbers: Vec<usize>,
    /// Places of categories, and where their logits begin.
    words: Vec<(usize, usize)>,
    /// Places of columns that may be empty.
    gaps: Vec<usize>,
    /// Modes of the column that has most; 1 without modes.
    most_modes: usize,
    /// Where locations, scales and modes of numbers begin.
    location: usize,
    scales: Option<usize>,
    modes: Option<usize>,
    outputs: usize,
    bias: Vec<f32>,
}

struct Own {
    scale: Scale,
    has_gaps: bool,
    /// Of the levels of a number; none of categories.
    edges: Vec<f64>,
    modes: Vec<Mode>,
}

impl Layout {
    fn new(table: &Table, settings: &FactorisedSettings) -> Self {
        let own = |(column, scale): (&crate::data::table::Column, &Scale)| Own {
            has_gaps: settings.gaps && column.has_gaps(),
            edges: if column.is_ordered() { edges(scale, settings.numbers) } else { Vec::new() },
            modes: if column.is_ordered() && settings.numbers == Line::Modes {
                modes(scale)
            } else {
                Vec::new()
            },
            scale: scale.clone(),
        };
        let all: Vec<_> =
            table.modelled().filter_map(|column| Some((column, column.scale.as_ref()?))).collect();
        let shares: Vec<f64> = all.iter().map(|(column, _)| column.gap_share).collect();
        let columns: Vec<Own> = all.into_iter().map(own).collect();
        let of = |wanted: &dyn Fn(&Own) -> bool| -> Vec<usize> {
            (0..columns.len()).filter(|at| wanted(&columns[*at])).collect()
        };
        let (gaps, numbers) = (of(&|own| own.has_gaps), of(&|own| !own.edges.is_empty()));
        let most_modes = columns.iter().map(|own| own.modes.len()).max().unwrap_or(0).max(1);
        let mut bias: Vec<f32> = gaps.iter().map(|at| logit(shares[*at])).collect();
        let location = bias.len();
        bias.extend(vec![0.0; numbers.len()]);
        let scales = (settings.scale == Spread::Row).then_some(bias.len());
        if scales.is_some() {
            bias.extend(vec![settings.s.ln(); numbers.len()]);
        }
        let modes = (settings.numbers == Line::Modes).then_some(bias.len());
        if modes.is_some() {
            bias.extend(vec![0.0; numbers.len() * most_modes]);
        }
        let mut words = Vec::new();
        for at in of(&|own| own.edges.is_empty()) {
            words.push((at, bias.len()));
            bias.extend(columns[at].scale.shares.iter().map(|share| (share + 1e-5).ln()));
        }
        let outputs = bias.len();
        Self { columns, numbers, words, gaps, most_modes, location, scales, modes, outputs, bias }
    }

    /// What of a cell is seen.
    fn seen(&self, column: usize, x: f32) -> Seen {
        let own = &self.columns[column];
        Seen::of(x, own.scale.levels(), own.has_gaps)
    }
}

fn logit(share: f64) -> f32 {
    let share = share.clamp(1e-5, 1.0 - 1e-5);
    (share / (1.0 - share)).ln() as f32
}

impl Settings<dyn Likelihood> for FactorisedSettings {
    fn declare(&self, context: &mut Context<'_>) -> Result<(), ConfigError> {
        if !(1e-3..=20.0).contains(&self.s) {
            let what = format!("{} is not a scale", self.s);
            return Err(ConfigError::value("s", what, "give a number from 0.001 to 20"));
        }
        if context.facts.kind != ValueKind::Mixed {
            return Err(ConfigError::combination(
                "likelihood `factorised` describes a table of mixed columns, and this data is none",
                "set data.table = \"mixed\" for a csv file, or choose another likelihood",
            ));
        }
        let table = context.facts.table.as_ref().ok_or_else(no_table)?;
        if let Some(kept) = table.constraints.first() {
            return Err(ConfigError::combination(
                format!("columns that are drawn each by itself cannot keep the constraint `{}`", kept.text),
                "use likelihood.kind = \"mixed\", or leave data.constraints out",
            ));
        }
        let layout = Layout::new(table, self);
        let shape = SampleShape::Vector { columns: layout.outputs };
        context.outputs = Outputs { shape, bias: Some(layout.bias) };
        Ok(())
    }

    fn init(&self, context: &Context<'_>, init: &mut Init<'_>) -> Result<Box<dyn Likelihood>, ConfigError> {
        let layout = Layout::new(context.facts.table.as_ref().ok_or_else(no_table)?, self);
        let log_scale = (self.scale == Spread::Column && !layout.numbers.is_empty())
            .then(|| init.weight("log_scale", &[layout.numbers.len()], Initial::Constant(self.s.ln())));
        Ok(Box::new(Factorised { layout, log_scale }))
    }
}

struct Factorised {
    layout: Layout,
    /// ln s of each number, `[numbers]`; none where the decoder says it.
    log_scale: Option<WeightId>,
}

impl Life for Factorised {}

/// Logistic noise about several places: π, m, s of each.
type Noisy = Vec<[f64; 3]>;

impl Factorised {
    /// log p of the levels of all numbers, `[rows, numbers]`, given their edges.
    fn log_numbers(
        &self,
        weights: &Weights,
        outputs: &Tensor<2>,
        low: Tensor<2>,
        high: Tensor<2>,
    ) -> Tensor<2> {
        let (own, device) = (&self.layout, Device::of(outputs));
        let (rows, n, k) = (outputs.dims()[0], own.numbers.len(), own.most_modes);
        let part = |first: usize| outputs.clone().narrow(1, first, n).reshape([rows, n, 1]);
        let log_scale: Tensor<3> = match (own.scales, self.log_scale) {
            (Some(first), _) => part(first),
            (None, Some(id)) => weights.get::<1>(id).reshape([1, n, 1]),
            (None, None) => device.tensor(vec![0.0; n], [1, n]).reshape([1, n, 1]),
        };
        let mut scale = log_scale.clamp(LOG_SCALE.0, LOG_SCALE.1).exp();
        let mut location = part(own.location);
        let mut shares: Option<Tensor<3>> = None;
        if let Some(first) = own.modes {
            let [mean, width, missing] = self.modes(&device);
            location = mean + width.clone() * location.tanh();
            scale = width * scale;
            let logits = outputs.clone().narrow(1, first, n * k).reshape([rows, n, k]);
            shares = Some(log_softmax(logits + missing, 2));
        }
        let edge = |t: Tensor<2>| (t.reshape([rows, n, 1]) - location.clone()) / scale.clone();
        let (a, b) = (edge(low), edge(high));
        // F(b) − F(a) = (1 − e^{a − b}) F(b) F(−a), and 1 − e^{−d} = 2 e^{−d/2} sinh(d/2), exact for narrow levels too.
        let half = (b.clone() - a.clone()).clamp(1e-9, 60.0) * 0.5;
        let log = (half.clone().sinh() * 2.0).log() - half + log_sigmoid(b) + log_sigmoid(a.neg());
        let log = match shares {
            None => log,
            Some(shares) => {
                let both = log + shares;
                let most = both.clone().detach().max_dim(2);
                (both - most.clone()).exp().sum_dim(2).log() + most
            }
        };
        log.reshape([rows, n])
    }

    /// Means and four widths of all modes, and what takes out those that a column does not have, `[1, numbers, modes]` each.
    fn modes(&self, device: &Device) -> [Tensor<3>; 3] {
        let (n, k) = (self.layout.numbers.len(), self.layout.most_modes);
        let of = |value: &dyn Fn(Option<&Mode>) -> f64| {
            let numbers = self.layout.numbers.iter();
            let all = numbers
                .flat_map(|at| (0..k).map(|mode| value(self.layout.columns[*at].modes.get(mode)) as f32));
            device.tensor(all.collect(), [n, k]).reshape([1, n, k])
        };
        [
            of(&|mode| mode.map_or(0.0, |mode| mode.mean)),
            of(&|mode| mode.map_or(1.0, |mode| 4.0 * mode.width)),
            of(&|mode| mode.map_or(-1e9, |_| 0.0)),
        ]
    }

    /// ln s of each number where it is the same for all rows.
    fn log_scales(&self, weights: &Weights) -> Vec<f32> {
        self.log_scale.map(|id| weights.entry(id).values()).unwrap_or_default()
    }

    /// The noise of a number in a row of outputs.
    fn noise(&self, number: usize, log_scales: &[f32], outputs: &[f32]) -> Noisy {
        let own = &self.layout;
        let log_scale = match own.scales {
            Some(first) => outputs[first + number],
            None => log_scales.get(number).copied().unwrap_or(0.0),
        };
        let scale = f64::from(log_scale).clamp(LOG_SCALE.0, LOG_SCALE.1).exp();
        let location = f64::from(outputs[own.location + number]);
        let Some(first) = own.modes else { return vec![[1.0, location, scale]] };
        let modes = &own.columns[own.numbers[number]].modes;
        let first = first + number * own.most_modes;
        let mut shares = outputs[first..first + modes.len()].to_vec();
        softmax(&mut shares);
        let each = modes.iter().zip(shares).map(|(mode, share)| {
            let width = 4.0 * mode.width;
            [f64::from(share), mode.mean + width * location.tanh(), width * scale]
        });
        each.collect()
    }

    /// The probabilities of all levels of a column that is not empty, in a row of outputs.
    fn shares(&self, column: usize, log_scales: &[f32], outputs: &[f32]) -> Vec<f32> {
        let own = &self.layout;
        let levels = own.columns[column].scale.levels();
        match own.numbers.iter().position(|at| *at == column) {
            Some(number) => {
                let noise = self.noise(number, log_scales, outputs);
                let edges = &own.columns[column].edges;
                (0..levels).map(|level| held(&noise, edges[level], edges[level + 1]) as f32).collect()
            }
            None => {
                let first = own.words.iter().find(|(at, _)| *at == column).map_or(0, |(_, first)| *first);
                let mut shares = outputs[first..first + levels].to_vec();
                softmax(&mut shares);
                shares
            }
        }
    }

    /// x of a cell that may be anything: by its own four uniform numbers, or what is likeliest without.
    fn drawn(
        &self,
        column: usize,
        log_scales: &[f32],
        outputs: &[f32],
        no_gaps: bool,
        u: Option<&[f32]>,
    ) -> f32 {
        let own = &self.layout;
        let scale = &own.columns[column].scale;
        if !no_gaps && f64::from(u.map_or(0.5, |u| u[0])) < self.gap(column, outputs) {
            return GAP;
        }
        let level = match own.numbers.iter().position(|at| *at == column) {
            Some(number) => {
                let noise = self.noise(number, log_scales, outputs);
                let shares: Vec<f32> = noise.iter().map(|[share, ..]| *share as f32).collect();
                let [_, location, width] = noise[pick(&shares, u.map(|u| u[1]))];
                let v = f64::from(u.map_or(0.5, |u| u[2])).clamp(1e-7, 1.0 - 1e-7);
                let t = location + width * (v / (1.0 - v)).ln();
                own.columns[column].edges[1..scale.levels()].partition_point(|edge| *edge <= t)
            }
            None => pick(&self.shares(column, log_scales, outputs), u.map(|u| u[1])),
        };
        join(level, fraction(scale, level, None, u.map_or(0.5, |u| u[3])).0)
    }

    /// x of a cell that is confined to something, and ln of the probability of that.
    fn confined(
        &self,
        column: usize,
        log_scales: &[f32],
        outputs: &[f32],
        (asked, no_gaps): (&Allowed, bool),
        u: Option<&[f32]>,
    ) -> (f32, f64) {
        let scale = &self.layout.columns[column].scale;
        let mut shares = self.shares(column, log_scales, outputs);
        let gap = if no_gaps { 0.0 } else { self.gap(column, outputs) };
        for (level, share) in shares.iter_mut().enumerate() {
            // A range may hold a part of a level.
            let part =
                if asked.holds(level) { fraction(scale, level, Some(asked), 0.5).1.exp() } else { 0.0 };
            *share *= ((1.0 - gap) * part) as f32;
        }
        let may_be_gap = if asked.gap { gap } else { 0.0 };
        let some: f64 = shares.iter().map(|share| f64::from(*share)).sum();
        let held = may_be_gap + some;
        let log_weight = held.max(1e-30).ln();
        if may_be_gap > f64::from(u.map_or(0.5, |u| u[0])) * held {
            return (GAP, log_weight);
        }
        if some <= 0.0 {
            // Not one level that is allowed has a share that single precision can tell from 0: they are alike.
            shares
                .iter_mut()
                .enumerate()
                .for_each(|(level, share)| *share = f32::from(u8::from(asked.holds(level))));
        }
        let sum: f32 = shares.iter().sum();
        shares.iter_mut().for_each(|share| *share /= sum.max(1e-30));
        let level = pick(&shares, u.map(|u| u[1]));
        (join(level, fraction(scale, level, Some(asked), u.map_or(0.5, |u| u[3])).0), log_weight)
    }

    /// Completes a row; returns ln of the weight of what is known of it.
    fn complete_row(
        &self,
        log_scales: &[f32],
        outputs: &[f32],
        evidence: &Evidence,
        uniforms: Option<&[f32]>,
        x: &mut [f32],
    ) -> f64 {
        let mut log_weight = 0.0;
        for (column, x) in x.iter_mut().enumerate() {
            let u = uniforms.map(|u| &u[4 * column..4 * column + 4]);
            let given = self.layout.seen(column, *x);
            match &evidence.allowed[column] {
                _ if given != Seen::Unknown => {
                    if evidence.weigh {
                        log_weight += self.surprise(column, log_scales, outputs, given);
                    }
                }
                Some(asked) => {
                    let asked = (asked, evidence.no_gaps);
                    let (cell, more) = self.confined(column, log_scales, outputs, asked, u);
                    (*x, log_weight) = (cell, log_weight + more);
                }
                None if evidence.only_given => *x = UNKNOWN,
                None => *x = self.drawn(column, log_scales, outputs, evidence.no_gaps, u),
            }
        }
        log_weight
    }

    /// The probability of a gap.
    fn gap(&self, column: usize, outputs: &[f32]) -> f64 {
        let at = self.layout.gaps.iter().position(|at| *at == column);
        at.map_or(0.0, |at| 1.0 / (1.0 + f64::from(-outputs[at]).exp()))
    }

    /// ln of the probability of what is seen of a cell.
    fn surprise(&self, column: usize, log_scales: &[f32], outputs: &[f32], seen: Seen) -> f64 {
        let own = &self.layout;
        let gap = self.gap(column, outputs);
        let share = match (seen, own.numbers.iter().position(|at| *at == column)) {
            (Seen::Level(level), Some(number)) => {
                let edges = &own.columns[column].edges;
                (1.0 - gap) * held(&self.noise(number, log_scales, outputs), edges[level], edges[level + 1])
            }
            (Seen::Level(level), None) => {
                (1.0 - gap) * f64::from(self.shares(column, log_scales, outputs)[level])
            }
            (Seen::Gap, _) => gap,
            _ => 1.0,
        };
        share.max(1e-300).ln()
    }

    /// Completes all rows.
    fn completed(
        &self,
        view: &View<'_>,
        outputs: &Tensor<2>,
        evidence: &Evidence,
        noise: Option<Noise<'_>>,
    ) -> Completed {
        let (rows, columns) = (outputs.dims()[0], self.layout.columns.len());
        let width = outputs.dims()[1];
        let (outputs, log_scales) = (host(outputs), self.log_scales(view.weights));
        let uniforms: Option<Vec<f32>> = noise.map(|noise| {
            let draws = (rows / noise.ids.len().max(1)).max(1);
            host(&noise.uniforms(draws, 4 * columns, &Device::cpu()))
        });
        let mut x = evidence.x.clone();
        let mut log_weight = Vec::with_capacity(rows);
        for (row, x) in x.chunks_exact_mut(columns.max(1)).enumerate().take(rows) {
            let outputs = &outputs[row * width..(row + 1) * width];
            let uniforms = uniforms.as_ref().map(|u| &u[4 * row * columns..4 * (row + 1) * columns]);
            log_weight.push(self.complete_row(&log_scales, outputs, evidence, uniforms, x));
        }
        Completed { x, log_weight }
    }
}

/// F(b) − F(a) of all places, exact in the tails.
fn held(noise: &Noisy, a: f64, b: f64) -> f64 {
    let below = |t: f64| if t > 0.0 { 1.0 / (1.0 + (-t).exp()) } else { t.exp() / (1.0 + t.exp()) };
    let of = |[share, location, scale]: &[f64; 3]| {
        let (a, b) = ((a - location) / scale, (b - location) / scale);
        share * if a > 0.0 { below(-a) - below(-b) } else { below(b) - below(a) }
    };
    noise.iter().map(of).sum()
}

impl Likelihood for Factorised {
    fn measure(&self) -> BaseMeasure {
        BaseMeasure::Mixed
    }

    fn log_density(&self, view: &View<'_>, outputs: Tensor<2>, batch: &Batch) -> Tensor<1> {
        let (own, device, n) = (&self.layout, Device::of(&outputs), batch.len().max(1));
        let (rows, columns) = (outputs.dims()[0], own.columns.len().max(1));
        let x = host(&batch.x);
        let seen: Vec<Seen> = x.iter().enumerate().map(|(at, x)| own.seen(at % columns, *x)).collect();
        let cell = |row: usize, column: usize| seen[row % n * columns + column];
        let level = |row: usize, column: usize| match cell(row, column) {
            Seen::Level(level) => Some(level),
            _ => None,
        };
        let each = |of: &[usize], value: &dyn Fn(usize, usize) -> f64| {
            let all = (0..rows).flat_map(|row| of.iter().map(move |column| (row, *column)));
            device.tensor(all.map(|(row, column)| value(row, column) as f32).collect(), [rows, of.len()])
        };
        // Within a level the density is even.
        let width = |row: usize, column: usize| {
            level(row, column).map_or(0.0, |level| own.columns[column].scale.width(level).ln())
        };
        let widths =
            |row: usize| -(0..own.columns.len()).map(|column| width(row, column)).sum::<f64>() as f32;
        let mut total = device.tensor((0..rows).map(widths).collect(), [rows, 1]).reshape([rows]);
        if !own.gaps.is_empty() {
            let logits = outputs.clone().narrow(1, 0, own.gaps.len());
            let sign = each(&own.gaps, &|row, column| match cell(row, column) {
                Seen::Gap => 1.0,
                _ => -1.0,
            });
            let known =
                each(&own.gaps, &|row, column| f64::from(u8::from(cell(row, column) != Seen::Unknown)));
            total = total + sum_dimensions(log_sigmoid(logits * sign) * known);
        }
        if !own.numbers.is_empty() {
            let edge = |row: usize, column: usize, more: usize| {
                own.columns[column].edges[level(row, column).unwrap_or(0) + more]
            };
            let low = each(&own.numbers, &|row, column| edge(row, column, 0));
            let high = each(&own.numbers, &|row, column| edge(row, column, 1));
            let known = each(&own.numbers, &|row, column| f64::from(u8::from(level(row, column).is_some())));
            let log = self.log_numbers(view.weights, &outputs, low, high);
            // An infinite number times 0 is none.
            total = total + sum_dimensions(log.mask_fill(known.lower_elem(0.5), 0.0));
        }
        for (column, first) in &own.words {
            let count = own.columns[*column].scale.levels();
            let shares = log_softmax(outputs.clone().narrow(1, *first, count), 1);
            let index: Vec<i32> = (0..rows).map(|row| level(row, *column).unwrap_or(0) as i32).collect();
            let index: Tensor<2, Int> =
                Tensor::from_data(TensorData::new(index, [rows, 1]), &shares.device());
            let known = each(&[*column], &|row, column| f64::from(u8::from(level(row, column).is_some())));
            total = total + sum_dimensions(shares.gather(1, index) * known);
        }
        total
    }

    /// No mean, but the likeliest level of each column.
    fn mean(&self, view: &View<'_>, outputs: Tensor<2>) -> Tensor<2> {
        let (rows, columns) = (outputs.dims()[0], self.layout.columns.len());
        let x = self.completed(view, &outputs, &Evidence::nothing(rows, columns), None).x;
        Device::of(&outputs).tensor(x, [rows, columns])
    }

    fn draw(&self, view: &View<'_>, outputs: Tensor<2>, noise: Noise<'_>) -> Tensor<2> {
        let (rows, columns) = (outputs.dims()[0], self.layout.columns.len());
        let x = self.completed(view, &outputs, &Evidence::nothing(rows, columns), Some(noise)).x;
        Device::of(&outputs).tensor(x, [rows, columns])
    }

    fn complete(
        &self,
        view: &View<'_>,
        outputs: Tensor<2>,
        evidence: &Evidence,
        noise: Noise<'_>,
    ) -> Option<Completed> {
        Some(self.completed(view, &outputs, evidence, Some(noise)))
    }

    fn surprises(&self, view: &View<'_>, outputs: Tensor<2>, batch: &Batch) -> Option<Vec<f32>> {
        let (rows, columns, width) = (outputs.dims()[0], self.layout.columns.len(), outputs.dims()[1]);
        let (x, n) = (host(&batch.x), batch.len().max(1));
        let (outputs, log_scales) = (host(&outputs), self.log_scales(view.weights));
        let mut all = Vec::with_capacity(rows * columns);
        for row in 0..rows {
            let outputs = &outputs[row * width..(row + 1) * width];
            for column in 0..columns {
                let seen = self.layout.seen(column, x[row % n * columns + column]);
                all.push(self.surprise(column, &log_scales, outputs, seen) as f32);
            }
        }
        Some(all)
    }
}
