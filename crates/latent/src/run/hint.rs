//! What an unknown key was meant to be: looked for in the whole schema, since people remember a name, not its table.

use super::schema::{Found, Section, find, sections};
use crate::config::{ConfigError, MISSING, likeness, nearest};
use crate::member::Registry;

/// What papers and other programs call our keys.
const SYNONYMS: [(&str, &str); 17] = [
    ("lr step_size eta alpha", "train.optimizer.learning_rate"),
    ("wd l2 decay weight_decay_rate", "train.optimizer.weight_decay"),
    ("optim", "train.optimizer.kind"),
    ("scheduler lr_schedule lr_scheduler", "train.schedule.kind"),
    ("batch_size batchsize bs minibatch", "train.batch"),
    ("n_epochs num_epochs max_epochs", "train.epochs"),
    ("n_steps num_steps max_steps iterations iters", "train.steps"),
    ("grad_clip gradient_clip clip_norm max_grad_norm", "train.clip"),
    ("early_stopping", "train.patience"),
    ("beta kl_weight kld_weight kl kld", "objective.terms.rate.weight"),
    ("kl_warmup kl_annealing annealing anneal", "objective.terms.rate.schedule.kind"),
    ("k num_samples n_samples iw_samples particles", "objective.estimator.draws"),
    (
        "z_dim dim_z nz n_z latent_dim latent_dims latent_size n_latent code_size bottleneck",
        "posterior.latent",
    ),
    ("hidden hidden_dims hidden_sizes hidden_units layers units", "network.hidden"),
    ("arch architecture model backbone", "network.kind"),
    ("loss recon_loss reconstruction_loss decoder_distribution", "likelihood.kind"),
    ("dataset path data_dir", "data.source"),
];

/// From here on two names are taken for one with a slip of the pen.
const CLOSE: f64 = 0.9;

/// The same error with the best hint that the schema has.
pub(super) fn explain(error: ConfigError, registry: &Registry) -> ConfigError {
    let (key, nearest) = match error {
        ConfigError::UnknownKey { key, nearest } => (key, nearest),
        ConfigError::Value { key, what, .. } if what == MISSING && key.ends_with(".kind") => {
            let sections = sections(registry);
            let found = find(&sections, &key);
            let names: Vec<_> = found
                .iter()
                .flat_map(|found| &found.setting.choices)
                .map(|choice| choice.name.as_str())
                .collect();
            // A member in a member has the kinds of its axis, which no section lists once more.
            if names.is_empty() {
                let remedy = "say which kind it is: `latent settings` lists them".into();
                return ConfigError::Value { key, what: MISSING.into(), remedy };
            }
            let remedy = format!("set {key} to one of {}", names.join(", "));
            let key = key.trim_end_matches(".kind").to_string();
            return ConfigError::Value { key, what: "what kind it is isn't said".into(), remedy };
        }
        error => return error,
    };
    let sections = sections(registry);
    let kinds = kinds_with(&sections, &key);
    if !kinds.is_empty() {
        return ConfigError::OtherKind { key, kinds: kinds.join(" or ") };
    }
    let nearest = meant_beside(&sections, &key, nearest);
    ConfigError::UnknownKey { key, nearest }
}

/// Such as `posterior.kind = "quantized"` for `posterior.codes`: what would have to be chosen for the key to be one.
fn kinds_with(sections: &[Section], key: &str) -> Vec<String> {
    let parts: Vec<&str> = key.split('.').collect();
    let mut all = Vec::new();
    for Found { section, kind, setting } in find(sections, key) {
        let depth = |path: &str| path.split('.').count();
        let table = |below: usize| parts[..parts.len().saturating_sub(below)].join(".");
        let chosen = match kind {
            Some(kind) => vec![(table(depth(&setting.key) - depth(section.name)), kind)],
            None => setting.kinds.iter().map(|kind| (table(1), kind.as_str())).collect(),
        };
        all.extend(chosen.into_iter().map(|(table, kind)| format!("{table}.kind = \"{kind}\"")));
    }
    all
}

/// The key of a run that `key`, which is none, probably stands for.
pub fn meant(sections: &[Section], key: &str) -> Option<String> {
    meant_beside(sections, key, None)
}

/// The same where `sibling` is the nearest key in the table that was meant.
fn meant_beside(sections: &[Section], key: &str, sibling: Option<String>) -> Option<String> {
    let last = last_of(key).to_lowercase().replace('-', "_");
    let is_close = |name: &String| likeness(&last, last_of(name)) >= CLOSE;
    if let Some(sibling) = sibling.clone().filter(is_close) {
        return Some(sibling);
    }
    if let Some((_, meant)) = SYNONYMS.iter().find(|(names, _)| names.split(' ').any(|name| name == last)) {
        return Some((*meant).into());
    }
    let all = || {
        let of_run = sections.iter().filter(|section| section.is_of_run());
        of_run.flat_map(Section::all).filter(|(_, setting)| last_of(&setting.key) != "kind")
    };
    // Of all with that name, one that is there whatever is chosen.
    let named = all().filter(|(_, setting)| last_of(&setting.key) == last);
    let named = named.min_by_key(|(kind, setting)| (kind.is_some(), !setting.kinds.is_empty()));
    named.map(|(_, setting)| setting.key.clone()).or(sibling).or_else(|| {
        let close = nearest(&last, all().map(|(_, setting)| last_of(&setting.key))).filter(is_close)?;
        all().find(|(_, setting)| last_of(&setting.key) == close).map(|(_, setting)| setting.key.clone())
    })
}

fn last_of(key: &str) -> &str {
    key.rsplit('.').next().unwrap_or(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_synonyms_stand_for_is_there() {
        let sections = sections(&Registry::default());
        for (names, meant) in SYNONYMS {
            assert!(!find(&sections, meant).is_empty(), "{names}: {meant}");
        }
    }
}
