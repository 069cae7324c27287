//! Presets of these members on embedded images: 600 rows, 30 steps, then sampled, stored, loaded and sampled again to the same bits.

use latent::data::Data;
use latent::{Key, Layers, Model, Options, Training};

#[test]
fn presets_train_draw_and_load_to_the_same_bits() {
    for (preset, own) in [
        ("sylvester-vae", ""),
        ("exemplar-vae", "prior.subset=100"),
        ("categorical-vae", ""),
        ("joint-vae", "network.channels=[8, 8, 8]"),
    ] {
        let mut layers = Layers::default();
        layers.preset(preset).unwrap();
        let common = ["data.source=embedded", "data.limit=600", "train.steps=30", "train.keep=last"];
        for setting in common.into_iter().chain([own]).filter(|setting| !setting.is_empty()) {
            layers.set(setting).unwrap();
        }
        let data = Data::open(&layers.data().unwrap(), Key::from_seed(1), &mut |_| {}).unwrap();
        let mut training = Training::in_memory(&layers, data, Options::default(), &mut |_| {}).unwrap();
        let (begun, mut losses) = (std::time::Instant::now(), Vec::new());
        training
            .train(&Default::default(), &mut |event| {
                if let latent::train::Event::Step { line, .. } = event {
                    losses.extend(line.get("distortion"));
                }
            })
            .unwrap();
        let seconds = begun.elapsed().as_secs_f64();
        let (first, last) = (losses[0], losses[losses.len() - 1]);
        println!("{preset}: distortion {first:.1} → {last:.1} in {} steps, {seconds:.1} s", losses.len());
        assert!(losses.iter().all(|loss| loss.is_finite()) && last < first, "{preset}: {losses:?}");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        Model::save(&training.run, &training.task.weights, &path).unwrap();
        let drawn = |model: &Model| {
            let samples = model.sample(8, Key::from_seed(2)).unwrap();
            let to = folder.path().join("samples.npy");
            samples.save(&to, "8 samples").unwrap();
            std::fs::read(&to).unwrap()
        };
        let stored = drawn(&Model::load(&path).unwrap());
        assert_eq!(drawn(&training.into_model().unwrap()), stored, "{preset}");
    }
}
