//! The file as rows of text: unpacked, decoded, only the columns that are asked for.

use super::error::{ImportError, nearest};
use super::mapping::FileStyle;
use super::words::EncodingText;
use csv::{ByteRecord, ReaderBuilder};
use flate2::read::MultiGzDecoder;
use std::io::{BufReader, Chain, Cursor, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes looked at to tell what a file is.
const HEAD_BYTES: usize = 4;
/// Bytes read from the disk at a time.
const READ_BYTES: usize = 256 * 1024;

/// Counts what was read from the disk: how far a file is.
#[derive(Clone, Debug, Default)]
pub(crate) struct BytesRead(Arc<AtomicU64>);

impl BytesRead {
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

struct Counted<R> {
    inner: R,
    count: BytesRead,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.count.0.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

/// What a file holds, unpacked where it is gzip (by its first bytes, whatever its name).
pub(crate) fn unpacked(inner: impl Read + Send + 'static) -> std::io::Result<(Box<dyn Read + Send>, BytesRead)> {
    let count = BytesRead::default();
    let (head, rest) = peeked(Counted { inner, count: count.clone() })?;
    let whole = BufReader::with_capacity(READ_BYTES, Cursor::new(head.clone()).chain(rest));
    Ok(if head.starts_with(&[0x1f, 0x8b]) { (Box::new(MultiGzDecoder::new(whole)), count) } else { (Box::new(whole), count) })
}

fn peeked<R: Read>(mut reader: R) -> std::io::Result<(Vec<u8>, R)> {
    let mut head = Vec::with_capacity(HEAD_BYTES);
    reader.by_ref().take(HEAD_BYTES as u64).read_to_end(&mut head)?;
    Ok((head, reader))
}

type Whole = Chain<Cursor<Vec<u8>>, Box<dyn Read + Send>>;

/// Rows, one after the other.
pub(super) struct Table {
    file: String,
    pub(super) style: FileStyle,
    rows: csv::Reader<Whole>,
    /// Where in the file each column of the mapping is.
    positions: Vec<usize>,
    /// Columns of the header, and so of every row.
    columns: usize,
    record: ByteRecord,
    cells: Vec<String>,
    /// Line of the row, from 1.
    pub(super) line: u64,
    /// Rows read.
    pub(super) row: u64,
}

impl Table {
    pub(super) fn new(
        file: &str,
        reader: Box<dyn Read + Send>,
        style: FileStyle,
        headers: &[(String, String)],
    ) -> Result<Table, ImportError> {
        let fail = |message: String| ImportError::fatal(file, None, message);
        let (head, rest) = peeked(reader).map_err(|error| fail(format!("can't be read: {error}")))?;
        let head = match strange(&head, style.encoding) {
            Some(what) => return Err(fail(what)),
            None => head.strip_prefix(UTF_8_MARK).unwrap_or(&head).to_vec(),
        };
        let mut rows = ReaderBuilder::new()
            .delimiter(style.delimiter)
            .quoting(style.quote.is_some())
            .quote(style.quote.unwrap_or(b'"'))
            // Lines end at \n alone, so that they are counted right with \r\n too; a \r before it is a blank, cut off below.
            .terminator(csv::Terminator::Any(b'\n'))
            .flexible(true)
            .buffer_capacity(READ_BYTES)
            .from_reader(Cursor::new(head).chain(rest));
        let header = rows.byte_headers().map_err(|error| fail(format!("its header can't be read: {error}")))?.clone();
        if header.iter().all(|name| name.trim_ascii().is_empty()) {
            return Err(fail("is empty: the first line must name the columns".to_owned()));
        }
        let mut names = Vec::with_capacity(header.len());
        for (index, name) in header.iter().enumerate() {
            let mut text = String::new();
            let decoded = decode(name, style.encoding, &mut text);
            decoded.map_err(|wrong| fail(wrong.told(1, &format!("the header of column {}", index + 1))))?;
            names.push(text.trim().to_owned());
            if text.trim().contains('\r') {
                return Err(fail("has lines that end in \\r alone: convert it, for example `tr '\\r' '\\n'`".to_owned()));
            }
        }
        let positions = headers.iter().map(|(header, key)| position(header, key, &names, style).map_err(fail));
        let positions: Vec<usize> = positions.collect::<Result<_, _>>()?;
        let cells = vec![String::new(); positions.len()];
        Ok(Table {
            file: file.to_owned(),
            style,
            rows,
            positions,
            columns: names.len(),
            record: ByteRecord::new(),
            cells,
            line: 1,
            row: 0,
        })
    }

    /// Goes to the next row. `false`: there is none.
    pub(super) fn next(&mut self, headers: &[(String, String)]) -> Result<bool, ImportError> {
        loop {
            if !self.rows.read_byte_record(&mut self.record).map_err(|error| self.broken(&error))? {
                return Ok(false);
            }
            self.line = self.line_of_record();
            if self.record.len() == self.columns {
                break;
            }
            let blank = self.record.len() <= 1 && self.record.iter().all(|cell| cell.trim_ascii().is_empty());
            if !blank {
                let message = format!(
                    "has {} columns, the header has {}; check file.delimiter and file.quote",
                    self.record.len(),
                    self.columns
                );
                return Err(ImportError::fatal(&self.file, Some(self.line), message));
            }
        }
        self.row += 1;
        for (slot, &position) in self.positions.iter().enumerate() {
            let cell = &mut self.cells[slot];
            cell.clear();
            let bytes = self.record.get(position).unwrap_or_default().trim_ascii();
            if let Err(wrong) = decode(bytes, self.style.encoding, cell) {
                let header = &headers[slot].0;
                let message = wrong.told(position + 1, &format!("column \"{header}\""));
                return Err(ImportError::fatal(&self.file, Some(self.line), message));
            }
        }
        Ok(true)
    }

    /// The reader's own count is from before blank lines, which it passes over; the count after the record is exact but for
    /// a last line without an end.
    fn line_of_record(&self) -> u64 {
        let before = self.record.position().map_or(0, csv::Position::line);
        let inside = self.record.as_slice().iter().filter(|byte| **byte == b'\n').count() as u64;
        before.max(self.rows.position().line().saturating_sub(inside + 1))
    }

    /// The row's text in a column of the mapping, without blanks around it.
    pub(super) fn cell(&self, header: usize) -> &str {
        &self.cells[header]
    }

    fn broken(&self, error: &csv::Error) -> ImportError {
        ImportError::fatal(&self.file, None, format!("can't be read after line {}: {error}", self.line))
    }
}

const UTF_8_MARK: &[u8] = b"\xef\xbb\xbf";

/// What a file can't be, told by its first bytes.
fn strange(head: &[u8], encoding: EncodingText) -> Option<String> {
    let utf_16 = head.starts_with(b"\xff\xfe") || head.starts_with(b"\xfe\xff") || head.contains(&0);
    if utf_16 {
        return Some("looks like utf-16: save it as utf-8, for example `iconv -f utf-16 -t utf-8`".to_owned());
    }
    if head.starts_with(b"PK\x03\x04") {
        return Some("is a zip or a spreadsheet, not csv: export it as csv".to_owned());
    }
    let marked = head.starts_with(UTF_8_MARK) && encoding != EncodingText::Utf8;
    marked.then(|| format!("begins with the mark of utf-8, but file.encoding is \"{}\": remove file.encoding", encoding.name()))
}

fn position(header: &str, key: &str, names: &[String], style: FileStyle) -> Result<usize, String> {
    let mut found = names.iter().enumerate().filter(|(_, name)| *name == header);
    match (found.next(), found.next()) {
        (Some((position, _)), None) => Ok(position),
        (Some(_), Some(_)) => Err(format!("has two columns \"{header}\" (mapping: {key})")),
        (None, _) => {
            let known = names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ");
            let hint = match nearest(header, names.iter().map(String::as_str)) {
                Some(near) => format!("; did you mean \"{near}\"?"),
                None if names.len() == 1 => format!("; is the delimiter {:?}?", char::from(style.delimiter)),
                None => String::new(),
            };
            Err(format!("has no column \"{header}\" (mapping: {key}); it has {known}{hint}"))
        }
    }
}

/// Bytes that are no text of the encoding.
struct NotText {
    encoding: EncodingText,
    byte: u8,
    at: usize,
}

impl NotText {
    fn told(&self, number: usize, place: &str) -> String {
        let hint = match self.encoding {
            EncodingText::Utf8 => "set file.encoding = \"windows-1252\" or \"latin1\", or save the file as utf-8",
            EncodingText::Latin1 => "the file is rather \"windows-1252\" or \"utf-8\": set file.encoding",
            EncodingText::Windows1252 => "the file is rather \"utf-8\": set file.encoding",
        };
        let (byte, at, name) = (self.byte, self.at + 1, self.encoding.name());
        format!("{place} ({number}): byte {at} of it, 0x{byte:02X}, is no {name}; {hint}")
    }
}

fn decode(bytes: &[u8], encoding: EncodingText, out: &mut String) -> Result<(), NotText> {
    let wrong = |at: usize| NotText { encoding, byte: bytes.get(at).copied().unwrap_or_default(), at };
    match encoding {
        EncodingText::Utf8 => out.push_str(std::str::from_utf8(bytes).map_err(|error| wrong(error.valid_up_to()))?),
        EncodingText::Latin1 | EncodingText::Windows1252 => {
            // What is a control character in latin1, and what windows-1252 leaves undefined.
            let undefined = |byte: &u8| match encoding {
                EncodingText::Latin1 => (0x80..0xa0).contains(byte),
                EncodingText::Windows1252 | EncodingText::Utf8 => matches!(byte, 0x81 | 0x8d | 0x8f | 0x90 | 0x9d),
            };
            if let Some(at) = bytes.iter().position(undefined) {
                return Err(wrong(at));
            }
            out.push_str(&encoding_rs::WINDOWS_1252.decode_without_bom_handling(bytes).0);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::mapping::Mapping;
    use super::*;

    const MAPPING: &str = "program = \"p\"\nsource = \"s\"\ncurrency = \"GBP\"\n[time]\ncolumn = \"When\"\nformat = \"%Y-%m-%d\"\n\
                           zone = \"UTC\"\n[order]\nid = \"Order\"\nmember = \"Who\"\n[lines]\nquantity = \"Q\"\nunit_price = \"P\"\n";

    fn table(mapping: &str, bytes: &[u8]) -> Result<Table, ImportError> {
        let mapping = Mapping::parse(mapping).expect("valid");
        Table::new("x.csv", Box::new(Cursor::new(bytes.to_vec())), mapping.file, &mapping.headers)
    }

    /// The members of all rows, or what stopped it.
    fn members(more: &str, bytes: &[u8]) -> Result<Vec<String>, String> {
        let mapping = format!("{MAPPING}[file]\n{more}");
        let mut table = table(&mapping, bytes).map_err(|error| error.to_string())?;
        let mapping = Mapping::parse(&mapping).expect("valid");
        let mut all = Vec::new();
        while table.next(&mapping.headers).map_err(|error| error.to_string())? {
            all.push(table.cell(1).to_owned());
        }
        Ok(all)
    }

    #[track_caller]
    fn check_error(more: &str, bytes: &[u8], words: &[&str]) {
        let error = members(more, bytes).expect_err("must be refused");
        for word in words {
            assert!(error.contains(word), "{error}");
        }
    }

    #[test]
    fn columns_by_name_in_any_order() {
        let csv = b"Who,Q,Note,When,P,Order\r\n\"m,1\",1,\"two\nlines\",2024-01-01,1,A\r\n m2 ,1,,2024-01-01,1,A\r\n";
        assert_eq!(members("", csv), Ok(vec!["m,1".to_owned(), "m2".to_owned()]));
        let marked = [UTF_8_MARK, b"Order;Who;Q;P;When\n1;2;3;4;5\n"].concat();
        assert_eq!(members("delimiter = \";\"", &marked), Ok(vec!["2".to_owned()]));
        assert_eq!(members("quote = \"\"", b"Order,Who,Q,P,When\n1,\"2\",3,4,5\n"), Ok(vec!["\"2\"".to_owned()]));
    }

    #[test]
    fn lines_are_counted_in_the_file() {
        let mapping = Mapping::parse(MAPPING).expect("valid");
        let text = "Order,Who,Q,P,When\n1,\"a\nb\",3,4,5\n\n1,c,3,4,\"5\"\n\n";
        for text in [text.to_owned(), text.replace('\n', "\r\n")] {
            let mut table = table(MAPPING, text.as_bytes()).expect("opens");
            let mut lines = Vec::new();
            while table.next(&mapping.headers).expect("reads") {
                lines.push((table.row, table.line, table.cell(5 - 1).to_owned()));
            }
            assert_eq!(lines, [(1, 2, "5".to_owned()), (2, 5, "5".to_owned())], "{text:?}");
        }
    }

    #[test]
    fn encodings() {
        let csv = b"Order,Who,Q,P,When\n1,Jos\xe9,3,4,5\n";
        assert_eq!(members("encoding = \"latin1\"", csv), Ok(vec!["José".to_owned()]));
        let csv_1252 = b"Order,Who,Q,P,When\n1,\x80uro,3,4,5\n";
        assert_eq!(members("encoding = \"windows-1252\"", csv_1252), Ok(vec!["€uro".to_owned()]));
        check_error("", csv, &["x.csv line 2", "column \"Who\" (2)", "byte 4 of it, 0xE9, is no utf-8", "file.encoding"]);
        check_error("encoding = \"latin1\"", csv_1252, &["0x80, is no latin1", "windows-1252"]);
        check_error("encoding = \"windows-1252\"", b"Order,Who,Q,P,When\n1,\x81,3,4,5\n", &["0x81", "utf-8"]);
        check_error("", b"Order,Who,Q,P,Wh\xe9n\n", &["header of column 5", "0xE9"]);
        check_error("", b"\xff\xfeO\0r\0", &["utf-16", "iconv"]);
        check_error("", b"O\0r\0", &["utf-16"]);
        check_error("", b"PK\x03\x04zip", &["spreadsheet"]);
        check_error("encoding = \"latin1\"", &[UTF_8_MARK, csv].concat(), &["mark of utf-8"]);
        // What is not asked for is not read.
        assert!(members("", b"Order,Who,Q,P,When,Note\n1,a,3,4,5,caf\xe9\n").is_ok());
    }

    #[test]
    fn what_is_missing_is_named() {
        check_error(
            "",
            b"Order,Wo,Q,P,When\n",
            &["no column \"Who\" (mapping: order.member)", "\"Order\", \"Wo\", \"Q\"", "did you mean \"Wo\"?"],
        );
        check_error("", b"Order;Who;Q;P;When\n", &["no column \"Order\"", "is the delimiter ','?"]);
        check_error("", b"Order,Who,Who,Q,P,When\n", &["two columns \"Who\""]);
        check_error("", b"", &["is empty"]);
        check_error("", b"Order,Who,Q,P,When\r1,2,3,4,5\r", &["end in \\r alone"]);
        check_error("", b"Order,Who,Q,P,When\n1,2,3\n", &["x.csv line 2", "has 3 columns, the header has 5", "file.delimiter"]);
    }

    #[test]
    fn packed_or_not() {
        use std::io::Write as _;
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(b"hello").expect("packs");
        let packed = packer.finish().expect("packs");
        for (bytes, expected) in [(packed.clone(), "hello"), (b"plain".to_vec(), "plain"), (Vec::new(), "")] {
            let length = bytes.len() as u64;
            let (mut reader, count) = unpacked(Cursor::new(bytes)).expect("opens");
            let mut text = String::new();
            reader.read_to_string(&mut text).expect("reads");
            assert_eq!((text.as_str(), count.get()), (expected, length));
        }
    }
}
