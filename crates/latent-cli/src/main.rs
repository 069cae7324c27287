//! The command `latent`: from data to a trained generative autoencoder, new samples and a report.
//!
//! One file a subcommand, each thin: it reads its flags, calls the library and says what it did.

#![forbid(unsafe_code)]

mod commands;
mod failure;
mod help;
mod options;
mod output;
mod progress;
mod stop;
mod target;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::{Arc, Mutex};

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use commands::{
    compare, completions, data, decode, demo, devices, edit, encode, evaluate, explore, export, fit_sampler,
    import, impute, inspect, interpolate, judge, man, presets, reconstruct, refine, report, sample, score,
    settings, textbook, train, traverse,
};
use failure::{Done, Failure};
use output::Output;

#[global_allocator]
static ALLOCATOR: latent_kernels::memory::Counting = latent_kernels::memory::Counting;

/// Learn the distribution of your data by a generative autoencoder, and sample from it.
#[derive(Parser)]
#[command(name = "latent", version, max_term_width = 110)]
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
    FitSampler(fit_sampler::FitSampler),
    Refine(refine::Refine),
    Sample(sample::Sample),
    Reconstruct(reconstruct::Reconstruct),
    Interpolate(interpolate::Interpolate),
    Traverse(traverse::Traverse),
    Edit(edit::Edit),
    Encode(encode::Encode),
    Decode(decode::Decode),
    Impute(impute::Impute),
    Score(score::Score),
    Evaluate(evaluate::Evaluate),
    Judge(judge::Judge),
    Compare(compare::Compare),
    Explore(explore::Explore),
    Export(export::Export),
    Import(import::Import),
    Report(report::Report),
    Inspect(inspect::Inspect),
    Presets(presets::Presets),
    Settings(settings::Settings),
    Data(data::Data),
    Devices(devices::Devices),
    Completions(completions::Completions),
    Man(man::Man),
}

fn main() -> ExitCode {
    latent_kernels::memory::keep_freed_pages();
    let matches = help::grouped(Cli::command()).get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let out = Output::new(cli.json);
    match latent_kernels::check_limit()
        .map_err(Failure::from)
        .and_then(|()| guarded(|| run(cli.command, &out)))
    {
        Ok(code) => code,
        Err(failure) => {
            out.failure(&failure);
            ExitCode::from(failure.exit_code())
        }
    }
}

fn run(command: Command, out: &Output) -> Done {
    match command {
        Command::Demo(command) => command.run(out),
        Command::Textbook(command) => command.run(out),
        Command::Train(command) => command.run(out),
        Command::FitSampler(command) => command.run(out),
        Command::Refine(command) => command.run(out),
        Command::Sample(command) => command.run(out),
        Command::Reconstruct(command) => command.run(out),
        Command::Interpolate(command) => command.run(out),
        Command::Traverse(command) => command.run(out),
        Command::Edit(command) => command.run(out),
        Command::Encode(command) => command.run(out),
        Command::Decode(command) => command.run(out),
        Command::Impute(command) => command.run(out),
        Command::Score(command) => command.run(out),
        Command::Evaluate(command) => command.run(out),
        Command::Judge(command) => command.run(out),
        Command::Compare(command) => command.run(out),
        Command::Explore(command) => command.run(out),
        Command::Export(command) => command.run(out),
        Command::Import(command) => command.run(out),
        Command::Report(command) => command.run(out),
        Command::Inspect(command) => command.run(out),
        Command::Presets(command) => command.run(out),
        Command::Settings(command) => command.run(out),
        Command::Data(command) => command.run(out),
        Command::Devices(command) => command.run(out),
        Command::Completions(command) => command.run(Cli::command(), out),
        Command::Man(command) => command.run(Cli::command(), out),
    }
}

/// A panic is a bug of ours: it ends as an error that says so, with exit code 1.
fn guarded(run: impl FnOnce() -> Done) -> Done {
    let seen = Arc::new(Mutex::new(None));
    let first = Arc::clone(&seen);
    std::panic::set_hook(Box::new(move |info| {
        let what = info.payload_as_str().unwrap_or("no message").to_string();
        let place = info.location().map_or_else(|| "unknown place".into(), ToString::to_string);
        if let Ok(mut first) = first.lock() {
            first.get_or_insert((what, place));
        }
    }));
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| {
        let seen = seen.lock().ok().and_then(|mut seen| seen.take());
        let (what, place) = seen.unwrap_or_else(|| ("no message".into(), "unknown place".into()));
        Err(Failure::Bug { what, place })
    })
}
