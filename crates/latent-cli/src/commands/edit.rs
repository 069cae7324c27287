//! `latent edit`: rows whose codes are moved along a direction between two groups of rows.

use std::path::Path;
use std::process::ExitCode;

use clap::{ArgGroup, Args};
use latent::Model;
use latent::data::{Data, Split};
use latent::generate::{Direction, Edits, Place, Said, Told, strengths};
use latent::words::shown;
use serde_json::json;

use super::{Chosen, counted, own_data, run_folder};
use crate::failure::{Done, Failure};
use crate::options::{Conditions, Writing, text};
use crate::output::{Output, json_path, path};
use crate::target::Kind;

const EXAMPLES: &str = "\
Examples:
  latent edit runs/one --toward Dress --out dresses.png
  latent edit runs/one --toward Bag --strength -1 --save bag --out less.png
  latent edit runs/one --add bag --rows 4 --steps 3 --out bags.npy

With groups of your own, two folders of images:
  edit RUN --data MINE/ --from plain/ --to smiling/ --save smile --out edits.png

To a value of what stands beside the images, of a column, or of a factor of shapes:
  edit RUN --toward age=60 --out older.png

The direction leads from the mean code of one group to that of the other; A − B
+ C of codes is C at the strength by which the groups are said to be apart.
Toward a number it is where codes go as the number grows (least squares), and
each row goes as far as the number asked for is from its own.
Beyond where codes are, the decoder has learned nothing: each step says how many
of the held-out codes are nearer to their mean.";

/// Move rows toward a class or along a difference
#[derive(Args)]
#[command(after_help = EXAMPLES)]
#[command(group(ArgGroup::new("direction").required(true).args(["toward", "add", "from"])))]
#[command(mut_arg("out", |out| out.help("Where to: edits.png, a folder/, x.npy or x.csv; only a picture shows the rows as they were")))]
#[command(mut_arg("seed", |seed| seed.help("What the choice of rows descends from")))]
pub struct Edit {
    /// Rows to edit; by default the model's own held-out rows
    #[arg(long, value_parser = text())]
    data: Option<String>,
    /// From all other rows to this class; or NAME=VALUE, to that value of an attribute of the images (data.attributes,
    /// data.pattern), of a column or of a factor of shapes
    #[arg(long, value_name = "CLASS")]
    toward: Option<String>,
    /// Along a direction that --save kept
    #[arg(long, value_name = "NAME")]
    add: Option<String>,
    /// From these rows, such as a folder of images
    #[arg(long, value_name = "DATA", requires = "to", value_parser = text())]
    from: Option<String>,
    /// To these rows
    #[arg(long, value_name = "DATA", requires = "from", value_parser = text())]
    to: Option<String>,
    /// How many rows, drawn where there are more; none of the class that they are moved toward
    #[arg(long, default_value_t = 8)]
    rows: usize,
    /// How many steps after the reconstruction
    #[arg(long, default_value_t = 6)]
    steps: usize,
    /// How far the last step goes, in standard deviations of codes along the direction, 2 unless given; toward a number, how
    /// many times the way there, 1 unless given; below 0: away
    #[arg(long, allow_negative_numbers = true)]
    strength: Option<f64>,
    /// Keep the direction in the run folder by this name, for --add
    #[arg(long, value_name = "NAME", conflicts_with = "add")]
    save: Option<String>,
    #[command(flatten)]
    conditions: Conditions,
    #[command(flatten)]
    files: Writing,
}

impl Edit {
    /// Runs the command.
    pub fn run(self, out: &Output) -> Done {
        let target = self.files.target(&Kind::ALL)?;
        if let Some(strength) = self.strength.filter(|strength| !(strength.is_finite() && *strength != 0.0)) {
            let what = format!("{strength} is no way along a direction");
            return Err(Failure::flag("--strength", what, "give a number other than 0, such as 2 or -2"));
        }
        if self.steps == 0 {
            return Err(Failure::flag("--steps", "no step leads nowhere", "give at least 1"));
        }
        let model = self.files.model()?;
        target.suits(&model)?;
        model.has_directions()?;
        target.holds("--rows, --steps", self.rows.saturating_mul(self.steps.saturating_add(2)), &model)?;
        let run = run_folder(self.files.run());
        if let Some(name) = &self.save {
            Direction::may_save(&Direction::path(&run, name)?, self.files.force)?;
        }
        let chosen = self.conditions.open(&model, self.data.as_deref(), out)?;
        let apart = self.data.as_ref().map(|_| own_data(&model, out)).transpose()?;
        let own = apart.as_ref().unwrap_or(&chosen.data);
        let Way { direction, words: way, asked } = self.direction(&model, own, &chosen, &run, out)?;
        let spread = model.spread(own)?;
        let positions = self.positions(&model, &chosen, asked.as_ref())?;
        let rows = chosen.data.rows(chosen.split, &positions, 0)?;
        let told = self.conditions.instead(&model, Told::of(&rows))?;
        let strength =
            self.strength.unwrap_or(if matches!(asked, Some(Asked::Number { .. })) { 1.0 } else { 2.0 });
        let (strengths, apart) = (strengths(self.steps, strength), direction.apart(&spread));
        let (edits, far) = match &asked {
            Some(Asked::Number { name, value, mean }) => {
                let before = self.numbers(&model, &chosen, &positions, name, *mean, out)?;
                let ways: Vec<f64> = before.iter().map(|before| (value - before) * apart).collect();
                let edits = model.edit_each(&rows, &told, &direction, &spread, (&strengths, &ways))?;
                (
                    Edits { unit: format!("parts of the way to {name} = {value}"), ..edits },
                    format!("{strength} of the way"),
                )
            }
            _ => {
                let edits = model.edit(&rows, &told, &direction, &spread, &strengths)?;
                (edits, format!("{strength} deviations of codes"))
            }
        };
        let names: Vec<String> =
            rows.labels.iter().map(|label| shown(&chosen.data.facts().classes[*label as usize])).collect();
        let title = format!("{way}, up to {far}{}", self.conditions.in_words());
        target.write(&edits.decoded, &title, |_| Ok(edits.sheet(names, &title)?))?;
        let saved = self
            .save
            .as_ref()
            .map(|name| direction.save(&model, &run, name, self.files.force))
            .transpose()?;
        let [from, to] = direction.rows().map(|rows| counted(rows, "row"));
        let apart_said = match &asked {
            Some(Asked::Number { name, .. }) => {
                format!("1 of {name} is {apart:.3} deviations of codes, by {from}")
            }
            _ => format!("the groups ({from} and {to}) are {apart:.2} apart"),
        };
        let mut said = format!(
            "{way}: {}, {} up to {far}; {apart_said}\nat full strength {}\n{}",
            counted(positions.len(), "row"),
            counted(self.steps, "step"),
            ends(&edits, spread.rows()),
            path(&target.path)
        );
        if let Some(saved) = &saved {
            said.push_str(&format!("\ndirection kept: {}", path(saved)));
        }
        let nearer: Vec<Vec<f64>> = edits
            .places
            .chunks(self.steps + 1)
            .map(|row| row.iter().map(|place| place.nearer()).collect())
            .collect();
        out.result(
            said,
            &json!({
                "direction": way, "rows": positions, "strengths": edits.strengths, "of": edits.unit, "nearer": nearer, "apart": apart,
                "groups": direction.rows(), "condition": self.conditions.given(), "saved": saved.as_deref().map(json_path), "out": json_path(&target.path),
                "seed": self.files.seed()
            }),
        );
        Ok(ExitCode::SUCCESS)
    }

    /// The direction that is asked for, and what it is called.
    fn direction(
        &self,
        model: &Model,
        own: &Data,
        chosen: &Chosen,
        run: &Path,
        out: &Output,
    ) -> Result<Way, Failure> {
        if let Some(toward) = &self.toward {
            if let Some((name, value)) = attribute(toward, own) {
                return self.toward_value(model, own, (name, value), out);
            }
            // A class may be called by the name of all classes.
            let class = self.class(own).unwrap_or(toward);
            // Rows of one's own tell classes apart where the model's data has none.
            let (data, split) = match own.has_labels(Split::Train) {
                false if chosen.data.has_labels(chosen.split) => (&chosen.data, chosen.split),
                _ => (own, Split::Train),
            };
            let direction = Direction::toward_class(model, data, split, class)?;
            return Ok(Way { direction, words: format!("toward {}", shown(toward)), asked: None });
        }
        if let Some(name) = &self.add {
            let direction = Direction::load(model, run, name)?;
            return Ok(Way { direction, words: format!("plus {name}"), asked: None });
        }
        let (from, to) = (self.from.as_deref().unwrap_or_default(), self.to.as_deref().unwrap_or_default());
        let codes = |source: &str| -> Result<_, Failure> {
            Ok(model
                .centres(&self.conditions.data(model, source, &mut |line| out.told(line))?, Split::Test)?
                .0)
        };
        let words = format!("from {} to {}", shown(from), shown(to));
        Ok(Way { direction: Direction::between(&codes(from)?, &codes(to)?)?, words, asked: None })
    }

    /// Toward a number or a word that training rows say under a name.
    fn toward_value(
        &self,
        model: &Model,
        own: &Data,
        (name, value): (&str, &str),
        out: &Output,
    ) -> Result<Way, Failure> {
        let positions = model.centred(own, Split::Train);
        let said = model.said(own, Split::Train, &positions, name, &mut |line| out.told(line))?;
        let (codes, _) = model.centres(own, Split::Train)?;
        let words = format!("toward {}={}", shown(name), shown(value));
        let name = name.to_string();
        let (direction, asked) = match said {
            Said::Numbers(numbers) => {
                let Some(value) = value.parse().ok().filter(|value: &f64| value.is_finite()) else {
                    let what = format!("{name:?} is a number, and {value:?} is none");
                    return Err(Failure::flag("--toward", what, format!("give a number, such as {name}=1")));
                };
                let known: Vec<f64> = numbers.iter().copied().filter(|number| number.is_finite()).collect();
                let mean = known.iter().sum::<f64>() / known.len().max(1) as f64;
                (Direction::along(&codes, &numbers)?, Asked::Number { name, value, mean })
            }
            Said::Words(all) => {
                (Direction::toward_word(&codes, &all, value)?, Asked::Word { name, value: value.into() })
            }
        };
        Ok(Way { direction, words, asked: Some(asked) })
    }

    /// The class that is meant, where it is called by the name of all classes: `label=Dress`.
    fn class(&self, own: &Data) -> Option<&str> {
        let (name, class) = self.toward.as_deref()?.split_once('=')?;
        (attribute(self.toward.as_deref()?, own).is_none() && name.trim() == "label").then_some(class.trim())
    }

    /// What the rows to edit say under that name: for other data than the model's own, in a column of x. Where it is not known the
    /// mean of the training rows stands for it.
    fn numbers(
        &self,
        model: &Model,
        chosen: &Chosen,
        positions: &[usize],
        name: &str,
        mean: f64,
        out: &Output,
    ) -> Result<Vec<f64>, Failure> {
        let said = match self.data {
            Some(_) => model.said_in(&chosen.data, chosen.split, positions, name)?,
            None => Some(model.said(&chosen.data, chosen.split, positions, name, &mut |_| {})?),
        };
        let Some(Said::Numbers(mut numbers)) = said else {
            out.told(format!(
                "{name} of these rows is not known: all are moved as if it were {mean:.4}, the mean"
            ));
            return Ok(vec![mean; positions.len()]);
        };
        let unknown = numbers.iter().filter(|number| !number.is_finite()).count();
        if unknown > 0 {
            out.told(format!(
                "{name} of {} is not known: moved as if it were {mean:.4}, the mean",
                counted(unknown, "row")
            ));
        }
        numbers.iter_mut().filter(|number| !number.is_finite()).for_each(|number| *number = mean);
        Ok(numbers)
    }

    /// Which rows are edited, in the order of the files.
    fn positions(
        &self,
        model: &Model,
        chosen: &Chosen,
        asked: Option<&Asked>,
    ) -> Result<Vec<usize>, Failure> {
        let order = self.files.key("edit").permutation(chosen.len());
        let there: Vec<bool> = match asked {
            Some(Asked::Word { name, value }) if self.data.is_none() => {
                let all: Vec<usize> = (0..chosen.len()).collect();
                match model.said(&chosen.data, chosen.split, &all, name, &mut |_| {})? {
                    Said::Words(words) => {
                        words.iter().map(|word| word.as_ref().is_some_and(|word| word == value)).collect()
                    }
                    Said::Numbers(_) => Vec::new(),
                }
            }
            Some(_) => Vec::new(),
            None => {
                let toward = self.class(&chosen.data).or(self.toward.as_deref());
                let class = toward
                    .and_then(|class| chosen.data.facts().classes.iter().position(|known| known == class));
                let labels = chosen.data.labels(chosen.split);
                labels.iter().map(|label| Some(*label as usize) == class).collect()
            }
        };
        let is_there = |row: &usize| there.get(*row).copied().unwrap_or(false);
        let (there, others): (Vec<usize>, Vec<usize>) = order.into_iter().partition(is_there);
        // Where all rows are of the class, they are what is asked for.
        let mut positions = if others.is_empty() { there } else { others };
        positions.truncate(self.rows);
        positions.sort_unstable();
        Ok(positions)
    }
}

/// A direction, what it is called, and what was asked for under a name.
struct Way {
    direction: Direction,
    words: String,
    asked: Option<Asked>,
}

/// A value of an attribute.
enum Asked {
    /// A number, and the mean of the training rows.
    Number { name: String, value: f64, mean: f64 },
    /// A word.
    Word { name: String, value: String },
}

/// Name and value, unless it is the name of a class, or says `label=` of one.
fn attribute<'a>(toward: &'a str, own: &Data) -> Option<(&'a str, &'a str)> {
    let classes = &own.facts().classes;
    let (name, value) = toward.split_once('=')?;
    let is_class =
        classes.iter().any(|known| known == toward) || (name.trim() == "label" && !classes.is_empty());
    (!is_class).then_some((name.trim(), value.trim()))
}

/// Where the codes of the last step are: `5 inside, 2 at the edge, 1 outside of where codes are`.
fn ends(edits: &Edits, known: usize) -> String {
    let mut counts = [0; 3];
    for place in edits.places.chunks(edits.strengths.len()).filter_map(<[Place]>::last) {
        counts[match place {
            Place::Inside(_) => 0,
            Place::Edge(_) => 1,
            Place::Outside => 2,
        }] += 1;
    }
    let [inside, edge, outside] = counts;
    format!("{inside} inside, {edge} at the edge and {outside} outside of where {known} held-out codes are")
}
