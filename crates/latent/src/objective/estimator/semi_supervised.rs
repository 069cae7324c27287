//! The semi-supervised bound: a row whose class is known is told it, one whose class is not is summed over all classes.
//!
//! known     ℓ(x, y) − α N/M ln q(y|x),    ℓ(x, y) = distortion + rate of x told y − ln p(y)
//! unknown   Σ_y q(y|x) [ℓ(x, y) + ln q(y|x)] ≥ −ln p(x) for any q
//!
//! The model is told the class as a condition, p(y) = 1/K, and q(y|x) is a classifier of dense layers that serves training alone:
//! afterwards a row is classified by which class it scores best with (`latent score --condition`). With M known of N training rows
//! the factor N/M makes the classifier's part α times the mean over known rows. A row is unknown where its class is not among the
//! M that may be seen, or is not said. Held-out rows are read without their class: there the loss is the bound on −ln p(x). What the
//! log calls distortion and rate is of rows told what they are. Each unknown row costs a pass for each class.
//!
//! Reference: Kingma, Rezende, Mohamed & Welling, *Semi-supervised Learning with Deep Generative Models* (arXiv 1406.5298), M2,
//! equations 6 to 9; its α of 0.1 N over sums is 0.1 here.

use std::collections::{BTreeMap, HashSet};

use burn::tensor::Tensor;
use burn::tensor::activation::log_softmax;
use latent_kernels::Activation;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::weights::{Gradient, check, holds};
use super::{Estimator, check_draws};
use crate::batch::Batch;
use crate::config::ConfigError;
use crate::data::{Attribute, Facts, Split};
use crate::density::sum_dimensions;
use crate::device::{Device, host};
use crate::key::Key;
use crate::member::{Context, Life, Named, Settings};
use crate::model::View;
use crate::network::{Dense, DenseConfig, activation};
use crate::objective::label::{check_share, chosen};
use crate::objective::{Pass, Values};
use crate::weights::{Init, Weights};

/// How many classes may be seen, and the classifier.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SemiSupervisedSettings {
    /// Codes drawn for each row.
    pub draws: usize,
    /// The share of training rows whose class may be seen, of each class alike; above 1 their number.
    pub labelled: f64,
    /// α, what −ln q(y|x) of a known row counts, as a mean over known rows.
    pub alpha: f64,
    /// The widths of the classifier's hidden layers.
    pub hidden: Vec<usize>,
    /// The classifier's activation.
    #[serde(with = "activation")]
    #[schemars(schema_with = "activation::schema")]
    pub activation: Activation,
}

impl Default for SemiSupervisedSettings {
    fn default() -> Self {
        Self { draws: 1, labelled: 1.0, alpha: 0.1, hidden: vec![500], activation: Activation::Softplus }
    }
}

impl Named for SemiSupervisedSettings {
    const KIND: &'static str = "semi-supervised";
    const ABOUT: &'static str = "told the class where it is known, summed over classes where it is not";
}

/// Where the first class that the model is told stands in the condition.
#[derive(Clone, Copy, Debug)]
struct Place {
    /// Which attribute it is.
    index: usize,
    /// Its first column.
    offset: usize,
    /// Its columns, that of the unknown class included.
    width: usize,
    classes: usize,
}

fn place(facts: &Facts) -> Result<Place, ConfigError> {
    let mut offset = 0;
    for (index, attribute) in facts.condition.iter().enumerate() {
        let width = attribute.width();
        if let Attribute::Class { classes, .. } = attribute
            && classes.len() > 1
        {
            return Ok(Place { index, offset, width, classes: classes.len() });
        }
        offset += width;
    }
    Err(ConfigError::combination(
        "rows are summed over classes, and the model is told none",
        "set data.condition = [\"label\"] with data of two classes or more",
    ))
}

impl Settings<dyn Estimator> for SemiSupervisedSettings {
    fn formula(&self) -> Option<String> {
        Some(format!(
            "ln K + (ℓ(y) − {} N/M ln q(y|x) where y is known, Σ_y q(y|x) [ℓ(y) + ln q(y|x)] where it is not)",
            self.alpha
        ))
    }

    fn declare(&self, context: &mut Context<'_>) -> Result<(), ConfigError> {
        check_draws("draws", self.draws)?;
        check_share("labelled", self.labelled)?;
        if !(self.alpha.is_finite() && self.alpha >= 0.0) {
            let what = format!("{} is not a weight", self.alpha);
            return Err(ConfigError::value("alpha", what, "give a number from 0"));
        }
        if self.hidden.contains(&0) {
            let what = format!("{:?} has a layer of width 0", self.hidden);
            return Err(ConfigError::value("hidden", what, "give each layer at least one unit"));
        }
        place(context.facts)?;
        check(context, Gradient::Plain)?;
        match context.terms.iter().find(|term| !holds(&term.name) && term.weight > 0.0) {
            // Its codes would be those of rows told the class that they are to hide.
            Some(term) => Err(ConfigError::combination(
                format!("classes are summed over, and the term `{}` sees codes of one", term.name),
                format!("leave [objective.terms.{}] out", term.name),
            )),
            None => Ok(()),
        }
    }

    fn init(&self, context: &Context<'_>, init: &mut Init<'_>) -> Result<Box<dyn Estimator>, ConfigError> {
        let place = place(context.facts)?;
        let mut init = init.training_only();
        let (mut layers, mut width) = (Vec::new(), context.facts.shape.features());
        for (index, &next) in self.hidden.iter().enumerate() {
            let layer = DenseConfig::new(width, next).with_activation(self.activation);
            layers.push(layer.init(&mut init, &format!("classifier{index}")));
            width = next;
        }
        layers.push(DenseConfig::new(width, place.classes).init(&mut init, "classifier"));
        let (mut rows, mut scale) = (None, 1.0);
        if let Some(data) = context.data {
            let ids = data.ids(Split::Train);
            let mut classes: BTreeMap<u32, Vec<u64>> = BTreeMap::new();
            for &id in ids {
                let class = data.told(id).get(place.index).copied().filter(|class| class.is_finite());
                class.into_iter().for_each(|class| classes.entry(class as u32).or_default().push(id));
            }
            let key = Key::from_seed(0).fold("labelled").fold(context.facts.hash.as_str());
            let known = chosen(classes.into_values().collect(), self.labelled, key);
            scale = ids.len() as f64 / known.len().max(1) as f64;
            rows = Some(known);
        }
        Ok(Box::new(SemiSupervised { draws: self.draws, alpha: self.alpha, layers, place, rows, scale }))
    }
}

struct SemiSupervised {
    draws: usize,
    alpha: f64,
    /// The classifier.
    layers: Vec<Dense>,
    place: Place,
    /// The ids of the training rows whose class may be seen; none for all.
    rows: Option<HashSet<u64>>,
    /// N/M
    scale: f64,
}

impl SemiSupervised {
    /// ln q(y|x), `[n, classes]`.
    fn log_classes(&self, weights: &Weights, x: Tensor<2>) -> Tensor<2> {
        log_softmax(self.layers.iter().fold(x, |h, layer| layer.apply(weights, h)), 1)
    }

    /// The rows of a pass that are told their class, and those that are not.
    fn split(&self, pass: &Pass<'_>, condition: &Tensor<2>) -> [Vec<usize>; 2] {
        let told = host(&condition.clone().narrow(1, self.place.offset, self.place.classes));
        let seen = |row: usize| {
            let own = &told[row * self.place.classes..(row + 1) * self.place.classes];
            pass.view.is_training()
                && own.iter().sum::<f32>() > 0.5
                && self.rows.as_ref().is_none_or(|rows| rows.contains(&pass.batch.ids[row]))
        };
        let (known, unknown) = (0..pass.batch.len()).partition(|&row| seen(row));
        [known, unknown]
    }

    /// The condition with this class in its place.
    fn with_class(&self, condition: &Tensor<2>, class: usize) -> Tensor<2> {
        let Place { offset, width, .. } = self.place;
        let [n, all] = condition.dims();
        let mut row = vec![0.0; width];
        row[class] = 1.0;
        let mut parts = vec![Device::of(condition).tensor(row, [1, width]).expand([n, width])];
        if offset > 0 {
            parts.insert(0, condition.clone().narrow(1, 0, offset));
        }
        if offset + width < all {
            parts.push(condition.clone().narrow(1, offset + width, all - offset - width));
        }
        Tensor::cat(parts, 1)
    }

    /// ℓ(x, y) of rows that are told a class, `[n]`; none where q has no density.
    fn told(&self, pass: &Pass<'_>, batch: &Batch) -> Option<Tensor<1>> {
        // What follows the model follows its own pass.
        let view = View { record: None, ..pass.view };
        let own = Pass::of(pass.player, view, batch, pass.draws, pass.key).at(pass.progress);
        let (n, classes) = (batch.len(), self.place.classes as f64);
        let distortion = own.distortion().clone().reshape([pass.draws, n]).mean_dim(0).reshape([n]);
        Some(distortion + own.rate()?.total.clone() + classes.ln())
    }

    /// The loss of a batch; none where nobody is told a class.
    fn bound(&self, pass: &Pass<'_>) -> Option<Tensor<1>> {
        let condition = pass.batch.condition.as_ref()?;
        let whole = pass.batch.weight_sum().max(f64::MIN_POSITIVE);
        let part = |batch: &Batch, values: Tensor<1>| batch.mean(values) * (batch.weight_sum() / whole);
        let [known, unknown] = self.split(pass, condition);
        let mut sum: Option<Tensor<1>> = None;
        if !known.is_empty() {
            let batch = pass.batch.select(&known);
            let told = batch.condition.clone()?.narrow(1, self.place.offset, self.place.classes);
            let log_q = self.log_classes(pass.view.weights, batch.x.clone());
            let surprise = sum_dimensions(told * log_q).neg() * (self.alpha * self.scale);
            sum = Some(part(&batch, self.told(pass, &batch)? + surprise));
        }
        if !unknown.is_empty() {
            let batch = pass.batch.select(&unknown);
            let condition = batch.condition.clone()?;
            let log_q = self.log_classes(pass.view.weights, batch.x.clone());
            let mut each = Vec::new();
            for class in 0..self.place.classes {
                let told = Batch { condition: Some(self.with_class(&condition, class)), ..batch.clone() };
                each.push(self.told(pass, &told)?.unsqueeze_dim::<2>(1));
            }
            let all = sum_dimensions(log_q.clone().exp() * (Tensor::cat(each, 1) + log_q));
            let unknown = part(&batch, all);
            sum = Some(match sum {
                Some(known) => known + unknown,
                None => unknown,
            });
        }
        sum
    }
}

impl Estimator for SemiSupervised {
    fn draws(&self) -> usize {
        self.draws
    }

    fn loss(&self, pass: &Pass<'_>, values: &Values<'_>) -> Tensor<1> {
        self.bound(pass).unwrap_or_else(|| values.sum(|_| true))
    }
}

impl Life for SemiSupervised {}
