//! How much memory this process takes, and how much it may take.
//!
//! A program that counts its allocations ([`latent_kernels::memory::Counting`]) is measured exactly; in others the system's
//! own count is read where it has one.

use std::fs;
use std::path::Path;

use latent_kernels::memory;

/// Starts a new peak, where allocations are counted.
pub(super) fn reset_peak() {
    memory::reset_peak();
}

/// The most bytes in use since [`reset_peak`], with what the process takes beyond its allocations (code, stacks,
/// the allocator's reserve). Without counting: the greatest size of the process so far.
pub(super) fn peak() -> u64 {
    if !counted() {
        return high_water();
    }
    let beside = resident().saturating_sub(memory::current() as u64).min(MOST_BESIDE);
    memory::peak() as u64 * 5 / 4 + beside
}

/// Code and stacks are not more than this: what looks like more are freed pages that are used again. What the
/// allocator cannot use of its pages was a tenth to four tenths of what is in use, over a thousand random settings.
const MOST_BESIDE: u64 = 56 << 20;

/// Bytes in use now.
pub(super) fn current() -> u64 {
    if counted() { memory::current() as u64 } else { resident() }
}

/// The greatest size that the process has had; 0 where the system doesn't say.
pub(super) fn high_water() -> u64 {
    status("VmHWM:")
}

/// The size of the process in memory; 0 where the system doesn't say.
fn resident() -> u64 {
    status("VmRSS:")
}

fn counted() -> bool {
    memory::current() > 0
}

fn status(key: &str) -> u64 {
    kibibytes("/proc/self/status", key).unwrap_or(0)
}

/// How large this process may become: the system's free memory, or less if its control group has a limit. None where
/// the system doesn't say.
pub fn limit() -> Option<u64> {
    let system = kibibytes("/proc/meminfo", "MemAvailable:")?;
    let group = groups().into_iter().filter_map(|group| room(Path::new(&group))).min();
    Some(system.min(group.unwrap_or(u64::MAX)) + resident())
}

/// The folders of the control groups that this process is in, innermost first, version 2 and version 1.
fn groups() -> Vec<String> {
    let mut folders = vec!["/sys/fs/cgroup/memory".to_string()];
    let text = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let own = text.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or("/");
    let own = Path::new(own.trim_start_matches('/'));
    folders.extend(
        own.ancestors().map(|path| Path::new("/sys/fs/cgroup").join(path).to_string_lossy().into_owned()),
    );
    folders
}

/// What is left of a control group's limit; its page cache is given back when needed.
fn room(group: &Path) -> Option<u64> {
    let number = |name: &str| fs::read_to_string(group.join(name)).ok()?.trim().parse::<u64>().ok();
    let most = number("memory.max").or_else(|| number("memory.limit_in_bytes"))?;
    let used = number("memory.current").or_else(|| number("memory.usage_in_bytes"))?;
    let stat = fs::read_to_string(group.join("memory.stat")).unwrap_or_default();
    let cache = stat
        .lines()
        .find_map(|line| line.strip_prefix("inactive_file ")?.trim().parse::<u64>().ok())
        .unwrap_or(0);
    Some(most.saturating_sub(used.saturating_sub(cache)))
}

/// The number after `key` in a file of `key: number kB` lines, in bytes.
fn kibibytes(file: &str, key: &str) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}
