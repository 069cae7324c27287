//! `latent inspect`: what is in a run folder or a model file.

use std::process::ExitCode;

use clap::Args;
use latent::words::shown;
use serde_json::json;

use super::load;
use crate::failure::Done;
use crate::options::Trained;
use crate::output::Output;

const EXAMPLES: &str = "\
Examples:
  latent inspect runs/one
  latent inspect runs/one/model.safetensors --json";

/// Show what a model is made of and what it was trained on
#[derive(Args)]
#[command(after_help = EXAMPLES)]
#[command(mut_arg("seed", |seed| seed.hide(true)))]
pub struct Inspect {
    // Nothing is drawn: --seed is taken for uniformity.
    #[command(flatten)]
    of: Trained,
}

impl Inspect {
    /// Runs the command.
    pub fn run(self, out: &Output) -> Done {
        let model = load(&self.of.run, "cpu")?;
        let run = model.run()?;
        let arrays: Vec<_> =
            model.weights.kept().map(|(_, w)| (w.path().to_string(), w.shape().to_vec())).collect();
        let kind =
            |table: &toml::Table| table.get("kind").and_then(|k| k.as_str()).unwrap_or("?").to_string();
        let mut text = format!(
            "{}{}\ntrained on   {} ({}; {} training, {} validation, {} test rows)\nlikelihood   {} ({})\nposterior    {}, \
             {} dimensions\nprior        {}\nnetwork      {} / {}\nweights      {} in {} arrays\nseed         {}",
            run.preset.as_deref().unwrap_or("a model of its own"),
            run.paper.as_ref().map(|p| format!(": {p}")).unwrap_or_default(),
            shown(&run.facts.source),
            run.facts.shape,
            run.facts.rows[0],
            run.facts.rows[1],
            run.facts.rows[2],
            kind(&run.likelihood),
            model.functions.likelihood.measure().name(),
            kind(&run.posterior),
            model.functions.latent.dims(),
            kind(&run.prior),
            kind(&run.encoder),
            kind(&run.decoder),
            model.weights.trained_count(),
            arrays.len(),
            run.seed,
        );
        if let Some(refined) = &run.refined {
            text.push_str(&format!(
                "\nrefined      the decoder, {} steps on codes of {} (latent refine)",
                refined.steps, refined.sampler
            ));
        }
        for (path, shape) in &arrays {
            text.push_str(&format!("\n  {path:32} {shape:?}"));
        }
        out.result(text, &json!({ "run": run.without_statistics(), "arrays": arrays }));
        Ok(ExitCode::SUCCESS)
    }
}
