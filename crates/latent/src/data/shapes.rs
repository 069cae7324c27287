//! The factors of dSprites, drawn when they are asked for: white shapes on black, 64×64 bits, with all factors known.
//!
//! | factor | values |
//! | --- | --- |
//! | shape | square, ellipse, heart |
//! | scale | 6 from 0.5 to 1 |
//! | orientation | 40 from 0 to 2π, both ends included as in dSprites, so that the last repeats the first |
//! | x, y | 32 each, from 16 to 48 pixels |
//!
//! Every combination is one row, 3 · 6 · 40 · 32 · 32 = 737 280 in all, the last factor fastest; the shape is the label, and the
//! other factors are numbers from 0 that `data.condition` may name. A pixel is white where its middle lies within the shape. The outlines are our own: the numbers of dSprites' factors, not
//! its pixels.
//!
//! Reference: Matthey et al., *dSprites: Disentanglement testing Sprites dataset* (2017).

use std::f64::consts::TAU;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::dataset::{Dataset, Labels, Number, Visit};
use super::{DataError, DataSettings, Facts, SampleShape};

/// The name of the source.
pub const NAME: &str = "shapes";

/// The factors and how many values each has.
pub const FACTORS: [(&str, u32); 5] = [("shape", 3), ("scale", 6), ("orientation", 40), ("x", 32), ("y", 32)];

/// The names of the shapes: the classes.
pub const CLASSES: [&str; 3] = ["square", "ellipse", "heart"];

/// Rows of the data: every combination once.
pub const ROWS: u64 = 737_280;

/// Pixels of a side.
pub const SIDE: usize = 64;

/// Whether these are facts of this source, and not of a folder of that name.
pub fn is_source_of(facts: &Facts) -> bool {
    let shape = SampleShape::Image { channels: 1, height: SIDE, width: SIDE };
    facts.source == NAME && facts.shape == shape && facts.classes == CLASSES
}

/// The value of each factor of a row.
pub fn factors_of_row(row: u64) -> [u32; 5] {
    let mut rest = row;
    let mut factors = [0; 5];
    for (value, (_, count)) in factors.iter_mut().zip(FACTORS).rev() {
        *value = (rest % u64::from(count)) as u32;
        rest /= u64::from(count);
    }
    factors
}

/// The row that has these values.
pub fn row_of_factors(factors: [u32; 5]) -> u64 {
    factors.iter().zip(FACTORS).fold(0, |row, (value, (_, count))| row * u64::from(count) + u64::from(*value))
}

/// Draws a row: 0 or 1 a pixel, row-major.
pub fn draw(factors: [u32; 5], pixels: &mut [f64]) {
    let [shape, scale, orientation, x, y] = factors;
    let outline = [Outline::Square, Outline::Ellipse, Outline::Heart][shape.min(2) as usize];
    let scale = 0.5 + 0.1 * f64::from(scale);
    // The last orientation is the first again, to the bit.
    let angle = f64::from(orientation % 39) * TAU / 39.0;
    let place = |value: u32| 16.0 + 32.0 * f64::from(value) / 31.0;
    outline.draw(scale, angle, [place(x), place(y)], pixels);
}

#[derive(Clone, Copy)]
enum Outline {
    Square,
    Ellipse,
    Heart,
}

/// No point of a shape at scale 1 is farther from its middle, in pixels.
const REACH: f64 = 15.6;

impl Outline {
    fn draw(self, scale: f64, angle: f64, [x, y]: [f64; 2], pixels: &mut [f64]) {
        pixels.fill(0.0);
        let (sin, cos) = angle.sin_cos();
        let span = |middle: f64| {
            let first = (middle - REACH * scale).floor().max(0.0) as usize;
            first..((middle + REACH * scale).ceil().max(0.0) as usize).min(SIDE)
        };
        for row in span(y) {
            for column in span(x) {
                let (across, down) = (column as f64 + 0.5 - x, row as f64 + 0.5 - y);
                let (u, v) = ((cos * across + sin * down) / scale, (cos * down - sin * across) / scale);
                if self.holds(u, v) {
                    pixels[row * SIDE + column] = 1.0;
                }
            }
        }
    }

    /// Whether a point is within the shape at scale 1: `u` to the right, `v` down.
    fn holds(self, u: f64, v: f64) -> bool {
        match self {
            Self::Square => u.abs() < 11.0 && v.abs() < 11.0,
            Self::Ellipse => (u / 15.0).powi(2) + (v / 7.5).powi(2) < 1.0,
            // (X² + Y² − 1)³ < X² Y³, whose lobes reach 1.42 from the middle.
            Self::Heart => {
                let (x, y) = (u / 10.9, -v / 10.9);
                (x * x + y * y - 1.0).powi(3) < x * x * y.powi(3)
            }
        }
    }
}

/// All rows, none of them in memory.
pub(crate) struct Shapes {
    labels: Labels,
    /// The factors that are told beside x, by name.
    told: Vec<(String, Vec<f64>)>,
}

impl Shapes {
    /// The source, unless the settings ask for images of another make.
    pub(crate) fn open(settings: &DataSettings) -> Result<Self, DataError> {
        if settings.image != Default::default() {
            return Err(DataError::setting(
                "image",
                "`shapes` are drawn as 1×64×64 bits and in no other form",
                "leave data.image out",
            ));
        }
        let classes = CLASSES.map(String::from).to_vec();
        let of = (0..ROWS).map(|row| factors_of_row(row)[0]).collect();
        let told = settings.condition.iter().filter_map(|name| {
            let factor = FACTORS.iter().position(|(known, _)| known == name).filter(|&factor| factor > 0)?;
            Some((name.clone(), (0..ROWS).map(|row| f64::from(factors_of_row(row)[factor])).collect()))
        });
        Ok(Self { labels: Labels { classes, of }, told: told.collect() })
    }
}

impl Dataset for Shapes {
    fn path(&self) -> &Path {
        Path::new(NAME)
    }

    fn format(&self) -> &'static str {
        NAME
    }

    fn rows(&self) -> u64 {
        ROWS
    }

    fn shape(&self) -> SampleShape {
        SampleShape::Image { channels: 1, height: SIDE, width: SIDE }
    }

    fn number(&self) -> Number {
        Number::Bool
    }

    fn labels(&self) -> Option<&Labels> {
        Some(&self.labels)
    }

    fn numbers(&self, name: &str) -> Option<&[f64]> {
        self.told.iter().find(|(known, _)| known == name).map(|(_, values)| &values[..])
    }

    fn number_names(&self) -> Vec<String> {
        FACTORS.iter().skip(1).map(|(name, _)| name.to_string()).collect()
    }

    fn read(&self, row: u64, values: &mut [f64]) -> Result<(), DataError> {
        draw(factors_of_row(row), values);
        Ok(())
    }

    /// The contents are a formula: its version stands for them in the hash.
    fn scan(
        &self,
        _threads: usize,
        wanted: &(dyn Fn(u64) -> bool + Sync),
        hash: &mut Sha256,
        visit: Visit<'_>,
    ) -> Result<Vec<(u64, String)>, DataError> {
        hash.update("shapes 1");
        let mut values = vec![0.0; SIDE * SIDE];
        for row in (0..ROWS).filter(|&row| wanted(row)) {
            self.read(row, &mut values)?;
            visit(row, &values)?;
        }
        Ok(Vec::new())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn image(factors: [u32; 5]) -> Vec<f64> {
        let mut pixels = vec![0.0; SIDE * SIDE];
        draw(factors, &mut pixels);
        pixels
    }

    fn area(pixels: &[f64]) -> f64 {
        pixels.iter().sum()
    }

    #[test]
    fn rows_and_factors_are_one_to_one() {
        assert_eq!(FACTORS.iter().map(|(_, count)| u64::from(*count)).product::<u64>(), ROWS);
        for row in (0..ROWS).step_by(997).chain([0, ROWS - 1]) {
            assert_eq!(row_of_factors(factors_of_row(row)), row);
        }
        assert_eq!(factors_of_row(ROWS - 1), [2, 5, 39, 31, 31]);
    }

    #[test]
    fn areas_are_those_of_the_outlines_at_every_scale() {
        // The heart's area in its own units, by quadrature: 3.6604.
        let whole = [484.0, std::f64::consts::PI * 15.0 * 7.5, 3.6604 * 10.9 * 10.9];
        for (shape, whole) in (0..3).zip(whole) {
            for scale in 0..6 {
                let side = 0.5 + 0.1 * f64::from(scale);
                let mean = (0..39).map(|o| area(&image([shape, scale, o, 11, 17]))).sum::<f64>() / 39.0;
                assert!((mean / (whole * side * side) - 1.0).abs() < 0.01, "{shape} {scale}: {mean}");
            }
        }
    }

    #[test]
    fn nothing_is_cut_off_and_a_step_of_31_moves_by_32_pixels() {
        for shape in 0..3 {
            for orientation in 0..40 {
                let corner = image([shape, 5, orientation, 0, 0]);
                let edge = |at: usize| (0..SIDE).any(|i| corner[at * SIDE + i] + corner[i * SIDE + at] > 0.0);
                assert!(!edge(32) && !edge(63), "{shape} {orientation}");
                let moved = image([shape, 5, orientation, 31, 31]);
                for row in 0..32 {
                    for column in 0..32 {
                        let to = (row + 32) * SIDE + column + 32;
                        assert_eq!(corner[row * SIDE + column], moved[to]);
                    }
                }
            }
        }
    }

    #[test]
    fn turning_does_what_the_symmetry_says() {
        let turned = |outline: Outline, angle: f64| {
            let mut pixels = vec![0.0; SIDE * SIDE];
            outline.draw(1.0, angle, [31.3, 32.1], &mut pixels);
            pixels
        };
        let differ = |outline, by: f64| {
            let (a, b) = (turned(outline, 0.3), turned(outline, 0.3 + by));
            a.iter().zip(&b).filter(|(a, b)| a != b).count()
        };
        assert_eq!(differ(Outline::Square, TAU / 4.0), 0);
        assert_eq!(differ(Outline::Ellipse, TAU / 2.0), 0);
        assert_eq!(differ(Outline::Heart, TAU), 0);
        assert!(differ(Outline::Ellipse, TAU / 4.0) > 100 && differ(Outline::Heart, TAU / 2.0) > 50);
        assert_eq!(image([2, 3, 0, 4, 5]), image([2, 3, 39, 4, 5]));
    }

    #[test]
    fn images_are_unique_but_for_the_repeated_orientation() {
        let mut seen = HashSet::new();
        let mut add = |factors| seen.insert(image(factors).iter().map(|p| *p > 0.5).collect::<Vec<bool>>());
        let mut repeated = 0;
        for shape in 0..3 {
            for scale in 0..6 {
                for orientation in 0..39 {
                    repeated += u32::from(!add([shape, scale, orientation, 9, 20]));
                }
            }
        }
        // Turned by less than a pixel at the rim, a few small shapes fall on the same pixels.
        assert!(repeated <= 7, "{repeated}");
        for x in 0..32 {
            for y in 0..32 {
                assert!(add([0, 1, 5, x, y]) || (x, y) == (9, 20));
            }
        }
    }
}
