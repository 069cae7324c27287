use super::*;
use crate::Key;

fn section(name: &str, measures: Vec<Measure>) -> Section {
    Section { measures, ..Section::new(name, "How good?") }
}

fn measure(name: &str, value: f64, error: f64, better: Better) -> Measure {
    Measure::new(name, name, "nats", Estimate::normal(value, error), 1000, better)
}

fn run(name: &str, measures: Vec<Measure>) -> (String, Vec<Section>) {
    (name.into(), vec![section("likelihood", measures)])
}

fn best(row: &Compared) -> Vec<bool> {
    row.cells.iter().map(|cell| cell.is_some_and(|cell| cell.best)).collect()
}

#[test]
fn the_best_is_marked_where_it_beats_each_other() {
    let better = Better::Higher;
    let runs = [
        run("a", vec![measure("clear", -90.0, 0.5, better), measure("close", -90.0, 0.5, better)]),
        run("b", vec![measure("clear", -95.0, 0.5, better), measure("close", -90.5, 0.5, better)]),
        run("c", vec![measure("clear", -99.0, 0.5, better), measure("close", -99.0, 0.5, better)]),
    ];
    let found = compare(&runs);
    assert_eq!(best(&found.rows[0]), [true, false, false]);
    // The second is within chance of the first: none is best.
    assert_eq!(best(&found.rows[1]), [false, false, false]);
    let p = found.rows[0].cells[1].unwrap().p.unwrap();
    // z = 5/√½ = 7.07, three pairs, the middle one of them by size.
    assert!(p < 1e-9 && found.rows[0].cells[0].unwrap().p.is_none());
    let lower: Vec<_> = [("a", 3.0), ("b", 1.0)]
        .into_iter()
        .map(|(name, value)| run(name, vec![measure("distance", value, 0.1, Better::Lower)]))
        .collect();
    assert_eq!(best(&compare(&lower).rows[0]), [false, true]);
    let neither: Vec<_> =
        ["a", "b"].into_iter().map(|n| run(n, vec![measure("rate", 1.0, 0.0, Better::Neither)])).collect();
    assert_eq!(best(&compare(&neither).rows[0]), [false, false]);
}

#[test]
fn shared_rows_are_paired() {
    // Rows differ much and runs by little on each: apart they cannot be told, paired they can.
    let mut noise = vec![0.0f32; 400];
    Key::from_seed(1).normals(&mut noise);
    let ids: Vec<u64> = (0..400).collect();
    let rows = |shift: f64, wobble: f64| -> Vec<f64> {
        noise
            .iter()
            .enumerate()
            .map(|(i, v)| 10.0 * f64::from(*v) + shift + wobble * (i as f64).sin())
            .collect()
    };
    let with = |name: &str, values: Vec<f64>, ids: &[u64]| {
        let estimate = Estimate::mean(&values);
        run(
            name,
            vec![Measure::new("elbo", "elbo", "nats", estimate, 400, Better::Higher).rows(ids, &values)],
        )
    };
    let paired = compare(&[with("a", rows(0.0, 0.0), &ids), with("b", rows(0.3, 0.5), &ids)]);
    assert_eq!(best(&paired.rows[0]), [false, true]);
    let elsewhere: Vec<u64> = (1000..1400).collect();
    let apart = compare(&[with("a", rows(0.0, 0.0), &ids), with("b", rows(0.3, 0.5), &elsewhere)]);
    assert_eq!(best(&apart.rows[0]), [false, false]);
}

#[test]
fn likelihoods_of_different_base_measures_are_not_ranked() {
    let elbo = |value: f64, note: &str| vec![measure("elbo", value, 0.1, Better::Higher).note(note)];
    let bits = "mean over rows; probabilities on 2 levels (x drawn to bits once, by the seed)";
    let grey = "mean over rows; probabilities on 256 levels";
    let density = "density in the units of the data's files: log p(x) of normalised x less 12.34 nats";
    for other in [grey, density, "probabilities on 2 levels (x cut to bits at a threshold)"] {
        let found = compare(&[run("a", elbo(-90.0, bits)), run("b", elbo(-80.0, other))]);
        assert_eq!(best(&found.rows[0]), [false, false]);
        let why = found.rows[0].refused.as_ref().unwrap();
        assert!(why.contains("different kinds") && why.contains("by the seed)"), "{why}");
    }
    // A bound whose own note has no word of it has the base of its section.
    let with_bound = |note: &str| {
        let mut measures = elbo(-90.0, note);
        measures.push(measure("bound", -88.0, 0.1, Better::Higher).note("50 draws"));
        measures
    };
    let found = compare(&[run("a", with_bound(bits)), run("b", with_bound(grey))]);
    assert!(found.rows[1].name == "bound" && found.rows[1].refused.is_some());
    let less = density.replace("12.34", "11.11");
    let same = compare(&[run("a", elbo(-90.0, density)), run("b", elbo(-80.0, &less))]);
    assert_eq!((best(&same.rows[0]), &same.rows[0].refused), (vec![false, true], &None));
}

#[test]
fn what_depends_on_n_is_ranked_at_one_n_alone() {
    let distance = |n: usize, note: &str| {
        let estimate = Estimate::normal(n as f64, 0.1);
        vec![Measure::new("frechet", "distance", "", estimate, n, Better::Lower).note(note)]
    };
    // As older evaluations have it.
    let biased = "expectation at this n";
    let found = compare(&[run("a", distance(500, biased)), run("b", distance(600, biased))]);
    assert!(found.rows[0].refused.as_ref().unwrap().contains("n = 500; n = 600"));
    let unbiased = "expectation at this n (unbiased at any n)";
    let found = compare(&[run("a", distance(500, unbiased)), run("b", distance(600, unbiased))]);
    assert_eq!(best(&found.rows[0]), [true, false]);
    // As measures say it: what two runs share ranks them, and no less.
    let samples = |run: &str, n: usize, within: &str| {
        let measures = ["frechet:prior", "recall:prior"]
            .map(|name| Measure { name: name.into(), ..distance(n, "").remove(0) }.within(within));
        (run.to_string(), vec![section("samples", measures.to_vec())])
    };
    let same = compare(&[samples("a", 500, "n = 500, x"), samples("b", 600, "n = 500, x")]);
    assert_eq!((best(&same.rows[0]), &same.rows[0].refused), (vec![true, false], &None));
    let seeds = [samples("a-seed1", 500, "n = 500, x"), samples("a-seed2", 600, "n = 600, x")];
    for found in [compare(&seeds), compare_methods(&seeds)] {
        assert_eq!(best(&found.rows[0]), vec![false; found.runs.len()]);
        let why = found.rows[0].refused.as_ref().unwrap();
        assert!(why.contains("n = 500, x; n = 600, x") && why.contains("--samples N"), "{why}");
        assert_eq!(
            (found.rows[0].cells[0].unwrap().p, &found.rows[1].refused),
            (None, &found.rows[0].refused)
        );
        // Said once, below the rows that it is about.
        let text = found.text(false);
        assert_eq!((text.matches("not ranked").count(), text.matches('¹').count()), (1, 3), "{text}");
        assert_eq!(found.page(&[]).html().unwrap().matches("not ranked").count(), 1);
    }
    // Distances in other features are other distances, and more rows are no remedy.
    let found = compare(&[samples("a", 500, "n = 500, x"), samples("b", 500, "n = 500, y")]);
    assert!(found.rows[0].refused.as_ref().is_some_and(|why| !why.contains("--samples")));
}

#[test]
fn what_a_run_lacks_is_absent() {
    let runs = [
        run("a", vec![measure("elbo", -90.0, 0.1, Better::Higher)]),
        run("b", vec![measure("mse", 0.1, 0.01, Better::Lower), measure("elbo", -80.0, 0.1, Better::Higher)]),
    ];
    let found = compare(&runs);
    let names: Vec<&str> = found.rows.iter().map(|row| row.name.as_str()).collect();
    assert_eq!(names, ["elbo", "mse"]);
    assert!(found.rows[1].cells[0].is_none());
    // Alone, nothing is best.
    assert_eq!(best(&found.rows[1]), [false, false]);
    assert!(compare(&[]).rows.is_empty());
}

#[test]
fn methods_are_judged_over_seeds() {
    let seeds = |method: &str, values: &[f64]| -> Vec<(String, Vec<Section>)> {
        let one = |(seed, value): (usize, &f64)| {
            run(&format!("{method}-seed{seed}"), vec![measure("mig", *value, 1e-6, Better::Higher)])
        };
        values.iter().enumerate().map(one).collect()
    };
    // Each run is sure of its number; the seeds of a method differ all the same.
    let wide = [seeds("a", &[0.1, 0.3, 0.2]), seeds("b", &[0.25, 0.35, 0.15])].concat();
    let found = compare_methods(&wide);
    assert_eq!(
        (found.runs.as_slice(), best(&found.rows[0])),
        (["a", "b"].map(String::from).as_slice(), vec![false; 2])
    );
    assert_eq!(found.rows[0].cells[0].unwrap().n, 3);
    let apart = [seeds("a", &[0.1, 0.12, 0.11]), seeds("b", &[0.5, 0.52, 0.49])].concat();
    assert_eq!(best(&compare_methods(&apart).rows[0]), [false, true]);
    // A single run proves nothing of a method.
    let single = [seeds("a", &[0.1, 0.12, 0.11]), seeds("b", &[0.5])].concat();
    assert_eq!(best(&compare_methods(&single).rows[0]), [false, false]);
}

#[test]
fn tables_say_what_is_best() {
    let runs = [
        run(
            "one",
            vec![measure("elbo", -90.0, 0.5, Better::Higher), measure("rate", 12.0, 0.0, Better::Neither)],
        ),
        run("two, too", vec![measure("elbo", -95.0, 0.5, Better::Higher)]),
    ];
    let found = compare(&runs);
    let text = found.text(false);
    assert!(text.contains("elbo, nats ↑") && text.contains("−90.00 ± 0.98*") && text.contains('—'), "{text}");
    assert!(found.text(true).contains("\u{1b}[1m−90.00 ± 0.98*\u{1b}[0m"));
    let csv = found.csv();
    assert_eq!(csv.lines().count(), 4);
    assert!(csv.contains("likelihood,elbo,nats,higher,\"two, too\",-95,"), "{csv}");
    let html = found.page(&[]).html().unwrap();
    assert!(html.contains("<b>−90.00 ± 0.98</b>") && !html.contains("**"), "{html}");
}

#[test]
fn numbers_have_two_digits_of_their_interval() {
    let short = |value: f64, low: f64, high: f64| table::short(Estimate { value, low, high });
    assert_eq!(short(247.712, 246.9, 248.524), "247.71 ± 0.81");
    assert_eq!(short(-3.0, -15.0, 9.0), "−3 ± 12");
    assert_eq!(short(0.98, 0.95, 0.99), "0.980 [0.950, 0.990]");
    assert_eq!(short(18.0, 18.0, 18.0), "18");
    assert_eq!(short(0.25, 0.25, 0.25), "0.2500");
}

#[test]
fn an_evaluation_comes_back_from_json() {
    let mut one = section(
        "likelihood",
        vec![measure("elbo", -90.0, 0.5, Better::Higher).note("probabilities on 2 levels")],
    );
    one.measures[0].estimate.high = f64::NAN;
    one.warnings.push("careful".into());
    let text = serde_json::to_string(&vec![one.clone()]).unwrap();
    let back: Vec<Section> = serde_json::from_str(&text).unwrap();
    assert!(back[0].measures[0].estimate.high.is_nan());
    assert!((back[0].measures[0].estimate.low - one.measures[0].estimate.low).abs() < 1e-12);
    assert_eq!(back[0].warnings, one.warnings);
    assert_eq!(back[0].measures[0].note, one.measures[0].note);
}
