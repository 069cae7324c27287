//! Pictures of any size at the size that a network wants: the filter decides part of every Fréchet distance, so it is fixed.
//!
//! y_i = Σ_j w((j + ½) / s − (i + ½) …) x_j / Σ_j w, s = min(1, new / old)
//!
//! w is Keys' cubic with a = −½, stretched by 1/s when shrinking (antialiasing) and never when enlarging; weights are
//! renormalised at the edges; numbers stay real, unrounded and unclipped. It is what Pillow's `BICUBIC` does to floats,
//! first along rows, then along columns.
//!
//! Reference: Parmar, Zhang & Zhu, *On aliased resizing and surprising subtleties in GAN evaluation* (arXiv 2104.11222).

/// One plane `[height, width]` at another size.
pub fn resize(plane: &[f32], from: [usize; 2], to: [usize; 2]) -> Vec<f32> {
    if from == to {
        return plane.to_vec();
    }
    let [across, down] = [taps(from[1], to[1]), taps(from[0], to[0])];
    let mut wide = vec![0.0; from[0] * to[1]];
    for (row, out) in plane.chunks_exact(from[1].max(1)).zip(wide.chunks_exact_mut(to[1].max(1))) {
        for (value, (first, weights)) in out.iter_mut().zip(&across) {
            *value = weights.iter().zip(&row[*first..]).map(|(w, v)| w * v).sum();
        }
    }
    let mut out = vec![0.0; to[0] * to[1]];
    for (row, (first, weights)) in out.chunks_exact_mut(to[1].max(1)).zip(&down) {
        for (weight, line) in weights.iter().zip(wide[first * to[1]..].chunks_exact(to[1].max(1))) {
            row.iter_mut().zip(line).for_each(|(value, v)| *value += weight * v);
        }
    }
    out
}

/// For each new place, the first old one that it sees and the weights from there on.
fn taps(old: usize, new: usize) -> Vec<(usize, Vec<f32>)> {
    let scale = old as f64 / new as f64;
    let stretch = scale.max(1.0);
    let reach = 2.0 * stretch;
    (0..new)
        .map(|place| {
            let centre = (place as f64 + 0.5) * scale;
            let first = (centre - reach + 0.5).max(0.0) as usize;
            let last = ((centre + reach + 0.5) as usize).min(old).max(first + 1);
            let weights: Vec<f64> =
                (first..last).map(|j| cubic((j as f64 - centre + 0.5) / stretch)).collect();
            let sum: f64 = weights.iter().sum();
            (first, weights.iter().map(|w| (w / sum) as f32).collect())
        })
        .collect()
}

/// Keys' cubic convolution kernel with a = −½.
fn cubic(x: f64) -> f64 {
    const A: f64 = -0.5;
    let x = x.abs();
    if x < 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * A
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::super::efficientnet::tests::picture;
    use super::*;

    /// Figures of `bench/efficientnet.py` (torch, bicubic with antialias): enlarged and shrunk, not square.
    #[test]
    fn pictures_are_resized_as_torch_and_pillow_do() {
        for ([channels, height, width], wanted) in [
            ([3, 40, 56], [0.4717674, 0.4806404, 0.4994266, 0.7003397, 0.6814899, 0.6618149, 0.9251903]),
            ([1, 28, 28], [0.4702989, 0.4730185, 0.4774066, 0.4855118, 0.4891299, 0.4922655, 0.7093963]),
            ([3, 300, 260], [0.5328169, 0.6972453, 0.8432204, 0.4128674, 0.1842401, 0.5060778, 0.5617591]),
        ] {
            let pixels = picture(channels, height, width);
            let planes: Vec<Vec<f32>> = pixels
                .chunks(height * width)
                .map(|plane| resize(plane, [height, width], [224, 224]))
                .collect();
            let (first, last) = (&planes[0], &planes[channels - 1]);
            let at = 100 * 224 + 100;
            let found =
                [first[0], first[1], first[2], first[at], first[at + 1], first[at + 2], last[224 * 224 - 1]];
            for (found, wanted) in found.iter().zip(wanted) {
                assert!((found - wanted).abs() < 2e-6, "{channels}×{height}×{width}: {found} {wanted}");
            }
        }
    }

    #[test]
    fn a_flat_picture_stays_flat_at_any_size() {
        for (from, to) in [([1, 1], [5, 3]), ([9, 4], [2, 7]), ([3, 3], [3, 3])] {
            let out = resize(&vec![0.3; from[0] * from[1]], from, to);
            assert!(out.len() == to[0] * to[1] && out.iter().all(|v| (v - 0.3).abs() < 1e-6));
        }
    }
}
