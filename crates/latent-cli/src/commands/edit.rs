//! `latent edit`: rows whose codes are moved along a direction between two groups of rows.

use std::path::Path;
use std::process::ExitCode;

use clap::{ArgGroup, Args};
use latent::Model;
use latent::data::{Data, Split};
use latent::generate::{Direction, Edits, Place, Told, strengths};
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

The direction leads from the mean code of one group to that of the other; A − B
+ C of codes is C at the strength by which the groups are said to be apart.
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
    /// From all other rows to this class
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
    /// How far the last step goes, in standard deviations of codes along the direction; below 0: away
    #[arg(long, default_value_t = 2.0, allow_negative_numbers = true)]
    strength: f64,
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
        if !(self.strength.is_finite() && self.strength != 0.0) {
            let what = format!("{} is no way along a direction", self.strength);
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
        let (direction, way) = self.direction(&model, own, &chosen, &run, out)?;
        let spread = model.spread(own)?;
        let positions = self.positions(&chosen);
        let rows = chosen.data.rows(chosen.split, &positions, 0)?;
        let told = self.conditions.instead(&model, Told::of(&rows))?;
        let edits = model.edit(&rows, &told, &direction, &spread, &strengths(self.steps, self.strength))?;
        let names: Vec<String> =
            rows.labels.iter().map(|label| shown(&chosen.data.facts().classes[*label as usize])).collect();
        let title =
            format!("{way}, up to {} deviations of codes{}", self.strength, self.conditions.in_words());
        target.write(&edits.decoded, &title, |_| Ok(edits.sheet(names, &title)?))?;
        let saved = self
            .save
            .as_ref()
            .map(|name| direction.save(&model, &run, name, self.files.force))
            .transpose()?;
        let apart = direction.apart(&spread);
        let mut said = format!(
            "{way}: {}, {} up to {} deviations of codes; the groups ({} and {}) are {apart:.2} apart\nat full strength {}\n{}",
            counted(positions.len(), "row"),
            counted(self.steps, "step"),
            self.strength,
            counted(direction.rows()[0], "row"),
            counted(direction.rows()[1], "row"),
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
                "direction": way, "rows": positions, "strengths": edits.strengths, "nearer": nearer, "apart": apart,
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
    ) -> Result<(Direction, String), Failure> {
        if let Some(class) = &self.toward {
            // Rows of one's own tell classes apart where the model's data has none.
            let (data, split) = match own.has_labels(Split::Train) {
                false if chosen.data.has_labels(chosen.split) => (&chosen.data, chosen.split),
                _ => (own, Split::Train),
            };
            return Ok((
                Direction::toward_class(model, data, split, class)?,
                format!("toward {}", shown(class)),
            ));
        }
        if let Some(name) = &self.add {
            return Ok((Direction::load(model, run, name)?, format!("plus {name}")));
        }
        let (from, to) = (self.from.as_deref().unwrap_or_default(), self.to.as_deref().unwrap_or_default());
        let codes = |source: &str| -> Result<_, Failure> {
            Ok(model
                .centres(&self.conditions.data(model, source, &mut |line| out.told(line))?, Split::Test)?
                .0)
        };
        let way = format!("from {} to {}", shown(from), shown(to));
        Ok((Direction::between(&codes(from)?, &codes(to)?)?, way))
    }

    /// Which rows are edited, in the order of the files.
    fn positions(&self, chosen: &Chosen) -> Vec<usize> {
        let (facts, labels) = (chosen.data.facts(), chosen.data.labels(chosen.split));
        let class =
            self.toward.as_ref().and_then(|class| facts.classes.iter().position(|known| known == class));
        let is_there =
            |row: &usize| labels.get(*row).map(|label| *label as usize) == class && class.is_some();
        let order = self.files.key("edit").permutation(chosen.len());
        let (there, others): (Vec<usize>, Vec<usize>) = order.into_iter().partition(is_there);
        // Where all rows are of the class, they are what is asked for.
        let mut positions = if others.is_empty() { there } else { others };
        positions.truncate(self.rows);
        positions.sort_unstable();
        positions
    }
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
