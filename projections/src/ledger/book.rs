//! Booking a new fact: decide if it is a request, fold it, keep what it changed.

use super::Ledger;
use super::hand_over::Parcel;
use super::merge::Change;
use crate::error::ProjectionError;
use crate::rows::{PAGE_ENTRIES_MAX, RecordRow, append_entry, later, remembered};
use crate::shared::Tiers;
use crate::tier::{Arena, PagePart, Slot, weight};
use crate::totals::Totals;
use accrue_ledger::{
    Deciding, Decision, EntryKind, EntryRef, Fact, Fold, Instant, Kind, RecordKey, Sink, Text, Timeline, Why, decide,
    decision_at, must_fold_again,
};
use accrue_store::{Candidate, Group, Position, Verdict, member_hash};
use smallvec::SmallVec;

/// Entries on their way into a member's page and the program's totals.
pub(super) struct Page<'a> {
    pub program: &'a str,
    pub rules: &'a Timeline,
    pub first: u32,
    pub bytes: &'a mut Vec<u8>,
    /// Number of the first entry of each part, and where it starts in `bytes`.
    pub parts: &'a mut SmallVec<[(u32, usize); 2]>,
    pub totals: &'a mut Totals,
    /// Codes that were handed out, and by what.
    pub codes: &'a mut Vec<(Box<str>, RecordKey)>,
}

impl Sink for Page<'_> {
    fn entry(&mut self, number: u32, entry: &EntryRef<'_>) {
        if (number - self.first).is_multiple_of(PAGE_ENTRIES_MAX) {
            self.parts.push((number, self.bytes.len()));
        }
        append_entry(self.bytes, entry);
        self.codes.extend(handed_out(entry));
        if let Some(rules) = self.rules.at(entry.at) {
            self.totals.add(self.program, rules, entry, 1);
        }
    }
}

/// The code that an entry tells of the first time, and the key of its redemption or grant.
fn handed_out(entry: &EntryRef<'_>) -> Option<(Box<str>, RecordKey)> {
    let by_till = entry.kind == EntryKind::CouponUsed && entry.source_kind == Kind::RedemptionRecorded as u8;
    if entry.kind != EntryKind::CouponIssued && !by_till {
        return None;
    }
    let family = if entry.source_kind == Kind::RewardGranted as u8 { Kind::RewardGranted } else { Kind::RedemptionRequested };
    match &entry.why {
        Why::Coupon { code, .. } => Some((code.as_str().into(), RecordKey::new(family, entry.source))),
        _ => None,
    }
}

/// One fact being booked.
pub(super) struct Booking<'a> {
    pub candidate: &'a Candidate<'a>,
    /// What came: the same, or what it was forwarded in.
    pub cause: &'a Candidate<'a>,
    pub rules: &'a Timeline,
    pub position: Position,
    /// Frames that are not in the log yet.
    pub pending: Option<&'a Group>,
    pub owner: Owner,
}

/// What became of a fact that was folded.
pub(super) struct Folded {
    late: bool,
    parked: bool,
    /// What is to be sent so that members that are one come together.
    pub derived: Vec<u8>,
}

/// The member whose state a fact is folded into: its own, or the winner that it is an alias of.
pub(super) struct Owner {
    pub hash: u64,
    winner: Option<Text>,
}

impl Owner {
    pub(super) fn of(candidate: &Candidate<'_>, winner: Option<Text>) -> Owner {
        let hash = winner.as_ref().map_or(candidate.hash, |winner| member_hash(candidate.fact.program, winner));
        Owner { hash, winner }
    }

    pub(super) fn member<'a>(&'a self, fact: &Fact<'a>) -> &'a str {
        self.winner.as_deref().unwrap_or(fact.member)
    }

    fn is_another(&self) -> bool {
        self.winner.is_some()
    }
}

impl Ledger {
    /// Judges a request (on what is known before its position) and books the fact.
    pub(super) fn book(&mut self, tiers: &mut Tiers, booking: Booking<'_>) -> Result<Verdict, ProjectionError> {
        let fact = booking.candidate.fact;
        let (booking, mut before) = self.place(tiers, booking)?;
        if tiers.merges && !fact.kind.links_members() && tiers.counts_here(fact.program, fact.member)? == Some(false) {
            return self.book_apart(tiers, &booking, before);
        }
        let (decision, folded) = self.fold_first(tiers, &booking, None)?;
        before.extend(folded.derived);
        if fact.kind.links_members() {
            let mut parcel = Parcel::new(self, booking.cause);
            self.send_on(tiers, booking.candidate, &mut parcel)?;
            before.extend(parcel.list);
        }
        Ok(Verdict::New { decision, late: folded.late, parked: folded.parked, derived: before })
    }

    /// Folds a fact that comes for the first time, or a request: judged on what is known, if nobody has decided on it (`given`).
    /// With what follows from it.
    pub(super) fn fold_first(
        &mut self,
        tiers: &mut Tiers,
        booking: &Booking<'_>,
        given: Option<&Decision>,
    ) -> Result<(Option<Decision>, Folded), ProjectionError> {
        let fact = booking.candidate.fact;
        let slot = self.open_slot(tiers, booking)?;
        let decided = (fact.kind.is_request() && given.is_none()).then(|| self.decide(tiers, slot, booking));
        let before = self.ties(tiers, slot, booking)?;
        let mut folded = self.fold(tiers, slot, booking, given.or(decided.as_ref()))?;
        let after = self.ties(tiers, slot, booking)?;
        let of = (booking.rules, booking.position);
        folded.derived.extend(self.onward(fact, decided.as_ref(), of, (&before, &after)));
        Ok((decided, folded))
    }

    /// Folds a fact, or a request with the decision that it has, once more.
    pub(super) fn fold_booked(
        &mut self,
        tiers: &mut Tiers,
        booking: &Booking<'_>,
        decision: Option<&Decision>,
    ) -> Result<Folded, ProjectionError> {
        let slot = self.open_slot(tiers, booking)?;
        self.fold(tiers, slot, booking, decision)
    }

    /// The first fact of somebody whom only merges named says that this is its own shard.
    fn place<'a>(&mut self, tiers: &mut Tiers, booking: Booking<'a>) -> Result<(Booking<'a>, Vec<u8>), ProjectionError> {
        let fact = booking.candidate.fact;
        let named = if tiers.merges { tiers.links(fact.program, fact.member)?.flatten() } else { None };
        if named.is_none_or(|links| links.custody.own) {
            return Ok((booking, Vec::new()));
        }
        let Booking { candidate, cause, rules, position, pending, .. } = booking;
        let gathered = self.gather(tiers, &Change { cause, rules, position, pending, fact: None, received: Vec::new() })?;
        self.site = None;
        let owner = Owner::of(candidate, tiers.winner(candidate.hash, fact.program, fact.member)?);
        Ok((Booking { candidate, cause, rules, position, pending, owner }, gathered.derived))
    }

    /// Books a fact of the log again, with the decision it has there.
    pub(super) fn book_decided(
        &mut self,
        tiers: &mut Tiers,
        booking: Booking<'_>,
        decision: Option<&Decision>,
    ) -> Result<(), ProjectionError> {
        let fact = booking.candidate.fact;
        let (booking, _) = self.place(tiers, booking)?;
        if tiers.merges && !fact.kind.links_members() && tiers.counts_here(fact.program, fact.member)? == Some(false) {
            self.book_apart(tiers, &booking, Vec::new())?;
        } else {
            self.fold_booked(tiers, &booking, decision)?;
        }
        Ok(())
    }

    fn open_slot(&mut self, tiers: &mut Tiers, booking: &Booking<'_>) -> Result<u32, ProjectionError> {
        let fact = booking.candidate.fact;
        let slot = tiers.slot_of(booking.owner.hash, fact.program, booking.owner.member(fact))?;
        self.load_needs(tiers, slot, booking.candidate.fact)?;
        Ok(slot)
    }

    fn decide(&self, tiers: &Tiers, slot: u32, booking: &Booking<'_>) -> Decision {
        let fact = booking.candidate.fact;
        let state = &tiers.live.slots[slot as usize].state;
        let at = decision_at(state, fact);
        let with = Deciding { rules: booking.rules, secret: &self.secret, saw_position: booking.position.0 - 1 };
        if state.next_boundary_under(booking.rules) > at {
            return decide(state, &self.records, fact, at, with);
        }
        // Time passes before the request is judged; the state itself moves on when the decision is folded.
        let (mut state, mut records) = (state.clone(), self.records.clone());
        Fold::new(&mut state, &mut records, booking.rules, &mut ()).advance(at);
        decide(&state, &records, fact, at, with)
    }

    fn fold(
        &mut self,
        tiers: &mut Tiers,
        slot: u32,
        booking: &Booking<'_>,
        decision: Option<&Decision>,
    ) -> Result<Folded, ProjectionError> {
        let (fact, position) = (booking.candidate.fact, booking.position);
        let state = &tiers.live.slots[slot as usize].state;
        let late = must_fold_again(state, fact, decision.map(|decision| decision.at));
        let tied = state.links().is_some() && (late || !state.known);
        let mut derived = Vec::new();
        let parked = if tied || fact.kind.links_members() {
            self.records = accrue_ledger::Records::default();
            let (rules, pending) = (booking.rules, booking.pending);
            let fact = Some((booking.candidate, decision));
            let change = Change { cause: booking.cause, rules, position, pending, fact, received: Vec::new() };
            let gathered = self.gather(tiers, &change)?;
            derived = gathered.derived;
            gathered.parked
        } else if late {
            self.records = accrue_ledger::Records::default();
            self.fold_again(tiers, slot, booking, decision)?
        } else {
            self.fold_on(tiers, slot, booking, decision)?
        };
        let at = decision.map_or(fact.occurred_at, |decision| decision.at);
        let of = &mut tiers.live.slots[slot as usize];
        (of.next, of.dirty) = (position.next(), true);
        tiers.live.facts += 1;
        tiers.put_identity(booking.candidate.identity, position);
        tiers.next = position.next();
        tiers.latest = Instant(later(tiers.latest.0, at));
        self.note_person(tiers, slot, booking)?;
        if derived.is_empty() && matches!(fact.kind, Kind::MemberErased | Kind::MemberRegistered) {
            derived = self.tell_guests(tiers, slot, booking)?;
        }
        Ok(Folded { late, parked, derived })
    }

    /// In order: on top of what is there.
    fn fold_on(
        &mut self,
        tiers: &mut Tiers,
        slot: u32,
        booking: &Booking<'_>,
        decision: Option<&Decision>,
    ) -> Result<bool, ProjectionError> {
        let (mut codes, mut parts) = (Vec::new(), SmallVec::new());
        let Tiers { live, totals, .. } = &mut *tiers;
        let of = &mut live.slots[slot as usize];
        let before = weight(&of.state);
        let (bytes, _) = live.arena.open();
        let mut page = Page {
            program: booking.candidate.fact.program,
            rules: booking.rules,
            first: of.state.entries,
            bytes,
            parts: &mut parts,
            totals,
            codes: &mut codes,
        };
        let applied =
            Fold::new(&mut of.state, &mut self.records, booking.rules, &mut page).apply(booking.candidate.fact, decision);
        let end = bytes.len();
        keep_parts(of, &live.arena, &parts, end);
        if booking.owner.is_another() {
            // An alias keeps the list of its own facts: it may be parted again.
            let fact = booking.candidate.fact;
            let own = tiers.slot_of(booking.candidate.hash, fact.program, fact.member)?;
            let own = &mut tiers.live.slots[own as usize];
            own.positions.push(booking.position.0);
            (own.next, own.dirty) = (booking.position.next(), true);
        } else {
            of.positions.push(booking.position.0);
        }
        let Tiers { live, .. } = &mut *tiers;
        let of = &live.slots[slot as usize];
        live.bytes = (live.bytes + weight(&of.state) + 24).saturating_sub(before);
        live.coupons.extend(codes.into_iter().map(|(code, key)| (slot, code, key)));
        self.keep_records(tiers, slot, booking.candidate.fact, booking.position)?;
        Ok(applied.parked)
    }

    /// Writes what the fold changed beside the state, and remembers the fact's natural id.
    fn keep_records(&mut self, tiers: &mut Tiers, slot: u32, fact: &Fact<'_>, position: Position) -> Result<(), ProjectionError> {
        let natural = remembered(fact);
        let mut remembered = false;
        for (key, record) in self.records.drain_changed() {
            let mut row = self.take_record(tiers, slot, key)?;
            if let Some((_, version)) = natural.filter(|(of_fact, _)| *of_fact == key) {
                row.firsts.push((version, position.0));
                remembered = true;
            }
            row.record = record;
            tiers.put_record(slot, key, &row);
        }
        if let Some((key, version)) = natural.filter(|_| !remembered) {
            let mut row = self.take_record(tiers, slot, key)?;
            row.firsts.push((version, position.0));
            tiers.put_record(slot, key, &row);
        }
        Ok(())
    }
}

impl Ledger {
    /// A record's row to be changed and put back; empty: a new one.
    fn take_record(&mut self, tiers: &Tiers, slot: u32, key: RecordKey) -> Result<RecordRow, ProjectionError> {
        match self.site.take_if(|(known, _)| *known == key) {
            Some((_, row)) => Ok(row),
            None => Ok(self.fetch_record(tiers, slot, key)?.unwrap_or_default()),
        }
    }
}

/// Notes where the entries are that were appended to the arena's open chunk.
pub(super) fn keep_parts(of: &mut Slot, arena: &Arena, parts: &[(u32, usize)], end: usize) {
    let ends = parts.iter().skip(1).map(|(_, start)| *start).chain([end]);
    let kept = parts.iter().zip(ends).map(|((first, start), end)| PagePart { first: *first, span: arena.span(*start, end) });
    of.pages.extend(kept);
}
