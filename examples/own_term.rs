//! A term of one's own, registered under a name and minimised beside the others: codes that stay near the origin.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use latent::config::ConfigError;
use latent::member::{Context, Life, Named, Settings};
use latent::objective::{Pass, Term, TermSettings, Value};
use latent::schemars::{self, JsonSchema};
use latent::train::Event;
use latent::weights::Init;
use latent::{Layers, Options, Registry, Training};
use serde::{Deserialize, Serialize};

/// `[objective.terms.length]`: |z|² / 2, summed over dimensions.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct LengthSettings {}

impl Named for LengthSettings {
    const KIND: &'static str = "length";
    const ABOUT: &'static str = "half the squared length of codes";
}

impl Settings<dyn Term> for LengthSettings {
    fn init(&self, _: &Context<'_>, _: &mut Init<'_>) -> Result<Box<dyn Term>, ConfigError> {
        Ok(Box::new(Length))
    }
}

struct Length;

impl Term for Length {
    fn value(&self, pass: &Pass<'_>) -> Option<Value> {
        let z = pass.draw().z.z.clone();
        Some(Value::new(z.square().sum_dim(1).squeeze_dim::<1>(1) * 0.5))
    }
}

impl Life for Length {}

fn main() -> latent::Result<()> {
    let registry = Registry::default().with::<TermSettings, LengthSettings>();
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
