//! The functions a layer may end in, y = φ(x W + b).
//!
//! They come in two halves: the names, which configurations use, and the plain composition of tensor
//! operations, which is the oracle. The fused bodies live with the kernels.

use std::fmt;
use std::str::FromStr;

use burn::Tensor;
use burn::tensor::activation;

/// The slope of [`Activation::LeakyRelu`] left of zero.
pub const LEAKY_SLOPE: f64 = 0.01;

/// A function applied to each element of a layer's output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Activation {
    /// φ(x) = x
    #[default]
    Identity,
    /// φ(x) = max(x, 0)
    Relu,
    /// φ(x) = x for x > 0, else 0.01 x
    LeakyRelu,
    /// φ(x) = tanh x
    Tanh,
    /// φ(x) = 1 / (1 + e⁻ˣ)
    Sigmoid,
    /// φ(x) = x / (1 + e⁻ˣ), also called swish
    Silu,
    /// φ(x) = x Φ(x), with Φ the normal cumulative distribution function (the exact form, by erf)
    Gelu,
    /// φ(x) = ln(1 + eˣ)
    Softplus,
    /// φ(x) = x for x > 0, else eˣ − 1
    Elu,
}

impl Activation {
    /// Every activation, in the order in which a help text lists them.
    pub const ALL: [Activation; 9] = [
        Activation::Identity,
        Activation::Relu,
        Activation::LeakyRelu,
        Activation::Tanh,
        Activation::Sigmoid,
        Activation::Silu,
        Activation::Gelu,
        Activation::Softplus,
        Activation::Elu,
    ];

    /// The word that a configuration uses for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Activation::Identity => "identity",
            Activation::Relu => "relu",
            Activation::LeakyRelu => "leaky-relu",
            Activation::Tanh => "tanh",
            Activation::Sigmoid => "sigmoid",
            Activation::Silu => "silu",
            Activation::Gelu => "gelu",
            Activation::Softplus => "softplus",
            Activation::Elu => "elu",
        }
    }

    /// φ(x) as a composition of tensor operations, on any device and in any float type.
    #[must_use]
    pub fn apply<const D: usize>(self, x: Tensor<D>) -> Tensor<D> {
        match self {
            Activation::Identity => x,
            Activation::Relu => activation::relu(x),
            Activation::LeakyRelu => activation::leaky_relu(x, LEAKY_SLOPE),
            Activation::Tanh => x.tanh(),
            Activation::Sigmoid => activation::sigmoid(x),
            Activation::Silu => activation::silu(x),
            Activation::Gelu => activation::gelu(x),
            Activation::Softplus => activation::softplus(x, 1.0),
            Activation::Elu => activation::elu(x, 1.0),
        }
    }

    /// The largest |φ′|-preserving gain for initial weights: √2 for rectifiers, 5/3 for tanh, else 1.
    #[must_use]
    pub fn gain(self) -> f64 {
        match self {
            Activation::Relu | Activation::Silu | Activation::Gelu | Activation::Elu => 2f64.sqrt(),
            Activation::LeakyRelu => (2.0 / (1.0 + LEAKY_SLOPE * LEAKY_SLOPE)).sqrt(),
            Activation::Tanh => 5.0 / 3.0,
            Activation::Identity | Activation::Sigmoid | Activation::Softplus => 1.0,
        }
    }
}

impl fmt::Display for Activation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A word that names no [`Activation`]; its text lists those that exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownActivation(pub String);

impl fmt::Display for UnknownActivation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = Activation::ALL.iter().map(|a| a.name()).collect();
        write!(f, "no activation is called \"{}\"; there are {}", self.0, names.join(", "))
    }
}

impl std::error::Error for UnknownActivation {}

impl FromStr for Activation {
    type Err = UnknownActivation;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        Activation::ALL
            .into_iter()
            .find(|a| a.name() == word)
            .ok_or_else(|| UnknownActivation(word.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_reads_back_as_its_activation() {
        for activation in Activation::ALL {
            assert_eq!(activation.to_string().parse(), Ok(activation));
        }
        let error = "rellu".parse::<Activation>().unwrap_err().to_string();
        assert!(error.contains("rellu") && error.contains("leaky-relu"), "{error}");
    }
}
