//! Samplers as they are used: fitted, kept, loaded, judged, refused.

use std::path::Path;

use toml::Table;

use super::fitted::kind_table;
use super::*;
use crate::data::{Attribute, Facts, Normalisation, Rows, SampleShape, StoredType, ValueKind};
use crate::device::Device;
use crate::generate::{GenerateError, Told};
use crate::member::Registry;
use crate::model::Model;
use crate::run::{Layers, resolve};

/// A model of three columns with two classes, as it starts.
fn model(settings: &[&str]) -> Model {
    let own = ["network={kind='mlp', hidden=[8]}", "posterior.latent=2"];
    let settings: Vec<&str> = own.iter().chain(settings).copied().collect();
    model_of(SampleShape::Vector { columns: 3 }, ValueKind::Real, &settings)
}

/// A model of images whose codes are maps of 2×5×5.
fn model_of_maps() -> Model {
    let settings = [
        "posterior.latent={channels=2, factor=2}",
        "network={kind='spatial', channels=[4, 4]}",
        "likelihood.kind=normal",
    ];
    model_of(SampleShape::Image { channels: 1, height: 10, width: 10 }, ValueKind::Grey, &settings)
}

fn model_of(shape: SampleShape, kind: ValueKind, settings: &[&str]) -> Model {
    model_told(shape, kind, settings, Vec::new())
}

fn model_told(shape: SampleShape, kind: ValueKind, settings: &[&str], condition: Vec<Attribute>) -> Model {
    let mut layers = Layers::default();
    for setting in settings {
        layers.set(setting).unwrap();
    }
    let facts = Facts {
        source: "made for a test".into(),
        shape,
        kind,
        normalisation: Normalisation {
            offset: vec![0.0],
            scale: vec![1.0],
            stored: StoredType::F32,
            range: None,
            whole: Vec::new(),
        },
        columns: Vec::new(),
        constant: Vec::new(),
        classes: vec!["left".into(), "right".into()],
        rows: [100, 10, 10],
        mean: vec![0.0; shape.features()],
        variance: vec![1.0; shape.features()],
        hash: String::new(),
        overlaps: Vec::new(),
        condition,
        table: None,
    };
    let registry = Registry::default();
    let (checked, _) = resolve(&layers, &facts, &registry).unwrap();
    let (functions, weights) = checked.build(&Device::cpu()).unwrap();
    Model::of(checked.run, functions, weights).unwrap()
}

/// Three blobs in the plane, one on the left of class 0 and two on the right of class 1.
fn blobs(n: usize, seed: u64) -> (Array, Vec<u32>) {
    let mut noise = vec![0.0; 2 * n];
    Key::from_seed(seed).normals(&mut noise);
    let centres = [[-4.0, 0.0], [4.0, 3.0], [4.0, -3.0]];
    let values =
        (0..n).flat_map(|i| [0, 1].map(|j| centres[i % 3][j] + [0.5, 0.3][j] * noise[2 * i + j])).collect();
    (Array::matrix(values, 2), (0..n).map(|i| u32::from(i % 3 != 0)).collect())
}

fn codes(train: usize, validation: usize) -> CodeSet {
    let ((train, train_labels), (validation, validation_labels)) = (blobs(train, 1), blobs(validation, 2));
    let validation_told = Told::nothing(validation.rows());
    CodeSet { train, validation, validation_told, train_labels, validation_labels, ..CodeSet::default() }
}

/// Bits of which the second repeats the first.
fn bits(n: usize, seed: u64) -> Array {
    let mut coins = vec![0.0; n * 2];
    Key::from_seed(seed).uniforms(&mut coins);
    let bit = |on: bool| f32::from(u8::from(on));
    Array::matrix(
        coins.chunks(2).flat_map(|c| [bit(c[0] < 0.3), bit(c[0] < 0.3), bit(c[1] < 0.5)]).collect(),
        3,
    )
}

fn table(text: &str) -> Table {
    text.parse().unwrap()
}

fn fitted(model: &Model, codes: &CodeSet, text: &str) -> Result<FittedSampler> {
    let registry = Registry::default();
    let options = FitOptions { seed: 1, minutes: None, registry: &registry, progress: &|_, _| () };
    FittedSampler::fit(model, codes, &table(text), &options)
}

fn draw(sampler: &FittedSampler, model: &Model, count: usize) -> Vec<f32> {
    sampler.draw(model, count, &How::default(), Key::from_seed(7)).unwrap().values
}

/// Every sampler, quickly.
const QUICK: [&str; 7] = [
    "kind='normal'",
    "kind='gaussian-mixture'\nmost=5",
    "kind='kernel-density'\ncentres=300",
    "kind='two-stage'\nsteps=20\nhidden=[16]",
    "kind='maf'\nsteps=20\nlayers=2\nhidden=[16]",
    "kind='real-nvp'\nsteps=20\nlayers=2\nhidden=[16]",
    "kind='flow-matching'\nsteps=20\nhidden=[16]\nsolver_steps=4",
];

#[test]
fn a_loaded_sampler_draws_the_same_codes_in_any_batch() {
    let folder = tempfile::tempdir().unwrap();
    let registry = Registry::default();
    let model = model(&[]);
    let codes = codes(600, 200);
    for text in QUICK {
        let sampler = fitted(&model, &codes, text).unwrap();
        let drawn = draw(&sampler, &model, 1500);
        assert!(drawn.len() == 3000 && drawn.iter().all(|v| v.is_finite()), "{text}");
        assert_eq!(drawn, draw(&fitted(&model, &codes, text).unwrap(), &model, 1500), "{text}: fitted again");
        sampler.save(&model, folder.path()).unwrap();
        let loaded = FittedSampler::load(&model, folder.path(), sampler.kind(), &registry).unwrap();
        assert_eq!(drawn, draw(&loaded, &model, 1500), "{text}: loaded");
        assert_eq!(sampler.settings(), loaded.settings());
        assert_eq!(sampler.learned(), loaded.learned());
        assert_eq!(sampler.log_density(&model, &drawn[..20]), loaded.log_density(&model, &drawn[..20]));
        let few = draw(&sampler, &model, 37);
        let apart = few.iter().zip(&drawn).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(apart < 1e-5, "{text}: a smaller batch draws other codes, {apart}");
        let other = sampler.draw(&model, 37, &How::default(), Key::from_seed(8)).unwrap();
        assert_ne!(few, other.values, "{text}");
        let cool = How { temperature: 0.1, ..How::default() };
        assert_ne!(few, sampler.draw(&model, 37, &cool, Key::from_seed(7)).unwrap().values, "{text}");
    }
    assert_eq!(
        draw(&FittedSampler::prior(&model, &registry).unwrap(), &model, 300),
        model.prior_codes(300, Key::from_seed(7)).unwrap().values
    );
}

/// Maps of one level each, −2 or 2, with a little noise; the second channel is the first's negative.
fn flat_maps(n: usize, seed: u64) -> Array {
    let mut noise = vec![0.0; n * 50];
    Key::from_seed(seed).normals(&mut noise);
    let level = |row: usize, channel: usize| if (row + channel).is_multiple_of(2) { 2.0 } else { -2.0 };
    let values = (0..n * 50).map(|i| level(i / 50, i % 50 / 25) + 0.1 * noise[i]).collect();
    Array::matrix(values, 50)
}

#[test]
fn a_flow_of_maps_learns_what_places_share() {
    let model = model_of_maps();
    let (train, validation) = (flat_maps(400, 1), flat_maps(100, 2));
    let validation_told = Told::nothing(validation.rows());
    let codes = CodeSet {
        train,
        validation,
        validation_told,
        train_labels: Vec::new(),
        validation_labels: Vec::new(),
        ..CodeSet::default()
    };
    let text =
        "kind='flow-unet'\nchannels=8\nsteps=250\nbatch=64\nlearning_rate=3e-3\nema=0.98\nsolver_steps=10";
    let sampler = fitted(&model, &codes, text).unwrap();
    let drawn = draw(&sampler, &model, 60);
    let (mut highs, mut off) = (0, 0.0f32);
    for row in drawn.chunks(50) {
        let mean = |half: &[f32]| half.iter().sum::<f32>() / 25.0;
        let (first, second) = (mean(&row[..25]), mean(&row[25..]));
        highs += usize::from(first > 0.0);
        // Places agree with each other, and channels oppose.
        off += row[..25].iter().map(|v| (v - first).abs()).sum::<f32>() / 25.0 + (first + second).abs();
    }
    off /= 60.0;
    println!("flow-unet: {highs} of 60 maps are high, off by {off:.3}");
    assert!((15..=45).contains(&highs) && off < 0.6, "{highs} of 60 maps are high, off by {off}");
    let folder = tempfile::tempdir().unwrap();
    sampler.save(&model, folder.path()).unwrap();
    let loaded = FittedSampler::load(&model, folder.path(), "flow-unet", &Registry::default()).unwrap();
    assert_eq!(drawn, draw(&loaded, &model, 60));
    // Codes without a place are refused, with what to do.
    let flat = self::model(&[]);
    let error = fitted(&flat, &self::codes(60, 20), "kind='flow-unet'").err().unwrap().to_string();
    assert!(error.contains("no place") && error.contains("flow-matching"), "{error}");
}

#[test]
fn densities_are_those_of_z_and_sum_to_one() {
    let model = model(&[]);
    let codes = codes(900, 300);
    let (side, step) = (241, 0.1f32);
    let grid: Vec<f32> = (0..side * side)
        .flat_map(|cell| [(cell % side) as f32 * step - 12.0, (cell / side) as f32 * step - 12.0])
        .collect();
    for text in QUICK {
        let sampler = fitted(&model, &codes, text).unwrap();
        let Some(log_density) = sampler.log_density(&model, &grid) else {
            assert!(matches!(sampler.kind(), "two-stage" | "flow-matching"), "{text}");
            continue;
        };
        let sum: f64 = log_density.iter().map(|v| v.exp()).sum::<f64>() * f64::from(step).powi(2);
        assert!((sum - 1.0).abs() < 0.01, "{text}: {sum}");
    }
}

#[test]
fn flow_matching_finds_a_mixture_that_a_normal_misses() {
    let model = model(&[]);
    let codes = codes(3000, 1200);
    let apart = |text: &str| {
        let sampler = fitted(&model, &codes, text).unwrap();
        let drawn = Array::matrix(draw(&sampler, &model, 1200), 2);
        let scale = Chart::fit(&codes.validation, vec![crate::batch::Support::Reals; 2]);
        let of = |codes: &Array| Array::matrix(scale.u_from_z(&codes.values), 2);
        (cubic_mmd(&of(&codes.validation), &of(&drawn)).value, drawn)
    };
    let (flow, drawn) = apart("kind='flow-matching'\nsteps=800\nhidden=[64, 64]\nsolver_steps=20\nbatch=256");
    let (normal, _) = apart("kind='normal'");
    assert!(flow < 0.02 && flow < 0.2 * normal, "{flow} {normal}");
    // Few codes lie in the empty middle, where the normal's are densest.
    let middle = (0..drawn.rows()).filter(|&i| drawn.row(i).iter().map(|v| v * v).sum::<f32>() < 4.0).count();
    assert!(middle < 40, "{middle} of 1200 codes in the middle");
}

#[test]
fn flows_learn_what_a_normal_cannot() {
    let model = model(&[]);
    let codes = codes(3000, 1200);
    let score = |text: &str| {
        let sampler = fitted(&model, &codes, text).unwrap();
        let log_density = sampler.log_density(&model, &codes.validation.values).unwrap();
        log_density.iter().sum::<f64>() / log_density.len() as f64
    };
    // ln p of the true mixture is −ln 3 − ln 0.15 − ln 2πe on average, where blobs do not overlap.
    let truth = -(3f64.ln()) - 0.15f64.ln() - density_entropy();
    let (normal, mixture) = (score("kind='normal'"), score("kind='gaussian-mixture'\ncomponents=3"));
    assert!((mixture - truth).abs() < 0.1, "{mixture} {truth}");
    for text in [
        "kind='maf'\nsteps=400\nhidden=[64, 64]\nlayers=4",
        "kind='real-nvp'\nsteps=400\nhidden=[64, 64]\nlayers=6",
    ] {
        let flow = score(text);
        assert!(flow > normal + 0.8 && flow < truth + 0.1, "{text}: {flow}, normal {normal}, truth {truth}");
    }
    let kernels = score("kind='kernel-density'");
    assert!(kernels > normal + 0.8 && kernels < truth + 0.1, "{kernels} {truth}");
}

/// The entropy of N(0, I) in the plane, ln 2πe.
fn density_entropy() -> f64 {
    (std::f64::consts::TAU * std::f64::consts::E).ln()
}

#[test]
fn priors_have_a_temperature_where_they_can() {
    let registry = Registry::default();
    let how = |temperature, truncation| How { temperature, truncation, ..How::default() };
    let spread = |model: &Model, how: &How| {
        let prior = FittedSampler::prior(model, &registry).unwrap();
        let drawn = prior.draw(model, 4000, how, Key::from_seed(5)).unwrap().values;
        (drawn.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() / drawn.len() as f64).sqrt()
    };
    let standard = model(&[]);
    assert!((spread(&standard, &how(0.5, None)) - 0.5).abs() < 0.02);
    assert!(spread(&standard, &how(1.0, Some(0.5))) < 0.3);
    // Means at 0, so that the temperature scales all there is.
    let mixture = model(&["prior={kind='mixture', components=3, spread=0.0}"]);
    assert!((spread(&mixture, &how(0.5, None)) / spread(&mixture, &how(1.0, None)) - 0.5).abs() < 1e-3);
    let refused = |model: &Model, how: &How| {
        let prior = FittedSampler::prior(model, &registry).unwrap();
        prior.draw(model, 4, how, Key::from_seed(5)).unwrap_err().to_string()
    };
    assert!(refused(&mixture, &how(1.0, Some(1.0))).contains("leave truncation out"));
    let uniform = model(&[
        "posterior={kind='point', latent=2, unit_interval=true}",
        "prior.kind=uniform",
        "objective.terms.distortion.weight=1",
        "objective.estimator.kind=plain",
    ]);
    assert!(refused(&uniform, &how(0.5, None)).contains("leave the temperature at 1"));
}

#[test]
fn the_search_finds_three_components() {
    let model = model(&[]);
    let sampler = fitted(&model, &codes(1500, 500), "kind='gaussian-mixture'\nmost=20").unwrap();
    let found = sampler.arrays["weights"].values.len();
    assert!((5..=10).contains(&found), "{found} components of 1, 2, 5, 10 and 20 for three blobs");
    let sampler = fitted(&model, &codes(1500, 500), "kind='gaussian-mixture'\ncomponents=3").unwrap();
    let weights = &sampler.arrays["weights"].values;
    assert!(weights.len() == 3 && weights.iter().all(|w| (w - 1.0 / 3.0).abs() < 0.01), "{weights:?}");
}

#[test]
fn auto_keeps_the_mixture_for_codes_that_are_one() {
    let folder = tempfile::tempdir().unwrap();
    let registry = Registry::default();
    let model = model(&[]);
    let codes = codes(1500, 900);
    // Without a clock, so that the outcome is the same on any machine.
    let options = FitOptions { seed: 1, minutes: None, registry: &registry, progress: &|_, _| () };
    // What would take a minute is fitted for seconds: auto leaves what is there.
    for quick in [
        "kind='two-stage'\nhidden=[64]\nsteps=400",
        "kind='maf'\nsteps=400",
        "kind='flow-matching'\nhidden=[64]\nsteps=600",
    ] {
        fit_one(&model, folder.path(), &codes, &table(quick), false, &options).unwrap();
    }
    let choice = fit_auto(&model, folder.path(), &codes, false, &options).unwrap();
    assert_eq!(choice.chosen, "gaussian-mixture", "{:?}", choice.table);
    assert_eq!(choice.table[0].sampler, choice.chosen);
    let of = |name: &str| choice.table.iter().find(|row| row.sampler == name).unwrap().two_sample;
    assert!(of("prior").accuracy > 0.9 && of("normal").accuracy > 0.7, "{:?}", choice.table);
    assert!(of("gaussian-mixture").accuracy_low < 0.52, "{:?}", choice.table);
    assert_eq!(Choice::read(folder.path()).unwrap().as_ref(), Some(&choice));
    assert_eq!(Choice::of(&model, folder.path()).unwrap().as_ref(), Some(&choice));
    let chosen = Choice::sampler(&model, folder.path(), &registry).unwrap();
    assert_eq!(chosen.kind(), "gaussian-mixture");
    // A table of the first format is by another test: what is there is judged anew.
    let path = folder.path().join("samplers/chosen.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let accuracy = text.lines().find(|line| line.starts_with("accuracy =")).unwrap();
    let old = text.replace("format = 2", "format = 1").replacen(accuracy, "accuracy = 0.123", 1);
    std::fs::write(&path, old).unwrap();
    assert!(!Choice::read(folder.path()).unwrap().unwrap().is_current());
    let anew = fit_auto(&model, folder.path(), &codes, false, &options).unwrap();
    let tests = |choice: &Choice| choice.table.iter().map(|row| row.two_sample).collect::<Vec<_>>();
    assert!(anew.is_current() && tests(&anew) == tests(&choice) && anew.chosen == choice.chosen, "{anew:?}");
    // What is best by which rule is said.
    assert!(
        choice.why().contains("told as little") || choice.why().contains("told from validation codes least")
    );
    // Nothing is fitted twice, and a fit of one joins the table.
    assert_eq!(fit_auto(&model, folder.path(), &codes, false, &options).unwrap(), anew);
    let one = |force| fit_one(&model, folder.path(), &codes, &table("kind='normal'"), force, &options);
    assert!(matches!(one(false), Err(GenerateError::Sampler(SamplerError::Exists { .. }))));
    assert_eq!(one(true).unwrap().table.len(), choice.table.len());
    // One that was killed before its fit was judged is made anew, and what another left half-written is gone.
    let text = std::fs::read_to_string(&path).unwrap();
    let normal = text.split("[[table]]").find(|part| part.contains("\"normal\"")).unwrap();
    std::fs::write(&path, text.replace(&format!("[[table]]{normal}"), "")).unwrap();
    let left = folder.path().join("samplers/normal.safetensors.4294967294.tmp");
    std::fs::write(&left, "half").unwrap();
    assert_eq!(one(false).unwrap().table.len(), choice.table.len());
    assert!(!left.exists());
}

#[test]
fn a_class_is_drawn_alone() {
    let model = model(&[]);
    let codes = codes(1500, 500);
    for text in [
        "kind='normal'",
        "kind='gaussian-mixture'",
        "kind='kernel-density'",
        "kind='flow-matching'\nsteps=300\nhidden=[64, 64]\nbatch=128",
    ] {
        let sampler = fitted(&model, &codes, text).unwrap();
        for (name, side) in [("left", -1.0), ("right", 1.0)] {
            let how = How { class: Some(sampler.class(name).unwrap()), ..How::default() };
            let drawn = sampler.draw(&model, 300, &how, Key::from_seed(3)).unwrap();
            let there = (0..300).filter(|&i| drawn.row(i)[0] * side > 0.0).count();
            assert!(there > 290, "{text}: {there} of 300 codes of class {name}");
        }
        let said = sampler.class("rihgt").unwrap_err().to_string();
        assert!(said.contains("did you mean `right`") && said.contains("left, right"), "{said}");
    }
    let maf = fitted(&model, &codes, QUICK[4]).unwrap();
    assert!(maf.class("left").unwrap_err().to_string().contains("flow-matching"));
    let alone = fitted(&model, &CodeSet { train_labels: Vec::new(), ..codes }, "kind='normal'").unwrap();
    assert!(alone.class("left").is_err());
}

#[test]
fn bits_are_drawn_as_they_hang_together() {
    let model = model(&["posterior={kind='bits', latent=3}", "prior.kind=bits"]);
    let validation_told = Told::nothing(500);
    let codes =
        CodeSet { train: bits(2000, 1), validation: bits(500, 2), validation_told, ..CodeSet::default() };
    let sampler =
        fitted(&model, &codes, "kind='autoregressive-bits'\nhidden=[32]\nsteps=600\nlearning_rate=0.02")
            .unwrap();
    let drawn = draw(&sampler, &model, 4000);
    let share = |what: &dyn Fn(&[f32]) -> bool| drawn.chunks(3).filter(|z| what(z)).count() as f64 / 4000.0;
    assert!(drawn.iter().all(|v| *v == 0.0 || *v == 1.0));
    let same = share(&|z| z[0] == z[1]);
    assert!(same > 0.99, "{same}");
    assert!((share(&|z| z[0] == 1.0) - 0.3).abs() < 0.04);
    assert!((share(&|z| z[2] == 1.0) - 0.5).abs() < 0.04);
    let every: Vec<f32> = (0..8).flat_map(|c| (0..3).map(move |j| ((c >> j) & 1) as f32)).collect();
    let sum: f64 = sampler.log_density(&model, &every).unwrap().iter().map(|v| v.exp()).sum();
    assert!((sum - 1.0).abs() < 1e-5, "{sum}");
    let folder = tempfile::tempdir().unwrap();
    let registry = Registry::default();
    let options = FitOptions { seed: 1, minutes: Some(0.1), registry: &registry, progress: &|_, _| () };
    assert_eq!(
        fit_auto(&model, folder.path(), &codes, false, &options).unwrap().chosen,
        "autoregressive-bits"
    );
    // At a low temperature the likelier value of each bit is drawn.
    let cold = How { temperature: 0.01, ..How::default() };
    let cold = sampler.draw(&model, 200, &cold, Key::from_seed(1)).unwrap().values;
    assert!(cold.chunks(3).all(|z| z[0] == 0.0 && z[1] == 0.0));
    let cut = How { truncation: Some(2.0), ..How::default() };
    assert!(sampler.draw(&model, 2, &cut, Key::from_seed(1)).is_err());
    for text in QUICK {
        let said = fitted(&model, &codes, text).err().expect("a refusal").to_string();
        assert!(said.contains("autoregressive-bits"), "{said}");
    }
}

#[test]
fn each_refusal_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let registry = Registry::default();
    let (run, model, codes) = (folder.path(), model(&[]), codes(60, 30));
    let said = |text: &str| fitted(&model, &codes, text).err().expect("a refusal").to_string();
    assert!(said("kind='autoregressive-bits'").contains("use gaussian-mixture or flow-matching"));
    assert!(said("kind='gausian-mixture'").contains("did you mean `gaussian-mixture`?"));
    assert!(said("kind='gaussian-mixture'\ncomponent=2").contains("did you mean `sampler.components`?"));
    assert!(said("kind='flow-matching'\nsolver_steps=0").contains("give 1 to 10000"));
    assert!(said("kind='flow-matching'\nautoguidance=-1").contains("give 0 to 10"));
    assert!(said("kind='maf'\nhidden=[0]").contains("16 layers of 1 to 4096"));
    assert!(said("kind='kernel-density'\nbandwidth=-1").contains("give a positive number"));
    let few = CodeSet { validation: blobs(3, 1).0, ..codes.clone() };
    let few = fitted(&model, &few, "kind='normal'").err().expect("a refusal").to_string();
    assert!(few.contains("3 rows, and at least 8"), "{few}");

    let load = |name: &str| FittedSampler::load(&model, run, name, &registry).err().map(|e| e.to_string());
    assert!(load("normal").unwrap().contains("latent fit-sampler"));
    assert!(load("nromal").unwrap().contains("did you mean `normal`?"));
    assert_eq!(load("prior"), None);
    let sampler = fitted(&model, &codes, "kind='normal'").unwrap();
    let path = sampler.save(&model, run).unwrap();
    assert_eq!(load("normal"), None);
    let other = self::model(&["seed=2"]);
    let stale = FittedSampler::load(&other, run, "normal", &registry).err().expect("a refusal").to_string();
    assert!(stale.contains("trained since") && stale.contains("--force"), "{stale}");
    assert!(Choice::of(&other, run).unwrap().is_none());

    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() - 3]).unwrap();
    assert!(load("normal").unwrap().contains("normal.safetensors"));
    std::fs::write(&path, "mine").unwrap();
    assert!(sampler.save(&model, run).unwrap_err().to_string().contains("move it away"));
    assert_eq!(std::fs::read(&path).unwrap(), b"mine");
    std::fs::write(run.join("samplers/chosen.toml"), "nonsense").unwrap();
    assert!(Choice::read(run).unwrap_err().to_string().contains("chosen.toml"));
}

#[test]
fn a_file_whose_settings_do_not_fit_its_arrays_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let registry = Registry::default();
    let (model, codes) = (model(&[]), codes(60, 30));
    for text in QUICK {
        let sampler = fitted(&model, &codes, text).unwrap();
        let path = sampler.save(&model, folder.path()).unwrap();
        let file = crate::store::TensorFile::load(&path).unwrap();
        let names: Vec<String> = file.arrays.keys().cloned().collect();
        for name in names {
            let mut damaged = file.clone();
            if let Some(array) = damaged.arrays.get_mut(&name) {
                array.shape = vec![array.values.len() + 1];
                array.values.push(0.5);
            }
            damaged.save(&path).unwrap();
            let loaded = FittedSampler::load(&model, folder.path(), sampler.kind(), &registry);
            let refused = loaded.err().map(|error| error.to_string());
            // A mixture of as many weights as means, and a second bandwidth that nobody reads, are no damage.
            let harmless = name.ends_with("bandwidth");
            assert!(harmless || refused.is_some_and(|said| said.contains("--force")), "{text}: {name}");
        }
    }
}

#[test]
fn scores_under_the_prior_and_under_a_mixture() {
    let model = model(&[]);
    let registry = Registry::default();
    let rows =
        crate::data::Rows { x: vec![0.3, -0.2, 1.0, 0.0, 0.5, -1.0], ids: vec![0, 1], ..Default::default() };
    let key = Key::from_seed(2);
    let plain = model.score(&rows, 50, key).unwrap();
    let prior = FittedSampler::prior(&model, &registry).unwrap();
    assert_eq!(plain, model.score_with(&prior, &rows, 50, key).unwrap());
    // A normal fitted on very many draws of the prior is the prior, nearly.
    let train = model.prior_codes(50_000, Key::from_seed(1)).unwrap();
    let codes = CodeSet { validation: train.clone(), train, ..CodeSet::default() };
    let normal = fitted(&model, &codes, "kind='normal'").unwrap();
    for (a, b) in plain.iter().zip(model.score_with(&normal, &rows, 50, key).unwrap()) {
        assert!((a.log_p_lower - b.log_p_lower).abs() < 0.05, "{a:?} {b:?}");
    }
    let flow = fitted(&model, &codes, QUICK[6]).unwrap();
    assert!(model.score_with(&flow, &rows, 5, key).unwrap_err().to_string().contains("gaussian-mixture"));
}

#[test]
fn an_unfinished_path_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let run: &Path = &folder.path().join("deep/run");
    let model = model(&[]);
    assert!(Choice::read(run).unwrap().is_none());
    let sampler = fitted(&model, &codes(60, 30), "kind='normal'").unwrap();
    assert!(sampler.save(&model, run).unwrap().exists());
    assert_eq!(kind_table("normal").len(), 1);
}

/// The guided velocity is linear in w, from that of all rows at 0 to that of the class at 1 and on.
#[test]
fn guidance_goes_from_all_rows_to_those_of_a_class_and_beyond() {
    let (model, codes) = (model(&[]), codes(1500, 500));
    let text = "kind='flow-matching'\nsteps=600\nhidden=[64, 64]\nbatch=128\nsolver_steps=20";
    let sampler = fitted(&model, &codes, text).unwrap();
    let drawn = |guidance: f64| {
        let how = How { class: Some(0), guidance, ..How::default() };
        sampler.draw(&model, 600, &how, Key::from_seed(3)).unwrap()
    };
    let left = |codes: &Array| (0..600).filter(|&i| codes.row(i)[0] < 0.0).count() as f64 / 600.0;
    let mean = |codes: &Array| (0..600).map(|i| f64::from(codes.row(i)[0])).sum::<f64>() / 600.0;
    let [none, plain, much] = [0.0, 1.0, 3.0].map(&drawn);
    // A third of all rows are of that class.
    assert!((left(&none) - 1.0 / 3.0).abs() < 0.1, "{}", left(&none));
    assert!(left(&plain) > 0.97 && (mean(&plain) + 4.0).abs() < 0.3, "{} {}", left(&plain), mean(&plain));
    assert!(left(&much) > 0.99 && mean(&much) < mean(&plain), "{} {}", left(&much), mean(&much));
    // One that had no row's class hidden knows no velocity of all rows, and so do samplers of other kinds.
    for text in ["kind='flow-matching'\nsteps=20\nhidden=[16]\ncondition_dropout=0.0", "kind='normal'"] {
        let how = How { guidance: 2.0, ..How::default() };
        let said =
            fitted(&model, &codes, text).unwrap().draw(&model, 3, &how, Key::from_seed(1)).unwrap_err();
        assert!(said.to_string().contains("fit a flow anew"), "{said}");
    }
}

/// What was learned is left out at 0, so that draws are the normal's, which lie between the clusters too; and counts more above 1.
#[test]
fn autoguidance_goes_from_the_normal_to_what_was_learned_and_beyond() {
    let (model, codes) = (model(&[]), codes(1500, 500));
    let drawn = |w: f64| {
        let text = format!("kind='flow-matching'\nsteps=500\nhidden=[64, 64]\nbatch=128\nautoguidance={w:?}");
        let sampler = fitted(&model, &codes, &text).unwrap();
        sampler.draw(&model, 600, &How::default(), Key::from_seed(3)).unwrap()
    };
    let between = |codes: &Array| (0..600).filter(|&i| codes.row(i)[0].abs() < 1.5).count() as f64 / 600.0;
    let [none, plain, more] = [0.0, 1.0, 1.5].map(&drawn);
    assert!(between(&none) > 0.15, "{}", between(&none));
    assert!(between(&plain) < 0.05, "{}", between(&plain));
    assert!(between(&more) <= between(&plain) && more != plain, "{}", between(&more));
}

/// A flow of more steps has the less loss; what has no steps has none to tell of.
#[test]
fn a_fit_says_how_far_it_learned() {
    let (model, codes) = (model(&[]), codes(1500, 500));
    let learned = |text: &str| fitted(&model, &codes, text).unwrap().learned();
    let flow = |steps: u64| {
        learned(&format!("kind='flow-matching'\nsteps={steps}\nhidden=[64, 64]\nbatch=128")).unwrap()
    };
    let (few, many) = (flow(20), flow(500));
    assert_eq!((few.steps, few.planned, many.planned), (20, 20, 500));
    assert!(many.steps > 20 && many.loss < 0.95 * few.loss, "{few:?} {many:?}");
    assert_eq!(learned("kind='normal'"), None);
}

/// Codes lie where the number that rows are told says: a flow puts each row's there.
#[test]
fn a_flow_follows_the_numbers_that_rows_are_told() {
    let range = [-2.0, 2.0];
    let age = Attribute::Number { name: "age".into(), mean: 0.0, deviation: 1.0, range, unknown: false };
    let shape = SampleShape::Vector { columns: 3 };
    let settings = ["network={kind='mlp', hidden=[8]}", "posterior.latent=2", "data.condition=['age']"];
    let model = model_told(shape, ValueKind::Real, &settings, vec![age]);
    let spread = |row: usize| (row % 41) as f32 / 10.0 - 2.0;
    let told = |n: usize| {
        let condition = (0..n).map(spread).collect();
        Told::of(&Rows { ids: (0..n as u64).collect(), condition, ..Rows::default() })
    };
    let codes = |n: usize, seed: u64| {
        let mut noise = vec![0.0; 2 * n];
        Key::from_seed(seed).normals(&mut noise);
        let place = |row: usize| [3.0 * spread(row) + 0.3 * noise[2 * row], 0.5 * noise[2 * row + 1]];
        Array::matrix((0..n).flat_map(place).collect(), 2)
    };
    let set = CodeSet {
        train: codes(1640, 1),
        validation: codes(410, 2),
        train_told: told(1640),
        validation_told: told(410),
        ..CodeSet::default()
    };
    let text = "kind='flow-matching'\nsteps=600\nhidden=[64, 64]\nbatch=128\nsolver_steps=20";
    let sampler = fitted(&model, &set, text).unwrap();
    let drawn = sampler.draw_told(&model, &set.validation_told, &How::default(), Key::from_seed(3)).unwrap();
    let away = |row: usize| f64::from(drawn.row(row)[0] - 3.0 * spread(row)).powi(2);
    let error = ((0..410).map(away).sum::<f64>() / 410.0).sqrt();
    // The codes themselves lie 0.3 away; all of them are spread by 3.6.
    assert!(error < 0.6, "{error}");
    // What is told is kept: the sampler of a file draws the same.
    let folder = tempfile::tempdir().unwrap();
    sampler.save(&model, folder.path()).unwrap();
    let again = FittedSampler::load(&model, folder.path(), "flow-matching", &Registry::default()).unwrap();
    let same = again.draw_told(&model, &set.validation_told, &How::default(), Key::from_seed(3)).unwrap();
    assert_eq!(same, drawn);
}
