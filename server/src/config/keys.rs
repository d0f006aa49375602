//! Every key there is: its form, its default, what it is for. `docs/configuration.md` has the same list; a test compares.

use strsim::levenshtein;

/// What a value looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Any text that is not empty.
    Text,
    /// A path.
    Path,
    /// A whole number within bounds.
    Whole(u64, u64),
    /// A whole number, −1 or more.
    Signed,
    /// Bytes: `268435456`, `256MiB`, `1GiB`.
    Bytes(u64, u64),
    /// `true` or `false`.
    Flag,
    /// One of these.
    Choice(&'static [&'static str]),
    /// `host:port`.
    Address,
    /// Whole numbers, with commas between them or a TOML list.
    Numbers,
}

/// A key.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// `section.name`
    pub name: &'static str,
    /// What its value looks like.
    pub form: Form,
    /// Where nothing is said; `None`: nothing.
    pub default: Option<&'static str>,
    /// One line.
    pub about: &'static str,
}

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
const GIB: u64 = 1024 * MIB;

/// Where librdkafka's own settings go: any name is taken, Kafka's client says what it thinks of it.
pub const PROPERTIES: &str = "kafka.properties.";

const fn key(name: &'static str, form: Form, default: Option<&'static str>, about: &'static str) -> Key {
    Key { name, form, default, about }
}

/// All keys, in the order they are shown in.
pub const KEYS: &[Key] = &[
    key("data_dir", Form::Path, Some("./data"), "the data directory"),
    key(
        "shards",
        Form::Whole(1, 1024),
        Some("2"),
        "embedded log: shards of a store that is made now; later its own number holds",
    ),
    key("listen", Form::Address, Some("127.0.0.1:8080"), "HTTP: the API"),
    key("admin_listen", Form::Address, Some("127.0.0.1:8081"), "HTTP: /metrics, /livez, /readyz; apart, for who runs it"),
    key("log.format", Form::Choice(&["auto", "human", "json"]), Some("auto"), "auto: human on a terminal, else json"),
    key("log.level", Form::Text, Some("info"), "a level, or directives like `warn,accrue_ingest=debug`"),
    key("kafka.brokers", Form::Text, None, "bootstrap servers; set: facts come from Kafka, not set: the embedded log"),
    key(
        "kafka.topic",
        Form::Text,
        Some("accrue.facts.v1"),
        "the topic of facts; dead letters go to the one with `-dlt` behind it",
    ),
    key("kafka.group", Form::Text, Some("accrue"), "the consumer group"),
    key("kafka.group_instance_id", Form::Text, None, "static membership: a name of this instance that survives restarts"),
    key("kafka.partitions", Form::Numbers, None, "these partitions, without a group"),
    key("kafka.topic_partitions", Form::Whole(1, 10_000), Some("6"), "partitions of a topic that `topics apply` makes"),
    key(
        "kafka.topic_replication",
        Form::Whole(1, 15),
        None,
        "replicas of a topic that `topics apply` makes; not set: three, or as many as there are brokers",
    ),
    key(
        "kafka.topic_retention_ms",
        Form::Signed,
        Some("-1"),
        "how long facts stay in a topic that `topics apply` makes, ms; -1: for ever",
    ),
    key(
        "kafka.link_secret_file",
        Form::Path,
        None,
        "a secret that all instances of one topic share: facts that the engine sends to other members' shards can't be forged",
    ),
    key("store.block_cache_bytes", Form::Bytes(MIB, 1024 * GIB), Some("256MiB"), "blocks of all databases kept in memory"),
    key("store.write_buffer_bytes", Form::Bytes(MIB, 64 * GIB), Some("128MiB"), "rows of all logs not yet in files"),
    key("store.sync", Form::Flag, Some("true"), "false loses acknowledged facts with the power: for measuring only"),
    key("store.background_jobs", Form::Whole(1, 64), Some("2"), "threads that flush and compact, all databases together"),
    key(
        "store.master_key_file",
        Form::Path,
        None,
        "the master key that wraps members' keys, made with the first; not set: `master-key` in the data directory",
    ),
    key(
        "ledger.checkpoint_facts",
        Form::Whole(1, 1_000_000_000),
        Some("500000"),
        "facts between checkpoints: what a restart folds again. Of an embedded store, spread over its shards; through Kafka, of each shard",
    ),
    key(
        "ledger.delta_bytes_max",
        Form::Bytes(MIB, 1024 * GIB),
        Some("576MiB"),
        "memory between checkpoints; two thirds more with what the last one wrote. As above",
    ),
    key(
        "ledger.milestones_bytes_max",
        Form::Bytes(0, 1024 * GIB),
        Some("64MiB"),
        "states of members of many facts as of instants of their past, for quick answers about it; 0: none. As above",
    ),
    key("ingest.group_facts_max", Form::Whole(1, 1_000_000), Some("1000"), "facts made durable by one sync, at most"),
    key("ingest.group_wait_ms", Form::Whole(0, 10_000), Some("1"), "how long a group waits for more, ms"),
    key("http.body_bytes_max", Form::Bytes(KIB, GIB), Some("4MiB"), "a request's body, at most"),
    key("http.facts_max", Form::Whole(1, 100_000), Some("1000"), "facts in one request, at most"),
    key("http.page_size_max", Form::Whole(1, 100_000), Some("1000"), "rows of a page, at most"),
    key("http.timeout_ms", Form::Whole(1, 3_600_000), Some("30000"), "an answer takes at most so long, ms"),
    key("apply.max_members_pct", Form::Whole(0, 100), None, "rules apply: more of a hundred members have to be approved"),
    key("apply.max_abs_delta", Form::Whole(0, 1_000_000_000_000_000), None, "rules apply: more points have to be approved"),
];

/// The key of that name.
pub fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// The known name most like it, if one is near enough to be a slip.
pub fn nearest(given: &str) -> Option<&'static str> {
    let fold = |name: &str| name.to_lowercase().replace(['_', '-', '.'], "");
    let wanted = fold(given);
    let last = |name: &str| name.rsplit('.').next().unwrap_or(name).to_owned();
    // Right name, wrong section.
    if let Some(key) = KEYS.iter().find(|key| last(key.name) == last(given)) {
        return Some(key.name);
    }
    let near = KEYS.iter().map(|key| (levenshtein(&wanted, &fold(key.name)), key.name)).min()?;
    (near.0 <= wanted.chars().count() / 3).then_some(near.1)
}

/// `256MiB` as a number of bytes.
pub fn bytes(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic() || letter == ' ');
    let unit = match text[digits.len()..].trim() {
        "" | "B" => 1,
        "KiB" => KIB,
        "MiB" => MIB,
        "GiB" => GIB,
        _ => return None,
    };
    digits.replace('_', "").parse::<u64>().ok()?.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names() {
        assert_eq!(nearest("kafka.broker"), Some("kafka.brokers"));
        assert_eq!(nearest("datadir"), Some("data_dir"));
        assert_eq!(nearest("group_wait_ms"), Some("ingest.group_wait_ms"));
        assert_eq!(nearest("colour"), None);
    }

    #[test]
    fn sizes() {
        assert_eq!(
            [bytes("7"), bytes("2KiB"), bytes("256 MiB"), bytes("1_000")],
            [Some(7), Some(2048), Some(256 * MIB), Some(1000)]
        );
        assert_eq!([bytes("2MB"), bytes(""), bytes("MiB"), bytes("99999999999GiB")], [None; 4]);
    }

    #[test]
    fn every_key_is_documented() {
        let page = include_str!("../../../docs/configuration.md");
        for key in KEYS {
            let default = key.default.map_or("–".to_owned(), |default| format!("`{default}`"));
            let row = format!("| `{}` | {default} | {} |", key.name, key.about);
            assert!(page.contains(&row), "docs/configuration.md has no row\n{row}");
        }
        let rows = page.lines().filter(|line| line.starts_with("| `") && line.matches(" | ").count() == 2).count();
        assert_eq!(rows, KEYS.len(), "docs/configuration.md has a row of no key");
    }
}
