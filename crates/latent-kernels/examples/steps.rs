//! Times whole training steps, fused against plain, in turn: median milliseconds and their ratio.
//!
//!     cargo run --release --workspace --example steps [name part] [seconds] [fused|plain]
//!     cargo run --release --workspace --example steps each [name part] [seconds]
//!     cargo run --release --workspace --example steps serve NAME
//!
//! The last column is a hash of the losses and of all final parameters, which says whether two runs agree. `each` times
//! the fused step against the same step with one kernel plain: what that kernel brings. `serve` takes as many steps as
//! each line of the standard input says, and answers with the seconds.

use std::time::Instant;

use burn::Tensor;
use burn::tensor::{Device, TensorData};
use latent_kernels::{Activation, AdamStep, memory, plain};

#[global_allocator]
static ALLOCATOR: memory::Counting = memory::Counting;

/// Which functions are fused.
#[derive(Clone, Copy, PartialEq)]
struct Fused {
    dense: bool,
    convolution: bool,
    posterior: bool,
    distortion: bool,
    adam: bool,
}

impl Fused {
    const ALL: Fused = Fused::new(true);
    const NONE: Fused = Fused::new(false);

    const fn new(fused: bool) -> Self {
        Fused { dense: fused, convolution: fused, posterior: fused, distortion: fused, adam: fused }
    }

    /// All but one, with its name.
    const fn but_one() -> [(&'static str, Fused); 5] {
        [
            ("dense", Fused { dense: false, ..Fused::ALL }),
            ("convolution", Fused { convolution: false, ..Fused::ALL }),
            ("draw and rate", Fused { posterior: false, ..Fused::ALL }),
            ("distortion", Fused { distortion: false, ..Fused::ALL }),
            ("Adam", Fused { adam: false, ..Fused::ALL }),
        ]
    }
}

/// A parameter with its moments.
struct Leaf<const D: usize> {
    state: Option<[Tensor<D>; 3]>,
    live: Option<Tensor<D>>,
    shape: [usize; D],
}

impl<const D: usize> Leaf<D> {
    fn new(shape: [usize; D], scale: f32, numbers: &mut Numbers) -> Self {
        let values = numbers.array(shape, scale);
        let zeros = || Tensor::zeros(shape, &Device::flex());
        Leaf { state: Some([values, zeros(), zeros()]), live: None, shape }
    }

    /// The parameter as a leaf of this step's graph.
    fn live(&mut self) -> Tensor<D> {
        let [value, first, second] = self.state.take().expect("between steps");
        self.state = Some([first.clone(), first, second]);
        let live = value.autodiff().require_grad();
        self.live = Some(live.clone());
        live
    }

    /// Parameter, gradient and moments, handed over to the step.
    fn give(&mut self, gradients: &mut burn::tensor::Gradients) -> [Tensor<1>; 4] {
        let live = self.live.take().expect("in a step");
        let gradient = live.grad_remove(gradients).expect("the parameter was used");
        let [placeholder, first, second] = self.state.take().expect("in a step");
        drop(placeholder);
        self.shape = live.dims();
        let length = self.shape.iter().product::<usize>();
        [live.inner(), gradient, first, second].map(|tensor| tensor.reshape([length]))
    }

    /// What the step gives back.
    fn take(&mut self, moved: [Tensor<1>; 3]) {
        self.state = Some(moved.map(|tensor| tensor.reshape(self.shape)));
    }

    fn value(&self) -> Tensor<D> {
        self.state.as_ref().expect("between steps")[0].clone()
    }
}

/// A layer of either kind: its weight and its bias.
struct Layer<const D: usize> {
    weight: Leaf<D>,
    bias: Leaf<1>,
}

impl<const D: usize> Layer<D> {
    fn new(shape: [usize; D], fan_in: usize, outputs: usize, numbers: &mut Numbers) -> Self {
        let scale = (1.0 / fan_in as f32).sqrt();
        Layer { weight: Leaf::new(shape, scale, numbers), bias: Leaf::new([outputs], 0.01, numbers) }
    }

    fn give(&mut self, gradients: &mut burn::tensor::Gradients, all: &mut Vec<[Tensor<1>; 4]>) {
        all.push(self.weight.give(gradients));
        all.push(self.bias.give(gradients));
    }

    fn take(&mut self, moved: &mut impl Iterator<Item = [Tensor<1>; 3]>) {
        self.weight.take(moved.next().expect("a weight"));
        self.bias.take(moved.next().expect("a bias"));
    }
}

/// Adam over all layers of both kinds.
fn update(
    dense: &mut [Layer<2>],
    convolutions: &mut [&mut [Layer<4>]],
    mut gradients: burn::tensor::Gradients,
    step: &AdamStep,
    fused: Fused,
) {
    let mut all = Vec::new();
    dense.iter_mut().for_each(|layer| layer.give(&mut gradients, &mut all));
    convolutions.iter_mut().flat_map(|c| c.iter_mut()).for_each(|layer| layer.give(&mut gradients, &mut all));
    let moved = match fused.adam {
        true => latent_kernels::adam_each(all, step),
        false => all.into_iter().map(|[p, g, m, v]| plain::adam(p, g, m, v, step)).collect(),
    };
    let mut moved = moved.into_iter();
    dense.iter_mut().for_each(|layer| layer.take(&mut moved));
    convolutions.iter_mut().flat_map(|c| c.iter_mut()).for_each(|layer| layer.take(&mut moved));
}

fn dense_layer(fan_in: usize, outputs: usize, numbers: &mut Numbers) -> Layer<2> {
    Layer::new([fan_in, outputs], fan_in, outputs, numbers)
}

impl Layer<2> {
    fn forward(&mut self, x: Tensor<2>, activation: Activation, fused: Fused) -> Tensor<2> {
        let dense = if fused.dense { latent_kernels::dense } else { plain::dense };
        dense(x, self.weight.live(), self.bias.live(), activation)
    }
}

impl Layer<4> {
    fn conv(&mut self, x: Tensor<4>, activation: Activation, fused: Fused) -> Tensor<4> {
        let conv = if fused.convolution { latent_kernels::conv2d } else { plain::conv2d };
        conv(x, self.weight.live(), self.bias.live(), [2, 2], [1, 1], activation)
    }

    fn transposed(&mut self, x: Tensor<4>, activation: Activation, fused: Fused) -> Tensor<4> {
        let conv = if fused.convolution { latent_kernels::conv_transpose2d } else { plain::conv_transpose2d };
        conv(x, self.weight.live(), self.bias.live(), [2, 2], [1, 1], [0, 0], activation)
    }

    fn upsampled(&mut self, x: Tensor<4>, activation: Activation, fused: Fused) -> Tensor<4> {
        let size = [x.dims()[2] * 2, x.dims()[3] * 2];
        let conv = if fused.convolution {
            latent_kernels::upsample_nearest_conv2d
        } else {
            plain::upsample_nearest_conv2d
        };
        conv(x, size, self.weight.live(), self.bias.live(), [1, 1], activation)
    }
}

/// A model that can take a step; returns the loss.
trait Model {
    fn step(&mut self, step: &AdamStep, fused: Fused) -> f32;
    fn hash(&self, hash: &mut u64);
}

fn draw(fused: Fused) -> fn(Tensor<2>, Tensor<2>, Tensor<2>) -> Tensor<2> {
    if fused.posterior { latent_kernels::reparameterise } else { plain::reparameterise }
}

fn rate(fused: Fused) -> fn(Tensor<2>, Tensor<2>) -> Tensor<2> {
    if fused.posterior { latent_kernels::standard_normal_rate } else { plain::standard_normal_rate }
}

fn distortion(fused: Fused) -> fn(Tensor<2>, Tensor<2>) -> Tensor<1> {
    if fused.distortion { latent_kernels::bernoulli_distortion } else { plain::bernoulli_distortion }
}

/// 784-400-20, relu, batch 128.
struct Mlp {
    layers: Vec<Layer<2>>,
    x: Tensor<2>,
    noise: Tensor<2>,
}

impl Mlp {
    fn new() -> Self {
        let numbers = &mut Numbers(1);
        let sizes = [(784, 400), (400, 20), (400, 20), (20, 400), (400, 784)];
        let layers = sizes.map(|(i, o)| dense_layer(i, o, numbers)).into();
        Mlp { layers, x: numbers.pixels([128, 784]), noise: numbers.array([128, 20], 1.0) }
    }
}

impl Model for Mlp {
    fn step(&mut self, step: &AdamStep, fused: Fused) -> f32 {
        let [hidden, mean, variance, up, out] = &mut self.layers[..] else { unreachable!() };
        let h = hidden.forward(self.x.clone().autodiff(), Activation::Relu, fused);
        let mean = mean.forward(h.clone(), Activation::Identity, fused);
        let variance = variance.forward(h, Activation::Identity, fused);
        let z = draw(fused)(mean.clone(), variance.clone(), self.noise.clone());
        let rate = rate(fused)(mean, variance).sum();
        let h = up.forward(z, Activation::Relu, fused);
        let logits = out.forward(h, Activation::Identity, fused);
        let distortion = distortion(fused)(logits, self.x.clone()).sum();
        let loss = (distortion + rate) / 128.0;
        update(&mut self.layers, &mut [], loss.backward(), step, fused);
        loss.into_scalar::<f32>()
    }

    fn hash(&self, hash: &mut u64) {
        self.layers.iter().for_each(|layer| {
            absorb(hash, layer.weight.value());
            absorb(hash, layer.bias.value());
        });
    }
}

/// 784-200-200-50, tanh, batch 20, k draws.
struct Iwae {
    layers: Vec<Layer<2>>,
    x: Tensor<2>,
    noise: Tensor<2>,
    draws: usize,
}

impl Iwae {
    fn new(draws: usize) -> Self {
        let numbers = &mut Numbers(2);
        let sizes = [(784, 200), (200, 200), (200, 50), (200, 50), (50, 200), (200, 200), (200, 784)];
        let layers = sizes.map(|(i, o)| dense_layer(i, o, numbers)).into();
        Iwae { layers, x: numbers.pixels([20, 784]), noise: numbers.array([20 * draws, 50], 1.0), draws }
    }
}

impl Model for Iwae {
    fn step(&mut self, step: &AdamStep, fused: Fused) -> f32 {
        let [one, two, mean, variance, three, four, out] = &mut self.layers[..] else { unreachable!() };
        let h = one.forward(self.x.clone().autodiff(), Activation::Tanh, fused);
        let h = two.forward(h, Activation::Tanh, fused);
        let mean = mean.forward(h.clone(), Activation::Identity, fused);
        let variance = variance.forward(h, Activation::Identity, fused);
        let z = draw(fused)(mean.clone(), variance.clone(), self.noise.clone());
        let h = three.forward(z.clone(), Activation::Tanh, fused);
        let h = four.forward(h, Activation::Tanh, fused);
        let logits = out.forward(h, Activation::Identity, fused);
        let distortion = distortion(fused)(logits, self.x.clone());
        let bound = if fused.posterior {
            let rate = latent_kernels::normal_log_density(z.clone(), mean, variance)
                - latent_kernels::standard_normal_log_density(z);
            latent_kernels::log_mean_exp(rate.neg() - distortion, self.draws)
        } else {
            let rate =
                plain::normal_log_density(z.clone(), mean, variance) - plain::standard_normal_log_density(z);
            plain::log_mean_exp(rate.neg() - distortion, self.draws)
        };
        let loss = bound.mean().neg();
        update(&mut self.layers, &mut [], loss.backward(), step, fused);
        loss.into_scalar::<f32>()
    }

    fn hash(&self, hash: &mut u64) {
        self.layers.iter().for_each(|layer| {
            absorb(hash, layer.weight.value());
            absorb(hash, layer.bias.value());
        });
    }
}

/// 3 × 32 × 32: 4 × 4 stride 2 to 32-64-128, z 64, batch 64; the decoder transposed or upsampled.
struct Conv {
    encoder: Vec<Layer<4>>,
    decoder: Vec<Layer<4>>,
    dense: Vec<Layer<2>>,
    x: Tensor<4>,
    noise: Tensor<2>,
    upsampled: bool,
}

impl Conv {
    fn new(upsampled: bool) -> Self {
        let numbers = &mut Numbers(3);
        let channels = [(3, 32), (32, 64), (64, 128)];
        let encoder = channels.map(|(i, o)| Layer::new([o, i, 4, 4], i * 16, o, numbers)).into();
        let decoder = channels.map(|(o, i)| match upsampled {
            true => Layer::new([o, i, 3, 3], i * 9, o, numbers),
            false => Layer::new([i, o, 4, 4], i * 4, o, numbers),
        });
        let dense = [(2048, 64), (2048, 64), (64, 2048)].map(|(i, o)| dense_layer(i, o, numbers)).into();
        let x = numbers.pixels([64, 3 * 32 * 32]).reshape([64, 3, 32, 32]);
        Conv { encoder, decoder: decoder.into(), dense, x, noise: numbers.array([64, 64], 1.0), upsampled }
    }
}

impl Model for Conv {
    fn step(&mut self, step: &AdamStep, fused: Fused) -> f32 {
        let mut h = self.x.clone().autodiff();
        for layer in &mut self.encoder {
            h = layer.conv(h, Activation::Relu, fused);
        }
        let h = h.reshape([64, 2048]);
        let [mean, variance, up] = &mut self.dense[..] else { unreachable!() };
        let mean = mean.forward(h.clone(), Activation::Identity, fused);
        let variance = variance.forward(h, Activation::Identity, fused);
        let z = draw(fused)(mean.clone(), variance.clone(), self.noise.clone());
        let rate = rate(fused)(mean, variance).sum();
        let mut h = up.forward(z, Activation::Relu, fused).reshape([64, 128, 4, 4]);
        for (index, layer) in self.decoder.iter_mut().enumerate().rev() {
            let activation = if index == 0 { Activation::Identity } else { Activation::Relu };
            h = if self.upsampled {
                layer.upsampled(h, activation, fused)
            } else {
                layer.transposed(h, activation, fused)
            };
        }
        let x = self.x.clone().reshape([64, 3072]);
        let distortion = distortion(fused)(h.reshape([64, 3072]), x).sum();
        let loss = (distortion + rate) / 64.0;
        let convolutions = &mut [&mut self.encoder[..], &mut self.decoder[..]];
        update(&mut self.dense, convolutions, loss.backward(), step, fused);
        loss.into_scalar::<f32>()
    }

    fn hash(&self, hash: &mut u64) {
        self.encoder.iter().chain(&self.decoder).for_each(|layer| {
            absorb(hash, layer.weight.value());
            absorb(hash, layer.bias.value());
        });
    }
}

fn absorb<const D: usize>(hash: &mut u64, tensor: Tensor<D>) {
    for value in tensor.into_data().try_to_vec::<f32>().expect("f32") {
        *hash = (*hash ^ u64::from(value.to_bits())).wrapping_mul(0x0000_0100_0000_01B3);
    }
}

/// A small keyed generator (splitmix64).
struct Numbers(u64);

impl Numbers {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (((z ^ (z >> 31)) >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }

    fn tensor<const D: usize>(
        &mut self,
        shape: [usize; D],
        mut value: impl FnMut(&mut Self) -> f32,
    ) -> Tensor<D> {
        let values: Vec<f32> = (0..shape.iter().product()).map(|_| value(self)).collect();
        Tensor::from_data(TensorData::new(values, shape), &Device::flex())
    }

    fn array<const D: usize>(&mut self, shape: [usize; D], scale: f32) -> Tensor<D> {
        self.tensor(shape, |numbers| {
            let (u, v) = (numbers.uniform(), numbers.uniform());
            scale * ((-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()) as f32
        })
    }

    fn pixels<const D: usize>(&mut self, shape: [usize; D]) -> Tensor<D> {
        self.tensor(shape, |numbers| numbers.uniform() as f32)
    }
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or(f64::NAN)
}

type Make = fn() -> Box<dyn Model>;

const MODELS: [(&str, Make); 6] = [
    ("mlp", || Box::new(Mlp::new())),
    ("iwae-1", || Box::new(Iwae::new(1))),
    ("iwae-5", || Box::new(Iwae::new(5))),
    ("iwae-50", || Box::new(Iwae::new(50))),
    ("conv-transposed", || Box::new(Conv::new(false))),
    ("conv-upsampled", || Box::new(Conv::new(true))),
];

/// Two kinds of a step in turn, a few steps in a row, so that each finds its own data in the caches.
struct Race {
    models: [Box<dyn Model>; 2],
    kinds: [Fused; 2],
    times: [Vec<f64>; 2],
    losses: [f32; 2],
    hash: u64,
}

impl Race {
    fn run(make: Make, kinds: [Fused; 2], only: Option<usize>, seconds: f64) -> Race {
        let hash = 0xCBF2_9CE4_8422_2325;
        let times = [Vec::new(), Vec::new()];
        let mut race = Race { models: [make(), make()], kinds, times, losses: [0.0; 2], hash };
        let start = Instant::now();
        let mut number = 1;
        while number <= 20 || start.elapsed().as_secs_f64() < seconds {
            (0..2)
                .filter(|kind| only.is_none_or(|only| only == *kind))
                .for_each(|kind| race.turn(kind, number));
            number += 5;
            if number == 21 {
                race.models[0].hash(&mut race.hash);
            }
        }
        race
    }

    fn turn(&mut self, kind: usize, number: u64) {
        for repeat in 0..5 {
            let step = AdamStep { step: number + repeat, ..AdamStep::default() };
            let begin = Instant::now();
            self.losses[kind] = self.models[kind].step(&step, self.kinds[kind]);
            if repeat > 0 {
                self.times[kind].push(begin.elapsed().as_secs_f64() * 1e3);
            }
            if kind == 0 && number <= 20 {
                absorb(&mut self.hash, Tensor::<1>::from_floats([self.losses[0]], &Device::flex()));
            }
        }
    }

    fn medians(&mut self) -> [f64; 2] {
        [0, 1].map(|kind| median(&mut self.times[kind]))
    }
}

/// Fused against plain.
fn compare(wanted: &str, seconds: f64, only: Option<usize>) {
    println!(
        "{:<16} {:>9} {:>9} {:>7} {:>9} {:>9}  losses and parameters",
        "step", "fused ms", "plain ms", "ratio", "best", "best"
    );
    for (name, make) in MODELS.into_iter().filter(|(name, _)| name.contains(wanted)) {
        let mut race = Race::run(make, [Fused::ALL, Fused::NONE], only, seconds);
        let best = race.times.each_ref().map(|times| times.iter().copied().fold(f64::INFINITY, f64::min));
        let [fused, plain] = race.medians();
        println!(
            "{name:<16} {fused:>9.3} {plain:>9.3} {:>7.3} {:>9.3} {:>9.3}  {:016x} ({:.3} {:.3})",
            fused / plain,
            best[0],
            best[1],
            race.hash,
            race.losses[0],
            race.losses[1]
        );
    }
    println!("peak memory {:.0} MB", memory::peak() as f64 / 1e6);
}

/// All fused against all but one.
fn each(wanted: &str, seconds: f64) {
    println!("| step | plain instead | fused ms | with it plain ms | fused / with it plain |");
    println!("| --- | --- | ---: | ---: | ---: |");
    for (name, make) in MODELS.into_iter().filter(|(name, _)| name.contains(wanted)) {
        for (kernel, kind) in Fused::but_one() {
            if kernel == "convolution" && !name.contains("conv") {
                continue;
            }
            let [fused, plain] = Race::run(make, [Fused::ALL, kind], None, seconds).medians();
            println!("| {name} | {kernel} | {fused:.2} | {plain:.2} | {:.2} |", fused / plain);
        }
    }
}

/// As many steps as it is told to, again and again.
fn serve(wanted: &str) {
    let Some((_, make)) = MODELS.into_iter().find(|(name, _)| *name == wanted) else {
        eprintln!("no step is called {wanted:?}");
        std::process::exit(2);
    };
    let (mut model, mut number) = (make(), 0);
    println!("{{\"ready\":true}}");
    for line in std::io::stdin().lines() {
        let Some(count) = line.ok().and_then(|line| line.trim().parse::<u64>().ok()) else { return };
        let mut start = Instant::now();
        for step in 0..count + 5 {
            if step == 5 {
                start = Instant::now();
            }
            number += 1;
            model.step(&AdamStep { step: number, ..AdamStep::default() }, Fused::ALL);
        }
        println!("{{\"seconds\":{},\"count\":{count}}}", start.elapsed().as_secs_f64());
    }
}

fn main() {
    memory::keep_freed_pages();
    let words: Vec<String> = std::env::args().skip(1).collect();
    let word = |index: usize| words.get(index).map_or("", String::as_str);
    let seconds = |index: usize| word(index).parse().unwrap_or(4.0);
    match word(0) {
        "serve" => serve(word(1)),
        "each" => each(word(1), seconds(2)),
        wanted => {
            let only = words.get(2).map(|word| usize::from(word != "fused"));
            compare(wanted, seconds(1), only);
        }
    }
}
