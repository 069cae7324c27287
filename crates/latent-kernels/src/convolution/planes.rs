//! A padded image as stride² planes: pixel (y, x) goes to plane (y mod stride, x mod stride), place
//! (y / stride, x / stride). In each plane, the pixels that one weight meets lie in rows without gaps.

use super::Geometry;
use crate::math::vectorised;

/// The layout of a tile of images, and where weights and grid pixels lie in it.
pub(crate) struct Planes {
    geometry: Geometry,
    /// Values of one image's planes.
    length: usize,
    /// Offset of each weight (c, ky, kx).
    pub weights: Vec<usize>,
    /// Offset of each pixel of a tile's grids (image, i, j).
    pub pixels: Vec<usize>,
    /// For each row and column of the padded image: the image's own, if it has one, and its place.
    rows: Vec<(usize, usize)>,
    columns: Vec<(usize, usize)>,
    /// The columns by plane where the image isn't upsampled: first column, first place, count.
    runs: Option<Vec<(usize, usize, usize)>>,
}

impl Planes {
    pub(crate) fn new(geometry: &Geometry) -> Planes {
        let Geometry { channels, kernel, stride, grid, .. } = *geometry;
        let extent = [0, 1].map(|axis| (grid[axis].max(1) - 1) * stride[axis] + kernel[axis]);
        let size = [0, 1].map(|axis| extent[axis].div_ceil(stride[axis]));
        let plane = size[0] * size[1];
        let length = channels * stride[0] * stride[1] * plane;
        let mut weights = Vec::with_capacity(geometry.patch());
        for channel in 0..channels {
            for y in 0..kernel[0] {
                for x in 0..kernel[1] {
                    let index = (channel * stride[0] + y % stride[0]) * stride[1] + x % stride[1];
                    weights.push(index * plane + (y / stride[0]) * size[1] + x / stride[1]);
                }
            }
        }
        let mut pixels = Vec::with_capacity(geometry.tile() * geometry.pixels());
        for image in 0..geometry.tile() {
            for i in 0..grid[0] {
                pixels.extend((0..grid[1]).map(|j| image * length + i * size[1] + j));
            }
        }
        // A padded row's place inside a channel's planes, a padded column's inside its row's.
        let sources = |axis: usize, place: &dyn Fn(usize) -> usize| -> Vec<(usize, usize)> {
            let (own, shown) = (geometry.image[axis], geometry.upsampled[axis]);
            (geometry.padding[axis]..extent[axis].min(geometry.padding[axis] + shown))
                .map(|padded| ((padded - geometry.padding[axis]) * own / shown, place(padded)))
                .collect()
        };
        let rows = sources(0, &|y| (y % stride[0]) * stride[1] * plane + (y / stride[0]) * size[1]);
        let columns = sources(1, &|x| (x % stride[1]) * plane + x / stride[1]);
        // Every stride-th column, from the first that falls into a plane.
        let runs = (geometry.upsampled[1] == geometry.image[1]).then(|| {
            let first = columns.iter().take(stride[1]).enumerate();
            let count = |first: usize| (columns.len() - first).div_ceil(stride[1]);
            first.map(|(index, &(column, place))| (column, place, count(index))).collect()
        });
        Planes { geometry: *geometry, length, weights, pixels, rows, columns, runs }
    }

    /// Zeros for a tile.
    pub(crate) fn clear(&self, laid_out: &mut Vec<f32>, images: usize) {
        laid_out.clear();
        laid_out.resize(images * self.length, 0.0);
    }

    fn channel_length(&self) -> usize {
        self.length / self.geometry.channels.max(1)
    }

    /// Writes images over a layout that [`Planes::clear`] made; the padding stays 0.
    pub(crate) fn lay_out(&self, images: &[f32], count: usize, laid_out: &mut [f32]) {
        let [height, width] = self.geometry.image;
        let channels = count * self.geometry.channels;
        for (image, out) in images
            .chunks_exact((height * width).max(1))
            .zip(laid_out.chunks_exact_mut(self.channel_length().max(1)))
            .take(channels)
        {
            match &self.runs {
                Some(runs) => spread(image, out, width, &self.rows, runs, self.geometry.stride[1]),
                None => {
                    for &(row, place) in &self.rows {
                        let source = &image[row * width..][..width];
                        for &(column, offset) in &self.columns {
                            out[place + offset] = source[column];
                        }
                    }
                }
            }
        }
    }

    /// image += the planes of one image of the tile, pixel by pixel (the transpose of [`Planes::lay_out`]).
    pub(crate) fn gather(&self, laid_out: &[f32], index: usize, image: &mut [f32]) {
        let [height, width] = self.geometry.image;
        for (planes, image) in laid_out[index * self.length..]
            .chunks_exact(self.channel_length().max(1))
            .zip(image.chunks_exact_mut((height * width).max(1)))
        {
            match &self.runs {
                Some(runs) => collect(image, planes, width, &self.rows, runs, self.geometry.stride[1]),
                None => {
                    for &(row, place) in &self.rows {
                        let target = &mut image[row * width..][..width];
                        for &(column, offset) in &self.columns {
                            target[column] += planes[place + offset];
                        }
                    }
                }
            }
        }
    }
}

/// Pairs of neighbours, N pairs at a time, into their first and their second members.
#[inline(always)]
fn part<const N: usize>(pairs: &[f32], first: &mut [f32], second: &mut [f32]) {
    let pairs = pairs.as_chunks::<2>().0.as_chunks::<N>().0;
    let (first, second) = (first.as_chunks_mut::<N>().0, second.as_chunks_mut::<N>().0);
    for ((pairs, first), second) in pairs.iter().zip(first).zip(second) {
        *first = pairs.map(|pair| pair[0]);
        *second = pairs.map(|pair| pair[1]);
    }
}

vectorised! {
    /// Rows of an image into its planes, each run every `stride`-th column.
    fn spread(
        image: &[f32],
        planes: &mut [f32],
        width: usize,
        rows: &[(usize, usize)],
        runs: &[(usize, usize, usize)],
        stride: usize,
    ) {
        for &(row, place) in rows {
            let source = &image[row * width..][..width];
            if let (2, &[(0, even, evens), (1, odd, odds)]) = (stride, runs)
                && evens == odds
            {
                let [start, end] = [even.min(odd), even.max(odd)];
                let (head, tail) = planes[place..].split_at_mut(end);
                let (lower, upper) = (&mut head[start..][..evens], &mut tail[..evens]);
                let (even, odd) = if even < odd { (lower, upper) } else { (upper, lower) };
                match evens % 8 {
                    0 => part::<8>(source, even, odd),
                    4 => part::<4>(source, even, odd),
                    _ => part::<1>(source, even, odd),
                }
                continue;
            }
            for &(column, offset, count) in runs {
                let out = &mut planes[place + offset..][..count];
                let source = &source[column..];
                match stride {
                    1 => out.copy_from_slice(&source[..count]),
                    2 => {
                        let (pairs, rest) = source.as_chunks::<2>();
                        out.iter_mut().zip(pairs).for_each(|(out, pair)| *out = pair[0]);
                        if pairs.len() < count {
                            out[count - 1] = rest[0];
                        }
                    }
                    _ => out.iter_mut().zip(source.iter().step_by(stride)).for_each(|(out, value)| *out = *value),
                }
            }
        }
    }

    /// Rows of an image += what its planes hold, the transpose of [`spread`].
    fn collect(
        image: &mut [f32],
        planes: &[f32],
        width: usize,
        rows: &[(usize, usize)],
        runs: &[(usize, usize, usize)],
        stride: usize,
    ) {
        for &(row, place) in rows {
            let target = &mut image[row * width..][..width];
            if let (2, &[(0, even, evens), (1, odd, odds)]) = (stride, runs)
                && evens == odds
            {
                let (even, odd) = (&planes[place + even..][..evens], &planes[place + odd..][..odds]);
                for ((pair, even), odd) in target.as_chunks_mut::<2>().0.iter_mut().zip(even).zip(odd) {
                    pair[0] += even;
                    pair[1] += odd;
                }
                continue;
            }
            for &(column, offset, count) in runs {
                let values = &planes[place + offset..][..count];
                if stride == 1 {
                    target[column..][..count].iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
                } else {
                    let target = target[column..].iter_mut().step_by(stride);
                    target.zip(values).for_each(|(sum, value)| *sum += value);
                }
            }
        }
    }

    /// planes[weight + pixel] += unrolled[weight, pixel]; pixels come in grid rows of `width`.
    pub(crate) fn add_rows(
        planes: &mut [f32],
        unrolled: &[f32],
        columns: usize,
        width: usize,
        pixels: &[usize],
        weights: &[usize],
    ) {
        for (weight, values) in weights.iter().zip(unrolled.chunks_exact(columns)) {
            for (values, pixels) in values.chunks_exact(width).zip(pixels.chunks_exact(width)) {
                let start = weight + pixels[0];
                let target = &mut planes[start..start + width];
                if width.is_multiple_of(8) {
                    let (target, _) = target.as_chunks_mut::<8>();
                    let (values, _) = values.as_chunks::<8>();
                    for (sums, values) in target.iter_mut().zip(values) {
                        sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
                    }
                } else if width == 4 {
                    target.iter_mut().zip(values).take(4).for_each(|(sum, value)| *sum += value);
                } else {
                    target.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
                }
            }
        }
    }
}
