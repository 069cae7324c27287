//! What an objective minimises, as a line of mathematics.

use super::settings::TermPart;
use super::{ObjectiveSettings, Schedule};

/// Terms that the weights of an importance-weighted bound are made of.
const INSIDE: [&str; 2] = ["distortion", "rate"];

impl ObjectiveSettings {
    /// What is minimised, in the names of the field: `−ln p(x|z) + 4 · KL(q(z|x) ‖ p(z))`. Where the estimator makes more of
    /// distortion and rate than their mean, ℓ stands for them and is written after it.
    pub fn formula(&self) -> String {
        let sum =
            |terms: &[&TermPart]| terms.iter().map(|part| part.formula()).collect::<Vec<_>>().join(" + ");
        let all: Vec<&TermPart> = self.terms.iter().filter(|part| part.common.weight != 0.0).collect();
        let Some(bound) = self.estimator.formula() else { return sum(&all) };
        let (inside, beside): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|part| INSIDE.contains(&part.kind.as_str()));
        let beside: String = beside.iter().map(|part| format!(" + {}", part.formula())).collect();
        let rate = |part: &&TermPart| match part.kind == "rate" && part.common.weight == 1.0 {
            // Of one draw, not its mean.
            true => "ln q(z|x) − ln p(z)".into(),
            false => part.formula(),
        };
        let inside = inside.iter().map(rate).collect::<Vec<String>>().join(" + ");
        format!("{bound}{beside},  ℓ = {inside}")
    }
}

impl TermPart {
    /// The term and what it counts.
    fn formula(&self) -> String {
        let weight =
            if self.common.weight == 1.0 { String::new() } else { format!("{} · ", self.common.weight) };
        let rises = match self.common.schedule {
            Schedule::Constant => String::new(),
            Schedule::Linear { epochs } => format!(" (rising over {epochs} epochs)"),
            Schedule::Falling { from } => format!(" (falling from {from} times that)"),
            Schedule::Cyclic { cycles, .. } => format!(" (rising in {cycles} cycles)"),
        };
        let own = self.settings.formula().unwrap_or_else(|| self.name.clone());
        match !weight.is_empty() && own.starts_with('−') {
            true => format!("{weight}({own}){rises}"),
            false => format!("{weight}{own}{rises}"),
        }
    }
}
