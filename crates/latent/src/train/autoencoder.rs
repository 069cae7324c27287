//! A latent-variable model and its objective, as the loop sees them.

use burn::tensor::Tensor;

use super::collapse::BIT_MEANS;
use super::trainable::{Moment, Player, Traced, Trainable};
use crate::batch::{Batch, Noise, Support};
use crate::device::{host, host_f64, untracked};
use crate::error::Result;
use crate::key::Key;
use crate::model::{LatentModel, View};
use crate::objective::{Loss, Objective, Pass, Progress};
use crate::weights::Weights;

/// A model under training.
pub struct Autoencoder {
    /// The functions.
    pub model: LatentModel,
    /// The numbers.
    pub weights: Weights,
    /// What is minimised.
    pub objective: Objective,
}

impl Autoencoder {
    /// Joins a model with what it is trained for.
    pub fn new(model: LatentModel, weights: Weights, objective: Objective) -> Self {
        Self { model, weights, objective }
    }

    fn pass<'a>(&'a self, weights: &'a Weights, batch: &'a Batch, moment: Moment) -> Pass<'a> {
        let view = View { model: &self.model, weights, training: moment.progress.is_some() };
        Pass::new(view, batch, self.objective.estimator.draws, moment.key)
    }
}

impl Trainable for Autoencoder {
    fn weights(&self) -> &Weights {
        &self.weights
    }

    fn weights_mut(&mut self) -> &mut Weights {
        &mut self.weights
    }

    fn players(&self) -> Vec<Player> {
        vec![Player { name: String::new(), moves: |_| true, optimizer: None, every: 1 }]
    }

    fn loss(&self, _: &Player, weights: &Weights, batch: &Batch, moment: Moment) -> Result<Loss> {
        let pass = self.pass(weights, batch, moment);
        let mut loss = self.objective.loss(&pass, moment.progress);
        if moment.progress.is_some()
            && let Some(scale) = self.model.likelihood.scale()
        {
            loss.kept.push(untracked(scale.statistic(pass.outputs.clone(), &batch.x).mean()));
        }
        Ok(loss)
    }

    fn diagnostics(&self, weights: &Weights, batch: &Batch, key: Key) -> Result<Vec<(String, Vec<f32>)>> {
        let pass = self.pass(weights, batch, Moment { progress: None, key });
        let mut all = Vec::new();
        if let Some(rate) = pass.rate.as_ref().and_then(|rate| rate.per_dimension.clone()) {
            all.push(("rate_per_dimension".into(), host(&rate.mean_dim(0))));
        }
        if self.model.latent.blocks.iter().all(|block| block.support == Support::Bits) {
            all.push((BIT_MEANS.into(), host(&pass.q.centre().z.mean_dim(0))));
        }
        Ok(all)
    }

    fn settled(&self, progress: Progress) -> bool {
        self.objective.settled(progress)
    }

    fn after_step(&mut self, _: &Batch, _: Moment, mut kept: Vec<Tensor<1>>) -> Result<()> {
        if let (Some(scale), Some(mean)) = (self.model.likelihood.scale(), kept.pop()) {
            scale.follow(&mut self.weights, mean);
        }
        Ok(())
    }

    /// Freezes a measured scale at the mean over the training data, one draw of q each.
    fn after_training(&mut self, batches: &mut dyn Iterator<Item = Result<Batch>>, key: Key) -> Result<()> {
        let Some(scale) = self.model.likelihood.scale() else { return Ok(()) };
        let (mut sum, mut count) = (0.0, 0.0);
        for batch in batches {
            let batch = batch?;
            let view = View::evaluation(&self.model, &self.weights);
            let z = view.encode(batch.x.clone()).draw(1, Noise::new(key, &batch.ids));
            let statistic = host_f64(&scale.statistic(view.decode(&z), &batch.x));
            sum += statistic.iter().sum::<f64>();
            count += statistic.len() as f64;
        }
        if count > 0.0 {
            scale.freeze(&mut self.weights, sum / count);
        }
        Ok(())
    }

    fn trace(&self, weights: &Weights, batch: &Batch, moment: Moment) -> Result<Vec<Traced>> {
        let mut traced: Vec<Traced> = weights
            .iter()
            .map(|(_, w)| Traced { name: format!("weight {}", w.path()), values: w.values(), width: 0 })
            .collect();
        for (name, tensor) in self.pass(weights, batch, moment).tensors() {
            // The rows of the prior's parameters are no rows of data.
            let width = if name.starts_with("p(z)") { 0 } else { tensor.dims()[1] };
            traced.push(Traced { name, width, values: host(&tensor) });
        }
        Ok(traced)
    }
}
