//! Through the embedded log: in this process, and in one that is killed.

use super::{IN_FORCE_FROM, MEMBERS, POINTS, PROGRAM, RULESET, beginnings, member, redemption, transfer};
use accrue_ingest::{Embedded, EmbeddedOptions, MakeInline, Message, Outcome};
use accrue_ledger::{Instant, Kind, Outcome as Answer, Ruleset};
use accrue_projections::{AsOf, Ledger, LedgerOptions, LedgerReader};
use accrue_proto::{pb, read_decision, read_fact, to_timestamp, write_fact};
use accrue_store::{Position, Store, StoreOptions};
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub const SHARDS: u32 = 4;
const TRANSFERS: u64 = 3_000;
/// Where the child that is killed has its store.
pub const CHILD_DIR: &str = "ACCRUE_LINKS_CHILD_DIR";
pub const ARRIVAL_MAX: Duration = Duration::from_secs(60);
/// Later than everything here.
pub const NOW: Instant = Instant(1_710_000_000_000_000);

type Readers = Arc<Mutex<BTreeMap<u32, LedgerReader>>>;

pub(super) struct Log {
    embedded: Option<Embedded>,
    readers: Readers,
    store: Store,
}

impl Log {
    pub(super) fn open(dir: &Path) -> Result<Log> {
        let store = Store::open(dir, StoreOptions { embedded_shards: Some(SHARDS), ..StoreOptions::default() })?;
        let readers = Readers::default();
        let kept = Arc::clone(&readers);
        let make: MakeInline = Arc::new(move |store, shard| {
            let ledger = Ledger::open(store, shard, LedgerOptions { checkpoint_facts: 200, ..LedgerOptions::default() })?;
            kept.lock().expect("not poisoned").insert(shard, ledger.reader());
            Ok(Box::new(ledger))
        });
        let embedded = Embedded::open(&store, make, EmbeddedOptions::default())?;
        Ok(Log { embedded: Some(embedded), readers, store })
    }

    pub(super) fn begun(dir: &Path) -> Result<Log> {
        let log = Log::open(dir)?;
        let effective_from = Instant::parse(IN_FORCE_FROM).map(to_timestamp);
        let activation =
            pb::RulesetActivated { ruleset: RULESET.to_owned(), hash: Ruleset::parse(RULESET)?.hash_hex(), effective_from };
        let fact = pb::Fact {
            id: "rules".to_owned(),
            source: "test".to_owned(),
            program: PROGRAM.to_owned(),
            occurred_at: effective_from,
            body: Some(pb::fact::Body::RulesetActivated(activation)),
            ..pb::Fact::default()
        };
        let mut bytes = Vec::new();
        write_fact(&fact, &mut bytes);
        log.embedded().publish_fact(&bytes)?;
        log.publish_all(beginnings().into_iter().map(|(_, bytes)| bytes))?;
        Ok(log)
    }

    pub(super) fn embedded(&self) -> &Embedded {
        self.embedded.as_ref().expect("open")
    }

    pub(super) fn publish_all(&self, facts: impl Iterator<Item = Vec<u8>>) -> Result<()> {
        let mut publisher = self.embedded().publisher();
        facts.into_iter().try_for_each(|fact| publisher.push(&Message { value: Some(&fact), ..Message::default() }))?;
        publisher.finish()?;
        Ok(())
    }

    pub(super) fn readers(&self) -> std::sync::MutexGuard<'_, BTreeMap<u32, LedgerReader>> {
        self.readers.lock().expect("not poisoned")
    }

    /// Active points and debt of a member.
    fn balance(&self, who: &str) -> Result<(i64, i64)> {
        let number = |answer: &Value, name: &str| answer["balance"]["main"][name].as_i64().unwrap_or(0);
        let answer = self.answer(who)?;
        Ok((number(&answer, "active"), number(&answer, "debt")))
    }

    /// A member, as the API tells it; null: it is not known.
    pub(super) fn answer(&self, who: &str) -> Result<Value> {
        for reader in self.readers().values() {
            if let Some(answer) = reader.member(PROGRAM, who, AsOf::default(), NOW)? {
                return Ok(serde_json::to_value(answer)?);
            }
        }
        Ok(Value::Null)
    }

    /// Frames in all shards.
    pub(super) fn booked(&self) -> Result<u64> {
        let next = self.store.shard_ids().into_iter().map(|shard| Ok(self.store.shard(shard)?.head().next_position.0));
        next.collect::<Result<Vec<u64>>>().map(|next| next.into_iter().sum())
    }

    /// Deletes all views, and the marks of how far everything was sent.
    pub(super) fn forget_all(dir: &Path) -> Result<()> {
        for shard in 0..SHARDS {
            let shard = dir.join("shards").join(format!("{shard:04}"));
            std::fs::remove_dir_all(shard.join("views"))?;
            std::fs::remove_file(shard.join("forwarded"))?;
        }
        Ok(())
    }

    pub(super) fn digests(&self) -> Result<Vec<String>> {
        let readers = self.readers.lock().expect("not poisoned");
        readers.values().map(|reader| Ok(reader.digest(PROGRAM)?.to_string())).collect()
    }

    /// What was sent and what has come, by the log alone: each transfer that was accepted came in once, with its points.
    fn sent_is_received(&self) -> Result<u64> {
        let (mut sent, mut received) = (BTreeMap::new(), BTreeMap::new());
        for shard in 0..SHARDS {
            self.store.shard(shard)?.for_each(Position::FIRST, Position::MAX, |frame| -> Result<()> {
                let fact = read_fact(frame.fact)?;
                let accepted = |bytes| -> Result<Option<i64>> {
                    Ok(match read_decision(bytes)?.outcome {
                        Answer::Accepted(promise) => Some(promise.points),
                        Answer::Rejected(_) => None,
                    })
                };
                let points = frame.decision.map(accepted).transpose()?.flatten();
                match (fact.kind, &fact.body, points) {
                    (Kind::PointsTransferred, _, Some(points)) => {
                        let id = fact.natural_key().context("a key")?.id.to_owned();
                        ensure!(sent.insert(id, points).is_none(), "booked twice");
                    }
                    (Kind::PointsReceived, accrue_ledger::Body::PointsReceived(of), Some(points)) => {
                        ensure!(received.insert(of.transfer_id.to_owned(), points).is_none(), "{} came twice", of.transfer_id);
                    }
                    _ => {}
                }
                Ok(())
            })?;
        }
        ensure!(sent == received, "{} were sent, {} came", sent.len(), received.len());
        Ok(sent.len() as u64)
    }

    fn total(&self) -> Result<i64> {
        (0..MEMBERS).try_fold(0, |sum, number| {
            let (active, debt) = self.balance(&member(number))?;
            Ok(sum + active - debt)
        })
    }

    pub(super) fn stop(mut self) -> Result<()> {
        self.readers().clear();
        Ok(self.embedded.take().context("open")?.stop()?)
    }
}

#[test]
fn one_of_a_thousand_gets_the_points() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let log = Log::begun(dir.path())?;
    let accepted: usize = std::thread::scope(|scope| {
        let askers: Vec<_> = (0..100_u64)
            .map(|asker| {
                let log = &log;
                scope.spawn(move || {
                    let ask = |number: u64| {
                        let receipt = log.embedded().publish_fact(&redemption("m1", asker * 10 + number)).expect("answered");
                        let Outcome::Booked { decision: Some(decision), .. } = receipt.outcome else { panic!("{receipt:?}") };
                        matches!(decision.outcome, Answer::Accepted(_))
                    };
                    (0..10).filter(|number| ask(*number)).count()
                })
            })
            .collect();
        askers.into_iter().map(|asker| asker.join().expect("no panic")).sum()
    });
    ensure!(accepted == 1, "{accepted} of 1,000 were accepted");
    ensure!(log.balance("m1")? == (0, 0), "{:?}", log.balance("m1")?);
    log.stop()
}

/// The child of the next test: books transfers until it is killed.
#[test]
#[ignore = "run by the next test, which kills it"]
fn books_until_it_is_killed() -> Result<()> {
    let dir = std::env::var_os(CHILD_DIR).context("the directory")?;
    let log = Log::open(Path::new(&dir))?;
    for number in log.booked()? % 1_000..TRANSFERS {
        log.embedded().publish_fact(&transfer(number).1)?;
    }
    log.stop()
}

#[test]
fn transfers_between_shards_survive_kills_once_each() -> Result<()> {
    const KILLS: u64 = 8;
    let dir = tempfile::tempdir()?;
    Log::begun(dir.path())?.stop()?;
    for kill in 1..=KILLS {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["--exact", "embedded::books_until_it_is_killed", "--ignored"])
            .env(CHILD_DIR, dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        std::thread::sleep(Duration::from_millis(400 + 170 * kill));
        child.kill()?;
        child.wait()?;
    }
    let log = Log::open(dir.path())?;
    let shards = (0..SHARDS).map(|shard| Ok(log.store.shard(shard)?.head().counters.requests_accepted));
    let before: u64 = shards.collect::<Result<Vec<_>>>()?.into_iter().sum();
    ensure!(before > 200, "the children booked only {before}");
    log.publish_all((0..TRANSFERS).map(|number| transfer(number).1))?;
    ensure!(log.embedded().settle(ARRIVAL_MAX), "something is still on its way");
    let sent = log.sent_is_received()?;
    ensure!(sent > TRANSFERS / 4, "only {sent} were accepted");
    ensure!(log.total()? == MEMBERS as i64 * POINTS, "{} points of {}", log.total()?, MEMBERS as i64 * POINTS);
    let live = log.digests()?;
    log.stop()?;
    for shard in 0..SHARDS {
        std::fs::remove_dir_all(dir.path().join("shards").join(format!("{shard:04}")).join("views"))?;
    }
    let again = Log::open(dir.path())?;
    ensure!(again.embedded().settle(ARRIVAL_MAX), "a rebuild sends nothing");
    ensure!(again.digests()? == live, "rebuilt is not live");
    ensure!(again.sent_is_received()? == sent, "a rebuild sent something");
    // The marks are gone: everything is sent once more, and known.
    again.stop()?;
    for shard in 0..SHARDS {
        std::fs::remove_file(dir.path().join("shards").join(format!("{shard:04}")).join("forwarded"))?;
    }
    let again = Log::open(dir.path())?;
    ensure!(again.embedded().settle(ARRIVAL_MAX), "something is still on its way");
    ensure!(again.sent_is_received()? == sent && again.digests()? == live, "what was sent twice was booked twice");
    again.stop()
}
