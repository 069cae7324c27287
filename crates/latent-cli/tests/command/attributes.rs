//! What stands beside images, through the commands: attributes that codes are moved toward, gaps in what a model is told, and images
//! of another size or other channels than the model's. The pictures are white squares, whose place and size are known.

use std::fs;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use crate::common::{refuse, run_words, succeed};
use latent::array::Array;
use latent::data::{Normalisation, SampleShape, StoredType, read_matrix, write_images};
use serde_json::Value;

const SIDE: usize = 16;
const COUNT: usize = 400;

/// Where a picture's square begins, across and down, and its side.
fn square(picture: usize) -> [usize; 3] {
    [1 + picture * 7 % 9, 1 + picture * 5 % 8, if picture.is_multiple_of(2) { 4 } else { 6 }]
}

/// The pictures, so many times larger, with so many equal channels.
fn write(folder: &Path, count: usize, times: usize, channels: usize) {
    let side = times * SIDE;
    let shape = SampleShape::Image { channels, height: side, width: side };
    let normalisation = Normalisation {
        offset: vec![0.0],
        scale: vec![255.0],
        stored: StoredType::U8,
        range: Some((0.0, 255.0)),
        whole: Vec::new(),
    };
    let mut values = Vec::with_capacity(count * shape.features());
    for picture in 0..count {
        let [left, top, wide] = square(picture);
        for _ in 0..channels {
            values.extend((0..side * side).map(|pixel| {
                let (x, y) = (pixel % side / times, pixel / side / times);
                let white = (left..left + wide).contains(&x) && (top..top + wide).contains(&y);
                if white { 230.0 } else { 20.0 }
            }));
        }
    }
    write_images(folder, shape, &normalisation, &values).expect("pictures");
}

/// The table beside them; every `gap`th cell of the size is empty.
fn table(gap: usize) -> String {
    let mut text = String::from("file,place,size\n");
    for picture in 0..COUNT {
        let [left, _, wide] = square(picture);
        let size = if picture % gap == gap - 1 {
            ""
        } else if wide == 4 {
            "small"
        } else {
            "large"
        };
        text.push_str(&format!("{picture:05}.png,{left},{size}\n"));
    }
    text
}

/// A folder with the pictures; `plain`, an autoencoder of them; `told`, a conditional model of which a quarter of the sizes is
/// unknown; `colour`, one of colour pictures.
fn runs() -> &'static Path {
    static FOLDER: OnceLock<tempfile::TempDir> = OnceLock::new();
    FOLDER
        .get_or_init(|| {
            let folder = tempfile::tempdir().expect("a folder");
            let at = folder.path();
            write(&at.join("images"), COUNT, 1, 1);
            write(&at.join("colours"), COUNT, 1, 3);
            write(&at.join("large"), 40, 2, 3);
            write(&at.join("few"), 40, 1, 1);
            fs::write(at.join("images/about.csv"), table(usize::MAX)).expect("a table");
            fs::write(at.join("images/gaps.csv"), table(4)).expect("a table");
            fs::write(at.join("rows.csv"), table(4)).expect("a table");
            let net = "--set network={kind=\"mlp\",hidden=[128]} --set train.batch=32 --no-report";
            let plain = "--set posterior={kind=\"point\",latent=6} --set objective={estimator={kind=\"plain\"},terms={distortion={}}} \
                         --set likelihood={kind=\"bernoulli\"} --epochs 80";
            succeed(at, &format!("train --data images --out plain {net} --set data.attributes=\"about.csv\" {plain}"));
            succeed(at, &format!("train --data colours --out colour {net} {}", plain.replace("80", "10")));
            let told = "--preset conditional-vae --set data.attributes=\"gaps.csv\" --set data.condition=[\"size\"] \
                        --set data.condition_dropout=0.1 --set posterior.latent=6 --epochs 40";
            succeed(at, &format!("train --data images --out told {net} {told}"));
            folder
        })
        .path()
}

/// One test at a time: they share a folder, and a refusal must leave every file as it was.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The pictures of an npy file, `[n, pixels]`, from 0 to 255.
fn pictures(path: &Path, pixels: usize) -> Array {
    let bytes = fs::read(path).expect("an array");
    let header = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let text = String::from_utf8_lossy(&bytes[10..header]).into_owned();
    assert!(text.contains("|u1"), "{text}");
    Array::matrix(bytes[header..].iter().map(|v| f32::from(*v)).collect(), pixels)
}

/// Where the white's middle is, across and down, and how much there is: means over these pictures.
fn read<'a>(rows: impl Iterator<Item = &'a [f32]>) -> [f64; 3] {
    let (mut sums, mut count) = ([0.0; 3], 0.0);
    for row in rows {
        let white = |pixel: usize| (f64::from(row[pixel]) - 20.0).max(0.0) / 210.0;
        let all: f64 = (0..SIDE * SIDE).map(white).sum();
        let middle = |of: &dyn Fn(usize) -> usize| -> f64 {
            (0..SIDE * SIDE).map(|pixel| white(pixel) * (of(pixel) as f64 + 0.5)).sum::<f64>() / all
        };
        for (sum, value) in sums.iter_mut().zip([middle(&|p| p % SIDE), middle(&|p| p / SIDE), all]) {
            *sum += value;
        }
        count += 1.0;
    }
    sums.map(|sum| sum / count)
}

fn json(line: &str) -> Value {
    let ended = succeed(runs(), line);
    serde_json::from_str(ended.out.lines().last().expect("a line")).expect("JSON")
}

/// What the pictures of each step hold, the reconstruction first.
fn edited(line: &str, steps: usize) -> Vec<[f64; 3]> {
    let at = runs();
    succeed(at, &format!("edit plain --rows 24 --steps {steps} --force --out e.npy {line}"));
    let all = pictures(&at.join("e.npy"), SIDE * SIDE);
    let step = |step: usize| {
        read((0..all.rows()).filter(move |row| row % (steps + 1) == step).map(|row| all.row(row)))
    };
    (0..=steps).map(step).collect()
}

#[test]
fn a_row_is_moved_to_the_number_that_is_asked_for_and_nothing_else_of_it_is() {
    let _alone = alone();
    for place in [2.0, 8.0] {
        let found = edited(&format!("--toward place={place}"), 2);
        println!("toward place={place}: {found:?}");
        let (before, after) = (found[0], found[2]);
        // Squares of 4 and of 6 pixels begin there: their middle is half of that further, 2.5 on average. A line through the codes of
        // so small a model goes most of the way.
        let (wanted, far) = (place + 2.5, |found: &[f64; 3]| (found[0] - (place + 2.5)).abs());
        assert!(far(&after) < 0.7 * far(&before) && far(&before) > 2.0, "{wanted}: {found:?}");
        assert!(far(&found[1]) < far(&before) && far(&after) < far(&found[1]), "{wanted}: {found:?}");
        assert!((after[1] - before[1]).abs() < 0.6, "{found:?}");
        assert!((after[2] / before[2] - 1.0).abs() < 0.25, "{found:?}");
    }
    let said = json("edit plain --toward place=5 --rows 4 --steps 2 --force --save there --out e.npy --json");
    assert_eq!(said["strengths"], serde_json::json!([0.0, 0.5, 1.0]));
    assert_eq!(said["of"], "parts of the way to place = 5");
    // The picture names it, and the direction that is kept works as any other.
    succeed(runs(), "edit plain --toward place=5 --rows 4 --steps 3 --force --out e.png");
    succeed(runs(), "edit plain --add there --rows 4 --steps 2 --force --out e.npy");
}

#[test]
fn a_row_is_moved_to_a_word_that_others_say() {
    let _alone = alone();
    let found = edited("--toward size=large --strength 1.5", 1);
    println!("toward size=large: {found:?}");
    assert!(found[1][2] > 1.3 * found[0][2], "{found:?}");
    // A larger square begins where the smaller one did: its middle is a pixel further, and no more.
    let further = |of: usize| found[1][of] - found[0][of] - 1.0;
    assert!(further(0).abs() < 0.8 && further(1).abs() < 0.8, "{found:?}");
    // Rows that are large already are not among them: 16 pixels are white before, not 36.
    assert!(found[0][2] < 22.0, "{found:?}");
    let at = runs();
    refuse(
        at,
        "edit plain --toward size=larg --out w.npy",
        &["no training row says \"larg\"", "did you mean \"large\""],
    );
    refuse(at, "edit plain --toward place=far --out w.npy", &["\"place\" is a number", "place=1"]);
    refuse(at, "edit plain --toward plac=3 --out w.npy", &["nothing says \"plac\""]);
    // Rows of one's own say no place: they are taken for the mean, and it is said.
    let ended = succeed(at, "edit plain --toward place=8 --data few --rows 2 --steps 1 --force --out e.npy");
    assert!(format!("{}{}", ended.out, ended.err).contains("is not known"), "{}{}", ended.out, ended.err);
}

#[test]
fn a_model_that_learned_around_gaps_is_told_what_is_unknown() {
    let _alone = alone();
    let at = runs();
    let drawn = |condition: &str, name: &str| {
        succeed(at, &format!("sample told --count 64 --seed 5 --force {condition} --out {name}.npy"));
        read(pictures(&at.join(format!("{name}.npy")), SIDE * SIDE).values.chunks(SIDE * SIDE))[2]
    };
    let bytes = |name: &str| fs::read(at.join(format!("{name}.npy"))).expect("samples");
    let small = drawn("--condition size=small", "small");
    let large = drawn("--condition size=large", "large");
    let unknown = drawn("--condition size=unknown", "unknown");
    drawn("", "any");
    println!("white: small {small:.1}, large {large:.1}, unknown {unknown:.1}; squares have 16 and 36");
    assert!(large > small + 8.0, "{small} {large}");
    // Of the unknown there are both.
    assert!(unknown > small + 2.0 && unknown < large - 2.0, "{small} {unknown} {large}");
    assert_eq!(bytes("any"), bytes("unknown"), "who says nothing asks for p(x)");
    // Every command knows it, for rows that say it and for those that don't.
    for line in
        ["reconstruct told --count 8 --out r.png", "score told --k 3 --out s.csv", "encode told --out z.npy"]
    {
        succeed(at, &format!("{line} --force --condition size=unknown"));
        succeed(at, &format!("{line} --force"));
    }
    succeed(at, "evaluate told --sections conditions --minutes 0.05");
    // A model without gaps in what it was told knows no unknown; nor are gaps taken where nothing is said of them.
    refuse(at, "sample told --count 2 --condition size=huge --out w.npy", &["no class \"huge\""]);
    let words: Vec<&str> =
        "train --data images --out w --preset conditional-vae --set data.attributes=\"gaps.csv\" --set \
                            data.condition=[\"size\"]"
            .split_whitespace()
            .collect();
    let ended = run_words(at, &words);
    assert!(ended.code == Some(2) && ended.err.contains("condition_dropout"), "{}", ended.err);
}

/// Codes that an `encode` writes, `[rows, 6]`.
fn codes(line: &str) -> Array {
    let ended = succeed(runs(), &format!("encode {line} --force --out z.npy"));
    if line.contains("--data large") || line.starts_with("colour --data few") {
        let said = format!("{}{}", ended.out, ended.err);
        assert!(said.contains("brought to"), "{said}");
    }
    Array::matrix(read_matrix(&runs().join("z.npy"), 6).expect("codes"), 6)
}

#[test]
fn images_of_another_size_or_other_channels_are_the_models_own_after_all() {
    let _alone = alone();
    // What a step of codes is: their deviation.
    let same = |a: &Array, b: &Array| {
        assert_eq!((a.rows(), b.rows()), (40, 40));
        for dim in 0..6 {
            let column =
                |codes: &Array| -> Vec<f64> { (0..40).map(|row| f64::from(codes.row(row)[dim])).collect() };
            let (a, b) = (column(a), column(b));
            let mean = a.iter().sum::<f64>() / 40.0;
            let deviation = (a.iter().map(|z| (z - mean).powi(2)).sum::<f64>() / 40.0).sqrt();
            let off = a.iter().zip(&b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(off < 0.4 * deviation, "z{}: {off} of {deviation}", dim + 1);
        }
    };
    // Twice the size in equal colours is the same picture to a grey model, and the grey one to a model of colours.
    same(&codes("plain --data few"), &codes("plain --data large"));
    same(&codes("colour --data large"), &codes("colour --data few"));
    let at = runs();
    succeed(at, "reconstruct plain --data large --count 40 --force --out large.npy");
    succeed(at, "reconstruct plain --data few --count 40 --force --out few.npy");
    let (large, few) = (pictures(&at.join("large.npy"), 256), pictures(&at.join("few.npy"), 256));
    assert_eq!(large.rows(), few.rows());
    // Far less than from one picture to the next.
    let off =
        |other: &[f32]| few.values.iter().zip(other).map(|(a, b)| f64::from((a - b).abs())).sum::<f64>();
    let (same, next) = (off(&large.values), off(&few.values[256..]));
    assert!(same < 0.2 * next, "{same} {next}");
    succeed(at, "reconstruct plain --data large --count 4 --force --out large.png");
    // A table is no picture, whatever its size.
    refuse(at, "encode plain --data rows.csv --out w.npy", &["rows.csv"]);
}
