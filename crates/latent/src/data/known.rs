//! The embedded data set, and data sets that others judge models on.
//!
//! Fashion-MNIST's 10,000 test images (Zalando, MIT licence beside the files) are part of the program, for a
//! demonstration without file or network. A model trained on them must not be judged on the official test
//! set: rows are compared one by one, so that a copy in another format or a part of it is found as well.

use std::collections::HashSet;
use std::path::Path;
use std::sync::OnceLock;

use super::array::ArrayRows;
use super::dataset::{Dataset, Labels};
use super::moments::row_hash;
use super::settings::{ImageSettings, Layout};
use super::storage::Storage;
use super::{DataError, idx};

const IMAGES: &[u8] = include_bytes!("../../assets/fashion-mnist/t10k-images-idx3-ubyte.gz");
const LABELS: &[u8] = include_bytes!("../../assets/fashion-mnist/t10k-labels-idx1-ubyte.gz");

/// The name under which facts list the official test set.
pub(crate) const FASHION_TEST: &str = "fashion-mnist-test";

/// Class names of Fashion-MNIST, from its README.
const FASHION_CLASSES: [&str; 10] = [
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
];

/// The embedded data set.
pub(crate) fn embedded(image: &ImageSettings) -> Result<ArrayRows, DataError> {
    let path = Path::new("embedded");
    let array = idx::parse(path, Storage::Memory(IMAGES.to_vec()), &mut |_| {})?;
    let labels = idx::parse(path, Storage::Memory(LABELS.to_vec()), &mut |_| {})?.column()?;
    let labels = Labels::from_numbers(&labels).map_err(|what| DataError::malformed(path, what, "rebuild"))?;
    ArrayRows::new(array, Some(labels), image, Layout::Auto)
}

/// Names instead of numbers, where the ten classes are Fashion-MNIST's.
pub(crate) fn fashion_class_names(classes: &mut [String]) {
    if classes.len() == FASHION_CLASSES.len()
        && classes.iter().enumerate().all(|(n, class)| *class == n.to_string())
    {
        classes.iter_mut().zip(FASHION_CLASSES).for_each(|(class, name)| *class = name.to_string());
    }
}

/// Hashes of the official test set's rows.
pub(crate) fn fashion_test_rows() -> &'static HashSet<u64> {
    static ROWS: OnceLock<HashSet<u64>> = OnceLock::new();
    ROWS.get_or_init(|| {
        let mut rows = HashSet::new();
        // The embedded bytes are read by the tests: should they be unreadable, nothing overlaps with them.
        if let Ok(data) = embedded(&ImageSettings::default()) {
            let mut values = vec![0.0; data.shape().features()];
            for row in 0..data.rows() {
                if data.read(row, &mut values).is_ok() {
                    rows.insert(row_hash(&values));
                }
            }
        }
        rows
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_data_is_whole() {
        let data = embedded(&ImageSettings::default()).unwrap();
        assert_eq!((data.rows(), data.shape().features()), (10_000, 784));
        let labels = data.labels().unwrap();
        let counts: Vec<usize> =
            (0..10).map(|class| labels.of.iter().filter(|&&of| of == class).count()).collect();
        assert_eq!(counts, [1000; 10]);
        // A few rows of the set are equal to others.
        assert!(fashion_test_rows().len() > 9_900);
    }
}
