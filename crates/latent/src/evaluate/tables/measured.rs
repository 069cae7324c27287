//! The measures of a [report](super::judge), one after another, each with what it stands beside.

use super::columns::Columns;
use super::copula::Copula;
use super::detection::{boosted, logistic};
use super::fidelity::{Fidelity, fidelity};
use super::judge::{Effort, TableFigure};
use super::kept::{Rare, coverage, gap_rates, invented, rare};
use super::privacy::{copies, membership, nearer_to_training};
use super::shape::{per_cent, shape};
use super::trend::{Edges, Pair, trend};
use super::utility::utility;
use crate::estimate::Estimate;
use crate::evaluate::statistics::jackknife::jackknife;
use crate::key::Key;
use crate::proportion::proportion;

/// Tables that figures stand beside.
pub struct Baselines {
    halves: [Columns; 2],
    copied: Columns,
    copula: Option<Columns>,
}

/// Two tables, what they stand beside, and what was found so far.
pub struct Judge {
    pub key: Key,
    pub effort: Effort,
    pub train: Columns,
    pub test: Option<Columns>,
    pub synthetic: Columns,
    pub baselines: Option<Baselines>,
    pub figures: Vec<TableFigure>,
    pub absent: Vec<String>,
}

impl Judge {
    /// Halves, copies and a copula of the training rows.
    pub fn baselines(&self) -> Baselines {
        let (n, count) = (self.train.rows(), self.synthetic.rows());
        let order = self.key.fold("halves").permutation(n);
        let half = n / 2;
        let mut draws = vec![0f32; count];
        self.key.fold("copied").uniforms(&mut draws);
        let drawn: Vec<usize> =
            draws.iter().map(|u| ((f64::from(*u) * n as f64) as usize).min(n - 1)).collect();
        Baselines {
            halves: [self.train.take(&order[..half]), self.train.take(&order[half..2 * half])],
            copied: self.train.take(&drawn),
            copula: Copula::fit(&self.train).map(|copula| copula.sample(count, self.key.fold("copula"))),
        }
    }

    fn add(
        &mut self,
        name: &'static str,
        title: &'static str,
        ideal: f64,
        n: usize,
        estimate: Option<Estimate>,
    ) -> &mut TableFigure {
        // What is undefined is taken out at the end, where it is also said.
        let estimate = estimate.unwrap_or(Estimate::exact(f64::NAN));
        self.figures.push(TableFigure {
            name,
            title,
            estimate,
            ideal,
            fresh: None,
            copied: None,
            copula: None,
            n,
        });
        let last = self.figures.len() - 1;
        &mut self.figures[last]
    }

    /// The value of a measure on each baseline: fresh rows (test rows, or one half against the other), copies where they are
    /// asked for, the copula.
    fn beside(&self, copied: bool, of: impl Fn(&Columns, &Columns) -> Option<f64>) -> [Option<f64>; 3] {
        let Some(baselines) = &self.baselines else { return [None; 3] };
        let fresh = match &self.test {
            Some(test) => of(&self.train, test),
            None => of(&baselines.halves[0], &baselines.halves[1]),
        };
        let copies = if copied { of(&self.train, &baselines.copied) } else { None };
        [fresh, copies, self.copula().and_then(|copula| of(&self.train, copula))]
    }

    fn copula(&self) -> Option<&Columns> {
        self.baselines.as_ref()?.copula.as_ref()
    }

    /// Can anybody tell?
    pub fn detection(&mut self) {
        let (key, n) = (self.key.fold("detection"), self.train.rows() + self.synthetic.rows());
        let value = boosted(&self.train, &self.synthetic, key);
        // Copies are told from their originals by nothing but their number: not worth the trees.
        let [fresh, _, copula] = self.beside(false, |a, b| boosted(a, b, key).map(|area| area.value));
        let figure = self.add("detection_trees", "told from real rows by boosted trees (AUC)", 0.5, n, value);
        (figure.fresh, figure.copula) = (fresh, copula);
        let rows = [self.train.rows() as f64, self.synthetic.rows() as f64];
        // Twice the error of an area under a curve without information (Hanley & McNeil 1982).
        let error = 2.0 * ((rows[0] + rows[1] + 1.0) / (12.0 * rows[0] * rows[1])).sqrt();
        let value =
            logistic(&self.train, &self.synthetic, key).map(|v| Estimate::normal(v, error).within(0.0, 1.0));
        let [fresh, _, copula] = self.beside(false, |a, b| logistic(a, b, key));
        let figure = self.add("detection_logistic", "not told by lines (C2ST of papers)", 1.0, n, value);
        (figure.fresh, figure.copula) = (fresh, copula);
    }

    /// A mean over columns or pairs with the interval that leaving out groups of synthetic rows gives.
    fn over_groups(&self, of: impl Fn(&Columns) -> f64) -> Estimate {
        const GROUPS: usize = 10;
        let rows = self.synthetic.rows();
        let without = |group: usize| -> f64 {
            let kept: Vec<usize> = (0..rows).filter(|row| row % GROUPS != group).collect();
            of(&self.synthetic.take(&kept))
        };
        let without: Vec<f64> = (0..GROUPS).map(without).collect();
        jackknife(of(&self.synthetic), &without).within(0.0, 100.0)
    }

    /// What halves of the training rows say, brought to the counts of the tables: errors fall as √(1/n + 1/m).
    fn fresh_by_halves(&self, of: impl Fn(&Columns, &Columns) -> f64) -> Option<f64> {
        let [a, b] = &self.baselines.as_ref()?.halves;
        let wanted = 1.0 / self.train.rows() as f64 + 1.0 / self.synthetic.rows() as f64;
        Some(of(a, b) * (wanted / (1.0 / a.rows() as f64 + 1.0 / b.rows() as f64)).sqrt())
    }

    /// Columns alone; the shape error of each.
    pub fn marginals(&mut self) -> Vec<f64> {
        let n = self.synthetic.rows();
        let of = |real: &Columns, fake: &Columns| per_cent(&shape(real, fake));
        let value = self.over_groups(|fake| of(&self.train, fake));
        let [_, copied, copula] = self.beside(true, |a, b| Some(of(a, b)));
        let fresh = self.fresh_by_halves(of);
        let figure = self.add("shape", "shape error, % (columns alone)", 0.0, n, Some(value));
        (figure.fresh, figure.copied, figure.copula) = (fresh, copied, copula);
        if let Some(test) = self.test.clone() {
            let value = self.over_groups(|fake| of(&test, fake));
            let [fresh, copied, copula] = self.against_test(&test, of);
            let figure = self.add("shape_test", "… against test rows", 0.0, n, Some(value));
            (figure.fresh, figure.copied, figure.copula) = (fresh, copied, copula);
        }
        shape(&self.train, &self.synthetic)
    }

    /// Training rows, which are fresh to the test rows; copies; the copula.
    fn against_test(&self, test: &Columns, of: impl Fn(&Columns, &Columns) -> f64) -> [Option<f64>; 3] {
        let Some(baselines) = &self.baselines else { return [None; 3] };
        let copula = baselines.copula.as_ref().map(|copula| of(test, copula));
        [Some(of(test, &self.train)), Some(of(test, &baselines.copied)), copula]
    }

    /// Columns in pairs; the error of each with common edges.
    pub fn dependence(&mut self) -> Vec<Pair> {
        let n = self.synthetic.rows();
        let mean = |pairs: &[Pair]| per_cent(&pairs.iter().map(|pair| pair.error).collect::<Vec<_>>());
        let of = |edges| move |real: &Columns, fake: &Columns| mean(&trend(real, fake, edges));
        let own = of(Edges::Own);
        if self.train.width() < 2 {
            self.absent.push("trends: there is one column".into());
            return Vec::new();
        }
        let value = self.over_groups(|fake| own(&self.train, fake));
        let [_, copied, copula] = self.beside(true, |a, b| Some(own(a, b)));
        let figure = self.add("trend", "trend error, % (pairs; as in papers)", 0.0, n, Some(value));
        (figure.copied, figure.copula) = (copied, copula);
        let common = of(Edges::Common);
        let value = self.over_groups(|fake| common(&self.train, fake));
        let [_, copied, copula] = self.beside(true, |a, b| Some(common(a, b)));
        let fresh = self.fresh_by_halves(common);
        let figure = self.add("trend_common", "… with common bin edges", 0.0, n, Some(value));
        (figure.fresh, figure.copied, figure.copula) = (fresh, copied, copula);
        if let Some(test) = self.test.clone() {
            let value = self.over_groups(|fake| common(&test, fake));
            let [fresh, copied, copula] = self.against_test(&test, common);
            let figure = self.add("trend_test", "… against test rows, common edges", 0.0, n, Some(value));
            (figure.fresh, figure.copied, figure.copula) = (fresh, copied, copula);
        }
        trend(&self.train, &self.synthetic, Edges::Common)
    }

    /// Where rows lie among each other.
    pub fn fidelity(&mut self) {
        let count = self.train.rows().min(self.synthetic.rows()).min(self.effort.neighbours);
        let key = self.key.fold("fidelity");
        let some = |table: &Columns| table.take(&key.permutation(table.rows())[..count]);
        let real = some(&self.train);
        let Some(found) = fidelity(&real, &some(&self.synthetic)) else { return };
        let (fresh, copula) = match (&self.baselines, &self.test) {
            (Some(baselines), test) => {
                let [a, b] = &baselines.halves;
                let half = a.rows().min(count);
                let few = |table: &Columns| table.take(&(0..half).collect::<Vec<_>>());
                let fresh = match test.as_ref().filter(|test| test.rows() >= count) {
                    Some(test) => fidelity(&real, &some(test)),
                    None => fidelity(&few(a), &few(b)),
                };
                (fresh, baselines.copula.as_ref().and_then(|copula| fidelity(&real, &some(copula))))
            }
            (None, _) => (None, None),
        };
        let mut add = |name, title, ideal, of: fn(&Fidelity) -> f64| {
            let estimate = proportion((of(&found) * count as f64).round().max(0.0) as usize, count);
            let figure =
                self.add(name, title, ideal, count, Some(Estimate { value: of(&found), ..estimate }));
            (figure.fresh, figure.copula) = (fresh.as_ref().map(of), copula.as_ref().map(of));
        };
        add("alpha_precision", "α-precision (rows lie where real ones do)", 1.0, |f| f.alpha_precision);
        add("beta_recall", "β-recall (real rows are reached; ½ is right)", 0.5, |f| f.beta_recall);
        add("authenticity", "authenticity (new rows; ½ is right)", 0.5, |f| f.authenticity);
    }

    /// What can be learned.
    pub fn utility(&mut self, target: Option<usize>) {
        let (Some(target), Some(test)) = (target, self.test.clone()) else {
            self.absent.push("utility: it needs a target column and test rows".into());
            return;
        };
        let is_number = self.train.columns()[target].is_numeric();
        let value = utility(&self.synthetic, &test, target);
        // What real rows teach is the yardstick, with baselines or without.
        let fresh = utility(&self.train, &test, target).map(|v| v.value);
        let copula = self.copula().and_then(|copula| utility(copula, &test, target)).map(|v| v.value);
        let (title, ideal) = match is_number {
            true => ("trained on synthetic, tested on real (RMSE)", 0.0),
            false => ("trained on synthetic, tested on real (AUC)", 1.0),
        };
        let figure = self.add("utility", title, ideal, test.rows(), value);
        (figure.fresh, figure.copula) = (fresh, copula);
    }

    /// What is given away.
    pub fn privacy(&mut self) {
        let Some(test) = self.test.clone() else {
            self.absent.push("membership inference, nearest rows: they need test rows".into());
            let n = self.synthetic.rows();
            let (value, copula) = (copies(&self.train, &self.synthetic), self.copula_copies());
            self.add("copies", "exact copies of training rows", 0.0, n, Some(value)).copula = copula;
            return;
        };
        let count = self.train.rows().min(test.rows()).min(self.effort.attacked);
        let key = self.key;
        let some = |table: &Columns, what: &str, most: usize| {
            table.take(&key.fold(what).permutation(table.rows())[..most.min(table.rows())])
        };
        let (members, held) = (some(&self.train, "members", count), some(&test, "held", count));
        let copula = self.copula().cloned();
        let value = membership(&members, &held, &self.synthetic);
        let beside = copula.as_ref().and_then(|copula| membership(&members, &held, copula)).map(|v| v.value);
        self.add("membership", "attacker guesses who was in it (AUC)", 0.5, 2 * count, value).copula = beside;
        let fakes = some(&self.synthetic, "nearer", count);
        let value = nearer_to_training(&members, &held, &fakes);
        let beside = copula
            .as_ref()
            .and_then(|copula| nearer_to_training(&members, &held, &some(copula, "nearer", count)));
        let n = fakes.rows();
        self.add("nearer_to_training", "nearer to training than to test rows", 0.5, n, value).copula =
            beside.map(|v| v.value);
        let value = copies(&self.train, &self.synthetic);
        let (fresh, n, copula) =
            (copies(&self.train, &test).value, self.synthetic.rows(), self.copula_copies());
        let figure = self.add("copies", "exact copies of training rows (share)", fresh, n, Some(value));
        (figure.fresh, figure.copula) = (Some(fresh), copula);
    }

    fn copula_copies(&self) -> Option<f64> {
        Some(copies(&self.train, self.copula()?).value)
    }

    /// Gaps, rare levels, ranges, intervals.
    pub fn kept(&mut self) -> Rare {
        let n = self.synthetic.rows();
        let found = rare(&self.train, &self.synthetic);
        if found.levels > 0 {
            let levels = found.levels as f64;
            let copula = self.copula().map(|copula| rare(&self.train, copula).kept as f64 / levels);
            let value = Estimate::exact(found.kept as f64 / levels);
            let figure =
                self.add("rare_kept", "rare categories kept (share)", 1.0, found.levels, Some(value));
            (figure.fresh, figure.copula) = (Some(found.expected / levels), copula);
        }
        let difference = |fake: &Columns| gaps_apart(&self.train, fake);
        if difference(&self.synthetic).is_finite() {
            let value = self.over_groups(difference);
            let fresh = self.fresh_by_halves(gaps_apart);
            let copula = self.copula().map(difference);
            let figure = self.add("gaps", "gap rates differ by, % points", 0.0, n, Some(value));
            (figure.fresh, figure.copula) = (fresh, copula);
        }
        let mean = |values: Vec<f64>| per_cent(&values) / 100.0;
        let value = mean(invented(&self.train, &self.synthetic));
        let fresh = self.test.as_ref().map(|test| mean(invented(&self.train, test)));
        let cells = n * self.train.width();
        let estimate = Estimate { value, ..proportion((value * cells as f64).round() as usize, cells) };
        self.add("invented", "cells that no training row has (share)", 0.0, cells, Some(estimate)).fresh =
            fresh;
        let real = self.test.as_ref().unwrap_or(&self.train);
        let value = mean(coverage(real, &self.synthetic));
        let fresh = mean(coverage(real, &self.train));
        if value.is_finite() {
            let estimate =
                Estimate { value, ..proportion((value * real.rows() as f64).round() as usize, real.rows()) };
            let n = real.rows();
            let copula = self.copula().map(|copula| mean(coverage(real, copula)));
            let figure =
                self.add("coverage", "real cells in synthetic 90 % intervals", 0.9, n, Some(estimate));
            (figure.fresh, figure.copula) = (Some(fresh), copula);
        }
        found
    }
}

/// How far gap rates of two tables are apart, in points of a hundred, over the columns that have gaps.
fn gaps_apart(a: &Columns, b: &Columns) -> f64 {
    let pairs = gap_rates(a).into_iter().zip(gap_rates(b)).filter(|(a, b)| a + b > 0.0);
    per_cent(&pairs.map(|(a, b)| (a - b).abs()).collect::<Vec<_>>())
}
