//! What a few labels are worth: bits of two classes of Fashion-MNIST, without labels and with those of some training rows.
//!
//!     cargo run --release --example labels
//!
//! prints the table of docs/results/labels.md: means over the seeds, on the official test rows, whose labels no training saw. Words
//! after `--` change it: `seeds=1`, `pair=0` or `bits=8` for a part of it, and any setting of a run (`train.epochs=5`).

use std::error::Error;
use std::sync::atomic::AtomicBool;

use latent::data::{Data, Split};
use latent::evaluate::{information, terms};
use latent::{Key, Layers, Options, Training};

/// Two that look different, and two that do not.
const PAIRS: [[&str; 2]; 2] = [["Sandal", "Bag"], ["T-shirt/top", "Shirt"]];

/// How many bits the code has.
const BITS: [u64; 2] = [1, 8];

/// The share of training rows whose label may be seen.
const SHARES: [f64; 4] = [0.0, 0.01, 0.05, 1.0];

/// What is asked of each run, beside what the table varies.
const SETTINGS: [&str; 2] = ["train.epochs=15", "objective.terms.label.weight=1000"];

/// The share of rows whose bit agrees with the class, their mutual information in bits, and −ELBO in nats.
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
    // Without labels nobody knows which bit it is, nor which way round: the one that knows most of the class.
    let named = settings.iter().any(|setting| setting.starts_with("objective.terms.label"));
    let mut best = [0.0; 2];
    for bit in 0..if named { 1 } else { codes.width() } {
        let column: Vec<u32> = (0..codes.rows()).map(|row| u32::from(codes.row(row)[bit] > 0.5)).collect();
        let same = column.iter().zip(&rows.labels).filter(|(bit, label)| bit == label).count();
        let share = same as f64 / column.len().max(1) as f64;
        let mutual = information(&column, &rows.labels).mutual / std::f64::consts::LN_2;
        if named || mutual >= best[1] {
            best = [if named { share } else { share.max(1.0 - share) }, mutual];
        }
    }
    let bound = terms(&model, &data, Split::Test, usize::MAX, Key::from_seed(1))?.bound;
    Ok([best[0], best[1], bound.map_or(f64::NAN, |bound| bound.value)])
}

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let number = |name: &str| {
        let of = |word: &String| word.strip_prefix(name)?.strip_prefix('=')?.parse::<u64>().ok();
        words.iter().find_map(of)
    };
    let own =
        words.iter().filter(|word| !["seeds=", "pair=", "bits="].iter().any(|own| word.starts_with(own)));
    let asked: Vec<String> = SETTINGS.into_iter().map(String::from).chain(own.cloned()).collect();
    println!("| classes | bits | labels | agreement, % | I(z; y), bits | −ELBO, nats |");
    println!("| --- | ---: | ---: | ---: | ---: | ---: |");
    for (_, pair) in (0..).zip(PAIRS).filter(|(at, _)| number("pair").is_none_or(|asked| asked == *at)) {
        for bits in BITS.into_iter().filter(|bits| number("bits").is_none_or(|asked| asked == *bits)) {
            for share in SHARES {
                let seeds = number("seeds").unwrap_or(3);
                let mut sums = [0.0; 3];
                for seed in 1..=seeds {
                    let mut settings = vec![
                        "data.source=fashion-mnist".to_string(),
                        format!("data.classes={pair:?}"),
                        format!("posterior.latent={bits}"),
                        format!("seed={seed}"),
                    ];
                    let is_label = |setting: &&String| setting.starts_with("objective.terms.label");
                    settings
                        .extend(asked.iter().filter(|setting| share > 0.0 || !is_label(setting)).cloned());
                    if share > 0.0 {
                        settings.push(format!("objective.terms.label.labelled={share:?}"));
                    }
                    let found = judged(&settings)?;
                    sums.iter_mut().zip(found).for_each(|(sum, value)| *sum += value / seeds as f64);
                }
                let labels = if share == 0.0 { "none".to_string() } else { format!("{} %", 100.0 * share) };
                let [agreement, mutual, bound] = sums;
                println!(
                    "| {} | {bits} | {labels} | {:.1} | {mutual:.2} | {bound:.0} |",
                    pair.join(", "),
                    100.0 * agreement
                );
            }
        }
    }
    Ok(())
}
