//! A scenario file as read: its ruleset whole, its steps checked, every key known.

use super::StoryError;
use super::later;
use super::rules::{self, Rules};
use super::step::{self, Step, What};
use accrue_ledger::Instant;
use std::path::{Path, PathBuf};
use toml::de::{DeTable, DeValue};
use toml::{Spanned, Table, Value};

/// Rulesets that scenarios name lie beside them in a folder of this name.
const RULESETS: &str = "rulesets";
const KEYS: [&str; 7] = ["name", "section", "base", "ruleset", "later", "order_independent", "step"];

/// A scenario.
pub(super) struct Story {
    pub file: PathBuf,
    pub name: String,
    pub section: String,
    pub order_independent: bool,
    pub rules: Rules,
    /// Rulesets that come into force later, and when.
    pub later: Vec<(Instant, String)>,
    pub steps: Vec<Step>,
}

/// The text of a file, for saying where something is in it.
pub(super) struct Source<'a> {
    pub file: &'a Path,
    text: &'a str,
    table: Spanned<DeTable<'a>>,
}

impl Source<'_> {
    /// An error at the deepest part of the path that the file has. An element of an array is named by its number, from 0.
    pub fn error(&self, path: &[&str], detail: impl Into<String>) -> StoryError {
        let start = start_of(&self.table, path);
        let line = self.text[..start.min(self.text.len())].matches('\n').count() + 1;
        StoryError::File { file: self.file.to_path_buf(), line, detail: detail.into() }
    }
}

fn start_of(table: &Spanned<DeTable<'_>>, path: &[&str]) -> usize {
    let mut start = 0;
    let Some((first, mut rest)) = path.split_first() else {
        return start;
    };
    let Some((key, mut value)) = table.get_ref().iter().find(|(key, _)| key.get_ref() == first) else {
        return start;
    };
    start = key.span().start;
    while let Some((next, after)) = rest.split_first() {
        let found = match value.get_ref() {
            DeValue::Table(table) => table.iter().find(|(key, _)| key.get_ref() == next).map(|(key, value)| (key.span(), value)),
            DeValue::Array(values) => {
                next.parse().ok().and_then(|index: usize| values.get(index)).map(|value| (value.span(), value))
            }
            _ => None,
        };
        let Some((span, inner)) = found else { return start };
        (start, value, rest) = (span.start, inner, after);
    }
    start
}

/// All scenarios in a folder and in those below, in order of name.
pub(super) fn scenarios_in(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), StoryError> {
    let failed = |source| StoryError::Read { file: folder.to_path_buf(), source };
    let mut inside = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        inside.push(entry.map_err(failed)?.path());
    }
    inside.sort();
    for path in inside {
        if path.is_dir() {
            if path.file_name().is_some_and(|name| name != RULESETS) {
                scenarios_in(&path, files)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "toml") {
            files.push(path);
        }
    }
    Ok(())
}

fn text_of(file: &Path) -> Result<String, StoryError> {
    std::fs::read_to_string(file).map_err(|source| StoryError::Read { file: file.to_path_buf(), source })
}

/// The ruleset that `base` names: where it is, and its text.
pub(super) fn base_of(base: &str, source: &Source<'_>) -> Result<(PathBuf, String), StoryError> {
    let path = source.file.parent().unwrap_or(Path::new("")).join(base);
    let text = std::fs::read_to_string(&path).map_err(|error| source.error(&["base"], format!("{}: {error}", path.display())))?;
    Ok((path, text))
}

/// Reads a scenario.
pub(super) fn read(file: &Path) -> Result<Story, StoryError> {
    let text = text_of(file)?;
    let syntax = |error: toml::de::Error| {
        let start = error.span().map_or(0, |span| span.start).min(text.len());
        let line = text[..start].matches('\n').count() + 1;
        StoryError::File { file: file.to_path_buf(), line, detail: error.message().to_string() }
    };
    let source = Source { file, text: &text, table: DeTable::parse(&text).map_err(syntax)? };
    let table: Table = toml::from_str(&text).map_err(syntax)?;
    if let Some(key) = table.keys().find(|key| !KEYS.contains(&key.as_str())) {
        return Err(source.error(&[key], format!("unknown key `{key}`, expected one of {}", KEYS.join(", "))));
    }
    let word = |key: &str| match table.get(key) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(source.error(&[key], format!("`{key}` is a text"))),
    };
    let order_independent = match table.get("order_independent") {
        None => false,
        Some(Value::Boolean(said)) => *said,
        Some(_) => return Err(source.error(&["order_independent"], "`order_independent` is true or false")),
    };
    let base = word("base")?.map(|base| base_of(&base, &source)).transpose()?;
    let later = later::read(&table, base.as_ref(), &source)?;
    let over = match table.get("ruleset") {
        None => None,
        Some(Value::Table(over)) => Some(over),
        Some(_) => return Err(source.error(&["ruleset"], "`ruleset` is a table")),
    };
    let rules = rules::read(base, over, &source)?;
    let steps = match table.get("step") {
        Some(Value::Array(steps)) if !steps.is_empty() => steps,
        _ => return Err(source.error(&["step"], "a scenario has at least one [[step]]")),
    };
    let steps =
        steps.iter().enumerate().map(|(index, step)| step::read(step, index, &rules, &source)).collect::<Result<Vec<_>, _>>()?;
    let asks = |step: &&Step| matches!(&step.what, What::Fact(fact) if fact.is_request);
    if let Some(step) = steps.iter().find(asks).filter(|_| order_independent) {
        let detail = "order_independent is for facts only: what a request is answered depends on what is known then";
        return Err(source.error(&["step", &(step.number - 1).to_string()], detail));
    }
    let name = word("name")?.unwrap_or_else(|| file.display().to_string());
    Ok(Story {
        file: file.to_path_buf(),
        name,
        section: word("section")?.unwrap_or_default(),
        order_independent,
        rules,
        later,
        steps,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "name = \"x\"\n[ruleset]\nprogram = \"test\"\ncurrency = \"GBP\"\ntime_zone = \"UTC\"\n";

    #[track_caller]
    fn check(rest: &str, line: usize, detail: &str) {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("story.toml");
        std::fs::write(&file, format!("{HEAD}{rest}")).expect("written");
        let error = read(&file).err().expect("must be refused").to_string();
        assert!(error.contains(&format!("story.toml:{line}: ")), "{error}");
        assert!(error.contains(detail), "{error}");
    }

    #[test]
    fn says_where_what_is_wrong() {
        let step = "[[step]]\nat = 2024-01-01T00:00:00Z\n";
        check("[steps]\n", 6, "unknown key `steps`");
        check("", 1, "at least one [[step]]");
        check("[[step]]\nmember_left = {}\n", 6, "`at` is missing");
        check(&format!("{step}membre = \"m2\"\nmember_left = {{}}\n"), 8, "`membre`");
        check(step, 6, "one body");
        check(&format!("{step}member_left = {{}}\norder_fulfilled = {{ order_id = \"A\" }}\n"), 6, "one body");
        check(&format!("{step}order_fulfilled = {{ order = \"A\" }}\n"), 8, "order");
        check(&format!("{step}member_left = {{}}\ndecision = \"accepted\"\n"), 9, "no request");
        check(&format!("{step}member_left = {{}}\noutcome = \"dropped\"\n"), 9, "outcome");
        check(&format!("{step}expect.balance.main = {{ activ = 1 }}\n"), 8, "`activ`");
        check(&format!("{step}expect.balance.mian = {{ active = 1 }}\n"), 8, "no ledger \"mian\"");
        check(&format!("{step}expect.parkt = 1\n"), 8, "`parkt`");
        check(&format!("{step}expect.parked = 0\nas_known_after = 2\n"), 9, "as_known_after");
        check(&format!("{step}expect.parked = 0\nid = \"x\"\n"), 9, "`id`");
        check("x = 1\n[[step]]\n", 2, "unknown field `x`");
        check("[ruleset]\n", 6, "duplicate");
    }

    #[test]
    fn requests_depend_on_the_order() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("story.toml");
        let step = "[[step]]\nat = 2024-01-01T00:00:00Z\nredemption_requested = { redemption_id = \"R\", points = 5 }\n";
        std::fs::write(&file, format!("order_independent = true\n{HEAD}{step}")).expect("written");
        let error = read(&file).err().expect("must be refused").to_string();
        assert!(error.contains("story.toml:7: order_independent is for facts only"), "{error}");
    }
}
