//! The source `shapes`, trained on and judged: nothing of it is in memory, and its factors are known.

use latent::data::{Split, shapes};
use latent::evaluate::{Subject, disentanglement};
use latent::{Key, Model};

use crate::common::*;

#[test]
fn a_model_of_shapes_is_judged_on_their_factors() {
    let folder = tempfile::tempdir().unwrap();
    let mut layers = latent::Layers::default();
    let settings = "data.source='shapes'\ndata.limit=600\nposterior={kind='diagonal-normal',latent=4}\n\
                    likelihood.kind='bernoulli'\nnetwork={kind='mlp',hidden=[32]}\ntrain.batch=64\ntrain.epochs=4";
    settings.lines().for_each(|line| layers.set(line).unwrap());
    train(&layers, folder.path(), false, |_| false);
    let model = Model::load(folder.path()).unwrap();
    let data = model.open_own(&mut |_| {}).unwrap();
    assert_eq!(data.facts().classes, ["square", "ellipse", "heart"]);
    // The id of a row says its factors, and the label is the first of them.
    let rows = data.rows(Split::Train, &[0, 7, 99], 0).unwrap();
    let mut pixels = vec![0.0; shapes::SIDE * shapes::SIDE];
    for ((id, label), x) in rows.ids.iter().zip(&rows.labels).zip(rows.x.chunks(pixels.len())) {
        let factors = shapes::factors_of_row(*id);
        assert_eq!(*label, factors[0]);
        shapes::draw(factors, &mut pixels);
        assert!(x.iter().zip(&pixels).all(|(x, pixel)| f64::from(*x) == *pixel));
    }
    let subject = Subject {
        model: &model,
        held_out: (&data, Split::Test),
        train: None,
        foreign: None,
        samplers: &[],
        features: None,
        seconds: Some(0.001),
        set: None,
        rows: None,
        key: Key::from_seed(1),
        progress: &|_, _| {},
    };
    let found = disentanglement(&subject).unwrap();
    assert_eq!(found.measures.len(), 8);
    for measure in &found.measures {
        let e = measure.estimate;
        assert!((-0.01..=1.0).contains(&e.value) && e.low <= e.value && e.value <= e.high, "{measure:?}");
        assert!((2000..3000).contains(&measure.n));
    }
    assert_eq!(found, disentanglement(&subject).unwrap());

    // Of other data the factors are not known.
    let mut layers = latent::Layers::default();
    let other = "data.source='embedded'\ndata.limit=100\nposterior={kind='diagonal-normal',latent=2}\n\
                 network={kind='mlp',hidden=[8]}\ntrain.epochs=1";
    other.lines().for_each(|line| layers.set(line).unwrap());
    let path = folder.path().join("other");
    train(&layers, &path, false, |_| false);
    let model = Model::load(&path).unwrap();
    let data = model.open_own(&mut |_| {}).unwrap();
    let found =
        disentanglement(&Subject { model: &model, held_out: (&data, Split::Test), ..subject }).unwrap();
    assert!(found.measures.is_empty() && found.absent[0].contains("not known"), "{:?}", found.absent);
}
