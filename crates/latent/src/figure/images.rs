//! Images on the host, and rasters composed of them.
//!
//! Small images are enlarged by a whole factor without smoothing, large ones are shown smaller: a pixel of
//! the data stays a square of pixels on the sheet.

use std::io::Cursor;

use image::codecs::png::{CompressionType, FilterType, PngEncoder};

use super::FigureError;
use super::canvas::{Canvas, Rect};

/// Images of one size, `[count, channels, height, width]` row-major, values in [0, 1].
///
/// Values outside of [0, 1] are clamped; one that is not a number is drawn magenta.
#[derive(Clone, Copy, Debug)]
pub struct Images<'a> {
    pixels: &'a [f32],
    channels: usize,
    height: usize,
    width: usize,
}

impl<'a> Images<'a> {
    /// Takes `pixels` as images of 1 (grey) or 3 (red, green, blue) channels.
    ///
    /// # Errors
    /// Where a side is 0, there are other channel counts, or `pixels` is no whole number of images.
    pub fn new(pixels: &'a [f32], channels: usize, height: usize, width: usize) -> Result<Self, FigureError> {
        if !matches!(channels, 1 | 3) {
            let what = format!("images of {channels} channels");
            return Err(FigureError::input(
                "images",
                what,
                "hand over 1 channel (grey) or 3 (red, green, blue)",
            ));
        }
        let features = channels.checked_mul(height).and_then(|n| n.checked_mul(width)).unwrap_or(0);
        if features == 0 || !pixels.len().is_multiple_of(features) {
            let what = format!("{} values are no images of {channels}×{height}×{width}", pixels.len());
            return Err(FigureError::input(
                "images",
                what,
                "hand over channels × height × width values an image",
            ));
        }
        Ok(Self { pixels, channels, height, width })
    }

    /// How many images there are.
    pub fn len(&self) -> usize {
        self.pixels.len() / self.features()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.pixels.is_empty()
    }

    /// Whether `other` has images of the same size.
    pub(super) fn same_size(&self, other: &Self) -> bool {
        [self.channels, self.height, self.width] == [other.channels, other.height, other.width]
    }

    /// Height and width of an image.
    pub(super) fn sides(&self) -> [usize; 2] {
        [self.height, self.width]
    }

    /// Red, green and blue of one pixel.
    pub(super) fn colour(&self, image: usize, row: usize, column: usize) -> [u8; 3] {
        let plane = self.height * self.width;
        let start = image * self.features() + row * self.width + column;
        let value = |channel: usize| self.pixels[start + channel.min(self.channels - 1) * plane];
        let values = [0, 1, 2].map(value);
        if values.iter().any(|value| value.is_nan()) {
            return [255, 0, 255];
        }
        values.map(|value| (value.clamp(0.0, 1.0) * 255.0).round() as u8)
    }

    fn features(&self) -> usize {
        self.channels * self.height * self.width
    }
}

/// How large an image is on the sheet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct CellSize {
    /// Pixels of the raster for a pixel of the image.
    enlarge: usize,
    /// Pixels of the raster for a unit of the sheet.
    density: usize,
    /// Width and height on the sheet.
    pub width: f64,
    pub height: f64,
}

impl CellSize {
    /// A size near `target` units that keeps pixels whole.
    pub fn near(images: &Images, target: f64) -> Self {
        let longest = images.height.max(images.width) as f64;
        let enlarge = (target / longest).round().max(1.0) as usize;
        let density = (longest / target).round().max(1.0) as usize;
        let side = |side: usize| (side * enlarge) as f64 / density as f64;
        Self { enlarge, density, width: side(images.width), height: side(images.height) }
    }
}

/// Images in cells on one sheet, joined into a single PNG of which the gaps are transparent.
///
/// `cells` holds for each image to be drawn its number and the place of its upper left corner.
pub(super) fn draw_images(
    canvas: &mut Canvas,
    images: &Images,
    size: CellSize,
    cells: &[(usize, [f64; 2])],
) -> Result<(), FigureError> {
    let density = size.density as f64;
    let snapped: Vec<(usize, [f64; 2])> =
        cells.iter().map(|(image, at)| (*image, at.map(|v| v.round()))).collect();
    let least = |axis: usize| snapped.iter().map(|(_, at)| at[axis]).fold(f64::INFINITY, f64::min);
    let most = |axis: usize| snapped.iter().map(|(_, at)| at[axis]).fold(f64::NEG_INFINITY, f64::max);
    if snapped.is_empty() {
        return Ok(());
    }
    let (left, top) = (least(0), least(1));
    let [columns, rows] = [images.width * size.enlarge, images.height * size.enlarge];
    let width = ((most(0) - left) * density) as usize + columns;
    let height = ((most(1) - top) * density) as usize + rows;
    if width as u64 * height as u64 > 1 << 26 {
        return Err(FigureError::TooLarge { width: width as u64, height: height as u64 });
    }
    let mut raster = image::RgbaImage::new(width as u32, height as u32);
    for (image, at) in snapped {
        let [x0, y0] = [((at[0] - left) * density) as u32, ((at[1] - top) * density) as u32];
        for row in 0..rows {
            for column in 0..columns {
                let [r, g, b] = images.colour(image, row / size.enlarge, column / size.enlarge);
                raster.put_pixel(x0 + column as u32, y0 + row as u32, image::Rgba([r, g, b, 255]));
            }
        }
    }
    let rect = Rect::new(left, top, width as f64 / density, height as f64 / density);
    canvas.image(rect, &png_bytes(&raster)?, size.density == 1);
    Ok(())
}

/// The bytes of a PNG file.
pub(super) fn png_bytes<P>(raster: &image::ImageBuffer<P, Vec<u8>>) -> Result<Vec<u8>, FigureError>
where
    P: image::PixelWithColorType + image::Pixel<Subpixel = u8>,
{
    let mut bytes = Cursor::new(Vec::new());
    let encoder = PngEncoder::new_with_quality(&mut bytes, CompressionType::Default, FilterType::Adaptive);
    raster.write_with_encoder(encoder).map_err(|error| FigureError::Raster { what: error.to_string() })?;
    Ok(bytes.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_sizes_are_refused() {
        for (length, channels, height, width) in
            [(4, 2, 2, 1), (5, 1, 2, 2), (4, 1, 0, 4), (3, 3, usize::MAX, 2)]
        {
            assert!(Images::new(&vec![0.0; length], channels, height, width).is_err());
        }
        assert_eq!(Images::new(&[0.0; 24], 3, 2, 2).unwrap().len(), 2);
        assert!(Images::new(&[], 1, 2, 2).unwrap().is_empty());
    }

    #[test]
    fn colours_are_clamped_and_channels_are_planes() {
        let images = Images::new(&[0.0, 1.0, -1.0, 0.5, 2.0, f32::NAN], 3, 1, 2).unwrap();
        assert_eq!(images.colour(0, 0, 0), [0, 0, 255]);
        assert_eq!(images.colour(0, 0, 1), [255, 0, 255]);
    }

    #[test]
    fn cells_keep_pixels_whole() {
        let size = |side: usize| {
            let pixels = vec![0.0; side * side];
            CellSize::near(&Images::new(&pixels, 1, side, side).unwrap(), 60.0)
        };
        assert_eq!(size(28).width, 56.0);
        assert_eq!(size(8).width, 64.0);
        assert_eq!(size(64).width, 64.0);
        assert_eq!((size(256).width, size(256).density), (64.0, 4));
    }

    #[test]
    fn pixels_stay_crisp_on_the_sheet() {
        let images = Images::new(&[0.0, 1.0, 1.0, 0.0], 1, 2, 2).unwrap();
        let mut canvas = Canvas::new(60.0, 60.0);
        draw_images(&mut canvas, &images, CellSize::near(&images, 60.0), &[(0, [0.0, 0.0])]).unwrap();
        let png = image::load_from_memory(&canvas.finish().png(2.0).unwrap()).unwrap().to_luma8();
        for (x, y, level) in
            [(0, 0, 0), (59, 59, 0), (60, 59, 255), (59, 60, 255), (60, 60, 0), (119, 119, 0)]
        {
            assert_eq!(png.get_pixel(x, y).0[0], level, "{x} {y}");
        }
    }
}
