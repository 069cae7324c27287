//! `latent explore`: a local page on which a model is explored, or one file of it.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use latent_explorer::{Explorer, ExplorerError, Options, Server};
use serde_json::json;

use super::{load, own_data, run_folder};
use crate::failure::{Done, Failure};
use crate::output::{Output, json_path, path};
use crate::stop::Stop;
use crate::target::{Kind, Target};

const EXAMPLES: &str = "\
`latent explore RUN` prints a link and serves the page until Ctrl-C, on this
machine alone. Through SSH: ssh -L 8800:localhost:PORT, and the link with 8800.
A run that is still trained is followed, checkpoint by checkpoint.

Examples:
  latent explore runs/one --export one.html --points 200

The API under /api/ is described by /api/openapi.json; requests carry the token
of the link: Authorization: Bearer TOKEN.";

/// Explore a model on a local page
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Explore {
    /// A run folder or a model file
    run: PathBuf,
    /// The port of the page on 127.0.0.1; 0 for any that is free
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Write one file that works offline, and serve nothing
    #[arg(long, value_name = "PAGE.HTML")]
    export: Option<PathBuf>,
    /// Rows of the data in the file of --export, at most
    #[arg(long, default_value_t = 10_000)]
    points: usize,
    /// Rows of the data on the map, at most
    #[arg(long, default_value_t = 100_000)]
    rows: usize,
    /// Replace what --export finds in its place
    #[arg(long)]
    force: bool,
    /// Where to compute
    #[arg(long, default_value = "cpu")]
    device: String,
}

impl Explore {
    /// Runs the command.
    pub fn run(self, out: &Output) -> Done {
        let target = self
            .export
            .as_ref()
            .map(|page| Target::new("--export", page, self.force, &[Kind::Page]))
            .transpose()?;
        let run = run_folder(&self.run);
        let unfinished = self.run.join("run.toml").exists() && !self.run.join("model.safetensors").exists();
        let options = |data, without_data| Options {
            run: run.clone(),
            name: name_of(&self.run),
            data,
            without_data,
            rows: self.rows.max(1),
        };
        if unfinished && target.is_none() {
            out.note("training has not ended: the page follows its checkpoints");
            let explorer = Explorer::watch(options(None, String::new())).map_err(Failure::from)?;
            return serve(&explorer, self.port, out);
        }
        let model = load(&self.run, &self.device)?;
        let (data, without) = match own_data(&model, out) {
            Ok(data) => (Some(Arc::new(data)), String::new()),
            Err(failure) => {
                out.note(format!("without the model's data: {}", failure.shown()));
                (None, failure.to_string())
            }
        };
        let explorer = Explorer::new(model, options(data, without)).map_err(Failure::from)?;
        let Some(target) = target else { return serve(&explorer, self.port, out) };
        target.ready()?;
        let stop = Stop::on_signals();
        stop.begin();
        explorer.export(&target.path, self.points.max(1), stop.flag(), &|_, _| {})?;
        stop.end();
        let bytes = std::fs::metadata(&target.path).map_or(0, |found| found.len());
        out.result(
            format!(
                "{} ({:.1} MB): it opens in any browser, without a network",
                path(&target.path),
                bytes as f64 / 1e6
            ),
            &json!({ "out": json_path(&target.path), "bytes": bytes }),
        );
        Ok(ExitCode::SUCCESS)
    }
}

/// What a run is called: the name of its folder.
pub fn name_of(run: &Path) -> String {
    let whole = std::fs::canonicalize(run).unwrap_or_else(|_| run.into());
    let folder = if whole.is_dir() { Some(whole.as_path()) } else { whole.parent() };
    folder.and_then(Path::file_name).unwrap_or(whole.as_os_str()).to_string_lossy().into_owned()
}

/// Serves until a signal comes.
fn serve(explorer: &Explorer, port: u16, out: &Output) -> Done {
    let stop = Stop::on_signals();
    stop.begin();
    let server = explorer.listen(port)?;
    announce(&server, out);
    wait(&stop);
    drop(server);
    out.note("the page is closed");
    Ok(ExitCode::SUCCESS)
}

/// Prints the link.
pub fn announce(server: &Server, out: &Output) {
    let link = server.link();
    out.result(format!("{link}\nopen this link in a browser; Ctrl-C ends"), &json!({ "link": link }));
}

/// Waits for a signal.
pub fn wait(stop: &Stop) {
    while !stop.is_asked() {
        std::thread::sleep(Duration::from_millis(50));
    }
    stop.end();
}

impl From<ExplorerError> for Failure {
    fn from(error: ExplorerError) -> Self {
        match error {
            ExplorerError::Latent(error) => Self::Latent(error),
            ExplorerError::Listen { .. } => {
                Self::flag("--port", error.to_string(), "a port from 1024 up is free to take")
            }
            other => Self::path(Path::new("explore"), other.to_string(), "try again"),
        }
    }
}
