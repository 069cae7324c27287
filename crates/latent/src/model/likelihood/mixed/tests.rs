//! What is drawn column after column is a distribution: it sums to 1, and what is trained estimates its logarithm.

use burn::tensor::Tensor;

use super::{Allowed, Evidence};
use crate::Key;
use crate::batch::{Batch, Noise};
use crate::data::table::{GAP, UNKNOWN};
use crate::data::{Data, Part};
use crate::device::{Device, host, host_f64};
use crate::member::Registry;
use crate::model::{LatentModel, View};
use crate::run::{Layers, resolve};
use crate::weights::Weights;

/// A model with fresh weights of a table: a category with gaps, and a number of three values.
fn model() -> (LatentModel, Weights) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.csv");
    let lines: Vec<String> =
        (0..30).map(|i| format!("{},{}", ["x", "y", ""][i % 3], [1, 2, 5][i / 3 % 3])).collect();
    std::fs::write(&path, format!("a,b\n{}\n", lines.join("\n"))).unwrap();
    built(&path)
}

fn built(path: &std::path::Path) -> (LatentModel, Weights) {
    let mut layers = Layers::from_preset("table").unwrap();
    for setting in [
        &format!("data.source={:?}", path.display().to_string()),
        "data.validation=0.0",
        "data.test=0.0",
        "likelihood.width=16",
        "network.width=16",
        "posterior.latent=2",
    ] {
        layers.set(setting).unwrap();
    }
    let mut settings = layers.data().unwrap();
    settings.validation = Some(Part::Fraction(0.0));
    let data = Data::open(&settings, Key::from_seed(1), &mut |_| {}).unwrap();
    let (checked, _) = resolve(&layers, data.facts(), &Registry::default()).unwrap();
    checked.build(&Device::cpu()).unwrap()
}

fn batch(x: &[f32], columns: usize) -> Batch {
    let rows = x.len() / columns;
    Batch::of(Device::cpu().tensor(x.to_vec(), [rows, columns]), (0..rows as u64).collect())
}

/// What the decoder could have given, the same for each of some rows.
fn outputs(rows: usize) -> Tensor<2> {
    let mut one = vec![0.0; 16];
    Key::from_seed(3).normals(&mut one);
    Device::cpu().tensor(one.repeat(rows), [rows, 16])
}

/// Every row that there can be.
const ALL: [[f32; 2]; 9] = {
    let mut all = [[0.0; 2]; 9];
    let mut at = 0;
    while at < 9 {
        all[at] = [if at / 3 == 2 { GAP } else { (at / 3) as f32 }, (at % 3) as f32];
        at += 1;
    }
    all
};

fn log_density(view: &View<'_>, x: &[f32]) -> Vec<f64> {
    host_f64(&view.model.likelihood.log_density(view, outputs(x.len() / 2), &batch(x, 2)))
}

#[test]
fn the_probabilities_of_all_rows_sum_to_1() {
    let (model, weights) = model();
    let view = View::evaluation(&model, &weights);
    let all: f64 = log_density(&view, &ALL.concat()).iter().map(|p| p.exp()).sum();
    assert!((all - 1.0).abs() < 1e-5, "{all}");
    // An unknown cell is summed over.
    let some = log_density(&view, &[UNKNOWN, 1.0, 0.0, UNKNOWN]);
    let of = |keep: &dyn Fn(&[f32; 2]) -> bool| -> f64 {
        let rows: Vec<f32> = ALL.iter().filter(|row| keep(row)).flatten().copied().collect();
        log_density(&view, &rows).iter().map(|p| p.exp()).sum()
    };
    assert!((some[1].exp() - of(&|row| row[0] == 0.0)).abs() < 1e-5);
}

#[test]
fn what_is_trained_estimates_the_mean_over_orders() {
    let (model, weights) = model();
    let view = View::evaluation(&model, &weights);
    let x = [1.0, 2.0];
    // log p(a) + log p(b | a) and log p(b) + log p(a | b).
    let marginal = log_density(&view, &[1.0, UNKNOWN, UNKNOWN, 2.0]);
    let surprises = model.likelihood.surprises(&view, outputs(1), &batch(&x, 2)).unwrap();
    let (given_b, given_a) = (f64::from(surprises[0]), f64::from(surprises[1]));
    let in_order = log_density(&view, &x)[0];
    assert!((in_order - (marginal[0] + given_a)).abs() < 1e-5);
    let other_order = marginal[1] + given_b;
    // Half of the rows are shown in order, and then nothing, or the first column, is shown; the others in any order.
    let of = |shown: usize| match shown {
        0 => marginal[0] + marginal[1],
        1 => 2.0 * given_a,
        _ => 2.0 * given_b,
    };
    let expected = 0.5 * (0.5 * of(0) + 0.5 * of(1)) + 0.5 * (0.5 * of(0) + 0.25 * of(1) + 0.25 * of(2));
    let n = 6000;
    let rows = batch(&x.repeat(n), 2);
    let training = View::training(&model, &weights, Key::from_seed(9));
    let estimates = host_f64(&model.likelihood.log_density(&training, outputs(n), &rows));
    let mean = estimates.iter().sum::<f64>() / n as f64;
    let spread = estimates.iter().map(|e| (e - mean).powi(2)).sum::<f64>() / n as f64;
    let error = (spread / n as f64).sqrt();
    assert!((mean - expected).abs() < 5.0 * error + 1e-4, "{mean} {expected} ± {error}");
    // Without the rows in order it is the mean over both orders.
    let any = 0.5 * of(0) + 0.25 * of(1) + 0.25 * of(2);
    assert!((any - 0.5 * (in_order + other_order)).abs() < 1e-5);
}

#[test]
fn draws_follow_the_probabilities_and_conditions_weigh_by_theirs() {
    let (model, weights) = model();
    let view = View::evaluation(&model, &weights);
    let p: Vec<f64> = log_density(&view, &ALL.concat()).iter().map(|p| p.exp()).collect();
    let n = 20_000;
    let ids: Vec<u64> = (0..n as u64).collect();
    let drawn = host(&model.likelihood.draw(&view, outputs(n), Noise::new(Key::from_seed(4), &ids)));
    let place = |row: &[f32]| {
        let floor = [if row[0] < 0.0 { GAP } else { row[0].floor() }, row[1].floor()];
        ALL.iter().position(|known| *known == floor).unwrap()
    };
    let mut counts = [0.0; 9];
    drawn.chunks(2).for_each(|row| counts[place(row)] += 1.0 / n as f64);
    for (count, p) in counts.iter().zip(&p) {
        assert!((count - p).abs() < 5.0 * (p * (1.0 - p) / n as f64).sqrt(), "{counts:?} {p}");
    }
    // Only y or a gap, and b is not 1.
    let mut evidence = Evidence::nothing(n, 2);
    evidence.weigh = true;
    evidence.allowed[0] = Some(Allowed { levels: vec![false, true], range: None, gap: true });
    evidence.allowed[1] = Some(Allowed { levels: vec![false, true, true], range: None, gap: false });
    let noise = Noise::new(Key::from_seed(5), &ids);
    let found = model.likelihood.complete(&view, outputs(n), &evidence, noise).unwrap();
    let meets = |row: &[f32; 2]| row[0] != 0.0 && row[1] != 0.0;
    let share: f64 = ALL.iter().zip(&p).filter(|(row, _)| meets(row)).map(|(_, p)| p).sum();
    let weights: Vec<f64> = found.log_weight.iter().map(|weight| weight.exp()).collect();
    let mean = weights.iter().sum::<f64>() / n as f64;
    assert!((mean - share).abs() < 0.01 * share, "{mean} {share}");
    let mut weighed = [0.0; 9];
    found.x.chunks(2).zip(&weights).for_each(|(row, w)| weighed[place(row)] += w / (mean * n as f64));
    for ((row, found), p) in ALL.iter().zip(weighed).zip(&p) {
        let expected = if meets(row) { p / share } else { 0.0 };
        assert!((found - expected).abs() < 0.02, "{row:?} {found} {expected}");
    }
    // What is given stays, and no gap is drawn where none may be.
    let mut evidence = Evidence::nothing(n, 2);
    evidence.x.chunks_mut(2).for_each(|row| row[1] = 1.0);
    evidence.no_gaps = true;
    let found = model.likelihood.complete(&view, outputs(n), &evidence, noise).unwrap();
    assert!(found.x.chunks(2).all(|row| row[1] == 1.0 && row[0] >= 0.0));
}

#[test]
fn the_density_of_a_real_column_integrates_to_1() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.csv");
    let lines: Vec<String> = (0..2000)
        .map(|i| format!("{:.12},{}", (f64::from(i) * 0.61).sin() * 40.0, ["u", "v"][i as usize % 2]))
        .collect();
    std::fs::write(&path, format!("a,b\n{}\n", lines.join("\n"))).unwrap();
    let (model, weights) = built(&path);
    let view = View::evaluation(&model, &weights);
    // At the middle of each level, times its length in the units of the file.
    let data = {
        let mut layers = Layers::default();
        layers.set(&format!("data.source={:?}", path.display().to_string())).unwrap();
        let mut settings = layers.data().unwrap();
        (settings.validation, settings.test) = (Some(Part::Fraction(0.0)), Some(Part::Fraction(0.0)));
        Data::open(&settings, Key::from_seed(1), &mut |_| {}).unwrap()
    };
    let table = data.facts().table.clone().unwrap();
    let scale = table.columns[0].scale.clone().unwrap();
    assert!(scale.places() > 1 && (0..scale.levels()).all(|level| scale.is_stretch(level)));
    let x: Vec<f32> = (0..scale.levels()).flat_map(|level| [level as f32 + 0.5, UNKNOWN]).collect();
    let log_p = log_density(&view, &x);
    let sum: f64 = log_p.iter().enumerate().map(|(level, p)| p.exp() * scale.width(level)).sum();
    assert!((sum - 1.0).abs() < 1e-4, "{sum}");
}
