//! The matrix product C = A B (or C += A B), in f32, after Goto & van de Geijn 2008.
//!
//! Both operands are copied ("packed") into panels that the inner kernel reads in order: A by MR rows, B by
//! NR columns, in depth blocks that fit the caches. An operand is any matrix whose element (i, p) lies at
//! `lane[i] + depth[p]`: a row-major matrix, its transpose, and the patches of an image alike.
//!
//! Each element of C is the sum over the depth in one fixed order, whatever part of C is asked for, so that
//! the bits of a result don't depend on how the work is split among threads.

mod kernel;
mod pack;

use std::cell::RefCell;
use std::ops::Range;
use std::sync::OnceLock;

pub(crate) use kernel::Kernel;
pub(crate) use pack::{Offsets, Operand};

use crate::parallel;

/// The greatest depth of a block; a panel of B of this depth fits the first cache.
const DEPTH: usize = 288;

/// The columns of one block of B, a multiple of every kernel's NR; the block fits the second cache.
const COLUMNS: usize = 512;

/// Multiply-adds below which waking a second thread costs more than it brings.
pub(crate) const SERIAL: usize = 1 << 18;

thread_local! {
    static SCRATCH: RefCell<Scratch> = const { RefCell::new(Scratch { a: Vec::new(), b: Vec::new() }) };
}

/// Buffers for packed panels that a thread keeps from one product to the next.
struct Scratch {
    a: Vec<f32>,
    b: Vec<f32>,
}

/// Where a product goes: element (i, j) at `i · stride + j` of the buffer.
pub(crate) struct Target {
    data: *mut f32,
    stride: usize,
}

// SAFETY: a target is only written through `product` and `part`, which hand each thread rows or columns of
// its own.
unsafe impl Send for Target {}
// SAFETY: as above.
unsafe impl Sync for Target {}

impl Target {
    /// `rows × columns` elements of `data`, rows `stride` apart.
    pub(crate) fn new(data: &mut [f32], rows: usize, columns: usize, stride: usize) -> Target {
        assert!(
            rows == 0 || columns == 0 || (rows - 1) * stride + columns <= data.len() && columns <= stride
        );
        Target { data: data.as_mut_ptr(), stride }
    }

    /// A place that may hold no values yet; who writes through it answers for its length.
    pub(crate) fn over(data: *mut f32, stride: usize) -> Target {
        Target { data, stride }
    }

    /// A row's elements from `start` to `end`.
    ///
    /// # Safety
    /// The row and range lie inside the target and hold values, and nobody else touches them meanwhile.
    pub(crate) unsafe fn row<'a>(&self, row: usize, start: usize, end: usize) -> &'a mut [f32] {
        // SAFETY: the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.data.add(row * self.stride + start), end - start) }
    }
}

/// The kernel for this machine.
pub(crate) fn kernel() -> &'static Kernel {
    static CHOSEN: OnceLock<Kernel> = OnceLock::new();
    CHOSEN.get_or_init(Kernel::detect)
}

/// C = A B as a new buffer, in parallel over rows or columns of C; then `finish(row, first column, values)`
/// on each piece of a row that is done.
///
/// A is `m × k` (lanes are rows), B `k × n` (lanes are columns).
pub(crate) fn product(
    [m, n, k]: [usize; 3],
    a: Operand<'_>,
    b: Operand<'_>,
    finish: impl Fn(usize, usize, &mut [f32]) + Sync,
) -> Vec<f32> {
    let mut c = Vec::with_capacity(m * n);
    let target = Target { data: c.as_mut_ptr(), stride: n };
    let kernel = kernel();
    let parts = if m * n * k < SERIAL { 1 } else { parallel::threads() };
    // The operand that isn't split is packed by every thread, so split along the longer side.
    let (length, unit) = if n >= m { (n, kernel.columns) } else { (m, kernel.rows) };
    let share = length.div_ceil(unit).div_ceil(parts) * unit;
    parallel::each(length.div_ceil(share.max(1)), |part| {
        let range = part * share..length.min((part + 1) * share);
        let (rows, columns) = if n >= m { (0..m, range) } else { (range, 0..n) };
        // SAFETY: the parts' ranges are disjoint and inside C, and C outlives this call.
        unsafe { block(kernel, rows, columns, k, a, b, &target, false, &finish) };
    });
    // SAFETY: the capacity is m n, and the parts have written every element.
    unsafe { c.set_len(m * n) };
    c
}

/// C = A B or C += A B on one thread, A packed by [`pack_left`]; rows of C are `stride` apart.
pub(crate) fn packed_product(
    [m, n, k]: [usize; 3],
    packed: &[f32],
    b: Operand<'_>,
    c: &mut [f32],
    stride: usize,
    accumulate: bool,
) {
    let target = Target::new(c, m, n, stride);
    SCRATCH.with_borrow_mut(|scratch| {
        // SAFETY: C is borrowed mutably for the whole call.
        unsafe {
            packed_block(
                kernel(),
                0..m,
                0..n,
                k,
                packed,
                b,
                &mut scratch.b,
                &target,
                accumulate,
                &|_, _, _| {},
            );
        }
    });
}

/// C = A B or C += A B on one thread, C's rows following one another.
///
/// # Safety
/// C is a place for `m n` numbers (which hold values if they are to be added to), this thread's alone.
pub(crate) unsafe fn product_into(
    [m, n, k]: [usize; 3],
    a: Operand<'_>,
    b: Operand<'_>,
    c: *mut f32,
    accumulate: bool,
) {
    let target = Target { data: c, stride: n };
    // SAFETY: the caller's promise.
    unsafe { block(kernel(), 0..m, 0..n, k, a, b, &target, accumulate, &|_, _, _| {}) };
}

/// The part `rows × columns` of C.
///
/// # Safety
/// The part lies inside the target, and nobody else touches it meanwhile.
#[allow(clippy::too_many_arguments)]
pub(crate) unsafe fn block(
    kernel: &Kernel,
    rows: Range<usize>,
    columns: Range<usize>,
    depth: usize,
    a: Operand<'_>,
    b: Operand<'_>,
    c: &Target,
    accumulate: bool,
    finish: &(impl Fn(usize, usize, &mut [f32]) + Sync),
) {
    if rows.is_empty() || columns.is_empty() {
        return;
    }
    if depth == 0 {
        for row in rows {
            // SAFETY: the caller's promise; zero is a valid f32.
            let values = unsafe {
                if !accumulate {
                    c.data.add(row * c.stride + columns.start).write_bytes(0, columns.len());
                }
                c.row(row, columns.start, columns.end)
            };
            finish(row, columns.start, values);
        }
        return;
    }
    SCRATCH.with_borrow_mut(|Scratch { a: packed, b: panel }| {
        pack_left(kernel, rows.clone(), depth, a, packed);
        // SAFETY: the caller's promise.
        unsafe { packed_block(kernel, rows, columns, depth, packed, b, panel, c, accumulate, finish) };
    });
}

/// The depth of each block: as even as can be, at most [`DEPTH`].
fn depth_step(depth: usize) -> usize {
    depth.div_ceil(depth.div_ceil(DEPTH).max(1)).max(1)
}

/// Panels of A and their rows: as even as can be, at most MR, so that no tile is thin.
fn panels(kernel: &Kernel, rows: usize) -> (usize, usize) {
    let panels = rows.div_ceil(kernel.rows);
    (panels, rows.div_ceil(panels.max(1)))
}

/// A by panels of rows, depth block after depth block.
pub(crate) fn pack_left(
    kernel: &Kernel,
    rows: Range<usize>,
    depth: usize,
    a: Operand<'_>,
    packed: &mut Vec<f32>,
) {
    let (panels, mr) = panels(kernel, rows.len());
    pack::reserve(packed, panels * mr * depth);
    let step = depth_step(depth);
    for start in (0..depth).step_by(step) {
        let end = depth.min(start + step);
        for panel in 0..panels {
            let first = rows.end.min(rows.start + panel * mr);
            let out = &mut packed[panels * mr * start + panel * mr * (end - start)..];
            a.pack(first..rows.end.min(first + mr), start..end, mr, out);
        }
    }
}

/// [`block`] with A packed already (by [`pack_left`], for the same rows and kernel).
///
/// # Safety
/// As for [`block`].
#[allow(clippy::too_many_arguments)]
pub(crate) unsafe fn packed_block(
    kernel: &Kernel,
    rows: Range<usize>,
    columns: Range<usize>,
    depth: usize,
    packed: &[f32],
    b: Operand<'_>,
    panel_buffer: &mut Vec<f32>,
    c: &Target,
    accumulate: bool,
    finish: &(impl Fn(usize, usize, &mut [f32]) + Sync),
) {
    let ((panels, mr), nr) = (panels(kernel, rows.len()), kernel.columns);
    let step = depth_step(depth);
    assert!(packed.len() >= panels * mr * depth && b.holds(columns.end, depth));
    // B is read where it lies when few rows would use a packed copy.
    let direct = panels <= 2 && b.lanes_adjoin() && kernel.reads_in_place;
    pack::reserve(panel_buffer, nr * step);
    for left in columns.clone().step_by(COLUMNS) {
        let right = columns.end.min(left + COLUMNS);
        for start in (0..depth).step_by(step) {
            let end = depth.min(start + step);
            let length = end - start;
            for first in (left..right).step_by(nr) {
                let last = right.min(first + nr);
                let (panel_b, stride_b) = if direct {
                    (b.place(first, start), b.depth_stride())
                } else {
                    b.pack(first..last, start..end, nr, panel_buffer);
                    (panel_buffer.as_ptr(), nr)
                };
                for panel in 0..panels {
                    let row = rows.start + panel * mr;
                    if row >= rows.end {
                        break;
                    }
                    let count = rows.end.min(row + mr) - row;
                    // SAFETY: the packed panels hold `length` steps of MR and NR values each; in place, B
                    // holds `last − first` values a step and the kernel reads no more unless that is NR. C's piece is inside
                    // the target by the caller's promise.
                    unsafe {
                        (kernel.run)(kernel::Call {
                            rows: count,
                            columns: last - first,
                            depth: length,
                            a: packed.as_ptr().add(panels * mr * start + panel * mr * length),
                            a_stride: mr,
                            b: panel_b,
                            b_stride: stride_b,
                            whole: !direct || last - first == nr,
                            c: c.data.add(row * c.stride + first),
                            c_stride: c.stride,
                            accumulate: accumulate || start > 0,
                        });
                    }
                }
            }
        }
        for row in rows.clone() {
            // SAFETY: the caller's promise.
            finish(row, left, unsafe { c.row(row, left, right) });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Numbers;

    #[test]
    fn products_of_all_shapes_and_kernels_agree_with_a_triple_loop() {
        let mut numbers = Numbers::new(7);
        for round in 0..200 {
            let [m, n, k] = [1 + numbers.below(70), 1 + numbers.below(90), numbers.below(700)];
            let (a, b) = (numbers.normals(m * k), numbers.normals(k * n));
            let transposed = [round % 2 == 0, round % 3 == 0];
            let left = if transposed[0] { Operand::transposed(&a, m, k) } else { Operand::rows(&a, m, k) };
            let right = if transposed[1] { Operand::rows(&b, n, k) } else { Operand::transposed(&b, n, k) };
            let at_a =
                |i: usize, p: usize| f64::from(if transposed[0] { a[p * m + i] } else { a[i * k + p] });
            let at_b =
                |p: usize, j: usize| f64::from(if transposed[1] { b[j * k + p] } else { b[p * n + j] });
            for kernel in Kernel::all() {
                let mut c = numbers.normals(m * n);
                let before = c.clone();
                let accumulate = round % 5 == 0;
                let target = Target::new(&mut c, m, n, n);
                // SAFETY: the target is the whole of C, which lives on.
                unsafe {
                    block(&kernel, 0..m, 0..n, k, left, right, &target, accumulate, &|_, _, _| {});
                }
                for i in 0..m {
                    for j in 0..n {
                        let start = if accumulate { f64::from(before[i * n + j]) } else { 0.0 };
                        let sum = (0..k).map(|p| at_a(i, p) * at_b(p, j)).sum::<f64>() + start;
                        let error = (f64::from(c[i * n + j]) - sum).abs();
                        assert!(error < 2e-5 * (k as f64).sqrt().max(1.0) + 1e-6, "{m}×{n}×{k}: {error}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_product_has_the_same_bits_whatever_part_is_asked_for() {
        let mut numbers = Numbers::new(8);
        let [m, n, k] = [67, 131, 611];
        let (a, b) = (numbers.normals(m * k), numbers.normals(k * n));
        let (a, b) = (Operand::rows(&a, m, k), Operand::transposed(&b, n, k));
        let mut whole = vec![0.0; m * n];
        // SAFETY: C is `whole`.
        unsafe { product_into([m, n, k], a, b, whole.as_mut_ptr(), false) };
        let mut parts = vec![0.0; m * n];
        let target = Target::new(&mut parts, m, n, n);
        for (rows, columns) in [(0..5, 0..n), (5..m, 0..32), (5..m, 32..100), (5..m, 100..n)] {
            // SAFETY: the parts are disjoint and cover C.
            unsafe { block(kernel(), rows, columns, k, a, b, &target, false, &|_, _, _| {}) };
        }
        assert!(whole.iter().zip(&parts).all(|(x, y)| x.to_bits() == y.to_bits()));
    }

    /// cargo test --release -p latent-kernels --lib speed -- --ignored --nocapture
    #[test]
    #[ignore = "prints GFLOP/s, asserts nothing"]
    fn speed() {
        let mut numbers = Numbers::new(9);
        let shapes = [[1024, 1024, 1024], [128, 400, 784], [784, 400, 128], [20, 200, 784], [784, 200, 20]];
        for [m, n, k] in shapes.into_iter().chain([[64, 512, 512], [512, 512, 64], [128, 1024, 512]]) {
            let (a, b) = (numbers.normals(m * k), numbers.normals(k * n));
            for (name, left, right) in [
                ("A B  ", Operand::rows(&a, m, k), Operand::transposed(&b, n, k)),
                ("A Bt ", Operand::rows(&a, m, k), Operand::rows(&b, n, k)),
                ("At B ", Operand::transposed(&a, m, k), Operand::transposed(&b, n, k)),
            ] {
                for kernel in Kernel::all() {
                    let mut c = vec![0.0; m * n];
                    let target = Target::new(&mut c, m, n, n);
                    let mut best = f64::INFINITY;
                    for _ in 0..30 {
                        let start = std::time::Instant::now();
                        // SAFETY: the target is the whole of C, which lives on.
                        unsafe { block(&kernel, 0..m, 0..n, k, left, right, &target, false, &|_, _, _| {}) };
                        best = best.min(start.elapsed().as_secs_f64());
                    }
                    print!("{:8.1}", 2e-9 * (m * n * k) as f64 / best);
                }
                let mut best = f64::INFINITY;
                for _ in 0..30 {
                    let start = std::time::Instant::now();
                    std::hint::black_box(product([m, n, k], left, right, |_, _, _| {}));
                    best = best.min(start.elapsed().as_secs_f64());
                }
                println!("  both {:8.1} GFLOP/s  {name} {m}×{n}×{k}", 2e-9 * (m * n * k) as f64 / best);
            }
        }
    }
}
