//! Names and values in columns: a section of a page. The width is that of 80 columns, whatever stands in it.

use crate::print::Style;

/// Width of a name and of a value.
const NAME: usize = 18;
const VALUE: usize = 16;

/// How a value is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// As it is.
    Plain,
    /// What matters most.
    Good,
    /// Waits.
    Waits,
    /// Missing, owed, wrong.
    Bad,
}

/// A name, its value, and how it is told.
pub type Pair<'a> = (&'a str, String, Tone);

/// Lines of at most two pairs each, names left, values right.
pub fn pairs(rows: &[[Option<Pair<'_>>; 2]], style: Style) -> String {
    let cell = |pair: &Option<Pair<'_>>| match pair {
        None => String::new(),
        Some((name, value, tone)) => {
            let value = format!("{value:>VALUE$}");
            let told = match tone {
                Tone::Plain => value,
                Tone::Good => style.bold(&style.green(&value)),
                Tone::Waits => style.yellow(&value),
                Tone::Bad => style.red(&value),
            };
            format!("{}{told}", style.dim(&format!("{name:<NAME$}")))
        }
    };
    let line = |[left, right]: &[Option<Pair<'_>>; 2]| match right {
        None => format!("  {}\n", cell(left)),
        Some(_) => format!("  {}    {}\n", cell(left), cell(right)),
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_columns_fit_into_eighty() {
        let pair = |name, value: &str| Some((name, value.to_owned(), Tone::Plain));
        let rows = [[pair("active", "1,240"), pair("earned", "3,400")], [pair("net revenue", "1,234,567.89 GBP"), None]];
        let told = pairs(&rows, Style::plain());
        let lines: Vec<&str> = told.lines().collect();
        assert_eq!(lines[0], format!("  active{:>28}    earned{:>28}", "1,240", "3,400"));
        assert_eq!(lines[1], format!("  net revenue{:>23}", "1,234,567.89 GBP"));
        assert!(lines.iter().all(|line| line.chars().count() <= 80), "{told}");
    }
}
