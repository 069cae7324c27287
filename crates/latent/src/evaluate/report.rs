//! The report of a run: what was learned and how good it is, in pictures, numbers and plain words.
//!
//! Figures go to `figures/*.png` of the run folder and, together with every number, into one `report.html`. What matters
//! stands first: verdicts, the best sampler's samples beside the nearest training rows, what comes back of held-out rows.

use std::path::{Path, PathBuf};

use super::judged::judged;
use super::{Findings, Mean, Pca, Terms, Verdict, terms, verdicts};
use super::{bits, named, pictured, sampled};
use crate::batch::{Given, Latent, Support};
use crate::data::{Data, SampleShape, Split};
use crate::device::host_f64;
use crate::error::Result;
use crate::figure::{
    Animation, Axis, CodeMap, Contours, CurvePanel, DensityGrid, Figure, FigureError, LatentView, Mosaic,
    Plot, Region, Regions, Report, Section, Series, Table, code_map, panels, regions_and_mosaic,
    training_curves,
};
use crate::files::clear_run;
use crate::generate::sampler::{Choice, TwoSample, two_sample};
use crate::generate::{Observe, Samples, Told, Traversed, some_rows, told_as};
use crate::key::Key;
use crate::model::{BaseMeasure, Model};
use crate::run::Run;
use crate::train::{Counters, Keep, Line};
use crate::words::thousands;

/// What was written and what it says.
#[derive(Clone, Debug)]
pub struct RunReport {
    /// The judgements.
    pub verdicts: Vec<Verdict>,
    /// The numbers behind them.
    pub findings: Findings,
    /// Every file written, the report last.
    pub files: Vec<PathBuf>,
}

/// Rows that numbers are read from, at most.
const ROWS: usize = 2000;

/// Draws the figures of a run and writes its report; samples and choices of rows descend from `seed`. Reads training and
/// validation rows; the test split stays unread.
///
/// # Errors
/// What loading the model, reading rows, drawing and writing files say.
pub fn report(folder: &Path, data: &Data, seed: u64) -> Result<RunReport> {
    let key = Key::from_seed(seed).fold("report");
    let model = Model::load(folder)?;
    let run = model.run()?;
    let log = read_log(&folder.join("metrics.jsonl"));
    let validation = series(&log, "loss", true);
    let best = Counters::load(&folder.join("checkpoints/last.safetensors")).ok().and_then(|c| c.best);
    let kept = match (run.train.keep, best) {
        (Keep::Best, Some((_, value))) => Some(value),
        _ => validation.last().map(|v| v[1]),
    };
    let choice = Choice::of(&model, folder)?;
    let judged_before = |name: &str| {
        let row = choice
            .as_ref()
            .filter(|choice| choice.is_current())?
            .table
            .iter()
            .find(|row| row.sampler == name)?;
        Some(row.two_sample)
    };
    let chosen = choice.as_ref().map(|choice| choice.chosen.clone()).filter(|name| name != "prior");
    let findings = Findings {
        train: terms(&model, data, Split::Train, ROWS, key)?,
        held_out: terms(&model, data, Split::Validation, ROWS, key)?,
        validation,
        kept,
        spread: (data.facts().variance.iter().map(|&v| f64::from(v)).sum::<f64>()
            / data.facts().variance.len().max(1) as f64)
            .sqrt(),
        prior: match judged_before("prior") {
            Some(judged) => Some(judged),
            None => prior_against_codes(&model, data, ROWS, key.fold("two-sample"))?,
        },
        fitted: chosen.clone().and_then(|name| judged_before(&name).map(|judged| (name, judged))),
    };
    let verdicts = verdicts(&findings);
    let file = super::checksum(&folder.join("model.safetensors"))?;
    let figures = folder.join("figures");
    std::fs::create_dir_all(&figures).map_err(|source| FigureError::Io { path: figures.clone(), source })?;
    clear_run(folder);
    let mut book = Book { report: opening(&model, &run, &findings), figures, files: Vec::new() };
    for verdict in &verdicts {
        book.report = book.report.verdict(verdict.level, &verdict.headline, &verdict.evidence);
    }
    let evaluation = super::Evaluation::load(folder)?.filter(|evaluation| evaluation.model == file);
    let about = About { model: &model, data, run: &run, seed, key };
    match model.functions.sample {
        SampleShape::Image { .. } => pictured::pictures(&mut book, &about, folder, &findings)?,
        SampleShape::Vector { .. } => tables(&mut book, &about)?,
    }
    bits::bits(&mut book, &about)?;
    named::named(&mut book, &about)?;
    let table = sampled::table(&model, folder, evaluation.as_ref())?;
    if let (Some(section), Some(_)) = (table, &choice) {
        book.section(section);
        if chosen.is_some() && model.facts.shape.is_image() {
            pictured::the_priors_own(&mut book, &about)?;
        }
    }
    codes(&mut book, &model, data, key)?;
    curves(&mut book, &run, &log, best.map(|(step, _)| step))?;
    numbers(&mut book, &model, &findings);
    if let Some(evaluation) = evaluation {
        let report = std::mem::replace(&mut book.report, Report::new(""));
        book.report = judged(report, &evaluation, &book.figures, choice.is_some());
    }
    let settings = model.run.clone();
    book.report = book.report.details("Settings (run.toml)", settings).details("Environment", environment());
    let path = folder.join(PAGE);
    book.report.of(file).save(&path)?;
    book.files.push(path);
    Ok(RunReport { verdicts, findings, files: book.files })
}

/// The name of the page in a run folder.
const PAGE: &str = "report.html";

/// Whether the report of a run folder is of the model that lies there: one that was drawn before the run went on is not.
pub fn is_current(folder: &Path) -> bool {
    let model = super::checksum(&folder.join("model.safetensors")).ok();
    model.is_some() && Report::drawn_from(&folder.join(PAGE)) == model
}

/// Fewer rows say nothing of where codes lie.
const LEAST_ROWS: usize = 40;

/// Draws of q(z|x) of validation rows against as many codes of the prior.
fn prior_against_codes(model: &Model, data: &Data, most: usize, key: Key) -> Result<Option<TwoSample>> {
    let rows = some_rows(data, Split::Validation, most, key)?;
    if rows.len() < LEAST_ROWS {
        return Ok(None);
    }
    let codes = model.draw_codes(&rows, key.fold("codes"))?;
    let drawn = model.prior_codes_told(&Told::of(&rows), key.fold("prior"))?;
    Ok(Some(two_sample(&codes, &drawn, key)?))
}

/// What a report is about.
pub(super) struct About<'a> {
    pub model: &'a Model,
    pub data: &'a Data,
    pub run: &'a Run,
    /// What the samples descend from.
    pub seed: u64,
    /// The same, as a key.
    pub key: Key,
}

/// The report under way and the files beside it.
pub(super) struct Book {
    report: Report,
    figures: PathBuf,
    files: Vec<PathBuf>,
}

impl Book {
    pub(super) fn save(&mut self, name: &str, figure: &Figure) -> Result<()> {
        for ending in ["png", "svg"] {
            let path = self.figures.join(format!("{name}.{ending}"));
            figure.save(&path)?;
            self.files.push(path);
        }
        Ok(())
    }

    /// A picture that moves, `name.apng`.
    pub(super) fn save_moving(&mut self, name: &str, moving: &Animation) -> Result<()> {
        let path = self.figures.join(format!("{name}.apng"));
        moving.save(&path)?;
        self.files.push(path);
        Ok(())
    }

    pub(super) fn section(&mut self, section: Section) {
        self.report = std::mem::replace(&mut self.report, Report::new("")).section(section);
    }
}

fn opening(model: &Model, run: &Run, findings: &Findings) -> Report {
    let facts = &model.facts;
    let kind = match (&run.preset, model.functions.posterior.has_density()) {
        (Some(preset), _) => preset.clone(),
        (None, true) => "Generative autoencoder".into(),
        (None, false) => "Autoencoder".into(),
    };
    let mut lead = format!(
        "The model learned from {} rows of {} ({}). It squeezes each into {} latent numbers and brings it back with {} \
         weights. On {} rows that it did not learn from, what comes back is off by {:.3} per number (root mean square; the \
         values themselves spread by {:.3}).",
        thousands(facts.rows[0]),
        facts.source,
        facts.shape,
        model.functions.latent.dims(),
        thousands(model.weights.trained_count() as u64),
        thousands(findings.held_out.rows as u64),
        findings.held_out.squared_error.value.sqrt(),
        findings.spread,
    );
    if model.functions.likelihood.measure() == BaseMeasure::None {
        lead.push_str(
            " Its distortion is a cross-entropy on grey values, not a density: no number here is a log-likelihood.",
        );
    }
    if let Some(refined) = &run.refined {
        lead.push_str(&format!(
            " Its decoder learned on for {} steps, against a critic of patches, from codes of the sampler {}: samples are sharper, \
             and the distortion is no longer the least that it was.",
            refined.steps, refined.sampler
        ));
    }
    if let Some(overlap) = facts.overlaps.first() {
        lead.push_str(&format!(
            " It was trained on rows of {overlap}, and must not be judged on that test set."
        ));
    }
    Report::new(format!("{kind} of {}", facts.source)).lead(lead)
}

/// The rows of a traversal's figure: dimensions by name and rate, and the values that they take.
pub fn labelled(ways: Vec<Traversed>, rates: &[f64]) -> Vec<(String, Vec<f64>)> {
    let name = |d: usize| match rates.get(d) {
        Some(rate) => format!("z{}  {rate:.2} nats", d + 1),
        None => format!("z{}", d + 1),
    };
    ways.into_iter().map(|way| (name(way.dim), way.values)).collect()
}

/// Dimensions with the highest rate first.
pub fn dimensions_by_rate(rates: &[f64], dims: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..dims).collect();
    if rates.len() == dims {
        order.sort_by(|&a, &b| rates[b].total_cmp(&rates[a]));
    }
    order
}

/// Columns of samples beside columns of the data.
fn tables(book: &mut Book, about: &About<'_>) -> Result<()> {
    let About { model, data, seed, key, .. } = *about;
    let rows = some_rows(data, Split::Validation, ROWS, key)?;
    let original = Samples::new(rows.x, &model.facts);
    let told = told_as(model, data, Split::Validation, ROWS, key)?;
    let samples = model.sample_told(&told, model.observe(), key.fold("samples"))?;
    let figure = samples.beside(&original, "Each column: data and samples")?;
    book.save("columns", &figure)?;
    let mut section = Section::new("Samples").figure(
        figure,
        format!(
            "The distribution of each column in held-out rows and in as many samples of the prior ({}), temperature 1, seed {seed}.",
            pictured::prior_of(about.run)
        ),
        "Histograms of columns, data beside samples",
    );
    // Two columns are a plane: there the rows themselves can be seen.
    if model.facts.width() == 2 && model.facts.table.is_none() {
        let figure = plane(&original, &samples)?;
        book.save("plane", &figure)?;
        section = section.figure(
            figure,
            "Held-out rows, and as many samples, in the plane of the two columns.",
            "Two scatter plots, data beside samples",
        );
    }
    book.section(section);
    Ok(())
}

/// Rows of two columns beside samples.
fn plane(original: &Samples, samples: &Samples) -> Result<Figure> {
    let names = original.columns();
    let plot = |title: &str, samples: &Samples| {
        let points = samples.values().chunks_exact(2).map(|row| [row[0], row[1]]).collect();
        let axis = |column: usize| Axis::linear(names.get(column).map_or("", String::as_str));
        Plot {
            title: title.into(),
            x: axis(0),
            y: axis(1),
            series: vec![Series::line("", points).drawn(crate::figure::Line::Points).coloured(0)],
            ..Plot::default()
        }
    };
    Ok(panels(&[plot("data", original), plot("samples", samples)], 2)?)
}

/// Where the codes lie, coloured by class; with two latents the regions themselves.
fn codes(book: &mut Book, model: &Model, data: &Data, key: Key) -> Result<()> {
    let rows = some_rows(data, Split::Validation, ROWS, key)?;
    let codes = model.encode(&rows)?;
    let names = &model.facts.classes;
    let classes: &[u32] = if rows.labels.len() == rows.len() { &rows.labels } else { &[] };
    let dims = model.functions.latent.dims();
    // One or two bits are points at the corners of a square.
    if dims <= 2 && model.functions.latent.support() == Some(Support::Bits) {
        return Ok(());
    }
    let Some(pca) = Pca::fit(&codes.mean.values, dims, 2) else { return Ok(()) };
    let mut section = Section::new("The codes");
    if dims == 2 {
        let figure = region_figure(model, &codes, classes, &Told::of(&rows), 300)?;
        book.save("regions", &figure)?;
        section = section
            .paragraph(
                "Each held-out row owns a region of the latent plane, the ellipse of q(z|x) at one standard deviation; under \
                 them lie the prior's contours, which hold 39, 86 and 99 % of it. Where regions touch or overlap, every code in \
                 between decodes to something plausible; where the prior has mass and no region lies, there is a hole.",
            )
            .figure(figure, "Regions, and the plane decoded.", "Ellipses of posteriors beside a mosaic of decoded images");
    }
    let points: Vec<[f64; 2]> = (0..codes.mean.rows())
        .map(|row| {
            let code = codes.mean.row(row);
            match (dims, &pca.project(code)[..]) {
                (2, _) => [f64::from(code[0]), f64::from(code[1])],
                (_, [a, b, ..]) => [*a, *b],
                (_, [a]) => [*a, 0.0],
                _ => [0.0, 0.0],
            }
        })
        .collect();
    let axis = |i: usize| match dims {
        2 => format!("z{}", i + 1),
        _ => format!("principal component {}", i + 1),
    };
    let view = LatentView {
        title: "Codes of held-out rows".into(),
        x_label: axis(0),
        y_label: axis(1),
        ..LatentView::default()
    };
    let figure = code_map(&CodeMap { points: &points, classes, names }, &view)?;
    book.save("codes", &figure)?;
    section = section.figure(
        figure,
        "The centre of q(z|x) for each held-out row, in the plane in which codes differ most.",
        "A scatter plot of codes, coloured by class",
    );
    book.section(section);
    Ok(())
}

/// The picture of regions: ellipses and contours beside the decoded plane.
fn region_figure(
    model: &Model,
    codes: &crate::generate::Codes,
    classes: &[u32],
    told: &Told,
    most: usize,
) -> Result<Figure> {
    let n = codes.mean.rows().min(most);
    let regions: Vec<Region> = (0..n)
        .map(|row| {
            let mean = codes.mean.row(row);
            let sigma = codes.deviation.as_ref().map_or([0.0, 0.0], |d| [d.row(row)[0], d.row(row)[1]]);
            Region::diagonal([mean[0].into(), mean[1].into()], sigma.map(f64::from))
        })
        .collect();
    let unit = model.functions.latent.blocks.iter().all(|block| block.support == Support::UnitInterval);
    let ends = if unit { (-0.05, 1.05) } else { (-3.5, 3.5) };
    let limits = [ends, ends];
    let columns = 20;
    let grid = Mosaic::codes(columns, columns, limits[0], limits[1]);
    let z = grid.iter().flat_map(|p| p.map(|v| v as f32)).collect();
    let shown = Regions {
        regions: &regions,
        classes: &classes[..classes.len().min(n)],
        names: &model.facts.classes,
        prior: prior_contours(model, limits[0]),
        sigmas: 1.0,
    };
    let view = LatentView {
        title: "Regions of held-out rows, and the plane decoded".into(),
        limits: Some(limits),
        ..LatentView::default()
    };
    let codes = crate::array::Array::matrix(z, 2);
    let told = told.select(&vec![0; codes.rows()]);
    let decoded = model.decode_told(&codes, &told, Observe::Mean, Key::from_seed(0))?;
    match decoded.pictures() {
        Ok(pictures) => {
            let mosaic = Mosaic { images: pictures.images()?, columns, x: limits[0], y: limits[1] };
            Ok(regions_and_mosaic(&shown, &mosaic, &view)?)
        }
        Err(_) => Ok(crate::figure::regions(&shown, &view)?),
    }
}

/// The contours of the prior in the plane: circles for N(0, I), the density on a grid for others.
fn prior_contours(model: &Model, ends: (f64, f64)) -> Contours {
    if model.functions.prior.is_standard_normal() {
        return Contours::StandardNormal;
    }
    const SIDE: usize = 80;
    let at = |i: usize| ends.0 + (ends.1 - ends.0) * i as f64 / (SIDE - 1) as f64;
    let grid = (0..SIDE * SIDE).flat_map(|cell| [at(cell % SIDE) as f32, at(cell / SIDE) as f32]).collect();
    let z = Latent::new(model.weights.device().tensor(grid, [SIDE * SIDE, 2]));
    if model.functions.prior.is_conditional() {
        return Contours::Nothing;
    }
    match model.view().prior(Given::none()).log_density(&z) {
        Some(log_density) => {
            let density = host_f64(&log_density).into_iter().map(f64::exp).collect();
            Contours::Density(DensityGrid { x: ends, y: ends, columns: SIDE, density })
        }
        None => Contours::Nothing,
    }
}

/// Each term over training, in a panel of its own.
fn curves(book: &mut Book, run: &Run, log: &[Line], best: Option<u64>) -> Result<()> {
    let best = best.and_then(|step| log.iter().find(|line| line.step == step)).map(|line| line.epoch);
    let mut names = vec!["loss".to_string()];
    if let Some(toml::Value::Table(terms)) = run.objective.get("terms") {
        names.extend(terms.keys().cloned());
    }
    let panels: Vec<CurvePanel> = names
        .iter()
        .map(|name| CurvePanel {
            name: name.clone(),
            unit: if name == "mmd" { String::new() } else { "nats per sample".into() },
            training: series(log, name, false),
            validation: series(log, name, true),
        })
        .filter(|panel| !panel.training.is_empty())
        .collect();
    if panels.is_empty() {
        return Ok(());
    }
    book.save("curves", &training_curves(&panels, "epoch", best)?)?;
    // On the page each has a place of its own, so that they stand in one column where it is narrow.
    let each = panels.iter().map(|panel| training_curves(std::slice::from_ref(panel), "epoch", best));
    let each = each.collect::<std::result::Result<Vec<_>, _>>()?;
    book.section(Section::new("Training").panels(
        each,
        "Each term over the epochs, on training batches and on the validation split.",
        "Curves of the terms over epochs",
    ));
    Ok(())
}

/// The table of terms, training beside held-out.
fn numbers(book: &mut Book, model: &Model, findings: &Findings) {
    let cell = |m: Mean| format!("{:.2} ± {:.2}", m.value, 1.96 * m.error);
    let optional = |m: Option<Mean>| m.map_or_else(|| "–".into(), cell);
    let mut section = Section::new("Numbers").paragraph(in_words(findings));
    let mut rows = Vec::new();
    let mut row = |name: &str, of: &dyn Fn(&Terms) -> String| {
        rows.push(vec![name.to_string(), of(&findings.train), of(&findings.held_out)]);
    };
    row("rows", &|t| t.rows.to_string());
    row("distortion, nats", &|t| cell(t.distortion));
    let how = if model.view().rate_is_exact() == Some(false) { " (mean over draws)" } else { "" };
    row(&format!("rate{how}, nats"), &|t| optional(t.rate));
    let measure = model.functions.likelihood.measure();
    let bound =
        if measure == BaseMeasure::None { "distortion + rate (no density), nats" } else { "−ELBO, nats" };
    row(bound, &|t| optional(t.bound));
    if let BaseMeasure::Counting { .. } = measure {
        let per = model.functions.sample.features() as f64 * std::f64::consts::LN_2;
        row("bits per dimension, at most", &|t| {
            optional(t.bound.map(|b| Mean { value: b.value / per, error: b.error / per }))
        });
    }
    row("distortion under another row's code, less its own, nats", &|t| cell(t.shuffle_loss));
    row("squared error per feature", &|t| format!("{:.5}", t.squared_error.value));
    let table = Table {
        caption: "Means over rows with 95 % intervals; z is one draw of q(z|x).".into(),
        header: ["", "training", "held out"].map(String::from).to_vec(),
        rows,
    };
    section = section.table(table).paragraph(format!("Base measure: {}.", measure.name()));
    book.section(section);
}

/// What the table of numbers says.
fn in_words(f: &Findings) -> String {
    let (new, known) = (&f.held_out, &f.train);
    let cost = match (new.bound, new.rate) {
        (Some(bound), Some(rate)) => format!(
            "A row that the model has not seen costs {:.1} nats: {:.1} for its code (the rate) and {:.1} for what the code leaves \
             open (the distortion).",
            bound.value, rate.value, new.distortion.value
        ),
        _ => format!(
            "Given its code, a row that the model has not seen costs {:.1} nats (the distortion).",
            new.distortion.value
        ),
    };
    let loss = |t: &Terms| t.bound.unwrap_or(t.distortion);
    let gap = loss(new).value - loss(known).value;
    let noise = 1.96 * loss(new).error.hypot(loss(known).error);
    let gap = if gap.abs() < noise {
        "Rows that it learned from cost as much, as far as these rows can tell.".to_string()
    } else {
        let which = if gap > 0.0 { "less" } else { "more" };
        format!("Rows that it learned from cost {:.1} nats {which}.", gap.abs())
    };
    format!(
        "{cost} {gap} Fewer nats are better; with another row's code it would cost {:.1} more.",
        new.shuffle_loss.value
    )
}

fn environment() -> String {
    format!(
        "latent {} on {} {}, {} threads",
        env!("CARGO_PKG_VERSION"),
        std::env::consts::OS,
        std::env::consts::ARCH,
        std::thread::available_parallelism().map_or(1, usize::from)
    )
}

/// The lines of a log that can be read.
pub fn read_log(path: &Path) -> Vec<Line> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().filter_map(Line::parse).collect()
}

fn series(log: &[Line], name: &str, validation: bool) -> Vec<[f64; 2]> {
    log.iter()
        .filter(|line| line.validation == validation)
        .filter_map(|line| Some([line.epoch, line.get(name)?]))
        .collect()
}
