//! Before the first step: how large is the model, how much memory and time will training take, and does it fit?
//!
//! Two steps of few rows each are tried and their peak memory is extended in a straight line, peak(rows) = a + b·rows,
//! since everything a step makes is either as large as the weights or proportional to its rows. If that fits, one step
//! of the full batch is timed. Noise is keyed, so a probe leaves no trace: the weights are put back.

use std::fmt;
use std::time::{Duration, Instant};

use super::error::Result;
use super::plan::Plan;
use super::validation::VALIDATION_ROWS;
use super::{State, TrainError, TrainSettings, Trainable, Trainer, memory};
use crate::batch::Batch;
use crate::data::Split;
use crate::optimizer::Player;
use crate::weights::Weights;
use crate::words::{duration, thousands};

/// What training will take.
#[derive(Clone, Debug, PartialEq)]
pub struct Preflight {
    /// Numbers that gradients move.
    pub parameters: usize,
    /// The weights in bytes.
    pub model_bytes: u64,
    /// The greatest memory of the whole process, data included, in bytes; 0 where nothing can be measured.
    pub peak_bytes: u64,
    /// What the process may take in bytes; none where the system doesn't say.
    pub available: Option<u64>,
    /// Seconds of a step.
    pub seconds_per_step: f64,
    /// Steps still to be taken.
    pub steps: u64,
    /// Seconds of these steps and of the validations between them.
    pub seconds: f64,
}

impl fmt::Display for Preflight {
    /// A line or two for people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "model: {} parameters, {}", thousands(self.parameters as u64), bytes(self.model_bytes))?;
        if self.peak_bytes > 0 {
            write!(f, "; training needs about {} of memory", bytes(self.peak_bytes))?;
            if let Some(available) = self.available {
                write!(f, " ({} free)", bytes(available))?;
            }
        }
        write!(f, "; {} steps", thousands(self.steps))?;
        let step = self.seconds_per_step;
        let step = match step {
            s if s < 9.5e-3 => format!("{:.1} ms", s * 1e3),
            s if s < 1.0 => format!("{:.0} ms", s * 1e3),
            s => format!("{s:.1} s"),
        };
        write!(f, " of {step} take about {}", duration(self.seconds))
    }
}

/// More steps than that are not planned, however short one is.
const MOST_PLANNED: u64 = 10_000_000;

/// Training that takes longer is worth a word before it starts.
const LONG: f64 = 3600.0;

impl Preflight {
    /// As many steps as these seconds allow, with the validations between them; at least one.
    pub fn plan(&mut self, seconds: f64) {
        let each = self.seconds / self.steps.max(1) as f64;
        self.steps = (seconds / each.max(1e-9)) as u64;
        self.steps = self.steps.clamp(1, MOST_PLANNED);
        self.seconds = each * self.steps as f64;
    }

    /// A warning of training that takes more than an hour, with what to do; none where `minutes` (0 for no limit) cuts it
    /// before.
    pub fn warning(&self, minutes: f64) -> Option<String> {
        let is_cut = minutes > 0.0 && 60.0 * minutes <= LONG;
        (self.seconds > LONG && !is_cut).then(|| {
            format!(
                "LONG: training will take about {} on this machine. To stop earlier and keep what was learned, add --minutes \
                 60, or fewer --epochs; Ctrl-C saves the state, and --resume goes on",
                duration(if minutes > 0.0 { self.seconds.min(60.0 * minutes) } else { self.seconds })
            )
        })
    }
}

/// peak(rows) = at + per_row · rows
#[derive(Clone, Copy, Debug, Default)]
struct Line {
    at: f64,
    per_row: f64,
}

impl Line {
    fn through((few, least): (usize, u64), (more, most): (usize, u64)) -> Self {
        let per_row =
            if more > few { (most as f64 - least as f64).max(0.0) / (more - few) as f64 } else { 0.0 };
        Self { at: most as f64 - per_row * more as f64, per_row }
    }

    fn peak(self, rows: usize) -> f64 {
        self.at + self.per_row * rows as f64
    }
}

/// Only this share of the free memory is counted on: other programs want some too.
const SHARE: f64 = 0.95;

/// Full steps are timed until this much time is over.
const PROBE: Duration = Duration::from_millis(500);

/// Where a row or two take longer than this, few are tried.
const SLOW_ROW: Duration = Duration::from_secs(1);

/// Players whose turns do not meet within so many steps are not looked for together.
const LOOKED_BACK: usize = 10_000;

/// A step that would take longer than this is not tried: its time follows from those of fewer rows.
const SLOW_STEP: Duration = Duration::from_secs(20);

impl Trainer<'_> {
    /// Tries a few steps and says what training will take, `done` steps having been taken; the task is as before.
    ///
    /// # Errors
    /// [`TrainError::Memory`] with a batch that would fit, where `available` bytes are too few.
    pub fn preflight(
        &self,
        task: &mut dyn Trainable,
        done: u64,
        available: Option<u64>,
    ) -> Result<Preflight> {
        let plan = Plan::new(self.settings, self.examples.as_ref(), self.key)?;
        let before = task.weights().clone();
        let result = self.try_out(task, &plan, done, available);
        *task.weights_mut() = before;
        result
    }

    fn try_out(
        &self,
        task: &mut dyn Trainable,
        plan: &Plan,
        done: u64,
        available: Option<u64>,
    ) -> Result<Preflight> {
        let weights = size(task.weights());
        let batch = plan.positions(0).len();
        let piece = batch.div_ceil(self.settings.accumulate.min(batch));
        let row = 4 * self.examples.features() as u64;

        // What a step holds besides the rows it computes with: the rest of its batch, those that wait, and the sum
        // of gradients when there are several pieces.
        let waiting = (self.examples.workers() + 1) as u64 * row;
        let beside = move |rows: usize, pieces: bool| {
            waiting as f64 * rows as f64 + if pieces { (weights + row * (rows as u64)) as f64 } else { 0.0 }
        };
        let steps = plan.total.saturating_sub(done);
        let (full, early) = fullest(&task.players(), done, plan.total);
        // Terms that couple rows want two.
        let few = 2.min(piece);
        let least = self.probe(task, plan, full, few, 1)?;
        if let Some(available) = available.filter(|&available| least.peak as f64 > available as f64 * SHARE) {
            return Err(TrainError::MemoryOneRow { needed: bytes(least.peak), available: bytes(available) });
        }
        let sizes = match least.step > SLOW_ROW {
            true => [few, 3.min(piece)],
            false => [(piece / 8).max(2).min(piece), (piece / 4).max(4).min(piece)],
        };
        let mut probes = Vec::new();
        for rows in sizes {
            probes.push((rows, self.probe(task, plan, full, rows, 1)?));
        }
        let step = Line::through((probes[0].0, probes[0].1.peak), (probes[1].0, probes[1].1.peak));
        // Of a whole batch, by the same line.
        let seconds = |(rows, probe): &(usize, Probe)| (*rows, probe.step.as_micros() as u64);
        let step_micros = Line::through(seconds(&probes[0]), seconds(&probes[1])).peak(batch).max(0.0);
        let is_slow = step_micros > SLOW_STEP.as_micros() as f64;
        let held = self.examples.len(Split::Validation);
        let held =
            if self.settings.validate_rows == 0 { held } else { held.min(self.settings.validate_rows) };
        let looked = held.min(batch.max(VALIDATION_ROWS));
        let mut peaks = Vec::new();
        let mut looking = Duration::ZERO;
        let sizes = [(looked / 8).max(2).min(looked), (looked / 4).max(4).min(looked)];
        for rows in sizes {
            let (peak, time) = self.look(task, plan, rows)?;
            peaks.push((rows, peak));
            looking = time.mul_f64(held as f64 / rows as f64);
        }
        let validation = Line::through(peaks[0], peaks[1]).peak(looked);
        // Weights, moments and average, and one array file while it is read.
        let state = (3 + u64::from(self.settings.ema > 0.0)) * weights;
        let end = (memory::current() + state + weights) as f64;
        let rest = validation.max(end);
        let needs = |rows: usize, pieces: bool| {
            let piece = if pieces { piece.min(rows) } else { rows };
            (step.peak(piece) + beside(rows, pieces)).max(rest)
        };
        let peak = needs(batch, piece < batch);
        if let Some(available) = available.filter(|&available| peak > available as f64 * SHARE) {
            return Err(refusal(available, batch, peak, &|rows| needs(rows, false)));
        }

        let mut probe = Probe { step: Duration::from_micros(step_micros as u64), ..least };
        if !is_slow {
            probe = self.probe_for_a_while(task, plan, full, batch)?;
            if early > 0.0 {
                let alone = self.probe_for_a_while(task, plan, 0, batch)?;
                probe.step = alone.step.mul_f64(early) + probe.step.mul_f64(1.0 - early);
            }
        }
        let loading = probe.loading.as_secs_f64() / self.examples.workers().max(1) as f64;
        let seconds_per_step = probe.step.as_secs_f64() + loading;
        let validations = plan.validations_between(done, plan.total);
        Ok(Preflight {
            parameters: task.weights().trained_count(),
            model_bytes: weights,
            // The process has just had this size, and keeps its pages.
            peak_bytes: match is_slow {
                true => peak as u64,
                false => {
                    ((probe.peak as f64 + beside(batch, false)).max(rest) as u64).max(memory::high_water())
                }
            },
            available,
            seconds_per_step,
            steps,
            seconds: seconds_per_step * steps as f64 + looking.as_secs_f64() * validations as f64,
        })
    }

    /// A whole batch at this step, at its shortest.
    fn probe_for_a_while(
        &self,
        task: &mut dyn Trainable,
        plan: &Plan,
        step: u64,
        batch: usize,
    ) -> Result<Probe> {
        let mut probe = self.probe(task, plan, step, batch, self.settings.accumulate)?;
        let begun = Instant::now();
        while begun.elapsed() < PROBE {
            let again = self.probe(task, plan, step, batch, self.settings.accumulate)?;
            probe.step = probe.step.min(again.step);
        }
        Ok(probe)
    }

    /// This step twice with `rows` rows: the memory and time of the second, when moments are there.
    fn probe(
        &self,
        task: &mut dyn Trainable,
        plan: &Plan,
        step: u64,
        rows: usize,
        accumulate: usize,
    ) -> Result<Probe> {
        let before = task.weights().clone();
        let settings = TrainSettings { accumulate, ..self.settings.clone() };
        let trainer = Trainer { settings: &settings, examples: self.examples.clone(), folder: None, ..*self };
        let mut state = State::new(&task.players());
        state.counters.step = step;
        state.average = (settings.ema > 0.0).then(|| before.clone());
        let positions: Vec<usize> = plan.positions(0).into_iter().take(rows).collect();
        let mut probe = Probe::default();
        for _ in 0..2 {
            let begun = Instant::now();
            let batch = self.examples.rows(Split::Train, &positions, 0)?;
            probe.loading = begun.elapsed();
            let batch = Batch::new(batch, self.examples.features(), before.device());
            memory::reset_peak();
            let begun = Instant::now();
            // Whether its numbers are finite is the guard's matter, later.
            let _ = trainer.step(task, &mut state, plan, &batch)?;
            before.device().sync();
            probe.step = begun.elapsed();
        }
        // The copies of the weights that were put aside are not there in training.
        probe.peak = memory::peak().saturating_sub(size(&before));
        *task.weights_mut() = before;
        Ok(probe)
    }

    /// The memory and time of a validation of `rows` rows, with what training keeps meanwhile.
    fn look(&self, task: &mut dyn Trainable, plan: &Plan, rows: usize) -> Result<(u64, Duration)> {
        let settings = TrainSettings { validate_rows: rows, ..self.settings.clone() };
        let trainer = Trainer { settings: &settings, examples: self.examples.clone(), folder: None, ..*self };
        let state = State::new(&task.players());
        memory::reset_peak();
        let begun = Instant::now();
        trainer.validate(task, &state, plan)?;
        let moments = 2 + u64::from(self.settings.ema > 0.0);
        Ok((memory::peak() + moments * size(task.weights()), begun.elapsed()))
    }
}

/// A step at which all players move, those too that sit out the first part of the run; and the share of the steps from `done`
/// on that some of them sit out.
fn fullest(players: &[Player], done: u64, total: u64) -> (u64, f64) {
    let first = players.iter().map(|player| player.first(total)).max().unwrap_or(0);
    if first == 0 {
        return (0, 0.0);
    }
    let all = |step: &u64| players.iter().all(|player| player.moves_at(*step, total));
    let step = (first..total).rev().take(LOOKED_BACK).find(all).unwrap_or(total.saturating_sub(1));
    (step, first.saturating_sub(done) as f64 / total.saturating_sub(done).max(1) as f64)
}

#[derive(Default)]
struct Probe {
    peak: u64,
    step: Duration,
    loading: Duration,
}

/// Refuses `batch` rows and names the most that fit.
fn refusal(available: u64, batch: usize, needed: f64, needs: &dyn Fn(usize) -> f64) -> TrainError {
    let fits = |rows: usize| needs(rows) <= available as f64 * SHARE;
    let (needed, available) = (bytes(needed as u64), bytes(available));
    if !fits(1) {
        return TrainError::MemoryOneRow { needed: bytes(needs(1) as u64), available };
    }
    let (mut least, mut most) = (1, batch);
    while most - least > 1 {
        let middle = least.midpoint(most);
        if fits(middle) { least = middle } else { most = middle }
    }
    TrainError::Memory { batch, needed, available, fits: least, accumulate: batch.div_ceil(least) }
}

/// Refuses weights that alone, with gradients, moments, the copy that is put aside while steps are tried and the average of
/// `averaged` weights, would not fit: before they are made.
pub(crate) fn check_outline(
    arrays: &[(String, Vec<usize>)],
    averaged: bool,
    available: Option<u64>,
) -> Result<(), TrainError> {
    let numbers: f64 = arrays.iter().map(|(_, shape)| shape.iter().map(|&n| n as f64).product::<f64>()).sum();
    let needed = if averaged { 6.0 } else { 5.0 } * 4.0 * numbers;
    match available {
        Some(available) if needed > available as f64 * SHARE => {
            Err(TrainError::MemoryOneRow { needed: bytes(needed as u64), available: bytes(available) })
        }
        _ => Ok(()),
    }
}

fn size(weights: &Weights) -> u64 {
    weights.iter().map(|(_, weight)| 4 * weight.shape().iter().product::<usize>() as u64).sum()
}

/// `1.5 GB`, `320 MB`, `12 kB`.
fn bytes(bytes: u64) -> String {
    let value = bytes as f64;
    match value {
        _ if value >= 1e9 => format!("{:.1} GB", value / 1e9),
        _ if value >= 1e6 => format!("{:.0} MB", value / 1e6),
        _ => format!("{:.0} kB", value / 1e3),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_becomes_steps_with_their_validations() {
        let mut forecast = Preflight {
            parameters: 1,
            model_bytes: 4,
            peak_bytes: 0,
            available: None,
            seconds_per_step: 0.25,
            steps: 100,
            seconds: 30.0,
        };
        forecast.plan(60.0);
        assert_eq!((forecast.steps, forecast.seconds), (200, 60.0));
        forecast.plan(0.001);
        assert_eq!(forecast.steps, 1);
    }

    #[test]
    fn the_step_that_is_tried_is_one_at_which_all_move() {
        let player = |from: f64, every: u64| Player { from, every, ..Player::of("critic", |_| true) };
        let model = Player::model;
        assert_eq!(fullest(&[model(), player(0.0, 3)], 0, 100), (0, 0.0));
        assert_eq!(fullest(&[model(), player(0.5, 1)], 0, 100), (99, 0.5));
        assert_eq!(fullest(&[model(), player(0.25, 7), player(0.5, 5)], 40, 100), (70, 10.0 / 60.0));
        // Of what is left nobody sits out anything.
        assert_eq!(fullest(&[model(), player(0.5, 1)], 60, 100), (99, 0.0));
        assert_eq!(fullest(&[model(), player(0.9, 1)], 0, 1), (0, 1.0));
    }

    #[test]
    fn training_of_hours_is_said_before_it_starts() {
        let of = |seconds: f64| Preflight {
            parameters: 1,
            model_bytes: 4,
            peak_bytes: 0,
            available: None,
            seconds_per_step: 0.25,
            steps: 300_000,
            seconds,
        };
        let said = of(83_000.0).warning(0.0).unwrap();
        assert!(said.contains(&duration(83_000.0)) && said.contains("--minutes"), "{said}");
        assert!(of(1800.0).warning(0.0).is_none() && of(83_000.0).warning(30.0).is_none());
        assert!(of(83_000.0).warning(120.0).unwrap().contains(&duration(7200.0)));
    }
}
