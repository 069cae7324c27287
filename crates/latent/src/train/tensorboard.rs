//! Event files that TensorBoard reads: scalars and images over steps.
//!
//! A file is a series of records, each `length, crc(length), data, crc(data)`, little-endian, with masked CRC-32C.
//! The data is a protocol-buffer message `Event`, of which a few fields are enough to be written by hand:
//!
//! ```text
//! Event   { wall_time: double = 1, step: int64 = 2, file_version: string = 3, summary: Summary = 5 }
//! Summary { value: repeated Value = 1 }
//! Value   { tag: string = 1, simple_value: float = 2, image: Image = 4 }
//! Image   { height: int32 = 1, width: int32 = 2, colorspace: int32 = 3, encoded_image_string: bytes = 4 }
//! ```
//!
//! Reference: tensorflow/core/lib/io/record_writer.h, tensorflow/core/util/event.proto.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// Appends to an event file of its own.
///
/// A run that is resumed opens a new file in the same folder; TensorBoard reads all of them as one run.
#[derive(Debug)]
pub struct EventWriter {
    file: BufWriter<File>,
    path: PathBuf,
}

impl EventWriter {
    /// Creates `folder` and in it the file `events.out.tfevents.<seconds>.<host>`.
    ///
    /// # Errors
    /// Where folder or file cannot be made.
    pub fn create(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let name = format!("events.out.tfevents.{seconds:010}.{}", host());
        // Two runs may start within a second: the next one counts on.
        let names = (0..1000).map(|n| if n == 0 { name.clone() } else { format!("{name}.{n}") });
        for name in names {
            let path = folder.join(name);
            match OpenOptions::new().append(true).create_new(true).open(&path) {
                Ok(file) => {
                    let mut writer = Self { file: BufWriter::new(file), path };
                    let mut event = Message::timed();
                    event.bytes(3, b"brain.Event:2");
                    writer.write(&event)?;
                    return Ok(writer);
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::new(io::ErrorKind::AlreadyExists, format!("a thousand event files named {name}")))
    }

    /// The file that is written.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the value of `tag` (such as `validation/rate`) at `step`.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn scalar(&mut self, step: u64, tag: &str, value: f32) -> io::Result<()> {
        self.summary(step, tag, |entry| entry.float(2, value))
    }

    /// Writes a PNG file of `height × width` pixels under `tag` at `step`.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn image(&mut self, step: u64, tag: &str, png: &[u8], height: u32, width: u32) -> io::Result<()> {
        // 1 is grey, 3 colour, 4 colour with alpha: what a PNG's header says at byte 25. TensorBoard only shows it.
        let colorspace = match png.get(25) {
            Some(0) => 1,
            Some(6) => 4,
            _ => 3,
        };
        let mut image = Message::default();
        image.varint(1, u64::from(height));
        image.varint(2, u64::from(width));
        image.varint(3, colorspace);
        image.bytes(4, png);
        self.summary(step, tag, |entry| entry.bytes(4, &image.0))
    }

    fn summary(&mut self, step: u64, tag: &str, value: impl FnOnce(&mut Message)) -> io::Result<()> {
        let mut entry = Message::default();
        entry.bytes(1, tag.as_bytes());
        value(&mut entry);
        let mut summary = Message::default();
        summary.bytes(1, &entry.0);
        let mut event = Message::timed();
        event.varint(2, step);
        event.bytes(5, &summary.0);
        self.write(&event)
    }

    /// Each record goes to the file at once: TensorBoard follows a run while it trains.
    fn write(&mut self, Message(data): &Message) -> io::Result<()> {
        let length = (data.len() as u64).to_le_bytes();
        self.file.write_all(&length)?;
        self.file.write_all(&masked_crc(&length).to_le_bytes())?;
        self.file.write_all(data)?;
        self.file.write_all(&masked_crc(data).to_le_bytes())?;
        self.file.flush()
    }
}

/// A protocol-buffer message in the making.
#[derive(Debug, Default)]
struct Message(Vec<u8>);

impl Message {
    /// An event with the present time.
    fn timed() -> Self {
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let mut event = Self::default();
        event.key(1, 1);
        event.0.extend(seconds.to_le_bytes());
        event
    }

    fn varint(&mut self, field: u8, value: u64) {
        self.key(field, 0);
        self.raw_varint(value);
    }

    fn float(&mut self, field: u8, value: f32) {
        self.key(field, 5);
        self.0.extend(value.to_le_bytes());
    }

    fn bytes(&mut self, field: u8, bytes: &[u8]) {
        self.key(field, 2);
        self.raw_varint(bytes.len() as u64);
        self.0.extend(bytes);
    }

    /// Field number and wire type: 0 varint, 1 eight bytes, 2 length and bytes, 5 four bytes.
    fn key(&mut self, field: u8, wire: u8) {
        self.0.push(field << 3 | wire);
    }

    /// Seven bits a byte, the lowest first; the eighth bit says that more follow.
    fn raw_varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

/// CRC-32C turned by 15 bits and shifted, so that a checksum of data with checksums in it stays good.
fn masked_crc(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// The name of this machine, as far as a file name can hold it.
fn host() -> String {
    let name = std::env::var("HOSTNAME")
        .ok()
        .or_else(|| fs::read_to_string("/etc/hostname").ok())
        .or_else(|| std::env::var("COMPUTERNAME").ok())
        .unwrap_or_default();
    let kept: String =
        name.trim().chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(60).collect();
    if kept.is_empty() { "localhost".into() } else { kept }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The data of each record, lengths and checksums checked.
    fn records(mut bytes: &[u8]) -> Vec<&[u8]> {
        let mut records = Vec::new();
        while !bytes.is_empty() {
            let (length, rest) = bytes.split_at(8);
            let size = u64::from_le_bytes(length.try_into().unwrap()) as usize;
            let crc = |bytes: &[u8]| u32::from_le_bytes(bytes[..4].try_into().unwrap());
            assert_eq!(crc(rest), masked_crc(length));
            let (data, rest) = rest[4..].split_at(size);
            assert_eq!(crc(rest), masked_crc(data));
            records.push(data);
            bytes = &rest[4..];
        }
        records
    }

    /// The fields of a message: number and the bytes of the value (a varint decoded to eight of them).
    fn fields(mut bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
        fn varint(bytes: &mut &[u8]) -> u64 {
            let (mut value, mut shift) = (0, 0);
            loop {
                let byte = bytes[0];
                *bytes = &bytes[1..];
                value |= u64::from(byte & 0x7f) << shift;
                shift += 7;
                if byte < 0x80 {
                    return value;
                }
            }
        }
        let mut fields = Vec::new();
        while !bytes.is_empty() {
            let key = varint(&mut bytes);
            let size = match key & 7 {
                0 => {
                    fields.push(((key >> 3) as u8, varint(&mut bytes).to_le_bytes().to_vec()));
                    continue;
                }
                1 => 8,
                2 => varint(&mut bytes) as usize,
                5 => 4,
                wire => panic!("wire type {wire}"),
            };
            let (value, rest) = bytes.split_at(size);
            fields.push(((key >> 3) as u8, value.to_vec()));
            bytes = rest;
        }
        fields
    }

    #[test]
    fn the_checksum_is_the_published_one() {
        // RFC 3720, B.4: 32 bytes of zeros have CRC-32C 0x8a9136aa.
        assert_eq!(crc32c::crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(masked_crc(&[0; 32]), 0x8a91_36aa_u32.rotate_right(15).wrapping_add(0xa282_ead8));
    }

    #[test]
    fn what_is_written_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = EventWriter::create(&folder.path().join("events")).unwrap();
        writer.scalar(300, "train/rate", 1.5).unwrap();
        writer.image(1 << 40, "samples", &[7; 200], 28, 56).unwrap();
        assert!(writer.path().file_name().unwrap().to_str().unwrap().starts_with("events.out.tfevents.1"));
        let bytes = fs::read(writer.path()).unwrap();
        let events: Vec<_> = records(&bytes).into_iter().map(fields).collect();
        assert_eq!(events[0][1], (3, b"brain.Event:2".to_vec()));
        assert_eq!(events[1][1], (2, 300u64.to_le_bytes().to_vec()));
        let scalar = fields(&fields(&events[1][2].1)[0].1);
        assert_eq!(scalar, [(1, b"train/rate".to_vec()), (2, 1.5f32.to_le_bytes().to_vec())]);
        assert_eq!(events[2][1], (2, (1u64 << 40).to_le_bytes().to_vec()));
        let image = fields(&fields(&fields(&events[2][2].1)[0].1)[1].1);
        assert_eq!(image[0].1[0], 28);
        assert_eq!(image[1].1[0], 56);
        assert_eq!(image[3], (4, vec![7; 200]));
        let wall = f64::from_le_bytes(events[0][0].1.clone().try_into().unwrap());
        assert!(wall > 1.7e9);
    }

    #[test]
    fn a_second_file_within_the_second_has_its_own_name() {
        let folder = tempfile::tempdir().unwrap();
        let [first, second] = [(); 2].map(|()| EventWriter::create(folder.path()).unwrap());
        assert_ne!(first.path(), second.path());
    }
}
