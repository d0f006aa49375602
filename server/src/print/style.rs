//! Colours: on a terminal only, and not where `NO_COLOR` is set.

use std::io::IsTerminal;

/// Whether there are colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    on: bool,
}

impl Style {
    /// Of standard output.
    pub fn of_stdout() -> Style {
        Style { on: std::io::stdout().is_terminal() && no_color_is_unset() }
    }

    /// Of standard error.
    pub fn of_stderr() -> Style {
        Style { on: std::io::stderr().is_terminal() && no_color_is_unset() }
    }

    /// None.
    pub fn plain() -> Style {
        Style { on: false }
    }

    /// Whether there are any.
    pub fn is_on(self) -> bool {
        self.on
    }

    /// What matters most.
    pub fn bold(self, text: &str) -> String {
        self.with("1", text)
    }

    /// What matters less.
    pub fn dim(self, text: &str) -> String {
        self.with("2", text)
    }

    /// Good, there.
    pub fn green(self, text: &str) -> String {
        self.with("32", text)
    }

    /// Waits.
    pub fn yellow(self, text: &str) -> String {
        self.with("33", text)
    }

    /// Missing, owed, wrong.
    pub fn red(self, text: &str) -> String {
        self.with("31", text)
    }

    fn with(self, code: &str, text: &str) -> String {
        if self.on { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// <https://no-color.org>: set and not empty.
fn no_color_is_unset() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_is_plain() {
        assert_eq!((Style::plain().red("x"), Style { on: true }.red("x")), ("x".to_owned(), "\u{1b}[31mx\u{1b}[0m".to_owned()));
    }
}
