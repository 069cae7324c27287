//! Signs as codes: which index is which corner, where gradients go, and the entropy term by enumeration of all codes.

use latent::Key;
use latent::batch::{Batch, Latent, Noise, Support};
use latent::data::Facts;
use latent::device::host_f64;
use latent::objective::Pass;

use crate::common::*;
use crate::quantized::{gradient_at_outputs, images, rows, two};

/// A vector of two indices, or maps of 2 × 2, and how many indices that is.
fn layouts(signs: usize, sphere: bool, entropy: &str) -> [(String, Facts, usize); 2] {
    let text = |latent: &str, network: &str| {
        format!(
            "likelihood = {{ kind = 'normal', scale = 'fixed', sigma = 0.7 }}
             posterior = {{ kind = 'lfq', latent = {latent}, signs = {signs}, sphere = {sphere} }}
             prior = {{ kind = 'categorical' }}
             network = {{ {network} }}
             objective.terms = {{ distortion = {{}}, rate = {{}}, code-entropy = {{ {entropy} }} }}"
        )
    };
    [
        (text("2", "kind = 'mlp', hidden = [5], activation = 'tanh'"), two(), 2),
        (
            text("{ channels = 1, factor = 4 }", "kind = 'spatial', channels = [3, 4], norm = 'none'"),
            images(),
            4,
        ),
    ]
}

/// The vectors of rows, one for each index.
fn vectors(outputs: &[f64], places: usize, signs: usize) -> Vec<Vec<f64>> {
    let at = |row: &[f64], place: usize, k: usize| match places {
        4 => row[k * 4 + place],
        _ => row[place * signs + k],
    };
    let of = |row: &[f64]| {
        (0..places).map(|p| (0..signs).map(|k| at(row, p, k)).collect()).collect::<Vec<Vec<f64>>>()
    };
    outputs.chunks(places * signs).flat_map(of).collect()
}

/// u of a vector.
fn brought(f: &[f64], sphere: bool) -> Vec<f64> {
    let length = if sphere { f.iter().map(|f| f * f).sum::<f64>().sqrt() } else { 1.0 };
    f.iter().map(|f| f / length).collect()
}

/// The corner of an index: bit j is the sign of number j.
fn corner(index: usize, signs: usize, sphere: bool) -> Vec<f64> {
    let scale = if sphere { (signs as f64).sqrt().recip() } else { 1.0 };
    (0..signs).map(|j| if index >> j & 1 == 1 { scale } else { -scale }).collect()
}

#[test]
fn every_index_is_one_corner_and_back() {
    for (signs, sphere) in [(1, false), (3, false), (3, true), (8, false), (8, true), (12, true)] {
        for (text, facts, places) in layouts(signs, sphere, "weight = 0.0") {
            let made = make(&text, &facts);
            let codes = 1usize << signs;
            assert_eq!(made.model.latent.blocks[0].support, Support::Index(codes));
            let n = codes.div_ceil(places);
            let all: Vec<f64> = (0..n * places).map(|i| (i % codes) as f64).collect();
            let seen = host_f64(
                &made.model.posterior.features(&made.view(), &Latent::new(matrix(all.clone(), places))),
            );
            let wanted: Vec<Vec<f64>> =
                all.iter().map(|index| corner(*index as usize, signs, sphere)).collect();
            all_close(&vectors(&seen, places, signs).concat(), &wanted.concat(), 1e-12);
            // Any vector in the orthant of a corner has its index.
            let stretch = normals(Key::from_seed(8), seen.len());
            let outputs = seen.iter().zip(&stretch).map(|(c, s)| c * (0.01 + s.abs())).collect();
            let x = rows(n, facts.shape.features());
            let q = made.model.posterior.density(&made.view(), &x, matrix(outputs, places * signs));
            assert_eq!(host_f64(&q.centre().z), all);
            let draw = q.draw(1, Noise::new(Key::from_seed(1), &x.ids));
            all_close(&host_f64(&draw.features.unwrap()), &seen, 1e-12);
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
fn gradients_pass_straight_through_the_signs() {
    for sphere in [false, true] {
        for (text, facts, places) in layouts(3, sphere, "weight = 0.0") {
            let made = make(&text, &facts);
            let x = rows(3, facts.shape.features());
            let width = places * 3;
            let (outputs, weights) =
                (normals(Key::from_seed(6), 3 * width), normals(Key::from_seed(7), 3 * width));
            let noise = Noise::new(Key::from_seed(1), &x.ids);
            let found = gradient_at_outputs(&made, &x, &outputs, |q| {
                (q.draw(1, noise).features.unwrap() * matrix(weights.clone(), width).autodiff()).sum()
            });
            let value = |outputs: &[f64]| -> f64 {
                let pairs = vectors(outputs, places, 3).into_iter().zip(vectors(&weights, places, 3));
                pairs.map(|(f, w)| brought(&f, sphere).iter().zip(&w).map(|(u, w)| u * w).sum::<f64>()).sum()
            };
            all_close(&found, &differences(&outputs, value), 1e-7);
            // Commitment: ‖u − c‖², the corner held; on the sphere it is bounded by 2 − 2/√d.
            let off = |f: &[f64]| -> f64 {
                let index = f.iter().enumerate().map(|(j, f)| usize::from(*f > 0.0) << j).sum();
                let c = corner(index, 3, sphere);
                brought(f, sphere).iter().zip(&c).map(|(u, c)| (u - c).powi(2)).sum()
            };
            let each: Vec<f64> = vectors(&outputs, places, 3).iter().map(|f| off(f)).collect();
            let q = made.model.posterior.density(&made.view(), &x, matrix(outputs.clone(), width));
            let wanted: Vec<f64> = each.chunks(places).map(|row| row.iter().sum()).collect();
            all_close(&host_f64(&q.commitment().unwrap()), &wanted, 1e-12);
            assert!(!sphere || each.iter().all(|off| *off < 2.0 - 2.0 / 3f64.sqrt()), "{each:?}");
            let total = |outputs: &[f64]| vectors(outputs, places, 3).iter().map(|f| off(f)).sum();
            let found = gradient_at_outputs(&made, &x, &outputs, |q| q.commitment().unwrap());
            all_close(&found, &differences(&outputs, total), 1e-6);
        }
    }
}

/// The gradient of a function by differences.
fn differences(at: &[f64], value: impl Fn(&[f64]) -> f64) -> Vec<f64> {
    let h = 1e-5;
    let slope = |i: usize| {
        let moved = |by: f64| {
            let mut at = at.to_vec();
            at[i] += by;
            value(&at)
        };
        (moved(h) - moved(-h)) / (2.0 * h)
    };
    (0..at.len()).map(slope).collect()
}

fn entropy(law: &[f64]) -> f64 {
    law.iter().filter(|p| **p > 0.0).map(|p| -p * p.ln()).sum()
}

/// The soft law over all corners, by their distances.
fn law(u: &[f64], signs: usize, sphere: bool, temperature: f64) -> Vec<f64> {
    let near = |index: usize| {
        let c = corner(index, signs, sphere);
        -u.iter().zip(&c).map(|(u, c)| (u - c).powi(2)).sum::<f64>() / temperature
    };
    let all: Vec<f64> = (0..1 << signs).map(near).collect();
    let total = log_sum(&all);
    all.into_iter().map(|near| (near - total).exp()).collect()
}

/// The law of some signs alone.
fn marginal(law: &[f64], from: usize, length: usize) -> Vec<f64> {
    let mut own = vec![0.0; 1 << length];
    law.iter().enumerate().for_each(|(index, p)| own[index >> from & ((1 << length) - 1)] += p);
    own
}

/// Σ over indices of mean H − γ H(mean), the latter in groups.
fn by_enumeration(u: &[Vec<f64>], weight: &[f64], places: usize, group: usize, sphere: bool) -> f64 {
    let (temperature, diversity, signs) = (0.7, 1.3, u[0].len());
    let total: f64 = weight.iter().sum::<f64>() * places as f64;
    let laws: Vec<Vec<f64>> = u.iter().map(|u| law(u, signs, sphere, temperature)).collect();
    let share = |at: usize| weight[at / places] / total;
    let mean: f64 = laws.iter().enumerate().map(|(at, law)| share(at) * entropy(law)).sum();
    let mut together = vec![0.0; 1 << signs];
    for (at, law) in laws.iter().enumerate() {
        together.iter_mut().zip(law).for_each(|(sum, p)| *sum += share(at) * p);
    }
    let groups = (0..signs).step_by(group);
    let of_mean: f64 = groups.map(|from| entropy(&marginal(&together, from, group.min(signs - from)))).sum();
    places as f64 * (mean - diversity * of_mean)
}

#[test]
fn the_entropy_term_is_that_of_all_codes() {
    for sphere in [false, true] {
        let mut joint = f64::NAN;
        for group in [5, 3, 2, 1] {
            let settings = format!("temperature = 0.7, diversity = 1.3, group = {group}");
            for (text, facts, places) in layouts(5, sphere, &settings) {
                let made = make(&text, &facts).randomised(Key::from_seed(3), 0.7);
                for weighed in [false, true] {
                    let mut x = rows(6, facts.shape.features());
                    let weight = match weighed {
                        true => vec![1.0, 0.0, 2.0, 0.5, 1.0, 3.0],
                        false => vec![1.0; 6],
                    };
                    x = Batch { weight: weighed.then(|| double().tensor_f64(weight.clone(), [6])), ..x };
                    let outputs = host_f64(&made.view().encoder_outputs(&x));
                    let u = |outputs: &[f64]| -> Vec<Vec<f64>> {
                        vectors(outputs, places, 5).iter().map(|f| brought(f, sphere)).collect()
                    };
                    let wanted = by_enumeration(&u(&outputs), &weight, places, group, sphere);
                    let pass = Pass::new(made.view(), &x, 1, Key::from_seed(1));
                    let loss = made.objective.loss(&pass, None);
                    let term = &loss.terms.iter().find(|(name, _)| name == "code-entropy").unwrap().1;
                    close(host_f64(term)[0], wanted, 1e-10);
                    if places == 2 && !weighed {
                        // Groups taken for independent have the greater entropy.
                        joint = if group == 5 { wanted } else { joint };
                        assert!(wanted <= joint, "{group}: {wanted} {joint}");
                    }
                }
            }
        }
    }
}

#[test]
fn the_entropy_terms_gradient_is_that_of_the_enumeration() {
    for (sphere, group) in [(false, 3), (false, 1), (true, 2)] {
        let settings = format!("temperature = 0.7, diversity = 1.3, group = {group}");
        for (text, facts, places) in layouts(3, sphere, &settings) {
            let made = make(&text, &facts);
            let x = rows(3, facts.shape.features());
            let width = places * 3;
            let outputs = normals(Key::from_seed(6), 3 * width);
            let leaf = matrix(outputs.clone(), width).autodiff().require_grad();
            let mut pass = Pass::new(made.view(), &x, 1, Key::from_seed(1));
            pass.q = made.model.posterior.density(&made.view(), &x, leaf.clone());
            let terms = &made.objective.terms;
            let term = terms.iter().find(|weighted| weighted.name == "code-entropy").unwrap();
            let value = term.term.value(&pass).unwrap().log;
            let found = host_f64(&leaf.grad_remove(&mut value.sum().backward()).unwrap());
            let of = |outputs: &[f64]| {
                let u: Vec<Vec<f64>> =
                    vectors(outputs, places, 3).iter().map(|f| brought(f, sphere)).collect();
                by_enumeration(&u, &[1.0; 3], places, group, sphere)
            };
            all_close(&found, &differences(&outputs, of), 1e-7);
        }
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    let model = |own: &str, entropy: &str| {
        format!(
            "posterior = {{ kind = 'lfq', latent = 2, {own} }}\nprior.kind = 'categorical'
             objective.terms = {{ distortion = {{}}, code-entropy = {{ {entropy} }} }}"
        )
    };
    for (own, entropy, key, said) in [
        ("signs = 0", "", "posterior.signs", "0 signs behind an index; give 1 to 20"),
        ("signs = 21", "", "posterior.signs", "21 signs"),
        ("signs = 3", "temperature = 0.0", "temperature", "0 is not a temperature"),
        ("signs = 3", "diversity = -1.0", "diversity", "-1 is not a weight"),
        ("signs = 3", "group = 0", "group", "0 signs are enumerated together; give 1 to 12"),
        ("signs = 3", "group = 13", "group", "give 1 to 12"),
    ] {
        let refused = refusal(&model(own, entropy), &two());
        assert!(refused.contains(key) && refused.contains(said), "{refused}");
    }
}
