//! The sections on samples, reconstruction and memorisation, from a trained model to their numbers.

use std::path::{Path, PathBuf};

use latent::array::Array;
use latent::data::{Data, Split, StoredType, write_npy};
use latent::evaluate::features::Features;
use latent::evaluate::samples::{SampleSource, source_of_codes};
use latent::evaluate::{Measure, Section, Subject, compare, memorisation, reconstruction, samples};
use latent::generate::Samples;
use latent::{Key, Model};

/// What is to be judged, without a clock.
fn subject<'a>(model: &'a Model, data: &'a Data, split: Split) -> Subject<'a> {
    Subject {
        model,
        held_out: (data, split),
        train: Some(data),
        foreign: None,
        samplers: &[],
        features: None,
        seconds: None,
        set: None,
        rows: None,
        key: Key::from_seed(3),
        progress: &|_, _| {},
    }
}

fn trained(data: &Path, settings: &str, folder: &Path) -> (Model, Data) {
    crate::common::train(&crate::common::layers(data, settings), folder, false, |_| false);
    let model = Model::load(folder).unwrap();
    let data = model.open_own(&mut |_| {}).unwrap();
    (model, data)
}

fn value(section: &Section, name: &str) -> f64 {
    let measure = section.get(name).unwrap_or_else(|| panic!("no `{name}` in {section:?}"));
    let estimate = measure.estimate;
    assert!(
        estimate.low <= estimate.value && estimate.value <= estimate.high && measure.n > 0,
        "{measure:?}"
    );
    assert!(!measure.note.is_empty(), "{measure:?}");
    estimate.value
}

#[test]
fn a_table_is_judged_on_its_columns() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("table.npy");
    let mut noise = vec![0.0; 3 * 3000];
    Key::from_seed(8).normals(&mut noise);
    // Three columns on other scales, the last one nearly the sum of the others.
    let values: Vec<f64> = noise
        .chunks(3)
        .map(|z| [z[0], z[1], z[2]].map(f64::from))
        .flat_map(|[a, b, c]| [100.0 * a + 7.0, 0.01 * b, a + b + 0.1 * c])
        .collect();
    write_npy(&path, &[3000, 3], StoredType::F64, &values).unwrap();
    let settings = "
        likelihood.kind=normal
        posterior={kind='diagonal-normal', latent=2}
        network={kind='mlp', hidden=[32]}
        train.batch=100
        train.epochs=20
        data.test=0.3
    ";
    let (model, data) = trained(&path, settings, &folder.path().join("run"));
    let subject = subject(&model, &data, Split::Test);

    let section = reconstruction(&subject).unwrap();
    let columns: f64 = (0..3).map(|c| value(&section, &format!("mse:x{c}"))).sum();
    let all = value(&section, "mse");
    assert!((all - columns / 3.0).abs() < 1e-9 && all < 0.5, "{all} {columns}");
    assert_eq!(section.get("mse").unwrap().rows.len(), data.len(Split::Test));

    // Rows of the training data stand for a sampler that repeats.
    let repeat: SampleSource<'_> = Box::new(|told, key: Key| {
        let mut positions = key.permutation(data.len(Split::Train));
        positions.truncate(told.rows());
        let x = data.rows(Split::Train, &positions, 0)?.x;
        Ok(latent::generate::Samples::new(x, data.facts()))
    });
    let prior = source_of_codes(&model, |told, key| Ok(model.prior_codes_told(told, key)?));
    let samplers = [("prior".to_string(), prior), ("repeat".to_string(), repeat)];
    let section = samples(&subject, &samplers).unwrap();
    assert!(section.absent.is_empty() && section.warnings.is_empty(), "{section:?}");
    for measure in ["frechet", "kid", "precision", "recall", "density", "coverage"] {
        for set in ["held-out", "posterior", "prior", "repeat"] {
            value(&section, &format!("{measure}:{set}"));
        }
    }
    assert!(value(&section, "coverage:held-out") > 0.8 && value(&section, "frechet:repeat") < 0.1);

    // Sets of more rows than there are say why they are smaller.
    let asked = Subject { set: Some(800), ..subject };
    let capped = samples(&asked, &samplers[1..]).unwrap();
    let said = "Sets of 800 rows were asked for and have 450: half of the 900 held-out rows";
    assert!(capped.warnings.iter().any(|warning| warning.starts_with(said)), "{:?}", capped.warnings);

    // On other numbers of rows what depends on it is not ranked.
    let fewer = Subject { held_out: (&data, Split::Validation), ..subject };
    let fewer = samples(&fewer, &samplers).unwrap();
    let n = |section: &Section| section.get("frechet:prior").unwrap().n;
    assert_ne!(n(&section), n(&fewer));
    let runs = [("a".to_string(), vec![section]), ("b".to_string(), vec![fewer])];
    for row in compare(&runs).rows.into_iter().filter(|row| row.cells.iter().flatten().count() > 1) {
        assert_eq!(row.refused.is_some(), !row.name.starts_with("kid:"), "{row:?}");
        assert!(row.name.starts_with("kid:") || row.cells.iter().flatten().all(|cell| !cell.best));
    }

    let section = memorisation(&subject, &samplers).unwrap();
    assert!(value(&section, "c-t-columns:repeat") < -5.0);
    assert_eq!(value(&section, "nearest-columns:repeat"), 0.0);
    assert!(value(&section, "near-copies-columns:repeat") == 1.0);
    assert!(value(&section, "c-t-columns:prior") > -3.0);
    assert!(section.warnings.iter().any(|w| w.starts_with("repeat: by columns")), "{section:?}");
    assert!(section.figures.is_empty());
}

#[test]
fn pictures_are_judged_on_pixels_and_features() {
    let folder = tempfile::tempdir().unwrap();
    let path = crate::common::npy(folder.path(), 260, 12);
    let (model, data) = trained(&path, crate::common::DENSE, &folder.path().join("run"));
    let subject = subject(&model, &data, Split::Train);

    let section = reconstruction(&subject).unwrap();
    let rows = data.len(Split::Train);
    for (name, low, high) in [
        ("mse", 0.0, 0.2),
        ("psnr", 5.0, 60.0),
        ("ssim", -1.0, 1.0),
        ("ms_ssim", 0.0, 1.0),
        ("feature_distance", 0.0, 1.0),
    ] {
        let found = value(&section, name);
        assert!(low < found && found < high, "{name} {found}");
        let measure = section.get(name).unwrap();
        let mean = measure.rows.iter().map(|(_, v)| v).sum::<f64>() / rows as f64;
        assert!(measure.rows.len() == rows && (mean - found).abs() < 1e-9);
    }
    assert!(section.get("ms_ssim").unwrap().note.starts_with("1 of 5 scales"));
    // Four latents keep little of it.
    for name in ["power_high", "power_middle"] {
        let found = value(&section, name);
        assert!((0.0..0.9).contains(&found), "{name} {found}");
    }

    // Too few rows for the Fréchet distance of 1280 features: the numbers are there, and a warning where chance is no small
    // part of the floor.
    let section = samples(&subject, &[]).unwrap();
    assert!(value(&section, "frechet:prior") > value(&section, "frechet:held-out"));
    for name in ["power_high", "power_middle"] {
        let held_out = section.get(&format!("{name}:held-out")).unwrap();
        let (low, high) = (held_out.estimate.low, held_out.estimate.high);
        // Within twice its interval of 1, and on no features.
        assert!(
            held_out.features.is_none() && (held_out.estimate.value - 1.0).abs() < high - low,
            "{held_out:?}"
        );
        assert!(["posterior", "prior"].iter().all(|set| value(&section, &format!("{name}:{set}")) > 0.0));
    }
    let is_small = value(&section, "frechet:held-out") <= 0.05 * value(&section, "frechet:posterior");
    assert_ne!(section.warnings.iter().any(|w| w.contains("1280 features")), is_small, "{section:?}");
    let few = Subject { held_out: (&data, Split::Test), ..subject };
    assert!(samples(&few, &[]).unwrap().absent.len() == 1);

    let section = memorisation(&few, &[]).unwrap();
    assert_eq!(section.absent.len(), 2, "{section:?}");
    let own = Subject { held_out: (&data, Split::Train), ..few };
    let section = memorisation(&own, &[]).unwrap();
    assert_eq!(value(&section, "nearest-pixels:held-out"), 0.0);
    assert_eq!(section.figures.len(), 2);
    let lost = Subject { train: None, ..own };
    assert_eq!(memorisation(&lost, &[]).unwrap().absent.len(), 1);
}

/// The mean and the mean square of a picture.
struct Moments;

impl Features for Moments {
    fn name(&self) -> &str {
        "two moments"
    }

    fn dims(&self) -> usize {
        2
    }

    fn of(&self, part: &Samples) -> latent::Result<Array> {
        let pictures = part.pictures()?;
        let [channels, height, width] = pictures.shape();
        let numbers = channels * height * width;
        let moments = pictures.pixels().chunks(numbers).flat_map(|x| {
            let mean = |power: i32| x.iter().map(|v| v.powi(power)).sum::<f32>() / numbers as f32;
            [mean(1), mean(2)]
        });
        Ok(Array::matrix(moments.collect(), 2))
    }
}

#[test]
fn features_of_ones_own_are_used_and_named_everywhere() {
    let folder = tempfile::tempdir().unwrap();
    let path = crate::common::npy(folder.path(), 260, 12);
    let (model, data) = trained(&path, crate::common::DENSE, &folder.path().join("run"));
    let own = subject(&model, &data, Split::Train);
    let given = Subject { features: Some(&Moments), ..own };

    let section = samples(&given, &[]).unwrap();
    // Two features need few rows: no warning of a covariance that is hardly known.
    assert!(section.warnings.is_empty() && section.features() == ["two moments"], "{section:?}");
    // All but the power of frequencies, which is of pixels.
    let on_pixels = |m: &Measure| m.name.starts_with("power_");
    assert!(section.measures.iter().all(|m| on_pixels(m) != m.note.contains("on features of two moments")));
    assert!(value(&section, "frechet:held-out") < 0.05, "{section:?}");

    for (section, name) in [
        (reconstruction(&given).unwrap(), "feature_distance"),
        (memorisation(&given, &[]).unwrap(), "nearest-features:prior"),
    ] {
        let measure = section.get(name).unwrap();
        assert_eq!(measure.features.as_deref(), Some("two moments"));
        assert!(measure.note.contains("two moments"), "{measure:?}");
        // Those that compare pixels have none.
        let on = |m: &Measure| m.name.contains("feature");
        assert!(section.measures.iter().all(|m| m.features.is_some() == on(m)), "{section:?}");
    }
    let section = samples(&own, &[]).unwrap();
    assert_eq!(section.features(), ["EfficientNet-Lite0"]);
}

/// RUN=folder [SECONDS=60] cargo test --release --workspace --test judging sections:: -- --ignored --nocapture
#[test]
#[ignore = "prints the sections of a run, and writes their figures beside its model"]
fn sections_of_a_run() {
    let Ok(run) = std::env::var("RUN").map(PathBuf::from) else {
        println!("skipped: RUN names no run folder");
        return;
    };
    let model = Model::load(&run).unwrap();
    let data = model.open_own(&mut |_| {}).unwrap();
    let seconds = std::env::var("SECONDS").ok().and_then(|s| s.parse().ok());
    let subject = Subject { seconds, ..subject(&model, &data, Split::Test) };
    type Part = fn(&Subject<'_>) -> latent::Result<Section>;
    let parts: [(&str, Part); 3] = [
        ("reconstruction", reconstruction),
        ("samples", |subject| samples(subject, &[])),
        ("memorisation", |subject| memorisation(subject, &[])),
    ];
    let only = std::env::var("ONLY").unwrap_or_default();
    for (_, part) in parts.into_iter().filter(|(name, _)| only.is_empty() || only == *name) {
        let started = std::time::Instant::now();
        let section = part(&subject).unwrap();
        println!("\n{} ({:.1} s)", section.title, started.elapsed().as_secs_f64());
        for measure in &section.measures {
            let latent::evaluate::Estimate { value, low, high } = measure.estimate;
            let (unit, n) = (&measure.unit, measure.n);
            println!(
                "  {:34} {value:10.5} [{low:.5}, {high:.5}] {unit} n {n}  {}",
                measure.name, measure.note
            );
        }
        section.warnings.iter().chain(&section.absent).for_each(|line| println!("  ! {line}"));
        for (name, _, figure) in &section.figures {
            figure.save(&run.join(format!("{name}.png"))).unwrap();
        }
    }
}
