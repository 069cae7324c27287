//! Data: rows cut into three splits, the facts about them, and how they are prepared.
//!
//! Opening reads everything once (hash, NaN check, range, mean, variance, repeated rows). From then on a row
//! is read by position, wherever it is needed.

use sha2::{Digest, Sha256};

use super::array::MOST_FEATURES;
use super::classes::Chosen;
use super::dataset::{Dataset, Labels};
use super::moments::Moments;
use super::open::find;
use super::rows::Preparation;
use super::scan::{Assigned, Audit, scan};
use super::settings::{Binarize, Flip, Part};
use super::split::{self, Fractions, UNUSED};
use super::{DataError, DataSettings, Facts, Normalisation, Rows, SampleShape, Split, known, normalise};
use crate::Key;

/// A data set cut into train, validation and test.
pub struct Data {
    sources: Vec<Source>,
    /// The ids of each split's rows, ascending.
    splits: [Vec<u64>; 3],
    preparation: Preparation,
    facts: Facts,
    audit: Audit,
    workers: usize,
}

/// A reader and the ids of its rows: `first` and those that follow.
struct Source {
    rows: Box<dyn Dataset>,
    first: u64,
    labels: Option<Vec<u32>>,
}

impl Data {
    /// Opens and splits data. `key` draws the splits and, later, bits and flips; `log` hears what a user should
    /// know (skipped files, repeated rows).
    ///
    /// # Errors
    /// Whatever is wrong with the settings or the files, by name and with a remedy.
    pub fn open(settings: &DataSettings, key: Key, log: &mut dyn FnMut(String)) -> Result<Self, DataError> {
        settings.check()?;
        let key = key.fold("data");
        let found = find(&settings.source, settings, None, log)?;
        check_roles(settings, &*found.main)?;
        let mut given = [None, None];
        for (slot, (key, part)) in
            given.iter_mut().zip([("validation", &settings.validation), ("test", &settings.test)])
        {
            if let Some(Part::Path(path)) = part {
                // The columns of a table are found by name, whatever their order there.
                let like = (!found.main.columns().is_empty()).then(|| stub(&*found.main));
                let other = find(path, settings, like.as_ref(), log)?;
                let rows = match other.test {
                    Some(test) if key == "test" => test,
                    _ => other.main,
                };
                check_shape(&*rows, found.main.shape())?;
                *slot = Some((rows, other.fashion));
            }
        }
        let [given_validation, mut given_test] = given;
        if settings.test.is_none()
            && let Some(test) = found.test
        {
            check_shape(&*test, found.main.shape())?;
            given_test = Some((test, found.fashion));
        }
        let fraction = |part: &Option<Part>, is_given: bool| match part {
            _ if is_given => 0.0,
            Some(Part::Fraction(fraction)) => *fraction,
            _ => 0.1,
        };
        let fractions = Fractions {
            validation: fraction(&settings.validation, given_validation.is_some()),
            test: fraction(&settings.test, given_test.is_some()),
        };
        let chosen = Chosen::of(&*found.main, found.fashion, &settings.classes)?;
        let used = split::used(chosen.rows(&*found.main, found.fashion)?, settings.limit, key);
        let roles = split::assign(&used, found.main.groups(), fractions, key)?;
        drop(used);
        let mut parts = vec![Assigned { rows: found.main, roles, fashion: found.fashion }];
        for (role, part) in [(1, given_validation), (2, given_test)] {
            if let Some((rows, fashion)) = part {
                let wanted = chosen.rows(&*rows, fashion)?;
                let roles = wanted.into_iter().map(|wanted| if wanted { role } else { UNUSED }).collect();
                parts.push(Assigned { rows, roles, fashion });
            }
        }
        Self::build(parts, settings, None, chosen.names, key, log)
    }

    /// Opens other data for a trained model: all rows form the [test split](Split::Test), checked against the
    /// model's facts and normalised as the model's data was. `settings` are those of the model's run with
    /// another `source`; labels and groups may be missing, limit, splits and flips don't apply.
    ///
    /// # Errors
    /// As [`open`](Self::open), and [`DataError::Mismatch`] if shape, columns or range differ from the model's.
    pub fn open_for(
        model: &Facts,
        settings: &DataSettings,
        key: Key,
        log: &mut dyn FnMut(String),
    ) -> Result<Self, DataError> {
        let settings =
            DataSettings { validation: None, test: None, limit: None, flip: Flip::None, ..settings.clone() };
        settings.check()?;
        let found = find(&settings.source, &settings, Some(model), log)?;
        let mut parts = Vec::new();
        for rows in [Some(found.main), found.test].into_iter().flatten() {
            check_shape(&*rows, model.shape)?;
            let roles = vec![2; rows.rows() as usize];
            parts.push(Assigned { rows, roles, fashion: found.fashion });
        }
        Self::build(parts, &settings, Some(model), None, key.fold("data"), log)
    }

    fn build(
        mut parts: Vec<Assigned>,
        settings: &DataSettings,
        model: Option<&Facts>,
        only: Option<Vec<String>>,
        key: Key,
        log: &mut dyn FnMut(String),
    ) -> Result<Self, DataError> {
        let shape = parts[0].rows.shape();
        if shape.features() > MOST_FEATURES {
            return Err(DataError::setting(
                "image.size",
                format!("a sample of {shape} has {} numbers", shape.features()),
                format!("{MOST_FEATURES} at most: set a smaller size"),
            ));
        }
        let mut hash = Sha256::new();
        hash.update("latent data 1");
        let mut moments = Moments::new(shape.features());
        let mut audit = scan(&mut parts, settings, &mut hash, &mut moments, log)?;

        let (normalisation, kind) = match model {
            None => normalise::resolve(&*parts[0].rows, &moments, settings)?,
            Some(model) => {
                let natural_bits =
                    model.kind == super::ValueKind::Binary && settings.binarize == Binarize::None;
                normalise::check_against(&*parts[0].rows, &moments, &model.normalisation, natural_bits)?;
                (model.normalisation.clone(), model.kind)
            }
        };

        let closed = only.is_some();
        let mut classes = only.or_else(|| model.map(|model| model.classes.clone())).unwrap_or_default();
        let mut sources: Vec<Source> = Vec::new();
        let mut splits: [Vec<u64>; 3] = Default::default();
        let mut first = 0;
        for part in parts {
            let labels =
                part.rows.labels().map(|labels| renumber(labels, part.fashion, closed, &mut classes));
            for (row, &role) in part.roles.iter().enumerate().filter(|(_, role)| **role != UNUSED) {
                splits[usize::from(role)].push(first + row as u64);
            }
            if let Some(labels) = &labels {
                labels.iter().for_each(|label| hash.update(label.to_le_bytes()));
            }
            let rows = part.rows.rows();
            sources.push(Source { rows: part.rows, first, labels });
            first += rows;
        }
        let lost =
            (0..3).find(|&split| splits[split].is_empty() && wants(settings, split) && model.is_none());
        if let Some(split) = lost {
            return Err(DataError::setting(
                "source",
                format!("no readable row is left for the {} split", Split::ALL[split]),
                "give more rows, or another seed",
            ));
        }
        hash.update(classes.join("\n"));
        hash.update(settings.fingerprint());
        let hash = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();

        let (mean, variance) = x_moments(&moments, &normalisation, settings.binarize);
        let held = |count: u64, of: usize| count >= 50 || (count > 0 && count * 100 >= of as u64);
        let overlaps = if held(audit.fashion[0], splits[0].len() + splits[1].len()) {
            vec![known::FASHION_TEST.to_string()]
        } else {
            Vec::new()
        };
        let facts = Facts {
            source: settings.source.clone(),
            shape,
            kind,
            normalisation: normalisation.clone(),
            columns: sources[0].rows.columns().to_vec(),
            classes,
            rows: [0, 1, 2].map(|split| splits[split].len() as u64),
            mean: model.map_or(mean, |model| model.mean.clone()),
            variance: model.map_or(variance, |model| model.variance.clone()),
            hash,
            overlaps,
        };
        audit.format = sources[0].rows.format();
        audit.number = sources[0].rows.number().name();
        audit.range = moments.range();
        if !shape.is_image() {
            audit.spans = moments.least.iter().copied().zip(moments.greatest.iter().copied()).collect();
        }
        if model.is_none() {
            let columns = moments.least.iter().zip(&moments.greatest).enumerate();
            audit.constant =
                columns.filter(|(_, (least, greatest))| least == greatest).map(|(n, _)| n).collect();
        }
        let preparation = Preparation::new(normalisation, shape, settings, key);
        let workers = settings.threads();
        let mut data = Self { sources, splits, preparation, facts, audit, workers };
        if model.is_none() && matches!(settings.binarize, Binarize::Threshold | Binarize::Static) {
            data.measure_bits()?;
        }
        Ok(data)
    }

    /// Mean and variance of bits that are fixed can be counted, in a second pass over the training rows.
    fn measure_bits(&mut self) -> Result<(), DataError> {
        let mut sums = vec![0.0; self.features()];
        let rows = self.len(Split::Train);
        let plain = Preparation { flip: Flip::None, ..self.preparation.clone() };
        let (mut values, mut x) = (vec![0.0; self.features()], vec![0.0; self.features()]);
        for &id in &self.splits[0] {
            self.read(id, &mut values)?;
            plain.prepare(&values, &mut x, id, Split::Train, 0);
            sums.iter_mut().zip(&x).for_each(|(sum, x)| *sum += f64::from(*x));
        }
        self.facts.mean = sums.iter().map(|sum| (sum / rows as f64) as f32).collect();
        self.facts.variance = self.facts.mean.iter().map(|mean| mean * (1.0 - mean)).collect();
        Ok(())
    }

    /// How many threads prepare rows.
    pub fn workers(&self) -> usize {
        self.workers
    }

    /// What is known about the data.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// How many numbers a row has.
    pub fn features(&self) -> usize {
        self.facts.shape.features()
    }

    /// How many rows a split has.
    pub fn len(&self, split: Split) -> usize {
        self.ids(split).len()
    }

    /// Whether a split has no row.
    pub fn is_empty(&self, split: Split) -> bool {
        self.ids(split).is_empty()
    }

    /// The ids of a split's rows, by position: unique across splits, the same for each opening.
    pub fn ids(&self, split: Split) -> &[u64] {
        &self.splits[split as usize]
    }

    /// Whether the rows of a split have labels.
    pub fn has_labels(&self, split: Split) -> bool {
        self.ids(split).first().is_some_and(|id| self.source(*id).labels.is_some())
    }

    /// The class of each row of a split, without reading x; empty where there are no labels.
    pub fn labels(&self, split: Split) -> Vec<u32> {
        self.ids(split).iter().filter_map(|id| self.label(*id)).collect()
    }

    /// The rows at these positions of a split, prepared for the model: normalised, binarised, and, in training,
    /// flipped. `epoch` selects flips and dynamic bits of training rows and changes nothing elsewhere.
    ///
    /// # Errors
    /// [`DataError::Position`] beyond the split's end; what the file system says, if a file has changed.
    pub fn rows(&self, split: Split, positions: &[usize], epoch: u64) -> Result<Rows, DataError> {
        let features = self.features();
        let mut rows = Rows { x: vec![0.0; positions.len() * features], ..Rows::default() };
        let mut values = vec![0.0; features];
        for (&position, x) in positions.iter().zip(rows.x.chunks_exact_mut(features)) {
            let ids = self.ids(split);
            let &id = ids.get(position).ok_or(DataError::Position { split, position, rows: ids.len() })?;
            self.read(id, &mut values)?;
            self.preparation.prepare(&values, x, id, split, epoch);
            rows.ids.push(id);
            rows.labels.extend(self.label(id));
        }
        // A split may draw on data with labels and on data without: then there are none.
        if rows.labels.len() != rows.ids.len() {
            rows.labels.clear();
        }
        Ok(rows)
    }

    /// The well-known test set that the test split is (at least half of), if it is one. A model whose
    /// training facts list it under [`overlaps`](Facts::overlaps) must not be judged on it.
    pub fn test_is_known(&self) -> Option<&'static str> {
        (self.audit.fashion[1] >= 5000).then_some(known::FASHION_TEST)
    }

    pub(crate) fn audit(&self) -> &Audit {
        &self.audit
    }

    fn source(&self, id: u64) -> &Source {
        let after = self.sources.partition_point(|source| source.first <= id);
        &self.sources[after.saturating_sub(1)]
    }

    fn label(&self, id: u64) -> Option<u32> {
        let source = self.source(id);
        source.labels.as_ref().map(|labels| labels[(id - source.first) as usize])
    }

    fn read(&self, id: u64, values: &mut [f64]) -> Result<(), DataError> {
        let source = self.source(id);
        source.rows.read(id - source.first, values)
    }
}

/// Labels numbered as in `classes`, which grows by the names that it lacks; if it is `closed`, rows with other names
/// are in no split and their number is never read.
fn renumber(labels: &Labels, fashion: bool, closed: bool, classes: &mut Vec<String>) -> Vec<u32> {
    let mut names = labels.classes.clone();
    if fashion {
        known::fashion_class_names(&mut names);
    }
    let numbers: Vec<u32> = names
        .into_iter()
        .map(|name| match classes.iter().position(|class| *class == name) {
            Some(place) => place as u32,
            None if closed => u32::MAX,
            None => {
                classes.push(name);
                (classes.len() - 1) as u32
            }
        })
        .collect();
    labels.of.iter().map(|&label| numbers[label as usize]).collect()
}

/// Mean and variance of x from those of the values. Bits drawn anew have the mean of x and its Bernoulli
/// variance.
fn x_moments(moments: &Moments, normalisation: &Normalisation, binarize: Binarize) -> (Vec<f32>, Vec<f32>) {
    let (mean, variance) = moments.mean_and_variance();
    let at = |list: &[f32], index: usize| f64::from(list[index % list.len()]);
    let features = mean.iter().zip(&variance).enumerate().map(|(index, (mean, variance))| {
        let scale = at(&normalisation.scale, index);
        let mean = (mean - at(&normalisation.offset, index)) / scale;
        let variance =
            if binarize == Binarize::None { variance / (scale * scale) } else { mean * (1.0 - mean) };
        (mean as f32, variance as f32)
    });
    features.unzip()
}

fn wants(settings: &DataSettings, split: usize) -> bool {
    let part = match split {
        1 => &settings.validation,
        2 => &settings.test,
        _ => return true,
    };
    !matches!(part, Some(Part::Fraction(fraction)) if *fraction == 0.0)
}

/// Columns are named in tables only.
fn check_roles(settings: &DataSettings, rows: &dyn Dataset) -> Result<(), DataError> {
    for (key, name) in [("label", &settings.label), ("group", &settings.group)] {
        if let (Some(name), "" | "idx" | "npy" | "npz" | "images") = (name, rows.format()) {
            return Err(DataError::setting(
                key,
                format!(
                    "{name:?} names a column, and {} is {}, not csv",
                    rows.path().display(),
                    rows.format()
                ),
                format!("leave data.{key} out"),
            ));
        }
    }
    Ok(())
}

fn check_shape(rows: &dyn Dataset, expected: SampleShape) -> Result<(), DataError> {
    let shape = rows.shape();
    if shape == expected {
        return Ok(());
    }
    let remedy = match (shape, expected) {
        (SampleShape::Image { channels, .. }, SampleShape::Image { channels: wanted, .. })
            if channels != wanted =>
        {
            let word = if wanted == 1 { "grey" } else { "colour" };
            format!("set data.image.channels = {word:?}")
        }
        (SampleShape::Image { .. }, SampleShape::Image { height, width, .. }) => {
            format!("set data.image.size = [{height}, {width}]")
        }
        _ => "give data of the same kind".into(),
    };
    Err(DataError::mismatch(rows.path(), format!("a sample is {shape} where {expected} is wanted"), remedy))
}

/// Facts enough to open a table with the same columns.
fn stub(rows: &dyn Dataset) -> Facts {
    Facts {
        source: rows.path().display().to_string(),
        shape: rows.shape(),
        kind: super::ValueKind::Real,
        normalisation: Normalisation {
            offset: vec![0.0],
            scale: vec![1.0],
            stored: super::StoredType::F64,
            range: None,
            whole: Vec::new(),
        },
        columns: rows.columns().to_vec(),
        classes: Vec::new(),
        rows: [0; 3],
        mean: Vec::new(),
        variance: Vec::new(),
        hash: String::new(),
        overlaps: Vec::new(),
    }
}

impl std::fmt::Debug for Data {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Data").field("facts", &self.facts).finish_non_exhaustive()
    }
}
