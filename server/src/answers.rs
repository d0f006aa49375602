//! Who answers a command: a running service, or this process over the data directory itself.

use crate::answering::{Compare, Manage, Otherwise, answer_told, compare, manage, quote, what_if};
use crate::client::{Client, Notice};
use crate::config::Config;
use crate::failure::Failure;
use crate::progress;
use crate::question::{OfMember, Question};
use crate::readers::Readers;
use accrue_ingest::Clock;
use accrue_projections::{Ledger, LedgerOptions, Swept};
use accrue_store::{Store, StoreError, StoreOptions};
use anyhow::{Context as _, Result};
use parking_lot::Mutex;
use serde_json::Value;
use std::time::Duration;

/// Rows asked for at a time.
const PAGE_ROWS: usize = 1_000;
/// How long a command waits for another that has the store for a moment.
const LOCK_WAIT: Duration = Duration::from_secs(5);
/// Between two tries.
const LOCK_LOOK: Duration = Duration::from_millis(50);

/// Somebody who answers.
pub enum Answers {
    /// This process.
    Local(Box<Local>),
    /// A running service, and rows of a page, at most.
    Remote(Client, usize),
    /// Somebody who answers, from a generation that is not live.
    Beside(Box<Answers>, u32),
}

/// The data directory, open for reading.
pub struct Local {
    /// Its shards, each at the end of its log.
    pub readers: Readers,
    /// The store.
    pub store: Store,
    options: LedgerOptions,
}

impl Drop for Local {
    fn drop(&mut self) {
        self.readers.stop_keepers();
    }
}

/// A data directory, or who has it.
pub enum Found {
    /// It is free, and open now.
    Store(Store),
    /// A running service has it.
    Service(Client),
}

impl Answers {
    /// The service at `url`, or the one that has the data directory, or else the directory itself.
    ///
    /// # Errors
    /// There is no store, it can't be read, or somebody else has it.
    pub fn open(config: &Config, url: Option<&str>) -> Result<Answers> {
        let rows = PAGE_ROWS.min(config.http.page_size_max);
        if let Some(url) = url {
            return Ok(Answers::Remote(Client::new(url), rows));
        }
        must_exist(config)?;
        match find(config)? {
            Found::Service(client) => Ok(Answers::Remote(client, rows)),
            Found::Store(store) => Ok(Answers::Local(Box::new(Local::open(config, store)?))),
        }
    }

    /// Who answers from a generation; `None`: from the live one.
    ///
    /// # Errors
    /// The generations here can't be opened.
    pub fn in_generation(self, generation: Option<u32>) -> Result<Answers> {
        let Some(generation) = generation else { return Ok(self) };
        if let Answers::Local(local) = &self {
            local.keep()?;
        }
        Ok(Answers::Beside(Box::new(self), generation))
    }

    /// Manages generations.
    ///
    /// # Errors
    /// It can't be done, or is not allowed.
    pub fn manage(&self, what: &Manage) -> Result<Value> {
        match self {
            Answers::Local(local) => Ok(manage(&local.readers, what, Clock::system().now())?),
            Answers::Remote(client, _) => client.manage(what),
            Answers::Beside(answers, _) => answers.manage(what),
        }
    }

    /// Asks.
    ///
    /// # Errors
    /// What is asked about is not there, or can't be read.
    pub fn ask(&self, question: &Question) -> Result<Value> {
        match self {
            Answers::Local(local) => local.answer(question),
            Answers::Remote(client, _) => client.ask(question),
            Answers::Beside(answers, generation) => answers.ask(&Question::InGeneration(*generation, Box::new(question.clone()))),
        }
    }

    /// What a basket would do: `body` is `{"member": …, "basket": {…}}`.
    ///
    /// # Errors
    /// The basket is none, or can't be judged.
    pub fn quote(&self, program: &str, body: Value) -> Result<Value> {
        match self {
            Answers::Local(local) => {
                let asked = serde_json::from_value(body).context("a basket")?;
                Ok(quote(&local.readers, program, asked, Clock::system().now())?)
            }
            Answers::Remote(client, _) => client.quote(program, &body),
            Answers::Beside(answers, _) => answers.quote(program, body),
        }
    }

    /// What a member would be if something were otherwise.
    ///
    /// # Errors
    /// The member or a fact is not there, or can't be read.
    pub fn what_if(&self, of: &OfMember, asked: Otherwise) -> Result<Value> {
        match self {
            Answers::Local(local) => Ok(what_if(&local.readers, of, asked, Clock::system().now())?),
            Answers::Remote(client, _) => client.what_if(&of.program, &of.member, &serde_json::to_value(asked)?),
            Answers::Beside(answers, _) => answers.what_if(of, asked),
        }
    }

    /// What other rules would make of a program's whole history.
    ///
    /// # Errors
    /// A ruleset is none, or the log can't be read.
    pub fn compare(&self, program: &str, asked: &Compare) -> Result<Value> {
        match self {
            Answers::Local(local) => {
                let bar = progress::facts("folding twice", 0);
                let mut before = 0;
                let mut shards = Vec::new();
                let answer = compare(&local.readers, program, asked, Clock::system().now(), |shard, swept| {
                    if !shards.contains(&shard) {
                        shards.push(shard);
                        bar.inc_length(swept.of);
                        before = 0;
                    }
                    bar.inc(swept.facts - before);
                    before = swept.facts;
                });
                bar.finish_and_clear();
                Ok(answer?)
            }
            Answers::Remote(client, _) => client.compare(program, &serde_json::to_value(asked)?),
            Answers::Beside(answers, _) => answers.compare(program, asked),
        }
    }

    /// How many rows to ask for at a time.
    pub fn page_rows(&self) -> usize {
        match self {
            // Nobody else waits for this process.
            Answers::Local(_) => usize::MAX,
            Answers::Remote(_, rows) => *rows,
            Answers::Beside(answers, _) => answers.page_rows(),
        }
    }

    /// The program that is meant: the one named, else the only one there is.
    ///
    /// # Errors
    /// There is none, or more than one.
    pub fn program(&self, named: Option<&str>) -> Result<String> {
        if let Some(named) = named {
            return Ok(named.to_owned());
        }
        let answer = self.ask(&Question::Programs)?;
        let mut programs: Vec<&str> = answer["programs"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        match (programs.pop(), programs.as_slice()) {
            (Some(only), []) => Ok(only.to_owned()),
            (None, _) => {
                Err(Failure::not_found("there is no program here yet: bring a ruleset into force with `accrue rules activate`"))
            }
            (Some(last), others) => Err(Failure::usage(format!("say which program: {}, {last}", others.join(", ")))),
        }
    }
}

impl Local {
    fn answer(&self, question: &Question) -> Result<Value> {
        let bar = Mutex::new(None);
        let answered = answer_told(&self.readers, question, Clock::system().now(), &|swept: Swept| {
            let mut bar = bar.lock();
            let bar = bar.get_or_insert_with(|| progress::facts("folding everybody", swept.of));
            bar.set_length(swept.of);
            bar.set_position(swept.facts);
        });
        if let Some(bar) = bar.into_inner() {
            bar.finish_and_clear();
        }
        Ok(answered?)
    }

    /// Opens all shards of a store and folds what their views do not have yet.
    ///
    /// # Errors
    /// A shard can't be read.
    pub fn open(config: &Config, store: Store) -> Result<Local> {
        let readers = Readers::default();
        readers.set_spread(Some(store.embedded_shards().unwrap_or(0)));
        let bar = progress::spinner("opening");
        std::thread::scope(|scope| {
            let open = |shard: u32| {
                let (store, readers, bar) = (&store, &readers, &bar);
                scope.spawn(move || -> Result<()> {
                    let mut ledger = Ledger::open(store, shard, config.ledger)?;
                    ledger.derive(|position| {
                        bar.set_message(format!("shard {shard}: applying the log again, position {position}"))
                    })?;
                    readers.add(ledger.reader(), store.shard(shard)?);
                    Ok(())
                })
            };
            let threads: Vec<_> = store.shard_ids().into_iter().map(open).collect();
            threads.into_iter().try_for_each(|thread| {
                thread.join().unwrap_or_else(|_| Err(anyhow::anyhow!("a shard could not be read: its thread panicked")))
            })
        })?;
        bar.finish_and_clear();
        Ok(Local { readers, store, options: config.ledger })
    }

    /// Goes on with the generations that are not live, until it is dropped.
    ///
    /// # Errors
    /// One can't be read.
    pub fn keep(&self) -> Result<()> {
        self.readers.keep(&self.store, self.options)?;
        for open in self.readers.all() {
            open.keeper.iter().try_for_each(accrue_projections::Keeper::wait_until_open)?;
        }
        Ok(())
    }
}

/// Whether there is a store at all: reading makes none.
///
/// # Errors
/// There is none.
pub fn must_exist(config: &Config) -> Result<()> {
    let dir = &config.data_dir;
    match dir.join("FORMAT").try_exists() {
        Ok(true) => return Ok(()),
        Ok(false) => {}
        Err(error) => return Err(Failure::usage(format!("can't look into {}: {error}", dir.display()))),
    }
    Err(Failure::not_found(format!(
        "there is no store in {}: name it with --dir, or make one with `accrue demo`, `accrue publish` or `accrue serve`",
        dir.display()
    )))
}

/// Opens the store, or finds the service that has it. Makes one where there is none.
///
/// # Errors
/// It can't be opened, or somebody has it who does not answer.
pub fn find(config: &Config) -> Result<Found> {
    let mut left = LOCK_WAIT;
    loop {
        let error = match open_store(config) {
            Ok(store) => return Ok(Found::Store(store)),
            Err(error) => error,
        };
        let StoreError::Locked { pid, .. } = &error else {
            return Err(error.into());
        };
        if let Some(notice) = Notice::read(&config.data_dir).filter(|notice| notice.pid.to_string() == *pid) {
            return Ok(Found::Service(Client::new(&notice.url)));
        }
        if left.is_zero() {
            return Err(error).context("no running service answers for it");
        }
        std::thread::sleep(LOCK_LOOK);
        left = left.saturating_sub(LOCK_LOOK);
    }
}

/// Opens the store of a configuration. One that is there keeps its number of shards, unless another is asked for by name.
///
/// # Errors
/// As [`Store::open`].
pub fn open_store(config: &Config) -> Result<Store, StoreError> {
    let embedded_shards = match (&config.kafka, config.data_dir.join("FORMAT").exists()) {
        (Some(_), _) => None,
        (None, true) => config.shards,
        (None, false) => Some(config.shards_new),
    };
    // A store that is filled from Kafka has no embedded shards, and is read all the same.
    Store::open(&config.data_dir, StoreOptions { embedded_shards, ..config.store.clone() })
}
