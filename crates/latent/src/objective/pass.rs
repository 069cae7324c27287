//! One pass of a batch through the model: what terms read.

use burn::tensor::Tensor;

use crate::batch::{Batch, Latent, Noise};
use crate::density::Density;
use crate::key::Key;
use crate::model::{Rate, View};

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
    /// q(z|x)
    pub q: Box<dyn Density>,
    /// p(z)
    pub p: Box<dyn Density>,
    /// The codes, `[k·n, dims]`.
    pub z: Latent,
    /// The decoder's outputs, `[k·n, parameters · features]`.
    pub outputs: Tensor<2>,
    /// −log p(x|z) in nats, `[k·n]`.
    pub distortion: Tensor<1>,
    /// KL(q‖p); none where q has no density.
    pub rate: Option<Rate>,
}

impl<'a> Pass<'a> {
    /// Runs the model once. `key` is already folded with the step.
    pub fn new(view: View<'a>, batch: &'a Batch, draws: usize, key: Key) -> Self {
        let q = view.encode(batch.x.clone());
        let p = view.prior();
        let z = q.draw(draws, Noise::new(key.fold("posterior"), &batch.ids));
        let outputs = view.decode(&z);
        let distortion = view.model.likelihood.log_density(&view, outputs.clone(), &batch.x).neg();
        let rate = Rate::new(q.as_ref(), p.as_ref(), &z, draws);
        Self { view, batch, draws, key, q, p, z, outputs, distortion, rate }
    }

    /// log w = log p(x|z) + log p(z) − log q(z|x), `[k·n]`; none where q has no density.
    pub fn log_weights(&self) -> Option<Tensor<1>> {
        let log_q = self.q.log_density(&self.z)?;
        let log_p = self.p.log_density(&self.z)?;
        Some(log_p - log_q - self.distortion.clone())
    }

    /// Named tensors in the order in which they arise, for a search after the first bad number.
    pub fn tensors(&self) -> Vec<(String, Tensor<2>)> {
        let column = |t: &Tensor<1>| t.clone().unsqueeze_dim::<2>(1);
        let mut all = vec![("x".to_string(), self.batch.x.clone())];
        all.extend(self.q.parameters().into_iter().map(|(name, t)| (format!("q(z|x) {name}"), t)));
        all.push(("z".into(), self.z.z.clone()));
        all.push(("decoder output".into(), self.outputs.clone()));
        all.push(("distortion".into(), column(&self.distortion)));
        all.extend(self.p.parameters().into_iter().map(|(name, t)| (format!("p(z) {name}"), t)));
        if let Some(rate) = &self.rate {
            all.push(("rate".into(), column(&rate.total)));
        }
        all
    }
}
