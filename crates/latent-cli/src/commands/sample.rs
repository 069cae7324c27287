//! `latent sample`: new samples from a trained model.

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use latent::Model;
use latent::Registry;
use latent::data::Split;
use latent::generate::sampler::{Choice, FittedSampler, How};
use latent::generate::{Observe, Told};
use latent::words::shown;
use serde_json::json;

use crate::failure::{Done, Failure};
use crate::options::{Conditions, Writing, text};
use crate::output::{Output, json_path, path};
use crate::target::{Kind, Target};

const EXAMPLES: &str = "\
Examples:
  latent sample runs/one --count 64 --out samples.png
  latent sample runs/one --count 10 --seed 3 --out samples/
  latent sample runs/one --count 100 --out samples.npy
  latent sample runs/one --sampler prior --temperature 0.7 --out typical.png
  latent sample runs/told --condition label=Trouser --out trousers.png
  latent sample runs/one --like 3 --count 8 --spread 2 --out relatives.png

Tables of mixed columns (latent train --data people.csv):
  sample RUN --count 1000 --out rows.csv
  sample RUN --where \"income = >50K, age = 30..40, sex != Male\" --out some.csv
  sample RUN --balance income --count 2000 --out even.csv

Codes come from the sampler that `latent fit-sampler` chose, or from the prior
where none was fitted.";

/// Draw new samples from a trained model
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Sample {
    /// How many samples
    #[arg(long, default_value_t = 64)]
    count: usize,
    /// What is written of p(x|z); [default: mean for images, draw for tables]
    #[arg(long)]
    observe: Option<What>,
    /// What codes are drawn from; [default: the one chosen by fit-sampler, else prior]
    #[arg(long)]
    sampler: Option<String>,
    /// Below 1: more typical codes; 1: the distribution as it is
    #[arg(long, default_value_t = 1.0)]
    temperature: f64,
    /// Draw each normal number again until it lies within this many deviations
    #[arg(long)]
    truncation: Option<f64>,
    /// Only samples of this class, where the sampler was fitted on labels
    #[arg(long, value_name = "NAME")]
    class: Option<String>,
    /// How closely samples follow their class or condition: above 1, what tells it from others stands out (flows alone)
    #[arg(long, default_value_t = 1.0, value_name = "W", allow_negative_numbers = true)]
    guidance: f64,
    /// Only rows that meet these conditions, of a table: "age = 30..40, sex = Male|Female"
    #[arg(
        long = "where",
        value_name = "CONDITIONS",
        conflicts_with_all = ["temperature", "truncation", "class", "guidance"]
    )]
    conditions_met: Vec<String>,
    /// As many rows of each value of this column of a table
    #[arg(long, value_name = "COLUMN", conflicts_with_all = ["temperature", "truncation", "class", "guidance"])]
    balance: Option<String>,
    /// Variations about this row: the number of a held-out row, or a file that holds one, such as an image
    #[arg(
        long,
        value_name = "ROW",
        value_parser = text(),
        conflicts_with_all = ["sampler", "temperature", "truncation", "class", "guidance", "conditions_met", "balance"]
    )]
    like: Option<String>,
    /// How wide variations are, in standard deviations of the row's q(z|x)
    #[arg(long, default_value_t = 1.0, requires = "like", allow_negative_numbers = true)]
    spread: f64,
    #[command(flatten)]
    conditions: Conditions,
    #[command(flatten)]
    files: Writing,
}

/// What is written of p(x|z).
#[derive(Clone, Copy, ValueEnum)]
pub enum What {
    Mean,
    Draw,
}

impl From<What> for Observe {
    fn from(what: What) -> Self {
        match what {
            What::Mean => Self::Mean,
            What::Draw => Self::Draw,
        }
    }
}

impl Sample {
    /// Runs the command.
    pub fn run(self, out: &Output) -> Done {
        let target = self.files.target(&Kind::ALL)?;
        let model = self.files.model()?;
        target.suits(&model)?;
        target.holds("--count", self.count, &model)?;
        let observe = self.observe.map_or_else(|| model.observe(), Observe::from);
        if let Some(like) = &self.like {
            return self.variations(like, &model, &target, out);
        }
        let sampler = self.sampler(&model, out)?;
        let class = self.class.as_ref().map(|name| sampler.class(name)).transpose()?;
        let how = How {
            temperature: self.temperature,
            truncation: self.truncation,
            class,
            guidance: self.guidance,
        };
        let key = self.files.key("sample");
        if !self.conditions_met.is_empty() || self.balance.is_some() {
            return self.table(&model, &sampler, &target, out);
        }
        let told = self.conditions.drawn(&model, self.count, key)?;
        let samples = model.sample_with(&sampler, &told, &how, observe, key)?;
        target.ready()?;
        let of = self.class.as_ref().map(|class| format!(" of class {class}")).unwrap_or_default();
        let from = match sampler.kind() {
            "prior" => String::new(),
            kind => format!(", codes from {kind}"),
        };
        let told = self.conditions.in_words();
        let guided = match self.guidance {
            1.0 => String::new(),
            guidance => format!(", guidance {guidance}"),
        };
        let said = format!("{}{of}{told}{from}{guided}", super::counted(self.count, "sample"));
        samples.save(&target.path, &said)?;
        out.result(
            format!("{}: {}", shown(&said), path(&target.path)),
            &json!({
                "count": self.count, "out": json_path(&target.path), "seed": self.files.seed(), "sampler": sampler.kind(),
                "temperature": self.temperature, "truncation": self.truncation, "class": self.class,
                "guidance": self.guidance
            }),
        );
        Ok(ExitCode::SUCCESS)
    }

    /// Variations about a row.
    fn variations(&self, like: &str, model: &Model, target: &Target, out: &Output) -> Done {
        if !(self.spread.is_finite() && self.spread >= 0.0) {
            let what = format!("{} is no width", self.spread);
            return Err(Failure::flag("--spread", what, "give a number from 0 on, such as 1"));
        }
        let (chosen, row) = match like.parse() {
            Ok(row) => (self.conditions.open(model, None, out)?, row),
            Err(_) => (self.conditions.open(model, Some(like), out)?, 0),
        };
        chosen.has("--like", row)?;
        if chosen.split == Split::Test && chosen.len() > 1 {
            let what = format!("{like} holds {} rows, and variations are about one", chosen.len());
            return Err(Failure::flag(
                "--like",
                what,
                "give a file of one row, or the number of a held-out row",
            ));
        }
        let observe = self.observe.map_or_else(|| model.observe(), Observe::from);
        let rows = chosen.rows(row, 1)?;
        let told = self.conditions.instead(model, Told::of(&rows))?;
        let samples =
            model.variations(&rows, &told, self.count, self.spread, observe, self.files.key("sample"))?;
        let about = if chosen.split == Split::Test { shown(like) } else { format!("held-out row {row}") };
        let said = format!(
            "{} about {about}, spread {}{}",
            super::counted(self.count, "variation"),
            self.spread,
            self.conditions.in_words()
        );
        target.write(&samples, &said, |_| Ok(model.variations_sheet(&rows, &told, &samples, &said)?))?;
        out.result(
            format!("{said}: {}", path(&target.path)),
            &json!({
                "count": self.count, "out": json_path(&target.path), "seed": self.files.seed(), "like": like,
                "spread": self.spread, "condition": self.conditions.given()
            }),
        );
        Ok(ExitCode::SUCCESS)
    }

    /// Rows of a table that meet conditions.
    fn table(&self, model: &Model, sampler: &FittedSampler, target: &Target, out: &Output) -> Done {
        let table = model.table()?;
        let key = self.files.key("sample");
        let given = table.conditions(&self.conditions_met.join(", "))?;
        let groups = match &self.balance {
            None => vec![given],
            Some(column) => table.balanced(&given, column)?,
        };
        let (samples, groups) = model.sample_groups(sampler, &groups, self.count, key)?;
        let mut weighed = Vec::new();
        for group in &groups {
            let low = match group.is_thin() {
                true => ": few, so rows resemble each other more than they should",
                false => "",
            };
            out.told(format!(
                "{}: {:.3} % of all rows as the model has it; {:.0} of {} codes count (effective sample size){low}",
                group.text,
                100.0 * group.share,
                group.effective,
                group.candidates
            ));
            weighed.push(json!({
                "where": group.text, "share": group.share, "effective": group.effective, "codes": group.candidates
            }));
        }
        target.ready()?;
        samples.save(&target.path, "rows")?;
        out.result(
            format!("{}: {}", super::counted(self.count, "row"), path(&target.path)),
            &json!({ "count": self.count, "out": json_path(&target.path), "seed": self.files.seed(), "sampler": sampler.kind(), "conditions": weighed }),
        );
        Ok(ExitCode::SUCCESS)
    }

    /// The sampler that is asked for, or else the chosen one, or else the prior.
    fn sampler(&self, model: &Model, out: &Output) -> Result<FittedSampler, Failure> {
        let registry = Registry::default();
        let run = super::run_folder(self.files.run());
        if let Some(name) = &self.sampler {
            return Ok(FittedSampler::load(model, &run, name, &registry)?);
        }
        let sampler = Choice::sampler(model, &run, &registry)?;
        if sampler.kind() != "prior" {
            out.note(format!(
                "codes: from {}, which latent fit-sampler chose (--sampler prior for the prior)",
                sampler.kind()
            ));
        } else if Choice::of(model, &run)?.is_none() && Choice::read(&run)?.is_some() {
            out.note(
                "codes: from the prior; the samplers beside the model were fitted before it was trained further (fit them \
                 anew: latent fit-sampler RUN --force)",
            );
        }
        Ok(sampler)
    }
}
