//! `latent data inspect`: what the program makes of some data.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use latent::Key;
use latent::Layers;

use crate::failure::Done;
use crate::options::text;
use crate::output::Output;

const EXAMPLES: &str = "\
Examples:
  latent data inspect embedded";

/// Look at data before training on it
#[derive(Args)]
pub struct Data {
    #[command(subcommand)]
    command: DataCommand,
}

#[derive(Subcommand)]
enum DataCommand {
    Inspect(Inspect),
}

/// Say what DATA is, how it would be split and read, and what looks odd
#[derive(Args)]
#[command(after_help = EXAMPLES)]
struct Inspect {
    /// A path or a name, as for `latent train --data`
    #[arg(value_parser = text())]
    data: String,
    /// A setting such as data.image.size=64; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = text())]
    set: Vec<String>,
    /// What the splits descend from (short for --set data.seed=N)
    #[arg(long)]
    seed: Option<u64>,
}

impl Data {
    /// Runs the command.
    pub fn run(self, out: &Output) -> Done {
        let DataCommand::Inspect(inspect) = self.command;
        let mut layers = Layers::default();
        layers.set(&format!("data.source={}", toml::Value::String(inspect.data)))?;
        for assignment in &inspect.set {
            layers.set(assignment)?;
        }
        if let Some(seed) = inspect.seed {
            layers.set(&format!("data.seed={seed}"))?;
        }
        let settings = layers.data()?;
        let data = latent::data::Data::open(&settings, Key::from_seed(1), &mut |line| out.told(line))?;
        let mut summary = data.summary(&settings);
        summary.suggestions = data.suggestions(&settings)?;
        out.result(summary.to_string(), &summary);
        Ok(ExitCode::SUCCESS)
    }
}
