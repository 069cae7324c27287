//! What can be set is listed, what cannot be set is refused with the way to it; completions and the manual are of this command line.

use std::fs;

use crate::common::{refuse, succeed};

#[test]
fn what_can_be_set_is_listed() {
    let own = tempfile::tempdir().expect("a folder");
    let all = succeed(own.path(), "settings").out;
    for line in [
        "  train.optimizer.learning_rate = 0.001  (number)",
        "  objective.terms.NAME.weight = 1.0  (number)",
        "    train.schedule.warmup = 0  (whole number, of linear, cosine)",
        "  kind = \"iaf\": an inverse autoregressive flow over a base posterior",
        "  encoder.KEY for each network.KEY",
    ] {
        assert!(all.lines().any(|found| found.trim() == line.trim()), "{line}\n{all}");
    }
    for (what, said) in [
        ("posterior", "posterior.codes = 512"),
        ("iaf", "posterior.base.kind = diagonal-normal"),
        ("train.optimizer", "train.optimizer.beta1 = 0.9"),
        ("objective.terms.rate.free_bits", "λ in nats per dimension"),
        ("sampler", "components = 0"),
        ("encoder.hidden", "network.hidden = [400]"),
    ] {
        let ended = succeed(own.path(), &format!("settings {what}"));
        assert!(ended.out.contains(said), "{what}: {}", ended.out);
        assert!(ended.out.len() < all.len() / 2, "{what}: {}", ended.out);
    }
    refuse(own.path(), "settings lr", &["\"lr\"", "train.optimizer.learning_rate"]);
    refuse(own.path(), "settings postrior", &["did you mean posterior?"]);
    let json = succeed(own.path(), "settings --json").out;
    let sections: Vec<serde_json::Value> =
        json.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let train = sections.iter().find(|section| section["name"] == "train").expect("a section");
    let batch = train["settings"]
        .as_array()
        .expect("keys")
        .iter()
        .find(|s| s["key"] == "train.batch")
        .expect("a key");
    assert_eq!((&batch["default"], &batch["takes"]), (&128.into(), &"whole number".into()));
    assert_eq!(batch["meaning"], "Rows in a step.");
}

#[test]
fn what_sets_nothing_is_refused() {
    let own = tempfile::tempdir().expect("a folder");
    let at = own.path();
    let train = "train --data embedded --out run";
    refuse(at, &format!("{train} --set preset=iwae"), &["write --preset iwae"]);
    refuse(at, &format!("{train} --set network=mlp"), &["network.kind = \"mlp\""]);
    refuse(at, &format!("{train} --set train.lr=0.1"), &["train.optimizer.learning_rate"]);
    fs::write(at.join("mine.toml"), "preset = 'vae'\n").expect("a file");
    refuse(at, &format!("{train} --preset iwae --config mine.toml"), &["`iwae` and `vae`"]);
    let ended =
        succeed(at, &format!("{train} --config mine.toml --no-report --epochs 0.01 --set data.limit=100"));
    assert!(ended.err.contains("steps"), "{}", ended.err);
    let run = fs::read_to_string(at.join("run/run.toml")).expect("a run");
    assert!(run.contains("preset = \"vae\"") && run.contains("Kingma"), "{run}");
    let preset = "train --preset iwae --config run/run.toml --out again";
    refuse(at, preset, &["the preset `iwae` would change nothing"]);
}

#[test]
fn shells_and_man_know_the_command_line() {
    let own = tempfile::tempdir().expect("a folder");
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = succeed(own.path(), &format!("completions {shell}")).out;
        assert!(script.contains("fit-sampler") && script.contains("init-from"), "{shell}: {script}");
    }
    let said = succeed(own.path(), "man --out pages").out;
    assert!(said.contains("pages in pages"), "{said}");
    for page in ["latent.1", "latent-train.1", "latent-data-inspect.1", "latent-man.1"] {
        let text = fs::read_to_string(own.path().join("pages").join(page)).expect(page);
        assert!(text.contains(".TH") && text.contains("SYNOPSIS"), "{page}: {text}");
    }
    refuse(own.path(), "man --out pages", &["exists already", "--force"]);
    succeed(own.path(), "man --out pages --force");
}
