//! Training: its steps, its guard, kills and resumptions, seeds and threads.
//!
//! One program, so that it links once; one file a subject.

mod bits_start;
#[path = "../common/mod.rs"]
mod common;
mod guard;
mod kill;
mod kill_members;
mod recovery;
mod resume;
mod seeds;
mod threads;
mod training_loop;
