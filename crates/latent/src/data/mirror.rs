//! Do images look like images in a mirror? Then each can be shown both ways round, and there are twice as many to learn from.
//!
//! share = mean over rows x of a half A of [d(mirror(x), B) < d(x, B)],   d the distance to the nearest row of the other half B
//!
//! Rows are shrunk to 16 pixels a side at most, so that what is compared is what they show and not their noise. Where mirroring
//! changes nothing of the distribution the share is ½; letters, digits and shoes that all point the same way have far less. The
//! data counts as symmetric where the share is not surely below ½ (95 %) and at least 0.46; few rows are not judged at all. Nor are
//! rows with classes or a condition, which may be what a mirror changes: `left` and `right`.
//!
//! Faces have 0.49 to 0.52, handwritten characters 0.43, clothes 0.2, digits 0.05.

use super::{Data, DataError, SampleShape, Split, ValueKind};
use crate::array::Array;
use crate::estimate::Z_95;
use crate::key::Key;
use crate::nearest::Nearest;

/// Rows that are looked at, at most; fewer than a quarter of them tell too little.
const ROWS: usize = 2000;

/// However few rows there are, symmetric ones have this share.
const LEAST: f64 = 0.46;

/// Pixels a side to which rows are shrunk.
const SIDE: usize = 16;

impl Data {
    /// The share of training images whose mirror image is nearer to the others than they are; none for what is no image, or few.
    ///
    /// # Errors
    /// What reading rows says.
    pub(super) fn mirrored_share(&self, key: Key) -> Result<Option<f64>, DataError> {
        let SampleShape::Image { channels, height, width } = self.facts.shape else { return Ok(None) };
        let count = self.len(Split::Train).min(ROWS);
        let is_told = !self.facts.classes.is_empty() || !self.facts.condition.is_empty();
        if self.facts.kind == ValueKind::Real || height.min(width) < SIDE || count < ROWS / 4 || is_told {
            return Ok(None);
        }
        let mut positions = key.fold("mirror").permutation(self.len(Split::Train));
        positions.truncate(count);
        positions.sort_unstable();
        // Neighbours in a file may be alike: every other row into each half.
        let half = |first: usize| positions.iter().skip(first).step_by(2).copied().collect::<Vec<_>>();
        let x = |positions: &[usize]| Ok::<_, DataError>(self.rows(Split::Train, positions, 0)?.x);
        let shape = [channels, height, width];
        let (asked, others) = (x(&half(0))?, shrunk(&x(&half(1))?, shape));
        let mut mirrored = asked.clone();
        mirrored.chunks_exact_mut(width).for_each(<[f32]>::reverse);
        let [own, other] = [asked, mirrored].map(|x| {
            let x = shrunk(&x, shape);
            let mut nearest = Nearest::new(&x);
            nearest.meet(&x, &others, 0);
            nearest.distance
        });
        let nearer = own.iter().zip(&other).map(|(own, other)| match other.total_cmp(own) {
            std::cmp::Ordering::Less => 1.0,
            std::cmp::Ordering::Equal => 0.5,
            std::cmp::Ordering::Greater => 0.0,
        });
        Ok(Some(nearer.sum::<f64>() / own.len() as f64))
    }
}

/// Whether such a share of so many rows, half of which were asked, is not surely below ½.
pub(super) fn is_symmetric(share: f64, rows: usize) -> bool {
    let asked = rows.min(ROWS).div_ceil(2) as f64;
    share >= LEAST && share + Z_95 * (0.25 / asked).sqrt() >= 0.5
}

/// Means of blocks, as many as leave [`SIDE`] a side at most; what is left over at the right and below is cut off.
fn shrunk(x: &[f32], [channels, height, width]: [usize; 3]) -> Array {
    let block = height.max(width).div_ceil(SIDE);
    let (h, w) = ((height / block).max(1), (width / block).max(1));
    let (down, across) = (block.min(height), block.min(width));
    let mut values = Vec::with_capacity(x.len() / (block * block).max(1));
    for plane in x.chunks_exact(height * width) {
        for (row, column) in (0..h).flat_map(|row| (0..w).map(move |column| (row, column))) {
            let lines = (0..down).map(|k| &plane[(row * block + k) * width + column * block..][..across]);
            values.push(lines.flatten().sum::<f32>() / (down * across) as f32);
        }
    }
    Array::matrix(values, channels * h * w)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{DataSettings, Flip, Split};

    /// Pictures of a bar that leans, to one side or to either.
    fn leaning(either: bool) -> Data {
        let folder = tempfile::tempdir().unwrap();
        let mut pixels: Vec<f32> = Vec::new();
        for row in 0..900u64 {
            let mut u = [0.0; 3];
            Key::from_seed(row).uniforms(&mut u);
            let lean = if either && u[2] < 0.5 { -1.0 } else { 1.0 };
            for (y, x) in (0..20).flat_map(|y| (0..20).map(move |x| (y, x))) {
                let across = x as f32 - 6.5 - 6.0 * u[0] - lean * (y as f32 - 9.5) * (0.4 + 0.2 * u[1]);
                pixels.push(255.0 * (-across * across / 8.0).exp());
            }
        }
        let path = folder.path().join("x.npy");
        crate::data::write_npy(&path, &[900, 20, 20], crate::data::StoredType::U8, &pixels).unwrap();
        let settings = DataSettings {
            source: path.to_string_lossy().into_owned(),
            flip: Flip::Auto,
            ..DataSettings::default()
        };
        Data::open(&settings, Key::from_seed(1), &mut |_| {}).unwrap()
    }

    #[test]
    fn what_leans_one_way_is_not_mirrored_and_what_leans_either_way_is() {
        let (one, either, key) = (leaning(false), leaning(true), Key::from_seed(2));
        assert_eq!((one.preparation.flip, either.preparation.flip), (Flip::None, Flip::Horizontal));
        assert!(one.mirrored_share(key).unwrap().is_some_and(|share| share < 0.1));
        assert!(either.mirrored_share(key).unwrap().is_some_and(|share| (share - 0.5).abs() < 0.1));
    }

    #[test]
    fn only_rows_to_learn_from_are_mirrored_by_a_coin_an_epoch() {
        let data = leaning(true);
        let x = |epoch| data.rows_to_learn(Split::Train, &[0, 1, 2, 3], epoch).unwrap().x;
        let plain = data.rows(Split::Train, &[0, 1, 2, 3], 0).unwrap();
        assert_eq!(plain, data.rows(Split::Train, &[0, 1, 2, 3], 1).unwrap());
        let mut mirrored = plain.clone();
        mirrored.mirror(20, |_| true);
        let mut seen = [0, 0];
        for epoch in 0..20 {
            for (row, own) in x(epoch).chunks_exact(400).enumerate() {
                let [one, other] = [&plain, &mirrored].map(|rows| &rows.x[row * 400..][..400] == own);
                assert!(one || other);
                seen[usize::from(other)] += 1;
            }
        }
        assert!(seen[0] > 20 && seen[1] > 20, "{seen:?}");
    }

    #[test]
    fn the_share_that_counts_as_symmetric() {
        for (share, rows, wanted) in [
            (0.49, 2000, true),
            (0.43, 2000, false),
            (0.43, 500, false),
            (0.47, 600, true),
            (0.05, 200, false),
        ] {
            assert_eq!(is_symmetric(share, rows), wanted, "{share} of {rows}");
        }
    }
}
