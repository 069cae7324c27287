//! One pass of a batch through the model: what terms read. What nobody reads isn't computed.

use std::cell::OnceCell;

use burn::tensor::Tensor;

use crate::batch::{Batch, Draw, Noise};
use crate::density::Density;
use crate::key::Key;
use crate::member::Progress;
use crate::model::{Rate, View};
use crate::optimizer::MODEL;

/// x → q(z|x) → z → p(x|z), with what terms need on the way.
pub struct Pass<'a> {
    /// The model.
    pub view: View<'a>,
    /// The rows.
    pub batch: &'a Batch,
    /// How many codes are drawn for each row, k.
    pub draws: usize,
    /// The key of this step.
    pub key: Key,
    /// Whose pass it is.
    pub player: &'a str,
    /// How far training has come; none for a model as it is judged.
    pub progress: Option<Progress>,
    /// q(z|x)
    pub q: Box<dyn Density>,
    /// p(z)
    pub p: Box<dyn Density>,
    draw: OnceCell<Draw>,
    drawn: OnceCell<Draw>,
    outputs: OnceCell<Tensor<2>>,
    distortion: OnceCell<Tensor<1>>,
    rate: OnceCell<Option<Rate>>,
}

impl<'a> Pass<'a> {
    /// The model's player's pass. `key` is already folded with the step.
    pub fn new(view: View<'a>, batch: &'a Batch, draws: usize, key: Key) -> Self {
        Self::of(MODEL, view, batch, draws, key)
    }

    /// The pass of another player.
    pub fn of(player: &'a str, view: View<'a>, batch: &'a Batch, draws: usize, key: Key) -> Self {
        let (q, p) = (view.encode(batch), view.prior(batch.given()));
        Self {
            view,
            batch,
            draws,
            key,
            player,
            progress: None,
            q,
            p,
            draw: OnceCell::new(),
            drawn: OnceCell::new(),
            outputs: OnceCell::new(),
            distortion: OnceCell::new(),
            rate: OnceCell::new(),
        }
    }

    /// The same pass at this point of training.
    #[must_use]
    pub fn at(self, progress: Option<Progress>) -> Self {
        Self { progress, ..self }
    }

    /// The same pass with codes that were drawn elsewhere.
    #[must_use]
    pub fn with_draw(self, draw: Draw) -> Self {
        Self { draw: OnceCell::from(draw), ..self }
    }

    /// The same pass with codes that a sampler drew in the place of draws of p(z).
    #[must_use]
    pub fn with_drawn(self, drawn: Draw) -> Self {
        Self { drawn: OnceCell::from(drawn), ..self }
    }

    /// Codes of nobody: `k` draws of p(z) for each row, unless a sampler drew them.
    pub fn drawn(&self) -> &Draw {
        let noise = || Noise::new(self.key.fold("patch critic"), &self.batch.ids);
        self.drawn.get_or_init(|| self.p.draw(self.draws, noise()))
    }

    /// The codes, `k` of each row.
    pub fn draw(&self) -> &Draw {
        self.draw.get_or_init(|| self.q.draw(self.draws, self.batch.noise(self.key.fold("posterior"))))
    }

    /// The decoder's outputs, `[k·n, parameters · features]`.
    pub fn outputs(&self) -> &Tensor<2> {
        self.outputs.get_or_init(|| self.view.decode_draw(self.draw(), self.batch.given()))
    }

    /// −log p(x|z) in nats, `[k·n]`.
    pub fn distortion(&self) -> &Tensor<1> {
        self.distortion.get_or_init(|| {
            self.view.model.likelihood.log_density(&self.view, self.outputs().clone(), self.batch).neg()
        })
    }

    /// KL(q‖p); none where q has no density.
    pub fn rate(&self) -> Option<&Rate> {
        let rate = || Rate::new(self.q.as_ref(), self.p.as_ref(), self.draw(), self.draws);
        self.rate.get_or_init(rate).as_ref()
    }

    /// log w = log p(x|z) + log p(z) − log q(z|x), `[k·n]`; none where q has no density.
    pub fn log_weights(&self) -> Option<Tensor<1>> {
        let log_q = self.q.log_density_of(self.draw())?;
        let log_p = self.p.log_density(&self.draw().z)?;
        Some(log_p - log_q - self.distortion().clone())
    }

    /// Named tensors in the order in which they arise, for a search after the first bad number.
    pub fn tensors(&self) -> Vec<(String, Tensor<2>)> {
        let column = |t: &Tensor<1>| t.clone().unsqueeze_dim::<2>(1);
        let mut all = vec![("x".to_string(), self.batch.x.clone())];
        all.extend(self.batch.condition.clone().map(|condition| ("condition".to_string(), condition)));
        all.extend(self.q.parameters().into_iter().map(|(name, t)| (format!("q(z|x) {name}"), t)));
        all.push(("z".into(), self.draw().z.z.clone()));
        all.push(("decoder output".into(), self.outputs().clone()));
        all.push(("distortion".into(), column(self.distortion())));
        all.extend(self.p.parameters().into_iter().map(|(name, t)| (format!("p(z) {name}"), t)));
        if let Some(rate) = self.rate() {
            all.push(("rate".into(), column(&rate.total)));
        }
        all
    }
}
