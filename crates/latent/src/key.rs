//! Noise has a key.
//!
//! Every draw is a function of a key, and keys fold:
//! `key.fold(purpose).fold(step).fold(row).fold(draw)`. A key is a ChaCha8 key; folding in `n` takes the
//! first 32 bytes of its keystream number `n`, so that the noise of a row is the same whatever the
//! batch it sits in, the thread that draws it, or how often a run was interrupted.
//!
//! Reference: Salmon et al., *Parallel random numbers: as easy as 1, 2, 3* (2011).

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use rand_distr::{Distribution, StandardNormal};

/// What a key is folded with: a number, or the name of a purpose.
pub trait Label {
    /// The number of the keystream that this label selects.
    fn stream(self) -> u64;
}

impl Label for u64 {
    fn stream(self) -> u64 {
        self
    }
}

impl Label for usize {
    fn stream(self) -> u64 {
        self as u64
    }
}

impl Label for &str {
    /// FNV-1a, with the top bit set so that short names cannot meet small numbers.
    fn stream(self) -> u64 {
        let hash = self.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        hash | 1 << 63
    }
}

/// The source of a draw: equal keys give equal noise, folded keys independent noise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key([u8; 32]);

impl Key {
    /// The key that everything drawn under `seed` descends from.
    pub fn from_seed(seed: u64) -> Self {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        Self(key).fold("latent")
    }

    /// The key of a sub-purpose, step, row or draw.
    #[must_use]
    pub fn fold(self, label: impl Label) -> Self {
        let mut stream = self.stream(label.stream());
        let mut key = [0; 32];
        stream.fill_bytes(&mut key);
        Self(key)
    }

    /// The generator that this key seeds, for draws the functions below don't cover.
    pub fn generator(self) -> ChaCha8Rng {
        // Stream 0 belongs to `fold(0)`: draws take a stream that no label selects.
        self.stream(u64::MAX >> 1)
    }

    /// Standard normal numbers.
    pub fn normals(self, out: &mut [f32]) {
        let mut generator = self.generator();
        for value in out {
            *value = StandardNormal.sample(&mut generator);
        }
    }

    /// Uniform numbers in the open interval (0, 1): 2⁻²³ (k + ½), k = 0 … 2²³ − 1.
    pub fn uniforms(self, out: &mut [f32]) {
        let mut generator = self.generator();
        for value in out {
            *value = open_unit(generator.next_u32());
        }
    }

    /// A uniformly random order of `0..n` (Fisher–Yates).
    pub fn permutation(self, n: usize) -> Vec<usize> {
        let mut generator = self.generator();
        let mut order: Vec<usize> = (0..n).collect();
        for last in (1..n).rev() {
            order.swap(last, below(&mut generator, last as u64 + 1) as usize);
        }
        order
    }

    fn stream(self, number: u64) -> ChaCha8Rng {
        let mut generator = ChaCha8Rng::from_seed(self.0);
        generator.set_stream(number);
        generator
    }
}

/// The upper 23 bits: with one more, k + ½ would be rounded, and the last to 1.
fn open_unit(bits: u32) -> f32 {
    ((bits >> 9) as f32 + 0.5) * (1.0 / (1 << 23) as f32)
}

/// A uniform integer in `0..bound`, without bias (Lemire 2019).
fn below(generator: &mut ChaCha8Rng, bound: u64) -> u64 {
    let threshold = bound.wrapping_neg() % bound;
    loop {
        let wide = u128::from(generator.next_u64()) * u128::from(bound);
        if wide as u64 >= threshold {
            return (wide >> 64) as u64;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folding_separates_and_repeats() {
        let key = Key::from_seed(7);
        assert_eq!(key.fold("noise").fold(3u64), key.fold("noise").fold(3u64));
        assert_ne!(key.fold(3u64), key.fold(4u64));
        assert_ne!(key.fold(3u64).fold(4u64), key.fold(4u64).fold(3u64));
        assert_ne!(key.fold("a"), key.fold("b"));
    }

    #[test]
    fn normals_have_the_moments_of_a_standard_normal() {
        let mut draws = vec![0.0; 200_000];
        Key::from_seed(1).normals(&mut draws);
        let n = draws.len() as f64;
        let mean = draws.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
        let variance = draws.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>() / n;
        // 5 standard errors: 1/√n of the mean, √(2/n) of the variance.
        assert!(mean.abs() < 5.0 / n.sqrt(), "{mean}");
        assert!((variance - 1.0).abs() < 5.0 * (2.0 / n).sqrt(), "{variance}");
    }

    #[test]
    fn uniforms_stay_inside_the_open_interval() {
        let mut draws = vec![0.0; 100_000];
        Key::from_seed(2).uniforms(&mut draws);
        assert!(draws.iter().all(|&v| v > 0.0 && v < 1.0));
        assert!(open_unit(0) > 0.0 && open_unit(u32::MAX) < 1.0);
        assert_eq!(1.0 - open_unit(u32::MAX), open_unit(0));
        let mean = draws.iter().map(|&v| f64::from(v)).sum::<f64>() / 1e5;
        assert!((mean - 0.5).abs() < 5.0 * (1.0f64 / 12.0 / 1e5).sqrt());
    }

    #[test]
    fn permutation_holds_every_row_once() {
        let mut order = Key::from_seed(3).permutation(1000);
        assert_ne!(order[..10], (0..10).collect::<Vec<_>>());
        order.sort_unstable();
        assert_eq!(order, (0..1000).collect::<Vec<_>>());
    }
}
