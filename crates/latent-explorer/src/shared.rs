//! What all requests share, and the two lanes in which they compute: short work for whoever moves a pointer, long work beside it.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use axum::http::StatusCode;
use tokio::sync::Semaphore;

use crate::error::{ExplorerError, Refusal};
use crate::explored::Explored;
use crate::live::Live;
use crate::uploads::Uploads;
use crate::{Options, survey};

/// What all requests share.
pub(crate) struct Shared {
    pub run: PathBuf,
    pub name: String,
    pub without_data: String,
    /// What a request must show.
    pub token: String,
    explored: RwLock<Option<Arc<Explored>>>,
    pub live: Live,
    pub uploads: Uploads,
    quick: Semaphore,
    long: Semaphore,
    /// Quick work that waits or is under way: the background gives way to it.
    waiting: AtomicUsize,
    /// Set when the server ends.
    pub stop: AtomicBool,
}

/// How long work may take.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lane {
    /// Some milliseconds.
    Quick,
    /// A second or so.
    Long,
}

impl Shared {
    pub fn new(options: &Options) -> Result<Self, ExplorerError> {
        let mut bytes = [0u8; 24];
        getrandom::fill(&mut bytes).map_err(|error| ExplorerError::System {
            what: "a random token",
            source: std::io::Error::other(error.to_string()),
        })?;
        Ok(Self {
            run: options.run.clone(),
            name: options.name.clone(),
            without_data: options.without_data.clone(),
            token: bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
            explored: RwLock::new(None),
            live: Live::default(),
            uploads: Uploads::default(),
            quick: Semaphore::new(2),
            long: Semaphore::new(1),
            waiting: AtomicUsize::new(0),
            stop: AtomicBool::new(false),
        })
    }

    /// Puts a model on the page, in the place of an older one, and begins to survey its rows.
    pub fn show(self: &Arc<Self>, explored: Arc<Explored>) {
        let old =
            self.explored.write().unwrap_or_else(PoisonError::into_inner).replace(Arc::clone(&explored));
        if let Some(old) = old {
            old.replaced.store(true, Ordering::Relaxed);
        }
        survey::begin(self, explored);
    }

    /// The model, if there is one yet.
    pub fn explored(&self) -> Result<Arc<Explored>, Refusal> {
        self.now().ok_or_else(|| {
            let what =
                "there is no model yet: training has not written its first checkpoint; ask again in a moment";
            Refusal::new(StatusCode::SERVICE_UNAVAILABLE, what)
        })
    }

    pub fn now(&self) -> Option<Arc<Explored>> {
        self.explored.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Computes on a thread that may block.
    pub async fn compute<T: Send + 'static>(
        self: &Arc<Self>,
        lane: Lane,
        work: impl FnOnce(&Explored) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let explored = self.explored()?;
        let is_quick = lane == Lane::Quick;
        let counted = Counted::new(self, is_quick);
        let ended = |_| Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "the explorer ends");
        let permit = if is_quick { &self.quick } else { &self.long }.acquire().await.map_err(ended)?;
        let done = tokio::task::spawn_blocking(move || work(&explored)).await;
        drop((permit, counted));
        done.unwrap_or_else(|_| {
            let what = "this is a bug in latent: please report it, with what you asked for";
            Err(Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, what))
        })
    }

    /// Lets quick work go first, for a while.
    pub fn give_way(&self) {
        for _ in 0..100 {
            if self.waiting.load(Ordering::Relaxed) == 0 {
                return;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Whether background work for this model is no longer wanted.
    pub fn is_over(&self, explored: &Explored) -> bool {
        self.stop.load(Ordering::Relaxed) || explored.replaced.load(Ordering::Relaxed)
    }
}

/// Quick work counts while it waits and runs, also if the client goes away.
struct Counted<'a>(Option<&'a AtomicUsize>);

impl<'a> Counted<'a> {
    fn new(shared: &'a Shared, counts: bool) -> Self {
        if counts {
            shared.waiting.fetch_add(1, Ordering::Relaxed);
        }
        Self(counts.then_some(&shared.waiting))
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        if let Some(waiting) = self.0 {
            waiting.fetch_sub(1, Ordering::Relaxed);
        }
    }
}
