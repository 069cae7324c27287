//! Does a condition hold? What samples show of what they were told, beside how well it can be read from real rows at all.
//!
//! For each attribute that the model is told, a reader learns it from training rows: of classes the better, on training rows
//! kept for that, of logistic regression and of the vote of 10 neighbours; of numbers the mean of 10 neighbours. Held-out rows
//! say how well it reads (the ceiling), the most frequent class how well one reads with closed eyes. Samples that are told
//! what those rows are show the attribute as well as real rows do where it reads them equally well:
//!
//! agreement = #{samples read as what they were told} / n,  for numbers the correlation of told and read
//!
//! variety = Σ_i ‖s_i − s̄_{g(i)}‖² / Σ_i ‖x_i − x̄_{g(i)}‖²,  g(i) the class (a fifth of the numbers) that both are told,
//!
//! which is 1 for samples as varied within their condition as rows are, and near 0 where all of one class are one.
//!
//! All of it in the first 64 principal components of training rows: pictures averaged over squares to 1024 numbers at most,
//! columns standardised. Fine texture is no part of it; the Fréchet distances of section `samples` see that.
//!
//! The classifier's agreement is that of class-conditional generation since Odena et al. (arXiv 1610.09585, section 4.1).

mod reader;

use reader::{Known, Reader, Small, chosen, neighbours, places, project};

use super::latents::{NEIGHBOURS, majority};
use super::samples::{SampleSource, prior_source};
use super::statistics::pca::Pca;
use super::{Better, Estimate, Measure, Section, Subject, Z_95};
use crate::array::Array;
use crate::data::{Attribute, Split, values_told};
use crate::error::Result;
use crate::generate::{Samples, Told, some_rows};
use crate::proportion::{proportion, proportion_of};

/// Training rows that a reader learns from.
const LEARNED: usize = 4000;

/// Held-out rows, and samples of each sampler.
const JUDGED: usize = 1000;

/// Fewer rows say nothing.
const LEAST: usize = 50;

/// Rows that are read or drawn at once.
const PART: usize = 250;

/// Principal components that all is read from.
const COMPONENTS: usize = 64;

/// Groups that numbers are parted into.
const GROUPS: usize = 5;

/// A condition that reaches less than this part of what real rows reach is warned of.
const HOLDS: f64 = 0.75;

/// Whether the model is told something, and there are rows to learn to read it from.
pub(super) fn applies(subject: &Subject<'_>) -> bool {
    subject.model.functions.condition > 0 && subject.train.is_some()
}

/// Agreement and variety of each sampler's samples, for each attribute that the model is told. Without samplers it is the prior.
///
/// # Errors
/// Where data cannot be read, or a sampler fails.
pub fn conditions(subject: &Subject<'_>, samplers: &[(String, SampleSource<'_>)]) -> Result<Section> {
    let mut section = Section::new("conditions", "Does a condition hold?");
    let facts = &subject.model.facts;
    let key = subject.key.fold("conditions");
    let Some(train) = subject.train.filter(|train| train.len(Split::Train) >= 2 * LEAST) else {
        section.absent.push(
            "What samples show of their condition is read as training rows teach it: there are too few."
                .into(),
        );
        return Ok(section);
    };
    let (data, split) = subject.held_out;
    let prior = [("prior".to_string(), prior_source(subject.model))];
    let samplers = if samplers.is_empty() { &prior[..] } else { samplers };
    let said = |what: &str, share: f64| (subject.progress)(&format!("conditions: {what}"), share);

    let small = Small::new(subject);
    let mut order = key.fold("train").permutation(train.len(Split::Train));
    order.truncate(LEARNED);
    let (mut learned, mut told) = (Vec::new(), Vec::new());
    for part in order.chunks(PART) {
        let rows = train.rows(Split::Train, part, 0)?;
        learned.extend(small.of(&Samples::new(rows.x, facts))?);
        told.extend(rows.condition);
        said("training rows", learned.len() as f64 / (order.len() * small.numbers) as f64);
    }
    let Some(pca) = Pca::fit(&learned, small.numbers, COMPONENTS) else {
        section
            .absent
            .push("What samples show of their condition: training rows are not finite numbers.".into());
        return Ok(section);
    };
    let learned = project(&pca, &learned, small.numbers);
    let learned_values = values_told(&facts.condition, &told);

    let rows = some_rows(data, split, JUDGED, key.fold("held out"))?;
    let n = rows.len();
    if n < LEAST {
        section.absent.push(format!("What samples show of their condition: {n} held-out rows are too few."));
        return Ok(section);
    }
    let told = Told::of(&rows);
    let values = values_told(&facts.condition, &rows.condition);
    let mut sets = vec![project(&pca, &small.of(&Samples::new(rows.x, facts))?, small.numbers)];
    for (name, source) in samplers {
        let key = key.fold(name.as_str());
        let mut drawn = Vec::with_capacity(n * small.numbers);
        for start in (0..n).step_by(PART) {
            let part: Vec<usize> = (start..n.min(start + PART)).collect();
            drawn.extend(small.of(&source(&told.select(&part), key.fold(start))?)?);
            said(&format!("samples, {name}"), part.len() as f64 / n as f64);
        }
        sets.push(project(&pca, &drawn, small.numbers));
    }
    let finite = |set: &Array| set.values.iter().all(|v| v.is_finite());
    if !finite(&sets[0]) {
        section
            .absent
            .push("What samples show of their condition: a held-out row is not of finite numbers.".into());
        return Ok(section);
    }
    let names: Vec<&str> = samplers.iter().map(|(name, _)| name.as_str()).collect();
    for name in names.iter().zip(&sets[1..]).filter(|(_, set)| !finite(set)).map(|(name, _)| name) {
        section.absent.push(format!("{name}: a sample is not of finite numbers; nothing is read from it."));
    }
    let judged: Vec<(&str, &Array)> =
        std::iter::once("held-out").chain(names).zip(&sets).filter(|(_, set)| finite(set)).collect();
    for ((attribute, learned_values), values) in facts.condition.iter().zip(&learned_values).zip(&values) {
        match attribute {
            Attribute::Class { name, classes, .. } => {
                let of = Known { learned: &learned, learned_values, values };
                class(&mut section, (name, classes), &of, &judged);
            }
            Attribute::Number { name, .. } => {
                let of = Known { learned: &learned, learned_values, values };
                number(&mut section, name, &of, &judged);
            }
        }
    }
    Ok(section)
}

/// The measures of a class.
fn class(section: &mut Section, (name, classes): (&str, &[String]), of: &Known<'_>, sets: &[(&str, &Array)]) {
    let (taught, labels) = of.taught();
    let labels: Vec<u32> = labels.iter().map(|place| *place as u32).collect();
    let known = places(of.values);
    let wanted: Vec<u32> = known.iter().map(|&row| of.values[row] as u32).collect();
    if classes.len() < 2 || wanted.len() < LEAST || labels.len() < LEAST {
        section.absent.push(format!("{name}: too few rows of which it is known, or only one class."));
        return;
    }
    let Some(reader) = Reader::learn(&taught, &labels, classes.len()) else {
        section.absent.push(format!("{name}: no reader could be learned from the training rows."));
        return;
    };
    let note = format!(
        "read by {}, which {} training rows taught; the most frequent class alone: {:.3}",
        reader.about(),
        labels.len(),
        majority(&wanted)
    );
    let mut ceiling = None;
    let groups: Vec<Option<usize>> =
        of.values.iter().map(|place| (!place.is_nan()).then_some(*place as usize)).collect();
    for (set, x) in sets {
        let read = reader.read(&chosen(x, &known));
        let right: Vec<bool> = read.iter().zip(&wanted).map(|(read, wanted)| read == wanted).collect();
        let estimate = proportion_of(&right);
        let least = least_read(&right, &wanted, classes.len());
        let least = least.map(|(class, share)| format!("{} ({share})", classes[class])).unwrap_or_default();
        let (title, better) = match *set {
            "held-out" => (format!("{name} read rightly, held-out rows"), Better::Neither),
            _ => (format!("{name} read as told, samples, {set}"), Better::Higher),
        };
        let measure =
            Measure::new(&format!("agreement-{name}:{set}"), &title, "", estimate, right.len(), better);
        section.add(measure.note(format!("{note}; least: {least}")));
        match ceiling {
            None => ceiling = Some(estimate),
            Some(ceiling) if estimate.high < HOLDS * ceiling.low => section.warnings.push(format!(
                "{set}: samples are read as the {name} that they were told in {:.0} % of cases, held-out rows in {:.0} %; least \
                 {least}.",
                100.0 * estimate.value,
                100.0 * ceiling.value,
            )),
            Some(_) => {}
        }
    }
    varieties(section, name, &groups, sets);
}

/// The class that is read rightly least often, of those with enough rows, and its share.
fn least_read(right: &[bool], wanted: &[u32], classes: usize) -> Option<(usize, String)> {
    const ROWS: usize = 10;
    let share = |class: usize| {
        let rows = || right.iter().zip(wanted).filter(move |(_, wanted)| **wanted as usize == class);
        let (hits, n) = (rows().filter(|(right, _)| **right).count(), rows().count());
        (n >= ROWS).then(|| proportion(hits, n).value)
    };
    let all = (0..classes).filter_map(|class| share(class).map(|share| (class, share)));
    all.min_by(|a, b| a.1.total_cmp(&b.1)).map(|(class, share)| (class, format!("{:.0} %", 100.0 * share)))
}

/// The measures of a number.
fn number(section: &mut Section, name: &str, of: &Known<'_>, sets: &[(&str, &Array)]) {
    let (taught, targets) = of.taught();
    let known = places(of.values);
    let wanted: Vec<f64> = known.iter().map(|&row| f64::from(of.values[row])).collect();
    if wanted.len() < LEAST || targets.len() < LEAST {
        section.absent.push(format!("{name}: too few rows of which it is known."));
        return;
    }
    let note = format!(
        "correlation of what is told with what is read, the mean of the {NEIGHBOURS} nearest of {} training rows",
        targets.len()
    );
    let mut ceiling = None;
    for (set, x) in sets {
        let nearest = neighbours(&chosen(x, &known), &taught);
        let mean = |rows: &Vec<u32>| {
            rows.iter().map(|&row| f64::from(targets[row as usize])).sum::<f64>() / rows.len().max(1) as f64
        };
        let Some(estimate) = correlation(&wanted, &nearest.iter().map(mean).collect::<Vec<f64>>()) else {
            section.absent.push(format!("{name}, {set}: all values are alike; there is no correlation."));
            continue;
        };
        let (title, better) = match *set {
            "held-out" => (format!("{name} told and read, held-out rows"), Better::Neither),
            _ => (format!("{name} told and read, samples, {set}"), Better::Higher),
        };
        section.add(
            Measure::new(&format!("agreement-{name}:{set}"), &title, "", estimate, wanted.len(), better)
                .note(&*note),
        );
        match ceiling {
            None => ceiling = Some(estimate),
            Some(ceiling) if estimate.high < HOLDS * ceiling.low => section.warnings.push(format!(
                "{set}: the {name} that is read from samples follows what they were told with a correlation of {:.2}, in \
                 held-out rows {:.2}.",
                estimate.value, ceiling.value
            )),
            Some(_) => {}
        }
    }
    let mut sorted = wanted.clone();
    sorted.sort_by(f64::total_cmp);
    let fifth = |value: f32| {
        let below = sorted.partition_point(|v| *v < f64::from(value));
        (!value.is_nan()).then_some((below * GROUPS / sorted.len()).min(GROUPS - 1))
    };
    varieties(section, name, &of.values.iter().map(|value| fifth(*value)).collect::<Vec<_>>(), sets);
}

/// How varied samples are within a group, beside held-out rows.
fn varieties(section: &mut Section, name: &str, groups: &[Option<usize>], sets: &[(&str, &Array)]) {
    let Some((_, held_out)) = sets.first() else { return };
    let within = spread(held_out, groups);
    for (set, x) in &sets[1..] {
        let Some(estimate) = ratio(&spread(x, groups), &within) else {
            section
                .absent
                .push(format!("variety within {name}, {set}: held-out rows of a group are all alike."));
            continue;
        };
        let title = format!("variety within {name}, samples, {set}");
        let measure = Measure::new(
            &format!("variety-{name}:{set}"),
            &title,
            "",
            estimate,
            within.len(),
            Better::Neither,
        );
        section.add(measure.note(format!(
            "variance within each {name} in {} principal components, over that of held-out rows: 1 is as varied as they are",
            x.width()
        )));
    }
}

/// The square distance of each row from the mean of its group, unbiased; of groups with two rows and more.
fn spread(set: &Array, groups: &[Option<usize>]) -> Vec<f64> {
    let count = groups.iter().flatten().max().map_or(0, |most| most + 1);
    let width = set.width();
    let (mut sums, mut counts) = (vec![0.0; count * width], vec![0usize; count]);
    let grouped = || groups.iter().enumerate().filter_map(|(row, group)| group.map(|group| (row, group)));
    for (row, group) in grouped() {
        counts[group] += 1;
        let sums = &mut sums[group * width..(group + 1) * width];
        sums.iter_mut().zip(set.row(row)).for_each(|(sum, v)| *sum += f64::from(*v));
    }
    let far = |(row, group): (usize, usize)| {
        let n = counts[group] as f64;
        let sums = &sums[group * width..(group + 1) * width];
        let square: f64 =
            set.row(row).iter().zip(sums).map(|(v, sum)| (f64::from(*v) - sum / n).powi(2)).sum();
        square * n / (n - 1.0)
    };
    grouped().filter(|(_, group)| counts[*group] > 1).map(far).collect()
}

/// The ratio of two means of independent numbers, by the delta method; none where the second is 0.
fn ratio(above: &[f64], below: &[f64]) -> Option<Estimate> {
    let (above, below) = (super::Mean::of(above), super::Mean::of(below));
    let value = above.value / below.value;
    let error = (above.error.powi(2) + (value * below.error).powi(2)).sqrt() / below.value;
    (below.value > 0.0).then(|| Estimate::normal(value, error).within(0.0, f64::INFINITY))
}

/// Pearson's correlation with Fisher's interval (tanh(artanh r ± 1.96/√(n − 3))); none where one of both is constant.
fn correlation(a: &[f64], b: &[f64]) -> Option<Estimate> {
    let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len().max(1) as f64;
    let (mean_a, mean_b) = (mean(a), mean(b));
    let product = |x: &[f64], mx: f64, y: &[f64], my: f64| -> f64 {
        x.iter().zip(y).map(|(x, y)| (x - mx) * (y - my)).sum()
    };
    let (aa, bb) = (product(a, mean_a, a, mean_a), product(b, mean_b, b, mean_b));
    if aa <= 0.0 || bb <= 0.0 {
        return None;
    }
    let value = (product(a, mean_a, b, mean_b) / (aa * bb).sqrt()).clamp(-1.0, 1.0);
    let half = Z_95 / (a.len() as f64 - 3.0).max(1.0).sqrt();
    let end = |sign: f64| (value.clamp(-1.0 + 1e-12, 1.0 - 1e-12).atanh() + sign * half).tanh();
    Some(Estimate { value, low: end(-1.0).min(value), high: end(1.0).max(value) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Key;

    fn normals(seed: u64, rows: usize, width: usize) -> Array {
        let mut values = vec![0.0; rows * width];
        Key::from_seed(seed).normals(&mut values);
        Array::matrix(values, width)
    }

    /// Rows about a centre of their class, so far apart and so wide.
    fn blobs(seed: u64, rows: usize, apart: f32, wide: f32) -> (Array, Vec<f32>) {
        let mut set = normals(seed, rows, 4);
        set.values.iter_mut().for_each(|v| *v *= wide);
        let labels: Vec<f32> = (0..rows).map(|row| (row % 3) as f32).collect();
        set.values.chunks_mut(4).zip(&labels).for_each(|(row, label)| row[*label as usize] += apart);
        (set, labels)
    }

    fn measured(samples: &Array, values: &[f32]) -> Section {
        let ((learned, learned_values), (held_out, _)) = (blobs(1, 600, 3.0, 1.0), blobs(2, 300, 3.0, 1.0));
        let mut section = Section::new("conditions", "Does it hold?");
        let of = Known { learned: &learned, learned_values: &learned_values, values };
        let classes = ["a", "b", "c"].map(String::from);
        class(&mut section, ("kind", &classes), &of, &[("held-out", &held_out), ("prior", samples)]);
        section
    }

    #[test]
    fn a_condition_that_holds_is_told_from_one_that_does_not() {
        let (honest, values) = blobs(3, 300, 3.0, 1.0);
        let found = measured(&honest, &values);
        let value = |section: &Section, name: &str| section.get(name).unwrap().estimate;
        assert!(value(&found, "agreement-kind:held-out").value > 0.9, "{found:?}");
        assert!(value(&found, "agreement-kind:prior").value > 0.9, "{found:?}");
        let variety = value(&found, "variety-kind:prior");
        assert!(variety.low < 1.0 && variety.high > 1.0, "{variety:?}");
        assert!(found.warnings.is_empty());
        // Samples that are of another class than told: it does not hold, and it is said of which class least.
        let shifted = chosen(&honest, &(0..300).map(|row| (row + 1) % 300).collect::<Vec<_>>());
        let wrong = measured(&shifted, &values);
        assert!(value(&wrong, "agreement-kind:prior").high < 0.2, "{wrong:?}");
        assert!(wrong.warnings[0].starts_with("prior: samples are read as the kind"), "{:?}", wrong.warnings);
        // All of a class alike: read rightly, without variety. A third as wide: a ninth of the variance.
        let (same, _) = blobs(4, 300, 3.0, 0.0);
        assert_eq!(value(&measured(&same, &values), "variety-kind:prior").value, 0.0);
        let (narrow, _) = blobs(5, 300, 3.0, 1.0 / 3.0);
        let ninth = value(&measured(&narrow, &values), "variety-kind:prior");
        assert!(ninth.low < 1.0 / 9.0 && ninth.high > 1.0 / 9.0, "{ninth:?}");
    }

    /// What is unknown of a row takes no part.
    #[test]
    fn rows_of_unknown_class_are_left_out() {
        let (honest, mut values) = blobs(3, 300, 3.0, 1.0);
        values.iter_mut().skip(100).for_each(|v| *v = f32::NAN);
        let found = measured(&honest, &values);
        assert_eq!(found.get("agreement-kind:prior").unwrap().n, 100);
        assert_eq!(found.get("variety-kind:prior").unwrap().n, 100);
    }

    #[test]
    fn a_number_that_is_followed_is_told_from_one_that_is_not() {
        let line = |seed: u64| {
            let mut set = normals(seed, 400, 3);
            let values: Vec<f32> = normals(seed + 10, 400, 1).values;
            set.values.chunks_mut(3).zip(&values).for_each(|(row, value)| row[0] = 5.0 * value);
            (set, values)
        };
        let ((learned, learned_values), (held_out, values)) = (line(1), line(2));
        let blind = normals(3, 400, 3);
        let mut section = Section::new("conditions", "Does it hold?");
        let of = Known { learned: &learned, learned_values: &learned_values, values: &values };
        number(&mut section, "size", &of, &[("held-out", &held_out), ("own", &held_out), ("prior", &blind)]);
        let of = |set: &str| section.get(&format!("agreement-size:{set}")).unwrap().estimate;
        assert!(of("held-out").low > 0.9 && of("own").low > 0.9 && of("prior").high < 0.3, "{section:?}");
        assert!(section.warnings.len() == 1 && section.warnings[0].starts_with("prior: the size"));
        let variety = section.get("variety-size:own").unwrap().estimate;
        assert_eq!(variety.value, 1.0);
    }

    /// r = 0.8 of 28 rows: by Fisher tanh(artanh 0.8 ± 1.959964/5) (scipy.stats.pearsonr(...).confidence_interval()).
    #[test]
    fn the_interval_of_a_correlation_is_fishers() {
        // (1, 2, 3, 4) and (1, 3, 2, 4) have r = 4/5, and seven times over the same.
        let over = |values: [f64; 4]| values.repeat(7);
        let found = correlation(&over([1.0, 2.0, 3.0, 4.0]), &over([1.0, 3.0, 2.0, 4.0])).unwrap();
        for (found, wanted) in [(found.value, 0.8), (found.low, 0.608552628), (found.high, 0.903436020)] {
            assert!((found - wanted).abs() < 1e-6, "{found} {wanted}");
        }
        // What falls as the other grows: the same with the sign turned, whatever the units.
        let turned = correlation(&over([1.0, 2.0, 3.0, 4.0]), &over([-10.0, -30.0, -20.0, -40.0])).unwrap();
        assert!(
            (turned.low + found.high).abs() < 1e-12 && (turned.high + found.low).abs() < 1e-12,
            "{turned:?}"
        );
        // All on a line: no interval is left below it. Nothing is known of a constant.
        let line = correlation(&over([1.0, 2.0, 3.0, 4.0]), &over([2.0, 4.0, 6.0, 8.0])).unwrap();
        assert!(line.value > 1.0 - 1e-12 && line.low > 0.999_99 && line.high >= line.value, "{line:?}");
        assert!(
            correlation(&[1.0, 1.0], &[1.0, 2.0]).is_none()
                && correlation(&[1.0, 2.0], &[3.0, 3.0]).is_none()
        );
    }
}
