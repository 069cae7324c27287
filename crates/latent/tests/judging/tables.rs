//! Tables far from 0 and with columns that never change, from the file to samples and back, through a model file.

use std::fs;

use crate::common::*;
use latent::data::Split;
use latent::generate::{Samples, first_rows};
use latent::train::TrainError;
use latent::{Error, Key, Model};

const START: f64 = 1_700_000_000_123.0;

/// A time stamp that runs, one that stands, a measure far from 0 with a small spread, and one near 0.
fn write_table(path: &std::path::Path) {
    let mut noise = vec![0.0; 600];
    Key::from_seed(3).uniforms(&mut noise);
    let mut text = String::from("time,fixed,far,near\n");
    for (row, noise) in noise.chunks(2).enumerate() {
        let far = 1e9 + 0.5 * f64::from(noise[0]);
        text.push_str(&format!("{},{START},{far},{}\n", START + row as f64, noise[0] - noise[1]));
    }
    fs::write(path, text).unwrap();
}

#[test]
fn a_table_of_time_stamps_is_learned_and_given_back() {
    let root = tempfile::tempdir().unwrap();
    let data = root.path().join("t.csv");
    write_table(&data);
    let run = root.path().join("run");
    let settings = "
        posterior.latent=2
        network={kind='mlp', hidden=[16]}
        train.epochs=30
        train.batch=30
        train.optimizer.learning_rate=0.01
    ";
    train(&layers(&data, settings), &run, false, |_| false);
    let model = Model::load(&run).unwrap();
    assert_eq!(model.facts.columns, ["time", "far", "near"]);
    assert_eq!((model.facts.constant[0].column, model.facts.constant[0].value), (1, START));

    // Samples are like the data in every column, and a csv file of them has its header and its digits.
    let samples = model.sample(200, Key::from_seed(1)).unwrap();
    let out = root.path().join("samples.csv");
    samples.save(&out, "").unwrap();
    let text = fs::read_to_string(&out).unwrap();
    assert!(text.starts_with("time,fixed,far,near\n"), "{text}");
    for line in text.lines().skip(1) {
        let cells: Vec<&str> = line.split(',').collect();
        assert_eq!(cells[1], "1700000000123");
        let [time, far] = [cells[0], cells[2]].map(|cell| cell.parse::<f64>().unwrap());
        assert!(time.fract() == 0.0 && (time - START - 150.0).abs() < 1000.0, "{line}");
        assert!((far - 1e9).abs() < 3.0, "{line}");
    }
    samples.save(&root.path().join("samples.npy"), "").unwrap();
    let values = samples.values();
    assert_eq!(values.len(), 200 * 4);
    assert!(samples.beside(&samples, "columns").unwrap().svg.contains("without the one that never changes"));

    // Rows come back to the data's own resolution, and the likelihood has no share in the column that stands still.
    let own = model.open_own(&mut |_| {}).unwrap();
    let rows = first_rows(&own, Split::Validation, 30).unwrap();
    let back = Samples::new(rows.x.clone(), &model.facts).values();
    for (row, values) in rows.ids.iter().zip(back.chunks(4)) {
        assert_eq!((values[0], values[1]), (START + *row as f64, START));
        assert!((values[2] - 1e9 - 0.25).abs() <= 0.26);
    }
    let scores = model.score(&rows, 8, Key::from_seed(2)).unwrap();
    let mean = scores.iter().map(|score| score.log_p_lower).sum::<f64>() / scores.len() as f64;
    assert!(mean > -20.0 && mean < 5.0, "{mean}");
}

/// The loop asks at every batch whether the file is what it was.
#[test]
fn data_that_is_cut_while_training_ends_it_with_what_happened() {
    let root = tempfile::tempdir().unwrap();
    let data = npy(root.path(), 200, 6);
    let mut training = prepare(&layers(&data, DENSE), &root.path().join("run"), false).unwrap();
    let length = fs::metadata(&data).unwrap().len();
    let stop = std::sync::atomic::AtomicBool::new(false);
    let mut steps = 0;
    let result = training.train(&stop, &mut |event| {
        if let latent::train::Event::Step { .. } = event {
            steps += 1;
            if steps == 3 {
                let file = fs::File::options().write(true).open(&data).unwrap();
                file.set_len(length / 2).unwrap();
            }
        }
    });
    let error = match result {
        Err(error @ (Error::Data(_) | Error::Train(TrainError::Data(_)))) => error.to_string(),
        other => panic!("{other:?}"),
    };
    assert!(error.contains("blobs.npy: it was") && error.contains("bytes long and became"), "{error}");
    assert!(error.contains("--resume"), "{error}");
}
