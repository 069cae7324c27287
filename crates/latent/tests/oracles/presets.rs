//! Every preset builds on every sort of data, says what it changed, and its loss is a number.

use latent::batch::Batch;
use latent::data::{Attribute, Facts, Rows, ValueKind};
use latent::device::{Device, scalar};
use latent::model::View;
use latent::objective::{ObjectiveSettings, Pass};
use latent::run::{Layers, Run, presets, resolve};
use latent::{Key, Registry};

use crate::common::*;

/// Two classes.
fn label() -> Attribute {
    Attribute::Class {
        name: "label".into(),
        classes: vec!["a".into(), "b".into()],
        counts: vec![60, 40],
        unknown: false,
    }
}

#[test]
fn every_preset_fits_every_sort_of_data() {
    let sorts: Vec<Facts> = vec![
        facts(image(1, 12, 12), ValueKind::Grey),
        facts(image(1, 7, 5), ValueKind::Binary),
        facts(image(3, 16, 18), ValueKind::Colour),
        facts(vector(6), ValueKind::Real),
        facts(vector(6), ValueKind::Binary),
        facts(vector(1), ValueKind::Real),
    ];
    let registry = Registry::default();
    for preset in presets() {
        for facts in &sorts {
            let mut layers = Layers::default();
            layers.preset(preset.name).unwrap();
            // A preset that is told the class is met with data that has classes.
            let told =
                preset.table().unwrap().get("data").is_some_and(|data| data.get("condition").is_some());
            let classes = vec!["a".to_string(), "b".into()];
            let facts =
                &Facts { condition: if told { vec![label()] } else { Vec::new() }, classes, ..facts.clone() };
            let what = format!("{} on {:?} {}", preset.name, facts.kind, facts.shape);
            // What is only of pictures says so.
            if preset.name == "ms-ssim-vae" && !facts.shape.is_image() {
                let error = resolve(&layers, facts, &registry).err().unwrap_or_else(|| panic!("{what}"));
                assert!(error.to_string().contains("images"), "{what}: {error}");
                continue;
            }
            let (checked, notes) =
                resolve(&layers, facts, &registry).unwrap_or_else(|e| panic!("{what}: {e}"));
            let run = &checked.run;
            assert_eq!(run.preset.as_deref(), Some(preset.name));
            let changed = run.likelihood.get("kind") != preset.table().unwrap()["likelihood"].get("kind");
            assert_eq!(changed, notes.iter().any(|n| n.contains("likelihood")), "{what}: {notes:?}");
            let table = preset.table().unwrap();
            let latent = table["posterior"].get("latent").and_then(toml::Value::as_table);
            // Maps are for images, dimensions of each column for tables.
            let changed = latent.is_some_and(|own| own.contains_key("channels") != facts.shape.is_image());
            assert_eq!(changed, notes.iter().any(|n| n.contains("latent →")), "{what}: {notes:?}");
            let (model, weights, objective) =
                checked.build_for_training(None, &Device::cpu()).unwrap_or_else(|e| panic!("{what}: {e}"));
            let (_, again) = ObjectiveSettings::resolve(&run.objective, &registry).unwrap();
            assert_eq!(again, run.objective, "{what}: what is resolved resolves to itself");
            let features = facts.shape.features();
            let x = (0..3 * features).map(|i| (i % 2) as f32).collect();
            let condition = if told { vec![1.0, 0.0, 0.0, 1.0, 1.0, 0.0] } else { Vec::new() };
            let rows = Rows { x, ids: vec![0, 1, 2], condition, ..Rows::default() };
            let rows = Batch::new(rows, features, &Device::cpu());
            let view = View::training(&model, &weights, Key::from_seed(1));
            let pass = Pass::new(view, &rows, objective.estimator.draws(), Key::from_seed(1));
            let loss = objective.loss(&pass, None);
            assert!(scalar(&loss.total).is_finite(), "{what}");
            // The file that is written reads back as the same run.
            let text = run.to_toml().unwrap();
            let back = Run::from_toml(&text, "run.toml".as_ref()).unwrap();
            assert_eq!(back, *run, "{what}");
        }
    }
}
