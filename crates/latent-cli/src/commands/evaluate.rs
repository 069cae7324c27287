//! `latent evaluate`: how good is a model? Every number with its interval.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{ArgGroup, Args};
use latent::Model;
use latent::data::{Data, Split};
use latent::evaluate::features::Features;
use latent::evaluate::samples::{LEAST, name_chosen, sources};
use latent::evaluate::{
    Evaluation, Overlap, RunReport, Section, Subject, Verdict, checksum, gist, questions, report,
};
use latent::figure::Level;
use latent::generate::Samples;
use latent::generate::sampler::Choice;
use latent::words::{duration, shown};
use serde_json::json;

use super::{own_data, trained_on};
use crate::failure::{Done, Failure};
use crate::options::{Computing, Conditions, text};
use crate::output::{Output, json_paths, path};
use crate::progress::Bar;

const EXAMPLES: &str = "\
Examples:
  latent evaluate runs/one --minutes 0.2
  latent evaluate runs/one --sections likelihood,latents --minutes 0.1 --verbose

With --features FILE.onnx samples are compared in the features of a network of your own, such as
Inception for the published FID. The name of the features stands beside the figures, and figures on
different ones are not to be compared.

Costly estimators read as many rows as the time allows; n stands beside each number. With --rows, --samples and --seed
what they read and draw depends on no clock. The numbers go to
RUN/evaluation.json, the values by row to RUN/evaluation-rows.csv, and all of it into RUN/report.html. Sections of
earlier calls stay there while the model and the rows are the same; one that is asked again is replaced.";

/// Judge a trained model, every number with its interval
#[derive(Args)]
#[command(after_help = format!("{EXAMPLES}\n\nSections:\n{}", known_sections()))]
#[command(mut_arg("run", |run| run.help("A run folder")))]
#[command(mut_arg("seed", |seed| seed.help("What every draw descends from")))]
#[command(group(ArgGroup::new("other").multiple(true).args(["data", "against"])))]
#[command(mut_arg("given", |given| given.requires("other").help(
    "What rows of --data and --against are told that don't say it themselves, such as label=Trouser"
)))]
pub struct Evaluate {
    /// Held-out rows; by default the test split of the model's own data
    #[arg(long, value_parser = text())]
    data: Option<String>,
    /// Judge on the rows of --data even if the model was trained on them, which is no test
    #[arg(long, requires = "data")]
    training_rows: bool,
    /// Other data, to be told apart from the model's own (anomalies)
    #[arg(long, value_name = "DATA", value_parser = text())]
    against: Option<String>,
    #[command(flatten)]
    conditions: Conditions,
    /// Which sections, by name; all that apply unless given
    #[arg(long, value_delimiter = ',')]
    sections: Vec<String>,
    /// Compare samples in the features of an ONNX network, in place of EfficientNet-Lite0's. One input [n, c, h, w] or
    /// [n, h, w, c] of 32-bit numbers; the first output [n, d], or a map, which is averaged. Needs a build with `--features
    /// onnx`
    #[arg(long, value_name = "ONNX")]
    features: Option<PathBuf>,
    /// The side of the pictures that it sees, where the file leaves it open; 299 unless given. They are resized by an
    /// antialiased cubic
    #[arg(long, value_name = "PIXELS", requires = "features")]
    features_size: Option<usize>,
    /// How it wants pixels in [0, 1]: less mean and by deviation of ImageNet, half (from -1 to 1), none (as they are), or
    /// bytes (times 255)
    #[arg(long, value_name = "HOW", default_value = "imagenet", requires = "features",
        value_parser = ["imagenet", "half", "none", "bytes"])]
    features_normalise: String,
    /// About how long it may take
    #[arg(long, default_value_t = 8.0)]
    minutes: f64,
    /// Rows of each set that samples are compared in, whatever it takes: give runs that are to be compared the same
    #[arg(long, value_name = "N")]
    samples: Option<usize>,
    /// Rows of each estimator of the likelihood, whatever it takes: n then depends on no clock
    #[arg(long, value_name = "N")]
    rows: Option<usize>,
    /// Print every number, with its rows and warnings, not only those that matter most
    #[arg(long)]
    verbose: bool,
    /// Read all rows for everything, whatever it takes
    #[arg(long, conflicts_with_all = ["minutes", "rows"])]
    full: bool,
    #[command(flatten)]
    on: Computing,
}

impl Evaluate {
    /// Runs the command.
    pub fn run(self, out: &Output) -> Done {
        let known: Vec<&str> = questions().iter().map(|question| question.name).collect();
        if let Some(unknown) = self.sections.iter().find(|name| !known.contains(&name.as_str())) {
            let what = format!("there is no section `{unknown}`");
            return Err(Failure::flag("--sections", what, format!("known: {}", known.join(", "))));
        }
        if !(self.minutes.is_finite() && self.minutes > 0.0) {
            let what = format!("{} is not a time", self.minutes);
            return Err(Failure::flag("--minutes", what, "give a number above 0"));
        }
        if let Some(few) = self.samples.filter(|&n| n < LEAST) {
            let what = format!("sets of {few} rows are too small for a distance between sets");
            return Err(Failure::flag("--samples", what, format!("give at least {LEAST}")));
        }
        if self.rows == Some(0) {
            return Err(Failure::flag("--rows", "none asked for", "give at least 1, better some hundreds"));
        }
        let folder = self.on.trained.folder("an evaluation is kept in a run folder")?;
        let model = self.on.model()?;
        Evaluation::keepable(folder)?;
        let own = own_data(&model, out);
        let mut note = |line: String| out.told(line);
        let given = match &self.data {
            Some(source) => Some(self.conditions.data(&model, source, &mut note)?),
            None => None,
        };
        if let Some(known) = given.as_ref().and_then(|data| trained_on(&model, data))
            && !self.training_rows
        {
            let what = format!("the model was trained on rows of {known}, so these rows are no test of it");
            let remedy = NO_TEST;
            return Err(Failure::flag("--data", what, remedy));
        }
        let foreign: Option<Data> = match &self.against {
            Some(source) => Some(self.conditions.data(&model, source, &mut note)?),
            None => None,
        };
        // Held-out rows given elsewhere do without the model's own data.
        let own = match (own, &given) {
            (Ok(own), _) => Some(own),
            (Err(failure), Some(_)) => {
                note(format!("without the training rows: {failure}"));
                None
            }
            (Err(failure), None) => return Err(failure),
        };
        let learned = match (&given, &own) {
            (Some(data), Some(own)) => self.learned(data, own, out)?,
            _ => None,
        };
        let held_out = match (&given, &own) {
            (Some(data), _) => (data, Split::Test),
            (None, Some(own)) => (own, Split::Test),
            (None, None) => unreachable!("refused above"),
        };
        let features = self.features(&model, held_out)?;
        let samplers = sources(&model, folder)?;
        let bar = Bar::new(out);
        let progress = |what: &str, part: f64| bar.show(what, part);
        let mut subject = Subject {
            model: &model,
            held_out,
            train: own.as_ref(),
            foreign: foreign.as_ref(),
            samplers: &samplers,
            features: features.as_deref(),
            seconds: None,
            set: self.samples,
            rows: self.rows,
            key: self.on.trained.key("evaluate"),
            progress: &progress,
        };
        let asked = |name: &str| self.sections.is_empty() || self.sections.iter().any(|s| s == name);
        let count = questions().iter().filter(|q| asked(q.name) && (q.applies)(&subject)).count();
        if count == 0 {
            let asked = questions().into_iter().filter(|question| asked(question.name));
            let needs: Vec<String> = asked.map(|q| format!("{}: {}", q.name, q.about)).collect();
            let what = "nothing that is asked applies to this model with this data";
            let remedy = format!("give what it is about, or ask another section ({})", needs.join("; "));
            return Err(Failure::flag("--sections", what, remedy));
        }
        subject.seconds = (!self.full).then(|| 60.0 * self.minutes / count.max(1) as f64);
        let file = checksum(&folder.join("model.safetensors"))?;
        // Said before the work, so that who wants to keep it can.
        if let Err(why) = Evaluation::earlier(folder, &subject, &file) {
            out.note(format!("the evaluation in {} will be replaced: {why}", path(folder)));
        }
        let answered = Evaluation::of(&subject, &self.sections, file.clone(), self.on.trained.seed());
        bar.end();
        let mut evaluation = answered?;
        if let Some((first, overlap)) = evaluation.sections.first_mut().zip(learned) {
            first.warnings.push(format!("These rows are no test, for any of the numbers: {overlap}."));
        }
        let chosen = Choice::of(&model, folder)?.map_or("prior".into(), |choice| choice.chosen);
        if let Some(section) = evaluation.sections.iter_mut().find(|section| section.name == "samples") {
            name_chosen(section, &chosen);
        }
        let mut text: String = match self.verbose {
            true => evaluation.sections.iter().map(said).collect(),
            false => in_short(&evaluation, &chosen),
        };
        let seconds: f64 = evaluation.calls.iter().map(|call| call.seconds).sum();
        // Read now: another call may have ended in the meantime.
        if let Ok(Some(earlier)) = Evaluation::earlier(folder, &subject, &file) {
            evaluation = evaluation.after(earlier);
        }
        let kept: Vec<&str> = evaluation
            .calls
            .iter()
            .rev()
            .skip(1)
            .flat_map(|call| &call.answered)
            .map(String::as_str)
            .collect();
        if !kept.is_empty() {
            text.push_str(&format!("Kept of earlier calls: {}\n", kept.join(", ")));
        }
        text.push_str(&format!(
            "{} rows of {} ({} split), {}",
            evaluation.rows,
            evaluation.data,
            evaluation.split,
            duration(seconds)
        ));
        // What was found is said even where it cannot be kept.
        let mut files = Vec::new();
        let kept = evaluation.save(folder).and_then(|saved| {
            files = saved;
            if let Some(own) = &own {
                let written = report(folder, own, model.seed)?;
                let verdicts = match self.verbose {
                    true => super::train::said(&written),
                    false => headlines(&written),
                };
                text.push_str(&verdicts);
                if let Some(page) = written.files.last() {
                    text.push_str(&format!("\nreport: {}", path(page)));
                    if !self.verbose {
                        text.push_str(" (every number; here by --verbose)");
                    }
                    files.push(page.clone());
                }
            }
            Ok(())
        });
        for failed in &evaluation.failed {
            text.push_str(&format!("\nFAILED: {}: {}", failed.section, failed.why));
        }
        out.result(text, &json!({ "evaluation": evaluation, "files": json_paths(&files) }));
        kept?;
        Ok(if evaluation.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// What to do where rows turn out to be training rows.
const NO_TEST: &str = "leave --data away: the test split of its own data was kept from it; or, for a fit that is no test, add \
                       --training-rows";

impl Evaluate {
    /// Refuses rows that the model has learned, unless they were asked for; then how many they are.
    fn learned(&self, data: &Data, own: &Data, out: &Output) -> Result<Option<Overlap>, Failure> {
        let overlap = Overlap::of(&data.row_hashes(Split::Test)?, own)?;
        if overlap.is_learned() && !self.training_rows {
            return Err(Failure::flag("--data", overlap.to_string(), NO_TEST));
        }
        if overlap.shared > 0 {
            out.note(overlap.to_string());
        }
        Ok(overlap.is_learned().then_some(overlap))
    }

    /// The network of `--features`, tried on a row.
    fn features(
        &self,
        model: &Model,
        (data, split): (&Data, Split),
    ) -> Result<Option<Box<dyn Features>>, Failure> {
        let Some(path) = &self.features else { return Ok(None) };
        if !model.facts.shape.is_image() {
            let what = "a network sees pictures, and this model's samples are rows of a table";
            let remedy = "leave it away: tables are compared in their standardised columns";
            return Err(Failure::flag("--features", what, remedy));
        }
        let features = onnx(path, self.features_size, &self.features_normalise)?;
        let first: Vec<usize> = (0..data.len(split).min(1)).collect();
        features.of(&Samples::new(data.rows(split, &first, 0)?.x, &model.facts))?;
        Ok(Some(features))
    }
}

#[cfg(feature = "onnx")]
fn onnx(path: &Path, side: Option<usize>, scaling: &str) -> Result<Box<dyn Features>, Failure> {
    use latent::evaluate::features::{OnnxFeatures, OnnxSettings};
    let scaling = scaling
        .parse()
        .map_err(|what: String| Failure::flag("--features-normalise", what, "give one of them"))?;
    Ok(Box::new(OnnxFeatures::open(path, OnnxSettings { side, scaling })?))
}

#[cfg(not(feature = "onnx"))]
fn onnx(path: &Path, _: Option<usize>, _: &str) -> Result<Box<dyn Features>, Failure> {
    let what = format!("this program was built without what reads {}", path.display());
    let remedy = "build it with that: cargo install --path crates/latent-cli --features onnx";
    Err(Failure::flag("--features", what, remedy))
}

fn known_sections() -> String {
    questions().iter().map(|question| format!("  {:<16} {}\n", question.name, question.about)).collect()
}

/// The widest line, and the most warnings, that a screen has room for.
const LINE: usize = 110;
const WARNINGS: usize = 5;

/// The numbers that matter most, a line each under the question that they answer, and what to be warned of.
fn in_short(evaluation: &Evaluation, sampler: &str) -> String {
    let headlines = evaluation.headlines(sampler);
    let measures = || headlines.iter().flat_map(|(_, measures)| measures);
    let width = measures().map(|m| m.title.chars().count()).max().unwrap_or(0).min(2 * LINE / 3);
    let mut text = String::new();
    for (section, measures) in &headlines {
        text.push_str(&format!("{}\n", section.title));
        for m in measures {
            let unit = if m.unit.is_empty() { String::new() } else { format!(" {}", m.unit) };
            text.push_str(&format!("  {:width$}  {}{unit}\n", cut(&m.title, width), m.estimate));
        }
        if measures.is_empty() {
            section
                .absent
                .iter()
                .take(1)
                .for_each(|why| text.push_str(&format!("  {}\n", cut(&shown(why), LINE))));
        }
    }
    let warnings: Vec<&String> = evaluation.sections.iter().flat_map(|section| &section.warnings).collect();
    for warning in warnings.iter().take(WARNINGS) {
        text.push_str(&format!("WARNING: {}\n", cut(&shown(gist(warning)), LINE)));
    }
    if warnings.len() > WARNINGS {
        text.push_str(&format!("and {} warnings more: --verbose\n", warnings.len() - WARNINGS));
    }
    text
}

/// The verdicts of the report, without the numbers behind them.
fn headlines(written: &RunReport) -> String {
    let word = |level| match level {
        Level::Warning => "WARNING",
        Level::Note => "note",
        Level::Good => "good",
    };
    let line = |verdict: &Verdict| format!("\n{}: {}", word(verdict.level), shown(&verdict.headline));
    written.verdicts.iter().map(line).collect()
}

/// Text of at most so many letters.
fn cut(text: &str, most: usize) -> String {
    match text.chars().count() > most {
        true => text.chars().take(most.saturating_sub(1)).chain(['…']).collect(),
        false => text.into(),
    }
}

/// A section as text: a line a measure, then what to be warned of and what is absent.
fn said(section: &Section) -> String {
    let mut text = format!("{}\n", section.title);
    section.features().iter().for_each(|name| text.push_str(&format!("  features of {}\n", shown(name))));
    let width = section.measures.iter().map(|m| m.title.chars().count()).max().unwrap_or(0);
    for measure in &section.measures {
        let pad = " ".repeat(width - measure.title.chars().count());
        let unit = if measure.unit.is_empty() { String::new() } else { format!(" {}", measure.unit) };
        text.push_str(&format!(
            "  {}{pad}  {}{unit}  (n = {})\n",
            measure.title, measure.estimate, measure.n
        ));
    }
    section.warnings.iter().for_each(|warning| text.push_str(&format!("  WARNING: {}\n", shown(warning))));
    section.absent.iter().for_each(|absent| text.push_str(&format!("  without {}\n", shown(absent))));
    text + "\n"
}
