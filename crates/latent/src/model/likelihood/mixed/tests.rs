//! What is drawn column after column is a distribution: it sums to 1, and what is trained estimates its logarithm.

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

/// Two numbers below about `most`, of which the second is the first or near to it in most rows, and a word that says which.
fn of_alike_numbers(folder: &std::path::Path, most: i64) -> std::path::PathBuf {
    let path = folder.join("t.csv");
    let line = |i: i64| {
        let a = i * 7919 % most;
        let b = if i % 3 == 0 { i * 104_729 % (most - 2) } else { a + i % 3 - 1 };
        format!("{a},{b},{}", if i % 3 == 0 { "far" } else { "near" })
    };
    let lines: Vec<String> = (0..3000).map(line).collect();
    std::fs::write(&path, format!("a,b,c\n{}\n", lines.join("\n"))).unwrap();
    path
}

/// Weights of what goes past the network.
const PAST: [&str; 4] = [
    "likelihood.echoes.weight",
    "likelihood.direct.embedding",
    "likelihood.direct.features",
    "likelihood.words.last.weight",
];

#[test]
fn what_goes_past_the_network_is_part_of_one_distribution() {
    let folder = tempfile::tempdir().unwrap();
    let path = of_alike_numbers(folder.path(), 3001);
    let settings = ["dropout=0.0", "in_order=1.0", "echoes=2", "direct=true", "words=8"]
        .map(|setting| format!("likelihood.{setting}"));
    let (model, mut weights, table) = built_as(&path, &[], &settings.each_ref().map(String::as_str));
    let pairs: Vec<(usize, usize)> = table.alike.iter().map(|alike| (alike.column, alike.like)).collect();
    assert_eq!(pairs, [(0, 1), (1, 0)]);
    let scale = table.columns[1].scale.as_ref().unwrap();
    assert!(scale.places() > 1);
    let chain = |weights: &Weights, x: &[f32]| {
        let view = View::evaluation(&model, weights);
        let rows = batch(x, 3);
        host_f64(&model.likelihood.log_density(&view, outputs(x.len() / 3), &rows))
    };
    let row = [17.5, 20.5, 1.5];
    for path in PAST {
        let before = chain(&weights, &row)[0];
        disturb(&mut weights, path, 0.5);
        assert!((chain(&weights, &row)[0] - before).abs() > 1e-3, "{path} changes nothing");
    }
    // Over all values of the second, given the first and the third, in whatever order.
    let all: Vec<f32> = (0..scale.levels()).flat_map(|level| [17.5, level as f32 + 0.5, 1.5]).collect();
    let view = View::evaluation(&model, &weights);
    let surprises = model.likelihood.surprises(&view, outputs(scale.levels()), &batch(&all, 3)).unwrap();
    let given_others: f64 = surprises.chunks(3).map(|own| f64::from(own[1]).exp()).sum();
    assert!((given_others - 1.0).abs() < 1e-4, "{given_others}");
    let marginal = chain(&weights, &[17.5, UNKNOWN, UNKNOWN])[0];
    let pairs: Vec<f32> = (0..scale.levels()).flat_map(|level| [17.5, level as f32 + 0.5, UNKNOWN]).collect();
    let of_level = |(level, p): (usize, &f64)| (p - marginal).exp() * scale.width(level);
    let given_first: f64 = chain(&weights, &pairs).iter().enumerate().map(of_level).sum();
    assert!((given_first - 1.0).abs() < 1e-4, "{given_first}");
    // The last column in the order of the file is given all the others.
    let others = chain(&weights, &[17.5, 20.5, UNKNOWN])[0];
    let at = 20 * 3;
    assert!((chain(&weights, &row)[0] - others - f64::from(surprises[at + 2])).abs() < 1e-4);
    // Draws given the first follow the same.
    let n = 4000;
    let mut evidence = Evidence::nothing(n, 3);
    evidence.x.chunks_mut(3).for_each(|row| row[0] = 17.5);
    let ids: Vec<u64> = (0..n as u64).collect();
    let found =
        model.likelihood.complete(&view, outputs(n), &evidence, Noise::new(Key::from_seed(4), &ids)).unwrap();
    let half = scale.levels() / 2;
    let drawn = found.x.chunks(3).filter(|row| (row[1] as usize) < half).count() as f64 / n as f64;
    let pairs: Vec<f64> = chain(&weights, &pairs).iter().enumerate().map(of_level).take(half).collect();
    let expected: f64 = pairs.iter().sum();
    let error = (expected * (1.0 - expected) / n as f64).sqrt();
    assert!((drawn - expected).abs() < 5.0 * error, "{drawn} {expected} ± {error}");
}

#[test]
fn a_number_is_drawn_near_a_sum_of_two_others() {
    // In half of the rows the third is the first less the second.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.csv");
    let line = |i: i64| {
        let [a, b] = [i * 7919 % 101, i * 104_729 % 53];
        format!("{a},{b},{}", if i % 2 == 0 { a - b } else { i * 15_485_863 % 89 })
    };
    let lines: Vec<String> = (0..4000).map(line).collect();
    std::fs::write(&path, format!("a,b,c\n{}\n", lines.join("\n"))).unwrap();
    let settings = ["likelihood.dropout=0.0", "likelihood.echoes=1", "likelihood.direct=false"];
    let (model, mut weights, table) = built_as(&path, &[], &settings);
    assert!(table.alike.iter().all(|alike| alike.and.is_some()));
    let sums: Vec<usize> = table.alike.iter().map(|alike| alike.column).collect();
    assert_eq!(sums, [0, 1, 2]);
    let scales: Vec<&Scale> = table.modelled().map(|column| column.scale.as_ref().unwrap()).collect();
    let x = |values: [f64; 3]| -> [f32; 3] {
        std::array::from_fn(|at| scales[at].level_of(values[at]) as f32 + 0.5)
    };
    // All that is near its sum, by bins of distance, is as likely as before but for the sum itself.
    let (id, entry) = weights.iter().find(|(_, entry)| entry.path() == "likelihood.echoes.bias").unwrap();
    let mut bias = entry.values();
    let bins = bias.len() / sums.len();
    bias.iter_mut().skip(bins / 2).step_by(bins).for_each(|bias| *bias = 3.0);
    let surprises = |weights: &Weights, values: [f64; 3]| {
        let view = View::evaluation(&model, weights);
        let found = model.likelihood.surprises(&view, outputs(1), &batch(&x(values), 3)).unwrap();
        found.into_iter().map(|own| f64::from(own).exp()).collect::<Vec<f64>>()
    };
    let (sum, other) = ([70.0, 20.0, 50.0], [70.0, 20.0, 40.0]);
    let before = [surprises(&weights, sum), surprises(&weights, other)];
    weights.set_values(id, bias);
    let after = [surprises(&weights, sum), surprises(&weights, other)];
    for at in 0..3 {
        let rest = 1.0 + before[0][at] * (3.0_f64.exp() - 1.0);
        assert!((after[0][at] / before[0][at] * rest / 3.0_f64.exp() - 1.0).abs() < 1e-3, "{at}");
        if at == 2 {
            assert!((after[1][at] / before[1][at] * rest - 1.0).abs() < 1e-3);
        }
    }
}

#[test]
fn what_goes_past_the_network_is_trained_as_it_is_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let path = of_alike_numbers(folder.path(), 101);
    let settings = ["dropout=0.0", "in_order=0.0", "echoes=2", "direct=true", "words=8"]
        .map(|setting| format!("likelihood.{setting}"));
    let (model, mut weights, table) = built_as(&path, &[], &settings.each_ref().map(String::as_str));
    assert!(
        table.alike.len() == 2 && table.modelled().all(|column| column.scale.as_ref().unwrap().places() == 1)
    );
    for path in PAST {
        disturb(&mut weights, path, 0.5);
    }
    let view = View::evaluation(&model, &weights);
    let row = [17.5, 18.5, UNKNOWN];
    let rows = batch(&[17.5, UNKNOWN, UNKNOWN, UNKNOWN, 18.5, UNKNOWN], 3);
    let marginals = host_f64(&model.likelihood.log_density(&view, outputs(2), &rows));
    let surprises = model.likelihood.surprises(&view, outputs(1), &batch(&row, 3)).unwrap();
    // The mean over both orders.
    let expected =
        0.5 * (marginals.iter().sum::<f64>() + surprises.iter().map(|own| f64::from(*own)).sum::<f64>());
    let n = 4000;
    let training = View::training(&model, &weights, Key::from_seed(9));
    let estimates = host_f64(&model.likelihood.log_density(&training, outputs(n), &batch(&row.repeat(n), 3)));
    let mean = estimates.iter().sum::<f64>() / n as f64;
    let spread = estimates.iter().map(|e| (e - mean).powi(2)).sum::<f64>() / n as f64;
    assert!((mean - expected).abs() < 5.0 * (spread / n as f64).sqrt() + 1e-4, "{mean} {expected}");
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

/// A table of few values with an order, a map and a sum, gaps in all that they decide; and x of each row that obeys.
struct Bound {
    model: LatentModel,
    weights: Weights,
    table: Arc<Table>,
    /// Values, NaN for a gap: sum, low, high, word, group, part.
    rows: Vec<[f64; 6]>,
    p: Vec<f64>,
}

impl Bound {
    fn new() -> Self {
        let nan = f64::NAN;
        let mut rows = Vec::new();
        for (low, word) in [1.0, 2.0, 3.0].into_iter().flat_map(|low| [0, 1, 2].map(|word| (low, word))) {
            for high in [1.0, 2.0, 3.0, nan].into_iter().filter(|high| high.is_nan() || *high >= low) {
                for group in [f64::from(word / 2), nan] {
                    for part in [0.0, 1.0, 2.0, nan] {
                        let sums = if part.is_nan() {
                            vec![1.0, 2.0, 3.0, 4.0, 5.0, nan]
                        } else {
                            vec![low + part, nan]
                        };
                        rows.extend(
                            sums.into_iter().map(|sum| [sum, low, high, f64::from(word), group, part]),
                        );
                    }
                }
            }
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.csv");
        let number = |value: f64| if value.is_nan() { String::new() } else { format!("{value}") };
        let word = |value: f64, words: [&str; 3]| {
            if value.is_nan() { "" } else { words[value as usize] }.to_string()
        };
        let line = |row: &[f64; 6]| {
            let words = [word(row[3], ["x", "y", "z"]), word(row[4], ["p", "q", ""])];
            format!(
                "{},{},{},{},{},{}",
                number(row[0]),
                number(row[1]),
                number(row[2]),
                words[0],
                words[1],
                number(row[5])
            )
        };
        let lines: Vec<String> = rows.iter().map(line).collect();
        std::fs::write(&path, format!("sum,low,high,word,group,part\n{}\n", lines.join("\n"))).unwrap();
        let constraints = ["low <= high", "word -> group", "sum = low + part", "part in 0..2"];
        let (model, weights, table) = built_with(&path, &constraints);
        // The places of words in their lists.
        for row in &mut rows {
            for (at, words) in [(3, ["x", "y", "z"]), (4, ["p", "q", ""])] {
                if !row[at].is_nan() {
                    row[at] = table.columns[at].value(words[row[at] as usize]).unwrap();
                }
            }
        }
        let view = View::evaluation(&model, &weights);
        let x = Self::x(&table, &rows);
        let outputs = outputs(rows.len());
        let p = host_f64(&model.likelihood.log_density(&view, outputs, &batch(&x, 6)));
        let p = p.into_iter().map(f64::exp).collect();
        Self { model, weights, table, rows, p }
    }

    fn x(table: &Table, rows: &[[f64; 6]]) -> Vec<f32> {
        let mut x = vec![0.0; 6 * rows.len()];
        table.x_from_value(&rows.concat(), &mut x);
        x
    }

    /// The row of all that these x are, before anything is settled.
    fn place(&self, x: &[f32]) -> Option<usize> {
        let scales = self.table.modelled().filter_map(|column| column.scale.as_ref());
        let value = |(x, scale): (&f32, &Scale)| if *x < 0.0 { f64::NAN } else { scale.value_from_x(*x) };
        let values: Vec<f64> = x.iter().zip(scales).map(value).collect();
        let is_same =
            |row: &[f64; 6]| row.iter().zip(&values).all(|(a, b)| a == b || (a.is_nan() && b.is_nan()));
        self.rows.iter().position(is_same)
    }
}

#[test]
fn rows_that_obey_have_all_the_probability_and_are_drawn_by_it() {
    let bound = Bound::new();
    let all: f64 = bound.p.iter().sum();
    assert!((all - 1.0).abs() < 1e-4, "{all}");
    let view = View::evaluation(&bound.model, &bound.weights);
    let n = 30_000;
    let ids: Vec<u64> = (0..n as u64).collect();
    let noise = Noise::new(Key::from_seed(4), &ids);
    let drawn = host(&bound.model.likelihood.draw(&view, outputs(n), noise));
    let mut counts = vec![0.0; bound.rows.len()];
    for x in drawn.chunks(6) {
        let row = bound.place(x).unwrap_or_else(|| panic!("{x:?} breaks a constraint"));
        counts[row] += 1.0;
    }
    for (row, (count, p)) in counts.iter().zip(&bound.p).enumerate() {
        let (expected, most) = (p * n as f64, 6.0 * (p * n as f64).sqrt() + 4.0);
        assert!((count - expected).abs() < most, "{:?}: {count} {expected}", bound.rows[row]);
    }
}

#[test]
fn conditions_weigh_by_the_share_of_rows_that_obey_and_meet_them() {
    let bound = Bound::new();
    let view = View::evaluation(&bound.model, &bound.weights);
    let n = 30_000;
    let ids: Vec<u64> = (0..n as u64).collect();
    let level = |at: usize, value: f64| bound.table.columns[at].scale.as_ref().unwrap().level_of(value);
    let only = |at: usize, values: &[f64], gap: bool| {
        let mut levels = vec![false; bound.table.columns[at].scale.as_ref().unwrap().levels()];
        values.iter().for_each(|value| levels[level(at, *value)] = true);
        Some(Allowed { levels, range: None, gap })
    };
    let q = bound.table.columns[4].value("q").unwrap();
    type Case = (Vec<(usize, Option<Allowed>)>, fn(&[f64; 6], f64) -> bool);
    let cases: [Case; 4] = [
        // A sum with a hole in it; what an order leaves; the words of a group; all at once.
        (vec![(0, only(0, &[2.0, 4.0], false))], |row, _| row[0] == 2.0 || row[0] == 4.0),
        (vec![(2, only(2, &[1.0, 2.0], false))], |row, _| row[2] == 1.0 || row[2] == 2.0),
        (vec![(4, only(4, &[q], true))], |row, q| row[4].is_nan() || row[4] == q),
        (
            vec![(0, only(0, &[3.0], false)), (2, only(2, &[2.0], false)), (4, only(4, &[q], false))],
            |row, q| row[0] == 3.0 && row[2] == 2.0 && row[4] == q,
        ),
    ];
    for (case, (asked, meets)) in cases.into_iter().enumerate() {
        let mut evidence = Evidence::nothing(n, 6);
        evidence.weigh = true;
        // In the order of the file, in which probabilities are.
        evidence.allowed = vec![Some(Allowed::anything()); 6];
        asked.into_iter().for_each(|(at, allowed)| evidence.allowed[at] = allowed);
        let noise = Noise::new(Key::from_seed(5).fold(case as u64), &ids);
        let found = bound.model.likelihood.complete(&view, outputs(n), &evidence, noise).unwrap();
        let weights: Vec<f64> = found.log_weight.iter().map(|weight| weight.exp()).collect();
        let share: f64 =
            bound.rows.iter().zip(&bound.p).filter(|(row, _)| meets(row, q)).map(|(_, p)| p).sum();
        let mean = weights.iter().sum::<f64>() / n as f64;
        let spread = weights.iter().map(|weight| (weight - mean).powi(2)).sum::<f64>() / n as f64;
        let error = (spread / n as f64).sqrt();
        assert!((mean - share).abs() < 5.0 * error + 1e-5, "{case}: {mean} {share} ± {error}");
        let mut weighed = vec![0.0; bound.rows.len()];
        for (x, weight) in found.x.chunks(6).zip(&weights).filter(|(_, weight)| **weight > 0.0) {
            let row = bound.place(x).unwrap_or_else(|| panic!("{case}: {x:?} breaks a constraint"));
            assert!(meets(&bound.rows[row], q), "{case}: {:?}", bound.rows[row]);
            weighed[row] += weight / (mean * n as f64);
        }
        for ((row, found), p) in bound.rows.iter().zip(weighed).zip(&bound.p) {
            let expected = if meets(row, q) { p / share } else { 0.0 };
            assert!((found - expected).abs() < 0.02, "{case}: {row:?} {found} {expected}");
        }
    }
}

#[test]
fn known_cells_bind_the_others() {
    let bound = Bound::new();
    let view = View::evaluation(&bound.model, &bound.weights);
    let n = 2000;
    let ids: Vec<u64> = (0..n as u64).collect();
    let mut u = vec![0.0; 7 * n];
    Key::from_seed(6).uniforms(&mut u);
    for no_gaps in [false, true] {
        // Rows with some cells hidden are completed to rows that obey, whichever are left.
        let has_gap = |row: &[f64; 6]| row.iter().any(|value| value.is_nan());
        let from: Vec<[f64; 6]> =
            bound.rows.iter().copied().filter(|row| !no_gaps || !has_gap(row)).collect();
        let mut x = Vec::new();
        for u in u.chunks_exact(7) {
            let at = ((u[6] * from.len() as f32) as usize).min(from.len() - 1);
            let own = Bound::x(&bound.table, &from[at..=at]);
            x.extend(own.into_iter().zip(u).map(|(x, u)| if *u < 0.5 || x < 0.0 { UNKNOWN } else { x }));
        }
        let evidence = Evidence { x: x.clone(), no_gaps, ..Evidence::nothing(n, 6) };
        let noise = Noise::new(Key::from_seed(7), &ids);
        let found = bound.model.likelihood.complete(&view, outputs(n), &evidence, noise).unwrap();
        for (found, given) in found.x.chunks(6).zip(x.chunks(6)) {
            assert!(found.iter().zip(given).all(|(found, given)| *given < 0.0 || found == given));
            assert!(!no_gaps || found.iter().all(|x| *x >= 0.0), "{found:?}");
            assert!(bound.place(found).is_some(), "{given:?} became {found:?}");
        }
    }
}

/// A sum of few values is no sum of its parts: the last part is the rest, and where no rest would obey it is empty.
#[test]
fn the_rest_of_a_sum_is_made_and_obeys() {
    let nan = f64::NAN;
    let some = [0.0, 1.0, 2.0, 3.0, 4.0];
    let (mut rows, mut seen) = (Vec::new(), Vec::new());
    for (top, used) in [2.0, 4.0, nan].into_iter().flat_map(|top| some.map(|used| (top, used))) {
        let rest = top - used;
        let free = match () {
            () if top.is_nan() => [&some[..], &[nan]].concat(),
            () if rest < 0.0 => vec![nan],
            () => vec![rest, nan],
        };
        for free in free {
            rows.push([top, used, free]);
            if top.is_nan() || rest >= 0.0 {
                seen.push([top, used, free]);
            }
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.csv");
    let cell = |value: &f64| if value.is_nan() { String::new() } else { format!("{value}") };
    let line = |row: &[f64; 3]| row.iter().map(cell).collect::<Vec<_>>().join(",");
    let lines: Vec<String> = seen.iter().cycle().take(6 * seen.len()).map(line).collect();
    std::fs::write(&path, format!("top,used,free\n{}\n", lines.join("\n"))).unwrap();
    let (model, weights, table) = built_with(&path, &["top = used + free", "free in 0.."]);
    assert_eq!(table.constraints[0].rule.made(), Some((2, vec![(0, 1.0), (1, -1.0)])));
    let view = View::evaluation(&model, &weights);
    let mut x = vec![0.0; 3 * rows.len()];
    table.x_from_value(&rows.concat(), &mut x);
    let p = host_f64(&model.likelihood.log_density(&view, outputs(rows.len()), &batch(&x, 3)));
    let p: Vec<f64> = p.into_iter().map(f64::exp).collect();
    let all: f64 = p.iter().sum();
    assert!((all - 1.0).abs() < 1e-4, "{all}");
    let n = 20_000;
    let ids: Vec<u64> = (0..n as u64).collect();
    let drawn = host(&model.likelihood.draw(&view, outputs(n), Noise::new(Key::from_seed(4), &ids)));
    let mut counts = vec![0.0; rows.len()];
    for drawn in drawn.chunks(3) {
        let level = |x: f32| if x < 0.0 { GAP } else { x.floor() };
        let is_same = |known: &[f32]| known.iter().zip(drawn).all(|(a, b)| level(*a) == level(*b));
        let row = x.chunks(3).position(is_same).unwrap_or_else(|| panic!("{drawn:?} breaks a constraint"));
        counts[row] += 1.0;
    }
    for ((row, count), p) in rows.iter().zip(counts).zip(p) {
        let expected = p * n as f64;
        assert!((count - expected).abs() < 6.0 * expected.sqrt() + 4.0, "{row:?}: {count} {expected}");
    }
}

/// Within a level that both columns share, the lesser lies anywhere and the greater evenly above it.
#[test]
fn the_density_of_ordered_real_columns_integrates_to_1() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.csv");
    let mut u = vec![0.0; 2 * 700];
    Key::from_seed(8).uniforms(&mut u);
    let lines: Vec<String> = u
        .chunks_exact(2)
        .map(|u| (f64::from(u[0]).sqrt() * 10.0, f64::from(u[1])))
        .map(|(a, more)| format!("{a:.12},{:.12}", a + more * more * 4.0))
        .collect();
    std::fs::write(&path, format!("a,b\n{}\n", lines.join("\n"))).unwrap();
    let (model, weights, table) = {
        // All of it numbers: constraints make a mixed table of it.
        built_with(&path, &["a <= b"])
    };
    let view = View::evaluation(&model, &weights);
    let [a, b] = [0, 1].map(|at| table.columns[at].scale.clone().unwrap());
    // The inner integral, over b, is exact in each level; the outer one by the midpoint rule.
    let steps = 8;
    let (mut x, mut sizes) = (Vec::new(), Vec::new());
    for (level_a, step) in (0..a.levels()).flat_map(|level| (0..steps).map(move |step| (level, step))) {
        let fraction = (step as f64 + 0.5) / steps as f64;
        let value = a.low[level_a] + fraction * a.width(level_a);
        for level_b in (0..b.levels()).filter(|level| b.high[*level] > value) {
            let from = b.low[level_b].max(value);
            let at = (0.5 * (from + b.high[level_b]) - b.low[level_b]) / b.width(level_b);
            x.extend([(level_a as f64 + fraction) as f32, (level_b as f64 + at) as f32]);
            sizes.push(a.width(level_a) / steps as f64 * (b.high[level_b] - from));
        }
    }
    let p = host_f64(&model.likelihood.log_density(&view, outputs(sizes.len()), &batch(&x, 2)));
    let sum: f64 = p.iter().zip(&sizes).map(|(p, size)| p.exp() * size).sum();
    assert!((sum - 1.0).abs() < 0.02, "{sum}");
}
