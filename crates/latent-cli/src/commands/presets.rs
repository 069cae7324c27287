//! `latent presets`: the papers that ship as settings, by what they are about; one of them with what it minimises.

use std::process::ExitCode;

use clap::Args;
use latent::run::{GROUPS, preset, presets};
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
                let formula = preset.formula()?;
                out.result(
                    format!("# minimises {formula}\n{}", preset.text.trim_end()),
                    &json!({ "name": preset.name, "formula": formula, "toml": preset.text }),
                );
            }
            None => {
                let width = presets().iter().map(|preset| preset.name.len()).max().unwrap_or(0);
                for (place, (group, title)) in GROUPS.iter().enumerate() {
                    let mut heading = format!("{}{title}\n", if place > 0 { "\n" } else { "" });
                    for preset in presets().iter().filter(|preset| preset.group() == *group) {
                        let (name, about, paper) = (preset.name, preset.about(), preset.paper());
                        let heading = std::mem::take(&mut heading);
                        out.result(
                            format!("{heading}  {name:width$}  {about}\n  {:width$}  {paper}", ""),
                            &json!({ "name": name, "group": group, "about": about, "paper": paper }),
                        );
                    }
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
