//! Convolutions as matrix products over the patches of an image, a few images at a time.
//!
//! An *image* `[n, c, h, w]` meets a *grid* `[n, m, gh, gw]` through weights `[m, c, kh, kw]`: pixel (i, j) of
//! the grid sees the patch of the padded image at (i·stride, j·stride). Three products are all there is:
//!
//!   correlate  grid  = W · patches(image)      conv forward,  transposed conv's input gradient
//!   scatter    image = patchesᵀ(Wᵀ · grid)     transposed conv forward,  conv's input gradient
//!   weights    W     = grid · patches(image)ᵀ  both weight gradients
//!
//! The patches are never written out: a padded image is laid out once as stride² planes (its pixels by
//! their remainder), in which the pixels that one weight meets lie in rows, and the product's packing reads
//! them there through a table of offsets. Nearest-neighbour upsampling by a fraction is part of that layout;
//! by a whole number it is a transposed convolution ([`upsampling`]).

mod planes;
pub(crate) mod upsampling;

use std::cell::RefCell;

use crate::Activation;
use crate::elementwise::{Shared, accumulate, shift_and_activate, sum, through};
use crate::matrix::{self, Offsets, Operand, kernel, pack_left, packed_product, product_into};
use crate::parallel;
use planes::Planes;

/// Columns of patches that are worked on at once.
const COLUMNS: usize = 512;

/// Values of patches, unrolled, that are worked on at once: half a megabyte.
const UNROLLED: usize = 1 << 17;

/// Groups of images whose weight gradients are summed apart, then added in order.
const GROUPS: usize = 4;

thread_local! {
    /// Planes and products of a tile, which a thread keeps from one call to the next.
    static SCRATCH: RefCell<[Vec<f32>; 2]> = const { RefCell::new([Vec::new(), Vec::new()]) };
}

/// Which image meets which grid.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Geometry {
    /// n, images and grids.
    pub count: usize,
    /// c, channels of the image.
    pub channels: usize,
    /// h, w of the image.
    pub image: [usize; 2],
    /// What the image is upsampled to before its patches are taken; its own size for none.
    pub upsampled: [usize; 2],
    /// m, channels of the grid.
    pub features: usize,
    /// gh, gw.
    pub grid: [usize; 2],
    /// kh, kw.
    pub kernel: [usize; 2],
    /// From one patch to the next.
    pub stride: [usize; 2],
    /// Zeros before the first pixel.
    pub padding: [usize; 2],
}

impl Geometry {
    /// c kh kw, the weights of one feature.
    pub(crate) fn patch(&self) -> usize {
        self.channels * self.kernel[0] * self.kernel[1]
    }

    /// gh gw.
    pub(crate) fn pixels(&self) -> usize {
        self.grid[0] * self.grid[1]
    }

    /// h w.
    fn area(&self) -> usize {
        self.image[0] * self.image[1]
    }

    /// Images in a tile, so that a tile has columns enough to fill the kernel and there are tiles to share.
    fn tile(&self) -> usize {
        (COLUMNS / self.pixels().max(1)).clamp(1, self.count.div_ceil(2 * GROUPS).max(1))
    }

    /// Multiply-adds of one product.
    fn work(&self) -> usize {
        self.count * self.pixels() * self.features * self.patch()
    }

    /// Runs `work(first image, one past the last)` on tiles, several at once where it pays. Which images
    /// share a tile depends on the geometry alone.
    fn each_tile(&self, work: impl Fn(&[(usize, usize)]) + Sync) {
        let tiles: Vec<_> = (0..self.count)
            .step_by(self.tile())
            .map(|first| (first, self.count.min(first + self.tile())))
            .collect();
        let parts = if self.work() < matrix::SERIAL { 1 } else { parallel::threads() };
        let share = tiles.len().div_ceil(parts).max(1);
        parallel::each(tiles.len().div_ceil(share), |part| {
            work(&tiles[part * share..tiles.len().min((part + 1) * share)]);
        });
    }
}

/// grid = φ(W · patches(image) + bias), `[count, features, gh, gw]`.
pub(crate) fn correlate(
    geometry: &Geometry,
    image: &[f32],
    weight: &[f32],
    bias: Option<&[f32]>,
    activation: Activation,
) -> Vec<f32> {
    let (features, patch, pixels) = (geometry.features, geometry.patch(), geometry.pixels());
    let planes = Planes::new(geometry);
    let mut packed = Vec::new();
    pack_left(kernel(), 0..features, patch, Operand::rows(weight, features, patch), &mut packed);
    let length = geometry.count * features * pixels;
    let mut grid = Vec::with_capacity(length);
    let target = Shared(grid.as_mut_ptr());
    geometry.each_tile(|tiles| {
        SCRATCH.with_borrow_mut(|[laid_out, product]| {
            planes.clear(laid_out, geometry.tile());
            product.resize(product.len().max(features * geometry.tile() * pixels), 0.0);
            for &(first, last) in tiles {
                planes.lay_out(&image[first * geometry.channels * geometry.area()..], last - first, laid_out);
                let columns = (last - first) * pixels;
                let patches = Operand::new(
                    laid_out,
                    [columns, patch],
                    Offsets::table(&planes.pixels[..columns]),
                    Offsets::table(&planes.weights),
                );
                packed_product([features, columns, patch], &packed, patches, product, columns, false);
                for (feature, row) in product.chunks_exact(columns.max(1)).take(features).enumerate() {
                    for (offset, piece) in row.chunks_exact(pixels.max(1)).enumerate() {
                        let start = ((first + offset) * features + feature) * pixels;
                        // SAFETY: each tile has images of its own, inside the grid's capacity.
                        let out = unsafe { target.write(start, piece) };
                        let shift = bias.map_or(0.0, |bias| bias[feature]);
                        if bias.is_some() || activation != Activation::Identity {
                            shift_and_activate(out, shift, activation);
                        }
                    }
                }
            }
        });
    });
    // SAFETY: the capacity is `length`, and the tiles have written every element.
    unsafe { grid.set_len(length) };
    grid
}

/// image = φ(patchesᵀ(Wᵀ · grid) + bias), `[count, channels, h, w]`.
pub(crate) fn scatter(
    geometry: &Geometry,
    grid: &[f32],
    weight: &[f32],
    bias: Option<&[f32]>,
    activation: Activation,
) -> Vec<f32> {
    let (features, patch, pixels) = (geometry.features, geometry.patch(), geometry.pixels());
    let planes = Planes::new(geometry);
    let mut packed = Vec::new();
    pack_left(kernel(), 0..patch, features, Operand::transposed(weight, patch, features), &mut packed);
    // Whole rows of the grid, so many that their unrolled patches stay in cache.
    let width = geometry.grid[1].max(1);
    let chunk = (UNROLLED / patch.max(1)).clamp(32, COLUMNS).next_multiple_of(width);
    let sources: Vec<usize> = (0..geometry.tile())
        .flat_map(|image| (0..pixels).map(move |pixel| image * features * pixels + pixel))
        .collect();
    let size = geometry.channels * geometry.area();
    let length = geometry.count * size;
    let mut image = Vec::with_capacity(length);
    let target = Shared(image.as_mut_ptr());
    geometry.each_tile(|tiles| {
        SCRATCH.with_borrow_mut(|[laid_out, unrolled]| {
            unrolled.resize(unrolled.len().max(patch * chunk), 0.0);
            for &(first, last) in tiles {
                planes.clear(laid_out, last - first);
                let columns = (last - first) * pixels;
                let tile = &grid[first * features * pixels..last * features * pixels];
                for start in (0..columns).step_by(chunk) {
                    let end = columns.min(start + chunk);
                    let count = end - start;
                    let values = Operand::new(
                        tile,
                        [count, features],
                        Offsets::table(&sources[start..end]),
                        Offsets::Regular(pixels),
                    );
                    packed_product([patch, count, features], &packed, values, unrolled, count, false);
                    planes::add_rows(
                        laid_out,
                        unrolled,
                        count,
                        width,
                        &planes.pixels[start..end],
                        &planes.weights,
                    );
                }
                for index in first..last {
                    // SAFETY: each tile has images of its own, inside the capacity; `write` fills them.
                    let out = unsafe { target.zeroed(index * size, size) };
                    planes.gather(laid_out, index - first, out);
                    if bias.is_some() || activation != Activation::Identity {
                        for (channel, values) in out.chunks_exact_mut(geometry.area().max(1)).enumerate() {
                            shift_and_activate(values, bias.map_or(0.0, |bias| bias[channel]), activation);
                        }
                    }
                }
            }
        });
    });
    // SAFETY: the capacity is `length`, and the tiles have written every element.
    unsafe { image.set_len(length) };
    image
}

/// W's gradient, grid · patches(image)ᵀ, `[features, channels, kh, kw]`.
pub(crate) fn weights(geometry: &Geometry, grid: &[f32], image: &[f32]) -> Vec<f32> {
    let (features, patch, pixels) = (geometry.features, geometry.patch(), geometry.pixels());
    let planes = Planes::new(geometry);
    let tile = geometry.tile();
    let sources: Vec<usize> =
        (0..tile).flat_map(|image| (0..pixels).map(move |pixel| image * features * pixels + pixel)).collect();
    // Groups are made of whole tiles and depend on the geometry alone.
    let tiles = geometry.count.div_ceil(tile);
    let share = tiles.div_ceil(GROUPS).max(1) * tile;
    let groups = geometry.count.div_ceil(share).max(1);
    let size = features * patch;
    let mut sums = Vec::with_capacity(groups * size);
    let target = Shared(sums.as_mut_ptr());
    let group = |group: usize| {
        SCRATCH.with_borrow_mut(|[laid_out, _]| {
            planes.clear(laid_out, tile);
            let end = geometry.count.min((group + 1) * share);
            for first in (group * share..end).step_by(tile) {
                let last = end.min(first + tile);
                planes.lay_out(&image[first * geometry.channels * geometry.area()..], last - first, laid_out);
                let columns = (last - first) * pixels;
                let values = Operand::new(
                    &grid[first * features * pixels..last * features * pixels],
                    [features, columns],
                    Offsets::Regular(pixels),
                    Offsets::table(&sources[..columns]),
                );
                let patches = Operand::new(
                    laid_out,
                    [patch, columns],
                    Offsets::table(&planes.weights),
                    Offsets::table(&planes.pixels[..columns]),
                );
                // SAFETY: each group has `size` sums of its own inside the capacity; the first tile writes
                // them all, the others add.
                unsafe {
                    let sums = target.place(group * size);
                    product_into([features, patch, columns], values, patches, sums, first > group * share);
                }
            }
        });
    };
    if geometry.work() < matrix::SERIAL {
        (0..groups).for_each(group);
    } else {
        parallel::each(groups, group);
    }
    if geometry.count == 0 {
        return vec![0.0; size];
    }
    // SAFETY: every group has at least one tile, which has written its sums.
    unsafe { sums.set_len(groups * size) };
    let (total, rest) = sums.split_at_mut(size);
    let target = Shared(total.as_mut_ptr());
    parallel::ranges(size, 1 << 12, |range| {
        // SAFETY: the ranges are disjoint and inside the total, which outlives this call.
        let total = unsafe { target.slice(range.start, range.len()) };
        for group in rest.chunks_exact(size) {
            accumulate(total, &group[range.clone()]);
        }
    });
    sums.truncate(size);
    sums
}

/// gradient ← gradient · φ′ for `[count, features, pixels]`, and its sums over images and pixels.
pub(crate) fn through_and_sum(
    gradient: &mut [f32],
    kept: Option<&[f32]>,
    [count, features, pixels]: [usize; 3],
    activation: Activation,
) -> Vec<f32> {
    let mut sums = vec![0f32; count * features];
    let (target, sums_at) = (Shared(gradient.as_mut_ptr()), Shared(sums.as_mut_ptr()));
    let least = ((1 << 12) / pixels.max(1)).max(1);
    parallel::ranges(count * features, least, |range| {
        // SAFETY: each part has planes of its own, inside both buffers, which outlive this call.
        let sums = unsafe { sums_at.slice(range.start, range.len()) };
        for (sum_of_plane, plane) in sums.iter_mut().zip(range) {
            // SAFETY: as above.
            let values = unsafe { target.slice(plane * pixels, pixels) };
            if let Some(kept) = kept {
                through(values, &kept[plane * pixels..][..pixels], activation);
            }
            *sum_of_plane = sum(values);
        }
    });
    let mut totals = vec![0f32; features];
    for image in sums.chunks_exact(features.max(1)) {
        accumulate(&mut totals, image);
    }
    totals
}
