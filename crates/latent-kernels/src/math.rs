//! Elementary functions in f32, written without branches so that the compiler vectorises loops over them.
//!
//! Errors stay within about 2 units in the last place (the tests sweep them against f64); NaN stays NaN.
//! [`vectorised!`] compiles a function for plain x86-64, for AVX2 with FMA and for AVX-512, and picks at run time;
//! the last two give the same bits.

use std::f32::consts::LOG2_E;
#[cfg(target_arch = "x86_64")]
use std::sync::OnceLock;

#[cfg(target_arch = "x86_64")]
use crate::limit::{Limit, limit};

/// Defines functions whose bodies are compiled for each [`Width`] of machine.
///
/// A body may use the constant `FMA`, which says whether a fused multiply-add is one instruction.
macro_rules! vectorised {
    ($($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident: $type:ty),* $(,)?) $(-> $result:ty)? $body:block)*) => {$(
        $(#[$meta])*
        $vis fn $name($($arg: $type),*) $(-> $result)? {
            #[inline(always)]
            fn body<const FMA: bool>($($arg: $type),*) $(-> $result)? $body
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2,fma")]
                fn wide($($arg: $type),*) $(-> $result)? {
                    body::<true>($($arg),*)
                }
                #[target_feature(enable = "avx2,fma,avx512f,avx512vl,avx512bw,avx512dq")]
                fn widest($($arg: $type),*) $(-> $result)? {
                    body::<true>($($arg),*)
                }
                match $crate::math::width() {
                    // SAFETY: the machine has what the function needs.
                    $crate::math::Width::Widest => return unsafe { widest($($arg),*) },
                    // SAFETY: as above.
                    $crate::math::Width::Wide => return unsafe { wide($($arg),*) },
                    $crate::math::Width::Base => {}
                }
            }
            body::<{ cfg!(target_arch = "aarch64") }>($($arg),*)
        }
    )*};
}
pub(crate) use vectorised;

/// Which vector instructions this machine has.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
pub(crate) enum Width {
    /// What every x86-64 has.
    Base,
    /// AVX2 and FMA.
    Wide,
    /// AVX-512.
    Widest,
}

/// The [`Width`] to be used on this machine.
#[cfg(target_arch = "x86_64")]
#[inline]
pub(crate) fn width() -> Width {
    static WIDTH: OnceLock<Width> = OnceLock::new();
    *WIDTH.get_or_init(|| {
        let fma = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
        let avx512 = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq");
        if fma && avx512 && limit() > Limit::Avx2 {
            Width::Widest
        } else if fma && limit() > Limit::Base {
            Width::Wide
        } else {
            Width::Base
        }
    })
}

#[inline(always)]
fn fma<const FMA: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FMA { a.mul_add(b, c) } else { a * b + c }
}

/// eˣ: x = n ln 2 + r with |r| ≤ ln 2 / 2, a polynomial of degree 7 in r (Cephes), 2ⁿ in two halves.
#[inline(always)]
pub(crate) fn exp<const FMA: bool>(x: f32) -> f32 {
    const HIGH: f32 = 89.0;
    const LOW: f32 = -104.0;
    // Adding and subtracting this rounds to the nearest integer.
    const ROUND: f32 = 12_582_912.0;
    // ln 2 in two parts; the first has few enough bits for n times it to be exact.
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    // Comparisons rather than min and max: NaN passes both.
    let x = if x > HIGH { HIGH } else { x };
    let x = if x < LOW { LOW } else { x };
    let shifted = fma::<FMA>(x, LOG2_E, ROUND);
    let n = shifted - ROUND;
    let r = fma::<FMA>(n, -LN2_LOW, fma::<FMA>(n, -LN2_HIGH, x));
    let mut p = 1.987_569_1e-4;
    p = fma::<FMA>(p, r, 1.398_199_9e-3);
    p = fma::<FMA>(p, r, 8.333_452e-3);
    p = fma::<FMA>(p, r, 4.166_579_6e-2);
    p = fma::<FMA>(p, r, 0.166_666_65);
    p = fma::<FMA>(p, r, 0.5);
    p = fma::<FMA>(p, r * r, r) + 1.0;
    let n = (shifted.to_bits() as i32).wrapping_sub(ROUND.to_bits() as i32);
    let half = n >> 1;
    let power = |n: i32| f32::from_bits((n.wrapping_add(127) as u32) << 23);
    p * power(half) * power(n.wrapping_sub(half))
}

/// ln(1 + t) for 0 ≤ t ≤ 1: 2 artanh(s) with s = t / (2 + t) ≤ 1/3.
#[inline(always)]
pub(crate) fn log1p_unit<const FMA: bool>(t: f32) -> f32 {
    let s = t / (2.0 + t);
    let q = s * s;
    let mut p = 2.0 / 13.0;
    p = fma::<FMA>(p, q, 2.0 / 11.0);
    p = fma::<FMA>(p, q, 2.0 / 9.0);
    p = fma::<FMA>(p, q, 2.0 / 7.0);
    p = fma::<FMA>(p, q, 2.0 / 5.0);
    p = fma::<FMA>(p, q, 2.0 / 3.0);
    fma::<FMA>(p * q, s, 2.0 * s)
}

/// ln x for normal positive x: x = 2ᵉ m with m in [√½, √2), then 2 artanh((m − 1) / (m + 1)).
#[inline(always)]
pub(crate) fn ln<const FMA: bool>(x: f32) -> f32 {
    const ROOT_HALF: i32 = 0x3F35_04F3;
    let bits = x.to_bits() as i32 - ROOT_HALF;
    let e = (bits >> 23) as f32;
    let m = f32::from_bits(((bits & 0x007F_FFFF) + ROOT_HALF) as u32);
    let s = (m - 1.0) / (m + 1.0);
    let q = s * s;
    let mut p = 2.0 / 9.0;
    p = fma::<FMA>(p, q, 2.0 / 7.0);
    p = fma::<FMA>(p, q, 2.0 / 5.0);
    p = fma::<FMA>(p, q, 2.0 / 3.0);
    let log = fma::<FMA>(p * q, s, 2.0 * s);
    let log = fma::<FMA>(e, std::f32::consts::LN_2, log);
    if x.is_nan() { x } else { log }
}

/// ln(1 + eˣ) and its derivative 1 / (1 + e⁻ˣ), which share an exponential.
#[inline(always)]
pub(crate) fn softplus_and_sigmoid<const FMA: bool>(x: f32) -> (f32, f32) {
    let t = exp::<FMA>(-x.abs());
    let positive = if x < 0.0 { 0.0 } else { x };
    let softplus = positive + log1p_unit::<FMA>(t);
    let sigmoid = (if x < 0.0 { t } else { 1.0 }) / (1.0 + t);
    (softplus, sigmoid)
}

/// 1 / (1 + e⁻ˣ)
#[inline(always)]
pub(crate) fn sigmoid<const FMA: bool>(x: f32) -> f32 {
    let t = exp::<FMA>(-x.abs());
    (if x < 0.0 { t } else { 1.0 }) / (1.0 + t)
}

/// eˣ − 1
#[inline(always)]
pub(crate) fn expm1<const FMA: bool>(x: f32) -> f32 {
    // Near 0 the series x + x²/2 + …; else the difference is exact enough.
    let mut p = 1.0 / 40320.0;
    p = fma::<FMA>(p, x, 1.0 / 5040.0);
    p = fma::<FMA>(p, x, 1.0 / 720.0);
    p = fma::<FMA>(p, x, 1.0 / 120.0);
    p = fma::<FMA>(p, x, 1.0 / 24.0);
    p = fma::<FMA>(p, x, 1.0 / 6.0);
    p = fma::<FMA>(p, x, 0.5);
    let near = fma::<FMA>(p * x, x, x);
    let far = exp::<FMA>(x) - 1.0;
    if x.abs() < 0.6 { near } else { far }
}

/// tanh x: an odd polynomial below 0.625 (Cephes), else 1 − 2 / (e²ˣ + 1).
#[inline(always)]
pub(crate) fn tanh<const FMA: bool>(x: f32) -> f32 {
    let q = x * x;
    let mut p = -5.704_988_7e-3;
    p = fma::<FMA>(p, q, 2.063_909e-2);
    p = fma::<FMA>(p, q, -5.373_971_5e-2);
    p = fma::<FMA>(p, q, 0.133_314_42);
    p = fma::<FMA>(p, q, -0.333_332_8);
    let near = fma::<FMA>(p * q, x, x);
    let size = x.abs();
    let far = (1.0 - 2.0 / (exp::<FMA>(2.0 * size) + 1.0)).copysign(x);
    if size < 0.625 { near } else { far }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[inline(always)]
    fn values<const FMA: bool>(x: f32) -> [f32; 8] {
        let (softplus, slope) = softplus_and_sigmoid::<FMA>(x);
        let unit = exp::<FMA>(-x.abs());
        [
            exp::<FMA>(x),
            log1p_unit::<FMA>(unit),
            softplus,
            slope,
            sigmoid::<FMA>(x),
            expm1::<FMA>(x),
            tanh::<FMA>(x),
            ln::<FMA>(x.abs() + 1e-30),
        ]
    }

    vectorised! {
        fn each_function(x: &[f32], out: &mut [[f32; 8]]) {
            x.iter().zip(out).for_each(|(x, out)| *out = values::<FMA>(*x));
        }
    }

    /// The same without fused multiply-adds.
    fn each_function_plainly(x: &[f32], out: &mut [[f32; 8]]) {
        x.iter().zip(out).for_each(|(x, out)| *out = values::<false>(*x));
    }

    #[test]
    fn functions_are_within_a_few_units_in_the_last_place() {
        let mut x: Vec<f32> = (-170_000..=170_000).map(|i| i as f32 * 5.1e-4).collect();
        x.extend((0..400).flat_map(|i| [1, -1].map(|sign| sign as f32 * 2f32.powf(-20.0 + i as f32 * 0.06))));
        for (name, function) in
            [("fused", each_function as fn(&[f32], &mut [[f32; 8]])), ("plain", each_function_plainly)]
        {
            let mut out = vec![[0.0; 8]; x.len()];
            function(&x, &mut out);
            let mut worst = [0f64; 8];
            for (x, out) in x.iter().zip(&out) {
                let mut of_unit = [[0.0; 8]];
                function(&[-x.abs()], &mut of_unit);
                let (narrow, x, t) = (x.abs() + 1e-30, f64::from(*x), f64::from(of_unit[0][0]));
                let softplus = x.max(0.0) + (-x.abs()).exp().ln_1p();
                let sigmoid = if x < 0.0 { x.exp() } else { 1.0 } / (1.0 + (-x.abs()).exp());
                let log = f64::from(narrow).ln();
                let exact = [x.exp(), t.ln_1p(), softplus, sigmoid, sigmoid, x.exp_m1(), x.tanh(), log];
                for ((worst, value), exact) in worst.iter_mut().zip(out).zip(exact) {
                    if exact.abs() > 1.2e-38 && exact.abs() < 3.4e38 {
                        let unit = f64::from(f32::EPSILON) * 2f64.powf(exact.abs().log2().floor());
                        *worst = worst.max((f64::from(*value) - exact).abs() / unit);
                    }
                }
            }
            assert!(worst.iter().all(|&units| units <= 3.0), "{name}: {worst:?}");
        }
    }

    #[test]
    fn extremes_are_what_they_should_be() {
        let x = [f32::INFINITY, f32::NEG_INFINITY, f32::NAN, 88.7, 90.0, -200.0];
        let mut out = [[0.0; 8]; 6];
        each_function(&x, &mut out);
        assert_eq!((out[0][0], out[1][0], out[0][6], out[1][6]), (f32::INFINITY, 0.0, 1.0, -1.0));
        assert_eq!((out[0][3], out[1][3], out[1][2]), (1.0, 0.0, 0.0));
        assert!(out[2].iter().all(|value| value.is_nan()));
        assert!(out[3][0].is_finite() && out[4][0].is_infinite() && out[5][0] == 0.0);
    }
}
