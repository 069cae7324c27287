//! What commands promise: the same seed gives the same bytes, JSON is JSON, and data comes back as it was.

use std::fs;
use std::path::Path;

use crate::common::{Ended, SMALL, refuse, succeed, trained, write_npy_bytes};

/// Every command that writes a file, without `--out`.
const WRITERS: [(&str, &str); 14] = [
    ("sample runs/first --count 12", "png"),
    ("sample runs/first --count 12", "npy"),
    ("sample runs/table --count 12", "csv"),
    ("reconstruct runs/first --count 12", "npy"),
    ("interpolate runs/first --count 2", "npy"),
    ("traverse runs/first --dims 3", "png"),
    ("traverse runs/table --row 3", "csv"),
    ("edit runs/first --toward Bag --rows 3 --steps 2", "png"),
    ("sample runs/first --like 3 --count 4", "npy"),
    ("encode runs/first", "npy"),
    ("encode runs/table --with-deviation", "csv"),
    ("decode runs/first --codes CODES --observe draw", "npy"),
    ("score runs/first --k 5", "csv"),
    ("score runs/table --k 5", "npy"),
];

fn line(command: &str, out: &Path, rest: &str) -> String {
    let codes = trained().join("codes.npy");
    if !codes.exists() {
        let bytes: Vec<u8> = (0..64).flat_map(|i| (i as f32 / 32.0 - 1.0).to_le_bytes()).collect();
        write_npy_bytes(&codes, "<f4", "(4, 16)", &bytes);
    }
    format!("{} --out {} {rest}", command.replace("CODES", "codes.npy"), out.display())
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let own = tempfile::tempdir().expect("a folder");
    for (index, (command, ending)) in WRITERS.iter().enumerate() {
        let written = |name: &str, rest: &str| {
            let out = own.path().join(format!("{index}-{name}.{ending}"));
            succeed(trained(), &line(command, &out, rest));
            fs::read(&out).expect("an output")
        };
        let first = written("a", "--seed 5");
        assert_eq!(first, written("b", "--seed 5"), "{command}");
        if command.starts_with("sample") || command.starts_with("score") || command.contains("draw") {
            assert_ne!(first, written("c", "--seed 6"), "{command}");
        }
    }
}

#[test]
fn the_same_seed_trains_the_same_model() {
    let own = tempfile::tempdir().expect("a folder");
    let train = |out: &str, seed: u64| {
        succeed(own.path(), &format!("train --data embedded --out {out} {SMALL} --no-report --seed {seed}"));
        fs::read(own.path().join(out).join("model.safetensors")).expect("a model")
    };
    let first = train("a", 4);
    assert!(first == train("b", 4));
    assert!(first != train("c", 5));
    // A run folder reproduces itself from its run.toml alone.
    succeed(own.path(), "train --config a/run.toml --out d --no-report");
    assert!(first == fs::read(own.path().join("d/model.safetensors")).expect("a model"));
}

/// Every line that a command prints is JSON, and no number in it is anything but finite or null.
fn is_json(ended: &Ended) -> Vec<serde_json::Value> {
    let lines = ended.out.lines().chain(ended.err.lines());
    let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    lines.for_each(|line| {
        let _: serde_json::Value = parse(line);
    });
    ended.out.lines().map(parse).collect()
}

#[test]
fn every_command_speaks_json() {
    let own = tempfile::tempdir().expect("a folder");
    for (index, (command, ending)) in WRITERS.iter().enumerate() {
        let out = own.path().join(format!("{index}.{ending}"));
        let said = is_json(&succeed(trained(), &line(command, &out, "--json")));
        let last = said.last().expect("a line");
        assert_eq!(last["out"], out.display().to_string(), "{command}: {last}");
        assert_eq!(last["seed"], 1, "{command}: {last}");
    }
    let presets = is_json(&succeed(own.path(), "presets --json"));
    assert!(presets.iter().all(|preset| preset["paper"].as_str().is_some_and(|paper| !paper.is_empty())));
    assert!(presets.iter().all(|preset| preset["group"].is_string()));
    assert_eq!(presets.len(), latent::run::presets().len(), "each preset is in one of the groups");
    let iwae = &is_json(&succeed(own.path(), "presets iwae --json"))[0];
    assert!(iwae["toml"].is_string());
    let formula = "−ln 1/5 Σ_d exp(−ℓ_d),  ℓ = −ln p(x|z) + ln q(z|x) − ln p(z)";
    assert_eq!(iwae["formula"], formula);
    assert_eq!(is_json(&succeed(own.path(), "devices --json"))[0]["devices"][0], "cpu");
    assert_eq!(is_json(&succeed(own.path(), "data inspect embedded --json"))[0]["rows"][0], 8000);
    assert_eq!(is_json(&succeed(trained(), "inspect runs/first --json"))[0]["run"]["seed"], 1);
    let train = is_json(&succeed(own.path(), &format!("train --data embedded --out run {SMALL} --json")));
    assert!(train.iter().any(|line| line["validation"]["loss"].is_number()), "{train:?}");
    assert!(train.last().expect("a line")["verdicts"][0]["evidence"].is_string());
    let report = is_json(&succeed(own.path(), "report run --json"));
    assert!(report[0]["files"].as_array().is_some_and(|files| files.len() > 3));
    let refused = crate::common::run(own.path(), "sample nowhere --out x.npy --json");
    assert_eq!(refused.code, Some(2));
    let error: serde_json::Value = serde_json::from_str(refused.err.trim()).expect("JSON");
    assert_eq!(error["exit_code"], 2);
}

/// Header and numbers of an npy file of f4, f8 or u1.
fn npy(path: &Path) -> (String, Vec<u8>) {
    let bytes = fs::read(path).expect("an array");
    let end = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    (String::from_utf8_lossy(&bytes[10..end]).trim().to_string(), bytes[end..].to_vec())
}

#[test]
fn samples_come_back_as_the_data_was() {
    let own = tempfile::tempdir().expect("a folder");
    let at = own.path();
    let to = |name: &str| at.join(name).display().to_string();
    succeed(trained(), &format!("sample runs/first --count 5 --out {}", to("x.npy")));
    let (header, values) = npy(&at.join("x.npy"));
    assert!(header.contains("'|u1'") && header.contains("(5, 28, 28,)"), "{header}");
    assert_eq!(values.len(), 5 * 784);

    succeed(trained(), &format!("sample runs/table --count 200 --out {}", to("x.csv")));
    let text = fs::read_to_string(at.join("x.csv")).expect("a table");
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("length,rings,share"));
    for line in lines {
        let cells: Vec<&str> = line.split(',').collect();
        assert!(cells[1].parse::<i64>().is_ok(), "rings are whole: {line}");
        assert!(cells[0].len() <= 11, "no digits that mean nothing: {line}");
    }

    succeed(trained(), &format!("sample runs/first --count 3 --out {}", to("pictures/")));
    let pictures: Vec<_> = fs::read_dir(at.join("pictures")).expect("a folder").collect();
    assert_eq!(pictures.len(), 3);
    // What was written can be read again, as data for the same model.
    succeed(trained(), &format!("encode runs/first --data {} --out {}", to("pictures"), to("z.npy")));
    succeed(trained(), &format!("encode runs/first --data {} --out {}", to("x.npy"), to("zz.npy")));
    succeed(trained(), &format!("score runs/table --data {} --k 5 --out {}", to("x.csv"), to("s.csv")));

    let mut grey = Vec::new();
    (0..60 * 36).for_each(|i: i32| grey.extend(((i * 37 % 100) as f64 / 100.0 - 0.3).to_le_bytes()));
    write_npy_bytes(&at.join("real.npy"), "<f8", "(60, 36)", &grey);
    succeed(at, "train --data real.npy --out run --epochs 1 --no-report");
    succeed(at, "sample run --count 4 --out again.npy");
    assert!(npy(&at.join("again.npy")).0.contains("'<f8'"));
}

/// A density of real numbers has one unit in all that is said of it: that of the data's files.
#[test]
fn score_and_evaluate_agree() {
    let own = tempfile::tempdir().expect("a folder");
    let text: String = (0..400)
        .map(|row| {
            let (a, b) = ((f64::from(row) * 0.7).sin(), (f64::from(row) * 1.9).cos());
            format!("{:.6},{:.5}\n", 0.002 * a, 5.0 + 0.9 * (a + b))
        })
        .collect();
    fs::write(own.path().join("t.csv"), format!("metres,grams\n{text}")).expect("a table");
    succeed(own.path(), "train --data t.csv --out run --epochs 3 --no-report");
    let json = |line: &str| -> serde_json::Value {
        serde_json::from_str(&succeed(own.path(), &format!("{line} --json")).out).expect("JSON")
    };
    let scored = json("score run --k 50 --out s.csv");
    let judged = json("evaluate run --sections likelihood --rows 40");
    let measures = judged["evaluation"]["sections"][0]["measures"].as_array().expect("measures");
    let bound = measures.iter().find(|measure| measure["name"] == "iw_50").expect("a bound");
    let (mean, bound) = (scored["mean"].as_f64().expect("a mean"), bound["value"].as_f64().expect("a value"));
    // Validation and test rows of one law; in normalised units a row would have 6 nats less.
    assert!((mean - bound).abs() < 1.0, "{mean} {bound}");
    let units = scored["units"].as_str().expect("units");
    assert!(units.contains("in the units of the data's files") && units.contains("less "), "{units}");
}

#[test]
fn codes_decoded_are_reconstructions() {
    let own = tempfile::tempdir().expect("a folder");
    let to = |name: &str| own.path().join(name).display().to_string();
    for (run, ending) in [("runs/first", "npy"), ("runs/table", "csv")] {
        let [z, x, again] = ["z", "x", "again"].map(|name| to(&format!("{name}.{ending}")));
        succeed(trained(), &format!("encode {run} --out {z}"));
        succeed(trained(), &format!("decode {run} --codes {z} --out {x}"));
        succeed(trained(), &format!("reconstruct {run} --count 1000 --out {again}"));
        assert_eq!(fs::read(x).expect("a file"), fs::read(again).expect("a file"), "{run}");
    }
}

/// Whoever reads codes or scores of a folder knows which file and class each is of, and `decode` takes such codes as they are.
#[test]
fn rows_of_a_folder_are_called_by_file_and_class() {
    let own = tempfile::tempdir().expect("a folder");
    let at = own.path();
    fs::create_dir(at.join("images")).expect("a folder");
    copy_of_first(at);
    for (class, seed) in [("hats", 1), ("shoes", 2)] {
        succeed(at, &format!("sample run --count 2 --seed {seed} --out images/{class}/"));
    }
    for command in ["encode run", "score run --k 2"] {
        succeed(at, &format!("{command} --data images --out rows.csv --force"));
        let text = fs::read_to_string(at.join("rows.csv")).expect("a table");
        let called: Vec<String> =
            text.lines().map(|line| line.rsplitn(3, ',').take(2).collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(
            called,
            [
                "label file",
                "hats hats/00000.png",
                "hats hats/00001.png",
                "shoes shoes/00000.png",
                "shoes shoes/00001.png"
            ]
        );
    }
    succeed(at, "encode run --data images --with-deviation --out z.csv");
    succeed(at, "encode run --data images --out z.npy");
    succeed(at, "decode run --codes z.csv --out by-name.npy");
    succeed(at, "decode run --codes z.npy --out by-place.npy");
    let read = |name: &str| fs::read(at.join(name)).expect("a file");
    assert_eq!(read("by-name.npy"), read("by-place.npy"));
}

#[test]
fn scores_have_their_columns() {
    let own = tempfile::tempdir().expect("a folder");
    let out = own.path().join("s.csv");
    let sheet = own.path().join("s.png");
    succeed(
        trained(),
        &format!("score runs/first --k 7 --out {} --sheet {}", out.display(), sheet.display()),
    );
    let text = fs::read_to_string(&out).expect("scores");
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("log_p_lower,k,se,ess,p_value,label"));
    let numbers = |line: &str| line.split(',').take(5).map(|cell| cell.parse().expect("a number")).collect();
    let rows: Vec<Vec<f64>> = lines.map(numbers).collect();
    assert_eq!(rows.len(), 30);
    for row in rows {
        assert!(
            row[1] == 7.0
                && row[2] >= 0.0
                && (1.0..=7.0001).contains(&row[3])
                && (0.0..=1.0).contains(&row[4])
        );
    }
    assert!(fs::metadata(sheet).expect("a picture").len() > 1000);
    // A model without a density gives distortions, and the header says why.
    succeed(own.path(), &format!("train --data embedded --out ae --preset ae {SMALL} --no-report"));
    succeed(own.path(), "score ae --out ae.csv");
    let text = fs::read_to_string(own.path().join("ae.csv")).expect("scores");
    let header = text.lines().next().expect("a header");
    assert!(header.contains("distortion") && header.contains("no density"), "{header}");
}

/// A copy of a run that more may be written beside.
fn copy_of_first(at: &Path) {
    fs::create_dir(at.join("run")).expect("a folder");
    for file in ["run.toml", "model.safetensors"] {
        fs::copy(trained().join("runs/first").join(file), at.join("run").join(file)).expect("a copy");
    }
}

#[test]
fn samplers_are_fitted_kept_and_drawn_from() {
    let own = tempfile::tempdir().expect("a folder");
    let at = own.path();
    copy_of_first(at);
    let fitted = succeed(at, "fit-sampler run --sampler normal");
    for word in ["normal", "prior", "best", "told apart"] {
        assert!(fitted.out.contains(word), "{}", fitted.out);
    }
    assert!(
        at.join("run/samplers/normal.safetensors").exists() && at.join("run/samplers/chosen.toml").exists()
    );
    let drawn = |name: &str, rest: &str| {
        succeed(at, &format!("sample run --count 9 --out {name}.npy {rest}"));
        fs::read(at.join(format!("{name}.npy"))).expect("samples")
    };
    let normal = drawn("a", "--sampler normal");
    assert!(normal == drawn("b", "--sampler normal"));
    assert!(normal != drawn("c", "--sampler prior"));
    assert!(normal != drawn("d", "--sampler normal --temperature 0.5"));
    assert!(normal != drawn("e", "--sampler normal --truncation 0.5"));
    // The prior is what it was before there were samplers.
    assert!(
        drawn("f", "--sampler prior") == {
            succeed(trained(), &format!("sample runs/first --count 9 --out {}", at.join("g.npy").display()));
            fs::read(at.join("g.npy")).expect("samples")
        }
    );
    let scored = succeed(at, "score run --k 5 --sampler normal --out s.csv");
    assert!(scored.out.contains("the fitted normal in the prior's place"), "{}", scored.out);
    assert!(succeed(at, "score run --k 5 --out p.csv").out.contains("standard-normal prior"));
    crate::common::refuse(at, "fit-sampler run --sampler normal", &["fitted already", "--force"]);
    crate::common::refuse(at, "fit-sampler run --sampler nromal", &["did you mean `normal`?"]);
    crate::common::refuse(
        at,
        "fit-sampler run --sampler maf --set step=3",
        &["did you mean `sampler.steps`?"],
    );
    crate::common::refuse(at, "fit-sampler run --sampler autoregressive-bits", &["use gaussian-mixture"]);
    crate::common::refuse(at, "fit-sampler run --set steps=3", &["auto fits several"]);
    crate::common::refuse(
        at,
        "sample run --sampler maf --out x.npy",
        &["latent fit-sampler run --sampler maf"],
    );
    crate::common::refuse(
        at,
        "sample run --sampler prior --class Bag --out x.npy",
        &["cannot draw codes of one class"],
    );
    crate::common::refuse(at, "sample run --temperature 0 --out x.npy", &["not a temperature"]);
    crate::common::refuse(at, "fit-sampler run/model.safetensors", &["give the run folder"]);
    succeed(at, "fit-sampler run --sampler flow-matching --set steps=30 --set hidden=[32]");
    succeed(at, "sample run --sampler flow-matching --class Bag --count 4 --out bags.png");
    succeed(at, "sample run --sampler flow-matching --class Bag --guidance 2 --count 4 --out bag.npy");
    crate::common::refuse(
        at,
        "sample run --sampler normal --guidance 2 --out x.npy",
        &["`normal` cannot be guided", "--sampler flow-matching"],
    );
    crate::common::refuse(at, "sample run --guidance -1 --out x.npy", &["give 0 to 20"]);
    crate::common::refuse(
        at,
        "sample run --sampler flow-matching --class Bagg --out x.npy",
        &["did you mean `Bag`?"],
    );
    let said = is_json(&succeed(at, "fit-sampler run --sampler normal --force --json"));
    let last = said.last().expect("a line");
    assert_eq!(last["table"].as_array().map(Vec::len), Some(3), "{last}");
    assert!(last["table"][0]["accuracy"].is_number() && last["chosen"].is_string(), "{last}");
}

#[test]
fn a_decoder_learns_on_from_the_samplers_codes_and_nothing_else_moves() {
    let own = tempfile::tempdir().expect("a folder");
    let at = own.path();
    copy_of_first(at);
    succeed(at, "fit-sampler run --sampler normal");
    let bytes = |name: &str| fs::read(at.join(name)).expect("a file");
    let draws = |name: &str| {
        succeed(at, &format!("encode run --out {name}-codes.npy"));
        let said = succeed(at, &format!("sample run --sampler normal --count 9 --out {name}.npy"));
        assert!(!said.err.contains("trained further"), "{}", said.err);
        (bytes(&format!("{name}-codes.npy")), bytes(&format!("{name}.npy")))
    };
    let (codes, samples) = draws("before");
    let model = bytes("run/model.safetensors");
    let said = is_json(&succeed(at, "refine run --sampler normal --steps 3 --json"));
    let last = said.last().expect("a line");
    assert_eq!((last["steps"].as_u64(), last["sampler"].as_str()), (Some(3), Some("normal")), "{last}");
    let (codes_after, samples_after) = draws("after");
    assert!(codes == codes_after, "codes stay");
    assert!(samples != samples_after && model != bytes("run/model.safetensors"), "the decoder moved");
    // The same again, bit for bit, from the same model.
    let refined = bytes("run/model.safetensors");
    fs::write(at.join("run/model.safetensors"), &model).expect("a file");
    succeed(at, "refine run --sampler normal --steps 3");
    assert!(refined == bytes("run/model.safetensors"));
    crate::common::refuse(at, "refine run --steps 3", &["refined already", "--force"]);
    crate::common::refuse(at, "refine run --steps 0 --force", &["give a positive number"]);
    crate::common::refuse(at, "refine run --weight nan --force", &["give a positive number"]);
    crate::common::refuse(at, "refine run/model.safetensors", &["give the run folder"]);
    succeed(at, "refine run --steps 2 --force");
    assert!(succeed(at, "inspect run").out.contains("refined"), "it says so");
    // A run that is over stays refined when it is asked to go on.
    succeed(at, &format!("train --data embedded --out own {SMALL} --no-report"));
    succeed(at, "refine own --steps 2");
    let refined = bytes("own/model.safetensors");
    succeed(at, "train --out own --resume --no-report");
    assert!(refined == bytes("own/model.safetensors"));
}

#[test]
fn evaluations_add_up() {
    let own = tempfile::tempdir().expect("a folder");
    let at = own.path();
    copy_of_first(at);
    let read = |name: &str| fs::read_to_string(at.join("run").join(name)).expect("a file");
    let evaluation = || serde_json::from_str::<serde_json::Value>(&read("evaluation.json")).expect("JSON");
    // Names of the sections, and of those of each call with its seed.
    let names = |of: &serde_json::Value| -> Vec<String> {
        of.as_array().expect("a list").iter().map(|one| one.as_str().expect("a name").into()).collect()
    };
    let sections = || -> Vec<String> {
        let found = evaluation()["sections"].as_array().expect("sections").clone();
        found.iter().map(|section| section["name"].as_str().expect("a name").into()).collect()
    };
    let calls = || -> Vec<(Vec<String>, u64)> {
        let found = evaluation()["calls"].as_array().expect("calls").clone();
        found.iter().map(|call| (names(&call["answered"]), call["seed"].as_u64().expect("a seed"))).collect()
    };
    let one = |name: &str| vec![name.to_string()];

    succeed(at, "evaluate run --sections reconstruction --minutes 0.02 --seed 4");
    let first = read("evaluation-rows.csv");
    let second = succeed(at, "evaluate run --sections likelihood --minutes 0.02 --seed 5");
    assert!(second.out.contains("Kept of earlier calls: reconstruction"), "{}", second.out);
    assert_eq!(sections(), ["likelihood", "reconstruction"]);
    assert_eq!(calls(), [(one("reconstruction"), 4), (one("likelihood"), 5)]);
    let table = read("evaluation-rows.csv");
    let header = table.lines().next().expect("a header");
    assert!(header.contains("likelihood.elbo") && header.contains("reconstruction.mse"), "{header}");
    // The values of the earlier call are what they were.
    let column = |table: &str| -> Vec<String> {
        let at =
            table.lines().next().and_then(|h| h.split(',').position(|name| name == "reconstruction.mse"));
        table.lines().map(|line| line.split(',').nth(at.expect("a column")).expect("a cell").into()).collect()
    };
    assert_eq!(column(&first), column(&table));
    let page = read("report.html");
    for said in ["squared error", "evidence lower bound", "reconstruction: seed 4", "likelihood: seed 5"] {
        assert!(page.contains(said), "{said}");
    }

    succeed(at, "evaluate run --sections reconstruction --minutes 0.02 --seed 6");
    assert_eq!(sections(), ["likelihood", "reconstruction"]);
    assert_eq!(calls(), [(one("likelihood"), 5), (one("reconstruction"), 6)]);

    crate::common::refuse(at, "evaluate run --sections anomaly", &["--sections", "nothing", "--against"]);
    succeed(at, "sample run --count 40 --out x.npy");
    let other = succeed(at, "evaluate run --data x.npy --sections reconstruction --minutes 0.02");
    assert!(other.err.contains("will be replaced: it judged on other rows: embedded"), "{}", other.err);
    assert_eq!((sections(), calls()), (one("reconstruction"), vec![(one("reconstruction"), 1)]));
    assert!(!read("evaluation-rows.csv").contains("likelihood"));
    let checksum = evaluation()["model"].as_str().expect("a checksum").to_string();
    let changed = read("evaluation.json").replace(&checksum, "00000000");
    fs::write(at.join("run/evaluation.json"), changed).expect("a file");
    let other = succeed(at, "evaluate run --data x.npy --sections likelihood --minutes 0.02");
    assert!(other.err.contains("it judged another model"), "{}", other.err);
    assert_eq!(sections(), ["likelihood"]);
    fs::write(at.join("run/evaluation.json"), "{").expect("a file");
    let other = succeed(at, "evaluate run --sections reconstruction --minutes 0.02");
    assert!(
        other.err.contains("will be replaced") && other.err.contains("not an evaluation"),
        "{}",
        other.err
    );
}

#[test]
fn a_table_of_anybody_is_judged() {
    let own = tempfile::tempdir().expect("a folder");
    let at = own.path();
    for (name, rows) in [("real.csv", 240), ("test.csv", 120), ("fake.csv", 200)] {
        crate::common::write_table(&at.join(name), rows);
    }
    let line = "judge real.csv fake.csv --test test.csv --target kind --out judged.html";
    let text = succeed(at, line).out;
    for said in ["boosted trees (AUC)", "shape error", "trained on synthetic", "report: judged.html"] {
        assert!(text.contains(said), "no {said:?}:\n{text}");
    }
    let page = fs::read_to_string(at.join("judged.html")).expect("a page");
    assert!(
        page.contains("Dependence of each pair of columns") && page.contains("Shares of the levels of kind")
    );
    refuse(at, line, &["judged.html", "exists already"]);
    let json = &is_json(&succeed(at, "judge real.csv fake.csv --no-baselines --json"))[0];
    let figure = &json["report"]["figures"][0];
    assert_eq!(figure["name"], "detection_trees");
    assert!(
        figure["low"].is_number() && figure["fresh"].is_null() && json["findings"][0]["headline"].is_string()
    );
    fs::write(at.join("other.csv"), "length,kind\n1,long\n").expect("a file");
    refuse(at, "judge real.csv other.csv", &["other.csv", "1 rows, too few"]);
    fs::write(at.join("other.csv"), format!("length,kind\n{}", "1,long\n".repeat(20))).expect("a file");
    refuse(at, "judge real.csv other.csv", &["other.csv", "lacks column \"rings\""]);
    fs::write(at.join("other.csv"), format!("length,rings,kind,share\n{}", "1,x,long,2\n".repeat(20)))
        .expect("a file");
    refuse(at, "judge real.csv other.csv", &["line 2", "rings", "no number"]);
    refuse(at, "judge real.csv fake.csv --target kind", &["--test"]);
    refuse(
        at,
        "judge real.csv fake.csv --test test.csv --target sort",
        &["\"sort\"", "length, rings, kind, share"],
    );
    refuse(at, "judge real.csv fake.csv --numbers sort", &["no column \"sort\""]);
    refuse(at, "judge real.csv fake.csv --numbers share --categories share", &["--numbers", "share"]);
    refuse(at, "judge nowhere.csv fake.csv", &["nowhere.csv"]);
}
