//! Ways through the latent space: from one code to another, and along one dimension.

use crate::array::Array;

/// Which way from one code to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// (1 − t) a + t b. Halfway it passes nearer to 0 than codes of N(0, I) lie.
    Linear,
    /// Along the great circle, sin((1−t)ω)/sin ω a + sin(tω)/sin ω b: lengths stay those of codes (Shoemake 1985; White,
    /// arXiv 1609.04468).
    Spherical,
}

/// `steps` codes from `a` to `b`, both ends included.
pub fn interpolate(a: &[f32], b: &[f32], steps: usize, path: Path) -> Array {
    let length = |v: &[f32]| v.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
    let dot: f64 = a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
    let cosine = (dot / (length(a) * length(b)).max(1e-12)).clamp(-1.0, 1.0);
    let angle = cosine.acos();
    let mut values = Vec::with_capacity(steps * a.len());
    for step in 0..steps {
        let t = step as f64 / (steps.max(2) - 1) as f64;
        // Codes on one line through 0 have no great circle of their own.
        let (wa, wb) = if path == Path::Linear || angle.sin() < 1e-6 {
            (1.0 - t, t)
        } else {
            (((1.0 - t) * angle).sin() / angle.sin(), (t * angle).sin() / angle.sin())
        };
        values.extend(a.iter().zip(b).map(|(a, b)| (wa * f64::from(*a) + wb * f64::from(*b)) as f32));
    }
    Array::matrix(values, a.len())
}

/// For each of `dims`, the code `from` with that dimension moved through `values`: row `d · values.len() + i`.
pub fn traverse(from: &[f32], dims: &[usize], values: &[f32]) -> Array {
    let mut codes = Vec::with_capacity(dims.len() * values.len() * from.len());
    for &dim in dims {
        for &value in values {
            let start = codes.len();
            codes.extend_from_slice(from);
            codes[start + dim] = value;
        }
    }
    Array::matrix(codes, from.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_paths_start_and_end_at_the_codes() {
        let (a, b) = ([1.0, 2.0, -1.0], [0.5, -1.0, 2.0]);
        for path in [Path::Linear, Path::Spherical] {
            let codes = interpolate(&a, &b, 5, path);
            for (row, end) in [(0, a), (4, b)] {
                assert!(codes.row(row).iter().zip(end).all(|(x, y)| (x - y).abs() < 1e-6), "{codes:?}");
            }
        }
    }

    #[test]
    fn the_great_circle_keeps_the_length() {
        let codes = interpolate(&[3.0, 0.0], &[0.0, 3.0], 7, Path::Spherical);
        for row in 0..7 {
            let length = codes.row(row).iter().map(|v| v * v).sum::<f32>().sqrt();
            assert!((length - 3.0).abs() < 1e-5);
        }
    }

    #[test]
    fn traversal_moves_one_dimension_at_a_time() {
        let codes = traverse(&[0.1, 0.2, 0.3], &[2, 0], &[-1.0, 1.0]);
        assert_eq!(codes.row(0), [0.1, 0.2, -1.0]);
        assert_eq!(codes.row(3), [1.0, 0.2, 0.3]);
    }
}
