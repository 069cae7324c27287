//! One call for everything: a synthetic table against the real one it was learned from.
//!
//! Each figure stands beside what fresh real rows would have, where that can be known, beside rows of the training table drawn
//! with replacement (what copying has), and beside a Gaussian copula (what a user has in seconds without any training).
//! Where test rows are given, fresh rows are those; else the training rows are halved.

use serde::Serialize;

use super::columns::{Columns, OfColumn, TableError, align};
use super::copula::Copula;
use super::detection::{boosted, logistic};
use super::fidelity::{Fidelity, fidelity};
use super::kept::{Rare, coverage, gap_rates, invented, rare};
use super::privacy::{copies, membership, nearer_to_training};
use super::shape::{per_cent, shape};
use super::trend::{Edges, Pair, association, trend};
use super::utility::utility;
use crate::estimate::Estimate;
use crate::evaluate::statistics::jackknife::jackknife;
use crate::key::Key;
use crate::proportion::proportion;

/// How much work is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effort {
    /// Rows of each table whose neighbours are looked for, at most. Of fewer than all, a near copy is seen the more seldom.
    pub neighbours: usize,
    /// Rows that the attacker asks about, on either side, at most.
    pub attacked: usize,
    /// Whether fresh rows, copies and the copula are measured too.
    pub baselines: bool,
}

impl Default for Effort {
    fn default() -> Self {
        Self { neighbours: 10_000, attacked: 5_000, baselines: true }
    }
}

/// One number, and what it stands beside.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TableFigure {
    /// The name for programs.
    pub name: &'static str,
    /// What it is, in words.
    pub title: &'static str,
    /// The number with its interval.
    #[serde(flatten)]
    pub estimate: Estimate,
    /// The best that it can be.
    pub ideal: f64,
    /// What fresh real rows have.
    pub fresh: Option<f64>,
    /// What training rows drawn with replacement have.
    pub copied: Option<f64>,
    /// What a Gaussian copula has.
    pub copula: Option<f64>,
    /// On how many rows it stands.
    pub n: usize,
}

/// What was found of one column.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ColumnReport {
    /// Its name.
    pub name: String,
    /// `numbers` or `categories`.
    pub kind: &'static str,
    /// Its shape error against the training rows, in [0, 1].
    pub shape: f64,
    /// The share of gaps in the training rows.
    pub gaps: f64,
    /// The share of gaps in the synthetic rows.
    pub gaps_synthetic: f64,
    /// The share of cells that hold what no training row has.
    pub invented: f64,
    /// The share of real cells in the middle 90 % of the synthetic values; null for categories.
    pub coverage: f64,
}

/// What was found of a pair of columns.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PairReport {
    /// Their names.
    pub columns: [String; 2],
    /// The trend error by common edges, in [0, 1].
    pub error: f64,
}

/// Everything that was found.
#[derive(Clone, Debug, Serialize)]
pub struct TableReport {
    /// Training rows.
    pub train: usize,
    /// Test rows; 0 where there are none.
    pub test: usize,
    /// Synthetic rows.
    pub synthetic: usize,
    /// The column that utility is about.
    pub target: Option<String>,
    /// The numbers.
    pub figures: Vec<TableFigure>,
    /// Column by column, the worst shape first.
    pub columns: Vec<ColumnReport>,
    /// Pair by pair, the worst first.
    pub pairs: Vec<PairReport>,
    /// How strongly columns hang together in the order of `names`, training rows and synthetic ones.
    pub association: [Vec<Vec<f64>>; 2],
    /// The names of the columns in their own order.
    pub names: Vec<String>,
    /// Rare levels that no synthetic row has: column and level.
    pub lost: Vec<(String, String)>,
    /// What was left out, and why.
    pub absent: Vec<String>,
}

impl TableReport {
    /// The figure of that name.
    pub fn get(&self, name: &str) -> Option<&TableFigure> {
        self.figures.iter().find(|figure| figure.name == name)
    }
}

/// Judges a synthetic table. The kinds of its columns must be those of the training table.
///
/// # Errors
/// Where the tables don't have the same columns, a table has no rows, or there is no column of the target's name.
pub fn judge(
    train: &Columns,
    test: Option<&Columns>,
    synthetic: &Columns,
    target: Option<&str>,
    effort: Effort,
    key: Key,
) -> Result<TableReport, TableError> {
    let mut tables = vec![("the real table", train), ("the synthetic table", synthetic)];
    tables.extend(test.map(|test| ("the test table", test)));
    for (name, table) in &tables {
        if table.rows() < 10 {
            let what = format!("{name} has {} rows, too few to judge", table.rows());
            return Err(TableError::new(what, "give at least 10, better thousands"));
        }
    }
    let place = match target {
        Some(name) => Some(train.place(name).ok_or_else(|| {
            let what = format!("there is no column {name:?} to be the target");
            TableError::new(what, format!("the columns are {}", train.names().join(", ")))
        })?),
        None => None,
    };
    let mut aligned = align(&tables)?;
    let test = if test.is_some() { aligned.pop() } else { None };
    let (Some(synthetic), Some(train)) = (aligned.pop(), aligned.pop()) else {
        return Err(TableError::new("there is no table", "give two"));
    };
    let mut judge = Judge {
        key,
        effort,
        train,
        test,
        synthetic,
        baselines: None,
        figures: Vec::new(),
        absent: Vec::new(),
    };
    if effort.baselines {
        judge.baselines = Some(judge.baselines());
    }
    judge.detection();
    let errors = judge.marginals();
    let pairs = judge.dependence();
    judge.fidelity();
    judge.utility(place);
    judge.privacy();
    let rare = judge.kept();
    Ok(judge.report(target, &errors, pairs, rare))
}

/// Tables that figures stand beside.
struct Baselines {
    halves: [Columns; 2],
    copied: Columns,
    copula: Option<Columns>,
}

struct Judge {
    key: Key,
    effort: Effort,
    train: Columns,
    test: Option<Columns>,
    synthetic: Columns,
    baselines: Option<Baselines>,
    figures: Vec<TableFigure>,
    absent: Vec<String>,
}

impl Judge {
    fn baselines(&self) -> Baselines {
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

    /// The value of a measure on each baseline: fresh rows (test rows, or one half against the other), copies, the copula.
    fn beside(&self, of: impl Fn(&Columns, &Columns) -> Option<f64>) -> [Option<f64>; 3] {
        let Some(baselines) = &self.baselines else { return [None; 3] };
        let fresh = match &self.test {
            Some(test) => of(&self.train, test),
            None => of(&baselines.halves[0], &baselines.halves[1]),
        };
        [
            fresh,
            of(&self.train, &baselines.copied),
            baselines.copula.as_ref().and_then(|copula| of(&self.train, copula)),
        ]
    }

    fn detection(&mut self) {
        let (key, n) = (self.key.fold("detection"), self.train.rows() + self.synthetic.rows());
        let value = boosted(&self.train, &self.synthetic, key);
        // Copies are told from their originals by nothing but their number: not worth the trees.
        let [fresh, _, copula] = self.beside_but_copies(|a, b| boosted(a, b, key).map(|area| area.value));
        let figure = self.add("detection_trees", "told from real rows by boosted trees (AUC)", 0.5, n, value);
        (figure.fresh, figure.copula) = (fresh, copula);
        let rows = [self.train.rows() as f64, self.synthetic.rows() as f64];
        // Twice the error of an area under a curve without information (Hanley & McNeil 1982).
        let error = 2.0 * ((rows[0] + rows[1] + 1.0) / (12.0 * rows[0] * rows[1])).sqrt();
        let value =
            logistic(&self.train, &self.synthetic, key).map(|v| Estimate::normal(v, error).within(0.0, 1.0));
        let [fresh, _, copula] = self.beside_but_copies(|a, b| logistic(a, b, key));
        let figure = self.add("detection_logistic", "not told by lines (C2ST of papers)", 1.0, n, value);
        (figure.fresh, figure.copula) = (fresh, copula);
    }

    fn beside_but_copies(&self, of: impl Fn(&Columns, &Columns) -> Option<f64>) -> [Option<f64>; 3] {
        let Some(baselines) = &self.baselines else { return [None; 3] };
        let fresh = match &self.test {
            Some(test) => of(&self.train, test),
            None => of(&baselines.halves[0], &baselines.halves[1]),
        };
        [fresh, None, baselines.copula.as_ref().and_then(|copula| of(&self.train, copula))]
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

    fn marginals(&mut self) -> Vec<f64> {
        let n = self.synthetic.rows();
        let of = |real: &Columns, fake: &Columns| per_cent(&shape(real, fake));
        let value = self.over_groups(|fake| of(&self.train, fake));
        let [_, copied, copula] = self.beside(|a, b| Some(of(a, b)));
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

    fn dependence(&mut self) -> Vec<Pair> {
        let n = self.synthetic.rows();
        let mean = |pairs: &[Pair]| per_cent(&pairs.iter().map(|pair| pair.error).collect::<Vec<_>>());
        let of = |edges| move |real: &Columns, fake: &Columns| mean(&trend(real, fake, edges));
        let own = of(Edges::Own);
        if self.train.width() < 2 {
            self.absent.push("trends: there is one column".into());
            return Vec::new();
        }
        let value = self.over_groups(|fake| own(&self.train, fake));
        let [_, copied, copula] = self.beside(|a, b| Some(own(a, b)));
        let figure = self.add("trend", "trend error, % (pairs; as in papers)", 0.0, n, Some(value));
        (figure.copied, figure.copula) = (copied, copula);
        let common = of(Edges::Common);
        let value = self.over_groups(|fake| common(&self.train, fake));
        let [_, copied, copula] = self.beside(|a, b| Some(common(a, b)));
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

    fn fidelity(&mut self) {
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

    fn utility(&mut self, target: Option<usize>) {
        let (Some(target), Some(test)) = (target, self.test.clone()) else {
            self.absent.push("utility: it needs a target column and test rows".into());
            return;
        };
        let is_number = self.train.columns()[target].is_numeric();
        let value = utility(&self.synthetic, &test, target);
        // What real rows teach is the yardstick, with baselines or without.
        let fresh = utility(&self.train, &test, target).map(|v| v.value);
        let copula = self.baselines.as_ref().and_then(|baselines| baselines.copula.as_ref());
        let copula = copula.and_then(|copula| utility(copula, &test, target)).map(|v| v.value);
        let (title, ideal) = match is_number {
            true => ("trained on synthetic, tested on real (RMSE)", 0.0),
            false => ("trained on synthetic, tested on real (AUC)", 1.0),
        };
        let figure = self.add("utility", title, ideal, test.rows(), value);
        (figure.fresh, figure.copula) = (fresh, copula);
    }

    fn privacy(&mut self) {
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
        let copula = self.baselines.as_ref().and_then(|baselines| baselines.copula.clone());
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
        Some(copies(&self.train, self.baselines.as_ref()?.copula.as_ref()?).value)
    }

    fn kept(&mut self) -> Rare {
        let n = self.synthetic.rows();
        let found = rare(&self.train, &self.synthetic);
        if found.levels > 0 {
            let levels = found.levels as f64;
            let copula = self.baselines.as_ref().and_then(|baselines| baselines.copula.as_ref());
            let copula = copula.map(|copula| rare(&self.train, copula).kept as f64 / levels);
            let value = Estimate::exact(found.kept as f64 / levels);
            let figure =
                self.add("rare_kept", "rare categories kept (share)", 1.0, found.levels, Some(value));
            (figure.fresh, figure.copula) = (Some(found.expected / levels), copula);
        }
        let difference = |fake: &Columns| {
            let pairs = gap_rates(&self.train).into_iter().zip(gap_rates(fake));
            let apart: Vec<f64> = pairs.filter(|(a, b)| a + b > 0.0).map(|(a, b)| (a - b).abs()).collect();
            100.0 * apart.iter().sum::<f64>() / apart.len() as f64
        };
        if difference(&self.synthetic).is_finite() {
            let value = self.over_groups(difference);
            let fresh = self.fresh_by_halves(|a, b| {
                let pairs = gap_rates(a).into_iter().zip(gap_rates(b));
                let apart: Vec<f64> =
                    pairs.filter(|(a, b)| a + b > 0.0).map(|(a, b)| (a - b).abs()).collect();
                100.0 * apart.iter().sum::<f64>() / apart.len() as f64
            });
            let copula =
                self.baselines.as_ref().and_then(|baselines| baselines.copula.as_ref()).map(difference);
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
            let copula = self.baselines.as_ref().and_then(|baselines| baselines.copula.as_ref());
            let copula = copula.map(|copula| mean(coverage(real, copula)));
            let figure =
                self.add("coverage", "real cells in synthetic 90 % intervals", 0.9, n, Some(estimate));
            (figure.fresh, figure.copula) = (Some(fresh), copula);
        }
        found
    }

    fn report(mut self, target: Option<&str>, errors: &[f64], pairs: Vec<Pair>, rare: Rare) -> TableReport {
        let (undefined, figures): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.figures).into_iter().partition(|figure| figure.estimate.value.is_nan());
        self.absent.extend(
            undefined.into_iter().map(|figure| format!("{}: undefined for these rows", figure.title)),
        );
        let real = self.test.as_ref().unwrap_or(&self.train);
        let [gaps, gaps_synthetic] = [&self.train, &self.synthetic].map(gap_rates);
        let (invented, coverage) = (invented(&self.train, &self.synthetic), coverage(real, &self.synthetic));
        let column = |(place, (name, column)): (usize, (&str, &super::columns::Column))| ColumnReport {
            name: name.into(),
            kind: if column.is_numeric() { "numbers" } else { "categories" },
            shape: errors[place],
            gaps: gaps[place],
            gaps_synthetic: gaps_synthetic[place],
            invented: invented[place],
            coverage: coverage[place],
        };
        let mut columns: Vec<ColumnReport> = self.train.iter().enumerate().map(column).collect();
        columns.sort_by(|a, b| worst_first(a.shape, b.shape));
        let names = self.train.names();
        let pair = |pair: Pair| PairReport {
            columns: pair.columns.map(|place| names[place].clone()),
            error: pair.error,
        };
        let mut pairs: Vec<PairReport> = pairs.into_iter().map(pair).collect();
        pairs.sort_by(|a, b| worst_first(a.error, b.error));
        TableReport {
            train: self.train.rows(),
            test: self.test.as_ref().map_or(0, Columns::rows),
            synthetic: self.synthetic.rows(),
            target: target.map(String::from),
            figures,
            columns,
            pairs,
            association: [association(&self.train), association(&self.synthetic)],
            names: names.to_vec(),
            lost: rare.lost,
            absent: self.absent,
        }
    }
}

/// The greatest first, what is undefined last.
fn worst_first(a: f64, b: f64) -> std::cmp::Ordering {
    let key = |v: f64| if v.is_nan() { f64::NEG_INFINITY } else { v };
    key(b).total_cmp(&key(a))
}

/// Numbers of columns with their names, the worst first.
pub fn worst(names: &[String], values: &[f64]) -> Vec<OfColumn> {
    let mut all: Vec<OfColumn> = names
        .iter()
        .zip(values)
        .map(|(column, value)| OfColumn { column: column.clone(), value: *value })
        .collect();
    all.sort_by(|a, b| worst_first(a.value, b.value));
    all
}
