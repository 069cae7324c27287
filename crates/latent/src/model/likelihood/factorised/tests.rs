//! Columns by themselves are a distribution: it sums to 1, and draws, conditions and surprises go by it.

use burn::tensor::Tensor;

use super::super::{Allowed, Evidence};
use crate::Key;
use crate::batch::{Batch, Noise};
use crate::data::table::{GAP, UNKNOWN};
use crate::data::{Data, Part};
use crate::device::{Device, host, host_f64};
use crate::member::Registry;
use crate::model::{LatentModel, View};
use crate::run::{Layers, resolve};
use crate::weights::Weights;

/// A model of a category with gaps, a number of three values with gaps, and one of sixteen.
fn model(more: &[&str]) -> (LatentModel, Weights) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.csv");
    let line = |i: usize| {
        let number = ["1", "2", "", "5"][i / 3 % 4];
        format!("{},{number},{}", ["x", "y", ""][i % 3], 0.37 * (i * 7 % 16).pow(2) as f64 - 9.0)
    };
    let lines: Vec<String> = (0..96).map(line).collect();
    std::fs::write(&path, format!("a,b,c\n{}\n", lines.join("\n"))).unwrap();
    let mut layers = Layers::from_preset("tvae").unwrap();
    let source = format!("data.source={:?}", path.display().to_string());
    for setting in [source.as_str(), "data.validation=0.0", "data.test=0.0", "posterior.latent=2"] {
        layers.set(setting).unwrap();
    }
    more.iter().for_each(|setting| layers.set(setting).unwrap());
    let mut settings = layers.data().unwrap();
    settings.validation = Some(Part::Fraction(0.0));
    let data = Data::open(&settings, Key::from_seed(1), &mut |_| {}).unwrap();
    let (checked, _) = resolve(&layers, data.facts(), &Registry::default()).unwrap();
    checked.build(&Device::cpu()).unwrap()
}

/// The three lines, with a scale of either kind.
const KINDS: [[&str; 2]; 4] = [
    ["likelihood.numbers=rank", "likelihood.scale=column"],
    ["likelihood.numbers=standard", "likelihood.scale=row"],
    ["likelihood.numbers=modes", "likelihood.scale=column"],
    ["likelihood.numbers=modes", "likelihood.scale=row"],
];

fn outputs(view: &View<'_>, rows: usize) -> Tensor<2> {
    let mut z = vec![0.0; 2];
    Key::from_seed(3).normals(&mut z);
    let z = crate::batch::Latent::new(Device::cpu().tensor(z.repeat(rows), [rows, 2]));
    let ids: Vec<u64> = (0..rows as u64).collect();
    view.decode(&z, crate::batch::Given::rows(&ids)) * 3.0
}

fn batch(x: &[f32]) -> Batch {
    let rows = x.len() / 3;
    Batch::of(Device::cpu().tensor(x.to_vec(), [rows, 3]), (0..rows as u64).collect())
}

/// log p of rows, without the widths of levels.
fn log_density(view: &View<'_>, x: &[f32]) -> Vec<f64> {
    host_f64(&view.model.likelihood.log_density(view, outputs(view, x.len() / 3), &batch(x)))
}

/// How many levels the third column has: each of its values.
const LEVELS: usize = 16;

/// Every cell that there can be in each column.
fn cells() -> [Vec<f32>; 3] {
    let third: Vec<f32> = (0..LEVELS).map(|level| level as f32).collect();
    [vec![0.0, 1.0, GAP], vec![0.0, 1.0, 2.0, GAP], third]
}

#[test]
fn the_probabilities_of_all_rows_sum_to_1() {
    for kind in KINDS {
        let (model, weights) = model(&kind);
        let view = View::evaluation(&model, &weights);
        let [a, b, c] = cells();
        let rows: Vec<f32> =
            a.iter().flat_map(|a| b.iter().flat_map(|b| c.iter().flat_map(|c| [*a, *b, *c]))).collect();
        let all: f64 = log_density(&view, &rows).iter().map(|p| p.exp()).sum();
        assert!((all - 1.0).abs() < 1e-4, "{kind:?}: {all}");
        // What is unknown is summed over, and each cell's own surprise is what it adds.
        let one = log_density(&view, &[UNKNOWN, UNKNOWN, 7.0, 1.0, UNKNOWN, UNKNOWN, 1.0, GAP, 7.0]);
        let own = batch(&[1.0, GAP, 7.0]);
        let surprises = view.model.likelihood.surprises(&view, outputs(&view, 1), &own).unwrap();
        let near = |found: f32, wanted: f64| (f64::from(found) - wanted).abs() < 1e-4 * (1.0 + wanted.abs());
        assert!(near(surprises[2], one[0]), "{kind:?}: {surprises:?} {one:?}");
        assert!(near(surprises[0], one[1]), "{kind:?}: {surprises:?} {one:?}");
        assert!(near(surprises.iter().sum(), one[2]), "{kind:?}: {surprises:?} {one:?}");
    }
}

#[test]
fn draws_come_as_often_as_their_probabilities_say() {
    const ROWS: usize = 20_000;
    for kind in KINDS {
        let (model, weights) = model(&kind);
        let view = View::evaluation(&model, &weights);
        let ids: Vec<u64> = (0..ROWS as u64).collect();
        let x = model.likelihood.draw(&view, outputs(&view, ROWS), Noise::new(Key::from_seed(4), &ids));
        let x = host(&x);
        for (column, cells) in cells().into_iter().enumerate() {
            for cell in cells {
                let mut row = [UNKNOWN; 3];
                row[column] = cell;
                let share = log_density(&view, &row)[0].exp();
                let is_it =
                    |x: &[f32]| if cell == GAP { x[column] == GAP } else { x[column].floor() == cell };
                let found = x.chunks(3).filter(|x| is_it(x)).count() as f64 / ROWS as f64;
                let deviation = (share * (1.0 - share) / ROWS as f64).sqrt();
                assert!(
                    (found - share).abs() < 5.0 * deviation + 1e-4,
                    "{kind:?} {column} {cell}: {found} {share}"
                );
            }
        }
    }
}

#[test]
fn what_is_asked_weighs_by_its_probability() {
    let (model, weights) = model(&KINDS[2]);
    let view = View::evaluation(&model, &weights);
    let mut evidence = Evidence::nothing(50, 3);
    (evidence.weigh, evidence.only_given) = (true, true);
    evidence.allowed[0] = Some(Allowed { levels: vec![false, true], range: None, gap: false });
    let mut levels = vec![false; LEVELS];
    levels[4..9].fill(true);
    evidence.allowed[2] = Some(Allowed { levels, range: None, gap: false });
    let ids: Vec<u64> = (0..50).collect();
    let noise = Noise::new(Key::from_seed(6), &ids);
    let found = model.likelihood.complete(&view, outputs(&view, 50), &evidence, noise).unwrap();
    let rows: Vec<f32> = (4..9).flat_map(|level| [1.0, UNKNOWN, level as f32]).collect();
    let wanted: f64 = log_density(&view, &rows).iter().map(|p| p.exp()).sum();
    for (x, log_weight) in found.x.chunks(3).zip(&found.log_weight) {
        assert!(x[0].floor() == 1.0 && x[1] == UNKNOWN && (4.0..9.0).contains(&x[2]), "{x:?}");
        assert!((log_weight.exp() - wanted).abs() < 1e-4, "{} {wanted}", log_weight.exp());
    }
    // What is given stays and weighs, too; no gap is drawn where none is wanted.
    let mut evidence = Evidence { x: [0.0, UNKNOWN, 7.25].repeat(50), ..Evidence::nothing(50, 3) };
    (evidence.weigh, evidence.no_gaps) = (true, true);
    let found = model.likelihood.complete(&view, outputs(&view, 50), &evidence, noise).unwrap();
    let wanted = log_density(&view, &[0.0, UNKNOWN, 7.0])[0];
    for (x, log_weight) in found.x.chunks(3).zip(&found.log_weight) {
        assert!(x[0] == 0.0 && x[1] >= 0.0 && x[2] == 7.25, "{x:?}");
        assert!((log_weight - wanted).abs() < 1e-4, "{log_weight} {wanted}");
    }
}

#[test]
fn gaps_that_are_left_out_say_nothing_and_are_not_drawn() {
    let (model, weights) = model(&["likelihood.gaps=false"]);
    let view = View::evaluation(&model, &weights);
    let both = log_density(&view, &[GAP, 1.0, 3.0, UNKNOWN, 1.0, 3.0]);
    assert_eq!(both[0], both[1]);
    let ids: Vec<u64> = (0..500).collect();
    let x = model.likelihood.draw(&view, outputs(&view, 500), Noise::new(Key::from_seed(4), &ids));
    assert!(host(&x).iter().all(|x| *x >= 0.0));
}

#[test]
fn constraints_are_for_columns_that_see_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.csv");
    let lines: Vec<String> = (0..60).map(|i| format!("{},{},w{}", i % 7, i % 7 + i % 5, i % 2)).collect();
    std::fs::write(&path, format!("a,b,c\n{}\n", lines.join("\n"))).unwrap();
    let mut layers = Layers::from_preset("tvae").unwrap();
    layers.set(&format!("data.source={:?}", path.display().to_string())).unwrap();
    layers.set("likelihood.numbers=rank").unwrap();
    let mut settings = layers.data().unwrap();
    settings.constraints = vec!["a <= b".into()];
    let data = Data::open(&settings, Key::from_seed(1), &mut |_| {}).unwrap();
    let error = resolve(&layers, data.facts(), &Registry::default()).err().unwrap().to_string();
    assert!(error.contains("a <= b") && error.contains("mixed"), "{error}");
}
