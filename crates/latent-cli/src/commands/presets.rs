//! `latent presets`: the papers that ship as settings.

use std::process::ExitCode;

use clap::Args;
use latent::run::{preset, presets};
use serde_json::json;

use crate::failure::Done;
use crate::options::Seeded;
use crate::output::Output;

const EXAMPLES: &str = "\
Examples:
  latent presets
  latent presets iwae";

/// List the presets, or print one as TOML
#[derive(Args)]
#[command(after_help = EXAMPLES)]
#[command(mut_arg("seed", |seed| seed.hide(true)))]
pub struct Presets {
    /// The preset to print
    name: Option<String>,
    // Nothing is drawn: --seed is taken for uniformity.
    #[command(flatten)]
    _seeded: Seeded,
}

impl Presets {
    /// Runs the command.
    pub fn run(self, out: &Output) -> Done {
        match self.name {
            Some(name) => {
                let preset = preset(&name)?;
                out.result(preset.text.trim_end(), &json!({ "name": preset.name, "toml": preset.text }));
            }
            None => {
                for preset in presets() {
                    let (about, paper) = (preset.about(), preset.paper());
                    out.result(
                        format!("{:14} {about}\n{:14} {paper}", preset.name, ""),
                        &json!({ "name": preset.name, "about": about, "paper": paper }),
                    );
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
