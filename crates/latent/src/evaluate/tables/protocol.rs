//! The measures against the implementations that papers use: figures of sdmetrics, scikit-learn and synthcity's formulas on two
//! tables by formula, computed by bench/tables/reference.py.

use super::*;

/// Two numbers and two categories; bench/tables/reference.py has the same.
fn tables(n: usize, phase: f64) -> Columns {
    let i = || (0..n).map(|i| i as f64);
    let a: Vec<f64> = i().map(|i| (1.7 * i + phase).sin() + 0.3 * (0.31 * i).sin()).collect();
    let round =
        |v: f64| if (v.fract().abs() - 0.5).abs() < 1e-9 { 2.0 * (v / 2.0).round() } else { v.round() };
    let b = i().zip(&a).map(|(i, a)| {
        round(4.0 * a + 3.0 * (2.3 * i).cos()) + if i % 7.0 == 0.0 { 20.0 * phase } else { 0.0 }
    });
    let c = i().zip(&a).map(|(i, a)| {
        let place = (3.0 * (0.9 * i + phase).sin().abs() + f64::from(u8::from(*a > 0.4))).floor();
        place as u32 % 4
    });
    let d = i().zip(&a).map(|(i, a)| u32::from((1.1 * i).cos() + a > 0.2));
    let levels = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<String>>();
    let names = levels(&["a", "b", "c", "d"]);
    let (b, c, d) = (b.collect(), c.collect(), d.collect());
    let columns = vec![
        Column::Numbers(a),
        Column::Numbers(b),
        Column::Categories { codes: c, levels: levels(&["x", "y", "z", "w"]) },
        Column::Categories { codes: d, levels: levels(&["no", "yes"]) },
    ];
    Columns::new(names, columns).unwrap()
}

#[test]
fn shape_and_trend_are_sdmetrics() {
    let (real, fake) = (tables(400, 0.0), tables(300, 0.25));
    let expected = [0.014_166_666_67, 0.076_666_666_67, 0.07, 0.018_333_333_33];
    for (found, expected) in shape(&real, &fake).iter().zip(expected) {
        assert!((found - expected).abs() < 1e-9, "{found} {expected}");
    }
    let expected = [
        0.043_272_544_11,
        0.206_666_666_7,
        0.074_166_666_67,
        0.215_833_333_3,
        0.216_666_666_7,
        0.073_333_333_33,
    ];
    for (pair, expected) in trend(&real, &fake, Edges::Own).iter().zip(expected) {
        assert!((pair.error - expected).abs() < 1e-9, "{pair:?} {expected}");
    }
}

#[test]
fn trees_are_as_strong_as_scikit_learns() {
    let found = utility(&tables(2000, 0.0), &tables(1500, 0.03), 3).unwrap();
    assert!((found.value - 0.909_824).abs() < 0.01, "{found:?}");
}

#[test]
fn precision_and_recall_are_synthcitys() {
    let found = fidelity(&tables(300, 0.0), &tables(300, 0.25)).unwrap();
    assert!((found.alpha_precision - 0.978_413_793).abs() < 1e-4, "{found:?}");
    assert!((found.beta_recall - 0.511_555_556).abs() < 1e-4, "{found:?}");
    assert!((found.authenticity - 0.44).abs() < 1e-6, "{found:?}");
}

#[test]
fn a_report_says_what_is_wrong() {
    let key = crate::Key::from_seed(1);
    let (real, test) = (tables(1200, 0.0), tables(600, 0.01));
    let of = |fake: &Columns| judge(&real, Some(&test), fake, Some("d"), Effort::default(), key).unwrap();
    // Columns shuffled against each other: lines see nothing, trees and utility all the more.
    let shuffled = Columns::new(
        real.names().to_vec(),
        real.columns()
            .iter()
            .enumerate()
            .map(|(i, column)| column.rows(&key.fold(i).permutation(1200)))
            .collect(),
    )
    .unwrap();
    let report = of(&shuffled);
    let value = |report: &TableReport, name: &str| report.get(name).unwrap().estimate.value;
    assert!(value(&report, "detection_trees") > 0.8 && value(&report, "detection_logistic") > 0.9);
    assert_eq!(value(&report, "shape"), 0.0);
    assert!(value(&report, "utility") + 0.1 < report.get("utility").unwrap().fresh.unwrap());
    let text = report.text();
    assert!(text.contains("WARNING: synthetic rows are easily told from real ones"), "{text}");
    assert!(text.contains("WARNING: a model of d learns much less"), "{text}");
    assert!(text.lines().all(|line| line.chars().count() < 220) && text.lines().count() < 45, "{text}");
    // The training table itself: nobody can tell, and that is the fault.
    let copy = of(&real);
    assert!(value(&copy, "detection_trees") < 0.55);
    assert_eq!((value(&copy, "copies"), value(&copy, "beta_recall") > 0.9), (1.0, true));
    assert!(copy.text().contains("WARNING: training rows are handed out again"), "{}", copy.text());
    let json = serde_json::to_value(&copy).unwrap();
    assert_eq!(json["figures"][0]["name"], "detection_trees");
    assert!(json["figures"][0]["low"].is_number() && json["columns"][0]["shape"].is_number());
    // The same bits whoever asks, and without test rows.
    let again =
        judge(&real, None, &shuffled, None, Effort { baselines: false, ..Effort::default() }, key).unwrap();
    assert_eq!(value(&again, "detection_trees"), value(&report, "detection_trees"));
    assert!(
        again.get("membership").is_none() && again.absent.iter().any(|absent| absent.contains("test rows"))
    );
    assert!(judge(&real, None, &shuffled, Some("e"), Effort::default(), key).is_err());
}
