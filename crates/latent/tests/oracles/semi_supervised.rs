//! The semi-supervised bound against its sum on the host, and against −ln p(x) of a linear model of two classes, where the posterior
//! and the classifier that make it exact are linear, too.

use latent::Key;
use latent::batch::Batch;
use latent::data::{Attribute, Facts, ValueKind};
use latent::device::{host_f64, scalar};
use latent::model::View;
use latent::objective::Pass;
use latent::weights::Weights;

use crate::common::*;
use crate::gradients::gradient_error;

const FEATURES: usize = 3;

/// Real rows whose model is told a number and one of so many classes.
fn told(classes: usize, number: bool) -> Facts {
    let names = (0..classes).map(|class| format!("c{class}")).collect();
    let class =
        Attribute::Class { name: "label".into(), classes: names, counts: vec![10; classes], unknown: false };
    let age = Attribute::Number {
        name: "age".into(),
        mean: 0.0,
        deviation: 1.0,
        range: [-3.0, 3.0],
        unknown: false,
    };
    let condition = if number { vec![age, class] } else { vec![class] };
    Facts { condition, ..facts(vector(FEATURES), ValueKind::Real) }
}

fn text(estimator: &str) -> String {
    format!(
        "likelihood = {{ kind = 'normal', scale = 'fixed', sigma = 0.6 }}\nposterior.latent = 1\nnetwork.kind = 'linear'
        objective.terms = {{ distortion = {{}}, rate = {{}} }}
        objective.estimator = {{ kind = 'semi-supervised', {estimator} }}"
    )
}

fn with(rows: &Batch, condition: Vec<f64>) -> Batch {
    let width = condition.len() / rows.len();
    Batch { condition: Some(matrix(condition, width)), ..rows.clone() }
}

fn loss(made: &Made, weights: &Weights, rows: &Batch, key: Key, training: bool) -> burn::tensor::Tensor<1> {
    let view = match training {
        true => View::training(&made.model, weights, key),
        false => View::evaluation(&made.model, weights),
    };
    made.objective.loss(&Pass::new(view, rows, made.objective.estimator.draws(), key), None).total
}

#[test]
fn it_is_the_sum_over_classes_where_none_is_known() {
    let (classes, alpha) = (3, 0.7);
    let made = make(&text(&format!("draws = 2, alpha = {alpha}, hidden = [4]")), &told(classes, true))
        .randomised(Key::from_seed(30), 0.6);
    let (x, ages) = (normals(Key::from_seed(31), 4 * FEATURES), [0.3, -1.0, 0.7, 2.0]);
    let rows = batch(x.clone(), FEATURES);
    let key = Key::from_seed(32);
    // The classes of the first and third row are known, those of the others are not.
    let known = [Some(1), None, Some(0), None];
    let condition = |of: &dyn Fn(usize) -> Option<usize>| -> Vec<f64> {
        let one_hot = |row| (0..classes).map(move |c| f64::from(u8::from(of(row) == Some(c))));
        (0..4).flat_map(|row| std::iter::once(ages[row]).chain(one_hot(row)).collect::<Vec<f64>>()).collect()
    };
    // ℓ(x, y) of every row told every class.
    let told: Vec<Vec<f64>> = (0..classes)
        .map(|class| {
            let rows = with(&rows, condition(&|_| Some(class)));
            let pass = Pass::new(View::training(&made.model, &made.weights, key), &rows, 2, key);
            let (d, r) = (host_f64(pass.distortion()), host_f64(&pass.rate().unwrap().total));
            (0..4).map(|row| 0.5 * (d[row] + d[4 + row]) + r[row] + (classes as f64).ln()).collect()
        })
        .collect();
    let log_q = |row: usize| -> Vec<f64> {
        let affine = |name: &str, input: &[f64]| -> Vec<f64> {
            let path = format!("objective.estimator.{name}");
            let (w, b) = (made.get(&format!("{path}.weight")), made.get(&format!("{path}.bias")));
            let n = b.len();
            (0..n)
                .map(|j| b[j] + input.iter().enumerate().map(|(i, v)| v * w[i * n + j]).sum::<f64>())
                .collect()
        };
        let hidden = affine("classifier0", &x[row * FEATURES..][..FEATURES]).into_iter().map(softplus);
        let logits = affine("classifier", &hidden.collect::<Vec<_>>());
        let total = log_sum(&logits);
        logits.iter().map(|logit| logit - total).collect()
    };
    let unknown = |row: usize| -> f64 {
        log_q(row).iter().zip(&told).map(|(log_q, told)| log_q.exp() * (told[row] + log_q)).sum()
    };
    let each = |row: usize| match known[row] {
        Some(class) => told[class][row] - alpha * log_q(row)[class],
        None => unknown(row),
    };
    let wanted = (0..4).map(each).sum::<f64>() / 4.0;
    let rows = with(&rows, condition(&|row| known[row]));
    close(scalar(&loss(&made, &made.weights, &rows, key, true)), wanted, 1e-10);
    // Held-out rows are read without their class.
    let wanted = (0..4).map(unknown).sum::<f64>() / 4.0;
    let held_out = scalar(&loss(&made, &made.weights, &rows, key, false));
    close(held_out, wanted, 1e-10);
    // Rows count by their weights.
    let weighted = Batch { weight: Some(double().tensor_f64(vec![1.0, 3.0, 0.0, 0.5], [4])), ..rows.clone() };
    let wanted = (each(0) + 3.0 * each(1) + 0.5 * each(3)) / 4.5;
    close(scalar(&loss(&made, &made.weights, &weighted, key, true)), wanted, 1e-10);
    // And its gradient is that of its value.
    let of = |weights: &Weights| loss(&made, weights, &rows, key, true);
    let (error, at) = gradient_error(&made.weights, key, of, |weights| scalar(&of(weights)));
    println!("gradient off by {error:.1e} ({at})");
    assert!(error < 1e-6, "{error:.1e} at {at}");
}

#[test]
fn with_the_exact_posterior_and_classifier_it_is_the_surprise_of_a_linear_model() {
    // x = b + B_y + w z + 0.6 ε, so that p(x) = ½ Σ_y N(b + B_y, w wᵀ + 0.36 I).
    let (w, b) = ([0.8, -0.5, 1.1], [0.1, 0.4, -0.2]);
    let shift = [[0.9, -0.7, 0.2], [-0.4, 0.6, 1.0]];
    let (variance, dot) = (0.36, |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>());
    let mean = |y: usize| -> Vec<f64> { (0..FEATURES).map(|i| b[i] + shift[y][i]).collect() };
    let mut made = make(&text("draws = 40, hidden = []"), &told(2, false));
    made.set("decoder.0.weight", [&w[..], &shift[0], &shift[1]].concat());
    made.set("decoder.0.bias", b.to_vec());
    // q(z|x, y) = N(v w·(x − b − B_y)/σ², v),  v = 1/(1 + ‖w‖²/σ²)
    let v = 1.0 / (1.0 + dot(&w, &w) / variance);
    let rows_of = |i: usize| w[i] * v / variance;
    let mut encoder: Vec<f64> = (0..FEATURES).flat_map(|i| [rows_of(i), 0.0]).collect();
    encoder.extend((0..2).flat_map(|y| [-v * dot(&w, &shift[y]) / variance, 0.0]));
    made.set("encoder.0.weight", encoder);
    made.set("encoder.0.bias", vec![-v * dot(&w, &b) / variance, v.ln()]);
    // ln p(y|x) is affine in x, as the classes share a covariance: logits xᵀΣ⁻¹μ_y − ½ μ_yᵀΣ⁻¹μ_y.
    let covariance =
        faer::Mat::from_fn(FEATURES, FEATURES, |i, j| w[i] * w[j] + if i == j { variance } else { 0.0 });
    let precision = inverse(&covariance);
    let against = |y: usize| -> Vec<f64> {
        (0..FEATURES).map(|i| (0..FEATURES).map(|j| precision[(i, j)] * mean(y)[j]).sum()).collect()
    };
    let sides = [against(0), against(1)];
    let classifier = (0..FEATURES).flat_map(|i| [sides[0][i], sides[1][i]]).collect();
    made.set("objective.estimator.classifier.weight", classifier);
    let halves: Vec<f64> = (0..2).map(|y| -0.5 * dot(&sides[y], &mean(y))).collect();
    made.set("objective.estimator.classifier.bias", halves.clone());
    let x = normals(Key::from_seed(33), 5 * FEATURES);
    let densities = [0, 1].map(|y| linear_marginal(&w, &mean(y), variance));
    let surprise: f64 = x
        .chunks(FEATURES)
        .map(|x| -(log_sum(&[densities[0].log_density(x), densities[1].log_density(x)]) - 2f64.ln()))
        .sum::<f64>()
        / 5.0;
    let rows = with(&batch(x, FEATURES), vec![0.0; 10]);
    let bound = |made: &Made| -> Vec<f64> {
        (0..60u64)
            .map(|i| scalar(&loss(made, &made.weights, &rows, Key::from_seed(34).fold(i), false)))
            .collect()
    };
    let found = bound(&made);
    let off = mean_z(found.iter().copied(), surprise);
    println!("−ln p(x) = {surprise:.4}: {off:.2} standard errors");
    assert!(off.abs() < 4.5);
    // With any other classifier it lies above.
    made.set("objective.estimator.classifier.bias", vec![halves[0] + 2.0, halves[1] - 2.0]);
    let worse = bound(&made).iter().sum::<f64>() / 60.0;
    assert!(worse > surprise + 0.05, "{worse} {surprise}");
}

#[test]
fn what_cannot_be_summed_over_is_refused() {
    let refused = |text: &str, facts: &Facts| {
        try_make(text, facts, &double()).err().unwrap_or_else(|| panic!("not refused: {text}")).to_string()
    };
    let facts = told(2, false);
    assert!(
        refused(&text("draws = 1"), &Facts { condition: Vec::new(), ..facts.clone() })
            .contains("data.condition")
    );
    for (setting, said) in [
        ("alpha = -1.0", "objective.estimator.alpha"),
        ("labelled = 0.0", "objective.estimator.labelled"),
        ("labelled = 1.5", "objective.estimator.labelled"),
        ("hidden = [0]", "objective.estimator.hidden"),
        ("draws = 0", "objective.estimator.draws"),
    ] {
        let found = refused(&text(setting), &facts);
        assert!(found.contains(said), "{setting}: {found}");
    }
    let beside = text("draws = 1").replace("rate = {}", "rate = {}, mmd = {}");
    assert!(refused(&beside, &facts).contains("mmd"));
    let weighed = text("draws = 1").replace("rate = {}", "rate = { weight = 2.0 }");
    assert!(refused(&weighed, &facts).contains("rate"));
}
