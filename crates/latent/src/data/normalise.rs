//! Values become x and come back: `x = (value − offset) / scale`.
//!
//! What comes back is in the user's units, range and type: clamped to the range that the type (or an image's
//! observed range) allows, and rounded where the type holds integers.

use serde::{Deserialize, Serialize};

use super::constant::some_of;
use super::dataset::{Dataset, Number};
use super::moments::{Moments, levels};
use super::settings::{Binarize, DataSettings, Normalise};
use super::{DataError, Normalisation, SampleShape, StoredType, ValueKind};

/// As it stands in a file. Version 0.1 kept and wrote single precision: what it meant by `0.1` is the nearest of those.
#[derive(Serialize, Deserialize)]
pub(super) struct Written {
    offset: Vec<f64>,
    scale: Vec<f64>,
    stored: StoredType,
    range: Option<(f64, f64)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    whole: Vec<usize>,
    /// Whether numbers are in double precision; absent in files of version 0.1.
    #[serde(default)]
    double: bool,
}

impl From<Written> for Normalisation {
    fn from(written: Written) -> Self {
        let Written { offset, scale, stored, range, whole, double } = written;
        let number = |value: f64| if double { value } else { f64::from(value as f32) };
        let numbers = |list: Vec<f64>| list.into_iter().map(number).collect();
        let range = range.map(|(least, most)| (number(least), number(most)));
        Self { offset: numbers(offset), scale: numbers(scale), stored, range, whole }
    }
}

impl From<Normalisation> for Written {
    fn from(normalisation: Normalisation) -> Self {
        let Normalisation { offset, scale, stored, range, whole } = normalisation;
        Self { offset, scale, stored, range, whole, double: true }
    }
}

impl Normalisation {
    /// x is the value.
    pub(crate) fn none() -> Self {
        let (offset, scale) = (vec![0.0], vec![1.0]);
        Self { offset, scale, stored: StoredType::F64, range: None, whole: Vec::new() }
    }

    /// `x = (value − offset) / scale`. Slices hold whole rows, `[rows, features]`.
    pub fn x_from_value(&self, values: &[f64], x: &mut [f32]) {
        let columns = self.offset.len().max(self.scale.len());
        if columns <= 1 {
            // One for all, as in images: a loop of its own, ten times as fast.
            let (offset, scale) = self.of(0);
            x.iter_mut().zip(values).for_each(|(x, value)| *x = ((value - offset) / scale) as f32);
            return;
        }
        for (index, (x, value)) in x.iter_mut().zip(values).enumerate() {
            let (offset, scale) = self.of(index);
            *x = ((value - offset) / scale) as f32;
        }
    }

    /// `value = x · scale + offset`, clamped to the range and rounded where values are whole. Slices hold whole
    /// rows, `[rows, features]`.
    pub fn value_from_x(&self, x: &[f32], values: &mut [f64]) {
        for (index, (value, x)) in values.iter_mut().zip(x).enumerate() {
            let (offset, scale) = self.of(index);
            let mut undone = f64::from(*x) * scale + offset;
            if let Some((least, most)) = self.range {
                undone = undone.max(least).min(most);
            }
            *value = if self.stored.is_integer() { undone.round() } else { undone };
        }
        if !self.whole.is_empty() {
            let columns = self.offset.len().max(self.scale.len()).max(1);
            for row in values.chunks_mut(columns) {
                for &column in &self.whole {
                    if let Some(value) = row.get_mut(column) {
                        *value = value.round();
                    }
                }
            }
        }
    }

    /// [`value_from_x`](Self::value_from_x) into a new vector.
    pub fn values(&self, x: &[f32]) -> Vec<f64> {
        let mut values = vec![0.0; x.len()];
        self.value_from_x(x, &mut values);
        values
    }

    /// Offset and scale of a number of x.
    pub(crate) fn of(&self, index: usize) -> (f64, f64) {
        let pick = |list: &[f64], none: f64| match list.len() {
            0 => none,
            length => list[index % length],
        };
        (pick(&self.offset, 0.0), pick(&self.scale, 1.0))
    }
}

impl StoredType {
    /// Whether values are whole numbers.
    pub fn is_integer(self) -> bool {
        matches!(self, Self::U8 | Self::U16)
    }

    /// The greatest value of an integer type.
    pub fn most(self) -> Option<f32> {
        match self {
            Self::U8 => Some(255.0),
            Self::U16 => Some(65535.0),
            Self::F32 | Self::F64 => None,
        }
    }
}

/// How the values of this data become x, and what x then is. What values can be (bits, levels, numbers from 0 to 1) is
/// read off all rows; what is measured (least and greatest, mean, variance) off the training rows alone, and `log` hears
/// of values beyond.
pub(crate) fn resolve(
    data: &dyn Dataset,
    moments: &Moments,
    settings: &DataSettings,
    log: &mut dyn FnMut(String),
) -> Result<(Normalisation, ValueKind), DataError> {
    let shape = data.shape();
    let is_image = matches!(shape, SampleShape::Image { .. });
    check_observed(data, moments)?;
    let (least, greatest) = moments.all.range();
    let integer = levels(data.number(), (least, greatest));
    let stored = match (integer, data.number()) {
        (Some(stored), _) => stored,
        (None, Number::F32) => StoredType::F32,
        (None, Number::F64) => StoredType::F64,
        (None, number) if is_image => {
            return Err(DataError::malformed(
                data.path(),
                format!("pixels are {} from {least} to {greatest}, outside of 0 … 65535", number.name()),
                "store levels as u8 or u16, or real values as f32",
            ));
        }
        (None, _) => StoredType::F64,
    };
    // Where no training row is left, the caller says so.
    let spans = if moments.rows > 0 { &moments.train } else { &moments.all };
    let span = |(least, greatest): (f64, f64)| (least, (greatest - least).max(f64::from(f32::MIN_POSITIVE)));
    let is_bits = moments.bits && greatest > 0.0;
    let (unit, measured) = match stored.most() {
        _ if is_bits || data.number() == Number::Bool => ((0.0, 1.0), false),
        Some(most) => ((0.0, f64::from(most)), false),
        None if least >= 0.0 && greatest <= 1.0 => ((0.0, 1.0), false),
        None if least >= 0.0 && greatest <= 255.0 => ((0.0, 255.0), false),
        None if least >= -1.0 && greatest <= 1.0 => ((-1.0, 2.0), false),
        None => match spans.range() {
            (least, greatest) if greatest > least => (as_before(span((least, greatest))), true),
            (least, _) => ((least, 1.0), true),
        },
    };
    let range = if is_image || is_bits || stored.is_integer() {
        // The sum may round to just below the greatest value.
        let most = unit.0 + unit.1;
        Some((unit.0, if measured { most.max(spans.range().1) } else { most }))
    } else {
        None
    };
    let wanted = match settings.normalise {
        Normalise::Auto if is_image || is_bits || settings.binarize != Binarize::None => Normalise::Unit,
        Normalise::Auto => Normalise::Standardise,
        other => other,
    };
    let (offset, scale) = match wanted {
        Normalise::None => (vec![0.0], vec![1.0]),
        Normalise::Unit | Normalise::Auto if is_image || is_bits => (vec![unit.0], vec![unit.1]),
        Normalise::Unit | Normalise::Auto => spans
            .least
            .iter()
            .zip(&spans.greatest)
            .map(|(&least, &greatest)| if greatest > least { span((least, greatest)) } else { (least, 1.0) })
            .unzip(),
        Normalise::Standardise => standardise(moments, is_image),
    };
    // Columns are told apart where each has its own scale; bits drawn from a column are not its values.
    let by_column =
        !is_image && offset.len() == moments.all.least.len() && settings.binarize == Binarize::None;
    let whole = if by_column && !stored.is_integer() { moments.whole_columns() } else { Vec::new() };
    let normalisation = Normalisation { offset, scale, stored, range, whole };
    if wanted == Normalise::Unit && (measured || !(is_image || is_bits)) {
        note_beyond(data, moments, is_image, log);
    }

    let within = |(least, greatest): (f64, f64)| {
        let (offset, scale) = normalisation.of(0);
        (least - offset) / scale >= -1e-6 && (greatest - offset) / scale <= 1.0 + 1e-6
    };
    let in_unit = wanted == Normalise::Unit || (normalisation.offset.len() == 1 && within((least, greatest)));
    if settings.binarize != Binarize::None && !in_unit {
        return Err(DataError::setting(
            "binarize",
            format!("bits are drawn from x in [0, 1], and x reaches from {least} to {greatest}"),
            "set data.normalise = \"unit\"",
        ));
    }
    let kind = match shape {
        _ if settings.binarize != Binarize::None => ValueKind::Binary,
        _ if is_bits && wanted != Normalise::Standardise => ValueKind::Binary,
        SampleShape::Image { channels, .. } if in_unit => {
            if channels == 1 {
                ValueKind::Grey
            } else {
                ValueKind::Colour
            }
        }
        _ => ValueKind::Real,
    };
    Ok((normalisation, kind))
}

/// Says which held-out values lie beyond those of the training rows, whose least and greatest are 0 and 1 to the model.
fn note_beyond(data: &dyn Dataset, moments: &Moments, is_image: bool, log: &mut dyn FnMut(String)) {
    let (all, train) = (&moments.all, &moments.train);
    if is_image {
        let ((least, greatest), (low, high)) = (all.range(), train.range());
        if low <= high && (least < low || greatest > high) {
            log(format!(
                "validation or test rows reach from {least} to {greatest}, the training rows from {low} to {high}: \
                 they keep what lies beyond, below 0 or above 1 as the model sees it"
            ));
        }
        return;
    }
    let beyond: Vec<String> = (0..all.least.len())
        .filter(|&at| train.least[at] < train.greatest[at])
        .filter(|&at| all.least[at] < train.least[at] || all.greatest[at] > train.greatest[at])
        .map(|at| data.columns().get(at).cloned().unwrap_or_else(|| format!("column {at}")))
        .collect();
    if !beyond.is_empty() {
        log(format!(
            "validation or test rows reach beyond the training rows in {}: they keep what lies beyond, below 0 or \
             above 1 as the model sees it",
            some_of(beyond.into_iter())
        ));
    }
}

/// Offset and scale of images in single precision, as version 0.1 had them, so that its runs give the same numbers; but
/// for values so far from 0 that this would move x.
fn as_before((offset, scale): (f64, f64)) -> (f64, f64) {
    let single = (f64::from(offset as f32), f64::from(scale as f32));
    let near = (single.0 - offset).abs() <= 1e-4 * scale && single.1.is_normal();
    if near { single } else { (offset, scale) }
}

/// Mean 0 and variance 1: a table a column each (a constant column has no scale and keeps 1), an image as a whole.
fn standardise(moments: &Moments, is_image: bool) -> (Vec<f64>, Vec<f64>) {
    let (mean, variance) = moments.mean_and_variance();
    // A spread whose square is 0 is still one.
    let scale_of = |variance: f64, is_constant: bool| {
        if is_constant { 1.0 } else { variance.sqrt().max(f64::from(f32::MIN_POSITIVE)) }
    };
    if !is_image {
        let spans = moments.train.least.iter().zip(&moments.train.greatest);
        let scale =
            variance.iter().zip(spans).map(|(&variance, (least, most))| scale_of(variance, least >= most));
        let scale = scale.collect();
        return (mean, scale);
    }
    // Every pixel counts by its observed rows: all alike where none is missing.
    let rows = moments.rows.max(1) as f64;
    let shares: Vec<f64> = (0..mean.len()).map(|feature| moments.observed(feature) as f64 / rows).collect();
    let features = shares.iter().sum::<f64>();
    let overall = mean.iter().zip(&shares).map(|(mean, share)| mean * share).sum::<f64>() / features;
    // Total variance: within each pixel, and of the pixels' means.
    let total = variance
        .iter()
        .zip(&mean)
        .zip(&shares)
        .map(|((variance, mean), share)| (variance + (mean - overall).powi(2)) * share)
        .sum::<f64>();
    let (least, greatest) = moments.train.range();
    let (offset, scale) = as_before((overall, scale_of(total / features, least >= greatest)));
    (vec![offset], vec![scale])
}

/// A column (or a whole picture) without a single training value can't be brought to any scale.
fn check_observed(data: &dyn Dataset, moments: &Moments) -> Result<(), DataError> {
    if moments.rows == 0 {
        return Ok(());
    }
    let features = moments.all.least.len();
    let unseen = match data.shape() {
        SampleShape::Image { .. } if (0..features).any(|feature| moments.observed(feature) > 0) => None,
        _ => (0..features).find(|&feature| moments.observed(feature) == 0),
    };
    let Some(feature) = unseen else { return Ok(()) };
    let what = match data.columns().get(feature) {
        Some(name) => format!("column {name:?} is missing in every training row"),
        None if data.shape().is_image() => "every pixel of the training rows is missing".into(),
        None => format!("column {feature} (counted from 0) is missing in every training row"),
    };
    Err(DataError::malformed(data.path(), what, "leave it out, or give rows that have it"))
}

/// Checks that other data means by its numbers what the model's data meant.
pub(crate) fn check_against(
    data: &dyn Dataset,
    moments: &Moments,
    model: &Normalisation,
    bits: bool,
) -> Result<(), DataError> {
    let Some((low, high)) = model.range else { return Ok(()) };
    if moments.saw_nothing() {
        return Ok(());
    }
    let (least, greatest) = moments.all.range();
    let differs = |what: String| {
        let remedy =
            format!("scale the values to {low} … {high} as in the data that the model was trained on");
        Err(DataError::mismatch(data.path(), what, remedy))
    };
    // A range that was measured says less than a customary one: values somewhat beyond it are carried.
    let customary = [(0.0, 1.0), (-1.0, 1.0), (0.0, 255.0), (0.0, 65535.0)].contains(&(low, high));
    let slack = (high - low).abs() * if customary { 1e-6 } else { 1.0 };
    if least < low - slack || greatest > high + slack {
        return differs(format!("values reach from {least} to {greatest}"));
    }
    if high >= 255.0 && greatest <= 1.0 && (data.number().is_float() || data.number() == Number::Bool) {
        return differs(format!("values reach from {least} to {greatest} only"));
    }
    if bits && !moments.bits {
        return differs("values other than 0 and 1 were found, and the model knows only those".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every level of 8 and of 16 bits.
    #[test]
    fn levels_come_back_as_they_were() {
        for (stored, most) in [(StoredType::U8, 255u16), (StoredType::U16, 65535)] {
            let values: Vec<f64> = (0..=most).map(f64::from).collect();
            let (scale, range) = (vec![f64::from(most)], Some((0.0, f64::from(most))));
            let normalisation = Normalisation { offset: vec![0.0], scale, stored, range, whole: Vec::new() };
            let mut x = vec![0.0; values.len()];
            normalisation.x_from_value(&values, &mut x);
            assert!(x.iter().all(|x| (0.0..=1.0).contains(x)));
            assert_eq!(normalisation.values(&x), values);
        }
    }

    /// 200 keyed choices of values, offsets and scales.
    #[test]
    fn reals_come_back_within_rounding() {
        for seed in 0..200 {
            let mut u = [0.0; 42];
            crate::Key::from_seed(seed).uniforms(&mut u);
            let reach = |index: usize| if index.is_multiple_of(2) { 1e6 } else { 1.0 };
            let values: Vec<f64> =
                u[2..].iter().enumerate().map(|(i, &u)| (2.0 * f64::from(u) - 1.0) * reach(i)).collect();
            let (offset, scale) = (2e3 * f64::from(u[0]) - 1e3, 0.01 + 1e3 * f64::from(u[1]));
            let normalisation = Normalisation {
                offset: vec![offset, 0.0],
                scale: vec![scale, 2.0],
                stored: StoredType::F64,
                range: None,
                whole: Vec::new(),
            };
            let mut x = vec![0.0; values.len()];
            normalisation.x_from_value(&values, &mut x);
            for (index, (back, value)) in normalisation.values(&x).iter().zip(&values).enumerate() {
                let spread = if index.is_multiple_of(2) { (value - offset).abs() } else { value.abs() };
                assert!((back - value).abs() <= 1.2e-7 * spread + 1e-9, "seed {seed}: {back} {value}");
            }
        }
    }

    #[test]
    fn what_leaves_the_range_is_brought_back() {
        let normalisation = Normalisation {
            offset: vec![0.0],
            scale: vec![255.0],
            stored: StoredType::U8,
            range: Some((0.0, 255.0)),
            whole: Vec::new(),
        };
        assert_eq!(normalisation.values(&[-0.5, 0.001, 0.5, 7.0]), [0.0, 0.0, 128.0, 255.0]);
    }

    /// 400 keyed choices of an offset up to 1e15 and a spread down to a few of the doubles there: standardised and undone,
    /// every value is back to the resolution of the data, or to a millionth of its spread.
    #[test]
    fn values_come_back_from_any_offset() {
        for seed in 0..400 {
            let mut u = [0.0; 66];
            crate::Key::from_seed(seed).fold("offsets").uniforms(&mut u);
            let sign = if seed % 2 == 0 { 1.0 } else { -1.0 };
            let offset = sign * 10f64.powf(15.0 * f64::from(u[0]));
            let resolution = offset.abs() * f64::EPSILON;
            let spread = resolution * 2f64.powf(4.0 + 40.0 * f64::from(u[1]));
            let values: Vec<f64> = u[2..].iter().map(|&u| offset + spread * f64::from(u)).collect();
            let mut moments = Moments::new(1);
            values.iter().for_each(|&value| moments.add(&[value], true));
            let (offset, scale) = standardise(&moments, false);
            let normalisation =
                Normalisation { offset, scale, stored: StoredType::F64, range: None, whole: Vec::new() };
            let mut x = vec![0.0; values.len()];
            normalisation.x_from_value(&values, &mut x);
            assert!(x.iter().all(|x| x.abs() < 8.0), "seed {seed}: {x:?}");
            let square = x.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>() / x.len() as f64;
            assert!((square - 1.0).abs() < 0.3, "seed {seed}: {square}");
            for (back, value) in normalisation.values(&x).iter().zip(&values) {
                let near = 2.0 * resolution + 1e-6 * spread;
                assert!((back - value).abs() <= near, "seed {seed}: {back} {value}");
            }
        }
    }

    #[test]
    fn what_version_0_1_wrote_is_in_single_precision() {
        let text = "offset = [0.1]\nscale = [1.6, 2]\nstored = 'f64'\nrange = [0.3, 7.7]\n";
        let old: Normalisation = toml::from_str(text).unwrap();
        let single = |value: f32| f64::from(value);
        assert_eq!((&old.offset[..], &old.scale[..]), (&[single(0.1)][..], &[single(1.6), 2.0][..]));
        assert_eq!(old.range, Some((single(0.3), single(7.7))));
        let again: Normalisation = toml::from_str(&toml::to_string(&old).unwrap()).unwrap();
        assert_eq!(again, old);
        let new = Normalisation { offset: vec![1_700_000_000_123.25], range: None, ..old };
        assert_eq!(toml::from_str::<Normalisation>(&toml::to_string(&new).unwrap()).unwrap(), new);
    }
}
