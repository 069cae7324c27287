//! One fit on all codes and, where rows have classes, one more on the codes of each class.

use std::collections::BTreeMap;

use super::onnx::NoiseGraph;
use super::{Arrays, Fitting, How, Sampler, SamplerError, Space};
use crate::batch::Noise;
use crate::generate::Result;
use crate::model::View;
use crate::store::StoreError;
use crate::store::onnx::Node;

/// A sampler of all codes, and those of single classes.
struct PerClass {
    all: Box<dyn Sampler>,
    classes: BTreeMap<usize, Box<dyn Sampler>>,
}

/// A class with fewer validation rows is left out.
const LEAST_VALIDATION: usize = 5;

/// What `fit` leaves on all codes, and under `class.N.` on those of each class that has rows enough.
pub(super) fn fit_each(
    fitting: &Fitting<'_>,
    fit: impl Fn(&Fitting<'_>, bool) -> Result<Arrays>,
) -> Result<Arrays> {
    let classes = if fitting.codes.has_labels() { fitting.space.classes.len() } else { 0 };
    // All codes together take about as long as the classes one after the other.
    let parts = if classes == 0 { 1.0 } else { 2.0 };
    let whole = |share: f64| (fitting.progress)(share / parts);
    let mut arrays = fit(&Fitting { progress: &whole, ..*fitting }, true)?;
    let least = (2 * fitting.space.dims).max(20);
    for class in 0..classes {
        let codes = fitting.codes.of_class(class as u32);
        if codes.train.rows() < least || codes.validation.rows() < LEAST_VALIDATION {
            continue;
        }
        let one = |share: f64| (fitting.progress)(0.5 + 0.5 * (class as f64 + share) / classes as f64);
        let key = fitting.key.fold("class").fold(class);
        let own = fit(&Fitting { codes: &codes, key, progress: &one, ..*fitting }, false)?;
        arrays.extend(own.into_iter().map(|(name, array)| (format!("class.{class}.{name}"), array)));
    }
    Ok(arrays)
}

/// Builds what [`fit_each`] left.
pub(super) fn restore_each(
    space: &Space,
    arrays: Arrays,
    restore: impl Fn(&Space, Arrays) -> Result<Box<dyn Sampler>, String>,
) -> Result<Box<dyn Sampler>, String> {
    let mut all = Arrays::new();
    let mut own: BTreeMap<usize, Arrays> = BTreeMap::new();
    for (name, array) in arrays {
        let class = name.strip_prefix("class.").and_then(|rest| rest.split_once('.'));
        match class.and_then(|(class, rest)| Some((class.parse().ok()?, rest))) {
            Some((class, rest)) if class < space.classes.len() => {
                own.entry(class).or_default().insert(rest.into(), array);
            }
            Some((class, _)) => return Err(format!("it has a class {class}, which the model has not")),
            None => {
                all.insert(name, array);
            }
        }
    }
    let classes = own
        .into_iter()
        .map(|(class, arrays)| Ok((class, restore(space, arrays)?)))
        .collect::<Result<_, String>>()?;
    Ok(Box::new(PerClass { all: restore(space, all)?, classes }))
}

impl Sampler for PerClass {
    fn draw(&self, view: &View<'_>, noise: Noise<'_>, how: &How) -> Result<Vec<f32>> {
        let Some(class) = how.class else { return self.all.draw(view, noise, how) };
        match self.classes.get(&class) {
            Some(own) => own.draw(view, noise, how),
            None => Err(SamplerError::Request {
                what: format!("no sampler was fitted on class {class}"),
                remedy: "leave the class out".into(),
            }
            .into()),
        }
    }

    fn trace(&self, view: &View<'_>, to: &mut NoiseGraph) -> Result<Node, StoreError> {
        self.all.trace(view, to)
    }

    fn log_density(&self, view: &View<'_>, codes: &[f32]) -> Option<Vec<f64>> {
        self.all.log_density(view, codes)
    }

    fn knows_class(&self, class: usize) -> bool {
        self.classes.contains_key(&class)
    }
}
