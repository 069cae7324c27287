//! Every fused function against its plain composition: output and gradients, over random shapes.

use burn::Tensor;
use burn::tensor::{DType, Device};

use crate::check::{Array, Numbers, compare, numbers, relative};
use crate::{Activation, AdamStep, plain};

#[test]
fn dense_layers() {
    let mut keyed = Numbers::new(1);
    for round in 0..60 {
        let activation = Activation::ALL[round % Activation::ALL.len()];
        let big = round % 10 == 9;
        let most = if big { 300 } else { 40 };
        let [rows, fan_in, outputs] = [(); 3].map(|()| keyed.between(1, most));
        let x = keyed.array(&[rows, fan_in]);
        let mut weight = keyed.array(&[fan_in, outputs]);
        weight.values.iter_mut().for_each(|w| *w /= (fan_in as f32).sqrt());
        let bias = keyed.array(&[outputs]);
        compare!(
            format!("{activation} {rows}×{fan_in}→{outputs}"),
            [x: 2, weight: 2, bias: 1],
            |x, w, b| crate::dense(x, w, b, activation),
            |x, w, b| plain::dense(x, w, b, activation)
        );
    }
}

#[test]
fn convolutions() {
    let mut keyed = Numbers::new(5);
    for round in 0..60 {
        let activation = Activation::ALL[round % Activation::ALL.len()];
        let n = keyed.between(1, if round % 10 == 0 { 20 } else { 4 });
        let [inputs, outputs] = [(); 2].map(|()| keyed.between(1, 9));
        let size = [(); 2].map(|()| keyed.between(1, 17));
        let kernel = [(); 2].map(|()| keyed.between(1, 5));
        let stride = [(); 2].map(|()| keyed.between(1, 3));
        // Padding enough for the kernel to fit.
        let padding = [0, 1].map(|axis| {
            let least = kernel[axis].saturating_sub(size[axis]).div_ceil(2);
            keyed.between(least, least.max(kernel[axis] / 2))
        });
        let x = keyed.array(&[n, inputs, size[0], size[1]]);
        let bias = keyed.array(&[outputs]);
        let weight = keyed.array(&[outputs, inputs, kernel[0], kernel[1]]);
        compare!(
            format!("conv {activation} {:?} ⋆ {:?}, stride {stride:?}, padding {padding:?}", x.shape, weight.shape),
            [x: 4, weight: 4, bias: 1],
            |x, w, b| crate::conv2d(x, w, b, stride, padding, activation),
            |x, w, b| plain::conv2d(x, w, b, stride, padding, activation)
        );
        let to = size.map(|side| if round % 2 == 0 { 2 * side } else { side + keyed.below(side + 1) });
        let fits = [0, 1].map(|axis| {
            padding[axis].min(kernel[axis] / 2).max(kernel[axis].saturating_sub(to[axis]).div_ceil(2))
        });
        compare!(
            format!("upsampled conv {activation} {:?} to {to:?} ⋆ {:?}, padding {fits:?}", x.shape, weight.shape),
            [x: 4, weight: 4, bias: 1],
            |x, w, b| crate::upsample_nearest_conv2d(x, to, w, b, fits, activation),
            |x, w, b| plain::upsample_nearest_conv2d(x, to, w, b, fits, activation)
        );
        let weight = keyed.array(&[inputs, outputs, kernel[0], kernel[1]]);
        let extra = stride.map(|stride| keyed.below(stride));
        // Padding that leaves an output.
        let padding = [0, 1].map(|axis| {
            let whole = (size[axis] - 1) * stride[axis] + kernel[axis] + extra[axis];
            padding[axis].min(kernel[axis] - 1).min((whole - 1) / 2)
        });
        compare!(
            format!("transposed {activation} {:?} ⋆ {:?}, stride {stride:?}, padding {padding:?}, {extra:?} more", x.shape, weight.shape),
            [x: 4, weight: 4, bias: 1],
            |x, w, b| crate::conv_transpose2d(x, w, b, stride, padding, extra, activation),
            |x, w, b| plain::conv_transpose2d(x, w, b, stride, padding, extra, activation)
        );
    }
}

#[test]
fn draws_and_rates() {
    let mut keyed = Numbers::new(2);
    for _ in 0..20 {
        let shape = [keyed.between(1, 50), keyed.between(1, 50)];
        let (mean, log_variance) = (keyed.array(&shape), keyed.array(&shape));
        let noise = keyed.array(&shape);
        let (noise32, noise64) = (noise.leaf::<2>(DType::F32, false).1, noise.leaf::<2>(DType::F64, false).1);
        let noise = |like: &Tensor<2>| {
            if like.dtype() == DType::F32 { noise32.clone().detach() } else { noise64.clone().detach() }
        };
        compare!(
            format!("draw {shape:?}"),
            [mean: 2, log_variance: 2],
            |m: Tensor<2>, l| { let e = noise(&m); crate::reparameterise(m, l, e) },
            |m: Tensor<2>, l| { let e = noise(&m); plain::reparameterise(m, l, e) }
        );
        compare!(
            format!("rate {shape:?}"),
            [mean: 2, log_variance: 2],
            crate::standard_normal_rate,
            plain::standard_normal_rate
        );
    }
}

#[test]
fn distortions() {
    let mut keyed = Numbers::new(3);
    for round in 0..20 {
        let [n, draws, features] = [keyed.between(1, 20), keyed.between(1, 4), keyed.between(1, 900)];
        let shape = [n * draws, features];
        let (first, mut second) = (keyed.array(&shape), keyed.array(&shape));
        second.values.iter_mut().for_each(|v| *v = *v * 0.5 - 1.0);
        let levels = [2, 16, 256][round % 3];
        let levelled: Vec<f32> =
            (0..n * features).map(|_| keyed.below(levels) as f32 / (levels - 1) as f32).collect();
        let x = Array { values: levelled, shape: vec![n, features] };
        let (x32, x64) = (x.leaf::<2>(DType::F32, false).1, x.leaf::<2>(DType::F64, false).1);
        let x = |like: &Tensor<2>| if like.dtype() == DType::F32 { x32.clone() } else { x64.clone() };
        compare!(
            format!("Bernoulli {shape:?}"),
            [first: 2],
            |l: Tensor<2>| { let x = x(&l); crate::bernoulli_distortion(l, x) },
            |l: Tensor<2>| { let x = x(&l); plain::bernoulli_distortion(l, x) }
        );
        compare!(
            format!("squared error {shape:?}"),
            [first: 2],
            |m: Tensor<2>| { let x = x(&m); crate::squared_error(m, x) },
            |m: Tensor<2>| { let x = x(&m); plain::squared_error(m, x) }
        );
        compare!(
            format!("normal {shape:?}"),
            [first: 2, second: 2],
            |m: Tensor<2>, l| { let x = x(&m); crate::normal_distortion(m, l, x) },
            |m: Tensor<2>, l| { let x = x(&m); plain::normal_distortion(m, l, x) }
        );
        compare!(
            format!("logistic {shape:?} in {levels}"),
            [first: 2, second: 2],
            |m: Tensor<2>, l| { let x = x(&m); crate::logistic_distortion(m, l, x, levels) },
            |m: Tensor<2>, l| { let x = x(&m); plain::logistic_distortion(m, l, x, levels) }
        );
    }
}

#[test]
fn a_level_s_probabilities_add_up_to_one() {
    let device = Device::flex();
    let levels = 16;
    for log_scale in [-6.0, -2.0, 1.0] {
        let x: Vec<f32> = (0..levels).map(|i| i as f32 / (levels - 1) as f32).collect();
        let x = Tensor::<1>::from_floats(x.as_slice(), &device).reshape([levels, 1]);
        let mean = Tensor::<2>::full([levels, 1], 0.37, &device);
        let log_scale = Tensor::<2>::full([levels, 1], log_scale, &device);
        let nats = crate::logistic_distortion(mean, log_scale, x, levels);
        let total: f64 = numbers(nats).iter().map(|nats| (-nats).exp()).sum();
        assert!((total - 1.0).abs() < 1e-5, "{total}");
    }
}

#[test]
fn adam_steps() {
    let mut keyed = Numbers::new(4);
    for round in 0..10u64 {
        let shape = [keyed.between(1, 400), keyed.between(1, 300)];
        let mut arrays: [Array; 4] = std::array::from_fn(|_| keyed.array(&shape));
        arrays[3].values.iter_mut().for_each(|v| *v *= *v);
        let step =
            AdamStep { step: round * round + 1, weight_decay: 0.01 * round as f64, ..AdamStep::default() };
        let run = |dtype: DType, fused: bool| {
            let [p, g, m, v] = arrays.each_ref().map(|a| a.leaf::<2>(dtype, false).0.inner());
            let after = if fused { crate::adam(p, g, m, v, &step) } else { plain::adam(p, g, m, v, &step) };
            after.map(numbers)
        };
        let (exact, plain, fused) = (run(DType::F64, false), run(DType::F32, false), run(DType::F32, true));
        for ((exact, plain), fused) in exact.iter().zip(&plain).zip(&fused) {
            assert!(relative(fused, exact) <= 2.0 * relative(plain, exact) + 1e-7);
        }
    }
}

#[test]
fn adam_keeps_its_storage_when_it_holds_the_only_handle() {
    let device = Device::flex();
    let [p, g, m, v] = [(); 4].map(|()| Tensor::<1>::ones([1000], &device));
    let address = |tensor: &Tensor<1>| {
        let tensor = tensor.clone().try_into_primitive::<burn::backend::Flex>().expect("on flex");
        tensor.bytes().as_ptr() as usize
    };
    let before = address(&p);
    let [p, _, _] = crate::adam(p, g, m, v, &AdamStep::default());
    assert_eq!(before, address(&p));
}
