//! How data is made of what a reader found: split, scanned once, normalised, its facts collected.
//!
//! The one pass over all rows gives hash, NaN check, range, mean, variance and repeated rows; everything else
//! follows from these and from the settings.

use std::collections::BTreeSet;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::array::MOST_FEATURES;
use super::checks::{check_roles, check_shape, stub};
use super::classes::Chosen;
use super::dataset::{Dataset, Labels};
use super::mirror::is_symmetric;
use super::moments::Moments;
use super::open::{Found, find};
use super::opened::{Source, source_of};
use super::rows::Preparation;
use super::scan::{Assigned, scan};
use super::settings::{Binarize, Channels, Flip, Header, ImageSettings, Part, Size};
use super::split::{self, Fractions, UNUSED};
use super::{
    Data, DataError, DataSettings, Facts, Normalisation, SampleShape, Split, ValueKind, condition, constant,
    known, normalise,
};
use crate::Key;

/// What x means.
#[derive(Clone, Copy)]
pub(crate) enum Meaning<'a> {
    /// What the training rows say.
    Fresh,
    /// What these facts say, if rows have the shape that they state; else what the training rows say.
    Again(&'a Facts),
    /// What it means to a model, to which these are other data.
    Other(&'a Facts),
}

impl Data {
    /// Opens and splits data. `settings.seed` draws the splits and the bits of held-out rows, `key` what changes with
    /// each epoch of training (and all of it where the settings have no seed); `log` hears what a user should know
    /// (skipped files, repeated rows).
    ///
    /// # Errors
    /// Whatever is wrong with the settings or the files, by name and with a remedy.
    pub fn open(settings: &DataSettings, key: Key, log: &mut dyn FnMut(String)) -> Result<Self, DataError> {
        Self::open_meaning(settings, Meaning::Fresh, key, log)
    }

    /// As [`open`](Self::open), once more: values become x as `facts` state it, also where this version of the program
    /// would choose otherwise. Compare hashes, shapes and columns: data that has changed has another hash, and where
    /// rows have another shape they are opened as if for the first time.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_again(
        facts: &Facts,
        settings: &DataSettings,
        key: Key,
        log: &mut dyn FnMut(String),
    ) -> Result<Self, DataError> {
        Self::open_meaning(settings, Meaning::Again(facts), key, log)
    }

    fn open_meaning(
        settings: &DataSettings,
        meaning: Meaning<'_>,
        key: Key,
        log: &mut dyn FnMut(String),
    ) -> Result<Self, DataError> {
        settings.check()?;
        let found = find(&settings.source, settings, None, log)?;
        Self::open_found(found, settings, meaning, key.fold("data"), log)
    }

    /// Splits what was found. `key` is the data's own.
    pub(crate) fn open_found(
        found: Found,
        settings: &DataSettings,
        meaning: Meaning<'_>,
        key: Key,
        log: &mut dyn FnMut(String),
    ) -> Result<Self, DataError> {
        check_roles(settings, &*found.main)?;
        condition::check_asked(settings, &*found.main)?;
        let mut given = [None, None];
        for (slot, (key, part)) in
            given.iter_mut().zip([("validation", &settings.validation), ("test", &settings.test)])
        {
            if let Some(Part::Path(path)) = part {
                // The columns of a table are found by name, whatever their order there.
                let like = (!found.main.columns().is_empty()).then(|| stub(settings, &*found.main));
                let other = find(path, settings, like.as_ref(), log)?;
                let rows = match other.test {
                    Some(test) if key == "test" => test,
                    _ => other.main,
                };
                check_shape(&*rows, found.main.shape())?;
                condition::check_told(&condition::asked(settings, &*found.main), &[], &*rows)?;
                *slot = Some((rows, other.fashion));
            }
        }
        let [given_validation, mut given_test] = given;
        if settings.test.is_none()
            && let Some(test) = found.test
        {
            check_shape(&*test, found.main.shape())?;
            condition::check_told(&condition::asked(settings, &*found.main), &[], &*test)?;
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
        let splits = settings.key().unwrap_or(key);
        let used = split::used(wanted(&chosen, &*found.main, found.fashion)?, settings.limit, splits);
        let roles = split::assign(&used, found.main.groups(), fractions, splits)?;
        drop(used);
        let mut parts = vec![Assigned { rows: found.main, roles, fashion: found.fashion }];
        for (role, part) in [(1, given_validation), (2, given_test)] {
            if let Some((rows, fashion)) = part {
                let wanted = wanted(&chosen, &*rows, fashion)?;
                let roles = wanted.into_iter().map(|wanted| if wanted { role } else { UNUSED }).collect();
                parts.push(Assigned { rows, roles, fashion });
            }
        }
        Self::build(parts, settings, meaning, chosen.names, &[], key, log)
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
        Self::open_told_for(model, settings, &[], key, log)
    }

    /// As [`open_for`](Self::open_for), where rows that don't say what the model is told are told `given`, such as
    /// `("label", "Trouser")`.
    ///
    /// # Errors
    /// As [`open_for`](Self::open_for), and as [`Facts::condition_of`] for what is given.
    pub fn open_told_for(
        model: &Facts,
        settings: &DataSettings,
        given: &[(String, String)],
        key: Key,
        log: &mut dyn FnMut(String),
    ) -> Result<Self, DataError> {
        let given = model.condition_given(given)?;
        let settings = Self::settings_for(settings);
        settings.check()?;
        let (found, settings) = find_like(model, settings, log)?;
        Self::open_found_for(found, model, &settings, &given, key.fold("data"), log)
    }

    /// The settings of a model's run without what does not apply to other data.
    pub(crate) fn settings_for(settings: &DataSettings) -> DataSettings {
        // A table with the same columns may have a header, whether or not the model's had one.
        let header = if settings.header == Header::None { Header::Auto } else { settings.header };
        DataSettings {
            validation: None,
            test: None,
            limit: None,
            flip: Flip::None,
            header,
            ..settings.clone()
        }
    }

    /// Checks what was found against the model's facts and makes it the test split. `key` is the data's own.
    pub(crate) fn open_found_for(
        found: Found,
        model: &Facts,
        settings: &DataSettings,
        given: &[Option<f32>],
        key: Key,
        log: &mut dyn FnMut(String),
    ) -> Result<Self, DataError> {
        let mut parts = Vec::new();
        for rows in [Some(found.main), found.test].into_iter().flatten() {
            // Columns that have names were found by them.
            if rows.columns().is_empty() || model.columns.is_empty() {
                check_shape(&*rows, constant::whole_shape(model))?;
            }
            condition::check_told(&model.condition, given, &*rows)?;
            condition::check_classes(&model.condition, &*rows, found.fashion)?;
            let roles = vec![2; rows.rows() as usize];
            parts.push(Assigned { rows, roles, fashion: found.fashion });
        }
        Self::build(parts, settings, Meaning::Other(model), None, given, key, log)
    }

    fn build(
        mut parts: Vec<Assigned>,
        settings: &DataSettings,
        meaning: Meaning<'_>,
        only: Option<Vec<String>>,
        given: &[Option<f32>],
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

        let (stated, other) = match meaning {
            Meaning::Other(model) => (Some(model), Some(model)),
            // The levels of a mixed table are found again.
            Meaning::Again(facts) => (
                Some(facts).filter(|f| constant::fits(f, &*parts[0].rows) && parts[0].rows.table().is_none()),
                None,
            ),
            Meaning::Fresh => (None, None),
        };
        let closed = only.is_some();
        let mut classes = only.or_else(|| stated.map(|facts| facts.classes.clone())).unwrap_or_default();
        let mut told = stated
            .map_or_else(|| condition::asked(settings, &*parts[0].rows), |facts| facts.condition.clone());
        let names: Vec<String> = told.iter().map(|attribute| attribute.name().to_string()).collect();
        let mut fashion = Vec::new();
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
            for name in &names {
                let values = part.rows.numbers(name).unwrap_or_default();
                values.iter().for_each(|value| hash.update(value.to_le_bytes()));
                if let Some(words) = part.rows.words(name) {
                    hash.update(words.classes.join("\n"));
                    words.of.iter().for_each(|place| hash.update(place.to_le_bytes()));
                }
            }
            let rows = part.rows.rows();
            fashion.push(part.fashion);
            sources.push(Source { rows: part.rows, first, labels, told: Vec::new() });
            first += rows;
        }
        let lost =
            (0..3).find(|&split| splits[split].is_empty() && wants(settings, split) && other.is_none());
        if let Some(split) = lost {
            return Err(DataError::setting(
                "source",
                format!("no readable row is left for the {} split", Split::ALL[split]),
                "give more rows, or another data.seed",
            ));
        }
        check_weights(&sources, &splits)?;
        hash.update(classes.join("\n"));
        for (name, value) in names.iter().zip(given).filter_map(|(name, value)| Some((name, (*value)?))) {
            hash.update(name);
            hash.update(value.to_le_bytes());
        }
        hash.update(settings.fingerprint(other.is_none()));
        let hash: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();

        if stated.is_none() {
            let words = |name: &str| {
                let words = sources.iter().filter_map(|source| source.rows.words(name));
                words.flat_map(|words| words.classes.clone()).collect::<BTreeSet<_>>().into_iter().collect()
            };
            condition::resolve_classes(&mut told, settings, &classes, words)?;
            let mut training = vec![Vec::new(); told.len()];
            for (attribute, training) in told.iter().zip(&mut training) {
                for (source, &fashion) in sources.iter().zip(&fashion) {
                    let values = condition::values_of(attribute, &*source.rows, fashion);
                    let own = splits[0].iter().filter_map(|id| id.checked_sub(source.first));
                    training.extend(own.filter_map(|row| values.get(row as usize)).copied());
                }
            }
            condition::resolve(&mut told, &training);
        }
        for (source, &fashion) in sources.iter_mut().zip(&fashion) {
            source.told = condition::standardised(&told, given, &*source.rows, fashion)?;
        }
        let held = |count: u64, of: usize| count >= 50 || (count > 0 && count * 100 >= of as u64);
        let overlaps = if held(audit.fashion[0], splits[0].len() + splits[1].len()) {
            vec![known::FASHION_TEST.to_string()]
        } else {
            Vec::new()
        };
        let rows = &*sources[0].rows;
        let mut facts = match stated {
            Some(facts) => {
                if other.is_some() {
                    let natural_bits = facts.kind == ValueKind::Binary && settings.binarize == Binarize::None;
                    normalise::check_against(rows, &moments, &facts.normalisation, natural_bits)?;
                }
                Facts { source: settings.source.clone(), classes, hash, overlaps, ..facts.clone() }
            }
            None => {
                let mut table = rows.table().cloned();
                if let Some(table) = &mut table {
                    let own = |id: &&u64| **id < rows.rows();
                    let training: Vec<u64> = splits[0].iter().filter(own).copied().collect();
                    Arc::make_mut(table).fit(rows, &training)?;
                }
                let (normalisation, kind) = match table {
                    Some(_) => (Normalisation::none(), ValueKind::Mixed),
                    None => normalise::resolve(rows, &moments, settings, log)?,
                };
                let facts = Facts {
                    source: settings.source.clone(),
                    shape,
                    kind,
                    normalisation,
                    columns: rows.columns().to_vec(),
                    constant: Vec::new(),
                    classes,
                    rows: [0; 3],
                    mean: Vec::new(),
                    variance: Vec::new(),
                    hash,
                    overlaps,
                    condition: told,
                    table,
                };
                without_constants(facts, rows, &moments)?
            }
        };
        facts.rows = [0, 1, 2].map(|split| splits[split].len() as u64);
        let kept = constant::kept(&facts, rows);
        if other.is_none() && facts.table.is_some() {
            // Levels have no mean that would mean anything.
            (facts.mean, facts.variance) =
                (vec![0.0; facts.shape.features()], vec![1.0; facts.shape.features()]);
        } else if other.is_none() {
            (facts.mean, facts.variance) =
                x_moments(&moments, &facts.normalisation, kept.as_deref(), settings.binarize);
        }
        constant::notes(&facts, rows, &moments, other.is_some()).into_iter().for_each(&mut *log);
        audit.format = rows.format();
        audit.number = rows.number().name();
        audit.range = moments.all.range();
        if !shape.is_image() {
            let spans = moments.all.least.iter().copied().zip(moments.all.greatest.iter().copied());
            audit.spans = spans.collect();
        }
        if other.is_none() && facts.constant.is_empty() {
            let columns = moments.all.least.iter().zip(&moments.all.greatest).enumerate();
            audit.constant =
                columns.filter(|(_, (least, greatest))| least == greatest).map(|(n, _)| n).collect();
        }
        let mut preparation =
            Preparation::new(facts.normalisation.clone(), facts.table.clone(), settings, key);
        if settings.flip == Flip::Auto {
            preparation.flip = Flip::None;
        }
        let workers = settings.threads();
        let has_gaps = sources.iter().any(|source| source.rows.has_gaps());
        let is_weighted = sources.iter().any(|source| source.rows.weight().is_some());
        let mut data =
            Self { sources, splits, preparation, facts, kept, audit, workers, has_gaps, is_weighted };
        if other.is_none() && matches!(settings.binarize, Binarize::Threshold | Binarize::Static) {
            data.measure_bits()?;
        }
        if settings.flip == Flip::Auto
            && let Some(share) = data.mirrored_share(settings.key().unwrap_or(key))?
            && is_symmetric(share, data.len(Split::Train))
        {
            log(format!(
                "flip: training images are shown both ways round (in a mirror {:.0} % lie nearer to others; 50 % where it \
                 makes no difference; data.flip = \"none\" otherwise)",
                100.0 * share
            ));
            data.preparation.flip = Flip::Horizontal;
        }
        Ok(data)
    }

    /// Mean and variance of bits that are fixed can be counted, in a second pass over the training rows.
    fn measure_bits(&mut self) -> Result<(), DataError> {
        let mut sums = vec![0.0; self.features()];
        let mut counts = vec![0.0; self.features()];
        let mut mask = vec![0.0; self.features()];
        let plain = Preparation { flip: Flip::None, ..self.preparation.clone() };
        let (mut values, mut x) = (vec![0.0; self.features()], vec![0.0; self.features()]);
        let mut whole = Vec::new();
        for &id in &self.splits[0] {
            self.read(id, &mut whole, &mut values)?;
            plain.prepare(&values, &mut x, &mut mask, id, Split::Train, 0);
            sums.iter_mut().zip(&x).for_each(|(sum, x)| *sum += f64::from(*x));
            counts.iter_mut().zip(&mask).for_each(|(count, mask)| *count += f64::from(*mask));
        }
        self.facts.mean =
            sums.iter().zip(&counts).map(|(sum, count)| (sum / count.max(1.0)) as f32).collect();
        self.facts.variance = self.facts.mean.iter().map(|mean| mean * (1.0 - mean)).collect();
        Ok(())
    }
}

/// Whether each row is one of a class that is kept and breaks no constraint.
fn wanted(chosen: &Chosen, rows: &dyn Dataset, fashion: bool) -> Result<Vec<bool>, DataError> {
    let mut wanted = chosen.rows(rows, fashion)?;
    wanted.iter_mut().zip(rows.broken()).for_each(|(wanted, broken)| *wanted &= !broken);
    Ok(wanted)
}

/// Finds other data for a model. Images of another size or of other channels are brought to the model's, and it is said; the
/// settings are those that they were read with.
fn find_like(
    model: &Facts,
    settings: DataSettings,
    log: &mut dyn FnMut(String),
) -> Result<(Found, DataSettings), DataError> {
    let mut said = Vec::new();
    let found = find(&settings.source, &settings, Some(model), &mut |line| said.push(line));
    let SampleShape::Image { channels, height, width } = model.shape else {
        said.into_iter().for_each(&mut *log);
        return Ok((found?, settings));
    };
    let others = match &found {
        Ok(found) => {
            let shapes =
                [Some(&found.main), found.test.as_ref()].into_iter().flatten().map(|rows| rows.shape());
            shapes
                .filter(|shape| shape.is_image() && *shape != model.shape)
                .map(|shape| shape.to_string())
                .next()
        }
        // Images that are not alike.
        Err(DataError::Setting { key: "image.size" | "image.channels", .. }) => {
            Some("images of several shapes".into())
        }
        Err(_) => None,
    };
    let wanted = match channels {
        1 => Channels::Grey,
        3 => Channels::Colour,
        _ => settings.image.channels,
    };
    let Some(others) = others else {
        said.into_iter().for_each(&mut *log);
        return Ok((found?, settings));
    };
    let image = ImageSettings {
        size: Some(Size::Sides([height, width])),
        channels: wanted,
        ..settings.image.clone()
    };
    let settings = DataSettings { image, ..settings };
    let found = find(&settings.source, &settings, Some(model), log)?;
    log(format!("{}: {others}, brought to {}, which the model was trained on", settings.source, model.shape));
    Ok((found, settings))
}

/// Checks that each split has rows that count.
fn check_weights(sources: &[Source], splits: &[Vec<u64>; 3]) -> Result<(), DataError> {
    for (split, ids) in Split::ALL.into_iter().zip(splits) {
        let Some(&first) = ids.first() else { continue };
        if ids.iter().all(|&id| source_of(sources, id).weight(id) == 0.0) {
            return Err(DataError::malformed(
                source_of(sources, first).rows.path(),
                format!("the weights of all {} rows of the {split} split are 0", ids.len()),
                "leave rows of weight 0 out, or try another data.seed",
            ));
        }
    }
    Ok(())
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
            None if closed => Labels::UNKNOWN,
            None => {
                classes.push(name);
                (classes.len() - 1) as u32
            }
        })
        .collect();
    labels.of.iter().map(|&label| numbers.get(label as usize).copied().unwrap_or(Labels::UNKNOWN)).collect()
}

/// The facts of tables of real numbers without their constant columns.
fn without_constants(facts: Facts, rows: &dyn Dataset, moments: &Moments) -> Result<Facts, DataError> {
    if facts.kind != ValueKind::Real {
        return Ok(facts);
    }
    let found = constant::find(rows, moments)?;
    let mut facts = Facts { constant: found, ..facts };
    if facts.constant.is_empty() {
        return Ok(facts);
    }
    facts.shape = SampleShape::Vector { columns: facts.shape.features() - facts.constant.len() };
    let kept: Vec<usize> = facts.places().collect();
    facts.normalisation = facts.normalisation.of_columns(&kept);
    if !facts.columns.is_empty() {
        facts.columns = kept.iter().map(|&at| facts.columns[at].clone()).collect();
    }
    Ok(facts)
}

/// Mean and variance of x from those of the values at `kept`. Bits drawn anew have the mean of x and its Bernoulli
/// variance.
fn x_moments(
    moments: &Moments,
    normalisation: &Normalisation,
    kept: Option<&[usize]>,
    binarize: Binarize,
) -> (Vec<f32>, Vec<f32>) {
    let (mean, variance) = moments.mean_and_variance();
    let all: Vec<usize> = (0..mean.len()).collect();
    let features = kept.unwrap_or(&all).iter().enumerate().map(|(index, &at)| {
        if moments.observed(at) == 0 {
            return (0.0, 0.0);
        }
        let (offset, scale) = normalisation.of(index);
        let (mean, variance) = ((mean[at] - offset) / scale, variance[at]);
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
