//! Exemplar prior: p(z) = 1/K Σ_k N(z; μ(x_k), σ² I), a normal about the code of each of K training rows.
//!
//! What a VampPrior learns, the rows themselves say: no pseudo-inputs, one variance for all, learned. A step of training encodes a
//! subset of M exemplars, another each time, through which the gradient reaches the encoder; the mean of ln p over subsets is no more
//! than that of all. A row leaves itself out: it would tell the encoder only to narrow q. Codes of all exemplars are kept as they were
//! last encoded, and as the final encoder gives them in the end: the model that is stored draws from them, scores with them and holds
//! no row. Which rows are exemplars is a function of the data and its seed.
//!
//! Reference: Norouzi, Fleet & Norouzi, *Exemplar VAE: Linking Generative Models, Nearest Neighbor Retrieval, and Data Augmentation*
//! (arXiv 2004.04795), whose near neighbours of each code are here a random subset.

use std::collections::HashMap;

use burn::tensor::Tensor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Prior, needs_support};
use crate::batch::{Batch, Given, Support};
use crate::config::ConfigError;
use crate::data::{DataError, Examples, Rows, Split};
use crate::density::{Density, IsotropicMixture};
use crate::device::host;
use crate::key::Key;
use crate::member::{Context, Freeze, Kept, Life, Named, Progress, Settings, Start};
use crate::model::View;
use crate::weights::{Init, Initial, WeightId, Weights};

/// How many exemplars, and how many of them a step looks at.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ExemplarSettings {
    /// K, the training rows that are exemplars; all where there are fewer.
    pub exemplars: usize,
    /// M, the exemplars that a step of training encodes.
    pub subset: usize,
}

impl Default for ExemplarSettings {
    fn default() -> Self {
        Self { exemplars: 10_000, subset: 500 }
    }
}

impl Named for ExemplarSettings {
    const KIND: &'static str = "exemplar";
    const ABOUT: &'static str = "a normal about the code of each of many training rows";
}

impl ExemplarSettings {
    /// K for these facts.
    fn count(&self, context: &Context<'_>) -> usize {
        usize::try_from(context.facts.rows[0]).unwrap_or(usize::MAX).min(self.exemplars)
    }
}

/// ln σ² is kept in this range, as that of a learned mixture is.
const LOG_VARIANCE: (f64, f64) = (-12.0, 6.0);

/// Exemplars that are encoded at once where all are.
const PART: usize = 1000;

impl Settings<dyn Prior> for ExemplarSettings {
    fn declare(&self, context: &mut Context<'_>) -> Result<(), ConfigError> {
        for (key, count) in [("exemplars", self.exemplars), ("subset", self.subset)] {
            if count < 2 {
                // A row that leaves itself out must leave something.
                return Err(ConfigError::value(key, format!("{count} exemplars"), "give at least 2"));
            }
        }
        if self.count(context) < 2 {
            return Err(ConfigError::combination(
                format!(
                    "the exemplars of this prior are training rows, and there are {}",
                    context.facts.rows[0]
                ),
                "use data with more rows, or prior.kind = \"standard-normal\"",
            ));
        }
        needs_support(context, "the reals", |support| support == Support::Reals)?;
        if context.path.contains(".blocks.") {
            return Err(ConfigError::combination(
                "an exemplar prior is made of whole codes, and this one is of a block",
                "use prior.kind = \"exemplar\" for all blocks, or another prior for this block",
            ));
        }
        context.prior_factorises = false;
        Ok(())
    }

    fn init(&self, context: &Context<'_>, init: &mut Init<'_>) -> Result<Box<dyn Prior>, ConfigError> {
        let count = self.count(context);
        let rows = match context.data {
            None => None,
            Some(data) => {
                let key = Key::from_seed(0).fold("exemplars").fold(context.facts.hash.as_str());
                let mut places = key.permutation(data.len(Split::Train));
                places.truncate(count);
                let read = Examples::rows(data, Split::Train, &places, 0);
                Some(read.map_err(|error| {
                    ConfigError::combination(
                        format!("the exemplars of the prior cannot be read: {error}"),
                        "mend the data, or use prior.kind = \"standard-normal\"",
                    )
                })?)
            }
        };
        Ok(Box::new(Exemplar {
            codes: init.buffer("codes", &[count, context.latent.dims()], Initial::Normal(1.0)),
            log_variance: init.weight("log_variance", &[1, 1], Initial::Constant(0.0)),
            names: ["places", "codes"].map(|name| init.path(name)),
            features: context.facts.shape.features(),
            subset: self.subset.min(count),
            rows,
        }))
    }
}

struct Exemplar {
    /// μ(x_k) as last encoded, `[K, dims]`.
    codes: WeightId,
    /// ln σ², `[1, 1]`.
    log_variance: WeightId,
    /// What the places and the codes of a step's subset are recorded as.
    names: [String; 2],
    /// Numbers in a row.
    features: usize,
    subset: usize,
    /// The exemplars, where the model is built to be trained on them.
    rows: Option<Rows>,
}

impl Exemplar {
    /// The exemplars at these places.
    fn batch(&self, rows: &Rows, places: &[usize], weights: &Weights) -> Batch {
        let told = rows.condition.len() / rows.len().max(1);
        let some = |values: &[f32], width: usize| -> Vec<f32> {
            places.iter().flat_map(|&place| &values[place * width..(place + 1) * width]).copied().collect()
        };
        let rows = Rows {
            x: some(&rows.x, self.features),
            ids: places.iter().map(|&place| rows.ids[place]).collect(),
            condition: some(&rows.condition, told),
            ..Rows::default()
        };
        Batch::new(rows, self.features, weights.device())
    }

    /// Sets the codes of all exemplars by `encode`.
    fn renew(&self, weights: &mut Weights, encode: &dyn Fn(&Weights, &Batch) -> Tensor<2>) {
        let Some(rows) = &self.rows else { return };
        let places: Vec<usize> = (0..rows.len()).collect();
        let parts =
            places.chunks(PART).flat_map(|part| host(&encode(weights, &self.batch(rows, part, weights))));
        let codes = parts.collect();
        weights.set_values(self.codes, codes);
    }
}

impl Prior for Exemplar {
    fn density(&self, view: &View<'_>, given: Given<'_>) -> Box<dyn Density> {
        let log_variance = view.weights.get::<2>(self.log_variance).clamp(LOG_VARIANCE.0, LOG_VARIANCE.1);
        let Some(rows) = self.rows.as_ref().filter(|_| view.is_training()) else {
            return Box::new(IsotropicMixture {
                mean: view.weights.get(self.codes),
                log_variance,
                own: None,
            });
        };
        let mut places = view.key.fold("exemplars").permutation(rows.len());
        places.truncate(self.subset);
        let batch = self.batch(rows, &places, view.weights);
        // Statistics are those of the rows in the batch: the exemplars' are not recorded.
        let mean = View { record: None, ..*view }.encode(&batch).centre().z;
        let device = view.weights.device();
        if let Some(record) = view.record {
            let count = places.len();
            record.first(&self.names[0], device.tensor(places.iter().map(|&p| p as f32).collect(), [count]));
            record.first(&self.names[1], mean.clone().reshape([count * mean.dims()[1]]));
        }
        let at: HashMap<u64, usize> = batch.ids.iter().enumerate().map(|(place, &id)| (id, place)).collect();
        let mut own = vec![0.0; given.ids.len() * places.len()];
        for (row, id) in given.ids.iter().enumerate() {
            if let Some(place) = at.get(id) {
                own[row * places.len() + place] = 1.0;
            }
        }
        let own = (!given.ids.is_empty()).then(|| device.tensor(own, [given.ids.len(), places.len()]));
        Box::new(IsotropicMixture { mean, log_variance, own })
    }
}

impl Life for Exemplar {
    fn start(&self, start: &mut Start<'_>) -> Result<(), DataError> {
        let encode = start.codes;
        self.renew(start.weights, encode);
        Ok(())
    }

    /// Codes that a step has encoded take the places of older ones.
    fn follow(&self, weights: &mut Weights, kept: &Kept, _: Progress) {
        let (Some(places), Some(new)) = (kept.first(&self.names[0]), kept.first(&self.names[1])) else {
            return;
        };
        let mut codes = host(&weights.get::<2>(self.codes));
        let (places, new) = (host(&places), host(&new));
        let dims = new.len() / places.len().max(1);
        for (place, new) in places.iter().zip(new.chunks(dims.max(1))) {
            let start = *place as usize * dims;
            codes[start..start + dims].copy_from_slice(new);
        }
        weights.set_values(self.codes, codes);
    }

    fn freeze(&self, freeze: &mut Freeze<'_>) -> Result<(), DataError> {
        let encode = freeze.codes;
        self.renew(freeze.weights, encode);
        Ok(())
    }
}
