//! A latent-variable model and its objective, as the loop sees them.

use std::collections::BTreeMap;

use burn::tensor::{Tensor, TensorData};

use super::collapse::BIT_MEANS;
use super::error::Result;
use super::trainable::{EachBatch, Moment, SomeRows, Traced, Trainable};
use super::usage;
use crate::array::Array;
use crate::batch::{Batch, Draw, Noise, Support};
use crate::device::host;
use crate::key::Key;
use crate::member::{Freeze, Kept, Lesson, Life, Mode, Progress, Recorder, Start};
use crate::model::{LatentModel, View};
use crate::objective::{Loss, Objective, Pass};
use crate::optimizer::{MODEL, Player};
use crate::weights::{WeightId, Weights};

/// A model under training.
pub struct Autoencoder {
    /// The functions.
    pub model: LatentModel,
    /// The numbers.
    pub weights: Weights,
    /// What is minimised.
    pub objective: Objective,
    /// Arrays that another model has filled: members leave them as they are when they start.
    pub filled: Vec<WeightId>,
    /// Codes that a sampler drew, a row each: where they are, they stand for draws of p(z), and of the model only its decoder
    /// moves.
    pub drawn: Option<Array>,
}

impl Autoencoder {
    /// Joins a model with what it is trained for.
    pub fn new(model: LatentModel, weights: Weights, objective: Objective) -> Self {
        Self { model, weights, objective, filled: Vec::new(), drawn: None }
    }

    fn pass<'a>(
        &'a self,
        player: &'a str,
        weights: &'a Weights,
        batch: &'a Batch,
        moment: Moment,
        record: Option<&'a Recorder>,
    ) -> Pass<'a> {
        let mode = if moment.progress.is_some() { Mode::Training } else { Mode::Evaluation };
        let progress = moment.progress;
        let view = View { model: &self.model, weights, mode, key: moment.key, record, progress };
        let pass =
            Pass::of(player, view, batch, self.objective.estimator.draws(), moment.key).at(moment.progress);
        match &self.drawn {
            Some(codes) => pass.with_drawn(some_of(codes, batch, moment.key.fold("drawn"))),
            None => pass,
        }
    }

    /// The members of the model in the order in which they live: networks first, since the others see their outputs.
    fn lives(model: &LatentModel) -> [&dyn Life; 5] {
        [
            model.encoder.as_ref(),
            model.decoder.as_ref(),
            model.posterior.as_ref(),
            model.prior.as_ref(),
            model.likelihood.as_ref(),
        ]
    }
}

/// Where the decoder's weights stand.
pub(crate) const DECODER: &str = "decoder";

/// As many of these codes as a batch has rows, by a key.
fn some_of(codes: &Array, batch: &Batch, key: Key) -> Draw {
    let (rows, device) = (batch.len(), batch.x.device());
    let mut places = vec![0.0; rows];
    key.uniforms(&mut places);
    let last = codes.rows().saturating_sub(1);
    let place = |u: &f32| ((f64::from(*u) * codes.rows() as f64) as usize).min(last);
    let chosen: Vec<f32> = places.iter().flat_map(|u| codes.row(place(u)).iter().copied()).collect();
    Draw::new(Tensor::from_data(TensorData::new(chosen, [rows, codes.width()]), &device))
}

impl Trainable for Autoencoder {
    fn weights(&self) -> &Weights {
        &self.weights
    }

    fn weights_mut(&mut self) -> &mut Weights {
        &mut self.weights
    }

    fn players(&self) -> Vec<Player> {
        let mut players = self.objective.players();
        if self.drawn.is_some() {
            players[0] = Player::of(MODEL, |path| path.starts_with(DECODER));
        }
        players
    }

    fn loss(&self, player: &Player, weights: &Weights, batch: &Batch, moment: Moment) -> Result<Loss> {
        let recorder = Recorder::default();
        let record = moment.progress.is_some().then_some(&recorder);
        let mut loss = {
            let pass = self.pass(&player.name, weights, batch, moment, record);
            self.objective.loss(&pass, moment.progress)
        };
        loss.kept = recorder.into_kept();
        Ok(loss)
    }

    fn diagnostics(&self, weights: &Weights, batch: &Batch, key: Key) -> Result<Vec<(String, Vec<f32>)>> {
        let pass = self.pass(MODEL, weights, batch, Moment { progress: None, key }, None);
        let mut all = Vec::new();
        if let Some(rate) = pass.rate().and_then(|rate| rate.per_dimension.clone()) {
            all.push(("rate_per_dimension".into(), host(&batch.mean_rows(rate))));
        }
        let latent = &self.model.latent;
        if latent.support() == Some(Support::Bits) {
            all.push((BIT_MEANS.into(), host(&batch.mean_rows(pass.q.centre().z))));
        }
        for (block, columns) in latent.ranges() {
            if let Support::Index(size) = block.support {
                let codes = pass.q.centre().z.narrow(1, columns.start, columns.len());
                all.push((usage::series(&block.name), usage::shares(&host(&codes), size)));
            }
        }
        Ok(all)
    }

    fn settled(&self, progress: Progress) -> bool {
        self.objective.settled(progress)
    }

    fn start(&mut self, rows: &SomeRows<'_>, key: Key) -> Result<()> {
        let model = &self.model;
        let encoded =
            |weights: &Weights, batch: &Batch| View::evaluation(model, weights).encoder_outputs(batch);
        let codes =
            |weights: &Weights, batch: &Batch| View::evaluation(model, weights).encode(batch).centre().z;
        let teach = |weights: &mut Weights, filled: &[WeightId], batch: &Batch, lesson: &Lesson| {
            crate::model::teach(model, weights, filled, batch, lesson);
        };
        let lives = Self::lives(model).into_iter().chain(self.objective.lives());
        for (index, life) in lives.enumerate() {
            life.start(&mut Start {
                weights: &mut self.weights,
                key: key.fold(index),
                rows,
                encoded: &encoded,
                codes: &codes,
                teach: Some(&teach),
                filled: &self.filled,
            })?;
        }
        Ok(())
    }

    /// Members of the model follow what they recorded in its own player's loss; terms, what they did in any.
    fn follow(&mut self, kept: &BTreeMap<String, Kept>, at: Progress) {
        if let Some(own) = kept.get(MODEL) {
            Self::lives(&self.model).into_iter().for_each(|life| life.follow(&mut self.weights, own, at));
        }
        for life in self.objective.lives() {
            kept.values().for_each(|kept| life.follow(&mut self.weights, kept, at));
        }
    }

    fn freeze(&mut self, batches: &EachBatch<'_>, key: Key) -> Result<()> {
        let model = &self.model;
        let mut pass = |weights: &Weights, mode: Mode| {
            let mut all = Kept::default();
            batches(&mut |batch| {
                let recorder = Recorder::default();
                let view = View { model, weights, mode, key, record: Some(&recorder), progress: None };
                let draw = view.encode(batch).draw(1, Noise::new(key, &batch.ids));
                let outputs = view.decode_draw(&draw, batch.given());
                model.likelihood.log_density(&view, outputs, batch);
                all.merge(recorder.into_kept());
            })?;
            Ok(all)
        };
        let codes =
            |weights: &Weights, batch: &Batch| View::evaluation(model, weights).encode(batch).centre().z;
        let decoded = |weights: &Weights, most: usize| {
            let (mut all, mut at, mut stride) = (Vec::new(), 0, 1);
            let view = View { key, ..View::evaluation(model, weights) };
            batches(&mut |batch| {
                if at % stride == 0 {
                    let draw = view.encode(batch).draw(1, Noise::new(key, &batch.ids));
                    all.push(view.decode_draw(&draw, batch.given()));
                }
                at += 1;
                // Every second batch goes where there are twice as many rows as asked for.
                if all.len() % 2 == 0 && all.len() * batch.len() >= 2 * most {
                    let mut keep = false;
                    all.retain(|_| {
                        keep = !keep;
                        keep
                    });
                    stride *= 2;
                }
            })?;
            Ok((!all.is_empty()).then(|| Tensor::cat(all, 0)))
        };
        let lives = Self::lives(model).into_iter().chain(self.objective.lives());
        for life in lives {
            let weights = &mut self.weights;
            life.freeze(&mut Freeze { weights, pass: &mut pass, codes: &codes, decoded: &decoded })?;
        }
        Ok(())
    }

    fn trace(&self, weights: &Weights, batch: &Batch, moment: Moment) -> Result<Vec<Traced>> {
        let mut traced: Vec<Traced> = weights
            .iter()
            .map(|(_, w)| Traced { name: format!("weight {}", w.path()), values: w.values(), width: 0 })
            .collect();
        for (name, tensor) in self.pass(MODEL, weights, batch, moment, None).tensors() {
            // The rows of the prior's parameters are no rows of data.
            let width = if name.starts_with("p(z)") { 0 } else { tensor.dims()[1] };
            traced.push(Traced { name, width, values: host(&tensor) });
        }
        Ok(traced)
    }
}
