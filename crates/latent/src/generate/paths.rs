//! Ways through the latent space: from one code to another, and along one dimension.

use crate::array::Array;
use crate::batch::{LatentShape, Support};

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

/// The ways between pairs of codes, one after another: from row 0 of `ends` to row 1, from row 2 to row 3 and so on,
/// `steps` codes each. A last row without a partner is left out.
pub fn interpolate_pairs(ends: &Array, steps: usize, path: Path) -> Array {
    let way = |pair: usize| interpolate(ends.row(2 * pair), ends.row(2 * pair + 1), steps, path).values;
    Array::matrix((0..ends.rows() / 2).flat_map(way).collect(), ends.width())
}

/// One dimension of a latent, and the values that it takes on its way.
#[derive(Clone, Debug, PartialEq)]
pub struct Traversed {
    /// The dimension, counted over all blocks.
    pub dim: usize,
    /// In rising order.
    pub values: Vec<f64>,
}

impl Traversed {
    /// A dimension on the way through what its block takes: `steps` values over `±reach` on the reals, as many from 0 to 1
    /// on the unit interval, 0 and 1 for a bit, as many indices as there are or `steps` of them. A dimension that the latent lacks takes none.
    pub fn new(latent: &LatentShape, dim: usize, steps: usize, reach: f64) -> Self {
        let spread = |from: f64, to: f64| {
            (0..steps).map(|i| from + (to - from) * i as f64 / (steps.max(2) - 1) as f64).collect()
        };
        let mut end = 0;
        let block = latent.blocks.iter().find(|block| {
            end += block.dims();
            dim < end
        });
        let values = match block.map(|block| block.support) {
            Some(Support::Reals) => spread(-reach, reach),
            Some(Support::UnitInterval) => spread(0.0, 1.0),
            Some(Support::Bits) => vec![0.0, 1.0],
            Some(Support::Index(size)) => evenly(size, steps),
            None => Vec::new(),
        };
        Self { dim, values }
    }
}

/// At most `steps` of the indices below `size`, evenly spaced.
fn evenly(size: usize, steps: usize) -> Vec<f64> {
    let count = size.min(steps.max(1));
    (0..count).map(|i| (i * size.saturating_sub(1) / count.saturating_sub(1).max(1)) as f64).collect()
}

/// For each dimension of `ways`, the code `from` with that dimension moved through its values, the others as they are.
pub fn traverse(from: &[f32], ways: &[Traversed]) -> Array {
    let mut codes = Vec::new();
    for way in ways {
        for &value in &way.values {
            let moved = from.iter().enumerate();
            codes.extend(moved.map(|(dim, &z)| if dim == way.dim { value as f32 } else { z }));
        }
    }
    Array::matrix(codes, from.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::Block;

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
    fn pairs_are_walked_one_after_another() {
        let ends = Array::matrix(vec![0.0, 1.0, 2.0, 4.0, 9.0], 1);
        assert_eq!(
            interpolate_pairs(&ends, 3, Path::Linear),
            Array::matrix(vec![0.0, 0.5, 1.0, 2.0, 3.0, 4.0], 1)
        );
    }

    #[test]
    fn traversal_moves_one_dimension_at_a_time() {
        let way = |dim| Traversed { dim, values: vec![-1.0, 1.0] };
        let codes = traverse(&[0.1, 0.2, 0.3], &[way(2), way(0)]);
        assert_eq!(codes.row(0), [0.1, 0.2, -1.0]);
        assert_eq!(codes.row(3), [1.0, 0.2, 0.3]);
    }

    #[test]
    fn each_dimension_moves_through_what_its_own_block_takes() {
        let block = |name: &str, shape: &[usize], support| Block {
            name: name.into(),
            shape: shape.to_vec(),
            support,
        };
        let latent = LatentShape {
            blocks: vec![
                block("z", &[1, 2], Support::Reals),
                block("class", &[2], Support::Bits),
                block("u", &[1], Support::UnitInterval),
            ],
        };
        let values: Vec<Vec<f64>> = (0..6).map(|dim| Traversed::new(&latent, dim, 3, 2.0).values).collect();
        assert_eq!(values[..2], [vec![-2.0, 0.0, 2.0], vec![-2.0, 0.0, 2.0]]);
        assert_eq!(values[2..4], [vec![0.0, 1.0], vec![0.0, 1.0]]);
        assert_eq!(values[4..], [vec![0.0, 0.5, 1.0], vec![]]);
        let ways = [1, 2, 4].map(|dim| Traversed::new(&latent, dim, 3, 2.0));
        let codes = traverse(&[9.0, 9.0, 1.0, 0.0, 0.5], &ways);
        // Three, two and three values.
        assert_eq!(codes.rows(), 8);
        assert_eq!(codes.row(2), [9.0, 2.0, 1.0, 0.0, 0.5]);
        assert_eq!(codes.row(3), [9.0, 9.0, 0.0, 0.0, 0.5]);
        assert_eq!(codes.row(7), [9.0, 9.0, 1.0, 0.0, 1.0]);
    }
}
