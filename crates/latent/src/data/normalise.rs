//! Values become x and come back: `x = (value − offset) / scale`.
//!
//! What comes back is in the user's units, range and type: clamped to the range that the type (or an image's
//! observed range) allows, and rounded where the type holds integers.

use super::dataset::{Dataset, Number};
use super::moments::{Moments, levels};
use super::settings::{Binarize, DataSettings, Normalise};
use super::{DataError, Normalisation, SampleShape, StoredType, ValueKind};

impl Normalisation {
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
                undone = undone.max(least.into()).min(most.into());
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

    fn of(&self, index: usize) -> (f64, f64) {
        let pick = |list: &[f32], none: f32| match list.len() {
            0 => f64::from(none),
            length => f64::from(list[index % length]),
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

/// How the values of this data become x, and what x then is. `moments` are of the whole data (range) and of
/// its training rows (mean, variance).
pub(crate) fn resolve(
    data: &dyn Dataset,
    moments: &Moments,
    settings: &DataSettings,
) -> Result<(Normalisation, ValueKind), DataError> {
    let shape = data.shape();
    let is_image = matches!(shape, SampleShape::Image { .. });
    check_observed(data, moments)?;
    let (least, greatest) = moments.range();
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
    // The span of values that the data's kind allows, as offset, scale and range.
    let span = |least: f64, greatest: f64| (least as f32, ((greatest - least) as f32).max(f32::MIN_POSITIVE));
    let is_bits = moments.bits && greatest > 0.0;
    let unit = match stored.most() {
        _ if is_bits || data.number() == Number::Bool => (0.0, 1.0),
        Some(most) => (0.0, most),
        None if least >= 0.0 && greatest <= 1.0 => (0.0, 1.0),
        None if least >= 0.0 && greatest <= 255.0 => (0.0, 255.0),
        None if least >= -1.0 && greatest <= 1.0 => (-1.0, 2.0),
        None if greatest > least => span(least, greatest),
        None => (least as f32, 1.0),
    };
    let range = if is_image || is_bits || stored.is_integer() {
        // The sum may round to just above the greatest value.
        Some((unit.0, if unit.0 + unit.1 < greatest as f32 { greatest as f32 } else { unit.0 + unit.1 }))
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
        Normalise::Unit | Normalise::Auto => {
            let columns = moments.least.iter().zip(&moments.greatest);
            columns
                .map(
                    |(&least, &greatest)| {
                        if greatest > least { span(least, greatest) } else { (least as f32, 1.0) }
                    },
                )
                .unzip()
        }
        Normalise::Standardise => standardise(moments, is_image),
    };
    // Columns are told apart where each has its own scale; bits drawn from a column are not its values.
    let by_column = !is_image && offset.len() == moments.least.len() && settings.binarize == Binarize::None;
    let whole = if by_column && !stored.is_integer() { moments.whole_columns() } else { Vec::new() };
    let normalisation = Normalisation { offset, scale, stored, range, whole };

    let within = |(least, greatest): (f64, f64)| {
        let (offset, scale) = (f64::from(normalisation.offset[0]), f64::from(normalisation.scale[0]));
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

/// Mean 0 and variance 1: a table a column each (a constant column keeps scale 1), an image as a whole.
fn standardise(moments: &Moments, is_image: bool) -> (Vec<f32>, Vec<f32>) {
    let (mean, variance) = moments.mean_and_variance();
    let scale_of = |variance: f64, mean: f64| {
        // Below the rounding of the sums a column is constant.
        let scale = variance.sqrt();
        if scale > 1e-9 * mean.abs() && scale as f32 > f32::MIN_POSITIVE { scale as f32 } else { 1.0 }
    };
    if !is_image {
        let scale = variance.iter().zip(&mean).map(|(&variance, &mean)| scale_of(variance, mean)).collect();
        return (mean.iter().map(|&mean| mean as f32).collect(), scale);
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
    (vec![overall as f32], vec![scale_of(total / features, overall)])
}

/// A column (or a whole picture) without a single training value can't be brought to any scale.
fn check_observed(data: &dyn Dataset, moments: &Moments) -> Result<(), DataError> {
    if moments.rows == 0 {
        return Ok(());
    }
    let features = moments.least.len();
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
    let (least, greatest) = moments.range();
    let differs = |what: String| {
        let remedy =
            format!("scale the values to {low} … {high} as in the data that the model was trained on");
        Err(DataError::mismatch(data.path(), what, remedy))
    };
    let slack = (high - low).abs() as f64 * 1e-6;
    if least < f64::from(low) - slack || greatest > f64::from(high) + slack {
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
            let (scale, range) = (vec![f32::from(most)], Some((0.0, f32::from(most))));
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
            let (offset, scale) = (2e3 * u[0] - 1e3, 0.01 + 1e3 * u[1]);
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
                let spread =
                    if index.is_multiple_of(2) { (value - f64::from(offset)).abs() } else { value.abs() };
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
}
