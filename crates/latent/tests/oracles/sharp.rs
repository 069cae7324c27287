//! What makes samples sharp: the Laplace density, edges, texture, and the straight way that starts as the best linear code.

use latent::Key;
use latent::batch::Noise;
use latent::data::ValueKind;
use latent::device::host_f64;
use latent::model::likelihood::BaseMeasure;
use latent::objective::Pass;

use crate::common::*;

#[test]
fn laplace_integrates_to_one_and_draws_from_itself() {
    let b = 0.3f64;
    let text = format!(
        "likelihood = {{ kind = 'laplace', scale = 'fixed', b = {b}, mean = 'line' }}
        posterior.latent = 1
        network.kind = 'linear'"
    );
    let made = make(&text, &facts(vector(1), ValueKind::Real));
    let likelihood = &made.model.likelihood;
    let (x, step) = grid(-8.0, 8.0, 160_001);
    let outputs = matrix(vec![0.4; x.len()], 1);
    let p: Vec<f64> = host_f64(&likelihood.log_density(&made.view(), outputs, &batch(x.clone(), 1)))
        .into_iter()
        .map(f64::exp)
        .collect();
    // b is a setting in single precision.
    close(simpson(&p, step), 1.0, 1e-7);
    assert_eq!(likelihood.measure(), BaseMeasure::Lebesgue);
    let n = 40_000;
    let ids: Vec<u64> = (0..n).collect();
    let outputs = matrix(vec![0.4; n as usize], 1);
    let drawn = host_f64(&likelihood.draw(&made.view(), outputs, Noise::new(Key::from_seed(3), &ids)));
    assert!(mean_z(drawn.iter().copied(), 0.4).abs() < 4.5);
    // E|x − g| = b with variance b², and a quarter of the draws lies beyond g + b ln 2.
    assert!(mean_z(drawn.iter().map(|x| (x - 0.4).abs()), b).abs() < 4.5);
    let beyond = |x: &f64| f64::from(u8::from(*x > 0.4 + b * std::f64::consts::LN_2));
    assert!(mean_z(drawn.iter().map(beyond), 0.25).abs() < 4.5);
}

#[test]
fn the_optimal_laplace_scale_is_the_mean_absolute_error() {
    let facts = facts(vector(3), ValueKind::Real);
    let text = |scale: &str| {
        format!(
            "likelihood = {{ kind = 'laplace', scale = '{scale}' }}\nposterior.latent = 1\nnetwork.kind = 'linear'"
        )
    };
    let (optimal, mut given) = (make(&text("optimal"), &facts), make(&text("learned"), &facts));
    let (x, centre) = (normals(Key::from_seed(1), 12), normals(Key::from_seed(2), 12));
    let rows = batch(x.clone(), 3);
    let total = |v: Vec<f64>| v.iter().sum::<f64>();
    let of = |made: &Made, training: bool| {
        let view = if training { made.training() } else { made.view() };
        total(host_f64(&made.model.likelihood.log_density(&view, matrix(centre.clone(), 3), &rows)))
    };
    let best = of(&optimal, true);
    let error = x.iter().zip(&centre).map(|(x, c)| (x - c).abs()).sum::<f64>() / 12.0;
    close(best, -12.0 * ((2.0 * error).ln() + 1.0), 1e-12);
    for off in [-0.1, 0.0, 0.1] {
        given.set("likelihood.log_scale", vec![error.ln() + off]);
        let found = of(&given, false);
        assert!(
            if off == 0.0 { (found - best).abs() < 1e-12 } else { found < best },
            "{off}: {found} {best}"
        );
    }
}

/// The value of a term where the decoder gives `made` for an image `x` of 4×6.
fn term(text: &str, name: &str, x: &[f64], made: &[f64]) -> f64 {
    let text = format!(
        "likelihood = {{ kind = 'normal', scale = 'fixed', mean = 'line' }}
        posterior.latent = 1
        network.kind = 'linear'
        [objective.terms]
        distortion = {{}}
        rate = {{}}
        {name} = {text}"
    );
    let mut model = make(&text, &facts(image(1, 4, 6), ValueKind::Grey));
    model.set("decoder.0.weight", vec![0.0; 24]);
    model.set("decoder.0.bias", made.to_vec());
    let rows = batch(x.to_vec(), 24);
    let pass = Pass::new(model.view(), &rows, 1, Key::from_seed(1));
    let weighted = model.objective.terms.iter().find(|term| term.name == name).unwrap();
    host_f64(&weighted.term.value(&pass).unwrap().log)[0]
}

/// Means of absolute differences, down and across, of an image of that width; and how many.
fn contrast(x: &[f64], width: usize) -> (f64, usize) {
    let height = x.len() / width;
    let down = (0..(height - 1) * width).map(|i| (x[i + width] - x[i]).abs());
    let across = (0..height * width).filter(|i| i % width + 1 < width).map(|i| (x[i + 1] - x[i]).abs());
    let all: Vec<f64> = down.chain(across).collect();
    (all.iter().sum::<f64>() / all.len() as f64, all.len())
}

/// Means of blocks of 2×2.
fn half(x: &[f64], width: usize) -> Vec<f64> {
    let w = width / 2;
    let sum = |i: usize| {
        let at = i / w * 2 * width + i % w * 2;
        (x[at] + x[at + 1] + x[at + width] + x[at + width + 1]) / 4.0
    };
    (0..x.len() / 4).map(sum).collect()
}

#[test]
fn edges_are_laplace_densities_of_differences_at_each_size() {
    let (x, made) = (uniforms(Key::from_seed(4), 24), uniforms(Key::from_seed(5), 24));
    let error: Vec<f64> = x.iter().zip(&made).map(|(x, m)| x - m).collect();
    let band = |(b, count): (f64, usize)| count as f64 * (1.0 + (2.0 * b).ln());
    let wanted = band(contrast(&error, 6)) + band(contrast(&half(&error, 6), 3));
    close(term("{ scales = 2 }", "edges", &x, &made), wanted, 1e-12);
    // A shift of the whole image has no edges; a row without error is not worth more than the least error.
    let shifted: Vec<f64> = x.iter().map(|x| x + 0.1).collect();
    let least = band((1.0 / 1024.0, 4 * 6 * 2 - 4 - 6));
    close(term("{ scales = 1 }", "edges", &x, &shifted), least, 1e-9);
}

#[test]
fn texture_compares_amounts_of_detail_and_not_where_it_lies() {
    let x = uniforms(Key::from_seed(6), 24);
    close(term("{ scales = 1, window = 2 }", "texture", &x, &x), 0.0, 1e-12);
    // The negative has the same detail; half the contrast has less, and less detail costs more.
    let negative: Vec<f64> = x.iter().map(|x| 1.0 - x).collect();
    close(term("{ scales = 1, window = 2 }", "texture", &x, &negative), 0.0, 1e-12);
    let faded = |share: f64| -> Vec<f64> { x.iter().map(|x| 0.5 + share * (x - 0.5)).collect() };
    let cost = |share: f64| term("{ scales = 1, window = 2 }", "texture", &x, &faded(share));
    assert!(cost(0.9) > 0.0 && cost(0.5) > cost(0.9) && cost(0.1) > cost(0.5));
}

#[test]
fn terms_of_images_are_refused_for_tables() {
    for name in ["edges", "texture"] {
        let text = format!("objective.terms = {{ distortion = {{}}, rate = {{}}, {name} = {{}} }}");
        let error = try_make(&text, &facts(vector(5), ValueKind::Real), &double()).err().unwrap().to_string();
        assert!(error.contains("images") && error.contains(name), "{error}");
    }
}
