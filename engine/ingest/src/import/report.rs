//! What an import made of a file: every row is counted once.

use std::collections::BTreeMap;
use std::fmt;

/// Lines of skipped rows that are kept as examples.
pub const EXAMPLE_LINES_MAX: usize = 5;

/// Counts of an import so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Rows read, without the header: used + skipped + left out (+ rows of orders that are not yet whole).
    pub rows: u64,
    /// Rows that are in a fact.
    pub rows_used: u64,
    /// Rows that the mapping leaves out, in its order.
    pub skipped: Vec<Skipped>,
    /// Rows of orders and refunds that were left out because something is wrong with them.
    pub rows_left_out: u64,
    /// Orders and refunds left out.
    pub left_out: u64,
    /// Facts `order_placed`.
    pub orders: u64,
    /// Facts `refund_recorded`.
    pub refunds: u64,
    /// Facts of balances, lots and history, by kind.
    pub others: BTreeMap<&'static str, u64>,
}

/// Rows left out for one reason.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Skipped {
    /// The mapping's words.
    pub reason: String,
    /// How many.
    pub rows: u64,
    /// The first lines, at most [`EXAMPLE_LINES_MAX`].
    pub lines: Vec<u64>,
}

impl Skipped {
    pub(super) fn add(&mut self, line: u64) {
        self.rows += 1;
        if self.lines.len() < EXAMPLE_LINES_MAX {
            self.lines.push(line);
        }
    }
}

impl Report {
    /// Facts made, by kind.
    pub fn facts(&self) -> Vec<(&'static str, u64)> {
        if self.others.is_empty() {
            return vec![("order_placed", self.orders), ("refund_recorded", self.refunds)];
        }
        self.others.iter().map(|(kind, count)| (*kind, *count)).collect()
    }
}

/// One line a number, for a person.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:>10}  rows", self.rows)?;
        writeln!(f, "{:>10}  of them in facts", self.rows_used)?;
        for skipped in &self.skipped {
            let lines: Vec<String> = skipped.lines.iter().map(u64::to_string).collect();
            let example =
                if lines.is_empty() { String::new() } else { format!(" (lines {}{})", lines.join(", "), more(skipped)) };
            writeln!(f, "{:>10}  skipped: {}{example}", skipped.rows, skipped.reason)?;
        }
        if self.left_out > 0 {
            writeln!(f, "{:>10}  in {} facts that were left out: see the errors", self.rows_left_out, self.left_out)?;
        }
        for (kind, count) in self.facts() {
            writeln!(f, "{count:>10}  {kind}")?;
        }
        Ok(())
    }
}

fn more(skipped: &Skipped) -> &'static str {
    if skipped.rows > skipped.lines.len() as u64 { ", …" } else { "" }
}
