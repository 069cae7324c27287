//! What a run folder has lost is noticed, said, and made good where that is possible.

use std::fs;
use std::path::Path;

use crate::common::*;
use latent::data::{Data, Split};
use latent::evaluate::{Evaluation, Subject, is_current, report};
use latent::store::TensorFile;
use latent::train::{Event, Outcome, RunFolder};
use latent::{Key, Layers, Model};

/// Resumes to the end; the step of the checkpoint that stood in for the last one, if one did.
fn resume(layers: &Layers, folder: &Path) -> latent::Result<Option<u64>> {
    let mut instead = None;
    let mut training = prepare(layers, folder, true)?;
    let outcome = training.train(&Default::default(), &mut |event| {
        if let Event::Recovered { why, step } = event {
            assert!(why.contains("last.safetensors"), "{why}");
            instead = Some(step);
        }
    })?;
    assert_eq!(outcome, Outcome::Finished);
    Ok(instead)
}

/// Cut, zeroed, or gone: training goes on from the checkpoint before, and ends as if nothing had happened.
#[test]
fn a_broken_checkpoint_costs_a_few_steps_and_nothing_else() {
    let root = tempfile::tempdir().unwrap();
    let layers = layers(&npy(root.path(), 200, 8), DENSE);
    let straight = root.path().join("straight");
    train(&layers, &straight, false, |_| false);
    let expected = end(&straight);

    // After a planned checkpoint, between two of them, and at the very end.
    for (name, stop) in [("planned", 14), ("between", 17), ("finished", u64::MAX)] {
        let stopped = root.path().join(name);
        train(&layers, &stopped, false, |step| step == stop);
        for (how, bytes) in [("cut", None), ("zeroed", Some(vec![0; 4096])), ("gone", Some(Vec::new()))] {
            let broken = root.path().join(format!("{name}-{how}"));
            copy(&stopped, &broken);
            let last = broken.join("checkpoints/last.safetensors");
            let whole = fs::read(&last).unwrap();
            fs::write(&last, bytes.unwrap_or_else(|| whole[..whole.len() / 2].to_vec())).unwrap();
            if how == "gone" {
                fs::remove_file(&last).unwrap();
            }
            let instead = resume(&layers, &broken).unwrap();
            assert!(instead.is_some_and(|step| step > 0 && step <= stop), "{name}, {how}: {instead:?}");
            assert_same(&expected, &end(&broken), &format!("{name}, {how}"));
        }
    }

    // Where none can be read, the last one is named, and nothing is begun anew over it.
    let broken = root.path().join("planned-all");
    copy(&root.path().join("planned"), &broken);
    for name in ["last", "previous"] {
        fs::write(broken.join(format!("checkpoints/{name}.safetensors")), b"nothing").unwrap();
    }
    let error = resume(&layers, &broken).unwrap_err().to_string();
    assert!(error.contains("last.safetensors"), "{error}");
}

#[test]
fn lost_lines_and_a_lost_model_are_said() {
    let root = tempfile::tempdir().unwrap();
    let layers = layers(&npy(root.path(), 200, 8), DENSE);
    let folder = root.path().join("run");
    train(&layers, &folder, false, |_| false);
    let model = fs::read(folder.join("model.safetensors")).unwrap();
    let heard = |resumes: bool| {
        let mut notes = Vec::new();
        let options = latent::Options { resume: true, ..latent::Options::default() };
        let mut training =
            latent::Training::prepare(&layers, &folder, options, &mut |note| notes.push(note)).unwrap();
        if resumes {
            training.train(&Default::default(), &mut |_| {}).unwrap();
        }
        notes.join("\n")
    };
    let whole = heard(true);
    assert!(!whole.contains("metrics.jsonl") && !whole.contains("missing"), "{whole}");

    fs::remove_file(folder.join("model.safetensors")).unwrap();
    assert!(heard(true).contains("model.safetensors is missing"));
    assert!(fs::read(folder.join("model.safetensors")).unwrap() == model);

    let metrics = fs::read(folder.join("metrics.jsonl")).unwrap();
    fs::write(folder.join("metrics.jsonl"), &metrics[..metrics.len() / 3]).unwrap();
    let said = heard(false);
    assert!(said.contains("metrics.jsonl") && said.contains(&metrics.len().to_string()), "{said}");
}

/// A report that was drawn before the run went on is not of the model that lies beside it.
#[test]
fn a_report_says_what_it_was_drawn_from() {
    let root = tempfile::tempdir().unwrap();
    let data = npy(root.path(), 200, 8);
    let folder = root.path().join("run");
    train(&layers(&data, DENSE), &folder, false, |_| false);
    assert!(!is_current(&folder), "there is none");
    let draw = || {
        let data = Model::load(&folder).unwrap().open_own(&mut |_| {}).unwrap();
        report(&folder, &data, 1).unwrap();
    };
    draw();
    assert!(is_current(&folder));
    let longer = format!("{DENSE}\ntrain.epochs=7");
    train(&layers(&data, &longer), &folder, true, |_| false);
    assert!(!is_current(&folder), "the run went on");
    draw();
    assert!(is_current(&folder));
    let page = fs::read_to_string(folder.join("report.html")).unwrap();
    fs::write(folder.join("report.html"), page.replace("latent-drawn-from", "something")).unwrap();
    assert!(!is_current(&folder), "an older version's, which doesn't say");
}

/// Names, shapes and strings are under the checksum, not the numbers alone.
#[test]
fn a_file_whose_names_were_swapped_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("run");
    train(&layers(&npy(root.path(), 100, 8), DENSE), &folder, false, |step| step == 3);
    let path = RunFolder::open(&folder).unwrap().last();
    let bytes = fs::read(&path).unwrap();
    assert!(TensorFile::parse(&bytes, &path).is_ok());
    // Two arrays of one shape change places; the length stays.
    let text = |from: &str, to: &str, bytes: &[u8]| {
        let place = bytes.windows(from.len()).position(|window| window == from.as_bytes()).unwrap();
        let mut bytes = bytes.to_vec();
        bytes[place..place + to.len()].copy_from_slice(to.as_bytes());
        bytes
    };
    let swapped = text("\"first/", "\"zzzzz/", &bytes);
    let swapped = text("\"second/", "\"first_/", &swapped);
    let error = TensorFile::parse(&swapped, &path).unwrap_err().to_string();
    assert!(error.contains("checksum"), "{error}");
    let counted = text("\\\"step\\\":3", "\\\"step\\\":2", &bytes);
    let error = TensorFile::parse(&counted, &path).unwrap_err().to_string();
    assert!(error.contains("checksum"), "{error}");
}

/// One section that cannot be answered does not take the others with it.
#[test]
fn sections_stand_alone() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("run");
    train(&layers(&pngs(root.path(), 300, 8), DENSE), &folder, false, |_| false);
    let model = Model::load(&folder).unwrap();
    let own: Data = model.open_own(&mut |_| {}).unwrap();
    // Rows of training that can be opened and then no longer be read.
    let other = root.path().join("other");
    fs::create_dir(&other).unwrap();
    let mut settings = model.data.clone();
    settings.source = pngs(&other, 300, 8).display().to_string();
    let unreadable = Data::open(&settings, Key::from_seed(2), &mut |_| {}).unwrap();
    fs::remove_dir_all(other.join("images")).unwrap();
    let subject = Subject {
        model: &model,
        // Of the test split there are too few for the question.
        held_out: (&own, Split::Train),
        train: Some(&unreadable),
        foreign: None,
        samplers: &[],
        features: None,
        seconds: None,
        set: None,
        rows: None,
        key: Key::from_seed(3),
        progress: &|_, _| {},
    };
    let asked = |names: &[&str]| {
        let names: Vec<String> = names.iter().map(|name| (*name).to_string()).collect();
        Evaluation::of(&subject, &names, String::new(), 1)
    };
    let evaluation = asked(&["reconstruction", "memorisation"]).unwrap();
    assert_eq!(evaluation.sections.len(), 1, "{:?}", evaluation.failed);
    assert_eq!(evaluation.failed[0].section, "memorisation");
    assert!(evaluation.failed[0].why.contains("other"), "{:?}", evaluation.failed);
    assert!(asked(&["memorisation"]).unwrap_err().to_string().contains("other"));

    assert!(Evaluation::keepable(&folder).is_ok());
    let error = Evaluation::keepable(&root.path().join("nowhere")).unwrap_err().to_string();
    assert!(error.contains("nowhere"), "{error}");
    let left = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(!left.into_iter().any(|name| name.to_string_lossy().ends_with(".tmp")));
}
