//! What bad input gets, through the real binary: exit code, what is named, what is left behind.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::common::{
    Ended, SMALL, files, latent, refuse, run, succeed, trained, write_npy_bytes, write_pictures, write_table,
};

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

#[test]
fn features_that_cannot_be_had() {
    let at = trained();
    let line = |rest: &str| format!("evaluate runs/first --sections samples --minutes 0.1 {rest}");
    let known: &[&str] = match cfg!(feature = "onnx") {
        true => &["nowhere.onnx"],
        false => &["--features", "built without", "--features onnx"],
    };
    refuse(at, &line("--features nowhere.onnx"), known);
    refuse(at, &line("--features-size 32"), &["--features <ONNX>"]);
    refuse(at, &line("--features nowhere.onnx --features-normalise loud"), &["loud", "imagenet, half, none"]);
    refuse(at, "evaluate runs/table --features nowhere.onnx", &["--features", "rows of a table"]);
    if cfg!(feature = "onnx") {
        refuse(at, &line("--features table.csv"), &["table.csv", "no ONNX network", "torch.onnx.export"]);
    }
}

#[test]
fn data_that_is_not_there() {
    let at = folder();
    fs::create_dir(at.path().join("empty")).expect("a folder");
    refuse(at.path(), "train --data nowhere.csv --out run", &["nowhere.csv", "no such file", "embedded"]);
    refuse(at.path(), "train --data empty --out run", &["empty", "holds no image", "give a folder of .png"]);
    refuse(at.path(), "train --out run", &["--data", "embedded"]);
    refuse(at.path(), "data inspect nowhere", &["nowhere", "fashion-mnist"]);
    write_npy_bytes(&at.path().join("empty/x.npy"), "<f4", "(0, 3)", &[]);
    refuse(at.path(), "train --data empty --out run", &["give the file itself", "x.npy"]);
    refuse(at.path(), "train --data empty/x.npy --out run", &["x.npy"]);
}

#[test]
fn a_corrupt_image_is_skipped_and_many_are_refused() {
    let at = folder();
    let faces = at.path().join("faces");
    write_pictures(&faces, 150, 1);
    fs::write(faces.join("00077.png"), b"\x89PNG\r\n\x1a\n and then nothing").expect("a file");
    let ended = succeed(at.path(), &format!("train --data faces --out run --no-report {SMALL}"));
    assert!(ended.err.contains("00077.png") && ended.err.contains("1 of 150"), "{}", ended.err);
    let whole = fs::read(faces.join("00001.png")).expect("a file");
    for name in ["00001.png", "00002.png", "00003.png"] {
        fs::write(faces.join(name), &whole[..whole.len() / 2]).expect("a file");
    }
    refuse(at.path(), "train --data faces --out other", &["00001.png", "4 of 150"]);
}

#[test]
fn images_of_different_kinds() {
    let at = folder();
    write_pictures(&at.path().join("mixed"), 20, 1);
    write_pictures(&at.path().join("colour"), 1, 3);
    fs::copy(at.path().join("colour/00000.png"), at.path().join("mixed/zebra.png")).expect("a copy");
    refuse(at.path(), "train --data mixed --out run", &["zebra.png", "data.image.channels"]);
    succeed(
        at.path(),
        &format!("train --data mixed --out run --set data.image.channels=grey {SMALL} --no-report"),
    );
}

#[test]
fn numbers_that_are_none() {
    let at = folder();
    let mut values = vec![0.5f32; 40];
    values[13] = f32::NAN;
    write_npy_bytes(&at.path().join("nan.npy"), "<f4", "(10, 4)", &floats(&values));
    refuse(
        at.path(),
        "train --data nan.npy --out run",
        &["nan.npy", "row 3, column 1", "NaN", "remove the row"],
    );
    values[13] = f32::NEG_INFINITY;
    write_npy_bytes(&at.path().join("inf.npy"), "<f4", "(10, 4)", &floats(&values));
    refuse(at.path(), "train --data inf.npy --out run", &["inf.npy", "row 3, column 1", "-inf"]);
    fs::write(at.path().join("nan.csv"), "a,b\n1,2\n3,nan\n4,5\n").expect("a table");
    refuse(
        at.path(),
        "train --data nan.csv --out run --set data.table=numbers",
        &["nan.csv", "line 3", "\"b\"", "fill in a number"],
    );
    fs::write(at.path().join("word.csv"), "a,b\n1,2\n3,red\n4,5\n").expect("a table");
    refuse(
        at.path(),
        "train --data word.csv --out run --set data.table=numbers",
        &["line 3", "\"b\"", "data.label = \"b\""],
    );
    let large: Vec<u8> = (0..600).flat_map(|i| if i == 77 { -3i64 } else { 9 }.to_le_bytes()).collect();
    write_npy_bytes(&at.path().join("low.npy"), "<i8", "(6, 10, 10)", &large);
    refuse(at.path(), "train --data low.npy --out run", &["low.npy", "-3", "65535", "u8 or u16"]);
}

#[test]
fn arrays_that_are_no_numbers_or_lie() {
    let at = folder();
    write_npy_bytes(&at.path().join("object.npy"), "|O", "(10,)", &[0; 80]);
    refuse(at.path(), "train --data object.npy --out run", &["object.npy", "object"]);
    write_npy_bytes(&at.path().join("complex.npy"), "<c8", "(10, 4)", &[0; 320]);
    refuse(at.path(), "train --data complex.npy --out run", &["complex.npy", "complex"]);
    write_npy_bytes(&at.path().join("short.npy"), "<f4", "(1000000000, 4)", &[0; 320]);
    refuse(at.path(), "train --data short.npy --out run", &["short.npy"]);
    write_npy_bytes(
        &at.path().join("vast.npy"),
        "<f8",
        "(4611686018427387904, 4611686018427387904)",
        &[0; 320],
    );
    refuse(at.path(), "train --data vast.npy --out run", &["vast.npy"]);
    fs::write(at.path().join("cut.npy"), b"\x93NUMPY\x01\x00").expect("a file");
    refuse(at.path(), "train --data cut.npy --out run", &["cut.npy"]);
    let idx = |rows: u32, data: usize| {
        let mut bytes = vec![0, 0, 8, 3];
        [rows, 6, 6].iter().for_each(|n| bytes.extend(n.to_be_bytes()));
        bytes.extend((0..data).map(|i| (i * 5 % 256) as u8));
        bytes
    };
    fs::write(at.path().join("lie-images-idx3-ubyte"), idx(1000, 360)).expect("a file");
    refuse(at.path(), "train --data lie-images-idx3-ubyte --out run", &["lie-images-idx3-ubyte"]);
    fs::create_dir(at.path().join("digits")).expect("a folder");
    fs::write(at.path().join("digits/train-images-idx3-ubyte"), idx(10, 360)).expect("a file");
    let labels = [&[0, 0, 8, 1, 0, 0, 0, 9][..], &[1; 9]].concat();
    fs::write(at.path().join("digits/train-labels-idx1-ubyte"), labels).expect("a file");
    refuse(
        at.path(),
        "train --data digits --out run",
        &["digits/train-images-idx3-ubyte", "10 rows and 9 labels", "one label"],
    );
}

#[test]
fn tables_that_are_none() {
    let at = folder();
    fs::write(at.path().join("ragged.csv"), "a,b\n1,2\n3,4,5\n").expect("a table");
    refuse(
        at.path(),
        "train --data ragged.csv --out run",
        &["ragged.csv", "line 3", "3 cells, the header 2"],
    );
    fs::write(at.path().join("bare.csv"), "1,2\n3,4\n").expect("a table");
    refuse(at.path(), "train --data bare.csv --out run", &["bare.csv", "header"]);
    write_table(&at.path().join("table.csv"), 30);
    let label = "train --data table.csv --out run --set data.label=sort";
    refuse(at.path(), label, &["data.label", "sort", "length, rings, kind, share"]);
    // Whole numbers, of which some are no counts.
    let rows: String = (0..300).map(|row| format!("{},{}\n", row % 7, row % 11 - 1)).collect();
    fs::write(at.path().join("counts.csv"), format!("seen,left\n{rows}")).expect("a table");
    let line = "train --data counts.csv --out counts --no-report --set likelihood.kind=poisson --set posterior.latent=1";
    let ended = run(at.path(), line);
    assert_eq!(ended.code, Some(2), "{}{}", ended.out, ended.err);
    for said in ["describes counts", "has -1 in its feature 1", "use \"normal\""] {
        assert!(ended.err.contains(said), "{said:?} is not in {}", ended.err);
    }
}

#[test]
fn settings_that_are_unknown_or_make_no_sense() {
    let at = folder();
    let train = |rest: &str, said: &[&str]| {
        refuse(at.path(), &format!("train --data embedded --out run --set data.limit=200 {rest}"), said);
    };
    train("--preset sigma-vea", &["unknown preset `sigma-vea`", "did you mean `sigma-vae`?"]);
    train("--set train.epoch=3", &["unknown key `train.epoch`", "train.epochs"]);
    train("--set trian.epochs=3", &["unknown key `trian`", "`train`"]);
    train("--set posterior.kind=bit", &["unknown posterior `bit`", "bits"]);
    train("--set network.kind=mlp --set network.hiden=[3]", &["hiden", "hidden"]);
    train("--set objective.terms.rtae={}", &["rtae", "rate"]);
    train("--set train.batch=0", &["train.batch"]);
    train("--set train.batch=many", &["train.batch", "many"]);
    train("--epochs nan", &["train.epochs"]);
    train("--epochs 0", &["train.epochs"]);
    train("--set nonsense", &["nonsense", "key=value"]);
    train("--config nowhere.toml", &["nowhere.toml"]);
    train("--device gpu9", &["gpu9", "cpu"]);
    train("--init-from nowhere", &["nowhere"]);
    // A normal posterior has mass where a uniform prior or bits have none: the rate would be infinite.
    train("--set prior.kind=uniform", &["prior", "infinite"]);
    train("--set prior.kind=bits", &["prior"]);
    train("--set posterior.kind=point", &["rate"]);
    train("--set likelihood.kind=discretised-logistic --set data.normalise=standardise", &["likelihood"]);
    train("--set posterior.latent=0", &["latent"]);
    train("--set posterior.latent=4000000000", &["posterior.latent", "larger than any model"]);
    fs::write(at.path().join("broken.toml"), "[train\nepochs = 3").expect("a file");
    train("--config broken.toml", &["broken.toml", "line 1"]);
}

#[test]
fn a_run_folder_that_exists_and_data_that_changed() {
    let at = folder();
    let table = at.path().join("table.csv");
    write_table(&table, 200);
    succeed(at.path(), "train --data table.csv --out run --epochs 2 --no-report --set data.label=kind");
    refuse(at.path(), "train --data table.csv --out run --set data.label=kind", &["run", "--resume"]);
    refuse(at.path(), "train --out run --resume --set posterior.latent=9", &["posterior.latent", "--resume"]);
    let kept = fs::read(&table).expect("a table");
    write_table(&table, 201);
    refuse(at.path(), "train --out run --resume --epochs 3", &["data has changed", "give back the old data"]);
    fs::write(&table, kept).expect("a table");
    succeed(at.path(), "train --out run --resume --epochs 3 --no-report");
    let before = files(at.path());
    let ended = succeed(at.path(), "train --out run --resume --no-report");
    assert!(ended.out.contains("trained already"), "{}", ended.out);
    assert_eq!(before, files(at.path()));
    fs::write(at.path().join("file"), "x").expect("a file");
    refuse(at.path(), "train --data table.csv --set data.label=kind --out file", &["file"]);
}

#[test]
fn outputs_that_cannot_be() {
    let at = trained();
    for command in ["sample", "reconstruct", "interpolate", "traverse"] {
        refuse(
            at,
            &format!("{command} runs/first --out x.gif"),
            &["--out", "x.gif", ".png, .svg, .npy, .csv"],
        );
        refuse(at, &format!("{command} runs/first --out table.csv"), &["table.csv", "--force"]);
        refuse(at, &format!("{command} runs/table --out x.png"), &["3 columns", ".csv"]);
        refuse(at, &format!("{command} runs/table --out pictures/"), &["3 columns", ".csv"]);
        refuse(
            at,
            &format!("{command} runs/first --out table.csv/x.npy"),
            &["table.csv", "a file stands where a folder is needed"],
        );
        refuse(at, &format!("{command} runs/nowhere --out new/x.npy"), &["runs/nowhere", "latent train"]);
        refuse(at, &format!("{command} runs/first --device tpu --out new/x.npy"), &["tpu", "cpu"]);
    }
    for command in ["encode", "score"] {
        refuse(at, &format!("{command} runs/first --out x.png"), &["--out", "x.png", ".npy, .csv"]);
        refuse(at, &format!("{command} runs/first --out table.csv"), &["table.csv", "--force"]);
    }
    refuse(at, "sample runs/first --out /proc/none/x.npy", &["/proc", "where you may write"]);
    refuse(at, "score runs/table --out s.csv --sheet s.png", &["3 columns"]);
    refuse(at, "score runs/first --out s.csv --sheet s.csv", &["--sheet", "s.csv"]);
    refuse(at, "score runs/first --out s.csv --k 0", &["--k", "at least 1"]);
    refuse(at, "sample runs/first --out x.npy --count 0", &["--count", "at least 1"]);
    refuse(at, "sample runs/first --out x.npy --count -3", &["-3"]);
    refuse(at, "sample runs/first --out x.npy --count 99999999999999", &["--count", "memory"]);
    refuse(at, "sample runs/first --out x.csv --count 18446744073709551615", &["--count", "memory"]);
    refuse(at, "sample runs/first --out x.png --count 999999", &["--count", "10000"]);
    refuse(at, "reconstruct runs/first --out x.npy --from 999", &["--from", "no row 999", "0 to 29"]);
    refuse(at, "interpolate runs/first --out x.npy --from 0 --to 999", &["--to", "0 to 29"]);
    refuse(at, "interpolate runs/first --out x.npy --steps 1", &["--steps", "at least 2"]);
    refuse(at, "interpolate runs/first --out x.npy --count 0", &["--count", "at least 1"]);
    refuse(at, "traverse runs/first --out x.npy --steps 1", &["--steps", "at least 2"]);
    refuse(at, "traverse runs/first --out x.npy --reach nan", &["--reach", "positive"]);
    refuse(at, "traverse runs/first --out x.npy --row 999", &["--row", "0 to 29"]);
    refuse(at, "edit runs/first --out x.npy", &["--toward", "--add", "--from"]);
    refuse(at, "edit runs/first --out x.npy --toward Bags", &["no class \"Bags\"", "did you mean \"Bag\""]);
    refuse(at, "edit runs/first --out x.npy --toward Bag --steps 0", &["--steps", "at least 1"]);
    refuse(at, "edit runs/first --out x.npy --toward Bag --rows 0", &["--rows", "at least 1"]);
    refuse(at, "edit runs/first --out x.npy --toward Bag --strength nan", &["--strength", "other than 0"]);
    refuse(at, "edit runs/first --out x.npy --toward Bag --save ../bag", &["../bag", "letters"]);
    refuse(at, "edit runs/first --out x.npy --add smile", &["no such direction", "--save NAME"]);
    refuse(at, "edit runs/first --out x.npy --from table.csv", &["--to"]);
    refuse(at, "sample runs/first --out x.npy --like 999", &["--like", "0 to 29"]);
    refuse(at, "sample runs/first --out x.npy --like 3 --spread -1", &["--spread", "from 0 on"]);
    refuse(at, "sample runs/first --out x.npy --like 3 --temperature 0.5", &["--like", "--temperature"]);
    refuse(at, "sample runs/first --out x.npy --spread 2", &["--like"]);
    refuse(
        at,
        "score runs/first --data embedded --out s.csv",
        &["fashion-mnist-test", "no test", "held-out"],
    );
    refuse(at, "report runs/first/model.safetensors", &["run folder"]);
}

#[test]
fn codes_and_models_that_do_not_fit() {
    let at = trained();
    let own = folder();
    let place = own.path();
    write_npy_bytes(&place.join("codes.npy"), "<f4", "(4, 3)", &[0; 48]);
    write_npy_bytes(&place.join("nan.npy"), "<f4", "(1, 16)", &floats(&[f32::NAN; 16]));
    let run = at.join("runs/first").display().to_string();
    refuse(
        place,
        &format!("decode {run} --codes codes.npy --out x.npy"),
        &["codes.npy", "3", "16", "latent encode"],
    );
    refuse(place, &format!("decode {run} --codes nan.npy --out x.npy"), &["nan.npy", "row 0"]);
    refuse(place, &format!("decode {run} --codes none.npy --out x.npy"), &["none.npy"]);
    let data = at.join("table.csv").display().to_string();
    refuse(place, &format!("encode {run} --data {data} --out z.npy"), &["table.csv"]);
    let model = fs::read(at.join("runs/first/model.safetensors")).expect("a model");
    fs::write(place.join("cut.safetensors"), &model[..model.len() / 2]).expect("a file");
    refuse(place, "sample cut.safetensors --out x.npy", &["cut.safetensors", "cut short"]);
    fs::write(place.join("foreign.safetensors"), b"\x02\0\0\0\0\0\0\0{}").expect("a file");
    refuse(
        place,
        "sample foreign.safetensors --out x.npy",
        &["foreign.safetensors", "not one that latent wrote"],
    );
    fs::write(place.join("text.safetensors"), "hello").expect("a file");
    refuse(place, "inspect text.safetensors", &["text.safetensors"]);
    fs::create_dir(place.join("empty")).expect("a folder");
    refuse(place, "inspect empty", &["empty", "model.safetensors"]);
}

/// A run of many steps, each soon over.
const LONG: &str = "train --data embedded --out run --no-report --set data.limit=500 --set network.kind=mlp \
                    --set network.hidden=[32] --set train.steps=1000000 --set train.validate_every=50 --json";

#[test]
#[cfg(unix)]
fn an_interrupt_saves_and_the_run_goes_on() {
    let at = folder();
    let mut child = latent(at.path())
        .args(LONG.split_whitespace())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let log = at.path().join("run/metrics.jsonl");
    let begun = Instant::now();
    // The log is written in parts: once there is one, steps are being taken.
    while fs::metadata(&log).map_or(0, |log| log.len()) == 0 {
        assert!(begun.elapsed() < Duration::from_secs(60), "training does not begin");
        assert!(child.try_wait().expect("a child").is_none(), "training ended too early");
        std::thread::sleep(Duration::from_millis(20));
    }
    let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill");
    assert!(killed.success());
    let ended: Ended = child.wait_with_output().expect("an end").into();
    assert_eq!(ended.code, Some(130), "{}{}", ended.out, ended.err);
    let last: serde_json::Value =
        serde_json::from_str(ended.out.lines().last().expect("a last line")).expect("JSON");
    assert_eq!(last["interrupted"], true, "{last}");
    let step = last["step"].as_u64().expect("a step");
    let refused = run(at.path(), "sample run --out x.npy");
    assert_eq!(refused.code, Some(2));
    assert!(refused.err.contains("--resume"), "{}", refused.err);
    let on = format!("train --out run --resume --no-report --set train.steps={} --json", step + 7);
    let ended = succeed(at.path(), &on);
    assert!(ended.out.contains(&format!("\"started\":{step},")), "{}", ended.out);
    let metrics = fs::read_to_string(&log).expect("a log");
    let steps = metrics.lines().filter(|line| line.contains("\"split\":\"train\"")).count() as u64;
    assert_eq!(steps, step + 7, "each step stands in the log once");
    succeed(at.path(), "sample run --out x.npy");
}

#[test]
#[cfg(unix)]
fn an_interrupt_says_how_to_go_on() {
    let at = folder();
    let mut child = latent(at.path())
        .args(LONG.replace(" --json", "").split_whitespace())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary runs");
    while fs::metadata(at.path().join("run/metrics.jsonl")).map_or(0, |log| log.len()) == 0 {
        assert!(child.try_wait().expect("a child").is_none(), "training ended too early");
        std::thread::sleep(Duration::from_millis(20));
    }
    let _ = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    let mut said = String::new();
    child.stdout.take().expect("a pipe").read_to_string(&mut said).expect("text");
    assert_eq!(child.wait().expect("an end").code(), Some(130));
    assert!(said.contains("latent train --out run --resume"), "{said}");
}

/// A small disk, where this user may mount one.
#[cfg(target_os = "linux")]
struct Disk(tempfile::TempDir);

#[cfg(target_os = "linux")]
impl Disk {
    fn of(size: &str) -> Option<Self> {
        let place = folder();
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "none"])
            .arg(place.path())
            .stderr(Stdio::null())
            .status();
        mount.is_ok_and(|status| status.success()).then_some(Self(place))
    }
}

#[cfg(target_os = "linux")]
impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_loses_nothing() {
    let Some(disk) = Disk::of("4m") else {
        println!("skipped: no small disk can be mounted here");
        return;
    };
    let at = disk.0.path();
    let train = |out: &str| format!("train --data embedded --out {out} --no-report {SMALL}");
    succeed(at, &train("run"));
    succeed(at, "sample run --count 20 --out old/");
    let filler = at.join("filler");
    let room = |bytes: &mut Vec<u8>| {
        while fs::write(&filler, &*bytes).is_err() {
            bytes.truncate(bytes.len() - 4096)
        }
    };
    room(&mut vec![0; 6 << 20]);
    refuse(at, "sample run --count 500 --out x.npy", &["x.npy", "No space left", "make room"]);
    refuse(at, "sample run --count 500 --out pictures/", &["pictures", "No space left"]);
    refuse(at, "sample run --count 500 --out old/ --force", &["old", "No space left"]);
    let before = fs::read(at.join("run/checkpoints/last.safetensors")).expect("a checkpoint");
    let ended = run(at, "train --out run --resume --epochs 2 --no-report");
    assert_eq!(ended.code, Some(2), "{}{}", ended.out, ended.err);
    assert!(ended.err.contains("No space left") && ended.err.contains("--resume"), "{}", ended.err);
    assert_eq!(before, fs::read(at.join("run/checkpoints/last.safetensors")).expect("a checkpoint"));
    assert!(files(at).keys().all(|path| path.extension().is_none_or(|end| end != "tmp")));
    fs::remove_file(&filler).expect("room");
    succeed(at, "train --out run --resume --epochs 2 --no-report");
}

#[test]
#[cfg(unix)]
fn files_that_may_not_grow_lose_nothing() {
    let at = folder();
    succeed(at.path(), &format!("train --data embedded --out run --no-report {SMALL}"));
    // With SIGXFSZ ignored a write beyond the limit (in KiB) is an error, as on a full disk.
    let limited = |line: &str| -> Ended {
        let script = format!("trap '' XFSZ; ulimit -f 40; exec {} {line}", env!("CARGO_BIN_EXE_latent"));
        Command::new("bash").arg("-c").arg(script).current_dir(at.path()).output().expect("bash").into()
    };
    let before = files(at.path());
    for line in ["sample run --count 500 --out x.npy", "encode run --data run/model.safetensors --out z.csv"]
    {
        let ended = limited(line);
        assert_eq!(ended.code, Some(2), "{line}: {}{}", ended.out, ended.err);
        assert_eq!(before, files(at.path()), "{line}");
    }
    let last = at.path().join("run/checkpoints/last.safetensors");
    let ended = limited("train --out run --resume --epochs 2 --no-report");
    assert_eq!(ended.code, Some(2), "{}{}", ended.out, ended.err);
    assert_eq!(before[&last], fs::read(&last).expect("a checkpoint"));
    succeed(at.path(), "train --out run --resume --epochs 2 --no-report");
}

#[test]
#[cfg(unix)]
fn a_reader_that_goes_away_is_no_error() {
    let script = |line: &str| {
        let binary = env!("CARGO_BIN_EXE_latent");
        let text = format!("set -o pipefail; {}", line.replace("latent", binary));
        let ended: Ended = Command::new("bash")
            .arg("-c")
            .arg(text)
            .current_dir(Path::new("/"))
            .output()
            .expect("bash")
            .into();
        assert_eq!(ended.code, Some(0), "{line}: {}{}", ended.out, ended.err);
        assert!(!ended.err.contains("panicked") && !ended.err.contains("bug"), "{}", ended.err);
    };
    script("latent presets | head -1");
    script("latent --help | head -1");
    script("latent presets >&-");
    script("latent data inspect embedded 2>&1 | true");
    script("latent data inspect embedded 2>&- >&-");
}
