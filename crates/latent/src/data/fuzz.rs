//! Mutates valid files and reads them: whatever comes, a reader answers with rows or an error, never a panic.
//!
//! Each mutation is drawn by a key, so that a failure is found again by its number. `LATENT_FUZZ=N` runs N
//! inputs for each reader.

use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use rand_chacha::rand_core::Rng;
use sha2::Sha256;

use super::array::ArrayRows;
use super::csv::{Roles, Table};
use super::dataset::Dataset;
use super::folder::{self, Folder};
use super::settings::{ImageSettings, Layout, Size};
use super::storage::Storage;
use super::table::arrow::{self, Typed};
use super::{DataError, idx, npy, npz, picture};
use crate::Key;

/// Reads `count` mutations of the valid files and returns how many of them were still good.
fn run(name: &str, files: &[Vec<u8>], default: u64, read: impl Fn(&[u8]) -> bool) {
    let count = std::env::var("LATENT_FUZZ").ok().and_then(|count| count.parse().ok()).unwrap_or(default);
    for file in files {
        assert!(read(file), "{name}: a file before its mutation must be good");
    }
    let key = Key::from_seed(2).fold(name);
    let mut good = 0;
    for number in 0..count {
        let mut random = key.fold(number).generator();
        let mut file = files[number as usize % files.len()].clone();
        for _ in 0..1 + random.next_u32() % 4 {
            mutate(&mut file, &mut random);
        }
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| read(&file)));
        good += u64::from(result.unwrap_or_else(|_| panic!("{name}: input {number} panics")));
    }
    println!("{name}: {count} mutations, {good} of them still good");
    assert!(good < count || count == 0, "{name}: no mutation was noticed");
}

fn mutate(file: &mut Vec<u8>, random: &mut impl Rng) {
    let mut below = |bound: usize| random.next_u64() as usize % bound.max(1);
    let length = file.len();
    if length == 0 {
        return;
    }
    // Headers are where readers decide: half of the mutations fall there.
    let place = if below(2) == 0 { below(length.min(128)) } else { below(length) };
    match below(8) {
        0 => file[place] ^= 1 << below(8),
        1 => file[place] = below(256) as u8,
        2 => file[place] = [0, 1, 0x7f, 0x80, 0xff, b'0', b'9', b','][below(8)],
        3 => file.truncate(place),
        4 => {
            let end = (place + 1 + below(16)).min(length);
            file.drain(place..end);
        }
        5 => {
            let end = (place + 1 + below(64)).min(length);
            let copy = file[place..end].to_vec();
            let at = below(length);
            file.splice(at..at, copy);
        }
        6 => {
            let end = (place + 4).min(length);
            file[place..end].fill(if below(2) == 0 { 0xff } else { 0 });
        }
        _ => {
            let digits: [&[u8]; 6] = [b"NaN", b"-1", b"99999999999999999999", b"1e999", b"\"", b"\n"];
            let text = digits[below(6)];
            file.splice(place..place, text.iter().copied());
        }
    }
}

/// Reads everything a data set offers.
fn exhaust(data: &dyn Dataset) -> bool {
    let mut hash = <Sha256 as sha2::Digest>::new();
    let mut last = None;
    let scanned = data.scan(1, &|_| true, &mut hash, &mut |row, values| {
        last = Some((row, values.to_vec()));
        Ok(())
    });
    assert!(!matches!(scanned, Err(DataError::Worker { .. })), "a thread of the reader panicked");
    if let (Ok(_), Some((row, values))) = (&scanned, last) {
        let mut again = vec![0.0; values.len()];
        assert!(data.read(row, &mut again).is_ok() && again == values);
    }
    scanned.is_ok()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn sized() -> ImageSettings {
    ImageSettings { size: Some(Size::Square(6)), ..ImageSettings::default() }
}

#[test]
fn idx_survives() {
    let path = Path::new("fuzz.idx");
    let mut images = vec![0, 0, 8, 3, 0, 0, 0, 5, 0, 0, 0, 4, 0, 0, 0, 3];
    images.extend((0..60).map(|v| v * 4));
    let mut reals = vec![0, 0, 0x0d, 2, 0, 0, 0, 5, 0, 0, 0, 3];
    reals.extend((0..15).flat_map(|v| (v as f32 / 7.0).to_be_bytes()));
    let files = [gzip(&images), images, gzip(&reals), reals];
    run("idx", &files, 8000, |bytes| {
        idx::parse(path, Storage::Memory(bytes.to_vec()), &mut |_| {})
            .and_then(|array| ArrayRows::new(array, None, &sized(), Layout::Auto))
            .is_ok_and(|rows| exhaust(&rows))
    });
}

pub(super) fn npy_bytes(descr: &str, fortran: bool, shape: &str, numbers: &[u8]) -> Vec<u8> {
    let order = if fortran { "True" } else { "False" };
    let mut header = format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}");
    while !(header.len() + 11).is_multiple_of(64) {
        header.push(' ');
    }
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(numbers);
    bytes
}

#[test]
fn npy_survives() {
    let path = Path::new("fuzz.npy");
    let reals: Vec<u8> = (0..24).flat_map(|v| (v as f32 / 3.0).to_le_bytes()).collect();
    let wide: Vec<u8> = (0..24i64).flat_map(i64::to_be_bytes).collect();
    let files = [
        npy_bytes("|u1", false, "(2, 3, 4, 5)", &[7; 120]),
        npy_bytes("<f4", true, "(6, 4)", &reals),
        npy_bytes(">i8", false, "(2, 3, 4)", &wide),
        npy_bytes("<f4", false, "(2, 4, 3)", &reals),
    ];
    run("npy", &files, 8000, |bytes| {
        npy::parse(path, Storage::Memory(bytes.to_vec()), 0)
            .and_then(|array| ArrayRows::new(array, None, &sized(), Layout::Nchw))
            .is_ok_and(|rows| exhaust(&rows))
    });
}

pub(super) fn npz_bytes(arrays: &[(&str, Vec<u8>)], method: zip::CompressionMethod) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in arrays {
        let options = zip::write::SimpleFileOptions::default().compression_method(method);
        writer.start_file(format!("{name}.npy"), options).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

#[test]
fn npz_survives() {
    let path = Path::new("fuzz.npz");
    let arrays = [
        ("x", npy_bytes("|u1", false, "(4, 3, 5)", &[9; 60])),
        ("y", npy_bytes("|i1", false, "(4,)", &[0, 1, 1, 0])),
    ];
    let files = [
        npz_bytes(&arrays, zip::CompressionMethod::Stored),
        npz_bytes(&arrays, zip::CompressionMethod::Deflated),
    ];
    run("npz", &files, 6000, |bytes| {
        let reopen = || Ok(Storage::Memory(bytes.to_vec()));
        npz::open(path, &reopen, None, &sized(), Layout::Auto, &mut |_| {}).is_ok_and(|rows| exhaust(&rows))
    });
}

#[test]
fn csv_survives() {
    let path = Path::new("fuzz.csv");
    let files = [
        b"a,b,kind\n1,2.5,x\n-3,4e3,y\n0,0.125,x\n".to_vec(),
        b"\xef\xbb\xbfa;b;kind\r\n1;2;\"u;v\"\r\n3;4;w\r\n".to_vec(),
    ];
    run("csv", &files, 8000, |bytes| {
        let roles = Roles { label: Some("kind"), numbers: &["a".to_string()], ..Roles::default() };
        Table::read(path, bytes, roles, &mut |_| {}).is_ok_and(|rows| exhaust(&rows))
    });
}

/// A picture of 10 × 7 in the bytes of a file.
fn encoded(levels: &[u8], color: image::ExtendedColorType, format: image::ImageFormat) -> Vec<u8> {
    let mut file = std::io::Cursor::new(Vec::new());
    image::write_buffer_with_format(&mut file, levels, 10, 7, color, format).unwrap();
    file.into_inner()
}

#[test]
fn images_survive() {
    let grey: Vec<u8> = (0..70).map(|v| v * 3).collect();
    let colour: Vec<u8> = (0..210).map(|v| v as u8).collect();
    use image::ExtendedColorType::{L8, Rgb8};
    use image::ImageFormat::{Jpeg, Png};
    let files = [
        encoded(&grey, L8, Png),
        encoded(&colour, Rgb8, Png),
        encoded(&grey, L8, Jpeg),
        encoded(&colour, Rgb8, Jpeg),
    ];
    run("image", &files, 4000, |bytes| {
        let header = picture::header(bytes);
        picture::decode(bytes, &sized(), false).is_ok_and(|(_, values)| {
            header.is_ok() && values.iter().all(|value| (0.0..=255.0).contains(value))
        })
    });
}

/// One image of a folder is changed; the reader's threads decode it.
#[test]
fn folder_survives() {
    let root = tempfile::tempdir().unwrap();
    let levels: Vec<u8> = (0..70).map(|v| v * 3).collect();
    use image::ExtendedColorType::L8;
    use image::ImageFormat::{Jpeg, Png};
    let files = [encoded(&levels, L8, Png), encoded(&levels, L8, Jpeg)];
    for class in ["a", "b"] {
        std::fs::create_dir(root.path().join(class)).unwrap();
        std::fs::write(root.path().join(class).join("whole.png"), &files[0]).unwrap();
    }
    let changed = root.path().join("b/changed.png");
    run("folder", &files, 1000, |bytes| {
        std::fs::write(&changed, bytes).unwrap();
        let opened = folder::list(root.path(), &mut |_| {})
            .and_then(|(files, labels)| Folder::open(root.path(), files, labels, &sized(), None, 1));
        assert!(!matches!(opened, Err(DataError::Worker { .. })), "a thread of the reader panicked");
        opened.is_ok_and(|rows| exhaust(&rows))
    });
}

/// Typed columns: the footer says where everything lies.
#[test]
fn typed_columns_survive() {
    let folder = tempfile::tempdir().unwrap();
    for kind in [Typed::Parquet, Typed::Arrow] {
        let path = folder.path().join(kind.name());
        run(kind.name(), &[arrow::tests::bytes(kind)], 2000, |bytes| {
            std::fs::write(&path, bytes).unwrap();
            arrow::read(&path, kind, &Default::default()).is_ok()
        });
    }
}
