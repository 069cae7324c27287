//! What the data itself asks for, and what of a preset it cannot bear.

use toml::{Table, Value};

use super::{Layers, Purpose};
use crate::config::ConfigError;
use crate::data::{Facts, SampleShape, ValueKind};
use crate::member::{Context, Registry, Wiring};
use crate::model::likelihood::LikelihoodSettings;
use crate::model::posterior::PosteriorSettings;
use crate::network::NetworkSettings;

/// What the data itself asks for: likelihood, network and sizes, with the reasons.
pub(super) fn suggestion(facts: &Facts, purpose: Option<Purpose>) -> (Table, Vec<Reason>) {
    match purpose {
        Some(Purpose::Samples) if has_detail(facts) => sharp(facts),
        _ => plain(facts),
    }
}

/// A section and a key, and why it is as it is.
pub(super) type Reason = (&'static str, &'static str, String);

/// Whether rows are images large enough to have detail in them.
pub(super) fn has_detail(facts: &Facts) -> bool {
    matches!(facts.shape, SampleShape::Image { height, width, .. } if height.min(width) >= 16)
        && facts.kind != ValueKind::Real
}

/// For samples: codes with a place, which keep what is in the image, terms that keep edges and texture, and little time for each
/// image. docs/results/defaults.md has what each choice brings.
fn sharp(facts: &Facts) -> (Table, Vec<Reason>) {
    let [channels, height, width] = match facts.shape {
        SampleShape::Image { channels, height, width } => [channels, height, width],
        SampleShape::Vector { columns } => [1, 1, columns],
    };
    let side = height.max(width);
    // What is computed has 32 pixels a side at most, whatever the image has.
    let patch = (side.div_ceil(32).next_power_of_two()).clamp(2, 8);
    let is_small = side <= 32;
    let factor = if is_small { 2 * patch } else { 4 * patch };
    let code = (if channels > 1 { 8 } else { 4 }) * (patch / 2).max(1).pow(2).min(4);
    let bits = facts.kind == ValueKind::Binary;
    let (likelihood, terms, straight) = match bits {
        true => ("kind = 'bernoulli'", "", ""),
        // Values, not logits: the straight way starts as the best linear code.
        false => ("kind = 'laplace', mean = 'line'", "edges = {}\n", ", shortcut = true"),
    };
    let (encoder, decoder) = match is_small {
        true => ("[32, 64]", "[48, 96]"),
        false => ("[16, 48, 96]", "[32, 64, 128]"),
    };
    let batch = if is_small { 64 } else { 32 };
    let text = format!(
        "likelihood = {{ {likelihood} }}\n\
         posterior = {{ kind = 'diagonal-normal', latent = {{ channels = {code}, factor = {factor} }} }}\n\
         prior = {{ kind = 'standard-normal' }}\n\
         encoder = {{ kind = 'spatial', patch = {patch}, channels = {encoder}{straight} }}\n\
         decoder = {{ kind = 'spatial', patch = {patch}, channels = {decoder}{straight} }}\n\
         [objective.terms]\ndistortion = {{}}\nrate = {{ weight = 0.1 }}\n{terms}\
         [train]\nsteps = 4000\nbatch = {batch}\nema = 0.998\npatience = 8\nvalidate_rows = 1000\n\
         optimizer = {{ learning_rate = 1.5e-3 }}\nschedule = {{ kind = 'cosine', warmup = 100 }}\n"
    );
    let [h, w] = [height, width].map(|side| side.div_ceil(factor));
    let notes = vec![
        ("likelihood", "kind", match bits {
            true => "likelihood: bernoulli (the values are 0 and 1)".into(),
            false => "likelihood: laplace (absolute errors keep edges where squared ones blur them)".into(),
        }),
        ("network", "kind", format!("network: spatial (residual blocks at {}×{} pixels and less)", height.div_ceil(patch), width.div_ceil(patch))),
        ("posterior", "latent", format!("latent: {code}×{h}×{w} (codes with a place keep detail; a sampler learns where they lie)")),
        ("train", "steps", format!("steps: 4000 of {batch} images, fewer where validation no longer falls (--minutes N: as many as fit)")),
    ];
    // Our own text: what it says is tested.
    (text.parse().unwrap_or_default(), notes)
}

/// For codes, likelihoods and anomalies, and for data without detail.
fn plain(facts: &Facts) -> (Table, Vec<Reason>) {
    let mut notes = Vec::new();
    let likelihood = match facts.kind {
        ValueKind::Binary => ("bernoulli", "the values are 0 and 1"),
        ValueKind::Grey => ("normal", "grey levels get a normal density whose σ is measured"),
        ValueKind::Colour => ("normal", "colours get a normal density whose σ is measured"),
        ValueKind::Real => ("normal", "real numbers get a normal density whose σ is measured"),
    };
    notes.push(("likelihood", "kind", format!("likelihood: {} ({})", likelihood.0, likelihood.1)));
    let network = match facts.shape {
        SampleShape::Image { height, width, .. } if height.min(width) >= 16 => {
            ("conv", format!("{height}×{width} images are large enough for convolutions"))
        }
        SampleShape::Image { height, width, .. } => ("mlp", format!("{height}×{width} images are small")),
        SampleShape::Vector { columns } => ("mlp", format!("rows are vectors of {columns} columns")),
    };
    notes.push(("network", "kind", format!("network: {} ({})", network.0, network.1)));
    let latent = match facts.shape {
        SampleShape::Image { height, width, .. } if height.min(width) >= 48 => 64,
        SampleShape::Image { .. } => 16,
        SampleShape::Vector { columns } => columns.div_ceil(2).clamp(1, 16),
    };
    let why = match facts.shape {
        SampleShape::Image { height, width, .. } if height.min(width) >= 48 => {
            format!("{height}×{width} images hold much")
        }
        SampleShape::Image { height, width, .. } => format!("{height}×{width} images hold little"),
        SampleShape::Vector { columns } => format!("half of {columns} columns, 16 at most"),
    };
    notes.push(("posterior", "latent", format!("latent: {latent} dimensions ({why})")));
    let kind = |name: &str| Table::from_iter([("kind".to_string(), Value::from(name))]);
    let mut posterior = kind("diagonal-normal");
    posterior.insert("latent".into(), (latent as i64).into());
    let mut objective = Table::new();
    let terms = Table::from_iter([
        ("distortion".to_string(), Value::Table(Table::new())),
        ("rate".to_string(), Value::Table(Table::new())),
    ]);
    objective.insert("terms".into(), terms.into());
    let mut table = Table::new();
    for (name, section) in [
        ("likelihood", kind(likelihood.0)),
        ("posterior", posterior),
        ("prior", kind("standard-normal")),
        ("encoder", kind(network.0)),
        ("decoder", kind(network.0)),
        ("objective", objective),
    ] {
        table.insert(name.into(), section.into());
    }
    (table, notes)
}

/// Changes what a preset chose and the data cannot bear, and says so; what the user chose stays.
pub(super) fn fit(
    table: &mut Table,
    named: &Option<Value>,
    layers: &Layers,
    facts: &Facts,
    registry: &Registry,
    suggested: &Table,
    notes: &mut Vec<String>,
) -> Result<(), ConfigError> {
    let Some(preset) = layers.table.get("preset").and_then(Value::as_str) else { return Ok(()) };
    if let Some(Value::Table(likelihood)) = table.get("likelihood")
        && layers.explicit.get("likelihood").is_none()
        && likelihood.contains_key("kind")
        && let Err(reason) = registry
            .resolve::<LikelihoodSettings>(likelihood, "likelihood")?
            .0
            .declare(&mut Context::new(facts))
    {
        let kind = likelihood.get("kind").and_then(Value::as_str).unwrap_or_default().to_string();
        let instead = suggested.get("likelihood").cloned().unwrap_or(Value::Table(Table::new()));
        notes.push(format!("{preset}: likelihood {kind} → {} ({reason})", kind_of(&instead)));
        table.insert("likelihood".into(), instead);
    }
    if let Some(Value::Table(posterior)) = table.get("posterior")
        && layers.explicit.get("posterior").is_none()
        && posterior.contains_key("kind")
        && let Some(latent) = suggested.get("posterior").and_then(|own| own.get("latent"))
        && let Err(reason) =
            registry.resolve::<PosteriorSettings>(posterior, "posterior")?.0.declare(&mut Context::new(facts))
    {
        notes.push(format!("{preset}: latent → {latent} ({reason})"));
        let mut instead = posterior.clone();
        instead.insert("latent".into(), latent.clone());
        table.insert("posterior".into(), Value::Table(instead));
    }
    if let Some(Value::Table(network)) = named
        && layers.explicit.get("network").is_none()
        && network.contains_key("kind")
        && let Err(reason) =
            registry.resolve::<NetworkSettings>(network, "network")?.0.declare(&mut encoding(facts))
    {
        for part in ["encoder", "decoder"] {
            let instead = suggested.get(part).cloned().unwrap_or(Value::Table(Table::new()));
            notes.push(format!(
                "{preset}: {part} {} → {} ({reason})",
                kind_of(&Value::Table(network.clone())),
                kind_of(&instead)
            ));
            table.insert(part.into(), instead);
        }
    }
    Ok(())
}

fn kind_of(value: &Value) -> &str {
    value.get("kind").and_then(Value::as_str).unwrap_or("?")
}

/// What an encoder sees of the data alone.
fn encoding(facts: &Facts) -> Context<'_> {
    let mut context = Context::new(facts);
    context.wiring = Wiring { from: facts.shape, ..context.wiring };
    context
}
