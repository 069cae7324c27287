//! The command `latent`: from data to a trained generative autoencoder, new samples and a report.
//!
//! One file a subcommand, each thin: it reads its flags, calls the library and says what it did.

mod commands;
mod failure;
mod output;
mod progress;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use commands::{
    data, decode, demo, devices, encode, inspect, interpolate, presets, reconstruct, report, sample, score,
    textbook, train, traverse,
};
use output::Output;

#[global_allocator]
static ALLOCATOR: latent_kernels::memory::Counting = latent_kernels::memory::Counting;

/// Learn the distribution of your data by a generative autoencoder, and sample from it.
#[derive(Parser)]
#[command(version, max_term_width = 110, after_help = commands::FIRST_STEPS)]
struct Cli {
    #[command(subcommand)]
    command: Command,

    /// Print JSON, one object a line, instead of text
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum Command {
    Demo(demo::Demo),
    Textbook(textbook::Textbook),
    Train(train::Train),
    Sample(sample::Sample),
    Reconstruct(reconstruct::Reconstruct),
    Interpolate(interpolate::Interpolate),
    Traverse(traverse::Traverse),
    Encode(encode::Encode),
    Decode(decode::Decode),
    Score(score::Score),
    Report(report::Report),
    Inspect(inspect::Inspect),
    Presets(presets::Presets),
    Data(data::Data),
    Devices(devices::Devices),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let out = Output::new(cli.json);
    let result = match cli.command {
        Command::Demo(command) => command.run(&out),
        Command::Textbook(command) => command.run(&out),
        Command::Train(command) => command.run(&out),
        Command::Sample(command) => command.run(&out),
        Command::Reconstruct(command) => command.run(&out),
        Command::Interpolate(command) => command.run(&out),
        Command::Traverse(command) => command.run(&out),
        Command::Encode(command) => command.run(&out),
        Command::Decode(command) => command.run(&out),
        Command::Score(command) => command.run(&out),
        Command::Report(command) => command.run(&out),
        Command::Inspect(command) => command.run(&out),
        Command::Presets(command) => command.run(&out),
        Command::Data(command) => command.run(&out),
        Command::Devices(command) => command.run(&out),
    };
    match result {
        Ok(code) => code,
        Err(failure) => {
            out.failure(&failure);
            ExitCode::from(failure.exit_code())
        }
    }
}
