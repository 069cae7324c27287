//! Models of others as ours: the arrays of a safetensors file, under their authors' names, in the places that ours have.
//!
//! ```text
//! file ── mapping: is it one of these? ──▶ settings, and of each array of ours: which of theirs, and how it is turned
//!      settings ──resolve with the data's facts──▶ Run ──build──▶ model ── arrays put in, each checked ──▶ Model
//! ```
//!
//! A mapping is one file beside this one and one line in [`mappings`].

mod disentangling_vae;

use std::path::Path;

use super::{Layers, resolve};
use crate::array::Array;
use crate::config::{ConfigError, nearest};
use crate::data::{Data, Facts, Normalisation, SampleShape, StoredType, ValueKind};
use crate::device::Device;
use crate::error::{Error, Result};
use crate::key::Key;
use crate::member::Registry;
use crate::model::Model;
use crate::store::{StoreError, TensorFile};

/// How models of some authors become ours.
pub struct Mapping {
    /// What it is called.
    pub name: &'static str,
    /// Whose models these are, and where their arrays are described.
    pub about: &'static str,
    /// Reads the plan off a file's arrays; the error says why it is none of these.
    plan: fn(&TensorFile) -> Result<Plan, String>,
}

/// What a file of theirs is with us.
struct Plan {
    /// The shape of a sample.
    shape: SampleShape,
    /// Settings, `key=value`.
    settings: Vec<String>,
    /// Each array of ours.
    arrays: Vec<Move>,
}

/// An array of ours, and where it comes from.
struct Move {
    ours: String,
    theirs: String,
    turn: Turn,
}

/// What is done to an array on the way.
#[derive(Clone, Copy)]
enum Turn {
    /// Nothing.
    None,
    /// `[outputs, inputs]` becomes `[inputs, outputs]`.
    Transposed,
    /// Outputs lie μ₁, ln σ²₁, μ₂, …, and ours μ₁ … μ_d, ln σ²₁ … ln σ²_d. A matrix is transposed, too.
    Interleaved,
}

/// What a model of others' is to be, beside what its arrays say.
#[derive(Clone, Copy, Debug)]
pub struct Imported<'a> {
    /// Whose it is, the name of a [`Mapping`]; found out where none.
    pub mapping: Option<&'a str>,
    /// The preset that it was trained by.
    pub preset: &'a str,
    /// Data that it was trained on, or data like it.
    pub data: Option<&'a str>,
    /// Settings, `key=value`.
    pub settings: &'a [String],
    /// What splits of the data descend from; the settings' own where none.
    pub seed: Option<u64>,
}

impl Default for Imported<'_> {
    fn default() -> Self {
        Self { mapping: None, preset: "vae", data: None, settings: &[], seed: None }
    }
}

/// The mappings that ship.
pub fn mappings() -> &'static [Mapping] {
    &[disentangling_vae::MAPPING]
}

/// The mapping of that name.
///
/// # Errors
/// [`ConfigError::UnknownMember`], which names the nearest.
pub fn mapping(name: &str) -> Result<&'static Mapping, ConfigError> {
    let names = || mappings().iter().map(|mapping| mapping.name);
    mappings().iter().find(|mapping| mapping.name == name).ok_or_else(|| ConfigError::UnknownMember {
        axis: "mapping".into(),
        name: name.into(),
        nearest: nearest(name, names()),
        known: names().collect::<Vec<_>>().join(", "),
    })
}

impl Mapping {
    fn plan_of(&self, file: &TensorFile, path: &Path) -> Result<Plan, StoreError> {
        (self.plan)(file).map_err(|what| self.refusal(what, path))
    }

    fn refusal(&self, what: String, path: &Path) -> StoreError {
        let remedy = format!("give a file of {}: {}", self.name, self.about);
        StoreError::Malformed { path: path.into(), what, remedy }
    }
}

impl Model {
    /// A model of others' as one of ours, and whose it is: the file's mapping found, the data opened, the settings laid over the
    /// preset, then [`Model::import`].
    ///
    /// # Errors
    /// As [`Model::import`]; an unknown mapping, preset or key; data that cannot be read; a setting of what the mapping says
    /// itself, such as the network.
    pub fn import_as(
        path: &Path,
        how: Imported<'_>,
        note: &mut dyn FnMut(String),
    ) -> Result<(Self, &'static Mapping)> {
        let mapping = match how.mapping {
            Some(name) => mapping(name)?,
            None => Self::mapping_of(path)?,
        };
        let mut layers = Layers::from_preset(how.preset)?;
        if let Some(source) = how.data {
            layers.set(&format!("data.source={}", toml::Value::String(source.into())))?;
        }
        let plan = mapping.plan_of(&read(path)?, path)?;
        for assignment in how.settings {
            let key = assignment.split('=').next().unwrap_or_default().trim();
            let section = key.split('.').next().unwrap_or_default();
            let parts = ["encoder", "decoder"].contains(&section).then_some("network");
            let section = parts.unwrap_or(section);
            if plan.settings.iter().any(|own| own.split('=').next() == Some(section)) {
                return Err(ConfigError::value(
                    key,
                    format!("a model of {} has a {section} of its own, which its arrays are for", mapping.name),
                    "leave it out; to train another model from these weights, import them and use latent train --init-from",
                )
                .into());
            }
            layers.set(assignment)?;
        }
        if let Some(seed) = how.seed {
            layers.set(&format!("seed={seed}"))?;
        }
        let data = match how.data {
            Some(_) => Some(Data::open(&layers.data()?, Key::from_seed(layers.seed()?), note)?),
            None => None,
        };
        Ok((Self::import(path, mapping, &layers, data.as_ref().map(Data::facts))?, mapping))
    }

    /// A model of others' as one of ours. `layers` say what it was trained by and on, where it is to be trained further or
    /// judged on its own data, whose facts are then `facts`; without them its samples are 8-bit images, 0 to 255. The network,
    /// posterior and likelihood are the mapping's.
    ///
    /// # Errors
    /// What is no safetensors file or has other arrays than the mapping says; data of another shape.
    pub fn import(path: &Path, mapping: &Mapping, layers: &Layers, facts: Option<&Facts>) -> Result<Self> {
        let file = read(path)?;
        let wrong = |what: String| mapping.refusal(what, path);
        let plan = mapping.plan_of(&file, path)?;
        let facts = match facts {
            Some(facts) if facts.shape != plan.shape => {
                let what =
                    format!("the model's samples are {}, those of the data {}", plan.shape, facts.shape);
                let remedy = match plan.shape {
                    SampleShape::Image { channels, height, width } => {
                        let word = if channels == 1 { "grey" } else { "colour" };
                        format!(
                            "set data.image.size = [{height}, {width}] and data.image.channels = {word:?}, or leave the data out"
                        )
                    }
                    SampleShape::Vector { .. } => "give data of that shape, or leave it out".into(),
                };
                return Err(StoreError::Malformed { path: path.into(), what, remedy }.into());
            }
            Some(facts) => facts.clone(),
            None => bytes_of(plan.shape, path),
        };
        let mut layers = layers.clone();
        plan.settings.iter().try_for_each(|setting| layers.set(setting))?;
        let (checked, _) = resolve(&layers, &facts, &Registry::default())?;
        let (functions, mut weights) = checked.build(&Device::cpu())?;
        let places: Vec<_> =
            weights.kept().map(|(id, w)| (id, w.path().to_string(), w.shape().to_vec())).collect();
        for (id, ours, shape) in places {
            let found = plan.arrays.iter().find(|array| array.ours == ours);
            let Move { theirs, turn, .. } =
                found.ok_or_else(|| wrong(format!("nothing in it is the array `{ours}`")))?;
            let array = file.arrays.get(theirs).ok_or_else(|| wrong(format!("`{theirs}` is missing")))?;
            let array = turned(array, *turn);
            if array.shape != shape {
                let what = format!("`{theirs}` becomes {:?}, and `{ours}` is {shape:?}", array.shape);
                return Err(wrong(what).into());
            }
            if array.values.iter().any(|value| !value.is_finite()) {
                return Err(wrong(format!("`{theirs}` holds a number that is NaN or infinite")).into());
            }
            weights.set_values(id, array.values);
        }
        let mut unused = file.arrays.keys().filter(|name| plan.arrays.iter().all(|a| a.theirs != **name));
        if let Some(name) = unused.next() {
            return Err(wrong(format!("`{name}` has no place in the model")).into());
        }
        Self::of(checked.run, functions, weights)
    }

    /// The mapping that knows a file, if one does.
    ///
    /// # Errors
    /// What is no safetensors file; none that fits, with what each says against it.
    pub fn mapping_of(path: &Path) -> Result<&'static Mapping> {
        let file = read(path)?;
        let mut against = Vec::new();
        for mapping in mappings() {
            match (mapping.plan)(&file) {
                Ok(_) => return Ok(mapping),
                Err(why) => against.push(format!("{}: {why}", mapping.name)),
            }
        }
        let what = format!("no mapping knows its arrays ({})", against.join("; "));
        let remedy =
            "a model of another make needs a mapping of its own: crates/latent/src/run/import.rs".into();
        Err(StoreError::Malformed { path: path.into(), what, remedy }.into())
    }
}

/// Reads a safetensors file; a pickle, which runs code when it is read, is refused.
fn read(path: &Path) -> Result<TensorFile> {
    let bytes = std::fs::read(path).map_err(|source| StoreError::Read { path: path.into(), source })?;
    // A zip archive or a bare pickle; the header of a safetensors file begins at its ninth byte.
    if bytes.get(8) != Some(&b'{') && (bytes.starts_with(b"PK") || bytes.starts_with(&[0x80])) {
        let what = "a file of PyTorch, which runs code when it is read".into();
        let remedy =
            "write it as safetensors: safetensors.torch.save_file(torch.load(FILE, weights_only=True), \
                      \"model.safetensors\")"
                .into();
        return Err(StoreError::Malformed { path: path.into(), what, remedy }.into());
    }
    TensorFile::parse(&bytes, path).map_err(|error| {
        let (path, remedy) = (path.into(), "copy it again from where it came");
        Error::Store(match error {
            StoreError::Malformed { what, .. } => StoreError::Malformed { path, what, remedy: remedy.into() },
            StoreError::Foreign { what, .. } => {
                let remedy =
                    "write it with 32-bit numbers: {name: tensor.float() for name, tensor in state.items()}";
                StoreError::Malformed { path, what, remedy: remedy.into() }
            }
            other => other,
        })
    })
}

/// What is known of data that is not here: samples are images of bytes.
fn bytes_of(shape: SampleShape, path: &Path) -> Facts {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let kind = match shape {
        SampleShape::Image { channels: 1, .. } => ValueKind::Grey,
        SampleShape::Image { .. } => ValueKind::Colour,
        SampleShape::Vector { .. } => ValueKind::Real,
    };
    let (offset, scale) = (vec![0.0], vec![255.0]);
    let (range, whole) = (Some((0.0, 255.0)), Vec::new());
    Facts {
        source: format!("the data that {name} was trained on"),
        shape,
        kind,
        normalisation: Normalisation { offset, scale, stored: StoredType::U8, range, whole },
        columns: Vec::new(),
        constant: Vec::new(),
        classes: Vec::new(),
        rows: [0; 3],
        mean: Vec::new(),
        variance: Vec::new(),
        hash: String::new(),
        overlaps: Vec::new(),
        condition: Vec::new(),
        table: None,
    }
}

/// An array as ours has it.
fn turned(array: &Array, turn: Turn) -> Array {
    // [rows, columns] of theirs; a vector is one column.
    let (rows, columns) = match array.shape[..] {
        [rows, columns] => (rows, columns),
        _ => (array.values.len(), 1),
    };
    let order: Vec<usize> = match turn {
        Turn::None => return array.clone(),
        Turn::Transposed => (0..rows).collect(),
        Turn::Interleaved => (0..rows).step_by(2).chain((1..rows).step_by(2)).collect(),
    };
    let values = (0..columns).flat_map(|c| order.iter().map(move |r| r * columns + c));
    let values = values.map(|at| array.values[at]).collect();
    let shape = if array.shape.len() == 2 { vec![columns, rows] } else { array.shape.clone() };
    Array { shape, values }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_are_turned() {
        let array = Array { shape: vec![4, 2], values: (0..8u8).map(f32::from).collect() };
        let transposed = turned(&array, Turn::Transposed);
        assert_eq!(
            (&transposed.shape[..], &transposed.values[..4]),
            (&[2, 4][..], &[0.0, 2.0, 4.0, 6.0][..])
        );
        // Outputs 0, 1, 2, 3 are μ₁, ln σ²₁, μ₂, ln σ²₂.
        let heads = turned(&array, Turn::Interleaved);
        assert_eq!(heads.values, [0.0, 4.0, 2.0, 6.0, 1.0, 5.0, 3.0, 7.0]);
        let bias = turned(&Array { shape: vec![4], values: vec![0.0, 1.0, 2.0, 3.0] }, Turn::Interleaved);
        assert_eq!((&bias.shape[..], &bias.values[..]), (&[4][..], &[0.0, 2.0, 1.0, 3.0][..]));
    }
}
