//! Can a classifier tell the rows of one table from those of another?
//!
//! Every row is scored by a fit on the other two thirds; the area under the receiver operating characteristic of these scores
//! is ½ where nobody can tell, 1 where everybody can. Trees see every dependence between columns; lines see the mean of each
//! column alone, so that shuffling every column fools them ([`logistic`] is here because papers print it).
//!
//! References: Lopez-Paz & Oquab, *Revisiting Classifier Two-Sample Tests* (ICLR 2017); Zein & Urvoy, *Tabular Data Generation:
//! Can We Fool XGBoost?* (2022).

use super::bins::Cutting;
use super::columns::{Column, Columns};
use super::ridge::log_odds;
use super::trees::{Loss, Trees};
use crate::estimate::Estimate;
use crate::evaluate::anomaly::auroc;
use crate::key::Key;

const FOLDS: usize = 3;

/// The area under the curve of boosted trees, with its interval: ½ is best. None where a table has too few rows.
pub fn boosted(real: &Columns, synthetic: &Columns, key: Key) -> Option<Estimate> {
    let both = real.stacked(synthetic);
    let data = Cutting::of(&both).apply(&both);
    let y: Vec<f32> = (0..both.rows()).map(|row| f32::from(u8::from(row >= real.rows()))).collect();
    let fold = folds([real.rows(), synthetic.rows()], key)?;
    let mut scores = vec![0.0; y.len()];
    for held in 0..FOLDS {
        let (mut train, mut test) = (Vec::new(), Vec::new());
        (0..y.len()).for_each(|row| if fold[row] == held { &mut test } else { &mut train }.push(row as u32));
        let trees = Trees::fit(&data, &train, &y, Loss::Logistic);
        test.iter().zip(trees.scores(&data, &test)).for_each(|(row, score)| scores[*row as usize] = score);
    }
    let (real, synthetic) = scores.split_at(real.rows());
    auroc(synthetic, real)
}

/// The score that the literature calls C2ST or "logistic detection": 1 − mean over three folds of (2 max(½, AUC) − 1), so 1
/// where lines cannot tell. Numbers, and categories that are written as numbers, enter as they are, other categories one-hot;
/// gaps are means; every feature is less its median and over its interquartile range.
pub fn logistic(real: &Columns, synthetic: &Columns, key: Key) -> Option<f64> {
    let both = real.stacked(synthetic);
    let fold = folds([real.rows(), synthetic.rows()], key)?;
    let features = features(&both);
    let width = features.len();
    let n = both.rows();
    let mut sum = 0.0;
    for held in 0..FOLDS {
        let inside = |row: usize| fold[row] != held;
        let scaled: Vec<Vec<f64>> = features.iter().map(|feature| scaled(feature, inside)).collect();
        let rows = |wanted: bool| -> Vec<usize> { (0..n).filter(|&row| inside(row) == wanted).collect() };
        let matrix = |rows: &[usize]| -> Vec<f64> {
            rows.iter().flat_map(|&row| scaled.iter().map(move |feature| feature[row])).collect()
        };
        let (train, test) = (rows(true), rows(false));
        let y: Vec<bool> = train.iter().map(|&row| row >= real.rows()).collect();
        let scores = log_odds(&matrix(&train), &y, &matrix(&test), width)?;
        let side = |fake: bool| -> Vec<f64> {
            let scores = test.iter().zip(&scores);
            scores.filter(|(row, _)| (**row >= real.rows()) == fake).map(|(_, score)| *score).collect()
        };
        sum += 2.0 * auroc(&side(true), &side(false))?.value.max(0.5) - 1.0;
    }
    Some(1.0 - sum / FOLDS as f64)
}

/// The fold of each row of two tables, equal shares of both in each; none where there are fewer rows than folds.
fn folds(rows: [usize; 2], key: Key) -> Option<Vec<usize>> {
    if rows.iter().any(|rows| *rows < FOLDS) {
        return None;
    }
    let mut fold = vec![0; rows[0] + rows[1]];
    for (side, start) in [(0usize, 0), (1, rows[0])] {
        let order = key.fold("folds").fold(side).permutation(rows[side]);
        order.into_iter().enumerate().for_each(|(place, row)| fold[start + row] = place % FOLDS);
    }
    Some(fold)
}

/// Numbers, and an indicator for each level that occurs.
fn features(table: &Columns) -> Vec<Vec<f64>> {
    let mut features = Vec::new();
    for column in table.columns() {
        match column {
            Column::Numbers(values) => features.push(values.clone()),
            Column::Categories { codes, levels } => {
                let numbers: Option<Vec<f64>> = levels.iter().map(|level| level.parse().ok()).collect();
                match numbers {
                    Some(numbers) => {
                        features.push(codes.iter().map(|code| numbers[*code as usize]).collect())
                    }
                    None => {
                        features.extend((0..levels.len() as u32).map(|level| {
                            codes.iter().map(|code| f64::from(u8::from(*code == level))).collect()
                        }))
                    }
                }
            }
        }
    }
    features
}

/// (x − median) / (third quartile − first), gaps as the mean; all of the rows `inside`.
fn scaled(feature: &[f64], inside: impl Fn(usize) -> bool) -> Vec<f64> {
    let mut known: Vec<f64> = (0..feature.len())
        .filter(|&row| inside(row) && feature[row].is_finite())
        .map(|row| feature[row])
        .collect();
    let mean = known.iter().sum::<f64>() / known.len().max(1) as f64;
    let gaps = (0..feature.len()).filter(|&row| inside(row) && !feature[row].is_finite()).count();
    known.extend(std::iter::repeat_n(mean, gaps));
    known.sort_by(f64::total_cmp);
    let quantile = |share: f64| quantile(&known, share);
    let (median, range) = (quantile(0.5), quantile(0.75) - quantile(0.25));
    let range = if range > 1e-15 { range } else { 1.0 };
    feature
        .iter()
        .map(|v| if v.is_finite() { (v - median) / range } else { (mean - median) / range })
        .collect()
}

/// The quantile of sorted values, between two neighbours by a line, as numpy has it; NaN of none.
pub(super) fn quantile(sorted: &[f64], share: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let place = share.clamp(0.0, 1.0) * last as f64;
    let below = place.floor() as usize;
    let above = (below + 1).min(last);
    sorted[below] + (place - below as f64) * (sorted[above] - sorted[below])
}

#[cfg(test)]
mod tests {
    use super::super::columns::tests::table;
    use super::*;

    /// Two numbers, the second like the first but for some noise; shuffled against each other where not `joined`.
    fn pair(seed: u64, joined: bool) -> Columns {
        let mut u = vec![0f32; 2000];
        Key::from_seed(seed).normals(&mut u);
        let x: Vec<f64> = u[..1000].iter().map(|v| f64::from(*v)).collect();
        let noise = u[1000..].iter().map(|v| 0.3 * f64::from(*v));
        let y: Vec<f64> = x.iter().zip(noise).map(|(x, e)| x + e).collect();
        let order = if joined { (0..1000).collect() } else { Key::from_seed(seed + 100).permutation(1000) };
        let y = order.into_iter().map(|row: usize| y[row]).collect();
        table(vec![Column::Numbers(x), Column::Numbers(y)])
    }

    #[test]
    fn trees_see_what_lines_do_not() {
        let key = Key::from_seed(1);
        let (real, fresh, shuffled) = (pair(1, true), pair(2, true), pair(3, false));
        let same = boosted(&real, &fresh, key).unwrap();
        let told = boosted(&real, &shuffled, key).unwrap();
        assert!(same.low < 0.5 && same.high > 0.5 && same.value < 0.55, "{same:?}");
        assert!(told.value > 0.8, "{told:?}");
        assert!(logistic(&real, &shuffled, key).unwrap() > 0.9);
        let mut moved = pair(4, true);
        moved = table(
            moved
                .columns()
                .iter()
                .map(|column| match column {
                    Column::Numbers(values) => Column::Numbers(values.iter().map(|v| v + 1.0).collect()),
                    other => other.clone(),
                })
                .collect(),
        );
        assert!(logistic(&real, &moved, key).unwrap() < 0.6);
        assert!(boosted(&real.take(&[0, 1]), &fresh, key).is_none());
    }

    #[test]
    fn quantiles_are_numpys() {
        assert_eq!([0.0, 0.25, 0.5, 1.0].map(|q| quantile(&[1.0, 2.0, 4.0], q)), [1.0, 1.5, 2.0, 4.0]);
    }
}
