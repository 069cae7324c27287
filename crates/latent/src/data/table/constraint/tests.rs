//! What is written is read, what can't be is refused, and rows that obey come back as they were.

use std::path::PathBuf;

use super::{Constraint, Rule};
use crate::Key;
use crate::data::table::Table;
use crate::data::{Data, DataError, DataSettings, Part, Split};

/// Orders of a shop: dates with a time zone and gaps, sums in cents, cities of countries, codes of countries.
fn orders(rows: usize) -> String {
    let mut text = String::from("placed,arrived,net,tax,total,city,country,code,share,weight\n");
    let mut numbers = vec![0.0; 10 * rows];
    Key::from_seed(11).uniforms(&mut numbers);
    for u in numbers.chunks_exact(10) {
        let of = |place: usize, most: usize| ((u[place] * most as f32) as usize).min(most - 1);
        let stamp = |hours: usize| {
            let (month, day) = (1 + hours / 672, 1 + hours / 24 % 28);
            format!("2024-{month:02}-{day:02}T{:02}:00:00+02:00", hours % 24)
        };
        let placed = of(0, 5000);
        let arrived = match of(1, 10) {
            0 => String::new(),
            _ => stamp(placed + of(2, 1500)),
        };
        let (net, tax) = (50 + of(3, 90_000), of(4, 9000));
        let cents = |cents: usize| format!("{}.{:02}", cents / 100, cents % 100);
        let (city, country, code) = [
            ("Köln", "Germany", "DE"),
            ("Berlin", "Germany", "DE"),
            ("Bonn", "Germany", "DE"),
            ("Paris", "France", "FR"),
            ("Lyon", "France", "FR"),
            ("Rome", "Italy", "IT"),
        ][of(5, 6)];
        let country = if of(6, 12) == 0 { "" } else { country };
        let total = if of(7, 15) == 0 { "NA".into() } else { cents(net + tax) };
        text.push_str(&format!(
            "{},{arrived},{},{},{total},{city},{country},{code},{:.3},{:.4}\n",
            stamp(placed),
            cents(net),
            cents(tax),
            if of(8, 50) == 0 { f32::from(u8::from(u[9] > 0.5)) } else { u[8] },
            1.0 + 7.0 * u[9]
        ));
    }
    text
}

const KEPT: [&str; 5] =
    ["placed <= arrived", "total = net + tax", "city -> country", "country -> code", "share in 0..1"];

struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, text: &str) -> PathBuf {
        let path = self.0.path().join("t.csv");
        std::fs::write(&path, text).unwrap();
        path
    }

    fn open_with(&self, text: &str, settings: DataSettings) -> (Result<Data, DataError>, String) {
        let settings = DataSettings { source: self.write(text).display().to_string(), ..settings };
        let mut said = Vec::new();
        let data = Data::open(&settings, Key::from_seed(1), &mut |line| said.push(line));
        (data, said.join("\n"))
    }

    fn open(&self, text: &str, constraints: &[&str]) -> (Result<Data, DataError>, String) {
        let none = Some(Part::Fraction(0.0));
        let settings = DataSettings {
            constraints: constraints.iter().map(ToString::to_string).collect(),
            validation: none.clone(),
            test: none,
            ..DataSettings::default()
        };
        self.open_with(text, settings)
    }
}

fn refusal(text: &str, constraints: &[&str]) -> String {
    Files::new().open(text, constraints).0.unwrap_err().to_string()
}

fn table(text: &str, constraints: &[&str]) -> Table {
    Table::clone(Files::new().open(text, constraints).0.unwrap().facts().table.as_ref().unwrap())
}

#[test]
fn what_is_written_is_read_and_written_again() {
    for (text, written) in [
        ("start <= end", vec!["start <= end"]),
        ("a<b", vec!["a < b"]),
        ("low <= middle < high", vec!["low <= middle", "middle < high"]),
        ("end >= start", vec!["start <= end"]),
        ("total = net + tax+ fee", vec!["total = net + tax + fee"]),
        ("copy = one", vec!["copy = one"]),
        ("city -> country, region", vec!["city -> country", "city -> region"]),
        ("education <-> education-num", vec!["education -> education-num", "education-num -> education"]),
        ("age in 0..120", vec!["age in 0..120"]),
        ("check in in 0..", vec!["check in in 0.."]),
        ("\"e in f\" in 1..2", vec!["\"e in f\" in 1..2"]),
        ("first day <= last day", vec!["first day <= last day"]),
        ("\"a+b\" = `c<=d` + \"e in f\"", vec!["\"a+b\" = \"c<=d\" + \"e in f\""]),
        ("`say \"x\"` -> y", vec!["`say \"x\"` -> y"]),
        ("day in 2024-01-01..2024-12-31", vec!["day in 2024-01-01..2024-12-31"]),
    ] {
        let found = Constraint::parse(text).unwrap_or_else(|wrong| panic!("{text}: {wrong:?}"));
        let again: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(again, written, "{text}");
        for (one, text) in found.iter().zip(&again) {
            assert_eq!(&Constraint::parse(text).unwrap()[..], std::slice::from_ref(one), "{text}");
        }
    }
    let Constraint::Range { column, least, most } = &Constraint::parse("check in in 0..").unwrap()[0] else {
        panic!("a range");
    };
    assert_eq!((column.as_str(), least.as_deref(), most.as_deref()), ("check in", Some("0"), None));
    for (text, said) in [
        ("start", "none of <=, <, =, -> and in"),
        ("", "none of"),
        ("a <=", "a name is missing"),
        ("= b + c", "a name is missing"),
        ("t = a + ", "a name is missing"),
        ("a <= b = c", "several sorts"),
        ("a < b > c", "several sorts"),
        ("a -> b -> c", "several sorts"),
        ("age in 5", "two dots"),
        ("age in ..", "a range has an end"),
    ] {
        let (what, remedy) = Constraint::parse(text).unwrap_err();
        assert!(what.contains(said) && remedy.contains("city -> country"), "{text}: {what}");
    }
}

#[test]
fn what_cannot_be_is_refused_and_said_why() {
    let text = orders(300);
    for (constraint, said) in [
        ("placd <= arrived", &["did you mean \"placed\"?"][..]),
        ("city <= country", &["city is a category, which has no order"]),
        ("placed <= net", &["placed is a time of zone +02:00, net is a number"]),
        ("total = placed + net", &["a date is the sum of one date and numbers"]),
        ("net = net + tax", &["net is part of itself"]),
        ("net <= net", &["names one column twice"]),
        ("city -> city", &["names one column twice"]),
        ("net in a..b", &["\"a\" is no number"]),
        ("net in 5..1", &["nothing lies in"]),
        ("city in 0..1", &["has no order"]),
        ("arrived <= placed", &["does not hold in", "of 300 rows, the first in line", "arrived is 2024-"]),
        ("country -> city", &["does not hold", "mend the rows, or leave the constraint out"]),
        ("total = net", &["does not hold"]),
    ] {
        let error = refusal(&text, &[constraint]);
        assert!(error.starts_with("data.constraints: "), "{error}");
        said.iter().for_each(|said| assert!(error.contains(said), "{constraint}: {error}"));
    }
    for (constraints, said) in [
        (&["placed <= arrived", "arrived <= placed"][..], "go in a circle"),
        (&["total = net + tax", "total = tax + net"], "both make total"),
        (&["total = net + tax", "net = total + tax"], "part of itself"),
        (&["total = net + tax", "city -> total"], "is made by"),
    ] {
        let error = refusal(&text, constraints);
        assert!(error.contains(said), "{constraints:?}: {error}");
    }
    // What is no part of x, and what has no levels of its own.
    let fixed = text.replace(",weight\n", ",fixed\n");
    let fixed: String = fixed
        .lines()
        .enumerate()
        .map(|(at, line)| match at {
            0 => format!("{line}\n"),
            _ => format!("{},7\n", line.rsplit_once(',').unwrap().0),
        })
        .collect();
    assert!(refusal(&fixed, &["fixed <= net"]).contains("fixed is constant and no part of the model"));
    let many: String = (0..3000).map(|i| format!("{}.{:03},{}\n", i, i % 997, i % 2)).collect();
    assert!(refusal(&format!("a,b\n{many}"), &["a -> b"]).contains("too many values for each to decide"));
    // Measurements have no least distance.
    let real: String =
        (0..100).map(|i| format!("{:.10},{:.10}\n", f64::from(i).sin(), 2.0 + f64::from(i).cos())).collect();
    assert!(refusal(&format!("a,b\n{real}"), &["a < b"]).contains("write <= in place of <"));
    // Images have none.
    let mut images = DataSettings { constraints: vec!["a <= b".into()], ..DataSettings::default() };
    images.source = "embedded".into();
    let error = Data::open(&images, Key::from_seed(1), &mut |_| {}).unwrap_err().to_string();
    assert!(error.contains("no table of mixed columns"), "{error}");
}

#[test]
fn a_few_rows_that_break_are_left_out_and_said() {
    let mut text = orders(1000);
    // The third row has a city of another country, the seventh a sum that is off by a cent.
    let lines: Vec<String> = text
        .lines()
        .enumerate()
        .map(|(at, line)| match at {
            3 => "2024-01-01T00:00:00+02:00,,1.00,0.50,1.50,Rome,France,FR,0.500,2.0000".into(),
            7 => "2024-01-01T00:00:00+02:00,,1.00,0.50,1.51,Rome,Italy,IT,0.500,2.0000".into(),
            _ => line.to_string(),
        })
        .collect();
    text = lines.join("\n");
    let (data, said) = Files::new().open(&text, &KEPT);
    let data = data.unwrap();
    assert_eq!(data.len(Split::Train), 998);
    assert!(
        said.contains("\"city -> country\" does not hold in 1 of 1000 rows, the first in line 4"),
        "{said}"
    );
    assert!(
        said.contains("\"total = net + tax\" does not hold in 1 of 1000 rows, the first in line 8"),
        "{said}"
    );
    assert!(said.contains("total is 1.51, net is 1.00"), "{said}");
    let table = data.facts().table.as_ref().unwrap();
    let Rule::Map { pairs, .. } = &table.constraints[2].rule else { panic!("a map") };
    assert_eq!(pairs.len(), 6);
    // Other rows for the model stay, whatever they break.
    let files = Files::new();
    let settings =
        DataSettings { source: files.write(&text).display().to_string(), ..DataSettings::default() };
    let mut said = Vec::new();
    let other =
        Data::open_for(data.facts(), &settings, Key::from_seed(1), &mut |line| said.push(line)).unwrap();
    assert_eq!(other.len(Split::Test), 1000);
    assert!(said.join("\n").contains("does not hold in 1 of 1000 rows, the first in line 8"), "{said:?}");
    let values = other.values(Split::Test, &[2, 6, 8]).unwrap();
    let breaks = |at: usize| {
        let width = table.modelled().count();
        table.broken(&values[at * width..(at + 1) * width]).map(|kept| kept.text.clone()).collect::<Vec<_>>()
    };
    assert_eq!(breaks(0), ["city -> country"]);
    assert_eq!(breaks(1), ["total = net + tax"]);
    assert!(breaks(2).is_empty());
}

#[test]
fn rows_that_obey_come_back_to_the_letter() {
    let text = orders(400);
    let (data, _) = Files::new().open(&text, &KEPT);
    let data = data.unwrap();
    let table = data.facts().table.as_ref().unwrap();
    let all: Vec<usize> = (0..400).collect();
    let x = data.rows(Split::Train, &all, 0).unwrap().x;
    let columns = table.words(&x, Key::from_seed(1)).columns;
    for (row, line) in text.lines().skip(1).enumerate() {
        let own: Vec<&str> = columns.iter().map(|column| column[row].as_str()).collect();
        // Single precision keeps what has a level of its own; gaps, dates, words and sums come back all the same.
        for (at, (found, word)) in own.iter().zip(line.split(',')).enumerate() {
            if ![2, 3, 4, 8, 9].contains(&at) {
                assert_eq!(*found, word, "row {row}");
            }
        }
        let cents = |word: &str| word.parse::<f64>().map(|value| (value * 100.0).round() as i64).ok();
        if let (Some(net), Some(tax), Some(total)) = (cents(own[2]), cents(own[3]), cents(own[4])) {
            assert_eq!(net + tax, total);
        }
    }
    // Through the header of a model file.
    let again = Table::from_json(&table.to_json().unwrap()).unwrap();
    assert_eq!(again, **table);
    let mut broken = again;
    broken.constraints[0].rule = Rule::Order { low: 0, high: 99, margin: 0.0 };
    assert!(Table::from_json(&broken.to_json().unwrap()).is_err());
}

#[test]
fn what_rounding_moved_is_settled_and_what_is_known_stays() {
    let table = table(&orders(500), &KEPT);
    let at = |name: &str| table.place(name).unwrap();
    let value = |name: &str, word: &str| {
        table.columns.iter().find(|column| column.name == name).unwrap().value(word).unwrap()
    };
    let mut row = vec![f64::NAN; table.modelled().count()];
    row[at("placed")] = value("placed", "2024-03-05T11:00:00+02:00");
    row[at("arrived")] = value("arrived", "2024-03-05T10:00:00+02:00");
    (row[at("net")], row[at("tax")], row[at("total")]) = (10.000_000_4, 2.3, 99.0);
    row[at("city")] = value("city", "Rome");
    row[at("country")] = value("country", "France");
    row[at("code")] = value("code", "DE");
    row[at("share")] = 1.2;
    let before = row.clone();
    table.settle(&mut row, &|_| false);
    assert!(table.broken(&row).next().is_none(), "{row:?}");
    assert_eq!(row[at("arrived")], row[at("placed")]);
    assert_eq!((row[at("net")], row[at("total")]), (10.0, 12.3));
    assert_eq!((row[at("country")], row[at("code")]), (value("country", "Italy"), value("code", "IT")));
    assert_eq!(row[at("share")], 1.0);
    // A total that is known leaves the last part, an arrival that is known the order's date.
    let fixed = [at("total"), at("net"), at("arrived")];
    let mut row = before;
    (row[at("net")], row[at("total")]) = (10.0, 11.5);
    table.settle(&mut row, &|place| fixed.contains(&place));
    assert_eq!((row[at("total")], row[at("tax")]), (11.5, 1.5));
    assert_eq!(row[at("placed")], value("placed", "2024-03-05T10:00:00+02:00"));
}

fn suggested(text: &str) -> Vec<String> {
    let settings = DataSettings::default();
    let (data, _) = Files::new().open_with(text, settings.clone());
    data.unwrap().suggestions(&settings).unwrap().into_iter().map(|one| one.constraint).collect()
}

#[test]
fn what_was_planted_is_found_and_nothing_else() {
    let found = suggested(&orders(2000));
    assert_eq!(
        found,
        ["total = net + tax", "placed <= arrived", "code <-> country", "city -> code", "share in 0..1"]
    );
    // What is declared is not suggested again.
    let settings = DataSettings { constraints: found[..3].to_vec(), ..DataSettings::default() };
    let files = Files::new();
    let data = files.open_with(&orders(2000), settings.clone()).0.unwrap();
    let more: Vec<String> =
        data.suggestions(&settings).unwrap().into_iter().map(|one| one.constraint).collect();
    assert_eq!(more, found[3..]);
    // Spans of days, three parts, copies, a chain of orders; numbers alone.
    let mut text = String::from("begin,days,end,a,b,c,sum,again,least,middle,most\n");
    let mut u = vec![0.0; 8 * 800];
    Key::from_seed(5).uniforms(&mut u);
    for u in u.chunks_exact(8) {
        let n = |place: usize, most: f32| (u[place] * most) as i64;
        let day = |day: i64| format!("2023-{:02}-{:02}", 1 + day / 28, 1 + day % 28);
        let begin = 28 * n(0, 6.0);
        // Within one month days are counted as they are.
        let days = 1 + n(1, 26.0);
        let (a, b, c) = (1 + n(2, 500.0), 1 + n(3, 400.0), n(4, 300.0));
        let mut three = [n(5, 100.0), n(6, 100.0), n(7, 100.0)];
        three.sort_unstable();
        text.push_str(&format!(
            "{},{days},{},{a},{b},{c},{sum},{sum},{},{},{}\n",
            day(begin),
            day(begin + days),
            three[0],
            three[1],
            three[2],
            sum = a + b + c
        ));
    }
    let found = suggested(&text);
    for wanted in
        ["again = sum", "sum = a + b + c", "end = begin + days", "least <= middle", "middle <= most"]
    {
        assert!(found.iter().any(|one| one == wanted), "{wanted} is not in {found:?}");
    }
    assert_eq!(found.len(), 5, "{found:?}");
}

#[test]
fn random_columns_suggest_nothing() {
    for seed in 0..4 {
        let rows = 1500;
        let mut u = vec![0.0; 9 * rows];
        Key::from_seed(seed).uniforms(&mut u);
        let mut text = String::from("a,b,c,d,e,f,g,h,i\n");
        for u in u.chunks_exact(9) {
            let word = |place: usize, words: &str| {
                words.chars().nth((u[place] * words.len() as f32) as usize).unwrap_or('z')
            };
            // Apart, skewed, of few values, mostly 0, rare.
            text.push_str(&format!(
                "{:.3},{},{},{},{},{},{:.2},{},{}\n",
                0.05 + 0.9 * u[0],
                (u[1] * 50.0) as i64,
                1000 + (u[2] * 500.0) as i64,
                if u[3] < 0.95 { 0 } else { (u[3] * 1e4) as i64 },
                word(4, "xyzw"),
                word(5, "pqrstuv"),
                100.0 * u[6].powi(6) + 1.0,
                if u[7] < 0.01 { "yes" } else { "no" },
                (u[8] * 20.0) as i64
            ));
        }
        let found = suggested(&text);
        assert!(found.is_empty(), "{found:?}");
        // All of them numbers.
        let numbers: String = text
            .lines()
            .map(|line| {
                let cells: Vec<&str> = line.split(',').collect();
                format!("{},{},{},{},{}\n", cells[0], cells[1], cells[2], cells[6], cells[8])
            })
            .collect();
        let found = suggested(&numbers);
        assert!(found.is_empty(), "{found:?}");
    }
}
