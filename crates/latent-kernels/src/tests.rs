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
        let kernel = [(); 2].map(|()| keyed.between(1, 7));
        let stride = [(); 2].map(|()| keyed.between(1, 4));
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
fn group_normalisations() {
    let mut keyed = Numbers::new(17);
    for round in 0..40 {
        let activation = Activation::ALL[round % Activation::ALL.len()];
        let (groups, each) = (keyed.between(1, 4), keyed.between(1, 4));
        let n = keyed.between(1, 4);
        // Now and then a group longer than a stretch.
        let most = if round % 10 == 0 { 40 } else { 9 };
        let size = [(); 2].map(|()| keyed.between(2, most));
        let mut x = keyed.array(&[n, groups * each, size[0], size[1]]);
        // Far from 0: a one-pass variance would lose its digits.
        x.values.iter_mut().for_each(|v| *v += 20.0);
        let (gain, shift) = (keyed.array(&[groups * each]), keyed.array(&[groups * each]));
        compare!(
            format!("group norm {activation} {:?} in {groups} groups", x.shape),
            [x: 4, gain: 1, shift: 1],
            |x, g, b| crate::group_norm(x, g, b, groups, 1e-5, activation),
            |x, g, b| plain::group_norm(x, g, b, groups, 1e-5, activation)
        );
    }
}

#[test]
fn draws_and_rates() {
    let mut keyed = Numbers::new(2);
    for round in 0..20 {
        let draws = if round % 2 == 0 { 1 } else { keyed.between(2, 9) };
        let [n, dims] = [keyed.between(1, 50), keyed.between(1, 50)];
        let (mean, log_variance) = (keyed.array(&[n, dims]), keyed.array(&[n, dims]));
        let noise = keyed.array(&[draws * n, dims]);
        let (noise32, noise64) = (noise.leaf::<2>(DType::F32, false).1, noise.leaf::<2>(DType::F64, false).1);
        let noise = |like: &Tensor<2>| {
            if like.dtype() == DType::F32 { noise32.clone().detach() } else { noise64.clone().detach() }
        };
        compare!(
            format!("{draws} draws of {n}×{dims}"),
            [mean: 2, log_variance: 2],
            |m: Tensor<2>, l| { let e = noise(&m); crate::reparameterise(m, l, e) },
            |m: Tensor<2>, l| { let e = noise(&m); plain::reparameterise(m, l, e) }
        );
        compare!(
            format!("sigmoid {n}×{dims}"),
            [mean: 2],
            crate::sigmoid,
            plain::sigmoid
        );
        compare!(
            format!("rate {n}×{dims}"),
            [mean: 2, log_variance: 2],
            crate::standard_normal_rate,
            plain::standard_normal_rate
        );
    }
}

#[test]
fn log_densities_of_codes() {
    let mut keyed = Numbers::new(11);
    for round in 0..20 {
        let (draws, n) = (keyed.between(1, 9), if round % 5 == 0 { 1 } else { keyed.between(1, 40) });
        let dims = keyed.between(1, 60);
        let (z, mean) = (keyed.array(&[draws * n, dims]), keyed.array(&[n, dims]));
        let log_variance = keyed.array(&[n, dims]);
        compare!(
            format!("normal, {draws} draws of {n}×{dims}"),
            [z: 2, mean: 2, log_variance: 2],
            crate::normal_log_density,
            plain::normal_log_density
        );
        compare!(
            format!("standard normal, {}×{dims}", draws * n),
            [z: 2],
            crate::standard_normal_log_density,
            plain::standard_normal_log_density
        );
        let mut weights = keyed.array(&[draws * n]);
        weights.values.iter_mut().for_each(|w| *w = *w * 30.0 - 500.0);
        compare!(
            format!("mean of {draws} weights of {n}"),
            [weights: 1],
            |w| crate::log_mean_exp(w, draws),
            |w| plain::log_mean_exp(w, draws)
        );
    }
}

#[test]
fn impossible_draws_weigh_nothing() {
    let weights = [0.0, f32::NEG_INFINITY, f32::NEG_INFINITY, f32::NEG_INFINITY];
    let weights = Tensor::<1>::from_floats(weights, &Device::flex());
    let [some, none] = numbers(crate::log_mean_exp(weights, 2))[..] else { panic!("two rows") };
    assert!((some + 2f64.ln()).abs() < 1e-6 && none == f64::NEG_INFINITY, "{some} {none}");
}

#[test]
fn squares_are_summed_in_double_precision() {
    let mut keyed = Numbers::new(12);
    for size in [0, 1, 7, 8, 1 << 14, (1 << 14) + 3, 100_000] {
        let values = keyed.normals(size);
        let exact = values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>();
        let sum = crate::sum_of_squares(&Tensor::<1>::from_floats(values.as_slice(), &Device::flex()));
        assert!((sum - exact).abs() <= 1e-12 * exact, "{size}: {sum} {exact}");
    }
    // Where single precision would overflow.
    let large = Tensor::<1>::from_floats([1e30f32, 1.0], &Device::flex());
    assert!((crate::sum_of_squares(&large) / 1e60 - 1.0).abs() < 1e-6);
}

#[test]
fn sigmoids_outside_a_graph() {
    let mut keyed = Numbers::new(14);
    let x = keyed.array(&[37, 301]);
    let [x32, x64] = [DType::F32, DType::F64].map(|dtype| x.leaf::<2>(dtype, false).0.inner());
    let held = x32.clone();
    let (fused, plain) = (numbers(crate::sigmoid(x32.clone())), numbers(plain::sigmoid(x32)));
    let exact = numbers(plain::sigmoid(x64));
    assert!(relative(&fused, &exact) <= 2.0 * relative(&plain, &exact) + 1e-7);
    assert_eq!(numbers(held)[0] as f32, x.values[0]);
}

#[test]
fn shared_parameters_are_left_as_they_are() {
    let mut keyed = Numbers::new(13);
    let (logits, x) = (keyed.array(&[9, 50]), keyed.array(&[9, 50]));
    let (leaf, x) = (logits.leaf::<2>(DType::F32, false).0, x.leaf::<2>(DType::F32, false).0.inner());
    // A node of the graph whose tensor is held here as well, and one that nobody else holds.
    let held = leaf.clone() * 2.0;
    let before = numbers(held.clone().inner());
    let beside = crate::bernoulli_distortion(held.clone(), x.clone());
    let over = crate::bernoulli_distortion(leaf.clone() * 2.0, x);
    assert_eq!(numbers(held.inner()), before);
    assert_eq!(numbers(beside.clone().inner()), numbers(over.clone().inner()));
    let gradients = [beside, over].map(|loss| numbers(leaf.grad(&loss.sum().backward()).expect("used")));
    assert_eq!(gradients[0], gradients[1]);
}

#[test]
fn moments_that_fade_become_zero() {
    let device = Device::flex();
    let full = |value: f32| Tensor::<1>::full([40], value, &device);
    let [p, m, v] = crate::adam(full(0.5), full(0.0), full(1e-30), full(1e-30), &AdamStep::default());
    assert_eq!((numbers(m)[0], numbers(v)[0], numbers(p)[0]), (0.0, 0.0, 0.5));
    let [_, m, v] = crate::adam(full(0.5), full(1e-3), full(0.0), full(0.0), &AdamStep::default());
    assert!(numbers(m)[0] > 0.0 && numbers(v)[0] > 0.0);
}

/// The tests of this file that compare with the plain bodies, again on a machine that has less.
#[test]
fn the_functions_are_as_exact_without_wide_vectors() {
    let program = std::env::current_exe().expect("this test's program");
    let again = [
        "tests::dense_layers",
        "tests::convolutions",
        "tests::draws_and_rates",
        "tests::log_densities_of_codes",
        "tests::distortions",
        "tests::adam_steps",
    ];
    for limit in ["base", "avx2"] {
        let output = std::process::Command::new(&program)
            .args(again)
            .arg("--exact")
            .env("LATENT_KERNELS", limit)
            .output()
            .expect("the program runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && text.contains("6 passed"), "{limit}: {text}");
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

/// An MLP and a convolution step or two; the bits of everything that comes out.
fn hash_of_steps() -> u64 {
    let mut keyed = Numbers::new(6);
    let mut hash = 0xCBF2_9CE4_8422_2325_u64;
    let mut absorb = |values: Vec<f32>| {
        for value in values {
            hash = (hash ^ u64::from(value.to_bits())).wrapping_mul(0x0000_0100_0000_01B3);
        }
    };
    let [x, w, v] = [[96, 300], [300, 256], [256, 300]].map(|shape| keyed.array(&shape));
    let [b, c] = [[256], [300]].map(|shape| keyed.array(&shape));
    let images = keyed.array(&[24, 3, 28, 28]);
    let [kernel, back] = [[16, 3, 4, 4], [16, 3, 4, 4]].map(|shape| keyed.array(&shape));
    let [kernel_bias, back_bias] = [[16], [3]].map(|shape| keyed.array(&shape));
    let leaf = |array: &Array| array.leaf::<2>(DType::F32, false).0;
    let leaf1 = |array: &Array| array.leaf::<1>(DType::F32, false).0;
    let leaf4 = |array: &Array| array.leaf::<4>(DType::F32, false).0;
    let (w, v, b, c) = (leaf(&w), leaf(&v), leaf1(&b), leaf1(&c));
    let x = leaf(&x).inner();
    let h = crate::dense(x.clone().autodiff(), w.clone(), b.clone(), Activation::Tanh);
    let logits = crate::dense(h, v.clone(), c.clone(), Activation::Identity);
    let loss = crate::bernoulli_distortion(logits, x);
    absorb(loss.clone().inner().into_data().try_to_vec().expect("f32"));
    let gradients = loss.mean().backward();
    for gradient in [&w, &v].map(|leaf| leaf.grad(&gradients).expect("used")) {
        absorb(gradient.into_data().try_to_vec().expect("f32"));
    }
    let (kernel, back) = (leaf4(&kernel), leaf4(&back));
    let (kernel_bias, back_bias) = (leaf1(&kernel_bias), leaf1(&back_bias));
    let (ours, pad) = ([2, 2], [1, 1]);
    let h = crate::conv2d(leaf4(&images), kernel.clone(), kernel_bias.clone(), ours, pad, Activation::Relu);
    let y =
        crate::conv_transpose2d(h, back.clone(), back_bias.clone(), ours, pad, [0, 0], Activation::Sigmoid);
    absorb(y.clone().inner().into_data().try_to_vec().expect("f32"));
    let gradients = (y.clone() * y).mean().backward();
    for gradient in [&kernel, &back].map(|leaf| leaf.grad(&gradients).expect("used")) {
        absorb(gradient.into_data().try_to_vec().expect("f32"));
    }
    for gradient in [&kernel_bias, &back_bias, &c].into_iter().filter_map(|leaf| leaf.grad(&gradients)) {
        absorb(gradient.into_data().try_to_vec().expect("f32"));
    }
    hash
}

#[test]
#[ignore = "run by the_bits_are_the_same_at_any_thread_count"]
fn print_the_hash() {
    println!("hash {:016x}", hash_of_steps());
}

#[test]
fn the_bits_are_the_same_at_any_thread_count() {
    let program = std::env::current_exe().expect("this test's program");
    let hashes = ["1", "2", "3", "4"].map(|threads| {
        let output = std::process::Command::new(&program)
            .args(["tests::print_the_hash", "--exact", "--ignored", "--nocapture"])
            .env("RAYON_NUM_THREADS", threads)
            .output()
            .expect("the program runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.split("hash ")
            .nth(1)
            .and_then(|rest| rest.get(..16))
            .unwrap_or_else(|| panic!("{text}"))
            .to_owned()
    });
    assert!(hashes.iter().all(|hash| *hash == hashes[0]), "{hashes:?}");
    assert_eq!(hashes[0], format!("{:016x}", hash_of_steps()));
}

#[test]
fn other_floats_and_plain_devices_work_too() {
    let mut keyed = Numbers::new(10);
    let [x, w] = [[3, 5], [5, 2]].map(|shape| keyed.array(&shape));
    let b = keyed.array(&[2]);
    let tensors =
        |dtype| (x.leaf::<2>(dtype, false).0, w.leaf::<2>(dtype, false).0, b.leaf::<1>(dtype, false).0);
    let (x64, w64, b64) = tensors(DType::F64);
    let y64 = crate::dense(x64.clone(), w64.clone(), b64.clone(), Activation::Silu);
    assert_eq!(y64.dtype(), DType::F64);
    let exact = numbers(plain::dense(x64, w64, b64, Activation::Silu));
    assert_eq!(numbers(y64), exact);
    let (x, w, b) = tensors(DType::F32);
    // Constants without autodiff beside a tracked weight, and no autodiff at all.
    let mixed = crate::dense(x.clone().inner(), w.clone(), b.clone().inner(), Activation::Silu);
    assert!(mixed.is_tracked());
    assert!(w.grad(&mixed.clone().sum().backward()).is_some());
    let untracked = crate::dense(x.inner(), w.inner(), b.inner(), Activation::Silu);
    assert!(!untracked.is_autodiff());
    assert_eq!(numbers(untracked.clone()), numbers(mixed.inner()));
    assert!(relative(&numbers(untracked), &exact) < 1e-6);
}

#[test]
fn nan_comes_through_every_function() {
    let device = Device::flex();
    let bad = || Tensor::<2>::from_floats([[f32::NAN, 1.0]], &device);
    let good = || Tensor::<2>::from_floats([[0.5, 1.0]], &device);
    let all_nan = |values: Vec<f64>| values.iter().any(|value| value.is_nan());
    for activation in Activation::ALL {
        let w = Tensor::<2>::eye(2, &device);
        assert!(
            all_nan(numbers(crate::dense(bad(), w, Tensor::zeros([2], &device), activation))),
            "{activation}"
        );
    }
    assert!(all_nan(numbers(crate::reparameterise(good(), bad(), good()))));
    assert!(all_nan(numbers(crate::standard_normal_rate(good(), bad()))));
    assert!(all_nan(numbers(crate::bernoulli_distortion(bad(), good()))));
    assert!(all_nan(numbers(crate::squared_error(bad(), good()))));
    assert!(all_nan(numbers(crate::normal_distortion(good(), bad(), good()))));
    assert!(all_nan(numbers(crate::logistic_distortion(bad(), good(), good(), 256))));
}

#[test]
fn nothing_is_a_size_too() {
    let device = Device::flex();
    let zeros = |shape: [usize; 2]| Tensor::<2>::zeros(shape, &device);
    let y = crate::dense(zeros([0, 3]), zeros([3, 2]), Tensor::zeros([2], &device), Activation::Relu);
    assert_eq!(y.dims(), [0, 2]);
    assert_eq!(crate::bernoulli_distortion(zeros([0, 3]), zeros([0, 3])).dims(), [0]);
    let y = crate::conv2d(
        Tensor::zeros([0, 2, 5, 5], &device),
        Tensor::zeros([3, 2, 3, 3], &device),
        Tensor::zeros([3], &device),
        [1, 1],
        [1, 1],
        Activation::Relu,
    );
    assert_eq!(y.dims(), [0, 3, 5, 5]);
}
