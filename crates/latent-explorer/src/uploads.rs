//! Rows that were dropped on the page: the last few, in memory.
//!
//! What is dropped is read as the model's own data would be, with the library's limits; a picture of another size is cut to the
//! model's proportions and resized.

use std::collections::VecDeque;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use latent::data::{Channels, Data, Memory, Rows, SampleShape, Size, Split};
use latent::{Key, Model};

use crate::error::Refusal;

/// Rows that are kept.
const KEPT: usize = 64;
/// Rows that are taken from one file.
const MOST: usize = 16;

/// The rows of this session.
#[derive(Default)]
pub(crate) struct Uploads {
    rows: Mutex<VecDeque<(u64, Rows)>>,
    next: AtomicU64,
}

impl Uploads {
    /// Keeps rows; their numbers.
    pub fn keep(&self, rows: &Rows) -> Vec<u64> {
        let mut kept = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        let n = rows.len();
        let cut = |values: &[f32], row: usize| -> Vec<f32> {
            let width = values.len() / n.max(1);
            values[row * width..(row + 1) * width].to_vec()
        };
        (0..n)
            .map(|row| {
                let number = self.next.fetch_add(1, Ordering::Relaxed);
                let one = Rows {
                    x: cut(&rows.x, row),
                    ids: vec![rows.ids[row]],
                    content: rows.content.get(row).copied().into_iter().collect(),
                    labels: rows.labels.get(row).copied().into_iter().collect(),
                    condition: cut(&rows.condition, row),
                    mask: cut(&rows.mask, row),
                    weight: cut(&rows.weight, row),
                };
                kept.push_back((number, one));
                while kept.len() > KEPT {
                    kept.pop_front();
                }
                number
            })
            .collect()
    }

    /// A row by its number.
    pub fn row(&self, number: u64) -> Option<Rows> {
        let kept = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().find(|(of, _)| *of == number).map(|(_, row)| row.clone())
    }
}

/// The rows of a dropped file, at most [`MOST`].
pub(crate) fn read(model: &Model, bytes: &[u8]) -> Result<Rows, Refusal> {
    let ending = match bytes {
        [0x89, b'P', b'N', b'G', ..] => "png",
        [0xff, 0xd8, ..] => "jpg",
        [0x93, b'N', b'U', b'M', b'P', b'Y', ..] => "npy",
        [] => return Err(Refusal::bad("the file is empty")),
        _ if std::str::from_utf8(bytes).is_ok() => "csv",
        _ => return Err(Refusal::bad("the file is neither PNG, JPEG, npy nor a csv table")),
    };
    let mut settings = model.data.clone();
    match (model.facts.shape, ending) {
        (SampleShape::Image { channels, height, width }, "png" | "jpg") => {
            settings.image.size = Some(Size::Sides([height, width]));
            settings.image.crop = None;
            settings.image.channels = if channels == 1 { Channels::Grey } else { Channels::Colour };
        }
        (SampleShape::Vector { .. }, "png" | "jpg") => {
            return Err(Refusal::bad(
                "the model knows rows of a table, not pictures; drop a csv or npy file",
            ));
        }
        (SampleShape::Image { .. }, "csv") => {
            return Err(Refusal::bad("the model knows pictures; drop a PNG, JPEG or npy file"));
        }
        _ => {}
    }
    let file = Temporary::write(bytes, ending)?;
    settings.source = file.0.to_string_lossy().into_owned();
    let told = |error: latent::data::DataError| {
        // The name of the temporary file says nothing to anybody.
        Refusal::bad(error.to_string().replace(&settings.source, "the file"))
    };
    let data =
        Data::open_for(&model.facts, &settings, Key::from_seed(model.seed), &mut |_| {}).map_err(told)?;
    let positions: Vec<usize> = (0..data.len(Split::Test).min(MOST)).collect();
    data.rows(Split::Test, &positions, 0).map_err(told)
}

/// A row of a table from its numbers, in the user's units.
pub(crate) fn row_of(model: &Model, values: Vec<f64>) -> Result<Rows, Refusal> {
    let names = model.facts.names_of_values();
    if model.facts.shape.is_image() || values.len() != names.len() {
        return Err(Refusal::bad(format!(
            "{} numbers; give {}, one for each column",
            values.len(),
            names.len()
        )));
    }
    model.rows(Memory::table(names, values)).map_err(|error| Refusal::bad(error.to_string()))
}

/// A file that goes when it is no longer held.
struct Temporary(PathBuf);

impl Temporary {
    fn write(bytes: &[u8], ending: &str) -> Result<Self, Refusal> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("latent-explore-{}-{count}.{ending}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let refused = |error: std::io::Error| {
            Refusal::new(
                axum::http::StatusCode::INTERNAL_SERVER_ERROR,
                format!("the temporary folder: {error}"),
            )
        };
        // Never through a link that somebody else has put there.
        let mut file = fs::OpenOptions::new().write(true).create_new(true).open(&path).map_err(refused)?;
        let held = Self(path);
        std::io::Write::write_all(&mut file, bytes).map_err(refused)?;
        Ok(held)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
