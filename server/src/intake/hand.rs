//! Hands facts in from a command: into the store itself, to the service that has it, or into the topic.

use super::produce::{Produce, key_of};
use super::{Summary, receipt_json, rekey};
use crate::answers::{Found, find};
use crate::client::Client;
use crate::config::Config;
use crate::failure::Failure;
use crate::problem::Problem;
use crate::readers::Readers;
use accrue_ingest::facts_file::Form;
use accrue_ingest::{Embedded, EmbeddedOptions, Message, WriterOptions, requeue_embedded};
use accrue_proto::json::{Defaults, fact_to_json};
use accrue_proto::pb;
use accrue_store::Store;
use anyhow::{Context as _, Result, anyhow};
use prost::Message as _;
use serde_json::Value;
use std::collections::VecDeque;
use std::sync::Arc;

/// Facts of one request to a service, at most.
const REQUEST_FACTS_MAX: usize = 500;
/// Bytes of one request to a service, at most, unless one fact has more.
const REQUEST_BYTES_MAX: usize = 1024 * 1024;

/// Dead letters handed in again at a time: a service is asked for no more.
pub const REQUEUE_FEW: usize = REQUEST_FACTS_MAX;

/// A fact on its way in.
pub struct Handed<'a> {
    /// Its bytes.
    pub bytes: &'a [u8],
    /// What they are.
    pub form: Form,
    /// `program/member`, if it is known without looking.
    pub key: Option<&'a [u8]>,
}

/// Who takes facts.
pub enum Hand {
    /// The store of this process.
    Embedded(Box<Straight>),
    /// A running service.
    Service(Client),
    /// The topic.
    Kafka(Box<Produce>),
}

/// The store, open for writing.
pub struct Straight {
    /// What it holds, for questions.
    pub readers: Readers,
    embedded: Embedded,
    _store: Store,
}

impl Straight {
    /// Opens all shards of a store for writing.
    ///
    /// # Errors
    /// A shard can't be opened, or the store is filled from Kafka.
    pub fn open(config: &Config, store: Store) -> Result<Straight> {
        if store.embedded_shards().is_none() {
            let path = config.data_dir.display();
            return Err(Failure::usage(format!("the store {path} is filled from Kafka: publish to its topic (--kafka)")));
        }
        let readers = Readers::default();
        readers.set_spread(store.embedded_shards());
        let embedded = Embedded::open(&store, readers.make_inline(config.ledger), options(config, &readers))?;
        Ok(Straight { readers, embedded, _store: store })
    }

    /// The log.
    pub fn embedded(&self) -> &Embedded {
        &self.embedded
    }

    /// Ends it: checkpoints, witnesses. The store is free afterwards.
    ///
    /// # Errors
    /// A shard had failed, or its checkpoint can't be written.
    pub fn close(self) -> Result<()> {
        Ok(self.embedded.stop()?)
    }
}

/// How an embedded log works under a configuration.
pub fn options(config: &Config, readers: &Readers) -> EmbeddedOptions {
    EmbeddedOptions { writer: writer(config, readers), on_shard: readers.on_shard(), ..EmbeddedOptions::default() }
}

/// How writers work under a configuration.
pub fn writer(config: &Config, readers: &Readers) -> WriterOptions {
    let readers = readers.clone();
    WriterOptions {
        group_facts_max: config.group_facts_max,
        group_wait: config.group_wait,
        currencies: Some(Arc::new(move |program: &str| readers.currency(program))),
        ..WriterOptions::default()
    }
}

impl Hand {
    /// Whoever takes facts for this configuration; with `kafka` the topic.
    ///
    /// # Errors
    /// The store can't be opened, or no broker answers.
    pub fn open(config: &Config, url: Option<&str>, kafka: bool) -> Result<Hand> {
        if kafka {
            return Ok(Hand::Kafka(Box::new(Produce::connect(config)?)));
        }
        if let Some(url) = url {
            return Ok(Hand::Service(Client::new(url)));
        }
        match find(config)? {
            Found::Service(client) => Ok(Hand::Service(client)),
            Found::Store(store) => Ok(Hand::Embedded(Box::new(Straight::open(config, store)?))),
        }
    }

    /// For the dead letters of a store that is filled from Kafka: the service that has it, else the topic.
    ///
    /// # Errors
    /// The store can't be opened, or no broker answers.
    pub fn for_letters(config: &Config) -> Result<Hand> {
        match find(config)? {
            Found::Service(client) => Ok(Hand::Service(client)),
            Found::Store(store) if store.embedded_shards().is_some() => {
                Ok(Hand::Embedded(Box::new(Straight::open(config, store)?)))
            }
            Found::Store(store) => Ok(Hand::Kafka(Box::new(Produce::connect(config)?.with(store)))),
        }
    }

    /// Hands facts in, and waits until all are durable. `next` writes a fact into its buffer and says what it is and where
    /// it was; `progress` is told how many are durable. What became of them is added to `summary`, also of those before an error.
    ///
    /// # Errors
    /// `next` fails: what it gave before is handed in all the same. Or a shard or the service has stopped.
    pub fn all(
        &self,
        mut next: impl FnMut(&mut Vec<u8>) -> Option<Result<(Form, Option<String>, String)>>,
        mut progress: impl FnMut(&Summary),
        summary: &mut Summary,
    ) -> Result<()> {
        let mut bytes = Vec::new();
        let mut way = Way::new(self);
        let ended = loop {
            bytes.clear();
            let (form, key, place) = match next(&mut bytes) {
                None => break Ok(()),
                Some(Err(error)) => break Err(error),
                Some(Ok(fact)) => fact,
            };
            way.push(&Handed { bytes: &bytes, form, key: key.as_deref().map(str::as_bytes) }, place, summary)?;
            progress(summary);
        };
        way.finish(summary)?;
        progress(summary);
        ended
    }

    /// Hands dead letters of one shard in again, at most [`REQUEUE_FEW`]; what became of each.
    ///
    /// # Errors
    /// There is none of that number, or the shard has stopped.
    pub fn requeue(&self, shard: u32, numbers: &[u64]) -> Result<Vec<Value>> {
        match self {
            Hand::Service(client) => {
                let letters: Vec<String> = numbers.iter().map(|seq| format!("{shard}/{seq}")).collect();
                client.requeue(&letters)
            }
            Hand::Kafka(produce) => produce.requeue(shard, numbers),
            Hand::Embedded(straight) => {
                let missing =
                    |_| Failure::not_found(format!("there is no dead letter {shard}/{}", numbers.first().unwrap_or(&0)));
                let log = straight.embedded.writer(shard).map_err(missing)?.log().clone();
                let receipts = requeue_embedded(&straight.embedded, &log, numbers, rekey).map_err(Problem::from)?;
                Ok(receipts.iter().map(receipt_json).collect())
            }
        }
    }

    /// Ends it.
    ///
    /// # Errors
    /// A shard had failed.
    pub fn close(self) -> Result<()> {
        match self {
            Hand::Service(_) | Hand::Kafka(_) => Ok(()),
            Hand::Embedded(straight) => straight.close(),
        }
    }
}

/// Facts on their way.
enum Way<'a> {
    Straight { publisher: Box<accrue_ingest::Publisher<'a>>, places: VecDeque<String> },
    Service { client: &'a Client, array: Vec<u8>, places: VecDeque<String> },
    Kafka(&'a Produce),
}

impl<'a> Way<'a> {
    fn new(hand: &'a Hand) -> Way<'a> {
        match hand {
            Hand::Embedded(straight) => {
                let publisher = straight.embedded.publisher().with_receipts();
                Way::Straight { publisher: Box::new(publisher), places: VecDeque::new() }
            }
            Hand::Service(client) => Way::Service { client, array: Vec::new(), places: VecDeque::new() },
            Hand::Kafka(produce) => Way::Kafka(produce),
        }
    }

    fn push(&mut self, fact: &Handed<'_>, place: String, summary: &mut Summary) -> Result<()> {
        match self {
            Way::Straight { publisher, places } => {
                // As the topic is told: what is not even an object is not taken for protobuf.
                let json: &[(&str, Option<&[u8]>)] = &[("content-type", Some(Form::Json.content_type().as_bytes()))];
                let strange = fact.form == Form::Json && fact.bytes.trim_ascii_start().first() != Some(&b'{');
                let headers = if strange { json } else { &[] };
                let message = Message { value: Some(fact.bytes), key: fact.key, headers, ..Message::default() };
                places.push_back(place);
                publisher.push(&message)?;
                take_receipts(publisher, places, summary);
            }
            Way::Service { array, places, .. } => {
                let json = as_json(fact).with_context(|| place.clone())?;
                array.push(if array.is_empty() { b'[' } else { b',' });
                array.extend_from_slice(&json);
                places.push_back(place);
                if places.len() >= REQUEST_FACTS_MAX || array.len() >= REQUEST_BYTES_MAX {
                    self.post(summary)?;
                }
            }
            Way::Kafka(produce) => {
                let key = fact.key.map(<[u8]>::to_vec).or_else(|| key_of(fact));
                produce.push(fact, key.as_deref(), summary).with_context(|| place)?;
            }
        }
        Ok(())
    }

    fn finish(&mut self, summary: &mut Summary) -> Result<()> {
        match self {
            Way::Straight { publisher, places } => {
                publisher.flush()?;
                take_receipts(publisher, places, summary);
                Ok(())
            }
            Way::Service { .. } => self.post(summary),
            Way::Kafka(produce) => produce.flush(summary),
        }
    }

    fn post(&mut self, summary: &mut Summary) -> Result<()> {
        let Way::Service { client, array, places } = self else {
            return Ok(());
        };
        if places.is_empty() {
            return Ok(());
        }
        array.push(b']');
        let receipts = client.facts(array)?;
        array.clear();
        if receipts.len() != places.len() {
            return Err(anyhow!("{} gave {} receipts for {} facts", client.base(), receipts.len(), places.len()));
        }
        receipts.iter().zip(places.drain(..)).for_each(|(receipt, place)| summary.add(receipt, || place));
        Ok(())
    }
}

fn take_receipts(publisher: &mut accrue_ingest::Publisher<'_>, places: &mut VecDeque<String>, summary: &mut Summary) {
    while let Some((_, receipt)) = publisher.receipt() {
        let place = places.pop_front().unwrap_or_default();
        summary.receipt(&receipt, || place);
    }
}

/// A fact as the API takes it.
fn as_json(fact: &Handed<'_>) -> Result<Vec<u8>> {
    match fact.form {
        Form::Json => {
            // Rubbish would spoil the whole request.
            serde_json::from_slice::<serde::de::IgnoredAny>(fact.bytes)
                .context("is no json, and a running service takes nothing else")?;
            Ok(fact.bytes.to_vec())
        }
        Form::Protobuf => {
            let fact = pb::Fact::decode(fact.bytes)?;
            Ok(serde_json::to_vec(&fact_to_json(&fact, &Defaults::default()))?)
        }
    }
}
