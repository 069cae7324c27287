//! Telling foreign rows from one's own: AUROC against scikit-learn and DeLong's formula over all pairs
//! (bench/auroc.py), regret against the KL divergence that it is, and the section on the known failure.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use latent::Layers;
use latent::data::{Data, Split, StoredType, ValueKind, write_npy};
use latent::evaluate::anomaly::{Climb, Levels, auroc, compressed_bits, regret, roc};
use latent::evaluate::{Section, Subject, anomaly};
use latent::{Key, Model};
use latent::{Options, Training};

use crate::common::*;
use crate::estimators::Linear;
use crate::likelihood_section::open;

#[test]
fn auroc_counts_every_pair_and_ties_by_half() {
    let foreign: Vec<f64> = (0..60).map(|i| f64::from(i * 37 % 101 / 5 + 4)).collect();
    let own: Vec<f64> = (0..83).map(|i| f64::from(i * 53 % 97 / 5)).collect();
    let found = auroc(&foreign, &own).unwrap();
    close(found.value, 0.700_301_204_819_277, 1e-14);
    close(found.low, 0.610_705_737_880_184, 1e-13);
    close(found.high, 0.784_228_507_297_247, 1e-13);
    let pairs =
        foreign.iter().flat_map(|x| own.iter().map(move |y| if x > y { 2 } else { i32::from(x == y) }));
    close(found.value, f64::from(pairs.sum::<i32>()) / (2.0 * 60.0 * 83.0), 1e-14);
    let turned = auroc(&own, &foreign).unwrap();
    close(turned.value, 1.0 - found.value, 1e-14);
    close(turned.low, 1.0 - found.high, 1e-14);
    // The curve has the same area by the trapezium rule, ties and all.
    let curve = roc(&foreign, &own);
    let area: f64 = curve.windows(2).map(|p| (p[1][0] - p[0][0]) * (p[0][1] + p[1][1]) / 2.0).sum();
    close(area, found.value, 1e-12);
    assert!(curve[0] == [0.0, 0.0] && curve[curve.len() - 1] == [1.0, 1.0]);
    let apart = auroc(&[3.0, 4.0, f64::INFINITY], &[1.0, 2.0]).unwrap();
    // Shares 1, 1, 1, ½ · 1, ½ · 0 of mean 7/8 and 1, 1, ½ · 1, ½ · 0 of mean 5/6, by hand.
    let variance =
        (3.5 * (1.0f64 / 64.0) + 0.5 * 49.0 / 64.0) / 12.0 + (2.5 / 36.0 + 0.5 * 25.0 / 36.0) / 6.0;
    close(apart.low, 0.5 * (7.0 / 8.0 + 5.0 / 6.0) - 1.959_963_984_540_054 * variance.sqrt(), 1e-14);
    assert!(apart.value == 1.0 && apart.high == 1.0);
    assert!(auroc(&[], &own).is_none() && auroc(&[f64::NAN], &own).is_none());
    let alone = auroc(&[2.5], &[2.0, 3.0]).unwrap();
    assert!(alone.value == 0.5 && alone.low == 0.0 && alone.high == 1.0);
    // The interval is round A itself, however few rows and however far apart.
    for (m, n) in [(1, 1), (1, 1000), (7, 2), (1000, 1000)] {
        for shift in [0.0, 0.5, 1e6] {
            let set =
                |rows: u32, shift: f64| (0..rows).map(|i| f64::from(i * 7 % 11) + shift).collect::<Vec<_>>();
            let found = auroc(&set(m, shift), &set(n, 0.0)).unwrap();
            let inside = 0.0 <= found.low && found.low <= found.value && found.value <= found.high;
            assert!(inside && found.high <= 1.0, "{m} {n} {shift} {found:?}");
        }
    }
}

#[test]
fn aurocs_interval_holds_the_truth_as_often_as_it_says() {
    // Two unit normals one apart: A = Φ(1/√2); and far apart, where the interval is most skewed.
    for (shift, truth) in [(1.0, 0.760_249_938_906_521), (2.5, 0.961_450_064_128_229)] {
        let draws = 1500;
        let held = (0..draws).filter(|&draw| {
            let noise = normals(Key::from_seed(90).fold(draw as u64), 160);
            let foreign: Vec<f64> = noise[..80].iter().map(|e| e + shift).collect();
            let found = auroc(&foreign, &noise[80..]).unwrap();
            found.low <= truth && truth <= found.high
        });
        let coverage = held.count() as f64 / f64::from(draws);
        println!("AUROC {truth:.3}: the interval holds it in {:.1} %", 100.0 * coverage);
        assert!((0.93..=0.995).contains(&coverage), "{coverage}");
    }
}

#[test]
fn regret_is_the_divergence_from_the_exact_posterior() {
    for number in 0..3u64 {
        let key = Key::from_seed(91).fold(number);
        let mut linear = Linear::new(key, true);
        let climb = Climb { judged: 4000, ..Climb::default() };
        // The best q factorises here and is p(z|x): regret is KL(q ‖ p(z|x)), (1.5 + 4 − 1 − ln 1.5)/2 a dimension.
        let variance = linear.variance.clone();
        let shift: Vec<f64> = variance.iter().map(|v| 2.0 * v.sqrt()).collect();
        linear.encode_with(&variance.iter().map(|v| 1.5 * v).collect::<Vec<_>>(), &shift);
        let rows = linear.rows(key, 5);
        let wanted = linear.latent as f64 * 0.5 * (1.5 + 4.0 - 1.0 - 1.5f64.ln());
        let found = regret(&linear.made.view(), &rows, &climb, key).unwrap();
        println!("regret of a shifted encoder: {found:.3?}, exactly {wanted:.3}");
        assert!(found.iter().all(|r| (r - wanted).abs() < 0.15 * wanted), "{found:?} {wanted}");
        // A row's number is its own.
        close(regret(&linear.made.view(), &rows.slice(3, 1), &climb, key).unwrap()[0], found[3], 1e-9);
        // At the exact posterior there is nothing to regret but the draws.
        linear.encode_with(&variance, &vec![0.0; linear.latent]);
        let found = regret(&linear.made.view(), &rows, &climb, key).unwrap();
        assert!(found.iter().all(|r| (0.0..0.05).contains(r)), "{found:?}");
        // Few draws are noisy and never below 0.
        let rough = Climb { judged: 2, draws: 1, ..Climb::default() };
        assert!(regret(&linear.made.view(), &rows, &rough, key).unwrap().iter().all(|r| *r >= 0.0));
    }
    let point = "network.kind = 'linear'\nlikelihood.kind = 'bernoulli'\nposterior = { kind = 'point', latent = 2 }\nobjective = { estimator.kind = 'plain', terms.distortion = {} }";
    let made = make(point, &facts(vector(4), ValueKind::Binary));
    let error =
        regret(&made.view(), &batch(vec![0.0; 8], 4), &Climb::default(), Key::from_seed(1)).unwrap_err();
    assert!(error.to_string().contains("this posterior is none; train a model"));
}

#[test]
fn plain_pictures_are_short_and_a_background_knows_only_levels() {
    let mut facts = facts(image(1, 8, 8), ValueKind::Grey);
    facts.normalisation.scale = vec![255.0];
    facts.normalisation.stored = StoredType::U8;
    facts.normalisation.range = Some((0.0, 255.0));
    let noise: Vec<f32> = uniforms(Key::from_seed(92), 64).iter().map(|&u| u as f32).collect();
    let ramp: Vec<f32> = (0..64).map(|i| (i * 3) as f32 / 255.0).collect();
    let bits = compressed_bits(&facts, &[vec![0.5; 64], ramp, noise].concat());
    // Noise is stored as it is (5 bytes more), a constant and a ramp are a symbol and its repetition.
    assert!(bits[0] <= 8.0 * 8.0 && bits[1] <= 8.0 * 20.0 && bits[2] == 8.0 * 69.0, "{bits:?}");
    let mut levels = Levels::default();
    // Level 0 three times in four, 255 else.
    levels.count(&facts, &[0.0, 0.0, 0.0, 1.0].repeat(64));
    let found = levels.log_density(&facts, &[vec![0.0; 64], vec![1.0; 64], vec![0.4; 64]].concat());
    for (found, count) in found.iter().zip([192.0, 64.0, 0.0]) {
        close(*found, 64.0 * f64::ln((count + 1.0) / (256.0 + 256.0)), 1e-12);
    }
}

fn judge(model: &Model, data: &Data, foreign: &Data, seconds: f64) -> latent::Result<Section> {
    anomaly(&Subject {
        model,
        held_out: (data, Split::Test),
        train: Some(data),
        foreign: Some(foreign),
        samplers: &[],
        features: None,
        seconds: Some(seconds),
        set: None,
        rows: None,
        key: Key::from_seed(93),
        progress: &|_, share| assert!((0.0..=1.0).contains(&share)),
    })
}

fn print(section: &Section) {
    for m in &section.measures {
        println!(
            "{} {:.3} [{:.3}, {:.3}] n {} {}",
            m.name, m.estimate.value, m.estimate.low, m.estimate.high, m.n, m.note
        );
    }
    section.warnings.iter().for_each(|w| println!("warning: {w}"));
    section.absent.iter().for_each(|a| println!("absent: {a}"));
}

#[test]
fn noise_is_told_apart_and_rows_of_another_shape_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let net = [
        "data.source=embedded",
        "data.limit=300",
        "network={kind=\"mlp\", hidden=[8]}",
        "posterior.latent=2",
    ];
    let (data, model) = open(&[net.as_slice(), &["likelihood.kind=normal"]].concat(), 0.0);
    let path = folder.path().join("noise.npy");
    let noise: Vec<f64> =
        uniforms(Key::from_seed(94), 60 * 784).iter().map(|u| (u * 255.0).floor()).collect();
    write_npy(&path, &[60, 28, 28], StoredType::U8, &noise).unwrap();
    let foreign = model.open(&path.display().to_string(), &mut |_| {}).unwrap();
    let section = judge(&model, &data, &foreign, 5.0).unwrap();
    print(&section);
    let names: Vec<&str> = section.measures.iter().map(|m| m.name.as_str()).collect();
    let all = ["likelihood", "distortion", "regret", "typicality", "complexity", "background"];
    assert_eq!(names, all.map(|name| format!("auroc_{name}")));
    assert_eq!(section.figures.len(), 1);
    // Noise is far from the mean that an untrained decoder starts at.
    assert!(section.get("auroc_likelihood").unwrap().estimate.value > 0.9);
    let other = folder.path().join("other.npy");
    write_npy(&other, &[4, 9, 9], StoredType::U8, &[0.0; 4 * 81]).unwrap();
    let (other, _) = open(
        &[
            &format!("data.source='{}'", other.display()),
            "network.kind=linear",
            "posterior.latent=1",
            "likelihood.kind=normal",
            "data.test=0.25",
            "data.validation=0.25",
        ],
        0.0,
    );
    let error = judge(&model, &other, &foreign, 1.0).unwrap_err().to_string();
    assert!(error.contains("1×9×9") && error.contains("open the data with `Model::open`"), "{error}");
    let error = judge(&model, &data, &other, 1.0).unwrap_err().to_string();
    assert!(
        error.contains("1×9×9") && error.contains("1×28×28") && error.contains("open the foreign data with"),
        "{error}"
    );
}

/// MNIST, where it is.
fn mnist(model: &Model) -> Option<Data> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/mnist");
    if !folder.exists() {
        println!("skipped: {} is absent", folder.display());
        return None;
    }
    Some(model.open(&folder.display().to_string(), &mut |_| {}).unwrap())
}

#[test]
fn digits_are_likely_clothes_until_corrected() {
    let folder = tempfile::tempdir().unwrap();
    let mut layers = Layers::default();
    layers.preset("vae").unwrap();
    for setting in [
        "data.source=embedded",
        "data.binarize=dynamic",
        "data.limit=6000",
        "train.epochs=4",
        "network.hidden=[128]",
    ] {
        layers.set(setting).unwrap();
    }
    let path = folder.path().join("run");
    let mut training = Training::prepare(&layers, &path, Options::default(), &mut |_| ()).unwrap();
    training.train(&AtomicBool::new(false), &mut |_| ()).unwrap();
    let model = Model::load(&path).unwrap();
    let Some(digits) = mnist(&model) else { return };
    let section = judge(&model, &training.data, &digits, 6.0).unwrap();
    print(&section);
    let of = |name: &str| section.get(&format!("auroc_{name}")).unwrap().estimate;
    assert!(of("complexity").low > of("likelihood").high);
    assert!(section.warnings.iter().any(|w| w.contains("Plain likelihood") && w.contains("Use `auroc_")));
}

/// `RUN=folder FOREIGN=path SECONDS=60 cargo test --release --test oracles print_anomalies -- --ignored --nocapture`
#[test]
#[ignore = "prints the section of a run"]
fn print_anomalies() {
    let model = Model::load(std::env::var("RUN").expect("RUN=folder")).unwrap();
    let data = model.open_own(&mut |_| {}).unwrap();
    let foreign = match std::env::var("FOREIGN") {
        Ok(source) => Some(model.open(&source, &mut |_| {}).unwrap()),
        Err(_) => mnist(&model),
    };
    let Some(foreign) = foreign else { return };
    let seconds = std::env::var("SECONDS").map_or(60.0, |s| s.parse().unwrap());
    let begun = std::time::Instant::now();
    print(&judge(&model, &data, &foreign, seconds).unwrap());
    println!("{:.1} seconds", begun.elapsed().as_secs_f64());
}
