//! Trains a variational autoencoder on the images that ship with the library.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use latent::train::Event;
use latent::{Layers, Options, Training};

fn main() -> latent::Result<()> {
    let mut layers = Layers::default();
    layers.preset("vae")?;
    layers.set("data.source=embedded")?;
    layers.set("train.epochs=3")?;
    let folder = Path::new("runs/example");
    let mut run = Training::prepare(&layers, folder, Options::default(), &mut |line| println!("{line}"))?;
    run.train(&AtomicBool::new(false), &mut |event| {
        if let Event::Validated { line, .. } = event {
            println!("epoch {:.0}: {:?}", line.epoch, line.values);
        }
    })?;
    Ok(())
}
