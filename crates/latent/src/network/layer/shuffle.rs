//! Places as channels and back, without a number lost: what is done at a lower resolution costs a fraction.
//!
//! *Space to depth*: each block of f × f places becomes one place with f² times the channels; a side that f does not divide
//! is filled up by its last row or column. *Depth to space* is its inverse, cut to a size.
//!
//! Reference: Shi et al., *Real-time single image and video super-resolution* (arXiv 1609.05158).

use burn::tensor::Tensor;

use crate::store::onnx::{Graph, Node};

/// `[rows, c, h, w]` → `[rows, c f², ⌈h/f⌉, ⌈w/f⌉]`
pub(crate) fn space_to_depth(x: Tensor<4>, factor: usize) -> Tensor<4> {
    let [rows, channels, height, width] = x.dims();
    let [h, w] = [height, width].map(|side| side.div_ceil(factor));
    let x = filled(filled(x, 2, h * factor), 3, w * factor);
    x.reshape([rows, channels, h, factor, w, factor]).permute([0, 1, 3, 5, 2, 4]).reshape([
        rows,
        channels * factor * factor,
        h,
        w,
    ])
}

/// `[rows, c f², h, w]` → `[rows, c, height, width]`, with `size` = (height, width) between f (h − 1) + 1 and f h.
pub(super) fn depth_to_space(x: Tensor<4>, factor: usize, size: [usize; 2]) -> Tensor<4> {
    let [rows, channels, h, w] = x.dims();
    let channels = channels / (factor * factor);
    let y = x.reshape([rows, channels, factor, factor, h, w]).permute([0, 1, 4, 2, 5, 3]);
    let y = y.reshape([rows, channels, h * factor, w * factor]);
    if size == [h * factor, w * factor] { y } else { y.narrow(2, 0, size[0]).narrow(3, 0, size[1]) }
}

/// [`space_to_depth`] in a graph.
pub(super) fn trace_space_to_depth(graph: &mut Graph, x: Node, factor: usize) -> Node {
    let [channels, height, width] = sides(&x);
    let [h, w] = [height, width].map(|side| side.div_ceil(factor));
    let filled =
        |side: usize, length: usize| -> Vec<usize> { (0..length).map(|i| i.min(side - 1)).collect() };
    let x = if h * factor == height { x } else { graph.take(&x, 2, &filled(height, h * factor)) };
    let x = if w * factor == width { x } else { graph.take(&x, 3, &filled(width, w * factor)) };
    let blocks = graph.reshape(x, &[channels, h, factor, w, factor]);
    let blocks = graph.transpose(&blocks, &[0, 1, 3, 5, 2, 4]);
    graph.reshape(blocks, &[channels * factor * factor, h, w])
}

/// [`depth_to_space`] in a graph.
pub(super) fn trace_depth_to_space(graph: &mut Graph, x: Node, factor: usize, size: [usize; 2]) -> Node {
    let [channels, h, w] = sides(&x);
    let channels = channels / (factor * factor);
    let blocks = graph.reshape(x, &[channels, factor, factor, h, w]);
    let blocks = graph.transpose(&blocks, &[0, 1, 4, 2, 5, 3]);
    let x = graph.reshape(blocks, &[channels, h * factor, w * factor]);
    let first = |length: usize| -> Vec<usize> { (0..length).collect() };
    let x = if size[0] == h * factor { x } else { graph.take(&x, 2, &first(size[0])) };
    if size[1] == w * factor { x } else { graph.take(&x, 3, &first(size[1])) }
}

/// Channels, height and width; rows count as one channel of one line.
fn sides(x: &Node) -> [usize; 3] {
    match x.shape[..] {
        [channels, height, width] => [channels, height, width],
        _ => [1, 1, x.features()],
    }
}

/// The means of blocks of `size` × `size` pixels; what is over at an odd side is left out.
pub(crate) fn pooled(x: Tensor<4>, size: usize) -> Tensor<4> {
    let [rows, channels, height, width] = x.dims();
    let [h, w] = [height / size, width / size];
    let x = if h * size == height { x } else { x.narrow(2, 0, h * size) };
    let x = if w * size == width { x } else { x.narrow(3, 0, w * size) };
    let blocks = x.reshape([rows, channels, h, size, w, size]);
    (blocks.sum_dim(5).sum_dim(3) * (1.0 / (size * size) as f64)).reshape([rows, channels, h, w])
}

/// A side filled up to a length by its last slice.
fn filled(x: Tensor<4>, side: usize, length: usize) -> Tensor<4> {
    let there = x.dims()[side];
    if there == length {
        return x;
    }
    let last = x.clone().narrow(side, there - 1, 1).repeat_dim(side, length - there);
    Tensor::cat(vec![x, last], side)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::{Device, host};

    #[test]
    fn there_and_back_is_the_identity_at_odd_sizes_too() {
        for (factor, height, width) in [(2, 4, 6), (2, 5, 3), (4, 9, 8), (1, 3, 3)] {
            let n = 2 * 3 * height * width;
            let values: Vec<f32> = (0..n).map(|i| i as f32).collect();
            let x = Device::cpu().tensor(values.clone(), [n]).reshape([2, 3, height, width]);
            let folded = space_to_depth(x, factor);
            assert_eq!(folded.dims()[1], 3 * factor * factor);
            let back = depth_to_space(folded, factor, [height, width]);
            assert_eq!(host(&back.flatten::<1>(0, 3)), values, "{factor} {height}×{width}");
        }
    }

    #[test]
    fn a_place_of_the_fold_is_a_block_of_the_map() {
        let x = Device::cpu().tensor((0..16).map(|i| i as f32).collect(), [16]).reshape([1, 1, 4, 4]);
        let folded = host(&space_to_depth(x, 2).flatten::<1>(0, 3));
        // Channel by channel: the upper left of each block, the upper right, …
        assert_eq!(folded[..4], [0.0, 2.0, 8.0, 10.0]);
        assert_eq!(folded[4..8], [1.0, 3.0, 9.0, 11.0]);
    }
}
