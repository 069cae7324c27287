//! `latent devices`: where this build can compute on this machine.

use std::process::ExitCode;

use clap::Args;
use latent::device::Device;
use serde_json::json;

use crate::failure::Done;
use crate::options::Seeded;
use crate::output::Output;

const EXAMPLES: &str = "\
Examples:
  latent devices";

/// List the devices to compute on
#[derive(Args)]
#[command(after_help = EXAMPLES)]
#[command(mut_arg("seed", |seed| seed.hide(true)))]
pub struct Devices {
    // Nothing is drawn: --seed is taken for uniformity.
    #[command(flatten)]
    _seeded: Seeded,
}

impl Devices {
    /// Runs the command.
    pub fn run(self, out: &Output) -> Done {
        let present = Device::present();
        let best = present.last().cloned().unwrap_or_default();
        let text: Vec<String> = present
            .iter()
            .map(|name| if *name == best { format!("{name}  (auto)") } else { name.clone() })
            .collect();
        out.result(text.join("\n"), &json!({ "devices": present, "auto": best }));
        Ok(ExitCode::SUCCESS)
    }
}
