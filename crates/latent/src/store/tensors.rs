//! A safetensors file: a header of strings and named f32 arrays. Nothing in it executes.
//!
//! The same content gives the same bytes: names are sorted, and a checksum of header and numbers stands in the header, so
//! that damage which leaves the file's length alone is found too. Arrays are written one at a time.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors};
use serde_json::{Map, Value, json};

use super::StoreError;
use crate::array::Array;
use crate::files::write_whole;
use crate::weights::{Weight, WeightId, Weights};

/// Header and arrays of one file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TensorFile {
    /// Strings by name.
    pub header: HashMap<String, String>,
    /// Arrays by name.
    pub arrays: HashMap<String, Array>,
}

/// Where the checksum stands in the header: of header and numbers, taken with zeros in its own place.
const CHECKSUM: &str = "crc32c_of_all";

/// The checksum of the numbers alone, which version 0.1 wrote.
const OF_NUMBERS: &str = "crc32c";

/// What stands in the checksum's place while it is taken.
const UNKNOWN: &str = "00000000";

impl TensorFile {
    /// Writes the file whole or not at all.
    ///
    /// # Errors
    /// What the file system says.
    pub fn save(&self, path: &Path) -> Result<(), StoreError> {
        let mut writer = TensorWriter::default();
        self.header.iter().for_each(|(key, value)| writer.header(key, value.clone()));
        for (name, array) in &self.arrays {
            writer.array(name.clone(), &array.shape, || Cow::Borrowed(&array.values));
        }
        writer.save(path)
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`StoreError::Read`], or as [`TensorFile::parse`].
    pub fn load(path: &Path) -> Result<Self, StoreError> {
        let bytes = std::fs::read(path).map_err(|source| StoreError::Read { path: path.into(), source })?;
        Self::parse(&bytes, path)
    }

    /// Reads the bytes of a file; `path` is for messages.
    ///
    /// # Errors
    /// [`StoreError::Malformed`] for what is damaged or no safetensors file, [`StoreError::Foreign`] for numbers of another type.
    pub fn parse(bytes: &[u8], path: &Path) -> Result<Self, StoreError> {
        let malformed = |what: String| StoreError::Malformed {
            path: path.into(),
            what,
            remedy: "the file is damaged or cut short: copy it again, or train anew".into(),
        };
        let unreadable = |error| malformed(format!("not a readable safetensors file ({error})"));
        let (header_length, metadata) = SafeTensors::read_metadata(bytes).map_err(unreadable)?;
        let tensors = SafeTensors::deserialize(bytes).map_err(unreadable)?;
        let mut header = metadata.metadata().clone().unwrap_or_default();
        let (head, numbers) = (&bytes[8..8 + header_length], &bytes[8 + header_length..]);
        let of_all = header.remove(CHECKSUM);
        for (expected, found, what) in [
            (of_all.clone(), of_all.map(|written| checksum(head, numbers, &written)), "it has"),
            (header.remove(OF_NUMBERS), Some(format!("{:08x}", crc32c::crc32c(numbers))), "its numbers have"),
        ] {
            if let (Some(expected), Some(found)) = (expected, found)
                && found != expected
            {
                return Err(malformed(format!("{what} the checksum {found}, and {expected} was written")));
            }
        }
        let mut arrays = HashMap::new();
        for (name, view) in tensors.iter() {
            if view.dtype() != Dtype::F32 {
                return Err(StoreError::Foreign {
                    path: path.into(),
                    what: format!("array `{name}` is {:?}, not f32", view.dtype()),
                });
            }
            let values =
                view.data().as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
            arrays.insert(name.to_string(), Array { shape: view.shape().to_vec(), values });
        }
        Ok(Self { header, arrays })
    }

    /// The header's `key`, or an error that says that the file is not one of ours.
    ///
    /// # Errors
    /// [`StoreError::Foreign`].
    pub fn header(&self, key: &str, path: &Path) -> Result<&str, StoreError> {
        self.header.get(key).map(String::as_str).ok_or_else(|| StoreError::Foreign {
            path: path.into(),
            what: format!("`{key}` is missing from its header"),
        })
    }
}

/// A file in the making, whose arrays are fetched only while they are written.
#[derive(Default)]
pub(crate) struct TensorWriter<'a> {
    header: BTreeMap<String, String>,
    arrays: BTreeMap<String, (Vec<usize>, Box<Fetch<'a>>)>,
}

type Fetch<'a> = dyn Fn() -> Cow<'a, [f32]> + 'a;

impl<'a> TensorWriter<'a> {
    /// Puts a string into the header.
    pub fn header(&mut self, key: &str, value: String) {
        self.header.insert(key.into(), value);
    }

    /// Adds an array, whose numbers `fetch` gives each time it is called.
    pub fn array(&mut self, name: String, shape: &[usize], fetch: impl Fn() -> Cow<'a, [f32]> + 'a) {
        self.arrays.insert(name, (shape.to_vec(), Box::new(fetch)));
    }

    /// Adds an array of a model under `prefix/path`.
    pub fn weight(&mut self, prefix: &str, weight: &'a Weight) {
        self.array(format!("{prefix}/{}", weight.path()), weight.shape(), || weight.values().into());
    }

    /// Writes the file whole or not at all.
    pub fn save(&self, path: &Path) -> Result<(), StoreError> {
        write_whole(path, |out| self.write(out))
            .map_err(|source| StoreError::Io { path: path.into(), source })
    }

    /// The bytes that a file has.
    ///
    /// # Errors
    /// None: writing to memory does not fail.
    pub fn bytes(&self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.write(&mut bytes)?;
        Ok(bytes)
    }

    /// `length of the header, header, numbers`, as the safetensors format has it.
    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut of_numbers = 0;
        let mut length = 0;
        let mut entries = Map::new();
        let mut end = 0;
        for (name, (shape, fetch)) in &self.arrays {
            let bytes = bytes_of(&fetch());
            of_numbers = crc32c::crc32c_append(of_numbers, &bytes);
            length += bytes.len();
            let start = end;
            end += bytes.len();
            entries.insert(
                name.clone(),
                json!({ "dtype": "F32", "shape": shape, "data_offsets": [start, end] }),
            );
        }
        let mut strings: Map<String, Value> =
            self.header.iter().map(|(key, value)| (key.clone(), value.clone().into())).collect();
        strings.insert(CHECKSUM.into(), UNKNOWN.into());
        entries.insert("__metadata__".into(), strings.into());
        let mut header = Value::Object(entries).to_string();
        // The numbers start at a multiple of 8 bytes.
        header.extend(std::iter::repeat_n(' ', header.len().next_multiple_of(8) - header.len()));
        let of_all = crc32c::crc32c_combine(crc32c::crc32c(header.as_bytes()), of_numbers, length);
        let header = header.replacen(&entry(UNKNOWN), &entry(&format!("{of_all:08x}")), 1);
        out.write_all(&(header.len() as u64).to_le_bytes())?;
        out.write_all(header.as_bytes())?;
        for (_, fetch) in self.arrays.values() {
            out.write_all(&bytes_of(&fetch()))?;
        }
        Ok(())
    }
}

/// How a checksum stands in the header's text. Nothing else there can read so: quotes within strings are escaped.
fn entry(checksum: &str) -> String {
    format!("\"{CHECKSUM}\":\"{checksum}\"")
}

/// The checksum of a file whose header has `written` in its place.
fn checksum(header: &[u8], numbers: &[u8], written: &str) -> String {
    let header = String::from_utf8_lossy(header).replacen(&entry(written), &entry(UNKNOWN), 1);
    format!("{:08x}", crc32c::crc32c_append(crc32c::crc32c(header.as_bytes()), numbers))
}

/// The header alone of a file, without its arrays; what it says is not held against the checksum.
///
/// # Errors
/// [`StoreError::Io`], and [`StoreError::Malformed`] for what has no such header.
pub(crate) fn read_header(path: &Path) -> Result<TensorFile, StoreError> {
    let io = |source| StoreError::Io { path: path.into(), source };
    let malformed = |what: &str| StoreError::Malformed {
        path: path.into(),
        what: what.into(),
        remedy: "the file is damaged or cut short: copy it again, or train anew".into(),
    };
    let mut file = File::open(path).map_err(io)?;
    let mut length = [0; 8];
    file.read_exact(&mut length).map_err(|_| malformed("too short for a safetensors file"))?;
    let length = u64::from_le_bytes(length);
    if length > file.metadata().map_err(io)?.len() {
        return Err(malformed("its header is cut short"));
    }
    let mut header = vec![0; length as usize];
    file.read_exact(&mut header).map_err(|_| malformed("its header is cut short"))?;
    let entries: Map<String, Value> =
        serde_json::from_slice(&header).map_err(|_| malformed("its header is not JSON"))?;
    let strings = entries.get("__metadata__").and_then(Value::as_object).into_iter().flatten();
    let header = strings.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_string())));
    Ok(TensorFile { header: header.collect(), arrays: HashMap::new() })
}

fn bytes_of(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// Takes every array of `weights` out of the file; what is missing or has another shape is said.
pub(crate) fn take_weights(file: &mut TensorFile, prefix: &str, weights: &mut Weights) -> Result<(), String> {
    let wanted = weights.iter().map(|(id, w)| (id, w.path().to_string(), w.shape().to_vec())).collect();
    take(file, prefix, weights, wanted)
}

/// The same of the arrays that a model is made of; those that only training needs stay as they are.
pub(crate) fn take_kept(file: &mut TensorFile, prefix: &str, weights: &mut Weights) -> Result<(), String> {
    let wanted = weights.kept().map(|(id, w)| (id, w.path().to_string(), w.shape().to_vec())).collect();
    take(file, prefix, weights, wanted)
}

fn take(
    file: &mut TensorFile,
    prefix: &str,
    weights: &mut Weights,
    wanted: Vec<(WeightId, String, Vec<usize>)>,
) -> Result<(), String> {
    for (id, path, shape) in wanted {
        let array = file
            .arrays
            .remove(&format!("{prefix}/{path}"))
            .ok_or_else(|| format!("the array `{path}` is missing"))?;
        if array.shape != shape {
            return Err(format!("the array `{path}` is {:?} and the model's is {shape:?}", array.shape));
        }
        weights.set_values(id, array.values);
    }
    Ok(())
}
