//! `latent sample`: new samples from a trained model.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use latent::Model;
use latent::generate::Observe;
use latent::generate::sampler::{Choice, FittedSampler, How};
use latent::model::Registry;
use serde_json::json;

use super::{key, load};
use crate::failure::{Done, Failure};
use crate::output::Output;
use crate::target::{Kind, Target};

const EXAMPLES: &str = "\
Examples:
  latent sample runs/one --count 64 --out samples.png
  latent sample runs/one --count 10 --seed 3 --out samples/
  latent sample runs/one --count 100 --out samples.npy
  latent sample runs/one --sampler prior --temperature 0.7 --out typical.png

Codes come from the sampler that `latent fit-sampler` chose, or from the prior
where none was fitted.";

/// Draw new samples from a trained model
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Sample {
    /// A run folder or a model file
    run: PathBuf,
    /// How many samples
    #[arg(long, default_value_t = 64)]
    count: usize,
    /// Where to: grid.png, a folder/, x.npy or x.csv
    #[arg(long)]
    out: PathBuf,
    /// What is written of p(x|z); [default: mean for images, draw for tables]
    #[arg(long)]
    observe: Option<What>,
    /// What codes are drawn from; [default: the one chosen by fit-sampler, else prior]
    #[arg(long)]
    sampler: Option<String>,
    /// Below 1: more typical codes; 1: the distribution as it is
    #[arg(long, default_value_t = 1.0)]
    temperature: f64,
    /// Draw each normal number again until it lies within this many deviations
    #[arg(long)]
    truncation: Option<f64>,
    /// Only samples of this class, where the sampler was fitted on labels
    #[arg(long, value_name = "NAME")]
    class: Option<String>,
    /// What the draws descend from
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where to compute
    #[arg(long, default_value = "cpu")]
    device: String,
    /// Replace what is there
    #[arg(long)]
    force: bool,
}

/// What is written of p(x|z).
#[derive(Clone, Copy, ValueEnum)]
pub enum What {
    Mean,
    Draw,
}

impl Sample {
    /// Runs the command.
    pub fn run(self, out: &Output) -> Done {
        let target = Target::new("--out", &self.out, self.force, &Kind::ALL)?;
        let model = load(&self.run, &self.device)?;
        target.suits(&model)?;
        target.holds("--count", self.count, &model)?;
        let observe = match self.observe {
            None => model.observe(),
            Some(What::Mean) => Observe::Mean,
            Some(What::Draw) => Observe::Draw,
        };
        let sampler = self.sampler(&model, out)?;
        let class = self.class.as_ref().map(|name| sampler.class(name)).transpose()?;
        let how = How { temperature: self.temperature, truncation: self.truncation, class };
        let samples = model.sample_with(&sampler, self.count, &how, observe, key(self.seed, "sample"))?;
        target.ready()?;
        let of = self.class.as_ref().map(|class| format!(" of class {class}")).unwrap_or_default();
        let from = match sampler.kind() {
            "prior" => String::new(),
            kind => format!(", codes from {kind}"),
        };
        let said = format!("{}{of}{from}", super::counted(self.count, "sample"));
        samples.save(&self.out, &said)?;
        out.result(
            format!("{said}: {}", self.out.display()),
            &json!({
                "count": self.count, "out": self.out, "seed": self.seed, "sampler": sampler.kind(),
                "temperature": self.temperature, "truncation": self.truncation, "class": self.class
            }),
        );
        Ok(ExitCode::SUCCESS)
    }

    /// The sampler that is asked for, or else the chosen one, or else the prior.
    fn sampler(&self, model: &Model, out: &Output) -> Result<FittedSampler, Failure> {
        let registry = Registry::default();
        let run = super::run_folder(&self.run);
        if let Some(name) = &self.sampler {
            return Ok(FittedSampler::load(model, &run, name, &registry)?);
        }
        let sampler = Choice::sampler(model, &run, &registry)?;
        if sampler.kind() != "prior" {
            out.note(format!(
                "codes: from {}, which latent fit-sampler chose (--sampler prior for the prior)",
                sampler.kind()
            ));
        } else if Choice::of(model, &run)?.is_none() && Choice::read(&run)?.is_some() {
            out.note(
                "codes: from the prior; the samplers beside the model were fitted before it was trained further (fit them \
                 anew: latent fit-sampler RUN --force)",
            );
        }
        Ok(sampler)
    }
}
