//! Where values come from: a TOML file, then the environment, then flags; the later one wins.

use super::keys::{self, KEYS, PROPERTIES};
use crate::failure::Failure;
use anyhow::Result;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use toml::de::{DeTable, DeValue};

/// Begins the name of each variable: `ACCRUE__KAFKA__BROKERS` is `kafka.brokers`.
const ENV_PREFIX: &str = "ACCRUE__";
/// Ends the name of a variable that names a file which holds the value.
const ENV_FILE: &str = "_FILE";

/// Who said it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody.
    Default,
    /// A file, at a line.
    File(PathBuf, usize),
    /// A variable.
    Env(String),
    /// A file that a variable names.
    EnvFile(String, PathBuf),
    /// A flag.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::File(path, line) => write!(f, "{} line {line}", path.display()),
            Origin::Env(name) => f.write_str(name),
            Origin::EnvFile(name, path) => write!(f, "{name} = {}", path.display()),
            Origin::Flag(name) => f.write_str(name),
        }
    }
}

/// A value, still text, and who said it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// As it was written; lists with commas.
    pub text: String,
    /// By whom.
    pub origin: Origin,
}

/// Everything that was said, the strongest voice for each key; defaults are not in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layers {
    said: BTreeMap<String, Said>,
}

impl Layers {
    /// What was said of a key.
    pub fn get(&self, name: &str) -> Option<&Said> {
        self.said.get(name)
    }

    /// Kafka's own settings.
    pub fn properties(&self) -> impl Iterator<Item = (&str, &Said)> {
        self.said.iter().filter_map(|(name, said)| Some((name.strip_prefix(PROPERTIES)?, said)))
    }

    /// Says something, over what was said before.
    ///
    /// # Errors
    /// No such key.
    pub fn say(&mut self, name: &str, text: String, origin: Origin) -> Result<()> {
        let property = name.strip_prefix(PROPERTIES).is_some_and(|property| !property.is_empty());
        if !property && keys::find(name).is_none() {
            let hint = keys::nearest(name).map_or("see docs/configuration.md".to_owned(), |near| format!("did you mean {near}?"));
            return Err(Failure::usage(format!("{origin}: there is no key {name}; {hint}")));
        }
        if matches!(origin, Origin::Flag(_)) && is_secret(name) {
            let variable = format!("{ENV_PREFIX}{}{ENV_FILE}", name.to_uppercase().replace('.', "__"));
            return Err(Failure::usage(format!(
                "{name} is a secret, and a command line is seen by all: put it into a file and name that in {variable}"
            )));
        }
        self.said.insert(name.to_owned(), Said { text, origin });
        Ok(())
    }

    /// Takes in a file.
    ///
    /// # Errors
    /// It can't be read, is no TOML, or has a key that there is not.
    pub fn file(&mut self, path: &Path) -> Result<()> {
        let text =
            std::fs::read_to_string(path).map_err(|error| Failure::usage(format!("can't read {}: {error}", path.display())))?;
        let line_of = |at: usize| text[..at.min(text.len())].matches('\n').count() + 1;
        let table = DeTable::parse(&text).map_err(|error| {
            let line = error.span().map_or(1, |span| line_of(span.start));
            Failure::usage(format!("{} line {line}: {}", path.display(), error.message()))
        })?;
        let mut found = Vec::new();
        flatten("", table.get_ref(), &mut found)
            .map_err(|(at, what)| Failure::usage(format!("{} line {}: {what}", path.display(), line_of(at))))?;
        found.into_iter().try_for_each(|(name, text, at)| self.say(&name, text, Origin::File(path.to_owned(), line_of(at))))
    }

    /// Takes in variables; those of others are none of ours.
    ///
    /// # Errors
    /// A variable begins as ours do and names no key, or the file it names can't be read.
    pub fn environment(&mut self, variables: impl Iterator<Item = (String, String)>) -> Result<()> {
        let mut ours: Vec<(String, String)> = variables.filter(|(name, _)| name.starts_with(ENV_PREFIX)).collect();
        ours.sort();
        for (variable, value) in ours {
            let name = key_of(&variable[ENV_PREFIX.len()..]);
            match variable.strip_suffix(ENV_FILE).filter(|_| keys::find(&name).is_none()) {
                None => self.say(&name, value, Origin::Env(variable))?,
                Some(whole) => {
                    let name = key_of(&whole[ENV_PREFIX.len()..]);
                    let path = PathBuf::from(&value);
                    let text = std::fs::read_to_string(&path)
                        .map_err(|error| Failure::usage(format!("{variable}: can't read {value}: {error}")))?;
                    self.say(&name, text.trim_end_matches(['\r', '\n']).to_owned(), Origin::EnvFile(variable, path))?;
                }
            }
        }
        Ok(())
    }

    /// Takes in a `KEY=VALUE` of `--set`.
    ///
    /// # Errors
    /// It has no `=`, or there is no such key.
    pub fn set(&mut self, pair: &str) -> Result<()> {
        let Some((name, value)) = pair.split_once('=') else {
            return Err(Failure::usage(format!("--set {pair}: write it as --set KEY=VALUE")));
        };
        self.say(name.trim(), value.to_owned(), Origin::Flag(format!("--set {}", name.trim())))
    }
}

/// Whether the value is not to be shown.
pub fn is_secret(name: &str) -> bool {
    let property = name.strip_prefix(PROPERTIES).unwrap_or_default();
    ["password", "secret", "token", "jaas", ".key.pem", "key.password"].iter().any(|word| property.contains(word))
}

/// `KAFKA__BROKERS` as `kafka.brokers`; the names of Kafka's own settings have dots where a variable can have none.
fn key_of(variable: &str) -> String {
    let name = variable.to_lowercase().replace("__", ".");
    match name.strip_prefix(PROPERTIES) {
        Some(property) => format!("{PROPERTIES}{}", property.replace('_', ".")),
        None => name,
    }
}

type Found = Vec<(String, String, usize)>;

fn flatten(prefix: &str, table: &DeTable<'_>, found: &mut Found) -> Result<(), (usize, String)> {
    for (key, value) in table {
        let name = format!("{prefix}{}", key.get_ref());
        let at = key.span().start;
        match value.get_ref() {
            // `[kafka]`, `[kafka.properties]`, and properties written with dots.
            DeValue::Table(table) if keys::find(&name).is_none() && begins_a_key(&name) => {
                flatten(&format!("{name}."), table, found)?
            }
            DeValue::Table(_) if keys::find(&name).is_some() => return Err((at, format!("{name} is one value, not a table"))),
            other => found.push((name, words(other).map_err(|what| (at, what))?, at)),
        }
    }
    Ok(())
}

fn begins_a_key(name: &str) -> bool {
    let dotted = format!("{name}.");
    dotted.starts_with(PROPERTIES) || KEYS.iter().any(|key| key.name.starts_with(&dotted))
}

fn words(value: &DeValue<'_>) -> Result<String, String> {
    match value {
        DeValue::String(text) => Ok(text.to_string()),
        DeValue::Integer(whole) => Ok(whole.as_str().replace('_', "")),
        DeValue::Float(float) => Ok(float.as_str().to_owned()),
        DeValue::Boolean(said) => Ok(said.to_string()),
        DeValue::Datetime(at) => Ok(at.to_string()),
        DeValue::Array(items) => Ok(items.iter().map(|item| words(item.get_ref())).collect::<Result<Vec<_>, _>>()?.join(",")),
        // Of a section that there is not; `say` has the hint.
        DeValue::Table(_) => Ok(String::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("accrue.toml");
        std::fs::write(&path, text).expect("written");
        (dir, path)
    }

    fn env(pairs: &[(&str, &str)]) -> impl Iterator<Item = (String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect::<Vec<_>>().into_iter()
    }

    fn text<'a>(layers: &'a Layers, name: &str) -> &'a str {
        &layers.get(name).expect("said").text
    }

    #[test]
    fn a_file_then_the_environment_then_flags() {
        let (_dir, path) = file(
            "data_dir = \"a\"\nshards = 3\n[kafka]\nbrokers = \"a:1\"\npartitions = [0, 2]\n[kafka.properties]\nssl.ca = \"x\"\n\"a.b\" = 5\n",
        );
        let mut layers = Layers::default();
        layers.file(&path).expect("fine");
        assert_eq!((text(&layers, "shards"), text(&layers, "kafka.partitions")), ("3", "0,2"));
        assert_eq!(layers.get("kafka.brokers").expect("said").origin, Origin::File(path, 4));
        assert_eq!(
            layers.properties().map(|(name, said)| (name, said.text.as_str())).collect::<Vec<_>>(),
            [("a.b", "5"), ("ssl.ca", "x")]
        );
        layers
            .environment(env(&[("ACCRUE__KAFKA__BROKERS", "b:2"), ("PATH", "x"), ("ACCRUE__KAFKA__PROPERTIES__SSL_CA", "y")]))
            .expect("fine");
        assert_eq!((text(&layers, "kafka.brokers"), text(&layers, "kafka.properties.ssl.ca")), ("b:2", "y"));
        layers.set("kafka.brokers=c:3").expect("fine");
        assert_eq!(text(&layers, "kafka.brokers"), "c:3");
        assert_eq!(layers.get("kafka.brokers").expect("said").origin.to_string(), "--set kafka.brokers");
    }

    #[test]
    fn a_secret_comes_from_a_file_and_not_from_a_flag() {
        let (_dir, path) = file("hunter2\n");
        let path = path.display().to_string();
        let mut layers = Layers::default();
        layers.environment(env(&[("ACCRUE__KAFKA__PROPERTIES__SASL_PASSWORD_FILE", &path)])).expect("fine");
        assert_eq!(text(&layers, "kafka.properties.sasl.password"), "hunter2");
        let error = layers.set("kafka.properties.sasl.password=x").expect_err("seen by all").to_string();
        assert!(error.contains("ACCRUE__KAFKA__PROPERTIES__SASL__PASSWORD_FILE"), "{error}");
        let error = layers.environment(env(&[("ACCRUE__KAFKA__TOPIC_FILE", "/no/such")])).expect_err("no file").to_string();
        assert!(error.starts_with("ACCRUE__KAFKA__TOPIC_FILE: can't read"), "{error}");
    }

    #[test]
    fn unknown_keys_are_errors_with_a_hint() {
        let said = |text: &str| {
            let (_dir, path) = file(text);
            let error = Layers::default().file(&path).expect_err("unknown").to_string();
            error.replace(&path.display().to_string(), "FILE")
        };
        assert_eq!(said("[kafka]\nbroker = \"x\"\n"), "FILE line 2: there is no key kafka.broker; did you mean kafka.brokers?");
        assert_eq!(said("\n[kafak]\nx = 1\n"), "FILE line 2: there is no key kafak; see docs/configuration.md");
        assert_eq!(said("a = [\n"), "FILE line 1: unclosed array, expected `]`");
        assert_eq!(said("shards = { a = 1 }\n"), "FILE line 1: shards is one value, not a table");
        let error = Layers::default().environment(env(&[("ACCRUE__SHARD", "1")])).expect_err("unknown").to_string();
        assert_eq!(error, "ACCRUE__SHARD: there is no key shard; did you mean shards?");
        assert!(Layers::default().set("shards").is_err());
    }
}
