//! `latent presets`: the papers that ship as settings.

use std::process::ExitCode;

use clap::Args;
use latent::config::{preset, presets};
use serde_json::json;

use crate::failure::Done;
use crate::output::Output;

const EXAMPLES: &str = "\
Examples:
  latent presets
  latent presets iwae";

/// List the presets, or print one as TOML
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Presets {
    /// The preset to print
    name: Option<String>,
    /// Taken for uniformity; nothing is drawn
    #[arg(long, default_value_t = 1, hide = true)]
    seed: u64,
}

impl Presets {
    /// Runs the command.
    pub fn run(self, out: &Output) -> Done {
        let _ = self.seed;
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
