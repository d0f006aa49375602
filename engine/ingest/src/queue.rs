//! The bounded queue before a writer: what is put in is taken, or refused when the writer has ended; never forgotten.
//!
//! A bounded channel keeps what was sent between the receiver's last look and its end. So whoever sends looks afterwards
//! whether the writer has ended, and then empties the queue itself.

use crate::Batch;
use crossbeam_channel::{Receiver, RecvTimeoutError, SendTimeoutError, Sender, bounded, select};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

pub(crate) enum Job {
    Batch(Batch),
    /// Look whether you are to stop.
    Wake,
}

/// Where batches are put in.
#[derive(Clone)]
pub(crate) struct In {
    jobs: Sender<Job>,
    left: Receiver<Job>,
    ended: Arc<AtomicBool>,
}

/// Where the writer takes them out.
pub(crate) struct Out {
    jobs: Receiver<Job>,
    /// Wakes it as well.
    bell: Receiver<()>,
    ended: Arc<AtomicBool>,
}

/// Nobody takes anything out any more.
pub(crate) struct Ended;

pub(crate) fn queue(bound: usize, bell: Receiver<()>) -> (In, Out) {
    let (sender, jobs) = bounded(bound.max(1));
    let ended = Arc::new(AtomicBool::new(false));
    (In { jobs: sender, left: jobs.clone(), ended: Arc::clone(&ended) }, Out { jobs, bell, ended })
}

impl In {
    /// Puts a batch in; waits for room at most that long, or as long as it takes. `Ok(Some)`: there was none.
    ///
    /// # Errors
    /// The writer has ended; the batch is refused.
    pub(crate) fn put(&self, batch: Batch, wait: Option<Duration>, reason: impl Fn() -> String) -> Result<Option<Batch>, Ended> {
        let refuse = |mut batch: Batch| {
            batch.refuse(&reason());
            Err(Ended)
        };
        if self.has_ended() {
            return refuse(batch);
        }
        let sent = match wait {
            None => self.jobs.send(Job::Batch(batch)).map_err(|error| error.0),
            Some(wait) => match self.jobs.send_timeout(Job::Batch(batch), wait) {
                Err(SendTimeoutError::Timeout(Job::Batch(batch))) => return Ok(Some(batch)),
                sent => sent.map_err(SendTimeoutError::into_inner),
            },
        };
        match sent {
            Err(Job::Batch(batch)) => refuse(batch),
            Ok(()) | Err(Job::Wake) if self.has_ended() => {
                refuse_all(&self.left, &reason());
                Err(Ended)
            }
            Ok(()) | Err(Job::Wake) => Ok(None),
        }
    }

    /// Makes the writer look at its flags, behind what is in the queue.
    pub(crate) fn wake(&self) {
        // It takes out what is in the queue or has ended: there will be room, or nobody to wake.
        while !self.has_ended() {
            match self.jobs.send_timeout(Job::Wake, Duration::from_millis(10)) {
                Err(SendTimeoutError::Timeout(_)) => {}
                Ok(()) | Err(SendTimeoutError::Disconnected(_)) => return,
            }
        }
    }

    /// As [`Self::wake`], but a full queue wakes it too.
    pub(crate) fn nudge(&self) {
        let _ = self.jobs.try_send(Job::Wake);
    }

    fn has_ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }
}

impl Out {
    /// The next, or what there is instead.
    ///
    /// # Errors
    /// Nothing came in that time, or nobody can put anything in any more.
    pub(crate) fn take(&self, wait: Duration) -> Result<Job, RecvTimeoutError> {
        if let Ok(job) = self.jobs.try_recv() {
            return Ok(job);
        }
        select! {
            recv(self.jobs) -> job => job.map_err(|_| RecvTimeoutError::Disconnected),
            recv(self.bell) -> _ => Ok(Job::Wake),
            default(wait) => Err(RecvTimeoutError::Timeout),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// Ends it: what is in it is refused, and so is everything after.
    pub(crate) fn end(&self, reason: &str) {
        self.ended.store(true, Ordering::SeqCst);
        refuse_all(&self.jobs, reason);
    }
}

fn refuse_all(jobs: &Receiver<Job>, reason: &str) {
    for job in jobs.try_iter() {
        if let Job::Batch(mut batch) = job {
            batch.refuse(reason);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Reply;
    use crossbeam_channel::never;
    use std::sync::atomic::AtomicUsize;

    #[test]
    fn every_batch_is_answered_however_it_races() {
        for _ in 0..200 {
            let (put, take) = queue(2, never());
            let answered = Arc::new(AtomicUsize::new(0));
            let senders: Vec<_> = (0..3)
                .map(|_| {
                    let (put, answered) = (put.clone(), Arc::clone(&answered));
                    std::thread::spawn(move || {
                        for _ in 0..20 {
                            let (mut batch, answered) = (Batch::default(), Arc::clone(&answered));
                            batch.reply_to(Reply::Counts(Box::new(move |result| {
                                assert!(result.is_err());
                                answered.fetch_add(1, Ordering::SeqCst);
                            })));
                            let _ = put.put(batch, None, || "ended".to_owned());
                        }
                    })
                })
                .collect();
            for _ in 0..10 {
                drop(take.take(Duration::from_secs(1)));
            }
            take.end("ended");
            senders.into_iter().for_each(|sender| sender.join().expect("no panic"));
            assert_eq!(answered.load(Ordering::SeqCst), 60);
            assert!(put.put(Batch::default(), None, String::new).is_err());
            put.wake();
        }
    }

    #[test]
    fn a_full_queue_gives_the_batch_back() {
        let (put, take) = queue(1, never());
        assert!(matches!(put.put(Batch::default(), Some(Duration::ZERO), String::new), Ok(None)));
        assert!(matches!(put.put(Batch::default(), Some(Duration::ZERO), String::new), Ok(Some(_))));
        assert!(!take.is_empty());
        put.nudge();
        drop(put);
        assert!(take.take(Duration::ZERO).is_ok(), "what was put in is still there");
        assert!(take.take(Duration::ZERO).is_err());
    }

    #[test]
    fn a_bell_wakes_it() {
        let (ring, bell) = bounded(1);
        let (_put, take) = queue(1, bell);
        std::thread::scope(|scope| {
            let woken = scope.spawn(|| take.take(Duration::from_secs(60)));
            ring.send(()).expect("heard");
            assert!(matches!(woken.join().expect("no panic"), Ok(Job::Wake)));
        });
    }
}
