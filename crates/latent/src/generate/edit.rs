//! Edits: codes moved along a direction that leads from one group of rows to another.
//!
//! ```text
//! v = mean code of B − mean code of A,   u = v / |v|
//! z(s) = z + s σ u,   σ the standard deviation of the data's codes along u
//! ```
//!
//! So A − B + C of codes is C at s = |v|/σ ([`Direction::apart`]). How far z(s) lies from where codes are, [`Spread`] says:
//! out there the decoder has learned nothing.
//!
//! References: Radford, Metz & Chintala (arXiv 1511.06434), section 6.3.2; Larsen et al. (arXiv 1512.09300), section 4.2.

use std::path::{Path, PathBuf};

use super::sampler::{identity, is_of};
use super::{Observe, Place, Result, Samples, Spread, Told};
use crate::array::Array;
use crate::batch::Support;
use crate::config::nearest;
use crate::data::{Data, Rows, Split};
use crate::figure::{Figure, GridLabels, image_sheet};
use crate::files::clear_run;
use crate::key::Key;
use crate::model::{Model, ModelError};
use crate::store::{StoreError, TensorFile};

/// A direction in the space of codes.
#[derive(Clone, Debug, PartialEq)]
pub struct Direction {
    /// v, from the mean code of one group to that of the other, `[dims]`: finite and not 0.
    vector: Vec<f32>,
    /// How many rows the two means are of; twice the same where it is along a number of theirs.
    rows: [usize; 2],
}

/// The format that this program writes.
const FORMAT: u32 = 1;

/// Rows whose codes are taken for means and spread, at most.
const MOST_ROWS: usize = 10_000;

/// Rows that are read and encoded at once.
const PART: usize = 512;

pub(super) fn refused(what: impl Into<String>, remedy: impl Into<String>) -> super::GenerateError {
    ModelError::Foreign { what: what.into(), remedy: remedy.into() }.into()
}

impl Direction {
    /// From the mean of the codes `from` to the mean of the codes `to`, each `rows × dims`.
    ///
    /// # Errors
    /// [`ModelError::Foreign`] for a group without rows, groups with one mean, or codes that are no numbers.
    pub fn between(from: &Array, to: &Array) -> Result<Self> {
        let mut means = Vec::new();
        for (group, codes) in [("first", from), ("second", to)] {
            if codes.rows() == 0 {
                return Err(refused(format!("the {group} group holds no row"), "give at least one of each"));
            }
            let mut mean = vec![0.0; codes.width()];
            for row in codes.values.chunks(codes.width().max(1)) {
                mean.iter_mut().zip(row).for_each(|(m, z)| *m += f64::from(*z) / codes.rows() as f64);
            }
            means.push(mean);
        }
        let vector = means[0].iter().zip(&means[1]).map(|(a, b)| (b - a) as f32).collect();
        Self::new(vector, [from.rows(), to.rows()])
    }

    /// A direction of so many rows, if it is one.
    pub(super) fn new(vector: Vec<f32>, rows: [usize; 2]) -> Result<Self> {
        if vector.iter().all(|v| *v == 0.0) || vector.iter().any(|v| !v.is_finite()) {
            let what = "the codes of both groups have the same mean, or are no numbers: no direction tells them apart";
            return Err(refused(what, "give two groups of different rows, of a model that isn't collapsed"));
        }
        Ok(Self { vector, rows })
    }

    /// From the mean code of all other rows to that of the rows with the label `class`.
    ///
    /// # Errors
    /// As [`Direction::between`].
    pub fn toward(codes: &Array, labels: &[u32], class: u32) -> Result<Self> {
        let group = |is: bool| {
            let rows = labels.iter().enumerate().filter(|(_, label)| (**label == class) == is);
            Array::matrix(rows.flat_map(|(row, _)| codes.row(row).to_vec()).collect(), codes.width())
        };
        Self::between(&group(false), &group(true))
    }

    /// The same for a class by its name, of a split's rows ([`Model::centres`]).
    ///
    /// # Errors
    /// [`ModelError::Foreign`] for data without classes, or an unknown one; what reading rows says.
    pub fn toward_class(model: &Model, data: &Data, split: Split, class: &str) -> Result<Self> {
        let classes = &data.facts().classes;
        if classes.is_empty() || !data.has_labels(split) {
            let what =
                format!("{} has no classes, so nothing says which rows are {class:?}", data.facts().source);
            let remedy = "give the two groups as folders, by --from and --to, or data with labels";
            return Err(refused(what, remedy));
        }
        let Some(number) = classes.iter().position(|known| known == class) else {
            let remedy = match nearest(class, classes.iter().map(String::as_str)) {
                Some(nearest) => format!("did you mean {nearest:?}?"),
                None => format!("the classes are {}", classes.join(", ")),
            };
            return Err(refused(format!("there is no class {class:?}"), remedy));
        };
        let (codes, labels) = model.centres(data, split)?;
        Self::toward(&codes, &labels, number as u32)
    }

    /// How many rows the means of the first and the second group are of.
    pub fn rows(&self) -> [usize; 2] {
        self.rows
    }

    /// v, `[dims]`.
    pub fn vector(&self) -> &[f32] {
        &self.vector
    }

    /// |v|/σ: how far the means of the two groups are apart, in standard deviations of codes along v.
    pub fn apart(&self, spread: &Spread) -> f64 {
        self.length() / spread.along(&self.vector)
    }

    fn length(&self) -> f64 {
        self.vector.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt()
    }

    /// Where the direction of that name lies: `RUN/directions/NAME.safetensors`.
    ///
    /// # Errors
    /// [`ModelError::Foreign`] for a name that is more than letters, digits, `-` and `_`.
    pub fn path(run: &Path, name: &str) -> Result<PathBuf> {
        let fits = |letter: char| letter.is_alphanumeric() || letter == '-' || letter == '_';
        if name.is_empty() || name.chars().count() > 64 || !name.chars().all(fits) {
            let remedy = "take up to 64 letters, digits, - and _";
            return Err(refused(format!("{name:?} is no name for a direction"), remedy));
        }
        Ok(run.join("directions").join(format!("{name}.safetensors")))
    }

    /// Writes the direction beside the model in the run folder, whole or not at all; over an older one of that name only if
    /// `force` says so.
    ///
    /// # Errors
    /// As [`Direction::path`]; [`ModelError::Foreign`] for what is there already; what the file system says.
    pub fn save(&self, model: &Model, run: &Path, name: &str, force: bool) -> Result<PathBuf> {
        let path = Self::path(run, name)?;
        Self::may_save(&path, force)?;
        let folder = run.join("directions");
        std::fs::create_dir_all(&folder).map_err(|source| StoreError::Io { path: folder, source })?;
        let header = [
            ("latent-direction", FORMAT.to_string()),
            ("program", env!("CARGO_PKG_VERSION").into()),
            ("model", identity(model)),
            ("rows", format!("{} {}", self.rows[0], self.rows[1])),
        ];
        let vector = Array { shape: vec![self.vector.len()], values: self.vector.clone() };
        TensorFile {
            header: header.map(|(key, value)| (key.into(), value)).into(),
            arrays: [("direction".into(), vector)].into(),
        }
        .save(&path)?;
        clear_run(run);
        Ok(path)
    }

    /// Refuses what [`Direction::save`] would, before any work is done.
    ///
    /// # Errors
    /// [`ModelError::Foreign`] for a direction that is there, or a file of something else.
    pub fn may_save(path: &Path, force: bool) -> Result<()> {
        if std::fs::symlink_metadata(path).is_err() {
            return Ok(());
        }
        let is_ours = TensorFile::load(path).is_ok_and(|file| file.header.contains_key("latent-direction"));
        match (is_ours, force) {
            (true, true) => Ok(()),
            (true, false) => Err(refused(
                format!("{}: a direction of that name is there", path.display()),
                "give another name, or add --force to replace it",
            )),
            (false, _) => {
                let what = format!("{}: is there and is no direction", path.display());
                Err(refused(what, "move it away, or give another name"))
            }
        }
    }

    /// Loads the direction of that name for the model of the run folder.
    ///
    /// # Errors
    /// As [`Direction::path`]; [`ModelError::Foreign`] where there is none, or it belongs to another model;
    /// [`StoreError`] for what is no such file.
    pub fn load(model: &Model, run: &Path, name: &str) -> Result<Self> {
        let path = Self::path(run, name)?;
        if !path.exists() {
            let remedy = match Self::names(run).as_slice() {
                [] => "make it with: latent edit RUN --toward CLASS --save NAME".to_string(),
                names => format!("there are {}", names.join(", ")),
            };
            return Err(refused(format!("{}: no such direction is saved", path.display()), remedy));
        }
        let file = TensorFile::load(&path)?;
        let foreign = |what: &str| StoreError::Foreign { path: path.clone(), what: what.into() };
        let format = file.header("latent-direction", &path)?;
        let format: u32 = format.parse().map_err(|_| foreign("its format is not a number"))?;
        if format > FORMAT {
            return Err(StoreError::Newer { path, found: format, known: FORMAT }.into());
        }
        if !is_of(file.header("model", &path)?, model) {
            let what = format!(
                "{}: a direction of another model, or of another state of this one (it has been trained since)",
                path.display()
            );
            return Err(refused(what, "make it anew, with latent edit --save and --force"));
        }
        let vector = file.arrays.get("direction").map(|array| array.values.clone()).unwrap_or_default();
        let is_right = vector.iter().all(|v| v.is_finite()) && vector.iter().any(|v| *v != 0.0);
        if vector.len() != model.dims() || !is_right {
            return Err(foreign("it holds no direction in this model's codes").into());
        }
        let rows = file.header("rows", &path)?.split_once(' ');
        let rows = rows.and_then(|(from, to)| Some([from.parse().ok()?, to.parse().ok()?]));
        Ok(Self { vector, rows: rows.ok_or_else(|| foreign("it doesn't say of how many rows it is"))? })
    }

    /// The names of the directions that are saved in a run folder, in their order.
    pub fn names(run: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(run.join("directions")).into_iter().flatten().flatten();
        let name = |entry: std::fs::DirEntry| {
            Some(entry.file_name().to_str()?.strip_suffix(".safetensors")?.to_string())
        };
        let mut names: Vec<String> = entries.filter_map(name).collect();
        names.sort();
        names
    }
}

/// Rows, and what becomes of them on their way along a direction.
#[derive(Clone, Debug)]
pub struct Edits {
    /// The rows as they were.
    pub originals: Samples,
    /// How far each step goes, in standard deviations of codes along the direction, or in parts of each row's own way; the first
    /// is 0.
    pub strengths: Vec<f64>,
    /// What strengths are of, in words.
    pub unit: String,
    /// The codes, `rows · steps × dims`, the steps of a row one after another.
    pub codes: Array,
    /// What they decode to, in that order.
    pub decoded: Samples,
    /// How far out each code lies.
    pub places: Vec<Place>,
}

/// `steps` equal steps from 0 to `strength`, 0 before them: as many strengths and one.
pub fn strengths(steps: usize, strength: f64) -> Vec<f64> {
    (0..=steps).map(|step| strength * step as f64 / steps.max(1) as f64).collect()
}

impl Edits {
    /// A row of pictures for each: the row, its reconstruction, the steps; under each decoded picture how far out its code
    /// lies. `names` stand beside the rows; there may be none.
    ///
    /// # Errors
    /// [`ModelError::NoPicture`] for rows of a table; what drawing says.
    pub fn sheet(&self, names: Vec<String>, title: &str) -> Result<Figure> {
        let (originals, decoded) = (self.originals.pictures()?, self.decoded.pictures()?);
        let [channels, height, width] = originals.shape();
        let (size, steps) = (channels * height * width, self.strengths.len());
        let rows = originals.pixels().chunks(size).zip(decoded.pixels().chunks(steps * size));
        let pixels: Vec<f32> = rows.flat_map(|(one, others)| [one, others].concat()).collect();
        let captions = self.places.chunks(steps).flat_map(|places| {
            std::iter::once(String::new()).chain(places.iter().map(|place| place.short()))
        });
        let captions: Vec<String> = captions.collect();
        let mut columns = vec!["row".to_string(), "reconstruction".into()];
        columns.extend(self.strengths.iter().skip(1).map(|s| format!("{s:+.2}")));
        let labels = GridLabels {
            title: title.into(),
            caption: format!(
                "Above: {}. Below: how far out the code lies (edge: the share of the data's codes nearer to their mean; outside: \
                 all are).",
                self.unit
            ),
            columns: Some(steps + 1),
            row_labels: names,
            column_labels: columns,
        };
        let images = crate::figure::Images::new(&pixels, channels, height, width)?;
        Ok(image_sheet(&images, &captions, &labels)?)
    }
}

impl Model {
    /// Refuses codes between which there are no steps.
    ///
    /// # Errors
    /// [`ModelError::Foreign`] for bits and indices.
    pub fn has_directions(&self) -> Result<()> {
        match self.functions.latent.blocks.iter().find(|block| block.support.values().is_some()) {
            None => Ok(()),
            Some(block) => Err(refused(
                format!(
                    "the codes of this model ({}) are {}, and between them lies no direction",
                    block.name,
                    block.support.name()
                ),
                "change single ones with latent traverse, or train a model with continuous codes, such as --preset vae",
            )),
        }
    }

    /// The centres of q(z|x) of a split's rows with their labels, at most 10 000 in a keyed order: the same each time.
    ///
    /// # Errors
    /// What reading rows says.
    pub fn centres(&self, data: &Data, split: Split) -> Result<(Array, Vec<u32>)> {
        let positions = self.centred(data, split);
        let (mut values, mut labels) = (Vec::new(), Vec::new());
        for part in positions.chunks(PART) {
            let mut rows = data.rows(split, part, 0)?;
            values.extend(self.encode(&rows)?.mean.values);
            labels.append(&mut rows.labels);
        }
        Ok((Array::matrix(values, self.dims()), labels))
    }

    /// The positions of the rows whose centres [`Model::centres`] takes, in its order.
    pub fn centred(&self, data: &Data, split: Split) -> Vec<usize> {
        let mut positions = Key::from_seed(self.seed).fold("centres").permutation(data.len(split));
        positions.truncate(MOST_ROWS);
        // In the order of the files, which is the quickest to read.
        positions.sort_unstable();
        positions
    }

    /// Where the codes of held-out rows of the model's own data are.
    ///
    /// # Errors
    /// As [`Spread::of`]; what reading rows says.
    pub fn spread(&self, data: &Data) -> Result<Spread> {
        Spread::of(&self.centres(data, Split::Validation)?.0)
    }

    /// Moves the code of each row along `direction` by each of `strengths`, and decodes each row as what it is `told`:
    /// [`Told::of`] the rows for what they are.
    ///
    /// # Errors
    /// As [`Model::encode`] and [`Model::has_directions`]; [`ModelError::Shape`] for another model's direction or spread, and where
    /// `told` is not of these rows.
    pub fn edit(
        &self,
        rows: &Rows,
        told: &Told,
        direction: &Direction,
        spread: &Spread,
        strengths: &[f64],
    ) -> Result<Edits> {
        let each = vec![1.0; rows.len()];
        let edits = self.edit_each(rows, told, direction, spread, (strengths, &each))?;
        Ok(Edits { unit: "standard deviations of codes along the direction".into(), ..edits })
    }

    /// The same where each row has a way of its own, in standard deviations of codes along the direction: `parts` of it are gone.
    /// A number that should become v* is `(v* − v) · direction.apart(spread)` away under [`Direction::along`].
    ///
    /// # Errors
    /// As [`Model::edit`].
    pub fn edit_each(
        &self,
        rows: &Rows,
        told: &Told,
        direction: &Direction,
        spread: &Spread,
        (parts, ways): (&[f64], &[f64]),
    ) -> Result<Edits> {
        self.has_directions()?;
        if ways.len() != rows.len() {
            let remedy = "give each row a way".into();
            let (found, wanted) = (ways.len(), rows.len());
            return Err(ModelError::Shape { what: "the ways".into(), found, wanted, remedy }.into());
        }
        for (what, found) in [("the direction", direction.vector.len()), ("the spread", spread.dims())] {
            if found != self.dims() {
                let remedy = "take those of this model's codes".into();
                return Err(
                    ModelError::Shape { what: what.into(), found, wanted: self.dims(), remedy }.into()
                );
            }
        }
        let scale = spread.along(&direction.vector) / direction.length();
        let supports = self.functions.latent.supports();
        let encoded = self.encode(rows)?.mean;
        let mut values = Vec::with_capacity(parts.len() * encoded.values.len());
        for (row, way) in ways.iter().enumerate() {
            for strength in parts.iter().map(|part| part * way) {
                let moved = encoded.row(row).iter().zip(&direction.vector).zip(&supports);
                values.extend(moved.map(|((z, v), support)| {
                    let z = (f64::from(*z) + strength * scale * f64::from(*v)) as f32;
                    if *support == Support::UnitInterval { z.clamp(0.0, 1.0) } else { z }
                }));
            }
        }
        let codes = Array::matrix(values, self.dims());
        let of: Vec<usize> = (0..codes.rows()).map(|code| code / parts.len().max(1)).collect();
        told.is_of(encoded.rows())?;
        let told = told.select(&of);
        let decoded = self.decode_told(&codes, &told, Observe::Mean, Key::from_seed(0))?;
        let places = (0..codes.rows()).map(|code| spread.place(codes.row(code))).collect();
        let originals = Samples::new(rows.x.clone(), &self.facts);
        let unit = "parts of each row's own way".to_string();
        Ok(Edits { originals, strengths: parts.to_vec(), unit, codes, decoded, places })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_direction_leads_from_mean_to_mean() {
        let codes = Array::matrix(vec![0.0, 0.0, 2.0, 4.0, 5.0, 1.0, 7.0, 3.0], 2);
        let direction = Direction::toward(&codes, &[0, 0, 1, 1], 1).expect("two groups");
        assert_eq!(direction.vector(), [5.0, 0.0]);
        assert_eq!(direction.rows(), [2, 2]);
        assert_eq!(direction, Direction::toward(&codes, &[0, 2, 1, 1], 1).expect("against all others"));
        assert!(Direction::toward(&codes, &[0, 0, 0, 0], 1).is_err());
        assert!(Direction::between(&codes, &codes).is_err());
    }

    #[test]
    fn steps_are_equal_and_begin_at_nothing() {
        assert_eq!(strengths(4, 2.0), [0.0, 0.5, 1.0, 1.5, 2.0]);
        assert_eq!(strengths(2, -1.0), [0.0, -0.5, -1.0]);
    }

    #[test]
    fn a_name_leads_nowhere_else() {
        let run = Path::new("run");
        assert_eq!(
            Direction::path(run, "Größe-2_a").expect("a name"),
            run.join("directions/Größe-2_a.safetensors")
        );
        for name in ["", "..", "a/b", "a\\b", "a.b", "C:", "a b"] {
            assert!(Direction::path(run, name).is_err(), "{name:?}");
        }
    }
}
