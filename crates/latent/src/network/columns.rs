//! Rows of mixed columns as the input of a network: every category, group of levels and place in a group has an embedding,
//! every ordered value some smooth features beside it; their sum is the first hidden layer. No one-hot row is ever built.
//!
//! h₀ = Σ_c E_c[group_c] + E'_c[place_c] + φ_c(x_c) W_c,   h_{l+1} = h_l + W' silu(W h_l)
//!
//! φ holds the logit of the value's rank, its size (asinh of the standardised value) and sines and cosines of its rank.
//! A cell may be seen in part: not at all, its group alone, or wholly; so the same layers read rows of which some columns
//! are still to be predicted.
//!
//! References: embeddings of numbers as in Gorishniy et al., *On Embeddings for Numerical Features in Tabular Deep
//! Learning* (arXiv 2203.05556); digits as in Tiwald et al., *TabularARGN* (arXiv 2501.12012).

use burn::tensor::{Int, Tensor, TensorData};
use latent_kernels::Activation;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Network;
use super::layer::{Dense, DenseConfig};
use crate::config::ConfigError;
use crate::data::Table;
use crate::data::ValueKind;
use crate::data::table::{GAP, Scale};
use crate::device::host;
use crate::member::{Call, Context, Life, Named, Role, Settings};
use crate::weights::{Init, Initial, WeightId, Weights};

/// What is seen of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Nothing.
    Unknown,
    /// That it is empty.
    Gap,
    /// The group of its level.
    Group(usize),
    /// Its level.
    Level(usize),
}

impl Seen {
    /// What x shows of a cell of a column of so many levels; a gap says nothing where training rows had none.
    pub(crate) fn of(x: f32, levels: usize, gaps: bool) -> Self {
        match x {
            x if x >= 0.0 => Self::Level((x as usize).min(levels.saturating_sub(1))),
            x if x == GAP && gaps => Self::Gap,
            _ => Self::Unknown,
        }
    }
}

/// The embeddings of a table's cells.
pub struct Embedding {
    columns: Vec<Places>,
    /// `[rows of all columns, width]`
    rows: WeightId,
    /// `[features of all ordered columns, width]`; none without ordered columns.
    features: Option<WeightId>,
    width: usize,
}

/// Where a column's embeddings stand.
struct Places {
    scale: Scale,
    /// Whether training rows had gaps here; otherwise a gap says nothing.
    gaps: bool,
    /// Unknown, gap, then the groups, or one row for all of them.
    groups: usize,
    /// Whether each group has a row.
    each: bool,
    /// Unknown, then the places; none where every group has one.
    places: Option<usize>,
    /// The first of its features; none for categories.
    features: Option<usize>,
    /// The features of each level, [`FEATURES`] each.
    of_levels: Vec<f32>,
}

/// Groups of an ordered column that a coarse embedding tells apart.
const FEW_GROUPS: usize = 24;

/// Features of an ordered value.
const FEATURES: usize = 8;

impl Embedding {
    /// Makes the embeddings of a table.
    pub fn new(table: &Table, width: usize, init: &mut Init<'_>) -> Self {
        let columns = table.modelled().count().max(1);
        let spread = Initial::Normal(1.0 / (columns as f32).sqrt());
        Self::made(table, width, true, spread, init)
    }

    /// Without places, and without groups where an ordered column has many; all 0 in the beginning.
    pub fn coarse(table: &Table, width: usize, init: &mut Init<'_>) -> Self {
        Self::made(table, width, false, Initial::Constant(0.0), init)
    }

    /// Likewise, but as the first layer of a network.
    pub fn smooth(table: &Table, width: usize, init: &mut Init<'_>) -> Self {
        let columns = table.modelled().count().max(1);
        Self::made(table, width, false, Initial::Normal(1.0 / (columns as f32).sqrt()), init)
    }

    fn made(table: &Table, width: usize, fine: bool, law: Initial, init: &mut Init<'_>) -> Self {
        let (mut rows, mut features) = (0, 0);
        let mut columns = Vec::new();
        for column in table.modelled() {
            let Some(scale) = &column.scale else { continue };
            let groups = rows;
            let each = fine || !column.is_ordered() || scale.group_count() <= FEW_GROUPS;
            rows += 2 + if each { scale.group_count() } else { 1 };
            let places = (fine && scale.places() > 1).then_some(rows);
            if places.is_some() {
                rows += 1 + scale.places();
            }
            let of_levels = if column.is_ordered() { features_of(scale) } else { Vec::new() };
            let own = column.is_ordered().then_some(features);
            features += if column.is_ordered() { FEATURES } else { 0 };
            columns.push(Places {
                scale: scale.clone(),
                gaps: column.has_gaps(),
                groups,
                each,
                places,
                features: own,
                of_levels,
            });
        }
        let rows = init.weight("embedding", &[rows.max(1), width], law.clone());
        let features = (features > 0).then(|| {
            let law = match law {
                Initial::Constant(_) => law,
                _ => Initial::Normal(0.5 / (features as f32).sqrt()),
            };
            init.matrix("features", &[features, width], law)
        });
        Self { columns, rows, features, width }
    }

    /// The levels of each column.
    pub fn scales(&self) -> impl Iterator<Item = &Scale> {
        self.columns.iter().map(|own| &own.scale)
    }

    /// What a whole row of x shows.
    pub fn seen(&self, x: &[f32]) -> Vec<Seen> {
        x.iter()
            .enumerate()
            .map(|(at, x)| {
                let own = &self.columns[at % self.columns.len()];
                Seen::of(*x, own.scale.levels(), own.gaps)
            })
            .collect()
    }

    /// The rows of the embeddings of a cell: of its group and, where the column has places, of its place.
    fn of(&self, column: usize, seen: Seen) -> (usize, Option<usize>) {
        let own = &self.columns[column];
        let unknown = own.places;
        let row_of = |group: usize| own.groups + 2 + if own.each { group } else { 0 };
        match seen {
            Seen::Group(group) => (row_of(group), unknown),
            Seen::Level(level) => {
                let digits = own.scale.digits(level);
                (row_of(digits.group), unknown.map(|first| first + 1 + digits.place))
            }
            Seen::Gap => (own.groups + 1, unknown),
            Seen::Unknown => (own.groups, unknown),
        }
    }

    /// The features of a cell, where it has a value.
    fn features_at(&self, column: usize, seen: Seen) -> Option<&[f32]> {
        let own = &self.columns[column];
        let level = match seen {
            Seen::Level(level) => level,
            Seen::Group(group) => own.scale.middle_of(group),
            _ => return None,
        };
        own.of_levels.get(level * FEATURES..(level + 1) * FEATURES)
    }

    /// The sum of the embeddings of each row, `[n, columns]` → `[n, width]`.
    pub fn apply(&self, weights: &Weights, seen: &[Seen]) -> Tensor<2> {
        let columns = self.columns.len().max(1);
        let n = seen.len() / columns;
        let each: usize = self.columns.iter().map(|own| 1 + usize::from(own.places.is_some())).sum();
        let width = self.feature_count();
        let mut index: Vec<i32> = Vec::with_capacity(n * each);
        let mut features = vec![0.0; n * width];
        for (row, cells) in seen.chunks_exact(columns).enumerate() {
            for (column, seen) in cells.iter().enumerate() {
                let (group, place) = self.of(column, *seen);
                index.push(group as i32);
                index.extend(place.map(|place| place as i32));
                if let (Some(first), Some(own)) =
                    (self.columns[column].features, self.features_at(column, *seen))
                {
                    features[row * width + first..row * width + first + FEATURES].copy_from_slice(own);
                }
            }
        }
        let device = weights.device();
        let rows: Tensor<2> = select(weights.get(self.rows), index);
        let sum = rows.reshape([n, each, self.width]).sum_dim(1).reshape([n, self.width]);
        match self.features {
            Some(id) => sum + device.tensor(features, [n, width]).matmul(weights.get(id)),
            None => sum,
        }
    }

    /// The embedding of each column by itself, `[n · columns, width]`; of a [smooth](Embedding::smooth) one, which has no places.
    pub fn tokens(&self, weights: &Weights, seen: &[Seen]) -> Tensor<2> {
        let columns = self.columns.len().max(1);
        let n = seen.len() / columns;
        let mut index: Vec<i32> = Vec::with_capacity(seen.len());
        let ordered: Vec<usize> = (0..columns).filter(|at| self.columns[*at].features.is_some()).collect();
        let mut features = vec![0.0; ordered.len() * n * FEATURES];
        for (row, cells) in seen.chunks_exact(columns).enumerate() {
            index.extend(cells.iter().enumerate().map(|(column, seen)| self.of(column, *seen).0 as i32));
            for (at, column) in ordered.iter().enumerate() {
                if let Some(own) = self.features_at(*column, cells[*column]) {
                    let first = (at * n + row) * FEATURES;
                    features[first..first + FEATURES].copy_from_slice(own);
                }
            }
        }
        let rows: Tensor<2> = select(weights.get(self.rows), index);
        let Some(id) = self.features else { return rows };
        // Each ordered column has a matrix of its own; the others get 0.
        let of_columns = weights.get::<2>(id).reshape([ordered.len(), FEATURES, self.width]);
        let features = weights.device().tensor(features, [ordered.len() * n, FEATURES]);
        let features = features.reshape([ordered.len(), n, FEATURES]).matmul(of_columns);
        let none = Tensor::zeros([1, n, self.width], &features.device());
        let parts = (0..columns).map(|column| match ordered.iter().position(|at| *at == column) {
            Some(at) => features.clone().narrow(0, at, 1),
            None => none.clone(),
        });
        let all = Tensor::cat(parts.collect(), 0).swap_dims(0, 1);
        rows + all.reshape([n * columns, self.width])
    }

    fn feature_count(&self) -> usize {
        self.columns.iter().filter(|own| own.features.is_some()).count() * FEATURES
    }

    /// What the sum of each row gains where one column is seen otherwise, `[n, width]`.
    pub fn change(&self, weights: &Weights, column: usize, before: &[Seen], after: &[Seen]) -> Tensor<2> {
        let n = before.len();
        let device = weights.device();
        let table: Tensor<2> = weights.get(self.rows);
        let (mut of_groups, mut of_places) = ((Vec::new(), Vec::new()), (Vec::new(), Vec::new()));
        for (before, after) in before.iter().zip(after) {
            let ((g0, p0), (g1, p1)) = (self.of(column, *before), self.of(column, *after));
            of_groups.0.push(g0 as i32);
            of_groups.1.push(g1 as i32);
            of_places.0.extend(p0.map(|p| p as i32));
            of_places.1.extend(p1.map(|p| p as i32));
        }
        let mut gain: Option<Tensor<2>> = None;
        let mut add = |more: Tensor<2>| {
            gain = Some(match gain.take() {
                Some(gain) => gain + more,
                None => more,
            });
        };
        for (before, after) in [of_groups, of_places] {
            if before != after {
                add(select(table.clone(), after) - select(table.clone(), before));
            }
        }
        if let (Some(first), Some(id)) = (self.columns[column].features, self.features) {
            let mut features = vec![0.0; n * FEATURES];
            for ((before, after), out) in before.iter().zip(after).zip(features.chunks_exact_mut(FEATURES)) {
                if let Some(own) = self.features_at(column, *after) {
                    out.copy_from_slice(own);
                }
                if let Some(own) = self.features_at(column, *before) {
                    out.iter_mut().zip(own).for_each(|(out, own)| *out -= own);
                }
            }
            let weight: Tensor<2> = weights.get(id);
            add(device.tensor(features, [n, FEATURES]).matmul(weight.narrow(0, first, FEATURES)));
        }
        gain.unwrap_or_else(|| device.tensor(vec![0.0; n * self.width], [n, self.width]))
    }
}

/// The rows of a matrix at these places.
fn select(table: Tensor<2>, index: Vec<i32>) -> Tensor<2> {
    let n = index.len();
    let index: Tensor<1, Int> = Tensor::from_data(TensorData::new(index, [n]), &table.device());
    table.select(0, index)
}

/// The features of each level of an ordered column.
fn features_of(scale: &Scale) -> Vec<f32> {
    let middles: Vec<f64> = scale.low.iter().zip(&scale.high).map(|(low, high)| 0.5 * (low + high)).collect();
    let shares: Vec<f64> = scale.shares.iter().map(|share| f64::from(*share)).collect();
    let mean: f64 = middles.iter().zip(&shares).map(|(middle, share)| middle * share).sum();
    let square: f64 =
        middles.iter().zip(&shares).map(|(middle, share)| (middle - mean).powi(2) * share).sum();
    let deviation = square.sqrt().max(1e-30);
    let mut below = 0.0;
    let mut all = Vec::with_capacity(middles.len() * FEATURES);
    for (middle, share) in middles.iter().zip(&shares) {
        let rank = (below + 0.5 * share).clamp(1e-4, 1.0 - 1e-4);
        below += share;
        let turn = std::f64::consts::PI * rank;
        let own = [
            (rank / (1.0 - rank)).ln() / 1.8,
            ((middle - mean) / deviation * 2.0).asinh(),
            turn.sin(),
            turn.cos(),
            (2.0 * turn).sin(),
            (4.0 * turn).sin(),
            (4.0 * turn).cos(),
            (8.0 * turn).sin(),
        ];
        all.extend(own.map(|value| value as f32));
    }
    all
}

/// Residual blocks on one width.
pub struct Trunk {
    blocks: Vec<[Dense; 2]>,
}

impl Trunk {
    /// `depth` blocks.
    pub fn new(width: usize, depth: usize, init: &mut Init<'_>) -> Self {
        let block = |index: usize| {
            let inner = DenseConfig::new(width, width).with_activation(Activation::Silu);
            let inner = inner.init(init, &format!("{index}.in"));
            [inner, DenseConfig::new(width, width).init(init, &format!("{index}.out"))]
        };
        Self { blocks: (0..depth).map(block).collect() }
    }

    /// `[n, width]` → `[n, width]`
    pub fn apply(&self, weights: &Weights, h: Tensor<2>) -> Tensor<2> {
        self.blocks
            .iter()
            .fold(h, |h, [inner, outer]| h.clone() + outer.apply(weights, inner.apply(weights, h)))
    }
}

/// Width and depth.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ColumnsSettings {
    /// Hidden units.
    pub width: usize,
    /// Residual blocks.
    pub depth: usize,
    /// The share of training rows of which the encoder sees some cells only, any number of them: so that it can encode rows
    /// with gaps.
    pub hide: f64,
}

impl Default for ColumnsSettings {
    fn default() -> Self {
        Self { width: 256, depth: 2, hide: 0.25 }
    }
}

impl Named for ColumnsSettings {
    const KIND: &'static str = "columns";
    const ABOUT: &'static str = "an embedding of each cell of a mixed table, then residual blocks";
}

/// Refuses widths and depths that no memory holds.
pub(crate) fn check_size(width: usize, depth: usize) -> Result<(), ConfigError> {
    for (key, value, most) in [("width", width, 1 << 14), ("depth", depth, 64)] {
        if value == 0 || value > most {
            return Err(ConfigError::value(key, format!("{value}"), format!("give 1 to {most}")));
        }
    }
    Ok(())
}

impl Settings<dyn Network> for ColumnsSettings {
    fn declare(&self, context: &mut Context<'_>) -> Result<(), ConfigError> {
        check_size(self.width, self.depth)?;
        check_cells(self.hide, context)
    }

    fn init(&self, context: &Context<'_>, init: &mut Init<'_>) -> Result<Box<dyn Network>, ConfigError> {
        let wiring = &context.wiring;
        let first = match (wiring.role, &context.facts.table) {
            (Role::Encoder, Some(table)) => First::Cells(Embedding::new(table, self.width, init)),
            (Role::Encoder, None) => return Err(no_table()),
            (Role::Decoder, _) => {
                First::Code(DenseConfig::new(wiring.from.features(), self.width).init(init, "first"))
            }
        };
        let condition = (wiring.condition > 0)
            .then(|| DenseConfig::new(wiring.condition, self.width).init(init, "condition"));
        let trunk = Trunk::new(self.width, self.depth, init);
        let last = DenseConfig::new(self.width, wiring.to.features()).with_bias(wiring.bias.clone());
        let last = last.init(init, "last");
        Ok(Box::new(Columns { first, condition, trunk, last, hide: self.hide }))
    }
}

/// What a run says whose levels were lost.
pub(crate) fn no_table() -> ConfigError {
    ConfigError::combination(
        "the levels of the table's columns are not there",
        "they are found when the data is opened, and a model file holds them: open one of both",
    )
}

enum First {
    Cells(Embedding),
    Code(Dense),
}

struct Columns {
    first: First,
    condition: Option<Dense>,
    trunk: Trunk,
    last: Dense,
    hide: f64,
}

impl Life for Columns {}

/// Hides any number of cells of a share of rows, others in each step.
pub(super) fn hide(share: f64, call: &Call<'_>, seen: &mut [Seen], rows: usize) {
    let columns = seen.len() / rows.max(1);
    let ids = call.given.ids;
    let mut uniforms = vec![0.0; columns + 2];
    for (row, cells) in seen.chunks_exact_mut(columns.max(1)).enumerate() {
        let id = ids.get(row % ids.len().max(1)).copied().unwrap_or(row as u64);
        call.key.fold("hide").fold(id).fold(row / ids.len().max(1)).uniforms(&mut uniforms);
        if f64::from(uniforms[0]) >= share {
            continue;
        }
        for (cell, u) in cells.iter_mut().zip(&uniforms[2..]) {
            if *u < uniforms[1] {
                *cell = Seen::Unknown;
            }
        }
    }
}

/// Refuses what is no share of rows, and encoders of anything else than a mixed table.
pub(super) fn check_cells(hidden: f64, context: &Context<'_>) -> Result<(), ConfigError> {
    if !(0.0..=1.0).contains(&hidden) {
        let what = format!("{hidden} is not a share");
        return Err(ConfigError::value("hide", what, "give a number from 0 to 1"));
    }
    if context.wiring.role == Role::Encoder && context.facts.kind != ValueKind::Mixed {
        return Err(ConfigError::combination(
            "a network of columns needs a table of mixed columns, and this data is none",
            "set data.table = \"mixed\" for a csv file, or network.kind = \"mlp\"",
        ));
    }
    Ok(())
}

impl Network for Columns {
    fn forward(&self, call: &Call<'_>, input: Tensor<2>) -> Tensor<2> {
        let weights = call.weights;
        let rows = input.dims()[0];
        let mut h = match &self.first {
            First::Cells(embedding) => {
                let mut seen = embedding.seen(&host(&input));
                if call.mode.is_training() && self.hide > 0.0 {
                    hide(self.hide, call, &mut seen, rows);
                }
                embedding.apply(weights, &seen)
            }
            First::Code(dense) => dense.apply(weights, input),
        };
        if let (Some(dense), Some(condition)) = (&self.condition, call.given.condition_of(rows)) {
            h = h + dense.apply(weights, condition);
        }
        let h = self.trunk.apply(weights, h);
        self.last.apply(weights, Activation::Silu.apply(h))
    }
}
