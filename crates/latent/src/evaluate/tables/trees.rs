//! Boosted trees on binned columns: the judge that tells rows of one table from those of another, and that learns from one to
//! be tested on the other.
//!
//! F_m = F_{m−1} + η T_m; a leaf of T_m takes −G/H, and a cut gains G_L²/H_L + G_R²/H_R − G²/H, with G and H the sums of the
//! first and second derivatives of the loss over its rows. The leaf that gains most is cut next, to 31 leaves.
//!
//! Sums go over bins, not rows, and one child's are its parent's less the other's. Each sum is taken in the order of rows
//! within one column, so that the number of threads never changes a bit. Gaps go to the side that gains more; categories
//! are ordered by G/(H + 10) in each leaf and cut like numbers. The settings are those of scikit-learn's
//! `HistGradientBoostingClassifier` without its early stopping.
//!
//! References: Friedman, *Greedy Function Approximation* (Annals of Statistics 29, 2001); Ke et al., *LightGBM* (NeurIPS 2017);
//! Fisher, *On Grouping for Maximum Homogeneity* (JASA 53, 1958).

use latent_kernels::host::map;

use super::bins::{Binned, Kind};

/// Trees.
const TREES: usize = 100;
/// Leaves of a tree.
const LEAVES: usize = 31;
/// η
const RATE: f64 = 0.1;
/// Rows of a leaf at least.
const LEAST: f64 = 20.0;
/// H of a leaf at least.
const LEAST_H: f64 = 1e-3;
/// Rows of a category at least, for it to be ordered among the others; and what smooths its place.
const SUPPORT: f64 = 10.0;
/// Rows of a leaf from which threads share its columns.
const SHARED: usize = 4096;

/// What is minimised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// ln(1 + e^F) − y F, for y of 0 and 1.
    Logistic,
    /// ½ (F − y)²
    Squared,
}

/// A sum of trees.
pub struct Trees {
    start: f64,
    trees: Vec<Vec<Node>>,
}

/// The bins that go left, as bits.
type Bits = [u64; 4];

enum Node {
    Leaf(f64),
    Cut { column: usize, left: Bits, children: [usize; 2] },
}

fn holds(bits: &Bits, bin: u8) -> bool {
    bits[usize::from(bin >> 6)] >> (bin & 63) & 1 == 1
}

/// The sums of one bin.
#[derive(Clone, Copy, Default)]
struct Sums {
    g: f64,
    h: f64,
    n: f64,
}

impl Sums {
    fn plus(self, other: Self) -> Self {
        Self { g: self.g + other.g, h: self.h + other.h, n: self.n + other.n }
    }

    fn minus(self, other: Self) -> Self {
        Self { g: self.g - other.g, h: self.h - other.h, n: self.n - other.n }
    }

    fn total(bins: &[Self]) -> Self {
        bins.iter().fold(Self::default(), |sum, bin| sum.plus(*bin))
    }

    /// G²/H
    fn strength(self) -> f64 {
        self.g * self.g / (self.h + 1e-12)
    }

    fn stands(self) -> bool {
        self.n >= LEAST && self.h >= LEAST_H
    }
}

/// Where a leaf is cut.
#[derive(Clone, Copy)]
struct Cut {
    column: usize,
    left: Bits,
    gain: f64,
}

/// A leaf that may still be cut.
struct Leaf {
    node: usize,
    rows: std::ops::Range<usize>,
    sums: Vec<Vec<Sums>>,
    cut: Option<Cut>,
}

impl Trees {
    /// Learns `y`, one for each row of `data`, on some of its rows.
    pub fn fit(data: &Binned, rows: &[u32], y: &[f32], loss: Loss) -> Self {
        let mean = rows.iter().map(|&row| f64::from(y[row as usize])).sum::<f64>() / rows.len().max(1) as f64;
        let start = match loss {
            Loss::Logistic => {
                let mean = mean.clamp(1e-6, 1.0 - 1e-6);
                (mean / (1.0 - mean)).ln()
            }
            Loss::Squared => mean,
        };
        let mut scores = vec![start; y.len()];
        let mut slopes = vec![[0f32; 2]; y.len()];
        let mut model = Self { start, trees: Vec::new() };
        for _ in 0..TREES {
            for &row in rows {
                let row = row as usize;
                slopes[row] = match loss {
                    Loss::Logistic => {
                        let p = 1.0 / (1.0 + (-scores[row]).exp());
                        [(p - f64::from(y[row])) as f32, (p * (1.0 - p)) as f32]
                    }
                    Loss::Squared => [(scores[row] - f64::from(y[row])) as f32, 1.0],
                };
            }
            let mut grower = Grower { data, slopes: &slopes, rows: rows.to_vec(), nodes: Vec::new() };
            let leaves = grower.grow();
            for leaf in &leaves {
                let Node::Leaf(value) = grower.nodes[leaf.node] else { continue };
                grower.rows[leaf.rows.clone()].iter().for_each(|&row| scores[row as usize] += value);
            }
            let none_helped = grower.nodes.len() == 1;
            model.trees.push(grower.nodes);
            if none_helped {
                break;
            }
        }
        model
    }

    /// F of these rows.
    pub fn scores(&self, data: &Binned, rows: &[u32]) -> Vec<f64> {
        const PART: usize = 2048;
        let score = |row: u32| {
            let tree = |nodes: &Vec<Node>| {
                let mut place = 0;
                loop {
                    match &nodes[place] {
                        Node::Leaf(value) => return *value,
                        Node::Cut { column, left, children } => {
                            let bin = data.columns[*column][row as usize];
                            place = children[usize::from(!holds(left, bin))];
                        }
                    }
                }
            };
            self.start + self.trees.iter().map(tree).sum::<f64>()
        };
        let parts = rows.len().div_ceil(PART);
        let part = |part: usize| -> Vec<f64> {
            rows[part * PART..rows.len().min((part + 1) * PART)].iter().map(|&row| score(row)).collect()
        };
        map(parts, part).concat()
    }
}

struct Grower<'a> {
    data: &'a Binned,
    /// First and second derivative of each row.
    slopes: &'a [[f32; 2]],
    /// Rows, those of a leaf together.
    rows: Vec<u32>,
    nodes: Vec<Node>,
}

impl Grower<'_> {
    fn grow(&mut self) -> Vec<Leaf> {
        let all = 0..self.rows.len();
        let sums = self.sums(all.clone());
        let root = self.leaf(all, sums);
        let mut leaves = vec![root];
        while leaves.len() < LEAVES {
            let gain = |leaf: &Leaf| leaf.cut.map_or(f64::NEG_INFINITY, |cut| cut.gain);
            let best = (0..leaves.len())
                .fold(0, |best, i| if gain(&leaves[i]) > gain(&leaves[best]) { i } else { best });
            let Some(cut) = leaves[best].cut else { break };
            let parent = leaves.swap_remove(best);
            let middle = self.part(parent.rows.clone(), &cut);
            let [left, right] = [parent.rows.start..middle, middle..parent.rows.end];
            // The smaller child is summed, the other is what remains.
            let left_is_small = left.len() <= right.len();
            let small = self.sums(if left_is_small { left.clone() } else { right.clone() });
            let rest: Vec<Vec<Sums>> = parent
                .sums
                .iter()
                .zip(&small)
                .map(|(all, some)| all.iter().zip(some).map(|(all, some)| all.minus(*some)).collect())
                .collect();
            let (below, above) = if left_is_small { (small, rest) } else { (rest, small) };
            let children = [self.leaf(left, below), self.leaf(right, above)];
            let places = [children[0].node, children[1].node];
            self.nodes[parent.node] = Node::Cut { column: cut.column, left: cut.left, children: places };
            leaves.extend(children);
        }
        leaves
    }

    /// Brings the rows that go left to the front; where the others begin.
    fn part(&mut self, range: std::ops::Range<usize>, cut: &Cut) -> usize {
        let bins = &self.data.columns[cut.column];
        let rows = &mut self.rows[range.clone()];
        let goes_left = |row: &u32| holds(&cut.left, bins[*row as usize]);
        let (left, right): (Vec<u32>, Vec<u32>) = rows.iter().partition(|row| goes_left(row));
        rows[..left.len()].copy_from_slice(&left);
        rows[left.len()..].copy_from_slice(&right);
        range.start + left.len()
    }

    /// The sums of each bin of each column.
    fn sums(&self, range: std::ops::Range<usize>) -> Vec<Vec<Sums>> {
        let rows = &self.rows[range];
        let slopes: Vec<[f32; 2]> = rows.iter().map(|&row| self.slopes[row as usize]).collect();
        let column = |column: usize| {
            let bins = &self.data.columns[column];
            let mut sums = vec![Sums::default(); self.data.kinds[column].bins];
            for (&row, [g, h]) in rows.iter().zip(&slopes) {
                let sum = &mut sums[usize::from(bins[row as usize])];
                sum.g += f64::from(*g);
                sum.h += f64::from(*h);
                sum.n += 1.0;
            }
            sums
        };
        let columns = self.data.columns.len();
        if rows.len() < SHARED { (0..columns).map(column).collect() } else { map(columns, column) }
    }

    fn leaf(&mut self, rows: std::ops::Range<usize>, sums: Vec<Vec<Sums>>) -> Leaf {
        let total = sums.first().map_or_else(Sums::default, |bins| Sums::total(bins));
        self.nodes.push(Node::Leaf(if total.h > 0.0 { -RATE * total.g / total.h } else { 0.0 }));
        let cuts = sums.iter().zip(&self.data.kinds).enumerate().filter_map(|(column, (bins, kind))| {
            let (left, gain) = best(bins, *kind, total)?;
            Some(Cut { column, left, gain })
        });
        let cut = cuts.reduce(|best, cut| if cut.gain > best.gain { cut } else { best });
        Leaf { node: self.nodes.len() - 1, rows, sums, cut }
    }
}

/// The best cut of a column: the bins that go left, and what it gains.
fn best(bins: &[Sums], kind: Kind, total: Sums) -> Option<(Bits, f64)> {
    let mut found: Option<(Bits, f64)> = None;
    let mut scan = |order: &[usize], first: &[usize]| {
        let mut bits = Bits::default();
        let mut left = Sums::default();
        for (place, bin) in first.iter().chain(order).enumerate() {
            bits[bin >> 6] |= 1 << (bin & 63);
            left = left.plus(bins[*bin]);
            let right = total.minus(left);
            if bins[*bin].n == 0.0 || place + 1 < first.len() || !left.stands() || !right.stands() {
                continue;
            }
            let gain = left.strength() + right.strength() - total.strength();
            if gain > 1e-9 && found.is_none_or(|(_, most)| gain > most) {
                found = Some((bits, gain));
            }
        }
    };
    if kind.ordered {
        let gap = bins.len() - 1;
        let order: Vec<usize> = (0..gap).collect();
        scan(&order, &[]);
        if bins[gap].n > 0.0 {
            scan(&order, &[gap]);
        } else if let Some((bits, _)) = &mut found {
            // Never seen here: with the greater side.
            let left: f64 = (0..gap).filter(|&bin| holds(bits, bin as u8)).map(|bin| bins[bin].n).sum();
            if left > 0.5 * total.n {
                bits[gap >> 6] |= 1 << (gap & 63);
            }
        }
    } else {
        let mut order: Vec<usize> = (0..bins.len()).filter(|&bin| bins[bin].n >= SUPPORT).collect();
        let place = |bin: usize| bins[bin].g / (bins[bin].h + SUPPORT);
        order.sort_by(|&a, &b| place(a).total_cmp(&place(b)));
        scan(&order, &[]);
        // From the other end too: the rare ones, which are in no order, stay right.
        order.reverse();
        scan(&order, &[]);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::bins::Cutting;
    use super::super::columns::Column;
    use super::super::columns::tests::table;
    use super::*;
    use crate::Key;

    fn uniforms(n: usize, seed: u64) -> Vec<f64> {
        let mut u = vec![0.0; n];
        Key::from_seed(seed).uniforms(&mut u);
        u.into_iter().map(f64::from).collect()
    }

    #[test]
    fn a_checkered_board_with_gaps_and_categories_is_learned() {
        let n = 3000;
        let (a, b) = (uniforms(n, 1), uniforms(n, 2));
        // Parity of a half and a category of twelve that alternate; gaps count as the lower half.
        let codes: Vec<u32> = b.iter().map(|v| (v * 12.0) as u32).collect();
        let y: Vec<f32> =
            a.iter().zip(&codes).map(|(a, code)| f32::from(u8::from((*a > 0.5) ^ (code % 2 == 1)))).collect();
        let a = a.iter().map(|v| if *v < 0.2 { f64::NAN } else { *v }).collect();
        let levels = (0..12).map(|i| i.to_string()).collect();
        let table = table(vec![Column::Numbers(a), Column::Categories { codes, levels }]);
        let data = Cutting::of(&table).apply(&table);
        let rows: Vec<u32> = (0..2000).collect();
        let trees = Trees::fit(&data, &rows, &y, Loss::Logistic);
        let held: Vec<u32> = (2000..3000).collect();
        let scores = trees.scores(&data, &held);
        let right =
            held.iter().zip(&scores).filter(|(row, s)| (**s > 0.0) == (y[**row as usize] > 0.5)).count();
        assert!(right > 990, "{right}");
    }

    #[test]
    fn one_cut_is_that_of_the_formula() {
        // Forty rows, half of either class, one column that tells them apart: G = ∓10, H = 5 on either side.
        let table = table(vec![Column::Numbers((0..40).map(f64::from).collect())]);
        let data = Cutting::of(&table).apply(&table);
        let y: Vec<f32> = (0..40).map(|i| f32::from(u8::from(i >= 20))).collect();
        let trees = Trees::fit(&data, &(0..40).collect::<Vec<_>>(), &y, Loss::Logistic);
        let Node::Cut { left, children, .. } = &trees.trees[0][0] else { panic!("no cut") };
        assert!(holds(left, 19) && !holds(left, 20));
        let Node::Leaf(value) = &trees.trees[0][children[0]] else { panic!("no leaf") };
        assert!((value + 0.1 * 10.0 / 5.0).abs() < 1e-9, "{value}");
        // Fewer than 20 rows on a side are none.
        let few = Trees::fit(&data, &(0..39).collect::<Vec<_>>(), &y, Loss::Squared);
        assert!(matches!(few.trees[0][0], Node::Leaf(_)));
        assert_eq!(few.trees.len(), 1);
    }

    #[test]
    fn a_smooth_function_is_fitted() {
        let x = uniforms(2000, 3);
        let y: Vec<f32> = x.iter().map(|x| (6.0 * x).sin() as f32).collect();
        let table = table(vec![Column::Numbers(x)]);
        let data = Cutting::of(&table).apply(&table);
        let rows: Vec<u32> = (0..2000).collect();
        let scores = Trees::fit(&data, &rows, &y, Loss::Squared).scores(&data, &rows);
        let error = scores.iter().zip(&y).map(|(s, y)| (s - f64::from(*y)).powi(2)).sum::<f64>() / 2000.0;
        assert!(error < 1e-4, "{error}");
    }
}
