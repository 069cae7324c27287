//! Copying an operand into panels: `width` lanes side by side, one step of the depth after another.

use std::ops::Range;

/// Where the lanes (rows of A, columns of B) or the steps of the depth lie.
#[derive(Clone, Copy)]
pub(crate) enum Offsets<'a> {
    /// i · stride
    Regular(usize),
    /// A table; its greatest entry beside it.
    Table(&'a [usize], usize),
}

impl<'a> Offsets<'a> {
    /// A table of offsets.
    pub(crate) fn table(offsets: &'a [usize]) -> Offsets<'a> {
        Offsets::Table(offsets, offsets.iter().copied().max().unwrap_or(0))
    }

    #[inline(always)]
    fn at(self, i: usize) -> usize {
        match self {
            Offsets::Regular(stride) => i * stride,
            Offsets::Table(offsets, _) => offsets[i],
        }
    }

    fn greatest(self, count: usize) -> usize {
        match self {
            Offsets::Regular(stride) => count.saturating_sub(1) * stride,
            Offsets::Table(_, greatest) => greatest,
        }
    }
}

/// One operand of a product: element (lane, depth) is `data[lanes(lane) + depths(depth)]`.
#[derive(Clone, Copy)]
pub(crate) struct Operand<'a> {
    data: &'a [f32],
    lanes: Offsets<'a>,
    depths: Offsets<'a>,
    /// How many lanes and steps of the depth there are.
    size: [usize; 2],
}

impl<'a> Operand<'a> {
    /// An operand of `lanes × depth` elements; panics where an offset would leave the data.
    pub(crate) fn new(
        data: &'a [f32],
        [count, depth]: [usize; 2],
        lanes: Offsets<'a>,
        depths: Offsets<'a>,
    ) -> Operand<'a> {
        for (offsets, needed) in [(lanes, count), (depths, depth)] {
            if let Offsets::Table(table, greatest) = offsets {
                assert!(table.len() >= needed && table.iter().all(|&offset| offset <= greatest));
            }
        }
        let greatest = lanes.greatest(count) + depths.greatest(depth);
        assert!(count == 0 || depth == 0 || greatest < data.len(), "an operand leaves its data");
        Operand { data, lanes, depths, size: [count, depth] }
    }

    /// Lanes one after another, each contiguous: a row-major A, or the B of C = A Bᵀ.
    pub(crate) fn rows(data: &'a [f32], count: usize, depth: usize) -> Operand<'a> {
        Operand::new(data, [count, depth], Offsets::Regular(depth), Offsets::Regular(1))
    }

    /// Lanes side by side: a row-major B, or the A of C = Aᵀ B.
    pub(crate) fn transposed(data: &'a [f32], count: usize, depth: usize) -> Operand<'a> {
        Operand::new(data, [count, depth], Offsets::Regular(1), Offsets::Regular(count))
    }

    /// Whether the operand has so many lanes and steps.
    pub(crate) fn holds(&self, lanes: usize, depth: usize) -> bool {
        lanes <= self.size[0] && depth <= self.size[1]
    }

    /// Whether neighbouring lanes are neighbours in memory and the depth has a stride.
    pub(crate) fn lanes_adjoin(&self) -> bool {
        matches!((self.lanes, self.depths), (Offsets::Regular(1), Offsets::Regular(_)))
    }

    /// From one step of the depth to the next; meaningful when [`Operand::lanes_adjoin`].
    pub(crate) fn depth_stride(&self) -> usize {
        self.depths.at(1)
    }

    /// The address of an element.
    pub(crate) fn place(&self, lane: usize, depth: usize) -> *const f32 {
        self.data[self.lanes.at(lane) + self.depths.at(depth)..].as_ptr()
    }

    /// Copies lanes × depths into a panel `width` wide; lanes that are missing become 0.
    pub(crate) fn pack(&self, lanes: Range<usize>, depths: Range<usize>, width: usize, out: &mut [f32]) {
        assert!(self.holds(lanes.end, depths.end));
        let count = lanes.len();
        let mut offsets = [0usize; 32];
        let offsets = &mut offsets[..count];
        for (offset, lane) in offsets.iter_mut().zip(lanes) {
            *offset = self.lanes.at(lane);
        }
        let out = &mut out[..width * depths.len()];
        let run = [32, 16, 8, 4].into_iter().find(|&run| adjoin_in_runs(offsets, run));
        match run {
            Some(32) if count == 32 => self.pack_runs::<32>(offsets, depths, width, out),
            Some(32 | 16) if count >= 16 => self.pack_runs::<16>(offsets, depths, width, out),
            Some(32 | 16 | 8) if count >= 8 => self.pack_runs::<8>(offsets, depths, width, out),
            Some(_) if count >= 4 => self.pack_runs::<4>(offsets, depths, width, out),
            _ => self.pack_across(offsets, depths, width, out),
        }
    }

    /// Lanes that adjoin in runs of R: whole runs, then what is left one by one.
    fn pack_runs<const R: usize>(
        &self,
        offsets: &[usize],
        depths: Range<usize>,
        width: usize,
        out: &mut [f32],
    ) {
        let whole = offsets.len() / R * R;
        for (p, values) in depths.zip(out.chunks_exact_mut(width)) {
            let base = self.depths.at(p);
            // SAFETY: `Operand::new` has checked that the greatest offsets stay inside the data, and the
            // lanes of a run follow one another; `values` has `width` ≥ `offsets.len()` elements.
            unsafe {
                let data = self.data.as_ptr().add(base);
                for lane in (0..whole).step_by(R) {
                    let from = data.add(*offsets.get_unchecked(lane)).cast::<[f32; R]>();
                    values.as_mut_ptr().add(lane).cast::<[f32; R]>().write_unaligned(from.read_unaligned());
                }
                for lane in whole..offsets.len() {
                    *values.get_unchecked_mut(lane) = *data.add(*offsets.get_unchecked(lane));
                }
            }
            values[offsets.len()..].fill(0.0);
        }
    }

    /// Any lanes; where four steps of the depth adjoin, squares of 4 × 4 are transposed in registers.
    fn pack_across(&self, offsets: &[usize], depths: Range<usize>, width: usize, out: &mut [f32]) {
        let count = offsets.len();
        let mut p = depths.start;
        while p < depths.end {
            let at = (p - depths.start) * width;
            let base = self.depths.at(p);
            let square = cfg!(target_arch = "x86_64")
                && count >= 4
                && p + 4 <= depths.end
                && (1..4).all(|i| self.depths.at(p + i) == base + i);
            // SAFETY: `Operand::new` has checked that the greatest offsets stay inside the data; writes go
            // to lanes below `count` ≤ `width` of steps that `out` holds.
            unsafe {
                let data = self.data.as_ptr().add(base);
                let panel = out.as_mut_ptr().add(at);
                if square {
                    let mut lane = 0;
                    loop {
                        transpose(data, &offsets[lane..lane + 4], panel.add(lane), width);
                        if lane + 4 == count {
                            break;
                        }
                        // The last square overlaps the one before it.
                        lane = (lane + 4).min(count - 4);
                    }
                } else {
                    for (lane, offset) in offsets.iter().enumerate() {
                        *panel.add(lane) = *data.add(*offset);
                    }
                }
            }
            let steps = if square { 4 } else { 1 };
            if count < width {
                for values in out[at..at + steps * width].chunks_exact_mut(width) {
                    values[count..].fill(0.0);
                }
            }
            p += steps;
        }
    }
}

/// Whether the offsets follow one another within each run (a short last run included).
fn adjoin_in_runs(offsets: &[usize], run: usize) -> bool {
    offsets.chunks(run).all(|run| run.windows(2).all(|pair| pair[1] == pair[0] + 1))
}

/// Four lanes of four steps each, turned: `out[step · width + lane] = data[offsets[lane] + step]`.
///
/// # Safety
/// All these places are valid.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn transpose(data: *const f32, offsets: &[usize], out: *mut f32, width: usize) {
    use std::arch::x86_64::{_MM_TRANSPOSE4_PS, _mm_loadu_ps, _mm_storeu_ps};
    // SAFETY: the caller's promise; SSE is part of x86-64.
    unsafe {
        let mut a = _mm_loadu_ps(data.add(offsets[0]));
        let mut b = _mm_loadu_ps(data.add(offsets[1]));
        let mut c = _mm_loadu_ps(data.add(offsets[2]));
        let mut d = _mm_loadu_ps(data.add(offsets[3]));
        _MM_TRANSPOSE4_PS(&mut a, &mut b, &mut c, &mut d);
        _mm_storeu_ps(out, a);
        _mm_storeu_ps(out.add(width), b);
        _mm_storeu_ps(out.add(2 * width), c);
        _mm_storeu_ps(out.add(3 * width), d);
    }
}

/// As above, for machines without SSE; never reached on them by `pack_across`, correct all the same.
///
/// # Safety
/// All these places are valid.
#[cfg(not(target_arch = "x86_64"))]
unsafe fn transpose(data: *const f32, offsets: &[usize], out: *mut f32, width: usize) {
    for (lane, offset) in offsets.iter().take(4).enumerate() {
        for step in 0..4 {
            // SAFETY: the caller's promise.
            unsafe { *out.add(step * width + lane) = *data.add(offset + step) };
        }
    }
}

/// Makes room for `length` values, whatever they hold.
pub(super) fn reserve(buffer: &mut Vec<f32>, length: usize) {
    if buffer.len() < length {
        buffer.resize(length, 0.0);
    }
}
