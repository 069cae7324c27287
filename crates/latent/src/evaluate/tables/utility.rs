//! Is a model that learned from synthetic rows as good on real ones as one that learned from real rows?
//!
//! Boosted trees learn the target from the other columns of one table and are asked on real test rows: the area under the
//! curve for a category (of more than two, the mean over the levels, each against the rest), the root mean square error for a
//! number. Levels that the test rows or the training rows lack are left out.
//!
//! Reference: Esteban et al., *Real-valued (Medical) Time Series Generation with Recurrent Conditional GANs* (2017), "train on
//! synthetic, test on real".

use super::bins::Cutting;
use super::columns::{Column, Columns};
use super::trees::{Loss, Trees};
use crate::estimate::Estimate;
use crate::evaluate::anomaly::auroc;

/// Levels at most that are asked for, the most frequent of the test rows.
const LEVELS: usize = 10;

/// Trains on one table, tests on another: the area under the curve, or the error of a number, with its interval. None where
/// the target does not vary.
pub fn utility(train: &Columns, test: &Columns, target: usize) -> Option<Estimate> {
    let [inputs, held] = [train, test].map(|table| table.without(target));
    let cutting = Cutting::of(&inputs);
    let (data, held) = (cutting.apply(&inputs), cutting.apply(&held));
    match (&train.columns()[target], &test.columns()[target]) {
        (Column::Numbers(y), Column::Numbers(truth)) => {
            let rows = |y: &[f64]| -> Vec<u32> {
                (0..y.len() as u32).filter(|&row| !y[row as usize].is_nan()).collect()
            };
            let (known, asked) = (rows(y), rows(truth));
            if known.is_empty() || asked.is_empty() {
                return None;
            }
            let labels: Vec<f32> = y.iter().map(|y| *y as f32).collect();
            let told = Trees::fit(&data, &known, &labels, Loss::Squared).scores(&held, &asked);
            let squares: Vec<f64> =
                told.iter().zip(&asked).map(|(told, &row)| (told - truth[row as usize]).powi(2)).collect();
            let mean = Estimate::mean(&squares).within(0.0, f64::INFINITY);
            Some(Estimate { value: mean.value.sqrt(), low: mean.low.sqrt(), high: mean.high.sqrt() })
        }
        (Column::Categories { codes: y, levels }, Column::Categories { codes: truth, .. }) => {
            let count = |codes: &[u32], level: u32| codes.iter().filter(|code| **code == level).count();
            let mut asked: Vec<(usize, u32)> = (0..levels.len() as u32)
                .map(|level| (count(truth, level), level))
                .filter(|(n, _)| *n > 0)
                .collect();
            asked.sort_by(|a, b| b.cmp(a));
            asked.truncate(LEVELS);
            if asked.len() < 2 {
                return None;
            }
            if asked.len() == 2 {
                // Either level says it all; the rarer one is what is looked for.
                asked.remove(0);
            }
            let rows: Vec<u32> = (0..y.len() as u32).collect();
            let held_rows: Vec<u32> = (0..truth.len() as u32).collect();
            let areas: Vec<Estimate> = asked
                .iter()
                .filter_map(|&(_, level)| {
                    let labels: Vec<f32> = y.iter().map(|code| f32::from(u8::from(*code == level))).collect();
                    // A level that was never learned is told by chance.
                    let scores = Trees::fit(&data, &rows, &labels, Loss::Logistic).scores(&held, &held_rows);
                    let side = |is: bool| -> Vec<f64> {
                        let scores = truth.iter().zip(&scores);
                        scores.filter(|(code, _)| (**code == level) == is).map(|(_, score)| *score).collect()
                    };
                    auroc(&side(true), &side(false))
                })
                .collect();
            let mean = |of: fn(&Estimate) -> f64| areas.iter().map(of).sum::<f64>() / areas.len() as f64;
            (!areas.is_empty()).then(|| Estimate {
                value: mean(|a| a.value),
                low: mean(|a| a.low),
                high: mean(|a| a.high),
            })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::columns::tests::table;
    use super::*;
    use crate::Key;

    fn rows(seed: u64, shuffled: bool) -> Columns {
        let mut u = vec![0f32; 3000];
        Key::from_seed(seed).uniforms(&mut u);
        let x: Vec<f64> = u[..1500].iter().map(|v| f64::from(*v)).collect();
        let number: Vec<f64> = x.iter().zip(&u[1500..]).map(|(x, e)| 10.0 * x + f64::from(*e)).collect();
        let mut codes: Vec<u32> = x.iter().map(|x| (x * 3.0) as u32).collect();
        if shuffled {
            codes = Key::from_seed(9).permutation(1500).into_iter().map(|row| codes[row]).collect();
        }
        let levels = ["a", "b", "c"].map(String::from).to_vec();
        table(vec![Column::Numbers(x), Column::Numbers(number), Column::Categories { codes, levels }])
    }

    #[test]
    fn what_is_learned_shows_and_what_is_shuffled_does_not() {
        let test = rows(2, false);
        assert!(utility(&rows(1, false), &test, 2).unwrap().value > 0.98);
        let none = utility(&rows(1, true), &test, 2).unwrap();
        assert!((none.value - 0.5).abs() < 0.06, "{none:?}");
        // The number is 10 x and a uniform: its error is that of the uniform, √(1/12) = 0.289, and a little for learning.
        let error = utility(&rows(1, false), &test, 1).unwrap().value;
        assert!((0.28..0.34).contains(&error), "{error}");
    }
}
