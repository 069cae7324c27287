//! Ctrl-C, SIGTERM (schedulers, shutdowns) and SIGHUP (a terminal that goes): while steps are taken, the one under way is
//! finished and saved; at any other time, and the second time, the program ends at once. Nothing is lost then either: files
//! are written whole. The exit code is 128 and the signal's number, so 130 for Ctrl-C.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// Hears signals.
#[derive(Clone)]
pub struct Stop {
    /// While steps are taken: whether a signal came. At other times true, as a signal that comes when it is ends the program.
    flag: Arc<AtomicBool>,
    /// The last signal.
    signal: Arc<AtomicUsize>,
}

impl Stop {
    /// Listens from here on. Where that cannot be, the system's own handlers end the program.
    pub fn on_signals() -> Self {
        let stop = Self { flag: Arc::new(true.into()), signal: Arc::new((SIGINT as usize).into()) };
        for signal in [Some(SIGINT), Some(SIGTERM), hang_up()].into_iter().flatten() {
            // In this order: the first signal raises the flag, the next one finds it raised.
            let _ = flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&stop.flag))
                .and_then(|_| flag::register_usize(signal, Arc::clone(&stop.signal), signal as usize))
                .and_then(|_| flag::register(signal, Arc::clone(&stop.flag)));
        }
        stop
    }

    /// What the loop looks at.
    pub fn flag(&self) -> &AtomicBool {
        &self.flag
    }

    /// Whether a signal has come since [`begin`](Self::begin).
    pub fn is_asked(&self) -> bool {
        self.flag.load(Ordering::SeqCst)
    }

    /// Steps are taken from here on.
    pub fn begin(&self) {
        self.flag.store(false, Ordering::SeqCst);
    }

    /// No more steps are taken.
    pub fn end(&self) {
        self.flag.store(true, Ordering::SeqCst);
    }

    /// How a program ends that a signal stopped.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from((128 + self.signal.load(Ordering::SeqCst)) as u8)
    }
}

/// SIGHUP, where it is known not to be ignored: what runs under `nohup` goes on.
#[cfg(unix)]
fn hang_up() -> Option<i32> {
    use signal_hook::consts::SIGHUP;
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"))?;
    let ignored = u64::from_str_radix(ignored.trim(), 16).ok()?;
    (ignored >> (SIGHUP - 1) & 1 == 0).then_some(SIGHUP)
}

#[cfg(not(unix))]
fn hang_up() -> Option<i32> {
    None
}
