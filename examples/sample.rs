//! Trains briefly, then writes new samples as a picture and as an array in the data's own units.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use latent::{Key, Layers, Options, Training};

fn main() -> latent::Result<()> {
    let mut layers = Layers::default();
    layers.set("data.source=embedded")?;
    layers.set("data.limit=2000")?;
    layers.set("network.kind=mlp")?;
    layers.set("train.epochs=3")?;
    let mut run = Training::prepare(&layers, Path::new("runs/sampled"), Options::default(), &mut |_| ())?;
    run.train(&AtomicBool::new(false), &mut |_| ())?;

    let samples = run.into_model()?.sample(16, Key::from_seed(7))?;
    samples.save(Path::new("samples.png"), "16 samples")?;
    samples.save(Path::new("samples.npy"), "")?;
    println!("{} samples: samples.png, samples.npy", samples.len());
    Ok(())
}
