//! Do the regions q(z|x) touch, overlap, or leave holes? Two numbers.
//!
//! *Overlap* is the Bhattacharyya coefficient of a region and its nearest ones, 1 for the same, 0 for apart:
//!
//! BC(a, b) = ∫ √(a(z) b(z)) dz = Π_j √(2 σ_a σ_b / (σ_a² + σ_b²)) exp(−(μ_a − μ_b)² / 4(σ_a² + σ_b²))
//!
//! *Holes* are the share of the prior that lies outside every region's 95 % ellipse: a sample from there decodes to what
//! the decoder never learned.
//!
//! Reference: Bhattacharyya, *On a measure of divergence between two statistical populations* (1943).

use super::{Mean, chi_square_quantile};
use crate::array::Array;
use crate::generate::Codes;

/// BC of two normals with independent dimensions, each given by its means and standard deviations.
pub fn bhattacharyya(a: (&[f32], &[f32]), b: (&[f32], &[f32])) -> f64 {
    let dimensions = a.0.iter().zip(a.1).zip(b.0.iter().zip(b.1));
    let log: f64 = dimensions
        .map(|((&ma, &sa), (&mb, &sb))| {
            let [ma, sa, mb, sb] = [ma, sa, mb, sb].map(f64::from);
            let variances = (sa * sa + sb * sb).max(f64::MIN_POSITIVE);
            0.5 * (2.0 * sa * sb / variances).ln() - (ma - mb).powi(2) / (4.0 * variances)
        })
        .sum();
    log.exp()
}

/// For each region the mean coefficient with the `nearest` others that it overlaps most; the mean over the regions. None
/// where the codes are points or alone.
pub fn overlap(codes: &Codes, nearest: usize) -> Option<Mean> {
    let deviation = codes.deviation.as_ref()?;
    let n = codes.mean.rows();
    let nearest = nearest.min(n.checked_sub(1)?);
    if nearest == 0 {
        return None;
    }
    let region = |row: usize| (codes.mean.row(row), deviation.row(row));
    let of_row = |row: usize| {
        let others = (0..n).filter(|&other| other != row);
        let mut all: Vec<f64> = others.map(|other| bhattacharyya(region(row), region(other))).collect();
        all.sort_by(|a, b| b.total_cmp(a));
        all[..nearest].iter().sum::<f64>() / nearest as f64
    };
    Some(Mean::of(&(0..n).map(of_row).collect::<Vec<_>>()))
}

/// The share of `draws` from the prior (`Model::prior_codes` makes them) outside of every region's ellipse of that `mass`,
/// such as 0.95. None where the codes are points: they have no extent, and all is hole.
pub fn holes(codes: &Codes, draws: &Array, mass: f64) -> Option<Mean> {
    let outside: Vec<f64> =
        outside(codes, draws, mass)?.into_iter().map(|o| f64::from(u8::from(o))).collect();
    Some(Mean::of(&outside))
}

/// Whether each of `draws` lies outside of every region's ellipse of that `mass`.
pub(super) fn outside(codes: &Codes, draws: &Array, mass: f64) -> Option<Vec<bool>> {
    let deviation = codes.deviation.as_ref()?;
    let reach = chi_square_quantile(codes.mean.width(), mass);
    let inside = |z: &[f32], row: usize| {
        let mut square = 0.0;
        for ((z, mean), deviation) in z.iter().zip(codes.mean.row(row)).zip(deviation.row(row)) {
            square += f64::from((z - mean) / deviation.max(f32::MIN_POSITIVE)).powi(2);
            if square > reach {
                return false;
            }
        }
        true
    };
    let regions = codes.mean.rows();
    Some((0..draws.rows()).map(|draw| !(0..regions).any(|row| inside(draws.row(draw), row))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Key;

    fn codes(mean: &[f32], deviation: &[f32], dims: usize) -> Codes {
        Codes {
            mean: Array::matrix(mean.to_vec(), dims),
            deviation: Some(Array::matrix(deviation.to_vec(), dims)),
        }
    }

    fn prior(count: usize, dims: usize) -> Array {
        let mut values = vec![0.0; count * dims];
        Key::from_seed(5).normals(&mut values);
        Array::matrix(values, dims)
    }

    #[test]
    fn the_coefficient_is_the_integral() {
        // Two unit normals at distance d: exp(−d²/8); a region with itself: 1.
        let unit = [1.0f32; 3];
        let found = bhattacharyya((&[0.0, 0.0, 0.0], &unit), (&[2.0, 1.0, 2.0], &unit));
        assert!((found - (-9.0f64 / 8.0).exp()).abs() < 1e-12);
        assert!((bhattacharyya((&[0.3], &[0.2]), (&[0.3], &[0.2])) - 1.0).abs() < 1e-12);
        // Unequal widths, against quadrature.
        let normal = |z: f64, m: f64, s: f64| {
            (-(z - m).powi(2) / (2.0 * s * s)).exp() / (s * std::f64::consts::TAU.sqrt())
        };
        let integral: f64 = (-20_000..20_000)
            .map(|i| f64::from(i) * 1e-3)
            .map(|z| (normal(z, -0.5, 0.5) * normal(z, 1.0, 2.0)).sqrt() * 1e-3)
            .sum();
        assert!((bhattacharyya((&[-0.5], &[0.5]), (&[1.0], &[2.0])) - integral).abs() < 1e-9);
    }

    #[test]
    fn overlap_reads_the_nearest_regions() {
        // On a line at 0, 1, 5, all of width 1: the nearest are at 1, 1, 4.
        let codes = codes(&[0.0, 1.0, 5.0], &[1.0; 3], 1);
        let expected = (2.0 * (-1.0f64 / 8.0).exp() + (-2.0f64).exp()) / 3.0;
        assert!((overlap(&codes, 1).unwrap().value - expected).abs() < 1e-9);
        assert!(overlap(&codes, 99).unwrap().value < expected);
        let point = Codes { deviation: None, ..codes };
        assert!(overlap(&point, 1).is_none() && holes(&point, &prior(10, 1), 0.95).is_none());
    }

    #[test]
    fn a_single_region_leaves_the_prior_outside_its_ellipse() {
        // q = p in two dimensions: 5 %. q half as wide: P(χ²₂ > −2 ln 0.05 / 4) = 0.05^¼.
        let draws = prior(40_000, 2);
        for (width, expected) in [(1.0f32, 0.05f64), (0.5, 0.05f64.powf(0.25))] {
            let found = holes(&codes(&[0.0; 2], &[width; 2], 2), &draws, 0.95).unwrap();
            assert!((found.value - expected).abs() < 4.0 * found.error, "{width}: {found:?} {expected}");
        }
        // A second region that covers the plane leaves no hole.
        let found = holes(&codes(&[0.0; 4], &[0.1, 0.1, 9.0, 9.0], 2), &draws, 0.95).unwrap();
        assert_eq!(found.value, 0.0);
    }
}
