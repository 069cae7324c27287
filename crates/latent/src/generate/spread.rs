//! Where the codes of data are: their mean and covariance, and how far out a code lies among them.
//!
//! ```text
//! m(z)² = (z − μ)ᵀ Σ⁻¹ (z − μ),   Σ = (1 − λ) S + λ (tr S / d) I,   S = Σ_i (z_i − μ)(z_i − μ)ᵀ / n
//! nearer(z) = the share of the data's codes with m(z_i) < m(z)
//! ```
//!
//! λ is what errs least for n codes of d dimensions, so that Σ can be inverted for fewer codes than dimensions, too.
//!
//! Reference: Ledoit & Wolf, *A well-conditioned estimator for large-dimensional covariance matrices* (JMVA 88, 2004).

use faer::linalg::triangular_solve::solve_lower_triangular_in_place;
use faer::{Mat, MatRef, Par, Side};

use super::Result;
use crate::array::Array;
use crate::model::ModelError;

/// The distribution of some codes, as far as mean and covariance tell it.
#[derive(Clone, Debug)]
pub struct Spread {
    mean: Vec<f64>,
    covariance: Mat<f64>,
    /// L, lower triangular, with Σ = L Lᵀ.
    factor: Mat<f64>,
    /// m(z_i)² of the codes themselves, in rising order.
    squares: Vec<f64>,
}

/// How far out a code lies among those of data.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Place {
    /// This share of codes is nearer to their mean: less than [`EDGE`].
    Inside(f64),
    /// This share of codes is nearer to their mean: at least [`EDGE`], and not all.
    Edge(f64),
    /// All codes are nearer to their mean.
    Outside,
}

/// The share of nearer codes from which a code lies at the edge.
pub const EDGE: f64 = 0.95;

/// Fewer codes than this say nothing of where codes are.
const LEAST_ROWS: usize = 8;

impl Place {
    /// From the share of nearer codes.
    fn of(nearer: f64) -> Self {
        match nearer {
            share if share < EDGE => Self::Inside(share),
            share if share < 1.0 => Self::Edge(share),
            _ => Self::Outside,
        }
    }

    /// The share of the data's codes that are nearer to their mean.
    pub fn nearer(self) -> f64 {
        match self {
            Self::Inside(share) | Self::Edge(share) => share,
            Self::Outside => 1.0,
        }
    }

    /// In a word or two, for a caption.
    pub fn short(self) -> String {
        match self {
            Self::Inside(_) => "inside".into(),
            Self::Edge(share) => format!("edge {}", percent(share)),
            Self::Outside => "outside".into(),
        }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Inside(_) => f.write_str("inside"),
            Self::Edge(share) => write!(f, "at the edge: {} of codes are nearer", percent(*share)),
            Self::Outside => f.write_str("outside"),
        }
    }
}

/// Whole percents, and never 100 for less than all.
fn percent(share: f64) -> String {
    match 100.0 * share {
        most if most >= 99.0 => format!("{:.1} %", (10.0 * most).floor() / 10.0),
        percent => format!("{percent:.0} %"),
    }
}

impl Spread {
    /// Of these codes, `rows × dims`.
    ///
    /// # Errors
    /// [`ModelError::Foreign`] for fewer than 8 codes, for what is no number, and for codes that are all the same.
    pub fn of(codes: &Array) -> Result<Self> {
        let (n, d) = (codes.rows(), codes.width());
        let refused = |what: String, remedy: &str| ModelError::Foreign { what, remedy: remedy.into() };
        if n < LEAST_ROWS {
            let what = format!("{n} codes don't say where codes are, and at least {LEAST_ROWS} do");
            return Err(refused(what, "give more rows, or set data.validation to a larger share").into());
        }
        if let Some(at) = codes.values.iter().position(|z| !z.is_finite()) {
            let what = format!("the code of row {} is NaN or infinite", at / d.max(1));
            return Err(refused(what, "train the model anew with a lower learning rate").into());
        }
        let rows = || codes.values.chunks(d.max(1));
        let mut mean = vec![0.0; d];
        rows().for_each(|row| mean.iter_mut().zip(row).for_each(|(m, z)| *m += f64::from(*z) / n as f64));
        let centred: Vec<f64> =
            rows().flat_map(|row| row.iter().zip(&mean).map(|(z, m)| f64::from(*z) - m)).collect();
        let matrix = MatRef::from_row_major_slice(&centred, n, d);
        let scatter = matrix.transpose() * matrix;
        let sample = Mat::from_fn(d, d, |i, j| scatter[(i, j)] / n as f64);

        let even = (0..d).map(|j| sample[(j, j)]).sum::<f64>() / d.max(1) as f64;
        let squared = |m: &Mat<f64>, less: f64| -> f64 {
            (0..d).flat_map(|i| (0..d).map(move |j| (i, j))).fold(0.0, |sum, (i, j)| {
                let of = if i == j { less } else { 0.0 };
                sum + (m[(i, j)] - of).powi(2)
            })
        };
        let fourth: f64 =
            centred.chunks(d.max(1)).map(|row| row.iter().map(|z| z * z).sum::<f64>().powi(2)).sum();
        let (apart, error) =
            (squared(&sample, even), (fourth / n as f64 - squared(&sample, 0.0)).max(0.0) / n as f64);
        let shrinkage = if apart > 0.0 { (error / apart).min(1.0) } else { 1.0 };
        let covariance = Mat::from_fn(d, d, |i, j| {
            let target = if i == j { even } else { 0.0 };
            // A trace of the target is always there: a dimension that never varies has a variance of rounding.
            let share = shrinkage.max(1e-9);
            (1.0 - share) * sample[(i, j)] + share * target
        });
        // Below single precision a spread is rounding.
        let largest = mean.iter().fold(1e-12, |most: f64, m| most.max(m.abs()));
        let varies = even.sqrt() > 1e-6 * largest;
        let factor = varies.then(|| covariance.llt(Side::Lower).ok()).flatten();
        let Some(factor) = factor.map(|llt| llt.L().to_owned()) else {
            let what = "the codes of all rows are the same".to_string();
            return Err(refused(what, "train the model anew: its encoder has collapsed").into());
        };
        let mut solved = Mat::from_fn(d, n, |j, row| centred[row * d + j]);
        solve_lower_triangular_in_place(factor.as_ref(), solved.as_mut(), Par::Seq);
        let mut squares: Vec<f64> = (0..n).map(|row| solved.col(row).squared_norm_l2()).collect();
        squares.sort_by(f64::total_cmp);
        Ok(Self { mean, covariance, factor, squares })
    }

    /// How many codes it is of.
    pub fn rows(&self) -> usize {
        self.squares.len()
    }

    /// The number of dimensions of z.
    pub fn dims(&self) -> usize {
        self.mean.len()
    }

    /// The standard deviation of codes along a direction v of any length: √(vᵀ Σ v) / |v|.
    pub fn along(&self, direction: &[f32]) -> f64 {
        let v: Vec<f64> = direction.iter().map(|v| f64::from(*v)).collect();
        let quadratic: f64 = v
            .iter()
            .enumerate()
            .map(|(i, a)| v.iter().enumerate().map(|(j, b)| a * b * self.covariance[(i, j)]).sum::<f64>())
            .sum();
        (quadratic / v.iter().map(|v| v * v).sum::<f64>()).sqrt()
    }

    /// How far out a code lies.
    pub fn place(&self, code: &[f32]) -> Place {
        let square = self.squared_distance(code);
        let nearer = self.squares.partition_point(|known| *known < square);
        Place::of(nearer as f64 / self.squares.len() as f64)
    }

    /// m(z)² = |L⁻¹ (z − μ)|²
    fn squared_distance(&self, code: &[f32]) -> f64 {
        let mut solved = Mat::from_fn(self.dims(), 1, |j, _| f64::from(code[j]) - self.mean[j]);
        solve_lower_triangular_in_place(self.factor.as_ref(), solved.as_mut(), Par::Seq);
        solved.squared_norm_l2()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Key;

    /// z = (3 a, a + b) of standard normal a and b.
    fn codes(n: usize) -> Array {
        let mut noise = vec![0.0; 2 * n];
        Key::from_seed(3).normals(&mut noise);
        Array::matrix(noise.chunks(2).flat_map(|e| [3.0 * e[0], e[0] + e[1]]).collect(), 2)
    }

    #[test]
    fn deviations_and_shares_are_those_of_the_normal() {
        let spread = Spread::of(&codes(20_000)).expect("codes");
        for (direction, deviation) in
            [([1.0, 0.0], 3.0), ([0.0, 5.0], 2f64.sqrt()), ([1.0, 1.0], 8.5f64.sqrt())]
        {
            assert!((spread.along(&direction) / deviation - 1.0).abs() < 0.02, "{direction:?}");
        }
        // m² of two dimensions is exponential: P(m < r) = 1 − exp(−r²/2); the code of (a, b) has r² = a² + b².
        for (a, b) in [(0.5f32, 0.0f32), (1.0, -1.0), (0.0, 2.0), (2.0, 1.5)] {
            let share = 1.0 - f64::from((-(a * a + b * b) / 2.0).exp());
            let found = spread.place(&[3.0 * a, a + b]).nearer();
            assert!((found - share).abs() < 0.015, "{a} {b}: {found} for {share}");
        }
        assert_eq!(spread.place(&[60.0, -20.0]), Place::Outside);
        assert!(matches!(spread.place(&[0.0, 0.0]), Place::Inside(_)));
    }

    #[test]
    fn fewer_codes_than_dimensions_have_a_spread() {
        let mut values = vec![0.0; 10 * 40];
        Key::from_seed(1).normals(&mut values);
        let spread = Spread::of(&Array::matrix(values.clone(), 40)).expect("codes");
        assert_eq!(spread.place(&[0.0; 40]).nearer(), 0.0);
        assert_eq!(spread.place(&[9.0; 40]), Place::Outside);
        assert!(Spread::of(&Array::matrix(values[..280].to_vec(), 40)).is_err());
        assert!(Spread::of(&Array::matrix(vec![1.0; 400], 40)).is_err());
        values[7] = f32::NAN;
        assert!(Spread::of(&Array::matrix(values, 40)).is_err());
    }

    #[test]
    fn a_place_is_said_in_words() {
        assert_eq!(Place::of(0.5).to_string(), "inside");
        assert_eq!(Place::of(0.98).to_string(), "at the edge: 98 % of codes are nearer");
        assert_eq!(Place::of(0.9999).short(), "edge 99.9 %");
        assert_eq!(Place::of(1.0).to_string(), "outside");
    }
}
