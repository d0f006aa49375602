//! The protobuf wire format: fields of a message one by one, nothing copied.

use crate::error::{Fault, fault};
use smallvec::SmallVec;
use std::num::NonZeroU32;

/// The occurrences of one embedded message: protobuf reads several as one, fields of the later last.
pub(crate) type Parts<'a> = SmallVec<[&'a [u8]; 1]>;

/// How deep groups may nest; as prost has it.
const GROUP_DEPTH_MAX: u32 = 100;

const VARINT: u32 = 0;
const FIXED64: u32 = 1;
const BYTES: u32 = 2;
const GROUP: u32 = 3;
const GROUP_END: u32 = 4;
const FIXED32: u32 = 5;

#[cold]
#[inline(never)]
fn cut() -> Fault {
    undecodable("it ends in the middle of a field")
}

#[cold]
#[inline(never)]
fn undecodable(what: &str) -> Fault {
    fault("undecodable", format!("protobuf: {what}"))
}

#[cold]
#[inline(never)]
pub(crate) fn mistyped(field: &str) -> Fault {
    undecodable(&format!("{field} has the wrong wire type"))
}

#[cold]
#[inline(never)]
fn no_text(field: &str) -> Fault {
    undecodable(&format!("{field} is not utf-8"))
}

/// A field's number and wire type.
#[derive(Clone, Copy)]
pub(crate) struct Key(NonZeroU32);

impl Key {
    #[inline]
    pub(crate) fn number(self) -> u32 {
        self.0.get() >> 3
    }

    #[inline]
    fn wire_type(self) -> u32 {
        self.0.get() & 7
    }
}

/// Reads a message field by field: `next`, then one of the others with the key it gave.
/// Everything that is returned fits in registers: values that go through memory cost more than reading them.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(message: &'a [u8]) -> Self {
        Reader { rest: message }
    }

    /// The next field's key; `None` at the end.
    #[inline]
    pub(crate) fn next(&mut self) -> Result<Option<Key>, Fault> {
        if self.rest.is_empty() { Ok(None) } else { self.key().map(Some) }
    }

    #[inline]
    fn key(&mut self) -> Result<Key, Fault> {
        let key = self.number()?;
        match u32::try_from(key).ok().and_then(NonZeroU32::new) {
            Some(key) if key.get() >= 8 => Ok(Key(key)),
            Some(_) | None => Err(undecodable("a field number out of range")),
        }
    }

    #[inline]
    pub(crate) fn varint(&mut self, key: Key, field: &str) -> Result<u64, Fault> {
        if key.wire_type() == VARINT { self.number() } else { Err(mistyped(field)) }
    }

    #[inline]
    pub(crate) fn int(&mut self, key: Key, field: &str) -> Result<i64, Fault> {
        self.varint(key, field).map(u64::cast_signed)
    }

    #[inline]
    pub(crate) fn bool(&mut self, key: Key, field: &str) -> Result<bool, Fault> {
        self.varint(key, field).map(|value| value != 0)
    }

    #[inline]
    pub(crate) fn bytes(&mut self, key: Key, field: &str) -> Result<&'a [u8], Fault> {
        if key.wire_type() == BYTES { self.take() } else { Err(mistyped(field)) }
    }

    #[inline]
    pub(crate) fn text(&mut self, key: Key, field: &str) -> Result<&'a str, Fault> {
        match std::str::from_utf8(self.bytes(key, field)?) {
            Ok(text) => Ok(text),
            Err(_) => Err(no_text(field)),
        }
    }

    /// Over a field that nobody asks for.
    pub(crate) fn skip(&mut self, key: Key) -> Result<(), Fault> {
        match key.wire_type() {
            VARINT => self.number().map(drop_copy),
            FIXED64 => self.over(8),
            BYTES => self.take().map(drop_copy),
            GROUP => self.skip_group(key),
            FIXED32 => self.over(4),
            _ => Err(undecodable("unexpected wire type")),
        }
    }

    #[inline]
    fn take(&mut self) -> Result<&'a [u8], Fault> {
        let length = usize::try_from(self.number()?).unwrap_or(usize::MAX);
        match self.rest.split_at_checked(length) {
            Some((bytes, rest)) => {
                self.rest = rest;
                Ok(bytes)
            }
            None => Err(cut()),
        }
    }

    #[inline]
    fn number(&mut self) -> Result<u64, Fault> {
        match self.rest {
            [byte, rest @ ..] if *byte < 0x80 => {
                self.rest = rest;
                Ok(u64::from(*byte))
            }
            [low, high, rest @ ..] if *high < 0x80 => {
                self.rest = rest;
                Ok(u64::from(*low & 0x7f) | u64::from(*high) << 7)
            }
            _ => self.long_number(),
        }
    }

    #[inline(never)]
    fn long_number(&mut self) -> Result<u64, Fault> {
        let mut value = 0_u64;
        for (index, byte) in self.rest.iter().enumerate().take(10) {
            value |= u64::from(byte & 0x7f) << (7 * index);
            if *byte < 0x80 {
                if index == 9 && *byte > 1 {
                    break;
                }
                self.rest = &self.rest[index + 1..];
                return Ok(value);
            }
        }
        Err(if self.rest.len() < 10 { cut() } else { undecodable("a number is longer than 64 bits") })
    }

    fn over(&mut self, bytes: usize) -> Result<(), Fault> {
        self.rest = self.rest.get(bytes..).ok_or_else(cut)?;
        Ok(())
    }

    /// Groups are long gone from protobuf but must still be skipped.
    fn skip_group(&mut self, key: Key) -> Result<(), Fault> {
        let mut open: SmallVec<[u32; 8]> = SmallVec::from_slice(&[key.number()]);
        while let Some(innermost) = open.last().copied() {
            let key = self.key()?;
            match key.wire_type() {
                GROUP if open.len() < GROUP_DEPTH_MAX as usize => open.push(key.number()),
                GROUP_END if key.number() == innermost => {
                    open.pop();
                }
                GROUP | GROUP_END => return Err(undecodable("unbalanced or too deep groups")),
                _ => self.skip(key)?,
            }
        }
        Ok(())
    }
}

fn drop_copy<T: Copy>(_: T) {}

/// Calls `each` for every field of a message that may have come in parts.
#[inline]
pub(crate) fn each_field<'a>(
    parts: &[&'a [u8]],
    mut each: impl FnMut(&mut Reader<'a>, Key) -> Result<(), Fault>,
) -> Result<(), Fault> {
    for part in parts {
        let mut reader = Reader::new(part);
        while let Some(key) = reader.next()? {
            each(&mut reader, key)?;
        }
    }
    Ok(())
}

/// Appends a varint.
pub(crate) fn put_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a varint field.
pub(crate) fn put_int(number: u32, value: i64, out: &mut Vec<u8>) {
    put_varint(u64::from(number) << 3, out);
    put_varint(value.cast_unsigned(), out);
}

/// Appends a field of bytes, text or an embedded message.
pub(crate) fn put_bytes(number: u32, bytes: &[u8], out: &mut Vec<u8>) {
    put_varint(u64::from(number) << 3 | 2, out);
    put_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(message: &[u8]) -> Result<Vec<u32>, Fault> {
        let mut seen = Vec::new();
        each_field(&[message], |reader, key| {
            seen.push(key.number());
            reader.skip(key)
        })?;
        Ok(seen)
    }

    #[test]
    fn varints_of_every_length() {
        for value in (0..64).map(|bit| 1_u64 << bit).chain([0, 127, 128, 16_383, 16_384, u64::MAX]) {
            let mut out = vec![];
            put_int(7, value.cast_signed(), &mut out);
            let mut reader = Reader::new(&out);
            let key = reader.next().expect("decodes").expect("is there");
            assert_eq!((key.number(), reader.varint(key, "x")), (7, Ok(value)));
            assert!(numbers(&out[..out.len() - 1]).is_err(), "cut {value}");
        }
        let mut long = vec![0x08];
        long.extend([0xff; 9]);
        assert!(numbers(&[long.as_slice(), &[0x02]].concat()).is_err(), "65 bits");
        assert!(numbers(&[long.as_slice(), &[0x01]].concat()).is_ok(), "64 bits");
    }

    #[test]
    fn every_wire_type_is_skipped() {
        let mut message = vec![0x09, 1, 2, 3, 4, 5, 6, 7, 8, 0x15, 1, 2, 3, 4];
        put_bytes(3, b"text", &mut message);
        message.extend([0x23, 0x08, 1, 0x2b, 0x2c, 0x12, 1, 9, 0x24]); // group 4 with a varint, group 5 and bytes in it
        put_int(6, 1, &mut message);
        assert_eq!(numbers(&message), Ok(vec![1, 2, 3, 4, 6]));
        for end in 0..message.len() {
            let _ = numbers(&message[..end]);
        }
    }

    #[test]
    fn what_is_no_protobuf() {
        for bad in [&[0x00, 0][..], &[0x0c], &[0x0e, 0], &[0x23, 0x2c], &[0x0a, 5, 1], &[0xff; 6]] {
            assert!(numbers(bad).is_err(), "{bad:?}");
        }
        assert!(numbers(&[0x0b; 200]).is_err(), "deep groups");
    }
}
