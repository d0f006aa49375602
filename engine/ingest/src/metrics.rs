//! Every metric of ingest: names, what they mean, and the counting. No member ids in labels.

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use std::time::Duration;

/// Messages taken in, by kind and outcome.
pub const FACTS: &str = "accrue_facts_total";
/// Messages in a group.
pub const GROUP_FACTS: &str = "accrue_group_facts";
/// Decoding and deciding a group.
pub const APPLY_SECONDS: &str = "accrue_apply_seconds";
/// Packing, writing and syncing a group.
pub const SYNC_SECONDS: &str = "accrue_sync_seconds";
/// Dead letters written, by code.
pub const DEAD_LETTERS: &str = "accrue_dead_letters_total";
/// Dead letters sent on to the dead-letter topic.
pub const DEAD_LETTERS_RELAYED: &str = "accrue_dead_letters_relayed_total";
/// Records of the topic that are not durable here yet, by shard.
pub const LAG_EVENTS: &str = "accrue_ingest_lag_events";
/// Age of the last durable record while there is a lag, by shard.
pub const LAG_SECONDS: &str = "accrue_ingest_lag_seconds";
/// 1 while a shard takes facts, else 0; by shard.
pub const SHARD_LIVE: &str = "accrue_shard_live";
/// Frames applied again at start, by shard.
pub const RECOVERED: &str = "accrue_recovered_facts_total";
/// Assignments and revocations of partitions.
pub const REBALANCES: &str = "accrue_rebalances_total";
/// Partitions paused because their writer was behind.
pub const PAUSES: &str = "accrue_ingest_pauses_total";
/// 1 while a broker answers, else 0.
pub const KAFKA_CONNECTED: &str = "accrue_kafka_connected";

/// Describes all of them to the recorder that is installed.
pub fn describe() {
    describe_counter!(FACTS, Unit::Count, "Messages taken in, by kind and outcome");
    describe_histogram!(GROUP_FACTS, Unit::Count, "Messages in a group");
    describe_histogram!(APPLY_SECONDS, Unit::Seconds, "Decoding and deciding a group");
    describe_histogram!(SYNC_SECONDS, Unit::Seconds, "Packing, writing and syncing a group");
    describe_counter!(DEAD_LETTERS, Unit::Count, "Dead letters written, by code");
    describe_counter!(DEAD_LETTERS_RELAYED, Unit::Count, "Dead letters sent on to the dead-letter topic");
    describe_gauge!(LAG_EVENTS, Unit::Count, "Records of the topic that are not durable here yet");
    describe_gauge!(LAG_SECONDS, Unit::Seconds, "Age of the last durable record while there is a lag");
    describe_gauge!(SHARD_LIVE, Unit::Count, "1 while the shard takes facts");
    describe_counter!(RECOVERED, Unit::Count, "Frames applied again at start");
    describe_counter!(REBALANCES, Unit::Count, "Assignments and revocations of partitions");
    describe_counter!(PAUSES, Unit::Count, "Partitions paused because their writer was behind");
    describe_gauge!(KAFKA_CONNECTED, Unit::Count, "1 while a broker answers");
}

/// What became of a message, as a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Label {
    Applied,
    Accepted,
    Rejected,
    Parked,
    Duplicate,
    Conflict,
    Refused,
}

const LABELS: [&str; 7] = ["applied", "accepted", "rejected", "parked", "duplicate", "conflict", "refused"];
/// Numbers of kinds are below this; 0 stands for what could not be read.
const KINDS: usize = 128;

/// Counts of one group, so that a message costs an addition and not a look-up.
pub(crate) struct Tally([[u32; LABELS.len()]; KINDS]);

impl Tally {
    pub(crate) fn new() -> Tally {
        Tally([[0; LABELS.len()]; KINDS])
    }

    pub(crate) fn add(&mut self, kind: Option<accrue_ledger::Kind>, label: Label) {
        let kind = kind.map_or(0, |kind| usize::from(kind as u8));
        self.0[kind % KINDS][label as usize] += 1;
    }

    /// Hands the counts to the recorder and forgets them.
    pub(crate) fn record(&mut self) {
        for (number, row) in self.0.iter_mut().enumerate() {
            for (label, count) in LABELS.iter().zip(row.iter_mut()).filter(|(_, count)| **count > 0) {
                let kind = u32::try_from(number).ok().and_then(accrue_ledger::Kind::from_number);
                let kind = kind.map_or("unknown", accrue_ledger::Kind::name);
                counter!(FACTS, "kind" => kind, "outcome" => *label).increment(u64::from(*count));
                *count = 0;
            }
        }
    }
}

pub(crate) fn group(messages: usize, apply: Duration, sync: Duration) {
    histogram!(GROUP_FACTS).record(u32::try_from(messages).unwrap_or(u32::MAX));
    histogram!(APPLY_SECONDS).record(apply);
    histogram!(SYNC_SECONDS).record(sync);
}

pub(crate) fn dead_letter(code: &'static str) {
    counter!(DEAD_LETTERS, "code" => code).increment(1);
}

pub(crate) fn dead_letters_relayed(count: u64) {
    counter!(DEAD_LETTERS_RELAYED).increment(count);
}

pub(crate) fn lag(shard: u32, events: i64, age: Duration) {
    // An f64 holds every lag there will be; the recorder knows nothing else.
    gauge!(LAG_EVENTS, "shard" => shard.to_string()).set(events as f64);
    gauge!(LAG_SECONDS, "shard" => shard.to_string()).set(age);
}

pub(crate) fn shard_live(shard: u32, live: bool) {
    gauge!(SHARD_LIVE, "shard" => shard.to_string()).set(if live { 1.0 } else { 0.0 });
}

pub(crate) fn recovered(shard: u32, frames: u64) {
    counter!(RECOVERED, "shard" => shard.to_string()).increment(frames);
}

pub(crate) fn rebalance() {
    counter!(REBALANCES).increment(1);
}

pub(crate) fn pause() {
    counter!(PAUSES).increment(1);
}

pub(crate) fn connected(connected: bool) {
    gauge!(KAFKA_CONNECTED).set(if connected { 1.0 } else { 0.0 });
}

#[cfg(test)]
mod tests {
    use super::*;
    use accrue_ledger::Kind;

    #[test]
    fn every_kind_has_a_row_of_its_own() {
        assert!(Kind::ALL.iter().all(|kind| usize::from(*kind as u8) < KINDS && *kind as u8 > 0));
        let mut tally = Tally::new();
        tally.add(None, Label::Refused);
        tally.add(Some(Kind::OrderPlaced), Label::Applied);
        tally.add(Some(Kind::OrderPlaced), Label::Applied);
        assert_eq!((tally.0[0][Label::Refused as usize], tally.0[16][Label::Applied as usize]), (1, 2));
        tally.record();
        assert!(tally.0.iter().flatten().all(|count| *count == 0));
    }

    #[test]
    fn labels_are_in_the_order_of_their_names() {
        assert_eq!(
            (LABELS[Label::Applied as usize], LABELS[Label::Parked as usize], LABELS[Label::Refused as usize]),
            ("applied", "parked", "refused")
        );
    }
}
