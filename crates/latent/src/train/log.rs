//! `metrics.jsonl`: one JSON line a step, a validation, or a return of the guard. Nothing in it depends on the clock.

use std::fs::File;
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::PathBuf;

use serde_json::{Value, json};

use super::error::Result;
use super::{Counters, Finding, RunFolder, TrainError};
use crate::files::open_in_place;

/// One line: named numbers in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Line {
    /// The step that it follows.
    pub step: u64,
    /// Epochs done by then.
    pub epoch: f64,
    /// Whether it is of the validation split.
    pub validation: bool,
    /// Named numbers.
    pub values: Vec<(String, f64)>,
    /// Named lists of numbers.
    pub series: Vec<(String, Vec<f64>)>,
    note: Option<String>,
}

impl Line {
    /// The line of a training step.
    pub fn step(step: u64, epoch: f64) -> Self {
        Self { step, epoch, ..Self::default() }
    }

    /// The line of a validation.
    pub fn validation(step: u64, epoch: f64) -> Self {
        Self { step, epoch, validation: true, ..Self::default() }
    }

    /// The line of a return to a checkpoint.
    pub(super) fn guard(step: u64, finding: &Finding, rate_factor: f64) -> Self {
        let note = Some(format!("not finite, {finding}"));
        let mut line = Self { step, note, ..Self::default() };
        line.push("rate_factor", rate_factor);
        line
    }

    /// The line that stands for lost ones.
    fn lost(step: u64) -> Self {
        Self { step, note: Some("earlier lines of this file are missing".into()), ..Self::default() }
    }

    /// Appends a number.
    pub fn push(&mut self, name: &str, value: f64) {
        self.values.push((name.into(), value));
    }

    /// Sets a number, over one of that name.
    pub fn set(&mut self, name: &str, value: f64) {
        match self.values.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => *old = value,
            None => self.push(name, value),
        }
    }

    /// Adds to a number, which starts at 0.
    pub fn add(&mut self, name: &str, value: f64) {
        match self.values.iter_mut().find(|(known, _)| known == name) {
            Some((_, sum)) => *sum += value,
            None => self.push(name, value),
        }
    }

    /// Adds a share of a list to a list, which starts at 0.
    pub fn add_series(&mut self, name: &str, values: &[f32], share: f64) {
        let values = values.iter().map(|&v| f64::from(v) * share);
        match self.series.iter_mut().find(|(known, _)| known == name) {
            Some((_, sums)) => sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value),
            None => self.series.push((name.into(), values.collect())),
        }
    }

    /// The number of that name.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.values.iter().find(|(known, _)| known == name).map(|(_, value)| *value)
    }

    /// Its names in the order in which a reader wants them: step, epoch, split, numbers, lists.
    pub(crate) fn json(&self) -> String {
        let mut pairs: Vec<(&str, Value)> = vec![("step", self.step.into())];
        match &self.note {
            Some(note) => pairs.push(("note", note.as_str().into())),
            None => {
                pairs.push(("epoch", self.epoch.into()));
                pairs.push(("split", if self.validation { "validation" } else { "train" }.into()));
            }
        }
        pairs.extend(self.values.iter().map(|(name, value)| (name.as_str(), number(*value))));
        pairs.extend(self.series.iter().map(|(name, values)| {
            (name.as_str(), values.iter().map(|v| number(*v)).collect::<Vec<_>>().into())
        }));
        let pairs: Vec<String> =
            pairs.into_iter().map(|(name, value)| format!("{}:{value}", json!(name))).collect();
        format!("{{{}}}", pairs.join(","))
    }

    /// Reads a line back; none for one of the guard or a broken one.
    pub fn parse(text: &str) -> Option<Self> {
        let Value::Object(object) = serde_json::from_str(text).ok()? else { return None };
        let mut line = Self {
            step: object.get("step")?.as_u64()?,
            epoch: object.get("epoch")?.as_f64()?,
            validation: object.get("split")?.as_str()? == "validation",
            ..Self::default()
        };
        for (name, value) in &object {
            match value {
                _ if matches!(name.as_str(), "step" | "epoch" | "split") => {}
                Value::Number(number) => line.push(name, number.as_f64()?),
                Value::Array(values) => {
                    line.series.push((name.clone(), values.iter().filter_map(Value::as_f64).collect()));
                }
                _ => {}
            }
        }
        Some(line)
    }
}

/// Seven significant digits: as many as the numbers have. NaN becomes null.
fn number(value: f64) -> Value {
    format!("{value:.6e}")
        .parse::<f64>()
        .ok()
        .and_then(serde_json::Number::from_f64)
        .map_or(Value::Null, Value::Number)
}

/// The file, open at its end.
pub(super) struct Log {
    file: Option<(BufWriter<File>, PathBuf)>,
    bytes: u64,
}

impl Log {
    /// Opens the file and cuts it to the bytes that belong to the state. Where there are fewer, somebody has changed it:
    /// a line says that some are missing, and the run goes on.
    pub fn open(folder: Option<&RunFolder>, counters: &Counters) -> Result<Self> {
        let mut log = Self { file: None, bytes: 0 };
        if let Some(folder) = folder {
            let path = folder.metrics();
            let file = open_in_place(&path).map_err(TrainError::io(&path))?;
            let length = file.metadata().map_err(TrainError::io(&path))?.len();
            log.file = Some((BufWriter::new(file), path));
            if length >= counters.metrics_bytes {
                log.truncate(counters.metrics_bytes)?;
            } else {
                log.truncate(length)?;
                log.write(&Line::lost(counters.step))?;
            }
        }
        Ok(log)
    }

    pub fn write(&mut self, line: &Line) -> Result<()> {
        if let Some((file, path)) = &mut self.file {
            let mut text = line.json();
            text.push('\n');
            file.write_all(text.as_bytes()).map_err(TrainError::io(path))?;
            self.bytes += text.len() as u64;
        }
        Ok(())
    }

    /// Everything written is on disk; returns how much that is.
    pub fn sync(&mut self) -> Result<u64> {
        if let Some((file, path)) = &mut self.file {
            file.flush().and_then(|()| file.get_ref().sync_data()).map_err(TrainError::io(path))?;
        }
        Ok(self.bytes)
    }

    /// Cuts the file to its first `bytes`.
    pub fn truncate(&mut self, bytes: u64) -> Result<()> {
        if let Some((file, path)) = &mut self.file {
            (|| {
                file.flush()?;
                file.get_ref().set_len(bytes)?;
                file.seek(SeekFrom::Start(bytes)).map(|_| ())
            })()
            .map_err(TrainError::io(path))?;
            self.bytes = bytes;
        }
        Ok(())
    }
}
