//! What schema registries put before a message.

use crate::Malformed;

/// How deep a message type may be nested in its file.
const INDEXES_MAX: u64 = 16;

/// Takes off Confluent's framing, if there is any: magic 0 and a schema id, or magic 1 and a GUID; before protobuf also
/// the message indexes. Neither magic can begin protobuf or JSON. Ids in headers leave nothing to take off.
///
/// # Errors
/// `undecodable` when the framing is cut short.
pub(super) fn strip(value: &[u8]) -> Result<&[u8], Malformed> {
    let id_bytes = match value.first() {
        Some(0) => 4,
        Some(1) => 16,
        Some(_) | None => return Ok(value),
    };
    let rest = value.get(1 + id_bytes..).ok_or_else(cut)?;
    // JSON has no message indexes, and "{" would be a negative number of them.
    if rest.first() == Some(&b'{') {
        return Ok(rest);
    }
    let (count, mut rest) = zigzag(rest)?;
    for _ in 0..u64::try_from(count).ok().filter(|count| *count <= INDEXES_MAX).ok_or_else(cut)? {
        rest = zigzag(rest)?.1;
    }
    Ok(rest)
}

fn cut() -> Malformed {
    Malformed::new("undecodable", "schema registry framing (magic byte 0 or 1) is cut short or not what it should be")
}

fn zigzag(bytes: &[u8]) -> Result<(i64, &[u8]), Malformed> {
    let mut value = 0_u64;
    for (index, byte) in bytes.iter().enumerate().take(5) {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if *byte < 0x80 {
            return Ok(((value >> 1).cast_signed() ^ -(value & 1).cast_signed(), &bytes[index + 1..]));
        }
    }
    Err(cut())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn framing_comes_off() {
        let guid = [7_u8; 16];
        for framed in [
            b"\x0a\x01A".to_vec(),
            b"\x00\x00\x00\x00\x2a\x00\x0a\x01A".to_vec(), // one zero is short for [0]
            b"\x00\x00\x00\x00\x2a\x02\x04\x0a\x01A".to_vec(), // [2]
            b"\x00\x00\x00\x00\x2a\x04\x02\x80\x01\x0a\x01A".to_vec(), // [1, 64]
            [b"\x01", &guid[..], b"\x00\x0a\x01A"].concat(),
        ] {
            assert_eq!(strip(&framed), Ok(&b"\x0a\x01A"[..]), "{framed:?}");
        }
        assert_eq!(strip(b"\x00\x00\x00\x00\x2a{}"), Ok(&b"{}"[..]));
        assert_eq!(strip(b""), Ok(&b""[..]));
    }

    #[test]
    fn framing_cut_short() {
        for cut in [
            &b"\x00"[..],
            b"\x00\x00\x00\x00",
            b"\x00\x00\x00\x00\x2a",
            b"\x01\x00",
            b"\x00\x00\x00\x00\x2a\x02",
            b"\x00\x00\x00\x00\x2a\x01",
            b"\x00\x00\x00\x00\x2a\xff\xff\xff\xff\xff\xff",
        ] {
            assert!(strip(cut).is_err(), "{cut:?}");
        }
    }
}
