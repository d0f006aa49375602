//! §14: what must hold of a member after every fact.

use crate::account::{Account, Lot};
use crate::member::Member;
use crate::record::{Record, Redemption};
use crate::records::Records;
use crate::{Instant, Text};

/// An invariant that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("§14.{number}, ledger {ledger}: {what}")]
pub struct Broken {
    /// Its number in §14.
    pub number: u8,
    /// The ledger.
    pub ledger: Text,
    /// Both sides.
    pub what: String,
}

/// Checks §14.1–3 and that sums are those of the lots; `at` is the instant the member was advanced to.
/// `records`: the member's, to check what redemptions still hold; those at hand are checked.
pub fn broken_invariants(member: &Member, records: &Records, at: Instant) -> Vec<Broken> {
    let mut broken = Vec::new();
    member.accounts.iter().for_each(|account| check_account(account, at, &mut broken));
    let mut check = |redemption: &Redemption| {
        let (ledger, id) = (redemption.ledger.clone(), &redemption.id);
        let held: i64 = redemption.allocation.iter().map(|part| part.points).sum();
        if held > redemption.points - redemption.reversed || redemption.reversed > redemption.points {
            let what = format!("redemption {id} of {} holds {held} with {} given back", redemption.points, redemption.reversed);
            broken.push(Broken { number: 3, ledger, what });
        }
    };
    member.open.iter().for_each(&mut check);
    for (_, record) in records.iter() {
        if let Record::Redemption(redemption) = &*record {
            check(redemption);
        }
    }
    broken
}

fn check_account(account: &Account, at: Instant, broken: &mut Vec<Broken>) {
    let sums = &account.sums;
    let mut say = |number: u8, holds: bool, what: &dyn Fn() -> String| {
        if !holds {
            broken.push(Broken { number, ledger: account.ledger.clone(), what: what() });
        }
    };
    let given = sums.spent + sums.expired + sums.cancelled + sums.clawed_back + sums.repaid + sums.deducted + sums.moved_out;
    let (credited, used) = (sums.earned + sums.moved_in, sums.pending + sums.active + given);
    say(1, credited == used, &|| format!("credited {credited} is not what became of it, {used}: {sums:?}"));
    let lots = |lots: &std::collections::VecDeque<Lot>| lots.iter().map(|lot| lot.left).sum::<i64>();
    say(1, lots(&account.active) == sums.active, &|| format!("active {} is not that of its lots", sums.active));
    say(1, lots(&account.pending) == sums.pending, &|| format!("pending {} is not that of its lots", sums.pending));
    let covered = sums.cancelled + sums.clawed_back + sums.clawback_debt + sums.forgiven;
    say(2, sums.clawback_due <= covered, &|| {
        format!("clawback due {} is more than what covers it, {covered}", sums.clawback_due)
    });
    let debt = sums.debt_opened - sums.debt_lifted - sums.repaid - sums.repaid_back;
    say(2, sums.debt == debt, &|| format!("debt {} is not opened − lifted − repaid, {debt}", sums.debt));
    say(2, sums.debt == account.debt(), &|| format!("debt {} is not that of its parts, {}", sums.debt, account.debt()));
    say(2, sums.debt == 0 || sums.active == 0, &|| format!("debt {} beside {} active", sums.debt, sums.active));
    for lot in account.active.iter().chain(&account.pending) {
        say(3, lot.left > 0 && lot.left <= lot.amount, &|| format!("lot {} has {} of {}", lot.number, lot.left, lot.amount));
    }
    let ordered =
        |lots: &std::collections::VecDeque<Lot>| lots.iter().zip(lots.iter().skip(1)).all(|(a, b)| a.spend_cmp(b).is_lt());
    say(3, ordered(&account.active), &|| "active lots are out of order".to_string());
    say(3, account.next_boundary() > at, &|| format!("a boundary at or before {at} has not happened"));
}
