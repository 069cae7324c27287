//! α-precision: do synthetic rows lie where real ones do? β-recall: do they reach everywhere? Authenticity: are they new?
//!
//! With rows as [points](super::neighbours), c and c′ the means of both tables, and a over 30 levels in [0, 1]:
//!
//! - P(a) = share of synthetic rows within the a-quantile of real distances from c;
//! - R(a) = share of real rows whose nearest synthetic row is no farther than their nearest other real row, and lies within the
//!   a-quantile of those nearest rows' distances from c′;
//! - a score is 1 − Σ_a |a − curve(a)| / Σ_a a;
//! - authenticity is the share of synthetic rows farther from their nearest real row than that is from its nearest other one.
//!
//! Fresh real rows score about 1, ½ and ½: β-recall above that means copies, not quality, and no value stands here without that of
//! fresh real rows beside it. Both tables count equally many rows.
//!
//! Reference: Alaa et al., *How Faithful is your Synthetic Data?* (ICML 2022), in the form "naive" of synthcity, which leaves the
//! target column out. Its authenticity looks up real rows by the places of synthetic ones; here it is as the paper defines it.

use serde::Serialize;

use super::columns::Columns;
use super::detection::quantile;
use super::neighbours::{Distance, Space, nearest};

const LEVELS: usize = 30;

/// What was found, each in [0, 1].
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Fidelity {
    /// 1 is best.
    pub alpha_precision: f64,
    /// About ½ is what fresh real rows have; more are copies.
    pub beta_recall: f64,
    /// About ½ is what fresh real rows have; less are copies.
    pub authenticity: f64,
}

/// Of aligned tables of equally many rows, at least two.
pub fn fidelity(real: &Columns, synthetic: &Columns) -> Option<Fidelity> {
    if real.rows() < 2 || real.rows() != synthetic.rows() {
        return None;
    }
    let space = Space::of(real, &[synthetic]);
    let (points, fakes) = (space.points(real), space.points(synthetic));
    let centre = points.centre();
    let (radii, reached) = (points.from(&centre), fakes.from(&centre));
    let to_real = nearest(&points, &points, Distance::Euclidean, true);
    let to_fake = nearest(&points, &fakes, Distance::Euclidean, false);
    let own = fakes.from(&fakes.centre());
    let depth: Vec<f64> = to_fake.iter().map(|(_, fake)| own[*fake]).collect();
    let covered: Vec<bool> = to_real.iter().zip(&to_fake).map(|(real, fake)| fake.0 <= real.0).collect();
    let (sorted_radii, sorted_depth) = (sorted(&radii), sorted(&depth));
    let share = |count: usize| count as f64 / points.len() as f64;
    let (mut precision, mut recall, mut sum) = (0.0, 0.0, 0.0);
    for level in 0..LEVELS {
        let alpha = level as f64 / (LEVELS - 1) as f64;
        let (radius, bound) = (quantile(&sorted_radii, alpha), quantile(&sorted_depth, alpha));
        let within = reached.iter().filter(|distance| **distance <= radius).count();
        let covered =
            covered.iter().zip(&depth).filter(|(covered, depth)| **covered && **depth <= bound).count();
        precision += (alpha - share(within)).abs();
        recall += (alpha - share(covered)).abs();
        sum += alpha;
    }
    let from_fake = nearest(&fakes, &points, Distance::Euclidean, false);
    let new = from_fake.iter().filter(|(distance, real)| *distance > to_real[*real].0).count();
    Some(Fidelity {
        alpha_precision: 1.0 - precision / sum,
        beta_recall: 1.0 - recall / sum,
        authenticity: share(new),
    })
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values
}

#[cfg(test)]
mod tests {
    use super::super::columns::Column;
    use super::super::columns::tests::table;
    use super::*;
    use crate::Key;

    fn normals(seed: u64, scale: f64, n: usize) -> Columns {
        let column = |column: usize| {
            let mut values = vec![0.0; n];
            Key::from_seed(seed).fold(column).normals(&mut values);
            Column::Numbers(values.into_iter().map(|v| scale * f64::from(v)).collect())
        };
        table((0..3).map(column).collect())
    }

    #[test]
    fn fresh_rows_copies_and_a_narrow_model_are_told_apart() {
        let real = normals(1, 1.0, 1500);
        let of = |fake: &Columns| fidelity(&real, fake).unwrap();
        let fresh = of(&normals(2, 1.0, 1500));
        assert!(fresh.alpha_precision > 0.95, "{fresh:?}");
        assert!(
            (fresh.beta_recall - 0.5).abs() < 0.04 && (fresh.authenticity - 0.5).abs() < 0.1,
            "{fresh:?}"
        );
        let copies = of(&real);
        assert_eq!((copies.beta_recall > 0.99, copies.authenticity), (true, 0.0));
        let narrow = of(&normals(3, 0.3, 1500));
        assert!(narrow.alpha_precision < 0.5 && narrow.beta_recall < 0.3, "{narrow:?}");
        assert!(fidelity(&real, &normals(2, 1.0, 10)).is_none());
    }

    #[test]
    fn four_points_are_as_by_hand() {
        // Real 0, 1, 3, 10 (scaled by 10), centre 3.5: radii 3.5, 2.5, 0.5, 6.5. Synthetic 0, 0, 3.9, 20: from 3.5: 3.5, 3.5,
        // 0.4, 16.5. Nearest other real row: 1, 1, 2, 7; nearest synthetic: 0, 1, 0.9, 6.1, so all are covered.
        let column = |values: &[f64]| table(vec![Column::Numbers(values.into())]);
        let found = fidelity(&column(&[0.0, 1.0, 3.0, 10.0]), &column(&[0.0, 0.0, 3.9, 20.0])).unwrap();
        // Authenticity: 0 is row 0; 3.9 → 0.9 from row 2, whose next is 2 away: no; 20 → 10 from row 3 (7): yes.
        assert_eq!(found.authenticity, 0.25);
        let grid = || (0..30).map(|level| f64::from(level) / 29.0);
        let radii = [0.5, 2.5, 3.5, 6.5];
        let sum: f64 = grid().sum();
        let precision: f64 = grid()
            .map(|a| {
                let radius = quantile(&radii, a);
                let within = [3.5, 3.5, 0.4, 16.5].iter().filter(|d| **d <= radius + 1e-6).count();
                (a - within as f64 / 4.0).abs()
            })
            .sum();
        assert!((found.alpha_precision - (1.0 - precision / sum)).abs() < 1e-6, "{found:?}");
        // Synthetic centre 5.975: nearest rows 0, 0, 3.9, 3.9 lie 5.975, 5.975, 2.075, 2.075 from it.
        let recall: f64 = grid()
            .map(|a| {
                let bound = quantile(&[2.075, 2.075, 5.975, 5.975], a);
                (a - [5.975, 5.975, 2.075, 2.075].iter().filter(|d| **d <= bound + 1e-6).count() as f64 / 4.0)
                    .abs()
            })
            .sum();
        assert!((found.beta_recall - (1.0 - recall / sum)).abs() < 1e-6, "{found:?}");
    }
}
