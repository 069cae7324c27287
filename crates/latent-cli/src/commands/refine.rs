//! `latent refine`: the decoder of a run learns on, from codes that its sampler draws.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use latent::data::Data;
use latent::generate::sampler::{Choice, FittedSampler};
use latent::run::{REFINE_WEIGHT, RefineOptions, Refined, refine};
use latent::{Model, Registry};
use serde_json::json;

use super::{own_data, report_again};
use crate::failure::{Done, Failure};
use crate::options::Computing;
use crate::output::{Output, json_path, path};
use crate::progress::Progress;
use crate::stop::Stop;

const EXAMPLES: &str = "\
Examples:
  latent refine runs/one
  latent refine runs/one --steps 20 --weight 1 --force
  latent sample runs/one --out sharper.png

A critic of patches tells images of the data from what the decoder makes of the
sampler's codes, and the decoder makes them alike. Nothing but the decoder
moves: codes and samplers stay. The model's likelihood is then that of the new
decoder, which was not trained for it. The model file is replaced; latent train
--out RUN --resume with more epochs writes one that is not refined.";

/// Let the decoder learn on from the sampler's codes, so that samples are sharper (images)
#[derive(Args)]
#[command(after_help = EXAMPLES)]
#[command(mut_arg("run", |run| run.help("A run folder")))]
#[command(mut_arg("seed", |seed| seed.help("What the noise descends from")))]
pub struct Refine {
    /// Whose codes; [default: the one chosen by fit-sampler]
    #[arg(long)]
    sampler: Option<String>,
    /// How long it may take
    #[arg(long, default_value_t = 2.0)]
    minutes: f64,
    /// So many steps in the place of --minutes
    #[arg(long)]
    steps: Option<u64>,
    /// What the critic counts; from 2 on faces fell apart where it was tried
    #[arg(long, default_value_t = REFINE_WEIGHT)]
    weight: f64,
    #[command(flatten)]
    on: Computing,
    /// Refine a decoder that is refined already
    #[arg(long)]
    force: bool,
}

impl Refine {
    /// Runs the command.
    pub fn run(self, out: &Output) -> Done {
        let folder = self.on.trained.folder("a refined model is kept in the run folder")?;
        for (flag, value) in [("--minutes", self.minutes), ("--weight", self.weight)] {
            if !(value.is_finite() && value > 0.0) {
                return Err(Failure::flag(flag, format!("{value}"), "give a positive number"));
            }
        }
        if self.steps == Some(0) {
            return Err(Failure::flag("--steps", "0 steps", "give a positive number"));
        }
        let model = self.on.model()?;
        if model.run()?.refined.is_some() && !self.force {
            return Err(Failure::flag(
                "--force",
                "the decoder is refined already",
                "give --force to refine it further",
            ));
        }
        let registry = Registry::default();
        let sampler = match &self.sampler {
            Some(name) => FittedSampler::load(&model, folder, name, &registry)?,
            None => Choice::sampler(&model, folder, &registry)?,
        };
        let data = Arc::new(own_data(&model, out)?);
        let stop = Stop::on_signals();
        let options = RefineOptions {
            steps: self.steps,
            minutes: self.minutes,
            weight: self.weight,
            seed: self.on.trained.seed(),
            registry: &registry,
            stop: stop.flag(),
        };
        out.note(format!("refining: the decoder learns on from codes of {}", sampler.kind()));
        let Some(refined) = refined((&model, folder), &data, &sampler, &options, &stop, out)? else {
            return Ok(stop.exit_code());
        };
        let file = folder.join("model.safetensors");
        let mut text = format!("refined by {} steps: {}", refined.steps, path(&file));
        let mut value = json!({ "model": json_path(&file), "sampler": refined.sampler, "steps": refined.steps, "weight": refined.weight, "seed": refined.seed });
        report_again(folder, &data, model.seed, (&mut text, &mut value), out)?;
        out.result(text, &value);
        Ok(ExitCode::SUCCESS)
    }
}

/// Refines and keeps the model; none where a signal stopped it, and the model is as it was.
pub fn refined(
    (model, folder): (&Model, &Path),
    data: &Arc<Data>,
    sampler: &FittedSampler,
    options: &RefineOptions<'_>,
    stop: &Stop,
    out: &Output,
) -> Result<Option<Refined>, Failure> {
    let mut progress = Progress::new(out, 0.0);
    stop.begin();
    let outcome = refine(model, data, sampler, options, &mut |event| progress.event(&event));
    stop.end();
    progress.end();
    let Some(model) = outcome? else {
        out.note("stopped: the model is as it was");
        return Ok(None);
    };
    let run = model.run()?;
    Model::save(&run, &model.weights, &folder.join("model.safetensors"))?;
    Ok(run.refined)
}
