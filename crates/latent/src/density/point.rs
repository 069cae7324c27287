//! The point mass δ(z − f(x)): the code of a plain autoencoder.
//!
//! It has no density with respect to a continuous prior's base measure, so its rate is infinite.

use burn::tensor::Tensor;

use super::{Density, fold_rows, pick};
use crate::batch::{Draw, Latent, Noise};

/// All mass on one code for each row.
#[derive(Clone, Debug)]
pub struct Point {
    /// The code, `[n, dims]`
    pub code: Tensor<2>,
}

impl Density for Point {
    fn draw(&self, draws: usize, noise: Noise<'_>) -> Draw {
        Draw::new(fold_rows(&self.code, draws * noise.ids.len()))
    }

    fn log_density_per_dimension(&self, _: &Latent) -> Option<Tensor<2>> {
        None
    }

    fn centre(&self) -> Latent {
        Latent::new(self.code.clone())
    }

    fn rows(&self, rows: &[usize]) -> Box<dyn Density> {
        Box::new(Self { code: pick(&self.code, rows) })
    }

    fn detached(&self) -> Box<dyn Density> {
        Box::new(Self { code: self.code.clone().detach() })
    }

    fn parameters(&self) -> Vec<(&'static str, Tensor<2>)> {
        vec![("code", self.code.clone())]
    }
}
