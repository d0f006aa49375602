//! Replays: entries under any rules in the order of members, or facts in the order of the log, as a stream that can be taken up
//! again where it ended.
//!
//! Entries come by shard, then by the hash under which merges gather members, then by program, id and number. That order depends
//! on nothing but the log before the positions that the first token names.

mod asked;
mod lines;
mod resume;
pub mod token;

pub use asked::{Replay, ReplayAsked, ReplayForm};
pub use lines::{Line, Lines, To, columns};
pub use resume::last_token;

use crate::past::{Members, Past, PastAsked, ShardPast};
use accrue_ledger::{Instant, Text};
use accrue_projections::export::{EntryRow, FactRow, Json, Selection, Tables, entry_rows};
use accrue_projections::{ProjectionError, Swept, decision_of};
use accrue_proto::json::{Defaults, decision_to_json, fact_to_json};
use accrue_proto::{pb, read_decision, read_fact};
use accrue_store::{Frame, Position};
use anyhow::Result;
use prost::Message as _;
use token::{Head, Place};

/// Frames between two looks at how far it is.
const PROGRESS_FRAMES: u64 = 4_096;

/// What is replayed.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Which past.
    pub past: PastAsked,
    /// Facts, not entries.
    pub facts: bool,
    /// Only this member.
    pub member: Option<String>,
    /// What happened at or after this …
    pub from: Instant,
    /// … and before this.
    pub until: Instant,
}

impl Default for Asked {
    /// All entries.
    fn default() -> Asked {
        Asked { past: PastAsked::default(), facts: false, member: None, from: Instant::MIN, until: Instant::MAX }
    }
}

/// Entries of some members, each with its place.
type Told = Vec<(Text, EntryRow, Place)>;

/// Replays: every row behind `after`.
///
/// # Errors
/// The log can't be read, or `lines` can't be written.
pub fn replay(
    past: &Past,
    asked: &Asked,
    after: Option<&Place>,
    lines: &mut Lines,
    mut progress: impl FnMut(u32, Swept),
) -> Result<()> {
    let before = past.shards.iter().map(|shard| (shard.open.reader.shard(), shard.until.0)).collect();
    let head = Head { at: past.at, before, log: token::log(past)?, question: token::question(asked) }.text();
    if asked.facts {
        return past.shards.iter().try_for_each(|shard| facts(past, shard, asked, after, &head, lines, &mut progress));
    }
    let of = Selection { tables: Tables::default(), from: asked.from, until: asked.until };
    let mut failed = None;
    let folded = past.fold(
        Members { member: asked.member.as_deref(), from: after.map_or((0, 0), |place| (place.shard, place.order)) },
        Told::new,
        |told, shard, folded| {
            let member = token::name(folded.program, folded.member);
            let here = |entry: u64| Place { shard, order: folded.hash, member: member.clone(), entry };
            // Whoever is before the place was told; of the one at it, the rest is.
            let first = match after {
                Some(after) if here(0).cmp_member(after).is_lt() => return Ok(()),
                Some(after) if here(0).cmp_member(after).is_eq() => after.entry + 1,
                _ => 0,
            };
            let rows = entry_rows(folded, &of, usize::try_from(first).unwrap_or(usize::MAX));
            told.extend(rows.into_iter().map(|row| {
                let place = here(row.entry.unsigned_abs());
                (Text::new(folded.program), row, place)
            }));
            Ok(())
        },
        |shard, told, swept| {
            progress(shard, swept);
            let mut write = || -> Result<()> {
                for (program, row, place) in &told {
                    lines.put(&Line { program: Some(program.clone()), row, token: &place.token(&head) })?;
                }
                lines.flush()
            };
            write().map_err(|error| {
                failed = Some(error);
                ProjectionError::NobodyTakes
            })
        },
    );
    failed.map_or_else(|| Ok(folded?), Err)
}

impl Place {
    /// Which of two members comes first.
    fn cmp_member(&self, other: &Place) -> std::cmp::Ordering {
        (self.shard, self.order, &self.member).cmp(&(other.shard, other.order, &other.member))
    }
}

/// The facts of a shard.
fn facts(
    past: &Past,
    shard: &ShardPast,
    asked: &Asked,
    after: Option<&Place>,
    head: &str,
    lines: &mut Lines,
    progress: &mut impl FnMut(u32, Swept),
) -> Result<()> {
    let number = shard.open.reader.shard();
    let from = match after {
        Some(after) if number < after.shard => return Ok(()),
        Some(after) if number == after.shard => Position(after.order + 1),
        _ => Position::FIRST,
    };
    let of = shard.until.0.saturating_sub(from.0);
    shard.open.log.for_each(from, shard.until, |frame| -> Result<()> {
        let facts = frame.position.0.saturating_sub(from.0) + 1;
        if facts.is_multiple_of(PROGRESS_FRAMES) || facts == of {
            progress(number, Swept { facts, of });
            lines.flush()?;
        }
        let Some(row) = fact_row(past, shard, asked, number, frame)? else { return Ok(()) };
        let place = Place { shard: number, order: frame.position.0, member: String::new(), entry: 0 };
        lines.put(&Line { program: None, row: &row, token: &place.token(head) })
    })
}

/// `None`: it is not asked for. What goes between shards stands in its own shard.
fn fact_row(past: &Past, shard: &ShardPast, asked: &Asked, number: u32, frame: &Frame<'_>) -> Result<Option<FactRow>> {
    let then = asked.from <= frame.occurred_at && frame.occurred_at < asked.until && frame.occurred_at <= past.at;
    let known = past.recorded.is_none_or(|recorded| frame.recorded_at <= recorded);
    if !then || !known || frame.kind.is_of_hand_over() {
        return Ok(None);
    }
    let unread = |error| ProjectionError::Frame { position: frame.position, error };
    let fact = read_fact(frame.fact).map_err(unread)?;
    let rules = shard.rules.get(fact.program);
    if rules.is_none() || asked.member.as_ref().is_some_and(|member| *member != fact.member) {
        return Ok(None);
    }
    let currency = rules.and_then(|rules| Some(rules.at(frame.occurred_at)?.currency.clone()));
    let told = match frame.kind.is_personal() {
        true => None,
        false => {
            let defaults = Defaults { currency: currency.as_deref() };
            Some(Json(fact_to_json(&pb::Fact::decode(frame.fact)?, &defaults).to_string()))
        }
    };
    let decision = decision_of(frame).map(read_decision).transpose().map_err(unread)?;
    Ok(Some(FactRow {
        shard: i64::from(number),
        position: i64::try_from(frame.position.0).unwrap_or(i64::MAX),
        recorded_at: frame.recorded_at,
        occurred_at: frame.occurred_at,
        program: Text::new(fact.program),
        member: Text::new(fact.member),
        kind: frame.kind.name(),
        source: Text::new(fact.source),
        id: Text::new(fact.id),
        late: frame.late,
        fact: told,
        decision: decision.map(|decision| Json(decision_to_json(&decision).to_string())),
    }))
}
