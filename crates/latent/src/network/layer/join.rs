//! The condition beside the input: as further columns of a row, or as further channels that are the same at every pixel.

use burn::tensor::Tensor;

use super::Signal;
use crate::member::Call;
use crate::store::onnx::{Graph, Node};

/// Puts so many numbers of the condition beside the input.
#[derive(Clone, Copy, Debug)]
pub struct Join {
    /// How many.
    pub condition: usize,
}

impl Join {
    /// `[rows, features]` → `[rows, features + condition]`, or the same of channels. Rows without a condition get zeros.
    pub fn apply(&self, call: &Call<'_>, x: Signal) -> Signal {
        match x {
            Signal::Rows(x) => {
                let told = self.told(call, &x);
                Signal::Rows(Tensor::cat(vec![x, told], 1))
            }
            Signal::Maps(x) => {
                let [rows, _, height, width] = x.dims();
                let told = self.told(call, &x).reshape([rows, self.condition, 1, 1]);
                Signal::Maps(Tensor::cat(vec![x, told.expand([rows, self.condition, height, width])], 1))
            }
        }
    }

    /// The layer in a graph; without a node of conditions nothing is put beside, as there is nothing to say.
    pub fn trace(&self, graph: &mut Graph, x: Node, condition: Option<&Node>) -> Node {
        let Some(condition) = condition else { return x };
        let told = match x.shape[..] {
            [_, height, width] => graph.spread(condition.clone(), [height, width]),
            _ => condition.clone(),
        };
        graph.beside(&[x, told])
    }

    fn told<const D: usize>(&self, call: &Call<'_>, x: &Tensor<D>) -> Tensor<2> {
        let rows = x.dims()[0];
        match call.given.condition_of(rows) {
            Some(condition) => condition,
            None => call.weights.device().tensor(vec![0.0; rows * self.condition], [rows, self.condition]),
        }
    }
}
