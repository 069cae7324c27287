//! Hamiltonian Monte Carlo: a transition that leaves f_β as it is and goes far.
//!
//! A momentum p ~ N(0, I) is given to z; leapfrog steps follow the hills of log f_β; and the end is accepted with
//! probability min(1, exp(−ΔH)), H(z, p) = −log f_β(z) + ½‖p‖²:
//!
//! p ← p + ½ ε s ∇ log f_β(z);  z ← z + ε s p;  p ← p + ½ ε s ∇ log f_β(z)
//!
//! with s about the width of f_β in each dimension. The length of a step is drawn anew each time, from 0.7 ε to 1.3 ε:
//! paths of one length may return to where they began.
//!
//! Reference: Neal, *MCMC using Hamiltonian dynamics* (arXiv 1206.1901).

use burn::tensor::Tensor;

use super::path::{Path, State};
use crate::batch::Noise;
use crate::device::{Device, host_f64};

/// How many leapfrog steps follow the Hamiltonian; `step` is ε·s, `[rows, dims]`. The end and its momentum: with the
/// momentum turned round the same steps lead back.
pub fn leapfrog(
    path: &Path<'_>,
    beta: f64,
    state: &State,
    momentum: Tensor<2>,
    step: &Tensor<2>,
    steps: usize,
) -> (State, Tensor<2>) {
    let kick = |momentum: Tensor<2>, state: &State, share: f64| {
        momentum + state.gradient(beta) * step.clone() * share
    };
    let mut momentum = kick(momentum, state, 0.5);
    let mut state = path.at(state.z.clone() + momentum.clone() * step.clone());
    for _ in 1..steps {
        momentum = kick(momentum, &state, 1.0);
        state = path.at(state.z.clone() + momentum.clone() * step.clone());
    }
    let momentum = kick(momentum, &state, 0.5);
    (state, momentum)
}

/// One transition of every chain, and the probability with which each was accepted. `epsilon` is the step size of each
/// row of the batch, one number a row; noise is keyed by row and chain.
pub fn transition(
    path: &Path<'_>,
    beta: f64,
    state: State,
    epsilon: &[f64],
    leapfrogs: usize,
    noise: Noise<'_>,
) -> (State, Vec<f64>) {
    let [rows, dims] = state.z.dims();
    let (n, device) = (noise.ids.len(), Device::of(&state.z));
    let chains = rows / n.max(1);
    let sub = |purpose: &str| Noise { key: noise.key.fold(purpose), ..noise };
    let momentum = sub("momentum").normals(chains, dims, &device);
    let chance = host_f64(&sub("accept").uniforms(chains, 2, &device));
    let jittered = chance
        .chunks(2)
        .enumerate()
        .map(|(row, chance)| epsilon[row % n] * (0.7 + 0.6 * chance[1]))
        .collect();
    let step = path.width(beta, rows) * device.tensor_f64(jittered, [rows, 1]).expand([rows, dims]);
    let kinetic = |momentum: &Tensor<2>| host_f64(&(momentum.clone() * momentum.clone()).sum_dim(1));
    let energy = |state: &State, momentum: &Tensor<2>| -> Vec<f64> {
        let kinetic = kinetic(momentum);
        state.log_density(beta).iter().zip(kinetic).map(|(log_f, square)| 0.5 * square - log_f).collect()
    };
    let before = energy(&state, &momentum);
    let (end, momentum) = leapfrog(path, beta, &state, momentum, &step, leapfrogs);
    let after = energy(&end, &momentum);
    // A path that left the numbers is not accepted.
    let chances = before.iter().zip(after).map(|(before, after)| {
        let ratio = (before - after).min(0.0).exp();
        if ratio.is_nan() { 0.0 } else { ratio }
    });
    let acceptance: Vec<f64> = chances.collect();
    let taken: Vec<bool> =
        acceptance.iter().zip(chance.chunks(2)).map(|(accept, chance)| chance[0] < *accept).collect();
    (state.replaced(end, &taken), acceptance)
}
