//! The run in TensorBoard: each event of the loop as scalars under `train/` and `validation/`, with the names of the log.
//!
//! Pictures of progress are no part of a run's result: what cannot be written is left out, and training goes on.

use std::path::Path;

use super::tensorboard::EventWriter;
use super::{Event, Line};

/// Points on a curve, about; more would only make the files large.
const POINTS: u64 = 2000;

/// Writes the events of one process; none where the file cannot be written.
pub(crate) struct Board {
    writer: Option<EventWriter>,
    every: u64,
}

impl Board {
    pub fn new(folder: &Path) -> Self {
        Self { writer: EventWriter::create(folder).ok(), every: 1 }
    }

    pub fn observe(&mut self, event: &Event<'_>) {
        match event {
            Event::Started { total, .. } => self.every = (total / POINTS).max(1),
            Event::Step { line, .. } if line.step.is_multiple_of(self.every) => self.write("train", line),
            Event::Validated { line, .. } => self.write("validation", line),
            Event::Step { .. } | Event::Recovered { .. } | Event::Guard { .. } => {}
        }
    }

    fn write(&mut self, split: &str, line: &Line) {
        let Some(writer) = &mut self.writer else { return };
        let written = line.values.iter().try_for_each(|(name, value)| {
            writer.scalar(line.step, &format!("{split}/{name}"), *value as f32)
        });
        if written.is_err() {
            self.writer = None;
        }
    }
}
