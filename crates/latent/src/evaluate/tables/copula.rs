//! The baseline that everybody can have in seconds: a Gaussian copula. Each column keeps its own distribution to the row; all
//! that is learned is one matrix of correlations.
//!
//! z_j = Φ⁻¹(F_j(x_j)),   R = corr(z);   x_j = F_j⁻¹(Φ(z_j)) for z ~ N(0, R)
//!
//! Equal cells take the middle of the values of F that are theirs. Categories stand in the order of their names, gaps before
//! everything.
//! Its marginals are excellent, and boosted trees know its rows all the same: whoever is not clearly better need not train.
//!
//! References: Nelsen, *An Introduction to Copulas* (2006); Patki et al., *The Synthetic Data Vault* (DSAA 2016).

use faer::{Mat, Side};

use super::columns::{Column, Columns};
use crate::evaluate::statistics::chi_square::lower_gamma;
use crate::key::Key;

/// A fitted copula.
pub struct Copula {
    train: Columns,
    /// The rows of each column in the order of its cells.
    orders: Vec<Vec<u32>>,
    /// Lower triangle, R = L Lᵀ.
    factor: Mat<f64>,
}

impl Copula {
    /// Learns from these rows; none where there are too few for a correlation.
    pub fn fit(train: &Columns) -> Option<Self> {
        let (n, width) = (train.rows(), train.width());
        if n < 3 || width == 0 {
            return None;
        }
        let ranks: Vec<Vec<u32>> = train.columns().iter().map(ranks).collect();
        let orders: Vec<Vec<u32>> = ranks.iter().map(|ranks| order(ranks)).collect();
        let mut scores = Mat::<f64>::zeros(n, width);
        for (column, (ranks, order)) in ranks.iter().zip(&orders).enumerate() {
            let mut first = 0;
            for tied in order.chunk_by(|&a, &b| ranks[a as usize] == ranks[b as usize]) {
                let score = probit((first as f64 + 0.5 * tied.len() as f64) / n as f64);
                tied.iter().for_each(|&row| scores[(row as usize, column)] = score);
                first += tied.len();
            }
        }
        let means: Vec<f64> =
            (0..width).map(|j| (0..n).map(|i| scores[(i, j)]).sum::<f64>() / n as f64).collect();
        let scores = Mat::from_fn(n, width, |i, j| scores[(i, j)] - means[j]);
        let products = scores.transpose() * &scores;
        // A constant column hangs together with none.
        let shrunk = |i: usize, j: usize| match (products[(i, i)] * products[(j, j)]).sqrt() {
            _ if i == j => 1.0 + 1e-9,
            size if size > 1e-12 * n as f64 => products[(i, j)] / size,
            _ => 0.0,
        };
        let factor = Mat::from_fn(width, width, shrunk).llt(Side::Lower).ok()?.L().to_owned();
        Some(Self { train: train.clone(), orders, factor })
    }

    /// New rows.
    pub fn sample(&self, count: usize, key: Key) -> Columns {
        let width = self.orders.len();
        let mut noise = vec![0f32; count * width];
        key.normals(&mut noise);
        let n = self.train.rows();
        let mut rows = vec![vec![0usize; count]; width];
        for (row, noise) in noise.chunks_exact(width).enumerate() {
            #[allow(clippy::needless_range_loop, reason = "several arrays are read at the same place")]
            for column in 0..width {
                let z: f64 = (0..=column).map(|k| self.factor[(column, k)] * f64::from(noise[k])).sum();
                let rank = (normal_share(z) * n as f64) as usize;
                rows[column][row] = self.orders[column][rank.min(n - 1)] as usize;
            }
        }
        let columns =
            self.train.columns().iter().zip(&rows).map(|(column, rows)| column.rows(rows)).collect();
        // Names and lengths are those of the training table.
        Columns::new(self.train.names().to_vec(), columns).unwrap_or_default()
    }
}

/// The place of each row's cell among the distinct ones, a gap first.
fn ranks(column: &Column) -> Vec<u32> {
    match column {
        Column::Numbers(values) => {
            let mut distinct: Vec<f64> = values.iter().copied().filter(|value| !value.is_nan()).collect();
            distinct.sort_by(f64::total_cmp);
            distinct.dedup();
            let rank = |value: &f64| match value.is_nan() {
                true => 0,
                false => 1 + distinct.partition_point(|other| other < value) as u32,
            };
            values.iter().map(rank).collect()
        }
        Column::Categories { codes, levels } => {
            let mut by_name: Vec<usize> = (0..levels.len()).collect();
            by_name.sort_by(|&a, &b| levels[a].cmp(&levels[b]));
            let mut rank = vec![0; levels.len()];
            by_name.into_iter().enumerate().for_each(|(place, level)| rank[level] = place as u32);
            codes.iter().map(|code| rank[*code as usize]).collect()
        }
    }
}

/// The rows from the least rank to the greatest.
fn order(ranks: &[u32]) -> Vec<u32> {
    let mut order: Vec<u32> = (0..ranks.len() as u32).collect();
    order.sort_by_key(|&row| ranks[row as usize]);
    order
}

/// Φ(z) = ½ + ½ sign(z) γ(½, z²/2)/Γ(½)
fn normal_share(z: f64) -> f64 {
    0.5 + 0.5 * z.signum() * lower_gamma(0.5, 0.5 * z * z)
}

/// Φ⁻¹(p) by bisected Newton steps from a bracket that holds every p of a table.
fn probit(p: f64) -> f64 {
    let (mut low, mut high, mut z) = (-9.0, 9.0, 0.0);
    for _ in 0..60 {
        let excess = normal_share(z) - p;
        if excess > 0.0 {
            high = z
        } else {
            low = z
        }
        let density = (-0.5 * z * z).exp() / (2.0 * std::f64::consts::PI).sqrt();
        let next = z - excess / density;
        let next = if next > low && next < high { next } else { 0.5 * (low + high) };
        if (next - z).abs() < 1e-13 {
            break;
        }
        z = next;
    }
    z
}

#[cfg(test)]
mod tests {
    use super::super::columns::tests::table;
    use super::super::trend::pearson;
    use super::*;

    #[test]
    fn the_normal_distribution_is_scipys() {
        // scipy.stats.norm: cdf(-4.2), cdf(0.7), cdf(3.5), ppf(0.975), ppf(1e-5).
        let shares =
            [(-4.2, 1.334_574_901_590_6e-5), (0.7, 0.758_036_347_776_927), (3.5, 0.999_767_370_920_964_5)];
        for (z, expected) in shares {
            assert!((normal_share(z) - expected).abs() < 1e-11, "{z}");
        }
        assert!((probit(0.975) - 1.959_963_984_540_054).abs() < 1e-10);
        assert!((probit(1e-5) + 4.264_890_793_922_602).abs() < 1e-8);
    }

    #[test]
    fn a_normal_of_two_columns_is_learned_and_marginals_are_kept() {
        let n = 4000;
        let mut u = vec![0f32; 2 * n];
        Key::from_seed(1).normals(&mut u);
        let x: Vec<f64> = u[..n].iter().map(|v| f64::from(*v)).collect();
        let y: Vec<f64> = x.iter().zip(&u[n..]).map(|(x, e)| (0.8 * x + 0.6 * f64::from(*e)).exp()).collect();
        let gaps: Vec<f64> = x.iter().map(|x| if *x < -1.0 { f64::NAN } else { x.round() }).collect();
        let real = table(vec![Column::Numbers(x), Column::Numbers(y), Column::Numbers(gaps)]);
        let fake = Copula::fit(&real).unwrap().sample(n, Key::from_seed(3));
        let errors = super::super::shape::shape(&real, &fake);
        assert!(errors.iter().all(|error| *error < 0.04), "{errors:?}");
        let log = |column: &Column| match column {
            Column::Numbers(values) => values.iter().map(|v| v.ln()).collect::<Vec<f64>>(),
            Column::Categories { .. } => Vec::new(),
        };
        let Column::Numbers(x) = &fake.columns()[0] else { panic!() };
        let r = pearson(x, &log(&fake.columns()[1]));
        assert!((r - 0.8).abs() < 0.03, "{r}");
        let gaps = super::super::kept::gap_rates(&fake);
        assert!((gaps[2] - 0.159).abs() < 0.03, "{gaps:?}");
        assert!(Copula::fit(&real.take(&[0])).is_none());
    }
}
