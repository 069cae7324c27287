//! A folder of PNG and JPEG images, decoded when a row is wanted.
//!
//! Subfolders are classes. Alpha is laid over white, the EXIF orientation is applied, 8 and 16 bit are read;
//! crop, size and channels follow `[data.image]`. A file that can't be decoded is named, skipped and
//! counted; more than one in a hundred is an error.

use std::fs;
use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use image::metadata::Orientation;
use image::{ColorType, DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};
use sha2::{Digest, Sha256};

use super::array::MOST_FEATURES;
use super::dataset::{Dataset, Labels, Number, Visit};
use super::fit::Fit;
use super::ordered::Ordered;
use super::settings::{Channels, ImageSettings};
use super::{DataError, SampleShape};

/// A decoded picture may take this many bytes.
const MOST_PIXEL_BYTES: u64 = 256 << 20;

/// Deflate and JPEG reach at most about this many decoded bytes for one in the file.
const MOST_EXPANSION: u64 = 2000;

/// Images in a folder.
pub(crate) struct Folder {
    root: PathBuf,
    core: Arc<Core>,
    labels: Option<Labels>,
}

/// What a decoding thread needs.
struct Core {
    files: Vec<PathBuf>,
    image: ImageSettings,
    /// 16 bits a level.
    deep: bool,
    shape: SampleShape,
    /// Files whose header is broken already, in order.
    broken: Vec<(u64, String)>,
}

/// What the header of an image says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Header {
    /// 1 or 3, alpha not counted.
    pub channels: usize,
    /// After the orientation was applied.
    pub height: usize,
    pub width: usize,
    pub deep: bool,
}

/// The images of a folder and, from its subfolders, their classes.
pub(crate) fn list(root: &Path) -> Result<(Vec<PathBuf>, Option<Labels>), DataError> {
    let (mut files, mut names) = (Vec::new(), Vec::new());
    walk(root, None, 0, &mut files, &mut names)?;
    if files.is_empty() {
        return Err(DataError::malformed(
            root,
            "the folder holds no image",
            "give a folder of .png, .jpg or .jpeg files, in subfolders if they have classes, or of idx files",
        ));
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

fn walk(
    folder: &Path,
    class: Option<&str>,
    depth: usize,
    files: &mut Vec<PathBuf>,
    names: &mut Vec<Option<String>>,
) -> Result<(), DataError> {
    const DEEPEST: usize = 16;
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder).map_err(|source| DataError::io(folder, source))? {
        entries.push(entry.map_err(|source| DataError::io(folder, source))?.path());
    }
    // The order in which a system lists a folder is its own; ours is that of the names.
    entries.sort();
    for path in entries {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with('.') {
            continue;
        }
        if path.is_dir() {
            if depth < DEEPEST {
                walk(&path, Some(class.unwrap_or(&name)), depth + 1, files, names)?;
            }
        } else if is_image_name(&path) {
            files.push(path);
            names.push(class.map(String::from));
        }
    }
    Ok(())
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
        let mut headers = Ordered::new(threads, 64, 0..files.len(), move |index| {
            fs::read(&paths[index]).map_err(|error| error.to_string()).and_then(|bytes| header(&bytes))
        })?;
        let mut survey = Survey { image: image.clone(), ..Survey::default() };
        for (index, path) in files.iter().enumerate() {
            match headers.next().ok_or_else(Ordered::<(), ()>::died)?? {
                Ok(header) => survey.add(path, header)?,
                Err(reason) => survey.broken.push((index as u64, reason)),
            }
        }
        drop(headers);
        check_broken(root, &files, &survey.broken)?;
        let (shape, all_deep) = survey.finish(root)?;
        let files = Arc::try_unwrap(files).unwrap_or_else(|shared| (*shared).clone());
        let core = Core {
            files,
            image: image.clone(),
            deep: deep.unwrap_or(all_deep),
            shape,
            broken: survey.broken,
        };
        Ok(Self { root: root.to_path_buf(), core: Arc::new(core), labels })
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

fn decoder(bytes: &[u8]) -> Result<impl ImageDecoder + '_, String> {
    let mut reader =
        ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(|error| error.to_string())?;
    if !matches!(reader.format(), Some(ImageFormat::Png | ImageFormat::Jpeg)) {
        return Err("the file is neither PNG nor JPEG".into());
    }
    let mut limits = Limits::default();
    limits.max_alloc = Some(MOST_PIXEL_BYTES);
    limits.max_image_width = Some(1 << 16);
    limits.max_image_height = Some(1 << 16);
    reader.limits(limits);
    let decoder = reader.into_decoder().map_err(|error| error.to_string())?;
    let bound = MOST_PIXEL_BYTES.min(bytes.len() as u64 * MOST_EXPANSION + (1 << 20));
    let (width, height) = decoder.dimensions();
    if width == 0 || height == 0 {
        return Err("the image has no pixel".into());
    }
    if decoder.total_bytes() > bound {
        return Err(format!(
            "the header promises {width}×{height} pixels, and the file has {} bytes",
            bytes.len()
        ));
    }
    Ok(decoder)
}

/// Decoders of other people's making may panic on a broken file: that, too, is a broken file.
fn guarded<T>(work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err("the decoder gave up".into()))
}

/// Reads the header of an image.
pub(crate) fn header(bytes: &[u8]) -> Result<Header, String> {
    guarded(|| {
        let mut decoder = decoder(bytes)?;
        let (width, height) = decoder.dimensions();
        let turned = matches!(
            decoder.orientation().unwrap_or(Orientation::NoTransforms),
            Orientation::Rotate90
                | Orientation::Rotate270
                | Orientation::Rotate90FlipH
                | Orientation::Rotate270FlipH
        );
        let (height, width) = if turned { (width, height) } else { (height, width) };
        let color = decoder.color_type();
        Ok(Header {
            channels: if color.has_color() { 3 } else { 1 },
            height: height as usize,
            width: width as usize,
            deep: matches!(color, ColorType::L16 | ColorType::La16 | ColorType::Rgb16 | ColorType::Rgba16),
        })
    })
}

/// Decodes an image to levels of 0 … 255 (65535 where `deep`), channel, row, column.
pub(crate) fn decode(
    bytes: &[u8],
    image: &ImageSettings,
    deep: bool,
) -> Result<(SampleShape, Vec<f64>), String> {
    guarded(|| {
        if is_cut_jpeg(bytes) {
            return Err("the JPEG is cut short".into());
        }
        let mut decoder = decoder(bytes)?;
        let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
        let mut picture = DynamicImage::from_decoder(decoder).map_err(|error| error.to_string())?;
        picture.apply_orientation(orientation);
        let (width, height) = (picture.width() as usize, picture.height() as usize);
        let color = picture.color();
        let stored = usize::from(color.channel_count());
        let channels = if color.has_color() { 3 } else { 1 };
        let has_alpha = color.has_alpha();
        let fit = Fit::plan((channels, height, width), image, true).map_err(|error| error.to_string())?;
        let (to_channels, to_height, to_width) = fit.to;
        let mut values = vec![0.0; to_channels * to_height * to_width];
        let bytes = picture.as_bytes();
        let layout = Layout { width, stored, has_alpha, deep };
        match color {
            ColorType::L16 | ColorType::La16 | ColorType::Rgb16 | ColorType::Rgba16 => {
                let level =
                    |index: usize| u16::from_ne_bytes([bytes[2 * index], bytes[2 * index + 1]]).into();
                layout.fill(&fit, level, 65535.0, &mut values);
            }
            ColorType::L8 | ColorType::La8 | ColorType::Rgb8 | ColorType::Rgba8 => {
                layout.fill(&fit, |index| bytes[index].into(), 255.0, &mut values);
            }
            other => return Err(format!("pixels of type {other:?} are not read")),
        }
        Ok((SampleShape::Image { channels: to_channels, height: to_height, width: to_width }, values))
    })
}

/// How the levels of a decoded picture lie in memory, and which depth is wanted.
struct Layout {
    width: usize,
    /// Levels of a pixel, alpha included.
    stored: usize,
    has_alpha: bool,
    deep: bool,
}

impl Layout {
    /// Fits a picture whose level number `index` (of at most `most`) is `level(index)`; alpha is over white.
    fn fill(&self, fit: &Fit, level: impl Fn(usize) -> f64, most: f64, values: &mut [f64]) {
        let full = if self.deep { 65535.0 } else { 255.0 };
        let scale = full / most;
        fit.apply(
            |channel, y, x| {
                let pixel = (y * self.width + x) * self.stored;
                let value = level(pixel + channel) * scale;
                if !self.has_alpha {
                    return value;
                }
                let alpha = level(pixel + self.stored - 1) / most;
                value * alpha + full * (1.0 - alpha)
            },
            values,
        );
    }
}

/// Decoders fill the missing rows of a truncated JPEG with grey. The entropy-coded data of a whole one ends
/// in the marker FFD9; within it every FF is followed by 00, so markers can't be mistaken.
fn is_cut_jpeg(bytes: &[u8]) -> bool {
    let last = |marker: u8| bytes.windows(2).rposition(|pair| pair == [0xff, marker]);
    bytes.starts_with(&[0xff, 0xd8]) && last(0xd9) <= last(0xda)
}

impl Core {
    /// The hash of a file and its values.
    fn load(&self, index: usize) -> Result<([u8; 32], Vec<f64>), String> {
        let bytes = fs::read(&self.files[index]).map_err(|error| error.to_string())?;
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

    fn read(&self, row: u64, values: &mut [f64]) -> Result<(), DataError> {
        let index = row as usize;
        let (_, read) = self.core.load(index).map_err(|reason| {
            let what =
                format!("the image could be decoded when the data was opened, and can't now: {reason}");
            DataError::malformed(&self.core.files[index], what, "put the file back and resume")
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
