//! The layers that architectures are made of. One file a kind; a network is a list of them ([`Sequence`](super::Sequence)).
//!
//! Rows flow as `[rows, features]`, images as `[rows, channels, height, width]`; a layer knows the shape that it makes of
//! another, so that a whole network's shapes are known before it runs.

mod attention;
mod convolution;
mod dense;
mod join;
mod normalise;
mod random;
mod shuffle;
mod spectral;
mod tokens;

use burn::tensor::Tensor;
use latent_kernels::Activation;

pub use attention::Attention;
pub use convolution::{Conv, ConvConfig, ConvTranspose, ConvTransposeConfig};
pub use dense::{Dense, DenseConfig};
pub use join::Join;
pub use normalise::{BatchNorm, GroupNorm};
pub use random::{Dropout, InputNoise};
pub(crate) use shuffle::{pooled, space_to_depth};
pub use spectral::SpectralConv;
pub use tokens::TokenLayer;
pub(crate) use tokens::check_tokens;

use crate::data::{DataError, SampleShape};
use crate::member::{Call, Freeze, Kept};
use crate::store::onnx::{Graph, Node};
use crate::weights::Weights;

/// What flows between layers.
#[derive(Clone, Debug)]
pub enum Signal {
    /// `[rows, features]`
    Rows(Tensor<2>),
    /// `[rows, channels, height, width]`
    Maps(Tensor<4>),
}

impl Signal {
    /// As rows.
    pub fn rows(self) -> Tensor<2> {
        match self {
            Self::Rows(rows) => rows,
            Self::Maps(maps) => maps.flatten(1, 3),
        }
    }

    /// As maps of that many channels, height and width.
    pub fn maps(self, [channels, height, width]: [usize; 3]) -> Tensor<4> {
        match self {
            Self::Rows(rows) => {
                let n = rows.dims()[0];
                rows.reshape([n, channels, height, width])
            }
            Self::Maps(maps) => maps,
        }
    }
}

/// One layer.
#[derive(Clone, Debug)]
pub enum Layer {
    /// y = a(x W + b)
    Dense(Dense),
    /// A convolution.
    Conv(Conv),
    /// A transposed convolution to this size.
    ConvTranspose(ConvTranspose, [usize; 2]),
    /// Nearest-neighbour upsampling to this size, then a convolution of stride 1.
    Upsample(Conv, [usize; 2]),
    /// h + f(h)
    Residual(Vec<Layer>),
    /// What two ways from one input give, added.
    Beside(Vec<Layer>, Vec<Layer>),
    /// What two ways from one input give, multiplied: the second opens and closes the first.
    Gated(Vec<Layer>, Vec<Layer>),
    /// Rows as maps of `[channels, height, width]`.
    Maps([usize; 3]),
    /// Blocks of so many by so many places as one place with more channels.
    SpaceToDepth(usize),
    /// The way back, to this size.
    DepthToSpace(usize, [usize; 2]),
    /// Every place sees every other.
    Attention(Attention),
    /// Maps as rows.
    Flatten,
    /// The condition beside the input.
    Join(Join),
    /// Batch normalisation of channels or features.
    BatchNorm(BatchNorm),
    /// Group normalisation of channels.
    GroupNorm(GroupNorm),
    /// An activation by itself.
    Activation(Activation),
    /// Units left out at random while training.
    Dropout(Dropout),
    /// Normal noise while training.
    Noise(InputNoise),
}

/// `channels × height × width`; a vector counts as one row of one channel.
pub(crate) fn image(shape: SampleShape) -> [usize; 3] {
    match shape {
        SampleShape::Image { channels, height, width } => [channels, height, width],
        SampleShape::Vector { columns } => [1, 1, columns],
    }
}

fn maps([channels, height, width]: [usize; 3]) -> SampleShape {
    SampleShape::Image { channels, height, width }
}

impl Layer {
    /// The layer's function.
    pub fn apply(&self, call: &Call<'_>, x: Signal) -> Signal {
        let weights = call.weights;
        match (self, x) {
            (Self::Dense(dense), x) => Signal::Rows(dense.apply(weights, x.rows())),
            (Self::Maps(shape), x) => Signal::Maps(x.maps(*shape)),
            (Self::Flatten, x) => Signal::Rows(x.rows()),
            (Self::SpaceToDepth(factor), x) => Signal::Maps(shuffle::space_to_depth(as_maps(x), *factor)),
            (Self::DepthToSpace(factor, size), x) => {
                Signal::Maps(shuffle::depth_to_space(as_maps(x), *factor, *size))
            }
            (Self::Attention(attention), x) => Signal::Maps(attention.apply(weights, as_maps(x))),
            (Self::Join(join), x) => join.apply(call, x),
            (Self::Residual(inner), x) => {
                match (x.clone(), inner.iter().fold(x, |h, layer| layer.apply(call, h))) {
                    (Signal::Maps(x), Signal::Maps(y)) => Signal::Maps(x + y),
                    (x, y) => Signal::Rows(x.rows() + y.rows()),
                }
            }
            (Self::Beside(one, other), x) => match both_ways(call, one, other, x) {
                (Signal::Maps(x), Signal::Maps(y)) => Signal::Maps(x + y),
                (x, y) => Signal::Rows(x.rows() + y.rows()),
            },
            (Self::Gated(one, gate), x) => match both_ways(call, one, gate, x) {
                (Signal::Maps(x), Signal::Maps(y)) => Signal::Maps(x * y),
                (x, y) => Signal::Rows(x.rows() * y.rows()),
            },
            (Self::BatchNorm(norm), x) => norm.apply(call, x),
            (Self::Activation(activation), Signal::Rows(x)) => Signal::Rows(activation.apply(x)),
            (Self::Activation(activation), Signal::Maps(x)) => Signal::Maps(activation.apply(x)),
            (Self::Dropout(dropout), x) => dropout.apply(call, x),
            (Self::Noise(noise), x) => noise.apply(call, x),
            (Self::Conv(conv), x) => Signal::Maps(conv.apply(weights, as_maps(x))),
            (Self::ConvTranspose(conv, size), x) => Signal::Maps(conv.apply(weights, as_maps(x), *size)),
            (Self::Upsample(conv, size), x) => Signal::Maps(conv.apply_upsampled(weights, as_maps(x), *size)),
            (Self::GroupNorm(norm), x) => Signal::Maps(norm.apply(weights, as_maps(x))),
        }
    }

    /// The layer in a graph, as it is in evaluation.
    pub fn trace(&self, weights: &Weights, graph: &mut Graph, x: Node, condition: Option<&Node>) -> Node {
        match self {
            Self::Dense(dense) => dense.trace(weights, graph, x),
            Self::Maps(shape) => graph.reshape(x, shape),
            Self::Flatten => graph.rows(x),
            Self::Join(join) => join.trace(graph, x, condition),
            Self::Residual(inner) => {
                let y = inner.iter().fold(x.clone(), |h, layer| layer.trace(weights, graph, h, condition));
                graph.binary("Add", &x, &y)
            }
            Self::Beside(one, other) | Self::Gated(one, other) => {
                let mut through = |layers: &[Layer]| {
                    layers.iter().fold(x.clone(), |h, layer| layer.trace(weights, graph, h, condition))
                };
                let (one, other) = (through(one), through(other));
                graph.binary(if matches!(self, Self::Gated(..)) { "Mul" } else { "Add" }, &one, &other)
            }
            Self::SpaceToDepth(factor) => shuffle::trace_space_to_depth(graph, x, *factor),
            Self::DepthToSpace(factor, size) => shuffle::trace_depth_to_space(graph, x, *factor, *size),
            Self::Attention(attention) => attention.trace(weights, graph, x),
            Self::BatchNorm(norm) => norm.trace(weights, graph, x),
            Self::GroupNorm(norm) => norm.trace(weights, graph, x),
            Self::Activation(activation) => graph.activation(*activation, x),
            Self::Dropout(_) | Self::Noise(_) => x,
            Self::Conv(conv) => conv.trace(weights, graph, x),
            Self::ConvTranspose(conv, size) => conv.trace(weights, graph, x, *size),
            Self::Upsample(conv, size) => conv.trace_upsampled(weights, graph, x, *size),
        }
    }

    /// The shape that it makes of another.
    pub fn shape(&self, from: SampleShape) -> SampleShape {
        let [channels, height, width] = image(from);
        match self {
            Self::Dense(dense) => SampleShape::Vector { columns: dense.outputs },
            Self::Conv(conv) => {
                let [h, w] = [height, width].map(|side| side.div_ceil(conv.stride));
                maps([conv.outputs, h, w])
            }
            Self::ConvTranspose(conv, [h, w]) => maps([conv.outputs, *h, *w]),
            Self::Upsample(conv, [h, w]) => maps([conv.outputs, *h, *w]),
            Self::SpaceToDepth(factor) => {
                let [h, w] = [height, width].map(|side| side.div_ceil(*factor));
                maps([channels * factor * factor, h, w])
            }
            Self::DepthToSpace(factor, [h, w]) => maps([channels / (factor * factor), *h, *w]),
            Self::Residual(_)
            | Self::Attention(_)
            | Self::BatchNorm(_)
            | Self::GroupNorm(_)
            | Self::Activation(_)
            | Self::Dropout(_)
            | Self::Noise(_) => from,
            Self::Beside(one, _) | Self::Gated(one, _) => {
                one.iter().fold(from, |shape, layer| layer.shape(shape))
            }
            Self::Maps(shape) => maps(*shape),
            Self::Flatten => SampleShape::Vector { columns: from.features() },
            Self::Join(join) => match from {
                SampleShape::Vector { columns } => SampleShape::Vector { columns: columns + join.condition },
                SampleShape::Image { .. } => maps([channels + join.condition, height, width]),
            },
        }
    }

    /// A word for tables.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Dense(_) => "dense",
            Self::Conv(_) => "convolution",
            Self::ConvTranspose(..) => "transposed convolution",
            Self::Upsample(..) => "upsampling convolution",
            Self::Residual(_) => "residual block",
            Self::Beside(..) => "two ways",
            Self::Gated(..) => "gate",
            Self::Maps(_) => "as maps",
            Self::Flatten => "as rows",
            Self::SpaceToDepth(_) => "space to depth",
            Self::DepthToSpace(..) => "depth to space",
            Self::Attention(_) => "attention",
            Self::Join(_) => "condition beside",
            Self::BatchNorm(_) => "batch normalisation",
            Self::GroupNorm(_) => "group normalisation",
            Self::Activation(activation) => activation.name(),
            Self::Dropout(_) => "dropout",
            Self::Noise(_) => "noise",
        }
    }

    /// The layer and those inside it.
    fn each<'a>(&'a self, visit: &mut dyn FnMut(&'a BatchNorm)) {
        match self {
            Self::BatchNorm(norm) => visit(norm),
            Self::Residual(inner) => inner.iter().for_each(|layer| layer.each(visit)),
            Self::Beside(one, other) | Self::Gated(one, other) => {
                one.iter().chain(other).for_each(|layer| layer.each(visit));
            }
            _ => {}
        }
    }
}

/// What each of two lists of layers makes of one input.
fn both_ways(call: &Call<'_>, one: &[Layer], other: &[Layer], x: Signal) -> (Signal, Signal) {
    let through = |layers: &[Layer], x: Signal| layers.iter().fold(x, |h, layer| layer.apply(call, h));
    (through(one, x.clone()), through(other, x))
}

/// A layer for maps after one that makes maps: a network puts [`Layer::Maps`] between rows and them.
fn as_maps(x: Signal) -> Tensor<4> {
    match x {
        Signal::Maps(maps) => maps,
        Signal::Rows(rows) => {
            let [n, width] = rows.dims();
            rows.reshape([n, 1, 1, width])
        }
    }
}

/// What a list of layers does beside being called: its batch statistics live.
pub(super) fn follow(layers: &[Layer], weights: &mut Weights, kept: &Kept) {
    layers.iter().for_each(|layer| layer.each(&mut |norm| norm.follow(weights, kept)));
}

/// Statistics of the whole training data, where the layers have any.
pub(super) fn freeze(layers: &[Layer], freeze: &mut Freeze<'_>) -> Result<(), DataError> {
    let mut norms = Vec::new();
    layers.iter().for_each(|layer| layer.each(&mut |norm| norms.push(norm)));
    if norms.is_empty() {
        return Ok(());
    }
    let kept = freeze.pass(crate::member::Mode::Training)?;
    norms.into_iter().for_each(|norm| norm.freeze(freeze.weights, &kept));
    Ok(())
}

/// Whether rows of a batch see each other in these layers.
pub(super) fn couples_rows(layers: &[Layer]) -> bool {
    let mut found = false;
    layers.iter().for_each(|layer| layer.each(&mut |_| found = true));
    found
}

/// Activations by name in settings.
pub mod activation {
    use latent_kernels::Activation;
    use schemars::{Schema, SchemaGenerator, json_schema};
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    /// The names.
    pub fn schema(_: &mut SchemaGenerator) -> Schema {
        let names: Vec<_> = Activation::ALL.iter().map(|activation| activation.name()).collect();
        json_schema!({ "type": "string", "enum": names })
    }

    /// Writes the name.
    ///
    /// # Errors
    /// The serializer's.
    pub fn serialize<S: Serializer>(activation: &Activation, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(activation.name())
    }

    /// Reads a name.
    ///
    /// # Errors
    /// A name that is none, with those that are.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Activation, D::Error> {
        let name = String::deserialize(deserializer)?;
        let all = Activation::ALL;
        all.iter().copied().find(|a| a.name() == name).ok_or_else(|| {
            let known: Vec<_> = all.iter().map(|a| a.name()).collect();
            D::Error::custom(format!("unknown activation `{name}`, known: {}", known.join(", ")))
        })
    }
}
