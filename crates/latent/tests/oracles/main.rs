//! Numbers against oracles: every density, divergence, likelihood, bound and gradient of the core against
//! something exact (a closed form, quadrature, enumeration, finite differences in f64 with the noise held).
//!
//! One program, so that it links once; one file a subject. Noise is keyed: a number here is the same on each run.
//! `cargo test --release --test oracles -- --nocapture` prints what was measured.

mod annealing;
mod anomaly;
mod authors;
mod bits;
mod bounds;
mod combinations;
mod common;
mod densities;
mod discrepancy;
mod disentangling;
mod divergences;
mod estimators;
mod gradients;
mod label;
mod likelihood_section;
mod likelihoods;
mod linear_vae;
mod networks;
mod noise;
mod optimizer;
mod papers;
mod presets;
mod regularised;
mod schedules;
mod sharp;
mod similarity;
mod surrogates;
