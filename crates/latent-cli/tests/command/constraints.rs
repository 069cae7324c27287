//! Constraints of a table through the command line: found, declared, kept, and missed in rows of others.

use std::fs;
use std::path::Path;

use crate::common::{refuse, run_words, succeed};

/// Stays in a hotel: two dates, nights as cents of a price and a fee, cities of two countries.
fn write_stays(path: &Path, rows: usize, breaks: bool) {
    let mut text = String::from("check in,check out,price,fee,paid,city,country\n");
    let mut state = 7u64;
    let mut below = |most: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % most
    };
    for row in 0..rows {
        let day = |day: u64| format!("2025-{:02}-{:02}", 1 + day / 28, 1 + day % 28);
        let (start, nights) = (below(200), below(90));
        let (price, fee) = (50 + below(400), below(40));
        let (city, country) =
            [("Oslo", "Norway"), ("Bergen", "Norway"), ("Malmö", "Sweden"), ("Lund", "Sweden")]
                [below(4) as usize];
        let wrong = u64::from(breaks && row % 10 == 0);
        text.push_str(&format!(
            "{},{},{price}.5,{fee},{}.5,{city},{country}\n",
            day(start),
            day(start + nights),
            price + fee + wrong
        ));
    }
    fs::write(path, text).expect("a table");
}

const DECLARED: &str =
    r#"data.constraints=["check in <= check out", "paid = price + fee", "city -> country"]"#;

fn column(text: &str, name: &str) -> Vec<String> {
    let mut lines = text.lines();
    let at = lines.next().expect("names").split(',').position(|found| found == name).expect("the column");
    lines.map(|line| line.split(',').nth(at).expect("a cell").to_string()).collect()
}

#[test]
fn constraints_are_found_declared_and_kept() {
    let own = tempfile::tempdir().expect("a folder");
    let at = own.path();
    write_stays(&at.join("stays.csv"), 400, false);
    let done = |words: &[&str]| {
        let ended = run_words(at, words);
        assert_eq!(ended.code, Some(0), "{words:?}: {}{}", ended.out, ended.err);
        ended
    };
    let text = succeed(at, "data inspect stays.csv").out;
    for said in [
        "paid = price + fee  to the last digit in all 400 rows",
        "check in <= check out  in all 400 rows that have both",
        "city -> country  in all 400 rows that have both; 4 values give 2",
        "to keep them: --set 'data.constraints=[\"paid = price + fee\", \"check in <= check out\", \"city -> country\"]'",
    ] {
        assert!(text.contains(said), "no {said:?}:\n{text}");
    }
    // What is declared is not suggested.
    assert!(!done(&["data", "inspect", "stays.csv", "--set", DECLARED]).out.contains("to keep them"));

    let line = "train --data stays.csv --out run --no-report --epochs 2 --set network.width=32 --set likelihood.width=32";
    let words: Vec<&str> = line.split_whitespace().chain(["--set", DECLARED]).collect();
    done(&words);
    succeed(at, "sample run --count 500 --out rows.csv");
    let words =
        ["sample", "run", "--count", "100", "--where", "country = Norway, paid >= 200", "--out", "some.csv"];
    done(&words);
    for (name, rows) in [("rows.csv", 500), ("some.csv", 100)] {
        let text = fs::read_to_string(at.join(name)).expect("rows");
        let of = |name| column(&text, name);
        assert_eq!(of("city").len(), rows);
        // Dates in this order of digits compare as words.
        assert!(of("check in").iter().zip(of("check out")).all(|(start, end)| *start <= end));
        let tenths = |word: &String| (word.parse::<f64>().expect("a number") * 10.0).round() as i64;
        let (price, fee, paid) = (of("price"), of("fee"), of("paid"));
        assert!((0..rows).all(|row| tenths(&price[row]) + tenths(&fee[row]) == tenths(&paid[row])));
        let is_north = |city: &String| city == "Oslo" || city == "Bergen";
        assert!(
            of("city")
                .iter()
                .zip(of("country"))
                .all(|(city, country)| is_north(city) == (country == "Norway"))
        );
        if name == "some.csv" {
            assert!(of("country").iter().all(|country| country == "Norway"));
            assert!(paid.iter().all(|paid| tenths(paid) >= 2000));
        }
    }
    let header = "check in,check out,price,fee,paid,city,country\n";
    fs::write(
        at.join("holes.csv"),
        format!("{header}2025-02-03,,100.5,,112.5,Lund,\n,2025-01-02,,3,99.5,,Norway\n"),
    )
    .expect("a file");
    succeed(at, "impute run --data holes.csv --out full.csv");
    let full = fs::read_to_string(at.join("full.csv")).expect("rows");
    let rows: Vec<Vec<&str>> = full.lines().skip(1).map(|line| line.split(',').collect()).collect();
    assert!(rows[0][1] >= "2025-02-03" && rows[0][3] == "12" && rows[0][6] == "Sweden", "{full}");
    assert!(rows[1][0] <= "2025-01-02" && rows[1][2] == "96.5", "{full}");
    assert!(["Oslo", "Bergen"].contains(&rows[1][5]), "{full}");

    // A row that breaks has no probability, and it is said which constraint.
    fs::write(
        at.join("new.csv"),
        format!("{header}2025-02-03,2025-02-05,100.5,4,104.5,Lund,Sweden\n2025-02-03,2025-02-05,100.5,4,104.5,Lund,Norway\n"),
    )
    .expect("a file");
    let ended = succeed(at, "score run --data new.csv --k 3 --out scores.csv");
    assert!(ended.err.contains("does not hold in 1 of 2 rows, the first in line 3"), "{}", ended.err);
    assert!(ended.err.contains("1 of 2 rows break a constraint"), "{}", ended.err);
    let scores = fs::read_to_string(at.join("scores.csv")).expect("scores");
    let first = column(&scores, "log_p_lower");
    assert!(first[0].parse::<f64>().expect("a number").is_finite() && first[1] == "-inf", "{scores}");
    assert!(scores.lines().nth(2).expect("a row").contains("breaks city -> country"), "{scores}");

    // Rows of others are held to what holds in the real ones.
    write_stays(&at.join("theirs.csv"), 300, true);
    let text = succeed(at, "judge stays.csv theirs.csv --no-baselines").out;
    assert!(
        text.contains("holds in all real rows: paid = price + fee; 10.00 % of synthetic ones break it"),
        "{text}"
    );
    assert!(text.contains("holds in all real rows: city -> country; 0.00 %"), "{text}");
    let line = "data inspect stays.csv --set";
    refuse(
        at,
        &format!("{line} data.constraints=[\"ciyt->country\"]"),
        &["data.constraints", "did you mean \"city\"?"],
    );
    refuse(at, &format!("{line} data.constraints=[\"fee<=price\",\"price<fee\"]"), &["go in a circle"]);
    refuse(
        at,
        &format!("{line} data.constraints=[\"country->city\"]"),
        &["does not hold in", "the first in line"],
    );
    refuse(
        at,
        &format!("{line} data.constraints=[\"city<=fee\"]"),
        &["city is a category, which has no order"],
    );
    refuse(at, &format!("{line} data.constraints=[\"city\"]"), &["is no constraint"]);
    refuse(at, "data inspect embedded --set data.constraints=[\"a->b\"]", &["no table of mixed columns"]);
}
