//! The command line, through the real binary.
//!
//! One program, so that it links once and its runs are trained once; one file a subject.

mod attributes;
mod bad_input;
mod blocks;
mod commands;
#[path = "../common/mod.rs"]
mod common;
mod compare;
mod constraints;
mod examples;
mod programs;
mod safety;
mod settings;
mod textbook;
mod training_rows;
