//! `latent import`: a model of others as a run folder.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use latent::Model;
use latent::run::{Imported, mappings};
use serde_json::json;

use crate::failure::{Done, Failure};
use crate::options::text;
use crate::output::{Output, json_path, path};

const EXAMPLES: &str = "\
Examples:
  latent import --list

For a file of YannDubs/disentangling-vae, as safetensors:
  import btcvae_dsprites.safetensors --out runs/theirs
  import btcvae_dsprites.safetensors --out runs/theirs --data shapes --preset beta-tc-vae

The run folder is as any other: sample, encode, traverse, evaluate, export take
it. Without --data its samples are 8-bit images, and `latent evaluate` wants rows
by --data. --preset says what the authors minimised, for training it further
(latent train --init-from). A file of PyTorch runs code when it is read: write it
as safetensors first.";

/// Make a run folder of a published model
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Import {
    /// A safetensors file with the authors' arrays
    #[arg(required_unless_present = "list")]
    file: Option<PathBuf>,
    /// The run folder to write
    #[arg(long, required_unless_present = "list")]
    out: Option<PathBuf>,
    /// Whose model it is; found out unless given
    #[arg(long, value_name = "NAME")]
    mapping: Option<String>,
    /// Data that it was trained on, or data like it: the run is then about that
    #[arg(long, value_parser = text())]
    data: Option<String>,
    /// What it was trained by; see `latent presets`
    #[arg(long, default_value = "vae")]
    preset: String,
    /// One setting, laid over the preset; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = text())]
    set: Vec<String>,
    /// What splits of the data descend from
    #[arg(long)]
    seed: Option<u64>,
    /// Show whose models are known
    #[arg(long)]
    list: bool,
}

impl Import {
    /// Runs the command.
    pub fn run(self, out: &Output) -> Done {
        let (Some(file), Some(folder)) = (&self.file, &self.out) else {
            let lines: Vec<String> =
                mappings().iter().map(|mapping| format!("{}: {}", mapping.name, mapping.about)).collect();
            let known: Vec<_> = mappings()
                .iter()
                .map(|mapping| json!({ "name": mapping.name, "about": mapping.about }))
                .collect();
            out.result(lines.join("\n"), &json!({ "mappings": known }));
            return Ok(ExitCode::SUCCESS);
        };
        if !file.exists() {
            return Err(Failure::path(file, "no such file", "give a safetensors file"));
        }
        if ["run.toml", "model.safetensors"].iter().any(|name| folder.join(name).exists()) {
            return Err(Failure::path(folder, "holds a run already", "choose another folder"));
        }
        let how = Imported {
            mapping: self.mapping.as_deref(),
            preset: &self.preset,
            data: self.data.as_deref(),
            settings: &self.set,
            seed: self.seed,
        };
        let (model, mapping) = Model::import_as(file, how, &mut |line| out.told(line))?;
        model.save_run(folder, &[])?;
        let dims = model.dims();
        out.result(
            format!(
                "{} as {}: images of {}, a code of {dims} dimensions\nnext: latent sample {1} --out samples.png",
                mapping.name,
                path(folder),
                model.facts.shape
            ),
            &json!({
                "run": json_path(folder), "mapping": mapping.name, "shape": model.facts.shape.to_string(),
                "dims": dims, "preset": self.preset, "seed": model.seed
            }),
        );
        Ok(ExitCode::SUCCESS)
    }
}
