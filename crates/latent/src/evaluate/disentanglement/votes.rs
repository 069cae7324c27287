//! Batches of rows that share one factor, drawn from a pool of encoded rows: what the FactorVAE and the β-VAE score look at.

use crate::Key;

/// Rows by factor and value.
pub struct Pool<'a> {
    factors: &'a [Vec<u32>],
    rows: Vec<Vec<Vec<u32>>>,
}

impl<'a> Pool<'a> {
    /// Of `factors`, a list a factor, row by row.
    pub fn new(factors: &'a [Vec<u32>]) -> Self {
        let by_value = |factor: &Vec<u32>| {
            let mut rows = vec![Vec::new(); factor.iter().max().map_or(0, |most| *most as usize + 1)];
            factor.iter().enumerate().for_each(|(row, value)| rows[*value as usize].push(row as u32));
            rows
        };
        Self { factors, rows: factors.iter().map(by_value).collect() }
    }

    /// The factor that vote `number` is about, drawn evenly.
    pub fn factor(&self, key: Key, number: usize) -> usize {
        at(uniforms(key.fold("factor").fold(number), 1)[0], self.factors.len())
    }

    /// `count` rows that all share the value of `factor` that a random row has.
    pub fn sharing(&self, factor: usize, count: usize, key: Key) -> Vec<usize> {
        let u = uniforms(key, count + 1);
        let first = at(u[0], self.factors[factor].len());
        let same = &self.rows[factor][self.factors[factor][first] as usize];
        u[1..].iter().map(|u| same[at(*u, same.len())] as usize).collect()
    }

    /// `count` pairs of rows, each of which shares the value of `factor` within itself.
    pub fn pairs(&self, factor: usize, count: usize, key: Key) -> Vec<[usize; 2]> {
        let u = uniforms(key, 2 * count);
        u.chunks(2)
            .map(|u| {
                let first = at(u[0], self.factors[factor].len());
                let same = &self.rows[factor][self.factors[factor][first] as usize];
                [first, same[at(u[1], same.len())] as usize]
            })
            .collect()
    }
}

fn uniforms(key: Key, count: usize) -> Vec<f32> {
    let mut values = vec![0.0; count];
    key.uniforms(&mut values);
    values
}

/// A place below `n` from a number in (0, 1).
fn at(u: f32, n: usize) -> usize {
    ((f64::from(u) * n as f64) as usize).min(n.saturating_sub(1))
}
