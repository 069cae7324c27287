//! What goes over the borders between rooms, row-major: rows as a [`Batch`], what is known of them without x as [`Given`],
//! codes as a [`Latent`] or a [`Draw`], and the [`Noise`] that they are drawn with.

use std::collections::BTreeMap;

use burn::tensor::{Int, Tensor, TensorData};

use crate::data::Rows;
use crate::device::{Device, host, host_f64};
use crate::key::Key;

/// Some rows of data on a device.
#[derive(Clone, Debug)]
pub struct Batch {
    /// `[n, features]`, normalised.
    pub x: Tensor<2>,
    /// The identity of each row, that its noise is keyed with in training.
    pub ids: Vec<u64>,
    /// What its noise is keyed with when it is judged ([`Rows::content`]); empty where that is its id, too.
    pub content: Vec<u64>,
    /// What the model is told beside x, `[n, conditions]`.
    pub condition: Option<Tensor<2>>,
    /// The class of each row; among rows to train on [`UNKNOWN_CLASS`](crate::data::UNKNOWN_CLASS) where nothing is known of it.
    pub labels: Option<Vec<u32>>,
    /// 1 where x was observed, 0 where it is missing, `[n, features]`.
    pub mask: Option<Tensor<2>>,
    /// How much each row counts, `[n]`.
    pub weight: Option<Tensor<1>>,
}

/// Rows that count for nothing together have a mean of 0.
const LEAST_WEIGHT: f64 = 1e-30;

impl Batch {
    /// Uploads host rows of `features` numbers each; what is empty there is absent here.
    pub fn new(rows: Rows, features: usize, device: &Device) -> Self {
        let n = rows.len();
        let given = |values: &[f32]| !values.is_empty();
        let width = rows.condition.len() / n.max(1);
        Self {
            x: device.tensor(rows.x, [n, features]),
            labels: (!rows.labels.is_empty()).then_some(rows.labels),
            ids: rows.ids,
            content: rows.content,
            condition: given(&rows.condition).then(|| device.tensor(rows.condition, [n, width])),
            mask: given(&rows.mask).then(|| device.tensor(rows.mask, [n, features])),
            weight: given(&rows.weight).then(|| device.tensor(rows.weight, [n])),
        }
    }

    /// Rows with nothing beside x.
    pub fn of(x: Tensor<2>, ids: Vec<u64>) -> Self {
        Self { x, ids, content: Vec::new(), condition: None, labels: None, mask: None, weight: None }
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// The noise of these rows under `key`: a function of what a held-out row holds, wherever it stands, and of the id of
    /// a training row, whatever batch it is in.
    pub fn noise(&self, key: Key) -> Noise<'_> {
        Noise::new(key, if self.content.is_empty() { &self.ids } else { &self.content })
    }

    /// Which rows these are, and what is known of them.
    pub fn given(&self) -> Given<'_> {
        Given { ids: &self.ids, condition: self.condition.as_ref() }
    }

    /// How much its rows count together.
    pub fn weight_sum(&self) -> f64 {
        match &self.weight {
            Some(weight) => host_f64(weight).iter().sum(),
            None => self.len() as f64,
        }
    }

    /// The mean of a value of each row, `[n]`, or of each draw of each row, `[k·n]`: `[1]`, where rows count by their
    /// weights. A single number is its own mean.
    pub fn mean(&self, values: Tensor<1>) -> Tensor<1> {
        let rows = values.dims()[0];
        match &self.weight {
            Some(weight) if rows > 1 || self.len() == 1 => {
                let draws = (rows / self.len().max(1)).max(1);
                let weight = weight.clone().repeat_dim(0, draws);
                (values * weight.clone()).sum() / weight.sum().clamp_min(LEAST_WEIGHT)
            }
            _ => values.mean(),
        }
    }

    /// The mean over rows of a value of each dimension, `[n, dims]` → `[1, dims]`, where rows count by their weights.
    pub fn mean_rows(&self, values: Tensor<2>) -> Tensor<2> {
        match &self.weight {
            Some(weight) => {
                let n = self.len();
                let total = weight.clone().sum().clamp_min(LEAST_WEIGHT).reshape([1, 1]);
                let dims = values.dims()[1];
                (values * weight.clone().reshape([n, 1])).sum_dim(0) / total.expand([1, dims])
            }
            None => values.mean_dim(0),
        }
    }

    /// The places of the rows that share a condition; one group where there is none.
    pub fn by_condition(&self) -> Vec<Vec<usize>> {
        let Some(condition) = &self.condition else { return vec![(0..self.len()).collect()] };
        let (values, width) = (host(condition), condition.dims()[1].max(1));
        let mut groups: BTreeMap<Vec<u32>, Vec<usize>> = BTreeMap::new();
        for (row, told) in values.chunks(width).enumerate() {
            groups.entry(told.iter().map(|v| v.to_bits()).collect()).or_default().push(row);
        }
        groups.into_values().collect()
    }

    /// These rows, in this order.
    #[must_use]
    pub fn select(&self, rows: &[usize]) -> Self {
        if rows.iter().copied().eq(0..self.len()) {
            return self.clone();
        }
        let index: Vec<i32> = rows.iter().map(|&row| row as i32).collect();
        let index = self.device_indices(index);
        let pick = |t: &Tensor<2>| t.clone().select(0, index.clone());
        Self {
            x: pick(&self.x),
            ids: rows.iter().map(|&row| self.ids[row]).collect(),
            content: rows.iter().filter_map(|&row| self.content.get(row).copied()).collect(),
            condition: self.condition.as_ref().map(pick),
            labels: self.labels.as_ref().map(|labels| rows.iter().map(|&row| labels[row]).collect()),
            mask: self.mask.as_ref().map(pick),
            weight: self.weight.as_ref().map(|weight| weight.clone().select(0, index.clone())),
        }
    }

    fn device_indices(&self, index: Vec<i32>) -> Tensor<1, Int> {
        let n = index.len();
        Tensor::from_data(TensorData::new(index, [n]), &self.x.device())
    }

    /// The rows `start..start + count`.
    #[must_use]
    pub fn slice(&self, start: usize, count: usize) -> Self {
        let cut = |t: &Tensor<2>| t.clone().narrow(0, start, count);
        Self {
            x: cut(&self.x),
            ids: self.ids[start..start + count].to_vec(),
            content: self.content.get(start..start + count).unwrap_or_default().to_vec(),
            condition: self.condition.as_ref().map(cut),
            labels: self.labels.as_ref().map(|l| l[start..start + count].to_vec()),
            mask: self.mask.as_ref().map(cut),
            weight: self.weight.as_ref().map(|w| w.clone().narrow(0, start, count)),
        }
    }
}

/// Which rows something is computed for, and what is known of them beside x.
#[derive(Clone, Copy, Debug)]
pub struct Given<'a> {
    /// The rows, `n`; what is computed has `k·n` rows, draw-major.
    pub ids: &'a [u64],
    /// What the model is told of each, `[n, conditions]`, or `[1, conditions]` for all alike.
    pub condition: Option<&'a Tensor<2>>,
}

impl Given<'static> {
    /// Nothing.
    pub fn none() -> Self {
        Self { ids: &[], condition: None }
    }
}

impl<'a> Given<'a> {
    /// Rows without a condition.
    pub fn rows(ids: &'a [u64]) -> Self {
        Self { ids, condition: None }
    }

    /// The condition of each of `rows = k·n` rows.
    pub fn condition_of(&self, rows: usize) -> Option<Tensor<2>> {
        self.condition.map(|condition| fold_rows(condition, rows))
    }
}

/// Repeats the `n` rows of a parameter for `rows = k·n` draw-major codes; one row serves all.
pub(crate) fn fold_rows(parameter: &Tensor<2>, rows: usize) -> Tensor<2> {
    let [n, dims] = parameter.dims();
    if n == rows {
        parameter.clone()
    } else if n == 1 {
        parameter.clone().expand([rows, dims])
    } else {
        parameter.clone().repeat_dim(0, rows / n.max(1))
    }
}

/// What the numbers of a latent block are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Support {
    /// The real line in each dimension.
    Reals,
    /// [0, 1] in each dimension.
    UnitInterval,
    /// 0 or 1 in each dimension.
    Bits,
    /// A whole number from 0 in each dimension: the place of a code in a book of that many.
    Index(usize),
}

impl Support {
    /// In words.
    pub fn name(self) -> String {
        match self {
            Self::Reals => "the reals".into(),
            Self::UnitInterval => "the unit cube".into(),
            Self::Bits => "bits".into(),
            Self::Index(size) => format!("indices of {size} codes"),
        }
    }

    /// How many values a dimension can take; none where it is a continuum.
    pub fn values(self) -> Option<usize> {
        match self {
            Self::Reals | Self::UnitInterval => None,
            Self::Bits => Some(2),
            Self::Index(size) => Some(size),
        }
    }
}

/// One named block of a latent: `z`, a level of a hierarchy, a class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// Its name, unique within the latent.
    pub name: String,
    /// The shape of one row.
    pub shape: Vec<usize>,
    /// What its numbers are.
    pub support: Support,
}

impl Block {
    /// The number of dimensions of one row.
    pub fn dims(&self) -> usize {
        self.shape.iter().product()
    }
}

/// The blocks of a latent, side by side in one matrix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LatentShape {
    /// In the order of their columns.
    pub blocks: Vec<Block>,
}

impl LatentShape {
    /// One block.
    pub fn block(name: &str, shape: Vec<usize>, support: Support) -> Self {
        Self { blocks: vec![Block { name: name.into(), shape, support }] }
    }

    /// The number of dimensions of all blocks.
    pub fn dims(&self) -> usize {
        self.blocks.iter().map(Block::dims).sum()
    }

    /// The support of each dimension.
    pub fn supports(&self) -> Vec<Support> {
        self.blocks.iter().flat_map(|block| std::iter::repeat_n(block.support, block.dims())).collect()
    }

    /// The support that all dimensions have; none where blocks differ.
    pub fn support(&self) -> Option<Support> {
        let first = self.blocks.first()?.support;
        self.blocks.iter().all(|block| block.support == first).then_some(first)
    }

    /// Whether each dimension takes finitely many values.
    pub fn is_discrete(&self) -> bool {
        self.blocks.iter().all(|block| block.support.values().is_some())
    }

    /// Each block with the range of its columns.
    pub fn ranges(&self) -> Vec<(&Block, std::ops::Range<usize>)> {
        let mut start = 0;
        let range = |block| {
            let from = start;
            start += Block::dims(block);
            (block, from..start)
        };
        self.blocks.iter().map(range).collect()
    }
}

/// Codes: named blocks side by side, `k` draws of `n` rows folded into `k·n` rows, draw-major.
///
/// Index blocks are kept as whole numbers in the matrix; [`Block::support`] says what the numbers are.
#[derive(Clone, Debug)]
pub struct Latent {
    /// `[k·n, dims]`; draw `d` of row `i` is row `d·n + i`.
    pub z: Tensor<2>,
}

impl Latent {
    /// Wraps a matrix of codes.
    pub fn new(z: Tensor<2>) -> Self {
        Self { z }
    }

    /// The number of rows, `k·n`.
    pub fn rows(&self) -> usize {
        self.z.dims()[0]
    }
}

/// Codes as a density drew them.
#[derive(Clone, Debug)]
pub struct Draw {
    /// The codes, `[k·n, dims]`, draw-major.
    pub z: Latent,
    /// Their log density in nats, `[k·n]`, where the draw knows it already: inverting it may cost.
    pub log_density: Option<Tensor<1>>,
    /// What the decoder sees of them, where that is not what it would see of stored codes: with gradients.
    pub features: Option<Tensor<2>>,
}

impl Draw {
    /// Codes that carry nothing.
    pub fn new(z: Tensor<2>) -> Self {
        Self { z: Latent::new(z), log_density: None, features: None }
    }
}

/// Keyed noise for rows: row `ids[i]`, draw `d` gets the same numbers in any batch.
#[derive(Clone, Copy, Debug)]
pub struct Noise<'a> {
    /// Already folded with purpose and step.
    pub key: Key,
    /// The rows.
    pub ids: &'a [u64],
    /// The number of the first draw: a long series may be drawn in parts.
    pub first: usize,
}

/// Numbers that a thread should draw at least.
const NOISE_A_THREAD: usize = 1 << 10;

impl<'a> Noise<'a> {
    /// Noise for these rows from draw 0.
    pub fn new(key: Key, ids: &'a [u64]) -> Self {
        Self { key, ids, first: 0 }
    }

    /// Standard normal numbers, `[draws·n, dims]`, draw-major.
    pub fn normals(self, draws: usize, dims: usize, device: &Device) -> Tensor<2> {
        self.fill(draws, dims, device, Key::normals)
    }

    /// Uniform numbers in (0, 1), `[draws·n, dims]`, draw-major.
    pub fn uniforms(self, draws: usize, dims: usize, device: &Device) -> Tensor<2> {
        self.fill(draws, dims, device, Key::uniforms)
    }

    fn fill(self, draws: usize, dims: usize, device: &Device, draw: fn(Key, &mut [f32])) -> Tensor<2> {
        let n = self.ids.len();
        let mut values = vec![0.0; draws * n * dims];
        let keys: Vec<Key> = self.ids.iter().map(|&id| self.key.fold(id)).collect();
        // Row d·n + i is draw d of row i.
        latent_kernels::each_row(&mut values, dims, NOISE_A_THREAD, |row, out| {
            draw(keys[row % n].fold(self.first + row / n), out);
        });
        device.tensor(values, [draws * n, dims])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_rows_carry_is_uploaded_and_what_they_lack_is_absent() {
        let rows = Rows {
            x: vec![1.0, 2.0, 3.0, 4.0],
            ids: vec![7, 9],
            content: vec![70, 90],
            condition: vec![0.0, 1.0, 0.5, 1.0, 0.0, -0.5],
            mask: vec![1.0, 1.0, 0.0, 1.0],
            weight: vec![1.0, 3.0],
            ..Rows::default()
        };
        let device = Device::cpu();
        let batch = Batch::new(rows.clone(), 2, &device).slice(1, 1);
        let numbers = |t: Tensor<2>| t.into_data().convert::<f32>().try_to_vec::<f32>().unwrap();
        assert_eq!(numbers(batch.condition.clone().unwrap()), [1.0, 0.0, -0.5]);
        assert_eq!((batch.noise(Key::from_seed(1)).ids, batch.select(&[0]).content), (&[90][..], vec![90]));
        assert_eq!(numbers(batch.mask.unwrap()), [0.0, 1.0]);
        assert_eq!(batch.weight.unwrap().into_data().convert::<f32>().try_to_vec::<f32>().unwrap(), [3.0]);
        let bare = Batch::new(Rows { x: rows.x, ids: rows.ids, ..Rows::default() }, 2, &device);
        assert_eq!(bare.noise(Key::from_seed(1)).ids, [7, 9]);
        assert!(bare.condition.is_none() && bare.mask.is_none() && bare.weight.is_none());
        let none = Batch::new(Rows::default(), 2, &device);
        assert!(none.is_empty() && none.condition.is_none());
    }
}
