//! How likely are held-out rows?

mod annealing;
mod hmc;
mod path;

pub use annealing::{Annealed, Annealing, Bracket, Schedule, anneal, bidirectional, simulate};
pub use hmc::{leapfrog, transition};
pub use path::{Path, Start, State};
