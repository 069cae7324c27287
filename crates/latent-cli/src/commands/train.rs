//! `latent train`: from data to a trained model, pictures and a report.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use clap::Args;
use latent::Layers;
use latent::Registry;
use latent::data::Data;
use latent::device::Device;
use latent::evaluate::{RunReport, is_current, report};
use latent::figure::Level;
use latent::generate::sampler::Choice;
use latent::run::{Purpose, REFINE_WEIGHT, RefineOptions};
use latent::train::Outcome;
use latent::words::{duration, shown};
use latent::{Model, Options, Training};
use latent_explorer::{Explorer, Server};
use serde_json::json;

use super::explore::{announce, name_of, wait};
use super::fit_sampler::{fit_after_training, said as said_of_samplers};
use super::refine::refined;
use crate::failure::{Done, Failure};
use crate::options::text;
use crate::output::{Output, json_path, json_paths, path};
use crate::progress::Progress;
use crate::stop::Stop;

const EXAMPLES: &str = "\
Examples:
  latent train --data embedded --out runs/one --set network.kind=mlp --epochs 2
  latent train --data embedded --out runs/beta --preset beta-vae --epochs 0.1
  latent train --data embedded --out runs/told --preset conditional-vae
  latent train --out runs/one --resume --epochs 3

DATA is one of
  a folder of PNG or JPEG images (subfolders are classes)
  a folder of idx files, as MNIST's
  an .npy or .npz array, rows first
  a .csv or .parquet table (--set data.label=NAME names its column of classes)
  a name: embedded, fashion-mnist, mnist, shapes (dSprites' factors, made as needed)

Without --preset, likelihood and network follow from the data and from what the
model is for (--for; images: samples, which ends in a sampler fitted on the
codes); what was chosen is printed with the reason. `latent settings` lists all
that can be set.

--minutes N without --epochs becomes as many steps as fit, once, before the
first; a model for samples has about half of them, its sampler the rest, and
where codes have a place its decoder a part of that, to learn on.

Ctrl-C, SIGTERM and SIGHUP save and end with exit code 128 + signal (Ctrl-C:
130); a second one ends at once. Under nohup SIGHUP stays ignored.";

/// Train a model on data and write a run folder
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Train {
    /// What to learn from
    #[arg(long, value_parser = text())]
    data: Option<String>,
    /// The run folder to write
    #[arg(long)]
    out: PathBuf,
    /// What the model is for: samples, codes, likelihood or anomalies
    #[arg(long = "for", value_name = "WHAT")]
    purpose: Option<String>,
    /// A paper's settings to start from; see `latent presets`
    #[arg(long)]
    preset: Option<String>,
    /// A TOML file of settings, laid over the preset
    #[arg(long)]
    config: Option<PathBuf>,
    /// One setting, laid over everything else; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = text())]
    set: Vec<String>,
    /// Passes over the training rows (short for --set train.epochs=N)
    #[arg(long)]
    epochs: Option<f64>,
    /// How long it may take in all, in minutes
    #[arg(long)]
    minutes: Option<f64>,
    /// What weights and noise descend from; the split has a seed of its own,
    /// data.seed
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
    /// Serve a page that follows the training, until Ctrl-C
    #[arg(long)]
    explore: bool,
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
        if self.epochs.is_some() && !self.set.iter().any(|s| s.trim_start().starts_with("train.steps")) {
            // A preset may count steps; --epochs then counts in its place.
            layers.set("train.steps=0")?;
        }
        let flags = [
            self.epochs.map(|v| format!("train.epochs={v}")),
            self.minutes.map(|v| format!("train.minutes={v}")),
            self.seed.map(|v| format!("seed={v}")),
            self.purpose.as_ref().map(|v| format!("purpose={}", toml::Value::String(v.clone()))),
        ];
        for flag in flags.into_iter().flatten() {
            layers.set(&flag)?;
        }
        let resumes = self.resume && self.out.join("run.toml").exists();
        if !resumes && layers.data()?.source.is_empty() {
            let remedy = "give a path, or --data embedded to try";
            return Err(Failure::flag("--data", "no data to learn from", remedy));
        }
        let options = Options {
            device: Device::named(&self.device)?,
            resume: self.resume,
            init_from: self.init_from.as_deref(),
            registry: Registry::default(),
        };
        let stop = Stop::on_signals();
        train(&layers, &self.out, options, (!self.no_report, self.explore), &stop, out)
    }
}

/// Trains a resolved run, shows it, and writes its report.
pub fn train(
    layers: &Layers,
    folder: &Path,
    options: Options<'_>,
    (reports, explores): (bool, bool),
    stop: &Stop,
    out: &Output,
) -> Done {
    let begun = Instant::now();
    let mut training = Training::prepare(layers, folder, options, &mut |line| out.told(line))?;
    // Of everything; what is left of it after training is the sampler's.
    let asked = training.run.train.minutes;
    let facts = &training.run.facts;
    out.told(format!(
        "data: {}, {} training, {} validation and {} test rows of {}",
        facts.source, facts.rows[0], facts.rows[1], facts.rows[2], facts.shape
    ));
    let forecast = training.preflight()?;
    let is_over = forecast.steps == 0;
    if !is_over {
        out.note(forecast.to_string());
        forecast.warning(training.run.train.minutes).into_iter().for_each(|long| out.note(long));
    }
    let page = if explores { Some(page_of(&training, folder)?) } else { None };
    if let Some((_, server)) = &page {
        announce(server, out);
    }
    let mut progress = Progress::new(out, training.run.train.minutes);
    stop.begin();
    let mut heard = false;
    let outcome = training.train(stop.flag(), &mut |event| {
        progress.event(&event);
        if let Some((explorer, _)) = &page {
            explorer.observe(&event);
        }
        if stop.is_asked() && !std::mem::replace(&mut heard, true) {
            out.note("\nsaving the state; Ctrl-C again ends at once");
        }
    });
    stop.end();
    progress.end();
    let seed = training.run.seed;
    let took = begun.elapsed().as_secs_f64();
    if outcome? == Outcome::Interrupted {
        let text = format!(
            "interrupted at step {} of {}; the state is saved. Go on with:\n  latent train --out {} --resume",
            progress.step(),
            progress.total(),
            path(folder)
        );
        let (step, total) = (progress.step(), progress.total());
        out.result(
            text,
            &json!({ "interrupted": true, "step": step, "total": total, "run": json_path(folder) }),
        );
        return Ok(stop.exit_code());
    }
    let model = folder.join("model.safetensors");
    let mut value =
        json!({ "run": json_path(folder), "model": json_path(&model), "seconds": took, "seed": seed });
    let mut text = match is_over {
        true => format!("{}: trained already; lengthen it with --epochs N", path(folder)),
        false => format!("trained in {}: {}", duration(took), path(&model)),
    };
    if training.run.purpose == Some(Purpose::Samples) {
        let taken = begun.elapsed().as_secs_f64() / 60.0;
        let minutes = minutes_after(asked, taken, training.run.share_of_model());
        let to_refine = minutes * training.run.share_of_refining();
        let minutes = minutes - to_refine;
        out.note(format!("fitting a sampler on the codes, {} at most", duration(60.0 * minutes)));
        if let Some(choice) = fit_after_training(folder, &training.data, seed, minutes, out)? {
            let (said, table) = said_of_samplers(&choice, folder, training.run.facts.shape.is_image(), seed);
            out.note(said);
            value["samplers"] = table;
        }
        let to_refine = match asked - begun.elapsed().as_secs_f64() / 60.0 {
            left if asked > 0.0 && to_refine > 0.0 => left.clamp(LEAST, to_refine.max(LEAST)),
            _ => to_refine,
        };
        if to_refine > 0.0
            && let Some(code) = refine_after_training(folder, &training.data, seed, to_refine, stop, out)?
        {
            return Ok(code);
        }
    }
    if reports && !(is_over && is_current(folder)) {
        out.note("drawing figures and the report");
        let written = report(folder, &training.data, seed)?;
        text.push_str(&said(&written));
        if let Some(page) = written.files.last() {
            text.push_str(&format!("\nreport: {}", path(page)));
        }
        text.push_str(&format!(
            "\nnext: latent fit-sampler {0} (better samples), latent evaluate {0} (every number with its interval)",
            path(folder)
        ));
        value["verdicts"] = verdicts(&written);
        value["files"] = json!(json_paths(&written.files));
    }
    out.result(text, &value);
    if let Some((_, server)) = &page {
        out.note(format!("the page stays: {} (Ctrl-C ends)", server.link()));
        stop.begin();
        wait(stop);
    }
    Ok(ExitCode::SUCCESS)
}

/// Refines a model that isn't yet; the exit code where a signal stopped it.
fn refine_after_training(
    folder: &Path,
    data: &Arc<Data>,
    seed: u64,
    minutes: f64,
    stop: &Stop,
    out: &Output,
) -> Result<Option<ExitCode>, Failure> {
    let model = Model::load(folder)?;
    let registry = Registry::default();
    let sampler = Choice::sampler(&model, folder, &registry)?;
    // Draws of a prior that no sampler betters are no codes to learn from.
    if model.run()?.refined.is_some() || sampler.kind() == "prior" {
        return Ok(None);
    }
    let (steps, weight) = (None, REFINE_WEIGHT);
    let options = RefineOptions { steps, minutes, weight, seed, registry: &registry, stop: stop.flag() };
    out.note(format!(
        "refining: the decoder learns on from the sampler's codes, {}",
        duration(60.0 * minutes)
    ));
    Ok(match refined((&model, folder), data, &sampler, &options, stop, out)? {
        Some(_) => None,
        None => Some(stop.exit_code()),
    })
}

/// What is left of the minutes that a run was given, or as long as training leaves it by its share; never so little that nothing is learned.
fn minutes_after(asked: f64, taken: f64, share_of_model: f64) -> f64 {
    let by_share = taken * (1.0 - share_of_model) / share_of_model;
    if asked > 0.0 { (asked - taken).max(LEAST) } else { by_share.clamp(LEAST, MOST_FOR_SAMPLER) }
}

/// Minutes that a sampler takes at least, and a decoder that learns on.
const LEAST: f64 = 0.2;

/// Minutes that a sampler takes at most where nobody said how long.
const MOST_FOR_SAMPLER: f64 = 15.0;

/// A page that follows a training.
fn page_of(training: &Training, folder: &Path) -> Result<(Explorer, Server), Failure> {
    let explorer = Explorer::watch(latent_explorer::Options {
        run: folder.into(),
        name: name_of(folder),
        data: Some(Arc::clone(&training.data)),
        without_data: String::new(),
        rows: 100_000,
    })?;
    let server = explorer.listen(0)?;
    Ok((explorer, server))
}

/// The verdicts of a report, a line each.
pub fn said(written: &RunReport) -> String {
    let mark = |level| match level {
        Level::Good => "good",
        Level::Note => "note",
        Level::Warning => "WARNING",
    };
    written
        .verdicts
        .iter()
        .map(|v| format!("\n{}", shown(&format!("{}: {}. {}", mark(v.level), v.headline, v.evidence))))
        .collect()
}

/// The verdicts of a report for programs.
pub fn verdicts(written: &RunReport) -> serde_json::Value {
    written
        .verdicts
        .iter()
        .map(|v| json!({ "name": v.name, "headline": v.headline, "evidence": v.evidence }))
        .collect()
}
