//! Total correlation by a critic: D tells codes z ~ q(z) from codes whose dimensions were each taken from another row, which are
//! draws of Π_j q(z_j).
//!
//! the critic minimises  −½ E_{q(z)} ln D(z) − ½ E_{Π q(z_j)} ln(1 − D(z))
//! the model minimises   E_{q(z)} [ln D(z) − ln(1 − D(z))], at the critic's optimum KL(q(z) ‖ Π_j q(z_j)) in nats
//!
//! The critic is a player, as that of `adversarial`. Dimensions are exchanged among fresh codes of the same batch.
//!
//! Reference: Kim & Mnih, *Disentangling by Factorising* (arXiv 1802.05983), FactorVAE.

use burn::tensor::{Int, Tensor, TensorData};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::adversarial::{AdversarialSettings, Critic, surprise};
use super::{Pass, Term, Value};
use crate::batch::Noise;
use crate::config::ConfigError;
use crate::key::Key;
use crate::member::{Context, Life, Named, Settings};
use crate::optimizer::Player;
use crate::weights::Init;

/// The critic and how it moves: the keys of `adversarial`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct DensityRatioSettings(pub AdversarialSettings);

struct DensityRatio {
    critic: Critic,
}

impl Named for DensityRatioSettings {
    const KIND: &'static str = "density-ratio";
    const ABOUT: &'static str = "KL(q(z) ‖ Π q(z_j)) by a critic of codes with permuted dimensions";
}

impl Settings<dyn Term> for DensityRatioSettings {
    fn formula(&self) -> Option<String> {
        Some("KL(q(z) ‖ Π_j q(z_j))".into())
    }

    fn declare(&self, context: &mut Context<'_>) -> Result<(), ConfigError> {
        self.0.declare(context)?;
        let name = context.term().map(|term| term.name.clone()).unwrap_or_default();
        context.couple(format!("the term `{name}` couples the rows of a batch"), "");
        Ok(())
    }

    fn init(&self, context: &Context<'_>, init: &mut Init<'_>) -> Result<Box<dyn Term>, ConfigError> {
        Ok(Box::new(DensityRatio { critic: self.0.critic(context, init) }))
    }
}

impl Term for DensityRatio {
    /// `[k·n]` for either player.
    fn value(&self, pass: &Pass<'_>) -> Option<Value> {
        let weights = pass.view.weights;
        let own = self.critic.log_odds(weights, pass.draw().z.z.clone());
        if pass.player != self.critic.name {
            return Some(Value::new(own));
        }
        let key = pass.key.fold("permuted");
        let fresh = pass.q.draw(pass.draws, Noise::new(key, &pass.batch.ids)).z.z;
        let permuted = self.critic.log_odds(weights, permute(fresh, pass.draws, key));
        Some(Value::new((surprise(own) + surprise(permuted.neg())) * 0.5))
    }

    fn players(&self) -> Vec<Player> {
        vec![self.critic.player()]
    }
}

impl Life for DensityRatio {}

/// Each dimension in an order of its own among the rows of a draw, `[k·n, dims]`.
fn permute(z: Tensor<2>, draws: usize, key: Key) -> Tensor<2> {
    let [rows, dims] = z.dims();
    let n = rows / draws.max(1);
    let mut places = vec![0i32; rows * dims];
    for draw in 0..draws {
        for dim in 0..dims {
            let order = key.fold(dim).fold(draw).permutation(n);
            for (row, from) in order.into_iter().enumerate() {
                places[(draw * n + row) * dims + dim] = (draw * n + from) as i32;
            }
        }
    }
    let places = Tensor::<2, Int>::from_data(TensorData::new(places, [rows, dims]), &z.device());
    z.gather(0, places)
}
