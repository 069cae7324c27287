//! Loads a trained model and puts it to work in a program: new samples, codes, reconstructions, likelihoods.
//!
//! `cargo run --release --example load -- RUN`, with a run folder or a model file (runs/example unless given).

use latent::data::Split;
use latent::generate::first_rows;
use latent::{Key, Model};

fn main() -> latent::Result<()> {
    let run = std::env::args().nth(1).unwrap_or_else(|| "runs/example".into());
    let model = Model::load(&run)?;

    let samples = model.sample(3, Key::from_seed(1))?;
    println!("a sample begins with {:?}", &samples.values()[..5]);

    let data = model.open_own(&mut |line| println!("{line}"))?;
    let rows = first_rows(&data, Split::Validation, 4)?;
    let codes = model.encode(&rows)?;
    println!("{} rows have codes of {} numbers", codes.mean.rows(), codes.mean.width());
    let again = model.decode(&codes.mean)?;
    println!("{} of them decoded again", again.len());
    println!("the first costs {:.1} nats to reconstruct", model.distortion(&rows)?[0]);
    Ok(())
}
