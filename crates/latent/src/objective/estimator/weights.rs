//! What importance-weighted bounds share: the gradient that their weights carry, and which terms they hold already.

use burn::tensor::Tensor;
use burn::tensor::activation::softmax;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::batch::{Draw, Latent, Support};
use crate::config::ConfigError;
use crate::device::untracked;
use crate::member::{Context, TermFacts};
use crate::objective::Pass;

/// How log w = log p(x|z) + log p(z) − log q(z|x) is differentiated. Its value is the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Gradient {
    /// As it stands.
    #[default]
    Plain,
    /// q's density held fixed, so that q moves by the draws alone: no noise where q is exact (arXiv 1703.09194).
    StickingTheLanding,
    /// The same with each draw's path weighed by the square of its share: unbiased for any k (arXiv 1810.04152).
    DoublyReparameterised,
}

/// What the weights hold.
pub(super) fn holds(name: &str) -> bool {
    matches!(name, "distortion" | "rate")
}

/// Refuses what no importance-weighted bound can be made of.
pub(super) fn check(context: &Context<'_>, gradient: Gradient) -> Result<(), ConfigError> {
    if !context.has_density {
        return Err(ConfigError::combination(
            "a point posterior has no density to weigh draws with, so there is no importance-weighted bound",
            "use objective.estimator.kind = \"plain\", or posterior.kind = \"diagonal-normal\"",
        ));
    }
    if gradient != Gradient::Plain && context.latent.support() != Some(Support::Reals) {
        return Err(ConfigError::value(
            "gradient",
            "it goes by the path of reparameterised draws, and these codes are not real numbers",
            "use gradient = \"plain\", or posterior.kind = \"diagonal-normal\"",
        ));
    }
    context.terms.iter().try_for_each(check_term)
}

/// Refuses a term that the bound holds already under another name, a name that is the bound's own, and a term that it cannot
/// hold.
fn check_term(term: &TermFacts) -> Result<(), ConfigError> {
    let TermFacts { name, kind, weight, constant, own_penalty } = term;
    if holds(kind) && name != kind {
        return Err(ConfigError::combination(
            format!(
                "the importance-weighted bound holds the {kind} inside its weights, so the term `{name}` would \
                 count it twice"
            ),
            format!("leave [objective.terms.{name}] out, or use objective.estimator.kind = \"elbo\""),
        ));
    }
    if holds(name) && name != kind {
        return Err(ConfigError::combination(
            format!(
                "objective.terms.{name}: the importance-weighted bound calls its own {name} so, and this is of kind `{kind}`"
            ),
            "give the term another name",
        ));
    }
    if holds(name) && (*weight != 1.0 || !constant || *own_penalty) {
        return Err(ConfigError::combination(
            format!(
                "the importance-weighted bound holds `{name}` inside its weights, so it can have no weight, \
                 schedule or free bits of its own"
            ),
            format!("leave [objective.terms.{name}] plain, or use objective.estimator.kind = \"elbo\""),
        ));
    }
    Ok(())
}

/// A bound on log P(x) from draws in groups.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bound {
    /// Groups of draws, m: the mean over them is taken outside the logarithm.
    pub groups: usize,
    /// Draws in a group, k.
    pub draws: usize,
    /// How much of the ELBO of the same draws is mixed in, β in [0, 1].
    pub elbo: f64,
    /// How it is differentiated.
    pub gradient: Gradient,
}

impl Bound {
    /// −mean over rows of (1 − β) 1/m Σ_g ln 1/k Σ_d w_gd + β 1/mk Σ_gd ln w_gd; none where q has no density.
    pub(super) fn loss(&self, pass: &Pass<'_>) -> Option<Tensor<1>> {
        match self.gradient {
            Gradient::Plain => Some(self.of(pass, pass.log_weights()?)),
            Gradient::StickingTheLanding => Some(self.of(pass, held(pass, pass.draw(), pass.distortion())?)),
            Gradient::DoublyReparameterised => self.doubly(pass),
        }
    }

    fn of(&self, pass: &Pass<'_>, log_weights: Tensor<1>) -> Tensor<1> {
        let elbo = || pass.batch.mean(log_weights.clone());
        let bound = match (self.draws, self.elbo) {
            // One draw a group, or no weighing at all: the mean over draws.
            (1, _) => elbo(),
            (_, 1.0) => elbo(),
            (_, 0.0) => pass.batch.mean(self.tightened(log_weights.clone())),
            (_, share) => {
                pass.batch.mean(self.tightened(log_weights.clone())) * (1.0 - share) + elbo() * share
            }
        };
        bound.neg()
    }

    /// ln 1/k Σ_d w_gd of each group of each row, `[m·n]`.
    fn tightened(&self, log_weights: Tensor<1>) -> Tensor<1> {
        if self.groups == 1 {
            return latent_kernels::log_mean_exp(log_weights, self.draws);
        }
        let rows = log_weights.dims()[0] / self.groups;
        let each = (0..self.groups).map(|group| {
            latent_kernels::log_mean_exp(log_weights.clone().narrow(0, group * rows, rows), self.draws)
        });
        Tensor::cat(each.collect(), 0)
    }

    /// With a = (1 − β)/m s + β/mk for the share s of a draw in its group, the decoder moves along Σ a ∇ log w and z along
    /// Σ b ∇_z log w, b = (1 − β)/m s² + β/mk. Both come of one surrogate Σ a log w at z with its gradient scaled by b / a.
    fn doubly(&self, pass: &Pass<'_>) -> Option<Tensor<1>> {
        let log_weights = untracked(pass.log_weights()?);
        let value = self.of(pass, log_weights.clone());
        let (m, k, n) = (self.groups, self.draws, pass.batch.len());
        let shares = softmax(log_weights.reshape([m, k, n]), 1).reshape([m * k * n]);
        let (tight, loose) = ((1.0 - self.elbo) / m as f64, self.elbo / (m * k) as f64);
        let along = shares.clone() * tight + loose;
        // No share, no path: 0 / 0 is 0 here.
        let scale = (shares.clone() * shares * tight + loose) / along.clone().clamp_min(1e-30);
        let z = &pass.draw().z.z;
        let fixed = z.clone().detach();
        let scale = scale.reshape([m * k * n, 1]);
        let scaled = fixed.clone() + (z.clone() - fixed) * scale;
        let draw = Draw { z: Latent::new(scaled), log_density: None, features: None };
        let outputs = pass.view.decode_draw(&draw, pass.batch.given());
        let distortion = pass.view.model.likelihood.log_density(&pass.view, outputs, pass.batch).neg();
        let log_weights = held(pass, &draw, &distortion)?;
        // The mean over draws, m k times as large, is their sum.
        let surrogate = pass.batch.mean(log_weights * along) * -((m * k) as f64);
        Some(surrogate.clone() - surrogate.detach() + value)
    }
}

/// log w with q's density outside the gradient's graph.
fn held(pass: &Pass<'_>, draw: &Draw, distortion: &Tensor<1>) -> Option<Tensor<1>> {
    let log_q = pass.q.detached().log_density(&draw.z)?;
    Some(pass.p.log_density(&draw.z)? - log_q - distortion.clone())
}
