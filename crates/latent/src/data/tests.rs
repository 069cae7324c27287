//! The room as a whole: files in, splits and rows out, and back into files.

mod attributes;
mod condition;
mod files;
mod memory;
mod tables;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use super::fuzz::{npy_bytes, npz_bytes};
use super::*;
use crate::Key;

fn open_with(text: &str, source: &Path) -> Result<Data, DataError> {
    let mut settings: DataSettings = toml::from_str(text).unwrap();
    settings.source = source.display().to_string();
    Data::open(&settings, Key::from_seed(1), &mut |_| {})
}

fn open(source: &Path) -> Result<Data, DataError> {
    open_with("", source)
}

fn message(result: Result<Data, DataError>) -> String {
    result.unwrap_err().to_string()
}

/// All rows in the order of their ids, as x.
fn all_x(data: &Data) -> Vec<Vec<f32>> {
    let mut rows = Vec::new();
    for split in Split::ALL {
        let positions: Vec<usize> = (0..data.len(split)).collect();
        let got = data.rows(split, &positions, 0).unwrap();
        let x = got.x.chunks(data.features()).map(<[f32]>::to_vec);
        rows.extend(got.ids.into_iter().zip(x));
    }
    rows.sort_by_key(|(id, _)| *id);
    rows.into_iter().map(|(_, x)| x).collect()
}

fn npy(folder: &Path, descr: &str, fortran: bool, shape: &str, numbers: &[u8]) -> std::path::PathBuf {
    let path = folder.join("x.npy");
    fs::write(&path, npy_bytes(descr, fortran, shape, numbers)).unwrap();
    path
}

fn png(path: &Path, side: (u32, u32), color: image::ExtendedColorType, bytes: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    image::save_buffer(path, bytes, side.1, side.0, color).unwrap();
}

#[test]
fn the_embedded_data_is_split_and_knows_itself() {
    let settings = DataSettings { source: "embedded".into(), ..DataSettings::default() };
    let data = Data::open(&settings, Key::from_seed(1), &mut |_| {}).unwrap();
    let facts = data.facts();
    assert_eq!(facts.rows, [8000, 1000, 1000]);
    assert_eq!(facts.shape, SampleShape::Image { channels: 1, height: 28, width: 28 });
    assert_eq!(facts.kind, ValueKind::Grey);
    assert_eq!(facts.classes[9], "Ankle boot");
    assert_eq!(facts.overlaps, ["fashion-mnist-test"]);
    assert_eq!(data.test_is_known(), None, "its own test split is no official one");
    let mean = facts.mean.iter().sum::<f32>() / 784.0;
    assert!((mean - 0.2868).abs() < 0.004, "{mean}");
    let summary = data.summary(&settings);
    assert_eq!(summary.classes.iter().map(|class| class.rows).collect::<Vec<_>>(), [1000; 10]);
    assert!((summary.mean - 73.1).abs() < 1.0, "{}", summary.mean);

    // The same rows in another format are found as well, and other splits make no other data.
    let folder = tempfile::tempdir().unwrap();
    let x = data.rows(Split::Train, &(0..500).collect::<Vec<_>>(), 0).unwrap().x;
    let values = facts.normalisation.values(&x);
    let path = folder.path().join("part.npy");
    write_npy(&path, &[500, 28, 28], StoredType::U8, &values).unwrap();
    let part = open(&path).unwrap();
    assert_eq!(part.facts().overlaps, ["fashion-mnist-test"]);
    assert_eq!(all_x(&part).concat(), x);
}

#[test]
fn the_official_test_set_is_recognised() {
    let source = Path::new("/usr/share/datasets/fashion-mnist");
    if !source.is_dir() {
        println!("skipped: Debian's dataset-fashion-mnist is not installed");
        return;
    }
    let data = open(source).unwrap();
    assert_eq!(data.facts().rows, [54_000, 6_000, 10_000]);
    assert_eq!(data.test_is_known(), Some("fashion-mnist-test"));
    assert!(data.facts().overlaps.is_empty());
    assert_eq!(data.facts().classes[0], "T-shirt/top");
    let mean = data.facts().mean.iter().sum::<f32>() / 784.0;
    assert!((mean - 0.2860).abs() < 0.001, "{mean}");
    let limited = open_with("limit = 100\ntest = 0.2", source).unwrap();
    assert_eq!(limited.facts().rows, [70, 10, 20]);
    assert_ne!(limited.facts().hash, data.facts().hash);
    let test_alone = open(&source.join("t10k-images-idx3-ubyte.gz")).unwrap();
    assert!(test_alone.has_labels(Split::Train), "labels beside are found");
}

#[test]
fn numbers_are_the_same_however_they_are_stored() {
    let folder = tempfile::tempdir().unwrap();
    // Five rows of 2 × 3; the same numbers in every type, order and layout.
    let value = |row: usize, y: usize, x: usize| (row * 6 + y * 3 + x) as u8 * 8;
    let each = |f: &dyn Fn(u8) -> Vec<u8>, fortran: bool| -> Vec<u8> {
        let mut bytes = Vec::new();
        let place = |n: usize| if fortran { (n % 5, n / 5 % 2, n / 10) } else { (n / 6, n / 3 % 2, n % 3) };
        (0..30).map(place).for_each(|(row, y, x)| bytes.extend(f(value(row, y, x))));
        bytes
    };
    let expected: Vec<Vec<f32>> =
        (0..5).map(|row| (0..6).map(|n| f32::from(value(row, n / 3, n % 3)) / 255.0).collect()).collect();
    for fortran in [false, true] {
        for (descr, bytes) in [
            ("|u1", each(&|v| vec![v], fortran)),
            ("<u2", each(&|v| u16::from(v).to_le_bytes().to_vec(), fortran)),
            (">i2", each(&|v| i16::from(v).to_be_bytes().to_vec(), fortran)),
            ("<i8", each(&|v| i64::from(v).to_le_bytes().to_vec(), fortran)),
            (">u4", each(&|v| u32::from(v).to_be_bytes().to_vec(), fortran)),
            ("<f4", each(&|v| f32::from(v).to_le_bytes().to_vec(), fortran)),
            (">f8", each(&|v| f64::from(v).to_be_bytes().to_vec(), fortran)),
        ] {
            let data = open(&npy(folder.path(), descr, fortran, "(5, 2, 3)", &bytes)).unwrap();
            assert_eq!(data.facts().rows, [3, 1, 1]);
            assert_eq!(data.facts().kind, ValueKind::Grey);
            let scale = if descr == "<u2" { 65535.0 / 255.0 } else { 1.0 };
            for (got, expected) in all_x(&data).iter().flatten().zip(expected.iter().flatten()) {
                assert!((got * scale - expected).abs() < 1e-6, "{descr} {fortran}");
            }
        }
    }
}

#[test]
fn channels_last_become_channels_first() {
    let folder = tempfile::tempdir().unwrap();
    let bytes: Vec<u8> = (0..4 * 5 * 6 * 3).map(|v| v as u8).collect();
    let data = open(&npy(folder.path(), "|u1", false, "(4, 5, 6, 3)", &bytes)).unwrap();
    assert_eq!(data.facts().shape, SampleShape::Image { channels: 3, height: 5, width: 6 });
    assert_eq!(data.facts().kind, ValueKind::Colour);
    let rows = all_x(&data);
    assert_eq!(rows[1][2 * 30 + 3 * 6 + 4], f32::from(bytes[90 + (3 * 6 + 4) * 3 + 2]) / 255.0);
    let error = message(open(&npy(folder.path(), "|u1", false, "(4, 3, 6, 3)", &bytes[..216])));
    assert!(error.contains("data.layout") && error.contains("nhwc"), "{error}");
    let error = message(open(&npy(folder.path(), "|u1", false, "(1, 1, 1, 1, 360)", &bytes)));
    assert!(error.contains("5 axes"), "{error}");
}

#[test]
fn what_is_no_array_of_numbers_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for (descr, shape, bytes, expected) in [
        ("|O", "(2,)", &[0; 16][..], "Python objects"),
        ("<c8", "(2,)", &[0; 16], "complex"),
        ("<U4", "(1,)", &[0; 16], "text"),
        ("<f4", "(2, 9)", &[0; 16], "promises 2×9 f32"),
        ("<f4", "(18446744073709551615, 9)", &[0; 16], "more than any file"),
        ("<f4", "(0, 9)", &[0; 16], "no rows"),
        ("<f4", "()", &[0; 16], "no rows"),
        ("<u8", "(1, 2)", &[0xff; 16], "beyond ±2⁵³"),
        ("<f4", "(2, 2)", &f32::NAN.to_le_bytes().repeat(4), "row 0, column 0 is NaN"),
        ("<f8", "(1, 2)", &1e300f64.to_le_bytes().repeat(2), "row 0, column 0 is 1"),
        ("<i4", "(4, 1, 1)", &(-5i32).to_le_bytes().repeat(4), "outside of 0 … 65535"),
        ("|u1", "(2, 8)", &[1; 16], "2 rows can't be cut into 3 splits"),
    ] {
        let fractions = if expected.contains("splits") { "" } else { "validation = 0\ntest = 0" };
        let error = message(open_with(fractions, &npy(folder.path(), descr, false, shape, bytes)));
        assert!(error.contains(expected), "{error}");
    }
    let error = message(open(&folder.path().join("nothing.npy")));
    assert!(error.contains("no such file") && error.contains("embedded"), "{error}");
    fs::create_dir(folder.path().join("empty")).unwrap();
    assert!(message(open(&folder.path().join("empty"))).contains("no image"));
    fs::write(folder.path().join("note.pdf"), "%PDF").unwrap();
    assert!(message(open(&folder.path().join("note.pdf"))).contains("no format"));
}

#[test]
fn some_classes_alone() {
    let whole = open_with("", Path::new("embedded")).unwrap();
    let data = open_with("classes = ['Trouser', 0]", Path::new("embedded")).unwrap();
    assert_eq!(data.facts().classes, ["T-shirt/top", "Trouser"]);
    assert_eq!(data.facts().rows, [1600, 200, 200]);
    assert_ne!(data.facts().hash, whole.facts().hash);
    for split in Split::ALL {
        let positions: Vec<usize> = (0..data.len(split)).collect();
        let rows = data.rows(split, &positions, 0).unwrap();
        let named = |data: &Data, label: u32| data.facts().classes[label as usize].clone();
        assert!(rows.labels.contains(&0) && rows.labels.contains(&1));
        // A row keeps its identity and its label.
        for (id, &label) in rows.ids.iter().zip(&rows.labels) {
            let split = Split::ALL.into_iter().find(|&split| whole.ids(split).contains(id)).unwrap();
            let position = whole.ids(split).iter().position(|other| other == id).unwrap();
            let there = whole.rows(split, &[position], 0).unwrap();
            assert_eq!(named(&data, label), named(&whole, there.labels[0]));
        }
    }
    let limited = open_with("classes = [1]\nlimit = 50", Path::new("embedded")).unwrap();
    assert_eq!(limited.facts().rows, [40, 5, 5]);

    let error = message(open_with("classes = ['Trousers']", Path::new("embedded")));
    assert!(error.contains("did you mean \"Trouser\"?") && error.contains("\"Ankle boot\""), "{error}");
    let folder = tempfile::tempdir().unwrap();
    let path = npy(folder.path(), "|u1", false, "(4, 2)", &[0; 8]);
    assert!(message(open_with("classes = [1]", &path)).contains("no labels"));
}

#[test]
fn npz_holds_labels_beside_x() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.npz");
    let x = (
        "x",
        npy_bytes(
            "<f4",
            false,
            "(6, 2)",
            &(0..12).flat_map(|v| (v as f32).to_le_bytes()).collect::<Vec<_>>(),
        ),
    );
    for method in [zip::CompressionMethod::Stored, zip::CompressionMethod::Deflated] {
        let labels = ("labels", npy_bytes("|u1", false, "(6,)", &[7, 3, 7, 3, 3, 3]));
        fs::write(&path, npz_bytes(&[labels, x.clone()], method)).unwrap();
        let data = open(&path).unwrap();
        assert_eq!(data.facts().classes, ["3", "7"]);
        assert_eq!(data.facts().kind, ValueKind::Real);
        assert_eq!(data.summary(&DataSettings::default()).classes[0].rows, 4);
        fs::write(&path, npz_bytes(&[("y", npy_bytes("|u1", false, "(5,)", &[0; 5])), x.clone()], method))
            .unwrap();
        assert!(message(open(&path)).contains("5 labels for 6 rows"));
    }
    fs::write(&path, npz_bytes(&[("a", x.1.clone()), ("b", x.1.clone())], zip::CompressionMethod::Stored))
        .unwrap();
    let error = message(open(&path));
    assert!(error.contains("data.array") && error.contains("a, b"), "{error}");
    assert_eq!(open_with("array = 'b'", &path).unwrap().features(), 2);
    assert!(message(open_with("array = 'c'", &path)).contains("no array \"c\""));
}

#[test]
fn a_table_is_standardised_by_its_training_rows() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.csv");
    let lines: String = (0..200)
        .map(|row| {
            format!("{},{},{},5,{}\n", row % 7, 1_600_000_000 + row * row, ["b", "a"][row % 2], row / 10)
        })
        .collect();
    fs::write(&path, format!("small,time,kind,constant,person\n{lines}")).unwrap();
    let data = open_with("label = 'kind'\ngroup = 'person'", &path).unwrap();
    assert_eq!(data.facts().columns, ["small", "time"]);
    assert_eq!(data.facts().classes, ["a", "b"]);
    assert_eq!(data.facts().kind, ValueKind::Real);
    let train = data.rows(Split::Train, &(0..data.len(Split::Train)).collect::<Vec<_>>(), 0).unwrap();
    for column in 0..2 {
        let x: Vec<f64> = train.x.chunks(2).map(|row| f64::from(row[column])).collect();
        let mean = x.iter().sum::<f64>() / x.len() as f64;
        let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / x.len() as f64;
        assert!(mean.abs() < 1e-6 && (variance - 1.0).abs() < 1e-5, "{column}: {mean} {variance}");
        assert!((f64::from(data.facts().mean[column]) - mean).abs() < 1e-5);
        assert!((f64::from(data.facts().variance[column]) - variance).abs() < 1e-5);
    }
    // Rows of one person stay together.
    let people = |split| data.ids(split).iter().map(|id| id / 10).collect::<std::collections::BTreeSet<_>>();
    assert!(people(Split::Train).is_disjoint(&people(Split::Test)));
    assert!(people(Split::Validation).is_disjoint(&people(Split::Test)));

    // Another table for the model: other order, no label, one column more.
    let other = folder.path().join("o.csv");
    fs::write(&other, "extra;constant;time;small\n1;5;1600000100;3\n").unwrap();
    let settings = DataSettings {
        source: other.display().to_string(),
        label: Some("kind".into()),
        group: Some("person".into()),
        ..DataSettings::default()
    };
    let opened = Data::open_for(data.facts(), &settings, Key::from_seed(1), &mut |_| {}).unwrap();
    assert_eq!(opened.facts().rows, [0, 0, 1]);
    assert_eq!(opened.rows(Split::Test, &[0], 0).unwrap().x, data_row(&data, &[3.0, 1_600_000_100.0]));
    // What never changed may be missing; what did may not.
    fs::write(&other, "time;small\n1600000100;3\n").unwrap();
    let opened = Data::open_for(data.facts(), &settings, Key::from_seed(1), &mut |_| {}).unwrap();
    assert_eq!(opened.features(), 2);
    fs::write(&other, "constant;small\n5;3\n").unwrap();
    let error =
        Data::open_for(data.facts(), &settings, Key::from_seed(1), &mut |_| {}).unwrap_err().to_string();
    assert!(error.contains("no column \"time\""), "{error}");
}

fn data_row(data: &Data, values: &[f64]) -> Vec<f32> {
    let mut x = vec![0.0; values.len()];
    data.facts().normalisation.x_from_value(values, &mut x);
    x
}

#[test]
fn a_bad_cell_is_named_by_line_and_column() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.csv");
    for (text, expected) in [
        ("a,b\n1,2\n3\n", "line 3, column \"b\": the line has 1 cells, the header 2"),
        ("a,b\n1,2\n3,x\n", "line 3, column \"b\": \"x\" is no number"),
        ("a,b\n1,\n", "line 2, column \"b\": the cell is empty; fill the missing value in"),
        ("a,b\n1,NaN\n", "line 2, column \"b\": NaN is no finite number"),
        ("a,b\n1,inf\n", "no finite number"),
        ("M,2,3\nF,3,4\n", "line 1, column \"column-1\": \"M\" is no number"),
        ("a,a\n3,4\n", "two columns are named \"a\""),
        ("a,\n3,4\n", "column 2 of the header has no name"),
        ("a,b\n", "no row"),
        ("", "empty"),
        ("a,b\n\"\u{e9}\",1\n", "is no number"),
    ] {
        fs::write(&path, text).unwrap();
        let error = message(open_with("table = 'numbers'", &path));
        assert!(error.contains(expected), "{text:?}: {error}");
    }
    fs::write(&path, b"a,b\n1,\xff\n").unwrap();
    assert!(message(open(&path)).contains("UTF-8"));
    fs::write(&path, "a,b\n1,2\n").unwrap();
    assert!(message(open_with("label = 'c'", &path)).contains("its columns are a, b"));
    let npy = npy(folder.path(), "|u1", false, "(4, 2)", &[1; 8]);
    assert!(message(open_with("label = 'c'", &npy)).starts_with("data.label"));
}

#[test]
fn a_folder_of_classes_is_read_by_position() {
    use image::ExtendedColorType::{L8, La8, Rgba8};
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for number in 0..6u8 {
        let class = ["cat", "ant"][usize::from(number % 2)];
        png(&root.join(class).join(format!("{number}.png")), (3, 2), L8, &[number * 10; 6]);
    }
    fs::write(root.join("cat/notes.txt"), "no image").unwrap();
    let data = open(root).unwrap();
    assert_eq!(data.facts().classes, ["ant", "cat"]);
    assert_eq!(data.facts().shape, SampleShape::Image { channels: 1, height: 3, width: 2 });
    let firsts: Vec<f32> = all_x(&data).iter().map(|x| (x[0] * 255.0).round()).collect();
    assert_eq!(firsts, [10.0, 30.0, 50.0, 0.0, 20.0, 40.0]);
    let flipped = open_with("flip = 'horizontal'", root).unwrap();
    assert!(flipped.is_mirrored() && flipped.facts().hash == data.facts().hash);

    // Half transparent black over white is grey; a colour file among grey ones is named.
    png(&root.join("ant/a.png"), (3, 2), La8, &[0, 128].repeat(6));
    let data = open(root).unwrap();
    assert!((all_x(&data)[3][0] - 127.0 / 255.0).abs() < 1e-6, "{:?}", all_x(&data));
    png(&root.join("ant/b.png"), (3, 2), Rgba8, &[255, 0, 0, 255].repeat(6));
    let error = message(open(root));
    assert!(error.contains("data.image.channels") && error.contains("b.png"), "{error}");
    let grey = open_with("image.channels = 'grey'", root).unwrap();
    assert!((all_x(&grey)[4][0] - 54.0 / 255.0).abs() < 1e-6);
    let colour = open_with("image.channels = 'colour'", root).unwrap();
    assert_eq!(colour.features(), 18);
    // Other sizes want a size.
    png(&root.join("ant/c.png"), (4, 4), L8, &[0; 16]);
    let error = message(open_with("image.channels = 'grey'", root));
    assert!(error.contains("data.image.size") && error.contains("c.png is 4×4"), "{error}");
    assert_eq!(open_with("image.channels = 'grey'\nimage.size = 8", root).unwrap().features(), 64);
    png(&root.join("top.png"), (3, 2), L8, &[0; 6]);
    assert!(message(open(root)).contains("beside the subfolders"));
}

#[test]
fn one_broken_image_in_a_hundred_is_skipped() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for number in 0..200u8 {
        png(&root.join(format!("{number:03}.png")), (4, 4), image::ExtendedColorType::L8, &[number; 16]);
    }
    fs::write(root.join("017.png"), "not an image").unwrap();
    // A cut file has a good header.
    let whole = fs::read(root.join("100.png")).unwrap();
    fs::write(root.join("100.png"), &whole[..whole.len() - 20]).unwrap();
    let mut heard = Vec::new();
    let settings = DataSettings { source: root.display().to_string(), ..DataSettings::default() };
    let data = Data::open(&settings, Key::from_seed(1), &mut |line| heard.push(line)).unwrap();
    assert_eq!(data.facts().rows.iter().sum::<u64>(), 198);
    assert!(heard.iter().any(|line| line.contains("017.png")), "{heard:?}");
    assert!(heard.iter().any(|line| line.contains("100.png")), "{heard:?}");
    assert!(heard.iter().any(|line| line.starts_with("2 of 200")), "{heard:?}");
    fs::write(root.join("050.png"), "").unwrap();
    let error = message(open(root));
    assert!(error.contains("3 of 200 images") && error.contains("017.png"), "{error}");
    // What breaks after opening is an error that names the file.
    for entry in fs::read_dir(root).unwrap() {
        fs::write(entry.unwrap().path(), "gone").unwrap();
    }
    let error = data.rows(Split::Train, &[0], 0).unwrap_err().to_string();
    assert!(error.contains("bytes long and became 4") && error.contains("--resume"), "{error}");
}

#[test]
fn orientation_and_sixteen_bits_are_respected() {
    let folder = tempfile::tempdir().unwrap();
    // A JPEG of a bright left half, turned by EXIF orientation 6 (90° clockwise): bright above.
    let mut pixels = vec![0; 16 * 8];
    pixels.chunks_mut(16).for_each(|row| row[..8].fill(255));
    let mut jpeg = std::io::Cursor::new(Vec::new());
    let format = image::ImageFormat::Jpeg;
    image::write_buffer_with_format(&mut jpeg, &pixels, 16, 8, image::ExtendedColorType::L8, format).unwrap();
    let jpeg = jpeg.into_inner();
    let exif: Vec<u8> = [
        &b"\xff\xe1\x00\x22Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"[..],
        &jpeg[2..],
    ]
    .concat();
    let path = folder.path().join("turned.jpg");
    fs::write(&path, [&jpeg[..2], &exif].concat()).unwrap();
    let data = open_with("validation = 0\ntest = 0", &path).unwrap();
    assert_eq!(data.facts().shape, SampleShape::Image { channels: 1, height: 16, width: 8 });
    let x = &all_x(&data)[0];
    assert!(x[..8].iter().all(|x| *x > 0.9) && x[120..].iter().all(|x| *x < 0.1), "{x:?}");
    // A truncated JPEG is noticed.
    let cut = [&jpeg[..2], &exif[..exif.len() - 20]].concat();
    assert!(
        super::picture::decode(&cut, &ImageSettings::default(), false).unwrap_err().contains("cut short")
    );

    let levels: Vec<u8> = [0u16, 1, 30_000, 65_535].iter().flat_map(|v| v.to_ne_bytes()).collect();
    let path = folder.path().join("deep.png");
    png(&path, (2, 2), image::ExtendedColorType::L16, &levels);
    let data = open_with("validation = 0\ntest = 0", &path).unwrap();
    assert_eq!(data.facts().normalisation.stored, StoredType::U16);
    let values = data.facts().normalisation.values(&all_x(&data)[0]);
    assert_eq!(values, [0.0, 1.0, 30_000.0, 65_535.0]);
    // Out again as PNG, in again: the same levels.
    write_images(&folder.path().join("out"), data.facts().shape, &data.facts().normalisation, &values)
        .unwrap();
    let again = open_with("validation = 0\ntest = 0", &folder.path().join("out")).unwrap();
    assert_eq!(all_x(&again), all_x(&data));
}

#[test]
fn bits_are_keyed_by_row_and_epoch() {
    let settings = |binarize| DataSettings {
        source: "embedded".into(),
        limit: Some(300),
        binarize,
        flip: Flip::Horizontal,
        ..DataSettings::default()
    };
    let key = Key::from_seed(4);
    let dynamic = Data::open(&settings(Binarize::Dynamic), key, &mut |_| {}).unwrap();
    assert_eq!(dynamic.facts().kind, ValueKind::Binary);
    let rows = |data: &Data, split, positions: &[usize], epoch| {
        data.rows_to_learn(split, positions, epoch).unwrap().x
    };
    let both = rows(&dynamic, Split::Train, &[3, 5], 1);
    assert!(both.iter().all(|x| *x == 0.0 || *x == 1.0));
    assert_eq!(both[784..], rows(&dynamic, Split::Train, &[5], 1));
    assert_ne!(both, rows(&dynamic, Split::Train, &[3, 5], 2));
    for split in [Split::Validation, Split::Test] {
        assert_eq!(rows(&dynamic, split, &[0, 1], 1), rows(&dynamic, split, &[0, 1], 2));
    }
    // Static bits stay, up to the mirror; their mean over epochs shows that the coin falls both ways.
    let fixed = Data::open(&settings(Binarize::Static), key, &mut |_| {}).unwrap();
    let first = rows(&fixed, Split::Train, &[0], 0);
    let mirrored: Vec<f32> = first.chunks(28).flat_map(|row| row.iter().rev().copied()).collect();
    let mut seen = [0; 2];
    for epoch in 0..20 {
        let x = rows(&fixed, Split::Train, &[0], epoch);
        assert!(x == first || x == mirrored);
        seen[usize::from(x == first)] += 1;
    }
    assert!(seen[0] > 2 && seen[1] > 2, "{seen:?}");
    // The mean of x predicts the mean of its bits.
    let plain = Data::open(&settings(Binarize::None), key, &mut |_| {}).unwrap();
    let mean = |data: &Data| data.facts().mean.iter().sum::<f32>() / 784.0;
    assert!((mean(&dynamic) - mean(&plain)).abs() < 1e-6);
    assert!((mean(&fixed) - mean(&plain)).abs() < 0.005, "{} {}", mean(&fixed), mean(&plain));
    let threshold = Data::open(&settings(Binarize::Threshold), key, &mut |_| {}).unwrap();
    let variance = threshold.facts().mean.iter().zip(&threshold.facts().variance);
    assert!(variance.map(|(m, v)| (v - m * (1.0 - m)).abs()).fold(0.0, f32::max) < 1e-6);
}

#[test]
fn splits_are_disjoint_and_cover() {
    let settings = DataSettings { source: "embedded".into(), limit: Some(1000), ..DataSettings::default() };
    let data = Data::open(&settings, Key::from_seed(1), &mut |_| {}).unwrap();
    let mut ids: Vec<u64> = Split::ALL.iter().flat_map(|split| data.ids(*split).to_vec()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 1000);
    let again = Data::open(&settings, Key::from_seed(1), &mut |_| {}).unwrap();
    assert_eq!(again.facts(), data.facts());
    assert_eq!(again.ids(Split::Test), data.ids(Split::Test));
    // The seed of a run is not that of its data, unless the data has none.
    let open = |seed, run| {
        Data::open(&DataSettings { seed, ..settings.clone() }, Key::from_seed(run), &mut |_| {}).unwrap()
    };
    let same = [open(Some(1), 2), open(None, 1)].map(|data| data.ids(Split::Test).to_vec());
    assert!(same.iter().all(|ids| ids == data.ids(Split::Test)));
    for other in [open(Some(2), 1), open(None, 2)] {
        assert_ne!(other.ids(Split::Test), data.ids(Split::Test));
    }
    assert!(matches!(data.rows(Split::Test, &[100], 0), Err(DataError::Position { rows: 100, .. })));
}

#[test]
fn given_splits_are_other_data() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, rows: usize, side: usize| {
        let path = folder.path().join(name);
        let values: Vec<f64> = (0..rows * side * side).map(|v| (v % 200) as f64).collect();
        write_npy(&path, &[rows, side, side], StoredType::U8, &values).unwrap();
        path.display().to_string()
    };
    let (main, test) = (write("main.npy", 20, 4), write("test.npy", 7, 4));
    let data = open_with(&format!("test = '{test}'"), Path::new(&main)).unwrap();
    assert_eq!(data.facts().rows, [18, 2, 7]);
    assert_eq!(data.ids(Split::Test), [20, 21, 22, 23, 24, 25, 26]);
    let wrong = write("wrong.npy", 7, 5);
    let error = message(open_with(&format!("validation = '{wrong}'"), Path::new(&main)));
    assert!(error.contains("wrong.npy") && error.contains("image.size = [4, 4]"), "{error}");
}

#[test]
fn other_data_is_normalised_as_the_models_was() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, stored, values: &[f64]| {
        let path = folder.path().join(name);
        write_npy(&path, &[values.len() / 4, 2, 2], stored, values).unwrap();
        path
    };
    let levels: Vec<f64> = (0..40).map(|v| f64::from(v * 5)).collect();
    let model = open(&write("model.npy", StoredType::U8, &levels)).unwrap();
    let other = |path: &Path| {
        let settings = DataSettings { source: path.display().to_string(), ..DataSettings::default() };
        Data::open_for(model.facts(), &settings, Key::from_seed(1), &mut |_| {})
    };
    let one = other(&write("one.npy", StoredType::U8, &[0.0, 51.0, 102.0, 255.0])).unwrap();
    let rows = one.rows(Split::Test, &[0], 0).unwrap();
    assert_eq!((rows.x, rows.ids, rows.labels), (vec![0.0, 0.2, 0.4, 1.0], vec![0], vec![]));
    let error = message(other(&write("unit.npy", StoredType::F32, &[0.0, 0.2, 0.4, 1.0])));
    assert!(error.contains("scale the values to 0 … 255"), "{error}");
    let error = message(other(&write("wide.npy", StoredType::U16, &[0.0, 0.2, 0.4, 999.0])));
    assert!(error.contains("reach from 0 to 999"), "{error}");
    let shape = folder.path().join("shape.npy");
    write_npy(&shape, &[1, 3, 2], StoredType::U8, &[9.0; 6]).unwrap();
    // An image of another size is brought to the model's, and it is said.
    let settings = DataSettings { source: shape.display().to_string(), ..DataSettings::default() };
    let mut heard = Vec::new();
    let open = Data::open_for(model.facts(), &settings, Key::from_seed(1), &mut |line| heard.push(line));
    assert_eq!(open.unwrap().rows(Split::Test, &[0], 0).unwrap().x, [9.0 / 255.0; 4]);
    assert!(heard.iter().any(|line| line.contains("1×3×2, brought to 1×2×2")), "{heard:?}");
    // A table is no image.
    let table = folder.path().join("table.npy");
    write_npy(&table, &[1, 6], StoredType::U8, &[9.0; 6]).unwrap();
    assert!(message(other(&table)).contains("where 1×2×2 is wanted"));
}

#[test]
fn the_loader_gives_what_direct_reading_gives() {
    let settings = DataSettings {
        source: "embedded".into(),
        limit: Some(500),
        binarize: Binarize::Dynamic,
        flip: Flip::Horizontal,
        ..DataSettings::default()
    };
    let data = Arc::new(Data::open(&settings, Key::from_seed(1), &mut |_| {}).unwrap());
    let plan = |step: u64| PlanItem {
        step,
        split: if step % 5 == 4 { Split::Validation } else { Split::Train },
        positions: (0..1 + step as usize % 7).map(|n| (n * 31 + step as usize) % 50).collect(),
        epoch: step / 10,
    };
    for workers in [1, 4] {
        let mut loader = Loader::new(data.clone(), (0..60).map(plan), workers).unwrap();
        for step in 0..60 {
            let PlanItem { split, positions, epoch, .. } = plan(step);
            assert_eq!(
                loader.next().unwrap().unwrap(),
                data.rows_to_learn(split, &positions, epoch).unwrap()
            );
        }
        assert!(loader.next().is_none());
    }
    let bad = PlanItem { step: 0, split: Split::Test, positions: vec![50], epoch: 0 };
    assert!(Loader::new(data.clone(), [bad], 2).unwrap().next().unwrap().is_err());
    let endless = Loader::new(data, (0..).map(plan), 2).unwrap();
    drop(endless);
}

#[test]
fn zeros_and_ones_stay_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let bits: Vec<u8> = (0..40).map(|v| u8::from(v % 3 == 0)).collect();
    for (descr, shape) in [("|b1", "(10, 2, 2)"), ("|u1", "(10, 2, 2)"), ("|u1", "(10, 4)")] {
        let data = open(&npy(folder.path(), descr, false, shape, &bits)).unwrap();
        assert_eq!(data.facts().kind, ValueKind::Binary);
        let x = all_x(&data).concat();
        assert_eq!(x, bits.iter().map(|bit| f32::from(*bit)).collect::<Vec<_>>());
        assert_eq!(data.facts().normalisation.values(&[0.4, 0.6, 7.0]), [0.0, 1.0, 1.0]);
    }
    // Real images in [−1, 1] are brought to [0, 1] and back.
    let reals: Vec<u8> = (0..40).flat_map(|v| (v as f32 / 20.0 - 0.99).to_le_bytes()).collect();
    let data = open(&npy(folder.path(), "<f4", false, "(10, 2, 2)", &reals)).unwrap();
    assert_eq!(data.facts().kind, ValueKind::Grey);
    assert_eq!((data.facts().normalisation.offset[0], data.facts().normalisation.scale[0]), (-1.0, 2.0));
    let error = message(open_with("binarize = 'static'\nnormalise = 'none'", &folder.path().join("x.npy")));
    assert!(error.contains("data.normalise"), "{error}");
}

#[test]
fn tables_are_written_and_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.csv");
    let header = ["a".to_string(), "b, c".to_string()];
    let values = [0.1f32, -2.0, 1e-7, 3.5, 123_456.79, 0.0];
    write_table(&path, &header, &values).unwrap();
    assert!(fs::read_to_string(&path).unwrap().starts_with("a,\"b, c\"\n0.1,-2\n"));
    let data = open_with("normalise = 'none'", &path).unwrap();
    assert_eq!(all_x(&data).concat(), values);
    let columns = [Column::Names(vec!["x".into(), "y".into()]), Column::Numbers(vec![1.5, f64::NAN])];
    write_csv(&path, &header, &columns).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "a,\"b, c\"\nx,1.5\ny,\n");
    assert!(write_csv(&path, &header[..1], &columns).is_err());
    assert!(write_npy(&path, &[3, 3], StoredType::F32, &values).is_err());
}

/// `cargo test --release five_gigabytes -- --ignored --nocapture`, alone: it asks for the peak of the process.
#[test]
#[cfg(target_os = "linux")]
#[ignore = "makes a sparse file of 5 GB and reads it"]
fn five_gigabytes_cost_no_memory() {
    let folder = tempfile::tempdir().unwrap();
    let rows = 5 * (1u64 << 30) / (64 * 64 * 3);
    let path = npy(folder.path(), "|u1", false, &format!("({rows}, 3, 64, 64)"), &[]);
    let header = fs::metadata(&path).unwrap().len();
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(header + rows * 64 * 64 * 3).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &[200; 12_288], header + 12_288 * 7).unwrap();
    let start = std::time::Instant::now();
    let data = Arc::new(open(&path).unwrap());
    println!("opened {rows} rows in {:?}", start.elapsed());
    assert_eq!(data.facts().kind, ValueKind::Colour);
    let train = data.len(Split::Train);
    let plan = (0..500).map(move |step| PlanItem {
        step,
        split: Split::Train,
        positions: (0..128).map(|n| (n * 7919 + step as usize * 104_729) % train).collect(),
        epoch: 0,
    });
    for batch in Loader::new(data.clone(), plan, 2).unwrap() {
        assert_eq!(batch.unwrap().len(), 128);
    }
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("0 kB");
    println!("500 batches of 128 after {:?}; peak {peak}", start.elapsed());
    let kilobytes: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(kilobytes < 300_000, "{peak}");
}

#[test]
fn what_cannot_be_read_is_said() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("idx");
    fs::create_dir(&folder).unwrap();
    let mut images = vec![0, 0, 8, 3, 0, 0, 0, 10, 0, 0, 0, 1, 0, 0, 0, 2];
    images.extend(0..20u8);
    fs::write(folder.join("train-images-idx3-ubyte"), &images).unwrap();
    // A plain file wins over its .gz, which isn't looked at.
    fs::write(folder.join("train-images-idx3-ubyte.gz"), "no gzip").unwrap();
    assert_eq!(open(&folder).unwrap().facts().rows.iter().sum::<u64>(), 10);
    fs::write(folder.join("train-labels-idx1-ubyte"), [0, 0, 8, 1, 0, 0, 0, 3, 1, 2, 3]).unwrap();
    let error = message(open(&folder));
    assert!(error.contains("10 rows and 3 labels"), "{error}");
    fs::write(folder.join("other-images-idx3-ubyte"), &images).unwrap();
    assert!(message(open(&folder)).contains("same part"));

    fs::write(root.path().join("x.npy"), "1,2,3").unwrap();
    assert!(message(open(&root.path().join("x.npy"))).contains("numpy.save"));
    let error = message(open(&npy(root.path(), "|u1", false, "(5, 6, 6, 6)", &[0; 1080])));
    assert!(error.contains("no axis looks like channels"), "{error}");
}

#[test]
fn channels_may_be_last_and_the_image_another_size() {
    let root = tempfile::tempdir().unwrap();
    let levels: Vec<u8> = [10, 100, 200].into_iter().cycle().take(5 * 4 * 6 * 3).collect();
    let path = npy(root.path(), "|u1", false, "(5, 4, 6, 3)", &levels);
    let data = open_with("layout = 'nhwc'\nimage.size = 2", &path).unwrap();
    assert_eq!(data.facts().shape, SampleShape::Image { channels: 3, height: 2, width: 2 });
    for row in all_x(&data) {
        for (x, level) in row.iter().zip([10, 10, 10, 10, 100, 100, 100, 100, 200, 200, 200, 200]) {
            assert!((x - level as f32 / 255.0).abs() < 1e-6, "{row:?}");
        }
    }
}

#[test]
fn a_summary_says_what_is_odd_about_the_data() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("t.csv");
    let lines: String = (0..60).map(|row| format!("{},5,{}\n", row % 3, ["u", "v"][row % 2])).collect();
    fs::write(&path, format!("a,b,kind\n{lines}")).unwrap();
    let settings: DataSettings = toml::from_str("label = 'kind'").unwrap();
    let text = open_with("label = 'kind'", &path).unwrap().summary(&settings).to_string();
    for part in [
        "columns  a  0 to 2",
        "b  5 to 5, mean 5.0000, whole numbers",
        "classes  u 30, v 30",
        "one value in all training rows, so no part of the model: b",
        "repeat an earlier one",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn a_matrix_is_read_as_it_stands() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("z.csv");
    fs::write(&path, "a,b\n1,2.5\n-3,4e3\n").unwrap();
    assert_eq!(read_matrix(&path, 2).unwrap(), [1.0, 2.5, -3.0, 4000.0]);
    assert!(read_matrix(&path, 3).unwrap_err().to_string().contains("rows of 2 numbers where 3 are wanted"));
    let nan = npy(root.path(), "<f4", false, "(1, 2)", &[0, 0, 0xc0, 0x7f, 0, 0, 0, 0]);
    assert!(read_matrix(&nan, 2).unwrap_err().to_string().contains("row 0 holds NaN"));
    assert!(read_matrix(&root.path().join("none.csv"), 2).is_err());
}

#[test]
fn a_matrix_takes_the_columns_that_are_codes_by_name() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("z.csv");
    fs::write(&path, "file,z2,z1,label,sd1\na.png,2,1,Dress,\n\"b, c.png\",-4,3.5,Coat,7\n").unwrap();
    assert_eq!(read_matrix(&path, 2).unwrap(), [1.0, 2.0, 3.5, -4.0]);
    // Codes of a wider model are not cut short.
    assert!(read_matrix(&path, 1).is_err());
    fs::write(&path, "file,z1,z2\na.png,1,\n").unwrap();
    let text = read_matrix(&path, 2).unwrap_err().to_string();
    assert!(text.contains("row 0 holds `` in column `z2`"), "{text}");
}
