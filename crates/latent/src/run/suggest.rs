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
/// Codes of large images have a place, unless the size of a vector or a network was `chosen`.
pub(super) fn suggestion(facts: &Facts, purpose: Option<Purpose>, chosen: bool) -> (Table, Vec<Reason>) {
    match purpose {
        Some(Purpose::Samples) if is_large(facts) && !chosen => with_places(facts),
        Some(Purpose::Samples) if has_detail(facts) => lean(facts),
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

/// Whether a code of maps pays: below, a few dozen numbers say as much.
fn is_large(facts: &Facts) -> bool {
    matches!(facts.shape, SampleShape::Image { height, width, .. } if height.min(width) >= 48)
        && has_detail(facts)
}

/// For samples of large images: codes with a place, some 8×8 of them whatever the size, which keep what a vector blurs, and which a
/// U-Net learns to draw. Up to 256 pixels nothing is worked at more than 32 a side: blocks of pixels enter and leave as channels. A straight
/// way starts both networks as the principal components of blocks. docs/results/defaults.md has what each choice brings.
fn with_places(facts: &Facts) -> (Table, Vec<Reason>) {
    let side = match facts.shape {
        SampleShape::Image { height, width, .. } => height.max(width),
        SampleShape::Vector { columns } => columns,
    };
    let factor = side.div_ceil(8).next_power_of_two().max(8);
    let patch = (factor / 4).min(8);
    // As many numbers as the sampler starts from a normal of.
    let channels = factor.min(32);
    let bits = facts.kind == ValueKind::Binary;
    let (likelihood, edges) = match bits {
        true => ("kind = 'bernoulli'", ""),
        false => ("kind = 'laplace', mean = 'line'", "edges = {}\n"),
    };
    let text = format!(
        "likelihood = {{ {likelihood} }}\n\
         posterior = {{ kind = 'diagonal-normal', latent = {{ channels = {channels}, factor = {factor} }} }}\n\
         prior = {{ kind = 'standard-normal' }}\n\
         encoder = {{ kind = 'spatial', patch = {patch}, channels = [16, 48, 96], shortcut = {0} }}\n\
         decoder = {{ kind = 'spatial', patch = {patch}, channels = [32, 64, 128], shortcut = {0} }}\n\
         [objective.terms]\ndistortion = {{}}\nrate = {{ weight = 2.0 }}\n{edges}\
         [train]\nsteps = 4000\nbatch = 32\nema = 0.998\npatience = 10\nvalidate_rows = 1000\n\
         optimizer = {{ learning_rate = 1.5e-3 }}\nschedule = {{ kind = 'cosine', warmup = 100 }}\n",
        !bits
    );
    let notes = vec![
        likelihood_note(bits),
        (
            "network",
            "kind",
            format!(
                "network: spatial, at most {} pixels a side are worked at (blocks of {patch}×{patch} enter and leave as channels)",
                side.div_ceil(patch)
            ),
        ),
        (
            "posterior",
            "latent",
            format!(
                "latent: {channels} channels at 1/{factor} of the size (detail keeps its place; a sampler learns where codes lie)"
            ),
        ),
        steps_note(4000, 32),
    ];
    // Our own text: that it is sound is tested.
    (text.parse().unwrap_or_default(), notes)
}

fn likelihood_note(bits: bool) -> Reason {
    let text = match bits {
        true => "likelihood: bernoulli (the values are 0 and 1)",
        false => "likelihood: laplace, and a term for edges (squared errors blur them)",
    };
    ("likelihood", "kind", text.into())
}

fn steps_note(steps: usize, batch: usize) -> Reason {
    let text = format!(
        "steps: {steps} of {batch} images, fewer where validation no longer falls (--minutes N: as many as fit)"
    );
    ("train", "steps", text)
}

/// For samples where codes are vectors: a lean network, so that many images are seen in little time; more codes than a person would want to look at;
/// absolute errors and edges, which keep contours where squared errors blur them; a sampler then learns where codes lie.
/// docs/results/defaults.md has what each choice brings.
fn lean(facts: &Facts) -> (Table, Vec<Reason>) {
    let [channels, height, width] = match facts.shape {
        SampleShape::Image { channels, height, width } => [channels, height, width],
        SampleShape::Vector { columns } => [1, 1, columns],
    };
    let (small, colour) = (height.min(width) < 48, channels > 1);
    let latent = if small {
        32
    } else if colour {
        128
    } else {
        64
    };
    // Twice as many channels at each halving, down to some four pixels; few where the map is large.
    let halvings = height.max(width).div_ceil(4).next_power_of_two().ilog2().max(1);
    let first: usize = if small {
        24
    } else if height.max(width) < 96 {
        16
    } else {
        8
    };
    let widths: Vec<String> = (0..halvings).map(|k| (first << k.min(8)).min(128).to_string()).collect();
    let (batch, steps) = if small { (64, 4000) } else { (32, 6000) };
    let bits = facts.kind == ValueKind::Binary;
    let (likelihood, edges) = match bits {
        true => ("kind = 'bernoulli'", ""),
        false => ("kind = 'laplace', mean = 'line'", "edges = { weight = 0.5 }\n"),
    };
    let network = format!("{{ kind = 'conv', channels = [{}] }}", widths.join(", "));
    let text = format!(
        "likelihood = {{ {likelihood} }}\n\
         posterior = {{ kind = 'diagonal-normal', latent = {latent} }}\n\
         prior = {{ kind = 'standard-normal' }}\n\
         encoder = {network}\ndecoder = {network}\n\
         [objective.terms]\ndistortion = {{}}\nrate = {{ weight = 0.5 }}\n{edges}\
         [train]\nsteps = {steps}\nbatch = {batch}\nema = 0.995\npatience = 10\nvalidate_rows = 1000\n\
         optimizer = {{ learning_rate = 1.5e-3 }}\nschedule = {{ kind = 'cosine', warmup = 100 }}\n"
    );
    let notes = vec![
        likelihood_note(bits),
        (
            "network",
            "kind",
            format!("network: conv, channels {} (lean: more images in less time)", widths.join(" ")),
        ),
        (
            "posterior",
            "latent",
            format!("latent: {latent} dimensions (detail; a sampler learns where codes lie)"),
        ),
        steps_note(steps, batch),
    ];
    // Our own text: that it is sound is tested.
    (text.parse().unwrap_or_default(), notes)
}

/// For codes, likelihoods and anomalies, and for data without detail.
fn plain(facts: &Facts) -> (Table, Vec<Reason>) {
    let mut notes = Vec::new();
    let likelihood = match facts.kind {
        ValueKind::Binary => ("bernoulli", "the values are 0 and 1"),
        ValueKind::Grey => ("normal", "grey levels get a normal density whose σ is measured"),
        ValueKind::Colour => ("normal", "colours get a normal density whose σ is measured"),
        ValueKind::Mixed => ("mixed", "columns of several kinds"),
        ValueKind::Real => ("normal", "real numbers get a normal density whose σ is measured"),
    };
    notes.push(("likelihood", "kind", format!("likelihood: {} ({})", likelihood.0, likelihood.1)));
    let network = match facts.shape {
        SampleShape::Image { height, width, .. } if height.min(width) >= 16 => {
            ("conv", format!("{height}×{width} images are large enough for convolutions"))
        }
        SampleShape::Image { height, width, .. } => ("mlp", format!("{height}×{width} images are small")),
        SampleShape::Vector { columns } if facts.kind == ValueKind::Mixed => {
            ("columns", format!("rows are {columns} columns of several kinds"))
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Normalisation, StoredType};
    use crate::run::{Layers, resolve};

    fn facts(channels: usize, height: usize, width: usize, kind: ValueKind) -> Facts {
        let shape = SampleShape::Image { channels, height, width };
        Facts {
            source: "made for a test".into(),
            shape,
            kind,
            normalisation: Normalisation {
                offset: vec![0.0],
                scale: vec![255.0],
                stored: StoredType::U8,
                range: Some((0.0, 255.0)),
                whole: Vec::new(),
            },
            columns: Vec::new(),
            constant: Vec::new(),
            classes: Vec::new(),
            rows: [100, 10, 10],
            mean: vec![0.5; shape.features()],
            variance: vec![0.1; shape.features()],
            hash: String::new(),
            overlaps: Vec::new(),
            condition: Vec::new(),
            table: None,
        }
    }

    fn resolved(facts: &Facts, settings: &[&str]) -> (super::super::Run, Vec<String>) {
        let mut layers = Layers::default();
        settings.iter().for_each(|setting| layers.set(setting).unwrap());
        let (checked, notes) = resolve(&layers, facts, &Registry::default()).unwrap();
        (checked.run, notes)
    }

    #[test]
    fn images_are_for_samples_unless_something_else_is_said_or_chosen() {
        for (channels, height, width) in
            [(1, 28, 28), (3, 64, 64), (3, 16, 200), (3, 128, 96), (3, 48, 48), (1, 256, 256), (3, 1000, 600)]
        {
            for kind in [ValueKind::Binary, ValueKind::Grey, ValueKind::Colour] {
                let facts = facts(channels, height, width, kind);
                let (run, notes) = resolved(&facts, &[]);
                assert_eq!(run.purpose, Some(Purpose::Samples));
                assert!(run.objective["terms"].get("edges").is_some() == (kind != ValueKind::Binary));
                assert!(run.train.steps > 0 && notes.iter().any(|note| note.starts_with("for: samples")));
                // A map of a few pixels in the end, whatever the size: the head stays small.
                let last = match &run.posterior["latent"] {
                    Value::Table(maps) => {
                        assert!(height.min(width) >= 48 && run.encoder["kind"].as_str() == Some("spatial"));
                        height.max(width).div_ceil(maps["factor"].as_integer().unwrap() as usize)
                    }
                    _ => height.max(width).div_ceil(1 << run.encoder["channels"].as_array().unwrap().len()),
                };
                assert!((2..=8).contains(&last), "{height}×{width}: {last}");
            }
        }
        let facts = facts(3, 64, 64, ValueKind::Colour);
        let vector = resolved(&facts, &["purpose=samples", "posterior.latent=64"]).0;
        assert_eq!(vector.encoder["kind"].as_str(), Some("conv"));
        assert_eq!(
            resolved(&facts, &["purpose=samples", "network.kind=conv"]).0.posterior["latent"].as_integer(),
            Some(128)
        );
        for settings in [&["purpose=codes"][..], &["network.kind=mlp"], &["posterior.latent=3"]] {
            let (run, _) = resolved(&facts, settings);
            assert!(run.purpose != Some(Purpose::Samples) && run.objective["terms"].get("edges").is_none());
        }
        // What is said of time is kept.
        assert_eq!(resolved(&facts, &["train.epochs=2"]).0.train.steps, 0);
        assert_eq!(resolved(&facts, &["train.steps=7"]).0.train.steps, 7);
        assert!(Layers::default().set("purpose=sample").is_ok());
        let mut layers = Layers::default();
        layers.set("purpose=sample").unwrap();
        let error = resolve(&layers, &facts, &Registry::default()).err().unwrap().to_string();
        assert!(error.contains("samples, codes, likelihood, anomalies"), "{error}");
    }
}
