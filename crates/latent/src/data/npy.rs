//! npy: a magic, a version, a Python dictionary that names type, order and shape, then the numbers.
//!
//! Reference: NumPy, *numpy.lib.format* (versions 1.0 to 3.0).

use std::path::Path;

use super::DataError;
use super::array::Array;
use super::dataset::Number;
use super::storage::Storage;

/// How every npy file starts.
pub(crate) const MAGIC: &[u8] = b"\x93NUMPY";

/// A header longer than this is no header.
const MOST_HEADER: u64 = 1 << 16;

/// The array of an npy file that starts at byte `start` of the storage and ends at its end.
pub(crate) fn parse(path: &Path, storage: Storage, start: u64) -> Result<Array, DataError> {
    let again = "write it with numpy.save";
    let cut = |_| DataError::malformed(path, "the npy header is cut short", again);
    let mut fixed = [0; 8];
    storage.read_at(start, &mut fixed).map_err(cut)?;
    if &fixed[..6] != MAGIC {
        return Err(DataError::malformed(path, "the file does not start as npy", again));
    }
    let (length, text_at) = match fixed[6] {
        1 => {
            let mut length = [0; 2];
            storage.read_at(start + 8, &mut length).map_err(cut)?;
            (u64::from(u16::from_le_bytes(length)), start + 10)
        }
        2 | 3 => {
            let mut length = [0; 4];
            storage.read_at(start + 8, &mut length).map_err(cut)?;
            (u64::from(u32::from_le_bytes(length)), start + 12)
        }
        version => {
            return Err(DataError::malformed(path, format!("npy version {version} is unknown"), again));
        }
    };
    if length > MOST_HEADER || text_at + length > storage.len() {
        return Err(DataError::malformed(
            path,
            format!("the npy header promises {length} bytes, and the file has {}", storage.len()),
            again,
        ));
    }
    let mut text = vec![0; length as usize];
    storage.read_at(text_at, &mut text).map_err(cut)?;
    let header = Header::read(&String::from_utf8_lossy(&text))
        .ok_or_else(|| DataError::malformed(path, "the npy header can't be understood", again))?;
    let (number, big_endian) = header.number().map_err(|what| {
        DataError::malformed(
            path,
            what,
            "convert it with numpy's astype to uint8, uint16, float32 or float64",
        )
    })?;
    let array = Array {
        path: path.to_path_buf(),
        format: "npy",
        storage,
        offset: text_at + length,
        number,
        big_endian,
        fortran: header.fortran,
        axes: header.shape,
    };
    array.check()?;
    Ok(array)
}

struct Header {
    descr: String,
    fortran: bool,
    shape: Vec<u64>,
}

impl Header {
    /// Reads `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }`, keys in any order.
    fn read(text: &str) -> Option<Self> {
        let (mut descr, mut fortran, mut shape) = (None, None, None);
        let mut rest = text.trim().strip_prefix('{')?;
        loop {
            rest = rest.trim_start();
            if rest.starts_with('}') {
                break;
            }
            let (key, after) = quoted(rest)?;
            rest = after.trim_start().strip_prefix(':')?.trim_start();
            match key {
                "descr" if rest.starts_with('[') => {
                    // A structured type: kept as it stands, for the error.
                    let end = rest.find(']')?;
                    descr = Some(rest[..=end].to_string());
                    rest = &rest[end + 1..];
                }
                "descr" => {
                    let (value, after) = quoted(rest)?;
                    descr = Some(value.to_string());
                    rest = after;
                }
                "fortran_order" => {
                    let value = rest.starts_with("True");
                    rest = rest.strip_prefix(if value { "True" } else { "False" })?;
                    fortran = Some(value);
                }
                "shape" => {
                    let (inside, after) = rest.strip_prefix('(')?.split_once(')')?;
                    let axes = inside.split(',').map(|axis| axis.trim().trim_end_matches('L'));
                    shape = Some(
                        axes.filter(|axis| !axis.is_empty())
                            .map(|axis| axis.parse().ok())
                            .collect::<Option<Vec<u64>>>()?,
                    );
                    rest = after;
                }
                _ => return None,
            }
            rest = rest.trim_start();
            rest = rest.strip_prefix(',').unwrap_or(rest);
        }
        Some(Self { descr: descr?, fortran: fortran?, shape: shape? })
    }

    /// The number type and whether its bytes are big-endian.
    fn number(&self) -> Result<(Number, bool), String> {
        let descr = self.descr.as_str();
        let (order, kind) = match descr.as_bytes().first() {
            Some(b'<' | b'>' | b'|' | b'=') => (&descr[..1], &descr[1..]),
            _ => ("|", descr),
        };
        let number = match kind {
            "b1" => Number::Bool,
            "u1" => Number::U8,
            "i1" => Number::I8,
            "u2" => Number::U16,
            "i2" => Number::I16,
            "u4" => Number::U32,
            "i4" => Number::I32,
            "u8" => Number::U64,
            "i8" => Number::I64,
            "f4" => Number::F32,
            "f8" => Number::F64,
            _ => {
                return Err(match kind.bytes().next() {
                    _ if descr.starts_with('[') => format!("it holds records ({descr}), not numbers"),
                    Some(b'O') => "it holds Python objects, which are never loaded".to_string(),
                    Some(b'c') => format!("it holds complex numbers ({descr})"),
                    Some(b'U' | b'S') => format!("it holds text ({descr})"),
                    Some(b'M' | b'm') => format!("it holds dates ({descr})"),
                    _ => format!("it holds numbers of type {descr:?}"),
                });
            }
        };
        Ok((number, order == ">"))
    }
}

/// The text between quotes at the start, and what follows.
fn quoted(text: &str) -> Option<(&str, &str)> {
    let quote = text.chars().next().filter(|quote| matches!(quote, '\'' | '"'))?;
    text[1..].split_once(quote)
}
