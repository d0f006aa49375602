//! The head witness: a small file outside the database that says how far the log had come.
//!
//! RocksDB opens silently short when the live write-ahead log is damaged or gone. The witness is written at most
//! [`WITNESS_EVERY`] behind the log and on a clean close; a log that opens behind its witness is consumed again from
//! its topic, or refused where there is none. While it is consumed again the witness is kept as the goal, marked
//! `healing`: the blocks come out differently cut, so only the offsets can be compared.

use crate::head::{Head, SourceOffset};
use crate::{Position, StoreError, sealed};
use parking_lot::{Mutex, RwLock};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often heads that moved are witnessed.
pub(crate) const WITNESS_EVERY: Duration = Duration::from_millis(500);

/// What the witness saw: the head of a shard at some moment.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Witness {
    /// The shard.
    pub shard: u32,
    /// The position that the next frame was to get.
    pub next_position: Position,
    /// Blocks appended.
    pub block_seq: u64,
    /// Hash of the last block.
    pub chain: [u8; 32],
    /// How far each source was read.
    pub sources: Vec<SourceOffset>,
    /// The log came back short and is being consumed again up to here.
    pub healing: bool,
}

/// A log that came back short of its witness and can be consumed again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shortfall {
    /// Up to where.
    pub witness: Witness,
    /// From where.
    pub head: Arc<Head>,
}

/// What a log is to its witness.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// At it, or past it on the same chain.
    Whole,
    /// Behind it; the topics can be read again.
    Short,
    /// Behind it for good.
    Lost,
    /// On another chain.
    Other,
}

impl Witness {
    pub(crate) fn of(shard: u32, head: &Head) -> Witness {
        Witness {
            shard,
            next_position: head.next_position,
            block_seq: head.block_seq,
            chain: head.chain,
            sources: head.sources.clone(),
            healing: false,
        }
    }

    /// Judges a log by its head and by the hash that the block after the witness names as the one before
    /// (`None`: there is no such block at that position).
    pub(crate) fn judge(&self, head: &Head, before_next: Option<[u8; 32]>) -> Judgement {
        let (mut topics_behind, mut embedded_behind) = (false, false);
        for seen in &self.sources {
            let behind = head.next_offset(seen.source()).unwrap_or(-1) < seen.next_offset;
            topics_behind |= behind && seen.topic.is_some();
            embedded_behind |= behind && seen.topic.is_none();
        }
        if self.healing {
            return match (embedded_behind, topics_behind) {
                (true, _) => Judgement::Lost,
                (false, true) => Judgement::Short,
                (false, false) => Judgement::Whole,
            };
        }
        if head.block_seq < self.block_seq {
            return if topics_behind && !embedded_behind { Judgement::Short } else { Judgement::Lost };
        }
        let chain = if head.block_seq == self.block_seq { Some(head.chain) } else { before_next };
        let same = chain == Some(self.chain) && head.next_position >= self.next_position;
        if same { Judgement::Whole } else { Judgement::Other }
    }

    fn reached_by(&self, head: &Head) -> bool {
        self.sources.iter().all(|goal| head.next_offset(goal.source()).unwrap_or(-1) >= goal.next_offset)
    }
}

/// The part of an open log that the witness thread may hold: it keeps no database and no lock alive.
pub(crate) struct Keeper {
    shard: u32,
    file: PathBuf,
    head: RwLock<Arc<Head>>,
    poison: OnceLock<String>,
    state: Mutex<State>,
}

struct State {
    /// Block number last witnessed.
    written: Option<u64>,
    /// Set while the log is behind this.
    goal: Option<Witness>,
    /// Before the log is found whole, and after its last witness: nothing is written.
    closed: bool,
}

impl Keeper {
    /// Writes nothing until the head is accepted: a log that is refused must not overwrite what refused it.
    pub(crate) fn new(shard: u32, file: PathBuf) -> Keeper {
        let state = State { written: None, goal: None, closed: true };
        Keeper { shard, file, head: RwLock::new(Arc::new(Head::empty())), poison: OnceLock::new(), state: Mutex::new(state) }
    }

    /// The log was judged, and this is its head.
    pub(crate) fn accept(&self, head: Head) {
        self.set_head(Arc::new(head));
        self.state.lock().closed = false;
    }

    pub(crate) fn head(&self) -> Arc<Head> {
        Arc::clone(&self.head.read())
    }

    pub(crate) fn set_head(&self, head: Arc<Head>) {
        *self.head.write() = head;
    }

    pub(crate) fn poison(&self, cause: &StoreError) {
        if self.poison.set(cause.to_string()).is_ok() {
            tracing::error!(shard = self.shard, %cause, "the shard takes no more writes");
        }
    }

    pub(crate) fn check(&self) -> Result<(), StoreError> {
        match self.poison.get() {
            None => Ok(()),
            Some(cause) => Err(StoreError::Poisoned { shard: self.shard, cause: cause.clone() }),
        }
    }

    /// From now on the witness stays where it is until the log has reached it.
    ///
    /// # Errors
    /// The witness can't be written.
    pub(crate) fn heal(&self, witness: &Witness) -> Result<(), StoreError> {
        let goal = Witness { healing: true, ..witness.clone() };
        sealed::write(&self.file, &goal)?;
        self.state.lock().goal = Some(goal);
        Ok(())
    }

    pub(crate) fn shortfall(&self) -> Option<Shortfall> {
        let witness = self.state.lock().goal.clone()?;
        let head = self.head();
        (!witness.reached_by(&head)).then_some(Shortfall { witness, head })
    }

    /// Writes the witness if the head has moved. A failure is fatal for the shard: without a witness a short log
    /// would go unnoticed.
    ///
    /// # Errors
    /// The witness can't be written.
    pub(crate) fn witness(&self) -> Result<(), StoreError> {
        let mut state = self.state.lock();
        let head = self.head();
        if state.closed || state.written == Some(head.block_seq) {
            return Ok(());
        }
        if let Some(goal) = &state.goal {
            if !goal.reached_by(&head) {
                return Ok(());
            }
            tracing::info!(shard = self.shard, position = head.next_position.0, "the log has reached its witness again");
        }
        sealed::write(&self.file, &Witness::of(self.shard, &head)).inspect_err(|error| self.poison(error))?;
        state.goal = None;
        state.written = Some(head.block_seq);
        Ok(())
    }

    /// The last witness; nothing is written after it.
    ///
    /// # Errors
    /// The witness can't be written.
    pub(crate) fn close(&self) -> Result<(), StoreError> {
        let result = self.witness();
        self.state.lock().closed = true;
        result
    }
}

/// Reads a shard's witness.
///
/// # Errors
/// It is missing, damaged, or that of another shard.
pub(crate) fn read(file: &Path, shard: u32) -> Result<Witness, StoreError> {
    let damaged = |detail: &str| StoreError::Damaged { path: file.to_path_buf(), detail: detail.to_owned() };
    let witness: Witness = sealed::read(file)?.ok_or_else(|| damaged("it is missing"))?;
    if witness.shard == shard { Ok(witness) } else { Err(damaged("it is that of another shard")) }
}

/// Writes the witness of a shard that has no log yet.
///
/// # Errors
/// The witness can't be written.
pub(crate) fn create(file: &Path, shard: u32) -> Result<(), StoreError> {
    sealed::write(file, &Witness::of(shard, &Head::empty()))
}

/// The thread that witnesses all open logs of a store.
pub(crate) struct WitnessThread {
    keepers: Arc<Mutex<Vec<Weak<Keeper>>>>,
    stop: Option<crossbeam_channel::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl WitnessThread {
    /// # Errors
    /// The thread can't be started.
    pub(crate) fn start() -> std::io::Result<WitnessThread> {
        let keepers: Arc<Mutex<Vec<Weak<Keeper>>>> = Arc::default();
        let (stop, stopped) = crossbeam_channel::bounded::<()>(0);
        let watched = Arc::clone(&keepers);
        let thread = std::thread::Builder::new().name("witness".into()).spawn(move || {
            while let Err(crossbeam_channel::RecvTimeoutError::Timeout) = stopped.recv_timeout(WITNESS_EVERY) {
                let open: Vec<_> = {
                    let mut watched = watched.lock();
                    watched.retain(|keeper| keeper.strong_count() > 0);
                    watched.iter().filter_map(Weak::upgrade).collect()
                };
                for keeper in open {
                    // A failure has poisoned the shard and is in the log.
                    let _ = keeper.witness();
                }
            }
        })?;
        Ok(WitnessThread { keepers, stop: Some(stop), thread: Some(thread) })
    }

    pub(crate) fn watch(&self, keeper: &Arc<Keeper>) {
        self.keepers.lock().push(Arc::downgrade(keeper));
    }
}

impl Drop for WitnessThread {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the witness thread ended by a panic");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(position: u64, seq: u64, chain: u8, offset: i64, topic: Option<&str>) -> Head {
        Head {
            next_position: Position(position),
            block_seq: seq,
            chain: [chain; 32],
            sources: vec![SourceOffset { topic: topic.map(str::to_owned), next_offset: offset }],
            ..Head::empty()
        }
    }

    #[test]
    fn a_log_is_judged() {
        let topic = Some("t");
        let witness = Witness::of(0, &head(10, 3, 7, 20, topic));
        assert_eq!(witness.judge(&head(10, 3, 7, 20, topic), None), Judgement::Whole);
        assert_eq!(witness.judge(&head(12, 4, 9, 22, topic), Some([7; 32])), Judgement::Whole);
        assert_eq!(witness.judge(&head(10, 3, 8, 20, topic), None), Judgement::Other);
        assert_eq!(witness.judge(&head(12, 4, 9, 22, topic), Some([8; 32])), Judgement::Other);
        assert_eq!(witness.judge(&head(12, 4, 9, 22, topic), None), Judgement::Other);
        assert_eq!(witness.judge(&head(8, 2, 5, 15, topic), None), Judgement::Short);
        assert_eq!(witness.judge(&Head::empty(), None), Judgement::Short);
        assert_eq!(witness.judge(&head(8, 2, 5, 20, topic), None), Judgement::Lost, "nothing to consume again");
        let embedded = Witness::of(0, &head(10, 3, 7, 20, None));
        assert_eq!(embedded.judge(&head(8, 2, 5, 15, None), None), Judgement::Lost);
        let healing = Witness { healing: true, ..witness };
        assert_eq!(healing.judge(&head(10, 9, 1, 19, topic), None), Judgement::Short);
        assert_eq!(healing.judge(&head(9, 9, 1, 20, topic), None), Judgement::Whole, "cut differently");
    }

    #[test]
    fn a_goal_is_kept_until_reached() {
        let dir = tempfile::tempdir().expect("dir");
        let file = dir.path().join("witness");
        let keeper = Keeper::new(0, file.clone());
        keeper.witness().expect("not accepted yet");
        assert!(!file.exists());
        keeper.accept(head(5, 2, 1, 8, Some("t")));
        keeper.heal(&Witness::of(0, &head(10, 3, 7, 20, Some("t")))).expect("written");
        keeper.witness().expect("nothing");
        assert!(read(&file, 0).expect("read").healing);
        assert_eq!(keeper.shortfall().map(|short| short.head.next_position), Some(Position(5)));
        keeper.set_head(Arc::new(head(11, 4, 2, 21, Some("t"))));
        assert_eq!(keeper.shortfall(), None);
        keeper.close().expect("written");
        let last = read(&file, 0).expect("read");
        assert_eq!((last.healing, last.next_position), (false, Position(11)));
        keeper.set_head(Arc::new(head(12, 5, 2, 22, Some("t"))));
        keeper.witness().expect("closed");
        assert_eq!(read(&file, 0).expect("read").next_position, Position(11), "closed");
    }

    #[test]
    fn the_witness_of_another_shard_is_refused() {
        let dir = tempfile::tempdir().expect("dir");
        let file = dir.path().join("witness");
        assert!(read(&file, 1).is_err(), "missing");
        create(&file, 1).expect("written");
        assert!(read(&file, 1).is_ok());
        assert!(read(&file, 2).is_err(), "of another");
    }
}
