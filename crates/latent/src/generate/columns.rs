//! A model of mixed columns at work: rows that meet conditions, gaps that are filled in, cells that surprise.
//!
//! Conditions: codes come from p(z), weighed by p(given | z), and are drawn again by their weights (importance resampling);
//! the other columns then follow given both. No row is thrown away for what it holds; the effective sample size says how
//! many codes carry the result.
//!
//! Gaps: z ~ q(z | observed), weighed by p(observed | z) p(z) / q(z | observed) and drawn again, then
//! missing ~ p(· | observed, z), and z again from q(z | observed, missing), a few times over (pseudo-Gibbs).
//!
//! References: Rezende, Mohamed & Wierstra (arXiv 1401.4082), appendix F; Mattei & Frellsen, *MIWAE* (arXiv 1812.02633).

use burn::tensor::Tensor;

use super::conditions::{Condition, refused};
use super::sampler::{FittedSampler, How};
use super::{Samples, Told, given};
use crate::array::Array;
use crate::batch::{Latent, Noise};
use crate::data::table::{GAP, Kept, Rule, Scale, UNKNOWN};
use crate::data::{Rows, Table};
use crate::device::{host, host_f64};
use crate::generate::Result;
use crate::key::Key;
use crate::model::likelihood::{Allowed, Completed, Evidence};
use crate::model::{Model, log_weights};

/// Rows that meet conditions.
#[derive(Clone, Debug)]
pub struct Conditioned {
    /// The rows.
    pub samples: Samples,
    /// How many codes carry them: (Σ w)² / Σ w².
    pub effective: f64,
    /// How many codes were weighed.
    pub candidates: usize,
    /// The share of rows that would meet the conditions, as the model has it.
    pub share: f64,
}

/// Rows that meet one of several lists of conditions.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// The conditions, as they were asked.
    pub text: String,
    /// How many rows were drawn for them.
    pub rows: usize,
    /// How many codes carry them: [`Conditioned::effective`].
    pub effective: f64,
    /// How many codes were weighed.
    pub candidates: usize,
    /// The share of rows that would meet the conditions, as the model has it.
    pub share: f64,
}

impl Group {
    /// Whether so few codes carry the rows that they resemble each other more than they should.
    pub fn is_thin(&self) -> bool {
        self.effective < 0.1 * self.rows as f64 || self.effective < 30.0
    }
}

/// Rows that go through the network at once.
const PART: usize = 256;

/// Codes that are weighed, at most.
const MOST_CANDIDATES: usize = 100_000;

/// Codes of a row that are weighed before its gaps are filled.
const CODES: usize = 5;

impl Model {
    /// The table that the model was trained on.
    ///
    /// # Errors
    /// A model of anything else.
    pub fn table(&self) -> Result<&Table> {
        self.facts.table.as_deref().ok_or_else(|| {
            refused(
                "this model is not one of mixed columns",
                "train one on a csv file (latent train --preset table --data FILE.csv)",
            )
        })
    }

    /// New rows that meet all conditions.
    ///
    /// # Errors
    /// A model of no table; conditions that hardly any row meets.
    pub fn sample_where(
        &self,
        sampler: &FittedSampler,
        conditions: &[Condition],
        count: usize,
        key: Key,
    ) -> Result<Conditioned> {
        let columns = self.table()?.modelled().count();
        let mut evidence = Evidence::nothing(0, columns);
        for condition in conditions {
            evidence.allowed[condition.column] = Some(condition.allowed.clone());
        }
        // What is asked of a value that others decide is asked of those.
        while let Some(more) = self.table()?.deciding(&evidence.allowed) {
            more.into_iter().for_each(|at| evidence.allowed[at] = Some(Allowed::anything()));
        }
        evidence.only_given = true;
        evidence.weigh = true;
        let (mut codes, mut x, mut weights): (Vec<f32>, Vec<f32>, Vec<f64>) = Default::default();
        let mut batch = (2 * count).clamp(2000, 20_000);
        let (mut effective, mut share);
        loop {
            let key = key.fold("candidates").fold(weights.len() as u64);
            let told = self.told(batch, key)?;
            let drawn = sampler.draw_told(self, &told, &How::default(), key)?;
            let found = self.completed(&drawn.values, &evidence, &told, key)?;
            codes.extend(drawn.values);
            x.extend(found.x);
            weights.extend(found.log_weight);
            let most = weights.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let relative = || weights.iter().map(|weight| (weight - most).exp());
            let (sum, squares) = (relative().sum::<f64>(), relative().map(|w| w * w).sum::<f64>());
            effective = sum * sum / squares;
            share = most.exp() * sum / weights.len() as f64;
            let enough = effective >= count as f64 || weights.len() >= MOST_CANDIDATES;
            if enough || weights.len() >= 25 * count.max(400) {
                break;
            }
            batch = weights.len().min(MOST_CANDIDATES - weights.len());
        }
        if share.is_nan() || share < 1e-9 {
            let asked: Vec<&str> = conditions.iter().map(|condition| condition.text.as_str()).collect();
            return Err(refused(
                format!("the model knows no rows with {}", asked.join(", ")),
                "ask for less at once: a row must have been possible in training",
            ));
        }
        let chosen = resampled(&weights, count, key.fold("resample"));
        let dims = self.dims();
        let take = |from: &[f32], width: usize| -> Vec<f32> {
            chosen.iter().flat_map(|&at| &from[at * width..(at + 1) * width]).copied().collect()
        };
        let (codes, x) = (take(&codes, dims), take(&x, columns));
        let evidence = Evidence { x, only_given: false, weigh: false, ..Evidence::nothing(0, columns) };
        let told = self.told(count, key)?;
        let found = self.completed(&codes, &evidence, &told, key.fold("rest"))?;
        let candidates = weights.len();
        Ok(Conditioned { samples: Samples::new(found.x, &self.facts), effective, candidates, share })
    }

    /// New rows, as many for each list of conditions as the count allows, in a keyed order.
    ///
    /// # Errors
    /// As [`Model::sample_where`].
    pub fn sample_groups(
        &self,
        sampler: &FittedSampler,
        groups: &[Vec<Condition>],
        count: usize,
        key: Key,
    ) -> Result<(Samples, Vec<Group>)> {
        let (mut x, mut found) = (Vec::new(), Vec::new());
        for (index, conditions) in groups.iter().enumerate() {
            let rows = count / groups.len() + usize::from(index < count % groups.len());
            if rows == 0 {
                continue;
            }
            let drawn = self.sample_where(sampler, conditions, rows, key.fold(index as u64))?;
            let asked: Vec<&str> = conditions.iter().map(|condition| condition.text.as_str()).collect();
            found.push(Group {
                text: asked.join(", "),
                rows,
                effective: drawn.effective,
                candidates: drawn.candidates,
                share: drawn.share,
            });
            x.extend(drawn.samples.x);
        }
        let width = self.facts.shape.features().max(1);
        let order = key.fold("order").permutation(x.len() / width);
        let mixed = order.iter().flat_map(|&row| &x[row * width..(row + 1) * width]).copied().collect();
        Ok((Samples::new(mixed, &self.facts), found))
    }

    /// Completes the rows of these codes; evidence without rows of x is that nothing is given of any.
    fn completed(&self, codes: &[f32], evidence: &Evidence, told: &Told, key: Key) -> Result<Completed> {
        let columns = self.table()?.modelled().count();
        let dims = self.dims().max(1);
        let rows = codes.len() / dims;
        let device = self.weights.device();
        // x and its weight side by side, so that threads share the work.
        let width = columns + 1;
        let view = self.view();
        let mut all = vec![0.0; rows * width];
        let ids: Vec<u64> = (0..rows as u64).collect();
        let part = |index: usize, out: &mut [f32]| {
            let rows = index * PART..index * PART + out.len() / width;
            let (ids, told) = (&ids[rows.clone()], told.tensor(rows.clone(), device));
            let z = codes[rows.start * dims..rows.end * dims].to_vec();
            let z = Latent::new(device.tensor(z, [ids.len(), dims]));
            let outputs = view.decode(&z, given(ids, &told));
            let x = match evidence.x.is_empty() {
                true => vec![UNKNOWN; ids.len() * columns],
                false => evidence.x[rows.start * columns..rows.end * columns].to_vec(),
            };
            let own = Evidence { x, allowed: evidence.allowed.clone(), ..*evidence };
            let noise = Noise::new(key.fold("columns"), ids);
            let Some(found) = self.functions.likelihood.complete(&view, outputs, &own, noise) else { return };
            for (row, out) in out.chunks_exact_mut(width).enumerate() {
                out[..columns].copy_from_slice(&found.x[row * columns..(row + 1) * columns]);
                out[columns] = found.log_weight[row] as f32;
            }
        };
        if device.is_cpu() {
            latent_kernels::each_chunk(&mut all, PART * width, part);
        } else {
            all.chunks_mut(PART * width).enumerate().for_each(|(index, out)| part(index, out));
        }
        let mut completed = Completed { x: Vec::with_capacity(rows * columns), log_weight: Vec::new() };
        for row in all.chunks_exact(width) {
            completed.x.extend(&row[..columns]);
            completed.log_weight.push(f64::from(row[columns]));
        }
        Ok(completed)
    }

    /// Rows with their empty cells drawn from what the model says of them given the others, by `passes` turns of code and
    /// cells.
    ///
    /// # Errors
    /// A model of no table; rows that are not what it knows.
    pub fn impute(&self, rows: &Rows, passes: usize, key: Key) -> Result<Samples> {
        let columns = self.table()?.modelled().count();
        let unknown: Vec<f32> = rows.x.iter().map(|x| if *x < 0.0 { UNKNOWN } else { *x }).collect();
        let observed = Rows { x: unknown.clone(), ..rows.clone() };
        let mut evidence = Evidence { x: unknown, ..Evidence::nothing(0, columns) };
        // A gap is to be filled, not to be drawn again.
        evidence.no_gaps = true;
        let told = Told::of(rows);
        let mut codes = self.likely_codes(&observed, key.fold("codes"))?;
        let mut found = self.completed(&codes.values, &evidence, &told, key.fold("cells"))?;
        for pass in 1..passes.max(1) {
            let key = key.fold("pass").fold(pass as u64);
            let full = Rows { x: found.x, ..rows.clone() };
            codes = self.draw_codes(&full, key)?;
            found = self.completed(&codes.values, &evidence, &told, key)?;
        }
        Ok(Samples::new(found.x, &self.facts))
    }

    /// The values of rows with their empty cells drawn as by [`Model::impute`]; `known` are their values, NaN where empty, which
    /// stay as they are. Constraints of the table are kept where the cells that are known can keep them.
    ///
    /// # Errors
    /// As [`Model::impute`].
    pub fn filled(&self, rows: &Rows, known: &[f64], passes: usize, key: Key) -> Result<Vec<f64>> {
        let table = self.table()?;
        let x = self.impute(rows, passes, key)?.x;
        let scales: Vec<Option<&Scale>> = table.modelled().map(|column| column.scale.as_ref()).collect();
        let width = scales.len().max(1);
        let mut values = known.to_vec();
        for (index, (value, x)) in values.iter_mut().zip(&x).enumerate() {
            if let (true, Some(scale)) = (value.is_nan() && *x >= 0.0, scales[index % width]) {
                *value = scale.value_from_x(*x);
            }
        }
        for (row, known) in values.chunks_exact_mut(width).zip(known.chunks_exact(width)) {
            table.settle(row, &|at| !known[at].is_nan());
        }
        Ok(values)
    }

    /// One code for each row, drawn from a few of q(z|x) by p(x|z) p(z) / q(z|x).
    fn likely_codes(&self, rows: &Rows, key: Key) -> Result<Array> {
        let dims = self.dims();
        let mut all = Vec::with_capacity(rows.len() * dims);
        self.parts(rows, |batch| -> Result<()> {
            let view = self.view();
            let (q, p) = (view.encode(batch), view.prior(batch.given()));
            let noise = Noise::new(key, &batch.ids);
            let n = batch.len();
            match log_weights(&view, batch, q.as_ref(), p.as_ref(), CODES, noise) {
                Ok((weights, draw)) => {
                    let (weights, codes) = (host_f64(&weights), host(&draw.z.z));
                    for row in 0..n {
                        let own: Vec<f64> = (0..CODES).map(|draw| weights[draw * n + row]).collect();
                        let chosen = resampled(&own, 1, key.fold("choice").fold(batch.ids[row]))[0];
                        all.extend(&codes[(chosen * n + row) * dims..(chosen * n + row + 1) * dims]);
                    }
                }
                Err(_) => all.extend(host(&q.draw(1, noise).z.z)),
            }
            Ok(())
        })?;
        Ok(Array::matrix(all, dims))
    }

    /// log p(cell | the other cells of its row) of each cell, `rows × columns`, at a draw of q(z|x).
    ///
    /// # Errors
    /// A model of no table; rows that are not what it knows.
    pub fn surprises(&self, rows: &Rows, key: Key) -> Result<Array> {
        let columns = self.table()?.modelled().count();
        let mut all = Vec::with_capacity(rows.len() * columns);
        self.parts(rows, |batch| -> Result<()> {
            let view = self.view();
            let z = view.encode(batch).draw(1, Noise::new(key, &batch.ids)).z;
            let outputs: Tensor<2> = view.decode(&z, batch.given());
            all.extend(self.functions.likelihood.surprises(&view, outputs, batch).unwrap_or_default());
            Ok(())
        })?;
        Ok(Array::matrix(all, columns))
    }
}

impl Table {
    /// The columns that decide values of which something is asked and of which nothing is asked yet; none where there are none.
    fn deciding(&self, asked: &[Option<Allowed>]) -> Option<Vec<usize>> {
        let columns: Vec<_> = self.modelled().collect();
        let is_even = |at: usize| columns[at].scale.as_ref().is_some_and(|scale| scale.low == scale.high);
        let deciding = |kept: &Kept| match &kept.rule {
            Rule::Sum { made, .. } if asked[*made].is_some() => {
                kept.rule.made().into_iter().flat_map(|(_, others)| others).map(|(at, _)| at).collect()
            }
            // A level of one value says it all.
            Rule::Map { from, to, .. } if asked[*to].is_some() && !is_even(*to) => vec![*from],
            _ => Vec::new(),
        };
        let mut found: Vec<usize> = self.constraints.iter().flat_map(deciding).collect();
        found.retain(|at| asked[*at].is_none());
        (!found.is_empty()).then_some(found)
    }
}

/// `count` places by their weights, of which the logarithms are given (systematic resampling).
fn resampled(log_weights: &[f64], count: usize, key: Key) -> Vec<usize> {
    let most = log_weights.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = log_weights.iter().map(|weight| (weight - most).exp()).collect();
    let sum: f64 = weights.iter().sum();
    let mut start = [0.0];
    key.uniforms(&mut start);
    let step = sum / count.max(1) as f64;
    let (mut at, mut reached, mut chosen) = (0, 0.0, Vec::with_capacity(count));
    for draw in 0..count {
        let wanted = (draw as f64 + f64::from(start[0])) * step;
        while at + 1 < weights.len() && reached + weights[at] <= wanted {
            reached += weights[at];
            at += 1;
        }
        chosen.push(at);
    }
    chosen
}

/// Rows in which gaps say nothing: x of every empty cell is unknown.
#[must_use]
pub fn without_gaps(rows: &Rows) -> Rows {
    let x = rows.x.iter().map(|x| if *x == GAP { UNKNOWN } else { *x }).collect();
    Rows { x, ..rows.clone() }
}
