//! Lots, each told by what is different from the one before: those of one order share all but rule, number and points.

use super::{Damaged, Pack, Packed};
use crate::account::{Allocation, Lot, RuleIndex};
use crate::{Instant, Text};
use std::collections::VecDeque;

/// What a lot has in common with the one before, and what else is to be said of it.
const SAME_SOURCE: u8 = 1;
const SAME_RULESET: u8 = 2;
const NEXT_NUMBER: u8 = 4;
const SAME_END: u8 = 8;
/// The end is whole hours after the source happened, and told as such.
const END_AFTER_SOURCE: u8 = 16;
const OF_RULE: u8 = 32;
const WAITS: u8 = 64;
/// Less is left than there was.
const USED: u8 = 128;

const HOUR: i64 = 3_600_000_000;

/// What the first lot of a list is compared with.
fn before_first() -> Lot {
    Lot {
        number: 0,
        source_kind: 0,
        source: Text::default(),
        occurred_at: Instant(0),
        ruleset: 0,
        rule: RuleIndex::default(),
        waits: false,
        turns_at: Instant(0),
        expires_at: Instant(0),
        amount: 0,
        left: 0,
    }
}

/// From one instant to another; to `MAX` it is `MAX`.
fn since(at: Instant, from: Instant) -> Instant {
    if at == Instant::MAX { at } else { Instant(at.0.wrapping_sub(from.0)) }
}

fn after(from: Instant, by: Instant) -> Instant {
    if by == Instant::MAX { by } else { Instant(from.0.wrapping_add(by.0)) }
}

fn flags(lot: &Lot, before: &Lot) -> u8 {
    let same_source =
        lot.occurred_at == before.occurred_at && (lot.source_kind, &lot.source) == (before.source_kind, &before.source);
    let same_end = lot.expires_at == before.expires_at;
    let life = since(lot.expires_at, lot.occurred_at);
    let whole_hours = life != Instant::MAX && life.0 % HOUR == 0;
    [
        (SAME_SOURCE, same_source),
        (SAME_RULESET, lot.ruleset == before.ruleset),
        (NEXT_NUMBER, lot.number == before.number.wrapping_add(1)),
        (SAME_END, same_end),
        (END_AFTER_SOURCE, !same_end && whole_hours),
        (OF_RULE, lot.rule != RuleIndex::default()),
        (WAITS, lot.waits),
        (USED, lot.left != lot.amount),
    ]
    .into_iter()
    .fold(0, |flags, (flag, holds)| if holds { flags | flag } else { flags })
}

fn pack(lot: &Lot, before: &Lot, out: &mut Vec<u8>) {
    let flags = flags(lot, before);
    let has = |flag: u8| flags & flag != 0;
    out.push(flags);
    if !has(SAME_SOURCE) {
        lot.source_kind.pack(out);
        lot.source.pack(out);
        since(lot.occurred_at, before.occurred_at).pack(out);
    }
    if !has(SAME_RULESET) {
        out.extend_from_slice(&lot.ruleset.to_le_bytes());
    }
    if !has(NEXT_NUMBER) {
        lot.number.pack(out);
    }
    since(lot.turns_at, lot.occurred_at).pack(out);
    match (has(SAME_END), has(END_AFTER_SOURCE)) {
        (true, _) => {}
        (false, true) => since(lot.expires_at, lot.occurred_at).pack(out),
        (false, false) => lot.expires_at.pack(out),
    }
    lot.rule.get().pack_something(out);
    lot.amount.pack(out);
    if has(USED) {
        lot.left.pack(out);
    }
}

fn unpack(before: &Lot, from: &mut Packed<'_>) -> Result<Lot, Damaged> {
    let flags = from.byte()?;
    let has = |flag: u8| flags & flag != 0;
    let (source_kind, source, occurred_at) = if has(SAME_SOURCE) {
        (before.source_kind, before.source.clone(), before.occurred_at)
    } else {
        (u8::unpack(from)?, Text::unpack(from)?, after(before.occurred_at, Instant::unpack(from)?))
    };
    let ruleset = if has(SAME_RULESET) { before.ruleset } else { u64::from_le_bytes(from.word()?) };
    let number = if has(NEXT_NUMBER) { before.number.wrapping_add(1) } else { u32::unpack(from)? };
    let turns_at = after(occurred_at, Instant::unpack(from)?);
    let expires_at = match (has(SAME_END), has(END_AFTER_SOURCE)) {
        (true, _) => before.expires_at,
        (false, true) => after(occurred_at, Instant::unpack(from)?),
        (false, false) => Instant::unpack(from)?,
    };
    let rule = RuleIndex::from(if has(OF_RULE) { Some(u16::unpack(from)?) } else { None });
    let amount = i64::unpack(from)?;
    let left = if has(USED) { i64::unpack(from)? } else { amount };
    Ok(Lot { number, source_kind, source, occurred_at, ruleset, rule, waits: has(WAITS), turns_at, expires_at, amount, left })
}

impl Pack for VecDeque<Lot> {
    fn pack(&self, out: &mut Vec<u8>) {
        (self.len() as u64).pack(out);
        let first = before_first();
        let before = std::iter::once(&first).chain(self);
        self.iter().zip(before).for_each(|(lot, before)| pack(lot, before, out));
    }

    fn unpack(from: &mut Packed<'_>) -> Result<Self, Damaged> {
        let count = from.count()?;
        let mut lots = VecDeque::with_capacity(count);
        let first = before_first();
        for _ in 0..count {
            let lot = unpack(lots.back().unwrap_or(&first), from)?;
            lots.push_back(lot);
        }
        Ok(lots)
    }

    fn is_nothing(&self) -> bool {
        self.is_empty()
    }
}

impl Pack for Vec<Allocation> {
    fn pack(&self, out: &mut Vec<u8>) {
        (self.len() as u64).pack(out);
        let first = before_first();
        let before = std::iter::once(&first).chain(self.iter().map(|part| &part.lot));
        for (part, before) in self.iter().zip(before) {
            pack(&part.lot, before, out);
            part.points.pack(out);
        }
    }

    fn unpack(from: &mut Packed<'_>) -> Result<Self, Damaged> {
        let count = from.count()?;
        let mut parts: Vec<Allocation> = Vec::with_capacity(count);
        let first = before_first();
        for _ in 0..count {
            let lot = unpack(parts.last().map_or(&first, |part| &part.lot), from)?;
            parts.push(Allocation { lot, points: i64::unpack(from)? });
        }
        Ok(parts)
    }

    fn is_nothing(&self) -> bool {
        self.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lots_of_one_order_are_told_together() {
        let at = Instant(1_735_000_001_000_001);
        let order = Lot {
            number: 7,
            source_kind: 1,
            source: Text::new("o-00000042"),
            occurred_at: at,
            ruleset: u64::MAX,
            rule: Some(0).into(),
            turns_at: after(at, Instant(14 * 24 * HOUR)),
            expires_at: Instant(486_000 * HOUR),
            amount: 60,
            left: 60,
            ..before_first()
        };
        let second = Lot { number: 8, rule: Some(1).into(), amount: 20, left: 20, ..order.clone() };
        let used = Lot { left: 3, rule: None.into(), expires_at: Instant::MAX, ..second.clone() };
        let waiting = Lot { number: 3, waits: true, ..order.clone() };
        let exact =
            Lot { turns_at: at, expires_at: after(at, Instant(365 * 24 * HOUR)), source: Text::new("p"), ..order.clone() };
        let unending = Lot { turns_at: Instant::MAX, ..waiting.clone() };
        let odd = Lot { occurred_at: Instant::MIN, turns_at: Instant(1), expires_at: Instant::MIN, ..order.clone() };
        let lots = VecDeque::from([order, second, used, waiting, unending, exact, odd]);
        let mut bytes = Vec::new();
        lots.pack(&mut bytes);
        assert_eq!(Packed::read(&bytes), Ok(lots.clone()));
        let mut pair = Vec::new();
        lots.iter().take(2).cloned().collect::<VecDeque<Lot>>().pack(&mut pair);
        assert_eq!(pair.len(), 44, "38 for the first, 5 for the second");
    }
}
