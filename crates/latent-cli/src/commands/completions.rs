//! `latent completions`: what a shell needs to complete the command line.

use std::process::ExitCode;

use clap::Args;
use clap_complete::Shell;
use serde_json::json;

use crate::failure::Done;
use crate::options::Seeded;
use crate::output::Output;

const EXAMPLES: &str = "\
Examples:
  latent completions bash
  latent completions zsh

bash: latent completions bash > a file `latent` in bash-completion/completions
zsh:  latent completions zsh > a file `_latent` in a folder of $fpath
fish: latent completions fish > ~/.config/fish/completions/latent.fish";

/// Print the completions of a shell
#[derive(Args)]
#[command(after_help = EXAMPLES)]
#[command(mut_arg("seed", |seed| seed.hide(true)))]
pub struct Completions {
    /// Which shell
    shell: Shell,
    // Nothing is drawn: --seed is taken for uniformity.
    #[command(flatten)]
    _seeded: Seeded,
}

impl Completions {
    /// Runs the command, for the whole command line `cli`.
    pub fn run(self, mut cli: clap::Command, out: &Output) -> Done {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut cli, "latent", &mut script);
        let script = String::from_utf8_lossy(&script);
        out.result(script.trim_end(), &json!({ "shell": self.shell.to_string(), "script": script }));
        Ok(ExitCode::SUCCESS)
    }
}
