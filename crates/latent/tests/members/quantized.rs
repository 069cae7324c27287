//! Vector quantisation against a simulation on the host: which code is nearest, what a row costs, where gradients go, how the
//! book moves, and what is drawn from it afterwards.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;

use burn::tensor::Tensor;
use latent::Key;
use latent::batch::{Batch, Latent, Noise, Support};
use latent::data::{Data, DataSettings, Facts, Memory, ValueKind};
use latent::density::Density;
use latent::device::{host, host_f64};
use latent::generate::sampler::{CodeSet, FitOptions, FittedSampler, How};
use latent::member::{Call, Kept, Progress};
use latent::model::{View, log_density_by_enumeration};
use latent::objective::Pass;
use latent::optimizer::MODEL;
use latent::train::{Autoencoder, Event, Moment, Trainable};
use latent::{Layers, Model, Options, Registry, Training};

use crate::common::*;

/// Two positions of a vector, each one of four codes of two numbers.
const TWO: &str = "
    likelihood = { kind = 'normal', scale = 'fixed', sigma = 0.7 }
    posterior = { kind = 'quantized', latent = 4, width = 2, codes = 4 }
    prior = { kind = 'categorical' }
    network = { kind = 'mlp', hidden = [5], activation = 'tanh' }
    objective.terms = { distortion = {}, rate = {}, commitment = { weight = 0.25 } }
";

/// Maps of 2 × 2 places for images of 8 × 8, each place one of six codes of three numbers.
const MAPS: &str = "
    likelihood = { kind = 'normal', scale = 'fixed', sigma = 0.7 }
    posterior = { kind = 'quantized', latent = { channels = 3, factor = 4 }, codes = 6 }
    prior = { kind = 'categorical' }
    network = { kind = 'spatial', channels = [3, 4], norm = 'none', activation = 'tanh' }
    objective.terms = { distortion = {}, rate = {}, commitment = { weight = 0.25 } }
";

pub fn two() -> Facts {
    facts(vector(3), ValueKind::Real)
}

pub fn images() -> Facts {
    facts(latent::data::SampleShape::Image { channels: 1, height: 8, width: 8 }, ValueKind::Real)
}

/// A model whose book is where its outputs are.
fn made(text: &str, facts: &Facts) -> Made {
    let mut made = make(text, facts).randomised(Key::from_seed(3), 0.7);
    let n = made.get("posterior.book").len();
    made.set("posterior.book", &normals(Key::from_seed(4), n));
    made
}

pub fn rows(count: usize, features: usize) -> Batch {
    batch(normals(Key::from_seed(9), count * features), features)
}

/// Which of `book` (rows of `width`) is nearest.
pub fn nearest(book: &[f64], width: usize, vector: &[f64]) -> usize {
    let distance = |e: &[f64]| e.iter().zip(vector).map(|(e, v)| (e - v).powi(2)).sum::<f64>();
    let all: Vec<f64> = book.chunks(width).map(distance).collect();
    (0..all.len()).min_by(|&a, &b| all[a].total_cmp(&all[b])).unwrap()
}

/// The vectors of rows of maps, channel-major, or of rows that are vectors side by side.
pub fn vectors(outputs: &[f64], places: usize, width: usize, maps: bool) -> Vec<Vec<f64>> {
    let at = |row: &[f64], place: usize, k: usize| {
        if maps { row[k * places + place] } else { row[place * width + k] }
    };
    let of = |row: &[f64]| {
        (0..places).map(|p| (0..width).map(|k| at(row, p, k)).collect()).collect::<Vec<Vec<f64>>>()
    };
    outputs.chunks(places * width).flat_map(of).collect()
}

/// y = tanh(x W₀ + b₀) W₁ + b₁ of one row.
pub fn mlp(made: &Made, of: &str, x: &[f64]) -> Vec<f64> {
    let affine = |layer: usize, x: &[f64]| {
        let (w, b) = (made.get(&format!("{of}.{layer}.weight")), made.get(&format!("{of}.{layer}.bias")));
        let n = b.len();
        (0..n).map(|j| b[j] + x.iter().enumerate().map(|(i, x)| x * w[i * n + j]).sum::<f64>()).collect()
    };
    let hidden: Vec<f64> = affine(0, x);
    affine(1, &hidden.into_iter().map(f64::tanh).collect::<Vec<_>>())
}

#[test]
fn two_positions_of_four_codes_are_enumerated() {
    let made = made(TWO, &two());
    let book = made.get("posterior.book");
    let x = rows(6, 3);
    let found = host_f64(&log_density_by_enumeration(&made.view(), &x).unwrap());
    let exact = |x: &[f64]| {
        let code = |code: usize| {
            let (i, j) = (code / 4, code % 4);
            let seen = [&book[2 * i..2 * i + 2], &book[2 * j..2 * j + 2]].concat();
            let y = mlp(&made, "decoder", &seen);
            let fits: f64 = x.iter().zip(&y).map(|(x, y)| log_normal(*x, *y, 0.49)).sum();
            fits - 16f64.ln()
        };
        log_sum(&(0..16).map(code).collect::<Vec<_>>())
    };
    let wanted: Vec<f64> = host_f64(&x.x).chunks(3).map(exact).collect();
    // σ² is kept in single precision.
    all_close(&found, &wanted, 1e-6);
}

#[test]
fn the_bound_is_the_distortion_of_the_nearest_codes_and_two_ln_four() {
    let made = made(TWO, &two());
    let (x, book) = (rows(40, 3), made.get("posterior.book"));
    let pass = Pass::new(made.view(), &x, 1, Key::from_seed(1));
    let rate = pass.rate().unwrap();
    assert!(rate.exact);
    all_close(&host_f64(&rate.total), &[2.0 * 4f64.ln(); 40], 1e-15);
    let mut used = [0; 4];
    let distortion: Vec<f64> = host_f64(&x.x)
        .chunks(3)
        .map(|x| {
            let f = mlp(&made, "encoder", x);
            let codes: Vec<usize> = f.chunks(2).map(|v| nearest(&book, 2, v)).collect();
            codes.iter().for_each(|&code| used[code] += 1);
            let seen: Vec<f64> = codes.iter().flat_map(|&c| book[2 * c..2 * c + 2].to_vec()).collect();
            let y = mlp(&made, "decoder", &seen);
            -x.iter().zip(&y).map(|(x, y)| log_normal(*x, *y, 0.49)).sum::<f64>()
        })
        .collect();
    assert!(used.iter().filter(|&&n| n > 0).count() > 2, "{used:?}");
    all_close(&host_f64(pass.distortion()), &distortion, 1e-6);
    let loss = made.objective.loss(&pass, None);
    let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
    let term = |name: &str| host_f64(&loss.terms.iter().find(|(n, _)| n == name).unwrap().1)[0];
    close(term("distortion"), mean(&distortion), 1e-6);
    close(term("rate"), 2.0 * 4f64.ln(), 1e-15);
    close(host_f64(&loss.total)[0], term("distortion") + term("rate") + 0.25 * term("commitment"), 1e-12);
    // Each draw weighs the same, so that the importance-weighted bound is this one.
    let weights = host_f64(&Pass::new(made.view(), &x, 3, Key::from_seed(1)).log_weights().unwrap());
    for (draw, log_w) in weights.iter().enumerate() {
        close(*log_w, -(distortion[draw % 40] + 2.0 * 4f64.ln()), 1e-6);
    }
}

#[test]
fn the_nearest_code_is_the_nearest_in_either_layout() {
    for (text, facts, places, width, maps) in [(TWO, two(), 2, 2, false), (MAPS, images(), 4, 3, true)] {
        let made = made(text, &facts);
        let block = &made.model.latent.blocks[0];
        let shape = if maps { vec![2, 2] } else { vec![2] };
        assert_eq!((&block.shape, made.model.latent.dims()), (&shape, places));
        assert!(matches!(block.support, Support::Index(_)));
        let book = made.get("posterior.book");
        let x = rows(5, facts.shape.features());
        // Outputs of any size, not only those that this encoder gives.
        let outputs = normals(Key::from_seed(6), 5 * places * width);
        let q = made.model.posterior.density(&made.view(), &x, matrix(outputs.clone(), places * width));
        let wanted: Vec<f64> =
            vectors(&outputs, places, width, maps).iter().map(|v| nearest(&book, width, v) as f64).collect();
        assert_eq!(host_f64(&q.centre().z), wanted);
        // What the decoder sees: the code of each place, laid out as the outputs were.
        let draw = q.draw(2, Noise::new(Key::from_seed(1), &x.ids));
        let seen = vectors(&host_f64(draw.features.as_ref().unwrap()), places, width, maps);
        for (place, seen) in seen.iter().enumerate() {
            let code = wanted[place % wanted.len()] as usize;
            all_close(seen, &book[code * width..(code + 1) * width], 1e-12);
        }
        // P(z) is 1 at the index and 0 elsewhere.
        let mut other = wanted.clone();
        other[0] = (other[0] + 1.0) % 4.0;
        let log_q = log_density(q.as_ref(), wanted.clone(), places);
        assert_eq!(log_q, vec![0.0; 5]);
        assert_eq!(log_density(q.as_ref(), other, places)[0], f64::NEG_INFINITY);
        // Stored indices look as drawn ones did.
        let stored = made.view().decode(&Latent::new(draw.z.z.clone()), x.given());
        let drawn = made.view().decode_draw(&draw, x.given());
        all_close(&host_f64(&drawn), &host_f64(&stored), 1e-12);
        let wild = Latent::new(matrix(vec![-3.0; places], places));
        let low = Latent::new(matrix(vec![0.0; places], places));
        assert_eq!(
            host_f64(&made.view().mean(&wild, Batch::given(&x))),
            host_f64(&made.view().mean(&low, x.given()))
        );
    }
}

/// The gradient of a function of the encoder's outputs, there.
pub fn gradient_at_outputs(
    made: &Made,
    x: &Batch,
    outputs: &[f64],
    value: impl Fn(&dyn Density) -> Tensor<1>,
) -> Vec<f64> {
    let width = outputs.len() / x.len();
    let leaf = matrix(outputs.to_vec(), width).autodiff().require_grad();
    let q = made.model.posterior.density(&made.view(), x, leaf.clone());
    let mut gradients = value(q.as_ref()).sum().backward();
    host_f64(&leaf.grad_remove(&mut gradients).unwrap())
}

#[test]
fn the_gradient_passes_straight_through_the_book() {
    for (text, facts) in [(TWO, two()), (MAPS, images())] {
        let made = made(text, &facts);
        let x = rows(3, facts.shape.features());
        let outputs = host_f64(&made.view().encoder_outputs(&x));
        let width = outputs.len() / 3;
        let noise = Noise::new(Key::from_seed(1), &x.ids);
        let found = gradient_at_outputs(&made, &x, &outputs, |q| {
            let seen = made.view().decode_draw(&q.draw(1, noise), x.given());
            made.model.likelihood.log_density(&made.view(), seen, &x)
        });
        // The same at the decoder's input by finite differences: with the codes held where they are.
        let q = made.view().encode(&x);
        let seen = host_f64(&q.draw(1, noise).features.unwrap());
        let at = |seen: Vec<f64>| {
            let call = Call::evaluation(&made.weights);
            let outputs = made.model.decoder.forward(&call, matrix(seen, width));
            host_f64(&made.model.likelihood.log_density(&made.view(), outputs, &x)).iter().sum::<f64>()
        };
        let h = 1e-5;
        let wanted: Vec<f64> = (0..seen.len())
            .map(|i| {
                let moved = |by: f64| {
                    let mut seen = seen.clone();
                    seen[i] += by;
                    at(seen)
                };
                (moved(h) - moved(-h)) / (2.0 * h)
            })
            .collect();
        assert!(wanted.iter().any(|g| g.abs() > 0.1), "{wanted:?}");
        all_close(&found, &wanted, 1e-6);
    }
}

#[test]
fn commitment_pulls_outputs_to_their_codes_and_nothing_to_outputs() {
    for (text, facts, places, width, maps) in [(TWO, two(), 2, 2, false), (MAPS, images(), 4, 3, true)] {
        let made = made(text, &facts);
        let x = rows(4, facts.shape.features());
        let outputs = normals(Key::from_seed(6), 4 * places * width);
        let book = made.get("posterior.book");
        let all = vectors(&outputs, places, width, maps);
        let off: Vec<Vec<f64>> = all
            .iter()
            .map(|v| {
                let code = nearest(&book, width, v);
                v.iter().zip(&book[code * width..]).map(|(v, e)| v - e).collect()
            })
            .collect();
        let square = |off: &[Vec<f64>]| off.iter().flatten().map(|v| v * v).sum::<f64>();
        let wanted: Vec<f64> = off.chunks(places).map(square).collect();
        let q = made.model.posterior.density(&made.view(), &x, matrix(outputs.clone(), places * width));
        all_close(&host_f64(&q.commitment().unwrap()), &wanted, 1e-12);
        let found = gradient_at_outputs(&made, &x, &outputs, |q| q.commitment().unwrap());
        let twice: Vec<f64> = off.iter().flatten().map(|v| 2.0 * v).collect();
        all_close(&vectors(&found, places, width, maps).concat(), &twice, 1e-12);
        // No gradient moves the book.
        let (_, weight) = made.weights.iter().find(|(_, w)| w.path() == "posterior.book").unwrap();
        assert!(!weight.is_trained() && !weight.is_training_only());
        let training_only: Vec<&str> =
            made.weights.iter().filter(|(_, w)| w.is_training_only()).map(|(_, w)| w.path()).collect();
        assert_eq!(training_only, ["posterior.counts", "posterior.sums"]);
    }
}

/// The book on the host: N, m and e.
struct Book {
    counts: Vec<f64>,
    sums: Vec<f64>,
    book: Vec<f64>,
    width: usize,
}

impl Book {
    fn of(task: &Autoencoder, width: usize) -> Self {
        let get = |path: &str| {
            let (_, weight) = task.weights.iter().find(|(_, w)| w.path() == path).unwrap();
            host_f64(&weight.flat())
        };
        Self {
            counts: get("posterior.counts"),
            sums: get("posterior.sums"),
            book: get("posterior.book"),
            width,
        }
    }

    /// One step on these vectors; `order` is whom the dead are revived as.
    fn follow(&mut self, vectors: &[Vec<f64>], decay: f64, revive: f64, order: &[usize]) -> usize {
        let (codes, width) = (self.counts.len(), self.width);
        let (mut n, mut m) = (vec![0.0; codes], vec![0.0; codes * width]);
        for v in vectors {
            let code = nearest(&self.book, width, v);
            n[code] += 1.0;
            v.iter().enumerate().for_each(|(k, v)| m[code * width + k] += v);
        }
        let mut revived = 0;
        for code in 0..codes {
            self.counts[code] = decay * self.counts[code] + (1.0 - decay) * n[code];
            let vector = &vectors[order[code % order.len()]];
            let dead = self.counts[code] < revive;
            revived += usize::from(dead);
            for (k, candidate) in vector.iter().enumerate() {
                let at = code * width + k;
                self.sums[at] = decay * self.sums[at] + (1.0 - decay) * m[at];
                if dead {
                    self.sums[at] = *candidate;
                }
            }
            if dead {
                self.counts[code] = 1.0;
            }
            for k in 0..width {
                self.book[code * width + k] = self.sums[code * width + k] / self.counts[code];
            }
        }
        revived
    }
}

pub fn task(text: &str, facts: &Facts) -> Autoencoder {
    let made = made(text, facts);
    let mut task = Autoencoder::new(made.model, made.weights, made.objective);
    // The moving sums belong to the book.
    let id = |task: &Autoencoder, path: &str| task.weights.iter().find(|(_, w)| w.path() == path).unwrap().0;
    let values = host(&task.weights.get::<2>(id(&task, "posterior.book")));
    let sums = id(&task, "posterior.sums");
    task.weights.set_values(sums, values.clone());
    let book = id(&task, "posterior.book");
    task.weights.set_values(book, values);
    task
}

pub fn moment(step: u64) -> Moment {
    let progress = Progress { step, steps_per_epoch: 10, total: 100 };
    Moment { progress: Some(progress), key: Key::from_seed(77).fold("step").fold(step) }
}

/// What a step records, computed in that many parts, as training does.
pub fn recorded(task: &Autoencoder, batch: &Batch, moment: Moment, parts: usize) -> Kept {
    let mut kept = Kept::default();
    let player = &task.players()[0];
    for part in 0..parts {
        let (from, to) = (part * batch.len() / parts, (part + 1) * batch.len() / parts);
        let piece = batch.slice(from, to - from);
        kept.merge(task.loss(player, &task.weights, &piece, moment).unwrap().kept);
    }
    kept
}

#[test]
fn the_book_follows_by_moving_averages_and_dead_codes_revive() {
    for (text, facts, places, width, maps) in [(TWO, two(), 2, 2, false), (MAPS, images(), 4, 3, true)] {
        for (decay, revive) in [(0.9, 0.0), (0.6, 2.0)] {
            let text = text.replace(" codes =", &format!(" decay = {decay}, revive = {revive}, codes ="));
            let mut task = task(&text, &facts);
            let mut host_book = Book::of(&task, width);
            let mut revived = 0;
            for step in 0..6 {
                let key = Key::from_seed(50).fold(step);
                let features = facts.shape.features();
                let x = batch(normals(key, 7 * features), features);
                let outputs = host_f64(&View::evaluation(&task.model, &task.weights).encoder_outputs(&x));
                let vectors = vectors(&outputs, places, width, maps);
                let moment = moment(step);
                let kept = recorded(&task, &x, moment, 1);
                let order = moment.key.fold("revive").permutation(vectors.len());
                revived += host_book.follow(&vectors, decay, revive, &order);
                task.follow(&BTreeMap::from([(MODEL.to_string(), kept)]), moment.progress.unwrap());
                let found = Book::of(&task, width);
                all_close(&found.counts, &host_book.counts, 1e-6);
                all_close(&found.sums, &host_book.sums, 1e-6);
                all_close(&found.book, &host_book.book, 1e-5);
            }
            assert_eq!(revived > 0, revive > 0.0, "{revived}");
        }
    }
}

#[test]
fn parts_of_a_batch_move_the_book_as_the_whole_does() {
    let (whole, parts) = (task(MAPS, &images()), task(MAPS, &images()));
    let x = rows(9, 64);
    let books = [(whole, 1), (parts, 4)].map(|(mut task, parts)| {
        let kept = recorded(&task, &x, moment(0), parts);
        task.follow(&BTreeMap::from([(MODEL.to_string(), kept)]), moment(0).progress.unwrap());
        Book::of(&task, 3)
    });
    all_close(&books[1].counts, &books[0].counts, 1e-6);
    all_close(&books[1].book, &books[0].book, 1e-6);
    // The whole way through training.
    let run = |accumulate: usize| {
        let mut training = training(&format!("train.accumulate={accumulate}"), None);
        training.train(&AtomicBool::new(false), &mut |_| {}).unwrap();
        Book::of(&training.task, 3)
    };
    let (one, two) = (run(1), run(2));
    all_close(&two.counts, &one.counts, 1e-4);
    all_close(&two.book, &one.book, 1e-3);
}

/// Three kinds of stripes on images of 8 × 8.
pub fn stripes() -> Memory {
    let noise = normals(Key::from_seed(2), 160 * 64);
    let pixel = |i: usize| {
        let (row, at) = (i / 64, i % 64);
        let phase = [at / 8, at % 8, at / 8 + at % 8][row % 3];
        (f64::from(u8::from(phase % 4 < 2)) + 0.05 * noise[i]) as f32
    };
    Memory::images((0..160 * 64).map(pixel).collect::<Vec<f32>>(), 1, 8, 8)
}

/// A small run on stripes, in memory.
fn training(own: &str, init_from: Option<&std::path::Path>) -> Training {
    let mut layers = Layers::default();
    let text = "likelihood={kind='normal', scale='fixed', sigma=0.3}
        posterior={kind='quantized', latent={channels=3, factor=4}, codes=6, revive=0.0}
        prior={kind='categorical'}
        network={kind='spatial', channels=[3, 4], norm='none'}
        objective.terms={distortion={}, rate={}, commitment={weight=0.25}}
        train.batch=16
        train.epochs=3";
    for line in text.lines().chain(own.lines()).map(str::trim).filter(|line| !line.is_empty()) {
        layers.set(line).unwrap();
    }
    let settings = DataSettings::default();
    let data = Data::from_memory(stripes(), &settings, Key::from_seed(1), &mut |_| {}).unwrap();
    Training::in_memory(&layers, data, Options { init_from, ..Options::default() }, &mut |_| {}).unwrap()
}

#[test]
fn the_book_starts_as_keyed_centres_and_filled_ones_stay() {
    let facts = images();
    let x = rows(60, 64);
    let start = |task: &mut Autoencoder, key: Key| {
        let choose = |count: usize, key: Key| {
            let mut order = key.permutation(60);
            order.truncate(count);
            Ok(x.select(&order))
        };
        task.start(&choose, key).unwrap();
        Book::of(task, 3)
    };
    let mut fresh = task(MAPS, &facts);
    let found = start(&mut fresh, Key::from_seed(1));
    assert_eq!(found.book, start(&mut task(MAPS, &facts), Key::from_seed(1)).book);
    assert_ne!(found.book, start(&mut task(MAPS, &facts), Key::from_seed(2)).book);
    all_close(&found.sums, &found.book, 1e-12);
    assert_eq!(found.counts, vec![1.0; 6]);
    // 6 · 32 vectors are wanted and 48 rows of 4 places have as many: the centres of their own cells.
    let order = |key: Key| {
        let mut order = key.permutation(60);
        order.truncate(48);
        order
    };
    let outputs = |rows: &[usize]| {
        host_f64(&View::evaluation(&fresh.model, &fresh.weights).encoder_outputs(&x.select(rows)))
    };
    // The posterior is the third to live.
    let all = vectors(&outputs(&order(Key::from_seed(1).fold(2usize))), 4, 3, true);
    let (mut n, mut m) = (vec![0.0; 6], vec![0.0; 18]);
    for v in &all {
        let code = nearest(&found.book, 3, v);
        n[code] += 1.0;
        v.iter().enumerate().for_each(|(k, v)| m[3 * code + k] += v);
    }
    let centres: Vec<f64> = m.iter().enumerate().map(|(at, m)| m / n[at / 3]).collect();
    all_close(&found.book, &centres, 1e-5);
    // Another model has filled it already.
    let mut filled = task(MAPS, &facts);
    let before = Book::of(&filled, 3);
    filled.filled =
        filled.weights.iter().filter(|(_, w)| w.path() == "posterior.book").map(|(id, _)| id).collect();
    assert_eq!(start(&mut filled, Key::from_seed(1)).book, before.book);

    // The same through a file.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let mut first = training("", None);
    first.train(&AtomicBool::new(false), &mut |_| {}).unwrap();
    Model::save(&first.run, &first.task.weights, &path).unwrap();
    let mut second = training("train.steps=1\nposterior.decay=0.9999\nseed=5", Some(&path));
    let taken = Book::of(&second.task, 3);
    all_close(&taken.book, &Book::of(&first.task, 3).book, 1e-12);
    let rows = |_: usize, _: Key| -> Result<Batch, latent::data::DataError> { panic!("rows are read") };
    second.task.start(&rows, Key::from_seed(1)).unwrap();
    assert_eq!(Book::of(&second.task, 3).book, taken.book);
}

#[test]
fn validation_says_how_much_of_the_book_is_in_use() {
    let mut training = training("", None);
    let mut lines = Vec::new();
    training
        .train(&AtomicBool::new(false), &mut |event| {
            if let Event::Validated { line, .. } = event {
                lines.push((*line).clone());
            }
        })
        .unwrap();
    let data = training.data.clone();
    let model = training.into_model().unwrap();
    let positions: Vec<usize> = (0..data.len(latent::data::Split::Validation)).collect();
    let rows = data.rows(latent::data::Split::Validation, &positions, 0).unwrap();
    let codes = model.encode(&rows).unwrap().mean;
    let mut shares = [0.0; 6];
    codes.values.iter().for_each(|&code| shares[code as usize] += 1.0 / codes.values.len() as f64);
    let entropy: f64 = shares.iter().filter(|p| **p > 0.0).map(|p| -p * p.ln()).sum();
    // The kept weights are the best of the run.
    let best = lines.iter().min_by(|a, b| a.get("loss").unwrap().total_cmp(&b.get("loss").unwrap())).unwrap();
    close(best.get("perplexity").unwrap(), entropy.exp(), 1e-6);
    close(best.get("codes_used").unwrap(), shares.iter().filter(|p| **p > 0.0).count() as f64, 1e-12);
    assert!(best.get("active_units").is_none() && best.get("commitment").unwrap() > 0.0);
    close(best.get("rate").unwrap(), 4.0 * 6f64.ln(), 1e-6);
}

#[test]
fn a_sampler_of_indices_is_fitted_saved_loaded_and_drawn_from() {
    let mut training = training("", None);
    training.train(&AtomicBool::new(false), &mut |_| {}).unwrap();
    let data = training.data.clone();
    let model = training.into_model().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    Model::save(&model.run().unwrap(), &model.weights, &path).unwrap();
    let model = Model::load(&path).unwrap();
    let registry = Registry::default();
    let codes = CodeSet::of(&model, &data, 1000, Key::from_seed(1), &|_| ()).unwrap();
    let whole = |codes: &[f32]| codes.iter().all(|v| v.fract() == 0.0 && (0.0..6.0).contains(v));
    assert!(whole(&codes.train.values));
    let table = "kind = 'autoregressive'\nhidden = [24]\nembedding = 4\nsteps = 200".parse().unwrap();
    let options = FitOptions { seed: 1, minutes: None, registry: &registry, progress: &|_, _| () };
    let fitted = FittedSampler::fit(&model, &codes, &table, &options).unwrap();
    fitted.save(&model, folder.path()).unwrap();
    let loaded = FittedSampler::load(&model, folder.path(), "autoregressive", &registry).unwrap();
    let draw = |sampler: &FittedSampler| {
        let told = model.told(300, Key::from_seed(2)).unwrap();
        sampler.draw_told(&model, &told, &How::default(), Key::from_seed(3)).unwrap().values
    };
    let drawn = draw(&fitted);
    assert!(whole(&drawn) && drawn == draw(&loaded));
    // It has learned which codes stand beside which: codes of the data are likelier than independent uniform ones.
    let held_out = loaded.log_density(&model, &codes.validation.values).unwrap();
    let mean = held_out.iter().sum::<f64>() / held_out.len() as f64;
    assert!(mean > -4.0 * 6f64.ln() + 1.0, "{mean}");
    // All codes together have probability 1.
    let all: Vec<f32> = (0..1296)
        .flat_map(|c: i32| [c / 216, c / 36 % 6, c / 6 % 6, c % 6])
        .map(|index| index as f32)
        .collect();
    let total: f64 = loaded.log_density(&model, &all).unwrap().into_iter().map(f64::exp).sum();
    close(total, 1.0, 1e-4);
}
