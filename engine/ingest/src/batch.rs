//! Messages on their way to a writer: many in one buffer, so that none costs an allocation.

use crate::{Counts, IngestError, Receipt};
use std::ops::Range;

/// A message as it came, whatever its encoding.
#[derive(Clone, Copy, Debug, Default)]
pub struct Message<'a> {
    /// The value: a fact in one of the encodings of conventions.md.
    pub value: Option<&'a [u8]>,
    /// `<program>/<member>`. If there is one, the writer checks it against the body.
    pub key: Option<&'a [u8]>,
    /// Headers, in order.
    pub headers: &'a [(&'a str, Option<&'a [u8]>)],
    /// When it was sent, ms since 1970; stands in for an `occurred_at` that isn't there.
    pub timestamp_ms: Option<i64>,
    /// Kafka's offset; ignored where the log itself counts.
    pub offset: i64,
}

/// To whom a batch is answered, when it is durable or lost.
#[derive(Default)]
pub enum Reply {
    /// To nobody.
    #[default]
    None,
    /// How many went which way.
    Counts(Box<dyn FnOnce(Result<Counts, IngestError>) + Send>),
    /// One receipt a message, in order; none for a message that was already in the log.
    Receipts(Box<dyn FnOnce(Result<Vec<Receipt>, IngestError>) + Send>),
}

/// Messages for one shard, in order.
#[derive(Default)]
pub struct Batch {
    bytes: Vec<u8>,
    records: Vec<Stored>,
    headers: Vec<(Range<usize>, Option<Range<usize>>)>,
    pub(crate) reply: Reply,
    /// Set when it is handed in.
    pub(crate) shard: u32,
}

struct Stored {
    value: Option<Range<usize>>,
    key: Option<Range<usize>>,
    headers: Range<usize>,
    timestamp_ms: Option<i64>,
    offset: i64,
    unreadable_headers: bool,
}

/// A message in a batch.
#[derive(Clone, Copy)]
pub(crate) struct Record<'a> {
    batch: &'a Batch,
    stored: &'a Stored,
}

impl Batch {
    /// Adds a message.
    pub fn push(&mut self, message: &Message<'_>) {
        let value = message.value.map(|value| self.store(value));
        let key = message.key.map(|key| self.store(key));
        let at = self.headers.len();
        let (timestamp_ms, offset) = (message.timestamp_ms, message.offset);
        self.records.push(Stored { value, key, headers: at..at, timestamp_ms, offset, unreadable_headers: false });
        for (name, value) in message.headers {
            self.push_header(name, *value);
        }
    }

    /// Adds a header to the message pushed last.
    pub fn push_header(&mut self, name: &str, value: Option<&[u8]>) {
        let header = (self.store(name.as_bytes()), value.map(|value| self.store(value)));
        self.headers.push(header);
        if let Some(last) = self.records.last_mut() {
            last.headers.end = self.headers.len();
        }
    }

    /// The headers of the message pushed last can't be read: it is a dead letter, with those that came before.
    pub fn headers_unreadable(&mut self) {
        if let Some(last) = self.records.last_mut() {
            last.unreadable_headers = true;
        }
    }

    /// Who gets the answer.
    pub fn reply_to(&mut self, reply: Reply) {
        self.reply = reply;
    }

    /// Messages in it.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Bytes of keys, values and headers.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Makes it empty; the buffers stay.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.records.clear();
        self.headers.clear();
        self.reply = Reply::None;
    }

    /// Tells whoever waits for it that it is lost.
    pub(crate) fn refuse(&mut self, reason: &str) {
        let error = IngestError::Stopped { shard: self.shard, reason: reason.to_owned() };
        match std::mem::take(&mut self.reply) {
            Reply::None => {}
            Reply::Counts(to) => to(Err(error)),
            Reply::Receipts(to) => to(Err(error)),
        }
    }

    pub(crate) fn records(&self) -> impl ExactSizeIterator<Item = Record<'_>> {
        self.records.iter().map(|stored| Record { batch: self, stored })
    }

    pub(crate) fn last_timestamp_ms(&self) -> Option<i64> {
        self.records.last()?.timestamp_ms
    }

    fn store(&mut self, bytes: &[u8]) -> Range<usize> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        start..self.bytes.len()
    }
}

/// Nobody waits for ever: what is dropped on the way is told so.
impl Drop for Batch {
    fn drop(&mut self) {
        if !matches!(self.reply, Reply::None) {
            self.refuse("its writer has ended");
        }
    }
}

impl std::fmt::Debug for Batch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Batch").field("messages", &self.len()).field("bytes", &self.bytes()).finish_non_exhaustive()
    }
}

impl<'a> Record<'a> {
    pub(crate) fn value(self) -> Option<&'a [u8]> {
        self.stored.value.clone().map(|at| &self.batch.bytes[at])
    }

    pub(crate) fn key(self) -> Option<&'a [u8]> {
        self.stored.key.clone().map(|at| &self.batch.bytes[at])
    }

    pub(crate) fn timestamp_ms(self) -> Option<i64> {
        self.stored.timestamp_ms
    }

    pub(crate) fn offset(self) -> i64 {
        self.stored.offset
    }

    pub(crate) fn unreadable_headers(self) -> bool {
        self.stored.unreadable_headers
    }

    /// Names and values; names were text when they were pushed.
    pub(crate) fn headers(self) -> impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)> {
        let bytes = &self.batch.bytes;
        let of_record = &self.batch.headers[self.stored.headers.clone()];
        of_record.iter().map(|(name, value)| (&bytes[name.clone()], value.clone().map(|at| &bytes[at])))
    }
}

impl accrue_proto::Headers for Record<'_> {
    fn get(&self, name: &str) -> Option<&[u8]> {
        if self.stored.headers.is_empty() {
            return None;
        }
        self.headers().filter(|(known, _)| *known == name.as_bytes()).last()?.1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use accrue_proto::Headers;

    #[test]
    fn messages_come_out_as_they_went_in() {
        let mut batch = Batch::default();
        batch.push(&Message { value: Some(b"one"), key: Some(b"k"), offset: 7, ..Message::default() });
        batch.push(&Message {
            headers: &[("a", Some(b"1")), ("b", None), ("a", Some(b"2"))],
            timestamp_ms: Some(3),
            ..Message::default()
        });
        batch.push_header("c", Some(b""));
        batch.headers_unreadable();
        assert_eq!(batch.len(), 2);
        let records: Vec<_> = batch.records().collect();
        assert_eq!((records[0].value(), records[0].key(), records[0].offset()), (Some(&b"one"[..]), Some(&b"k"[..]), 7));
        assert_eq!((records[0].get("a"), records[0].headers().count(), records[0].unreadable_headers()), (None, 0, false));
        assert_eq!((records[1].value(), records[1].key(), records[1].timestamp_ms()), (None, None, Some(3)));
        assert_eq!(records[1].get("a"), Some(&b"2"[..]), "of several the last");
        assert_eq!((records[1].get("b"), records[1].get("c"), records[1].headers().count()), (None, Some(&b""[..]), 4));
        assert!(records[1].unreadable_headers());
        batch.clear();
        assert_eq!((batch.len(), batch.bytes()), (0, 0));
    }
}
