//! What each bit of a code says, on the page of the report: what it explains, what it costs, and which classes it knows.
//!
//! explains_j = E[ln p(x|z) − ln p(x|z with z_j of another row)],  costs_j = E[KL(q(z_j|x) ‖ p(z_j))],  in nats a row
//!
//! I(z_j; y) is the mutual information of the likelier value of the bit and the class, from counts.

use burn::tensor::Tensor;

use super::report::{About, Book};
use super::{Terms, information};
use crate::array::Array;
use crate::batch::{Latent, Support};
use crate::data::{Rows, Split};
use crate::device::host_f64;
use crate::error::Result;
use crate::figure::{Section, Table, traversal};
use crate::generate::{Observe, Told, some_rows};
use crate::objective::{LabelSettings, Meaning};
use crate::proportion::proportion;

/// Rows that bits are judged on.
const ROWS: usize = 1000;

/// Bits that are shown, at most.
const MOST: usize = 16;

/// Classes with a column each, at most.
const MOST_CLASSES: usize = 12;

/// A section on the bits; nothing for other codes.
pub(super) fn bits(book: &mut Book, about: &About<'_>) -> Result<()> {
    let About { model, data, key, .. } = *about;
    let supports = model.functions.latent.supports();
    if supports.is_empty() || supports.iter().any(|support| *support != Support::Bits) {
        return Ok(());
    }
    let rows = some_rows(data, Split::Validation, ROWS, key)?;
    let codes = model.encode(&rows)?.mean;
    if codes.rows() < 2 {
        return Ok(());
    }
    let shown = codes.width().min(MOST);
    let explained = explained(about, &rows, &codes, shown);
    let costs = super::terms(model, data, Split::Validation, ROWS, key)?;
    let classes = &model.facts.classes;
    let labels: &[u32] = if rows.labels.len() == rows.len() { &rows.labels } else { &[] };
    let names = names(about);
    let table = table(&codes, &explained, &costs, labels, classes, &names);
    let mut section = Section::new("What the bits say").paragraph(
        "Likelihood picks the bits that explain most of a row, not those that have a name: a bit may know no class at all and be \
         worth its nats. What a bit explains is what a row loses when that bit is taken from another row.",
    );
    if !labels.is_empty() {
        section = section.paragraph(in_words(&codes, labels));
        if !names.is_empty() {
            section = section.paragraph(agreement(&codes, labels, classes, &names));
        }
    }
    section = section.table(table);
    if model.facts.shape.is_image() {
        let figure = faces(about, &rows, &codes, shown)?;
        book.save("bits", &figure)?;
        section = section.figure(
            figure,
            "The faces of 0 and 1: the mean of what the codes of held-out rows decode to with that bit set, the others as they are.",
            "Pairs of images, one pair a bit",
        );
    }
    book.section(section);
    Ok(())
}

/// How much each bit explains, in nats a row.
fn explained(about: &About<'_>, rows: &Rows, codes: &Array, shown: usize) -> Vec<f64> {
    let model = about.model;
    let (view, dims) = (model.view(), codes.width());
    let mut lost = vec![0.0; shown];
    for start in (0..rows.len()).step_by(250) {
        let part = start..rows.len().min(start + 250);
        let batch = model.batch(rows, part.clone());
        let n = part.len();
        let z = model
            .weights
            .device()
            .tensor::<2>(codes.values[part.start * dims..part.end * dims].to_vec(), [n, dims]);
        let own = host_f64(&view.log_likelihood(&batch, &Latent::new(z.clone())));
        let other = Tensor::cat(vec![z.clone().narrow(0, n - 1, 1), z.clone().narrow(0, 0, n - 1)], 0);
        for (bit, lost) in lost.iter_mut().enumerate() {
            let swapped = z.clone().slice_assign([0..n, bit..bit + 1], other.clone().narrow(1, bit, 1));
            let swapped = host_f64(&view.log_likelihood(&batch, &Latent::new(swapped)));
            *lost += own.iter().zip(&swapped).map(|(own, swapped)| own - swapped).sum::<f64>();
        }
    }
    lost.into_iter().map(|lost| lost / rows.len().max(1) as f64).collect()
}

/// A bit that labels have taught: its column, and the class in which it is 1.
type Name = (usize, u32);

/// The bits that terms of the kind `label` have taught.
fn names(about: &About<'_>) -> Vec<Name> {
    let of = |meaning: Meaning| match meaning {
        Meaning::Bits(named) => named,
        Meaning::Category { .. } => Vec::new(),
    };
    let taught =
        LabelSettings::taught(&about.run.objective, &about.model.facts, &about.model.functions.latent);
    taught.into_iter().flat_map(of).collect()
}

/// How often each bit that has a name says what it means.
fn agreement(codes: &Array, labels: &[u32], classes: &[String], names: &[Name]) -> String {
    let each = names.iter().map(|&(bit, class)| {
        let right = (0..codes.rows()).filter(|&row| (codes.row(row)[bit] > 0.5) == (labels[row] == class));
        let share = proportion(right.count(), codes.rows());
        let class = classes.get(class as usize).map_or("?", String::as_str);
        format!(
            "z{} ({class}) in {:.1} % [{:.1}, {:.1}]",
            bit + 1,
            100.0 * share.value,
            100.0 * share.low,
            100.0 * share.high
        )
    });
    format!(
        "Labels of training rows have given bits a name. On these rows, whose labels were not seen, a bit is 1 in its class and 0 in \
         the others: {}.",
        each.collect::<Vec<_>>().join(", ")
    )
}

/// A row a bit: how often it is 1, what it explains and costs, what it says of the class, and how often it is 1 in each.
fn table(
    codes: &Array,
    explained: &[f64],
    costs: &Terms,
    labels: &[u32],
    classes: &[String],
    names: &[Name],
) -> Table {
    let percent = |share: Option<f64>| share.map_or("–".into(), |share| format!("{:.0}", 100.0 * share));
    let share = |bit: usize, of: &dyn Fn(usize) -> bool| {
        let rows: Vec<usize> = (0..codes.rows()).filter(|&row| of(row)).collect();
        let ones = rows.iter().filter(|&&row| codes.row(row)[bit] > 0.5).count();
        (!rows.is_empty()).then(|| ones as f64 / rows.len() as f64)
    };
    let named = !labels.is_empty() && classes.len() <= MOST_CLASSES;
    let mut header = ["bit", "is 1, %", "explains, nats", "costs, nats"].map(String::from).to_vec();
    if !labels.is_empty() {
        header.push("knows of the class, bits".into());
    }
    if named {
        header.extend(classes.iter().map(|class| format!("1 in {class}, %")));
    }
    let called = |bit: usize| {
        let name =
            names.iter().find(|(named, _)| *named == bit).and_then(|(_, class)| classes.get(*class as usize));
        format!("z{}{}", bit + 1, name.map(|name| format!(" ({name})")).unwrap_or_default())
    };
    let rows = explained.iter().enumerate().map(|(bit, explained)| {
        let cost = costs.rate_per_dimension.get(bit).map_or("–".into(), |rate| format!("{rate:.2}"));
        let mut row = vec![called(bit), percent(share(bit, &|_| true)), format!("{explained:.1}"), cost];
        if !labels.is_empty() {
            row.push(format!(
                "{:.2}",
                information(&column(codes, bit), labels).mutual / std::f64::consts::LN_2
            ));
        }
        if named {
            row.extend(
                (0..classes.len()).map(|class| percent(share(bit, &|row| labels[row] as usize == class))),
            );
        }
        row
    });
    let caption = format!("On {} validation rows.", codes.rows());
    Table { caption, header, rows: rows.collect() }
}

/// A bit of each row.
fn column(codes: &Array, bit: usize) -> Vec<u32> {
    (0..codes.rows()).map(|row| u32::from(codes.row(row)[bit] > 0.5)).collect()
}

/// What the whole code says of the class.
fn in_words(codes: &Array, labels: &[u32]) -> String {
    let mut known: Vec<Vec<bool>> = Vec::new();
    let code_of = (0..codes.rows()).map(|row| {
        let code: Vec<bool> = codes.row(row).iter().map(|z| *z > 0.5).collect();
        known.iter().position(|k| *k == code).unwrap_or_else(|| {
            known.push(code);
            known.len() - 1
        }) as u32
    });
    let found = information(&code_of.collect::<Vec<_>>(), labels);
    let bits = |nats: f64| nats / std::f64::consts::LN_2;
    let caution = if known.len() * 20 > codes.rows() {
        " With so many different codes that is an overestimate."
    } else {
        ""
    };
    format!(
        "The whole code and the class share {:.2} bits, of the {:.2} that the class has (mutual information, from counts).{caution}",
        bits(found.mutual),
        bits(found.second)
    )
}

/// The mean image of 0 and of 1, a row of two for each bit.
fn faces(about: &About<'_>, rows: &Rows, codes: &Array, shown: usize) -> Result<crate::figure::Figure> {
    const AVERAGED: usize = 200;
    let model = about.model;
    let n = codes.rows().min(AVERAGED);
    let dims = codes.width();
    let told = Told::of(rows).select(&(0..n).collect::<Vec<_>>());
    let width = model.facts.shape.features();
    let mut means = Vec::with_capacity(2 * shown * width);
    for bit in 0..shown {
        for value in [0.0, 1.0] {
            let mut set = codes.values[..n * dims].to_vec();
            set.iter_mut().skip(bit).step_by(dims).for_each(|z| *z = value);
            let decoded = model.decode_told(&Array::matrix(set, dims), &told, Observe::Mean, about.key)?;
            let mut mean = vec![0f32; width];
            for row in decoded.x.chunks_exact(width) {
                mean.iter_mut().zip(row).for_each(|(mean, x)| *mean += x / n as f32);
            }
            means.extend(mean);
        }
    }
    let pictures = crate::generate::Samples::new(means, &model.facts).pictures()?;
    let names: Vec<_> = (0..shown).map(|bit| (format!("z{}", bit + 1), vec![0.0, 1.0])).collect();
    Ok(traversal(&pictures.images()?, &names, "What each bit changes")?)
}
