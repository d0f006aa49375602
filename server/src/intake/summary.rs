//! What became of everything that was handed in.

use accrue_ingest::{Outcome, Receipt};
use accrue_ledger::Outcome as Answer;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Troubles that are told one by one; the rest is counted.
const TROUBLES_TOLD_MAX: usize = 20;

/// Counts by outcome, and by code what was not booked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    counts: BTreeMap<&'static str, u64>,
    codes: BTreeMap<String, u64>,
    troubles: Vec<String>,
    rejections: Vec<String>,
}

const OUTCOMES: [&str; 7] = ["applied", "accepted", "rejected", "parked", "duplicate", "conflict", "refused"];

impl Summary {
    /// Counts a receipt of a service; `place`: where its fact was.
    pub fn add(&mut self, receipt: &Value, place: impl FnOnce() -> String) {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let decided = receipt["decision"]["outcome"].as_str();
        match (receipt["outcome"].as_str().unwrap_or_default(), decided) {
            ("booked", None) => self.count_one("applied"),
            ("booked", Some("accepted")) => self.count_one("accepted"),
            ("booked", Some(_)) => self.rejected(&text(&receipt["decision"]["reason"]), place),
            ("parked", _) => self.count_one("parked"),
            ("duplicate", _) => self.count_one("duplicate"),
            ("sent", _) => self.sent(),
            (trouble, _) => {
                let outcome = if trouble == "conflict" { "conflict" } else { "refused" };
                let letter = text(&receipt["dead_letter"]);
                self.trouble(outcome, &text(&receipt["code"]), || {
                    format!("{}: {} (dead letter {letter})", place(), text(&receipt["detail"]))
                });
            }
        }
    }

    /// The same, without the way over JSON.
    pub fn receipt(&mut self, receipt: &Receipt, place: impl FnOnce() -> String) {
        let shard = receipt.shard;
        match &receipt.outcome {
            Outcome::Booked { parked: true, .. } => self.count_one("parked"),
            Outcome::Booked { decision: None, .. } => self.count_one("applied"),
            Outcome::Booked { decision: Some(decision), .. } => match &decision.outcome {
                Answer::Accepted(_) => self.count_one("accepted"),
                Answer::Rejected(reason) => self.rejected(reason.name(), place),
            },
            Outcome::Duplicate { .. } => self.count_one("duplicate"),
            Outcome::Conflict { detail, dead_letter, .. } => {
                self.trouble("conflict", "conflict", || format!("{}: {detail} (dead letter {shard}/{dead_letter})", place()));
            }
            Outcome::Refused { code, detail, dead_letter } => {
                self.trouble("refused", code, || format!("{}: {detail} (dead letter {shard}/{dead_letter})", place()));
            }
        }
    }

    fn count_one(&mut self, outcome: &'static str) {
        *self.counts.entry(outcome).or_default() += 1;
    }

    fn rejected(&mut self, reason: &str, place: impl FnOnce() -> String) {
        self.count_one("rejected");
        if self.rejections.len() < TROUBLES_TOLD_MAX {
            self.rejections.push(format!("{}: rejected, {reason}", place()));
        }
        *self.codes.entry(format!("rejected: {reason}")).or_default() += 1;
    }

    fn trouble(&mut self, outcome: &'static str, code: &str, told: impl FnOnce() -> String) {
        self.count_one(outcome);
        *self.codes.entry(format!("{outcome}: {code}")).or_default() += 1;
        if self.troubles.len() < TROUBLES_TOLD_MAX {
            self.troubles.push(told());
        }
    }

    /// Counts what was handed over to Kafka: what becomes of it, only the service knows.
    pub fn sent(&mut self) {
        self.count_one("sent");
    }

    /// Of what was handed over, no broker took this many; `first`: the first of them.
    pub fn not_sent(&mut self, count: u64, first: impl FnOnce() -> String) {
        if count > 0 {
            *self.counts.entry("sent").or_default() -= count;
            *self.counts.entry("failed").or_default() += count;
            self.troubles.push(first());
        }
    }

    /// Adds another's.
    pub fn merge(&mut self, more: Summary) {
        more.counts.into_iter().for_each(|(outcome, count)| *self.counts.entry(outcome).or_default() += count);
        more.codes.into_iter().for_each(|(code, count)| *self.codes.entry(code).or_default() += count);
        let room = TROUBLES_TOLD_MAX.saturating_sub(self.troubles.len());
        self.troubles.extend(more.troubles.into_iter().take(room));
        let room = TROUBLES_TOLD_MAX.saturating_sub(self.rejections.len());
        self.rejections.extend(more.rejections.into_iter().take(room));
    }

    /// How many of an outcome.
    pub fn count(&self, outcome: &str) -> u64 {
        self.counts.get(outcome).copied().unwrap_or(0)
    }

    /// Everything handed in.
    pub fn total(&self) -> u64 {
        self.counts.values().sum()
    }

    /// The first troubles, one line each.
    pub fn troubles(&self) -> &[String] {
        &self.troubles
    }

    /// The first requests that were decided with no, one line each: right answers, but not what an import expects.
    pub fn rejections(&self) -> &[String] {
        &self.rejections
    }

    /// Outcomes in their order, then codes: what and how many.
    pub fn rows(&self) -> Vec<(String, u64)> {
        let outcomes = OUTCOMES
            .into_iter()
            .chain(["sent", "failed"])
            .filter_map(|outcome| Some((outcome.to_owned(), *self.counts.get(outcome)?)));
        outcomes.chain(self.codes.iter().map(|(code, count)| (format!("  {code}"), *count))).collect()
    }

    /// For programs.
    pub fn json(&self) -> Value {
        json!({ "total": self.total(), "outcomes": self.counts, "reasons": self.codes, "troubles": self.troubles })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_count_alike() {
        use crate::intake::receipt_json;
        use accrue_ledger::{Decision, Instant, Promise, Rejection};
        use accrue_store::Position;
        let decided = |outcome| Some(Decision { at: Instant(0), outcome, ruleset: 1, balance_before: 0, saw_position: 0 });
        let booked = |decision, parked| Outcome::Booked { position: Position(1), decision, late: false, parked };
        let outcomes = [
            booked(None, false),
            booked(None, true),
            booked(decided(Answer::Accepted(Promise::default())), false),
            booked(decided(Answer::Rejected(Rejection::LimitReached)), false),
            Outcome::Duplicate { first: Position(1), decision: None, parked: false },
            Outcome::Conflict { first: Position(1), detail: "a".into(), dead_letter: 1 },
            Outcome::Refused { code: "wrong_key", detail: "b".into(), dead_letter: 2 },
        ];
        let (mut here, mut there) = (Summary::default(), Summary::default());
        for outcome in outcomes {
            let receipt = Receipt { shard: 3, outcome };
            here.receipt(&receipt, String::new);
            there.add(&receipt_json(&receipt), String::new);
        }
        assert_eq!((here.total(), here.rows().len()), (7, 10));
        assert_eq!(here, there);
    }

    #[test]
    fn everything_is_counted_once() {
        let mut summary = Summary::default();
        let receipts = [
            json!({"outcome": "booked"}),
            json!({"outcome": "booked", "decision": {"outcome": "accepted"}}),
            json!({"outcome": "booked", "decision": {"outcome": "rejected", "reason": "insufficient_points"}}),
            json!({"outcome": "parked"}),
            json!({"outcome": "duplicate", "decision": {"outcome": "accepted"}}),
            json!({"outcome": "refused", "code": "wrong_key", "detail": "x", "dead_letter": "0/1"}),
        ];
        receipts.iter().for_each(|receipt| summary.add(receipt, || "f line 3".to_owned()));
        assert_eq!(summary.total(), 6);
        assert_eq!(summary.troubles(), ["f line 3: x (dead letter 0/1)"]);
        let rows: Vec<String> = summary.rows().into_iter().map(|(name, count)| format!("{name} {count}")).collect();
        let expected = [
            "applied 1",
            "accepted 1",
            "rejected 1",
            "parked 1",
            "duplicate 1",
            "refused 1",
            "  refused: wrong_key 1",
            "  rejected: insufficient_points 1",
        ];
        assert_eq!(rows, expected);
    }
}
