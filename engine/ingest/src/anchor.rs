//! Whether a topic is still the one that the log came from.
//!
//! A topic that was deleted and made again has the same name and, after a while, the same offsets. Its id would tell, but
//! the client's safe interface does not give it. So the last record that the log has is fetched once more on assignment and
//! compared with what was booked: consumption starts at that record, not behind it, and nothing is booked twice.

use crate::IngestError;
use crate::batch::Record;
use crate::letter::{Origin, original};
use accrue_ledger::Body;
use accrue_proto::{CurrencyOf, decode_message_with, read_fact, same_content};
use accrue_store::{Position, ShardLog, Source};

/// Records to fetch again, at most, for the comparison.
const DISTANCE_MAX: i64 = 1_000;

/// The last record of a topic that the log has word for word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Anchor {
    pub offset: i64,
    kept: Kept,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kept {
    Frame(Position),
    DeadLetter(u64),
}

/// `None`: the last thousand offsets were all duplicates, or nothing of the topic is in.
///
/// # Errors
/// The log can't be read.
pub(crate) fn find(log: &ShardLog, topic: &str, partition: i32) -> Result<Option<Anchor>, IngestError> {
    let head = log.head();
    let Some(next_offset) = head.next_offset(Source::Topic(topic)) else {
        return Ok(None);
    };
    let mut found: Option<Anchor> = None;
    if head.next_position > Position::FIRST {
        let last = Position(head.next_position.0 - 1);
        let (source, offset) = log.read(last, |frame| (usize::from(frame.source), frame.offset))?;
        if head.sources.get(source).is_some_and(|known| known.source() == Source::Topic(topic)) {
            found = Some(Anchor { offset, kept: Kept::Frame(last) });
        }
    }
    let letters = head.counters.dead_letters + head.counters.conflicts;
    if let Some(row) = log.dead_letter(letters)? {
        let letter = &row.letter;
        let later = found.is_none_or(|found| found.offset < letter.offset);
        if later && letter.topic == topic && letter.partition == partition {
            found = Some(Anchor { offset: letter.offset, kept: Kept::DeadLetter(row.seq) });
        }
    }
    Ok(found.filter(|anchor| anchor.offset >= 0 && next_offset - anchor.offset <= DISTANCE_MAX))
}

/// Compares what the topic has at the anchor with what the log has.
///
/// # Errors
/// They differ, or the log can't be read.
pub(crate) fn compare(
    anchor: &Anchor,
    record: Record<'_>,
    currency_of: CurrencyOf<'_>,
    log: &ShardLog,
    origin: &Origin,
) -> Result<(), IngestError> {
    let Origin::Topic { name, partition } = origin else {
        return Ok(());
    };
    let same = match anchor.kept {
        Kept::DeadLetter(seq) => log.dead_letter(seq)?.is_some_and(|row| {
            let kept = original(&row.letter);
            let same = (kept.key, kept.value) == (record.key(), record.value());
            // Personal data was sealed, and is gone where the member was erased since.
            let sealed = || kept.value.is_some_and(|kept| is_personal(kept) && same_fact(record, currency_of, kept, log));
            same || (kept.key, kept.value) == (None, None) || sealed()
        }),
        Kept::Frame(position) => log.read(position, |frame| same_fact(record, currency_of, frame.fact, log))?,
    };
    if same {
        return Ok(());
    }
    Err(IngestError::OtherTopic { shard: log.shard(), topic: name.clone(), partition: *partition, offset: anchor.offset })
}

/// The bytes in the log are those of the record, or what its JSON said.
fn same_fact(record: Record<'_>, currency_of: CurrencyOf<'_>, kept: &[u8], log: &ShardLog) -> bool {
    let currency = |program: &str| currency_of(program).or_else(|| currency_in(kept));
    match decode_message_with(&record, record.value().unwrap_or_default(), record.timestamp_ms(), &currency) {
        Ok(decoded) if is_personal(kept) => {
            let sealed = log.vault().and_then(|vault| vault.seal(&[&decoded.fact]));
            let sealed = sealed.ok().and_then(|mut sealed| sealed.pop().flatten());
            sealed.is_some_and(|fact| same_id(&fact, kept) && same_content(&fact, kept))
        }
        Ok(decoded) => *decoded.fact == *kept || (same_id(&decoded.fact, kept) && same_content(&decoded.fact, kept)),
        // The ruleset that named the currency is not known here: nothing to compare.
        Err(malformed) => malformed.code == "missing_currency",
    }
}

fn is_personal(fact: &[u8]) -> bool {
    read_fact(fact).is_ok_and(|fact| fact.kind.is_personal())
}

/// What [`same_content`] leaves out: two facts may say the same, one record is one fact.
fn same_id(fact: &[u8], kept: &[u8]) -> bool {
    match (read_fact(fact), read_fact(kept)) {
        (Ok(fact), Ok(kept)) => (fact.source, fact.id) == (kept.source, kept.id),
        _ => false,
    }
}

/// JSON that names no currency was read with the program's: it was written into the fact.
fn currency_in(kept: &[u8]) -> Option<String> {
    match read_fact(kept).ok()?.body {
        Body::OrderPlaced(order) => Some(order.currency.to_owned()),
        Body::RefundRecorded(refund) => refund.currency.map(str::to_owned),
        _ => None,
    }
}
