//! Training from Python: a thread trains, the calling thread hears events, asks for signals and calls back.
//!
//! ```text
//! worker   data → Training → train(stop, events)        owns the model; the GIL is never held
//! caller   { event or 100 ms, without the GIL;  signals;  callback }*  → stop flag, then the result
//! ```
//!
//! Ctrl-C or an exception of a callback sets the flag: training stops at the next step, the best weights so far are kept, and
//! the model comes back with the exception, which the wrapper raises once it has put the model in its place.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use latent::data::{Data, Memory};
use latent::device::Device;
use latent::train::{Event, Line, Outcome};
use latent::{Key, Layers, Options, Training};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::arrays::Rows;
use crate::errors::{Failure, Result};
use crate::model::Model;

/// Steps are told at most so often.
const TELL_EVERY: Duration = Duration::from_millis(50);

/// What the caller hears.
enum Told {
    Note(String),
    Begun { step: u64, total: u64, steps_per_epoch: u64 },
    Step { line: Line },
    Epoch { train: Option<Line>, validation: Option<Line>, best: bool, seconds: f64 },
}

/// What is asked for.
struct Asked {
    preset: Option<String>,
    settings: Vec<String>,
    data: Source,
    device: String,
    init_from: Option<PathBuf>,
}

enum Source {
    Path(String),
    Memory(Box<Memory>),
}

/// What training gave.
struct Trained {
    model: latent::Model,
    lines: Vec<Line>,
    interrupted: bool,
}

/// Trains a model. `tell` is called with a dictionary for each event; what it raises ends training and comes back. The result
/// is (model, exception or None).
#[pyfunction]
#[pyo3(signature = (data, settings, preset=None, device="cpu", init_from=None, tell=None))]
pub fn fit<'py>(
    py: Python<'py>,
    data: &Bound<'py, PyAny>,
    settings: Vec<String>,
    preset: Option<String>,
    device: &str,
    init_from: Option<PathBuf>,
    tell: Option<Bound<'py, PyAny>>,
) -> PyResult<(Model, Option<Py<PyAny>>)> {
    let data = match data.cast::<Rows>() {
        Ok(rows) => Source::Memory(Box::new(rows.get().memory())),
        Err(_) => Source::Path(data.extract()?),
    };
    let asked = Asked { preset, settings, data, device: device.into(), init_from };
    let stop = Arc::new(AtomicBool::new(false));
    let (sender, receiver) = channel();
    let receiver = Mutex::new(receiver);
    let (told, flag) = (sender, Arc::clone(&stop));
    let worker = thread::Builder::new()
        .name("latent-fit".into())
        .spawn(move || {
            catch_unwind(AssertUnwindSafe(|| train(asked, &flag, &told)))
                .unwrap_or_else(|panic| Err(Failure::panicked(panic.as_ref())))
        })
        .map_err(|error| PyRuntimeError::new_err(format!("no thread to train in: {error}")))?;
    let failure = listen(py, &receiver, &stop, tell.as_ref());
    let joined = py.detach(|| worker.join());
    let trained = joined.unwrap_or_else(|panic| Err(Failure::panicked(panic.as_ref())))?;
    let Trained { model, lines, interrupted } = trained;
    let failure = failure.map(|error| error.into_value(py).into_any());
    Ok((Model::new(model, lines, interrupted), failure))
}

/// Hears events until training is over; gives the first exception of Python's.
fn listen(
    py: Python<'_>,
    receiver: &Mutex<Receiver<Told>>,
    stop: &AtomicBool,
    tell: Option<&Bound<'_, PyAny>>,
) -> Option<PyErr> {
    let mut failure = None;
    loop {
        let event = py.detach(|| {
            let receiver = receiver.lock().unwrap_or_else(PoisonError::into_inner);
            receiver.recv_timeout(Duration::from_millis(100))
        });
        let raised = match event {
            Err(RecvTimeoutError::Disconnected) => return failure,
            Err(RecvTimeoutError::Timeout) => Ok(()),
            Ok(told) => match tell.filter(|_| failure.is_none()) {
                Some(tell) => dictionary(py, told).and_then(|dict| tell.call1((dict,))).map(|_| ()),
                None => Ok(()),
            },
        };
        if let Err(error) = raised.and_then(|()| py.check_signals()) {
            stop.store(true, Ordering::Relaxed);
            failure.get_or_insert(error);
        }
    }
}

/// An event as Python hears it.
fn dictionary<'py>(py: Python<'py>, told: Told) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    let numbers = |line: &Line| -> PyResult<Bound<'py, PyDict>> {
        let numbers = PyDict::new(py);
        line.values.iter().try_for_each(|(name, value)| numbers.set_item(name, value))?;
        Ok(numbers)
    };
    match told {
        Told::Note(text) => {
            dict.set_item("event", "note")?;
            dict.set_item("text", text)?;
        }
        Told::Begun { step, total, steps_per_epoch } => {
            dict.set_item("event", "begin")?;
            dict.set_item("step", step)?;
            dict.set_item("total", total)?;
            dict.set_item("steps_per_epoch", steps_per_epoch)?;
        }
        Told::Step { line } => {
            dict.set_item("event", "step")?;
            dict.set_item("step", line.step)?;
            dict.set_item("epoch", line.epoch)?;
            dict.set_item("train", numbers(&line)?)?;
        }
        Told::Epoch { train, validation, best, seconds } => {
            dict.set_item("event", "epoch")?;
            if let Some(line) = train.as_ref().or(validation.as_ref()) {
                dict.set_item("step", line.step)?;
                dict.set_item("epoch", line.epoch)?;
            }
            dict.set_item("seconds", seconds)?;
            dict.set_item("best", best)?;
            dict.set_item("train", train.as_ref().map(numbers).transpose()?)?;
            dict.set_item("validation", validation.as_ref().map(numbers).transpose()?)?;
        }
    }
    Ok(dict)
}

/// The work of the thread.
fn train(asked: Asked, stop: &AtomicBool, told: &Sender<Told>) -> Result<Trained> {
    let started = Instant::now();
    // Nobody hears only where the caller is gone, which joins this thread first.
    let tell = |event: Told| drop(told.send(event));
    let mut note = |line: String| tell(Told::Note(line));
    let mut layers = Layers::default();
    if let Some(preset) = &asked.preset {
        layers.preset(preset)?;
    }
    if let Source::Path(path) = &asked.data {
        layers.set(&format!("data.source={}", toml::Value::String(path.clone())))?;
    }
    for assignment in &asked.settings {
        layers.set(assignment)?;
    }
    let key = Key::from_seed(layers.seed()?);
    let data = match asked.data {
        Source::Path(_) => Data::open(&layers.data()?, key, &mut note)?,
        Source::Memory(memory) => Data::from_memory(*memory, &layers.data()?, key, &mut note)?,
    };
    let options = Options {
        device: Device::named(&asked.device)?,
        init_from: asked.init_from.as_deref(),
        ..Options::default()
    };
    let mut training = Training::in_memory(&layers, data, options, &mut note)?;
    let mut lines = Vec::new();
    let mut last: Option<Line> = None;
    let mut said = Instant::now().checked_sub(TELL_EVERY).unwrap_or_else(Instant::now);
    let mut open = false;
    let outcome = training.train(stop, &mut |event| match event {
        Event::Started { step, total, steps_per_epoch } => tell(Told::Begun { step, total, steps_per_epoch }),
        Event::Step { line, .. } => {
            lines.push(line.clone());
            if open {
                // No validation followed the end of the epoch.
                let train = last.take();
                tell(Told::Epoch {
                    train,
                    validation: None,
                    best: false,
                    seconds: started.elapsed().as_secs_f64(),
                });
                open = false;
            }
            if said.elapsed() >= TELL_EVERY {
                tell(Told::Step { line: line.clone() });
                said = Instant::now();
            }
            let before = last.as_ref().map_or(0.0, |line| line.epoch);
            open = line.epoch.floor() > before.floor();
            last = Some(line.clone());
        }
        Event::Validated { line, best } => {
            lines.push(line.clone());
            let (train, validation) = (last.clone(), Some(line.clone()));
            tell(Told::Epoch { train, validation, best, seconds: started.elapsed().as_secs_f64() });
            open = false;
        }
        Event::Guard { finding, back_to, .. } => {
            lines.retain(|line: &Line| line.step <= back_to);
            tell(Told::Note(format!("not finite, {finding}: back to step {back_to}, with a smaller rate")));
        }
        Event::Recovered { .. } => {}
    })?;
    if open {
        let seconds = started.elapsed().as_secs_f64();
        tell(Told::Epoch { train: last, validation: None, best: false, seconds });
    }
    Ok(Trained { model: training.into_model()?, lines, interrupted: outcome == Outcome::Interrupted })
}
