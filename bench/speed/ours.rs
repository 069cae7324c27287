//! Our side of `bench/speed.sh`: does a piece of work when told to, and says how long it took.
//!
//!     speed train KEY=VALUE …      steps of the training loop as `latent train` runs it
//!     speed score|codes|decode|sample KEY=VALUE …    rows through a model of that configuration
//!     speed peak                   products of two 1024 × 1024 matrices
//!
//! Each line on the standard input is a number of steps or rows; the answer is a line of JSON. Between turns the
//! process sleeps, so that another one can take its turn. `preset=NAME` lays a preset under the other keys.

use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use latent::burn::tensor::{Device as BurnDevice, Tensor, TensorData};
use latent::config::ConfigError;
use latent::data::SampleShape;
use latent::device::Device;
use latent::generate::first_rows;
use latent::member::{Call, Context, Life, Named, Role, Settings};
use latent::network::{Conv, ConvConfig, Dense, DenseConfig, Network, NetworkSettings};
use latent::schemars::{self, JsonSchema};
use latent::train::Event;
use latent::weights::{Init, Initial, WeightId};
use latent::{Activation, Key, Layers, Model, Options, Registry, Training};
use latent_kernels::memory;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

#[global_allocator]
static ALLOCATOR: memory::Counting = memory::Counting;

type Done<T> = Result<T, Box<dyn std::error::Error>>;

/// The network of the second workload: 4 × 4 convolutions of stride 2 to 32, 64, 128 channels, and back by transposed
/// convolutions (or by upsampling and 3 × 3 convolutions).
#[derive(Serialize, Deserialize, Default, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct StridedSettings {
    upsampled: bool,
}

const CHANNELS: [usize; 4] = [3, 32, 64, 128];

struct Strided {
    layers: Vec<(WeightId, WeightId)>,
    head: Dense,
    side: usize,
}

struct Unstrided {
    stem: Dense,
    transposed: Vec<(WeightId, WeightId)>,
    upsampled: Vec<Conv>,
    side: usize,
}

fn side(shape: SampleShape) -> usize {
    match shape {
        SampleShape::Image { height, .. } => height,
        SampleShape::Vector { .. } => 0,
    }
}

impl Named for StridedSettings {
    const KIND: &'static str = "strided";
    const ABOUT: &'static str = "the second workload's";
}

impl Settings<dyn Network> for StridedSettings {
    fn init(&self, context: &Context<'_>, init: &mut Init<'_>) -> Result<Box<dyn Network>, ConfigError> {
        let (from, to) = (context.wiring.from, context.wiring.to);
        Ok(match context.wiring.role {
            Role::Encoder => self.encoder(side(from), to.features(), init),
            Role::Decoder => self.decoder(from.features(), side(to) / 8, init),
        })
    }
}

impl StridedSettings {
    fn encoder(&self, side: usize, outputs: usize, init: &mut Init<'_>) -> Box<dyn Network> {
        let layers = CHANNELS
            .windows(2)
            .map(|c| {
                let mut init = init.scope(format!("down{}", c[1]));
                let law = Initial::glorot(c[0] * 16, c[1] * 16);
                let weight = init.weight("weight", &[c[1], c[0], 4, 4], law);
                (weight, init.weight("bias", &[c[1]], Initial::Constant(0.0)))
            })
            .collect();
        let inputs = CHANNELS[3] * (side / 8) * (side / 8);
        let head = DenseConfig::new(inputs, outputs).init(init, "head");
        Box::new(Strided { layers, head, side })
    }

    fn decoder(&self, latent: usize, side: usize, init: &mut Init<'_>) -> Box<dyn Network> {
        let stem = DenseConfig::new(latent, CHANNELS[3] * side * side).with_activation(Activation::Relu);
        let stem = stem.init(init, "stem");
        let mut network = Unstrided { stem, transposed: Vec::new(), upsampled: Vec::new(), side };
        for c in CHANNELS.windows(2).rev() {
            let (name, activation) = (format!("up{}", c[0]), last_is_plain(c[0]));
            if self.upsampled {
                let conv = ConvConfig::new(c[1], c[0]).with_activation(activation);
                network.upsampled.push(conv.init(init, &name));
                continue;
            }
            let mut init = init.scope(name);
            let law = Initial::glorot(c[1] * 16, c[0] * 16);
            let weight = init.weight("weight", &[c[1], c[0], 4, 4], law);
            network.transposed.push((weight, init.weight("bias", &[c[0]], Initial::Constant(0.0))));
        }
        Box::new(network)
    }
}

fn last_is_plain(channels: usize) -> Activation {
    if channels == CHANNELS[0] { Activation::Identity } else { Activation::Relu }
}

impl Network for Strided {
    fn forward(&self, call: &Call<'_>, input: Tensor<2>) -> Tensor<2> {
        let weights = call.weights;
        let rows = input.dims()[0];
        let map = input.reshape([rows, CHANNELS[0], self.side, self.side]);
        let map = self.layers.iter().fold(map, |map, &(weight, bias)| {
            let (weight, bias) = (weights.get(weight), weights.get(bias));
            latent_kernels::conv2d(map, weight, bias, [2; 2], [1; 2], Activation::Relu)
        });
        self.head.apply(weights, map.flatten(1, 3))
    }
}

impl Network for Unstrided {
    fn forward(&self, call: &Call<'_>, input: Tensor<2>) -> Tensor<2> {
        let weights = call.weights;
        let rows = input.dims()[0];
        let mut map = self.stem.apply(weights, input).reshape([rows, CHANNELS[3], self.side, self.side]);
        for (index, &(weight, bias)) in self.transposed.iter().enumerate() {
            let activation = last_is_plain(CHANNELS[2 - index]);
            let (weight, bias) = (weights.get(weight), weights.get(bias));
            map = latent_kernels::conv_transpose2d(map, weight, bias, [2; 2], [1; 2], [0; 2], activation);
        }
        for conv in &self.upsampled {
            let to = map.dims()[2] * 2;
            map = conv.apply_upsampled(weights, map, [to, to]);
        }
        map.flatten(1, 3)
    }
}

impl Life for Strided {}

impl Life for Unstrided {}

fn registry() -> Registry {
    Registry::default().with::<NetworkSettings, StridedSettings>()
}

/// The next number on the standard input; none at its end.
fn told() -> Done<Option<u64>> {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    Ok(if line.trim().is_empty() { None } else { Some(line.trim().parse()?) })
}

fn say(value: &Value) -> Done<()> {
    println!("{value}");
    Ok(std::io::stdout().flush()?)
}

/// A folder of this process, removed at its end.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        Scratch(std::env::temp_dir().join(format!("latent-speed-{}", std::process::id())))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed is left to the system.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn prepare(keys: &[String], folder: &Path) -> Done<Training> {
    let mut layers = Layers::default();
    // Neither validations nor checkpoints between the steps, unless the keys ask for them.
    for key in ["train.steps=100000000", "train.validate_every=1e9", "train.checkpoint_every=1000000000"] {
        layers.set(key)?;
    }
    for key in keys {
        match key.strip_prefix("preset=") {
            Some(preset) => layers.preset(preset)?,
            None => layers.set(key)?,
        }
    }
    let options = Options { registry: registry(), ..Options::default() };
    Ok(Training::prepare(&layers, folder, options, &mut |_| {})?)
}

/// Steps that each turn takes before the clock starts.
const WARM: u64 = 5;

/// The training loop, asleep between turns.
fn train(keys: &[String]) -> Done<()> {
    let scratch = Scratch::new();
    let mut training = prepare(keys, &scratch.0)?;
    let stop = AtomicBool::new(false);
    // Steps that the turn has left, and those of them that count.
    let (mut left, mut count) = (0, 0);
    let (mut start, mut waiting) = (Instant::now(), Duration::ZERO);
    let mut failed = None;
    training.train(&stop, &mut |event| {
        let waited = match event {
            Event::Started { .. } => None,
            Event::Step { waited, .. } => Some(waited),
            _ => return,
        };
        if let Some(waited) = waited {
            left -= 1;
            waiting += waited;
            if left == count {
                (start, waiting) = (Instant::now(), Duration::ZERO);
            }
            if left > 0 {
                return;
            }
        }
        let answer = json!({
            "seconds": start.elapsed().as_secs_f64(),
            "count": count,
            "waited": waiting.as_secs_f64(),
            "peak": memory::peak(),
        });
        let next = say(&answer).and_then(|()| told());
        memory::reset_peak();
        match next {
            Ok(Some(steps)) => (left, count) = (steps + WARM, steps),
            Ok(None) => stop.store(true, Ordering::Relaxed),
            Err(error) => {
                failed = Some(error);
                stop.store(true, Ordering::Relaxed);
            }
        }
    })?;
    failed.map_or(Ok(()), Err)
}

/// Rows through a model that was trained for a few steps.
fn rows(what: &str, keys: &[String]) -> Done<()> {
    let scratch = Scratch::new();
    let mut training = prepare(keys, &scratch.0)?;
    training.train(&AtomicBool::new(false), &mut |_| {})?;
    let model = Model::load_with(&scratch.0, &Device::cpu(), &registry())?;
    let key = Key::from_seed(1);
    let all = first_rows(&training.data, latent::data::Split::Train, usize::MAX)?;
    let codes = model.encode(&all)?.mean;
    say(&json!({ "ready": true }))?;
    while let Some(count) = told()? {
        let count = count as usize;
        let rows = first_rows(&training.data, latent::data::Split::Train, count)?;
        memory::reset_peak();
        let start = Instant::now();
        let check = match what {
            // 5,000 draws for each row.
            "score" => model.score(&rows, 5000, key)?.iter().map(|s| s.log_p_lower).sum::<f64>(),
            "codes" => f64::from(model.encode(&rows)?.mean.values[0]),
            "decode" => {
                let width = codes.width();
                let some = latent::array::Array::matrix(codes.values[..count * width].to_vec(), width);
                model.decode(&some)?.len() as f64
            }
            _ => model.sample(count, key)?.len() as f64,
        };
        let seconds = start.elapsed().as_secs_f64();
        say(&json!({ "seconds": seconds, "count": count, "check": check, "peak": memory::peak() }))?;
    }
    Ok(())
}

/// Products of 1024 × 1024 matrices: the best of the turn.
fn peak() -> Done<()> {
    let device = BurnDevice::flex();
    let values: Vec<f32> = (0..1 << 20).map(|i| (i % 17) as f32 * 0.1).collect();
    let matrix = || Tensor::<2>::from_data(TensorData::new(values.clone(), [1024, 1024]), &device);
    let (a, b, zero) = (matrix(), matrix(), Tensor::<1>::zeros([1024], &device));
    say(&json!({ "ready": true }))?;
    while let Some(count) = told()? {
        let mut best = f64::INFINITY;
        for _ in 0..count {
            let start = Instant::now();
            let c = latent_kernels::dense(a.clone(), b.clone(), zero.clone(), Activation::Identity);
            std::hint::black_box(c);
            best = best.min(start.elapsed().as_secs_f64());
        }
        say(&json!({ "seconds": best, "count": count }))?;
    }
    Ok(())
}

fn main() -> Done<()> {
    memory::keep_freed_pages();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.split_first() {
        Some((what, keys)) if what == "train" => train(keys),
        Some((what, _)) if what == "peak" => peak(),
        Some((what, keys)) => rows(what, keys),
        None => Err("what to do? train, score, codes, decode, sample or peak".into()),
    }
}
