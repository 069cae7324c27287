//! The innermost loop: a tile of C held in registers while the depth runs by.

use crate::limit::{Limit, limit};

/// One tile: `rows × columns` of C += (or =) a panel of A times a panel of B.
pub(crate) struct Call {
    pub rows: usize,
    pub columns: usize,
    pub depth: usize,
    /// `[depth][a_stride]`, of which the first `rows` count
    pub a: *const f32,
    pub a_stride: usize,
    /// Step p starts at `p · b_stride`; at least `columns` values are valid in each, or as many as the kernel's columns.
    pub b: *const f32,
    /// Whether B's steps have as many values as the kernel has columns: a masked load would take the place of a
    /// multiply-add.
    pub whole: bool,
    pub b_stride: usize,
    pub c: *mut f32,
    pub c_stride: usize,
    pub accumulate: bool,
}

/// An inner kernel and its tile.
pub(crate) struct Kernel {
    /// MR, the most rows of a tile.
    pub rows: usize,
    /// NR, the columns of a tile.
    pub columns: usize,
    /// Whether B may be read where it lies (else a panel must be padded to NR columns).
    pub reads_in_place: bool,
    /// # Safety
    /// All that the call points to is valid, and the machine has the kernel's instructions.
    pub run: unsafe fn(Call),
}

impl Kernel {
    const PORTABLE: Kernel = Kernel { rows: 4, columns: 8, reads_in_place: false, run: portable };

    /// The fastest that this machine can and may run.
    pub(crate) fn detect() -> Kernel {
        let mut kernels = Kernel::all();
        let allowed = match limit() {
            Limit::Plain | Limit::Base => Kernel::PORTABLE.columns,
            Limit::Avx2 => 16,
            Limit::None => usize::MAX,
        };
        kernels.retain(|kernel| kernel.columns <= allowed);
        kernels.remove(0)
    }

    /// Every kernel that this machine can run, the fastest first.
    pub(crate) fn all() -> Vec<Kernel> {
        let mut kernels = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx512f") {
                kernels.push(Kernel { rows: 14, columns: 32, reads_in_place: true, run: avx512 });
            }
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                kernels.push(Kernel { rows: 6, columns: 16, reads_in_place: true, run: avx2 });
            }
        }
        kernels.push(Kernel::PORTABLE);
        kernels
    }
}

/// A tile of 4 × 8, for the compiler to vectorise as the target allows.
///
/// # Safety
/// The call's places are valid.
unsafe fn portable(call: Call) {
    // SAFETY: the caller's promise.
    unsafe {
        match call.rows {
            4 => tile_portable::<4>(call),
            3 => tile_portable::<3>(call),
            2 => tile_portable::<2>(call),
            _ => tile_portable::<1>(call),
        }
    }
}

/// # Safety
/// As [`portable`], `ROWS` being the call's rows.
unsafe fn tile_portable<const ROWS: usize>(call: Call) {
    let mut sums = [[0f32; 8]; ROWS];
    for p in 0..call.depth {
        // SAFETY: the panels hold `ROWS` rows and are padded to 8 columns.
        let (a, b) = unsafe {
            (
                &*call.a.add(call.a_stride * p).cast::<[f32; ROWS]>(),
                &*call.b.add(call.b_stride * p).cast::<[f32; 8]>(),
            )
        };
        for (sums, a) in sums.iter_mut().zip(a) {
            for (sum, b) in sums.iter_mut().zip(b) {
                *sum = if cfg!(target_arch = "aarch64") { a.mul_add(*b, *sum) } else { *sum + a * b };
            }
        }
    }
    for (row, sums) in sums.iter().enumerate() {
        // SAFETY: the tile of C is `rows × columns`.
        let c = unsafe { call.c.add(row * call.c_stride) };
        for (column, sum) in sums.iter().enumerate().take(call.columns) {
            // SAFETY: as above.
            unsafe { *c.add(column) = if call.accumulate { *c.add(column) + sum } else { *sum } };
        }
    }
}

#[cfg(target_arch = "x86_64")]
use x86::{avx2, avx512};

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::Call;
    use std::arch::x86_64::*;

    macro_rules! by_rows {
        ($call:ident, $tile:ident, $($rows:literal)*) => {
            match ($call.rows, $call.whole) {
                // SAFETY: the caller's promise, and this function's own target features.
                $(($rows, true) => unsafe { $tile::<$rows, true>($call) },
                // SAFETY: as above.
                ($rows, false) => unsafe { $tile::<$rows, false>($call) },)*
                _ => debug_assert!(false, "a tile has no such number of rows"),
            }
        };
    }

    /// # Safety
    /// The call's places are valid; the machine has AVX-512F.
    #[target_feature(enable = "avx512f")]
    pub(super) unsafe fn avx512(call: Call) {
        by_rows!(call, tile_avx512, 1 2 3 4 5 6 7 8 9 10 11 12 13 14);
    }

    /// # Safety
    /// The call's places are valid; the machine has AVX2 and FMA.
    #[target_feature(enable = "avx2,fma")]
    pub(super) unsafe fn avx2(call: Call) {
        by_rows!(call, tile_avx2, 1 2 3 4 5 6);
    }

    /// # Safety
    /// As [`avx512`], `ROWS` being the call's rows and `WHOLE` what it says of B.
    #[target_feature(enable = "avx512f")]
    unsafe fn tile_avx512<const ROWS: usize, const WHOLE: bool>(call: Call) {
        let low = ((1u32 << call.columns.min(16)) - 1) as u16;
        let high = ((1u32 << call.columns.saturating_sub(16)) - 1) as u16;
        // SAFETY: masked lanes are not touched; all others are the caller's promise.
        unsafe {
            let mut sums = [[_mm512_setzero_ps(); 2]; ROWS];
            let (mut a, mut b) = (call.a, call.b);
            for _ in 0..call.depth {
                let (b0, b1) = if WHOLE {
                    (_mm512_loadu_ps(b), _mm512_loadu_ps(b.add(16)))
                } else {
                    (_mm512_maskz_loadu_ps(low, b), _mm512_maskz_loadu_ps(high, b.wrapping_add(16)))
                };
                for (row, sums) in sums.iter_mut().enumerate() {
                    let value = _mm512_set1_ps(*a.add(row));
                    sums[0] = _mm512_fmadd_ps(value, b0, sums[0]);
                    sums[1] = _mm512_fmadd_ps(value, b1, sums[1]);
                }
                a = a.wrapping_add(call.a_stride);
                b = b.wrapping_add(call.b_stride);
            }
            for (row, [mut c0, mut c1]) in sums.into_iter().enumerate() {
                let c = call.c.add(row * call.c_stride);
                if call.accumulate {
                    c0 = _mm512_add_ps(_mm512_maskz_loadu_ps(low, c), c0);
                    c1 = _mm512_add_ps(_mm512_maskz_loadu_ps(high, c.wrapping_add(16)), c1);
                }
                _mm512_mask_storeu_ps(c, low, c0);
                _mm512_mask_storeu_ps(c.wrapping_add(16), high, c1);
            }
        }
    }

    /// Lanes below `count` of eight.
    #[target_feature(enable = "avx2")]
    fn mask(count: usize) -> __m256i {
        let lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
        _mm256_cmpgt_epi32(_mm256_set1_epi32(count.min(8) as i32), lanes)
    }

    /// # Safety
    /// As [`avx2`], `ROWS` being the call's rows and `WHOLE` what it says of B.
    #[target_feature(enable = "avx2,fma")]
    unsafe fn tile_avx2<const ROWS: usize, const WHOLE: bool>(call: Call) {
        let (low, high) = (mask(call.columns), mask(call.columns.saturating_sub(8)));
        // SAFETY: masked lanes are not touched; all others are the caller's promise.
        unsafe {
            let mut sums = [[_mm256_setzero_ps(); 2]; ROWS];
            let (mut a, mut b) = (call.a, call.b);
            for _ in 0..call.depth {
                let (b0, b1) = if WHOLE {
                    (_mm256_loadu_ps(b), _mm256_loadu_ps(b.add(8)))
                } else {
                    (_mm256_maskload_ps(b, low), _mm256_maskload_ps(b.wrapping_add(8), high))
                };
                for (row, sums) in sums.iter_mut().enumerate() {
                    let value = _mm256_set1_ps(*a.add(row));
                    sums[0] = _mm256_fmadd_ps(value, b0, sums[0]);
                    sums[1] = _mm256_fmadd_ps(value, b1, sums[1]);
                }
                a = a.wrapping_add(call.a_stride);
                b = b.wrapping_add(call.b_stride);
            }
            for (row, [mut c0, mut c1]) in sums.into_iter().enumerate() {
                let c = call.c.add(row * call.c_stride);
                if call.accumulate {
                    c0 = _mm256_add_ps(_mm256_maskload_ps(c, low), c0);
                    c1 = _mm256_add_ps(_mm256_maskload_ps(c.wrapping_add(8), high), c1);
                }
                _mm256_maskstore_ps(c, low, c0);
                _mm256_maskstore_ps(c.wrapping_add(8), high, c1);
            }
        }
    }
}
