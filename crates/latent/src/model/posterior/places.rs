//! How an encoder's outputs are cut into the vectors that a quantiser looks at, one for each index of a code.
//!
//! Maps have `groups · width` channels: at each place, vectors of `width` channels side by side. Outputs that are no maps are
//! vectors of `width` numbers one after the other: groups at one place. Indices are ordered by group, then by place.

use burn::tensor::Tensor;

use super::size::{axes, times};
use crate::data::SampleShape;
use crate::store::onnx::{Graph, Node};

/// Vectors in a row of the encoder's outputs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Places {
    /// Vectors at a place.
    groups: usize,
    /// Numbers in a vector.
    pub width: usize,
    /// Places of a map; 1 where there are none.
    area: usize,
}

impl Places {
    /// Of outputs that are one vector of channels at each place, or vectors of `width` numbers that divide the columns.
    pub fn of(outputs: SampleShape, width: usize) -> Self {
        match outputs {
            SampleShape::Image { channels, height, width } => {
                Self { groups: 1, width: channels, area: height * width }
            }
            SampleShape::Vector { columns } => Self { groups: columns / width.max(1), width, area: 1 },
        }
    }

    /// Vectors of `width` numbers for each index of a code of this shape: the places, the shape of the outputs, and the axes
    /// of the indices.
    pub fn around(code: SampleShape, width: usize) -> (Self, SampleShape, Vec<usize>) {
        let (groups, area, block) = match code {
            SampleShape::Image { channels: 1, height, width } => (1, height * width, vec![height, width]),
            SampleShape::Image { channels, height, width } => (channels, height * width, axes(code)),
            SampleShape::Vector { columns } => (columns, 1, vec![columns]),
        };
        (Self { groups, width, area }, times(code, width), block)
    }

    /// Vectors in a row.
    pub fn count(self) -> usize {
        self.groups * self.area
    }

    /// `[n, outputs]` → `[n · count, width]`
    pub fn vectors(self, outputs: Tensor<2>) -> Tensor<2> {
        let n = outputs.dims()[0];
        let Self { groups, width, area } = self;
        let flat = [n * groups * area, width];
        match area {
            1 => outputs.reshape(flat),
            _ => outputs.reshape([n * groups, width, area]).swap_dims(1, 2).reshape(flat),
        }
    }

    /// The way back.
    pub fn outputs(self, vectors: Tensor<2>) -> Tensor<2> {
        let Self { groups, width, area } = self;
        let n = vectors.dims()[0] / (groups * area).max(1);
        let flat = [n, groups * area * width];
        match area {
            1 => vectors.reshape(flat),
            _ => vectors.reshape([n * groups, area, width]).swap_dims(1, 2).reshape(flat),
        }
    }

    /// Where each number of the outputs stands among the vectors; none where both have one order.
    pub fn order(self) -> Option<Vec<i32>> {
        let Self { groups, width, area } = self;
        let place = |number: usize| {
            let (channel, at) = (number / area, number % area);
            ((channel / width * area + at) * width + channel % width) as i32
        };
        (area > 1).then(|| (0..groups * width * area).map(place).collect())
    }

    /// [`Places::vectors`] in a graph, `[count, width]` of each row.
    pub fn trace_vectors(self, graph: &mut Graph, outputs: &Node) -> Node {
        let Self { groups, width, area } = self;
        let maps = graph.reshape(outputs.clone(), &[groups, width, area]);
        let vectors = graph.transpose(&maps, &[0, 1, 3, 2]);
        graph.reshape(vectors, &[groups * area, width])
    }

    /// [`Places::outputs`] in a graph.
    pub fn trace_outputs(self, graph: &mut Graph, vectors: Node) -> Node {
        let Self { groups, width, area } = self;
        let vectors = graph.reshape(vectors, &[groups, area, width]);
        let maps = graph.transpose(&vectors, &[0, 1, 3, 2]);
        graph.reshape(maps, &[groups * area * width])
    }
}

/// The vector of each index in a book, `[K, width]`; indices `[m]`, kept inside the book → `[m, width]`.
pub(super) fn looked_up(book: &Tensor<2>, index: Tensor<1>) -> Tensor<2> {
    let (m, most) = (index.dims()[0], book.dims()[0] as f64 - 1.0);
    book.clone().select(0, crate::density::indices(&index.clamp(0.0, most).reshape([m, 1])).reshape([m]))
}
