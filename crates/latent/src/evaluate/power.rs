//! How much fine detail do pictures have, wherever it lies? The power of their spatial frequencies, beside that of the data.
//!
//! P(k) = |Σ_yx w(y) w(x) (p_yx − p̄) e^{−2πi (k_y y/h + k_x x/w)}|²,   f = √((k_y/h)² + (k_x/w)²) cycles a pixel, |k| at most half
//!
//! ratio = Σ P(k) of what was made over Σ P(k) of the data, over all k of a band, channels and rows
//!
//! Bands are *high*, ¼ ≤ f ≤ ½ (periods of two to four pixels), and *middle*, ⅛ ≤ f < ¼ (four to eight); the corners beyond ½ are
//! in none, since no direction but the diagonals reaches them. w is Hann's window, lest the step from one edge of a picture to the
//! other count as detail. Pictures through a filter H have the ratio |H|² averaged over the band by the data's own power; a blur has
//! less than 1, noise and grids more. It says nothing of where detail lies: an error that looks right costs nothing.
//!
//! Reference: the radial spectrum as in Durall, Keuper & Keuper, *Watch your Up-Convolution* (arXiv 2003.01826); Harris, *On the Use
//! of Windows for Harmonic Analysis with the Discrete Fourier Transform* (1978).

use std::f64::consts::PI;

use latent_kernels::host::map;

use super::{Better, Estimate, Measure};
use crate::generate::Pictures;

/// The bands, finest first, each with what it is called in titles.
pub const BANDS: [(&str, &str); 2] = [("high", "¼ to ½ cycle a pixel"), ("middle", "⅛ to ¼ cycle a pixel")];

/// The power of a picture in each of [`BANDS`], summed over its channels.
pub type Power = [f64; BANDS.len()];

/// The power of each picture.
pub fn power(pictures: &Pictures) -> Vec<Power> {
    let [channels, height, width] = pictures.shape();
    let plane = (height * width).max(1);
    map(pictures.pixels().len() / (plane * channels.max(1)), |row| {
        let own = &pictures.pixels()[row * channels * plane..][..channels * plane];
        let mut sum = Power::default();
        for pixels in own.chunks_exact(plane) {
            // What leaves the range of pictures is not seen.
            let pixels: Vec<f64> = pixels.iter().map(|v| f64::from(v.clamp(0.0, 1.0))).collect();
            sum.iter_mut().zip(of_plane(&pixels, height, width)).for_each(|(sum, power)| *sum += power);
        }
        sum
    })
}

/// Σ b / Σ a over paired rows, with the interval of a ratio of means (the delta method). None where the data has no power there.
pub fn paired(data: &[Power], made: &[Power], band: usize) -> Option<Estimate> {
    let (n, [a, b]) = (data.len() as f64, [data, made].map(|set| mean(set, band)));
    let ratio = b / a;
    let spread =
        data.iter().zip(made).map(|(data, made)| (made[band] - ratio * data[band]).powi(2)).sum::<f64>();
    (a > 0.0 && n > 1.0).then(|| Estimate::normal(ratio, (spread / (n * (n - 1.0))).sqrt() / a))
}

/// The same of two sets of other rows.
pub fn apart(data: &[Power], made: &[Power], band: usize) -> Option<Estimate> {
    let [a, b] = [data, made].map(|set| mean(set, band));
    let relative = |set: &[Power], mean: f64| {
        let n = set.len() as f64;
        set.iter().map(|power| (power[band] / mean - 1.0).powi(2)).sum::<f64>() / (n * (n - 1.0))
    };
    let is_defined = a > 0.0 && b > 0.0 && data.len().min(made.len()) > 1;
    is_defined.then(|| Estimate::normal(b / a, b / a * (relative(data, a) + relative(made, b)).sqrt()))
}

/// The measure of a band, of what `words` say.
pub fn measure(name: &str, band: usize, words: &str, estimate: Estimate, n: usize, note: &str) -> Measure {
    let title = format!("power of {} frequencies{words}", BANDS[band].0);
    let note = format!("{} over the data's; 1 is as much detail as the data has; {note}", BANDS[band].1);
    Measure::new(name, &title, "", estimate, n, Better::Neither).note(note)
}

fn mean(set: &[Power], band: usize) -> f64 {
    set.iter().map(|power| power[band]).sum::<f64>() / set.len().max(1) as f64
}

/// The power of one channel in each band.
fn of_plane(pixels: &[f64], height: usize, width: usize) -> Power {
    let level = pixels.iter().sum::<f64>() / pixels.len().max(1) as f64;
    let [down, across] = [height, width].map(window);
    let mut plane: Vec<Complex> = pixels
        .iter()
        .enumerate()
        .map(|(i, v)| [(v - level) * down[i / width] * across[i % width], 0.0])
        .collect();
    plane.chunks_exact_mut(width).for_each(|line| line.copy_from_slice(&fourier(line)));
    let mut sums = Power::default();
    for x in 0..width {
        let column: Vec<Complex> = plane[x..].iter().step_by(width).copied().collect();
        for (y, [real, imaginary]) in fourier(&column).into_iter().enumerate() {
            let f = frequency(y, height).hypot(frequency(x, width));
            let band = match f {
                f if (0.25..=0.5).contains(&f) => 0,
                f if (0.125..0.25).contains(&f) => 1,
                _ => continue,
            };
            sums[band] += real * real + imaginary * imaginary;
        }
    }
    sums
}

/// Cycles a pixel of coefficient k of n, up to half a cycle.
fn frequency(k: usize, n: usize) -> f64 {
    k.min(n - k) as f64 / n as f64
}

/// Hann's window over n pixels, periodic.
fn window(n: usize) -> Vec<f64> {
    (0..n).map(|i| 0.5 - 0.5 * (2.0 * PI * i as f64 / n as f64).cos()).collect()
}

/// Real and imaginary part.
type Complex = [f64; 2];

fn times([a, b]: Complex, [c, d]: Complex) -> Complex {
    [a * c - b * d, a * d + b * c]
}

/// Σ_j x_j e^{−2πi jk/n} for each k: halves of even length by themselves (Cooley & Tukey 1965), odd lengths as they stand.
fn fourier(x: &[Complex]) -> Vec<Complex> {
    let n = x.len();
    let turn = |share: f64| [(2.0 * PI * share).cos(), -(2.0 * PI * share).sin()];
    if n % 2 == 1 {
        let term = |j: usize, k: usize| times(x[j], turn((j * k % n) as f64 / n as f64));
        let sum = |k: usize| (0..n).map(|j| term(j, k)).fold([0.0; 2], |[a, b], [c, d]| [a + c, b + d]);
        return (0..n).map(sum).collect();
    }
    let half = |from: usize| fourier(&x[from.min(n)..].iter().step_by(2).copied().collect::<Vec<_>>());
    if n == 0 {
        return Vec::new();
    }
    let (even, odd) = (half(0), half(1));
    let mut found = vec![[0.0; 2]; n];
    for k in 0..n / 2 {
        let ([a, b], [c, d]) = (even[k], times(odd[k], turn(k as f64 / n as f64)));
        found[k] = [a + c, b + d];
        found[k + n / 2] = [a - c, b - d];
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Key;

    /// White noise of deviation 1.
    fn noise(seed: u64, n: usize) -> Vec<f64> {
        let mut values = vec![0.0f32; n];
        Key::from_seed(seed).normals(&mut values);
        values.into_iter().map(f64::from).collect()
    }

    #[test]
    fn the_transform_is_the_sum_it_stands_for() {
        for n in [1, 2, 3, 7, 8, 12, 28] {
            let x: Vec<Complex> = noise(1, 2 * n).chunks(2).map(|v| [v[0], v[1]]).collect();
            let found = fourier(&x);
            for (k, found) in found.iter().enumerate() {
                let wanted = x.iter().enumerate().fold([0.0; 2], |[a, b], (j, x)| {
                    let angle = -2.0 * PI * (j * k) as f64 / n as f64;
                    let [c, d] = times(*x, [angle.cos(), angle.sin()]);
                    [a + c, b + d]
                });
                let off = (found[0] - wanted[0]).hypot(found[1] - wanted[1]);
                assert!(off < 1e-9, "{n} {k}: {off:.1e}");
            }
        }
        assert!(fourier(&[]).is_empty());
    }

    /// A wave of f cycles a pixel, down and across.
    fn wave(height: usize, width: usize, down: f64, across: f64) -> Vec<f64> {
        let at = |i: usize| 2.0 * PI * (down * (i / width) as f64 + across * (i % width) as f64);
        (0..height * width).map(|i| at(i).cos()).collect()
    }

    #[test]
    fn a_wave_is_in_the_band_of_its_period() {
        for (down, across, band) in [
            (0.375, 0.0, Some(0)),
            (0.0, 0.375, Some(0)),
            (0.25, 0.25, Some(0)),
            (0.1875, 0.0, Some(1)),
            (0.1875, 0.0625, Some(1)),
            (0.0625, 0.0, None),
        ] {
            for (height, width) in [(32, 32), (64, 48)] {
                let found = of_plane(&wave(height, width, down, across), height, width);
                // Hann's window spreads a wave over the next coefficients, none of which is in another band here.
                let whole = {
                    let w = |n: usize| window(n).iter().map(|w| w * w).sum::<f64>();
                    0.5 * w(height) * w(width) * (height * width) as f64
                };
                for (index, power) in found.into_iter().enumerate() {
                    let share = power / whole;
                    let wanted = if Some(index) == band { 1.0 } else { 0.0 };
                    assert!((share - wanted).abs() < 0.07, "{down} {across} {height}×{width}: {share}");
                }
            }
        }
        // What is flat has none, at any level and size.
        for (height, width) in [(1, 1), (3, 5), (28, 28)] {
            let found = of_plane(&vec![0.7; height * width], height, width);
            assert!(found.iter().all(|power| *power < 1e-20));
        }
    }

    /// Through a filter of known transfer the ratio is its square over the band, spread as the window spreads power.
    #[test]
    fn a_blurred_copy_of_white_noise_has_the_power_that_its_filter_lets_through() {
        let (height, width, rows) = (30, 32, 400);
        let plane = height * width;
        let blur = |x: &[f64]| -> Vec<f64> {
            let at = |y: usize, c: usize| x[y % height * width + c % width];
            // [1 2 1]/4 across, and nothing down; periodic.
            let each = |i: usize| {
                let (y, c) = (i / width, i % width);
                0.25 * at(y, c + width - 1) + 0.5 * at(y, c) + 0.25 * at(y, c + 1)
            };
            (0..plane).map(each).collect()
        };
        // H = cos²(π f); a window of Hann has the power 1/6, 2/3, 1/6 on neighbouring coefficients.
        let transfer = |k: i64| (PI * k as f64 / width as f64).cos().powi(4);
        let spread = |k: i64| transfer(k) * 2.0 / 3.0 + (transfer(k - 1) + transfer(k + 1)) / 6.0;
        let mut wanted = [[0.0; 2]; BANDS.len()];
        for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
            let f = frequency(y, height).hypot(frequency(x, width));
            let band = if (0.25..=0.5).contains(&f) { 0 } else { 1 };
            if (0.125..=0.5).contains(&f) {
                wanted[band][0] += spread(x as i64);
                wanted[band][1] += 1.0;
            }
        }
        let all = noise(2, rows * plane);
        let of = |x: &[f64]| of_plane(x, height, width);
        let data: Vec<Power> = all.chunks(plane).map(of).collect();
        let made: Vec<Power> = all.chunks(plane).map(|x| of(&blur(x))).collect();
        let others: Vec<Power> = noise(3, rows * plane).chunks(plane).map(|x| of(&blur(x))).collect();
        for (band, [sum, count]) in wanted.into_iter().enumerate() {
            let wanted = sum / count;
            for found in [paired(&data, &made, band), apart(&data, &others, band)].map(Option::unwrap) {
                println!("{}: {found}, wanted {wanted:.4}", BANDS[band].0);
                let error = (found.high - found.low) / 3.92;
                assert!(
                    (found.value - wanted).abs() < 4.0 * error && error < 0.02 * wanted,
                    "{found} {wanted}"
                );
            }
        }
        // Noise twice as strong has four times the power, exactly; other noise of the same strength about as much.
        let louder: Vec<Power> =
            all.chunks(plane).map(|x| of(&x.iter().map(|v| 2.0 * v).collect::<Vec<_>>())).collect();
        let again: Vec<Power> = noise(4, rows * plane).chunks(plane).map(of).collect();
        for band in 0..BANDS.len() {
            assert!((paired(&data, &louder, band).unwrap().value - 4.0).abs() < 1e-9);
            let found = apart(&data, &again, band).unwrap();
            assert!((found.value - 1.0).abs() < 4.0 * (found.high - found.low) / 3.92, "{found}");
        }
    }

    #[test]
    fn nothing_is_said_of_data_without_detail() {
        let none = [Power::default(); 3];
        assert!(paired(&none, &none, 0).is_none() && apart(&none, &none, 0).is_none());
        assert!(paired(&[[1.0, 1.0]], &[[1.0, 1.0]], 0).is_none());
    }

    /// Over 200 sets of rows the intervals hold the ratio about as often as they say.
    #[test]
    fn intervals_hold() {
        let (rows, sets) = (60, 200);
        let exponentials = |seed: u64| -> Vec<f64> {
            let mut values = vec![0.0f32; rows];
            Key::from_seed(seed).uniforms(&mut values);
            values.into_iter().map(|u| -f64::from(1.0 - u).max(1e-12).ln()).collect()
        };
        let mut held = [0; 2];
        for set in 0..sets {
            let [a, b, c] = [0, 1, 2].map(|part| exponentials(10 * set + part));
            let data: Vec<Power> = a.iter().map(|a| [*a, 0.0]).collect();
            let made: Vec<Power> = a.iter().zip(&b).map(|(a, b)| [0.5 * a + 0.2 * b, 0.0]).collect();
            let others: Vec<Power> = c.iter().map(|c| [0.7 * c, 0.0]).collect();
            for (held, found) in held.iter_mut().zip([paired(&data, &made, 0), apart(&data, &others, 0)]) {
                let found = found.unwrap();
                *held += usize::from((found.low..=found.high).contains(&0.7));
            }
        }
        println!("held {held:?} of {sets}");
        assert!(held.iter().all(|held| (176..=199).contains(held)), "{held:?}");
    }
}
