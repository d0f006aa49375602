//! Rows of views: one byte that names the codec, then bincode; states and records as the ledger packs them. The only file that
//! knows bincode's settings.

use bincode::config::{Configuration, Limit, LittleEndian, Varint};
use bincode::enc::write::Writer;
use bincode::error::EncodeError;
use bincode::{Decode, Encode};

/// The codec of every row written today; 1 had states and records as bincode, too.
const TODAY: u8 = 2;
/// A row is never larger, whatever its bytes claim.
const ROW_BYTES_MAX: usize = 256 * 1024 * 1024;

type Settings = Configuration<LittleEndian, Varint, Limit<ROW_BYTES_MAX>>;

fn settings() -> Settings {
    bincode::config::standard().with_limit::<ROW_BYTES_MAX>()
}

/// A row that can't be read: its view is disposable.
#[derive(Debug, thiserror::Error)]
#[error("a row of {what} can't be read ({detail}); the view is derived: delete it and it is built again")]
pub struct BadRow {
    what: &'static str,
    detail: String,
}

impl BadRow {
    /// Says what could not be read.
    pub fn new(what: &'static str, detail: impl ToString) -> BadRow {
        BadRow { what, detail: detail.to_string() }
    }
}

/// Appends a value, with the codec's byte.
pub fn write<T: Encode>(value: &T, out: &mut Vec<u8>) {
    out.push(TODAY);
    append(value, out);
}

/// Appends a value without the codec's byte: inside a row that has it.
pub fn append<T: Encode>(value: &T, out: &mut Vec<u8>) {
    // Writing to memory fails only when an impl of Encode does, and ours don't.
    let written = bincode::encode_into_writer(value, Appending(out), settings());
    debug_assert!(written.is_ok(), "{written:?}");
}

/// Begins a row of values that are appended one behind the other.
pub fn tag(row: &mut Vec<u8>) {
    row.push(TODAY);
}

/// The values of such a row.
pub fn untagged<'a>(what: &'static str, row: &'a [u8]) -> Result<&'a [u8], BadRow> {
    match row.split_first() {
        Some((&TODAY, bytes)) => Ok(bytes),
        Some((tag, _)) => Err(BadRow::new(what, format!("codec {tag} is not known"))),
        None => Err(BadRow::new(what, "it is empty")),
    }
}

/// Reads a row.
pub fn read<T: Decode<()>>(what: &'static str, row: &[u8]) -> Result<T, BadRow> {
    let (value, rest) = split(what, row)?;
    if rest.is_empty() { Ok(value) } else { Err(BadRow::new(what, format!("{} bytes too many", rest.len()))) }
}

/// Reads a value at the beginning of a row and hands back what follows.
pub fn split<'a, T: Decode<()>>(what: &'static str, row: &'a [u8]) -> Result<(T, &'a [u8]), BadRow> {
    next(what, untagged(what, row)?)
}

/// Appends to memory: no check of room at each of the many small writes.
struct Appending<'a>(&'a mut Vec<u8>);

impl Writer for Appending<'_> {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }
}

/// Reads a value without the codec's byte.
pub fn next<'a, T: Decode<()>>(what: &'static str, bytes: &'a [u8]) -> Result<(T, &'a [u8]), BadRow> {
    let (value, read) = bincode::decode_from_slice(bytes, settings()).map_err(|error| BadRow::new(what, error))?;
    Ok((value, &bytes[read..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use accrue_ledger::{Instant, LotPart, Text};

    /// Golden bytes: rows written by this version must stay readable.
    #[test]
    fn bytes_are_fixed() {
        let mut row = Vec::new();
        write(&(Text::new("main"), LotPart { lot: 7, points: -300, expires_at: Instant::MAX }), &mut row);
        assert_eq!(row, [2, 4, b'm', b'a', b'i', b'n', 7, 251, 87, 2, 253, 254, 255, 255, 255, 255, 255, 255, 255]);
        let back: (Text, LotPart) = read("test", &row).expect("reads");
        assert_eq!((back.0.as_str(), back.1.points), ("main", -300));
    }

    #[test]
    fn damage_is_an_error() {
        let mut row = Vec::new();
        write(&7_u64, &mut row);
        assert!(read::<u64>("test", &[]).is_err());
        assert!(read::<u64>("test", &[9, 7]).is_err());
        row.push(0);
        assert!(read::<u64>("test", &row).is_err());
        assert!(read::<Text>("test", &[2, 255, 1, 2]).is_err());
    }
}
