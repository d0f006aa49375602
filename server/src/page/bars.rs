//! Numbers beside each other as bars, to an eighth of a cell.

use crate::print::{Style, points};

/// Width of the longest bar, cells.
const CELLS: i64 = 36;
const EIGHTHS: [char; 8] = [' ', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];

/// One bar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bar {
    /// What it is of.
    pub name: String,
    /// How long.
    pub value: i64,
}

/// One line a bar, the largest over the whole width.
pub fn bars(rows: &[Bar], style: Style) -> String {
    let largest = rows.iter().map(|row| row.value.unsigned_abs()).max().unwrap_or(0).max(1);
    let names = rows.iter().map(|row| row.name.chars().count()).max().unwrap_or(0);
    let numbers: Vec<String> = rows.iter().map(|row| points(row.value)).collect();
    let digits = numbers.iter().map(String::len).max().unwrap_or(0);
    let line = |(row, number): (&Bar, &String)| {
        let eighths = u128::from(row.value.unsigned_abs()) * (CELLS * 8) as u128 / u128::from(largest);
        let (full, rest) = ((eighths / 8) as usize, (eighths % 8) as usize);
        let mut drawn: String = std::iter::repeat_n('█', full).collect();
        if rest > 0 {
            drawn.push(EIGHTHS[rest]);
        }
        let drawn = if row.value < 0 { style.red(&drawn) } else { style.green(&drawn) };
        format!("  {}  {number:>digits$}  {drawn}\n", style.dim(&format!("{:<names$}", row.name)))
    };
    rows.iter().zip(&numbers).map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_is_the_longest() {
        let rows = [
            Bar { name: "2024-01".into(), value: 3600 },
            Bar { name: "2".into(), value: -50 },
            Bar { name: "3".into(), value: 0 },
        ];
        let lines = bars(&rows, Style::plain());
        let expected = format!("  2024-01  3,600  {}\n  2          -50  ▌\n  3            0  \n", "█".repeat(36));
        assert_eq!(lines, expected);
    }
}
