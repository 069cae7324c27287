//! Layers one after the other: what most architectures are.

use burn::tensor::Tensor;

use super::Network;
use super::layer::{self, Join, Layer, Signal};
use super::shortcut::Shortcut;
use crate::data::DataError;
use crate::member::{Call, Freeze, Kept, Life, Progress, Start};
use crate::weights::Weights;

/// A network that is a list of layers.
#[derive(Clone, Debug)]
pub struct Sequence {
    layers: Vec<Layer>,
    /// What starts from data.
    shortcut: Option<Shortcut>,
}

impl Sequence {
    /// Joins layers.
    pub fn new(layers: Vec<Layer>) -> Self {
        Self { layers, shortcut: None }
    }

    /// The same beside a straight way.
    pub(super) fn beside(layers: Vec<Layer>, shortcut: Shortcut) -> Self {
        Self { layers: vec![Layer::Beside(layers, shortcut.layers())], shortcut: Some(shortcut) }
    }

    /// Whether rows of a batch see each other in it.
    pub fn couples_rows(&self) -> bool {
        layer::couples_rows(&self.layers)
    }
}

impl Network for Sequence {
    fn forward(&self, call: &Call<'_>, input: Tensor<2>) -> Tensor<2> {
        self.layers.iter().fold(Signal::Rows(input), |signal, layer| layer.apply(call, signal)).rows()
    }

    fn layers(&self) -> &[Layer] {
        &self.layers
    }

    fn affine(&self, weights: &Weights) -> Option<(Tensor<2>, Tensor<1>)> {
        match self.layers.as_slice() {
            [Layer::Dense(dense)] => dense.affine(weights),
            _ => None,
        }
    }
}

impl Life for Sequence {
    fn start(&self, start: &mut Start<'_>) -> Result<(), DataError> {
        match &self.shortcut {
            Some(shortcut) => shortcut.start(start),
            None => Ok(()),
        }
    }

    fn follow(&self, weights: &mut Weights, kept: &Kept, _: Progress) {
        layer::follow(&self.layers, weights, kept);
    }

    fn freeze(&self, freeze: &mut Freeze<'_>) -> Result<(), DataError> {
        layer::freeze(&self.layers, freeze)
    }
}

/// The condition beside what comes, where there is one.
pub(super) fn join(layers: &mut Vec<Layer>, condition: usize) -> usize {
    if condition > 0 {
        layers.push(Layer::Join(Join { condition }));
    }
    condition
}

/// The layers, or where there is a gate their product with it.
pub(super) fn gated(layers: Vec<Layer>, gate: Option<Layer>) -> Vec<Layer> {
    match gate {
        Some(gate) => vec![Layer::Gated(layers, vec![gate])],
        None => layers,
    }
}
