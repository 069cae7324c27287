//! The loop and what it writes while it runs.

pub mod tensorboard;
