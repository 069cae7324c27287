//! Every key that a run may have, with what it takes, its default and its meaning; and where a key is found.
//!
//! The sections are the tables of a run; what stands in one is read off the settings structs, those of the user's own members
//! too. `latent settings` prints it, and hints about misspelt keys come from it.

use std::any::type_name;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::{Choice, NAME, Setting, settings_of, table_of};
use crate::data::DataSettings;
use crate::generate::sampler::SamplerSettings;
use crate::member::{Described, Registry};
use crate::model::likelihood::LikelihoodSettings;
use crate::model::posterior::PosteriorSettings;
use crate::model::prior::PriorSettings;
use crate::network::NetworkSettings;
use crate::objective::{CommonSettings, EstimatorSettings, TermSettings};
use crate::train::TrainSettings;

/// A table of a run.
#[derive(Clone, Debug, Serialize)]
pub struct Section {
    /// As it stands before a key; empty for what stands above all tables.
    pub name: &'static str,
    /// The question that it answers.
    pub about: &'static str,
    /// The section whose keys it has, too.
    pub same_as: Option<&'static str>,
    /// Its keys, by their full names.
    pub settings: Vec<Setting>,
    /// What its `kind` may be, each with further keys.
    pub members: Vec<Described>,
    /// The type of the settings on its axis.
    #[serde(skip)]
    axis: &'static str,
}

/// What stands above all tables.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(default)]
struct Above {
    /// What all noise descends from: first weights, batches, draws.
    seed: u64,
    /// The preset that a file starts from; on the command line it is `--preset`.
    preset: Option<String>,
    /// What the run is for (`--for`): what the data asks for follows from it. Images: samples.
    purpose: Option<super::Purpose>,
    /// A note in a file, what it is; it changes nothing.
    about: Option<String>,
    /// A note in a file, the paper that it follows; it changes nothing.
    paper: Option<String>,
    /// A note in a preset, the group that `latent presets` lists it in; it changes nothing.
    group: Option<String>,
}

impl Default for Above {
    fn default() -> Self {
        Self { seed: super::layers::SEED, preset: None, purpose: None, about: None, paper: None, group: None }
    }
}

/// The table of a sampler, which is no part of a run: its keys stand alone.
const SAMPLER: &str = "sampler";

/// The sections of a run, and that of `latent fit-sampler`.
pub fn sections(registry: &Registry) -> Vec<Section> {
    let term = format!("objective.terms.{NAME}");
    let mut terms =
        axis::<TermSettings>(registry, "objective.terms.NAME", "a term of the loss, under a name of yours");
    terms.settings.extend(plain::<CommonSettings>(&term));
    let part = |name, about| Section { same_as: Some("network"), ..section(name, about, Vec::new()) };
    vec![
        section("", "above all tables", plain::<Above>("")),
        section(
            "data",
            "where x comes from, and what becomes of it before the model sees it",
            plain::<DataSettings>("data"),
        ),
        axis::<LikelihoodSettings>(registry, "likelihood", "p(x|z): how a decoded z explains an x"),
        axis::<PosteriorSettings>(registry, "posterior", "q(z|x): which region of z belongs to an x"),
        axis::<PriorSettings>(registry, "prior", "p(z): where z lives before any x"),
        axis::<NetworkSettings>(registry, "network", "the functions f, from x, and g, from z"),
        part("encoder", "f, where it is to differ from g"),
        part("decoder", "g, where it is to differ from f"),
        terms,
        axis::<EstimatorSettings>(registry, "objective.estimator", "how terms become a loss"),
        section("train", "how long, how fast, how careful", plain::<TrainSettings>("train")),
        axis::<dyn SamplerSettings>(
            registry,
            SAMPLER,
            "what codes are drawn from: latent fit-sampler --sampler KIND --set KEY=VALUE",
        ),
    ]
}

fn section(name: &'static str, about: &'static str, settings: Vec<Setting>) -> Section {
    Section { name, about, same_as: None, settings, members: Vec::new(), axis: "" }
}

/// The keys of a struct that has defaults.
fn plain<T: JsonSchema + Serialize + Default>(path: &str) -> Vec<Setting> {
    within(path, settings_of::<T>(&table_of(&T::default(), path).unwrap_or_default()))
}

fn axis<S: ?Sized + 'static>(registry: &Registry, name: &'static str, about: &'static str) -> Section {
    let axis = registry.members::<S>();
    let mut members = axis.map(|axis| axis.described(registry)).unwrap_or_default();
    let choice = |member: &Described| Choice { name: member.kind.into(), meaning: member.about.into() };
    let kind = Setting {
        key: "kind".into(),
        kinds: Vec::new(),
        takes: "choice".into(),
        default: axis.and_then(|axis| axis.default_kind()).map(Into::into),
        required: false,
        meaning: "Which of these it is.".into(),
        choices: members.iter().map(choice).collect(),
        axis: None,
    };
    let path = if name == SAMPLER { "" } else { name };
    for member in &mut members {
        member.settings = within(path, std::mem::take(&mut member.settings));
    }
    Section { members, axis: type_name::<S>(), ..section(name, about, within(path, vec![kind])) }
}

fn within(path: &str, mut settings: Vec<Setting>) -> Vec<Setting> {
    if !path.is_empty() {
        settings.iter_mut().for_each(|setting| setting.key = format!("{path}.{}", setting.key));
    }
    settings
}

impl Section {
    /// Its keys and those of its members, with the member's kind.
    pub fn all(&self) -> impl Iterator<Item = (Option<&'static str>, &Setting)> {
        let own = self.settings.iter().map(|setting| (None, setting));
        own.chain(self.members.iter().flat_map(|m| m.settings.iter().map(|setting| (Some(m.kind), setting))))
    }

    /// Whether its keys are a run's.
    pub fn is_of_run(&self) -> bool {
        self.name != SAMPLER
    }
}

/// A key of a run.
#[derive(Clone, Copy, Debug)]
pub struct Found<'a> {
    /// Where it stands.
    pub section: &'a Section,
    /// The member that has it; none where all have it.
    pub kind: Option<&'static str>,
    /// What it is.
    pub setting: &'a Setting,
}

/// What `key` may be, whatever kinds stand beside it.
pub fn find<'a>(sections: &'a [Section], key: &str) -> Vec<Found<'a>> {
    let mut found = Vec::new();
    for section in sections.iter().filter(|section| section.is_of_run()) {
        if let (Some(other), Some(rest)) = (section.same_as, below(section.name, key)) {
            found.extend(find(sections, &format!("{other}.{rest}")));
        }
        for (kind, setting) in section.all() {
            if below(&setting.key, key) == Some("") {
                found.push(Found { section, kind, setting });
            }
            // A member inside has the keys of its axis.
            let (inside, axis) = (setting.key.strip_suffix(".kind"), setting.axis.as_deref());
            if let (Some(rest), Some(axis)) = (inside.and_then(|inside| below(inside, key)), axis)
                && !rest.is_empty()
                && rest != "kind"
                && let Some(inner) = sections.iter().find(|section| section.axis == axis)
            {
                found.extend(find(sections, &format!("{}.{rest}", inner.name)));
            }
        }
    }
    found
}

/// What of `key` comes after `pattern`, in which [`NAME`] stands for anything; none where it doesn't begin so.
fn below<'a>(pattern: &str, key: &'a str) -> Option<&'a str> {
    let mut rest = Some(key).filter(|_| !pattern.is_empty());
    for part in pattern.split('.') {
        let (first, after) = match rest? {
            "" => return None,
            rest => rest.split_once('.').unwrap_or((rest, "")),
        };
        if part != NAME && part != first {
            return None;
        }
        rest = Some(after);
    }
    rest
}
