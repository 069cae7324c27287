//! Ways between images that move: an animated PNG, which browsers play and other programs show the first frame of.
//!
//! PNG, `acTL` (how many frames), then for each frame `fcTL` (size, delay) and its data: `IDAT` of the first, `fdAT` of the
//! others, numbered in order.
//!
//! Reference: *Portable Network Graphics Specification, Third Edition* (W3C 2025), section 11.3.2.

use std::path::Path;

use flate2::Crc;

use super::images::png_bytes;
use super::{FigureError, Images};
use crate::files::write_whole;

/// The longer side of an image in it, about, in pixels.
const SIDE: usize = 112;
/// Between images.
const GAP: usize = 8;
/// How long a frame stands, in hundredths of a second.
const DELAY: u16 = 12;
/// And the two ends of a way.
const END_DELAY: u16 = 70;
/// Images side by side, at most; more stand in rows.
const ACROSS: usize = 6;

/// A picture of several frames, an animated PNG that repeats for ever.
#[derive(Clone, Debug)]
pub struct Animation {
    bytes: Vec<u8>,
    width: u32,
    height: u32,
}

impl Animation {
    /// Ways of `steps` images each, one after another as [`interpolation`](super::interpolation) takes them: all side by side,
    /// from start to end and back.
    ///
    /// # Errors
    /// Where the images are no ways of that many steps, or a frame cannot be written.
    pub fn ways(images: &Images, steps: usize) -> Result<Self, FigureError> {
        if steps < 2 || images.is_empty() || !images.len().is_multiple_of(steps) {
            let what = format!("{} images are no ways of {steps}", images.len());
            return Err(FigureError::input("animation", what, "hand over `steps` images a way, at least 2"));
        }
        let ways = images.len() / steps;
        let there_and_back: Vec<usize> = (0..steps).chain((1..steps - 1).rev()).collect();
        let frames = there_and_back.iter().map(|&step| {
            let shown: Vec<usize> = (0..ways).map(|way| way * steps + step).collect();
            let delay = if step == 0 || step == steps - 1 { END_DELAY } else { DELAY };
            Ok((row_of(images, &shown)?, delay))
        });
        Self::of(&frames.collect::<Result<Vec<_>, FigureError>>()?)
    }

    /// Joins frames of one size, each with its delay.
    fn of(frames: &[(image::RgbaImage, u16)]) -> Result<Self, FigureError> {
        let (width, height) = frames.first().map_or((0, 0), |(first, _)| first.dimensions());
        let mut bytes = SIGNATURE.to_vec();
        let mut sequence = 0u32;
        let mut next = || {
            sequence += 1;
            (sequence - 1).to_be_bytes()
        };
        for (index, (frame, delay)) in frames.iter().enumerate() {
            let png = png_bytes(frame)?;
            let parts = chunks(&png).ok_or_else(|| FigureError::Raster { what: "a broken frame".into() })?;
            if index == 0 {
                parts.iter().filter(|(name, _)| name == b"IHDR").for_each(|(n, d)| push(&mut bytes, n, d));
                push(&mut bytes, b"acTL", &[(frames.len() as u32).to_be_bytes(), [0; 4]].concat());
            }
            let numbers = [next(), width.to_be_bytes(), height.to_be_bytes(), [0; 4], [0; 4]].concat();
            let times = [delay.to_be_bytes(), 100u16.to_be_bytes(), [0, 0]].concat();
            push(&mut bytes, b"fcTL", &[numbers, times].concat());
            for (_, data) in parts.iter().filter(|(name, _)| name == b"IDAT") {
                match index {
                    0 => push(&mut bytes, b"IDAT", data),
                    _ => push(&mut bytes, b"fdAT", &[&next()[..], data].concat()),
                }
            }
        }
        push(&mut bytes, b"IEND", &[]);
        Ok(Self { bytes, width, height })
    }

    /// The bytes of the file.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Width and height in pixels.
    pub fn size(&self) -> (u32, u32) {
        (self.width, self.height)
    }

    /// Writes it whole or not at all; `.apng` and `.png` are both names for it.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), FigureError> {
        write_whole(path, |file| file.write_all(&self.bytes))
            .map_err(|source| FigureError::Io { path: path.to_owned(), source })
    }
}

/// Some of the images side by side, in rows of [`ACROSS`] at most, enlarged by a whole factor.
fn row_of(images: &Images, shown: &[usize]) -> Result<image::RgbaImage, FigureError> {
    let [height, width] = images.sides();
    let enlarge = (SIDE / height.max(width)).max(1);
    let (columns, rows) = (shown.len().min(ACROSS), shown.len().div_ceil(ACROSS));
    let side = |side: usize, count: usize| side * enlarge * count + GAP * (count - 1);
    let (across, down) = (side(width, columns) as u64, side(height, rows) as u64);
    if across * down > 1 << 26 {
        return Err(FigureError::TooLarge { width: across, height: down });
    }
    // What is between the images is clear, so that it suits light and dark pages.
    let mut frame = image::RgbaImage::new(across as u32, down as u32);
    for (place, &image) in shown.iter().enumerate() {
        let [x0, y0] =
            [(place % ACROSS) * (width * enlarge + GAP), (place / ACROSS) * (height * enlarge + GAP)];
        for y in 0..height * enlarge {
            for x in 0..width * enlarge {
                let [r, g, b] = images.colour(image, y / enlarge, x / enlarge);
                frame.put_pixel((x0 + x) as u32, (y0 + y) as u32, image::Rgba([r, g, b, 255]));
            }
        }
    }
    Ok(frame)
}

const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";

/// Length, name, data, checksum.
fn push(bytes: &mut Vec<u8>, name: &[u8], data: &[u8]) {
    let mut crc = Crc::new();
    crc.update(name);
    crc.update(data);
    bytes.extend((data.len() as u32).to_be_bytes());
    bytes.extend([name, data].concat());
    bytes.extend(crc.sum().to_be_bytes());
}

/// Name and data of each chunk of a PNG file; none where it is broken.
fn chunks(png: &[u8]) -> Option<Vec<(&[u8], &[u8])>> {
    let mut rest = png.strip_prefix(SIGNATURE)?;
    let mut found = Vec::new();
    while !rest.is_empty() {
        let (length, after) = rest.split_first_chunk::<4>()?;
        let length = u32::from_be_bytes(*length) as usize;
        let (name, data) = (after.get(..4)?, after.get(4..4 + length)?);
        found.push((name, data));
        rest = after.get(8 + length..)?;
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_goes_there_and_back_and_each_frame_is_a_png() {
        let pixels: Vec<f32> = (0..2 * 4 * 6).map(|i| i as f32 / 48.0).collect();
        let images = Images::new(&pixels, 1, 2, 3).unwrap();
        let animation = Animation::ways(&images, 4).unwrap();
        let parts = chunks(animation.bytes()).unwrap();
        let count = |wanted: &[u8]| parts.iter().filter(|(name, _)| *name == wanted).count();
        // Four steps there, two of them once more on the way back.
        assert_eq!((count(b"fcTL"), count(b"IHDR"), count(b"IEND")), (6, 1, 1));
        let frames = parts.iter().find(|(name, _)| *name == b"acTL").unwrap().1;
        assert_eq!(frames[..4], 6u32.to_be_bytes());
        // Numbered in order over both kinds of chunk.
        let numbered = parts.iter().filter(|(name, _)| *name == b"fcTL" || *name == b"fdAT");
        let numbers: Vec<u32> =
            numbered.map(|(_, data)| u32::from_be_bytes(data[..4].try_into().unwrap())).collect();
        assert_eq!(numbers, (0..numbers.len() as u32).collect::<Vec<_>>());
        // Who knows no animation sees the first frame: its checksums hold.
        let first = image::load_from_memory(animation.bytes()).unwrap();
        assert_eq!((first.width(), first.height()), animation.size());
        assert_eq!(animation.size(), (2 * 3 * 37 + 8, 2 * 37));
    }

    #[test]
    fn what_is_no_way_is_refused() {
        let pixels = [0.0; 6];
        let images = Images::new(&pixels, 1, 1, 1).unwrap();
        assert!(Animation::ways(&images, 4).is_err() && Animation::ways(&images, 1).is_err());
        assert!(Animation::ways(&Images::new(&[], 1, 1, 1).unwrap(), 2).is_err());
    }
}
