//! Facts in a file, for `accrue publish`: JSON lines, a JSON array, or protobuf messages each after its length.
//!
//! What a file is, is told by its content: `{` begins JSON lines, `[` an array, anything else is protobuf with varint lengths.
//! Each is handed on as its own bytes, unchanged, so that what is published is what the file says; gzip is unpacked.

use crate::import::table::{BytesRead, unpacked};
use serde::de::IgnoredAny;
use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader, Cursor, Read};
use std::path::Path;

/// Bytes of one fact: more is not read.
pub const FACT_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Bytes of a JSON array, which is read as a whole; longer ones are written as JSON lines.
pub const ARRAY_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Bytes read at a time.
const READ_BYTES: usize = 256 * 1024;

/// How a fact is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// An object as `accrue_proto::json` reads it.
    Json,
    /// A `Fact` message.
    Protobuf,
}

impl Form {
    /// For the header `content-type` of a Kafka record.
    pub fn content_type(self) -> &'static str {
        match self {
            Form::Json => "application/json",
            Form::Protobuf => "application/protobuf",
        }
    }
}

/// One fact of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// As it is in the file.
    pub bytes: Vec<u8>,
    /// How.
    pub form: Form,
    /// Where.
    pub place: Place,
}

/// Where in a file, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A line: JSON lines, and where an entry of an array begins.
    Line(u64),
    /// The number of a message: protobuf has no lines.
    Message(u64),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Line(line) => write!(f, "line {line}"),
            Place::Message(number) => write!(f, "message {number}"),
        }
    }
}

/// A file that can't be read, or not further.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}{}: {message}", place.map_or_else(String::new, |place| format!(" {place}")))]
pub struct FactsFileError {
    /// The file.
    pub file: String,
    /// Where; `None`: the file as a whole.
    pub place: Option<Place>,
    /// What is wrong: one lower-case line.
    pub message: String,
}

/// The facts of a file, one after the other. Ends after an error.
pub struct FactsFile {
    file: String,
    bytes_read: BytesRead,
    content: Content,
}

enum Content {
    Lines { reader: Box<dyn BufRead + Send>, line: u64 },
    Entries(std::vec::IntoIter<(u64, Vec<u8>)>),
    Messages { reader: Box<dyn BufRead + Send>, number: u64 },
    Ended,
}

impl FactsFile {
    /// Opens a file, gzip or plain.
    ///
    /// # Errors
    /// Unreadable, or an array that is no JSON.
    pub fn open(path: &Path) -> Result<FactsFile, FactsFileError> {
        let file = path.display().to_string();
        let fail = |error: std::io::Error| FactsFileError {
            file: file.clone(),
            place: None,
            message: format!("can't be opened: {error}"),
        };
        FactsFile::read(&file, File::open(path).map_err(fail)?)
    }

    /// As [`open`](Self::open), from anything readable, standard input for one; `name` is what errors call it.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn read(name: &str, from: impl Read + Send + 'static) -> Result<FactsFile, FactsFileError> {
        let fail = |place, message: String| FactsFileError { file: name.to_owned(), place, message };
        let unreadable = |error: std::io::Error| fail(None, format!("can't be read: {error}"));
        let (reader, bytes_read) = unpacked(from).map_err(unreadable)?;
        let reader = unmarked(reader).map_err(unreadable)?.ok_or_else(|| fail(None, UTF_16.to_owned()))?;
        let mut reader = BufReader::with_capacity(READ_BYTES, reader);
        let head = head(&mut reader).map_err(unreadable)?;
        let line = 1 + count_lines(&head);
        let first = head.last().copied();
        // Blanks before JSON are left out; protobuf may begin with a byte that is a blank in text, a length of 10 or 32.
        let kept = if matches!(first, Some(b'{' | b'[')) { head.len() - 1 } else { 0 };
        let reader = Cursor::new(head[kept..].to_vec()).chain(reader);
        let content = match first {
            Some(b'{') => Content::Lines { reader: Box::new(reader), line: line - 1 },
            Some(b'[') => Content::Entries(entries(reader, line).map_err(|(place, message)| fail(place, message))?.into_iter()),
            Some(byte) if !byte.is_ascii_whitespace() => Content::Messages { reader: Box::new(reader), number: 0 },
            Some(_) | None => Content::Ended,
        };
        Ok(FactsFile { file: name.to_owned(), bytes_read, content })
    }

    /// Bytes read from the file, packed as they are there: how far it is.
    pub fn bytes_read(&self) -> u64 {
        self.bytes_read.get()
    }
}

impl Iterator for FactsFile {
    type Item = Result<Written, FactsFileError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = match &mut self.content {
            Content::Lines { reader, line } => next_line(reader, line),
            Content::Entries(entries) => {
                Ok(entries.next().map(|(line, bytes)| Written { bytes, form: Form::Json, place: Place::Line(line) }))
            }
            Content::Messages { reader, number } => next_message(reader, number),
            Content::Ended => Ok(None),
        };
        match next {
            Ok(Some(written)) => Some(Ok(written)),
            Ok(None) => {
                self.content = Content::Ended;
                None
            }
            Err((place, message)) => {
                self.content = Content::Ended;
                Some(Err(FactsFileError { file: self.file.clone(), place: Some(place), message }))
            }
        }
    }
}

/// Without the mark of UTF-8 that some editors begin a file with. `None`: it is UTF-16.
///
/// No message is taken for either: none begins with a zero byte, and a length is written as short as it goes.
fn unmarked(mut from: impl Read) -> std::io::Result<Option<impl Read>> {
    let mut head = Vec::new();
    from.by_ref().take(4).read_to_end(&mut head)?;
    match head[..] {
        [0xff, 0xfe, _, 0] | [0xfe, 0xff, 0, _] | [b'{' | b'[', 0, ..] | [0, b'{' | b'[', 0, _] => return Ok(None),
        [0xef, 0xbb, 0xbf] | [0xef, 0xbb, 0xbf, 2..=0xff] => drop(head.drain(..3)),
        _ => {}
    }
    Ok(Some(Cursor::new(head).chain(from)))
}

/// Everything up to and with the first byte that is not blank.
fn head(reader: &mut impl BufRead) -> std::io::Result<Vec<u8>> {
    let mut head = Vec::new();
    for byte in reader.bytes() {
        let byte = byte?;
        head.push(byte);
        if !byte.is_ascii_whitespace() {
            break;
        }
    }
    Ok(head)
}

fn count_lines(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|byte| **byte == b'\n').count() as u64
}

/// The next line that is not blank. Whether it is JSON is for whoever decodes it to say.
fn next_line(reader: &mut impl BufRead, line: &mut u64) -> Result<Option<Written>, (Place, String)> {
    loop {
        let (mut bytes, place) = (Vec::new(), Place::Line(*line + 1));
        let limit = FACT_BYTES_MAX as u64 + 1;
        let read = reader
            .by_ref()
            .take(limit)
            .read_until(b'\n', &mut bytes)
            .map_err(|error| (place, format!("can't be read: {error}")))?;
        if read == 0 {
            return Ok(None);
        }
        if bytes.len() > FACT_BYTES_MAX {
            return Err((place, format!("is longer than {FACT_BYTES_MAX} bytes: each line is one fact")));
        }
        *line += 1;
        bytes.truncate(bytes.trim_ascii_end().len());
        if !bytes.trim_ascii_start().is_empty() {
            return Ok(Some(Written { bytes, form: Form::Json, place }));
        }
    }
}

type Entry = (u64, Vec<u8>);

fn entries(reader: impl Read, first_line: u64) -> Result<Vec<Entry>, (Option<Place>, String)> {
    let mut text = String::new();
    let limit = ARRAY_BYTES_MAX as u64 + 1;
    reader.take(limit).read_to_string(&mut text).map_err(|error| (None, format!("can't be read: {error}")))?;
    if text.len() > ARRAY_BYTES_MAX {
        return Err((
            None,
            format!("is an array of more than {ARRAY_BYTES_MAX} bytes: write one fact a line instead (`jq -c .[]`)"),
        ));
    }
    let text = text.as_bytes();
    let wrong = |at: usize, what: String| {
        let line = first_line + count_lines(&text[..at]);
        let column = at - text[..at].iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1) + 1;
        (Some(Place::Line(line)), format!("is no json at column {column}: {what}"))
    };
    let (mut found, mut at, mut line, mut counted) = (Vec::new(), after_blanks(text, 1), first_line, 0);
    let mut more = text.get(at) != Some(&b']');
    while more {
        let mut values = serde_json::Deserializer::from_slice(&text[at..]).into_iter::<IgnoredAny>();
        match values.next() {
            Some(Ok(_)) => {}
            Some(Err(error)) => return Err(wrong(at, format!("the entry that begins here: {error}"))),
            None => return Err(wrong(text.len(), "the array has no end".to_owned())),
        }
        let end = at + values.byte_offset();
        line += count_lines(&text[counted..at]);
        counted = at;
        found.push((line, text[at..end].to_vec()));
        let next = after_blanks(text, end);
        more = text.get(next) == Some(&b',');
        if !more && text.get(next) != Some(&b']') {
            return Err(wrong(next, "expected \",\" or \"]\"".to_owned()));
        }
        at = if more { after_blanks(text, next + 1) } else { next };
    }
    let end = after_blanks(text, at + 1);
    if end < text.len() { Err(wrong(end, "something follows the array".to_owned())) } else { Ok(found) }
}

fn after_blanks(text: &[u8], from: usize) -> usize {
    text.iter().skip(from).position(|byte| !byte.is_ascii_whitespace()).map_or(text.len(), |blanks| from + blanks)
}

fn next_message(reader: &mut impl BufRead, number: &mut u64) -> Result<Option<Written>, (Place, String)> {
    let place = Place::Message(*number + 1);
    let unreadable = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::UnexpectedEof => (place, "is cut short: the file ends in the middle of it".to_owned()),
        _ => (place, format!("can't be read: {error}")),
    };
    if reader.fill_buf().map_err(unreadable)?.is_empty() {
        return Ok(None);
    }
    let mut length = 0_u64;
    for shift in (0..).step_by(7) {
        let mut byte = [0];
        reader.read_exact(&mut byte).map_err(unreadable)?;
        length |= u64::from(byte[0] & 0x7f) << shift;
        if byte[0] < 0x80 {
            break;
        }
        if shift >= 28 {
            return Err((place, NO_LENGTH.to_owned()));
        }
    }
    if length == 0 || length > FACT_BYTES_MAX as u64 {
        return Err((place, format!("would have {length} bytes; {NO_LENGTH}")));
    }
    let mut bytes = vec![0; length as usize];
    reader.read_exact(&mut bytes).map_err(unreadable)?;
    *number += 1;
    Ok(Some(Written { bytes, form: Form::Protobuf, place }))
}

const UTF_16: &str = "looks like utf-16: save it as utf-8, for example `iconv -f utf-16 -t utf-8`";
const NO_LENGTH: &str = "not json, and no protobuf messages each after its length (varint)";

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn all(bytes: &[u8]) -> Result<Vec<(String, String)>, String> {
        let file = FactsFile::read("f", Cursor::new(bytes.to_vec())).map_err(|error| error.to_string())?;
        file.map(|written| {
            let written = written.map_err(|error| error.to_string())?;
            Ok((written.place.to_string(), String::from_utf8_lossy(&written.bytes).into_owned()))
        })
        .collect()
    }

    fn pairs(expected: &[(&str, &str)]) -> Result<Vec<(String, String)>, String> {
        Ok(expected.iter().map(|(place, bytes)| ((*place).to_owned(), (*bytes).to_owned())).collect())
    }

    #[test]
    fn json_lines() {
        let expected = pairs(&[("line 3", "{\"a\":1}"), ("line 5", "{\"b\":2}"), ("line 6", "rubbish")]);
        let text = b"\n \n{\"a\":1}\n\n{\"b\":2}\r\nrubbish\n";
        assert_eq!(all(text), expected, "what is no json is for the door to refuse");
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(text).expect("packs");
        assert_eq!(all(&packer.finish().expect("packs")), expected);
    }

    #[test]
    fn marks_of_editors() {
        assert_eq!(all(b"\xef\xbb\xbf{\"a\":1}\n{}"), pairs(&[("line 1", "{\"a\":1}"), ("line 2", "{}")]));
        assert_eq!(all(b"\xef\xbb\xbf\r\n[1]"), pairs(&[("line 2", "1")]));
        assert_eq!(all(b"\xef\xbb\xbf"), pairs(&[]));
        for text in ["\u{feff}{\"a\":1}", "{\"a\":1}", "\u{feff}\n[1]"] {
            let wide: Vec<u16> = text.encode_utf16().collect();
            for bytes in [
                wide.iter().flat_map(|unit| unit.to_le_bytes()).collect(),
                wide.iter().flat_map(|unit| unit.to_be_bytes()).collect::<Vec<u8>>(),
            ] {
                assert_eq!(all(&bytes), Err(format!("f: {UTF_16}")), "{text:?}");
            }
        }
        // A message that is as long as these marks say is one.
        let long = "x".repeat(0x6f + (0x3b << 7) + (0x3f << 14) + (1 << 21));
        assert_eq!(all(&[b"\xef\xbb\xbf\x01", long.as_bytes()].concat()), pairs(&[("message 1", &long)]));
    }

    #[test]
    fn a_json_array() {
        assert_eq!(
            all(b"\n[ {\"a\": [1,\n 2]},\n\n{\"b\":2}, 7 ]\n"),
            pairs(&[("line 2", "{\"a\": [1,\n 2]}"), ("line 5", "{\"b\":2}"), ("line 5", "7")])
        );
        assert_eq!(all(b"[]"), pairs(&[]));
        for (text, told) in [
            ("[{\"a\":1},\n {\"b\" 2}]", "f line 2: is no json at column 2: the entry that begins here: expected `:`"),
            ("[1,\n2 3]", "f line 2: is no json at column 3: expected \",\" or \"]\""),
            ("[1,]", "f line 1: is no json at column 4: the entry"),
            ("[1,\n", "f line 2: is no json at column 1: the array has no end"),
            ("[", "f line 1: is no json at column 2: the array has no end"),
            ("[1]\n]", "f line 2: is no json at column 1: something follows"),
        ] {
            let error = all(text.as_bytes()).expect_err(text);
            assert!(error.starts_with(told), "{error}");
        }
    }

    #[test]
    fn protobuf_messages() {
        let long = "x".repeat(300);
        let bytes = [&[3_u8][..], b"abc", &[0xac, 0x02], long.as_bytes(), &[10], b"0123456789"].concat();
        assert_eq!(all(&bytes), pairs(&[("message 1", "abc"), ("message 2", &long), ("message 3", "0123456789")]));
        // A first message of 10 or 32 bytes begins with what is a blank in text.
        assert_eq!(all(&[&[10_u8][..], b"0123456789"].concat()), pairs(&[("message 1", "0123456789")]));
        assert_eq!(all(&[5, 1, 2]), Err("f message 1: is cut short: the file ends in the middle of it".to_owned()));
        assert!(all(&[0xff; 20]).expect_err("no length").contains("not json"));
        assert!(all(&[0]).expect_err("no length").contains("would have 0 bytes"));
    }

    #[test]
    fn nothing() {
        assert_eq!(all(b""), pairs(&[]));
        assert_eq!(all(b" \n\n"), pairs(&[]));
        let error = FactsFile::open(Path::new("no-such.jsonl")).err().expect("must fail");
        assert!(error.to_string().starts_with("no-such.jsonl: can't be opened"), "{error}");
    }
}
