//! Do the 95 % intervals hold what they say? Over 1,000 draws from a pool of real features, the share of intervals that hold
//! the expectation at that n (the mean over all draws).
//!
//!     cargo run --release --example intervals
//!
//! writes docs/results/intervals.md. Features of the pool are computed once and kept in target/tmp. ONLY=frechet,kid … looks at
//! some, and writes nothing. Sets that are measured are drawn here, of one width and with rows enough, so that measuring them
//! cannot fail; what may fail (reading, writing) ends with an error.

use std::error::Error;
use std::fmt::Write;
use std::path::Path;

use latent::Key;
use latent::array::Array;
use latent::data::{Data, DataSettings, Split};
use latent::evaluate::anomaly::auroc;
use latent::evaluate::features::{EfficientNetLite0, Features};
use latent::evaluate::samples::{frechet, kernel_distance, neighbourhoods};
use latent::evaluate::{Estimate, Mean, Pca, copying_score};
use latent::generate::Samples;
use latent_kernels::host::{map, product_of_rows};

const DRAWS: usize = 1000;
const POOL: usize = 10_000;

/// Draws where one takes a second: a share of 95 % of them is known to ± 2.1 %.
const WHOLE: usize = 400;

/// Features of all embedded pictures, and of the same pictures blurred: what a model of means would give.
fn pools() -> Result<[Array; 2], Box<dyn Error>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tmp/intervals.features");
    if let Ok(bytes) = std::fs::read(&path)
        && bytes.len() == 2 * POOL * 1280 * 4
    {
        let values: Vec<f32> = bytes.as_chunks::<4>().0.iter().map(|raw| f32::from_le_bytes(*raw)).collect();
        let (clear, blurred) = values.split_at(POOL * 1280);
        return Ok([clear, blurred].map(|values| Array::matrix(values.to_vec(), 1280)));
    }
    let settings = DataSettings { source: "embedded".into(), ..DataSettings::default() };
    let data = Data::open(&settings, Key::from_seed(0), &mut |_| {})?;
    let network = EfficientNetLite0::embedded()?;
    let mut sets = [Vec::new(), Vec::new()];
    for split in Split::ALL {
        let positions: Vec<usize> = (0..data.len(split)).collect();
        for part in positions.chunks(500) {
            let x = data.rows(split, part, 0)?.x;
            let blurred: Vec<f32> = x.chunks(784).flat_map(blur).collect();
            for (set, x) in sets.iter_mut().zip([x, blurred]) {
                set.extend(network.of(&Samples::new(x, data.facts()))?.values);
            }
        }
    }
    let bytes: Vec<u8> = sets.iter().flatten().flat_map(|v| v.to_le_bytes()).collect();
    std::fs::write(&path, bytes)?;
    Ok(sets.map(|values| Array::matrix(values, 1280)))
}

/// Squared errors of reconstruction from 20 principal components, the best linear autoencoder, of all embedded pictures once
/// noise of each deviation is added to their pixels.
fn scores(deviations: &[f32]) -> Result<Vec<Vec<f64>>, Box<dyn Error>> {
    let settings = DataSettings { source: "embedded".into(), ..DataSettings::default() };
    let data = Data::open(&settings, Key::from_seed(0), &mut |_| {})?;
    let mut x = Vec::new();
    for split in Split::ALL {
        x.extend(data.rows(split, &(0..data.len(split)).collect::<Vec<_>>(), 0)?.x);
    }
    let model = Pca::fit(&x[..2000 * 784], 784, 20).ok_or("the pictures have no principal components")?;
    let mut noise = vec![0.0; x.len()];
    Key::from_seed(7).normals(&mut noise);
    let error = |deviation: f32, row: usize| -> f64 {
        let at = row * 784..(row + 1) * 784;
        let x: Vec<f32> = x[at.clone()].iter().zip(&noise[at]).map(|(x, e)| x + deviation * e).collect();
        let all: f64 = x.iter().zip(&model.mean).map(|(x, mean)| (f64::from(*x) - mean).powi(2)).sum();
        all - model.project(&x).iter().map(|along| along * along).sum::<f64>()
    };
    Ok(deviations.iter().map(|&deviation| map(POOL, |row| error(deviation, row))).collect())
}

/// The interval that is normal in logit A with DeLong's variance, exactly binomial where all pairs are on one side.
fn delong_in_logit(foreign: &[f64], own: &[f64]) -> Estimate {
    let shares = |of: &[f64], others: &[f64]| -> Vec<f64> {
        let mut sorted = others.to_vec();
        sorted.sort_by(f64::total_cmp);
        of.iter().map(|x| sorted.partition_point(|other| other < x) as f64 / others.len() as f64).collect()
    };
    let [v, w] = [shares(foreign, own), shares(own, foreign)].map(|shares| Mean::of(&shares));
    let (value, error) = (v.value, v.error.hypot(w.error));
    if value == 1.0 {
        return Estimate { value, low: 0.025f64.powf(1.0 / foreign.len().min(own.len()) as f64), high: 1.0 };
    }
    let (logit, reach) = ((value / (1.0 - value)).ln(), 1.96 * error / (value * (1.0 - value)));
    let back = |logit: f64| 1.0 / (1.0 + (-logit).exp());
    Estimate { value, low: back(logit - reach), high: back(logit + reach) }
}

/// The AUROC of m foreign scores against n own ones.
fn auroc_lines() -> Result<Vec<Line>, Box<dyn Error>> {
    // Deviations of noise that make it about 0.5, 0.8, 0.99 and 0.999.
    let pools = scores(&[0.0, 0.1, 0.2, 0.25])?;
    let own = &pools[0];
    let sizes = [(50, 50), (200, 200), (1000, 1000), (1000, 50)];
    let mut lines = Vec::new();
    for (foreign, (m, n)) in pools.iter().flat_map(|foreign| sizes.map(|sizes| (foreign, sizes))) {
        let whole = auroc(foreign, own).expect("sets of one width").value;
        let found = map(DRAWS, |draw| {
            let order = Key::from_seed(1).fold(draw).permutation(POOL);
            let pick = |set: &[f64], rows: &[usize]| rows.iter().map(|row| set[*row]).collect::<Vec<_>>();
            let (foreign, own) = (pick(foreign, &order[..m]), pick(own, &order[m..m + n]));
            [auroc(&foreign, &own).expect("sets of one width"), delong_in_logit(&foreign, &own)]
        });
        let of = |which: usize| found.iter().map(|pair| pair[which]).collect::<Vec<Estimate>>();
        let against = if m == n { String::new() } else { format!(", n own rows against {m}") };
        let metric = format!("AUROC {whole:.4}{against}");
        lines.push(line(metric.clone(), "DeLong with one more share a side", n, &of(0)));
        if whole > 0.9 {
            lines.push(line(metric, "*not in use:* DeLong, normal in the logit", n, &of(1)));
        }
    }
    Ok(lines)
}

/// Means of 3 × 3 pixels.
fn blur(image: &[f32]) -> Vec<f32> {
    (0..784)
        .map(|at| {
            let (y, x): (usize, usize) = (at / 28, at % 28);
            let (rows, columns) =
                (y.saturating_sub(1)..=(y + 1).min(27), x.saturating_sub(1)..=(x + 1).min(27));
            let count = (rows.clone().count() * columns.clone().count()) as f32;
            rows.flat_map(|y| columns.clone().map(move |x| image[y * 28 + x])).sum::<f32>() / count
        })
        .collect()
}

/// Rows of a set.
fn rows(set: &Array, rows: &[usize]) -> Array {
    Array::matrix(rows.iter().flat_map(|row| set.row(*row).to_vec()).collect(), set.width())
}

/// A random projection, N(0, 1/d) each.
fn projected(set: &Array, dims: usize) -> Array {
    let mut matrix = vec![0.0; set.width() * dims];
    Key::from_seed(5).normals(&mut matrix);
    matrix.iter_mut().for_each(|v| *v /= (set.width() as f32).sqrt());
    Array::matrix(product_of_rows(&set.values, &matrix, set.width()), dims)
}

/// Some of the columns.
fn columns(set: &Array, dims: usize) -> Array {
    let chosen = &Key::from_seed(6).permutation(set.width())[..dims];
    let values = (0..set.rows()).flat_map(|row| chosen.iter().map(move |c| set.row(row)[*c])).collect();
    Array::matrix(values, dims)
}

/// One line of the table.
struct Line {
    metric: String,
    method: &'static str,
    n: usize,
    held: f64,
    /// The mean half width over 1.96 times the standard deviation of the estimates.
    width: f64,
}

/// The share of intervals that hold the mean of all estimates.
fn line(metric: String, method: &'static str, n: usize, estimates: &[Estimate]) -> Line {
    let count = estimates.len() as f64;
    let expectation = estimates.iter().map(|e| e.value).sum::<f64>() / count;
    let held =
        estimates.iter().filter(|e| e.low <= expectation && expectation <= e.high).count() as f64 / count;
    let sd = (estimates.iter().map(|e| (e.value - expectation).powi(2)).sum::<f64>() / (count - 1.0)).sqrt();
    let half = estimates.iter().map(|e| (e.high - e.low) / 2.0).sum::<f64>() / count;
    let line = Line { metric, method, n, held, width: half / (1.96 * sd) };
    println!(
        "{:60} n {:5}  held {:5.1} %  width/true {:.2}  expectation {:.5}",
        line.metric,
        n,
        100.0 * held,
        line.width,
        expectation
    );
    line
}

/// Draws of two sets of n rows: (`a`, `b`), or two disjoint ones of `a` without `b`.
fn draws<T: Send + Sync>(
    a: &Array,
    b: Option<&Array>,
    n: usize,
    of: impl Fn(&Array, &Array, usize) -> T + Sync,
) -> Vec<T> {
    some_draws(DRAWS, a, b, n, of)
}

/// So many of them.
fn some_draws<T: Send + Sync>(
    count: usize,
    a: &Array,
    b: Option<&Array>,
    n: usize,
    of: impl Fn(&Array, &Array, usize) -> T + Sync,
) -> Vec<T> {
    map(count, |draw| {
        let order = Key::from_seed(1).fold(draw).permutation(POOL);
        of(&rows(a, &order[..n]), &rows(b.unwrap_or(a), &order[n..2 * n]), draw)
    })
}

fn main() -> Result<(), Box<dyn Error>> {
    let only = std::env::var("ONLY").unwrap_or_default();
    let wanted = |kind: &str| only.is_empty() || only.split(',').any(|o| o == kind);
    let aurocs = if wanted("auroc") { auroc_lines()? } else { Vec::new() };
    if only == "auroc" {
        return Ok(());
    }
    let [clear, blurred] = pools()?;
    let mut lines = Vec::new();

    if wanted("mean") {
        // Mean-type: one number a row, here a skewed one.
        let estimates = draws(&clear, Some(&blurred), 250, |a, b, _| {
            let per_row: Vec<f64> = (0..a.rows())
                .map(|i| a.row(i).iter().zip(b.row(i)).map(|(a, b)| f64::from(a - b).powi(2)).sum())
                .collect();
            Estimate::mean(&per_row)
        });
        lines.push(line(
            "mean over rows (squared feature distance)".into(),
            "normal, sd/√n",
            250,
            &estimates,
        ));
        // A classifier trained once; accuracy over n rows of either set.
        let (a, b) = (projected(&clear, 64), projected(&blurred, 64));
        let mean = |set: &Array| -> Vec<f64> {
            (0..64).map(|j| (0..POOL).map(|i| f64::from(set.row(i)[j])).sum::<f64>() / POOL as f64).collect()
        };
        let (ma, mb) = (mean(&a), mean(&b));
        let side = |row: &[f32]| -> f64 {
            (0..64).map(|j| (f64::from(row[j]) - (ma[j] + mb[j]) / 2.0) * (ma[j] - mb[j])).sum()
        };
        let estimates = draws(&a, Some(&b), 250, |a, b, _| {
            let right = (0..250).map(|i| f64::from(u8::from(side(a.row(i)) > 0.0)));
            let right: Vec<f64> =
                right.chain((0..250).map(|i| f64::from(u8::from(side(b.row(i)) < 0.0)))).collect();
            Estimate::mean(&right)
        });
        lines.push(line(
            "accuracy of a classifier (trained before)".into(),
            "normal, sd/√n",
            500,
            &estimates,
        ));
    }
    if wanted("frechet") {
        for (how, a, b, n) in [
            ("64 random projections", projected(&clear, 64), projected(&blurred, 64), 250),
            ("64 of the columns", columns(&clear, 64), columns(&blurred, 64), 250),
            ("64 random projections", projected(&clear, 64), projected(&blurred, 64), 100),
            ("64 of the columns", columns(&clear, 64), columns(&blurred, 64), 100),
        ] {
            for (what, other) in [("blurred", Some(&b)), ("real", None)] {
                let estimates = draws(&a, other, n, |a, b, _| frechet(a, b).expect("sets of one width"));
                let metric = format!("Fréchet distance, {what} against real, {how}");
                lines.push(line(metric, "infinitesimal jackknife", n, &estimates));
            }
        }
    }
    if wanted("frechet-1280") {
        for n in [475, 1000] {
            for (what, other) in [("blurred", Some(&blurred)), ("real", None)] {
                let estimates =
                    some_draws(WHOLE, &clear, other, n, |a, b, _| frechet(a, b).expect("sets of one width"));
                let metric = format!("Fréchet distance, {what} against real, all 1280 features");
                lines.push(line(metric, "infinitesimal jackknife", n, &estimates));
            }
        }
    }
    if wanted("kid") {
        for (what, other) in [("blurred", Some(&blurred)), ("real", None)] {
            let estimates =
                draws(&clear, other, 250, |a, b, _| kernel_distance(a, b).expect("sets of one width"));
            let metric = format!("kernel distance, {what} against real, 1280 features");
            lines.push(line(metric, "Hoeffding variance", 250, &estimates));
        }
    }
    if wanted("neighbours") {
        for (what, other) in [("blurred", Some(&blurred)), ("real", None)] {
            let found =
                draws(&clear, other, 500, |a, b, _| neighbourhoods(a, b, 5).expect("sets of one width"));
            for (name, of) in [
                (
                    "precision",
                    (|f| f.precision) as fn(&latent::evaluate::samples::Neighbourhoods) -> Estimate,
                ),
                ("recall", |f| f.recall),
                ("density", |f| f.density),
                ("coverage", |f| f.coverage),
            ] {
                let estimates: Vec<Estimate> = found.iter().map(of).collect();
                let metric = format!("{name}, {what} against real, 1280 features");
                lines.push(line(metric, "Wilson on the jackknife's effective n", 500, &estimates));
            }
        }
    }
    if wanted("copying") {
        let (a, b) = (projected(&clear, 64), projected(&blurred, 64));
        let train = rows(&a, &Key::from_seed(9).permutation(POOL)[..1000]);
        for (what, other) in [("blurred", Some(&b)), ("real", None)] {
            let estimates = draws(&a, other, 500, |held, set, _| {
                copying_score(&train, held, set, Key::from_seed(2)).expect("sets of one width")
            });
            let metric = format!("C_T, {what}, 64 random projections, 1000 training rows");
            lines.push(line(metric, "z ~ N(0, 1) in a cell", 500, &estimates));
        }
    }
    lines.extend(aurocs);
    if only.is_empty() {
        write(&lines)?;
    }
    Ok(())
}

fn write(lines: &[Line]) -> std::io::Result<()> {
    let mut text = String::from(
        "# Do the intervals hold what they say?\n\n\
         `cargo run --release --example intervals` writes this page; a short look at made-up sets is among the tests.\n\n\
         Pool: EfficientNet-Lite0 features of the 10,000 embedded Fashion-MNIST pictures, and of the same pictures blurred by \
         means of 3 × 3 pixels, which stand for samples. 1,000 draws of two sets of n rows without a common row; the share \
         of 95 % intervals that hold the expectation at that n, the mean over all draws. 1,000 Fréchet distances of 1280 \
         features would take hours: there are 400, and 64 random projections or 64 of the columns stand for them, at the same ratio of rows to features \
         as 5,000 (n = 250) and 2,000 rows (n = 100) of 1280 features. *Width* is the mean interval over the one that the \
         spread of the 1,000 estimates calls for.\n\n\
         Why some are too wide: where both sets have one distribution, what a row changes vanishes to first order, and \
         these methods count the second order twice; balls round neighbours don't change smoothly with the rows; C_T's \
         interval is that of an honest model. Such an interval claims less than it could, never more, and the measure's \
         note says so.\n\n\
         Scores for the AUROC are squared errors of reconstruction from 20 principal components, of the same pictures and of \
         others with noise on their pixels; n rows a side unless told. Near 1 it rests on a few rows of the wrong side, which a \
         small set may not hold: DeLong's variance is then far too small. With one more share a side, half 0 and half 1, the \
         interval is wider than it need be there, and not too narrow.\n\n\
         | metric | n | interval | holds the expectation | width | |\n| --- | ---: | --- | ---: | ---: | --- |\n",
    );
    for line in lines {
        let verdict = match line.held {
            held if held < 0.92 => "too narrow",
            held if held > 0.975 => "too wide",
            _ => "",
        };
        let Line { metric, method, n, held, width, .. } = line;
        let _ =
            writeln!(text, "| {metric} | {n} | {method} | {:.1} % | {width:.2} | {verdict} |", 100.0 * held);
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/results/intervals.md");
    std::fs::write(path, text)
}
