//! `latent devices`: where this build can compute on this machine.

use std::process::ExitCode;

use clap::Args;
use latent::device::Device;
use serde_json::json;

use crate::failure::Done;
use crate::output::Output;

const EXAMPLES: &str = "\
Examples:
  latent devices";

/// List the devices to compute on
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Devices {
    /// Taken for uniformity; nothing is drawn
    #[arg(long, default_value_t = 1, hide = true)]
    seed: u64,
}

impl Devices {
    /// Runs the command.
    pub fn run(self, out: &Output) -> Done {
        let _ = self.seed;
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
