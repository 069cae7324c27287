//! How gradients move weights, and who moves which weights when.
//!
//! ```text
//! adam       one step, and its settings
//! muon       where matrices move instead, of the optimiser that is named after it
//! schedule   the learning rate over a run
//! player     some of the weights, with an optimiser and a loss of its own
//! ```

mod adam;
mod muon;
mod player;
mod schedule;

pub(crate) use adam::Moments;
pub use adam::{
    Decay, FlatGradients, Optimizer, OptimizerKind, OptimizerSettings, flat_gradients, global_norm,
};
pub use player::{MODEL, Player};
pub use schedule::LearningRate;
