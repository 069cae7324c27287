//! What is made of a trained model: sections of its evaluation, intervals, verdicts, edits, tables and back.
//!
//! One program, so that it links once; one file a subject.

#[path = "../common/mod.rs"]
mod common;
mod constraints;
mod disentanglement;
mod edit;
mod intervals;
mod latents;
mod sections;
mod tables;
mod verdicts;
