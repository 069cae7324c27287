//! How far is the aggregate posterior from the prior? The squared maximum mean discrepancy of two samples, unbiased:
//!
//! MMD² = 1/n(n−1) Σ_{i≠j} [k(a_i, a_j) + k(b_i, b_j)] − 2/n² Σ_{i,j} k(a_i, b_j),   k = Σ_s C_s / (C_s + ‖a − b‖²)
//!
//! with C_s = 2 d s over the scales of the Wasserstein autoencoder. About 0 (and below 0 as often as above) where both are
//! the same; the interval is the delete-a-group jackknife over pairs of groups.
//!
//! References: Gretton et al. (JMLR 2012); Tolstikhin et al., *Wasserstein Auto-Encoders* (arXiv 1711.01558).

use crate::array::Array;
use crate::evaluate::Estimate;
use crate::evaluate::statistics::jackknife::jackknife;

/// The scales that the kernel is summed over.
pub const SCALES: [f32; 7] = [0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0];

/// Groups of the jackknife.
const GROUPS: usize = 20;

/// MMD² of two samples of equal size; none with fewer than 40 rows.
pub fn mmd(a: &Array, b: &Array) -> Option<Estimate> {
    let n = a.rows().min(b.rows());
    if n < 2 * GROUPS {
        return None;
    }
    let group = |row: usize| row * GROUPS / n;
    // Sums of the kernel over pairs, by the groups of both: within a, within b (without the diagonal), across.
    let mut sums = vec![[0.0f64; 3]; GROUPS * GROUPS];
    for i in 0..n {
        let mut row = [[0.0f64; 3]; GROUPS];
        for j in 0..n {
            let place = &mut row[group(j)];
            if i != j {
                place[0] += kernel(a.row(i), a.row(j));
                place[1] += kernel(b.row(i), b.row(j));
            }
            place[2] += kernel(a.row(i), b.row(j));
        }
        for (g, values) in row.iter().enumerate() {
            for (sum, value) in sums[group(i) * GROUPS + g].iter_mut().zip(values) {
                *sum += value;
            }
        }
    }
    let sizes: Vec<usize> = (0..GROUPS).map(|g| (0..n).filter(|&row| group(row) == g).count()).collect();
    let without = |left_out: Option<usize>| {
        let count = n - left_out.map_or(0, |g| sizes[g]);
        let mut total = [0.0; 3];
        for (place, values) in sums.iter().enumerate() {
            if left_out != Some(place / GROUPS) && left_out != Some(place % GROUPS) {
                total.iter_mut().zip(values).for_each(|(t, v)| *t += v);
            }
        }
        let (pairs, all) = ((count * (count - 1)) as f64, (count * count) as f64);
        (total[0] + total[1]) / pairs - 2.0 * total[2] / all
    };
    let each: Vec<f64> = (0..GROUPS).map(|g| without(Some(g))).collect();
    Some(jackknife(without(None), &each))
}

/// Σ_s C_s / (C_s + ‖a − b‖²)
fn kernel(a: &[f32], b: &[f32]) -> f64 {
    let square: f32 = a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum();
    let dims = 2.0 * a.len() as f32;
    SCALES.iter().map(|s| f64::from(dims * s / (dims * s + square))).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Key;

    fn normals(seed: u64, n: usize, deviation: f32, shift: [f32; 3]) -> Array {
        let mut values = vec![0.0; 3 * n];
        Key::from_seed(seed).normals(&mut values);
        values
            .chunks_mut(3)
            .for_each(|row| row.iter_mut().zip(shift).for_each(|(v, m)| *v = *v * deviation + m));
        Array::matrix(values, 3)
    }

    #[test]
    fn normals_are_as_far_apart_as_the_integral_says() {
        // N((0.5, 0, −0.3), 0.64 I) against N(0, I): quadrature in bench/latents.py.
        let exact = 0.191_058_518_978_191_54;
        let found = mmd(&normals(1, 1500, 0.8, [0.5, 0.0, -0.3]), &normals(2, 1500, 1.0, [0.0; 3])).unwrap();
        let error = (found.high - found.low) / 3.92;
        assert!((found.value - exact).abs() < 3.0 * error && error < 0.15 * exact, "{found:?}");
    }

    #[test]
    fn equal_laws_have_a_discrepancy_about_0() {
        let (mut inside, mut mean) = (0, 0.0);
        for seed in 0..20 {
            let found =
                mmd(&normals(100 + seed, 200, 1.0, [0.0; 3]), &normals(200 + seed, 200, 1.0, [0.0; 3]))
                    .unwrap();
            inside += u32::from(found.low <= 0.0 && found.high >= 0.0);
            mean += found.value / 20.0;
        }
        assert!(inside >= 17 && mean.abs() < 0.004, "{inside} {mean}");
        assert!(mmd(&normals(1, 10, 1.0, [0.0; 3]), &normals(2, 10, 1.0, [0.0; 3])).is_none());
    }
}
