//! What `latent settings` says is true and whole; hints lead to the key that was meant; a run.toml gives its run again.

use std::fs;
use std::path::Path;

use latent::config::ConfigError;
use latent::data::{Data, Facts, Memory};
use latent::generate::sampler::SamplerSettings;
use latent::model::likelihood::LikelihoodSettings;
use latent::model::posterior::PosteriorSettings;
use latent::model::prior::PriorSettings;
use latent::network::NetworkSettings;
use latent::objective::{EstimatorSettings, TermSettings};
use latent::run::{Run, find, presets, resolve, sections};
use latent::{Key, Layers, Registry};
use toml::{Table, Value};

/// Facts of images, which have classes, and of a table.
fn facts(layers: &Layers, is_image: bool) -> Facts {
    let settings = layers.data().unwrap();
    let key = Key::from_seed(layers.seed().unwrap());
    let values: Vec<f64> = (0..300).map(|i| (f64::from(i) * 0.7).sin() * f64::from(1 + i % 3)).collect();
    let data = match is_image {
        true => Data::open(&settings, key, &mut |_| {}),
        false => Data::from_memory(Memory::table(["a", "b", "c"], values), &settings, key, &mut |_| {}),
    };
    data.unwrap().facts().clone()
}

fn run_of(layers: &Layers, is_image: bool) -> Run {
    resolve(layers, &facts(layers, is_image), &Registry::default()).map(|(checked, _)| checked.run).unwrap()
}

/// Runs of every preset, on images and, but where it wants classes, on a table; and some of one's own.
fn runs() -> Vec<(String, Layers, bool)> {
    let own: [(&str, &[&str]); 6] = [
        (
            "",
            &[
                "posterior={kind='blocks', blocks={a={kind='bits', latent=3}, b={kind='diagonal-normal'}}}",
                "prior={kind='blocks', blocks={a={kind='bits'}, b={kind='standard-normal'}}}",
            ],
        ),
        (
            "",
            &[
                "posterior={kind='iaf', hidden=[9], base={kind='diagonal-normal', latent=3}}",
                "train.schedule={kind='cosine', warmup=3}",
            ],
        ),
        (
            "vae",
            &[
                "encoder={kind='mlp', hidden=[7]}",
                "decoder.kind='linear'",
                "objective.terms.rate.schedule={kind='cyclic', cycles=2, ratio=0.5}",
            ],
        ),
        (
            "vq-vae",
            &[
                "posterior.kind=diagonal-normal",
                "posterior.latent=3",
                "prior.kind=standard-normal",
                "objective.terms.commitment.weight=0",
                "network.kind=mlp",
                "objective.estimator.kind=elbo",
            ],
        ),
        ("vae", &["posterior={kind='iaf', base={kind='diagonal-normal', latent=3}}"]),
        ("aae", &["data.classes=['Trouser', 'Bag']", "data.image.size=14", "train.keep=last"]),
    ];
    let mut all = Vec::new();
    let mut add = |preset: &str, settings: &[&str], is_image: bool| {
        let mut layers = Layers::default();
        if !preset.is_empty() {
            layers.preset(preset).unwrap();
        }
        for setting in ["data.source=embedded", "data.limit=200"]
            .iter()
            .take(if is_image { 2 } else { 1 })
            .chain(settings)
        {
            layers.set(setting).unwrap();
        }
        all.push((format!("{preset} {settings:?}"), layers, is_image));
    };
    for preset in presets() {
        add(preset.name, &[], true);
        if !["conditional-vae", "semi-bit-ae", "m2", "ms-ssim-vae"].contains(&preset.name) {
            add(preset.name, &["train.batch=7"], false);
            add(preset.name, &["encoder={kind='mlp', hidden=[5]}"], false);
        }
    }
    own.iter().for_each(|(preset, settings)| add(preset, settings, true));
    all
}

fn leaves(table: &Table, path: &str, all: &mut Vec<String>) {
    for (key, value) in table {
        let key = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        match value {
            Value::Table(inner) => leaves(inner, &key, all),
            _ => all.push(key),
        }
    }
}

#[test]
fn every_key_of_every_run_is_listed_with_a_meaning() {
    let sections = sections(&Registry::default());
    for (what, layers, is_image) in runs() {
        let mut table: Table = run_of(&layers, is_image).to_toml().unwrap().parse().unwrap();
        for derived in ["format", "program", "facts"] {
            table.remove(derived);
        }
        let mut keys = Vec::new();
        leaves(&table, "", &mut keys);
        for key in keys {
            let found = find(&sections, &key);
            assert!(!found.is_empty(), "{what}: {key} is not listed");
            assert!(
                found.iter().all(|found| found.setting.meaning.len() > 5),
                "{what}: {key} has no meaning: {found:?}"
            );
        }
    }
    for section in &sections {
        assert!(!section.about.is_empty());
        assert!(section.all().all(|(_, setting)| setting.meaning.len() > 5), "{section:?}");
    }
}

/// Every default of a member, set, is what the member does without it.
fn are_true<S: ?Sized + 'static>(section: &str) {
    let registry = Registry::default();
    let sections = sections(&registry);
    let section = sections.iter().find(|s| s.name == section).unwrap();
    for member in &section.members {
        let kind = Table::from_iter([("kind".to_string(), Value::from(member.kind))]);
        let Ok((_, plain)) = registry.resolve::<S>(&kind, "") else { continue };
        let shown = member.settings.iter().filter(|setting| setting.kinds.is_empty());
        for setting in shown {
            let Some(default) = setting.default.clone() else { continue };
            let key = setting
                .key
                .strip_prefix(section.name)
                .and_then(|k| k.strip_prefix('.'))
                .unwrap_or(&setting.key);
            let mut layers = kind.clone();
            let mut value = default;
            let mut parts: Vec<&str> = key.split('.').collect();
            let first = parts.remove(0);
            parts
                .iter()
                .rev()
                .for_each(|part| value = Table::from_iter([(part.to_string(), value.clone())]).into());
            layers.insert(first.into(), value);
            let (_, set) =
                registry.resolve::<S>(&layers, "").unwrap_or_else(|e| panic!("{}: {e}", setting.key));
            assert_eq!(set, plain, "{} of {}", setting.key, member.kind);
        }
    }
}

#[test]
fn the_defaults_are_what_the_members_do() {
    are_true::<LikelihoodSettings>("likelihood");
    are_true::<PosteriorSettings>("posterior");
    are_true::<PriorSettings>("prior");
    are_true::<NetworkSettings>("network");
    are_true::<TermSettings>("objective.terms.NAME");
    are_true::<EstimatorSettings>("objective.estimator");
    are_true::<dyn SamplerSettings>("sampler");
    // Of the sections without members.
    let run = run_of(&runs()[0].1, true);
    let table = Table::try_from(latent::train::TrainSettings::default()).unwrap();
    let sections = sections(&Registry::default());
    let epsilon = &find(&sections, "train.optimizer.epsilon")[0];
    assert_eq!(epsilon.setting.default.as_ref(), table["optimizer"].get("epsilon"));
    assert_eq!(find(&sections, "seed")[0].setting.default, Some(Value::Integer(run.seed as i64)));
    assert_eq!(find(&sections, "data.threshold")[0].setting.default, Some(Value::Float(0.5)));
    let kind = &find(&sections, "posterior.base.kind")[0];
    assert_eq!(
        (kind.kind, kind.setting.default.as_ref().and_then(Value::as_str)),
        (Some("flow"), Some("diagonal-normal"))
    );
}

/// What is said of this setting, on images, over a plain VAE.
fn refusal(setting: &str) -> String {
    let mut layers = Layers::from_preset("vae").unwrap();
    layers.set("data.source=embedded").unwrap();
    layers.set("data.limit=200").unwrap();
    let error = match layers.set(setting) {
        Err(error) => error,
        Ok(()) => match layers.data() {
            Err(error) => error,
            Ok(_) => resolve(&layers, &facts(&layers, true), &Registry::default()).err().unwrap(),
        },
    };
    error.to_string()
}

#[test]
fn hints_lead_to_the_key_that_was_meant() {
    for (setting, said) in [
        ("train.lr=1e-3", "did you mean `train.optimizer.learning_rate`?"),
        ("lr=1e-3", "did you mean `train.optimizer.learning_rate`?"),
        ("optimizer.learning_rate=1e-3", "did you mean `train.optimizer.learning_rate`?"),
        ("optimizer.lr=1e-3", "did you mean `train.optimizer.learning_rate`?"),
        ("train.learning_rate=1e-3", "did you mean `train.optimizer.learning_rate`?"),
        ("latent=8", "did you mean `posterior.latent`?"),
        ("latent_dim=8", "did you mean `posterior.latent`?"),
        ("model.z_dim=8", "did you mean `posterior.latent`?"),
        ("beta=4", "did you mean `objective.terms.rate.weight`?"),
        ("objective.beta=4", "did you mean `objective.terms.rate.weight`?"),
        ("train.optimizer.beta=0.9", "did you mean `train.optimizer.beta"),
        ("epochs=3", "did you mean `train.epochs`?"),
        ("train.epoch=3", "did you mean `train.epochs`?"),
        ("steps=3", "did you mean `train.steps`?"),
        ("batch_size=3", "did you mean `train.batch`?"),
        ("train.batch-size=3", "did you mean `train.batch`?"),
        ("hidden=[3]", "did you mean `network.hidden`?"),
        ("posterior.latnt=3", "did you mean `posterior.latent`?"),
        ("data.binarise=static", "did you mean `data.binarize`?"),
        ("patiense=3", "did you mean `train.patience`?"),
        ("trian.epochs=3", "unknown key `trian` (did you mean `train`?)"),
        (
            "posterior.codes=3",
            "unknown key `posterior.codes`: only posterior.kind = \"quantized\" or posterior.kind = \"simvq\" or posterior.kind = \"residual\" has it",
        ),
        (
            "objective.terms.rate.scales=[1.0]",
            "only objective.terms.rate.kind = \"mmd\" or objective.terms.rate.kind = \"edges\"",
        ),
        ("train.schedule.warmup=3", "set train.schedule.kind to one of constant, linear, cosine"),
        (
            "train.schedule={kind='linear', gamma=3}",
            "only train.schedule.kind = \"exponential\" or train.schedule.kind = \"step\"",
        ),
        ("prior.kind=blocks", "`prior.blocks`: missing; it has no default"),
        ("network=mlp", "`network`: \"mlp\" is not a table; write network.kind = \"mlp\""),
        ("data=mnist", "write data.source = \"mnist\""),
        ("preset=iwae", "write --preset iwae"),
        ("paper=mine", "sets nothing"),
    ] {
        let found = refusal(setting);
        assert!(found.contains(said), "{setting}: {found}");
    }
}

#[test]
fn a_run_toml_gives_its_run_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.toml");
    for (what, layers, is_image) in runs() {
        let run = run_of(&layers, is_image);
        fs::write(&path, run.to_toml().unwrap()).unwrap();
        let mut again = Layers::default();
        again.file(&path).unwrap();
        assert_eq!(run_of(&again, is_image), run, "{what}");
        // The preset that it came from, named beside it, adds nothing.
        if let Some(preset) = &run.preset {
            let mut again = Layers::from_preset(preset).unwrap();
            again.file(&path).unwrap();
            assert_eq!(run_of(&again, is_image), run, "{what} after --preset {preset}");
        }
    }
}

fn file(path: &Path, text: &str) -> Result<Layers, ConfigError> {
    fs::write(path, text).unwrap();
    let mut layers = Layers::default();
    layers.file(path).map(|()| layers)
}

#[test]
fn a_preset_is_what_a_run_starts_from_or_it_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mine.toml");
    // A file may name its preset: it is laid under the file's own keys.
    let mine = file(&path, "preset = 'iwae'\ndata = { source = 'embedded', limit = 200 }\ntrain.batch = 11")
        .unwrap();
    let mut asked = Layers::from_preset("iwae").unwrap();
    for setting in ["data.source=embedded", "data.limit=200", "train.batch=11"] {
        asked.set(setting).unwrap();
    }
    assert_eq!(run_of(&mine, true), run_of(&asked, true));
    for (text, said) in
        [("preset = 3", "not the name of a preset"), ("preset = 'iwea'", "did you mean `iwae`?")]
    {
        let error = file(&path, text).err().unwrap().to_string();
        assert!(error.contains(said), "{error}");
    }
    // Two presets, or one over a whole run, would be a claim without effect.
    fs::write(&path, "preset = 'vae'").unwrap();
    let error = Layers::from_preset("iwae").unwrap().file(&path).unwrap_err().to_string();
    assert!(error.contains("`iwae` and `vae`"), "{error}");
    fs::write(&path, run_of(&asked, true).to_toml().unwrap()).unwrap();
    let error = Layers::from_preset("vae").unwrap().file(&path).unwrap_err().to_string();
    assert!(error.contains("the preset `vae` would change nothing"), "{error}");
}

#[test]
fn what_is_said_of_the_network_later_counts() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.toml");
    let mut layers = Layers::from_preset("vae").unwrap();
    layers.set("data.source=embedded").unwrap();
    layers.set("data.limit=200").unwrap();
    fs::write(&path, run_of(&layers, true).to_toml().unwrap()).unwrap();
    let mut again = Layers::default();
    again.file(&path).unwrap();
    again.set("network={kind='mlp', hidden=[9]}").unwrap();
    let run = run_of(&again, true);
    for part in [&run.encoder, &run.decoder] {
        assert_eq!((part["kind"].as_str(), part["hidden"].to_string()), (Some("mlp"), "[9]".into()));
    }
}

#[test]
fn a_preset_says_what_it_minimises_and_is_in_a_group() {
    let of = |name: &str| latent::run::preset(name).unwrap().formula().unwrap();
    let elbo = "−ln p(x|z) + KL(q(z|x) ‖ p(z))";
    assert_eq!(of("vae"), elbo);
    assert_eq!(of("beta-vae"), "−ln p(x|z) + 4 · KL(q(z|x) ‖ p(z))");
    assert_eq!(of("beta-tc-vae"), format!("{elbo} + 5 · KL(q(z) ‖ Π_j q(z_j))"));
    assert_eq!(
        of("dip-vae-i"),
        format!("{elbo} + 10 · [Σ_{{i≠j}} C_ij² + 10 Σ_i (C_ii − 1)²], C = Cov μ(x)")
    );
    let inside = "ℓ = −ln p(x|z) + ln q(z|x) − ln p(z)";
    assert_eq!(of("ciwae"), format!("0.5 · (−ln 1/64 Σ_d exp(−ℓ_d)) + 0.5 · ℓ,  {inside}"));
    assert_eq!(of("miwae"), format!("mean over 8 groups of −ln 1/8 Σ_d exp(−ℓ_d),  {inside}"));
    assert_eq!(of("wae-gan"), "−ln p(x|z) + 200 · (−ln D(z))");
    assert_eq!(of("vamp-vae"), format!("{elbo} (rising over 10 epochs)"));
    let groups = latent::run::GROUPS.map(|(key, _)| key);
    for preset in latent::run::presets() {
        assert!(groups.contains(&preset.group().as_str()), "{} is in no group", preset.name);
        // Every term that ships has a formula, and none stands there by its name.
        let formula = preset.formula().unwrap();
        let table = preset.table().unwrap();
        let terms = table["objective"]["terms"].as_table().unwrap();
        assert!(terms.keys().all(|name| !formula.contains(name.as_str())), "{}: {formula}", preset.name);
    }
}
