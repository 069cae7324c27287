//! A critic of patches: D tells patches of the data from patches of what the decoder makes, and the decoder makes them alike.
//!
//! the critic minimises  ½ E_x max(0, 1 − D(x)) + ½ E max(0, 1 + D(g(z)));    the model minimises  −λ E D(g(z))
//!
//! D is a mean over places, each of which sees a patch. Errors of pixels are least for the mean of what could be there, which has
//! no detail; to a critic detail that is missing is what tells. λ = |∇ distortion| / |∇ D| makes both pull equally hard, so that
//! the term's weight is the critic's share. Both gradients are taken at the decoder's outputs rather than at its last layer, whose
//! own are linear in them: no second pass through the network, whichever it is, and that of the critic is used as it is found.
//! The critic is heard late, once the model has found what errors of pixels can tell, and learns a little before. Validation leaves it
//! out: a critic that moves is no measure. A row of a table is a single place.
//!
//! With `features` the distance of the critic's last maps ½ |D_l(x) − D_l(g(z))|² counts too, in nats under N(D_l(g(z)), I).
//!
//! References: Isola et al. (arXiv 1611.07004) for patches; Esser, Rombach & Ommer, *Taming Transformers* (arXiv 2012.09841) for λ
//! and the late start; Miyato et al. (arXiv 1802.05957) for the spectral norm; Larsen et al., *Autoencoding beyond pixels* (arXiv
//! 1512.09300), VAE-GAN, for its features and draws of the prior.

use burn::tensor::Tensor;
use burn::tensor::activation::relu;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use super::adversarial::{check_player, over};
use super::patches::Patches;
use super::{Pass, Term, Value};
use crate::batch::Batch;
use crate::config::ConfigError;
use crate::data::{DataError, SampleShape, ValueKind};
use crate::density::softplus;
use crate::device::untracked;
use crate::member::{Context, Kept, Life, Named, Progress, Settings, Start};
use crate::model::View;
use crate::model::likelihood::repeat_x;
use crate::optimizer::{LearningRate, OptimizerSettings, Player};
use crate::weights::{Init, Weights};

/// The critic, how it moves, and what of it the model hears.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PatchCriticSettings {
    /// Channels after each halving of the image: each layer more makes patches about twice as large.
    pub channels: Vec<usize>,
    /// What tells data from what is made.
    pub loss: CriticLoss,
    /// Whether λ is measured at each step; otherwise it is 1.
    pub adaptive: bool,
    /// What the distance of the critic's last maps counts beside; 0 for nothing.
    pub features: f64,
    /// Whether the critic sees decoded draws of the prior, too.
    pub prior: bool,
    /// The share of the run after which the model hears the critic.
    pub start: f64,
    /// The share of the run in which the critic learns before it is heard.
    pub lead: f64,
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

/// What a critic minimises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CriticLoss {
    /// max(0, 1 − D(x)) and max(0, 1 + D(g(z))); the model −D(g(z)).
    Hinge,
    /// −ln σ(D(x)) and −ln(1 − σ(D(g(z)))); the model −ln σ(D(g(z))).
    Logistic,
}

impl Default for PatchCriticSettings {
    fn default() -> Self {
        let optimizer = OptimizerSettings { learning_rate: 1e-3, beta1: 0.5, ..OptimizerSettings::default() };
        Self {
            channels: vec![32, 64],
            loss: CriticLoss::Hinge,
            adaptive: true,
            features: 0.0,
            prior: false,
            start: 0.5,
            lead: 0.05,
            optimizer,
            learning_rate: LearningRate::Constant,
            every: 1,
            moves_a_turn: 1,
        }
    }
}

fn over_own<'de, D: Deserializer<'de>>(table: D) -> Result<OptimizerSettings, D::Error> {
    over(&PatchCriticSettings::default().optimizer, table)
}

/// More halvings than an image has pixels are taken for a mistake.
const MOST_LAYERS: usize = 16;

/// A gradient that is shorter is none.
const LEAST: f64 = 1e-12;

impl Named for PatchCriticSettings {
    const KIND: &'static str = "patch-critic";
    const ABOUT: &'static str = "a critic tells patches of images from those of the data";
}

impl Settings<dyn Term> for PatchCriticSettings {
    fn formula(&self) -> Option<String> {
        let pull = match (self.adaptive, self.loss) {
            (true, CriticLoss::Hinge) => "−λ D(g(z))",
            (true, CriticLoss::Logistic) => "−λ ln σ(D(g(z)))",
            (false, CriticLoss::Hinge) => "−D(g(z))",
            (false, CriticLoss::Logistic) => "−ln σ(D(g(z)))",
        };
        Some(match self.features {
            0.0 => pull.into(),
            1.0 => format!("½ |D_l(x) − D_l(g(z))|² − {}", &pull['−'.len_utf8()..]),
            weight => format!("{} |D_l(x) − D_l(g(z))|² − {}", weight / 2.0, &pull['−'.len_utf8()..]),
        })
    }

    fn declare(&self, context: &mut Context<'_>) -> Result<(), ConfigError> {
        if self.channels.contains(&0) || !(1..=MOST_LAYERS).contains(&self.channels.len()) {
            let remedy = format!("give 1 to {MOST_LAYERS} positive numbers, such as [32, 64]");
            return Err(ConfigError::value("channels", format!("{:?}", self.channels), remedy));
        }
        if !(self.features.is_finite() && self.features >= 0.0) {
            return Err(ConfigError::value("features", format!("{}", self.features), "give 0 or more"));
        }
        for (key, share) in [("start", self.start), ("lead", self.lead)] {
            if !(0.0..1.0).contains(&share) {
                let remedy = "give a share of the run, 0 or more and less than 1";
                return Err(ConfigError::value(key, format!("{share}"), remedy));
            }
        }
        let counts = [("every", self.every), ("moves_a_turn", self.moves_a_turn)];
        check_player(context, &counts, &self.optimizer, &self.learning_rate)?;
        if self.adaptive {
            let name = context.term().map(|term| term.name.clone()).unwrap_or_default();
            let instead = format!("{}.adaptive = false", context.path);
            context.couple(format!("the term `{name}` weighs the gradients of a whole batch"), instead);
        }
        Ok(())
    }

    fn init(&self, context: &Context<'_>, init: &mut Init<'_>) -> Result<Box<dyn Term>, ConfigError> {
        // A row of a table is one place, with a channel for each column.
        let shape = match context.facts.shape {
            SampleShape::Image { channels, height, width } => [channels, height, width],
            SampleShape::Vector { columns } => [columns, 1, 1],
        };
        Ok(Box::new(PatchCritic {
            is_of_bits: context.facts.kind == ValueKind::Binary,
            // The player is called what the user called the term.
            name: context.path.rsplit('.').next().unwrap_or_default().to_string(),
            path: init.path(""),
            network: Patches::new(init, context.facts, shape, &self.channels),
            settings: self.clone(),
        }))
    }
}

struct PatchCritic {
    is_of_bits: bool,
    name: String,
    /// Where its weights stand.
    path: String,
    network: Patches,
    settings: PatchCriticSettings,
}

impl PatchCritic {
    fn is_heard(&self, progress: Progress) -> bool {
        progress.step as f64 >= self.settings.start * progress.total as f64
    }

    /// The decoder's outputs that are judged: k·n of draws of q, then those of codes of nobody where they are, too.
    fn judged(&self, pass: &Pass<'_>) -> Tensor<2> {
        let outputs = pass.outputs().clone();
        if !self.settings.prior {
            return outputs;
        }
        Tensor::cat(vec![outputs, pass.view.decode_draw(pass.drawn(), pass.batch.given())], 0)
    }

    /// What the critic minimises, a number for each row that is judged.
    fn own(&self, pass: &Pass<'_>) -> Tensor<1> {
        let Pass { view, batch, .. } = pass;
        let made = view.model.likelihood.mean(view, self.judged(pass));
        let (n, rows) = (batch.len(), made.dims()[0]);
        // One call for both, so that its singular directions take one step.
        let both = Tensor::cat(vec![observed(batch, batch.x.clone()), observed(batch, made)], 0);
        let scores = self.network.see(view.weights, view.record, both).scores;
        let real = self.doubt(scores.clone().narrow(0, 0, n)).repeat_dim(0, rows / n.max(1));
        (real + self.doubt(scores.narrow(0, n, rows).neg())) * 0.5
    }

    /// What scores cost that ought to be high: `[rows, places]` → `[rows]`.
    fn doubt(&self, scores: Tensor<2>) -> Tensor<1> {
        let each = match self.settings.loss {
            CriticLoss::Hinge => relu(scores.neg() + 1.0),
            CriticLoss::Logistic => softplus(scores.neg()),
        };
        each.mean_dim(1).squeeze_dim(1)
    }

    /// What the model minimises of what the critic says of these outputs, `[rows]`.
    fn against(&self, view: &View<'_>, batch: &Batch, outputs: Tensor<2>) -> Tensor<1> {
        let made = observed(batch, view.model.likelihood.mean(view, outputs));
        let scores = self.network.see(view.weights, None, made).scores;
        match self.settings.loss {
            CriticLoss::Hinge => scores.neg().mean_dim(1).squeeze_dim(1),
            CriticLoss::Logistic => self.doubt(scores),
        }
    }

    /// ½ |D_l(x) − D_l(g(z))|² of each row of these outputs.
    fn apart(&self, view: &View<'_>, batch: &Batch, outputs: Tensor<2>) -> Tensor<1> {
        let maps = |x: Tensor<2>| self.network.see(view.weights, None, observed(batch, x)).maps;
        let made = maps(view.model.likelihood.mean(view, outputs));
        let rows = made.dims()[0];
        let error = repeat_x(&maps(batch.x.clone()), rows) - made;
        (error.clone() * error).sum_dim(1).squeeze_dim::<1>(1) * 0.5
    }

    /// The model's side: what the critic says is found at outputs that are a leaf of their own, and reaches the model through
    /// their gradient alone, so that λ costs one backward pass of the distortion from the outputs.
    fn models(&self, pass: &Pass<'_>) -> Value {
        let Pass { batch, progress, .. } = pass;
        let weights = pass.view.weights.detached();
        let view = View { weights: &weights, record: None, ..pass.view };
        let (outputs, rebuilt) = (self.judged(pass), pass.outputs());
        let features = self.settings.features;
        let against = |outputs: Tensor<2>| self.against(&view, batch, outputs);
        let apart = |outputs: Tensor<2>| self.apart(&view, batch, outputs) * features;
        if progress.is_none() {
            let mut log = batch.mean(against(untracked(outputs)));
            if features > 0.0 {
                log = log + batch.mean(apart(untracked(rebuilt.clone())));
            }
            return Value { penalty: Some(log.zeros_like()), log };
        }
        let said = Pull::of(batch, &outputs, against);
        let factor = match self.settings.adaptive {
            true => {
                let distortion =
                    |outputs: Tensor<2>| view.model.likelihood.log_density(&view, outputs, batch).neg();
                let own = said.gradient.clone().narrow(0, 0, rebuilt.dims()[0]);
                factor(&Pull::of(batch, rebuilt, distortion).gradient, &own)
            }
            false => 1.0,
        };
        let (mut log, mut penalty) = (said.value.clone(), said.through(outputs) * factor);
        if features > 0.0 {
            let said = Pull::of(batch, rebuilt, apart);
            (log, penalty) = (log + said.value.clone(), penalty + said.through(rebuilt.clone()));
        }
        Value { log, penalty: Some(penalty) }
    }
}

/// A value of outputs and what it pulls them to.
struct Pull {
    /// The mean over the batch, `[1]`.
    value: Tensor<1>,
    /// Its gradient, as the outputs.
    gradient: Tensor<2>,
}

impl Pull {
    fn of(batch: &Batch, outputs: &Tensor<2>, value: impl Fn(Tensor<2>) -> Tensor<1>) -> Self {
        let leaf = untracked(outputs.clone()).autodiff().require_grad();
        let value = batch.mean(value(leaf.clone()));
        let mut gradients = value.backward();
        let gradient = leaf.grad_remove(&mut gradients).unwrap_or_else(|| untracked(outputs.zeros_like()));
        Self { value: untracked(value), gradient }
    }

    /// The value, with this gradient for these outputs.
    fn through(self, outputs: Tensor<2>) -> Tensor<1> {
        let along = (outputs * self.gradient).sum();
        along.clone() - untracked(along) + self.value
    }
}

/// λ, the length of the one gradient over that of the other; 0 where a critic has none.
fn factor(distortion: &Tensor<2>, critic: &Tensor<2>) -> f64 {
    let length = |gradient: &Tensor<2>| latent_kernels::sum_of_squares(gradient).sqrt();
    let length_of_critic = length(critic);
    if length_of_critic > LEAST { length(distortion) / length_of_critic } else { 0.0 }
}

/// Images with 0 where x was not observed.
fn observed(batch: &Batch, images: Tensor<2>) -> Tensor<2> {
    match &batch.mask {
        Some(mask) => {
            let rows = images.dims()[0];
            // What is masked may be infinite, and 0 times that is no number.
            images.mask_fill(repeat_x(mask, rows).lower_elem(0.5), 0.0)
        }
        None => images,
    }
}

impl Term for PatchCritic {
    /// `[1]` for the model; for the critic a number for each row that is judged.
    fn value(&self, pass: &Pass<'_>) -> Option<Value> {
        if pass.player == self.name {
            return Some(Value::new(self.own(pass)));
        }
        pass.progress.is_none_or(|progress| self.is_heard(progress)).then(|| self.models(pass))
    }

    fn players(&self) -> Vec<Player> {
        let (path, settings) = (self.path.clone(), &self.settings);
        vec![Player {
            optimizer: Some(settings.optimizer.clone()),
            schedule: Some(settings.learning_rate.clone()),
            from: (settings.start - settings.lead).max(0.0),
            every: settings.every,
            moves_a_turn: settings.moves_a_turn,
            ..Player::of(&self.name, move |weight| weight.starts_with(&path))
        }]
    }

    fn note(&self) -> Option<String> {
        let said =
            "the data are bits and the decoder gives their means: the critic tells grey from black and white";
        self.is_of_bits.then(|| format!("{}: {said}", self.name))
    }

    fn settled(&self, progress: Progress) -> bool {
        self.is_heard(progress)
    }
}

impl Life for PatchCritic {
    fn start(&self, start: &mut Start<'_>) -> Result<(), DataError> {
        self.network.start(start.weights);
        Ok(())
    }

    fn follow(&self, weights: &mut Weights, kept: &Kept, _: Progress) {
        self.network.follow(weights, kept);
    }
}
