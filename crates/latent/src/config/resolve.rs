//! From layers and the facts of the data to a checked [`Run`].

use toml::{Table, Value};

use super::layers::merge;
use super::{ConfigError, FORMAT, Layers, Registry, Run, parse_table};
use crate::data::{Facts, SampleShape, ValueKind};
use crate::model::likelihood::LikelihoodSettings;
use crate::model::prior::PriorSettings;
use crate::objective::Objective;
use crate::train::TrainSettings;

/// Resolves what is asked for against the data. Returns the run and what was chosen or changed to fit, a line each.
pub fn resolve(
    layers: &Layers,
    facts: &Facts,
    registry: &Registry,
) -> Result<(Run, Vec<String>), ConfigError> {
    let mut notes = Vec::new();
    let mut table = layers.table.clone();
    let (suggested, reasons) = suggestion(facts);
    if layers.table.get("preset").is_none() {
        let asked =
            |section: &str, key: &str| layers.table.get(section).is_some_and(|s| s.get(key).is_some());
        notes.extend(
            reasons.into_iter().filter(|(section, key, _)| !asked(section, key)).map(|(_, _, text)| text),
        );
    }
    let named = table.remove("network");
    fit(&mut table, &named, layers, facts, registry, &suggested, &mut notes)?;

    let mut resolved = suggested;
    // A list of terms that has a distortion is a whole objective, not an addition to the suggested one.
    if table.get("objective").and_then(|o| o.get("terms")?.get("distortion")).is_some() {
        resolved.remove("objective");
    }
    for part in ["encoder", "decoder"] {
        if let (Some(Value::Table(own)), Some(Value::Table(network))) = (resolved.get_mut(part), &named) {
            merge(own, network);
        }
    }
    merge(&mut resolved, &table);

    let section = |name: &str| match resolved.get(name) {
        Some(Value::Table(table)) => Ok(table.clone()),
        None => Ok(Table::new()),
        Some(other) => Err(ConfigError::Value {
            key: name.into(),
            what: format!("{other} is not a table"),
            remedy: format!("write [{name}] and its keys below"),
        }),
    };
    let (likelihood, likelihood_table) =
        registry.likelihoods.resolve(&section("likelihood")?, "likelihood")?;
    let (posterior, posterior_table) = registry.posteriors.resolve(&section("posterior")?, "posterior")?;
    let (prior, prior_table) = registry.priors.resolve(&section("prior")?, "prior")?;
    let (_, encoder) = registry.networks.resolve(&section("encoder")?, "encoder")?;
    let (_, decoder) = registry.networks.resolve(&section("decoder")?, "decoder")?;
    let (objective, objective_table) =
        Objective::resolve(&section("objective")?, registry, posterior.as_ref())?;
    let train: TrainSettings = parse_table(&section("train")?, "train")?;
    train.check()?;
    check(&objective, prior.as_ref(), likelihood.as_ref(), &train)?;
    let text = |key: &str| resolved.get(key).and_then(Value::as_str).map(String::from);
    let run = Run {
        format: FORMAT,
        program: env!("CARGO_PKG_VERSION").into(),
        preset: text("preset"),
        paper: text("paper"),
        seed: layers.seed()?,
        data: layers.data()?,
        likelihood: likelihood_table,
        posterior: posterior_table,
        prior: prior_table,
        encoder,
        decoder,
        objective: objective_table,
        train,
        facts: facts.clone(),
    };
    Ok((run, notes))
}

/// Refuses what only several sections together show.
fn check(
    objective: &Objective,
    prior: &dyn PriorSettings,
    likelihood: &dyn LikelihoodSettings,
    train: &TrainSettings,
) -> Result<(), ConfigError> {
    let split = objective.terms.iter().find(|t| t.weight != 0.0 && t.term.needs_split_rate());
    if let Some(term) = split.filter(|_| !prior.factorises()) {
        let name = &term.name;
        return Err(ConfigError::Combination {
            what: format!(
                "the term `{name}` has free bits for each dimension, and the prior's density does not split over \
                 dimensions"
            ),
            remedy: format!(
                "set objective.terms.{name}.free_bits = 0, or use prior.kind = \"standard-normal\""
            ),
        });
    }
    if train.accumulate == 1 {
        return Ok(());
    }
    if let Some(term) = objective.couples_rows() {
        return Err(ConfigError::Combination {
            what: format!(
                "the term `{term}` couples the rows of a batch, so a batch cannot be split for accumulation"
            ),
            remedy: "set train.accumulate = 1".into(),
        });
    }
    if likelihood.couples_rows() {
        return Err(ConfigError::Combination {
            what: "the likelihood measures its scale on the whole batch, so a batch cannot be split for \
                   accumulation"
                .into(),
            remedy: "set train.accumulate = 1, or likelihood.scale = \"learned\"".into(),
        });
    }
    Ok(())
}

/// What the data itself asks for: likelihood, network and sizes, with the reasons.
fn suggestion(facts: &Facts) -> (Table, Vec<(&'static str, &'static str, String)>) {
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
fn fit(
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
        && let Err(reason) = registry.likelihoods.resolve(likelihood, "likelihood")?.0.check(facts)
    {
        let kind = likelihood.get("kind").and_then(Value::as_str).unwrap_or_default().to_string();
        let instead = suggested.get("likelihood").cloned().unwrap_or(Value::Table(Table::new()));
        notes.push(format!("{preset}: likelihood {kind} → {} ({reason})", kind_of(&instead)));
        table.insert("likelihood".into(), instead);
    }
    if let Some(Value::Table(network)) = named
        && layers.explicit.get("network").is_none()
        && network.contains_key("kind")
        && let Err(reason) = registry.networks.resolve(network, "network")?.0.check(facts.shape)
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
