//! Finite scalar quantisation against the formulas on the host: which index stands for which levels, how far a number can go,
//! where gradients go.

use latent::Key;
use latent::batch::{Latent, Noise, Support};
use latent::data::Facts;
use latent::device::host_f64;
use latent::model::log_density_by_enumeration;
use latent::objective::Pass;

use crate::common::*;
use crate::quantized::{gradient_at_outputs, images, mlp, rows, two};

const EPSILON: f64 = 1e-3;

/// A vector of two indices and maps of two indices at each place: the posterior, its facts, its network, its indices.
fn layouts(levels: &[usize]) -> [(String, Facts, usize); 2] {
    let text = |latent: &str, network: &str| {
        format!(
            "likelihood = {{ kind = 'normal', scale = 'fixed', sigma = 0.7 }}
             posterior = {{ kind = 'fsq', latent = {latent}, levels = {levels:?} }}
             prior = {{ kind = 'categorical' }}
             network = {{ {network} }}
             objective.terms = {{ distortion = {{}}, rate = {{}}, commitment = {{ weight = 0.25 }} }}"
        )
    };
    [
        (text("2", "kind = 'mlp', hidden = [5], activation = 'tanh'"), two(), 2),
        (
            text("{ channels = 2, factor = 4 }", "kind = 'spatial', channels = [3, 4], norm = 'none'"),
            images(),
            8,
        ),
    ]
}

/// The levels of a number, from the least to the greatest, as the decoder sees them.
fn levels_of(levels: usize) -> Vec<f64> {
    let middle = (levels / 2) as f64;
    (0..levels).map(|level| (level as f64 - middle) / middle).collect()
}

/// ½ (L − 1)(1 + ε) tanh(f + s) − o with s = atanh(2 o / (L − 1)(1 + ε))
fn bounded(levels: usize, f: f64) -> f64 {
    let half = (levels as f64 - 1.0) * (1.0 + EPSILON) / 2.0;
    let offset = if levels.is_multiple_of(2) { 0.5 } else { 0.0 };
    half * (f + (offset / half).atanh()).tanh() - offset
}

/// Where `bounded` is that.
fn inverse(levels: usize, b: f64) -> f64 {
    let half = (levels as f64 - 1.0) * (1.0 + EPSILON) / 2.0;
    let offset = if levels.is_multiple_of(2) { 0.5 } else { 0.0 };
    ((b + offset) / half).atanh() - (offset / half).atanh()
}

/// Vectors laid out as the encoder gives them: maps of two groups of channels over 2 × 2 places, or one after the other.
fn laid_out(vectors: &[Vec<f64>], places: usize) -> Vec<f64> {
    if places == 2 {
        return vectors.concat();
    }
    let width = vectors[0].len();
    let mut all = Vec::new();
    for row in vectors.chunks(8) {
        for group in row.chunks(4) {
            (0..width).for_each(|k| all.extend(group.iter().map(|vector| vector[k])));
        }
    }
    all
}

#[test]
fn every_index_is_one_vector_of_levels_and_back() {
    for levels in [vec![3], vec![4, 3], vec![8, 6, 5], vec![7, 5, 5, 5, 5]] {
        let (width, codes) = (levels.len(), levels.iter().product::<usize>());
        for (text, facts, places) in layouts(&levels) {
            let made = make(&text, &facts);
            let block = &made.model.latent.blocks[0];
            assert_eq!(block.support, Support::Index(codes));
            assert_eq!(block.shape, if places == 2 { vec![2] } else { vec![2, 2, 2] });
            // Every index once, and some again to fill the last row.
            let n = codes.div_ceil(places);
            let all: Vec<f64> = (0..n * places).map(|i| (i % codes) as f64).collect();
            let seen = host_f64(
                &made.model.posterior.features(&made.view(), &Latent::new(matrix(all.clone(), places))),
            );
            // The first number turns fastest.
            let of = |index: &f64| -> Vec<f64> {
                let mut rest = *index as usize;
                let number = |l: &usize| {
                    let found = levels_of(*l)[rest % l];
                    rest /= l;
                    found
                };
                levels.iter().map(number).collect()
            };
            let wanted: Vec<Vec<f64>> = all.iter().map(of).collect();
            all_close(&seen, &laid_out(&wanted, places), 1e-15);
            let mut different = wanted[..codes].to_vec();
            different.sort_by(|a, b| a.partial_cmp(b).unwrap());
            different.dedup();
            assert_eq!(different.len(), codes);
            // An encoder that gives exactly these levels, and one that gives them up to half of a step.
            for off in [0.0, 0.49, -0.49] {
                let output = |vector: &Vec<f64>| -> Vec<f64> {
                    let of = |(v, l): (&f64, &usize)| {
                        let half = (*l as f64 - 1.0) * (1.0 + EPSILON) / 2.0;
                        let offset = if l.is_multiple_of(2) { 0.5 } else { 0.0 };
                        // The outermost cells end at the bound.
                        let b = (v * (l / 2) as f64 + off).clamp(-half - offset + 1e-6, half - offset - 1e-6);
                        inverse(*l, b)
                    };
                    vector.iter().zip(&levels).map(of).collect()
                };
                let outputs = laid_out(&wanted.iter().map(output).collect::<Vec<_>>(), places);
                let x = rows(n, facts.shape.features());
                let q = made.model.posterior.density(&made.view(), &x, matrix(outputs, places * width));
                assert_eq!(host_f64(&q.centre().z), all, "{levels:?} {places} {off}");
                let draw = q.draw(1, Noise::new(Key::from_seed(1), &x.ids));
                all_close(&host_f64(&draw.features.unwrap()), &seen, 1e-12);
            }
            // Stored numbers outside the book are its ends.
            let decoded = |index: f64| {
                let z = Latent::new(matrix(vec![index; places], places));
                host_f64(&made.model.posterior.features(&made.view(), &z))
            };
            assert_eq!(decoded(-3.0), decoded(0.0));
            assert_eq!(decoded(codes as f64 + 7.0), decoded(codes as f64 - 1.0));
        }
    }
}

#[test]
fn numbers_are_bounded_and_0_is_a_level() {
    let levels = [8, 6, 5, 3];
    let (text, facts, _) = layouts(&levels)[0].clone();
    let made = make(&text, &facts);
    let x = rows(1, 3);
    let seen = |f: f64| {
        let q = made.model.posterior.density(&made.view(), &x, matrix(vec![f; 8], 8));
        host_f64(&q.draw(1, Noise::new(Key::from_seed(1), &x.ids)).features.unwrap())[..4].to_vec()
    };
    let ends: Vec<Vec<f64>> = levels.iter().map(|l| levels_of(*l)).collect();
    for f in [1e9, 40.0] {
        all_close(&seen(f), &ends.iter().map(|l| l[l.len() - 1]).collect::<Vec<_>>(), 1e-12);
        all_close(&seen(-f), &ends.iter().map(|l| l[0]).collect::<Vec<_>>(), 1e-12);
    }
    all_close(&seen(0.0), &[0.0; 4], 1e-12);
    // Even numbers of levels reach further down than up.
    assert_eq!(ends[0].first(), Some(&-1.0));
    assert_eq!(ends[0].last(), Some(&0.75));
    assert_eq!((ends[2].first(), ends[2].last()), (Some(&-1.0), Some(&1.0)));
}

#[test]
fn the_gradient_is_that_of_the_bounded_numbers() {
    let levels = [8, 5, 4];
    for (text, facts, places) in layouts(&levels) {
        let made = make(&text, &facts);
        let x = rows(3, facts.shape.features());
        let width = places * 3;
        let outputs = normals(Key::from_seed(6), 3 * width);
        let weights = normals(Key::from_seed(7), 3 * width);
        let noise = Noise::new(Key::from_seed(1), &x.ids);
        let found = gradient_at_outputs(&made, &x, &outputs, |q| {
            let seen = q.draw(1, noise).features.unwrap();
            (seen * matrix(weights.clone(), width).autodiff()).sum()
        });
        let channel = |i: usize| if places == 2 { i % 3 } else { i / 4 % 3 };
        let h = 1e-6;
        let wanted: Vec<f64> = (0..outputs.len())
            .map(|i| {
                let l = levels[channel(i)];
                let slope = (bounded(l, outputs[i] + h) - bounded(l, outputs[i] - h)) / (2.0 * h);
                weights[i] * slope / (l / 2) as f64
            })
            .collect();
        assert!(wanted.iter().any(|g| g.abs() > 0.1), "{wanted:?}");
        all_close(&found, &wanted, 1e-8);
    }
}

#[test]
fn p_of_x_is_the_sum_over_all_indices() {
    let levels = [4, 3];
    let (text, facts, _) = layouts(&levels)[0].clone();
    let made = make(&text, &facts).randomised(Key::from_seed(3), 0.7);
    let x = rows(6, 3);
    let found = host_f64(&log_density_by_enumeration(&made.view(), &x).unwrap());
    let [first, second] = levels.map(levels_of);
    let vector = |index: usize| [first[index % 4], second[index / 4]];
    let exact = |x: &[f64]| {
        let of = |code: usize| {
            let y = mlp(&made, "decoder", &[vector(code % 12), vector(code / 12)].concat());
            x.iter().zip(&y).map(|(x, y)| log_normal(*x, *y, 0.49)).sum::<f64>() - 144f64.ln()
        };
        log_sum(&(0..144).map(of).collect::<Vec<_>>())
    };
    let wanted: Vec<f64> = host_f64(&x.x).chunks(3).map(exact).collect();
    all_close(&found, &wanted, 1e-6);
    // A code costs ln K an index, and there is nothing to be committed to.
    let pass = Pass::new(made.view(), &x, 1, Key::from_seed(1));
    all_close(&host_f64(&pass.rate().unwrap().total), &[2.0 * 12f64.ln(); 6], 1e-14);
    assert!(pass.q.commitment().is_none());
    let loss = made.objective.loss(&pass, None);
    assert!(loss.terms.iter().all(|(name, _)| name != "commitment"));
    assert!(made.weights.iter().all(|(_, weight)| !weight.path().starts_with("posterior")));
}

#[test]
fn the_papers_sets_of_levels_are_books_of_their_sizes() {
    let sets: [(&[usize], usize); 5] = [
        (&[8, 6, 5], 240),
        (&[8, 5, 5, 5], 1000),
        (&[7, 5, 5, 5, 5], 4375),
        (&[8, 8, 8, 6, 5], 15_360),
        (&[8, 8, 8, 5, 5, 5], 64_000),
    ];
    for (levels, codes) in sets {
        let (text, facts, _) = layouts(levels)[0].clone();
        let made = make(&text, &facts);
        assert_eq!(made.model.latent.blocks[0].support, Support::Index(codes));
    }
    for (levels, said) in [
        ("[]", "no levels"),
        ("[8, 2]", "2 levels are no scale; give at least 3"),
        ("[1024, 1024, 3]", "is more than 1048576 codes"),
    ] {
        let text = format!(
            "posterior = {{ kind = 'fsq', latent = 2, levels = {levels} }}\nprior.kind = 'categorical'"
        );
        let refused = refusal(&text, &two());
        assert!(refused.contains("posterior.levels") && refused.contains(said), "{refused}");
    }
    // A product beyond what a machine counts.
    let huge = "posterior = { kind = 'fsq', latent = 2, levels = [1048576, 1048576, 1048576, 1048576] }
        prior.kind = 'categorical'";
    assert!(refusal(huge, &two()).contains("is more than 1048576 codes"));
}
