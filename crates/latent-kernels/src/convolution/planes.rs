//! A padded image as stride² planes: pixel (y, x) goes to plane (y mod stride, x mod stride), place
//! (y / stride, x / stride). In each plane, the pixels that one weight meets lie in rows without gaps.

use super::Geometry;
use crate::math::vectorised;

/// The layout of a tile of images, and where weights and grid pixels lie in it.
pub(crate) struct Planes {
    geometry: Geometry,
    /// Rows and columns of one plane.
    size: [usize; 2],
    /// Values of one image's planes.
    length: usize,
    /// Offset of each weight (c, ky, kx).
    pub weights: Vec<usize>,
    /// Offset of each pixel of a tile's grids (image, i, j).
    pub pixels: Vec<usize>,
    /// For each row and column of the padded image: the image's own, if it has one, and its place.
    rows: Vec<(usize, usize)>,
    columns: Vec<(usize, usize)>,
    /// First column, first place and count, where the columns are copied one to one.
    straight: Option<(usize, usize, usize)>,
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
        let straight = (stride[1] == 1 && geometry.upsampled[1] == geometry.image[1] && !columns.is_empty())
            .then(|| (columns[0].0, columns[0].1, columns.len()));
        Planes { geometry: *geometry, size, length, weights, pixels, rows, columns, straight }
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
            let mut last: Option<(usize, usize)> = None;
            for &(row, place) in &self.rows {
                let source = &image[row * width..][..width];
                match (last, self.straight) {
                    // An upsampled row is the one above it once more.
                    (Some((above, from)), _) if above == row && self.geometry.stride == [1, 1] => {
                        out.copy_within(from..from + self.size[1], place);
                    }
                    (_, Some((first, start, count))) => {
                        out[place + start..][..count].copy_from_slice(&source[first..][..count]);
                    }
                    _ => {
                        for &(column, offset) in &self.columns {
                            out[place + offset] = source[column];
                        }
                    }
                }
                last = Some((row, place));
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
            for &(row, place) in &self.rows {
                let target = &mut image[row * width..][..width];
                if let Some((first, start, count)) = self.straight {
                    let values = &planes[place + start..][..count];
                    target[first..][..count].iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
                } else {
                    for &(column, offset) in &self.columns {
                        target[column] += planes[place + offset];
                    }
                }
            }
        }
    }
}

vectorised! {
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
