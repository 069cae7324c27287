//! gzip, as gzip itself reads it: members one after another are one stream, zeros behind them are padding, and what
//! else stands there is left alone and counted.

use std::io::{self, BufReader, Read};

use flate2::bufread::GzDecoder;

use super::storage::{Sequential, Storage};

const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// The decompressed bytes of a storage.
pub(crate) struct Gzip<'a> {
    storage: &'a Storage,
    state: State<'a>,
    /// Bytes behind the last member that are neither gzip nor padding.
    pub left_alone: u64,
}

enum State<'a> {
    Between(BufReader<Sequential<'a>>),
    Within(Box<GzDecoder<BufReader<Sequential<'a>>>>),
    Over,
}

impl<'a> Gzip<'a> {
    pub(crate) fn new(storage: &'a Storage) -> Self {
        let source = BufReader::new(Sequential { storage, position: 0 });
        Self { storage, state: State::Between(source), left_alone: 0 }
    }

    /// The member that starts where the last one ended.
    fn next_member(&mut self, mut source: BufReader<Sequential<'a>>) -> io::Result<State<'a>> {
        let position = source.get_ref().position - source.buffer().len() as u64;
        let left = self.storage.len() - position;
        let mut start = [0; 2];
        if left >= 2 {
            self.storage.read_at(position, &mut start)?;
        }
        // What is no gzip at all is the decoder's to refuse.
        if position == 0 || start == MAGIC {
            return Ok(State::Within(Box::new(GzDecoder::new(source))));
        }
        let mut chunk = [0; 4096];
        loop {
            match source.read(&mut chunk)? {
                0 => break,
                read if chunk[..read].iter().all(|byte| *byte == 0) => {}
                _ => {
                    self.left_alone = left;
                    break;
                }
            }
        }
        Ok(State::Over)
    }
}

impl Read for Gzip<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match std::mem::replace(&mut self.state, State::Over) {
                State::Over => return Ok(0),
                State::Between(source) => self.state = self.next_member(source)?,
                State::Within(mut decoder) => {
                    let read = decoder.read(buffer)?;
                    if read > 0 || buffer.is_empty() {
                        self.state = State::Within(decoder);
                        return Ok(read);
                    }
                    self.state = State::Between(decoder.into_inner());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn member(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn read(bytes: &[u8]) -> io::Result<(Vec<u8>, u64)> {
        let storage = Storage::Memory(bytes.to_vec());
        let mut gzip = Gzip::new(&storage);
        let mut out = Vec::new();
        gzip.read_to_end(&mut out)?;
        Ok((out, gzip.left_alone))
    }

    #[test]
    fn what_follows_a_member_is_read_as_gzip_reads_it() {
        let (one, two) = (member(&[1; 9000]), member(&[2; 5]));
        let both = [vec![1; 9000], vec![2; 5]].concat();
        assert_eq!(read(&one).unwrap(), (vec![1; 9000], 0));
        assert_eq!(read(&[&one[..], &two].concat()).unwrap(), (both.clone(), 0));
        assert_eq!(read(&[&one[..], &two, &[0; 9000]].concat()).unwrap(), (both.clone(), 0));
        assert_eq!(read(&[&one[..], &two, b"rest"].concat()).unwrap(), (both, 4));
        assert_eq!(read(&[&two[..], &[0; 5000], b"x"].concat()).unwrap(), (vec![2; 5], 5001));
        assert_eq!(read(&[&two[..], &[0x1f]].concat()).unwrap(), (vec![2; 5], 1));
        // A broken member is no rest, and a sum that does not fit is noticed.
        assert!(read(&[&two[..], &MAGIC].concat()).is_err());
        assert!(read(&one[..one.len() - 4]).is_err());
        assert!(read(b"no gzip").is_err() && read(&[]).is_err());
        let mut flipped = two;
        let place = flipped.len() - 6;
        flipped[place] ^= 1;
        assert!(read(&flipped).is_err());
    }
}
