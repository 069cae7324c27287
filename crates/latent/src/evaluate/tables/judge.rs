//! One call for everything: a synthetic table against the real one it was learned from.
//!
//! Each figure stands beside what fresh real rows would have, where that can be known, beside rows of the training table drawn
//! with replacement (what copying has), and beside a Gaussian copula (what a user has in seconds without any training).
//! Where test rows are given, fresh rows are those; else the training rows are halved.

use serde::Serialize;

use super::columns::{Columns, TableError, align};
use super::kept::{Rare, coverage, gap_rates, invented};
use super::measured::Judge;
use super::trend::{Pair, association};
use crate::estimate::Estimate;
use crate::key::Key;

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
    Ok(report(judge, target, &errors, pairs, rare))
}

/// Puts what was found together.
fn report(
    mut judge: Judge,
    target: Option<&str>,
    errors: &[f64],
    pairs: Vec<Pair>,
    rare: Rare,
) -> TableReport {
    let (undefined, figures): (Vec<_>, Vec<_>) =
        std::mem::take(&mut judge.figures).into_iter().partition(|figure| figure.estimate.value.is_nan());
    judge
        .absent
        .extend(undefined.into_iter().map(|figure| format!("{}: undefined for these rows", figure.title)));
    let real = judge.test.as_ref().unwrap_or(&judge.train);
    let [gaps, gaps_synthetic] = [&judge.train, &judge.synthetic].map(gap_rates);
    let (invented, coverage) = (invented(&judge.train, &judge.synthetic), coverage(real, &judge.synthetic));
    let column = |(place, (name, column)): (usize, (&str, &super::columns::Column))| ColumnReport {
        name: name.into(),
        kind: if column.is_numeric() { "numbers" } else { "categories" },
        shape: errors[place],
        gaps: gaps[place],
        gaps_synthetic: gaps_synthetic[place],
        invented: invented[place],
        coverage: coverage[place],
    };
    let mut columns: Vec<ColumnReport> = judge.train.iter().enumerate().map(column).collect();
    columns.sort_by(|a, b| worst_first(a.shape, b.shape));
    let names = judge.train.names();
    let pair = |pair: Pair| PairReport {
        columns: pair.columns.map(|place| names[place].clone()),
        error: pair.error,
    };
    let mut pairs: Vec<PairReport> = pairs.into_iter().map(pair).collect();
    pairs.sort_by(|a, b| worst_first(a.error, b.error));
    TableReport {
        train: judge.train.rows(),
        test: judge.test.as_ref().map_or(0, Columns::rows),
        synthetic: judge.synthetic.rows(),
        target: target.map(String::from),
        figures,
        columns,
        pairs,
        association: [association(&judge.train), association(&judge.synthetic)],
        names: names.to_vec(),
        lost: rare.lost,
        absent: judge.absent,
    }
}

/// The greatest first, what is undefined last.
fn worst_first(a: f64, b: f64) -> std::cmp::Ordering {
    let key = |v: f64| if v.is_nan() { f64::NEG_INFINITY } else { v };
    key(b).total_cmp(&key(a))
}
