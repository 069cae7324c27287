//! Who moves: some of the weights, by an optimiser, on a loss of its own, every so many steps.

use super::{LearningRate, OptimizerSettings};

/// The name of the player that moves the model.
pub const MODEL: &str = "model";

/// Some of the weights and how they move.
pub struct Player {
    /// Its name, in logs before the names of its terms (but for the model's own).
    pub name: String,
    /// Which weights it moves, by path.
    pub moves: Box<dyn Fn(&str) -> bool + Send + Sync>,
    /// How it moves them; none for the run's own optimiser.
    pub optimizer: Option<OptimizerSettings>,
    /// The learning rate over the run; none for the run's own.
    pub schedule: Option<LearningRate>,
    /// It sits out this share of the run before it first moves.
    pub from: f64,
    /// It moves when the step is a multiple of this, and sits the others out.
    pub every: u64,
    /// How often it moves in its turn, each time with other noise.
    pub moves_a_turn: u64,
}

impl Player {
    /// One that moves everything by the run's own optimiser, at each step.
    pub fn model() -> Self {
        Self::of(MODEL, |_| true)
    }

    /// One that moves some weights, at each step.
    pub fn of(name: &str, moves: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        Self {
            name: name.into(),
            moves: Box::new(moves),
            optimizer: None,
            schedule: None,
            from: 0.0,
            every: 1,
            moves_a_turn: 1,
        }
    }

    /// Whether `step` of `total` is its turn.
    pub fn moves_at(&self, step: u64, total: u64) -> bool {
        step >= self.first(total) && step.is_multiple_of(self.every.max(1))
    }

    /// The first step of `total` that it does not sit out.
    pub fn first(&self, total: u64) -> u64 {
        (self.from * total as f64).ceil() as u64
    }

    /// What of its is called in logs.
    pub fn says(&self, name: &str) -> String {
        if self.name == MODEL { name.into() } else { format!("{}/{name}", self.name) }
    }
}
