//! What is drawn column after column is a distribution: it sums to 1, and what is trained estimates its logarithm.

mod beside;
mod constraints;

use std::sync::Arc;

use burn::tensor::Tensor;

use super::super::{Allowed, Evidence};
use crate::Key;
use crate::batch::{Batch, Noise};
use crate::data::table::{GAP, Scale, UNKNOWN};
use crate::data::{Data, Part, Table};
use crate::device::{Device, host, host_f64};
use crate::member::{Freeze, Kept, Progress, Registry};
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
    let (model, weights, _) = built_with(path, &[]);
    (model, weights)
}

/// The same with constraints, and the table.
fn built_with(path: &std::path::Path, constraints: &[&str]) -> (LatentModel, Weights, Arc<Table>) {
    built_as(path, constraints, &["likelihood.in_order=0.5", "likelihood.dropout=0.0"])
}

/// The same with these settings beside.
fn built_as(
    path: &std::path::Path,
    constraints: &[&str],
    more: &[&str],
) -> (LatentModel, Weights, Arc<Table>) {
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
    more.iter().for_each(|setting| layers.set(setting).unwrap());
    let mut settings = layers.data().unwrap();
    settings.validation = Some(Part::Fraction(0.0));
    settings.constraints = constraints.iter().map(ToString::to_string).collect();
    let data = Data::open(&settings, Key::from_seed(1), &mut |_| {}).unwrap();
    let (checked, _) = resolve(&layers, data.facts(), &Registry::default()).unwrap();
    let (model, mut weights) = checked.build(&Device::cpu()).unwrap();
    // A fresh readout says nothing beside the shares.
    disturb(&mut weights, "likelihood.last.weight", 0.3);
    (model, weights, data.facts().table.clone().unwrap())
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

/// A table of one number of twenty values, some of them more often than others.
fn of_one_number(folder: &std::path::Path) -> std::path::PathBuf {
    let path = folder.join("t.csv");
    let lines: Vec<String> = (0..20).flat_map(|i| vec![i.to_string(); 1 + i % 3]).collect();
    std::fs::write(&path, format!("a\n{}\n", lines.join("\n"))).unwrap();
    path
}

/// Sets an array to normal numbers of this deviation.
fn disturb(weights: &mut Weights, path: &str, deviation: f32) {
    let id = weights.iter().find(|(_, entry)| entry.path() == path).map(|(id, _)| id).unwrap();
    let mut values = weights.entry(id).values();
    Key::from_seed(8).normals(&mut values);
    values.iter_mut().for_each(|value| *value *= deviation);
    weights.set_values(id, values);
}

#[test]
fn the_smooth_part_is_the_same_for_one_digit_and_for_all() {
    let folder = tempfile::tempdir().unwrap();
    let (model, mut weights, table) = built_with_waves(&of_one_number(folder.path()));
    assert_eq!(table.modelled().next().unwrap().scale.as_ref().unwrap().group_count(), 20);
    let levels: Vec<f32> = (0..20).map(|level| level as f32).collect();
    let before = of_levels(&View::evaluation(&model, &weights), &levels);
    disturb(&mut weights, "likelihood.smooth.weight", 1.0);
    let view = View::evaluation(&model, &weights);
    let exact = of_levels(&view, &levels);
    let changed = before.iter().zip(&exact).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(changed > 0.1, "the smooth part changes nothing");
    assert!((exact.iter().map(|p| p.exp()).sum::<f64>() - 1.0).abs() < 1e-5);
    // One column has one order, so that the estimate is exact.
    let estimated = of_levels(&View::training(&model, &weights, Key::from_seed(9)), &levels);
    for (exact, estimated) in exact.iter().zip(&estimated) {
        assert!((exact - estimated).abs() < 1e-4, "{exact} {estimated}");
    }
}

fn built_with_waves(path: &std::path::Path) -> (LatentModel, Weights, Arc<Table>) {
    built_as(path, &[], &["likelihood.dropout=0.0", "likelihood.waves=4"])
}

fn of_levels(view: &View<'_>, levels: &[f32]) -> Vec<f64> {
    host_f64(&view.model.likelihood.log_density(view, outputs(levels.len()), &batch(levels, 1)))
}

#[test]
fn units_are_dropped_less_and_less_and_never_from_a_trained_model() {
    let folder = tempfile::tempdir().unwrap();
    let path = of_one_number(folder.path());
    let (model, weights, _) = built_as(&path, &[], &["likelihood.dropout=0.5"]);
    let exact = of_levels(&View::evaluation(&model, &weights), &[3.0; 64]);
    let at = |step| {
        let progress = Some(Progress { step, steps_per_epoch: 1, total: 100 });
        let view = View { progress, ..View::training(&model, &weights, Key::from_seed(2)) };
        let off = of_levels(&view, &[3.0; 64]);
        off.iter().zip(&exact).map(|(a, b)| (a - b).abs()).sum::<f64>() / 64.0
    };
    let (begun, late, over) = (at(0), at(90), at(100));
    assert!(begun > 2.0 * late && late > 1e-3, "{begun} {late}");
    assert!(over < 1e-5, "{over}");
}

#[test]
fn calibrated_draws_have_each_choice_as_often_as_the_rows() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.csv");
    // x, y and a gap are 6, 3 and 1 in ten; a number has 1 to 4 at 4, 3, 2 and 1 in ten.
    let lines: Vec<String> = (0..100)
        .map(|i| {
            let word = if i % 10 < 6 { "x" } else { ["y", "y", "y", ""][i % 10 - 6] };
            format!("{word},{}", [1, 1, 1, 1, 2, 2, 2, 3, 3, 4][i / 10])
        })
        .collect();
    std::fs::write(&path, format!("a,b\n{}\n", lines.join("\n"))).unwrap();
    let n = 8000;
    let mut numbers = vec![0.0; n * 16];
    Key::from_seed(3).normals(&mut numbers);
    let outputs = Device::cpu().tensor(numbers, [n, 16]);
    let shares = |calibrate: bool| {
        let settings = format!("likelihood.calibrate={calibrate}");
        let (model, mut weights, _) = built_as(&path, &[], &[&settings]);
        disturb(&mut weights, "likelihood.last.weight", 0.1);
        let mut freeze = Freeze {
            weights: &mut weights,
            pass: &mut |_, _| Ok(Kept::default()),
            codes: &|_, batch| batch.x.clone(),
            decoded: &|_, _| Ok(Some(outputs.clone())),
        };
        model.likelihood.freeze(&mut freeze).unwrap();
        let view = View::evaluation(&model, &weights);
        let ids: Vec<u64> = (0..n as u64).collect();
        let x = host(&model.likelihood.draw(&view, outputs.clone(), Noise::new(Key::from_seed(4), &ids)));
        let share = |is: &dyn Fn(&[f32]) -> bool| x.chunks(2).filter(|row| is(row)).count() as f64 / n as f64;
        [
            share(&|row| row[0] >= 0.0 && row[0] < 1.0),
            share(&|row| row[0] < 0.0),
            share(&|row| row[1] < 1.0),
            share(&|row| row[1] >= 3.0),
        ]
    };
    let off = |shares: [f64; 4]| {
        shares
            .iter()
            .zip([0.6, 0.1, 0.4, 0.1])
            .map(|(share, wanted)| (share - wanted).abs())
            .fold(0.0, f64::max)
    };
    let (raw, calibrated) = (off(shares(false)), off(shares(true)));
    assert!(raw > 0.03, "{raw}");
    // 4 standard errors of 8,000 draws.
    assert!(calibrated < 0.022, "{calibrated}");
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
