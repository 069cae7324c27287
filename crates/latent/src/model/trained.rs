//! A model that was trained: what programs hold.

use super::{BaseMeasure, LatentModel, View};
use crate::data::{DataSettings, Facts};
use crate::weights::Weights;

/// A trained model: `Send + Sync`, without global state. How one is loaded stands in the room above the axes; what it can do,
/// in `generate`.
pub struct Model {
    /// What the data was that it was trained on.
    pub facts: Facts,
    /// How that data was read and cut.
    pub data: DataSettings,
    /// What weights and the noise of training descended from.
    pub seed: u64,
    /// Its functions.
    pub functions: LatentModel,
    /// Its numbers.
    pub weights: Weights,
    /// The text of the run that it came from.
    pub run: String,
}

impl Model {
    /// The model for use.
    pub fn view(&self) -> View<'_> {
        View::evaluation(&self.functions, &self.weights)
    }

    /// The number of dimensions of z.
    pub fn dims(&self) -> usize {
        self.functions.latent.dims()
    }

    /// What the splits of its data descend from.
    pub fn split_seed(&self) -> u64 {
        self.data.split_seed(self.seed)
    }

    /// Σ_i ln s_i in nats, for values v = s x + o in the user's files: log p(x) less this is log p(v). 0 where p(x|z) is no
    /// density of real numbers: probabilities of levels have no unit.
    pub fn log_scale(&self) -> f64 {
        if self.functions.likelihood.measure() != BaseMeasure::Lebesgue {
            return 0.0;
        }
        let scale = &self.facts.normalisation.scale;
        let sum: f64 = scale.iter().map(|s| s.abs().ln()).sum();
        if scale.len() == 1 { sum * self.functions.sample.features() as f64 } else { sum }
    }

    /// Gives its arrays to `weights` where path and shape are the same; returns their places.
    pub(crate) fn give_weights(&self, weights: &mut Weights) -> Vec<crate::weights::WeightId> {
        let wanted: Vec<_> =
            weights.iter().map(|(id, w)| (id, w.path().to_string(), w.shape().to_vec())).collect();
        let mut taken = Vec::new();
        for (id, path, shape) in wanted {
            if let Some((_, own)) = self.weights.iter().find(|(_, w)| w.path() == path && w.shape() == shape)
            {
                weights.set_values(id, own.values());
                taken.push(id);
            }
        }
        taken
    }
}
