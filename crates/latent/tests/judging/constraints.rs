//! A table with an order, a sum, maps and gaps, learned with its constraints: every row that is made keeps them.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use crate::common::*;
use latent::data::{Data, DataSettings, Split};
use latent::generate::sampler::FittedSampler;
use latent::generate::{Observe, Samples};
use latent::{Key, Model, Registry};

const CITIES: [(&str, &str, &str); 5] = [
    ("Bonn", "Germany", "DE"),
    ("Berlin", "Germany", "DE"),
    ("Paris", "France", "FR"),
    ("Lyon", "France", "FR"),
    ("Rome", "Italy", "IT"),
];

/// Orders: when they were placed and arrived, cents, cities. With holes, cells of what constraints bind are empty.
fn write_orders(path: &Path, rows: usize, seed: u64, holes: f32) {
    let mut text = String::from("total,placed,arrived,net,tax,city,country,code\n");
    let mut numbers = vec![0.0; 15 * rows];
    Key::from_seed(seed).uniforms(&mut numbers);
    for u in numbers.chunks_exact(15) {
        let of = |place: usize, most: usize| ((u[place] * most as f32) as usize).min(most - 1);
        let day = |day: usize| format!("{:02}.{:02}.2024", 1 + day % 28, 1 + day / 28);
        let cents = |cents: usize| format!("{}.{:02}", cents / 100, cents % 100);
        let placed = of(0, 250);
        let (net, tax) = (100 + of(2, 60_000), of(3, 9000));
        let (city, country, code) = CITIES[of(4, 5)];
        let mut cells = [
            cents(net + tax),
            day(placed),
            if u[5] < 0.1 { String::new() } else { day(placed + of(1, 80)) },
            cents(net),
            cents(tax),
            city.to_string(),
            if u[6] < 0.05 { String::new() } else { country.to_string() },
            code.to_string(),
        ];
        cells.iter_mut().zip(&u[7..]).filter(|(_, u)| **u < holes).for_each(|(cell, _)| cell.clear());
        text.push_str(&format!("{}\n", cells.join(",")));
    }
    fs::write(path, text).unwrap();
}

/// Checks the rows of a file by nothing but their words; gives them.
fn check(path: &Path, wanted: usize) -> Vec<Vec<String>> {
    let text = fs::read_to_string(path).unwrap();
    let rows: Vec<Vec<String>> =
        text.lines().skip(1).map(|line| line.split(',').map(String::from).collect()).collect();
    assert_eq!(rows.len(), wanted);
    let day = |word: &str| -> i64 {
        let parts: Vec<i64> = word.split('.').map(|part| part.parse().unwrap()).collect();
        10_000 * parts[2] + 100 * parts[1] + parts[0]
    };
    let cents = |word: &str| -> i64 { word.replace('.', "").parse().unwrap() };
    for row in &rows {
        let [total, placed, arrived, net, tax, city, country, code] = &row[..] else { panic!("{row:?}") };
        if !placed.is_empty() && !arrived.is_empty() {
            assert!(day(placed) <= day(arrived), "{row:?}");
        }
        if [total, net, tax].iter().all(|word| !word.is_empty()) {
            assert!(
                [total, net, tax].iter().all(|word| word.split('.').nth(1).is_some_and(|d| d.len() == 2))
            );
            assert_eq!(cents(total), cents(net) + cents(tax), "{row:?}");
        }
        let known = CITIES.iter().find(|known| known.0 == city);
        assert!(country.is_empty() || known.is_none_or(|known| known.1 == country), "{row:?}");
        let known = CITIES.iter().find(|known| known.1 == country);
        assert!(code.is_empty() || known.is_none_or(|known| known.2 == code), "{row:?}");
    }
    rows
}

#[test]
fn every_row_that_is_made_keeps_the_constraints() {
    let root = tempfile::tempdir().unwrap();
    let at = |name: &str| root.path().join(name);
    write_orders(&at("orders.csv"), 600, 1, 0.0);
    check(&at("orders.csv"), 600);
    let settings = "
        data.constraints=['placed <= arrived', 'total = net + tax', 'city -> country', 'country <-> code']
        posterior.latent=3
        network.width=32
        likelihood.width=48
        train.steps=60
        train.batch=100
    ";
    let mut wanted = latent::Layers::from_preset("table").unwrap();
    wanted.set(&format!("data.source='{}'", at("orders.csv").display())).unwrap();
    settings
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .for_each(|line| wanted.set(line).unwrap());
    train(&wanted, &at("run"), false, |_| false);
    // From the file: constraints are part of it.
    let model = Model::load(at("run")).unwrap();
    let table = model.table().unwrap();
    assert_eq!(table.constraints.len(), 5);
    let key = Key::from_seed(3);
    let samples = model.sample(2000, key).unwrap();
    samples.save(&at("rows.csv"), "").unwrap();
    let rows = check(&at("rows.csv"), 2000);
    assert!(rows.iter().any(|row| row[2].is_empty()), "gaps are drawn");
    // Numbers of a program are the same rows.
    let width = table.modelled().count();
    assert!(samples.values().chunks(width).all(|row| table.broken(row).next().is_none()));
    for (name, observe) in [("means", Observe::Mean), ("draws", Observe::Draw)] {
        let path = at(&format!("{name}.csv"));
        model.sample_as(300, observe, key).unwrap().save(&path, "").unwrap();
        check(&path, 300);
    }

    // Conditions on what decides and on what is decided.
    let sampler = FittedSampler::load(&model, &at("run"), "prior", &Registry::default()).unwrap();
    let meets = |text: &str, count: usize, meets: &dyn Fn(&[String]) -> bool| {
        let asked = table.conditions(text).unwrap();
        let (samples, groups) = model.sample_groups(&sampler, &[asked], count, key).unwrap();
        assert!(groups[0].share > 0.0 && groups[0].share < 1.0, "{text}: {:?}", groups[0]);
        samples.save(&at("met.csv"), "").unwrap();
        let rows = check(&at("met.csv"), count);
        rows.iter().for_each(|row| assert!(meets(row), "{text}: {row:?}"));
        groups[0].share
    };
    let number = |word: &str| word.parse::<f64>().unwrap_or(f64::NAN);
    meets("country = France", 300, &|row| row[6] == "France" && (row[5] == "Paris" || row[5] == "Lyon"));
    meets("country = France|Italy, city != Paris", 300, &|row| row[5] == "Lyon" || row[5] == "Rome");
    meets("total = 100.00..200.00", 300, &|row| (100.0..=200.0).contains(&number(&row[0])));
    meets("total >= 300, tax = 0..20", 300, &|row| number(&row[0]) >= 300.0 && number(&row[4]) <= 20.0);
    meets("total = 123.45", 50, &|row| row[0] == "123.45");
    meets("arrived <= 28.02.2024", 300, &|row| row[2].ends_with("01.2024") || row[2].ends_with("02.2024"));
    meets("placed >= 01.06.2024, arrived <= 28.07.2024", 100, &|row| {
        !row[1].is_empty() && (row[2].ends_with("06.2024") || row[2].ends_with("07.2024"))
    });
    meets("arrived = 15.03.2024", 50, &|row| row[2] == "15.03.2024");
    // No row that obeys is so.
    let asked = table.conditions("country = France, city = Rome").unwrap();
    let said = model.sample_groups(&sampler, &[asked], 10, key).unwrap_err().to_string();
    assert!(said.contains("the model knows no rows with"), "{said}");
    for column in ["country", "city", "code"] {
        let groups = table.balanced(&[], column).unwrap();
        let (samples, _) = model.sample_groups(&sampler, &groups, 2000, key).unwrap();
        samples.save(&at("even.csv"), "").unwrap();
        let rows = check(&at("even.csv"), 2000);
        let place = ["total", "placed", "arrived", "net", "tax", "city", "country", "code"];
        let place = place.iter().position(|name| *name == column).unwrap();
        let mut counts: HashMap<&str, usize> = HashMap::new();
        rows.iter().for_each(|row| *counts.entry(&row[place]).or_default() += 1);
        assert!(counts.values().all(|count| count.abs_diff(2000 / groups.len()) <= 1), "{counts:?}");
    }

    // Holes in what constraints bind: what is known stays, what is filled in obeys.
    write_orders(&at("holes.csv"), 500, 9, 0.3);
    let source = DataSettings { source: at("holes.csv").display().to_string(), ..DataSettings::default() };
    let data = Data::open_for(&model.facts, &source, key, &mut |_| {}).unwrap();
    let all: Vec<usize> = (0..500).collect();
    let (known, x) = (data.values(Split::Test, &all).unwrap(), data.rows(Split::Test, &all, 0).unwrap());
    let filled = model.filled(&x, &known, 2, key).unwrap();
    let mut unkept = 0;
    for (filled, known) in filled.chunks(width).zip(known.chunks(width)) {
        assert!(filled.iter().zip(known).all(|(filled, known)| known.is_nan() || filled == known));
        assert!(filled.iter().all(|value| !value.is_nan()));
        unkept += table.broken(filled).count();
    }
    assert_eq!(unkept, 0);
    // Single precision alone would not know the cents of each sum.
    let samples = Samples::new(model.impute(&x, 2, key).unwrap().x, &model.facts);
    samples.save(&at("again.csv"), "").unwrap();
    check(&at("again.csv"), 500);

    // A row's log P is that of a row that obeys.
    let scores = model.score(&data.rows(Split::Test, &[0, 1, 2], 0).unwrap(), 5, key).unwrap();
    assert!(scores.iter().all(|score| score.log_p_lower.is_finite()));
}
