//! Protobuf written by hand into one buffer: nothing allocated, the same bytes as prost's.

use accrue_ledger::{Instant, Kind};

/// Writes fields of a message, in order of number; a value that is the default is left out, as proto3 has it.
pub(super) struct Message<'a> {
    pub(super) out: &'a mut Vec<u8>,
}

impl Message<'_> {
    pub(super) fn text(&mut self, number: u32, value: &str) {
        if !value.is_empty() {
            self.some_text(number, value);
        }
    }

    /// A text of a list or a `oneof`: written though empty.
    pub(super) fn some_text(&mut self, number: u32, value: &str) {
        self.varint(u64::from(number) << 3 | 2);
        self.varint(value.len() as u64);
        self.out.extend_from_slice(value.as_bytes());
    }

    pub(super) fn int(&mut self, number: u32, value: i64) {
        if value != 0 {
            self.some_int(number, value);
        }
    }

    /// A number with presence.
    pub(super) fn some_int(&mut self, number: u32, value: i64) {
        self.varint(u64::from(number) << 3);
        self.varint(value.cast_unsigned());
    }

    pub(super) fn instant(&mut self, number: u32, at: Instant) {
        self.nested(number, |stamp| {
            stamp.int(1, at.0.div_euclid(1_000_000));
            stamp.int(2, at.0.rem_euclid(1_000_000) * 1_000);
        });
    }

    pub(super) fn body(&mut self, kind: Kind, write: impl FnOnce(&mut Message<'_>)) {
        self.nested(u32::from(kind as u8), write);
    }

    /// A message within: its length is known when it is written, and nearly always fits the byte that is kept for it.
    pub(super) fn nested(&mut self, number: u32, write: impl FnOnce(&mut Message<'_>)) {
        self.varint(u64::from(number) << 3 | 2);
        self.out.push(0);
        let start = self.out.len();
        write(&mut Message { out: self.out });
        let length = self.out.len() - start;
        if length < 0x80 {
            self.out[start - 1] = length as u8;
            return;
        }
        let mut more = [0; 10];
        let mut count = 0;
        let mut rest = length as u64;
        while rest >= 0x80 {
            more[count] = rest as u8 | 0x80;
            (rest, count) = (rest >> 7, count + 1);
        }
        more[count] = rest as u8;
        self.out[start - 1] = more[0];
        self.out.splice(start..start, more[1..=count].iter().copied());
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.out.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.out.push(value as u8);
    }
}

/// An id of a letter, a dash and a number, without a formatter.
#[derive(Clone, Copy)]
pub(super) struct Id {
    bytes: [u8; 24],
    start: usize,
}

impl Id {
    /// `o-00001234`: at least eight digits.
    pub(super) fn new(letter: u8, number: u64) -> Id {
        let mut id = Id { bytes: [b'0'; 24], start: 24 };
        let mut rest = number;
        while rest > 0 || id.start > 24 - 8 {
            id.start -= 1;
            id.bytes[id.start] = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        id.bytes[id.start - 1] = b'-';
        id.bytes[id.start - 2] = letter;
        id.start -= 2;
        id
    }

    pub(super) fn text(&self) -> &str {
        std::str::from_utf8(&self.bytes[self.start..]).unwrap_or_default()
    }
}
