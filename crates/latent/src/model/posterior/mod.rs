//! The posterior q(z|x): which region of z belongs to an x. One file a member.
//!
//! A posterior says which numbers it wants from the encoder and turns them into a [`Density`]; and what the decoder sees of
//! a code. Codes are vectors, or have a place: maps of `channels × h × w`.

mod bits;
mod blocks;
mod book;
mod diagonal_normal;
mod flow;
mod fsq;
mod full_normal;
mod gumbel;
mod iaf;
mod lfq;
mod moving_book;
mod places;
mod point;
mod quantized;
mod residual;
mod simvq;
mod size;

use burn::tensor::Tensor;

pub use bits::{BitsSettings, Surrogate};
pub use blocks::BlocksSettings;
pub use book::{Distance, Passage};
pub use diagonal_normal::DiagonalNormalSettings;
pub use flow::FlowSettings;
pub use fsq::FsqSettings;
pub use full_normal::FullNormalSettings;
pub use gumbel::GumbelSettings;
pub use iaf::IafSettings;
pub use lfq::LfqSettings;
pub use point::PointSettings;
pub use quantized::QuantizedSettings;
pub use residual::ResidualSettings;
pub use simvq::SimVqSettings;
pub use size::LatentSize;

use super::View;
use crate::batch::{Batch, Latent};
use crate::density::Density;
use crate::member::{Axis, Life, Settings};
use crate::store::StoreError;
use crate::store::onnx::{Graph, Node};
use crate::weights::Weights;

/// q(z|x) from the encoder's outputs.
pub trait Posterior: Life {
    /// The density of each row, from the encoder's outputs `[n, outputs]`.
    fn density(&self, view: &View<'_>, batch: &Batch, outputs: Tensor<2>) -> Box<dyn Density>;

    /// What the decoder sees of stored codes, `[rows, features]`: the codes, unless they stand for something.
    fn features(&self, view: &View<'_>, z: &Latent) -> Tensor<2> {
        let _ = view;
        z.z.clone()
    }

    /// The centre of q in a graph, from the encoder's outputs, and the deviation where there is one.
    ///
    /// # Errors
    /// [`StoreError::NoGraph`], as by default.
    fn trace(
        &self,
        weights: &Weights,
        graph: &mut Graph,
        outputs: &Node,
    ) -> Result<(Node, Option<Node>), StoreError> {
        let _ = (weights, graph, outputs);
        Err(StoreError::no_graph("the centre of this posterior", "give it `Posterior::trace`"))
    }

    /// [`Posterior::features`] in a graph: the codes, unless they stand for something.
    ///
    /// # Errors
    /// [`StoreError::NoGraph`].
    fn trace_features(&self, weights: &Weights, graph: &mut Graph, z: &Node) -> Result<Node, StoreError> {
        let _ = (weights, graph);
        Ok(z.clone())
    }

    /// Whether q has a density at all; a point mass has none, and its rate is infinite.
    fn has_density(&self) -> bool {
        true
    }
}

/// The settings of a posterior. It declares the blocks of z, the encoder's heads, and what the decoder sees.
pub type PosteriorSettings = dyn Settings<dyn Posterior>;

/// The posteriors that ship.
pub fn posteriors() -> Axis<PosteriorSettings> {
    Axis::new("posterior")
        .with::<point::PointSettings>()
        .with::<diagonal_normal::DiagonalNormalSettings>()
        .with::<full_normal::FullNormalSettings>()
        .with::<bits::BitsSettings>()
        .with::<gumbel::GumbelSettings>()
        .with::<blocks::BlocksSettings>()
        .with::<flow::FlowSettings>()
        .with::<iaf::IafSettings>()
        .with::<quantized::QuantizedSettings>()
        .with::<fsq::FsqSettings>()
        .with::<lfq::LfqSettings>()
        .with::<simvq::SimVqSettings>()
        .with::<residual::ResidualSettings>()
}
