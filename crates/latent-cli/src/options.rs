//! The options that commands share. A command names what is special about one of them (`mut_arg`), such as which files
//! `--out` takes.

use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::{OsStringValueParser, TypedValueParser};
use latent::array::Array;
use latent::data::{Data, Rows};
use latent::generate::Told;
use latent::train::RunFolder;
use latent::{Key, Model};

use crate::commands::{Chosen, key, load};
use crate::failure::Failure;
use crate::output::Output;
use crate::target::{Kind, Target};

/// Words that are kept in TOML or JSON, so that they must be text: a source of data, a setting. Paths that are not kept may
/// be anything that the system allows.
pub fn text() -> impl TypedValueParser<Value = String> {
    OsStringValueParser::new().try_map(|word| {
        word.into_string().map_err(|_| {
            "it is kept as text and is no UTF-8; rename what it names, or give a path that is UTF-8, such as one relative to \
             its own folder"
        })
    })
}

/// What chance descends from
#[derive(Args)]
pub struct Seeded {
    /// What the draws descend from
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

/// A trained model
#[derive(Args)]
pub struct Trained {
    /// A run folder or a model file
    pub run: PathBuf,
    #[command(flatten)]
    seeded: Seeded,
}

impl Trained {
    /// What the command's draws descend from.
    pub fn seed(&self) -> u64 {
        self.seeded.seed
    }

    /// The key of a command's own draws.
    pub fn key(&self, purpose: &str) -> Key {
        key(self.seed(), purpose)
    }

    /// The run folder; a model file alone, or a model in a folder of other files, is refused because of `why`.
    pub fn folder(&self, why: &str) -> Result<&Path, Failure> {
        if self.run.is_file() {
            return Err(Failure::path(&self.run, format!("a file, and {why}"), "give the run folder"));
        }
        if self.run.join("model.safetensors").exists() && !RunFolder::is_ours(&self.run) {
            let what = format!("holds a model but no run.toml, and {why}");
            return Err(Failure::path(&self.run, what, "give the folder that `latent train` wrote"));
        }
        Ok(&self.run)
    }
}

/// A trained model, and where it computes
#[derive(Args)]
pub struct Computing {
    #[command(flatten)]
    pub trained: Trained,
    /// Where to compute
    #[arg(long, default_value = "cpu")]
    device: String,
}

impl Computing {
    /// The model on its device.
    pub fn model(&self) -> Result<Model, Failure> {
        load(&self.trained.run, &self.device)
    }
}

/// A trained model, and where what it gives is written
#[derive(Args)]
pub struct Writing {
    /// Where to: grid.png, a folder/, x.npy or x.csv
    #[arg(long)]
    pub out: PathBuf,
    #[command(flatten)]
    computing: Computing,
    /// Replace what is there
    #[arg(long)]
    pub force: bool,
}

impl Writing {
    /// Where to write, if that is one of `allowed` and nothing stands there.
    pub fn target(&self, allowed: &[Kind]) -> Result<Target, Failure> {
        Target::new("--out", &self.out, self.force, allowed)
    }

    /// The model on its device.
    pub fn model(&self) -> Result<Model, Failure> {
        self.computing.model()
    }

    /// The run folder or the model file.
    pub fn run(&self) -> &Path {
        &self.computing.trained.run
    }

    /// What the command's draws descend from.
    pub fn seed(&self) -> u64 {
        self.computing.trained.seed()
    }

    /// The key of a command's own draws.
    pub fn key(&self, purpose: &str) -> Key {
        self.computing.trained.key(purpose)
    }
}

/// What a conditional model is told
#[derive(Args)]
pub struct Conditions {
    /// What the model is told of every row, such as label=Trouser or age=30,label=Dress; `unknown` where it has learned that
    #[arg(long = "condition", value_name = "NAME=VALUE")]
    given: Vec<String>,
}

impl Conditions {
    /// Name and value of each; a comma begins another where a `=` follows, and belongs to the value elsewhere.
    fn pairs(&self) -> Result<Vec<(String, String)>, Failure> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        for given in &self.given {
            let mut begun = false;
            for part in given.split(',') {
                match (part.split_once('='), pairs.last_mut().filter(|_| begun)) {
                    (Some((name, value)), _) => pairs.push((name.trim().into(), value.trim().into())),
                    (None, Some((_, value))) => *value = format!("{value},{part}"),
                    (None, None) => {
                        let remedy = "write NAME=VALUE, such as --condition label=Trouser";
                        return Err(Failure::flag("--condition", format!("no `=` in {given:?}"), remedy));
                    }
                }
                begun = true;
            }
        }
        Ok(pairs)
    }

    /// Opens rows: those that don't say themselves what the model is told are told what is given.
    pub fn open(&self, model: &Model, source: Option<&str>, out: &Output) -> Result<Chosen, Failure> {
        Chosen::open_told(model, source, &self.pairs()?, out)
    }

    /// Opens other data: rows that don't say themselves what the model is told are told what is given.
    pub fn data(&self, model: &Model, source: &str, note: &mut dyn FnMut(String)) -> Result<Data, Failure> {
        Ok(model.open_told(source, &self.pairs()?, note)?)
    }

    /// What rows are told, with what is given in the place of what they say themselves.
    pub fn instead(&self, model: &Model, told: Told) -> Result<Told, Failure> {
        Ok(told.instead(&model.facts, &self.pairs()?)?)
    }

    /// Rows that are told what is given instead of what they say themselves.
    pub fn told(&self, model: &Model, mut rows: Rows) -> Result<Rows, Failure> {
        model.facts.condition_instead(&self.pairs()?, &mut rows.condition)?;
        Ok(rows)
    }

    /// As they were written, for results.
    pub fn given(&self) -> &[String] {
        &self.given
    }

    /// Whether any is given.
    pub fn any(&self) -> bool {
        !self.given.is_empty()
    }

    /// `, label=Trouser` for titles; nothing where nothing is given.
    pub fn in_words(&self) -> String {
        self.given.iter().map(|given| format!(", {given}")).collect()
    }

    /// For `count` new samples: a class that isn't given is drawn as often as the training rows had it.
    pub fn drawn(&self, model: &Model, count: usize, key: Key) -> Result<Told, Failure> {
        Ok(Told::drawn(&model.facts, &self.pairs()?, count, key)?)
    }

    /// For rows of codes, all told the same: everything must be given.
    pub fn same(&self, model: &Model, codes: &Array) -> Result<Told, Failure> {
        Ok(Told::same(&model.facts, &self.pairs()?, codes.rows())?)
    }
}
