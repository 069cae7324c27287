//! −ln p(x) of rows in one pass: values, and where they are wanted the gradients by the way.
//!
//! The gradient of a row's sum doesn't depend on the other rows, so the forward pass leaves it in the parameters' own
//! buffers (or beside them, where somebody else holds those too) and the backward pass only scales its rows.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Flex};
use burn_autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn_autodiff::grads::Gradients;
use burn_autodiff::ops::{Backward, Ops, OpsKind};
use burn_flex::FlexTensor;

use crate::elementwise::{Shared, total};
use crate::math::{exp, expm1, ln, softplus_and_sigmoid, vectorised};
use crate::parallel;
use crate::storage::{in_order, own, own_or_shared, sides, tensor_from, values};

/// Elements a thread should have at least.
const LEAST: usize = 1 << 12;

/// A family of p(x) whose parameters are one or two numbers per feature.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Family {
    /// ln(1 + eˡ) − x l
    Bernoulli,
    /// (x − μ)², no density but the same shape
    SquaredError,
    /// ((x − μ)² / σ² + λ + ln 2π) / 2, λ = ln σ²
    Normal,
    /// The logistic distribution in levels, half a level being the number here; the second parameter is ln s.
    Logistic(f32),
}

const LOG_TWO_PI: f32 = 1.837_877_1;

/// What one parameter row pair and one data row give: the sum, and in place of the parameters its gradient.
#[inline(always)]
fn row_of<const FMA: bool>(
    parameter: &mut [f32],
    x: &[f32],
    write: bool,
    element: impl Fn(f32, f32) -> (f32, f32),
) -> f32 {
    let mut partial = [0f32; 16];
    let (chunks, rest) = parameter.as_chunks_mut::<16>();
    let (x_chunks, x_rest) = x.as_chunks::<16>();
    for (chunk, x) in chunks.iter_mut().zip(x_chunks) {
        let mut slopes = [0f32; 16];
        for i in 0..16 {
            let (value, slope) = element(chunk[i], x[i]);
            partial[i] += value;
            slopes[i] = slope;
        }
        if write {
            *chunk = slopes;
        }
    }
    for (i, (parameter, x)) in rest.iter_mut().zip(x_rest).enumerate() {
        let (value, slope) = element(*parameter, *x);
        partial[i] += value;
        if write {
            *parameter = slope;
        }
    }
    total(&partial)
}

/// The same for two parameters.
#[inline(always)]
fn row_of_two<const FMA: bool>(
    [first, second]: [&mut [f32]; 2],
    x: &[f32],
    write: bool,
    element: impl Fn(f32, f32, f32) -> (f32, f32, f32),
) -> f32 {
    let mut partial = [0f32; 16];
    for ((first, second), x) in first.chunks_mut(16).zip(second.chunks_mut(16)).zip(x.chunks(16)) {
        for i in 0..x.len() {
            let (value, d_first, d_second) = element(first[i], second[i], x[i]);
            partial[i] += value;
            if write {
                first[i] = d_first;
                second[i] = d_second;
            }
        }
    }
    total(&partial)
}

vectorised! {
    /// One row of a family with one parameter; `write` leaves the gradient in place of the parameter.
    fn row(family: Family, parameter: &mut [f32], x: &[f32], write: bool) -> f32 {
        match family {
            Family::Bernoulli => row_of::<FMA>(parameter, x, write, |logit, x| {
                let (softplus, sigmoid) = softplus_and_sigmoid::<FMA>(logit);
                (softplus - x * logit, sigmoid - x)
            }),
            _ => row_of::<FMA>(parameter, x, write, |mean, x| {
                let difference = mean - x;
                (difference * difference, 2.0 * difference)
            }),
        }
    }

    /// One row of a family with two parameters.
    fn row_two(family: Family, first: &mut [f32], second: &mut [f32], x: &[f32], write: bool) -> f32 {
        match family {
            Family::Logistic(half) => row_of_two::<FMA>([first, second], x, write, |mean, log_scale, x| {
                let precision = exp::<FMA>(-log_scale);
                let upper = (x - mean + half) * precision;
                let lower = (x - mean - half) * precision;
                let gap = 2.0 * half * precision;
                let (lowest, highest) = (x < half, x > 1.0 - half);
                // −ln[σ(u) − σ(l)] = softplus(−u) + softplus(l) − ln(1 − e^{−gap})
                let (below, d_below) = softplus_and_sigmoid::<FMA>(-upper);
                let (above, d_above) = softplus_and_sigmoid::<FMA>(lower);
                let (below, d_below) = if highest { (0.0, 0.0) } else { (below, d_below) };
                let (above, d_above) = if lowest { (0.0, 0.0) } else { (above, d_above) };
                let t = exp::<FMA>(-gap);
                let outside = lowest | highest;
                let c = complement::<FMA>(gap, t);
                let (inside, ratio) = if outside { (0.0, 0.0) } else { (ln::<FMA>(c), gap * t / c) };
                let value = below + above - inside;
                // du/dμ = −1/s, du/d ln s = −u; the gap shrinks with ln s at its own rate.
                let d_mean = precision * (d_below - d_above);
                let d_log_scale = d_below * upper - d_above * lower + ratio;
                (value, d_mean, d_log_scale)
            }),
            _ => row_of_two::<FMA>([first, second], x, write, |mean, log_variance, x| {
                let difference = mean - x;
                let precision = exp::<FMA>(-log_variance);
                let scaled = difference * difference * precision;
                (
                    0.5 * (scaled + log_variance + LOG_TWO_PI),
                    difference * precision,
                    0.5 * (1.0 - scaled),
                )
            }),
        }
    }

    /// Row r of the gradient times `weights[r]`.
    fn scale_row(gradient: &mut [f32], weight: f32) {
        gradient.iter_mut().for_each(|g| *g *= weight);
    }
}

/// 1 − e^{−gap} given t = e^{−gap}, exact for small gaps too.
#[inline(always)]
fn complement<const FMA: bool>(gap: f32, t: f32) -> f32 {
    if gap < 0.5 { -expm1::<FMA>(-gap) } else { 1.0 - t }
}

/// Where a parameter lies and its gradient goes.
struct Place<'a> {
    /// The parameter, where somebody else holds it too; else it is in `over`.
    from: Option<&'a [f32]>,
    /// The gradient's place; none where no gradient is wanted.
    over: Option<Shared>,
}

impl<'a> Place<'a> {
    /// Read only.
    fn read(parameter: &'a FlexTensor) -> Self {
        Place { from: Some(values(parameter)), over: None }
    }

    /// Row r in a place where it may be overwritten.
    ///
    /// # Safety
    /// Row r is inside the buffers and this thread's alone.
    unsafe fn row<'b>(&'b self, r: usize, scratch: &'b mut Vec<f32>, features: usize) -> &'b mut [f32] {
        let start = r * features;
        match (self.from, &self.over) {
            // SAFETY: the caller's promise.
            (Some(from), Some(over)) => unsafe { over.write(start, &from[start..start + features]) },
            // SAFETY: as above.
            (None, Some(over)) => unsafe { over.slice(start, features) },
            (from, None) => {
                scratch.clear();
                scratch.extend_from_slice(&from.unwrap_or_default()[start..start + features]);
                scratch
            }
        }
    }
}

/// A parameter's gradient under way: over the parameter itself where nobody else holds it, else beside it.
enum Gradient {
    Over(FlexTensor),
    Beside(FlexTensor, Vec<f32>),
}

impl Gradient {
    fn of(parameter: FlexTensor) -> Gradient {
        match own_or_shared(parameter) {
            Ok(own) => Gradient::Over(own),
            Err(shared) => {
                let room = Vec::with_capacity(values(&shared).len());
                Gradient::Beside(shared, room)
            }
        }
    }

    fn place(&mut self) -> Place<'_> {
        match self {
            Gradient::Over(own) => {
                Place { from: None, over: Some(Shared(own.storage_mut::<f32>().as_mut_ptr())) }
            }
            Gradient::Beside(shared, room) => {
                Place { from: Some(values(shared)), over: Some(Shared(room.as_mut_ptr())) }
            }
        }
    }

    /// The gradient, once [`rows`] has gone through the place of every row.
    ///
    /// # Safety
    /// Every row of the place has been written.
    unsafe fn done(self) -> FlexTensor {
        match self {
            Gradient::Over(own) => own,
            Gradient::Beside(shared, mut room) => {
                // SAFETY: the capacity is the parameter's length, and the caller has written every row.
                unsafe { room.set_len(values(&shared).len()) };
                tensor_from(room, shared.layout().shape().clone())
            }
        }
    }
}

/// −ln p of each row; the gradients go to the parameters' places, where there are such.
///
/// The parameters have `rows × features` elements, x `n × features`; row r meets row r mod n of x.
fn rows(
    family: Family,
    [first, second]: [Option<Place<'_>>; 2],
    x: &[f32],
    [rows, n, features]: [usize; 3],
) -> Vec<f32> {
    let mut sums = vec![0f32; rows];
    let sums_at = Shared(sums.as_mut_ptr());
    let least = (LEAST / features.max(1)).max(1);
    parallel::ranges(rows, least, |range| {
        // SAFETY: each part has rows of its own, inside all buffers, which outlive this call.
        let sums = unsafe { sums_at.slice(range.start, range.len()) };
        let mut scratch = [Vec::new(), Vec::new()];
        let [scratch_one, scratch_two] = &mut scratch;
        for (sum, r) in sums.iter_mut().zip(range) {
            let x = &x[(r % n) * features..][..features];
            let write = first.as_ref().is_some_and(|place| place.over.is_some());
            // SAFETY: as above.
            let first = first.as_ref().map(|place| unsafe { place.row(r, scratch_one, features) });
            // SAFETY: as above.
            let second = second.as_ref().map(|place| unsafe { place.row(r, scratch_two, features) });
            *sum = match (first, second) {
                (Some(first), Some(second)) => row_two(family, first, second, x, write),
                (Some(first), None) => row(family, first, x, write),
                _ => 0.0,
            };
        }
    });
    sums
}

/// gradient row r ← gradient row r · weights[r]
///
/// Importance weights fall off as e^{−nats}, and denormal numbers are a hundred times slower to compute with:
/// a row whose weight is below 2⁻⁶⁴ of the greatest, which no sum in f32 would see, becomes 0.
pub(crate) fn scale_rows(gradient: &mut [f32], weights: &[f32], features: usize) {
    let least_weight = weights.iter().fold(0f32, |most, w| most.max(w.abs())) * 2f32.powi(-64);
    let target = Shared(gradient.as_mut_ptr());
    let least = (LEAST / features.max(1)).max(1);
    parallel::ranges(weights.len(), least, |range| {
        for r in range {
            // SAFETY: each part has rows of its own, inside the buffer, which outlives this call.
            let row = unsafe { target.slice(r * features, features) };
            if weights[r].abs() < least_weight {
                row.fill(0.0);
            } else {
                scale_row(row, weights[r]);
            }
        }
    });
}

/// rows, rows of x, features.
fn sizes(parameter: &FlexTensor, x: &FlexTensor) -> [usize; 3] {
    let ([rows, features], [n, wide]) = (sides(parameter), sides(x));
    assert_eq!(features, wide, "distortion: the parameters have {features} features, x has {wide}");
    assert!(
        n > 0 && rows.is_multiple_of(n) || rows == 0,
        "distortion: {rows} rows are no whole number of draws for {n}"
    );
    [rows, n, features]
}

/// The sums alone.
pub(crate) fn values_only(
    first: FlexTensor,
    second: Option<FlexTensor>,
    x: FlexTensor,
    family: Family,
) -> FlexTensor {
    let (first, second, x) = (in_order(first), second.map(in_order), in_order(x));
    let sizes = sizes(&first, &x);
    let places = [Some(Place::read(&first)), second.as_ref().map(Place::read)];
    tensor_from(rows(family, places, values(&x), sizes), [sizes[0]])
}

/// A family with one parameter, with a node in the graph; x is a constant.
pub(crate) fn recorded<C: CheckpointStrategy>(
    parameter: FloatTensor<Autodiff<Flex, C>>,
    x: FloatTensor<Autodiff<Flex, C>>,
    family: Family,
) -> FloatTensor<Autodiff<Flex, C>> {
    let (parameter, node) = parameter.into_parts();
    let x = in_order(x.into_primitive());
    match DistortionBackward.prepare::<C>([node]).compute_bound().stateful() {
        OpsKind::Tracked(prepared) => {
            let sizes = sizes(&parameter, &x);
            let mut gradient = Gradient::of(parameter);
            let sums = rows(family, [Some(gradient.place()), None], values(&x), sizes);
            // SAFETY: `rows` has gone through every row.
            prepared.finish([unsafe { gradient.done() }], tensor_from(sums, [sizes[0]]))
        }
        OpsKind::UnTracked(prepared) => prepared.finish(values_only(parameter, None, x, family)),
    }
}

/// A family with two parameters, with a node in the graph; x is a constant.
pub(crate) fn recorded_of_two<C: CheckpointStrategy>(
    first: FloatTensor<Autodiff<Flex, C>>,
    second: FloatTensor<Autodiff<Flex, C>>,
    x: FloatTensor<Autodiff<Flex, C>>,
    family: Family,
) -> FloatTensor<Autodiff<Flex, C>> {
    let ((first, first_node), (second, second_node)) = (first.into_parts(), second.into_parts());
    let x = in_order(x.into_primitive());
    match DistortionBackward.prepare::<C>([first_node, second_node]).compute_bound().stateful() {
        OpsKind::Tracked(prepared) => {
            let sizes = sizes(&first, &x);
            assert_eq!(sides::<2>(&first), sides::<2>(&second), "distortion: the parameters differ in shape");
            let (mut first, mut second) = (Gradient::of(first), Gradient::of(second));
            let sums = rows(family, [Some(first.place()), Some(second.place())], values(&x), sizes);
            // SAFETY: `rows` has gone through every row.
            let gradients = unsafe { [first.done(), second.done()] };
            prepared.finish(gradients, tensor_from(sums, [sizes[0]]))
        }
        OpsKind::UnTracked(prepared) => prepared.finish(values_only(first, Some(second), x, family)),
    }
}

#[derive(Debug)]
struct DistortionBackward;

impl<const N: usize> Backward<Flex, N> for DistortionBackward {
    /// The gradient of each row's sum.
    type State = [FlexTensor; N];

    fn backward(self, ops: Ops<Self::State, N>, grads: &mut Gradients, _: &mut Checkpointer) {
        let weights = in_order(grads.consume::<Flex>(&ops.node));
        for (node, gradient) in ops.parents.into_iter().zip(ops.state) {
            if let Some(node) = node {
                let features = sides::<2>(&gradient)[1];
                let mut gradient = own(gradient);
                scale_rows(gradient.storage_mut(), values(&weights), features);
                grads.register::<Flex>(node.id, gradient);
            }
        }
    }
}
