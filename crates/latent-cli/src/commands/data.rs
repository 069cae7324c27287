//! `latent data inspect`: what the program makes of some data.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use latent::Key;
use latent::Layers;

use crate::failure::Done;
use crate::options::{Seeded, text};
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
#[command(mut_arg("seed", |seed| seed.help("What the splits descend from")))]
struct Inspect {
    /// A path or a name, as for `latent train --data`
    #[arg(value_parser = text())]
    data: String,
    /// A setting such as data.image.size=64; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = text())]
    set: Vec<String>,
    #[command(flatten)]
    seeded: Seeded,
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
        let settings = layers.data()?;
        let data = latent::data::Data::open(&settings, Key::from_seed(inspect.seeded.seed), &mut |line| {
            out.told(line)
        })?;
        let summary = data.summary(&settings);
        out.result(summary.to_string(), &summary);
        Ok(ExitCode::SUCCESS)
    }
}
