//! Work done by several threads and handed over in order.
//!
//! Each thread takes the next item, works, and puts the result into its place; the consumer takes results in
//! the order of the items. At most `ahead` results wait, so that memory is bounded; what comes out does not
//! depend on the number of threads.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use super::DataError;

/// The results of working on items, in their order.
pub(crate) struct Ordered<I, T> {
    shared: Arc<Shared<I, T>>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared<I, T> {
    /// How many results may wait.
    ahead: u64,
    state: Mutex<State<I, T>>,
    /// There is room for more results.
    room: Condvar,
    /// A result is there, or none will come.
    ready: Condvar,
}

struct State<I, T> {
    items: Box<dyn Iterator<Item = I> + Send>,
    /// Items taken so far; the number of the next one.
    taken: u64,
    /// Results handed over so far; the number of the next one.
    given: u64,
    done: BTreeMap<u64, T>,
    exhausted: bool,
    closed: bool,
    died: bool,
}

impl<I: Send + 'static, T: Send + 'static> Ordered<I, T> {
    /// Starts `threads` threads that work on `items`, at most `ahead` of the consumer.
    pub(crate) fn new(
        threads: usize,
        ahead: usize,
        items: impl Iterator<Item = I> + Send + 'static,
        work: impl Fn(I) -> T + Send + Sync + 'static,
    ) -> Result<Self, DataError> {
        let state = State {
            items: Box::new(items),
            taken: 0,
            given: 0,
            done: BTreeMap::new(),
            exhausted: false,
            closed: false,
            died: false,
        };
        let shared = Arc::new(Shared {
            ahead: ahead.max(1) as u64,
            state: Mutex::new(state),
            room: Condvar::new(),
            ready: Condvar::new(),
        });
        let work = Arc::new(work);
        let mut this = Self { shared, threads: Vec::new() };
        for _ in 0..threads.max(1) {
            let (shared, work) = (Arc::clone(&this.shared), Arc::clone(&work));
            let thread = thread::Builder::new()
                .name("latent-data".into())
                .spawn(move || shared.run(&*work))
                .map_err(|error| DataError::Worker { what: format!("a thread did not start: {error}") })?;
            this.threads.push(thread);
        }
        Ok(this)
    }

    /// The next result; waits for it. `None` after the last.
    pub(crate) fn next(&mut self) -> Option<Result<T, DataError>> {
        let mut state = self.shared.lock();
        loop {
            let next = state.given;
            if let Some(result) = state.done.remove(&next) {
                state.given += 1;
                // Waking a thread takes longer than a small batch does: they are woken for several at once.
                if state.taken - state.given <= self.shared.ahead / 2 {
                    self.shared.room.notify_all();
                }
                return Some(Ok(result));
            }
            if state.died {
                return Some(Err(DataError::Worker {
                    what: "a thread ended before its work was done".into(),
                }));
            }
            if state.exhausted && state.given == state.taken {
                return None;
            }
            state = self.shared.ready.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Ordered<(), ()> {
    /// For a consumer that knows how many results there must be.
    pub(crate) fn died() -> DataError {
        DataError::Worker { what: "there are fewer results than items".into() }
    }
}

impl<I, T> Shared<I, T> {
    /// A panic happens outside of the lock, or leaves the state as it was: a poisoned lock is still good.
    fn lock(&self) -> MutexGuard<'_, State<I, T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, work: &(impl Fn(I) -> T + ?Sized)) {
        let alarm = Alarm(self);
        loop {
            let mut state = self.lock();
            while !state.closed && state.taken >= state.given + self.ahead {
                state = self.room.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            if state.closed || state.exhausted {
                break;
            }
            let Some(item) = state.items.next() else {
                state.exhausted = true;
                self.ready.notify_all();
                self.room.notify_all();
                break;
            };
            let number = state.taken;
            state.taken += 1;
            drop(state);
            let result = work(item);
            self.lock().done.insert(number, result);
            self.ready.notify_all();
        }
        std::mem::forget(alarm);
    }
}

/// Dropped only by a panic: wakes the consumer, who would wait for ever.
struct Alarm<'a, I, T>(&'a Shared<I, T>);

impl<I, T> Drop for Alarm<'_, I, T> {
    fn drop(&mut self) {
        self.0.lock().died = true;
        self.0.ready.notify_all();
    }
}

impl<I, T> Drop for Ordered<I, T> {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.room.notify_all();
        for thread in self.threads.drain(..) {
            // A thread that panicked has said so already.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn results_come_in_order_and_not_too_far_ahead() {
        let started = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&started);
        let mut squares = Ordered::new(4, 6, 0..200u64, move |item| {
            count.fetch_add(1, Ordering::SeqCst);
            if item % 7 == 0 {
                thread::sleep(std::time::Duration::from_micros(300));
            }
            item * item
        })
        .unwrap();
        for item in 0..200 {
            assert!(started.load(Ordering::SeqCst) <= item + 6);
            assert_eq!(squares.next().unwrap().unwrap(), item * item);
        }
        assert!(squares.next().is_none());
        assert!(squares.next().is_none());
    }

    #[test]
    fn dropping_ends_the_threads_of_an_endless_plan() {
        let mut endless = Ordered::new(2, 3, 0.., |item: u64| item).unwrap();
        assert_eq!(endless.next().unwrap().unwrap(), 0);
        drop(endless);
    }

    #[test]
    fn a_panic_is_an_error_and_not_a_wait_without_end() {
        let mut broken =
            Ordered::new(2, 2, 0..9u64, |item| if item == 3 { panic!("on purpose") } else { item }).unwrap();
        let results: Vec<_> = (0..4).map(|_| broken.next().unwrap().is_ok()).collect();
        assert!(!results[3]);
    }
}
