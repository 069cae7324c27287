//! A transformer over the cells of a row: one token a column.
//!
//! T₀ = tokens of the cells;  T ← T + A(N(T));  T ← T + W' relu(W N(T));  A: self-attention, N: each token standardised
//!
//! The encoder gives each token's part of the code and the decoder takes it back, so that a column keeps dimensions of its own:
//! `posterior.latent = { column = 4 }`. A category's token is its embedding; a number's is linear in some smooth features of its
//! rank and size.
//!
//! References: Zhang et al., *Mixed-Type Tabular Data Synthesis with Score-based Diffusion in Latent Space* (TabSyn, arXiv
//! 2310.09656); Gorishniy et al., *Revisiting Deep Learning Models for Tabular Data* (arXiv 2106.11959).

use burn::tensor::Tensor;
use latent_kernels::Activation;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Network;
use super::columns::{Embedding, check_cells, check_size, hide, no_table};
use super::layer::{Dense, DenseConfig, TokenLayer, check_tokens};
use crate::config::ConfigError;
use crate::data::SampleShape;
use crate::device::host;
use crate::member::{Call, Context, Life, Named, Role, Settings};
use crate::weights::{Init, Initial, WeightId};

/// Width, depth and heads.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ColumnTransformerSettings {
    /// Numbers in a token.
    pub width: usize,
    /// Layers.
    pub depth: usize,
    /// Heads of attention; they divide the width.
    pub heads: usize,
    /// Hidden units of the dense layers, as a multiple of the width.
    pub factor: usize,
    /// The share of training rows of which the encoder sees some cells only, any number of them: so that it can encode rows
    /// with gaps.
    pub hide: f64,
}

impl Default for ColumnTransformerSettings {
    fn default() -> Self {
        Self { width: 16, depth: 2, heads: 2, factor: 4, hide: 0.25 }
    }
}

impl Named for ColumnTransformerSettings {
    const KIND: &'static str = "column-transformer";
    const ABOUT: &'static str = "a token for each cell of a mixed table, and attention between them";
}

impl Settings<dyn Network> for ColumnTransformerSettings {
    fn declare(&self, context: &mut Context<'_>) -> Result<(), ConfigError> {
        check_size(self.width, self.depth)?;
        check_tokens(self.width, self.heads, self.factor)?;
        check_cells(self.hide, context)?;
        let (columns, code) = (columns(context), code(context).features());
        if columns > 0 && code > 0 && !code.is_multiple_of(columns) {
            return Err(ConfigError::combination(
                format!("{columns} columns cannot share {code} numbers of a code evenly"),
                "set posterior.latent = { column = 4 } or another number for each",
            ));
        }
        Ok(())
    }

    fn init(&self, context: &Context<'_>, init: &mut Init<'_>) -> Result<Box<dyn Network>, ConfigError> {
        let (wiring, columns) = (&context.wiring, columns(context).max(1));
        let dense = |from: usize, to: usize| DenseConfig::new(from, to);
        let (first, last) = match (wiring.role, &context.facts.table) {
            (Role::Encoder, Some(table)) => {
                let each = wiring.to.features() / columns;
                let first = First::Cells(Embedding::smooth(table, self.width, init));
                (first, dense(self.width, each).init(init, "last"))
            }
            (Role::Encoder, None) => return Err(no_table()),
            (Role::Decoder, _) => {
                let each = wiring.from.features() / columns;
                let place = init.weight(
                    "place",
                    &[columns * self.width],
                    Initial::Normal(1.0 / (self.width as f32).sqrt()),
                );
                let first = First::Code { each: dense(each, self.width).init(init, "first"), place };
                let last = dense(columns * self.width, wiring.to.features()).with_bias(wiring.bias.clone());
                (first, last.init(init, "last"))
            }
        };
        let condition =
            (wiring.condition > 0).then(|| dense(wiring.condition, self.width).init(init, "condition"));
        let layer = |at: usize| TokenLayer::new(init, &at.to_string(), self.width, self.heads, self.factor);
        let layers = (0..self.depth).map(layer).collect();
        let parts =
            if code(context).features() > 0 { wiring.to.features() / code(context).features() } else { 1 };
        let shape = Shape { columns, width: self.width, parts };
        Ok(Box::new(ColumnTransformer { first, condition, layers, last, shape, hide: self.hide }))
    }
}

/// How many columns a row has.
fn columns(context: &Context<'_>) -> usize {
    context.facts.table.as_ref().map_or(0, |table| table.modelled().count())
}

/// The code, which either network has at one end.
fn code(context: &Context<'_>) -> SampleShape {
    match context.wiring.role {
        Role::Encoder => SampleShape::Vector { columns: context.latent.dims() },
        Role::Decoder => context.wiring.from,
    }
}

struct Shape {
    columns: usize,
    width: usize,
    /// Numbers that an encoder gives for each of the code.
    parts: usize,
}

enum First {
    Cells(Embedding),
    /// Each column's part of the code, and where the column stands.
    Code {
        each: Dense,
        place: WeightId,
    },
}

struct ColumnTransformer {
    first: First,
    condition: Option<Dense>,
    layers: Vec<TokenLayer>,
    last: Dense,
    shape: Shape,
    hide: f64,
}

impl Life for ColumnTransformer {}

impl Network for ColumnTransformer {
    fn forward(&self, call: &Call<'_>, input: Tensor<2>) -> Tensor<2> {
        let (weights, rows) = (call.weights, input.dims()[0]);
        let Shape { columns, width, parts, .. } = self.shape;
        let mut h = match &self.first {
            First::Cells(embedding) => {
                let mut seen = embedding.seen(&host(&input));
                if call.mode.is_training() && self.hide > 0.0 {
                    hide(self.hide, call, &mut seen, rows);
                }
                embedding.tokens(weights, &seen)
            }
            First::Code { each, place } => {
                let one = input.dims()[1] / columns;
                let tokens = each.apply(weights, input.reshape([rows * columns, one]));
                let place = weights.get::<1>(*place).reshape([1, columns, width]);
                (tokens.reshape([rows, columns, width]) + place).reshape([rows * columns, width])
            }
        };
        if let (Some(dense), Some(condition)) = (&self.condition, call.given.condition_of(rows)) {
            let more = dense.apply(weights, condition).reshape([rows, 1, width]);
            h = (h.reshape([rows, columns, width]) + more).reshape([rows * columns, width]);
        }
        for layer in &self.layers {
            h = layer.apply(weights, h, columns);
        }
        match &self.first {
            // Each token's numbers of all parts become all tokens' numbers of each part.
            First::Cells(_) => {
                let all = self.last.apply(weights, h);
                let each = all.dims()[1] / parts;
                let all = all.reshape([rows, columns, parts, each]).swap_dims(1, 2);
                all.reshape([rows, parts * columns * each])
            }
            First::Code { .. } => {
                self.last.apply(weights, Activation::Relu.apply(h.reshape([rows, columns * width])))
            }
        }
    }
}
