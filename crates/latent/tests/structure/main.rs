//! How it is built and what it promises for ever: rooms, axes that others extend, settings, files.
//!
//! One program, so that it links once; one file a subject.

mod adding_a_model;
#[path = "../common/mod.rs"]
mod common;
mod goldens;
mod model_file;
mod open_axes;
mod pages;
mod rooms;
mod settings;
