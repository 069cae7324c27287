//! Mixed columns: p(x|z) column after column, each a choice among the levels of its [scale](crate::data::table::Scale),
//! given z and the columns before it, in any order.
//!
//! log p(x|z) = Σ_s log p(x_σ(s) | x_σ(<s), z),  x_s a group of levels, then the place in the group
//!
//! A code alone would have to hold every detail of a row; here it holds what columns have in common, and each column sees
//! the others when it is drawn. One network serves all orders σ: while training, some digits of each row are shown and the
//! rest are predicted, S times the mean of their log densities being an unbiased estimate over orders. So any columns can
//! be given and the others drawn: conditions, gaps that are filled in, the surprise of one cell given its row. A gap is one
//! more choice of its column. Cells of a column of real numbers are stretches of the line, within which the density is
//! even: log P is a density in the units of the file, times probabilities for all else.
//!
//! Many levels and few rows are soon learned by heart. Against it orders are any, levels of numbers share what is learned
//! (readout), some units of the first hidden layer are silent in the beginning; and what errors of many conditionals add
//! up to is taken out at the end (calibrate). Three things go past the network: pairs of columns (direct), numbers that
//! repeat each other or are a sum of two (echoes), and a smaller network for columns of few choices (words).
//!
//! Constraints of the table (rules) take away what no row may be, digit by digit; shares of the rest are divided by their
//! sum, so that all probability lies on rows that obey. What is trained is the product without them, a lower bound.
//!
//! References: Uria, Murray & Larochelle, *A Deep and Tractable Density Estimator* (arXiv 1310.1757); Hoogeboom et al.,
//! *Autoregressive Diffusion Models* (arXiv 2110.02037); Gulrajani et al., *PixelVAE* (arXiv 1611.05013) for a decoder that
//! sees x.

mod calibrate;
mod chain;
mod digits;
mod direct;
mod echoes;
mod readout;
mod rules;
#[cfg(test)]
mod tests;
mod words;

use burn::tensor::{Int, Tensor, TensorData, activation::log_softmax};
use latent_kernels::Activation;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::evidence::{Completed, Evidence};
use digits::{Digit, Layout};
use direct::Direct;
use echoes::Echoes;
use readout::Readout;
use rules::Rules;
use words::Words;

use super::{BaseMeasure, Likelihood};
use crate::batch::{Batch, Noise};
use crate::config::ConfigError;
use crate::data::{DataError, SampleShape, ValueKind};
use crate::density::sum_dimensions;
use crate::device::{Device, host};
use crate::member::{Context, Freeze, Life, Named, Outputs, Settings};
use crate::model::View;
use crate::network::columns::{Embedding, Seen, Trunk, check_size, no_table};
use crate::weights::{Init, Weights};

/// More hidden units for columns of few choices are a slip of the hand.
const MOST_WORDS: usize = 1 << 14;

/// The network that predicts a column from the others and from z.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MixedSettings {
    /// Hidden units; the decoder gives as many numbers.
    pub width: usize,
    /// Residual blocks.
    pub depth: usize,
    /// The share of training rows whose columns are shown in the order of the file as training ends, from none in the
    /// beginning on; the others are shown in any order, of which each row has many and none is learned by heart.
    pub in_order: f64,
    /// The share of units of the first hidden layer that are silent as training begins, others for each row; it falls evenly
    /// to 0 (Srivastava et al., *Dropout*, JMLR 2014).
    pub dropout: f64,
    /// Cosines of the rank by which the levels of a number share what is learned of one of them, for each digit; 0: none.
    pub waves: usize,
    /// How many other columns' values of the same row a number may be drawn near to, of those that it is often near to; and how
    /// many sums of two.
    pub echoes: usize,
    /// Whether what is seen of the other columns also bears on a column linearly, beside the network; left out where there are
    /// many columns.
    pub direct: bool,
    /// Hidden units of a network of their own for columns of few choices, beside the one for all; 0: none.
    pub words: usize,
    /// Whether, after the last step, biases are moved so that each group of levels is drawn as often as rows have it.
    pub calibrate: bool,
}

impl Default for MixedSettings {
    fn default() -> Self {
        Self {
            width: 256,
            depth: 2,
            in_order: 0.5,
            dropout: 0.0,
            waves: 0,
            echoes: 0,
            direct: false,
            words: 0,
            calibrate: false,
        }
    }
}

impl Named for MixedSettings {
    const KIND: &'static str = "mixed";
    const ABOUT: &'static str = "mixed columns with gaps, each given z and the columns before it";
}

impl Settings<dyn Likelihood> for MixedSettings {
    fn declare(&self, context: &mut Context<'_>) -> Result<(), ConfigError> {
        check_size(self.width, self.depth)?;
        if self.words > MOST_WORDS {
            let what = format!("{}", self.words);
            return Err(ConfigError::value("words", what, format!("give 0 to {MOST_WORDS}")));
        }
        if !(0.0..=1.0).contains(&self.in_order) {
            let what = format!("{} is not a share", self.in_order);
            return Err(ConfigError::value("in_order", what, "give a number from 0 to 1"));
        }
        if !(0.0..1.0).contains(&self.dropout) {
            let what = format!("{} is not a share of units", self.dropout);
            return Err(ConfigError::value("dropout", what, "give a number from 0 to below 1"));
        }
        if context.facts.kind != ValueKind::Mixed {
            return Err(ConfigError::combination(
                "likelihood `mixed` describes a table of mixed columns, and this data is none",
                "set data.table = \"mixed\" for a csv file, or choose another likelihood",
            ));
        }
        context.outputs = Outputs { shape: SampleShape::Vector { columns: self.width }, bias: None };
        Ok(())
    }

    fn init(&self, context: &Context<'_>, init: &mut Init<'_>) -> Result<Box<dyn Likelihood>, ConfigError> {
        let table = context.facts.table.as_ref().ok_or_else(no_table)?;
        let layout = Layout::new(table);
        let embedding = Embedding::new(table, self.width, init);
        let trunk = Trunk::new(self.width, self.depth, init);
        let readout = Readout::new(&layout, self.width, self.waves, init);
        let echoes = Echoes::new(&layout, table, self.width, self.echoes, init);
        let direct = match self.direct {
            true => Direct::new(&layout, table, self.waves, init),
            false => None,
        };
        let words = match self.words {
            0 => None,
            width => Words::new(&layout, table, width, init),
        };
        let rules = Rules::new(table);
        Ok(Box::new(Mixed {
            layout,
            rules,
            embedding,
            trunk,
            readout,
            echoes,
            direct,
            words,
            width: self.width,
            in_order: self.in_order,
            dropout: self.dropout,
            calibrate: self.calibrate,
        }))
    }
}

struct Mixed {
    layout: Layout,
    rules: Rules,
    embedding: Embedding,
    trunk: Trunk,
    readout: Readout,
    echoes: Option<Echoes>,
    direct: Option<Direct>,
    words: Option<Words>,
    width: usize,
    in_order: f64,
    dropout: f64,
    calibrate: bool,
}

impl Life for Mixed {
    /// Moves the biases so that rows that are drawn have each choice as often as the rows of the table do.
    fn freeze(&self, freeze: &mut Freeze<'_>) -> Result<(), DataError> {
        if self.calibrate
            && let Some(outputs) = freeze.decoded(ROWS_TO_CALIBRATE)?
        {
            let more = self.calibration(freeze.weights, outputs);
            self.readout.add_to_bias(freeze.weights, &more);
        }
        Ok(())
    }
}

/// Rows that are drawn, at least where there are so many, to see how often each choice is made.
const ROWS_TO_CALIBRATE: usize = 16_384;

impl Mixed {
    /// The first hidden layers, and what goes past them, for rows of which this is seen.
    fn first(&self, weights: &Weights, outputs: Tensor<2>, seen: &[Seen]) -> Tensor<2> {
        let mut parts = vec![outputs + self.embedding.apply(weights, seen)];
        parts.extend(self.words.as_ref().map(|words| words.first(weights, seen)));
        parts.extend(self.direct.as_ref().map(|direct| direct.apply(weights, seen)));
        Tensor::cat(parts, 1)
    }

    /// What they gain where one column is seen otherwise.
    fn change(&self, weights: &Weights, column: usize, before: &[Seen], after: &[Seen]) -> Tensor<2> {
        let mut parts = vec![self.embedding.change(weights, column, before, after)];
        parts.extend(self.words.as_ref().map(|words| words.change(weights, column, before, after)));
        parts.extend(self.direct.as_ref().map(|direct| direct.change(weights, column, before, after)));
        Tensor::cat(parts, 1)
    }

    /// The last hidden layer.
    fn hidden(&self, weights: &Weights, sum: Tensor<2>) -> Tensor<2> {
        Activation::Silu.apply(self.trunk.apply(weights, sum.narrow(1, 0, self.width)))
    }

    /// The logits of all words by their own network, which begins where that of all ends.
    fn words(&self, weights: &Weights, sum: &Tensor<2>) -> Option<Tensor<2>> {
        Some(self.words.as_ref()?.all(weights, sum, self.width))
    }

    /// The first hidden layer with units silent, others for each row, and the rest louder. Fewer and fewer, down to none: a
    /// model that has only seen noise is off without it, in what is common and what is rare above all.
    fn dropped(&self, view: &View<'_>, sum: Tensor<2>, batch: &Batch) -> Tensor<2> {
        let (rows, width) = (sum.dims()[0], self.width);
        let share = self.dropout * view.progress.map_or(1.0, |at| at.left());
        if share <= 0.0 {
            return sum;
        }
        let sum = sum.narrow(1, 0, width);
        let draws = rows / batch.len().max(1);
        let uniforms = batch.noise(view.key.fold("dropout")).uniforms(draws, width, &Device::of(&sum));
        sum * uniforms.greater_equal_elem(share).float().div_scalar(1.0 - share)
    }

    /// The logits of one digit from the first hidden layer, for rows of which this is seen and whose cells are in these groups.
    fn logits(
        &self,
        weights: &Weights,
        sum: Tensor<2>,
        digit: Digit,
        seen: &[Seen],
        groups: &[usize],
    ) -> Tensor<2> {
        let hidden = self.hidden(weights, sum.clone());
        let mut logits = self.readout.one(weights, hidden.clone(), digit);
        let is_word = self.words.as_ref().is_some_and(|words| words.has(digit));
        let words = if is_word { self.words(weights, &sum) } else { None };
        for more in self.beside(weights, &sum, (&hidden, words.as_ref()), digit, seen, groups) {
            logits = logits + more;
        }
        logits
    }

    /// What is added to the logits of the network.
    fn beside(
        &self,
        weights: &Weights,
        sum: &Tensor<2>,
        (hidden, words): (&Tensor<2>, Option<&Tensor<2>>),
        digit: Digit,
        seen: &[Seen],
        groups: &[usize],
    ) -> impl Iterator<Item = Tensor<2>> {
        let of = |echoes: &Echoes| echoes.of(weights, hidden, &self.layout, digit, seen, groups);
        let direct = self.direct.as_ref().and_then(|direct| direct.of(sum, digit));
        let words = self.words.as_ref().zip(words).and_then(|(own, all)| own.of(all, digit));
        self.echoes.as_ref().and_then(of).into_iter().chain(direct).chain(words)
    }

    /// Takes out the places that a row's group does not have.
    fn without_missing_places(&self, logits: Tensor<2>, digit: Digit, groups: &[usize]) -> Tensor<2> {
        if !digit.is_place || self.layout.even(digit.column) {
            return logits;
        }
        let mut penalty = vec![0.0; groups.len() * digit.count];
        for (group, row) in groups.iter().zip(penalty.chunks_exact_mut(digit.count)) {
            row[self.layout.places_of(digit.column, *group)..].fill(-1e9);
        }
        let device = Device::of(&logits);
        logits + device.tensor(penalty, [groups.len(), digit.count])
    }

    /// An estimate of log p(x|z) by showing some digits of each row and predicting the rest.
    fn estimate(&self, view: &View<'_>, outputs: Tensor<2>, batch: &Batch) -> Tensor<1> {
        let rows = outputs.dims()[0];
        let (device, n) = (Device::of(&outputs), batch.len().max(1));
        let whole = self.embedding.seen(&host(&batch.x));
        let (columns, digits) = (self.layout.columns(), self.layout.digits());
        let key = view.key.fold("order");
        let in_order = self.in_order * view.progress.map_or(1.0, |at| 1.0 - at.left());
        let mut seen = Vec::with_capacity(rows * columns);
        let mut targets: Vec<Vec<i32>> = vec![vec![0; rows]; digits.len()];
        let mut factors = vec![0.0; rows * digits.len()];
        let mut groups: Vec<Vec<usize>> = vec![vec![0; rows]; digits.len()];
        let mut constant = vec![0.0; rows];
        for row in 0..rows {
            let cells = &whole[row % n * columns..(row % n + 1) * columns];
            let key = key.fold(batch.ids[row % n]).fold(row / n);
            let shown = self.layout.show(cells, in_order, key);
            seen.extend(shown.seen);
            for (at, target) in shown.targets {
                targets[at][row] = target as i32;
                factors[row * digits.len() + at] = shown.factor;
                if digits[at].is_place
                    && let Seen::Level(level) = cells[digits[at].column]
                {
                    groups[at][row] = self.layout.digits_of(digits[at].column, level).group;
                }
            }
            constant[row] = -self.layout.log_widths(cells);
        }
        let sum = self.first(view.weights, outputs, &seen);
        let h = self.hidden(view.weights, self.dropped(view, sum.clone(), batch));
        let logits = self.readout.all(view.weights, h.clone());
        let words = self.words(view.weights, &sum);
        let mut all = Vec::with_capacity(digits.len());
        for (at, digit) in digits.iter().enumerate() {
            let target: Tensor<1, Int> = Tensor::from_data(
                TensorData::new(std::mem::take(&mut targets[at]), [rows]),
                &logits.device(),
            );
            let mut own = logits.clone().narrow(1, digit.first, digit.count);
            for more in self.beside(view.weights, &sum, (&h, words.as_ref()), *digit, &seen, &groups[at]) {
                own = own + more;
            }
            let shares = log_softmax(self.without_missing_places(own, *digit, &groups[at]), 1);
            all.push(shares.gather(1, target.reshape([rows, 1])));
        }
        let factors = device.tensor(factors, [rows, digits.len()]);
        sum_dimensions(Tensor::cat(all, 1) * factors) + device.tensor(constant, [rows])
    }
}

impl Likelihood for Mixed {
    fn measure(&self) -> BaseMeasure {
        BaseMeasure::Mixed
    }

    /// While training an estimate over orders, otherwise the exact chain in the order of the file. Cells of which nothing is
    /// known are left out.
    fn log_density(&self, view: &View<'_>, outputs: Tensor<2>, batch: &Batch) -> Tensor<1> {
        match view.is_training() {
            true => self.estimate(view, outputs, batch),
            false => self.chain_log_density(view, outputs, batch),
        }
    }

    /// No mean, but the likeliest choice of each column after the other.
    fn mean(&self, view: &View<'_>, outputs: Tensor<2>) -> Tensor<2> {
        let (rows, device) = (outputs.dims()[0], Device::of(&outputs));
        let evidence = Evidence::nothing(rows, self.layout.columns());
        let x = self.complete_by(view, outputs, &evidence, None).x;
        device.tensor(x, [rows, self.layout.columns()])
    }

    fn draw(&self, view: &View<'_>, outputs: Tensor<2>, noise: Noise<'_>) -> Tensor<2> {
        let (rows, device) = (outputs.dims()[0], Device::of(&outputs));
        let evidence = Evidence::nothing(rows, self.layout.columns());
        let x = self.complete_by(view, outputs, &evidence, Some(noise)).x;
        device.tensor(x, [rows, self.layout.columns()])
    }

    fn complete(
        &self,
        view: &View<'_>,
        outputs: Tensor<2>,
        evidence: &Evidence,
        noise: Noise<'_>,
    ) -> Option<Completed> {
        Some(self.complete_by(view, outputs, evidence, Some(noise)))
    }

    fn surprises(&self, view: &View<'_>, outputs: Tensor<2>, batch: &Batch) -> Option<Vec<f32>> {
        Some(self.surprise_of_each(view, outputs, batch))
    }
}
