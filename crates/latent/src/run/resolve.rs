//! From layers and the facts of the data to a checked [`Run`]: each table is read once.

use toml::{Table, Value};

use super::hint::explain;
use super::layers::no_table;
use super::suggest::{fit, has_detail, suggestion};
use super::{FORMAT, Layers, Purpose, Run, preset};
use crate::config::{ConfigError, check_sizes, merge, parse_table};
use crate::data::{Data, Facts, ValueKind};
use crate::device::Device;
use crate::member::{Context, Registry};
use crate::model::posterior::PosteriorSettings;
use crate::model::{LatentModel, Part, Parts};
use crate::objective::{Objective, ObjectiveSettings};
use crate::train::TrainSettings;
use crate::weights::{Init, Weights};

/// A run whose members have checked themselves with the data's facts and with each other.
pub struct Checked {
    /// What is written down of it.
    pub run: Run,
    /// The settings of the model's members.
    pub parts: Parts,
    /// The settings of what is minimised.
    pub objective: ObjectiveSettings,
}

impl Checked {
    /// Reads a resolved run, as a file holds it.
    ///
    /// # Errors
    /// What is wrong with a key, or does not go together.
    pub fn new(run: Run, registry: &Registry) -> Result<Self, ConfigError> {
        let network = |part: &str| part.to_string();
        let (parts, objective, _) = read(&run_tables(&run), &network, registry)?;
        check(&parts, &objective, &run)?;
        Ok(Self { run, parts, objective })
    }

    /// Builds the model with fresh weights, keyed by the run's seed.
    ///
    /// # Errors
    /// What only building shows.
    pub fn build(&self, device: &Device) -> Result<(LatentModel, Weights), ConfigError> {
        self.parts.build(&self.run.facts, self.run.seed, device)
    }

    /// Builds the model and what is minimised, whose arrays come after the model's. Terms look at the training rows' classes in
    /// `data`, and an exemplar prior at the rows; without it all classes are taken for known, and exemplars are those of the weights.
    ///
    /// # Errors
    /// What only building shows.
    pub fn build_for_training(
        &self,
        data: Option<&Data>,
        device: &Device,
    ) -> Result<(LatentModel, Weights, Objective), ConfigError> {
        let (model, mut weights) = self.parts.build_on(&self.run.facts, data, self.run.seed, device)?;
        let mut context = self.parts.declare(&self.run.facts)?;
        context.data = data;
        self.objective.declare(&mut context)?;
        let mut init = Init::new(&mut weights, crate::model::weights_key(self.run.seed));
        let objective = self.objective.init(&mut context, &mut init)?;
        Ok((model, weights, objective))
    }

    /// The name and shape of every array of the model file, in order, without building it.
    ///
    /// # Errors
    /// What only building shows.
    pub fn outline(&self) -> Result<Vec<(String, Vec<usize>)>, ConfigError> {
        self.parts.outline(&self.run.facts)
    }
}

/// What a table of mixed columns is trained by unless asked otherwise.
const MIXED: &str = "table";

/// The sections that members stand in.
const MEMBERS: [&str; 6] = ["likelihood", "posterior", "prior", "encoder", "decoder", "objective"];

/// Resolves what is asked for against the data. Returns the run and what was chosen or changed to fit, a line each.
///
/// # Errors
/// [`ConfigError`] with the key that the user wrote.
pub fn resolve(
    layers: &Layers,
    facts: &Facts,
    registry: &Registry,
) -> Result<(Checked, Vec<String>), ConfigError> {
    resolve_layers(layers, facts, registry).map_err(|error| explain(error, registry))
}

fn resolve_layers(
    layers: &Layers,
    facts: &Facts,
    registry: &Registry,
) -> Result<(Checked, Vec<String>), ConfigError> {
    let mut notes = Vec::new();
    let mut table = layers.table.clone();
    let purpose = purpose_of(layers, facts, &mut notes)?;
    let is_vector =
        layers.table.get("posterior").is_some_and(|own| own.get("latent").is_some_and(Value::is_integer));
    let has_network = ["network", "encoder", "decoder"]
        .iter()
        .any(|part| layers.table.get(*part).is_some_and(|own| own.get("kind").is_some()));
    let (suggested, reasons) = suggestion(facts, purpose, is_vector || has_network);
    if table.get("preset").is_none() && facts.kind == ValueKind::Mixed {
        // A table of mixed columns has a preset of its own.
        let asked = std::mem::replace(&mut table, preset(MIXED)?.table()?);
        table.remove("data");
        table.insert("preset".into(), MIXED.into());
        merge(&mut table, &asked);
        notes.push(format!("preset: {MIXED} (columns of several kinds)"));
    } else if layers.table.get("preset").is_none() {
        let asked =
            |section: &str, key: &str| layers.table.get(section).is_some_and(|s| s.get(key).is_some());
        notes.extend(
            reasons.into_iter().filter(|(section, key, _)| !asked(section, key)).map(|(_, _, text)| text),
        );
    }
    let named = table.remove("network");
    if let Some(other) = named.as_ref().filter(|named| !named.is_table()) {
        return Err(no_table("network", other));
    }
    fit(&mut table, &named, layers, facts, registry, &suggested, &mut notes)?;

    let mut resolved = suggested;
    forget_latent(&mut resolved, &table, registry);
    if layers.explicit.get("posterior").is_none_or(|own| own.get("latent").is_none()) {
        // Nor does the preset's outlive a posterior of another kind, chosen over it.
        let asked = table.clone();
        forget_latent(&mut table, &asked, registry);
    }
    // A list of terms that has a distortion is a whole objective, not an addition to the suggested one.
    if table.get("objective").and_then(|o| o.get("terms")?.get("distortion")).is_some() {
        resolved.remove("objective");
    }
    for part in ["encoder", "decoder"] {
        if let (Some(Value::Table(own)), Some(Value::Table(network))) = (resolved.get_mut(part), &named) {
            merge(own, network);
        }
    }
    if layers.count_steps()
        && let Some(Value::Table(train)) = resolved.get_mut("train")
    {
        // How long was said: in steps or in epochs.
        train.remove("steps");
    }
    merge(&mut resolved, &table);
    let section = |name: &str| match resolved.get(name) {
        Some(Value::Table(table)) => Ok(table.clone()),
        None => Ok(Table::new()),
        Some(other) => Err(no_table(name, other)),
    };
    let mut tables = Table::new();
    for name in MEMBERS {
        tables.insert(name.into(), section(name)?.into());
    }
    // Keys are called what the user called them: `network` is short for both.
    let short = named.is_some();
    let called = |part: &str| match part {
        "encoder" | "decoder" if short && layers.table.get(part).is_none() => "network".into(),
        part => part.to_string(),
    };
    let (parts, objective, mut filled) = read(&tables, &called, registry)?;
    let train: TrainSettings = parse_table(&section("train")?, "train")?;
    train.check()?;
    let text = |key: &str| resolved.get(key).and_then(Value::as_str).map(String::from);
    let mut member = |name: &str| match filled.remove(name) {
        Some(Value::Table(table)) => table,
        _ => Table::new(),
    };
    let run = Run {
        format: FORMAT,
        program: env!("CARGO_PKG_VERSION").into(),
        preset: text("preset"),
        paper: text("paper"),
        refined: None,
        purpose,
        seed: layers.seed()?,
        data: layers.data()?,
        likelihood: member("likelihood"),
        posterior: member("posterior"),
        prior: member("prior"),
        encoder: member("encoder"),
        decoder: member("decoder"),
        objective: member("objective"),
        train,
        facts: facts.clone(),
    };
    check(&parts, &objective, &run)?;
    Ok((Checked { run, parts, objective }, notes))
}

/// What the run is for: what was said; or else samples, for images of which nothing was chosen; or else nothing in particular.
fn purpose_of(
    layers: &Layers,
    facts: &Facts,
    notes: &mut Vec<String>,
) -> Result<Option<Purpose>, ConfigError> {
    let asked = layers.purpose()?;
    if asked.is_some() || layers.table.contains_key("preset") || layers.choose_model() || !has_detail(facts) {
        return Ok(asked);
    }
    notes.push("for: samples, as for all images (--for codes, likelihood or anomalies otherwise)".into());
    Ok(Some(Purpose::Samples))
}

/// The size of the code that nobody asked for is for posteriors that have one: others find theirs in what they are made of.
fn forget_latent(table: &mut Table, asked: &Table, registry: &Registry) {
    let kind = asked.get("posterior").and_then(|posterior| posterior.get("kind")?.as_str());
    let axis = registry.members::<PosteriorSettings>();
    if let (Some(kind), Some(axis)) = (kind, axis)
        && !axis.knows(kind, "latent", registry)
        && let Some(Value::Table(posterior)) = table.get_mut("posterior")
    {
        posterior.remove("latent");
    }
}

fn run_tables(run: &Run) -> Table {
    let all = [&run.likelihood, &run.posterior, &run.prior, &run.encoder, &run.decoder, &run.objective];
    MEMBERS.into_iter().map(String::from).zip(all.into_iter().cloned().map(Value::Table)).collect()
}

/// Reads the tables of members; returns them with every default filled in, too.
fn read(
    tables: &Table,
    called: &dyn Fn(&str) -> String,
    registry: &Registry,
) -> Result<(Parts, ObjectiveSettings, Table), ConfigError> {
    let empty = Table::new();
    let mut filled = Table::new();
    let table = |name: &str| tables.get(name).and_then(Value::as_table).unwrap_or(&empty);
    macro_rules! part {
        ($name:literal) => {{
            let path = called($name);
            check_sizes(table($name), &path)?;
            let (settings, resolved) = registry.resolve(table($name), &path)?;
            filled.insert($name.into(), resolved.into());
            Part { path, settings }
        }};
    }
    let parts = Parts {
        likelihood: part!("likelihood"),
        posterior: part!("posterior"),
        prior: part!("prior"),
        encoder: part!("encoder"),
        decoder: part!("decoder"),
    };
    let (objective, resolved) = ObjectiveSettings::resolve(table("objective"), registry)?;
    filled.insert("objective".into(), resolved.into());
    Ok((parts, objective, filled))
}

/// Lets every member check itself, and refuses what only several together show.
fn check(parts: &Parts, objective: &ObjectiveSettings, run: &Run) -> Result<(), ConfigError> {
    let mut context: Context<'_> = parts.declare(&run.facts)?;
    objective.declare(&mut context)?;
    match context.couplings.first() {
        Some(coupling) if run.train.accumulate > 1 => Err(ConfigError::combination(
            format!("{}, so a batch cannot be split for accumulation", coupling.what),
            format!(
                "set train.accumulate = 1{}{}",
                if coupling.instead.is_empty() { "" } else { ", " },
                coupling.instead
            ),
        )),
        _ => Ok(()),
    }
}
