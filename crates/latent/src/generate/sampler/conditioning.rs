//! What a flow is told of each row beside the time, so that it can be asked for codes of such rows.
//!
//! c is what a conditional model is told of the row, as the model sees it, or else the row's class, one-hot. In the fit a share of
//! rows has c hidden: c is then 0, and a number beside it, otherwise 0, is 1.

use burn::tensor::Tensor;

use super::{Arrays, Fitting, Space};
use crate::array::Array;
use crate::batch::{Batch, Noise};
use crate::device::Device;
use crate::key::Key;

/// What c is: how a velocity is told of a row.
#[derive(Clone, Debug, Default)]
pub(super) struct Conditioning {
    /// How often each class comes, where c is the class, one-hot.
    pub shares: Vec<f64>,
    /// How many numbers the model is told of a row, where c is these; 0 otherwise.
    pub condition: usize,
    /// The share of rows whose c is hidden in the fit: c is then 0, and one number more is 1. None where it never is.
    pub dropout: Option<f32>,
}

impl Conditioning {
    /// What can be told of such codes.
    pub fn of(fitting: &Fitting<'_>, dropout: f64) -> Self {
        let condition = fitting.space.condition;
        let shares = if condition > 0 { Vec::new() } else { shares(fitting) };
        let is_something = condition > 0 || !shares.is_empty();
        Self { shares, condition, dropout: (is_something && dropout > 0.0).then_some(dropout as f32) }
    }

    /// How many numbers c has.
    fn known(&self) -> usize {
        self.condition.max(self.shares.len())
    }

    /// How many numbers tell c, with the one that says that it is hidden.
    pub fn width(&self) -> usize {
        self.known() + usize::from(self.dropout.is_some())
    }

    /// c of rows of these classes.
    pub fn classes(&self, classes: &[usize], device: &Device) -> Option<Tensor<2>> {
        let width = self.shares.len();
        let mut one_hot = vec![0.0; classes.len() * width];
        // A class beyond those known cannot be told; the data gives none.
        let place = |class: &usize| (*class).min(width.saturating_sub(1));
        classes.iter().enumerate().for_each(|(row, class)| one_hot[row * width + place(class)] = 1.0);
        self.shown(device.tensor(one_hot, [classes.len(), width]))
    }

    /// c `[n, known]` with the number that says that it isn't hidden.
    pub fn shown(&self, c: Tensor<2>) -> Option<Tensor<2>> {
        match self.dropout {
            Some(_) => Some(Tensor::cat(vec![c.clone(), c.narrow(1, 0, 1).zeros_like()], 1)),
            None => Some(c),
        }
    }

    /// c of `n` rows of which nothing is told.
    pub fn hidden(&self, n: usize, device: &Device) -> Option<Tensor<2>> {
        let mut row = vec![0.0; self.known()];
        row.extend(self.dropout.map(|_| 1.0));
        (!row.is_empty()).then(|| device.tensor(row.repeat(n), [n, row.len()]))
    }

    /// c of rows to learn from, some of them hidden.
    pub fn some_hidden(&self, batch: &Batch, key: Key) -> Option<Tensor<2>> {
        let device = Device::of(&batch.x);
        let c = match (&batch.condition, &batch.labels) {
            (Some(condition), _) if self.condition > 0 => self.shown(condition.clone()),
            (_, Some(labels)) if !self.shares.is_empty() => {
                let classes: Vec<usize> = labels.iter().map(|&label| label as usize).collect();
                self.classes(&classes, &device)
            }
            _ => return self.hidden(batch.ids.len(), &device),
        };
        let Some(dropout) = self.dropout else { return c };
        let hides = Noise::new(key, &batch.ids).uniforms(1, 1, &device).lower_elem(dropout).float();
        Some(c? * (hides.clone().neg() + 1.0) + self.hidden(batch.ids.len(), &device)? * hides)
    }

    pub fn keep(&self, arrays: &mut Arrays) {
        let mut keep = |name: &str, values: Vec<f32>| {
            if !values.is_empty() {
                arrays.insert(name.into(), Array { shape: vec![values.len()], values });
            }
        };
        keep("classes", self.shares.iter().map(|share| *share as f32).collect());
        keep("dropout", self.dropout.into_iter().collect());
        keep("condition", if self.condition > 0 { vec![self.condition as f32] } else { Vec::new() });
    }

    /// What [`keep`](Self::keep) kept; says what is wrong with it.
    pub fn take(arrays: &mut Arrays, space: &Space) -> Result<Self, String> {
        let mut take = |name: &str| arrays.remove(name).map(|array| array.values).unwrap_or_default();
        let (shares, dropout, condition) = (take("classes"), take("dropout"), take("condition"));
        let is_share = |share: &f32| (0.0..=1.0).contains(share);
        if !shares.iter().all(is_share) || (!shares.is_empty() && shares.len() != space.classes.len()) {
            return Err("the array `classes` does not fit the model's classes".into());
        }
        if !dropout.iter().all(is_share) || dropout.len() > 1 {
            return Err("the array `dropout` is no share".into());
        }
        let condition = match condition.as_slice() {
            [] => 0,
            [width] if *width == space.condition as f32 && shares.is_empty() => space.condition,
            _ => return Err("the array `condition` does not fit what the model is told".into()),
        };
        let shares = shares.into_iter().map(f64::from).collect();
        Ok(Self { shares, condition, dropout: dropout.first().copied() })
    }
}

/// How many of the training rows are of each class; nothing without classes.
fn shares(fitting: &Fitting<'_>) -> Vec<f64> {
    let codes = fitting.codes;
    let classes = fitting.space.classes.len();
    let known = |labels: &[u32]| labels.iter().all(|&label| (label as usize) < classes);
    if !codes.has_labels() || !known(&codes.train_labels) || !known(&codes.validation_labels) {
        return Vec::new();
    }
    let mut counts = vec![0.0; classes];
    codes.train_labels.iter().for_each(|&label| counts[label as usize] += 1.0);
    let n = codes.train_labels.len() as f64;
    counts.into_iter().map(|count| count / n).collect()
}
