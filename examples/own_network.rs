//! A network of one's own, registered under a name and used in a run: random Fourier features, then an affine map.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use latent::burn::tensor::Tensor;
use latent::config::ConfigError;
use latent::device::Device;
use latent::member::{Call, Context, Life, Named, Settings};
use latent::network::{Dense, DenseConfig, Network, NetworkSettings};
use latent::schemars::{self, JsonSchema};
use latent::train::Event;
use latent::weights::Init;
use latent::{Key, Layers, Model, Options, Registry, Training};
use serde::{Deserialize, Serialize};

/// `[network]` with `kind = "waves"`: h = sin(x A + a), then h B + b.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct WaveSettings {
    /// How many sines.
    width: usize,
}

impl Default for WaveSettings {
    fn default() -> Self {
        Self { width: 256 }
    }
}

impl Named for WaveSettings {
    const KIND: &'static str = "waves";
    const ABOUT: &'static str = "sines of an affine map";
}

impl Settings<dyn Network> for WaveSettings {
    /// Encoder and decoder differ in what they are wired to alone.
    fn init(&self, context: &Context<'_>, init: &mut Init<'_>) -> Result<Box<dyn Network>, ConfigError> {
        let (from, to) = (context.wiring.from.features(), context.wiring.to.features());
        let inner = DenseConfig::new(from, self.width).init(init, "inner");
        let outer = DenseConfig::new(self.width, to).with_bias(context.wiring.bias.clone());
        Ok(Box::new(Waves { inner, outer: outer.init(init, "outer") }))
    }
}

struct Waves {
    inner: Dense,
    outer: Dense,
}

impl Network for Waves {
    fn forward(&self, call: &Call<'_>, input: Tensor<2>) -> Tensor<2> {
        self.outer.apply(call.weights, self.inner.apply(call.weights, input).sin())
    }
}

impl Life for Waves {}

/// The members that ship, and ours.
fn registry() -> Registry {
    Registry::default().with::<NetworkSettings, WaveSettings>()
}

fn main() -> latent::Result<()> {
    let options = Options { registry: registry(), ..Options::default() };
    let mut layers = Layers::default();
    layers.set("data.source=embedded")?;
    layers.set("data.limit=2000")?;
    layers.set("network={kind=\"waves\", width=200}")?;
    layers.set("train.epochs=3")?;
    let mut run =
        Training::prepare(&layers, Path::new("runs/waves"), options, &mut |line| println!("{line}"))?;
    run.train(&AtomicBool::new(false), &mut |event| {
        if let Event::Validated { line, .. } = event {
            println!("epoch {:.0}: {:?}", line.epoch, line.values);
        }
    })?;
    // Whoever loads the model needs the network, too.
    let model = Model::load_with("runs/waves", &Device::cpu(), &registry())?;
    println!("{} samples", model.sample(4, Key::from_seed(1))?.len());
    Ok(())
}
