//! Splitting work among threads. What is split never changes a result's bits: parts write places of their
//! own, and sums across parts are taken in an order that the shapes alone decide.

use rayon::prelude::*;

/// How many threads share the work.
pub(crate) fn threads() -> usize {
    rayon::current_num_threads()
}

/// Runs `work(0)` … `work(parts − 1)`, at once where there are threads for it.
pub(crate) fn each(parts: usize, work: impl Fn(usize) + Sync) {
    match parts {
        0 => {}
        1 => work(0),
        2 => {
            rayon::join(|| work(0), || work(1));
        }
        _ => (0..parts).into_par_iter().for_each(&work),
    }
}

/// Splits `length` elements into ranges, as many as there are threads unless they would be shorter than
/// `least`, and runs `work` on each.
pub(crate) fn ranges(length: usize, least: usize, work: impl Fn(std::ops::Range<usize>) + Sync) {
    let parts = (length / least.max(1)).clamp(1, threads());
    let share = length.div_ceil(parts).next_multiple_of(16);
    each(length.div_ceil(share.max(1)), |part| work(part * share..length.min((part + 1) * share)));
}

/// Runs `work(piece, its start)` on pieces of the values.
pub(crate) fn slices(values: &mut [f32], work: impl Fn(&mut [f32], usize) + Sync) {
    let target = crate::elementwise::Shared(values.as_mut_ptr());
    ranges(values.len(), 1 << 14, |range| {
        // SAFETY: the ranges are disjoint and inside `values`, which is borrowed for the whole call.
        work(unsafe { target.slice(range.start, range.len()) }, range.start);
    });
}
