//! What stops an import, or keeps one order out of it.

use std::fmt;
use strsim::levenshtein;

/// Something in the file or the mapping that must be looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportError {
    /// The file.
    pub file: String,
    /// First and last line it is about, from 1; `None`: the file as a whole.
    pub lines: Option<(u64, u64)>,
    /// What is wrong and what to do: one lower-case line.
    pub message: String,
    /// Nothing after it can be read: the import ends. Otherwise one order or refund was left out, and the rest goes on.
    pub fatal: bool,
}

impl ImportError {
    pub(super) fn fatal(file: &str, line: Option<u64>, message: impl Into<String>) -> Self {
        let (file, lines) = (file.to_owned(), line.map(|line| (line, line)));
        ImportError { file, lines, message: message.into(), fatal: true }
    }

    pub(super) fn left_out(file: &str, lines: (u64, u64), message: impl Into<String>) -> Self {
        ImportError { file: file.to_owned(), lines: Some(lines), message: message.into(), fatal: false }
    }
}

impl fmt::Display for ImportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.lines {
            None => write!(f, "{}: {}", self.file, self.message),
            Some((first, last)) if first == last => write!(f, "{} line {first}: {}", self.file, self.message),
            Some((first, last)) => write!(f, "{} lines {first} to {last}: {}", self.file, self.message),
        }
    }
}

impl std::error::Error for ImportError {}

/// What can't be meant by a mapping.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {message}")]
pub struct MappingError {
    /// From 1.
    pub line: usize,
    /// From 1.
    pub column: usize,
    /// What is wrong, and a hint.
    pub message: String,
}

/// The name most like `given`, when one is near enough to be a slip.
pub(super) fn nearest<'a>(given: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let fold = |name: &str| name.to_lowercase().replace([' ', '_', '-'], "");
    let wanted = fold(given);
    let near = known.map(|name| (levenshtein(&wanted, &fold(name)), name)).min()?;
    (near.0 <= wanted.chars().count() / 2).then_some(near.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names() {
        let names = ["InvoiceNo", "StockCode", "CustomerID"];
        let near = |given| nearest(given, names.into_iter());
        assert_eq!([near("customer_id"), near("Invoice no"), near("StokCode")], [Some(names[2]), Some(names[0]), Some(names[1])]);
        assert_eq!(near("Price"), None);
    }
}
