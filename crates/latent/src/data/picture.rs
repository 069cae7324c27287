//! One PNG or JPEG file: its header, and its levels in the form that `[data.image]` asks for.
//!
//! What a file claims is compared with its size before anything is allocated, and a decoder that panics on a
//! broken file has found a broken file.

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};

use image::metadata::Orientation;
use image::{ColorType, DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};

use super::SampleShape;
use super::fit::Fit;
use super::settings::ImageSettings;

/// A decoded picture may take this many bytes.
pub(crate) const MOST_PIXEL_BYTES: u64 = 256 << 20;

/// Deflate and JPEG reach at most about this many decoded bytes for one in the file.
const MOST_EXPANSION: u64 = 2000;

/// What the header of an image says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Header {
    /// 1 or 3, alpha not counted.
    pub channels: usize,
    /// After the orientation was applied.
    pub height: usize,
    pub width: usize,
    pub deep: bool,
}

fn decoder(bytes: &[u8]) -> Result<impl ImageDecoder + '_, String> {
    let mut reader =
        ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(|error| error.to_string())?;
    if !matches!(reader.format(), Some(ImageFormat::Png | ImageFormat::Jpeg)) {
        return Err("the file is neither PNG nor JPEG".into());
    }
    let mut limits = Limits::default();
    limits.max_alloc = Some(MOST_PIXEL_BYTES);
    limits.max_image_width = Some(1 << 16);
    limits.max_image_height = Some(1 << 16);
    reader.limits(limits);
    let decoder = reader.into_decoder().map_err(|error| error.to_string())?;
    let bound = MOST_PIXEL_BYTES.min(bytes.len() as u64 * MOST_EXPANSION + (1 << 20));
    let (width, height) = decoder.dimensions();
    if width == 0 || height == 0 {
        return Err("the image has no pixel".into());
    }
    if decoder.total_bytes() > bound {
        return Err(format!(
            "the header promises {width}×{height} pixels, and the file has {} bytes",
            bytes.len()
        ));
    }
    Ok(decoder)
}

/// Decoders of other people's making may panic on a broken file: that, too, is a broken file.
fn guarded<T>(work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err("the decoder gave up".into()))
}

/// Reads the header of an image.
pub(crate) fn header(bytes: &[u8]) -> Result<Header, String> {
    guarded(|| {
        let mut decoder = decoder(bytes)?;
        let (width, height) = decoder.dimensions();
        let turned = matches!(
            decoder.orientation().unwrap_or(Orientation::NoTransforms),
            Orientation::Rotate90
                | Orientation::Rotate270
                | Orientation::Rotate90FlipH
                | Orientation::Rotate270FlipH
        );
        let (height, width) = if turned { (width, height) } else { (height, width) };
        let color = decoder.color_type();
        Ok(Header {
            channels: if color.has_color() { 3 } else { 1 },
            height: height as usize,
            width: width as usize,
            deep: matches!(color, ColorType::L16 | ColorType::La16 | ColorType::Rgb16 | ColorType::Rgba16),
        })
    })
}

/// Decodes an image to levels of 0 … 255 (65535 where `deep`), channel, row, column.
pub(crate) fn decode(
    bytes: &[u8],
    image: &ImageSettings,
    deep: bool,
) -> Result<(SampleShape, Vec<f64>), String> {
    guarded(|| {
        if is_cut_jpeg(bytes) {
            return Err("the JPEG is cut short".into());
        }
        let mut decoder = decoder(bytes)?;
        let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
        let mut picture = DynamicImage::from_decoder(decoder).map_err(|error| error.to_string())?;
        picture.apply_orientation(orientation);
        let (width, height) = (picture.width() as usize, picture.height() as usize);
        let color = picture.color();
        let stored = usize::from(color.channel_count());
        let channels = if color.has_color() { 3 } else { 1 };
        let has_alpha = color.has_alpha();
        let fit = Fit::plan((channels, height, width), image, true).map_err(|error| error.to_string())?;
        let (to_channels, to_height, to_width) = fit.to;
        let mut values = vec![0.0; to_channels * to_height * to_width];
        let bytes = picture.as_bytes();
        let layout = Layout { width, stored, has_alpha, deep };
        match color {
            ColorType::L16 | ColorType::La16 | ColorType::Rgb16 | ColorType::Rgba16 => {
                let level =
                    |index: usize| u16::from_ne_bytes([bytes[2 * index], bytes[2 * index + 1]]).into();
                layout.fill(&fit, level, 65535.0, &mut values);
            }
            ColorType::L8 | ColorType::La8 | ColorType::Rgb8 | ColorType::Rgba8 => {
                layout.fill(&fit, |index| bytes[index].into(), 255.0, &mut values);
            }
            other => return Err(format!("pixels of type {other:?} are not read")),
        }
        Ok((SampleShape::Image { channels: to_channels, height: to_height, width: to_width }, values))
    })
}

/// How the levels of a decoded picture lie in memory, and which depth is wanted.
struct Layout {
    width: usize,
    /// Levels of a pixel, alpha included.
    stored: usize,
    has_alpha: bool,
    deep: bool,
}

impl Layout {
    /// Fits a picture whose level number `index` (of at most `most`) is `level(index)`; alpha is over white.
    fn fill(&self, fit: &Fit, level: impl Fn(usize) -> f64, most: f64, values: &mut [f64]) {
        let full = if self.deep { 65535.0 } else { 255.0 };
        let scale = full / most;
        fit.apply(
            |channel, y, x| {
                let pixel = (y * self.width + x) * self.stored;
                let value = level(pixel + channel) * scale;
                if !self.has_alpha {
                    return value;
                }
                let alpha = level(pixel + self.stored - 1) / most;
                value * alpha + full * (1.0 - alpha)
            },
            values,
        );
    }
}

/// Decoders fill the missing rows of a truncated JPEG with grey. The entropy-coded data of a whole one ends
/// in the marker FFD9; within it every FF is followed by 00, so markers can't be mistaken.
fn is_cut_jpeg(bytes: &[u8]) -> bool {
    let last = |marker: u8| bytes.windows(2).rposition(|pair| pair == [0xff, marker]);
    bytes.starts_with(&[0xff, 0xd8]) && last(0xd9) <= last(0xda)
}
