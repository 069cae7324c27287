//! A term of one's own, registered under a name and minimised beside the others: codes that stay near the origin.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use latent::burn::tensor::Tensor;
use latent::config::{ConfigError, Layers};
use latent::model::Registry;
use latent::model::posterior::PosteriorSettings;
use latent::objective::{Pass, Term, TermSettings, terms};
use latent::train::{Event, Options, Training};
use serde::{Deserialize, Serialize};

/// `[objective.terms.length]`: |z|² / 2, summed over dimensions.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LengthSettings {}

struct Length;

impl Term for Length {
    fn value(&self, pass: &Pass<'_>) -> Tensor<1> {
        pass.z.z.clone().square().sum_dim(1).squeeze_dim::<1>(1) * 0.5
    }
}

impl TermSettings for LengthSettings {
    fn check(&self, _: &dyn PosteriorSettings) -> Result<(), ConfigError> {
        Ok(())
    }
    fn init(&self) -> Box<dyn Term> {
        Box::new(Length)
    }
}

fn main() -> latent::Result<()> {
    let terms = terms().with("length", "half the squared length of codes", |s: LengthSettings| Box::new(s));
    let registry = Registry { terms, ..Registry::default() };
    let options = Options { registry, ..Options::default() };
    let mut layers = Layers::default();
    layers.preset("ae")?;
    layers.set("data.source=embedded")?;
    layers.set("data.limit=2000")?;
    layers.set("objective.terms.length.weight=0.1")?;
    layers.set("train.epochs=3")?;
    let mut run =
        Training::prepare(&layers, Path::new("runs/short"), options, &mut |line| println!("{line}"))?;
    run.train(&AtomicBool::new(false), &mut |event| {
        if let Event::Validated { line, .. } = event {
            println!("epoch {:.0}: {:?}", line.epoch, line.values);
        }
    })?;
    Ok(())
}
