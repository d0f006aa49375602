//! What a person believes to have. The engine knows better, and may say no.

use accrue_ledger::Instant;

/// Points with a start and an end.
#[derive(Clone, Debug, Default)]
pub(super) struct Purse {
    /// From, until, points; by end.
    lots: Vec<(Instant, Instant, i64)>,
}

impl Purse {
    pub(super) fn put(&mut self, from: Instant, until: Instant, points: i64) {
        let index = self.lots.partition_point(|lot| lot.1 <= until);
        self.lots.insert(index, (from, until, points));
    }

    pub(super) fn spendable(&mut self, at: Instant) -> i64 {
        self.lots.retain(|lot| lot.1 > at);
        self.lots.iter().filter(|lot| lot.0 <= at).map(|lot| lot.2).sum()
    }

    /// Takes points that end first, those that can be spent before those that can't yet.
    pub(super) fn take(&mut self, at: Instant, mut points: i64) {
        for pending in [false, true] {
            for lot in self.lots.iter_mut().filter(|lot| (lot.0 > at) == pending) {
                let part = points.min(lot.2);
                lot.2 -= part;
                points -= part;
            }
        }
        self.lots.retain(|lot| lot.2 > 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn soonest_end_first() {
        let mut purse = Purse::default();
        purse.put(Instant(0), Instant(100), 30);
        purse.put(Instant(0), Instant(50), 20);
        purse.put(Instant(10), Instant(200), 40);
        assert_eq!(purse.spendable(Instant(5)), 50);
        purse.take(Instant(5), 25);
        assert_eq!((purse.spendable(Instant(5)), purse.spendable(Instant(60)), purse.spendable(Instant(150))), (25, 65, 40));
        purse.take(Instant(150), 100);
        assert_eq!(purse.spendable(Instant(150)), 0);
    }
}
