//! Logistic regression of classes: P(c|x) ∝ exp(w_c·x + b_c), fitted by maximising
//!
//! Σ_i ln P(c_i|x_i) − ½ λ Σ_c ‖w_c‖²
//!
//! The curvature of the likelihood is nowhere more than ½ XᵀX a class (Böhning's bound), so one Cholesky factor of
//! B = ½ XᵀX + λ I serves every step w ← w + B⁻¹ gradient, which never overshoots; momentum, given up whenever it points
//! uphill, makes up for the caution.
//!
//! References: Böhning, *Multinomial logistic regression algorithm* (1992); O'Donoghue & Candès, *Adaptive restart for
//! accelerated gradient schemes* (2015).

use faer::linalg::solvers::Solve;
use faer::{Mat, Side};

/// Steps at most.
const STEPS: usize = 500;

/// Weights of classes.
pub struct Logistic {
    /// `features + 1` rows, the last one b, by classes.
    weights: Mat<f64>,
}

impl Logistic {
    /// Fits `classes` on row-major `x` of `features` numbers a row. None where a number is not finite or there is no row.
    pub fn fit(x: &[f64], features: usize, y: &[u32], classes: usize, penalty: f64) -> Option<Self> {
        let n = y.len();
        if n == 0 || classes == 0 || x.len() != n * features || x.iter().any(|v| !v.is_finite()) {
            return None;
        }
        let x = with_one(x, features);
        let decay = |i: usize| if i < features { penalty } else { 0.0 };
        let gram = x.transpose() * &x;
        let bound = Mat::from_fn(features + 1, features + 1, |i, j| {
            // A little on the diagonal, lest a column of zeros make it singular.
            0.5 * gram[(i, j)] + if i == j { decay(i) + 1e-9 * n as f64 } else { 0.0 }
        });
        let factor = bound.llt(Side::Lower).ok()?;
        let mut weights = Mat::<f64>::zeros(features + 1, classes);
        let mut ahead = weights.clone();
        let mut momentum = 1.0f64;
        for _ in 0..STEPS {
            let mut residual = probabilities(&x, &ahead);
            for i in 0..n {
                for c in 0..classes {
                    residual[(i, c)] = f64::from(u8::from(y[i] as usize == c)) - residual[(i, c)];
                }
            }
            let mut gradient = x.transpose() * &residual;
            for i in 0..=features {
                for c in 0..classes {
                    gradient[(i, c)] -= decay(i) * ahead[(i, c)];
                }
            }
            let next = &ahead + &factor.solve(&gradient);
            let (mut uphill, mut moved) = (0.0, 0.0f64);
            for i in 0..=features {
                for c in 0..classes {
                    let change = next[(i, c)] - weights[(i, c)];
                    uphill += gradient[(i, c)] * change;
                    moved = moved.max(change.abs());
                }
            }
            let following =
                if uphill < 0.0 { 1.0 } else { 0.5 * (1.0 + (1.0 + 4.0 * momentum * momentum).sqrt()) };
            let share = if uphill < 0.0 { 0.0 } else { (momentum - 1.0) / following };
            ahead = Mat::from_fn(features + 1, classes, |i, c| {
                next[(i, c)] + share * (next[(i, c)] - weights[(i, c)])
            });
            weights = next;
            momentum = following;
            if moved < 1e-9 {
                break;
            }
        }
        Some(Self { weights })
    }

    /// The likeliest class of each row.
    pub fn predict(&self, x: &[f64]) -> Vec<u32> {
        let features = self.weights.nrows() - 1;
        let scores = with_one(x, features) * &self.weights;
        let classes = self.weights.ncols();
        (0..scores.nrows())
            .map(|i| {
                let best =
                    (1..classes).fold(0, |best, c| if scores[(i, c)] > scores[(i, best)] { c } else { best });
                best as u32
            })
            .collect()
    }

    /// w_c of each class.
    #[cfg(test)]
    fn coefficients(&self) -> Vec<Vec<f64>> {
        let (rows, classes) = (self.weights.nrows(), self.weights.ncols());
        (0..classes).map(|c| (0..rows).map(|i| self.weights[(i, c)]).collect()).collect()
    }
}

/// [x, 1]
fn with_one(x: &[f64], features: usize) -> Mat<f64> {
    let n = x.len() / features.max(1);
    Mat::from_fn(n, features + 1, |i, j| if j < features { x[i * features + j] } else { 1.0 })
}

/// Softmax of each row's scores.
fn probabilities(x: &Mat<f64>, weights: &Mat<f64>) -> Mat<f64> {
    let mut p = x * weights;
    for i in 0..p.nrows() {
        let most = (0..p.ncols()).fold(f64::NEG_INFINITY, |most, c| most.max(p[(i, c)]));
        let mut sum = 0.0;
        for c in 0..p.ncols() {
            p[(i, c)] = (p[(i, c)] - most).exp();
            sum += p[(i, c)];
        }
        for c in 0..p.ncols() {
            p[(i, c)] /= sum;
        }
    }
    p
}

/// Mean and standard deviation of each column of some rows, that others are brought to one scale with.
pub struct Scaling {
    mean: Vec<f64>,
    deviation: Vec<f64>,
}

impl Scaling {
    /// Of row-major `x`.
    pub fn of(x: &[f64], features: usize) -> Self {
        let n = (x.len() / features.max(1)).max(1) as f64;
        let (mut mean, mut deviation) = (vec![0.0; features], vec![0.0; features]);
        for row in x.chunks(features.max(1)) {
            mean.iter_mut().zip(row).for_each(|(m, v)| *m += v / n);
        }
        for row in x.chunks(features.max(1)) {
            deviation.iter_mut().zip(row.iter().zip(&mean)).for_each(|(d, (v, m))| *d += (v - m).powi(2) / n);
        }
        // A column that never changes says nothing, whatever its scale.
        deviation.iter_mut().for_each(|d| *d = if *d > 1e-20 { d.sqrt() } else { 1.0 });
        Self { mean, deviation }
    }

    /// (x − mean) / deviation
    pub fn apply(&self, x: &mut [f64]) {
        for row in x.chunks_mut(self.mean.len().max(1)) {
            for ((v, m), d) in row.iter_mut().zip(&self.mean).zip(&self.deviation) {
                *v = (*v - m) / d;
            }
        }
    }
}

/// Whether each row's class is told rightly by a fit on the other half of the rows (even against odd places), on
/// standardised features.
pub fn cross_fitted(
    x: &[f64],
    features: usize,
    y: &[u32],
    classes: usize,
    penalty: f64,
) -> Option<Vec<bool>> {
    let half = |parity: usize| {
        let rows = || (0..y.len()).filter(move |i| i % 2 == parity);
        let x: Vec<f64> = rows().flat_map(|i| x[i * features..(i + 1) * features].iter().copied()).collect();
        (x, rows().map(|i| y[i]).collect::<Vec<u32>>())
    };
    let mut right = vec![false; y.len()];
    for held_out in 0..2 {
        let ((mut train, labels), (mut test, _)) = (half(1 - held_out), half(held_out));
        let scaling = Scaling::of(&train, features);
        scaling.apply(&mut train);
        scaling.apply(&mut test);
        let told = Logistic::fit(&train, features, &labels, classes, penalty)?.predict(&test);
        for (place, told) in told.into_iter().enumerate() {
            let row = 2 * place + held_out;
            right[row] = told == y[row];
        }
    }
    Some(right)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three overlapping classes by a formula that bench/latents.py repeats.
    fn data() -> (Vec<f64>, Vec<u32>) {
        let (mut x, mut y) = (Vec::new(), Vec::new());
        for i in 0..120 {
            let (t, class) = (f64::from(i), i as u32 % 3);
            let c = f64::from(class);
            x.extend([
                (1.7 * t).sin() + 0.8 * c,
                (2.3 * t).cos() - 0.5 * c,
                (0.9 * t).sin() * (1.1 * t).cos(),
            ]);
            y.push(class);
        }
        (x, y)
    }

    #[test]
    fn the_fit_is_scikit_learns() {
        let (x, y) = data();
        let fit = Logistic::fit(&x, 3, &y, 3, 1.0).unwrap();
        // sklearn.linear_model.LogisticRegression(C=1, tol=1e-10) in bench/latents.py: coef_ and intercept_.
        let expected = SKLEARN;
        // Both may add the same to the intercepts of all classes: differences are compared.
        let found = fit.coefficients();
        for c in 0..3 {
            for j in 0..3 {
                assert!((found[c][j] - expected[c][j]).abs() < 1e-5, "{found:?}");
            }
            let (mine, theirs) = (found[c][3] - found[0][3], expected[c][3] - expected[0][3]);
            assert!((mine - theirs).abs() < 1e-5, "{mine} {theirs}");
        }
        let right = fit.predict(&x).iter().zip(&y).filter(|(a, b)| a == b).count();
        assert_eq!(right, SKLEARN_RIGHT);
        assert!(Logistic::fit(&[f64::NAN], 1, &[0], 1, 1.0).is_none());
    }

    #[test]
    fn classes_apart_are_told_and_noise_is_not() {
        let x: Vec<f64> =
            (0..200).flat_map(|i| [f64::from(i % 4 / 2) * 3.0 + f64::from(i).sin(), 0.0]).collect();
        let y: Vec<u32> = (0..200).map(|i| i % 4 / 2).collect();
        assert!(cross_fitted(&x, 2, &y, 2, 1.0).unwrap().iter().all(|right| *right));
        let none: Vec<u32> =
            crate::Key::from_seed(1).permutation(200).iter().map(|i| *i as u32 % 2).collect();
        let share = cross_fitted(&x, 2, &none, 2, 1.0).unwrap().iter().filter(|r| **r).count() as f64 / 200.0;
        assert!((0.3..0.7).contains(&share), "{share}");
    }

    const SKLEARN: [[f64; 4]; 3] = [
        [-1.394_244_77, 0.870_210_75, -0.344_521_11, 1.263_255_86],
        [0.016_569_6, -0.063_243_48, 0.056_091_03, 0.459_446_3],
        [1.377_675_17, -0.806_967_27, 0.288_430_08, -1.722_702_16],
    ];
    const SKLEARN_RIGHT: usize = 73;
}
