//! The configuration: what was said in file, environment and flags, checked; every value knows where it comes from.

mod keys;
mod layers;

pub use keys::{Form, KEYS, Key};
pub use layers::{Layers, Origin, is_secret};

use crate::answering::Guards;
use crate::failure::Failure;
use accrue_ingest::kafka::{Assignment, Connection, KafkaOptions};
use accrue_projections::{LedgerOptions, MilestoneOptions};
use accrue_store::StoreOptions;
use anyhow::Result;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Read if it is there and no other is named.
pub const FILE: &str = "accrue.toml";

/// Everything that can be chosen.
#[derive(Clone, Debug)]
pub struct Config {
    /// The data directory.
    pub data_dir: PathBuf,
    /// Embedded shards; `None`: nobody said, so a store that is there keeps its number.
    pub shards: Option<u32>,
    /// Embedded shards of a new store.
    pub shards_new: u32,
    /// The API, `host:port`.
    pub listen: String,
    /// For who runs it, `host:port`.
    pub admin_listen: String,
    /// `auto`, `human`, `json`
    pub log_format: String,
    /// Directives.
    log_level: String,
    /// `None`: the embedded log.
    pub kafka: Option<Kafka>,
    /// The store.
    pub store: StoreOptions,
    /// The ledger projection.
    pub ledger: LedgerOptions,
    /// Facts of a group.
    pub group_facts_max: usize,
    /// How long a group waits.
    pub group_wait: Duration,
    /// Limits of the API.
    pub http: Limits,
    layers: Layers,
}

/// Where facts come from.
#[derive(Clone, Debug)]
pub struct Kafka {
    /// Bootstrap servers.
    pub brokers: String,
    /// The topic of facts.
    pub topic: String,
    /// The consumer group.
    pub group: String,
    /// Static membership.
    pub group_instance_id: Option<String>,
    /// Manual assignment.
    pub partitions: Option<Vec<i32>>,
    /// For `topics apply`.
    pub topic_partitions: i32,
    /// For `topics apply`.
    pub topic_replication: Option<i32>,
    /// For `topics apply`.
    pub topic_retention_ms: i64,
    /// librdkafka's own.
    pub properties: BTreeMap<String, String>,
}

/// Bounds of the API.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of a body.
    pub body_bytes_max: usize,
    /// Facts of a request.
    pub facts_max: usize,
    /// Rows of a page.
    pub page_size_max: usize,
    /// Until there is an answer.
    pub timeout: Duration,
    /// How far rules are applied to what was there, unapproved.
    pub guards: Guards,
}

impl Kafka {
    /// How to reach the brokers.
    pub fn connection(&self) -> Connection {
        Connection { brokers: self.brokers.clone(), extra: self.properties.clone() }
    }

    /// How the topic is read.
    pub fn options(&self) -> KafkaOptions {
        let mut options = KafkaOptions::new(&self.brokers, &self.topic, &self.group);
        options.connection = self.connection();
        options.instance = self.group_instance_id.clone();
        options.assignment = self.partitions.clone().map_or(Assignment::Group, Assignment::Manual);
        options
    }
}

impl Config {
    /// Where facts come from.
    ///
    /// # Errors
    /// No brokers are named.
    pub fn kafka(&self) -> Result<&Kafka> {
        self.kafka.as_ref().ok_or_else(|| {
            Failure::usage("kafka.brokers is not set: name the bootstrap servers there, like --set kafka.brokers=localhost:9092")
        })
    }

    /// Reads a file (`./accrue.toml` if there is one and no other is named), the environment, and what flags say.
    ///
    /// # Errors
    /// A key that there is not, or a value that can't be.
    pub fn load(
        file: Option<&Path>,
        variables: impl Iterator<Item = (String, String)>,
        flags: &[(String, String, String)],
        sets: &[String],
    ) -> Result<Config> {
        let mut layers = Layers::default();
        match file {
            Some(path) => layers.file(path)?,
            None if Path::new(FILE).is_file() => layers.file(Path::new(FILE))?,
            None => {}
        }
        layers.environment(variables)?;
        for pair in sets {
            layers.set(pair)?;
        }
        for (flag, key, value) in flags {
            layers.say(key, value.clone(), Origin::Flag(flag.clone()))?;
        }
        Config::of(layers)
    }

    /// Checks what was said.
    ///
    /// # Errors
    /// A value that can't be, with who said it.
    pub fn of(layers: Layers) -> Result<Config> {
        for key in KEYS {
            let (text, origin) = value(&layers, key);
            if let Some(text) = text {
                check(key, &text, &origin)?;
            }
        }
        let read = Read(&layers);
        let kafka = read.optional("kafka.brokers").map(|brokers| Kafka {
            brokers,
            topic: read.text("kafka.topic"),
            group: read.text("kafka.group"),
            group_instance_id: read.optional("kafka.group_instance_id"),
            partitions: read.optional("kafka.partitions").map(|list| numbers(&list).unwrap_or_default()),
            topic_partitions: read.whole("kafka.topic_partitions") as i32,
            topic_replication: read.optional("kafka.topic_replication").and_then(|text| text.parse().ok()),
            topic_retention_ms: read.text("kafka.topic_retention_ms").parse().unwrap_or(-1),
            properties: layers.properties().map(|(name, said)| (name.to_owned(), said.text.clone())).collect(),
        });
        let store = StoreOptions {
            block_cache_bytes: read.bytes("store.block_cache_bytes"),
            write_buffer_bytes: read.bytes("store.write_buffer_bytes"),
            sync: read.text("store.sync") == "true",
            background_jobs: read.whole("store.background_jobs") as u32,
            embedded_shards: None,
            master_key: read.optional("store.master_key_file").map(PathBuf::from),
        };
        let ledger = LedgerOptions {
            delta_bytes_max: read.bytes("ledger.delta_bytes_max"),
            checkpoint_facts: read.whole("ledger.checkpoint_facts") as usize,
            link_key: read.optional("kafka.link_secret_file").map(|path| link_key(&path)).transpose()?,
            milestones: MilestoneOptions { bytes_max: read.bytes("ledger.milestones_bytes_max"), ..MilestoneOptions::default() },
        };
        let http = Limits {
            body_bytes_max: read.bytes("http.body_bytes_max"),
            facts_max: read.whole("http.facts_max") as usize,
            page_size_max: read.whole("http.page_size_max") as usize,
            timeout: Duration::from_millis(read.whole("http.timeout_ms")),
            guards: Guards {
                max_members_pct: read.optional("apply.max_members_pct").and_then(|text| text.parse().ok()),
                max_abs_delta: read.optional("apply.max_abs_delta").and_then(|text| text.parse().ok()),
            },
        };
        Ok(Config {
            data_dir: PathBuf::from(read.text("data_dir")),
            shards: layers.get("shards").map(|_| read.whole("shards") as u32),
            shards_new: read.whole("shards") as u32,
            listen: read.text("listen"),
            admin_listen: read.text("admin_listen"),
            log_format: read.text("log.format"),
            log_level: read.text("log.level"),
            kafka,
            store,
            ledger,
            group_facts_max: read.whole("ingest.group_facts_max") as usize,
            group_wait: Duration::from_millis(read.whole("ingest.group_wait_ms")),
            http,
            layers,
        })
    }

    /// How much to log; `otherwise`, if nobody said.
    pub fn log_level<'a>(&'a self, otherwise: &'a str) -> &'a str {
        if self.layers.get("log.level").is_some() { &self.log_level } else { otherwise }
    }

    /// Each key with its value and who said it; a secret is not shown. Kafka's own settings at the end.
    pub fn shown(&self) -> Vec<Shown> {
        let mut rows: Vec<Shown> = Vec::with_capacity(KEYS.len());
        for key in KEYS {
            let (text, origin) = value(&self.layers, key);
            rows.push(Shown { key: key.name.to_owned(), value: text, origin });
        }
        rows.extend(self.layers.properties().map(|(name, said)| {
            let key = format!("kafka.properties.{name}");
            let text = if is_secret(&key) { "(secret)".to_owned() } else { said.text.clone() };
            Shown { key, value: Some(text), origin: said.origin.clone() }
        }));
        rows
    }
}

/// A key as `config show` has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// The key.
    pub key: String,
    /// Its value; `None`: not set.
    pub value: Option<String>,
    /// Who said it.
    pub origin: Origin,
}

fn value(layers: &Layers, key: &Key) -> (Option<String>, Origin) {
    match layers.get(key.name) {
        Some(said) => (Some(said.text.clone()), said.origin.clone()),
        None => (key.default.map(str::to_owned), Origin::Default),
    }
}

/// Values that were checked.
struct Read<'a>(&'a Layers);

impl Read<'_> {
    fn optional(&self, name: &str) -> Option<String> {
        keys::find(name).and_then(|key| value(self.0, key).0)
    }

    fn text(&self, name: &str) -> String {
        self.optional(name).unwrap_or_default()
    }

    fn whole(&self, name: &str) -> u64 {
        self.text(name).parse().unwrap_or_default()
    }

    fn bytes(&self, name: &str) -> usize {
        keys::bytes(&self.text(name)).and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or_default()
    }
}

fn numbers(text: &str) -> Option<Vec<i32>> {
    text.split(',').map(|number| number.trim().parse().ok().filter(|number| *number >= 0)).collect()
}

fn check(key: &Key, text: &str, origin: &Origin) -> Result<()> {
    let within = |value: u64, min: u64, max: u64| (min..=max).contains(&value);
    let wanted = match key.form {
        Form::Text | Form::Path if !text.trim().is_empty() => return Ok(()),
        Form::Text | Form::Path => "some text".to_owned(),
        Form::Whole(min, max) if text.parse().is_ok_and(|value| within(value, min, max)) => return Ok(()),
        Form::Whole(min, max) => format!("a whole number from {min} to {max}"),
        Form::Signed if text.parse::<i64>().is_ok_and(|value| value >= -1) => return Ok(()),
        Form::Signed => "a whole number, -1 or more".to_owned(),
        Form::Bytes(min, max) if keys::bytes(text).is_some_and(|value| within(value, min, max)) => return Ok(()),
        Form::Bytes(min, max) => format!("{min} to {max} bytes, like 256MiB"),
        Form::Flag if matches!(text, "true" | "false") => return Ok(()),
        Form::Flag => "true or false".to_owned(),
        Form::Choice(choices) if choices.contains(&text) => return Ok(()),
        Form::Choice(choices) => format!("one of {}", choices.join(", ")),
        Form::Address if is_address(text) => return Ok(()),
        Form::Address => "host:port".to_owned(),
        Form::Numbers if numbers(text).is_some() => return Ok(()),
        Form::Numbers => "whole numbers with commas between them".to_owned(),
    };
    Err(Failure::usage(format!("{origin}: {} is {text:?}, it has to be {wanted}", key.name)))
}

fn is_address(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
}

/// # Errors
/// The file can't be read, or has less than a key.
fn link_key(path: &str) -> Result<[u8; 32]> {
    let secret = std::fs::read(path).map_err(|error| Failure::usage(format!("kafka.link_secret_file {path}: {error}")))?;
    if secret.len() < 32 {
        let bytes = secret.len();
        let hint = "at least 32 are needed, such as from `openssl rand -hex 32`";
        return Err(Failure::usage(format!("kafka.link_secret_file {path} has {bytes} bytes: {hint}")));
    }
    Ok(LedgerOptions::link_key_of(&secret))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(sets: &[&str]) -> Result<Config> {
        let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
        let mut layers = Layers::default();
        sets.iter().try_for_each(|set| layers.set(set))?;
        Config::of(layers)
    }

    #[test]
    fn defaults_are_valid_and_are_those_of_the_crates_below() {
        let config = config(&[]).expect("defaults");
        assert_eq!(config.ledger, LedgerOptions::default());
        let store = StoreOptions::default();
        assert_eq!(
            (config.store.block_cache_bytes, config.store.write_buffer_bytes),
            (store.block_cache_bytes, store.write_buffer_bytes)
        );
        assert_eq!((config.store.sync, config.store.background_jobs), (store.sync, store.background_jobs));
        assert!(config.kafka.is_none() && config.shards.is_none());
        assert!(config.listen.starts_with("127.0.0.1:") && config.admin_listen.starts_with("127.0.0.1:"), "loopback by default");
    }

    #[test]
    fn values_are_checked_and_named_with_who_said_them() {
        let error = |set: &str| config(&[set]).expect_err("refused").to_string();
        assert_eq!(error("shards=0"), "--set shards: shards is \"0\", it has to be a whole number from 1 to 1024");
        assert_eq!(error("log.format=xml"), "--set log.format: log.format is \"xml\", it has to be one of auto, human, json");
        for bad in [
            "shards=1025",
            "store.sync=yes",
            "listen=8080",
            "listen=a:99999",
            "store.block_cache_bytes=1KB",
            "kafka.partitions=1,x",
            "data_dir=",
        ] {
            assert_eq!(Failure::exit_of(&config(&[bad]).expect_err(bad)), crate::failure::Exit::Usage);
        }
    }

    #[test]
    fn kafka_is_on_when_there_are_brokers() {
        let config = config(&["kafka.brokers=a:1", "kafka.partitions=0, 3", "kafka.properties.ssl.ca=x"]).expect("fine");
        let kafka = config.kafka.as_ref().expect("on");
        assert_eq!((kafka.brokers.as_str(), kafka.partitions.as_deref()), ("a:1", Some(&[0, 3][..])));
        assert_eq!(kafka.properties.get("ssl.ca").map(String::as_str), Some("x"));
        let shown = config.shown();
        let row = |key: &str| shown.iter().find(|row| row.key == key).expect("shown").clone();
        assert_eq!(row("kafka.brokers").origin.to_string(), "--set kafka.brokers");
        assert_eq!((row("kafka.group").value.as_deref(), row("kafka.group").origin), (Some("accrue"), Origin::Default));
        assert_eq!(row("kafka.properties.ssl.ca").value.as_deref(), Some("x"));
    }

    #[test]
    fn flags_are_stronger_than_the_environment() {
        let env = [("ACCRUE__SHARDS".to_owned(), "4".to_owned()), ("ACCRUE__LISTEN".to_owned(), "a:1".to_owned())];
        let flags = [("--listen".to_owned(), "listen".to_owned(), "b:2".to_owned())];
        let config = Config::load(None, env.into_iter(), &flags, &["shards=5".to_owned()]).expect("fine");
        assert_eq!((config.shards, config.listen.as_str()), (Some(5), "b:2"));
    }
}
