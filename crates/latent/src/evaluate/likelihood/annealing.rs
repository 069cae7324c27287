//! Annealed importance sampling, and its own error bracketed from both sides.
//!
//! A chain starts at z₀ ~ p₀ and follows the path f_β in T steps, each a weight and a transition that leaves f_β as it is:
//!
//! log w = Σ_t (β_t − β_{t−1}) s(z_{t−1}),  z_t ~ HMC at β_t;  E w = P(x), so that E log mean w ≤ log P(x)
//!
//! The bias of the logarithm is small where neighbouring densities overlap and transitions mix. For an x that the
//! model made itself, the z that made it is an exact draw of p(z|x): the same chain run backward from there has
//! E 1/w = 1/P(x), so that −log mean 1/w is an upper bound. True log P(x) lies between the two. For an x of the data no such
//! draw is known: what annealing is off there at most, nobody can say.
//!
//! The step size follows the acceptance rate in a separate warm-up, whose noise the chains that count never see: a chain
//! that tuned its own transitions would no longer leave f_β as it is.
//!
//! References: Neal, *Annealed importance sampling* (arXiv physics/9803008); Wu, Burda, Salakhutdinov & Grosse, *On the
//! quantitative analysis of decoder-based generative models* (arXiv 1611.04273); Grosse, Ghahramani & Adams, *Sandwiching
//! the marginal likelihood using bidirectional Monte Carlo* (arXiv 1511.02543).

use std::time::Instant;

use burn::tensor::Tensor;

use super::hmc::transition;
use super::path::{Path, Start, State};
use crate::batch::{Batch, Given, Latent, Noise};
use crate::key::Key;
use crate::model::{ModelError, Score, View, Weighed};

/// How the path is walked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Annealing {
    /// T: the number of steps from β = 0 to β = 1; there are T − 1 densities between.
    pub temperatures: usize,
    /// Independent chains for each row, whose weights are averaged.
    pub chains: usize,
    /// Leapfrog steps of a transition.
    pub leapfrogs: usize,
    /// Where the temperatures lie.
    pub schedule: Schedule,
    /// The acceptance rate that the warm-up steers towards.
    pub acceptance: f64,
}

impl Default for Annealing {
    /// 1000 temperatures, 16 chains, 10 leapfrog steps, acceptance 0.65: Wu et al.'s, at their lesser number of
    /// temperatures.
    fn default() -> Self {
        Self { temperatures: 1000, chains: 16, leapfrogs: 10, schedule: Schedule::Sigmoid, acceptance: 0.65 }
    }
}

impl Annealing {
    /// Transitions that a row takes, the warm-up's included: what annealing costs.
    pub fn transitions(&self) -> usize {
        let steps = self.temperatures.max(1) - 1;
        let warm = if steps == 0 { 0 } else { self.warm_chains() * self.stations() };
        self.chains.max(1) * steps + warm
    }

    /// Chains of a row in the warm-up.
    fn warm_chains(&self) -> usize {
        self.chains.clamp(1, 4)
    }

    /// The densities that the warm-up stops at.
    fn stations(&self) -> usize {
        (self.temperatures / 4).clamp(20, 100)
    }
}

/// Where the temperatures lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// β_t = t / T
    Linear,
    /// β_t ∝ sigmoid(4 (2t/T − 1)), from 0 to 1: dense at both ends, where f_β changes most.
    Sigmoid,
}

impl Schedule {
    /// β at a share of the way, both from 0 to 1.
    pub fn beta(self, share: f64) -> f64 {
        let sigmoid = |share: f64| 1.0 / (1.0 + (-4.0 * (2.0 * share - 1.0)).exp());
        match self {
            Self::Linear => share,
            Self::Sigmoid => (sigmoid(share) - sigmoid(0.0)) / (sigmoid(1.0) - sigmoid(0.0)),
        }
    }
}

/// What annealing says of one row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Annealed {
    /// The log mean weight of the chains, its standard error, and how many chains count.
    pub score: Score,
    /// The mean acceptance probability of the transitions; NaN where there was none.
    pub acceptance: f64,
}

/// Bounds of log P(x) for one row that the model made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bracket {
    /// From chains that start at p₀: below log P(x) in expectation.
    pub lower: Score,
    /// From chains that start at the z that made x: above log P(x) in expectation.
    pub upper: f64,
}

/// Rows of all chains that move at once.
const PART_ROWS: usize = 512;

/// log P(x) of each row of a batch by annealing from `start`. A row's number is the same in any batch.
///
/// # Errors
/// [`ModelError::NoDensity`] where the model has no such path ([`Path::new`]).
pub fn anneal(
    view: &View<'_>,
    batch: &Batch,
    start: Start,
    settings: &Annealing,
    key: Key,
) -> Result<Vec<Annealed>, ModelError> {
    let mut all = Vec::with_capacity(batch.len());
    for piece in parts(batch, settings) {
        let path = Path::new(*view, &piece, start)?;
        let steps = StepSizes::tuned(&path, piece.noise(key).ids, settings, key.fold("warm-up"));
        let chains = settings.chains.max(1);
        let state = path.start(chains, piece.noise(key.fold("start")));
        let walk = Walk {
            path: &path,
            settings,
            steps: &steps,
            key: key.fold("forward"),
            ids: piece.noise(key).ids,
        };
        let (weights, acceptance) = walk.forward(state);
        all.extend(
            means(&weights, piece.len())
                .into_iter()
                .zip(acceptance)
                .map(|(weighed, acceptance)| Annealed { score: weighed.score(), acceptance }),
        );
    }
    Ok(all)
}

/// `count` rows that the model makes of what each is told, numbered from 0, and the z that each came from: an exact draw of p(z|x).
pub fn simulate(view: &View<'_>, count: usize, condition: Option<&Tensor<2>>, key: Key) -> (Batch, Latent) {
    let ids: Vec<u64> = (0..count as u64).collect();
    let given = Given { ids: &ids, condition };
    let z = view.prior(given).draw(1, Noise::new(key.fold("prior"), &ids)).z;
    let outputs = view.decode(&z, given);
    let x = view.model.likelihood.draw(view, outputs, Noise::new(key.fold("likelihood"), &ids));
    (Batch { condition: condition.cloned(), ..Batch::of(x, ids) }, z)
}

/// Bounds from both sides for [simulated](simulate) rows.
///
/// # Errors
/// [`ModelError::NoDensity`] where the model has no such path ([`Path::new`]).
pub fn bidirectional(
    view: &View<'_>,
    (batch, z): (&Batch, &Latent),
    start: Start,
    settings: &Annealing,
    key: Key,
) -> Result<Vec<Bracket>, ModelError> {
    let (mut all, mut first) = (Vec::with_capacity(batch.len()), 0);
    let chains = settings.chains.max(1);
    for piece in parts(batch, settings) {
        let n = piece.len();
        let path = Path::new(*view, &piece, start)?;
        let steps = StepSizes::tuned(&path, piece.noise(key).ids, settings, key.fold("warm-up"));
        let walk = |purpose: &str| Walk {
            path: &path,
            settings,
            steps: &steps,
            key: key.fold(purpose),
            ids: piece.noise(key).ids,
        };
        let state = path.start(chains, piece.noise(key.fold("start")));
        let (below, _) = walk("forward").forward(state);
        let exact = z.z.clone().narrow(0, first, n).repeat_dim(0, chains);
        let above = walk("backward").backward(path.at(exact));
        let above: Vec<f64> = above.into_iter().map(|log_w| -log_w).collect();
        all.extend(
            means(&below, n)
                .iter()
                .zip(means(&above, n))
                .map(|(lower, upper)| Bracket { lower: lower.score(), upper: -upper.score().log_p_lower }),
        );
        first += n;
    }
    Ok(all)
}

/// How long one transition of one chain takes, in seconds.
pub(super) fn seconds_per_transition(
    view: &View<'_>,
    batch: &Batch,
    start: Start,
    settings: &Annealing,
) -> Result<f64, ModelError> {
    let batch = batch.slice(0, batch.len().min((PART_ROWS / settings.chains.max(1)).max(1)));
    let path = Path::new(*view, &batch, start)?;
    let noise = batch.noise(Key::from_seed(0));
    let mut state = path.start(settings.chains.max(1), noise);
    let rows = state.slope.len();
    let epsilon = vec![0.1; batch.len()];
    // The first of two warms up; two leapfrog steps stand for all.
    let mut seconds = 0.0;
    for _ in 0..2 {
        let begun = Instant::now();
        state = transition(&path, 0.5, state, &epsilon, 2, noise).0;
        seconds = begun.elapsed().as_secs_f64();
    }
    Ok(seconds * settings.leapfrogs.max(1) as f64 / (2 * rows) as f64)
}

fn parts<'a>(batch: &'a Batch, settings: &Annealing) -> impl Iterator<Item = Batch> + 'a {
    let rows = (PART_ROWS / settings.chains.max(1)).max(1);
    (0..batch.len()).step_by(rows).map(move |first| batch.slice(first, rows.min(batch.len() - first)))
}

/// Weights of chains, chain-major, gathered by row.
fn means(log_weights: &[f64], n: usize) -> Vec<Weighed> {
    let mut rows = vec![Weighed::default(); n];
    log_weights.iter().enumerate().for_each(|(chain, &log_w)| rows[chain % n].add(log_w));
    rows
}

/// A way along the path, in either direction.
struct Walk<'a> {
    path: &'a Path<'a>,
    settings: &'a Annealing,
    steps: &'a StepSizes,
    key: Key,
    ids: &'a [u64],
}

impl Walk<'_> {
    /// log w of each chain from β = 0 to 1, and the mean acceptance of each row.
    fn forward(&self, mut state: State) -> (Vec<f64>, Vec<f64>) {
        let last = self.settings.temperatures.max(1);
        let mut log_weights = vec![0.0; state.slope.len()];
        let mut accepted = vec![Vec::new(); self.ids.len()];
        for t in 1..=last {
            self.weigh(t, &state, &mut log_weights);
            if t < last {
                state = self.move_at(t, state, &mut accepted);
            }
        }
        let mean = |values: &Vec<f64>| values.iter().sum::<f64>() / values.len() as f64;
        (log_weights, accepted.iter().map(mean).collect())
    }

    /// The same steps from β = 1 to 0, from exact draws of p(z|x); log w of the forward chain that this one reverses.
    fn backward(&self, mut state: State) -> Vec<f64> {
        let last = self.settings.temperatures.max(1);
        let mut log_weights = vec![0.0; state.slope.len()];
        let mut accepted = vec![Vec::new(); self.ids.len()];
        for t in (1..=last).rev() {
            self.weigh(t, &state, &mut log_weights);
            if t > 1 {
                state = self.move_at(t - 1, state, &mut accepted);
            }
        }
        log_weights
    }

    fn beta(&self, t: usize) -> f64 {
        self.settings.schedule.beta(t as f64 / self.settings.temperatures.max(1) as f64)
    }

    fn weigh(&self, t: usize, state: &State, log_weights: &mut [f64]) {
        let width = self.beta(t) - self.beta(t - 1);
        log_weights.iter_mut().zip(&state.slope).for_each(|(log_w, slope)| *log_w += width * slope);
    }

    fn move_at(&self, t: usize, state: State, accepted: &mut [Vec<f64>]) -> State {
        let epsilon = self.steps.at(t as f64 / self.settings.temperatures.max(1) as f64);
        let noise = Noise::new(self.key.fold(t), self.ids);
        let leapfrogs = self.settings.leapfrogs.max(1);
        let (state, acceptance) = transition(self.path, self.beta(t), state, &epsilon, leapfrogs, noise);
        let n = self.ids.len();
        acceptance.into_iter().enumerate().for_each(|(chain, a)| accepted[chain % n].push(a));
        state
    }
}

/// The step size of each row along the path.
struct StepSizes {
    /// ln ε at equal distances from share 0 to 1, by row.
    logs: Vec<Vec<f64>>,
}

impl StepSizes {
    /// Walks a shorter path with chains of its own; after each transition ln ε moves by half of how far the acceptance is
    /// from where it should be. What it went through is smoothed.
    fn tuned(path: &Path<'_>, ids: &[u64], settings: &Annealing, key: Key) -> Self {
        let n = ids.len();
        // The optimal scaling of HMC in d dimensions.
        let mut logs = vec![-0.25 * (path.dims() as f64).ln(); n];
        if settings.temperatures < 2 {
            return Self { logs: vec![logs] };
        }
        let (stations, chains) = (settings.stations(), settings.warm_chains());
        let mut state = path.start(chains, Noise::new(key.fold("start"), ids));
        let mut trace = Vec::with_capacity(stations);
        for station in 0..stations {
            let share = (station as f64 + 0.5) / stations as f64;
            let epsilon: Vec<f64> = logs.iter().map(|log: &f64| log.exp()).collect();
            let noise = Noise::new(key.fold(station), ids);
            let beta = settings.schedule.beta(share);
            let (moved, acceptance) =
                transition(path, beta, state, &epsilon, settings.leapfrogs.max(1), noise);
            state = moved;
            for (row, log) in logs.iter_mut().enumerate() {
                let own = acceptance.iter().skip(row).step_by(n);
                let mean = own.sum::<f64>() / chains as f64;
                *log += 0.5 * (mean - settings.acceptance);
            }
            trace.push(logs.clone());
        }
        let reach = (stations / 20).max(2);
        let smooth = |station: usize| -> Vec<f64> {
            let near = &trace[station.saturating_sub(reach)..(station + reach + 1).min(stations)];
            (0..n).map(|row| near.iter().map(|logs| logs[row]).sum::<f64>() / near.len() as f64).collect()
        };
        Self { logs: (0..stations).map(smooth).collect() }
    }

    /// ε of each row at a share of the way.
    fn at(&self, share: f64) -> Vec<f64> {
        let station = (share * self.logs.len() as f64) as usize;
        self.logs[station.min(self.logs.len() - 1)].iter().map(|log| log.exp()).collect()
    }
}
