//! Milestones: states of members of many facts at instants of their past. An answer about a past folds on from the last before it.
//!
//! They are in memory only and can be dropped at any time: not part of a view, so of no digest. Nobody tells them of a new fact or
//! ruleset: whoever reads compares what they were made from with what there is.

mod course;

pub use course::{Course, Known, Wanted};

use accrue_ledger::Text;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Which members have milestones, how many, and the memory for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MilestoneOptions {
    /// Memory of all together; those of members that nobody asked about for longest go first. 0: there are none.
    pub bytes_max: usize,
    /// Facts of a member that has them, at least.
    pub facts_min: usize,
    /// Facts between two of them, at least.
    pub every: usize,
}

impl Default for MilestoneOptions {
    fn default() -> Self {
        MilestoneOptions { bytes_max: 64 * 1024 * 1024, facts_min: 512, every: 256 }
    }
}

/// What milestones come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MilestoneStatus {
    /// Members that have some.
    pub members: usize,
    /// Memory of them.
    pub bytes: usize,
    /// Answers that began at one.
    pub answers: u64,
}

/// The milestones of a shard's members.
#[derive(Default)]
pub struct Milestones {
    pub options: MilestoneOptions,
    kept: Mutex<Kept>,
    answers: AtomicU64,
}

#[derive(Default)]
struct Kept {
    /// By program and member.
    courses: BTreeMap<(Text, Text), Member>,
    bytes: usize,
    /// How often one was asked for.
    asked: u64,
}

struct Member {
    course: Arc<Mutex<Course>>,
    bytes: usize,
    asked: u64,
}

impl Milestones {
    /// None yet.
    pub fn new(options: MilestoneOptions) -> Milestones {
        Milestones { options, ..Milestones::default() }
    }

    /// Whether a member of so many facts has some.
    pub fn are_for(&self, facts: usize) -> bool {
        self.options.bytes_max > 0 && facts >= self.options.facts_min
    }

    /// Works with the milestones of a member, and keeps what they have become.
    pub fn with<T>(&self, program: &str, member: &str, work: impl FnOnce(&mut Course, MilestoneOptions) -> T) -> T {
        let name = (Text::new(program), Text::new(member));
        let course = {
            let mut kept = self.kept.lock();
            kept.asked += 1;
            let asked = kept.asked;
            let of = kept.courses.entry(name.clone()).or_insert_with(|| Member { course: Arc::default(), bytes: 0, asked });
            of.asked = asked;
            Arc::clone(&of.course)
        };
        let (worked, bytes) = {
            let mut course = course.lock();
            (work(&mut course, self.options), course.bytes())
        };
        self.kept.lock().weigh(&name, bytes, self.options.bytes_max);
        worked
    }

    /// Notes an answer that began at one.
    pub fn answered(&self) {
        self.answers.fetch_add(1, Ordering::Relaxed);
    }

    /// What they come to.
    pub fn status(&self) -> MilestoneStatus {
        let kept = self.kept.lock();
        MilestoneStatus { members: kept.courses.len(), bytes: kept.bytes, answers: self.answers.load(Ordering::Relaxed) }
    }
}

impl Kept {
    fn weigh(&mut self, name: &(Text, Text), bytes: usize, bytes_max: usize) {
        // Somebody else's may have taken its room meanwhile.
        let Some(of) = self.courses.get_mut(name) else { return };
        self.bytes = self.bytes + bytes - of.bytes;
        of.bytes = bytes;
        while self.bytes > bytes_max {
            let oldest = self.courses.iter().min_by_key(|(_, of)| of.asked).map(|(name, _)| name.clone());
            let Some(gone) = oldest.and_then(|oldest| self.courses.remove(&oldest)) else { return };
            self.bytes -= gone.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_nobody_asked_about_for_longest_make_room() {
        let milestones = Milestones::default();
        let has = |kept: &Kept, member: &str| kept.courses.contains_key(&(Text::new("p"), Text::new(member)));
        for member in ["a", "b", "a", "c"] {
            milestones.with("p", member, |_, _| ());
            milestones.kept.lock().weigh(&(Text::new("p"), Text::new(member)), 40, 100);
        }
        let kept = milestones.kept.lock();
        assert!(has(&kept, "a") && !has(&kept, "b") && has(&kept, "c"));
        assert_eq!(kept.bytes, 80);
    }
}
