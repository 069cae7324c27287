//! Every preset builds on every sort of data, says what it changed, and its loss is a number.

use latent::Key;
use latent::batch::Batch;
use latent::config::{Layers, presets, resolve};
use latent::data::{Facts, Rows, ValueKind};
use latent::device::{Device, scalar};
use latent::model::{Registry, View, build};
use latent::objective::{Objective, Pass};

use crate::common::*;

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
            let what = format!("{} on {:?} {}", preset.name, facts.kind, facts.shape);
            let (run, notes) = resolve(&layers, facts, &registry).unwrap_or_else(|e| panic!("{what}: {e}"));
            assert_eq!(run.preset.as_deref(), Some(preset.name));
            let changed = run.likelihood.get("kind") != preset.table().unwrap()["likelihood"].get("kind");
            assert_eq!(changed, notes.iter().any(|n| n.contains("likelihood")), "{what}: {notes:?}");
            let (model, weights) =
                build(&run, &registry, &Device::cpu()).unwrap_or_else(|e| panic!("{what}: {e}"));
            let (posterior, _) = registry.posteriors.resolve(&run.posterior, "posterior").unwrap();
            let (objective, again) =
                Objective::resolve(&run.objective, &registry, posterior.as_ref()).unwrap();
            assert_eq!(again, run.objective, "{what}: what is resolved resolves to itself");
            let features = facts.shape.features();
            let x = (0..3 * features).map(|i| (i % 2) as f32).collect();
            let rows =
                Batch::new(Rows { x, ids: vec![0, 1, 2], labels: Vec::new() }, features, &Device::cpu());
            let view = View { model: &model, weights: &weights, training: true };
            let pass = Pass::new(view, &rows, objective.estimator.draws, Key::from_seed(1));
            let loss = objective.loss(&pass, None);
            assert!(scalar(&loss.total).is_finite(), "{what}");
            // The file that is written reads back as the same run.
            let text = run.to_toml().unwrap();
            let back = latent::config::Run::from_toml(&text, "run.toml".as_ref()).unwrap();
            assert_eq!(back, run, "{what}");
        }
    }
}
