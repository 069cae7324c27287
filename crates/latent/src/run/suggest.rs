//! What the data itself asks for, and what of a preset it cannot bear.

use toml::{Table, Value};

use super::Layers;
use crate::config::ConfigError;
use crate::data::{Facts, SampleShape, ValueKind};
use crate::member::{Context, Registry, Wiring};
use crate::model::likelihood::LikelihoodSettings;
use crate::model::posterior::PosteriorSettings;
use crate::network::NetworkSettings;

/// What the data itself asks for: likelihood, network and sizes, with the reasons.
pub(super) fn suggestion(facts: &Facts) -> (Table, Vec<(&'static str, &'static str, String)>) {
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
