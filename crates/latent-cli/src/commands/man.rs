//! `latent man`: the manual as pages for `man`, one a command.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use clap_mangen::Man as Page;
use latent::store::StoreError;
use serde_json::json;

use crate::failure::{Done, Failure};
use crate::options::Seeded;
use crate::output::Output;

const EXAMPLES: &str = "\
Examples:
  latent man --out man/man1

Read them by: man -M man latent-train";

/// Write the manual as pages for man
#[derive(Args)]
#[command(after_help = EXAMPLES)]
#[command(mut_arg("seed", |seed| seed.hide(true)))]
pub struct Man {
    /// The folder to write to, such as man1 in a folder of MANPATH
    #[arg(long)]
    out: PathBuf,
    /// Replace pages that are there
    #[arg(long)]
    force: bool,
    // Nothing is drawn: --seed is taken for uniformity.
    #[command(flatten)]
    _seeded: Seeded,
}

impl Man {
    /// Runs the command, for the whole command line `cli`.
    pub fn run(self, mut cli: clap::Command, out: &Output) -> Done {
        cli = cli.disable_help_subcommand(true);
        cli.build();
        let mut pages = Vec::new();
        render(&cli, &mut pages).map_err(|source| refused(&self.out, source))?;
        let path = |name: &String| self.out.join(format!("{name}.1"));
        if let Some((name, _)) = pages.iter().find(|(name, _)| !self.force && path(name).exists()) {
            return Err(Failure::Exists(path(name)));
        }
        std::fs::create_dir_all(&self.out).map_err(|source| refused(&self.out, source))?;
        for (name, page) in &pages {
            write_whole(&path(name), page).map_err(|source| refused(&path(name), source))?;
        }
        let files: Vec<PathBuf> = pages.iter().map(|(name, _)| path(name)).collect();
        let text = format!("{} pages in {}", files.len(), self.out.display());
        out.result(text, &json!({ "out": self.out, "files": files }));
        Ok(ExitCode::SUCCESS)
    }
}

/// The page of a command and those of its subcommands, by name.
fn render(command: &clap::Command, pages: &mut Vec<(String, Vec<u8>)>) -> std::io::Result<()> {
    let mut page = Vec::new();
    Page::new(command.clone()).render(&mut page)?;
    pages.push((command.get_display_name().unwrap_or(command.get_name()).into(), page));
    command.get_subcommands().filter(|inner| !inner.is_hide_set()).try_for_each(|inner| render(inner, pages))
}

/// A page is there as a whole or not at all.
fn write_whole(path: &Path, page: &[u8]) -> std::io::Result<()> {
    let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
    let written = std::fs::write(&temporary, page).and_then(|()| std::fs::rename(&temporary, path));
    if written.is_err() {
        let _ = std::fs::remove_file(&temporary);
    }
    written
}

fn refused(path: &Path, source: std::io::Error) -> Failure {
    StoreError::Io { path: path.into(), source }.into()
}
