//! What states and records are as bytes, as a checkpoint writes them.

use crate::stopwatch::{Lap, Stopwatch};
use anyhow::Result;
use bincode::{Decode, Encode};

/// Sizes and times of many values.
pub struct Size {
    /// How many.
    pub values: usize,
    /// Bytes of all.
    pub bytes: usize,
    /// Encoding all, one behind the other.
    pub encode: Lap,
    /// Decoding all.
    pub decode: Lap,
}

/// Encodes and decodes values with the settings of the view's rows.
pub fn of<'a, T: Encode + Decode<()> + 'a>(values: impl Iterator<Item = &'a T>) -> Result<Size> {
    let (mut bytes, mut ends) = (Vec::with_capacity(1 << 30), Vec::new());
    let settings = bincode::config::standard();
    let watch = Stopwatch::start();
    for value in values {
        bincode::encode_into_std_write(value, &mut bytes, settings)?;
        ends.push(bytes.len());
    }
    let encode = watch.lap();
    let watch = Stopwatch::start();
    let mut start = 0;
    for end in &ends {
        let _: (T, usize) = bincode::decode_from_slice(&bytes[start..*end], settings)?;
        start = *end;
    }
    Ok(Size { values: ends.len(), bytes: bytes.len(), encode, decode: watch.lap() })
}
