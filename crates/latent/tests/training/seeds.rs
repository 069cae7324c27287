//! Seeds crossed: runs of several training seeds hold out the same rows, a row has one binarisation and one score wherever it
//! stands, and who starts from another split hears it. A run of version 0.1, whose data had no seed of its own, stays as it is.

use std::fs;
use std::path::Path;

use crate::common::*;
use latent::data::{Data, DataSettings, Rows, Split, StoredType, write_npy};
use latent::{Key, Layers, Model, Options, Training};

const BITS: &str = "
    data.binarize=dynamic
    likelihood.kind=bernoulli
    posterior={kind='diagonal-normal', latent=3}
    network={kind='mlp', hidden=[16]}
    train.batch=20
    train.epochs=2
";

fn all(data: &Data, split: Split) -> Rows {
    data.rows(split, &(0..data.len(split)).collect::<Vec<_>>(), 0).unwrap()
}

fn seeded(data: &Path, seeds: &str) -> Layers {
    layers(data, &format!("{BITS}{seeds}"))
}

#[test]
fn training_seeds_share_what_is_held_out() {
    let root = tempfile::tempdir().unwrap();
    let data = npy(root.path(), 120, 6);
    let run =
        |seeds: &str, name: &str| prepare(&seeded(&data, seeds), &root.path().join(name), false).unwrap();
    let (one, two) = (run("seed=1", "one"), run("seed=2", "two"));
    assert_eq!(one.run.facts.hash, two.run.facts.hash);
    for split in [Split::Validation, Split::Test] {
        assert_eq!(all(&one.data, split), all(&two.data, split));
    }
    // Training is what differs: its bits, and the weights.
    assert_eq!(one.data.ids(Split::Train), two.data.ids(Split::Train));
    assert_ne!(all(&one.data, Split::Train).x, all(&two.data, Split::Train).x);
    // Another split is other data.
    let other = run("data.seed=2", "other");
    assert_ne!(one.data.ids(Split::Test), other.data.ids(Split::Test));
    assert_ne!(one.run.facts.hash, other.run.facts.hash);
}

#[test]
fn a_row_has_its_bits_and_its_score_wherever_it_stands() {
    let root = tempfile::tempdir().unwrap();
    let data = npy(root.path(), 120, 6);
    let folder = root.path().join("run");
    train(&seeded(&data, ""), &folder, false, |_| false);
    let model = Model::load(&folder).unwrap();
    let own = all(&model.open_own(&mut |_| {}).unwrap(), Split::Test);
    // Elsewhere: backwards, behind rows that were not there, and as real numbers.
    let values = blobs(120, 1, 6);
    let mut moved: Vec<f64> = vec![200.0; 2 * 36];
    moved.extend(own.ids.iter().rev().flat_map(|&id| &values[id as usize * 36..][..36]));
    let path = root.path().join("moved.npy");
    write_npy(&path, &[own.len() + 2, 6, 6], StoredType::U8, &moved).unwrap();
    let other = all(&model.open(&path.display().to_string(), &mut |_| {}).unwrap(), Split::Test);
    let score = |rows: &Rows| model.score(rows, 10, Key::from_seed(3)).unwrap();
    let (ours, theirs) = (score(&own), score(&other));
    for (at, (id, ours)) in own.ids.iter().zip(&ours).enumerate() {
        let there = other.len() - 1 - at;
        assert_eq!(own.x[at * 36..][..36], other.x[there * 36..][..36], "bits of row {id}");
        assert_ne!(*id, other.ids[there]);
        let off = (ours.log_p_lower - theirs[there].log_p_lower).abs();
        assert!(off < 1e-3, "row {id}: {off} nats");
    }
}

#[test]
fn weights_from_another_split_are_announced() {
    let root = tempfile::tempdir().unwrap();
    let data = npy(root.path(), 120, 6);
    let from = root.path().join("from");
    train(&seeded(&data, "data.seed=3"), &from, false, |_| false);
    let heard = |seeds: &str, name: &str| {
        let mut notes = Vec::new();
        let options = Options { init_from: Some(&from), ..Options::default() };
        Training::prepare(&seeded(&data, seeds), &root.path().join(name), options, &mut |n| notes.push(n))
            .unwrap();
        notes.into_iter().filter(|note| note.starts_with("splits:")).collect::<Vec<_>>()
    };
    let said = heard("data.seed=4", "other");
    assert!(said[0].contains("by seed 3") && said[0].contains("Set data.seed = 3"), "{said:?}");
    assert!(heard("seed=9\ndata.seed=3", "same").is_empty());
    let said = heard("data.seed=3\ndata.limit=60", "fewer");
    assert!(said[0].contains("other rows"), "{said:?}");
}

/// The run folder's text as version 0.1 would have written it: no seed of the data, no word of what decays, and the hash of
/// its day.
fn age(folder: &Path) {
    let path = folder.join("run.toml");
    let text = fs::read_to_string(&path).unwrap();
    let run = latent::run::Run::from_toml(&text, &path).unwrap();
    let settings = DataSettings { seed: None, ..run.data.clone() };
    let then = Data::open(&settings, Key::from_seed(run.seed), &mut |_| {}).unwrap();
    assert_ne!(then.facts().hash, run.facts.hash);
    let mut old: toml::Table = text.parse().unwrap();
    old["data"].as_table_mut().unwrap().remove("seed").unwrap();
    old["train"]["optimizer"].as_table_mut().unwrap().remove("decay").unwrap();
    old["facts"]["hash"] = then.facts().hash.clone().into();
    fs::write(path, toml::to_string(&old).unwrap()).unwrap();
}

#[test]
fn a_run_of_version_0_1_goes_on_as_it_was() {
    let root = tempfile::tempdir().unwrap();
    let data = npy(root.path(), 120, 6);
    let settings = seeded(&data, "seed=5\ntrain.optimizer.weight_decay=0.1");
    let (whole, killed) = (root.path().join("whole"), root.path().join("killed"));
    for folder in [&whole, &killed] {
        drop(prepare(&settings, folder, false).unwrap());
        age(folder);
    }
    let bare = Layers::default();
    train(&bare, &whole, true, |_| false);
    train(&bare, &killed, true, |step| step == 6);
    train(&bare, &killed, true, |_| false);
    assert_same(&end(&whole), &end(&killed), "interrupted");
    let model = Model::load(&whole).unwrap();
    assert_eq!((model.data.seed, model.split_seed()), (None, 5));
    let run = model.run().unwrap();
    assert_eq!(run.train.optimizer.decay, latent::train::Decay::All);
    // Its rows are those of its own seed, and their noise is keyed as it was: by their place.
    let own = model.open_own(&mut |_| {}).unwrap();
    assert_eq!(own.facts().hash, model.facts.hash);
    let mut layers = seeded(&data, "seed=5");
    layers.set("data.seed=5").unwrap();
    let same = Data::open(&layers.data().unwrap(), Key::from_seed(5), &mut |_| {}).unwrap();
    assert_eq!(own.ids(Split::Test), same.ids(Split::Test));
    let (own, same) = (all(&own, Split::Test), all(&same, Split::Test));
    assert!(own.content.is_empty() && same.content.len() == same.len());
    let key = Key::from_seed(5).fold("data").fold("static");
    for (at, &id) in own.ids.iter().enumerate() {
        let mut coins = vec![0.0; 36];
        key.fold(id).uniforms(&mut coins);
        let grey = &blobs(120, 1, 6)[id as usize * 36..][..36];
        let bits: Vec<f32> =
            grey.iter().zip(coins).map(|(v, u)| f32::from(u8::from(u < (*v / 255.0) as f32))).collect();
        assert_eq!(own.x[at * 36..][..36], bits);
    }
    // As a configuration of a new run it keeps its split.
    let mut layers = Layers::default();
    layers.file(&whole.join("run.toml")).unwrap();
    layers.set("seed=8").unwrap();
    assert_eq!(layers.data().unwrap().seed, Some(5));
}

#[test]
fn a_model_file_of_version_0_1_finds_its_data() {
    // The images that this golden was made of.
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("blobs.npy");
    write_npy(&path, &[200, 4, 4], StoredType::U8, &blobs(200, 1, 4)).unwrap();
    let model = Model::load(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/binary")).unwrap();
    assert_eq!(model.data.seed, None);
    let settings = DataSettings { source: path.display().to_string(), ..model.data.clone() };
    let data = Data::open(&settings, Key::from_seed(model.seed), &mut |_| {}).unwrap();
    assert_eq!((&data.facts().hash, data.facts().rows), (&model.facts.hash, model.facts.rows));
}
