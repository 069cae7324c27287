//! The local page on which a trained model is explored: `latent explore RUN`.
//!
//! ```text
//! browser ──HTTP on loopback, a token in the link──▶ server: page (static files) and /api/ ──▶ latent's public API
//! ```
//!
//! The page asks nothing but `/api/`, which is documented under `/api/openapi.json`; numbers and pixels go as binary. What takes
//! long (codes of all rows, the UMAP) is done by one thread in the background, which gives way to whoever moves a pointer.
//!
//! ```text
//! lib        Explorer: a model with its data, or a run that is still trained
//! explored   the model and what is known of its rows so far
//! survey     the background thread: codes, rates and errors of rows; the planes
//! plane      from codes to places on a map and back
//! uploads    rows that were dropped on the page
//! live       a run under way: its curves, its last checkpoint
//! server     connections: limits, the token, Host and Origin
//! api/       the endpoints, one file a subject, and their description
//! page       the static files of the page
//! export     one file that works offline
//! ```

#![deny(missing_docs)]
#![forbid(unsafe_code)]

mod api;
mod error;
mod explored;
mod export;
mod live;
mod page;
mod plane;
mod server;
mod shared;
mod survey;
mod uploads;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use latent::Model;
use latent::data::Data;
use latent::train::Event;

pub use error::ExplorerError;
pub use server::Server;

use explored::Explored;
use shared::Shared;

/// What an explorer takes beside a model.
pub struct Options {
    /// The run folder: samplers lie there, and the map is kept there.
    pub run: PathBuf,
    /// What the run is called on the page.
    pub name: String,
    /// The data that the model was trained on, if it is there.
    pub data: Option<Arc<Data>>,
    /// Why it isn't there.
    pub without_data: String,
    /// Rows on the map, at most.
    pub rows: usize,
}

/// A model to be explored, on a page or in a file.
pub struct Explorer {
    shared: Arc<Shared>,
}

impl Explorer {
    /// Explores a trained model.
    ///
    /// # Errors
    /// Where the system gives no random numbers for the token.
    pub fn new(model: Model, options: Options) -> Result<Self, ExplorerError> {
        let shared = Arc::new(Shared::new(&options)?);
        let explored = Explored::new(model, options.data, &options.run, options.rows, 1, None);
        shared.show(Arc::new(explored));
        Ok(Self { shared })
    }

    /// Explores a run that is still trained, by this process or another: its last checkpoint, again and again.
    ///
    /// # Errors
    /// As [`Explorer::new`].
    pub fn watch(options: Options) -> Result<Self, ExplorerError> {
        let shared = Arc::new(Shared::new(&options)?);
        live::watch(&shared, options);
        Ok(Self { shared })
    }

    /// Tells the page what happens in a training of this process, which it would else read from the run's files.
    pub fn observe(&self, event: &Event<'_>) {
        self.shared.live.observe(event);
    }

    /// Begins to answer on loopback; port 0 takes any that is free.
    ///
    /// # Errors
    /// [`ExplorerError::Listen`] where the port is taken.
    pub fn listen(&self, port: u16) -> Result<Server, ExplorerError> {
        Server::start(Arc::clone(&self.shared), port)
    }

    /// Writes one file that works offline: the map of at most `points` rows, a grid of decoded places, traversals.
    /// `progress` hears how far it is, from 0 to 1; `stop` ends the work.
    ///
    /// # Errors
    /// What the model cannot give, or the file system refuses.
    pub fn export(
        &self,
        path: &Path,
        points: usize,
        stop: &AtomicBool,
        progress: &dyn Fn(&str, f64),
    ) -> Result<(), ExplorerError> {
        export::export(&self.shared, path, points, stop, progress)
    }
}

impl Drop for Explorer {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
    }
}
