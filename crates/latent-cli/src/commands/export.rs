//! `latent export`: a model for other runtimes.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use latent::Registry;
use latent::generate::sampler::{Choice, FittedSampler};
use serde_json::json;

use crate::failure::Done;
use crate::options::Computing;
use crate::output::{Output, json_path, path};
use crate::target::{Kind, Target};

const EXAMPLES: &str = "\
Examples:
  latent export runs/one --onnx encoder.onnx decoder.onnx

With a sampler of one pass (latent fit-sampler RUN --sampler gaussian-mixture):
  export RUN --onnx f.onnx g.onnx --sampler-onnx p.onnx

The encoder takes x [batch, ...] to code [batch, dims], the centre of q(z|x), and to
its deviation; the decoder takes code to x, the mean of p(x|z). Both speak the units
of the data: normalisation is inside, and whole numbers are not rounded. Images are
[batch, channels, height, width]. Conditional models also take condition [batch, c];
the files' metadata says what stands where. A sampler takes noise to code: normal
[batch, d], for some uniform [batch, 1] too, as its metadata says. Samplers that take
one pass have a graph, others are refused. Operators of set 18, no custom ones.";

/// Write encoder and decoder as ONNX files
#[derive(Args)]
#[command(after_help = EXAMPLES)]
#[command(mut_arg("seed", |seed| seed.hide(true)))]
pub struct Export {
    /// Where to: first the encoder, then the decoder
    #[arg(long, num_args = 2, value_names = ["ENCODER", "DECODER"], required = true)]
    onnx: Vec<PathBuf>,
    /// Where to write the sampler, from noise to code
    #[arg(long, value_name = "FILE")]
    sampler_onnx: Option<PathBuf>,
    /// Which sampler; [default: the one chosen by fit-sampler, else prior]
    #[arg(long, value_name = "NAME", requires = "sampler_onnx")]
    sampler: Option<String>,
    /// Replace what is there
    #[arg(long)]
    force: bool,
    // Nothing is drawn: --seed is taken for uniformity.
    #[command(flatten)]
    of: Computing,
}

impl Export {
    /// Runs the command.
    pub fn run(self, out: &Output) -> Done {
        let target = |flag, path: &PathBuf| Target::new(flag, path, self.force, &[Kind::Graph]);
        let targets = self.onnx.iter().map(|path| target("--onnx", path)).collect::<Result<Vec<_>, _>>()?;
        let drawn = self.sampler_onnx.as_ref().map(|path| target("--sampler-onnx", path)).transpose()?;
        let model = self.of.model()?;
        let sampler = match &drawn {
            Some(target) => {
                let (registry, run) = (Registry::default(), super::run_folder(&self.of.trained.run));
                let sampler = match &self.sampler {
                    Some(name) => FittedSampler::load(&model, &run, name, &registry)?,
                    None => Choice::sampler(&model, &run, &registry)?,
                };
                Some((target, sampler.onnx(&model)?, sampler.kind().to_string()))
            }
            None => None,
        };
        let [encoder, decoder] = &targets[..] else { unreachable!("clap counts them") };
        model.export_onnx(&encoder.path, &decoder.path)?;
        let mut text = format!("encoder: {}\ndecoder: {}", path(&encoder.path), path(&decoder.path));
        if let Some((target, graph, kind)) = &sampler {
            graph.save(&target.path)?;
            text.push_str(&format!("\nsampler ({kind}): {}", path(&target.path)));
        }
        out.result(
            text,
            &json!({
                "encoder": json_path(&encoder.path), "decoder": json_path(&decoder.path),
                "sampler": sampler.as_ref().map(|(target, _, _)| json_path(&target.path)),
                "opset": latent::store::onnx::OPSET
            }),
        );
        Ok(ExitCode::SUCCESS)
    }
}
