//! Every figure and a report from realistic numbers, to be looked at:
//! `cargo test --release -p latent --lib gallery -- --ignored` writes them to `target/figures`.

use std::io::Read;
use std::path::{Path, PathBuf};

use super::*;

const NAMES: [&str; 10] =
    ["T-shirt", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"];

/// Uniform numbers in [0, 1), the same each time.
struct Noise(u64);

impl Noise {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        (-2.0 * (1.0 - self.uniform()).ln()).sqrt() * (std::f64::consts::TAU * self.uniform()).cos()
    }
}

fn fashion(rows: usize) -> Option<(Vec<f32>, Vec<u32>)> {
    let folder = Path::new("/usr/share/datasets/fashion-mnist");
    let read = |name: &str| {
        let mut bytes = Vec::new();
        flate2::read::GzDecoder::new(std::fs::File::open(folder.join(name)).ok()?)
            .read_to_end(&mut bytes)
            .ok()?;
        Some(bytes)
    };
    let (images, labels) = (read("t10k-images-idx3-ubyte.gz")?, read("t10k-labels-idx1-ubyte.gz")?);
    let pixels = images[16..16 + rows * 784].iter().map(|level| f32::from(*level) / 255.0).collect();
    Some((pixels, labels[8..8 + rows].iter().map(|label| u32::from(*label)).collect()))
}

/// Images that go over into one another.
fn blend(pixels: &[f32], from: usize, to: usize, share: f32) -> Vec<f32> {
    let image = |index: usize| &pixels[index * 784..(index + 1) * 784];
    image(from).iter().zip(image(to)).map(|(a, b)| a + share * (b - a)).collect()
}

fn names() -> Vec<String> {
    NAMES.iter().map(ToString::to_string).collect()
}

#[test]
#[ignore = "draws everything for people to look at"]
fn gallery() {
    let Some((pixels, labels)) = fashion(10_000) else {
        println!("skipped: no Fashion-MNIST under /usr/share/datasets");
        return;
    };
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target/figures");
    std::fs::create_dir_all(&folder).unwrap();
    let save = |name: &str, figure: &Figure| {
        figure.save(&folder.join(format!("{name}.png"))).unwrap();
        figure.save(&folder.join(format!("{name}.svg"))).unwrap();
        println!("{name}: svg {} bytes, png {} bytes", figure.svg.len(), figure.png(2.0).unwrap().len());
    };
    let grey = |rows: std::ops::Range<usize>| {
        Images::new(&pixels[rows.start * 784..rows.end * 784], 1, 28, 28).unwrap()
    };
    let mut noise = Noise(7);

    let samples = sample_grid(
        &grey(0..100),
        &GridLabels {
            title: "100 samples of the model".into(),
            caption: "means of p(x|z), z drawn from the prior N(0, I)".into(),
            ..GridLabels::default()
        },
    )
    .unwrap();
    save("samples", &samples);

    let blurred: Vec<f32> = pixels[..20 * 784].iter().map(|v| (v * 0.8 + 0.05).min(1.0)).collect();
    let pairs = reconstructions(
        &grey(0..20),
        &Images::new(&blurred, 1, 28, 28).unwrap(),
        "Validation rows and their reconstructions",
    )
    .unwrap();
    save("reconstructions", &pairs);

    let way: Vec<f32> = [(0, 1), (2, 3), (5, 8), (6, 4)]
        .iter()
        .flat_map(|(a, b)| (0..11).flat_map(|k| blend(&pixels, *a, *b, k as f32 / 10.0)).collect::<Vec<_>>())
        .collect();
    save(
        "interpolation",
        &interpolation(&Images::new(&way, 1, 28, 28).unwrap(), 11, "From one code to another").unwrap(),
    );

    let values: Vec<f64> = (-6..=6).map(|k| 0.5 * f64::from(k)).collect();
    let latents = ["z3  1.87 nats", "z11  1.42 nats", "z0  0.66 nats", "z7  0.004 nats"]
        .map(|name| (String::from(name), values.clone()));
    let walk: Vec<f32> = (0..4)
        .flat_map(|row| {
            (0..13).flat_map(|k| blend(&pixels, row, row + 9, k as f32 / 12.0)).collect::<Vec<_>>()
        })
        .collect();
    save(
        "traversal",
        &traversal(&Images::new(&walk, 1, 28, 28).unwrap(), &latents, "What each latent changes, by rate")
            .unwrap(),
    );

    let captions: Vec<String> =
        (0..24).map(|row| format!("row {}\n−{:.1} nats", row * 313, 400.0 - 3.7 * row as f64)).collect();
    save(
        "anomalies",
        &image_sheet(&grey(100..124), &captions, &GridLabels::titled("The most unlikely rows by log P"))
            .unwrap(),
    );

    let colour: Vec<f32> = (0..12 * 3 * 64 * 64)
        .map(|i| {
            let (image, channel, y, x) = (i / 12288, i / 4096 % 3, i / 64 % 64, i % 64);
            (0.5 + 0.5 * ((x * (image + 1)) as f32 / 40.0 + channel as f32 * 2.0 + y as f32 / 20.0).sin())
                .clamp(0.0, 1.0)
        })
        .collect();
    save(
        "colour",
        &sample_grid(
            &Images::new(&colour, 3, 64, 64).unwrap(),
            &GridLabels { columns: Some(6), ..GridLabels::titled("Colour, 64 × 64") },
        )
        .unwrap(),
    );

    let centres: Vec<[f64; 2]> = (0..10)
        .map(|k| {
            [
                (k as f64 * 2.4).cos() * (0.4 + 0.17 * k as f64),
                (k as f64 * 2.4).sin() * (0.4 + 0.17 * k as f64),
            ]
        })
        .collect();
    let codes: Vec<[f64; 2]> = labels
        .iter()
        .map(|label| {
            let [x, y] = centres[*label as usize];
            [x + 0.35 * noise.normal(), y + 0.3 * noise.normal()]
        })
        .collect();
    let names = names();
    let view = LatentView {
        title: "Codes of 10,000 validation rows".into(),
        caption: "means of q(z|x), the two latents of greatest rate".into(),
        x_label: "z3 (1.87 nats)".into(),
        y_label: "z11 (1.42 nats)".into(),
        limits: None,
    };
    let map = code_map(&CodeMap { points: &codes, classes: &labels, names: &names }, &view).unwrap();
    save("codes", &map);
    save(
        "codes-few",
        &code_map(&CodeMap { points: &codes[..400], classes: &[], names: &[] }, &view).unwrap(),
    );

    let shown: Vec<Region> = codes[..600]
        .iter()
        .enumerate()
        .map(|(i, mean)| {
            let (a, b) = (0.04 + 0.08 * noise.uniform(), 0.04 + 0.08 * noise.uniform());
            let c = if i % 2 == 0 { 0.0 } else { 0.6 * a * b };
            Region { mean: *mean, covariance: [[a * a, c], [c, b * b]] }
        })
        .collect();
    let set = Regions {
        regions: &shown,
        classes: &labels[..600],
        names: &names,
        prior: Contours::StandardNormal,
        sigmas: 2.0,
    };
    let tiles: Vec<f32> = Mosaic::codes(15, 15, (-3.0, 3.0), (-3.0, 3.0))
        .iter()
        .flat_map(|code| {
            let distance = |c: &[f64; 2]| (c[0] - code[0]).hypot(c[1] - code[1]);
            let nearest =
                (0..10).min_by(|a, b| distance(&centres[*a]).total_cmp(&distance(&centres[*b]))).unwrap();
            let row = labels.iter().position(|label| *label as usize == nearest).unwrap();
            blend(&pixels, row, row, 0.0)
        })
        .collect();
    let tiles = Mosaic {
        images: Images::new(&tiles, 1, 28, 28).unwrap(),
        columns: 15,
        x: (-3.0, 3.0),
        y: (-3.0, 3.0),
    };
    let view = LatentView { title: "Regions of the latent plane".into(), caption: "Left: each ellipse is q(z|x) of one row at 2σ; circles, the prior N(0, I). Right: the plane, decoded.".into(), ..LatentView::default() };
    let both = regions_and_mosaic(&set, &tiles, &view).unwrap();
    save("regions-and-mosaic", &both);
    let density = (0..121 * 121)
        .map(|i| {
            let [x, y] = [i % 121, i / 121].map(|k| -3.0 + 0.05 * f64::from(k));
            centres.iter().map(|c| (-((x - c[0]).powi(2) + (y - c[1]).powi(2)) / 0.18).exp()).sum()
        })
        .collect();
    let grid = DensityGrid { x: (-3.0, 3.0), y: (-3.0, 3.0), columns: 121, density };
    save("regions", &regions(&Regions { prior: Contours::Density(grid), ..set }, &view).unwrap());
    save("mosaic", &mosaic(&tiles, &LatentView::default()).unwrap());

    let curve = |end: f64, drop: f64, n: u32, seed: u64, rough: f64| {
        let mut noise = Noise(seed);
        (1..=n)
            .map(|k| {
                let x = 20.0 * f64::from(k) / f64::from(n);
                [x, end + drop * (-x).exp() + drop * 0.05 / (x + 0.2) + rough * noise.normal()]
            })
            .collect::<Vec<_>>()
    };
    let panel = |name: &str, end: f64, drop: f64| CurvePanel {
        name: name.into(),
        unit: "nats per sample".into(),
        training: curve(end, drop, 2000, 3, 1.2),
        validation: curve(end + 1.0, drop, 20, 5, 0.2),
    };
    let curves = training_curves(
        &[panel("loss", 242.0, 300.0), panel("distortion", 226.0, 320.0), panel("rate", 16.1, -14.0)],
        "epoch",
        Some(17.0),
    )
    .unwrap();
    save("curves", &curves);

    let n: Vec<f64> = (0..14).map(|k| 2f64.powi(k)).collect();
    let around = |bias: f64, error: f64| {
        n.iter()
            .map(|n| [*n, -228.4 - bias / n.powf(0.4)])
            .zip(n.iter().map(move |n| error / n.sqrt()))
            .unzip::<_, _, Vec<_>, Vec<_>>()
    };
    let series = |name: &str, bias, error, line| {
        let (points, errors) = around(bias, error);
        Series { errors, ..Series::line(name, points).drawn(line) }
    };
    let band = n.iter().map(|n| [-236.0 - 3.0 / n.sqrt(), -236.0 + 3.0 / n.sqrt()]).collect();
    let estimates = plot(&Plot {
        title: "Closing in on log P(x)".into(),
        caption: "one row of the validation split; bars are two standard errors".into(),
        x: Axis::log("draws k"),
        y: Axis::linear("log P(x) [nats]"),
        series: vec![
            series("plain Monte Carlo", 40.0, 6.0, Line::Marked),
            series("importance sampling", 6.0, 2.0, Line::Marked),
            Series {
                band,
                ..Series::line("ELBO", n.iter().map(|n| [*n, -236.0]).collect()).drawn(Line::Dashed)
            },
        ],
        marks: vec![Mark::Y(-228.4, "exact".into()), Mark::X(1000.0, "k = 1000".into())],
    })
    .unwrap();
    save("estimates", &estimates);
    let sigma: Vec<f64> = (-8..=2).map(|k| 2f64.powi(k)).collect();
    let sweep = |name: &str, f: &dyn Fn(f64) -> f64| {
        Series::line(name, sigma.iter().map(|s| [*s, f(*s)]).collect()).drawn(Line::Marked)
    };
    let rate = Plot {
        title: "rate".into(),
        x: Axis::log("σ of p(x|z)"),
        y: Axis::linear("nats per sample"),
        series: vec![sweep("rate", &|s| 30.0 / (1.0 + 3.0 * s))],
        marks: vec![Mark::Point([0.25, 30.0 / 1.75], "optimal σ".into())],
        ..Plot::default()
    };
    let distortion = Plot {
        title: "mean squared error".into(),
        y: Axis::log("per pixel"),
        series: vec![sweep("error", &|s| 1e-4 + 0.02 * s * s)],
        marks: vec![],
        ..rate.clone()
    };
    save("sweep", &panels(&[rate, distortion], 2).unwrap());

    save(
        "bars",
        &bars(&Bars {
            title: "Rate by latent".into(),
            value_label: "rate [nats per sample]".into(),
            labels: (0..8).map(|k| format!("z{k}")).collect(),
            groups: vec![
                BarGroup {
                    name: "β = 1".into(),
                    values: vec![1.87, 1.42, 0.66, 0.31, 0.02, 0.004, 0.0, f64::NAN],
                },
                BarGroup { name: "β = 4".into(), values: vec![1.1, 0.8, 0.1, 0.01, 0.0, 0.0, 0.0, 0.0] },
            ],
            ..Bars::default()
        })
        .unwrap(),
    );

    let columns: Vec<(String, Vec<f64>, Vec<f64>)> = (0..18)
        .map(|k| {
            let mut draw = |shift: f64| {
                (0..800)
                    .map(|_| match k % 6 {
                        0 => noise.normal() + shift,
                        1 => (noise.normal() + shift).exp() * 1000.0,
                        2 => (noise.uniform() * 6.0 + shift).floor(),
                        3 => noise.normal().abs() * 1e-4,
                        4 => 1_700_000_000_000.0 + (noise.uniform() * 5e4).floor(),
                        // Heavier tails than the data's.
                        _ => noise.normal() / (1.0 - shift * 3.0 * noise.uniform()).max(0.001),
                    })
                    .collect::<Vec<f64>>()
            };
            let name =
                ["fixed acidity", "income (€ per month)", "rooms", "chlorides", "time (ms)", "gain"][k % 6];
            (format!("{name} {k}"), draw(0.0), draw(0.3))
        })
        .collect();
    let pairs_of: Vec<ColumnPair> =
        columns.iter().map(|(name, a, b)| ColumnPair { name, original: a, generated: b }).collect();
    save("histograms", &column_histograms(&pairs_of, "Original and generated columns").unwrap());
    save("histograms-two", &column_histograms(&pairs_of[..2], "Two columns").unwrap());

    Report::new("What was learned from fashion-mnist")
        .lead("A variational autoencoder (preset vae, 784-400-20) learned from 8,000 grey images of 28 × 28 pixels. It describes a new image in 242.1 nats on average, of which 16.1 are spent on the code; its samples are recognisable garments with soft edges.")
        .verdict(Level::Good, "Trained: the model generalises", "validation loss 243.4 against 242.1 nats per sample in training (gap 0.5 %); best at epoch 17 of 20.")
        .verdict(Level::Note, "12 of 20 latents are in use", "12 latents carry more than 0.01 nats each; the other 8 hold 0.02 nats together.")
        .verdict(Level::Warning, "Bernoulli on grey values is a cross-entropy, not a density", "6,214 of 6,272,000 training values are neither 0 nor 1; distortion must not be read as log P.")
        .section(Section::new("Samples").paragraph("Codes are drawn from the prior and decoded. Nothing of the data is used here: what is seen is what the model believes the data to be.").figure(samples, "100 samples, not chosen.", "A grid of a hundred grey garments"))
        .section(Section::new("Training").paragraph("Rate and distortion apart.").figure(curves, "The loss and its two parts. The dashed line marks the checkpoint that was kept.", "Three panels of falling curves").table(Table {
            caption: "Named terms at the best checkpoint, nats per sample".into(),
            header: ["term", "training", "validation", "standard error", "weight", "schedule"].map(String::from).to_vec(),
            rows: vec![["distortion", "226.0", "227.3", "0.4", "1", "constant"].map(String::from).to_vec(), ["rate", "16.1", "16.1", "0.1", "1", "linear warm-up over 1,000 steps"].map(String::from).to_vec(), ["total correlation", "—", "−0.4", "0.02", "0", "—"].map(String::from).to_vec()],
        }))
        .section(Section::new("Codes").figure(map, "Each disc is a row of the validation split.", "A scatter of codes in ten colours").figure(both, "Where regions touch, overlap, or leave holes.", "Ellipses on the left, a mosaic of images on the right"))
        .details("Settings (run.toml)", "[model]\npreset = \"vae\"\nlatents = 20\n\n[train]\nepochs = 20\nrate = 0.001 # a long comment line that goes on and on to see whether the block scrolls on a phone")
        .details("Environment", "latent 0.1.0, cpu (flex), 2 threads")
        .save(&folder.join("report.html"))
        .unwrap();
}
