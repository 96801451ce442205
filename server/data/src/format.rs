//! What a file is, judged by its bytes and never by its name; and the byte stream below every reader.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::bufread::MultiGzDecoder;

use crate::Error;
use crate::error::Attempt as _;

/// The formats that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// RFC 4180: comma (or `;`, `|`), quotes doubled, newlines allowed within quotes; first record is the header.
    Csv,
    /// Tab-separated, no quoting unless asked for; first record is the header.
    Tsv,
    /// One JSON object a line.
    JsonLines,
    /// Apache Parquet.
    Parquet,
}

const SNIFF_BYTES: usize = 64 << 10;
/// Deflate cannot exceed 1032:1; text reaches 3 to 20.
const BOMB_RATIO: u64 = 200;
const BOMB_FLOOR: u64 = 64 << 20;

/// Tells the format of the file at `path` from its first 64 KiB (after gunzip).
///
/// # Errors
/// [`Error::Empty`], [`Error::UnknownFormat`] for anything that is not one of [`Format`], [`Error::Damaged`] for a broken gzip stream.
pub fn sniff(path: &Path) -> Result<Format, Error> {
    let mut source = Source::open(path)?;
    let mut head = Vec::new();
    source.fill(&mut head, SNIFF_BYTES)?;
    if head.starts_with(b"PAR1") {
        if source.gzip {
            return Err(Error::UnknownFormat(
                "a gzipped Parquet file; gunzip it first, Parquet is compressed within".into(),
            ));
        }
        return Ok(Format::Parquet);
    }
    sniff_text(&head)
}

fn sniff_text(head: &[u8]) -> Result<Format, Error> {
    let unknown = |text: &str| Err(Error::UnknownFormat(text.to_owned()));
    for (magic, what) in [
        (&b"PK\x03\x04"[..], "a zip archive (or a spreadsheet); unpack it and send the CSV within"),
        (b"\xFF\xFE", "UTF-16 text; convert it to UTF-8"),
        (b"\xFE\xFF", "UTF-16 text; convert it to UTF-8"),
        (b"\x28\xB5\x2F\xFD", "zstd compressed; decompress it or use gzip"),
        (b"BZh", "bzip2 compressed; decompress it or use gzip"),
        (b"\xFD7zXZ", "xz compressed; decompress it or use gzip"),
    ] {
        if head.starts_with(magic) {
            return Err(Error::UnknownFormat(format!("the file is {what}")));
        }
    }
    let Some(first) = head.iter().position(|b| !b.is_ascii_whitespace()) else {
        return Err(Error::Empty("the file is empty".into()));
    };
    if let Some(at) = memchr::memchr(0, head) {
        return Err(Error::UnknownFormat(format!(
            "the file is binary (a zero byte at byte {at}); send CSV, TSV, JSON lines or Parquet"
        )));
    }
    let control = head.iter().filter(|b| **b < 32 && !b.is_ascii_whitespace()).count();
    if control * 20 > head.len() {
        return unknown("the file is binary; send CSV, TSV, JSON lines or Parquet");
    }
    match head[first] {
        b'{' => Ok(Format::JsonLines),
        b'[' if head[first + 1..].iter().find(|b| !b.is_ascii_whitespace()) == Some(&b'{') => {
            unknown("the file is one JSON array; write one object a line (JSON lines)")
        }
        _ => {
            let line = head[first..].split(|b| *b == b'\n').next().unwrap_or_default();
            let count = |byte| memchr::memchr_iter(byte, line).count();
            Ok(if count(b'\t') > count(b',') { Format::Tsv } else { Format::Csv })
        }
    }
}

/// A decompressed byte stream that knows how far it is, without a byte order mark.
pub(crate) struct Source {
    reader: Box<dyn Read + Send>,
    pub(crate) gzip: bool,
    compressed: Arc<AtomicU64>,
    size: u64,
    /// Decompressed bytes handed out, byte order mark included.
    position: u64,
}

impl Source {
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let action = || "open the source file".to_owned();
        let file = File::open(path).attempt(action)?;
        let size = file.metadata().attempt(action)?.len();
        let compressed = Arc::new(AtomicU64::new(0));
        let mut counted = BufReader::with_capacity(256 << 10, Counted { file, bytes: Arc::clone(&compressed) });
        let head = counted.fill_buf().attempt(|| "read the source file".to_owned())?;
        if head.is_empty() {
            return Err(Error::Empty("the file is empty".into()));
        }
        let gzip = head.starts_with(&[0x1f, 0x8b]);
        let reader: Box<dyn Read + Send> =
            if gzip { Box::new(MultiGzDecoder::new(counted)) } else { Box::new(counted) };
        let mut source = Self { reader, gzip, compressed, size, position: 0 };
        let mut mark = Vec::new();
        source.fill(&mut mark, 3)?;
        if mark != b"\xEF\xBB\xBF" {
            source.position = 0;
            let rest = std::mem::replace(&mut source.reader, Box::new(std::io::empty()));
            source.reader = Box::new(std::io::Cursor::new(mark).chain(rest));
        }
        Ok(source)
    }

    pub(crate) fn position(&self) -> u64 {
        self.position
    }
    /// Share of the file that has been read, 0 to 1.
    pub(crate) fn progress(&self) -> f64 {
        self.compressed.load(Ordering::Relaxed) as f64 / self.size.max(1) as f64
    }

    /// Appends bytes to `buffer` until it has grown by `bytes` or the stream ends; returns how many.
    pub(crate) fn fill(&mut self, buffer: &mut Vec<u8>, bytes: usize) -> Result<usize, Error> {
        let before = buffer.len();
        let result = (&mut self.reader).take(bytes as u64).read_to_end(buffer);
        let read = buffer.len() - before;
        self.position += read as u64;
        if let Err(error) = result {
            if !self.gzip {
                return Err(error).attempt(|| "read the source file".to_owned());
            }
            let message = match error.kind() {
                std::io::ErrorKind::UnexpectedEof => "the gzip stream is truncated; send the whole file".to_owned(),
                _ => format!("{error}; the gzip stream is corrupt, send it again"),
            };
            return Err(Error::Damaged { byte: self.position, message });
        }
        let compressed = self.compressed.load(Ordering::Relaxed);
        if self.gzip && self.position > BOMB_FLOOR && self.position / BOMB_RATIO > compressed {
            return Err(Error::GzipBomb { compressed: self.size, decompressed: self.position });
        }
        Ok(read)
    }
}

struct Counted {
    file: File,
    bytes: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.bytes.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}
