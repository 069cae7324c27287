//! Residual quantisation against a simulation on the host: what each stage is near to, what of it is seen, how books start and
//! follow.

use std::collections::BTreeMap;

use latent::Key;
use latent::batch::{Batch, Noise, Support};
use latent::data::Facts;
use latent::device::host_f64;
use latent::model::View;
use latent::optimizer::MODEL;
use latent::train::{Autoencoder, Trainable};

use crate::common::*;
use crate::quantized::{images, moment, nearest, recorded, rows, two, vectors};

const STAGES: usize = 3;

/// Two positions of a vector, or maps of 2 × 2 places, of three numbers: the model's text, its facts, places, and whether maps.
fn layouts(own: &str) -> [(String, Facts, usize, bool); 2] {
    let text = |posterior: &str, network: &str| {
        format!(
            "likelihood = {{ kind = 'normal', scale = 'fixed', sigma = 0.7 }}
             posterior = {{ kind = 'residual', codes = 5, stages = {STAGES}, {own} {posterior} }}
             prior = {{ kind = 'categorical' }}
             network = {{ {network} }}
             objective.terms = {{ distortion = {{}}, rate = {{}}, commitment = {{ weight = 0.25 }} }}"
        )
    };
    [
        (text("latent = 6, width = 3", "kind = 'mlp', hidden = [5], activation = 'tanh'"), two(), 2, false),
        (
            text(
                "latent = { channels = 3, factor = 4 }",
                "kind = 'spatial', channels = [3, 4], norm = 'none', activation = 'tanh'",
            ),
            images(),
            4,
            true,
        ),
    ]
}

fn book_path(stage: usize) -> String {
    format!("posterior.{stage}.book")
}

fn made(text: &str, facts: &Facts) -> Made {
    let mut made = make(text, facts).randomised(Key::from_seed(3), 0.7);
    for stage in 0..STAGES {
        // Finer and finer.
        let values = normals(Key::from_seed(4).fold(stage), 15);
        let scale = 0.5f64.powi(stage as i32);
        made.set(&book_path(stage), &values.iter().map(|v| v * scale).collect::<Vec<_>>());
    }
    made
}

/// Index and residual after each stage of a vector.
fn stages(books: &[Vec<f64>], vector: &[f64]) -> Vec<(usize, Vec<f64>)> {
    let mut left = vector.to_vec();
    let stage = |book: &Vec<f64>| {
        let code = nearest(book, 3, &left);
        left = left.iter().zip(&book[3 * code..]).map(|(r, e)| r - e).collect();
        (code, left.clone())
    };
    books.iter().map(stage).collect()
}

#[test]
fn each_stage_quantises_what_is_left_over() {
    for (text, facts, places, maps) in layouts("") {
        let made = made(&text, &facts);
        let shape = if maps { vec![2, 2] } else { vec![2] };
        for (stage, block) in made.model.latent.blocks.iter().enumerate() {
            assert_eq!(block.name, format!("stage{}", stage + 1));
            assert_eq!((&block.shape, block.support), (&shape, Support::Index(5)));
        }
        assert_eq!(made.model.latent.dims(), STAGES * places);
        let books: Vec<Vec<f64>> = (0..STAGES).map(|stage| made.get(&book_path(stage))).collect();
        let x = rows(6, facts.shape.features());
        let outputs = normals(Key::from_seed(6), 6 * places * 3);
        let q = made.model.posterior.density(&made.view(), &x, matrix(outputs.clone(), places * 3));
        let all = vectors(&outputs, places, 3, maps);
        let each: Vec<Vec<(usize, Vec<f64>)>> = all.iter().map(|v| stages(&books, v)).collect();
        // The indices of the first stage at all places come first.
        let wanted: Vec<f64> = each
            .chunks(places)
            .flat_map(|row| (0..STAGES).flat_map(|s| row.iter().map(move |place| place[s].0 as f64)))
            .collect();
        assert_eq!(host_f64(&q.centre().z), wanted);
        // What is seen is the vector less what the last stage leaves over.
        let seen: Vec<f64> = all
            .iter()
            .zip(&each)
            .flat_map(|(v, stages)| {
                v.iter().zip(&stages[STAGES - 1].1).map(|(v, r)| v - r).collect::<Vec<_>>()
            })
            .collect();
        let draw = q.draw(1, Noise::new(Key::from_seed(1), &x.ids));
        for found in [draw.features.unwrap(), made.model.posterior.features(&made.view(), &draw.z)] {
            all_close(&vectors(&host_f64(&found), places, 3, maps).concat(), &seen, 1e-12);
        }
        let square = |stages: &Vec<(usize, Vec<f64>)>| {
            stages.iter().flat_map(|(_, left)| left).map(|r| r * r).sum::<f64>()
        };
        let commitment: Vec<f64> = each.chunks(places).map(|row| row.iter().map(square).sum()).collect();
        all_close(&host_f64(&q.commitment().unwrap()), &commitment, 1e-12);
        // Its gradient: 2 Σ_s r_s, with the codes held; that of what is seen is the outputs' own.
        let gradient = |value: &dyn Fn(&dyn latent::density::Density) -> burn::tensor::Tensor<1>| {
            vectors(
                &crate::quantized::gradient_at_outputs(&made, &x, &outputs, |q| value(q)),
                places,
                3,
                maps,
            )
            .concat()
        };
        let twice: Vec<f64> = each
            .iter()
            .flat_map(|s| (0..3).map(move |k| s.iter().map(|(_, left)| 2.0 * left[k]).sum::<f64>()))
            .collect();
        all_close(&gradient(&|q| q.commitment().unwrap()), &twice, 1e-12);
        let weights = normals(Key::from_seed(7), outputs.len());
        let noise = Noise::new(Key::from_seed(1), &x.ids);
        let passed = gradient(&|q| {
            (q.draw(1, noise).features.unwrap() * matrix(weights.clone(), places * 3).autodiff()).sum()
        });
        all_close(&passed, &vectors(&weights, places, 3, maps).concat(), 1e-12);
    }
}

#[test]
fn dropout_shows_the_first_stages_of_some_rows_while_training() {
    for dropout in [1.0, 0.4] {
        for (text, facts, places, maps) in layouts(&format!("dropout = {dropout:?},")) {
            let made = made(&text, &facts);
            let books: Vec<Vec<f64>> = (0..STAGES).map(|stage| made.get(&book_path(stage))).collect();
            let n = 900;
            let x = rows(n, facts.shape.features());
            let outputs = normals(Key::from_seed(6), n * places * 3);
            let view = View::training(&made.model, &made.weights, Key::from_seed(11));
            let of = |view: &View<'_>, x: &Batch, outputs: Vec<f64>| {
                let q = made.model.posterior.density(view, x, matrix(outputs, places * 3));
                let seen = q.draw(1, Noise::new(Key::from_seed(1), &x.ids)).features.unwrap();
                (vectors(&host_f64(&seen), places, 3, maps), host_f64(&q.commitment().unwrap()))
            };
            let (seen, commitment) = of(&view, &x, outputs.clone());
            let all = vectors(&outputs, places, 3, maps);
            let mut counts = [0usize; STAGES];
            for (row, commitment) in commitment.into_iter().enumerate() {
                let each: Vec<Vec<(usize, Vec<f64>)>> =
                    (row * places..(row + 1) * places).map(|at| stages(&books, &all[at])).collect();
                // One number of stages for all places of the row, which explains all that is seen.
                let fits = |shown: usize| {
                    (0..places).all(|place| {
                        let at = row * places + place;
                        let left = &each[place][shown].1;
                        (0..3).all(|k| (seen[at][k] - (all[at][k] - left[k])).abs() < 1e-9)
                    })
                };
                let shown = (0..STAGES).find(|shown| fits(*shown)).expect("a beginning of the code");
                counts[shown] += 1;
                let own: f64 = each
                    .iter()
                    .flat_map(|s| s[..=shown].iter().flat_map(|(_, left)| left))
                    .map(|r| r * r)
                    .sum();
                close(commitment, own, 1e-9);
            }
            // Uniform from 1 to all, of the share that dropout is for: within five standard errors.
            for (shown, count) in counts.iter().enumerate() {
                let last = if shown + 1 == STAGES { 1.0 - dropout } else { 0.0 };
                let p = dropout / STAGES as f64 + last;
                let error = (n as f64 * p * (1.0 - p)).sqrt();
                assert!((*count as f64 - n as f64 * p).abs() < 5.0 * error, "{counts:?} {p}");
            }
            // A row's own noise: the same in any batch.
            let some = x.select(&[7, 3]);
            let part: Vec<f64> =
                [7, 3].iter().flat_map(|r| outputs[r * places * 3..(r + 1) * places * 3].to_vec()).collect();
            let (few, _) = of(&view, &some, part);
            all_close(&few[..places].concat(), &seen[7 * places..8 * places].concat(), 1e-12);
            // A model as it is judged shows all.
            let (whole, _) = of(&made.view(), &x, outputs);
            let left = stages(&books, &all[5])[STAGES - 1].1.clone();
            (0..3).for_each(|k| close(whole[5][k], all[5][k] - left[k], 1e-9));
        }
    }
}

/// The book, counts and sums of a stage.
fn state(task: &Autoencoder, stage: usize) -> [Vec<f64>; 3] {
    ["book", "counts", "sums"].map(|name| {
        let path = format!("posterior.{stage}.{name}");
        let (_, weight) = task.weights.iter().find(|(_, w)| w.path() == path).unwrap();
        host_f64(&weight.flat())
    })
}

#[test]
fn every_book_follows_what_its_stage_is_given() {
    for (text, facts, places, maps) in layouts("decay = 0.8, revive = 1.5, dropout = 1.0,") {
        let made = made(&text, &facts);
        let mut task = Autoencoder::new(made.model, made.weights, made.objective);
        let mut revived = 0;
        for step in 0..5 {
            let before: Vec<[Vec<f64>; 3]> = (0..STAGES).map(|stage| state(&task, stage)).collect();
            let books: Vec<Vec<f64>> = before.iter().map(|[book, ..]| book.clone()).collect();
            let features = facts.shape.features();
            let x = batch(normals(Key::from_seed(50).fold(step), 6 * features), features);
            let outputs = host_f64(&View::evaluation(&task.model, &task.weights).encoder_outputs(&x));
            let mut left = vectors(&outputs, places, 3, maps);
            let kept = recorded(&task, &x, moment(step), 1);
            task.follow(&BTreeMap::from([(MODEL.to_string(), kept)]), moment(step).progress.unwrap());
            for (stage, [_, counts, sums]) in before.into_iter().enumerate() {
                let (mut n, mut m) = (vec![0.0; 5], vec![0.0; 15]);
                let codes: Vec<usize> = left.iter().map(|v| nearest(&books[stage], 3, v)).collect();
                for (v, code) in left.iter().zip(&codes) {
                    n[*code] += 1.0;
                    v.iter().enumerate().for_each(|(k, v)| m[3 * code + k] += v);
                }
                let order = moment(step).key.fold(stage).fold("revive").permutation(left.len());
                for code in 0..5 {
                    n[code] = 0.8 * counts[code] + 0.2 * n[code];
                    let dead = n[code] < 1.5;
                    revived += usize::from(dead);
                    for (k, candidate) in left[order[code % order.len()]].iter().enumerate() {
                        let at = 3 * code + k;
                        m[at] = if dead { *candidate } else { 0.8 * sums[at] + 0.2 * m[at] };
                    }
                    n[code] = if dead { 1.0 } else { n[code] };
                }
                let [book, counts, sums] = state(&task, stage);
                all_close(&counts, &n, 1e-6);
                all_close(&sums, &m, 1e-6);
                let wanted: Vec<f64> = m.iter().enumerate().map(|(at, m)| m / n[at / 3]).collect();
                all_close(&book, &wanted, 1e-5);
                for (v, code) in left.iter_mut().zip(&codes) {
                    (0..3).for_each(|k| v[k] -= books[stage][3 * code + k]);
                }
            }
        }
        assert!(revived > 0);
    }
}

#[test]
fn books_start_as_centres_of_what_is_left_over() {
    let (text, facts, places, maps) = layouts("").into_iter().next_back().unwrap();
    let made = make(&text, &facts).randomised(Key::from_seed(3), 0.7);
    let mut task = Autoencoder::new(made.model, made.weights, made.objective);
    let x = rows(60, 64);
    let choose = |count: usize, key: Key| {
        let mut order = key.permutation(60);
        order.truncate(count);
        Ok(x.select(&order))
    };
    task.start(&choose, Key::from_seed(1)).unwrap();
    // 5 · 32 vectors of 4 places each: 40 rows, chosen as the posterior's key says; it is the third to live.
    let mut order = Key::from_seed(1).fold(2usize).permutation(60);
    order.truncate(40);
    let outputs = host_f64(&View::evaluation(&task.model, &task.weights).encoder_outputs(&x.select(&order)));
    let mut left = vectors(&outputs, places, 3, maps);
    let mut error = left.iter().flatten().map(|r| r * r).sum::<f64>();
    for stage in 0..STAGES {
        let [book, counts, sums] = state(&task, stage);
        assert_eq!(counts, vec![1.0; 5]);
        all_close(&sums, &book, 1e-12);
        let (mut n, mut m) = ([0.0f64; 5], [0.0; 15]);
        let codes: Vec<usize> = left.iter().map(|v| nearest(&book, 3, v)).collect();
        for (v, code) in left.iter().zip(&codes) {
            n[*code] += 1.0;
            v.iter().enumerate().for_each(|(k, v)| m[3 * code + k] += v);
        }
        // Each is the centre of its own cell.
        for (at, e) in book.iter().enumerate() {
            close(m[at] / n[at / 3], *e, 1e-4);
        }
        for (v, code) in left.iter_mut().zip(&codes) {
            (0..3).for_each(|k| v[k] -= book[3 * code + k]);
        }
        let next = left.iter().flatten().map(|r| r * r).sum::<f64>();
        assert!(next < error, "stage {stage}: {next} of {error}");
        error = next;
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    for (own, key, said) in [
        ("stages = 0", "posterior.stages", "0 stages; give 1 to 64"),
        ("stages = 65", "posterior.stages", "65 stages"),
        ("dropout = 1.5", "posterior.dropout", "1.5 is not a share"),
        ("codes = 1", "posterior.codes", "1 codes; give at least 2"),
        ("width = 5", "posterior.width", "don't divide 6"),
        ("decay = 1.0", "posterior.decay", "1 is not a decay"),
    ] {
        let text =
            format!("posterior = {{ kind = 'residual', latent = 6, {own} }}\nprior.kind = 'categorical'");
        let refused = refusal(&text, &two());
        assert!(refused.contains(key) && refused.contains(said), "{refused}");
    }
}
