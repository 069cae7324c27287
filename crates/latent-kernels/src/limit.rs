//! What the fused bodies may use of a machine: all of it, or less by `LATENT_KERNELS`, for oracles and comparisons.
//!
//! `plain`: no fused body at all; `base`: no vectors beyond what every machine of its kind has; `avx2`: AVX2 and FMA,
//! but no AVX-512; `none`: all of it. Read once; any other word limits nothing here, and [`check_limit`] refuses it.

use std::fmt;
use std::sync::OnceLock;

/// The variable.
const NAME: &str = "LATENT_KERNELS";

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
    *LIMIT.get_or_init(|| match std::env::var(NAME).as_deref() {
        Ok("plain") => Limit::Plain,
        Ok("base") => Limit::Base,
        Ok("avx2") => Limit::Avx2,
        _ => Limit::None,
    })
}

/// `LATENT_KERNELS` holds a word that means nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownLimit {
    /// The word.
    pub word: String,
}

impl fmt::Display for UnknownLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{NAME}: {:?} is no limit; give plain, base, avx2 or none", self.word)
    }
}

impl std::error::Error for UnknownLimit {}

/// Refuses a word in `LATENT_KERNELS` that means nothing; an empty one is `none`.
///
/// # Errors
/// [`UnknownLimit`].
pub fn check_limit() -> Result<(), UnknownLimit> {
    let word = std::env::var_os(NAME).unwrap_or_default();
    match word.to_str() {
        Some("" | "none" | "plain" | "base" | "avx2") => Ok(()),
        _ => Err(UnknownLimit { word: word.to_string_lossy().into_owned() }),
    }
}

/// The instructions that numbers are computed with: machines that have others round otherwise. Such as `x86_64 avx512`.
#[must_use]
pub fn instructions() -> String {
    let limit = match limit() {
        Limit::Plain => ", plain",
        Limit::Base => ", base",
        Limit::Avx2 => ", avx2",
        Limit::None => "",
    };
    format!("{} {}{limit}", std::env::consts::ARCH, widest())
}

/// What the machine has, whatever is allowed: burn's own operations use it too.
fn widest() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") {
            return "avx512";
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            return "avx2";
        }
    }
    "base"
}
