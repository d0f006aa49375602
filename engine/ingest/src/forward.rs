//! Facts that follow from one member's for another: on their way from the log to the shard of the other member.
//!
//! They are in the log, beside the frame that leads to them, before anybody sends them; a mark says how far they were sent and
//! moves only when they are durable (or acknowledged) where they go. So a crash sends some twice, which the other shard takes for
//! duplicates by their ids, and none not at all. One thread for all shards: writers never wait for each other.

mod mark;

use crate::writer::WriterHandle;
use crate::{IngestError, clock::Stopwatch};
use accrue_store::{Position, ShardLog};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError, bounded};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// Between two looks when nobody rings.
const EVERY: Duration = Duration::from_millis(250);
/// Facts carried at once, unless one frame leads to more.
const FACTS_MAX: usize = 500;
/// The mark is written at most so often: what a crash sends twice.
const MARK_EVERY: Duration = Duration::from_secs(1);
/// … but when so many frames lead nowhere: what a start reads again.
const MARK_FRAMES: u64 = 100_000;
/// Looks to skip after one that failed.
const SKIPPED_LOOKS: u32 = 4;
/// Between two looks at whether everything has arrived.
const SETTLE_EVERY: Duration = Duration::from_millis(2);

/// Rung by writers, so that what follows is sent at once. Silent where nobody listens.
#[derive(Clone, Default)]
pub(crate) struct Bell(Option<Sender<()>>);

impl Bell {
    pub(crate) fn new() -> (Bell, Receiver<()>) {
        let (ring, rung) = bounded(1);
        (Bell(Some(ring)), rung)
    }

    pub(crate) fn ring(&self) {
        // Full: it has been rung already.
        let _ = self.0.as_ref().map(|ring| ring.try_send(()));
    }
}

/// Brings facts to the shards of their members.
pub(crate) trait Carry: Send {
    /// Returns when all of them are safe there.
    ///
    /// # Errors
    /// Nothing is known of them: all are carried again.
    fn carry(&mut self, facts: &[Vec<u8>]) -> Result<(), IngestError>;
}

type Lanes = Arc<Mutex<BTreeMap<u32, Lane>>>;

/// The thread that sends them on.
pub(crate) struct Forward {
    lanes: Lanes,
    bell: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Clone)]
struct Lane {
    handle: WriterHandle,
    /// The first position that was not sent on.
    next: Position,
    /// The mark in the file.
    marked: Position,
    /// Before this, the log alone knows what leads on.
    opened_at: Position,
}

impl Forward {
    /// # Errors
    /// The thread can't be started.
    pub(crate) fn start(rung: Receiver<()>, carry: Box<dyn Carry>) -> Result<Forward, IngestError> {
        let lanes = Lanes::default();
        let (bell, stopped) = bounded(0);
        let work = Work { lanes: Arc::clone(&lanes), carry, marked: Stopwatch::start(), said: None, skip: 0 };
        let name = "forward".to_owned();
        let spawned = std::thread::Builder::new().name(name.clone()).spawn(move || work.run(&rung, &stopped));
        let thread = spawned.map_err(|error| IngestError::Thread { name, detail: error.to_string() })?;
        Ok(Forward { lanes, bell: Some(bell), thread: Some(thread) })
    }

    /// Sends on what follows from this shard's log, from its mark on.
    pub(crate) fn add(&self, handle: &WriterHandle) {
        let log = handle.log();
        let next = mark::read(log);
        let lane = Lane { handle: handle.clone(), next, marked: next, opened_at: log.head().next_position };
        self.lanes.lock().insert(log.shard(), lane);
    }

    pub(crate) fn remove(&self, shard: u32) {
        self.lanes.lock().remove(&shard);
    }

    /// Whether, in that time, nothing was left to send and nothing came of what was sent.
    pub(crate) fn settle(&self, at_most: Duration) -> bool {
        let watch = Stopwatch::start();
        let look = || -> Vec<(Position, Position)> {
            self.lanes.lock().values().map(|lane| (lane.next, lane.handle.log().head().next_position)).collect()
        };
        loop {
            let before = look();
            std::thread::sleep(SETTLE_EVERY);
            if before == look() && before.iter().all(|(next, head)| next >= head) {
                return true;
            }
            if watch.elapsed() >= at_most {
                return false;
            }
        }
    }

    /// Ends it, the marks written.
    pub(crate) fn stop(&mut self) {
        drop(self.bell.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that sends on what follows for other members ended by a panic");
        }
        self.lanes.lock().clear();
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        self.stop();
    }
}

struct Work {
    lanes: Lanes,
    carry: Box<dyn Carry>,
    marked: Stopwatch,
    /// What was complained about last: each trouble is told once.
    said: Option<String>,
    skip: u32,
}

impl Work {
    fn run(mut self, rung: &Receiver<()>, stopped: &Receiver<()>) {
        loop {
            crossbeam_channel::select! {
                recv(rung) -> bell => if bell.is_err() {
                    // Every writer is gone: only the end is waited for.
                    if let Err(RecvTimeoutError::Disconnected) = stopped.recv_timeout(EVERY) { break }
                },
                recv(stopped) -> _ => break,
                default(EVERY) => {}
            }
            if self.skip > 0 {
                self.skip -= 1;
                std::thread::sleep(EVERY);
                continue;
            }
            self.look(&|| matches!(stopped.try_recv(), Err(TryRecvError::Disconnected)));
        }
        let lanes: Vec<Lane> = self.lanes.lock().values().cloned().collect();
        for mut lane in lanes {
            if let Err(error) = set_mark(&mut lane) {
                tracing::warn!(shard = lane.handle.shard(), %error, "some of what follows for other members is sent again");
            }
        }
    }

    fn look(&mut self, enough: &impl Fn() -> bool) {
        let lanes: Vec<Lane> = self.lanes.lock().values().cloned().collect();
        let mark = self.marked.elapsed() >= MARK_EVERY;
        for mut lane in lanes {
            let result = self.send_on(&mut lane, mark, enough);
            match result {
                Ok(()) => {}
                Err(error) => {
                    let (shard, text) = (lane.handle.shard(), error.to_string());
                    if self.said.as_ref() != Some(&text) {
                        tracing::error!(shard, error = text, "what follows for other members waits in the log");
                        self.said = Some(text);
                    }
                    self.skip = SKIPPED_LOOKS;
                    return;
                }
            }
        }
        if mark {
            self.marked = Stopwatch::start();
        }
        self.said = None;
    }

    fn keep(&self, lane: &Lane) {
        if let Some(known) = self.lanes.lock().get_mut(&lane.handle.shard()) {
            (known.next, known.marked) = (lane.next, lane.marked);
        }
    }

    /// # Errors
    /// The log can't be read, the mark can't be written, or what follows could not be carried.
    fn send_on(&mut self, lane: &mut Lane, mark: bool, enough: &impl Fn() -> bool) -> Result<(), IngestError> {
        // In this order: what leads on is told before it is in the log.
        let end = lane.handle.log().head().next_position;
        let leads_on = lane.handle.status().leads_on();
        while lane.next < end && !enough() {
            if lane.next >= lane.opened_at && leads_on < lane.next {
                lane.next = end;
            } else {
                let (facts, next) = gather(lane.handle.log(), lane.next, end)?;
                if !facts.is_empty() {
                    self.carry.carry(&facts)?;
                }
                lane.next = next;
            }
            self.keep(lane);
        }
        if lane.next > lane.marked && (mark || lane.next.0 - lane.marked.0 > MARK_FRAMES) {
            set_mark(lane)?;
            self.keep(lane);
        }
        Ok(())
    }
}

fn set_mark(lane: &mut Lane) -> Result<(), IngestError> {
    if lane.next > lane.marked {
        mark::write(lane.handle.log(), lane.next)?;
        lane.marked = lane.next;
    }
    Ok(())
}

/// What follows from the next frames, and the position behind them.
fn gather(log: &ShardLog, from: Position, end: Position) -> Result<(Vec<Vec<u8>>, Position), IngestError> {
    let mut facts: Vec<Vec<u8>> = Vec::new();
    let mut next = from;
    let mut scan = log.scan_range(from, end);
    while let Some(block) = scan.next_block()? {
        for frame in block.frames_from(from).take_while(|frame| frame.position < end) {
            facts.extend(frame.derived.map(<[u8]>::to_vec));
            next = frame.position.next();
            if facts.len() >= FACTS_MAX {
                return Ok((facts, next));
            }
        }
    }
    Ok((facts, end.max(next)))
}
