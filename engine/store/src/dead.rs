//! Dead letters: what could not be booked, whole, in the same batch as the offset it came from.

use crate::log::{CF_DEAD, CF_FRAMES, CF_META, ShardLog};
use crate::{Position, StoreError, keys, rows};
use accrue_ledger::Instant;
use prost::Message;
use rocksdb::ReadOptions;

/// The code of a dead letter that is a conflict: a known identity with other content.
pub(crate) const CODE_CONFLICT: &str = "conflict";

/// Letters looked at in one go.
const BLANK_ROWS: usize = 1_000;

/// What could not be booked, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeadLetter {
    /// Where it came from; empty: the embedded log.
    pub topic: String,
    /// Partition of the topic.
    pub partition: i32,
    /// Offset or sequence there; −1: none.
    pub offset: i64,
    /// Stable name of the reason; `conflict` for other content under a known identity.
    pub code: String,
    /// For people; both fingerprints of a conflict.
    pub detail: String,
    /// As it came.
    pub key: Option<Vec<u8>>,
    /// As it came.
    pub value: Option<Vec<u8>>,
    /// As they came.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
    /// When it was sent, ms since 1970, as the record says: it may be the fact's `occurred_at`.
    pub timestamp_ms: Option<i64>,
    /// Conflicts: where the first one was booked.
    pub first_position: Option<Position>,
}

/// What became of a dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeadStatus {
    /// Nobody has looked at it.
    Open,
    /// It was sent again.
    Requeued,
    /// Somebody decided against it.
    Dropped,
}

/// A dead letter as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadRow {
    /// Its number in the shard, from 1.
    pub seq: u64,
    /// When its group was begun, by the engine's clock.
    pub recorded_at: Instant,
    /// What became of it.
    pub status: DeadStatus,
    /// What it is.
    pub letter: DeadLetter,
}

impl DeadLetter {
    /// Whether it is a conflict.
    pub fn is_conflict(&self) -> bool {
        self.code == CODE_CONFLICT
    }
}

impl DeadStatus {
    /// The stable name.
    pub fn name(self) -> &'static str {
        match self {
            DeadStatus::Open => "open",
            DeadStatus::Requeued => "requeued",
            DeadStatus::Dropped => "dropped",
        }
    }
}

impl DeadRow {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let letter = &self.letter;
        let status = match self.status {
            DeadStatus::Open => rows::DeadLetterStatus::Open,
            DeadStatus::Requeued => rows::DeadLetterStatus::Requeued,
            DeadStatus::Dropped => rows::DeadLetterStatus::Dropped,
        };
        let headers =
            letter.headers.iter().map(|(name, value)| rows::DeadLetterHeader { name: name.clone(), value: value.clone() });
        let row = rows::DeadLetterRow {
            seq: self.seq,
            recorded_at: self.recorded_at.0,
            topic: letter.topic.clone(),
            partition: letter.partition,
            offset: letter.offset,
            code: letter.code.clone(),
            detail: letter.detail.clone(),
            key: letter.key.clone(),
            value: letter.value.clone(),
            headers: headers.collect(),
            first_position: letter.first_position.unwrap_or_default().0,
            status: status.into(),
            timestamp_ms: letter.timestamp_ms,
        };
        row.encode_to_vec()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<DeadRow, &'static str> {
        let row = rows::DeadLetterRow::decode(bytes).map_err(|_| "dead letter can't be decoded")?;
        let status = match row.status() {
            rows::DeadLetterStatus::Open => DeadStatus::Open,
            rows::DeadLetterStatus::Requeued => DeadStatus::Requeued,
            rows::DeadLetterStatus::Dropped => DeadStatus::Dropped,
            rows::DeadLetterStatus::Unspecified => return Err("dead letter has no status"),
        };
        let letter = DeadLetter {
            topic: row.topic,
            partition: row.partition,
            offset: row.offset,
            code: row.code,
            detail: row.detail,
            key: row.key,
            value: row.value,
            headers: row.headers.into_iter().map(|header| (header.name, header.value)).collect(),
            timestamp_ms: row.timestamp_ms,
            first_position: (row.first_position > 0).then_some(Position(row.first_position)),
        };
        Ok(DeadRow { seq: row.seq, recorded_at: Instant(row.recorded_at), status, letter })
    }
}

impl ShardLog {
    /// Dead letters from a number on, at most `limit`, in order.
    ///
    /// # Errors
    /// The log can't be read or is corrupt.
    pub fn dead_letters(&self, from: u64, limit: usize) -> Result<Vec<DeadRow>, StoreError> {
        let mut rows = Vec::new();
        let mut at = self.db().raw_iterator_cf_opt(self.cf(CF_DEAD)?, ReadOptions::default());
        at.seek(keys::dead(from));
        while rows.len() < limit {
            let Some((key, value)) = at.item() else { break };
            rows.push(self.dead_row(key, value)?);
            at.next();
        }
        at.status().map_err(StoreError::database("read dead letters of", self.path()))?;
        Ok(rows)
    }

    /// One dead letter; `None`: no such number.
    ///
    /// # Errors
    /// The log can't be read or is corrupt.
    pub fn dead_letter(&self, seq: u64) -> Result<Option<DeadRow>, StoreError> {
        let key = keys::dead(seq);
        let value = self.db().get_pinned_cf(self.cf(CF_DEAD)?, key);
        let value = value.map_err(StoreError::database("read a dead letter of", self.path()))?;
        value.map(|value| self.dead_row(&key, &value)).transpose()
    }

    /// Notes what became of a dead letter, durably.
    ///
    /// # Errors
    /// No such letter; the log can't be written (fatal for the shard).
    pub fn set_dead_status(&self, seq: u64, status: DeadStatus) -> Result<(), StoreError> {
        self.set_dead_statuses(&[seq], status)
    }

    /// Notes what became of several of them, durably, in one write.
    ///
    /// # Errors
    /// One of them is not there: nothing is noted. The log can't be written (fatal for the shard).
    pub fn set_dead_statuses(&self, numbers: &[u64], status: DeadStatus) -> Result<(), StoreError> {
        let mut rows = Vec::with_capacity(numbers.len());
        for &seq in numbers {
            let row = self.dead_letter(seq)?.ok_or(StoreError::NoDeadLetter { shard: self.shard(), seq })?;
            rows.push((keys::dead(seq), DeadRow { status, ..row }.encode()));
        }
        self.put_rows(CF_DEAD, rows.iter().map(|(key, row)| (&key[..], &row[..])))
    }

    /// The dead letter that was read at an offset of the log's source; `None`: what was there was no dead letter.
    /// Looks from the last one backwards.
    ///
    /// # Errors
    /// The log can't be read or is corrupt.
    pub fn dead_letter_at(&self, offset: i64) -> Result<Option<DeadRow>, StoreError> {
        let mut at = self.db().raw_iterator_cf_opt(self.cf(CF_DEAD)?, ReadOptions::default());
        at.seek_to_last();
        while let Some((key, value)) = at.item() {
            let row = self.dead_row(key, value)?;
            if row.letter.offset <= offset {
                return Ok((row.letter.offset == offset).then_some(row));
            }
            at.prev();
        }
        at.status().map_err(StoreError::database("read dead letters of", self.path()))?;
        Ok(None)
    }

    /// Takes everything that came with some dead letters away, for good: of a member that is erased. Numbers and reasons stay.
    ///
    /// # Errors
    /// The log can't be read or written (fatal for the shard).
    pub fn blank_dead_letters(&self, of_member: impl Fn(&DeadLetter) -> bool) -> Result<u64, StoreError> {
        let (mut from, mut blanked) = (1, 0);
        loop {
            let rows = self.dead_letters(from, BLANK_ROWS)?;
            let Some(last) = rows.last() else { break };
            from = last.seq + 1;
            for mut row in rows {
                let letter = &mut row.letter;
                let empty = letter.key.is_none() && letter.value.is_none() && letter.headers.is_empty();
                if empty || !of_member(letter) {
                    continue;
                }
                (letter.key, letter.value, letter.headers) = (None, None, Vec::new());
                letter.detail = "the member was erased: what came is gone".to_owned();
                row.status = if row.status == DeadStatus::Open { DeadStatus::Dropped } else { row.status };
                self.put_row(CF_DEAD, &keys::dead(row.seq), &row.encode())?;
                blanked += 1;
            }
        }
        if blanked > 0 {
            // The write-ahead log goes when everything written to it is in files.
            for family in [CF_FRAMES, CF_META] {
                let flushed = self.db().flush_cf(self.cf(family)?);
                flushed.map_err(StoreError::database("flush", self.path()))?;
            }
            crate::vault::compact(self.db(), self.cf(CF_DEAD)?, self.path())?;
        }
        Ok(blanked)
    }

    fn dead_row(&self, key: &[u8], value: &[u8]) -> Result<DeadRow, StoreError> {
        let row = DeadRow::decode(value).and_then(|row| {
            if keys::parse_dead(key) == Some(row.seq) { Ok(row) } else { Err("dead letter is under the key of another") }
        });
        row.map_err(|detail| self.corrupt(Position::NONE, format!("dead/{}", hex(key)), detail))
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_and_back() {
        let letter = DeadLetter {
            topic: "orders".into(),
            partition: 3,
            offset: 44,
            code: CODE_CONFLICT.into(),
            detail: "aa ≠ bb".into(),
            key: Some(b"shop/m1".to_vec()),
            value: None,
            headers: vec![("ce_id".into(), Some(b"1".to_vec())), ("empty".into(), None)],
            timestamp_ms: Some(-5),
            first_position: Some(Position(12)),
        };
        assert!(letter.is_conflict());
        for status in [DeadStatus::Open, DeadStatus::Requeued, DeadStatus::Dropped] {
            let row = DeadRow { seq: 5, recorded_at: Instant(-7), status, letter: letter.clone() };
            assert_eq!(DeadRow::decode(&row.encode()), Ok(row));
        }
        assert!(DeadRow::decode(b"").is_err());
        assert!(DeadRow::decode(&[0xff; 9]).is_err());
    }
}
