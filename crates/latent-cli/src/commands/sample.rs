//! `latent sample`: new samples from a trained model.

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use latent::Model;
use latent::Registry;
use latent::generate::Observe;
use latent::generate::sampler::{Choice, FittedSampler, How};
use latent::words::shown;
use serde_json::json;

use crate::failure::{Done, Failure};
use crate::options::{Conditions, Writing};
use crate::output::{Output, json_path, path};
use crate::target::Kind;

const EXAMPLES: &str = "\
Examples:
  latent sample runs/one --count 64 --out samples.png
  latent sample runs/one --count 10 --seed 3 --out samples/
  latent sample runs/one --count 100 --out samples.npy
  latent sample runs/one --sampler prior --temperature 0.7 --out typical.png
  latent sample runs/told --condition label=Trouser --out trousers.png

Codes come from the sampler that `latent fit-sampler` chose, or from the prior
where none was fitted.";

/// Draw new samples from a trained model
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Sample {
    /// How many samples
    #[arg(long, default_value_t = 64)]
    count: usize,
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
    #[command(flatten)]
    conditions: Conditions,
    #[command(flatten)]
    files: Writing,
}

/// What is written of p(x|z).
#[derive(Clone, Copy, ValueEnum)]
pub enum What {
    Mean,
    Draw,
}

impl From<What> for Observe {
    fn from(what: What) -> Self {
        match what {
            What::Mean => Self::Mean,
            What::Draw => Self::Draw,
        }
    }
}

impl Sample {
    /// Runs the command.
    pub fn run(self, out: &Output) -> Done {
        let target = self.files.target(&Kind::ALL)?;
        let model = self.files.model()?;
        target.suits(&model)?;
        target.holds("--count", self.count, &model)?;
        let observe = self.observe.map_or_else(|| model.observe(), Observe::from);
        let sampler = self.sampler(&model, out)?;
        let class = self.class.as_ref().map(|name| sampler.class(name)).transpose()?;
        let how = How { temperature: self.temperature, truncation: self.truncation, class };
        let key = self.files.key("sample");
        let told = self.conditions.drawn(&model, self.count, key)?;
        let samples = model.sample_with(&sampler, &told, &how, observe, key)?;
        target.ready()?;
        let of = self.class.as_ref().map(|class| format!(" of class {class}")).unwrap_or_default();
        let from = match sampler.kind() {
            "prior" => String::new(),
            kind => format!(", codes from {kind}"),
        };
        let told = self.conditions.in_words();
        let said = format!("{}{of}{told}{from}", super::counted(self.count, "sample"));
        samples.save(&target.path, &said)?;
        out.result(
            format!("{}: {}", shown(&said), path(&target.path)),
            &json!({
                "count": self.count, "out": json_path(&target.path), "seed": self.files.seed(), "sampler": sampler.kind(),
                "temperature": self.temperature, "truncation": self.truncation, "class": self.class
            }),
        );
        Ok(ExitCode::SUCCESS)
    }

    /// The sampler that is asked for, or else the chosen one, or else the prior.
    fn sampler(&self, model: &Model, out: &Output) -> Result<FittedSampler, Failure> {
        let registry = Registry::default();
        let run = super::run_folder(self.files.run());
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
