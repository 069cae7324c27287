//! `latent textbook`: the theory in seven steps, each a small experiment on data that ships with the program.
//!
//! x ──encoder f──▶ q(z|x) ──draw──▶ z ──decoder g──▶ p(x|z),  P(X) = ∫ p(X|z) p(z) dz
//!
//! One file a step: it opens with the idea and the formula, trains what it needs, prints numbers and draws one picture.

mod compress;
mod one_bit;
mod probability;
mod regions;
mod sigma;
mod vae;
mod wae;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::{Args, ValueEnum};
use latent::Layers;
use latent::data::{Data, Rows, Split};
use latent::figure::{Figure, GridLabels, Images, sample_grid};
use latent::train::RunFolder;
use latent::{Key, Model};
use latent::{Options, Training};
use serde_json::{Value, json};

use crate::failure::{Done, Failure};
use crate::options::Seeded;
use crate::output::{Output, json_paths, path};

const EXAMPLES: &str = "\
Examples:
  latent textbook
  latent textbook one-bit
  latent textbook one-bit --seed 2 --json
  latent textbook all --quick

docs/textbook.md explains each step. What a step trains stays under FOLDER/runs: asked again, it is read.";

/// Walk through the theory: one small experiment and one picture a step
#[derive(Args)]
#[command(after_help = EXAMPLES)]
#[command(mut_arg("seed", |seed| seed.help("What all noise descends from")))]
pub struct Textbook {
    /// Which step; without it they are listed
    step: Option<Step>,
    /// Where pictures and trained models go
    #[arg(long, value_name = "FOLDER", default_value = "textbook")]
    out: PathBuf,
    /// One epoch on 600 images a model, into FOLDER/quick: shows that all runs, the numbers mean nothing
    #[arg(long)]
    quick: bool,
    #[command(flatten)]
    seeded: Seeded,
}

/// The steps, in reading order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Step {
    /// Encoder and decoder: an image as a few numbers
    Compress,
    /// A code of one bit: what it says, and P(X) exactly
    OneBit,
    /// P(X) by plain Monte Carlo, the ELBO and importance sampling
    Probability,
    /// σ is the regulariser: rate against distortion
    Sigma,
    /// Regions of the latent plane: overlap and holes
    Regions,
    /// The variational autoencoder
    Vae,
    /// The Wasserstein autoencoder
    Wae,
    /// Every step, one after the other
    All,
}

impl Textbook {
    /// Runs the command.
    pub fn run(self, out: &Output) -> Done {
        let Some(step) = self.step else {
            list(out);
            return Ok(ExitCode::SUCCESS);
        };
        let folder = if self.quick { self.out.join("quick") } else { self.out };
        refuse_foreign_pictures(&folder)?;
        std::fs::create_dir_all(&folder)
            .map_err(|source| latent::train::TrainError::Io { path: folder.clone(), source })?;
        let lesson = Lesson { out, folder: &folder, seed: self.seeded.seed, quick: self.quick };
        let steps: Vec<Step> = match step {
            Step::All => Step::value_variants().iter().copied().filter(|step| *step != Step::All).collect(),
            one => vec![one],
        };
        for &one in &steps {
            let taught = match one {
                Step::Compress => compress::run(&lesson)?,
                Step::OneBit => one_bit::run(&lesson)?,
                Step::Probability => probability::run(&lesson)?,
                Step::Sigma => sigma::run(&lesson)?,
                Step::Regions => regions::run(&lesson)?,
                Step::Vae => vae::run(&lesson)?,
                Step::Wae => wae::run(&lesson)?,
                Step::All => continue,
            };
            let mut text = taught.text;
            for picture in &taught.pictures {
                text.push_str(&format!("\npicture: {}", path(picture)));
            }
            if steps.len() > 1 {
                text = format!("{}: {}\n\n{text}\n", name(one), about(one));
            }
            let value = json!({
                "step": name(one), "seed": lesson.seed, "quick": lesson.quick, "numbers": taught.numbers,
                "pictures": json_paths(&taught.pictures),
            });
            out.result(text, &value);
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// A picture in a folder where no step has trained a model is somebody else's, and a step might write over it.
fn refuse_foreign_pictures(folder: &Path) -> Result<(), Failure> {
    let listed = |folder: &Path| folder.read_dir().into_iter().flatten().flatten().map(|entry| entry.path());
    let is_picture =
        |path: &PathBuf| path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("png"));
    match listed(folder).find(is_picture) {
        Some(picture) if !listed(&folder.join("runs")).any(|run| RunFolder::is_ours(&run)) => {
            Err(Failure::path(
                folder,
                format!(
                    "holds {}, and no step has written here",
                    path(picture.file_name().unwrap_or_default().as_ref())
                ),
                "give a new folder",
            ))
        }
        _ => Ok(()),
    }
}

fn name(step: Step) -> String {
    step.to_possible_value().map(|value| value.get_name().to_string()).unwrap_or_default()
}

fn about(step: Step) -> String {
    let value = step.to_possible_value();
    value.and_then(|value| value.get_help().map(ToString::to_string)).unwrap_or_default()
}

fn list(out: &Output) {
    let steps = Step::value_variants();
    let mut text = String::from("Steps, in reading order (docs/textbook.md explains them):");
    for step in steps {
        text.push_str(&format!("\n  latent textbook {:<12}  {}", name(*step), about(*step)));
    }
    let values: Vec<_> =
        steps.iter().map(|step| json!({ "step": name(*step), "about": about(*step) })).collect();
    out.result(text, &json!({ "steps": values }));
}

/// What a step found.
struct Taught {
    /// In plain words.
    text: String,
    /// For programs.
    numbers: Value,
    /// What was drawn.
    pictures: Vec<PathBuf>,
}

/// A step under way.
struct Lesson<'a> {
    out: &'a Output,
    folder: &'a Path,
    seed: u64,
    /// Whether it is only to be seen to run.
    quick: bool,
}

impl Lesson<'_> {
    fn key(&self, purpose: &str) -> Key {
        Key::from_seed(self.seed).fold("textbook").fold(purpose)
    }

    /// A small model of the embedded data under `settings`. It is trained in a run folder of its own; a finished run is
    /// read, an unfinished one goes on.
    fn learn(&self, name: &str, settings: &[&str]) -> Result<(Model, Arc<Data>), Failure> {
        let mut layers = Layers::default();
        let common = [
            "data.source=embedded",
            "encoder={kind=\"mlp\", hidden=[256]}",
            "decoder={kind=\"mlp\", hidden=[256]}",
            "train.epochs=8",
            "train.optimizer.learning_rate=2e-3",
            "train.schedule={kind=\"cosine\", last=0.05}",
        ];
        let quick: &[&str] = if self.quick { &["train.epochs=1", "data.limit=600"] } else { &[] };
        for setting in common.iter().chain(settings).chain(quick) {
            layers.set(setting)?;
        }
        layers.set(&format!("seed={}", self.seed))?;
        let folder = self.folder.join("runs").join(format!("{name}-{}", self.seed));
        if folder.join("model.safetensors").exists() {
            let model = Model::load(&folder)?;
            let data = model.open_own(&mut |_| {})?;
            return Ok((model, Arc::new(data)));
        }
        self.out.note(format!("training {} …", path(&folder)));
        let options = Options { resume: true, ..Options::default() };
        let mut training = Training::prepare(&layers, &folder, options, &mut |_| {})?;
        training.train(&AtomicBool::new(false), &mut |_| {})?;
        let data = Arc::clone(&training.data);
        Ok((training.into_model()?, data))
    }

    /// Writes a picture beside the others.
    fn draw(&self, name: &str, figure: &Figure) -> Result<PathBuf, Failure> {
        let path = self.folder.join(format!("{name}.png"));
        figure.save(&path)?;
        Ok(path)
    }
}

/// Rows that numbers are read from, at most.
const ROWS: usize = 1000;

/// All rows of a split.
fn all_rows(data: &Data, split: Split) -> Result<Rows, Failure> {
    let positions: Vec<usize> = (0..data.len(split)).collect();
    Ok(data.rows(split, &positions, 0)?)
}

/// The side of an embedded image.
const SIDE: usize = 28;

/// Named rows of images, as many in each.
fn picture(
    title: &str,
    caption: &str,
    column_labels: Vec<String>,
    rows: Vec<(String, Vec<f32>)>,
) -> Result<Figure, Failure> {
    let columns = rows.first().map_or(1, |(_, pixels)| pixels.len() / (SIDE * SIDE));
    let (row_labels, pixels): (Vec<String>, Vec<Vec<f32>>) = rows.into_iter().unzip();
    let pixels = pixels.concat();
    let labels = GridLabels {
        title: title.into(),
        caption: caption.into(),
        columns: Some(columns),
        row_labels,
        column_labels,
    };
    Ok(sample_grid(&Images::new(&pixels, 1, SIDE, SIDE)?, &labels)?)
}
