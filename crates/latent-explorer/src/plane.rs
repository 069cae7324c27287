//! From codes to places on a map and back.
//!
//! ```text
//! latents  (z₁, z₂) themselves, where there are no more            exact both ways
//! pca      Vᵀ(z − m), V the first two principal components         back: m + V y, the plane in which codes differ most
//! umap     neighbours stay neighbours                              back: the mean of the codes shown nearest
//! ```

use latent::Key;
use latent::array::Array;
use latent::evaluate::{Pca, Umap};

use crate::explored::Known;

/// A way to draw codes in two dimensions.
pub(crate) enum Plane {
    /// The latents themselves; a single one is drawn along x.
    Latents { dims: usize },
    /// The first two principal components of held-out codes.
    Pca { pca: Pca, dims: usize },
    /// UMAP: places of the rows, those that it was fitted on, and the share of neighbours that it keeps.
    Umap { places: Vec<[f32; 2]>, map: Umap, trust: Option<f64> },
}

/// Rows whose codes a place without a code of its own is the mean of.
const NEAREST: usize = 4;

impl Plane {
    /// The latents themselves, where they are one or two.
    pub fn of_latents(dims: usize) -> Option<Self> {
        (dims == 1 || dims == 2).then_some(Self::Latents { dims })
    }

    /// The principal plane of these codes.
    pub fn of_components(codes: &[f32], dims: usize) -> Option<Self> {
        let mut pca = Pca::fit(codes, dims, 2).filter(|pca| pca.directions.len() == 2)?;
        for direction in &mut pca.directions {
            // An eigenvector has no sign: the greatest number of each is positive, so that maps of one model look alike.
            let most =
                direction.iter().copied().fold(0.0f64, |most, v| if v.abs() > most.abs() { v } else { most });
            if most < 0.0 {
                direction.iter_mut().for_each(|v| *v = -*v);
            }
        }
        Some(Self::Pca { pca, dims })
    }

    /// Where codes are drawn.
    pub fn place(&self, codes: &Array) -> Vec<[f32; 2]> {
        let rows = || codes.values.chunks_exact(codes.width().max(1));
        match self {
            Self::Latents { dims: 1 } => rows().map(|z| [z[0], 0.0]).collect(),
            Self::Latents { .. } => rows().map(|z| [z[0], z[1]]).collect(),
            Self::Pca { pca, .. } => rows()
                .map(|z| {
                    let along = pca.project(z);
                    [along[0] as f32, along[1] as f32]
                })
                .collect(),
            Self::Umap { map, .. } => map.place(codes),
        }
    }

    /// Where the rows are drawn that are known, from row `from` on.
    pub fn places(&self, known: &Known, from: usize, dims: usize) -> Vec<[f32; 2]> {
        if let Self::Umap { places, .. } = self {
            return places.get(from..).unwrap_or_default().to_vec();
        }
        let codes = known.mean.get(from * dims..).unwrap_or_default().to_vec();
        let mut places = self.place(&Array::matrix(codes, dims));
        if let Self::Latents { dims: 1 } = self {
            // One dimension: rows are spread upwards, which means nothing.
            let mut noise = vec![0.0; places.len()];
            Key::from_seed(1).fold("spread").fold(from).normals(&mut noise);
            places.iter_mut().zip(noise).for_each(|(place, noise)| place[1] = 0.3 * noise);
        }
        places
    }

    /// The codes that belong to places.
    pub fn lift(&self, points: &[[f32; 2]], known: &Known, dims: usize) -> Array {
        let codes = match self {
            Self::Latents { dims } => points.iter().flat_map(|p| p[..*dims].to_vec()).collect(),
            Self::Pca { pca, dims } => points
                .iter()
                .flat_map(|p| {
                    let [a, b] = [&pca.directions[0], &pca.directions[1]];
                    (0..*dims).map(|d| (pca.mean[d] + f64::from(p[0]) * a[d] + f64::from(p[1]) * b[d]) as f32)
                })
                .collect(),
            Self::Umap { places, .. } => {
                points.iter().flat_map(|&point| between(point, places, &known.mean, dims)).collect()
            }
        };
        Array::matrix(codes, dims)
    }

    /// The covariance on the map of a region with these deviations: xx, xy, yy.
    pub fn covariance(&self, deviation: &[f32]) -> Option<[f64; 3]> {
        let s = |d: usize| f64::from(deviation[d]).powi(2);
        match self {
            Self::Latents { dims: 1 } => Some([s(0), 0.0, 0.09]),
            Self::Latents { .. } => Some([s(0), 0.0, s(1)]),
            Self::Pca { pca, dims } => {
                let of = |a: usize, b: usize| {
                    (0..*dims).map(|d| pca.directions[a][d] * pca.directions[b][d] * s(d)).sum::<f64>()
                };
                Some([of(0, 0), of(0, 1), of(1, 1)])
            }
            Self::Umap { .. } => None,
        }
    }

    /// Whether a place has a code of its own: prior contours and ellipses mean something there.
    pub fn is_linear(&self) -> bool {
        !matches!(self, Self::Umap { .. })
    }
}

/// The mean of the codes of the rows drawn nearest to a place, the nearer the heavier.
fn between(point: [f32; 2], places: &[[f32; 2]], codes: &[f32], dims: usize) -> Vec<f32> {
    let mut near = [(f32::INFINITY, 0usize); NEAREST];
    for (row, place) in places.iter().enumerate() {
        let square = (place[0] - point[0]).powi(2) + (place[1] - point[1]).powi(2);
        if square < near[NEAREST - 1].0 {
            let at = near.partition_point(|(d, _)| *d <= square);
            near[at..].rotate_right(1);
            near[at] = (square, row);
        }
    }
    let (mut code, mut total) = (vec![0.0f32; dims], 0.0f32);
    for (square, row) in near.into_iter().filter(|(d, _)| d.is_finite()) {
        let Some(z) = codes.get(row * dims..(row + 1) * dims) else { continue };
        let weight = 1.0 / (square + 1e-6);
        total += weight;
        code.iter_mut().zip(z).for_each(|(c, z)| *c += weight * z);
    }
    code.iter_mut().for_each(|c| *c /= total.max(1e-12));
    code
}
