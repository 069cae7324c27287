//! Edits of `shapes`, whose factors are known: what a direction moves, and what it leaves alone.

use latent::Model;
use latent::data::{Split, shapes};
use latent::generate::{Direction, Place, Said, Samples, Told, strengths};

use crate::common::*;

/// A model of shapes, soon trained; `seed` tells one from another.
fn model(folder: &std::path::Path, seed: u64) -> Model {
    let mut layers = latent::Layers::default();
    let settings = format!(
        "data.source='shapes'\ndata.limit=3000\nposterior={{kind='point',latent=8}}\nobjective.terms.rate.weight=0\nobjective.estimator.kind='plain'\nlikelihood.kind='bernoulli'\n\
         network={{kind='mlp',hidden=[64]}}\ntrain.batch=64\ntrain.epochs=6\nseed={seed}"
    );
    settings.lines().for_each(|line| layers.set(line).unwrap());
    train(&layers, folder, false, |_| false);
    Model::load(folder).unwrap()
}

/// The factors that are read off a picture: where the white's middle is, across and down, and how much white there is, all
/// in pixels.
fn read(picture: &[f32]) -> [f64; 3] {
    let side = shapes::SIDE;
    let mut sums = [0.0; 3];
    for (pixel, value) in picture.iter().enumerate() {
        let value = f64::from(*value);
        sums[0] += value * (pixel % side) as f64;
        sums[1] += value * (pixel / side) as f64;
        sums[2] += value;
    }
    [sums[0] / sums[2], sums[1] / sums[2], sums[2]]
}

/// The mean over rows of what is read off the decoded pictures, for each step.
fn means(decoded: &Samples, steps: usize) -> Vec<[f64; 3]> {
    let features = shapes::SIDE * shapes::SIDE;
    let all: Vec<[f64; 3]> = decoded.x.chunks(features).map(read).collect();
    let rows = all.len() / steps;
    let mean = |step: usize| {
        let mut mean = [0.0; 3];
        for row in 0..rows {
            (0..3).for_each(|factor| mean[factor] += all[row * steps + step][factor] / rows as f64);
        }
        mean
    };
    (0..steps).map(mean).collect()
}

#[test]
fn an_edit_along_a_factor_moves_that_factor_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    let model = model(&path, 1);
    let data = model.open_own(&mut |_| {}).unwrap();
    let spread = model.spread(&data).unwrap();
    // Across and down: the factors x and y, from their lower to their upper half.
    let (codes, _) = model.centres(&data, Split::Train).unwrap();
    let ids = data.ids(Split::Train);
    assert_eq!(codes.rows(), ids.len());
    let upper = |factor: usize| -> Vec<u32> {
        ids.iter().map(|id| u32::from(shapes::factors_of_row(*id)[factor] >= 16)).collect()
    };
    let rows = data.rows(Split::Validation, &(0..64).collect::<Vec<_>>(), 0).unwrap();
    let (steps, told) = (strengths(4, 1.0), Told::of(&rows));
    for (factor, moved, still) in [(3, 0, 1), (4, 1, 0)] {
        let direction = Direction::toward(&codes, &upper(factor), 1).unwrap();
        let edits = model.edit(&rows, &told, &direction, &spread, &steps).unwrap();
        let means = means(&edits.decoded, steps.len());
        println!("factor {factor}: {means:?}, {:.2} apart", direction.apart(&spread));
        assert!(means.windows(2).all(|two| two[1][moved] > two[0][moved]), "{means:?}");
        let shift = |of: usize| means[steps.len() - 1][of] - means[0][of];
        // Pixels: one deviation of a uniform place over 32 of them is 9.
        assert!(shift(moved) > 4.0, "{means:?}");
        assert!(shift(still).abs() < 0.1 * shift(moved), "{means:?}");
        // Nothing grows or shrinks by much.
        assert!(shift(2).abs() < 0.2 * means[0][2], "{means:?}");
        // The first step is the reconstruction, and what is far out is said to be.
        let again = model.reconstruct(&rows).unwrap();
        let features = shapes::SIDE * shapes::SIDE;
        assert_eq!(edits.decoded.x[..features], again.x[..features]);
        let far = model.edit(&rows, &told, &direction, &spread, &[0.0, 20.0]).unwrap();
        assert!(far.places.chunks(2).all(|places| places[1] == Place::Outside));
        assert!(far.places.iter().step_by(2).filter(|place| matches!(place, Place::Inside(_))).count() > 48);
    }

    // Toward a number: to the place across that is asked for, wherever a row was; down and size stay.
    let numbers =
        |split: Split, positions: &[usize]| match model.said(&data, split, positions, "x", &mut |_| {}) {
            Ok(Said::Numbers(numbers)) => numbers,
            other => panic!("{other:?}"),
        };
    let known = numbers(Split::Train, &model.centred(&data, Split::Train));
    assert!(
        known.iter().zip(ids).all(|(x, id)| (x - f64::from(shapes::factors_of_row(*id)[3])).abs() < 1e-4)
    );
    let along = Direction::along(&codes, &known).unwrap();
    let before = numbers(Split::Validation, &(0..64).collect::<Vec<_>>());
    for x in [8.0, 24.0] {
        let ways: Vec<f64> = before.iter().map(|before| (x - before) * along.apart(&spread)).collect();
        let edits = model.edit_each(&rows, &told, &along, &spread, (&[0.0, 0.5, 1.0], &ways)).unwrap();
        let means = means(&edits.decoded, 3);
        // Pixels are counted from 0, their middles from a half.
        let wanted = 16.0 + 32.0 * x / 31.0 - 0.5;
        println!("toward x = {x}, {wanted:.1} pixels: {means:?}");
        assert!((means[2][0] - wanted).abs() < 3.0, "{means:?}");
        assert!((means[2][0] - wanted).abs() < 0.5 * (means[0][0] - wanted).abs(), "{means:?}");
        assert!((means[2][1] - means[0][1]).abs() < 1.0, "{means:?}");
        assert!((means[2][2] / means[0][2] - 1.0).abs() < 0.25, "{means:?}");
        // All come together there.
        let features = shapes::SIDE * shapes::SIDE;
        let spread = |step: usize| {
            let all: Vec<f64> =
                edits.decoded.x.chunks(features).skip(step).step_by(3).map(|p| read(p)[0]).collect();
            let mean = all.iter().sum::<f64>() / all.len() as f64;
            (all.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / all.len() as f64).sqrt()
        };
        println!("deviation of places: {:.2} before, {:.2} after", spread(0), spread(2));
        assert!(spread(2) < 0.7 * spread(0), "{} {}", spread(0), spread(2));
    }

    // What is kept comes back to the bit, and only for its own model.
    let direction = Direction::toward(&codes, &upper(3), 1).unwrap();
    let file = direction.save(&model, &path, "right", false).unwrap();
    assert_eq!(file, path.join("directions/right.safetensors"));
    let again = Direction::load(&model, &path, "right").unwrap();
    let bits = |direction: &Direction| direction.vector().iter().map(|v| v.to_bits()).collect::<Vec<_>>();
    assert_eq!((bits(&again), again.rows()), (bits(&direction), direction.rows()));
    assert!(direction.save(&model, &path, "right", false).unwrap_err().to_string().contains("--force"));
    direction.save(&model, &path, "right", true).unwrap();
    assert_eq!(Direction::names(&path), ["right"]);
    let unknown = Direction::load(&model, &path, "left").unwrap_err().to_string();
    assert!(unknown.contains("there are right"), "{unknown}");
    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(&file, &bytes[..bytes.len() - 3]).unwrap();
    assert!(Direction::load(&model, &path, "right").is_err());
    std::fs::write(&file, &bytes).unwrap();
    let other = self::model(&folder.path().join("other"), 2);
    let refused = Direction::load(&other, &path, "right").unwrap_err().to_string();
    assert!(refused.contains("another model"), "{refused}");
}

#[test]
fn codes_without_steps_between_them_have_no_directions() {
    let folder = tempfile::tempdir().unwrap();
    let mut layers = latent::Layers::default();
    let settings = "data.source='embedded'\ndata.limit=200\nposterior={kind='bits',latent=4}\nprior.kind='bits'\n\
                    network={kind='mlp',hidden=[8]}\ntrain.epochs=1";
    settings.lines().for_each(|line| layers.set(line).unwrap());
    train(&layers, folder.path(), false, |_| false);
    let model = Model::load(folder.path()).unwrap();
    let refused = model.has_directions().unwrap_err().to_string();
    assert!(refused.contains("bits") && refused.contains("latent traverse"), "{refused}");
}
