//! A network of one's own, registered under a name and used in a run: random Fourier features, then an affine map.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use latent::burn::tensor::Tensor;
use latent::config::{ConfigError, Layers};
use latent::data::SampleShape;
use latent::device::Device;
use latent::model::Registry;
use latent::network::{DecoderShape, Dense, Network, NetworkSettings, networks};
use latent::train::{Event, Options, Training};
use latent::weights::{Init, Weights};
use latent::{Activation, Key, Model};
use serde::{Deserialize, Serialize};

/// `[network]` with `kind = "waves"`: h = sin(x A + a), then h B + b.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct WaveSettings {
    width: usize,
}

impl Default for WaveSettings {
    fn default() -> Self {
        Self { width: 256 }
    }
}

struct Waves {
    inner: Dense,
    outer: Dense,
}

impl Network for Waves {
    fn forward(&self, weights: &Weights, input: Tensor<2>) -> Tensor<2> {
        self.outer.apply(weights, self.inner.apply(weights, input).sin())
    }
}

impl WaveSettings {
    fn waves(
        &self,
        inputs: usize,
        outputs: usize,
        bias: Option<Vec<f32>>,
        init: &mut Init<'_>,
    ) -> Box<dyn Network> {
        let plain = Activation::Identity;
        let inner = Dense::new(init, "inner", inputs, self.width, plain, None);
        let outer = Dense::new(init, "outer", self.width, outputs, plain, bias);
        Box::new(Waves { inner, outer })
    }
}

impl NetworkSettings for WaveSettings {
    fn check(&self, _: SampleShape) -> Result<(), ConfigError> {
        Ok(())
    }
    fn encoder(&self, sample: SampleShape, outputs: usize, init: &mut Init<'_>) -> Box<dyn Network> {
        self.waves(sample.features(), outputs, None, init)
    }
    fn decoder(&self, shape: &DecoderShape, init: &mut Init<'_>) -> Box<dyn Network> {
        self.waves(shape.latent, shape.outputs(), shape.bias.clone(), init)
    }
}

/// The members that ship, and ours.
fn registry() -> Registry {
    let networks = networks().with("waves", "sines of an affine map", |s: WaveSettings| Box::new(s));
    Registry { networks, ..Registry::default() }
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
