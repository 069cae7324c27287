//! Any picture to one shape: crop around the centre, resize, convert channels.
//!
//! Resizing is separable with the triangle filter whose support grows with the reduction (every source pixel
//! counts), as Pillow's `BILINEAR`: written out here so that it is the same for 8-bit, 16-bit and real images.

use super::DataError;
use super::settings::{Channels, Crop, ImageSettings, NamedCrop};

/// `(channels, height, width)`
pub(crate) type Sides = (usize, usize, usize);

/// How a picture of shape `from` becomes one of shape `to`.
#[derive(Debug)]
pub(crate) struct Fit {
    pub from: Sides,
    pub to: Sides,
    /// The upper left corner of the window, and its height and width.
    window: (usize, usize, usize, usize),
    /// Levels are integers and are rounded after mixing.
    round: bool,
}

/// The mix of source positions that makes one target position.
struct Taps {
    start: usize,
    weights: Vec<f64>,
}

impl Fit {
    /// The window, the size and the channels that the settings ask of a picture of shape `from`.
    pub(crate) fn plan(from: Sides, settings: &ImageSettings, round: bool) -> Result<Self, DataError> {
        let (channels, height, width) = from;
        let size = settings.size.map(super::settings::Size::sides);
        let (window_height, window_width) = match (settings.crop, size) {
            (Some(Crop::Sides([h, w])), _) => {
                if h > height || w > width {
                    return Err(DataError::setting(
                        "image.crop",
                        format!("a window of {h}×{w} does not fit into an image of {height}×{width}"),
                        "ask for a smaller window, or leave data.image.crop out",
                    ));
                }
                (h, w)
            }
            (Some(Crop::Named(NamedCrop::None)), _) | (None, None) => (height, width),
            (Some(Crop::Named(NamedCrop::CentreSquare)), None) => (height.min(width), height.min(width)),
            (Some(Crop::Named(NamedCrop::CentreSquare)) | None, Some((h, w))) => {
                // The largest window of proportions h : w; exact in integers where one side is kept.
                if height * w <= width * h {
                    (height, rounded_ratio(height, w, h).clamp(1, width))
                } else {
                    (rounded_ratio(width, h, w).clamp(1, height), width)
                }
            }
        };
        let top = (height - window_height) / 2;
        let left = (width - window_width) / 2;
        let to_channels = match (settings.channels, channels) {
            (Channels::Auto, _) | (Channels::Grey, 1) | (Channels::Colour, 3) => channels,
            (Channels::Grey, 3) => 1,
            (Channels::Colour, 1) => 3,
            (asked, _) => {
                return Err(DataError::setting(
                    "image.channels",
                    format!(
                        "{channels} channels can't be turned into {}",
                        format!("{asked:?}").to_lowercase()
                    ),
                    "leave data.image.channels out",
                ));
            }
        };
        let (to_height, to_width) = size.unwrap_or((window_height, window_width));
        let window = (top, left, window_height, window_width);
        Ok(Self { from, to: (to_channels, to_height, to_width), window, round })
    }

    /// Whether nothing changes.
    pub(crate) fn is_identity(&self) -> bool {
        self.from == self.to && (self.window.2, self.window.3) == (self.from.1, self.from.2)
    }

    /// Fills `out` (channel, row, column) from the levels that `at(channel, row, column)` gives.
    pub(crate) fn apply(&self, at: impl Fn(usize, usize, usize) -> f64, out: &mut [f64]) {
        let (top, left, height, width) = self.window;
        let (channels, to_height, to_width) = self.to;
        let level = |channel: usize, y: usize, x: usize| {
            let (y, x) = (top + y, left + x);
            match (channels, self.from.0) {
                // Rec. 709 luminance.
                (1, 3) => 0.2126 * at(0, y, x) + 0.7152 * at(1, y, x) + 0.0722 * at(2, y, x),
                (3, 1) => at(0, y, x),
                _ => at(channel, y, x),
            }
        };
        let resized = (height, width) != (to_height, to_width);
        let rows = taps(height, to_height);
        let columns = taps(width, to_width);
        let mut wide = vec![0.0; if resized { height * to_width } else { 0 }];
        for channel in 0..channels {
            let plane = &mut out[channel * to_height * to_width..][..to_height * to_width];
            if !resized {
                for (index, value) in plane.iter_mut().enumerate() {
                    *value = level(channel, index / width, index % width);
                }
                continue;
            }
            for y in 0..height {
                for (x, tap) in columns.iter().enumerate() {
                    wide[y * to_width + x] = tap.mix(|source| level(channel, y, source));
                }
            }
            for (y, tap) in rows.iter().enumerate() {
                for x in 0..to_width {
                    plane[y * to_width + x] = tap.mix(|source| wide[source * to_width + x]);
                }
            }
        }
        if self.round {
            out.iter_mut().for_each(|value| *value = value.round());
        }
    }
}

impl Taps {
    fn mix(&self, at: impl Fn(usize) -> f64) -> f64 {
        self.weights.iter().enumerate().map(|(index, weight)| weight * at(self.start + index)).sum()
    }
}

/// The triangle filter that takes `from` positions to `to`.
fn taps(from: usize, to: usize) -> Vec<Taps> {
    let scale = from as f64 / to as f64;
    let support = scale.max(1.0);
    (0..to)
        .map(|target| {
            let centre = (target as f64 + 0.5) * scale - 0.5;
            let start = (centre - support).ceil().max(0.0) as usize;
            let end = ((centre + support).floor() as usize).min(from - 1);
            let mut weights: Vec<f64> = (start..=end)
                .map(|source| (1.0 - (source as f64 - centre).abs() / support).max(0.0))
                .collect();
            let total: f64 = weights.iter().sum();
            weights.iter_mut().for_each(|weight| *weight /= total);
            Taps { start, weights }
        })
        .collect()
}

fn rounded_ratio(side: usize, numerator: usize, denominator: usize) -> usize {
    (side * numerator + denominator / 2) / denominator
}

#[cfg(test)]
mod tests {
    use super::super::settings::Size;
    use super::*;

    fn sized(size: Size) -> ImageSettings {
        ImageSettings { size: Some(size), ..ImageSettings::default() }
    }

    #[test]
    fn the_default_is_the_centre_square_resized() {
        // 109×89 with a bright frame above and below the centre square: the frame must vanish.
        let fit = Fit::plan((1, 109, 89), &sized(Size::Square(64)), true).unwrap();
        assert_eq!((fit.window, fit.to), ((10, 0, 89, 89), (1, 64, 64)));
        let mut out = vec![0.0; 64 * 64];
        fit.apply(|_, y, _| if (10..99).contains(&y) { 7.0 } else { 255.0 }, &mut out);
        assert!(out.iter().all(|&value| value == 7.0));
    }

    #[test]
    fn resizing_keeps_constants_and_linear_ramps() {
        for (from, to) in [((5, 7), (5, 7)), ((8, 8), (4, 4)), ((9, 13), (5, 3)), ((3, 3), (7, 9))] {
            let settings = ImageSettings {
                size: Some(Size::Sides([to.0, to.1])),
                crop: Some(Crop::Named(NamedCrop::None)),
                ..ImageSettings::default()
            };
            let fit = Fit::plan((1, from.0, from.1), &settings, false).unwrap();
            let mut out = vec![0.0; to.0 * to.1];
            fit.apply(|_, _, _| 3.5, &mut out);
            assert!(out.iter().all(|&value| (value - 3.5f64).abs() < 1e-12));
            // The ramp is odd around the centre, so its mean survives.
            fit.apply(|_, _, x| x as f64, &mut out);
            let mean = out.iter().sum::<f64>() / out.len() as f64;
            assert!((mean - (from.1 as f64 - 1.0) / 2.0).abs() < 1e-9, "{from:?} {to:?} {mean}");
        }
        // Halving averages 2×2 blocks and their neighbours with weights 1 3 3 1 (away from the border).
        let fit = Fit::plan((1, 8, 8), &sized(Size::Square(4)), false).unwrap();
        let mut out = vec![0.0; 16];
        fit.apply(|_, _, x| if x == 2 { 8.0 } else { 0.0 }, &mut out);
        assert!((out[1] - 3.0).abs() < 1e-12 && (out[2] - 0.0).abs() < 1e-12, "{out:?}");
    }

    #[test]
    fn channels_convert_and_windows_must_fit() {
        let grey = ImageSettings { channels: Channels::Grey, ..ImageSettings::default() };
        let fit = Fit::plan((3, 1, 1), &grey, true).unwrap();
        let mut out = [0.0];
        fit.apply(|channel, _, _| [255.0, 0.0, 0.0][channel], &mut out);
        assert_eq!(out, [54.0]);
        let colour = ImageSettings { channels: Channels::Colour, ..ImageSettings::default() };
        assert_eq!(Fit::plan((1, 2, 2), &colour, true).unwrap().to, (3, 2, 2));
        assert!(Fit::plan((2, 2, 2), &colour, true).is_err());
        let crop = ImageSettings { crop: Some(Crop::Sides([9, 2])), ..ImageSettings::default() };
        assert!(Fit::plan((1, 8, 8), &crop, true).unwrap_err().to_string().contains("data.image.crop"));
    }
}
