//! What the fused bodies may use of a machine: all of it, or less by `LATENT_KERNELS`, for oracles and comparisons.
//!
//! `plain`: no fused body at all; `base`: no vectors beyond what every machine of its kind has; `avx2`: AVX2 and FMA,
//! but no AVX-512. Read once; any other word limits nothing.

use std::sync::OnceLock;

/// The most that may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Limit {
    /// The plain compositions alone.
    Plain,
    /// Fused bodies without wide vectors or fused multiply-adds.
    Base,
    /// AVX2 and FMA.
    Avx2,
    /// Whatever there is.
    None,
}

/// What `LATENT_KERNELS` says.
pub(crate) fn limit() -> Limit {
    static LIMIT: OnceLock<Limit> = OnceLock::new();
    *LIMIT.get_or_init(|| match std::env::var("LATENT_KERNELS").as_deref() {
        Ok("plain") => Limit::Plain,
        Ok("base") => Limit::Base,
        Ok("avx2") => Limit::Avx2,
        _ => Limit::None,
    })
}
