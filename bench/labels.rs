//! What a few labels are worth: bits of two classes of Fashion-MNIST, without labels and with those of some training rows.
//!
//!     cargo run --release --example labels
//!
//! prints the table of docs/results/labels.md: means over three seeds, on the official test rows, whose labels no training saw.

use std::error::Error;
use std::sync::atomic::AtomicBool;

use latent::data::{Data, Split};
use latent::evaluate::{information, terms};
use latent::{Key, Layers, Options, Training};

/// Two that look different, and two that do not.
const PAIRS: [[&str; 2]; 2] = [["Sandal", "Bag"], ["T-shirt/top", "Shirt"]];

/// The share of training rows whose label may be seen.
const SHARES: [f64; 4] = [0.0, 0.01, 0.05, 1.0];

const SEEDS: u64 = 3;

/// The share of bits that agree with the class, their mutual information in bits, and −ELBO in nats.
fn judged(settings: &[String]) -> Result<[f64; 3], Box<dyn Error>> {
    let mut layers = Layers::from_preset("bit-ae")?;
    settings.iter().try_for_each(|setting| layers.set(setting))?;
    let data = Data::open(&layers.data()?, Key::from_seed(layers.seed()?), &mut |_| {})?;
    let mut training = Training::in_memory(&layers, data, Options::default(), &mut |_| {})?;
    training.train(&AtomicBool::new(false), &mut |_| {})?;
    let data = training.data.clone();
    let model = training.into_model()?;
    let rows = data.rows(Split::Test, &(0..data.len(Split::Test)).collect::<Vec<_>>(), 0)?;
    let codes = model.encode(&rows)?.mean;
    // The bit that knows most of the class: without labels nobody knows which it is.
    let mut best = [0.0; 2];
    for bit in 0..codes.width() {
        let column: Vec<u32> = (0..codes.rows()).map(|row| u32::from(codes.row(row)[bit] > 0.5)).collect();
        let same = column.iter().zip(&rows.labels).filter(|(bit, label)| bit == label).count();
        let share = same as f64 / column.len() as f64;
        let mutual = information(&column, &rows.labels).mutual / std::f64::consts::LN_2;
        if std::env::var("EACH").is_ok() {
            println!("    z{} {share:.3} {mutual:.3}", bit + 1);
        }
        if mutual > best[1] {
            best = [share.max(1.0 - share), mutual];
        }
    }
    let bound = terms(&model, &data, Split::Test, usize::MAX, Key::from_seed(1))?.bound;
    Ok([best[0], best[1], bound.map_or(f64::NAN, |bound| bound.value)])
}

fn main() -> Result<(), Box<dyn Error>> {
    println!("| classes | bits | labels | agreement, % | I(z; y), bits | −ELBO, nats |");
    println!("| --- | ---: | ---: | ---: | ---: | ---: |");
    let var = |n: &str, d: &str| std::env::var(n).unwrap_or(d.into());
    let seeds: u64 = var("SEEDS", "3").parse()?;
    let _ = SEEDS;
    let pairs: usize = var("PAIR", "9").parse()?;
    for (p, pair) in PAIRS.iter().enumerate() {
        if pairs < 2 && p != pairs {
            continue;
        }
        for bits in var("BITS", "1,8").split(',') {
            for share in SHARES {
                let mut sums = [0.0; 3];
                for seed in 1..=seeds {
                    let mut settings = vec![
                        "data.source=fashion-mnist".to_string(),
                        format!("data.classes={pair:?}"),
                        format!("posterior.latent={bits}"),
                        format!("train.epochs={}", var("EPOCHS", "15")),
                        format!("seed={seed}"),
                    ];
                    if share > 0.0 {
                        settings.push(format!(
                            "objective.terms.label={{labelled={share:?}, weight={}}}",
                            var("W", "100.0")
                        ));
                    }
                    let found = judged(&settings)?;
                    sums.iter_mut().zip(found).for_each(|(sum, value)| *sum += value / seeds as f64);
                }
                let labels = match share {
                    0.0 => "none".to_string(),
                    share => format!("{} %", 100.0 * share),
                };
                let [agreement, mutual, bound] = sums;
                println!(
                    "| {} | {bits} | {labels} | {:.1} | {mutual:.2} | {bound:.0} |",
                    pair.join(" / "),
                    100.0 * agreement
                );
            }
        }
    }
    Ok(())
}
