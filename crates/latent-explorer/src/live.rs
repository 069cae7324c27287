//! A run under way: its curves, and the model as its last checkpoint has it.
//!
//! Curves come from the events of a training in this process, else from `metrics.jsonl`, which is on disk with each checkpoint.
//! A thread looks at the folder each second and puts a new checkpoint on the page.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use latent::data::Data;
use latent::evaluate::read_log;
use latent::train::{Event, Line};
use latent::{Key, Model, Registry};

use crate::Options;
use crate::explored::Explored;
use crate::shared::Shared;
use crate::survey;

/// What is known of a training.
#[derive(Default)]
pub(crate) struct Live {
    lines: Mutex<Vec<Line>>,
    /// Steps in all; 0 where unknown.
    pub total: AtomicU64,
    pub step: AtomicU64,
    /// Whether a training is followed at all.
    pub is_on: AtomicBool,
    /// Whether it is over.
    pub is_over: AtomicBool,
    /// Whether events of this process are heard.
    hears: AtomicBool,
    last: Mutex<Option<Instant>>,
}

/// Steps between two lines that are kept, in seconds: a page draws no more.
const APART: Duration = Duration::from_millis(200);

/// Rows of a model that is still trained.
const ROWS: usize = 1500;

impl Live {
    /// Takes in what happens in a training of this process.
    pub fn observe(&self, event: &Event<'_>) {
        self.is_on.store(true, Ordering::Relaxed);
        self.hears.store(true, Ordering::Relaxed);
        match event {
            Event::Started { step, total, .. } => {
                self.step.store(*step, Ordering::Relaxed);
                self.total.store(*total, Ordering::Relaxed);
            }
            Event::Step { line, total, .. } => {
                self.step.store(line.step, Ordering::Relaxed);
                self.total.store(*total, Ordering::Relaxed);
                let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
                if last.is_none_or(|last| last.elapsed() > APART) {
                    *last = Some(Instant::now());
                    self.push((*line).clone());
                }
            }
            Event::Validated { line, .. } => self.push((*line).clone()),
            Event::Guard { back_to, .. } => {
                self.step.store(*back_to, Ordering::Relaxed);
                self.lines
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .retain(|line| line.step <= *back_to);
            }
            Event::Recovered { .. } => {}
        }
    }

    fn push(&self, line: Line) {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }

    /// The lines from number `from` on.
    pub fn lines(&self, from: usize) -> Vec<Line> {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.get(from..).unwrap_or_default().to_vec()
    }

    /// The curves of a run's file, thinned.
    pub fn read(&self, run: &Path) {
        if self.hears.load(Ordering::Relaxed) {
            return;
        }
        let lines = read_log(&run.join("metrics.jsonl"));
        let apart = (lines.len() / 2000).max(1);
        let kept = lines.into_iter().enumerate().filter(|(at, line)| line.validation || at % apart == 0);
        let kept: Vec<Line> = kept.map(|(_, line)| line).collect();
        if let Some(last) = kept.last() {
            self.step.store(last.step, Ordering::Relaxed);
        }
        *self.lines.lock().unwrap_or_else(PoisonError::into_inner) = kept;
    }
}

/// Follows a run folder until the server ends or the run is over.
pub(crate) fn watch(shared: &Arc<Shared>, options: Options) {
    shared.live.is_on.store(true, Ordering::Relaxed);
    let own = Arc::clone(shared);
    // Without the thread the page shows nothing, and says so.
    let _ = std::thread::Builder::new().name("watch".into()).spawn(move || {
        let (mut seen, mut generation, mut data) = (None, 0, options.data.clone());
        while !own.stop.load(Ordering::Relaxed) {
            let run = &options.run;
            let finished = run.join("model.safetensors").exists();
            let last = run.join("checkpoints/last.safetensors");
            let written = std::fs::metadata(&last).and_then(|found| found.modified()).ok();
            if written.is_some() && written != seen {
                seen = written;
                own.live.read(run);
                if let Ok((model, step)) = Model::of_checkpoint(run, &Registry::default()) {
                    generation += 1;
                    if data.is_none() {
                        data = open(&model);
                    }
                    let explored = Explored::new(model, data.clone(), run, ROWS, generation, Some(step));
                    // The older one stays on the page until this one's rows are known.
                    if survey::rows(&own, &explored).is_ok() {
                        own.show(Arc::new(explored));
                    }
                }
            }
            if finished
                && is_newer(&run.join("model.safetensors"), seen)
                && let Ok(model) = Model::load(run)
            {
                own.live.read(run);
                own.live.is_over.store(true, Ordering::Relaxed);
                let explored = Explored::new(model, data.clone(), run, options.rows, generation + 1, None);
                own.show(Arc::new(explored));
                return;
            }
            std::thread::sleep(Duration::from_secs(1));
        }
    });
}

/// The data of a run under way, where it is there.
fn open(model: &Model) -> Option<Arc<Data>> {
    let settings = model.data.clone();
    Data::open_again(&model.facts, &settings, Key::from_seed(model.seed), &mut |_| {}).ok().map(Arc::new)
}

/// Whether a file was written after a checkpoint, or at the same time.
fn is_newer(path: &Path, than: Option<SystemTime>) -> bool {
    let written = std::fs::metadata(path).and_then(|found| found.modified()).ok();
    written.is_some() && than.is_none_or(|than| written >= Some(than))
}
