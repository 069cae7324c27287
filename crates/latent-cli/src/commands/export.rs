//! `latent export`: a model for other runtimes.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use crate::failure::Done;
use crate::options::Computing;
use crate::output::{Output, json_path, path};
use crate::target::{Kind, Target};

const EXAMPLES: &str = "\
Examples:
  latent export runs/one --onnx encoder.onnx decoder.onnx

The encoder takes x [batch, ...] to code [batch, dims], the centre of q(z|x), and to
its deviation; the decoder takes code to x, the mean of p(x|z). Both speak the units
of the data: normalisation is inside, and whole numbers are not rounded. Images are
[batch, channels, height, width]. Conditional models also take condition [batch, c];
the files' metadata says what stands where. Operators of set 18, no custom ones.";

/// Write encoder and decoder as ONNX files
#[derive(Args)]
#[command(after_help = EXAMPLES)]
#[command(mut_arg("seed", |seed| seed.hide(true)))]
pub struct Export {
    /// Where to: first the encoder, then the decoder
    #[arg(long, num_args = 2, value_names = ["ENCODER", "DECODER"], required = true)]
    onnx: Vec<PathBuf>,
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
        let target = |path: &PathBuf| Target::new("--onnx", path, self.force, &[Kind::Graph]);
        let targets = self.onnx.iter().map(target).collect::<Result<Vec<_>, _>>()?;
        let model = self.of.model()?;
        let [encoder, decoder] = &targets[..] else { unreachable!("clap counts them") };
        model.export_onnx(&encoder.path, &decoder.path)?;
        out.result(
            format!("encoder: {}\ndecoder: {}", path(&encoder.path), path(&decoder.path)),
            &json!({
                "encoder": json_path(&encoder.path), "decoder": json_path(&decoder.path),
                "opset": latent::store::onnx::OPSET
            }),
        );
        Ok(ExitCode::SUCCESS)
    }
}
