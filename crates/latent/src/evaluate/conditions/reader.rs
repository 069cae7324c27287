//! Who reads an attribute off a row, and what of it: principal components of training rows, few numbers each.

use crate::array::Array;
use crate::data::{Facts, SampleShape};
use crate::error::Result;
use crate::evaluate::Subject;
use crate::evaluate::features::{Columns, Features};
use crate::evaluate::latents::{NEIGHBOURS, nearest_rows, vote};
use crate::evaluate::statistics::pca::Pca;
use crate::generate::Samples;
use crate::logistic::{Logistic, Scaling};

/// Rows that choose which reader, at most.
const CHOOSING: usize = 1000;

/// Numbers that a picture is averaged to.
const NUMBERS: usize = 1024;

/// What is known of an attribute: of training rows, with their components, and of the rows that are judged.
pub(super) struct Known<'a> {
    pub learned: &'a Array,
    pub learned_values: &'a [f32],
    pub values: &'a [f32],
}

impl Known<'_> {
    /// Training rows whose value is known.
    pub fn taught(&self) -> (Array, Vec<f32>) {
        let known = places(self.learned_values);
        (chosen(self.learned, &known), known.iter().map(|&row| self.learned_values[row]).collect())
    }
}

/// The places of what is known.
pub(super) fn places(values: &[f32]) -> Vec<usize> {
    (0..values.len()).filter(|&row| !values[row].is_nan()).collect()
}

/// These rows of a set.
pub(super) fn chosen(set: &Array, rows: &[usize]) -> Array {
    Array::matrix(rows.iter().flat_map(|&row| set.row(row)).copied().collect(), set.width())
}

/// The nearest of the rows that teach, of each row.
pub(super) fn neighbours(x: &Array, taught: &Array) -> Vec<Vec<u32>> {
    (0..x.rows()).map(|row| nearest_rows(x.row(row), taught, NEIGHBOURS, None)).collect()
}

/// Who reads a class.
pub(super) enum Reader {
    /// The vote of the nearest of these rows.
    Nearest(Array, Vec<u32>),
    /// Logistic regression on standardised components.
    Linear(Logistic, Scaling),
}

impl Reader {
    /// The better of both on the last of the rows; the other rows teach it.
    pub fn learn(x: &Array, labels: &[u32], classes: usize) -> Option<Self> {
        let keep = x.rows() - CHOOSING.min(x.rows() / 4);
        let part = |range: std::ops::Range<usize>| chosen(x, &range.collect::<Vec<_>>());
        let (taught, choosing) = (part(0..keep), part(keep..x.rows()));
        let (labels, wanted) = labels.split_at(keep);
        let mut scaled: Vec<f64> = taught.values.iter().map(|v| f64::from(*v)).collect();
        let scaling = Scaling::of(&scaled, x.width());
        scaling.apply(&mut scaled);
        let linear = Logistic::fit(&scaled, x.width(), labels, classes, 1.0);
        let both =
            [linear.map(|fit| Self::Linear(fit, scaling)), Some(Self::Nearest(taught, labels.to_vec()))];
        let right = |reader: &Self| {
            reader.read(&choosing).iter().zip(wanted).filter(|(read, wanted)| read == wanted).count()
        };
        both.into_iter().flatten().max_by_key(right)
    }

    pub fn read(&self, x: &Array) -> Vec<u32> {
        match self {
            Self::Nearest(taught, labels) => {
                let nearest = neighbours(x, taught);
                nearest.iter().map(|rows| vote(rows, labels).unwrap_or(0)).collect()
            }
            Self::Linear(fit, scaling) => {
                let mut x: Vec<f64> = x.values.iter().map(|v| f64::from(*v)).collect();
                scaling.apply(&mut x);
                fit.predict(&x)
            }
        }
    }

    pub fn about(&self) -> &'static str {
        match self {
            Self::Nearest(..) => "the vote of 10 neighbours",
            Self::Linear(..) => "logistic regression",
        }
    }
}

/// The components of rows one after the other.
pub(super) fn project(pca: &Pca, values: &[f32], width: usize) -> Array {
    let rows = values.chunks_exact(width.max(1));
    let components = rows.flat_map(|row| pca.project(row)).map(|v| v as f32).collect();
    Array::matrix(components, pca.directions.len())
}

/// Rows as few numbers: pictures averaged over squares, columns standardised.
pub(super) struct Small {
    columns: Columns,
    /// The picture's channels, height and width, and the side of a square.
    image: Option<([usize; 3], usize)>,
    pub numbers: usize,
}

impl Small {
    pub fn new(subject: &Subject<'_>) -> Self {
        let facts: &Facts = &subject.model.facts;
        let columns = Columns::of_subject(subject);
        let SampleShape::Image { channels, height, width } = facts.shape else {
            return Self { numbers: facts.shape.features(), columns, image: None };
        };
        let numbers = |side: usize| channels * height.div_ceil(side) * width.div_ceil(side);
        let side = (1..=height.max(width)).find(|&side| numbers(side) <= NUMBERS).unwrap_or(1);
        Self { columns, image: Some(([channels, height, width], side)), numbers: numbers(side) }
    }

    pub fn of(&self, samples: &Samples) -> Result<Vec<f32>> {
        let Some(([channels, height, width], side)) = self.image else {
            return Ok(self.columns.of(samples)?.values);
        };
        if side == 1 {
            return Ok(samples.x.clone());
        }
        let (down, across) = (height.div_ceil(side), width.div_ceil(side));
        let mut averages = Vec::with_capacity(samples.len() * self.numbers);
        for plane in samples.x.chunks_exact(height * width).take(samples.len() * channels) {
            for (top, left) in (0..down).flat_map(|y| (0..across).map(move |x| (y * side, x * side))) {
                let (bottom, right) = (height.min(top + side), width.min(left + side));
                let rows = (top..bottom).map(|y| &plane[y * width + left..y * width + right]);
                let sum: f32 = rows.flatten().sum();
                averages.push(sum / ((bottom - top) * (right - left)) as f32);
            }
        }
        Ok(averages)
    }
}
