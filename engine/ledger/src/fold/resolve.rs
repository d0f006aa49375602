//! A person resolves an exception (§4): the refund is matched to an order, or the exception is written off.
//!
//! A refund of two mugs without an order found no place; matched to order A, A is settled again at the instant of the resolution.

use super::{Applied, Draft, Fold, Source};
use crate::counters::Trouble;
use crate::entry::{EntryKind, Sink, Why};
use crate::fact::{RefundLine, RefundRecorded};
use crate::ruleset::{MAIN, Ruleset};
use crate::{Instant, Text};

/// The only exceptions that an order can take.
const REFUND_UNMATCHED: &str = "refund_unmatched";

/// `<code>/<id of the source>`
fn names(exception: &str, trouble: &Trouble) -> bool {
    exception.split_once('/').is_some_and(|(code, id)| trouble.code == *code && trouble.source == *id)
}

impl<S: Sink> Fold<'_, S> {
    /// `order`: its id and perhaps the line that takes what was refunded; `None`: written off.
    pub(super) fn exception_resolved(
        &mut self,
        exception: &str,
        order: Option<(&str, Option<&str>)>,
        reason: &str,
        source: Source<'_>,
        rules: &Ruleset,
        at: Instant,
    ) -> Applied {
        let Some(counters) = self.member.counters.as_deref_mut() else {
            return Applied::default();
        };
        let is_it = |trouble: &Trouble| names(exception, trouble);
        let (resolved, open): (Vec<Trouble>, Vec<Trouble>) = std::mem::take(&mut counters.troubles).into_iter().partition(is_it);
        counters.troubles = open;
        let mut applied = Applied::default();
        for trouble in resolved {
            self.member.exceptions -= 1;
            let matched = order.filter(|_| trouble.code == *REFUND_UNMATCHED);
            let about = matched.map_or_else(Text::default, |(order_id, _)| Text::new(order_id));
            let why = Why::Resolved { exception: Text::new(exception), order: about, reason: Text::new(reason) };
            let (kind, ruleset) = (EntryKind::ExceptionResolved, rules.tag());
            self.entry(Draft { kind, at, ledger: MAIN, points: 0, source, ruleset, rule: None, lots: &[], why });
            if let Some((order_id, line_id)) = matched {
                applied.parked |= self.book_rest(&trouble, order_id, line_id, source, rules, at).parked;
            }
        }
        applied
    }

    /// Whether that exception is open and an order can take it.
    pub(super) fn waits_for_order(&self, exception: &str) -> bool {
        let troubles = self.member.counters.as_deref().map_or(&[][..], |counters| &counters.troubles);
        troubles.iter().any(|trouble| names(exception, trouble) && trouble.code == *REFUND_UNMATCHED)
    }

    /// What found no place is a refund of that order now.
    fn book_rest(
        &mut self,
        trouble: &Trouble,
        order_id: &str,
        line_id: Option<&str>,
        source: Source<'_>,
        rules: &Ruleset,
        at: Instant,
    ) -> Applied {
        let line = |lost: &'_ crate::LineRefund| (lost.pieces, (!lost.by_share).then_some(lost.amount));
        let lines = trouble.lines.iter().map(|lost| {
            let (quantity, amount) = line(lost);
            RefundLine { line_id: line_id.unwrap_or(lost.line_id.as_str()), quantity, amount }
        });
        let refund = RefundRecorded {
            refund_id: &trouble.source,
            order_id: Some(order_id),
            lines: lines.collect(),
            amount: Some(trouble.amount).filter(|&amount| amount > 0),
            currency: Some(trouble.currency.as_str()).filter(|currency| !currency.is_empty()),
        };
        self.refund_recorded(&refund, source, rules, at)
    }
}
