//! Every lot a member ever had, from its entries: also those that are used up, of which the state keeps nothing.

use accrue_ledger::{Entry, EntryKind, Instant, Text};

/// A lot, from its first entry to its last.
#[derive(Clone, Debug, PartialEq)]
pub struct LotLife {
    /// Its number within the member.
    pub number: u32,
    /// The entry that opened it.
    pub opened_by: usize,
    /// When that was.
    pub opened_at: Instant,
    /// Its ledger.
    pub ledger: Text,
    /// When its points became spendable, where that came later.
    pub activated_at: Option<Instant>,
    /// Its own end; `MAX`: never.
    pub expires_at: Instant,
    /// Points at the beginning.
    pub amount: i64,
    /// Points left.
    pub left: i64,
    /// Signed points by [`EntryKind::sum_index`], without those that opened it.
    pub moved: [i64; EntryKind::SUMS],
}

/// What an entry did to a lot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Move {
    /// Number of the entry within the member.
    pub entry: usize,
    /// Number of the lot within the member.
    pub lot: u32,
    /// Signed points.
    pub points: i64,
    /// It opened the lot.
    pub opens: bool,
}

/// Whether entries of this kind change what is left of lots; `activated` and `extended` name lots and change nothing of it.
pub fn moves_lots(kind: EntryKind) -> bool {
    kind.moves_points() && !matches!(kind, EntryKind::Activated | EntryKind::DebtOpened)
}

/// All lots by number, and all moves in order.
pub fn lots_of(entries: &[Entry]) -> (Vec<LotLife>, Vec<Move>) {
    let mut lots: Vec<Option<LotLife>> = Vec::new();
    let mut moves = Vec::new();
    for (number, entry) in entries.iter().enumerate() {
        let activates = entry.kind == EntryKind::Activated;
        if !activates && !moves_lots(entry.kind) {
            continue;
        }
        for part in &entry.lots {
            let place = part.lot as usize;
            if lots.len() <= place {
                lots.resize(place + 1, None);
            }
            let opens = match &mut lots[place] {
                Some(lot) if activates => {
                    lot.activated_at = Some(entry.at);
                    continue;
                }
                Some(lot) => {
                    lot.left += part.points;
                    if let Some(sum) = entry.kind.sum_index().and_then(|index| lot.moved.get_mut(index)) {
                        *sum += part.points;
                    }
                    false
                }
                None => {
                    lots[place] = Some(LotLife {
                        number: part.lot,
                        opened_by: number,
                        opened_at: entry.at,
                        ledger: entry.ledger.clone(),
                        activated_at: None,
                        expires_at: part.expires_at,
                        amount: part.points,
                        left: part.points,
                        moved: [0; EntryKind::SUMS],
                    });
                    true
                }
            };
            moves.push(Move { entry: number, lot: part.lot, points: part.points, opens });
        }
    }
    (lots.into_iter().flatten().collect(), moves)
}
