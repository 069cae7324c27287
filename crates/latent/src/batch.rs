//! What goes over the borders between rooms: [`Batch`] and [`Latent`], row-major.

use burn::tensor::Tensor;

use crate::data::Rows;
use crate::device::Device;
use crate::key::Key;

/// Some rows of data on a device.
#[derive(Clone, Debug)]
pub struct Batch {
    /// `[n, features]`, normalised.
    pub x: Tensor<2>,
    /// The identity of each row, that its noise is keyed with.
    pub ids: Vec<u64>,
    /// What the model is told beside x, `[n, conditions]`.
    pub condition: Option<Tensor<2>>,
    /// The class of each row.
    pub labels: Option<Vec<u32>>,
    /// 1 where x was observed, 0 where it is missing, `[n, features]`.
    pub mask: Option<Tensor<2>>,
    /// How much each row counts, `[n]`.
    pub weight: Option<Tensor<1>>,
}

impl Batch {
    /// Uploads host rows of `features` numbers each.
    pub fn new(rows: Rows, features: usize, device: &Device) -> Self {
        let n = rows.len();
        Self {
            x: device.tensor(rows.x, [n, features]),
            labels: (!rows.labels.is_empty()).then_some(rows.labels),
            ids: rows.ids,
            condition: None,
            mask: None,
            weight: None,
        }
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// The rows `start..start + count`.
    #[must_use]
    pub fn slice(&self, start: usize, count: usize) -> Self {
        let cut = |t: &Tensor<2>| t.clone().narrow(0, start, count);
        Self {
            x: cut(&self.x),
            ids: self.ids[start..start + count].to_vec(),
            condition: self.condition.as_ref().map(cut),
            labels: self.labels.as_ref().map(|l| l[start..start + count].to_vec()),
            mask: self.mask.as_ref().map(cut),
            weight: self.weight.as_ref().map(|w| w.clone().narrow(0, start, count)),
        }
    }
}

/// What the numbers of a latent block are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Support {
    /// The real line in each dimension.
    Reals,
    /// [0, 1] in each dimension.
    UnitInterval,
    /// 0 or 1 in each dimension.
    Bits,
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
    /// One block `z` of `dims` dimensions.
    pub fn single(dims: usize, support: Support) -> Self {
        Self { blocks: vec![Block { name: "z".into(), shape: vec![dims], support }] }
    }

    /// The number of dimensions of all blocks.
    pub fn dims(&self) -> usize {
        self.blocks.iter().map(Block::dims).sum()
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
