//! Nothing of the user's is lost, and nothing is done behind their back: through the real binary.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::common::{
    Ended, SMALL, copy, files, latent, refuse, run, succeed, trained, write_pictures, write_table,
};

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    fs::write(path, text).expect("a file");
}

#[test]
fn a_folder_of_other_files_is_no_run_folder() {
    let at = folder();
    for (index, file) in [
        "checkpoints/last.safetensors",
        "checkpoints/weights.pt",
        "thesis.tmp",
        "metrics.jsonl",
        "report.html",
        "figures/codes.png",
        "run.toml",
        "model.safetensors",
        ".lock",
    ]
    .into_iter()
    .enumerate()
    {
        write(&at.path().join(format!("theirs-{index}")).join(file), "precious");
        let first = file.split('/').next().expect("a name");
        for more in ["", " --resume"] {
            let line = format!("train --data embedded --out theirs-{index} --no-report {SMALL}{more}");
            refuse(at.path(), &line, &["no run folder of latent", first, "new or an empty folder"]);
        }
        let lock = at.path().join(format!("theirs-{index}/.lock"));
        assert!(file == ".lock" || !lock.exists());
        assert!(file != ".lock" || fs::read_to_string(lock).expect("a file") == "precious");
    }
    refuse(at.path(), "demo --out theirs-2", &["thesis.tmp"]);
    write(&at.path().join("pictures/vae.png"), "precious");
    refuse(at.path(), "textbook vae --out pictures", &["vae.png", "new folder"]);
}

#[test]
fn a_model_among_other_files_is_not_reported_on() {
    let at = folder();
    let mine = at.path().join("mine");
    write(&mine.join("report.html"), "precious");
    write(&mine.join("figures/codes.png"), "precious");
    fs::copy(trained().join("runs/first/model.safetensors"), mine.join("model.safetensors")).expect("a copy");
    for command in ["report", "evaluate", "fit-sampler"] {
        refuse(at.path(), &format!("{command} mine"), &["mine: holds a model but no run.toml"]);
    }
    succeed(at.path(), "sample mine --count 2 --out two.npy");
}

#[test]
fn a_run_of_the_first_version_and_a_copy_without_hidden_files_go_on() {
    let at = folder();
    copy(&trained().join("runs/first"), &at.path().join("run"));
    for lock in [Some(""), None] {
        let path = at.path().join("run/.lock");
        fs::remove_file(&path).expect("a lock");
        if let Some(text) = lock {
            fs::write(&path, text).expect("a lock");
        }
        let half = at.path().join("run/figures/codes.png.4294967294.tmp");
        write(&half, "half");
        write(&at.path().join("run/figures/mine.tmp"), "precious");
        let ended = succeed(at.path(), "train --out run --resume --no-report");
        assert!(ended.out.contains("trained already"), "{}", ended.out);
        assert!(!half.exists() && at.path().join("run/figures/mine.tmp").exists());
    }
}

#[test]
fn only_samples_are_replaced() {
    let at = folder();
    let run = trained().join("runs/first").display().to_string();
    succeed(at.path(), &format!("sample {run} --count 7 --out seven/"));
    refuse(at.path(), &format!("sample {run} --count 3 --out seven/"), &["seven", "--force"]);
    succeed(at.path(), &format!("sample {run} --count 3 --out seven/ --force"));
    let names: Vec<String> = files(&at.path().join("seven"))
        .into_keys()
        .map(|path| path.file_name().expect("a name").to_string_lossy().into_owned())
        .collect();
    assert_eq!(names, ["00000.png", "00001.png", "00002.png"], "all of the old ones go");
    for (folder, file) in [("notes", "notes.txt"), ("numbers", "00007.png"), ("deep", "00000.png/x")] {
        write(&at.path().join(folder).join(file), "precious");
        for command in ["sample", "reconstruct", "interpolate", "traverse"] {
            let first = file.split('/').next().expect("a name");
            refuse(
                at.path(),
                &format!("{command} {run} --out {folder}/ --force"),
                &[folder, first, "another"],
            );
        }
    }
    refuse(at.path(), &format!("sample {run} --out ./ --force"), &["--out", "samples/"]);
}

#[test]
#[cfg(unix)]
fn a_link_that_leads_nowhere_is_there() {
    let at = folder();
    for (link, out) in [("x.npy", "x.npy"), ("folder", "folder/"), ("folder", "folder")] {
        let link = at.path().join(link);
        let _ = std::os::unix::fs::symlink(at.path().join("nowhere"), &link);
        let run = trained().join("runs/first").display().to_string();
        let ended = self::run(at.path(), &format!("sample {run} --count 2 --out {out}"));
        assert_eq!(ended.code, Some(2), "{}", ended.err);
        assert!(fs::symlink_metadata(&link).expect("a link").is_symlink());
    }
    let link = at.path().join("table.html");
    std::os::unix::fs::symlink(at.path().join("nowhere"), &link).expect("a link");
    refuse(trained(), &format!("compare runs/first runs/table --html {}", link.display()), &["--force"]);
}

/// A name that is no UTF-8.
#[cfg(unix)]
fn odd(ending: &str) -> OsString {
    use std::os::unix::ffi::OsStrExt;
    OsStr::from_bytes(&[b"odd-\xff".as_slice(), ending.as_bytes()].concat()).into()
}

#[test]
#[cfg(target_os = "linux")]
fn paths_need_not_be_text() {
    let root = folder();
    let place = root.path().join(odd(""));
    fs::create_dir(&place).expect("a folder");
    let words = |line: &str| -> Vec<OsString> {
        let word = |word: &str| match word.strip_prefix("ODD") {
            Some(ending) => place.join(odd(ending)).into_os_string(),
            None => word.into(),
        };
        line.split_whitespace().map(word).collect()
    };
    let go = |line: &str| -> Ended {
        let ended: Ended = latent(root.path()).args(words(line)).output().expect("the binary runs").into();
        println!("$ latent {line}\n{}{}", ended.out, ended.err);
        ended
    };
    let train = format!("train --data embedded --out ODD --no-report --json {SMALL}");
    for line in [
        train.as_str(),
        "train --out ODD --resume --no-report --json --epochs 2",
        "sample ODD --count 2 --out ODD.npy --json",
        "sample ODD --count 2 --out ODD.png",
        "sample ODD --count 2 --out ODDs/ --json",
        "reconstruct ODD --count 2 --out ODD-r.npy --json",
        "interpolate ODD --count 1 --steps 2 --out ODD-i.npy --json",
        "traverse ODD --dims 1 --steps 2 --out ODD-t.npy --json",
        "encode ODD --out ODD-z.npy --json",
        "encode ODD --out ODD-z.csv",
        "decode ODD --codes ODD-z.npy --out ODD-d.csv --json",
        "decode ODD --codes ODD-z.csv --out ODD-d.npy --json",
        "score ODD --k 2 --out ODD-s.csv --sheet ODD-s.png --json",
        "fit-sampler ODD --sampler normal --json",
        "evaluate ODD --sections reconstruction --minutes 0.02 --json",
        "report ODD --json",
        "inspect ODD",
        "compare ODD ODD --csv ODD-c.csv --html ODD-c.html --json",
    ] {
        let ended = go(line);
        assert_eq!(ended.code, Some(0), "{line}: {}", ended.err);
    }
    // What is kept as text must be text, and is refused before anything is made.
    for line in
        ["train --data ODD.npy --out new", "encode ODD --data ODD.npy --out new.npy", "data inspect ODD.npy"]
    {
        let ended = go(line);
        assert_eq!(ended.code, Some(2), "{line}");
        assert!(ended.err.contains("odd-") && ended.err.contains("rename"), "{}", ended.err);
        assert!(!root.path().join("new").exists());
    }
    let ended = go("sample ODD --out ODD.\u{fffd}");
    assert_eq!(ended.code, Some(2));
}

/// A run of many steps, each soon over.
const LONG: &str = "train --data embedded --out run --no-report --set data.limit=500 --set network.kind=mlp \
                    --set network.hidden=[32] --set train.steps=1000000 --set train.validate_every=50 --json";

/// Waits until the run takes steps.
fn under_way(child: &mut Child, run: &Path) {
    let begun = Instant::now();
    while fs::metadata(run.join("metrics.jsonl")).map_or(0, |log| log.len()) == 0 {
        assert!(begun.elapsed() < Duration::from_secs(60), "training does not begin");
        assert!(child.try_wait().expect("a child").is_none(), "training ended too early");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([name, &child.id().to_string()]).status().expect("kill");
    assert!(sent.success());
}

#[test]
#[cfg(target_os = "linux")]
fn signals_save() {
    for (name, code) in [("-TERM", 143), ("-HUP", 129)] {
        if name == "-HUP" && ignores_hang_ups() {
            println!("skipped: these tests run under nohup, and so would what they start");
            continue;
        }
        let at = folder();
        let mut child = latent(at.path())
            .args(LONG.split_whitespace())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        under_way(&mut child, &at.path().join("run"));
        signal(&child, name);
        let ended: Ended = child.wait_with_output().expect("an end").into();
        assert_eq!(ended.code, Some(code), "{name}: {}{}", ended.out, ended.err);
        assert!(ended.out.contains("\"interrupted\":true"), "{name}: {}", ended.out);
        assert!(ended.err.contains("again ends at once"), "{name}: {}", ended.err);
    }
}

/// Whether this process was told to ignore SIGHUP, as its children then are.
fn ignores_hang_ups() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    ignored.is_some_and(|mask| u64::from_str_radix(mask.trim(), 16).is_ok_and(|mask| mask & 1 == 1))
}

#[test]
#[cfg(target_os = "linux")]
fn what_runs_under_nohup_goes_on() {
    let at = folder();
    let script = format!("trap '' HUP; exec {} {LONG}", env!("CARGO_BIN_EXE_latent"));
    let mut child = Command::new("bash")
        .args(["-c", &script])
        .current_dir(at.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("bash");
    under_way(&mut child, &at.path().join("run"));
    signal(&child, "-HUP");
    let log = at.path().join("run/metrics.jsonl");
    let (long, begun) = (fs::metadata(&log).expect("a log").len(), Instant::now());
    while fs::metadata(&log).expect("a log").len() <= long + 100_000 {
        assert!(child.try_wait().expect("a child").is_none(), "the hang-up ended it");
        assert!(begun.elapsed() < Duration::from_secs(60), "no more steps");
        std::thread::sleep(Duration::from_millis(20));
    }
    signal(&child, "-TERM");
    assert_eq!(child.wait().expect("an end").code(), Some(143));
}

#[test]
#[cfg(unix)]
fn names_reach_no_terminal_as_they_are() {
    let at = folder();
    let bad = "red\u{1b}[31m\nerror: fake.png";
    for class in ["a\u{1b}[2J\nhash     fake", "b"] {
        write_pictures(&at.path().join("pictures").join(class), 150, 1);
    }
    fs::write(at.path().join("pictures/b").join(bad), "no picture").expect("a file");
    let ended = succeed(at.path(), "data inspect pictures");
    let all = format!("{}{}", ended.out, ended.err);
    assert!(!all.contains('\u{1b}'), "{all}");
    assert!(
        ended.out.contains(r"a\u{1b}[2J\nhash     fake") && all.contains(r"red\u{1b}[31m\nerror"),
        "{all}"
    );
    assert!(
        !all.lines().any(|line| line.starts_with("error") || line.trim_end() == "hash     fake"),
        "{all}"
    );
    let ended = latent(at.path()).args(["inspect", "no\u{1b}[31m\nrun"]).output().expect("the binary runs");
    let ended = Ended::from(ended);
    assert_eq!(ended.err.lines().count(), 1, "{}", ended.err);
    assert!(ended.err.starts_with(r"error: no\u{1b}[31m\nrun: no such run folder"), "{}", ended.err);
}

#[test]
fn kernels_that_there_are_not_and_that_change() {
    let at = folder();
    let with = |kernels: &str, line: &str| -> Ended {
        let mut command = latent(at.path());
        command.args(line.split_whitespace()).env("LATENT_KERNELS", kernels);
        command.output().expect("the binary runs").into()
    };
    let ended = with("fast", "presets");
    assert_eq!(ended.code, Some(2), "{}", ended.out);
    for said in ["LATENT_KERNELS", "fast", "plain, base, avx2 or none"] {
        assert!(ended.err.contains(said), "{}", ended.err);
    }
    let ended = with("base", &format!("train --data embedded --out run --no-report {SMALL}"));
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    let ended = with("base", "train --out run --resume --epochs 2 --no-report");
    assert!(ended.code == Some(0) && !ended.err.contains("kernels:"), "{}", ended.err);
    let ended = with("", "train --out run --resume --epochs 3 --no-report");
    assert!(ended.code == Some(0) && ended.err.contains("kernels:"), "{}", ended.err);
    assert!(ended.err.contains(", base before") && ended.err.contains("last digits"), "{}", ended.err);
}

#[test]
fn the_greatest_seed_is_a_seed() {
    let at = folder();
    let seed = u64::MAX.to_string();
    succeed(at.path(), &format!("train --data embedded --out run --no-report {SMALL} --seed {seed}"));
    let text = fs::read_to_string(at.path().join("run/run.toml")).expect("a run");
    assert!(text.contains(&format!("seed = \"{seed}\"")), "{text}");
    succeed(at.path(), &format!("train --out run --resume --epochs 2 --no-report --seed {seed}"));
    refuse(at.path(), "train --out run --resume --epochs 3 --seed 5", &["seed"]);
    succeed(at.path(), "train --config run/run.toml --out again --no-report");
    assert!(succeed(at.path(), "inspect again").out.contains(&seed));
    refuse(at.path(), "train --data embedded --out x --set seed=18446744073709551616", &["seed", &seed]);
    refuse(at.path(), "train --data embedded --out x --set seed=-1", &["seed"]);
}

#[test]
#[cfg(unix)]
fn what_may_not_be_read_is_not_a_place_to_write() {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    let at = folder();
    write_table(&at.path().join("table.csv"), 50);
    let mode =
        |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a mode");
    mode(at.path(), 0o755);
    mode(&at.path().join("table.csv"), 0o000);
    let inspect = |nobody: bool| {
        let mut command = latent(at.path());
        command.args(["data", "inspect", "table.csv", "--set", "data.label=kind"]);
        if nobody {
            command.uid(65534);
        }
        command.output().map(Ended::from)
    };
    // The superuser may read everything, and may be somebody else.
    let mut ended = inspect(false).expect("the binary runs");
    if ended.code == Some(0) {
        match inspect(true) {
            Ok(other) => ended = other,
            Err(error) => {
                println!("skipped: nobody cannot run the binary here: {error}");
                return;
            }
        }
    }
    assert_eq!(ended.code, Some(2), "{}", ended.err);
    assert!(ended.err.contains("table.csv") && ended.err.contains("you may not read it"), "{}", ended.err);
}

#[test]
fn no_setting_is_advised_where_none_can_be_given() {
    let at = folder();
    let run = trained().join("runs/first").display().to_string();
    write_pictures(&at.path().join("mixed/a"), 3, 1);
    write_pictures(&at.path().join("mixed/b"), 3, 3);
    write(&at.path().join("words.csv"), "length,rings,share,kind\n1,2,3,x\n2,3,4,y\n");
    for command in ["encode", "reconstruct"] {
        let ended = self::run(at.path(), &format!("{command} {run} --data mixed --out x.npy"));
        assert_eq!(ended.code, Some(0), "{}", ended.err);
        assert!(ended.err.contains("several shapes, brought to 1×28×28"), "{}", ended.err);
        fs::remove_file(at.path().join("x.npy")).expect("codes or rows");
    }
    let ended = run_of_a_table(at.path());
    assert!(!ended.err.contains("set data."), "{}", ended.err);
}

/// A table with a word where the model wants a number.
fn run_of_a_table(at: &Path) -> Ended {
    let run = trained().join("runs/table").display().to_string();
    write(&at.join("words.csv"), "length,rings,share,kind\n1,2,three,x\n2,3,four,y\n");
    let ended = self::run(at, &format!("encode {run} --data words.csv --out x.npy"));
    println!("{}", ended.err);
    assert_eq!(ended.code, Some(2));
    ended
}
