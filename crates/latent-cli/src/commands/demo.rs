//! `latent demo`: the whole way on data that ships with the program, in two minutes.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use latent::Layers;
use latent::Options;
use latent::device::Device;
use serde_json::json;

use super::train::train;
use crate::failure::{Done, Failure};
use crate::options::Seeded;
use crate::output::{Output, json_path, json_paths, path};
use crate::stop::Stop;

const EXAMPLES: &str = "\
Examples:
  latent demo --epochs 0.1 --out runs/glimpse";

/// Minutes of the first model and its sampler.
const MINUTES: f64 = 1.4;

/// Epochs of the second model.
const PLANE_EPOCHS: f64 = 15.0;

/// Train on data that ships with the program and show what comes out
#[derive(Args)]
#[command(after_help = EXAMPLES)]
#[command(mut_arg("seed", |seed| seed.help("What all noise descends from")))]
pub struct Demo {
    /// The run folder to write; by default runs/demo, or the first free name after it
    #[arg(long)]
    out: Option<PathBuf>,
    #[command(flatten)]
    seeded: Seeded,
    /// Passes over the training rows
    #[arg(long)]
    epochs: Option<f64>,
}

impl Demo {
    /// Runs the command.
    pub fn run(self, out: &Output) -> Done {
        if let Some(taken) = self.out.as_ref().filter(|path| path.join("run.toml").exists()) {
            let what = format!("{} holds a run already", taken.display());
            return Err(Failure::flag("--out", what, "choose another folder, or leave --out away"));
        }
        let folder = self.out.clone().unwrap_or_else(|| first_free(Path::new("runs/demo")));
        let plane = folder.join("plane");
        let stop = Stop::on_signals();

        out.note(
            "Fashion-MNIST's 10,000 test images ship with this program: 8,000 to learn from, 1,000 to validate,\n\
             1,000 kept for a test. A variational autoencoder learns their distribution.\n",
        );
        let mut layers = self.layers()?;
        match self.epochs {
            Some(epochs) => layers.set(&format!("train.epochs={epochs}"))?,
            None => layers.set(&format!("train.minutes={MINUTES}"))?,
        }
        let code = train(&layers, &folder, options()?, (true, false), &stop, out)?;
        if code != ExitCode::SUCCESS {
            return Ok(code);
        }

        out.note("\nOnce more with two latents, so that the whole latent plane can be seen.\n");
        let mut layers = self.layers()?;
        layers.set(&format!("train.epochs={}", self.epochs.unwrap_or(PLANE_EPOCHS)))?;
        // A cross-entropy on grey levels weighs the rate more than a measured σ does: fewer holes.
        layers.set("likelihood.kind=bernoulli")?;
        layers.set("posterior.latent=2")?;
        layers.set("network={kind=\"mlp\", hidden=[500, 200]}")?;
        let code = train(&layers, &plane, options()?, (true, false), &stop, out)?;
        if code != ExitCode::SUCCESS {
            return Ok(code);
        }

        let pictures: Vec<PathBuf> = [
            "samples",
            "samples-nearest",
            "reconstructions",
            "interpolation",
            "traversal",
            "codes",
            "curves",
        ]
        .iter()
        .map(|name| folder.join(format!("figures/{name}.png")))
        .chain([plane.join("figures/regions.png")])
        .filter(|path| path.exists())
        .collect();
        let mut text = String::from("\nLook at:");
        for file in [folder.join("report.html"), plane.join("report.html")].iter().chain(&pictures) {
            text.push_str(&format!("\n  {}", path(file)));
        }
        let run = path(&folder);
        text.push_str(&format!(
            "\n\nTry next:\n  latent sample {run} --count 100 --seed 2 --out more.png\n  \
             latent evaluate {run} --minutes 1\n  latent train --data YOUR-FOLDER-OF-IMAGES --out runs/mine"
        ));
        let value = json!({ "run": json_path(&folder), "plane": json_path(&plane), "pictures": json_paths(&pictures) });
        out.result(text, &value);
        Ok(ExitCode::SUCCESS)
    }

    fn layers(&self) -> Result<Layers, latent::config::ConfigError> {
        let mut layers = Layers::default();
        layers.set("data.source=embedded")?;
        layers.set(&format!("seed={}", self.seeded.seed))?;
        Ok(layers)
    }
}

fn options() -> Result<Options<'static>, latent::device::DeviceError> {
    Ok(Options { device: Device::named("auto")?, ..Options::default() })
}

/// `path`, or `path-2`, `path-3` … if that is taken.
fn first_free(path: &Path) -> PathBuf {
    let is_free = |path: &Path| std::fs::symlink_metadata(path).is_err();
    if is_free(path) {
        return path.into();
    }
    (2..)
        .map(|n| PathBuf::from(format!("{}-{n}", path.display())))
        .find(|candidate| is_free(candidate))
        .unwrap_or_else(|| path.into())
}
