//! The functions f and g: one file an architecture, each a list of typed [layers](layer).
//!
//! An encoder takes x to the numbers that the posterior wants; a decoder takes what it sees of z to the parameters that the
//! likelihood wants of each feature, parameter-major. Both are shaped: from a vector or an image to a vector or an image; a
//! condition comes beside the input.
//!
//! ```text
//! layer/              what networks are made of
//! sequence            layers one after the other
//! linear, mlp, conv   the architectures, plain ones first, and so on
//! columns             cells of a mixed table; column_transformer: a token for each
//! made                a masked network, for autoregressive densities
//! unet                maps to maps, told a time: for flows on maps of codes
//! ```

mod column_transformer;
pub mod columns;
mod conv;
mod dcgan;
pub mod layer;
mod linear;
mod made;
mod mlp;
mod residual;
mod resnet;
mod sequence;
mod shortcut;
mod spatial;
mod spectral;
mod unet;

use burn::tensor::Tensor;

pub use column_transformer::ColumnTransformerSettings;
pub use columns::ColumnsSettings;
pub use conv::{ConvSettings, Up};
pub use dcgan::DcganSettings;
pub(crate) use layer::check_tokens;
pub use layer::{Conv, ConvConfig, Dense, DenseConfig, Layer, TokenLayer, activation};
pub use linear::LinearSettings;
pub use made::{Made, MadeConfig};
pub use mlp::MlpSettings;
pub use residual::ResidualSettings;
pub use resnet::ResnetSettings;
pub use sequence::Sequence;
pub use spatial::{Norm, SpatialSettings};
pub use spectral::SpectralNormSettings;
pub use unet::{UNet, UNetConfig};

use crate::config::ConfigError;
use crate::data::SampleShape;
use crate::member::{Axis, Call, Life, Role, Settings, Wiring};
use crate::store::StoreError;
use crate::store::onnx::{Graph, Node};
use crate::weights::{WeightId, Weights};

/// A differentiable function of rows.
pub trait Network: Life {
    /// `[rows, inputs]` → `[rows, outputs]`
    fn forward(&self, call: &Call<'_>, input: Tensor<2>) -> Tensor<2>;

    /// The layers in order, where it is a list of them.
    fn layers(&self) -> &[Layer] {
        &[]
    }

    /// What comes into the last layer, `[rows, inputs]`, with that layer's W and b: what a least-squares fit can set. None where
    /// the last layer is no affine map of rows, or rows of a batch see each other on the way.
    fn last_inputs(&self, call: &Call<'_>, input: Tensor<2>) -> Option<(Tensor<2>, [WeightId; 2])> {
        let [before @ .., Layer::Dense(last)] = self.layers() else { return None };
        let ids = last.affine_ids().filter(|_| !layer::couples_rows(before))?;
        let through =
            before.iter().fold(layer::Signal::Rows(input), |signal, layer| layer.apply(call, signal));
        Some((through.rows(), ids))
    }

    /// The network in a graph of operations that other runtimes know.
    ///
    /// # Errors
    /// [`StoreError::NoGraph`] for a network that is no list of layers.
    fn trace(
        &self,
        weights: &Weights,
        graph: &mut Graph,
        x: Node,
        condition: Option<&Node>,
    ) -> Result<Node, StoreError> {
        if self.layers().is_empty() {
            return Err(StoreError::no_graph(
                "a network that is no list of layers",
                "give it `Network::trace`",
            ));
        }
        let y = self.layers().iter().fold(x, |x, layer| layer.trace(weights, graph, x, condition));
        Ok(graph.rows(y))
    }

    /// W `[inputs, outputs]` and b `[outputs]`, where it is an affine map and nothing more.
    fn affine(&self, weights: &Weights) -> Option<(Tensor<2>, Tensor<1>)> {
        let _ = weights;
        None
    }
}

/// The settings of an architecture.
pub type NetworkSettings = dyn Settings<dyn Network>;

/// The architectures that ship.
pub fn networks() -> Axis<NetworkSettings> {
    Axis::new("network")
        .with::<linear::LinearSettings>()
        .with::<mlp::MlpSettings>()
        .with::<conv::ConvSettings>()
        .with::<dcgan::DcganSettings>()
        .with::<residual::ResidualSettings>()
        .with::<resnet::ResnetSettings>()
        .with::<spatial::SpatialSettings>()
        .with::<columns::ColumnsSettings>()
        .with::<column_transformer::ColumnTransformerSettings>()
        .with::<spectral::SpectralNormSettings>()
}

/// Keys that came later are written only where they are used, so that older runs stay as they are.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// The image sizes from the sample down to the smallest map: `[h, w]` at each scale.
pub(crate) fn sizes(height: usize, width: usize, halvings: usize) -> Vec<[usize; 2]> {
    let mut sizes = vec![[height, width]];
    for _ in 0..halvings {
        let [h, w] = sizes[sizes.len() - 1];
        if h == 1 && w == 1 {
            break;
        }
        sizes.push([h.div_ceil(2), w.div_ceil(2)]);
    }
    sizes
}

/// The shape of the images that a network is for: what an encoder takes and a decoder gives.
fn sample_of(wiring: &Wiring) -> SampleShape {
    match wiring.role {
        Role::Encoder => wiring.from,
        Role::Decoder => wiring.to,
    }
}

/// Refuses vectors and empty or zero channel lists.
fn check_images(wiring: &Wiring, channels: &[usize]) -> Result<(), ConfigError> {
    if let SampleShape::Vector { columns } = sample_of(wiring) {
        return Err(ConfigError::combination(
            format!("a convolution needs images, and these rows are vectors of {columns} columns"),
            "use network.kind = \"mlp\"",
        ));
    }
    if channels.is_empty() || channels.contains(&0) {
        return Err(ConfigError::value(
            "channels",
            format!("{channels:?} is not a list of positive numbers"),
            "give at least one, such as [32, 64]",
        ));
    }
    Ok(())
}

/// The mean of the wished-for bias over each output channel: a convolution has one bias a channel.
fn channel_bias(wiring: &Wiring) -> Option<Vec<f32>> {
    let [_, height, width] = layer::image(wiring.to);
    let area = (height * width).max(1);
    wiring.bias.as_ref().map(|bias| bias.chunks(area).map(|c| c.iter().sum::<f32>() / area as f32).collect())
}

/// Refuses levels of mixed columns, which are no quantities, as the input of layers that multiply.
fn refuse_levels(context: &crate::member::Context<'_>) -> Result<(), ConfigError> {
    if context.wiring.role == Role::Encoder && context.facts.kind == crate::data::ValueKind::Mixed {
        return Err(ConfigError::combination(
            "an encoder that multiplies its input would take categories for quantities",
            "use encoder.kind = \"columns\"",
        ));
    }
    Ok(())
}
