//! The VAEs of YannDubs/disentangling-vae (MIT): Burgess' network for images of 32×32 or 64×64, trained as VAE, β-VAE,
//! β-TCVAE and FactorVAE on dSprites, MNIST and CelebA.
//!
//! ```text
//! conv 4×4, stride 2, 32 channels (three, or four for 64×64) → 512 → 256 → 256 → μ, ln σ² side by side, and back
//! ```
//!
//! Reference: Burgess et al., *Understanding disentangling in β-VAE* (arXiv 1804.03599).

use super::{Mapping, Move, Plan, Turn};
use crate::data::SampleShape;
use crate::store::TensorFile;

pub(super) const MAPPING: Mapping = Mapping {
    name: "disentangling-vae",
    about: "models of YannDubs/disentangling-vae (model.pt as safetensors), of Burgess' network (arXiv 1804.03599)",
    plan,
};

fn plan(file: &TensorFile) -> Result<Plan, String> {
    let shape = |name: &str| {
        file.arrays.get(name).map(|array| &array.shape[..]).ok_or_else(|| format!("it has no `{name}`"))
    };
    let [width, channels, 4, 4] = *shape("encoder.conv1.weight")? else {
        return Err("`encoder.conv1.weight` is no kernel of 4×4".into());
    };
    let [heads, hidden] = *shape("encoder.mu_logvar_gen.weight")? else {
        return Err("`encoder.mu_logvar_gen.weight` is no matrix".into());
    };
    let is_large = file.arrays.contains_key("encoder.conv_64.weight");
    let (side, halvings) = if is_large { (64, 4) } else { (32, 3) };
    let settings = vec![
        "likelihood={kind=\"bernoulli\"}".into(),
        format!("posterior={{kind=\"diagonal-normal\", latent={}}}", heads / 2),
        "prior={kind=\"standard-normal\"}".into(),
        format!(
            "network={{kind=\"conv\", channels={:?}, kernel=4, dense=[{hidden}, {hidden}], activation=\"relu\", \
             up=\"transposed\"}}",
            vec![width; halvings]
        ),
    ];
    let last = if is_large { &["conv_64"][..] } else { &[] };
    let down = ["conv1", "conv2", "conv3"].iter().chain(last).enumerate();
    let first = if is_large { &["convT_64"][..] } else { &[] };
    // Of the decoder's doublings the last one gives the outputs.
    let up = first.iter().chain(&["convT1", "convT2"]).enumerate();
    let mut arrays = Vec::new();
    let mut layer = |ours: String, theirs: String, turn: Turn| {
        for part in ["weight", "bias"] {
            let (ours, theirs) = (format!("{ours}.{part}"), format!("{theirs}.{part}"));
            // A bias has no sides to exchange.
            let turn = if part == "bias" && matches!(turn, Turn::Transposed) { Turn::None } else { turn };
            arrays.push(Move { ours, theirs, turn });
        }
    };
    down.for_each(|(at, name)| layer(format!("encoder.down{at}"), format!("encoder.{name}"), Turn::None));
    up.for_each(|(at, name)| {
        layer(format!("decoder.up{}", halvings - 1 - at), format!("decoder.{name}"), Turn::None);
    });
    layer("decoder.head".into(), "decoder.convT3".into(), Turn::None);
    for (ours, theirs) in [
        ("encoder.dense0", "encoder.lin1"),
        ("encoder.dense1", "encoder.lin2"),
        ("decoder.dense0", "decoder.lin1"),
        ("decoder.dense1", "decoder.lin2"),
        ("decoder.stem", "decoder.lin3"),
    ] {
        layer(ours.into(), theirs.into(), Turn::Transposed);
    }
    layer("encoder.head".into(), "encoder.mu_logvar_gen".into(), Turn::Interleaved);
    Ok(Plan { shape: SampleShape::Image { channels, height: side, width: side }, settings, arrays })
}
