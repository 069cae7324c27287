//! Adversarial: a critic D tells codes of the data from draws of the prior, and the encoder makes them alike.
//!
//! the critic minimises  −½ E_p ln D(z) − ½ E_q ln(1 − D(z));    the model minimises  −E_q ln D(z)
//!
//! At its optimum D = p(z) / (p(z) + q(z)), so that its log-odds are ln p(z) − ln q(z). The critic is a player of its own: its
//! weights are in every checkpoint and never in the model file.
//!
//! References: Tolstikhin et al., *Wasserstein Auto-Encoders* (arXiv 1711.01558), WAE-GAN; Makhzani et al., *Adversarial
//! Autoencoders* (arXiv 1511.05644); the model's side as in Goodfellow et al. (arXiv 1406.2661), section 3.

use burn::tensor::Tensor;
use latent_kernels::Activation;
use schemars::JsonSchema;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use toml::Table;

use super::{Pass, Term, Value};
use crate::batch::Noise;
use crate::config::ConfigError;
use crate::density::softplus;
use crate::member::{Context, Life, Named, Settings};
use crate::network::{Dense, DenseConfig};
use crate::optimizer::{LearningRate, MODEL, OptimizerSettings, Player};
use crate::weights::{Init, Weights};

/// The critic and how it moves.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AdversarialSettings {
    /// The widths of the critic's hidden layers.
    pub hidden: Vec<usize>,
    /// How its weights move.
    #[serde(deserialize_with = "over_own")]
    pub optimizer: OptimizerSettings,
    /// Its learning rate over the run.
    pub learning_rate: LearningRate,
    /// It moves when the step is a multiple of this.
    pub every: u64,
    /// How often it moves in its turn.
    pub moves_a_turn: u64,
}

fn over_own<'de, D: Deserializer<'de>>(table: D) -> Result<OptimizerSettings, D::Error> {
    over(&AdversarialSettings::default().optimizer, table)
}

/// Keys of a critic's optimiser go over the critic's defaults, which are not every optimiser's.
pub(super) fn over<'de, D: Deserializer<'de>>(
    own: &OptimizerSettings,
    table: D,
) -> Result<OptimizerSettings, D::Error> {
    let mut all = Table::try_from(own).map_err(D::Error::custom)?;
    all.extend(Table::deserialize(table)?);
    all.try_into().map_err(D::Error::custom)
}

impl Default for AdversarialSettings {
    fn default() -> Self {
        let optimizer = OptimizerSettings { learning_rate: 5e-4, beta1: 0.5, ..OptimizerSettings::default() };
        Self {
            hidden: vec![256; 2],
            optimizer,
            learning_rate: LearningRate::Constant,
            every: 1,
            moves_a_turn: 1,
        }
    }
}

/// More moves a turn are taken for a mistake.
const MOST_MOVES: u64 = 100;

/// Refuses a critic that cannot be a player of the term under way, or moves as none can.
pub(super) fn check_player(
    context: &mut Context<'_>,
    counts: &[(&str, u64)],
    optimizer: &OptimizerSettings,
    learning_rate: &LearningRate,
) -> Result<(), ConfigError> {
    if let Some(name) = context.term().map(|term| &term.name).filter(|n| *n == MODEL || n.contains('.')) {
        return Err(ConfigError::combination(
            format!("the critic is a player called after its term, and `{name}` cannot be the name of one"),
            "give the term another name, such as [objective.terms.adversarial]",
        ));
    }
    for &(key, count) in counts {
        if !(1..=MOST_MOVES).contains(&count) {
            return Err(ConfigError::value(key, format!("{count}"), format!("give 1 to {MOST_MOVES}")));
        }
    }
    optimizer.check()?;
    // Its key here; `schedule` is that of the term's weight.
    learning_rate.check().map_err(|error| match error {
        ConfigError::Value { key, what, remedy } => {
            ConfigError::value(&key.replacen("schedule", "learning_rate", 1), what, remedy)
        }
        other => other,
    })
}

impl Named for AdversarialSettings {
    const KIND: &'static str = "adversarial";
    const ABOUT: &'static str = "a critic tells codes of the data from the prior's";
}

impl Settings<dyn Term> for AdversarialSettings {
    fn formula(&self) -> Option<String> {
        Some("−ln D(z)".into())
    }

    fn declare(&self, context: &mut Context<'_>) -> Result<(), ConfigError> {
        if self.hidden.contains(&0) {
            let what = format!("{:?} has a layer of width 0", self.hidden);
            return Err(ConfigError::value("hidden", what, "give each layer at least one unit"));
        }
        let counts = [("every", self.every), ("moves_a_turn", self.moves_a_turn)];
        check_player(context, &counts, &self.optimizer, &self.learning_rate)
    }

    fn init(&self, context: &Context<'_>, init: &mut Init<'_>) -> Result<Box<dyn Term>, ConfigError> {
        Ok(Box::new(Adversarial { critic: self.critic(context, init) }))
    }
}

impl AdversarialSettings {
    /// The critic under the path of the term under way.
    pub(super) fn critic(&self, context: &Context<'_>, init: &mut Init<'_>) -> Critic {
        // The player is called what the user called the term.
        let name = context.path.rsplit('.').next().unwrap_or_default().to_string();
        let mut width = context.latent.dims();
        let mut layers = Vec::new();
        for (index, &next) in self.hidden.iter().enumerate() {
            let layer = DenseConfig::new(width, next).with_activation(Activation::Relu);
            layers.push(layer.init(init, &format!("critic{index}")));
            width = next;
        }
        layers.push(DenseConfig::new(width, 1).init(init, "critic"));
        Critic { name, path: init.path(""), layers, settings: self.clone() }
    }
}

/// A network that tells two sorts of codes apart, and the player that moves it.
pub(super) struct Critic {
    pub name: String,
    /// Where its weights stand.
    path: String,
    layers: Vec<Dense>,
    settings: AdversarialSettings,
}

impl Critic {
    /// ln D/(1 − D) of each code, `[rows]`.
    pub fn log_odds(&self, weights: &Weights, z: Tensor<2>) -> Tensor<1> {
        self.layers.iter().fold(z, |h, layer| layer.apply(weights, h)).squeeze_dim(1)
    }

    pub fn player(&self) -> Player {
        let path = self.path.clone();
        Player {
            optimizer: Some(self.settings.optimizer.clone()),
            schedule: Some(self.settings.learning_rate.clone()),
            every: self.settings.every,
            moves_a_turn: self.settings.moves_a_turn,
            ..Player::of(&self.name, move |weight| weight.starts_with(&path))
        }
    }
}

struct Adversarial {
    critic: Critic,
}

/// −ln sigmoid(l)
pub(super) fn surprise(log_odds: Tensor<1>) -> Tensor<1> {
    softplus(log_odds.neg().unsqueeze_dim::<2>(1)).squeeze_dim(1)
}

impl Term for Adversarial {
    /// `[k·n]` for either player.
    fn value(&self, pass: &Pass<'_>) -> Option<Value> {
        let weights = pass.view.weights;
        let own = self.critic.log_odds(weights, pass.draw().z.z.clone());
        if pass.player != self.critic.name {
            return Some(Value::new(surprise(own)));
        }
        let noise = Noise::new(pass.key.fold("adversarial"), &pass.batch.ids);
        let wanted = self.critic.log_odds(weights, pass.p.draw(pass.draws, noise).z.z);
        Some(Value::new((surprise(wanted) + surprise(own.neg())) * 0.5))
    }

    fn players(&self) -> Vec<Player> {
        vec![self.critic.player()]
    }
}

impl Life for Adversarial {}
