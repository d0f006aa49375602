//! What states and records are as bytes, as a checkpoint writes them.

use crate::stopwatch::{Lap, Stopwatch};
use accrue_ledger::{Pack, Packed};
use anyhow::Result;
use std::borrow::Borrow;
use std::time::Duration;

/// Sizes and times of many values.
pub struct Size {
    /// How many.
    pub values: usize,
    /// Bytes of all.
    pub bytes: usize,
    /// Encoding all.
    pub encode: Lap,
    /// Decoding all.
    pub decode: Lap,
}

/// Values encoded at a time: no memory is new.
const SLICE: usize = 1_000;

/// Encodes and decodes values.
pub fn of<T: Pack>(values: impl Iterator<Item = impl Borrow<T>>) -> Result<Size> {
    let none = Lap { wall: Duration::ZERO, cpu: Duration::ZERO };
    let mut size = Size { values: 0, bytes: 0, encode: none, decode: none };
    let mut values = values;
    let (mut slice, mut bytes, mut ends) = (Vec::with_capacity(SLICE), Vec::new(), Vec::with_capacity(SLICE));
    loop {
        slice.clear();
        slice.extend(values.by_ref().take(SLICE));
        if slice.is_empty() {
            return Ok(size);
        }
        bytes.clear();
        ends.clear();
        let watch = Stopwatch::start();
        for value in &slice {
            value.borrow().pack(&mut bytes);
            ends.push(bytes.len());
        }
        size.encode = size.encode.and(watch.lap());
        let watch = Stopwatch::start();
        let mut start = 0;
        for end in &ends {
            let _: T = Packed::read(&bytes[start..*end])?;
            start = *end;
        }
        size.decode = size.decode.and(watch.lap());
        size.values += slice.len();
        size.bytes += bytes.len();
    }
}
