//! `latent interpolate`: the way from one code to another, decoded.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use latent::array::Array;
use latent::figure::interpolation;
use latent::generate::{Path as Way, interpolate};
use serde_json::json;

use super::{Chosen, key, load};
use crate::failure::{Done, Failure};
use crate::output::Output;
use crate::target::{Kind, Target};

const EXAMPLES: &str = "\
Examples:
  latent interpolate runs/one --out between.png
  latent interpolate runs/one --from 3 --to 8 --path linear --out line.png";

/// Walk from one row's code to another's
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Interpolate {
    /// A run folder or a model file
    run: PathBuf,
    /// Rows whose codes are the ends; by default the model's own held-out rows
    #[arg(long)]
    data: Option<String>,
    /// The row to start from; without it and --to, --count pairs are drawn
    #[arg(long, requires = "to")]
    from: Option<usize>,
    /// The row to end at
    #[arg(long, requires = "from")]
    to: Option<usize>,
    /// How many pairs of rows
    #[arg(long, default_value_t = 6)]
    count: usize,
    /// Codes on the way, both ends included
    #[arg(long, default_value_t = 10)]
    steps: usize,
    /// A straight line, or the great circle that keeps the length of codes
    #[arg(long, default_value = "spherical")]
    path: Shape,
    /// Where to: rows.png, a folder/, x.npy or x.csv
    #[arg(long)]
    out: PathBuf,
    /// What the choice of pairs descends from
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where to compute
    #[arg(long, default_value = "cpu")]
    device: String,
    /// Replace what is there
    #[arg(long)]
    force: bool,
}

/// The way between two codes.
#[derive(Clone, Copy, ValueEnum)]
enum Shape {
    Linear,
    Spherical,
}

impl Interpolate {
    /// Runs the command.
    pub fn run(self, out: &Output) -> Done {
        let target = Target::new("--out", &self.out, self.force, &Kind::ALL)?;
        if self.steps < 2 {
            return Err(Failure::Flag {
                flag: "--steps",
                what: format!("{} codes cannot hold both ends", self.steps),
                remedy: "give at least 2".into(),
            });
        }
        let model = load(&self.run, &self.device)?;
        target.suits(&model)?;
        let ways = if self.from.is_some() { 1 } else { self.count };
        target.holds("--count, --steps", ways.saturating_mul(self.steps), &model)?;
        let chosen = Chosen::open(&model, self.data.as_deref(), out)?;
        let pairs: Vec<(usize, usize)> = match (self.from, self.to) {
            (Some(from), Some(to)) => {
                chosen.has("--from", from)?;
                chosen.has("--to", to)?;
                vec![(from, to)]
            }
            _ => {
                let order = key(self.seed, "interpolate").permutation(chosen.len());
                order.chunks_exact(2).take(self.count).map(|pair| (pair[0], pair[1])).collect()
            }
        };
        if pairs.is_empty() {
            return Err(Failure::Flag {
                flag: "--data",
                what: format!("a way has two ends, and there are {} rows", chosen.len()),
                remedy: "give at least two rows".into(),
            });
        }
        let way = match self.path {
            Shape::Linear => Way::Linear,
            Shape::Spherical => Way::Spherical,
        };
        let mut values = Vec::new();
        for (from, to) in &pairs {
            let code =
                |row: usize| -> Result<Array, Failure> { Ok(model.encode(&chosen.rows(row, 1)?)?.mean) };
            values.extend(interpolate(code(*from)?.row(0), code(*to)?.row(0), self.steps, way).values);
        }
        let decoded = model.decode(&Array::matrix(values, model.model.latent.dims()))?;
        target.ready()?;
        if target.kind == Kind::Picture {
            let pictures = decoded.pictures()?;
            interpolation(&pictures.images()?, self.steps, "From one row to another")?.save(&self.out)?;
        } else {
            decoded.save(&self.out, "From one row to another")?;
        }
        out.result(
            format!(
                "{} of {} codes each: {}",
                super::counted(pairs.len(), "way"),
                self.steps,
                self.out.display()
            ),
            &json!({ "pairs": pairs, "steps": self.steps, "out": self.out, "seed": self.seed }),
        );
        Ok(ExitCode::SUCCESS)
    }
}
