//! A folder of PNG and JPEG images, decoded when a row is wanted.
//!
//! Subfolders are classes. Alpha is laid over white, the EXIF orientation is applied, 8 and 16 bit are read;
//! crop, size and channels follow `[data.image]`. A file that can't be decoded is named, skipped and
//! counted; more than one in a hundred is an error.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::array::MOST_FEATURES;
use super::attributes::Attributes;
use super::dataset::{Dataset, Labels, Number, Visit};
use super::fit::Fit;
use super::ordered::Ordered;
use super::picture::{Header, MOST_PIXEL_BYTES, decode, header};
use super::settings::{Channels, ImageSettings};
use super::storage::{Stamp, open_regular};
use super::walk::walk;
use super::{DataError, SampleShape};

/// Images in a folder.
pub(crate) struct Folder {
    root: PathBuf,
    core: Arc<Core>,
    labels: Option<Labels>,
    attributes: Attributes,
}

/// What a decoding thread needs.
struct Core {
    files: Vec<PathBuf>,
    /// How each file was when its header was read; absent where it could not be.
    stamps: Vec<Option<Stamp>>,
    image: ImageSettings,
    /// 16 bits a level.
    deep: bool,
    shape: SampleShape,
    /// Files whose header is broken already, in order.
    broken: Vec<(u64, String)>,
}

/// The images of a folder and, from its subfolders, their classes; `log` hears what is passed over.
pub(crate) fn list(
    root: &Path,
    log: &mut dyn FnMut(String),
) -> Result<(Vec<PathBuf>, Option<Labels>), DataError> {
    let (files, names): (Vec<_>, Vec<_>) = walk(root, &is_image_name, log)?.into_iter().unzip();
    if files.is_empty() {
        let remedy = match other_data(root) {
            Some(file) => format!("give the file itself: {}", file.display()),
            None => {
                "give a folder of .png, .jpg or .jpeg files, in subfolders if they have classes, or of idx \
                     files"
                    .into()
            }
        };
        return Err(DataError::malformed(root, "the folder holds no image", remedy));
    }
    let unlabelled = names.iter().filter(|name| name.is_none()).count();
    if unlabelled == names.len() {
        return Ok((files, None));
    }
    if unlabelled > 0 {
        return Err(DataError::malformed(
            root,
            format!("{unlabelled} images lie beside the subfolders and {} in them", names.len() - unlabelled),
            "put every image into a subfolder (its class), or none",
        ));
    }
    let names: Vec<String> = names.into_iter().flatten().collect();
    let labels = Labels::from_names(&names)
        .map_err(|what| DataError::malformed(root, what, "have one subfolder a class"))?;
    Ok((files, Some(labels)))
}

/// The first file of a folder that could be data, though no image.
fn other_data(root: &Path) -> Option<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(root).ok()?.flatten().map(|entry| entry.path()).collect();
    files.sort();
    files.into_iter().find(|file| {
        let extension = file.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        file.is_file()
            && matches!(
                extension.to_ascii_lowercase().as_str(),
                "npy" | "npz" | "csv" | "tsv" | "parquet" | "arrow" | "feather"
            )
    })
}

/// Whether the extension is that of a PNG or JPEG file.
pub(crate) fn is_image_name(path: &Path) -> bool {
    path.extension()
        .and_then(|extension| extension.to_str())
        .is_some_and(|extension| matches!(extension.to_ascii_lowercase().as_str(), "png" | "jpg" | "jpeg"))
}

impl Folder {
    /// Reads the headers of all files and settles on one shape. `deep` asks for 16 (or 8) bits a level.
    pub(crate) fn open(
        root: &Path,
        files: Vec<PathBuf>,
        labels: Option<Labels>,
        image: &ImageSettings,
        deep: Option<bool>,
        threads: usize,
    ) -> Result<Self, DataError> {
        let files = Arc::new(files);
        let paths = Arc::clone(&files);
        let mut headers = Ordered::new(
            threads,
            64,
            0..files.len(),
            move |index: usize| -> Result<(Header, Stamp), String> {
                let (bytes, stamp) = read_image(&paths[index])?;
                Ok((header(&bytes)?, stamp))
            },
        )?;
        let mut survey = Survey { image: image.clone(), ..Survey::default() };
        let mut stamps = Vec::with_capacity(files.len());
        for (index, path) in files.iter().enumerate() {
            let result = headers.next().ok_or_else(Ordered::<(), ()>::died)??;
            stamps.push(result.as_ref().ok().map(|(_, stamp)| *stamp));
            match result {
                Ok((header, _)) => survey.add(path, header)?,
                Err(reason) => survey.broken.push((index as u64, reason)),
            }
        }
        drop(headers);
        check_broken(root, &files, &survey.broken)?;
        let (shape, all_deep) = survey.finish(root)?;
        let files = Arc::try_unwrap(files).unwrap_or_else(|shared| (*shared).clone());
        let core = Core {
            files,
            stamps,
            image: image.clone(),
            deep: deep.unwrap_or(all_deep),
            shape,
            broken: survey.broken,
        };
        Ok(Self { root: root.to_path_buf(), core: Arc::new(core), labels, attributes: Attributes::default() })
    }
}

impl Folder {
    /// With what is told of the images beside them; their class, where that says it, instead of the subfolder's.
    pub(crate) fn with_attributes(mut self, mut attributes: Attributes) -> Self {
        self.labels = attributes.labels.take().or(self.labels);
        self.attributes = attributes;
        self
    }
}

/// What the headers have in common so far.
#[derive(Default)]
struct Survey {
    image: ImageSettings,
    grey: Option<PathBuf>,
    colour: Option<PathBuf>,
    shallow: bool,
    first: Option<(PathBuf, Header, SampleShape)>,
    broken: Vec<(u64, String)>,
}

impl Survey {
    fn add(&mut self, path: &Path, header: Header) -> Result<(), DataError> {
        let seen = if header.channels == 1 { &mut self.grey } else { &mut self.colour };
        seen.get_or_insert_with(|| path.to_path_buf());
        if let (Channels::Auto, Some(grey), Some(colour)) = (self.image.channels, &self.grey, &self.colour) {
            return Err(DataError::setting(
                "image.channels",
                format!("{} is grey and {} is in colour", grey.display(), colour.display()),
                "set data.image.channels = \"grey\" or \"colour\"",
            ));
        }
        self.shallow |= !header.deep;
        let fit = Fit::plan((header.channels, header.height, header.width), &self.image, true)?;
        let (channels, height, width) = fit.to;
        let shape = SampleShape::Image { channels, height, width };
        match &self.first {
            None => self.first = Some((path.to_path_buf(), header, shape)),
            Some((first, of, expected)) if shape != *expected => {
                return Err(DataError::setting(
                    "image.size",
                    format!(
                        "{} is {}×{} (height×width) and {} is {}×{}",
                        first.display(),
                        of.height,
                        of.width,
                        path.display(),
                        header.height,
                        header.width
                    ),
                    format!("set data.image.size, for example to {}", usual_size(of.height.min(of.width))),
                ));
            }
            Some(_) => {}
        }
        Ok(())
    }

    fn finish(&self, root: &Path) -> Result<(SampleShape, bool), DataError> {
        match &self.first {
            Some((_, _, shape)) if shape.features() <= MOST_FEATURES => Ok((*shape, !self.shallow)),
            Some((_, _, shape)) => Err(DataError::setting(
                "image.size",
                format!("an image of {} numbers is too large", shape.features()),
                "set data.image.size, for example to 64",
            )),
            None => Err(DataError::malformed(root, "no image can be read", "give PNG or JPEG files")),
        }
    }
}

/// The power of two below, within what small models bear.
fn usual_size(side: usize) -> usize {
    [128, 64, 32].into_iter().find(|size| *size <= side).unwrap_or(28)
}

/// One in a hundred may be broken.
fn check_broken(root: &Path, files: &[PathBuf], broken: &[(u64, String)]) -> Result<(), DataError> {
    let Some((index, reason)) = broken.first() else { return Ok(()) };
    if broken.len() * 100 <= files.len() {
        return Ok(());
    }
    Err(DataError::malformed(
        root,
        format!(
            "{} of {} images can't be decoded, the first of them {}: {reason}",
            broken.len(),
            files.len(),
            files[*index as usize].display()
        ),
        "repair or remove them; one in a hundred would be skipped",
    ))
}

/// The bytes of an image file, and how it was when they were read. A decoded picture takes no more than a quarter of a
/// gigabyte: a larger file is none.
fn read_image(path: &Path) -> Result<(Vec<u8>, Stamp), String> {
    let (file, metadata) = open_regular(path).map_err(|error| match error {
        DataError::Io { source, .. } => source.to_string(),
        DataError::Malformed { what, .. } => what,
        other => other.to_string(),
    })?;
    let stamp = Stamp::of(&metadata);
    if stamp.length > MOST_PIXEL_BYTES {
        return Err(format!("{} bytes are too many for an image", stamp.length));
    }
    let mut bytes = Vec::with_capacity(stamp.length as usize);
    file.take(stamp.length).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    Ok((bytes, stamp))
}

impl Core {
    /// The hash of a file and its values.
    fn load(&self, index: usize) -> Result<([u8; 32], Vec<f64>), String> {
        let (bytes, stamp) = read_image(&self.files[index])?;
        if let Some(change) = self.stamps[index].and_then(|before| before.change(stamp)) {
            return Err(change);
        }
        let (shape, values) = decode(&bytes, &self.image, self.deep)?;
        if shape != self.shape {
            return Err("its size has changed".into());
        }
        Ok((Sha256::digest(&bytes).into(), values))
    }
}

impl Dataset for Folder {
    fn path(&self) -> &Path {
        &self.root
    }

    fn format(&self) -> &'static str {
        "images"
    }

    fn rows(&self) -> u64 {
        self.core.files.len() as u64
    }

    fn shape(&self) -> SampleShape {
        self.core.shape
    }

    fn number(&self) -> Number {
        if self.core.deep { Number::U16 } else { Number::U8 }
    }

    fn labels(&self) -> Option<&Labels> {
        self.labels.as_ref()
    }

    fn numbers(&self, name: &str) -> Option<&[f64]> {
        self.attributes.numbers.iter().find(|(own, _)| own == name).map(|(_, values)| &values[..])
    }

    fn words(&self, name: &str) -> Option<&Labels> {
        self.attributes.words.iter().find(|(own, _)| own == name).map(|(_, words)| words)
    }

    fn number_names(&self) -> Vec<String> {
        self.attributes.names.clone()
    }

    fn name(&self, row: u64) -> Option<String> {
        let file = self.core.files.get(row as usize)?;
        Some(file.strip_prefix(&self.root).unwrap_or(file).to_string_lossy().into_owned())
    }

    fn read(&self, row: u64, values: &mut [f64]) -> Result<(), DataError> {
        let index = row as usize;
        let (_, read) = self.core.load(index).map_err(|reason| {
            let what = format!("the image is not what it was when the data was opened: {reason}");
            let remedy = "put back what it held and go on (training: with --resume), or begin anew";
            DataError::malformed(&self.core.files[index], what, remedy)
        })?;
        values.copy_from_slice(&read);
        Ok(())
    }

    fn scan(
        &self,
        threads: usize,
        wanted: &(dyn Fn(u64) -> bool + Sync),
        hash: &mut Sha256,
        visit: Visit<'_>,
    ) -> Result<Vec<(u64, String)>, DataError> {
        let mut broken = self.core.broken.clone();
        let is_broken: std::collections::HashSet<u64> = broken.iter().map(|(row, _)| *row).collect();
        let rows: Vec<u64> =
            (0..self.rows()).filter(|row| wanted(*row) && !is_broken.contains(row)).collect();
        let core = Arc::clone(&self.core);
        let mut loaded =
            Ordered::new(threads, threads + 4, rows.clone().into_iter(), move |row| core.load(row as usize))?;
        for row in rows {
            match loaded.next().ok_or_else(Ordered::<(), ()>::died)?? {
                Err(reason) => broken.push((row, reason)),
                Ok((digest, values)) => {
                    let name = self.core.files[row as usize].strip_prefix(&self.root).unwrap_or(&self.root);
                    hash.update(name.to_string_lossy().as_bytes());
                    hash.update(digest);
                    visit(row, &values)?;
                }
            }
        }
        broken.sort();
        check_broken(&self.root, &self.core.files, &broken)?;
        Ok(broken
            .into_iter()
            .map(|(row, reason)| (row, format!("{}: {reason}", self.core.files[row as usize].display())))
            .collect())
    }
}
