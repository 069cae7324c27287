//! What every quantiser keeps to, whatever its book: indices that decode to what was seen, usage in the log as counted from the
//! codes, a sampler of indices fitted afterwards.

use std::sync::atomic::AtomicBool;

use latent::Key;
use latent::batch::{Batch, Latent, Noise, Support};
use latent::data::{Data, DataSettings, Split};
use latent::device::host_f64;
use latent::generate::sampler::{CodeSet, FitOptions, FittedSampler, How};
use latent::model::View;
use latent::train::Event;
use latent::{Layers, Options, Registry, Training};

use crate::common::*;
use crate::quantized::stripes;

/// Quantisers of maps of 2 × 2 places: posterior, terms beside distortion and rate.
const QUANTISERS: [(&str, &str); 7] = [
    ("kind='quantized', latent={channels=3, factor=4}, codes=6", "commitment={weight=0.25}"),
    ("kind='fsq', latent={channels=1, factor=4}, levels=[3, 4]", ""),
    (
        "kind='quantized', latent={channels=3, factor=4}, codes=6, distance='cosine', gradient='rotation'",
        "commitment={weight=0.25}",
    ),
    (
        "kind='lfq', latent={channels=1, factor=4}, signs=3",
        "commitment={weight=0.25}, code-entropy={weight=0.1}",
    ),
    (
        "kind='lfq', latent={channels=1, factor=4}, signs=3, sphere=true",
        "commitment={weight=0.25}, code-entropy={weight=0.1, temperature=0.5, group=1}",
    ),
    ("kind='simvq', latent={channels=3, factor=4}, codes=6", "commitment={weight=0.25}, codebook={}"),
    ("kind='residual', latent={channels=3, factor=4}, codes=6, stages=3", "commitment={weight=0.25}"),
];

/// A small run on stripes, in memory.
fn training(posterior: &str, terms: &str) -> Training {
    let mut layers = Layers::default();
    let text = format!(
        "likelihood={{kind='normal', scale='fixed', sigma=0.3}}
        posterior={{{posterior}}}
        prior={{kind='categorical'}}
        network={{kind='spatial', channels=[3, 4], norm='none'}}
        objective.terms={{distortion={{}}, rate={{}}, {terms}}}
        train.batch=16
        train.epochs=3"
    );
    text.lines().map(str::trim).for_each(|line| layers.set(line).unwrap());
    let settings = DataSettings::default();
    let data = Data::from_memory(stripes(), &settings, Key::from_seed(1), &mut |_| {}).unwrap();
    Training::in_memory(&layers, data, Options::default(), &mut |_| {}).unwrap()
}

#[test]
fn every_quantiser_trains_counts_its_codes_and_is_sampled() {
    for (posterior, terms) in QUANTISERS {
        let mut training = training(posterior, terms);
        let mut lines = Vec::new();
        training
            .train(&AtomicBool::new(false), &mut |event| {
                if let Event::Validated { line, .. } = event {
                    lines.push((*line).clone());
                }
            })
            .unwrap();
        let first = lines.first().and_then(|line| line.get("distortion")).unwrap();
        let best =
            lines.iter().min_by(|a, b| a.get("loss").unwrap().total_cmp(&b.get("loss").unwrap())).unwrap();
        assert!(best.get("distortion").unwrap() < first, "{posterior}: it learns");
        let data = training.data.clone();
        let model = training.into_model().unwrap();
        let latent = model.functions.latent.clone();
        let Some(Support::Index(size)) = latent.support() else { panic!("{posterior}: no indices") };
        let dims = latent.dims();
        let positions: Vec<usize> = (0..data.len(Split::Validation)).collect();
        let rows = data.rows(Split::Validation, &positions, 0).unwrap();
        let codes = model.encode(&rows).unwrap().mean;
        let whole = |codes: &[f32]| codes.iter().all(|v| v.fract() == 0.0 && (0.0..size as f32).contains(v));
        assert!(whole(&codes.values), "{posterior}");
        // The log counts what the kept weights give, which are the best of the run: of each book by itself.
        for (block, columns) in latent.ranges() {
            let own: Vec<usize> = (0..codes.rows())
                .flat_map(|row| codes.row(row)[columns.clone()].to_vec())
                .map(|v| v as usize)
                .collect();
            let mut shares = vec![0.0; size];
            own.iter().for_each(|&code| shares[code] += 1.0 / own.len() as f64);
            let entropy: f64 = shares.iter().filter(|p| **p > 0.0).map(|p| -p * p.ln()).sum();
            let used = shares.iter().filter(|p| **p > 0.0).count();
            let said = |what: &str| match block.name.as_str() {
                "z" => best.get(what).unwrap(),
                name => best.get(&format!("{what} of {name}")).unwrap(),
            };
            close(said("perplexity"), entropy.exp(), 1e-5);
            close(said("codes_used"), used as f64, 1e-12);
            close(said("dead_codes"), (size - used) as f64, 1e-12);
        }
        close(best.get("rate").unwrap(), dims as f64 * (size as f64).ln(), 1e-5);
        // What the decoder sees of a drawn code is what it sees of the stored one.
        let batch = Batch::new(rows, 64, model.weights.device());
        let view = View::evaluation(&model.functions, &model.weights);
        let draw = view.encode(&batch).draw(1, Noise::new(Key::from_seed(1), &batch.ids));
        let stored = host_f64(&view.decode(&Latent::new(draw.z.z.clone()), batch.given()));
        all_close(&host_f64(&view.decode_draw(&draw, batch.given())), &stored, 1e-3);
        // A sampler of its indices.
        let codes = CodeSet::of(&model, &data, 1000, Key::from_seed(1), &|_| ()).unwrap();
        let table = "kind = 'autoregressive'\nhidden = [16]\nembedding = 3\nsteps = 100".parse().unwrap();
        let registry = Registry::default();
        let options = FitOptions { seed: 1, minutes: None, registry: &registry, progress: &|_, _| () };
        let fitted = FittedSampler::fit(&model, &codes, &table, &options).unwrap();
        let told = model.told(50, Key::from_seed(2)).unwrap();
        let drawn = fitted.draw_told(&model, &told, &How::default(), Key::from_seed(3)).unwrap();
        assert!(whole(&drawn.values) && drawn.values.len() == 50 * dims, "{posterior}");
        let held_out = fitted.log_density(&model, &codes.validation.values).unwrap();
        let mean = held_out.iter().sum::<f64>() / held_out.len() as f64;
        assert!(
            mean > -(dims as f64) * (size as f64).ln(),
            "{posterior}: likelier than a uniform law, {mean}"
        );
    }
}
