//! Independent blocks side by side: q(z) = Π_b q_b(z_b). Each block has a family of its own.

use burn::tensor::Tensor;

use super::{Density, fold_rows};
use crate::batch::{Draw, Latent, Noise};

/// The densities of blocks, in the order of their columns.
pub struct Product {
    parts: Vec<Part>,
}

struct Part {
    name: String,
    /// Columns in a code.
    dims: usize,
    density: Box<dyn Density>,
}

impl Product {
    /// Joins the densities of named blocks of so many columns.
    pub fn new(blocks: impl IntoIterator<Item = (String, usize, Box<dyn Density>)>) -> Self {
        let part = |(name, dims, density)| Part { name, dims, density };
        Self { parts: blocks.into_iter().map(part).collect() }
    }

    /// The parts of two products over the same blocks, side by side.
    pub(super) fn pairs<'a>(
        &'a self,
        other: &'a Self,
    ) -> Option<impl Iterator<Item = (&'a dyn Density, &'a dyn Density)>> {
        let same = self.parts.len() == other.parts.len()
            && self.parts.iter().zip(&other.parts).all(|(a, b)| a.dims == b.dims);
        let pair = |(a, b): (&'a Part, &'a Part)| (a.density.as_ref(), b.density.as_ref());
        same.then(|| self.parts.iter().zip(&other.parts).map(pair))
    }

    /// Each part with its columns of `z`.
    fn cut<'a>(&'a self, z: &'a Latent) -> impl Iterator<Item = (&'a Part, Latent)> {
        let mut start = 0;
        self.parts.iter().map(move |part| {
            let columns = z.z.clone().narrow(1, start, part.dims);
            start += part.dims;
            (part, Latent::new(columns))
        })
    }
}

/// Columns side by side. A block with one density for all rows may stand beside one with a density for each.
fn beside(blocks: Vec<Tensor<2>>) -> Tensor<2> {
    let rows = blocks.iter().map(|block| block.dims()[0]).max().unwrap_or(0);
    Tensor::cat(blocks.iter().map(|block| fold_rows(block, rows)).collect(), 1)
}

impl Density for Product {
    /// Each block by noise of its own, keyed by its name.
    fn draw(&self, draws: usize, noise: Noise<'_>) -> Draw {
        let each: Vec<Draw> = self
            .parts
            .iter()
            .map(|part| part.density.draw(draws, Noise { key: noise.key.fold(part.name.as_str()), ..noise }))
            .collect();
        let z = Tensor::cat(each.iter().map(|draw| draw.z.z.clone()).collect(), 1);
        let carried = each.iter().any(|draw| draw.log_density.is_some()).then(|| {
            let own = self.parts.iter().zip(&each).map(|(part, draw)| part.density.log_density_of(draw));
            own.reduce(|sum, own| Some(sum? + own?)).flatten()
        });
        let features = each.iter().any(|draw| draw.features.is_some()).then(|| {
            Tensor::cat(each.into_iter().map(|draw| draw.features.unwrap_or(draw.z.z)).collect(), 1)
        });
        Draw { features, log_density: carried.flatten(), ..Draw::new(z) }
    }

    fn log_density(&self, z: &Latent) -> Option<Tensor<1>> {
        let mut each = self.cut(z).map(|(part, z)| part.density.log_density(&z));
        let first = each.next()??;
        each.try_fold(first, |sum, part| Some(sum + part?))
    }

    fn log_density_per_dimension(&self, z: &Latent) -> Option<Tensor<2>> {
        let each: Option<Vec<_>> =
            self.cut(z).map(|(part, z)| part.density.log_density_per_dimension(&z)).collect();
        Some(Tensor::cat(each?, 1))
    }

    fn centre(&self) -> Latent {
        Latent::new(beside(self.parts.iter().map(|part| part.density.centre().z).collect()))
    }

    fn deviation(&self) -> Option<Tensor<2>> {
        let each: Option<Vec<_>> = self.parts.iter().map(|part| part.density.deviation()).collect();
        Some(beside(each?))
    }

    fn rows(&self, rows: &[usize]) -> Box<dyn Density> {
        let part = |part: &Part| (part.name.clone(), part.dims, part.density.rows(rows));
        Box::new(Self::new(self.parts.iter().map(part)))
    }

    fn detached(&self) -> Box<dyn Density> {
        let copy = |part: &Part| (part.name.clone(), part.dims, part.density.detached());
        Box::new(Self::new(self.parts.iter().map(copy)))
    }

    fn commitment(&self) -> Option<Tensor<1>> {
        self.parts.iter().filter_map(|part| part.density.commitment()).reduce(|sum, part| sum + part)
    }

    fn codebook(&self) -> Option<Tensor<1>> {
        self.parts.iter().filter_map(|part| part.density.codebook()).reduce(|sum, part| sum + part)
    }

    fn parameters(&self) -> Vec<(&'static str, Tensor<2>)> {
        self.parts.iter().flat_map(|part| part.density.parameters()).collect()
    }
}
