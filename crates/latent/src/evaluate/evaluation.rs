//! One call, every number with an interval: the questions of an evaluation, their answers, and the files that keep them.
//!
//! `evaluation.json` holds the sections; `evaluation-rows.csv` the value of each row for those measures that are means over
//! rows, so that two models can be compared row by row; `figures/` the pictures. The report shows all of it.
//!
//! Calls add up: sections of earlier calls are kept while model, rows and split are the same.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::{Section, Subject};
use crate::data::{Binarize, Column, DataSettings, write_csv};
use crate::error::Result;
use crate::figure::FigureError;
use crate::files::{clear_run, takes_files, write_whole};
use crate::run::Run;
use crate::store::StoreError;

/// A question and who answers it.
pub struct Question {
    /// The section's name.
    pub name: &'static str,
    /// What is asked, in words.
    pub about: &'static str,
    /// Whether it can be asked of this subject.
    pub applies: fn(&Subject<'_>) -> bool,
    /// The answer.
    pub answer: fn(&Subject<'_>) -> Result<Section>,
}

/// Every question, in the order of the report.
pub fn questions() -> Vec<Question> {
    fn always(_: &Subject<'_>) -> bool {
        true
    }
    vec![
        Question {
            name: "likelihood",
            about: "bounds of log P(x), annealed importance sampling, bits per dimension, gaps",
            applies: always,
            answer: super::likelihood,
        },
        Question {
            name: "latents",
            about: "rate by dimension, mutual information, codes against the prior, holes, probes",
            applies: always,
            answer: super::latents,
        },
        Question {
            name: "reconstruction",
            about: "squared error, PSNR, SSIM, distance of features",
            applies: always,
            answer: super::reconstruction,
        },
        Question {
            name: "samples",
            about: "Fréchet and kernel distance, precision and recall, of each sampler",
            applies: always,
            answer: |subject| super::samples(subject, subject.samplers),
        },
        Question {
            name: "conditions",
            about: "whether samples show what they were told, and how varied they are within it",
            applies: super::conditions::applies,
            answer: |subject| super::conditions(subject, subject.samplers),
        },
        Question {
            name: "memorisation",
            about: "nearest training rows of samples against those of held-out rows, C_T",
            applies: |subject| subject.train.is_some(),
            answer: |subject| super::memorisation(subject, subject.samplers),
        },
        Question {
            name: "anomaly",
            about: "AUROC against the rows of --against",
            applies: |subject| subject.foreign.is_some(),
            answer: super::anomaly,
        },
        Question {
            name: "disentanglement",
            about: "MIG, SAP, DCI, FactorVAE and β-VAE scores, for models of the shapes",
            applies: super::disentanglement::applies,
            answer: super::disentanglement,
        },
    ]
}

/// The answers about one model on one set of held-out rows, from one call or several.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Evaluation {
    /// The checksum of the model file: another model needs another evaluation.
    pub model: String,
    /// The held-out rows.
    pub data: String,
    /// Which part of them.
    pub split: String,
    /// How many there are.
    pub rows: usize,
    /// The hash of their contents, with what drew them: per-row values are paired only where it is the same.
    pub data_hash: String,
    /// What the likelihood is a density with respect to: models are ranked only within one.
    pub base_measure: String,
    /// The calls that it came from, the latest last.
    #[serde(default)]
    pub calls: Vec<Call>,
    /// The answers, in the order of [`questions`].
    pub sections: Vec<Section>,
    /// The pictures of each section, files of that name in `figures/`.
    pub pictures: Vec<PictureFile>,
    /// The sections of the latest call that could not be answered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failed: Vec<Failed>,
}

/// A section that could not be answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Failed {
    /// Its name.
    pub section: String,
    /// Why.
    pub why: String,
}

/// How some sections were answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// The names of its sections, less those that a later call has answered again.
    #[serde(default)]
    pub answered: Vec<String>,
    /// The version of the program.
    pub program: String,
    /// What every draw descended from.
    pub seed: u64,
    /// Whether all rows were read for everything.
    pub full: bool,
    /// About how many seconds each section was given; none where all rows were read, or where it was not noted.
    #[serde(default)]
    pub budget: Option<f64>,
    /// How many rows the sets of samples were to have, where that was asked for.
    #[serde(default)]
    pub set: Option<usize>,
    /// How long the whole call took.
    pub seconds: f64,
}

/// A picture of an evaluation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PictureFile {
    /// The section that it belongs to.
    pub section: String,
    /// The file's name without its ending.
    pub name: String,
    /// What the reader should see in it.
    pub caption: String,
}

/// The name of the file in a run folder.
const FILE: &str = "evaluation.json";
/// The name of the file of values by row.
const ROWS_FILE: &str = "evaluation-rows.csv";

impl Evaluation {
    /// Whether what is to be found out can be kept in a run folder, before hours of work are spent on it.
    ///
    /// # Errors
    /// What the system says of a file there: no right to write, no room.
    pub fn keepable(folder: &Path) -> Result<()> {
        let io = |source| StoreError::Io { path: folder.into(), source };
        Ok(takes_files(folder).map_err(io)?)
    }

    /// Asks those questions that `wanted` names (all that apply where it is empty). `model` is the checksum of its file. A
    /// section that fails, on unreadable rows or a figure that cannot be drawn, does not take the others with it: it is named
    /// in [`Evaluation::failed`].
    ///
    /// # Errors
    /// What the first section met, where all failed.
    pub fn of(subject: &Subject<'_>, wanted: &[String], model: String, seed: u64) -> Result<Self> {
        let begun = Instant::now();
        let (data, split) = subject.held_out;
        let (mut sections, mut errors) = (Vec::new(), Vec::new());
        for question in questions() {
            let asked = wanted.is_empty() || wanted.iter().any(|name| name == question.name);
            if asked && (question.applies)(subject) {
                match (question.answer)(subject) {
                    Ok(section) => sections.push(section),
                    Err(error) => errors.push((question.name, error)),
                }
            }
        }
        let failed =
            errors.iter().map(|(name, error)| Failed { section: (*name).into(), why: error.to_string() });
        let failed = failed.collect();
        match errors.into_iter().next() {
            Some((_, error)) if sections.is_empty() => return Err(error),
            _ => {}
        }
        if subject.model.data.binarize != Binarize::None {
            apart(&mut sections);
        }
        let picture = |section: &Section, (name, caption): (&String, &String)| PictureFile {
            section: section.name.clone(),
            name: name.clone(),
            caption: caption.clone(),
        };
        let pictures = sections
            .iter()
            .flat_map(|s| s.figures.iter().map(move |(name, caption, _)| picture(s, (name, caption))))
            .collect();
        let call = Call {
            answered: sections.iter().map(|section| section.name.clone()).collect(),
            program: env!("CARGO_PKG_VERSION").into(),
            seed,
            full: subject.seconds.is_none(),
            budget: subject.seconds,
            set: subject.set,
            seconds: begun.elapsed().as_secs_f64(),
        };
        Ok(Self {
            model,
            data: data.facts().source.clone(),
            split: split.to_string(),
            rows: data.len(split),
            data_hash: rows_hash(subject),
            base_measure: subject.model.functions.likelihood.measure().name(),
            calls: vec![call],
            sections,
            pictures,
            failed,
        })
    }

    /// The evaluation in a run folder whose sections still hold for this subject; none where there is none. `model` is the
    /// checksum of the model file.
    ///
    /// # Errors
    /// Why they hold no more, in words: they are about another model or other rows, or cannot be read.
    pub fn earlier(
        folder: &Path,
        subject: &Subject<'_>,
        model: &str,
    ) -> std::result::Result<Option<Self>, String> {
        let (_, split) = subject.held_out;
        let Some(earlier) = Self::load(folder).map_err(|error| error.to_string())? else { return Ok(None) };
        if earlier.model != model {
            return Err("it judged another model".into());
        }
        if (&earlier.data_hash, &earlier.split) != (&rows_hash(subject), &split.to_string()) {
            return Err(format!("it judged on other rows: {} ({} split)", earlier.data, earlier.split));
        }
        Ok(Some(earlier))
    }

    /// With those sections of an earlier evaluation that this one does not answer itself.
    #[must_use]
    pub fn after(mut self, mut earlier: Self) -> Self {
        let again = |name: &str| self.sections.iter().any(|section| section.name == name);
        earlier.sections.retain(|section| !again(&section.name));
        earlier.pictures.retain(|picture| !again(&picture.section));
        earlier.calls.iter_mut().for_each(|call| call.answered.retain(|name| !again(name)));
        earlier.calls.retain(|call| !call.answered.is_empty());
        self.sections.append(&mut earlier.sections);
        self.pictures.append(&mut earlier.pictures);
        self.calls.splice(..0, earlier.calls);
        let order: Vec<&str> = questions().iter().map(|question| question.name).collect();
        self.sections.sort_by_key(|section| order.iter().position(|name| *name == section.name));
        self
    }

    /// Writes `evaluation.json`, `evaluation-rows.csv` and the figures (PNG and SVG) into a run folder, each whole or not at
    /// all. Returns what was written.
    ///
    /// # Errors
    /// Where a file cannot be written.
    pub fn save(&self, folder: &Path) -> Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        let figures = folder.join("figures");
        std::fs::create_dir_all(&figures)
            .map_err(|source| FigureError::Io { path: figures.clone(), source })?;
        for (name, _, figure) in self.sections.iter().flat_map(|section| &section.figures) {
            for ending in ["png", "svg"] {
                let path = figures.join(format!("{name}.{ending}"));
                figure.save(&path)?;
                files.push(path);
            }
        }
        let path = folder.join(ROWS_FILE);
        let (header, columns) = self.by_row();
        write_csv(&path, &header, &columns)?;
        files.push(path);
        let path = folder.join(FILE);
        let text = serde_json::to_vec_pretty(self).map_err(|error| StoreError::Malformed {
            path: path.clone(),
            what: format!("it cannot be written as JSON: {error}"),
            remedy: "report this as a bug".into(),
        })?;
        write_whole(&path, |out| out.write_all(&text))
            .map_err(|source| StoreError::Io { path: path.clone(), source })?;
        files.push(path);
        clear_run(folder);
        Ok(files)
    }

    /// Reads the evaluation of a run folder, with its values by row; none where there is none.
    ///
    /// # Errors
    /// Where the file is there and cannot be read.
    pub fn load(folder: &Path) -> Result<Option<Self>> {
        let path = folder.join(FILE);
        if !path.exists() {
            return Ok(None);
        }
        let malformed = |what: String| StoreError::Malformed {
            path: path.clone(),
            what,
            remedy: format!("judge it again: latent evaluate {}", folder.display()),
        };
        let text = std::fs::read(&path).map_err(|source| StoreError::Read { path: path.clone(), source })?;
        let mut evaluation: Self = serde_json::from_slice(&text)
            .map_err(|error| malformed(format!("not an evaluation: {error}")))?;
        // Older files are of one call, whose fields stand beside the sections.
        if evaluation.calls.is_empty()
            && let Ok(mut call) = serde_json::from_slice::<Call>(&text)
        {
            call.answered = evaluation.sections.iter().map(|section| section.name.clone()).collect();
            evaluation.calls.push(call);
        }
        evaluation.data_hash = hash_by_run(evaluation.data_hash, folder);
        let rows = folder.join(ROWS_FILE);
        if rows.exists() {
            evaluation.take_rows(&rows).map_err(malformed)?;
        }
        Ok(Some(evaluation))
    }

    /// `row`, then a column for each measure that has values by row; empty where a measure did not read the row.
    fn by_row(&self) -> (Vec<String>, Vec<Column>) {
        let mut header = vec!["row".to_string()];
        let mut table: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
        let measures = self.sections.iter().flat_map(|s| s.measures.iter().map(move |m| (s, m)));
        let with_rows: Vec<_> = measures.filter(|(_, measure)| !measure.rows.is_empty()).collect();
        for (column, (section, measure)) in with_rows.iter().enumerate() {
            header.push(format!("{}.{}", section.name, measure.name));
            for &(id, value) in &measure.rows {
                table.entry(id).or_insert_with(|| vec![f64::NAN; with_rows.len()])[column] = value;
            }
        }
        let mut columns = vec![Column::Names(table.keys().map(u64::to_string).collect())];
        // In full: a number that is read back is the one that was written.
        let text = |v: f64| if v.is_nan() { String::new() } else { v.to_string() };
        let column = |c: usize| Column::Names(table.values().map(|values| text(values[c])).collect());
        columns.extend((0..with_rows.len()).map(column));
        (header, columns)
    }

    fn take_rows(&mut self, path: &Path) -> std::result::Result<(), String> {
        let bad = |error: csv::Error| format!("{}: {error}", path.display());
        let mut reader = csv::Reader::from_path(path).map_err(bad)?;
        let header = reader.headers().map_err(bad)?.clone();
        for record in reader.records() {
            let record = record.map_err(bad)?;
            let Some(Ok(id)) = record.get(0).map(str::parse::<u64>) else {
                return Err(format!("{}: a row without a number", path.display()));
            };
            for (name, cell) in header.iter().zip(record.iter()).skip(1) {
                let (Some((section, measure)), Ok(value)) = (name.split_once('.'), cell.parse::<f64>())
                else {
                    continue;
                };
                let section = self.sections.iter_mut().find(|s| s.name == section);
                if let Some(measure) = section.and_then(|s| s.measures.iter_mut().find(|m| m.name == measure))
                {
                    measure.rows.push((id, value));
                }
            }
        }
        Ok(())
    }
}

/// The hash of the held-out rows as the model sees them.
fn rows_hash(subject: &Subject<'_>) -> String {
    let (model, hash) = (subject.model, &subject.held_out.0.facts().hash);
    drawn_by(hash, &model.data, model.seed, *hash == model.facts.hash)
}

/// The same for an evaluation that an older program wrote into a run folder.
fn hash_by_run(hash: String, folder: &Path) -> String {
    let path = folder.join("run.toml");
    let run = std::fs::read_to_string(&path).ok().and_then(|text| Run::from_toml(&text, &path).ok());
    match run {
        Some(run) if !hash.contains(DRAWN_BY) => drawn_by(&hash, &run.data, run.seed, hash == run.facts.hash),
        _ => hash,
    }
}

/// A hash with the seed of the run, where that split these rows or drew their bits and the hash has no word of it: in runs
/// whose data has no seed of its own.
fn drawn_by(hash: &str, data: &DataSettings, seed: u64, is_own: bool) -> String {
    let draws = is_own || matches!(data.binarize, Binarize::Static | Binarize::Dynamic);
    if data.seed.is_none() && draws { format!("{hash}{DRAWN_BY}{seed}") } else { hash.into() }
}

const DRAWN_BY: &str = " by seed ";

/// Bits drawn from grey values are other rows than these: no error or distance ranks a model of one with a model of the
/// other. Likelihoods have their base measure.
fn apart(sections: &mut [Section]) {
    let sections = sections.iter_mut().filter(|section| section.name != "likelihood");
    sections.flat_map(|section| &mut section.measures).for_each(|measure| measure.share("binarised rows"));
}

/// The checksum of a model's file.
///
/// # Errors
/// Where it cannot be read.
pub fn checksum(model: &Path) -> Result<String> {
    let bytes = std::fs::read(model).map_err(|source| StoreError::Read { path: model.into(), source })?;
    Ok(format!("{:08x}", crc32c::crc32c(&bytes)))
}

#[cfg(test)]
mod tests {
    use super::super::{Better, Estimate, Measure};
    use super::*;

    fn example() -> Evaluation {
        let mut likelihood = Section::new("likelihood", "How likely?");
        let elbo = Measure::new(
            "elbo",
            "ELBO",
            "nats",
            Estimate { value: -90.0, low: -91.0, high: -89.5 },
            3,
            Better::Higher,
        );
        likelihood.add(elbo.note("one draw").rows(&[7, 3, 9], &[-89.0, f64::from(0.1f32), -89.75]));
        let bound = Measure::new("iw", "bound", "nats", Estimate::exact(-88.0), 2, Better::Higher);
        likelihood.add(bound.rows(&[3, 9], &[-88.5, -87.5]));
        likelihood.warnings.push("Loose: more draws".into());
        Evaluation {
            model: "00".into(),
            data: "x.npy".into(),
            split: "test".into(),
            rows: 3,
            data_hash: "h".into(),
            base_measure: "Lebesgue measure".into(),
            calls: vec![call(1, "likelihood")],
            sections: vec![likelihood],
            pictures: vec![picture("likelihood", "likelihood-gaps")],
            failed: Vec::new(),
        }
    }

    fn call(seed: u64, section: &str) -> Call {
        let [program, section] = ["0", section].map(String::from);
        Call {
            answered: vec![section],
            program,
            seed,
            full: false,
            budget: Some(3.0),
            set: None,
            seconds: 1.5,
        }
    }

    fn picture(section: &str, name: &str) -> PictureFile {
        PictureFile { section: section.into(), name: name.into(), caption: "What it is".into() }
    }

    /// One section with one measure of rows 1 and 2.
    fn of_section(name: &str, seed: u64, value: f64) -> Evaluation {
        let mut section = Section::new(name, "How?");
        let measure = Measure::new("mse", "error", "", Estimate::exact(value), 2, Better::Lower);
        section.add(measure.rows(&[1, 2], &[value, value + 0.5]));
        let pictures = vec![picture(name, &format!("{name}-{seed}"))];
        Evaluation { calls: vec![call(seed, name)], sections: vec![section], pictures, ..example() }
    }

    #[test]
    fn what_is_saved_is_loaded_with_its_values_by_row() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Evaluation::load(folder.path()).unwrap().is_none());
        let saved = example();
        saved.save(folder.path()).unwrap();
        let loaded = Evaluation::load(folder.path()).unwrap().unwrap();
        let (mut ours, theirs) = (saved.sections, loaded.sections);
        // Rows come back in the order of their ids.
        ours[0].measures.iter_mut().for_each(|measure| measure.rows.sort_by_key(|(id, _)| *id));
        assert_eq!(ours, theirs);
        std::fs::write(folder.path().join(FILE), "{").unwrap();
        let error = Evaluation::load(folder.path()).unwrap_err().to_string();
        assert!(error.contains("evaluation.json") && error.contains("latent evaluate"), "{error}");
    }

    #[test]
    fn calls_add_up_and_what_is_asked_again_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let loaded = || Evaluation::load(folder.path()).unwrap().unwrap();
        of_section("samples", 1, 0.25).save(folder.path()).unwrap();
        of_section("likelihood", 2, 0.5).after(loaded()).save(folder.path()).unwrap();
        of_section("samples", 3, 0.75).after(loaded()).save(folder.path()).unwrap();
        let found = loaded();
        let all: Vec<_> =
            found.sections.iter().map(|s| (s.name.as_str(), s.measures[0].estimate.value)).collect();
        assert_eq!(all, [("likelihood", 0.5), ("samples", 0.75)]);
        assert_eq!(found.calls, [call(2, "likelihood"), call(3, "samples")]);
        assert_eq!(
            found.sections.iter().map(|s| s.measures[0].rows.clone()).collect::<Vec<_>>(),
            [vec![(1, 0.5), (2, 1.0)], vec![(1, 0.75), (2, 1.25)]]
        );
        let mut pictures: Vec<_> = found.pictures.iter().map(|picture| picture.name.as_str()).collect();
        pictures.sort_unstable();
        assert_eq!(pictures, ["likelihood-2", "samples-3"]);
    }

    #[test]
    fn a_file_of_one_call_is_still_read() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = serde_json::to_value(example()).unwrap();
        let object = file.as_object_mut().unwrap();
        object.remove("calls");
        for (key, value) in [("program", "0".into()), ("seed", 7.into()), ("full", true.into())] {
            object.insert(key.into(), value);
        }
        object.insert("seconds".into(), 1.5.into());
        std::fs::write(folder.path().join(FILE), file.to_string()).unwrap();
        let loaded = Evaluation::load(folder.path()).unwrap().unwrap();
        assert_eq!(loaded.calls, [Call { full: true, budget: None, ..call(7, "likelihood") }]);
    }

    #[test]
    fn numbers_on_bits_are_not_ranked_with_numbers_on_grey_values() {
        let one = || Measure::new("mse", "squared error", "", Estimate::exact(0.1), 5, Better::Lower);
        let section = |name: &str| {
            let mut section = Section::new(name, "How near?");
            section.add(one().within("n = 5"));
            section.add(one());
            section
        };
        let mut sections = [section("likelihood"), section("reconstruction")];
        apart(&mut sections);
        let within: Vec<&str> =
            sections.iter().flat_map(|s| &s.measures).map(|m| m.within.as_str()).collect();
        assert_eq!(within, ["n = 5", "", "n = 5, binarised rows", "binarised rows"]);
    }

    #[test]
    fn what_is_not_finite_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let mut saved = example();
        saved.sections[0].measures[0].estimate = Estimate::normal(-90.0, f64::NAN);
        saved.save(folder.path()).unwrap();
        let estimate = Evaluation::load(folder.path()).unwrap().unwrap().sections[0].measures[0].estimate;
        assert!(estimate.value == -90.0 && estimate.low.is_nan());
        assert_eq!(estimate.to_string(), "−90.00 [NaN, NaN]");
    }
}
