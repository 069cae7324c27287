//! Rows as points, and the nearest of other points to each.
//!
//! A number is scaled to [0, 1] by the least and greatest value of the real table, a gap is its mean and a mark beside it; a
//! category stands for its indicators, of which two differ where the categories do: |d| and d² are both 2 then. So one
//! comparison does for a hundred indicators, and nothing is lost to rounding by products.

use latent_kernels::host::map;

use super::columns::{Column, Columns};

/// How far two points are from each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Distance {
    /// √Σ d²
    Euclidean,
    /// Σ |d|
    Absolute,
}

/// How cells of a table become coordinates.
pub struct Space {
    /// How each number is scaled; none for a category.
    scales: Vec<Option<Scale>>,
}

#[derive(Clone, Copy)]
struct Scale {
    low: f64,
    range: f64,
    /// Of the scaled values.
    mean: f64,
    /// Whether some table has a gap there.
    gaps: bool,
}

/// Rows of a table in a space, coordinate by coordinate.
pub struct Points {
    numbers: Vec<Vec<f32>>,
    codes: Vec<Vec<u32>>,
    count: usize,
}

impl Space {
    /// The space that a real table spans, for rows of these others too.
    pub fn of(real: &Columns, others: &[&Columns]) -> Self {
        let scale = |(place, column): (usize, &Column)| match column {
            Column::Categories { .. } => None,
            Column::Numbers(values) => {
                let known = || values.iter().copied().filter(|value| !value.is_nan());
                let (low, high) =
                    known().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
                let n = known().count().max(1) as f64;
                let (low, range) = if high > low { (low, high - low) } else { (low.min(0.0), 1.0) };
                let gaps = others.iter().chain([&real]).any(|table| table.columns()[place].gaps() > 0);
                Some(Scale { low, range, mean: known().map(|v| (v - low) / range).sum::<f64>() / n, gaps })
            }
        };
        Self { scales: real.columns().iter().enumerate().map(scale).collect() }
    }

    /// The rows of a table that was aligned with it.
    pub fn points(&self, table: &Columns) -> Points {
        let mut points = Points { numbers: Vec::new(), codes: Vec::new(), count: table.rows() };
        for (scale, column) in self.scales.iter().zip(table.columns()) {
            match (scale, column) {
                (Some(Scale { low, range, mean, gaps }), Column::Numbers(values)) => {
                    let scaled =
                        values.iter().map(|v| if v.is_nan() { *mean } else { (v - low) / range } as f32);
                    points.numbers.push(scaled.collect());
                    if *gaps {
                        points.codes.push(values.iter().map(|v| u32::from(v.is_nan())).collect());
                    }
                }
                (_, Column::Categories { codes, .. }) => points.codes.push(codes.clone()),
                _ => {}
            }
        }
        points
    }
}

impl Points {
    /// How many.
    pub fn len(&self) -> usize {
        self.count
    }

    /// The mean of all, as a point among indicators: coordinates of numbers, and the share of each code.
    pub fn centre(&self) -> Centre {
        let n = self.count.max(1) as f64;
        let mean = |values: &Vec<f32>| values.iter().map(|v| f64::from(*v)).sum::<f64>() / n;
        let shares = |codes: &Vec<u32>| {
            let mut shares = vec![0.0; codes.iter().max().map_or(1, |most| *most as usize + 1)];
            codes.iter().for_each(|code| shares[*code as usize] += 1.0 / n);
            shares
        };
        Centre {
            numbers: self.numbers.iter().map(mean).collect(),
            shares: self.codes.iter().map(shares).collect(),
        }
    }

    /// The Euclidean distance of each from a centre.
    pub fn from(&self, centre: &Centre) -> Vec<f64> {
        let mut squares = vec![0.0; self.count];
        for (values, mean) in self.numbers.iter().zip(&centre.numbers) {
            squares.iter_mut().zip(values).for_each(|(sum, v)| *sum += (f64::from(*v) - mean).powi(2));
        }
        for (codes, shares) in self.codes.iter().zip(&centre.shares) {
            // Σ_l (1(l = c) − s_l)² = 1 − 2 s_c + Σ s²
            let all: f64 = shares.iter().map(|share| share * share).sum();
            let share = |code: u32| shares.get(code as usize).copied().unwrap_or_default();
            squares.iter_mut().zip(codes).for_each(|(sum, code)| *sum += 1.0 - 2.0 * share(*code) + all);
        }
        squares.into_iter().map(f64::sqrt).collect()
    }
}

/// A point between rows.
pub struct Centre {
    numbers: Vec<f64>,
    shares: Vec<Vec<f64>>,
}

/// The distance of each point from the nearest of `others`, and which that is; where they are the same points, from the
/// nearest other one.
pub fn nearest(points: &Points, others: &Points, distance: Distance, same: bool) -> Vec<(f64, usize)> {
    const PART: usize = 64;
    let parts = points.count.div_ceil(PART);
    let part = |part: usize| -> Vec<(f64, usize)> {
        let rows = part * PART..points.count.min((part + 1) * PART);
        match distance {
            Distance::Euclidean => rows.map(|row| one(points, row, others, same, |d| d * d)).collect(),
            Distance::Absolute => rows.map(|row| one(points, row, others, same, f32::abs)).collect(),
        }
    };
    let found = map(parts, part).concat();
    match distance {
        Distance::Euclidean => found.into_iter().map(|(square, row)| (square.sqrt(), row)).collect(),
        Distance::Absolute => found,
    }
}

/// The least sum over coordinates of one point's differences from others, a tile of them at a time.
fn one(points: &Points, row: usize, others: &Points, same: bool, each: impl Fn(f32) -> f32) -> (f64, usize) {
    const TILE: usize = 512;
    let mut best = (f32::INFINITY, 0);
    for start in (0..others.count).step_by(TILE) {
        let end = others.count.min(start + TILE);
        let mut sums = [0f32; TILE];
        let sums = &mut sums[..end - start];
        for (own, theirs) in points.numbers.iter().zip(&others.numbers) {
            let own = own[row];
            sums.iter_mut().zip(&theirs[start..end]).for_each(|(sum, v)| *sum += each(own - v));
        }
        for (own, theirs) in points.codes.iter().zip(&others.codes) {
            let own = own[row];
            let apart = |code: u32| if code == own { 0.0 } else { 2.0 };
            sums.iter_mut().zip(&theirs[start..end]).for_each(|(sum, code)| *sum += apart(*code));
        }
        if same && (start..end).contains(&row) {
            sums[row - start] = f32::INFINITY;
        }
        let least = sums.iter().fold(f32::INFINITY, |least, &sum| if sum < least { sum } else { least });
        if least < best.0 {
            best = (least, start + sums.iter().position(|sum| *sum == least).unwrap_or_default());
        }
    }
    (f64::from(best.0), best.1)
}

#[cfg(test)]
mod tests {
    use super::super::columns::tests::{table, words};
    use super::*;

    #[test]
    fn distances_are_those_of_indicators() {
        let real = table(vec![Column::Numbers(vec![0.0, 10.0, 5.0]), words(&["x", "y", "x"])]);
        let space = Space::of(&real, &[]);
        let points = space.points(&real);
        let found = nearest(&points, &points, Distance::Euclidean, true);
        // From the second: ½² + 2 to the third, 1 + 2 to the first.
        assert_eq!(found, [(0.5, 2), (1.5, 2), (0.5, 0)]);
        let found = nearest(&points, &points, Distance::Absolute, true);
        assert_eq!(found, [(0.5, 2), (2.5, 2), (0.5, 0)]);
        assert_eq!(nearest(&points, &points, Distance::Absolute, false)[1], (0.0, 1));
        // The centre of the indicators: ½ of the number, ⅔ and ⅓ of the categories.
        let from = points.from(&points.centre());
        let expected = [(0.25f64 + 2.0 / 9.0).sqrt(), (0.25f64 + 8.0 / 9.0).sqrt(), (2.0f64 / 9.0).sqrt()];
        for (found, expected) in from.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-7, "{from:?}");
        }
    }

    #[test]
    fn a_gap_is_the_mean_and_a_mark() {
        let real = table(vec![Column::Numbers(vec![0.0, f64::NAN, 1.0, 0.5])]);
        let points = Space::of(&real, &[]).points(&real);
        // From the gap, at ½, to ½ is 2: both marks of "gap or not" differ.
        assert_eq!(nearest(&points, &points, Distance::Absolute, true)[1], (2.0, 3));
    }
}
