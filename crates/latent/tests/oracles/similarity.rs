//! MS-SSIM as a loss: the evaluation's at one scale and at several, a plain sum over windows on the host, and its gradient.

use latent::Key;
use latent::data::ValueKind;
use latent::device::{host_f64, scalar};
use latent::evaluate::reconstruction::{PictureShape, multi_scale_ssim, ssim};
use latent::model::View;
use latent::objective::Pass;

use crate::common::*;
use crate::gradients::gradient_error;

/// A decoder that gives `made` whatever the code, on pictures of that shape.
fn fixed(shape: PictureShape, scales: usize, made: &[f64]) -> Made {
    let PictureShape { channels, height, width } = shape;
    let kind = if channels == 1 { ValueKind::Grey } else { ValueKind::Colour };
    let text = format!(
        "likelihood = {{ kind = 'normal', scale = 'fixed', mean = 'line' }}\nposterior.latent = 1\nnetwork.kind = 'linear'
        objective.estimator.kind = 'plain'
        objective.terms = {{ distortion = {{ weight = 0.0 }}, rate = {{}}, ms-ssim = {{ scales = {scales} }} }}"
    );
    let mut model = make(&text, &facts(image(channels, height, width), kind));
    model.set("decoder.0.weight", vec![0.0; made.len()]);
    model.set("decoder.0.bias", made.to_vec());
    model
}

/// 1 − the term, of each picture.
fn found(shape: PictureShape, scales: usize, pictures: &[Vec<f64>], made: &[f64]) -> Vec<f64> {
    let model = fixed(shape, scales, made);
    let rows = batch(pictures.concat(), made.len());
    let pass = Pass::new(model.view(), &rows, 1, Key::from_seed(1));
    let weighted = model.objective.terms.iter().find(|term| term.name == "ms-ssim").unwrap();
    host_f64(&weighted.term.value(&pass).unwrap().log).iter().map(|value| 1.0 - value).collect()
}

/// Smooth shapes with some noise, in [0, 1] and in single precision, as pictures are.
fn picture(shape: PictureShape, key: Key) -> Vec<f64> {
    let PictureShape { channels, height, width } = shape;
    let noise = uniforms(key, channels * height * width);
    let at = |i: usize| {
        let (c, y, x) = (i / (height * width), i / width % height, i % width);
        let wave = (0.5 * y as f64 + c as f64).sin() * (0.35 * x as f64).cos();
        f64::from((0.5 + 0.35 * wave + 0.15 * (noise[i] - 0.5)) as f32)
    };
    (0..noise.len()).map(at).collect()
}

/// Blurred along lines, and a little darker.
fn blurred(x: &[f64], width: usize) -> Vec<f64> {
    x.chunks(width)
        .flat_map(|line| (0..width).map(|i| f64::from((0.46 * (line[i] + line[(i + 1) % width])) as f32)))
        .collect()
}

const SIZES: [(usize, usize, usize); 5] = [(1, 28, 28), (3, 40, 56), (1, 9, 12), (1, 90, 101), (2, 180, 177)];

#[test]
fn it_is_the_evaluations_at_one_scale_and_at_all() {
    let single = |x: &[f64]| x.iter().map(|x| *x as f32).collect::<Vec<f32>>();
    for (channels, height, width) in SIZES {
        let shape = PictureShape { channels, height, width };
        let made = picture(shape, Key::from_seed(20));
        let pictures = [blurred(&made, width), picture(shape, Key::from_seed(21)), made.clone()];
        for (scales, of) in [(1, ssim as fn(&[f32], &[f32], PictureShape) -> f64), (5, multi_scale_ssim)] {
            let wanted: Vec<f64> = pictures.iter().map(|x| of(&single(x), &single(&made), shape)).collect();
            let found = found(shape, scales, &pictures, &made);
            println!("{channels}×{height}×{width}, {scales} at most: {wanted:.6?}");
            all_close(&found, &wanted, 1e-9);
            close(found[2], 1.0, 1e-12);
        }
    }
}

/// SSIM and its second factor of one plane, window by window, by definition.
fn by_hand(a: &[f64], b: &[f64], height: usize, width: usize) -> (f64, f64) {
    let weight = |i: usize, j: usize| {
        let square = |i: usize| (i as f64 - 5.0).powi(2);
        (-0.5 * (square(i) + square(j)) / 2.25).exp()
    };
    let all: Vec<(usize, usize)> = (0..11).flat_map(|i| (0..11).map(move |j| (i, j))).collect();
    let total: f64 = all.iter().map(|&(i, j)| weight(i, j)).sum();
    let (mut whole, mut structures, mut count) = (0.0, 0.0, 0.0);
    for (top, left) in (0..height - 10).flat_map(|top| (0..width - 10).map(move |left| (top, left))) {
        let mean = |of: &dyn Fn(usize) -> f64| -> f64 {
            all.iter().map(|&(i, j)| weight(i, j) / total * of((top + i) * width + left + j)).sum()
        };
        let (ma, mb) = (mean(&|at| a[at]), mean(&|at| b[at]));
        let va = mean(&|at| (a[at] - ma).powi(2));
        let vb = mean(&|at| (b[at] - mb).powi(2));
        let cov = mean(&|at| (a[at] - ma) * (b[at] - mb));
        let structure = (2.0 * cov + 9e-4) / (va + vb + 9e-4);
        structures += structure;
        whole += structure * (2.0 * ma * mb + 1e-4) / (ma * ma + mb * mb + 1e-4);
        count += 1.0;
    }
    (whole / count, structures / count)
}

#[test]
fn at_two_scales_it_is_the_product_by_definition() {
    let (height, width) = (25, 28);
    let shape = PictureShape { channels: 1, height, width };
    let (a, b) = (picture(shape, Key::from_seed(22)), picture(shape, Key::from_seed(23)));
    let half = |x: &[f64]| -> Vec<f64> {
        let at = |y: usize, x_: usize| x[y * width + x_];
        (0..height / 2)
            .flat_map(|y| (0..width / 2).map(move |x| (2 * y, 2 * x)))
            .map(|(y, x)| (at(y, x) + at(y, x + 1) + at(y + 1, x) + at(y + 1, x + 1)) / 4.0)
            .collect()
    };
    let (_, fine) = by_hand(&a, &b, height, width);
    let (coarse, _) = by_hand(&half(&a), &half(&b), height / 2, width / 2);
    let total = 0.0448 + 0.2856;
    let wanted = fine.powf(0.0448 / total) * coarse.powf(0.2856 / total);
    close(found(shape, 5, std::slice::from_ref(&a), &b)[0], wanted, 1e-10);
    // One scale at most is plain SSIM.
    close(found(shape, 1, std::slice::from_ref(&a), &b)[0], by_hand(&a, &b, height, width).0, 1e-10);
}

#[test]
fn its_gradient_is_that_of_its_value() {
    let shape = PictureShape { channels: 2, height: 23, width: 22 };
    let text = "likelihood = { kind = 'normal', scale = 'fixed' }\nposterior.latent = 1
        network = { kind = 'mlp', hidden = [2], activation = 'tanh' }\nobjective.estimator.kind = 'plain'
        objective.terms = { distortion = { weight = 0.0 }, rate = {}, ms-ssim = { weight = 50.0 } }";
    let made = make(text, &facts(image(2, 23, 22), ValueKind::Colour)).randomised(Key::from_seed(24), 0.3);
    let pictures = [picture(shape, Key::from_seed(25)), picture(shape, Key::from_seed(26))];
    let (rows, key) = (batch(pictures.concat(), 2 * 23 * 22), Key::from_seed(27));
    let loss = |weights: &latent::weights::Weights| {
        let view = View::training(&made.model, weights, key);
        made.objective.loss(&Pass::new(view, &rows, 1, key), None).total
    };
    let (error, at) = gradient_error(&made.weights, key, loss, |weights| scalar(&loss(weights)));
    println!("gradient off by {error:.1e} ({at})");
    assert!(error < 1e-5, "{error:.1e} at {at}");
}

#[test]
fn it_is_of_pictures() {
    for (shape, kind, said) in
        [(vector(5), ValueKind::Real, "images"), (image(1, 12, 12), ValueKind::Real, "[0, 1]")]
    {
        let text = "objective.terms = { distortion = {}, rate = {}, ms-ssim = {} }";
        let error = try_make(text, &facts(shape, kind), &double()).err().unwrap().to_string();
        assert!(error.contains(said) && error.contains("ms-ssim"), "{error}");
    }
    let text = "objective.terms = { distortion = {}, rate = {}, ms-ssim = { scales = 6 } }";
    let error =
        try_make(text, &facts(image(1, 12, 12), ValueKind::Grey), &double()).err().unwrap().to_string();
    assert!(error.contains("ms-ssim.scales"), "{error}");
}
