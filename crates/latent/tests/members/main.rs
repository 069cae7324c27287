//! Members against oracles: what each claims, against something exact (a closed form, quadrature, enumeration, finite
//! differences in double precision with the noise held).
//!
//! One program, so that it links once; one file a member. Noise is keyed: a number here is the same on each run.
//! `cargo test --release --test members -- --nocapture` prints what was measured.

mod adversarial;
mod books;
mod common;
mod conditional;
mod densities;
mod exemplar;
mod flows;
mod fsq;
mod gumbel;
mod iaf;
mod lfq;
mod likelihoods;
mod patch_critic;
mod quantisers;
mod quantized;
mod residual;
mod simvq;
mod spatial;
mod vamp;
