//! `latent train`: from data to a trained model, pictures and a report.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use clap::Args;
use latent::config::Layers;
use latent::device::Device;
use latent::evaluate::report;
use latent::figure::Level;
use latent::model::Registry;
use latent::train::{Options, Outcome, Training};
use serde_json::json;

use super::key;
use crate::failure::{Done, Failure};
use crate::output::Output;
use crate::progress::{Progress, duration};

const EXAMPLES: &str = "\
Examples:
  latent train --data embedded --out runs/first --epochs 1
  latent train --data embedded --out runs/vae --preset vae --set posterior.latent=8 --epochs 1 --seed 7
  latent train --out runs/first --resume --epochs 2

DATA is a folder of PNG or JPEG images (subfolders are classes), a folder of idx files, an .npy, .npz or .csv
file, or a name: embedded, fashion-mnist, mnist.";

/// Train a model on data and write a run folder
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Train {
    /// What to learn from
    #[arg(long)]
    data: Option<String>,
    /// The run folder to write
    #[arg(long)]
    out: PathBuf,
    /// A paper's settings to start from; see `latent presets`
    #[arg(long)]
    preset: Option<String>,
    /// A TOML file of settings, laid over the preset
    #[arg(long)]
    config: Option<PathBuf>,
    /// One setting, laid over everything else; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Passes over the training rows (short for --set train.epochs=N)
    #[arg(long)]
    epochs: Option<f64>,
    /// Stop after this many minutes
    #[arg(long)]
    minutes: Option<f64>,
    /// What all noise descends from
    #[arg(long)]
    seed: Option<u64>,
    /// Where to compute: auto, cpu, or a name from `latent devices`
    #[arg(long, default_value = "auto")]
    device: String,
    /// Go on from the last checkpoint, or lengthen a finished run
    #[arg(long)]
    resume: bool,
    /// Start from the weights of another run
    #[arg(long, value_name = "RUN")]
    init_from: Option<PathBuf>,
    /// Write no figures and no report
    #[arg(long)]
    no_report: bool,
}

impl Train {
    /// Runs the command.
    pub fn run(self, out: &Output) -> Done {
        let mut layers = Layers::default();
        if let Some(preset) = &self.preset {
            layers.preset(preset)?;
        }
        if let Some(file) = &self.config {
            layers.file(file)?;
        }
        if let Some(data) = &self.data {
            layers.set(&format!("data.source={}", toml::Value::String(data.clone())))?;
        }
        for assignment in &self.set {
            layers.set(assignment)?;
        }
        let flags = [
            self.epochs.map(|v| format!("train.epochs={v}")),
            self.minutes.map(|v| format!("train.minutes={v}")),
            self.seed.map(|v| format!("seed={v}")),
        ];
        for flag in flags.into_iter().flatten() {
            layers.set(&flag)?;
        }
        let resumes = self.resume && self.out.join("run.toml").exists();
        if !resumes && layers.data()?.source.is_empty() {
            return Err(Failure::Flag {
                flag: "--data",
                what: "no data to learn from".into(),
                remedy: "give a path, or --data embedded to try".into(),
            });
        }
        let options = Options {
            device: Device::named(&self.device)?,
            resume: self.resume,
            init_from: self.init_from.as_deref(),
            registry: Registry::default(),
        };
        let stop = stop_on_interrupt();
        train(&layers, &self.out, options, !self.no_report, &stop, out)
    }
}

/// Trains a resolved run, shows it, and writes its report.
pub fn train(
    layers: &Layers,
    folder: &Path,
    options: Options<'_>,
    reports: bool,
    stop: &AtomicBool,
    out: &Output,
) -> Done {
    let begun = Instant::now();
    let mut training = Training::prepare(layers, folder, options, &mut |line| out.note(line))?;
    let mut progress = Progress::new(out);
    let outcome = training.train(stop, &mut |event| progress.event(&event));
    progress.end();
    let seed = training.run.seed;
    if outcome? == Outcome::Interrupted {
        let text = format!(
            "interrupted after {}; the state is saved. Go on with:\n  latent train --out {} --resume",
            duration(begun.elapsed().as_secs_f64()),
            folder.display()
        );
        out.result(text, &json!({ "interrupted": true, "run": folder }));
        return Ok(ExitCode::from(130));
    }
    let model = training.folder.model();
    let mut value = json!({ "run": folder, "model": model, "seconds": begun.elapsed().as_secs_f64() });
    let mut text = format!("trained in {}: {}", duration(begun.elapsed().as_secs_f64()), model.display());
    if reports {
        let written = report(folder, &training.data, key(seed, "report"))?;
        for verdict in &written.verdicts {
            let mark = match verdict.level {
                Level::Good => "good",
                Level::Note => "note",
                Level::Warning => "WARNING",
            };
            text.push_str(&format!("\n{mark}: {}. {}", verdict.headline, verdict.evidence));
        }
        if let Some(page) = written.files.last() {
            text.push_str(&format!("\nreport: {}", page.display()));
        }
        value["verdicts"] =
            written.verdicts.iter().map(|v| json!({ "name": v.name, "evidence": v.evidence })).collect();
        value["files"] = json!(written.files);
    }
    out.result(text, &value);
    Ok(ExitCode::SUCCESS)
}

/// A flag that Ctrl-C sets: the step under way is finished and saved. A second Ctrl-C ends at once.
pub fn stop_on_interrupt() -> Arc<AtomicBool> {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    // A handler that is there already (another run in this process) keeps working.
    let _ = ctrlc::set_handler(move || {
        if flag.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
    });
    stop
}
