//! Splitting work among threads. What is split never changes a result's bits: parts write places of their
//! own, and sums across parts are taken in an order that the shapes alone decide.
//!
//! A step of a small model is made of pieces of some ten microseconds, less than it takes to wake a thread.
//! So the workers here spin for a moment before they sleep, and the caller never waits for one that hasn't
//! begun: whoever is free takes the next part.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering::SeqCst};
use std::sync::{Condvar, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// How long an idle worker looks for work without giving way, then giving way, before it sleeps.
const SPIN: Duration = Duration::from_micros(30);
const LINGER: Duration = Duration::from_micros(200);

/// How many threads share the work: rayon's number, which `RAYON_NUM_THREADS` sets.
pub(crate) fn threads() -> usize {
    static COUNT: OnceLock<usize> = OnceLock::new();
    *COUNT.get_or_init(|| rayon::current_num_threads().max(1))
}

/// A call of [`each`] under way, on its caller's stack.
struct Job<'a> {
    work: &'a (dyn Fn(usize) + Sync),
    parts: usize,
    next: AtomicUsize,
    panicked: AtomicBool,
}

impl Job<'_> {
    /// Takes parts until none is left.
    fn help(&self) {
        loop {
            let part = self.next.fetch_add(1, SeqCst);
            if part >= self.parts {
                return;
            }
            (self.work)(part);
        }
    }
}

/// A value with a cache line (and its neighbour) to itself: spinning on one must not slow writing another.
#[repr(align(128))]
pub(crate) struct Apart<T>(pub T);

/// The workers and what they watch.
struct Pool {
    /// The job under way; null for none.
    job: Apart<AtomicPtr<Job<'static>>>,
    /// Counts jobs, so that a worker sees that there is a new one.
    number: Apart<AtomicUsize>,
    /// Workers that may hold a reference to the job.
    inside: Apart<AtomicUsize>,
    /// Taken by the one caller whose job it is.
    busy: Apart<AtomicBool>,
    sleepers: AtomicUsize,
    door: Mutex<()>,
    bell: Condvar,
}

static POOL: Pool = Pool {
    job: Apart(AtomicPtr::new(null_mut())),
    number: Apart(AtomicUsize::new(0)),
    inside: Apart(AtomicUsize::new(0)),
    busy: Apart(AtomicBool::new(false)),
    sleepers: AtomicUsize::new(0),
    door: Mutex::new(()),
    bell: Condvar::new(),
};

impl Pool {
    /// Starts the workers, once; says how many there are.
    fn workers(&'static self) -> usize {
        static STARTED: OnceLock<usize> = OnceLock::new();
        *STARTED.get_or_init(|| {
            (1..threads())
                .filter(|index| {
                    let name = format!("latent-kernels-{index}");
                    std::thread::Builder::new().name(name).spawn(|| self.work_for_ever()).is_ok()
                })
                .count()
        })
    }

    fn work_for_ever(&self) {
        let mut seen = 0;
        loop {
            seen = self.next_job(seen);
            // Counted in before the job is looked at, and out after: see `close`.
            self.inside.0.fetch_add(1, SeqCst);
            let job = self.job.0.load(SeqCst);
            if !job.is_null() {
                // SAFETY: the job was open after `inside` counted this thread, and its caller waits for
                // `inside` to be 0 after it closes the job; so the job lives until the count goes down.
                let job = unsafe { &*job };
                if catch_unwind(AssertUnwindSafe(|| job.help())).is_err() {
                    job.panicked.store(true, SeqCst);
                }
            }
            self.inside.0.fetch_sub(1, SeqCst);
        }
    }

    /// Waits until there is a job other than `seen`.
    fn next_job(&self, seen: usize) -> usize {
        let start = Instant::now();
        loop {
            for _ in 0..64 {
                let number = self.number.0.load(SeqCst);
                if number != seen {
                    return number;
                }
                std::hint::spin_loop();
            }
            let idle = start.elapsed();
            if idle > LINGER {
                break;
            } else if idle > SPIN {
                std::thread::yield_now();
            }
        }
        let mut door = self.door.lock().unwrap_or_else(PoisonError::into_inner);
        self.sleepers.fetch_add(1, SeqCst);
        while self.number.0.load(SeqCst) == seen {
            door = self.bell.wait(door).unwrap_or_else(PoisonError::into_inner);
        }
        self.sleepers.fetch_sub(1, SeqCst);
        self.number.0.load(SeqCst)
    }

    fn open(&self, job: &Job<'_>) {
        self.job.0.store(std::ptr::from_ref(job).cast_mut().cast(), SeqCst);
        self.number.0.fetch_add(1, SeqCst);
        if self.sleepers.load(SeqCst) > 0 {
            let _door = self.door.lock().unwrap_or_else(PoisonError::into_inner);
            self.bell.notify_all();
        }
    }

    /// Takes the job back: afterwards no worker has it. A worker that loaded it did so before this store,
    /// hence counted itself in before the loop below reads the count.
    fn close(&self) {
        self.job.0.store(null_mut(), SeqCst);
        while self.inside.0.load(SeqCst) != 0 {
            std::hint::spin_loop();
        }
        self.busy.0.store(false, SeqCst);
    }
}

/// Closes the pool's job even when the caller's own part panics.
struct Closing;

impl Drop for Closing {
    fn drop(&mut self) {
        POOL.close();
    }
}

/// Runs `work(0)` … `work(parts − 1)`, at once where there are threads for it.
///
/// Calls from several threads, or from within a part, run alone on their thread.
pub(crate) fn each(parts: usize, work: impl Fn(usize) + Sync) {
    let alone = parts < 2
        || threads() < 2
        || POOL.workers() == 0
        || POOL.busy.0.compare_exchange(false, true, SeqCst, SeqCst).is_err();
    if alone {
        (0..parts).for_each(work);
        return;
    }
    let job = Job { work: &work, parts, next: AtomicUsize::new(0), panicked: AtomicBool::new(false) };
    {
        let _closing = Closing;
        POOL.open(&job);
        job.help();
    }
    assert!(!job.panicked.load(SeqCst), "a part of a parallel operation panicked");
}

/// Splits `length` elements into ranges, as many as there are threads unless they would be shorter than
/// `least`, and runs `work` on each.
pub(crate) fn ranges(length: usize, least: usize, work: impl Fn(Range<usize>) + Sync) {
    let parts = (length / least.max(1)).clamp(1, threads());
    let share = if parts == 1 { length } else { length.div_ceil(parts) };
    each(length.div_ceil(share.max(1)), |part| work(part * share..length.min((part + 1) * share)));
}

/// Runs `work(piece, its start)` on pieces of the values.
pub(crate) fn slices(values: &mut [f32], work: impl Fn(&mut [f32], usize) + Sync) {
    let target = crate::elementwise::Shared(values.as_mut_ptr());
    ranges(values.len(), 1 << 12, |range| {
        // SAFETY: the ranges are disjoint and inside `values`, which is borrowed for the whole call.
        work(unsafe { target.slice(range.start, range.len()) }, range.start);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_runs_once_from_any_thread() {
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for round in 0..2000 {
                        let parts = round % 9;
                        let counts: Vec<_> = (0..parts).map(|_| AtomicUsize::new(0)).collect();
                        each(parts, |part| {
                            counts[part].fetch_add(1, SeqCst);
                        });
                        assert!(counts.iter().all(|count| count.load(SeqCst) == 1));
                    }
                });
            }
        });
    }

    #[test]
    fn a_panic_reaches_the_caller_and_the_pool_lives_on() {
        for culprit in 0..8 {
            let outcome = catch_unwind(|| each(8, |part| assert_ne!(part, culprit, "on purpose")));
            assert!(outcome.is_err());
        }
        let sum = AtomicUsize::new(0);
        each(10, |part| {
            sum.fetch_add(part, SeqCst);
        });
        assert_eq!(sum.load(SeqCst), 45);
    }
}
