//! Structural similarity: are light, contrast and structure kept, window by window?
//!
//! SSIM = (2 μ_a μ_b + C₁)/(μ_a² + μ_b² + C₁) · (2 σ_ab + C₂)/(σ_a² + σ_b² + C₂),  C₁ = 0.01², C₂ = 0.03²
//!
//! Means, variances and covariance under a normal window of σ = 1.5 cut at radius 5 (11 × 11), averaged over all windows
//! inside the picture, for pictures in [0, 1]; each channel alone, then their mean. Pictures narrower than 11 pixels get the
//! widest odd window that fits, σ in proportion.
//!
//! Multi-scale: contrast and structure at each scale, light at the last one, each to the power of its weight; from scale to
//! scale the means of 2 × 2 pixels. Below 161 pixels there are fewer than five scales (a window must fit), their weights
//! divided by their sum.
//!
//! References: Wang et al., *Image quality assessment: from error visibility to structural similarity* (2004); Wang,
//! Simoncelli & Bovik, *Multi-scale structural similarity* (2003).

/// One picture's size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PictureShape {
    /// Planes.
    pub channels: usize,
    /// Pixels down.
    pub height: usize,
    /// Pixels across.
    pub width: usize,
}

const C1: f64 = 0.01 * 0.01;
const C2: f64 = 0.03 * 0.03;

/// The weights of the scales, finest first (Wang et al. 2003).
const WEIGHTS: [f64; 5] = [0.0448, 0.2856, 0.3001, 0.2363, 0.1333];

/// The radius of a full window.
const RADIUS: usize = 5;

/// SSIM of two pictures `[channels, height, width]` in [0, 1].
pub fn ssim(a: &[f32], b: &[f32], shape: PictureShape) -> f64 {
    mean_over_planes(a, b, shape, |a, b| windows(&a, &b).0)
}

/// Multi-scale SSIM of two pictures `[channels, height, width]` in [0, 1], at [`scales`].
pub fn multi_scale_ssim(a: &[f32], b: &[f32], shape: PictureShape) -> f64 {
    let scales = scales(shape);
    let total: f64 = WEIGHTS[..scales].iter().sum();
    mean_over_planes(a, b, shape, |mut a, mut b| {
        let mut product = 1.0;
        for (scale, weight) in WEIGHTS[..scales].iter().enumerate() {
            let (whole, structure) = windows(&a, &b);
            let value = if scale + 1 == scales { whole } else { structure };
            // A structure turned round counts as none: a negative number has no such power.
            product *= value.max(0.0).powf(weight / total);
            (a, b) = (a.halved(), b.halved());
        }
        product
    })
}

/// How many scales a picture has: one for every halving that leaves a full window, at most five, at least one.
pub fn scales(shape: PictureShape) -> usize {
    let side = shape.height.min(shape.width);
    (1..WEIGHTS.len()).take_while(|scale| side >> scale > 2 * RADIUS).count() + 1
}

/// The side of the window.
pub fn window(shape: PictureShape) -> usize {
    2 * radius(shape.height, shape.width) + 1
}

fn radius(height: usize, width: usize) -> usize {
    RADIUS.min((height.min(width).max(1) - 1) / 2)
}

/// One channel of a picture.
struct Plane {
    values: Vec<f64>,
    height: usize,
    width: usize,
}

impl Plane {
    /// The means of 2 × 2 pixels; an odd last line is left out.
    fn halved(&self) -> Self {
        let (height, width) = (self.height / 2, self.width / 2);
        let mut values = Vec::with_capacity(height * width);
        for y in 0..height {
            for x in 0..width {
                let at = 2 * y * self.width + 2 * x;
                let (above, below) = (&self.values[at..], &self.values[at + self.width..]);
                values.push((above[0] + above[1] + below[0] + below[1]) / 4.0);
            }
        }
        Self { values, height, width }
    }

    /// The weighted means of all windows inside.
    fn smooth(&self, weights: &[f64], of: impl Fn(usize) -> f64) -> Vec<f64> {
        let side = weights.len();
        let (height, width) = (self.height + 1 - side, self.width + 1 - side);
        let mut down = vec![0.0; height * self.width];
        for (y, line) in down.chunks_exact_mut(self.width).enumerate() {
            for (i, weight) in weights.iter().enumerate() {
                let start = (y + i) * self.width;
                line.iter_mut().enumerate().for_each(|(x, value)| *value += weight * of(start + x));
            }
        }
        let mut out = Vec::with_capacity(height * width);
        for line in down.chunks_exact(self.width) {
            out.extend(
                line.windows(side).map(|part| part.iter().zip(weights).map(|(v, w)| v * w).sum::<f64>()),
            );
        }
        out
    }
}

fn mean_over_planes(a: &[f32], b: &[f32], shape: PictureShape, of: impl Fn(Plane, Plane) -> f64) -> f64 {
    let PictureShape { channels, height, width } = shape;
    let plane =
        |values: &[f32]| Plane { values: values.iter().map(|v| f64::from(*v)).collect(), height, width };
    let size = (height * width).max(1);
    let pairs = a.chunks_exact(size).zip(b.chunks_exact(size));
    pairs.map(|(a, b)| of(plane(a), plane(b))).sum::<f64>() / channels as f64
}

/// The means over all windows of SSIM, and of its second factor.
fn windows(a: &Plane, b: &Plane) -> (f64, f64) {
    let radius = radius(a.height, a.width);
    let sigma = 1.5 * radius.max(1) as f64 / RADIUS as f64;
    let weights: Vec<f64> =
        (0..=2 * radius).map(|i| (-0.5 * ((i as f64 - radius as f64) / sigma).powi(2)).exp()).collect();
    let sum: f64 = weights.iter().sum();
    let weights: Vec<f64> = weights.iter().map(|w| w / sum).collect();
    let (x, y) = (&a.values, &b.values);
    let mean_a = a.smooth(&weights, |i| x[i]);
    let mean_b = a.smooth(&weights, |i| y[i]);
    let squares = a.smooth(&weights, |i| x[i] * x[i] + y[i] * y[i]);
    let products = a.smooth(&weights, |i| x[i] * y[i]);
    let (mut whole, mut structures) = (0.0, 0.0);
    for (((ma, mb), squares), product) in mean_a.iter().zip(&mean_b).zip(squares).zip(products) {
        let means = ma * ma + mb * mb;
        let structure = (2.0 * (product - ma * mb) + C2) / (squares - means + C2);
        structures += structure;
        whole += (2.0 * ma * mb + C1) / (means + C1) * structure;
    }
    let count = mean_a.len() as f64;
    (whole / count, structures / count)
}

#[cfg(test)]
mod tests {
    use super::super::super::features::tests::picture;
    use super::*;

    fn blurred(x: &[f32], shape: PictureShape) -> Vec<f32> {
        x.chunks(shape.width)
            .flat_map(|line| {
                (0..line.len()).map(|i| {
                    let next = line[(i + 1) % line.len()];
                    (0.5 * (f64::from(line[i]) + f64::from(next)) * 0.95) as f32
                })
            })
            .collect()
    }

    /// Figures of `bench/image_metrics.py`: scikit-image, and multi-scale composed of the same maps.
    #[test]
    fn similarity_is_that_of_the_reference_implementation() {
        for ((channels, height, width), wanted, multi) in [
            ((1, 28, 28), 0.96346878, Some((2, 0.9693339247315808))),
            ((3, 40, 56), 0.96307413, Some((2, 0.9721491207186198))),
            ((1, 180, 200), 0.83744087, Some((5, 0.9335284253247299))),
            ((1, 9, 12), 0.98425748, None),
        ] {
            let shape = PictureShape { channels, height, width };
            let a = picture(channels, height, width);
            let b = blurred(&a, shape);
            let found = ssim(&a, &b, shape);
            assert!((found - wanted).abs() < 1e-7, "{shape:?}: {found} {wanted}");
            assert!((ssim(&a, &a, shape) - 1.0).abs() < 1e-12);
            if let Some((levels, wanted)) = multi {
                let found = multi_scale_ssim(&a, &b, shape);
                assert!(
                    scales(shape) == levels && (found - wanted).abs() < 1e-7,
                    "{shape:?}: {found} {wanted}"
                );
            }
        }
    }

    #[test]
    fn windows_and_scales_shrink_with_the_picture() {
        let shape = |side| PictureShape { channels: 1, height: side, width: side + 3 };
        assert_eq!([1, 2, 3, 10, 11, 500].map(|side| window(shape(side))), [1, 1, 3, 9, 11, 11]);
        assert_eq!(
            [1, 21, 22, 87, 88, 175, 176, 999].map(|side| scales(shape(side))),
            [1, 1, 2, 3, 4, 4, 5, 5]
        );
        let tiny = PictureShape { channels: 1, height: 1, width: 2 };
        assert!(ssim(&[0.0, 1.0], &[0.5, 0.5], tiny).is_finite());
    }
}
