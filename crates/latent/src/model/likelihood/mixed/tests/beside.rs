//! What goes past the network: echoes, pairs of columns, words.

use super::*;

/// Two numbers below about `most`, of which the second is the first or near to it in most rows, and a word that says which.
fn of_alike_numbers(folder: &std::path::Path, most: i64) -> std::path::PathBuf {
    let path = folder.join("t.csv");
    let line = |i: i64| {
        let a = i * 7919 % most;
        let b = if i % 3 == 0 { i * 104_729 % (most - 2) } else { a + i % 3 - 1 };
        format!("{a},{b},{}", if i % 3 == 0 { "far" } else { "near" })
    };
    let lines: Vec<String> = (0..3000).map(line).collect();
    std::fs::write(&path, format!("a,b,c\n{}\n", lines.join("\n"))).unwrap();
    path
}

/// Weights of what goes past the network.
const PAST: [&str; 4] = [
    "likelihood.echoes.weight",
    "likelihood.direct.embedding",
    "likelihood.direct.features",
    "likelihood.words.last.weight",
];

#[test]
fn what_goes_past_the_network_is_part_of_one_distribution() {
    let folder = tempfile::tempdir().unwrap();
    let path = of_alike_numbers(folder.path(), 3001);
    let settings = ["dropout=0.0", "in_order=1.0", "echoes=2", "direct=true", "words=8"]
        .map(|setting| format!("likelihood.{setting}"));
    let (model, mut weights, table) = built_as(&path, &[], &settings.each_ref().map(String::as_str));
    let pairs: Vec<(usize, usize)> = table.alike.iter().map(|alike| (alike.column, alike.like)).collect();
    assert_eq!(pairs, [(0, 1), (1, 0)]);
    let scale = table.columns[1].scale.as_ref().unwrap();
    assert!(scale.places() > 1);
    let chain = |weights: &Weights, x: &[f32]| {
        let view = View::evaluation(&model, weights);
        let rows = batch(x, 3);
        host_f64(&model.likelihood.log_density(&view, outputs(x.len() / 3), &rows))
    };
    let row = [17.5, 20.5, 1.5];
    for path in PAST {
        let before = chain(&weights, &row)[0];
        disturb(&mut weights, path, 0.5);
        assert!((chain(&weights, &row)[0] - before).abs() > 1e-3, "{path} changes nothing");
    }
    // Over all values of the second, given the first and the third, in whatever order.
    let all: Vec<f32> = (0..scale.levels()).flat_map(|level| [17.5, level as f32 + 0.5, 1.5]).collect();
    let view = View::evaluation(&model, &weights);
    let surprises = model.likelihood.surprises(&view, outputs(scale.levels()), &batch(&all, 3)).unwrap();
    let given_others: f64 = surprises.chunks(3).map(|own| f64::from(own[1]).exp()).sum();
    assert!((given_others - 1.0).abs() < 1e-4, "{given_others}");
    let marginal = chain(&weights, &[17.5, UNKNOWN, UNKNOWN])[0];
    let pairs: Vec<f32> = (0..scale.levels()).flat_map(|level| [17.5, level as f32 + 0.5, UNKNOWN]).collect();
    let of_level = |(level, p): (usize, &f64)| (p - marginal).exp() * scale.width(level);
    let given_first: f64 = chain(&weights, &pairs).iter().enumerate().map(of_level).sum();
    assert!((given_first - 1.0).abs() < 1e-4, "{given_first}");
    // The last column in the order of the file is given all the others.
    let others = chain(&weights, &[17.5, 20.5, UNKNOWN])[0];
    let at = 20 * 3;
    assert!((chain(&weights, &row)[0] - others - f64::from(surprises[at + 2])).abs() < 1e-4);
    // Draws given the first follow the same.
    let n = 4000;
    let mut evidence = Evidence::nothing(n, 3);
    evidence.x.chunks_mut(3).for_each(|row| row[0] = 17.5);
    let ids: Vec<u64> = (0..n as u64).collect();
    let found =
        model.likelihood.complete(&view, outputs(n), &evidence, Noise::new(Key::from_seed(4), &ids)).unwrap();
    let half = scale.levels() / 2;
    let drawn = found.x.chunks(3).filter(|row| (row[1] as usize) < half).count() as f64 / n as f64;
    let pairs: Vec<f64> = chain(&weights, &pairs).iter().enumerate().map(of_level).take(half).collect();
    let expected: f64 = pairs.iter().sum();
    let error = (expected * (1.0 - expected) / n as f64).sqrt();
    assert!((drawn - expected).abs() < 5.0 * error, "{drawn} {expected} ± {error}");
}

#[test]
fn a_number_is_drawn_near_a_sum_of_two_others() {
    // In half of the rows the third is the first less the second.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.csv");
    let line = |i: i64| {
        let [a, b] = [i * 7919 % 101, i * 104_729 % 53];
        format!("{a},{b},{}", if i % 2 == 0 { a - b } else { i * 15_485_863 % 89 })
    };
    let lines: Vec<String> = (0..4000).map(line).collect();
    std::fs::write(&path, format!("a,b,c\n{}\n", lines.join("\n"))).unwrap();
    let settings = ["likelihood.dropout=0.0", "likelihood.echoes=1", "likelihood.direct=false"];
    let (model, mut weights, table) = built_as(&path, &[], &settings);
    assert!(table.alike.iter().all(|alike| alike.and.is_some()));
    let sums: Vec<usize> = table.alike.iter().map(|alike| alike.column).collect();
    assert_eq!(sums, [0, 1, 2]);
    let scales: Vec<&Scale> = table.modelled().map(|column| column.scale.as_ref().unwrap()).collect();
    let x = |values: [f64; 3]| -> [f32; 3] {
        std::array::from_fn(|at| scales[at].level_of(values[at]) as f32 + 0.5)
    };
    // All that is near its sum, by bins of distance, is as likely as before but for the sum itself.
    let (id, entry) = weights.iter().find(|(_, entry)| entry.path() == "likelihood.echoes.bias").unwrap();
    let mut bias = entry.values();
    let bins = bias.len() / sums.len();
    bias.iter_mut().skip(bins / 2).step_by(bins).for_each(|bias| *bias = 3.0);
    let surprises = |weights: &Weights, values: [f64; 3]| {
        let view = View::evaluation(&model, weights);
        let found = model.likelihood.surprises(&view, outputs(1), &batch(&x(values), 3)).unwrap();
        found.into_iter().map(|own| f64::from(own).exp()).collect::<Vec<f64>>()
    };
    let (sum, other) = ([70.0, 20.0, 50.0], [70.0, 20.0, 40.0]);
    let before = [surprises(&weights, sum), surprises(&weights, other)];
    weights.set_values(id, bias);
    let after = [surprises(&weights, sum), surprises(&weights, other)];
    for at in 0..3 {
        let rest = 1.0 + before[0][at] * (3.0_f64.exp() - 1.0);
        assert!((after[0][at] / before[0][at] * rest / 3.0_f64.exp() - 1.0).abs() < 1e-3, "{at}");
        if at == 2 {
            assert!((after[1][at] / before[1][at] * rest - 1.0).abs() < 1e-3);
        }
    }
}

#[test]
fn what_goes_past_the_network_is_trained_as_it_is_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let path = of_alike_numbers(folder.path(), 101);
    let settings = ["dropout=0.0", "in_order=0.0", "echoes=2", "direct=true", "words=8"]
        .map(|setting| format!("likelihood.{setting}"));
    let (model, mut weights, table) = built_as(&path, &[], &settings.each_ref().map(String::as_str));
    assert!(
        table.alike.len() == 2 && table.modelled().all(|column| column.scale.as_ref().unwrap().places() == 1)
    );
    for path in PAST {
        disturb(&mut weights, path, 0.5);
    }
    let view = View::evaluation(&model, &weights);
    let row = [17.5, 18.5, UNKNOWN];
    let rows = batch(&[17.5, UNKNOWN, UNKNOWN, UNKNOWN, 18.5, UNKNOWN], 3);
    let marginals = host_f64(&model.likelihood.log_density(&view, outputs(2), &rows));
    let surprises = model.likelihood.surprises(&view, outputs(1), &batch(&row, 3)).unwrap();
    // The mean over both orders.
    let expected =
        0.5 * (marginals.iter().sum::<f64>() + surprises.iter().map(|own| f64::from(*own)).sum::<f64>());
    let n = 4000;
    let training = View::training(&model, &weights, Key::from_seed(9));
    let estimates = host_f64(&model.likelihood.log_density(&training, outputs(n), &batch(&row.repeat(n), 3)));
    let mean = estimates.iter().sum::<f64>() / n as f64;
    let spread = estimates.iter().map(|e| (e - mean).powi(2)).sum::<f64>() / n as f64;
    assert!((mean - expected).abs() < 5.0 * (spread / n as f64).sqrt() + 1e-4, "{mean} {expected}");
}
