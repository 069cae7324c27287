//! Bagged classification trees: each is grown on rows drawn with replacement, splits where the Gini impurity falls most, and
//! votes.
//!
//! Gini: n Σ_c p_c (1 − p_c) = n − Σ_c n_c² / n;   importance of a feature: what the splits on it took off, over all trees,
//! to sum 1
//!
//! Rows are sorted by each feature once; a node walks along each order, and a row that changes sides changes Σ n_c² by
//! a number known at once, so that a level of a tree costs rows × features.
//!
//! Reference: Breiman, *Bagging Predictors* (Machine Learning 24, 1996).

use std::ops::Range;

use crate::Key;
use crate::array::Array;

const TREES: usize = 10;
const DEPTH: usize = 12;
/// A leaf has so many rows at least.
const LEAF: f64 = 5.0;

/// Trees that vote on a class.
pub struct Forest {
    trees: Vec<Vec<Node>>,
    importance: Vec<f64>,
}

enum Node {
    Leaf(u32),
    /// The feature, the greatest value that goes left, and the place of either child.
    Split {
        feature: usize,
        threshold: f32,
        children: [usize; 2],
    },
}

impl Forest {
    /// Learns the classes of these rows.
    pub fn fit(x: &Array, y: &[u32], rows: Range<usize>, key: Key) -> Self {
        let classes = y.iter().max().map_or(1, |most| *most as usize + 1);
        let orders: Vec<Vec<u32>> = (0..x.width())
            .map(|feature| {
                let mut order: Vec<u32> = rows.clone().map(|row| row as u32).collect();
                order.sort_by(|&a, &b| x.row(a as usize)[feature].total_cmp(&x.row(b as usize)[feature]));
                order
            })
            .collect();
        let mut grower =
            Grower { x, y, classes, times: Vec::new(), importance: vec![0.0; x.width()], nodes: Vec::new() };
        let mut trees = Vec::new();
        for tree in 0..TREES {
            let mut draws = vec![0.0; rows.len()];
            key.fold("bag").fold(tree).uniforms(&mut draws);
            // How often each row was drawn.
            grower.times = vec![0.0; x.rows()];
            for u in draws {
                let row = ((f64::from(u) * rows.len() as f64) as usize).min(rows.len() - 1);
                grower.times[rows.start + row] += 1.0;
            }
            let drawn = |order: &Vec<u32>| -> Vec<u32> {
                order.iter().copied().filter(|&row| grower.times[row as usize] > 0.0).collect()
            };
            let bag: Vec<Vec<u32>> = orders.iter().map(drawn).collect();
            grower.grow(&bag, 0);
            trees.push(std::mem::take(&mut grower.nodes));
        }
        let mut importance = grower.importance;
        let total: f64 = importance.iter().sum();
        if total > 0.0 {
            importance.iter_mut().for_each(|v| *v /= total);
        }
        Self { trees, importance }
    }

    /// How much each feature matters; sums to 1, or is 0 where no split helped.
    pub fn importance(&self) -> Vec<f64> {
        self.importance.clone()
    }

    /// The class that most trees vote for, the least of equals.
    pub fn predict(&self, x: &[f32]) -> u32 {
        let mut votes: Vec<u32> = self.trees.iter().map(|nodes| follow(nodes, x)).collect();
        votes.sort_unstable();
        let runs = votes.chunk_by(|a, b| a == b);
        runs.fold(&votes[..0], |best, run| if run.len() > best.len() { run } else { best })[0]
    }
}

fn follow(nodes: &[Node], x: &[f32]) -> u32 {
    let mut place = 0;
    loop {
        match &nodes[place] {
            Node::Leaf(class) => return *class,
            Node::Split { feature, threshold, children } => {
                place = children[usize::from(x[*feature] > *threshold)];
            }
        }
    }
}

struct Grower<'a> {
    x: &'a Array,
    y: &'a [u32],
    classes: usize,
    times: Vec<f64>,
    importance: Vec<f64>,
    nodes: Vec<Node>,
}

/// Where a node is cut, and what that takes off its impurity.
struct Cut {
    feature: usize,
    threshold: f32,
    gain: f64,
}

impl Grower<'_> {
    /// Grows the node of these rows, in the order of each feature, and all below it; its place.
    fn grow(&mut self, orders: &[Vec<u32>], depth: usize) -> usize {
        let mut counts = vec![0.0; self.classes];
        for &row in orders.first().into_iter().flatten() {
            counts[self.y[row as usize] as usize] += self.times[row as usize];
        }
        let place = self.nodes.len();
        let likeliest = (0..self.classes).fold(0, |best, c| if counts[c] > counts[best] { c } else { best });
        self.nodes.push(Node::Leaf(likeliest as u32));
        let n: f64 = counts.iter().sum();
        if depth == DEPTH || n < 2.0 * LEAF {
            return place;
        }
        let Some(Cut { feature, threshold, gain }) = self.best_cut(orders, &counts, n) else { return place };
        self.importance[feature] += gain;
        let side = |left: bool| -> Vec<Vec<u32>> {
            let keeps = |row: &u32| (self.x.row(*row as usize)[feature] <= threshold) == left;
            orders.iter().map(|order| order.iter().copied().filter(keeps).collect()).collect()
        };
        let (below, above) = (side(true), side(false));
        let children = [self.grow(&below, depth + 1), self.grow(&above, depth + 1)];
        self.nodes[place] = Node::Split { feature, threshold, children };
        place
    }

    /// The best cut; none where nothing takes anything off.
    fn best_cut(&self, orders: &[Vec<u32>], counts: &[f64], n: f64) -> Option<Cut> {
        let squares: f64 = counts.iter().map(|c| c * c).sum();
        let mut best: Option<Cut> = None;
        for (feature, order) in orders.iter().enumerate() {
            let value = |row: u32| self.x.row(row as usize)[feature];
            let (mut left, mut right) = (vec![0.0; self.classes], counts.to_vec());
            let (mut below, mut left_squares, mut right_squares) = (0.0, 0.0, squares);
            for pair in order.windows(2) {
                let (row, times) = (pair[0] as usize, self.times[pair[0] as usize]);
                let class = self.y[row] as usize;
                left_squares += times * (2.0 * left[class] + times);
                right_squares -= times * (2.0 * right[class] - times);
                left[class] += times;
                right[class] -= times;
                below += times;
                let (a, b) = (value(pair[0]), value(pair[1]));
                if a == b || below < LEAF || n - below < LEAF {
                    continue;
                }
                let gain = left_squares / below + right_squares / (n - below) - squares / n;
                if gain > 1e-9 && best.as_ref().is_none_or(|best| gain > best.gain) {
                    // Halfway, unless that rounds up to the value that must go right.
                    let middle = a + 0.5 * (b - a);
                    best = Some(Cut { feature, threshold: if middle < b { middle } else { a }, gain });
                }
            }
        }
        best
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkered_board_is_learned() {
        // Class = parity of two bits: a first split helps little, a second all the more. A third feature is noise.
        let mut u = vec![0.0; 3 * 1200];
        Key::from_seed(1).uniforms(&mut u);
        let y: Vec<u32> = u.chunks(3).map(|x| u32::from(x[0] > 0.5) ^ u32::from(x[1] > 0.6)).collect();
        let x = Array::matrix(u, 3);
        let forest = Forest::fit(&x, &y, 0..900, Key::from_seed(2));
        let right = (900..1200).filter(|&row| forest.predict(x.row(row)) == y[row]).count();
        assert!(right > 285, "{right}");
        let importance = forest.importance();
        assert!(importance[2] < 0.1 && importance[0] > 0.1 && importance[1] > 0.1, "{importance:?}");
        assert!((importance.iter().sum::<f64>() - 1.0).abs() < 1e-12);
    }

    #[test]
    fn a_cut_lies_halfway_between_classes() {
        // One feature, two classes apart: one split takes all impurity off, 20 · ½ of it.
        let x = Array::matrix((0..20).map(|i| if i < 10 { i as f32 } else { 100.0 + i as f32 }).collect(), 1);
        let y: Vec<u32> = (0..20).map(|i| u32::from(i >= 10)).collect();
        let grower = Grower {
            x: &x,
            y: &y,
            classes: 2,
            times: vec![1.0; 20],
            importance: vec![0.0],
            nodes: Vec::new(),
        };
        let cut = grower.best_cut(&[(0..20).collect()], &[10.0, 10.0], 20.0).unwrap();
        assert_eq!((cut.threshold, cut.gain), (59.5, 10.0));
    }
}
