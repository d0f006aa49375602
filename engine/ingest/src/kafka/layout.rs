//! The number of partitions that a store was filled from.
//!
//! Members belong to partitions by their number: with another number a member's facts go on in another shard, which does not
//! know what was before. So the number is kept in the store's directory, and a topic with another one is not read.

use crate::IngestError;
use crate::small_file;
use accrue_store::Store;

const NAME: &str = "kafka-partitions";

/// Keeps the number, or compares it with the one that is kept.
///
/// # Errors
/// It is another one, or the file is damaged or can't be written.
pub(crate) fn check(store: &Store, topic: &str, partitions: usize) -> Result<(), IngestError> {
    let path = store.path().join(NAME);
    let found = format!("{topic} {partitions}");
    let kept = small_file::read(&path).map_err(|_| {
        let path = path.display();
        IngestError::Setting(format!(
            "{path} is damaged: it says how many partitions the store was filled from; restore it from a backup"
        ))
    })?;
    match kept {
        None => small_file::write(&path, &found),
        Some(kept) if kept == found => Ok(()),
        Some(kept) => {
            let (before, count) = kept.rsplit_once(' ').unwrap_or((&kept, "?"));
            let why = if before == topic {
                format!("it has {partitions} now: members would move between shards; publish into a topic with {count}")
            } else {
                format!("and {topic} is another topic: what is in it is not what follows there; set kafka.topic to {before}")
            };
            let what = format!("the store was filled from {before} with {count} partitions, {why}");
            Err(IngestError::Setting(format!("{what}, or start with an empty store (a backup keeps this one)")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use accrue_store::StoreOptions;

    #[test]
    fn the_first_number_stays() {
        let dir = tempfile::tempdir().expect("dir");
        let store = Store::open(dir.path(), StoreOptions::default()).expect("opens");
        check(&store, "facts", 6).expect("kept");
        check(&store, "facts", 6).expect("the same");
        let error = check(&store, "facts", 12).expect_err("another").to_string();
        assert!(error.contains("filled from facts with 6 partitions, it has 12 now"), "{error}");
        let error = check(&store, "others", 6).expect_err("another topic").to_string();
        assert!(error.contains("others is another topic") && error.contains("set kafka.topic to facts"), "{error}");
        std::fs::write(dir.path().join(NAME), "facts 12").expect("written");
        assert!(check(&store, "facts", 12).is_err_and(|error| error.to_string().contains("damaged")));
    }
}
