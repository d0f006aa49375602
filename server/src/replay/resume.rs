//! The end of a file that a replay was writing when it was ended.

use super::token;
use anyhow::Result;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};

/// A line is shorter than this.
const TAIL_BYTES: u64 = 1024 * 1024;

/// The token of the last whole line, and the length of the file up to its end; `None`: there is no whole line.
///
/// # Errors
/// It can't be read.
pub fn last_token(file: &mut File) -> Result<Option<(String, u64)>> {
    let length = file.metadata()?.len();
    let from = length.saturating_sub(TAIL_BYTES);
    file.seek(SeekFrom::Start(from))?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail)?;
    // A field of CSV may have an end of line within it: what stands before that is no token.
    let ends = tail.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n').map(|(place, _)| place);
    for end in ends {
        let line = &tail[..end];
        let word = line.rsplit(|byte| matches!(byte, b',' | b'\n' | b'{')).next().unwrap_or_default();
        let word = std::str::from_utf8(word).unwrap_or_default().trim_end_matches(['\r', '}']);
        let token = word.strip_prefix("\"token\":").unwrap_or(word).trim_matches('"');
        if token::read(token).is_some() {
            return Ok(Some((token.to_owned(), from + end as u64 + 1)));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replay::Asked;
    use crate::replay::token::{Head, Place, name, question};
    use accrue_ledger::Instant;
    use std::collections::BTreeMap;

    #[test]
    fn the_last_whole_line() {
        let head = Head {
            at: Instant(7),
            before: BTreeMap::from([(0, 12), (1, 4)]),
            log: question(&Asked::default()),
            question: question(&Asked::default()),
        }
        .text();
        let token = |entry: u64| Place { shard: 1, order: 9, member: name("p", "m"), entry }.token(&head);
        let found = |text: String| {
            let mut file = tempfile::tempfile().expect("a file");
            std::io::Write::write_all(&mut file, text.as_bytes()).expect("written");
            last_token(&mut file).expect("reads")
        };
        let (one, two) = (token(1), token(2));
        let whole = format!("{{\"a\":1,\"token\":\"{one}\"}}\n");
        let more = format!("{whole}{{\"a\":2,\"token\":\"{two}\"}}");
        assert_eq!(found(more.clone()), Some((one.clone(), whole.len() as u64)), "the last line has no end");
        assert_eq!(found(format!("{more}\n")), Some((two.clone(), more.len() as u64 + 1)));
        let csv = format!("a,token\r\n1,{one}\r\n");
        assert_eq!(found(format!("{csv}\"two\nlines\",{}", &two[..9])), Some((one, csv.len() as u64)));
        assert_eq!((found("a,token\r\n".to_owned()), found(String::new())), (None, None));
    }
}
