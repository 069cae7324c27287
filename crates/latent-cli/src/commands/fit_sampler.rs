//! `latent fit-sampler`: fits a sampler on the codes of training rows, judges it, and keeps both beside the model.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use latent::data::Data;
use latent::generate::sampler::{
    Choice, CodeSet, FitOptions, FittedSampler, Judged, Learned, SamplerSettings, auto_kinds, fit_auto,
    fit_one,
};
use latent::words::duration;
use latent::{Key, Model, Registry};
use serde_json::json;
use toml::{Table, Value};

use super::{own_data, report_again};
use crate::failure::{Done, Failure};
use crate::options::Computing;
use crate::output::{Output, json_path, json_paths, path};
use crate::progress::Bar;

const EXAMPLES: &str = "\
Examples:
  latent fit-sampler runs/one --sampler gaussian-mixture --set components=5
  latent fit-sampler runs/one --minutes 0.2
  latent sample runs/one --sampler gaussian-mixture --out mixture.png

Samplers:
SAMPLERS
auto (the default) fits a few of them within --minutes. The table says how well
a classifier tells the codes of each from those of validation rows (50 % is
best) and how far apart they lie (mmd, 0 is best). The best is the one that is
told least; those within its 95 % interval are as good, and among them the one
whose mmd is surely least is the best. `latent sample` draws from it unless told
otherwise.";

/// Fit what codes are drawn from on the codes of training rows, and keep the best
#[derive(Args)]
#[command(after_help = help())]
#[command(mut_arg("run", |run| run.help("A run folder")))]
#[command(mut_arg("seed", |seed| seed.help("What the fits' noise descends from")))]
#[command(mut_arg("device", |device| device.help("Where to encode")))]
pub struct FitSampler {
    /// Which sampler, or auto
    #[arg(long, default_value = "auto")]
    sampler: String,
    /// A setting of that sampler; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// How long fits may take together; [default: 2 for auto, else no limit]
    #[arg(long)]
    minutes: Option<f64>,
    /// Rows whose codes are used, at most, of each split
    #[arg(long, default_value_t = ROWS)]
    rows: usize,
    #[command(flatten)]
    on: Computing,
    /// Fit anew what is fitted already
    #[arg(long)]
    force: bool,
}

/// The help's end, with the samplers that there are.
fn help() -> String {
    let registry = Registry::default();
    let samplers = registry.members::<dyn SamplerSettings>().into_iter().flat_map(|axis| axis.list());
    let lines: Vec<String> = samplers.map(|(name, about)| format!("  {name:20} {about}")).collect();
    EXAMPLES.replace("SAMPLERS", &lines.join("\n"))
}

/// Rows whose codes are used, at most.
const ROWS: usize = 60_000;

/// What `auto` takes unless told otherwise.
const AUTO_MINUTES: f64 = 2.0;

impl FitSampler {
    /// Runs the command.
    pub fn run(self, out: &Output) -> Done {
        let folder = self.on.trained.folder("a sampler is kept in the run folder")?;
        if let Some(minutes) = self.minutes
            && !(minutes.is_finite() && minutes > 0.0)
        {
            return Err(Failure::flag("--minutes", format!("{minutes} minutes"), "give a positive number"));
        }
        let table = self.table()?;
        let registry = Registry::default();
        let is_auto = self.sampler == "auto";
        if !is_auto {
            // A misspelt name or key is refused before anything is read.
            registry.resolve::<dyn SamplerSettings>(&table, "sampler")?;
        }
        let model = self.on.model()?;
        let data = own_data(&model, out)?;
        let bar = Bar::new(out);
        let rows = self.rows.max(1);
        let codes = CodeSet::of(&model, &data, rows, self.on.trained.key("fit-sampler"), &|share| {
            bar.show("encoding", share)
        })?;
        bar.end();
        out.note(format!(
            "codes: {} of training rows, {} of validation rows, {} dimensions",
            codes.train.rows(),
            codes.validation.rows(),
            codes.train.width()
        ));
        let options = FitOptions {
            seed: self.on.trained.seed(),
            minutes: self.minutes.or(is_auto.then_some(AUTO_MINUTES)),
            registry: &registry,
            progress: &|what, share| bar.show(what, share),
        };
        let choice = if is_auto {
            out.note(format!("fitting {}", auto_kinds(&model).join(", ")));
            fit_auto(&model, folder, &codes, self.force, &options)
        } else {
            fit_one(&model, folder, &codes, &table, self.force, &options)
        };
        bar.end();
        let choice = choice?;
        let (mut text, mut value) =
            said(&choice, folder, model.facts.shape.is_image(), self.on.trained.seed());
        report_again(folder, &data, model.seed, (&mut text, &mut value), out)?;
        out.result(text, &value);
        Ok(if choice.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    /// The sampler's table: its name and what `--set` says.
    fn table(&self) -> Result<Table, Failure> {
        let mut table = Table::from_iter([("kind".to_string(), Value::from(self.sampler.as_str()))]);
        for assignment in &self.set {
            let remedy = "write --set key=value, such as --set components=20";
            let wrong = |what: &str| Failure::flag("--set", format!("`{assignment}` {what}"), remedy);
            let Some((name, value)) = assignment.split_once('=') else { return Err(wrong("has no `=`")) };
            let (name, value) = (name.trim(), value.trim());
            if name.is_empty() || name == "kind" || self.sampler == "auto" {
                return Err(match self.sampler == "auto" {
                    true => wrong("is a setting, and auto fits several samplers; name one by --sampler"),
                    false => wrong("sets nothing"),
                });
            }
            let parsed = format!("v = {value}").parse::<Table>().ok().and_then(|mut table| table.remove("v"));
            table.insert(name.into(), parsed.unwrap_or_else(|| Value::String(value.into())));
        }
        Ok(table)
    }
}

/// Fits what a run for samples is drawn from, within so many minutes: the choice, or none where one was made already.
pub fn fit_after_training(
    folder: &Path,
    data: &Data,
    seed: u64,
    minutes: f64,
    out: &Output,
) -> Result<Option<Choice>, Failure> {
    let model = Model::load(folder)?;
    if Choice::of(&model, folder)?.is_some() {
        return Ok(None);
    }
    let registry = Registry::default();
    let bar = Bar::new(out);
    let key = Key::from_seed(seed).fold("fit-sampler");
    let codes = CodeSet::of(&model, data, ROWS, key, &|share| bar.show("encoding", share))?;
    let options = FitOptions {
        seed,
        minutes: Some(minutes),
        registry: &registry,
        progress: &|what, share| bar.show(what, share),
    };
    let choice = fit_auto(&model, folder, &codes, false, &options);
    bar.end();
    Ok(Some(choice?))
}

/// The table of samplers and which is the best, for people and for programs.
pub fn said(choice: &Choice, folder: &Path, is_image: bool, seed: u64) -> (String, serde_json::Value) {
    let mut text =
        format!("{:20} {:>24} {:>20} {:>9}\n", "sampler", "told apart (95 %)", "mmd ± error", "fit");
    for row in &choice.table {
        let t = &row.two_sample;
        text.push_str(&format!(
            "{:20} {:>24} {:>20} {:>9}{}\n",
            row.sampler,
            format!(
                "{:.1} % [{:.1}, {:.1}]",
                100.0 * t.accuracy,
                100.0 * t.accuracy_low,
                100.0 * t.accuracy_high
            ),
            format!("{:.4} ± {:.4}", t.mmd, t.mmd_error),
            if row.sampler == "prior" { "–".into() } else { duration(row.seconds) },
            if row.sampler == choice.chosen { "  best" } else { "" },
        ));
    }
    for (sampler, learned) in choice.table.iter().filter_map(|row| Some((&row.sampler, row.learned?))) {
        let Learned { steps, planned, loss } = learned;
        let rest = if steps < planned { format!(" of {planned}") } else { String::new() };
        text.push_str(&format!("{sampler}: {steps} steps{rest}; loss on validation codes {loss:.4}\n"));
    }
    let files: Vec<PathBuf> = choice
        .table
        .iter()
        .filter(|row| row.sampler != "prior")
        .map(|row| FittedSampler::path(folder, &row.sampler))
        .collect();
    text.push_str(&format!(
        "best: {}: {}\ndraw from it by: latent sample {} --out samples.{}",
        choice.chosen,
        choice.why(),
        path(folder),
        if is_image { "png" } else { "csv" }
    ));
    for (name, why) in &choice.failed {
        text.push_str(&format!("\nFAILED: {name}: {why}"));
    }
    let rows: Vec<&Judged> = choice.table.iter().collect();
    let value = json!({ "chosen": choice.chosen, "why": choice.why(), "table": rows, "failed": choice.failed, "files": json_paths(&files), "run": json_path(folder), "seed": seed });
    (text, value)
}
