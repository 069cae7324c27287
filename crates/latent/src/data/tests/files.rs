//! What lies on a disk: never a pipe, never twice, never other than it was when it was opened.

use std::fs::File;
use std::io::Write;
use std::time::{Duration, SystemTime};

use super::*;

#[cfg(unix)]
#[test]
fn pipes_and_sockets_are_refused_by_name() {
    let root = tempfile::tempdir().unwrap();
    let socket = |name: &str| {
        let path = root.path().join(name);
        (std::os::unix::net::UnixListener::bind(&path).unwrap(), path)
    };
    let (_first, images) = socket("train-images-idx3-ubyte");
    for path in [root.path(), &images, &socket("x.csv").1, &socket("x.npy").1] {
        let error = message(open(path));
        assert!(error.contains("it is a socket, not a file; give a regular file"), "{error}");
    }
    let error = message(open(Path::new("/dev/zero")));
    assert!(error.contains("/dev/zero: it is a device, not a file"), "{error}");
    assert!(read_matrix(Path::new("/dev/zero"), 2).unwrap_err().to_string().contains("a device"));
}

#[test]
fn an_image_that_no_memory_holds_is_not_read() {
    let root = tempfile::tempdir().unwrap();
    png(&root.path().join("0.png"), (2, 2), image::ExtendedColorType::L8, &[9; 4]);
    let huge = File::create(root.path().join("1.png")).unwrap();
    huge.set_len(1 << 33).unwrap();
    let error = message(open(root.path()));
    assert!(error.contains("1.png: 8589934592 bytes are too many"), "{error}");
    let table = root.path().join("t.csv");
    fs::write(&table, "a,b\n1,2\n").unwrap();
    File::options().write(true).open(&table).unwrap().set_len(1 << 33).unwrap();
    assert!(message(open(&table)).contains("too large to be read as text; store it as .npy"));
}

#[test]
fn data_rewritten_while_it_is_read_is_noticed() {
    let root = tempfile::tempdir().unwrap();
    let path = npy(root.path(), "|u1", false, "(20, 2, 2)", &[7; 80]);
    let data = open(&path).unwrap();
    let batch = || data.rows(Split::Train, &[0, 1], 0);
    let good = batch().unwrap();
    // Another file in its place is none of this data's.
    let aside = root.path().join("aside.npy");
    fs::rename(&path, &aside).unwrap();
    fs::write(&path, "another").unwrap();
    assert_eq!(batch().unwrap(), good);
    // The same bytes, written again later.
    let file = File::options().write(true).open(&aside).unwrap();
    file.set_modified(SystemTime::now() + Duration::from_secs(7)).unwrap();
    let error = batch().unwrap_err();
    assert!(matches!(error, DataError::Changed { .. }));
    let error = error.to_string();
    assert!(error.contains("x.npy: it was written to while it was in use"), "{error}");
    assert!(error.contains("go on (training: with --resume)"), "{error}");
    // Cut short.
    file.set_len(150).unwrap();
    let error = batch().unwrap_err().to_string();
    assert!(error.contains("it was 208 bytes long and became 150"), "{error}");
    // Of images in a folder, the one that is read.
    let folder = root.path().join("images");
    for number in 0..10u8 {
        let path = folder.join(format!("{number}.png"));
        png(&path, (2, 2), image::ExtendedColorType::L8, &[number; 4]);
    }
    let data = open(&folder).unwrap();
    let id = data.ids(Split::Train)[3];
    let file = File::options().write(true).open(folder.join(format!("{id}.png"))).unwrap();
    file.set_modified(SystemTime::now() + Duration::from_secs(7)).unwrap();
    assert!(data.rows(Split::Train, &[2], 0).is_ok());
    let error = data.rows(Split::Train, &[2, 3], 0).unwrap_err().to_string();
    assert!(error.contains(&format!("{id}.png: the image is not what it was")), "{error}");
}

#[test]
fn the_checksum_of_a_stored_array_is_compared() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("x.npz");
    let x = npy_bytes("|u1", false, "(20, 4)", &[0x55; 80]);
    for method in [zip::CompressionMethod::Stored, zip::CompressionMethod::Deflated] {
        let mut bytes = npz_bytes(&[("x", x.clone())], method);
        fs::write(&path, &bytes).unwrap();
        open_with("normalise = 'none'", &path).unwrap_err(); // one value everywhere
        let place = bytes.windows(4).rposition(|part| part == [0x55; 4]);
        if method == zip::CompressionMethod::Stored {
            bytes[place.unwrap()] ^= 2;
            fs::write(&path, &bytes).unwrap();
            let error = message(open(&path));
            assert!(error.contains("x: Invalid checksum"), "{error}");
        }
    }
}

#[test]
fn a_sparse_matrix_of_scipy_is_no_table() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("counts.npz");
    let numbers = |shape: &str, count: usize| npy_bytes("<i4", false, shape, &vec![0; 4 * count]);
    let common = || {
        let format = npy_bytes("|S3", false, "()", b"csr");
        vec![("format", format), ("shape", numbers("(2,)", 2)), ("data", numbers("(30,)", 30))]
    };
    for (kind, names) in
        [("CSR", &["indices", "indptr"][..]), ("COO", &["row", "col"]), ("DIA", &["offsets"])]
    {
        let mut arrays = common();
        arrays.extend(names.iter().map(|name| (*name, numbers("(30,)", 30))));
        fs::write(&path, npz_bytes(&arrays, zip::CompressionMethod::Deflated)).unwrap();
        let error = message(open(&path));
        assert!(error.contains("a sparse matrix of SciPy") && error.contains(kind), "{error}");
        assert!(error.contains("toarray()"), "{error}");
    }
    // Names alone of a dense archive are no reason.
    fs::write(&path, npz_bytes(&common()[1..], zip::CompressionMethod::Deflated)).unwrap();
    assert!(!message(open(&path)).contains("sparse"));
}

#[test]
fn what_follows_compressed_data_is_left_alone_with_a_word() {
    let root = tempfile::tempdir().unwrap();
    let mut images = vec![0, 0, 8, 3, 0, 0, 0, 20, 0, 0, 0, 1, 0, 0, 0, 2];
    images.extend(0..40u8);
    let gzip = |bytes: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let path = root.path().join("x-images-idx3-ubyte.gz");
    let settings = DataSettings { source: path.display().to_string(), ..DataSettings::default() };
    let opened = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        let mut heard = Vec::new();
        let data = Data::open(&settings, Key::from_seed(1), &mut |line| heard.push(line)).unwrap();
        (data.facts().hash.clone(), heard)
    };
    let plain = opened(&gzip(&images));
    assert!(plain.1.is_empty(), "{plain:?}");
    assert_eq!(opened(&[gzip(&images[..30]), gzip(&images[30..])].concat()), plain);
    assert_eq!(opened(&[gzip(&images), vec![0; 512]].concat()), plain);
    let (hash, heard) = opened(&[gzip(&images), b"a signature".to_vec()].concat());
    assert_eq!(hash, plain.0);
    assert!(heard[0].contains("11 bytes after the compressed data are no gzip"), "{heard:?}");
}
