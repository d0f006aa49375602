//! What analysts take away: every number there is, as rows of tables. Knows nothing of files and their formats.

mod gather;
mod row;
mod shift;
mod table;

pub use row::{Cell, CellType, Cells, ColumnSpec, Json, LocalDay, Row};
pub use table::{
    BalanceRow, CouponRow, DailyRow, EntryRow, FactRow, LotRow, MemberRow, MoveRow, OrderRow, RedemptionRow, ShiftRow, TierRow,
};

use crate::folded::Folded;
use crate::liability::Flows;
use accrue_ledger::{EntryKind, Instant, Text, Timeline};

macro_rules! tables {
    ($($table:ident: $row:ident),+ $(,)?) => {
        /// Which tables are asked for.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Tables { $(#[doc = concat!("`", stringify!($table), "`")] pub $table: bool,)+ }
        impl Tables {
            /// Their names.
            pub const NAMES: &'static [&'static str] = &[$(stringify!($table),)+];
            /// All of them.
            pub const ALL: Tables = Tables { $($table: true,)+ };
            /// Without those whose rows are known only when all members are.
            pub fn of_members(self) -> Tables {
                Tables { daily: false, ..self }
            }
            /// Asks for one more; whether there is such a table.
            pub fn add(&mut self, name: &str) -> bool {
                match name { $(stringify!($table) => self.$table = true,)+ _ => return false }
                true
            }
        }
        /// Takes rows of any table.
        pub trait TakeRows {
            /// What may go wrong.
            type Error;
            /// Rows of one table, of one program.
            ///
            /// # Errors
            /// They can't be written.
            fn rows<R: Row>(&mut self, program: &str, rows: &[R]) -> Result<(), Self::Error>;
        }
        impl Rows {
            /// Hands the rows of these tables over.
            ///
            /// # Errors
            /// They can't be written.
            pub fn give<T: TakeRows>(&self, program: &str, of: Tables, to: &mut T) -> Result<(), T::Error> {
                $(if of.$table { to.rows::<$row>(program, &self.$table)?; })+
                Ok(())
            }
        }
    };
}

tables! {
    entries: EntryRow, moves: MoveRow, lots: LotRow, members: MemberRow, balances: BalanceRow, tiers: TierRow,
    coupons: CouponRow, redemptions: RedemptionRow, orders: OrderRow, daily: DailyRow,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Selection {
    /// These tables.
    pub tables: Tables,
    /// Of what happens: at or after this.
    pub from: Instant,
    /// … and before this.
    pub until: Instant,
}

/// Rows of some members of a program, in their order.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    /// Changes.
    pub entries: Vec<EntryRow>,
    /// Changes of lots.
    pub moves: Vec<MoveRow>,
    /// Lots.
    pub lots: Vec<LotRow>,
    /// Members.
    pub members: Vec<MemberRow>,
    /// Their ledgers.
    pub balances: Vec<BalanceRow>,
    /// Moves between tiers.
    pub tiers: Vec<TierRow>,
    /// Coupons.
    pub coupons: Vec<CouponRow>,
    /// Redemptions and grants.
    pub redemptions: Vec<RedemptionRow>,
    /// Orders.
    pub orders: Vec<OrderRow>,
    /// Sums of days: empty until [`daily_rows`] makes them of `flows`.
    pub daily: Vec<DailyRow>,
    /// Sums of these members.
    pub flows: Flows,
}

/// Entries of a member as rows; `from`: without those before this number.
pub fn entry_rows(folded: &Folded<'_>, of: &Selection, from: usize) -> Vec<EntryRow> {
    let range = of.range(folded.entries);
    let member = Text::new(folded.member);
    let row = |number: usize| {
        let day = LocalDay(crate::liability::local_day(folded.rules, &folded.entries[number]));
        gather::entry_row(&member, number, day, folded)
    };
    (range.start.max(from)..range.end).map(row).collect()
}

/// The sums of all days as rows; of what was before the first day, the opening balance is left.
pub fn daily_rows(flows: &Flows, rules: &Timeline, of: &Selection) -> Vec<DailyRow> {
    let day_of = |at: Instant| Selection::day_of(rules, at);
    let first = if of.from == Instant::MIN { None } else { day_of(of.from) };
    // The day of the last instant before the end is the last.
    let last = if of.until == Instant::MAX { None } else { day_of(Instant(of.until.0.saturating_sub(1))) };
    let (mut rows, mut of_ledger, mut has, mut owes) = (Vec::new(), "", 0, 0);
    for ((ledger, day), sums) in &flows.days {
        if ledger != of_ledger {
            (of_ledger, has, owes) = (ledger, 0, 0);
        }
        let opening = has;
        has += sums.outstanding();
        owes += sums.debt();
        if first.is_some_and(|first| *day < first) || last.is_some_and(|last| *day > last) {
            continue;
        }
        rows.push(DailyRow {
            ledger: Text::new(ledger),
            day: LocalDay(*day),
            opening,
            earned: sums.of(EntryKind::Earned),
            imported: sums.of(EntryKind::Imported),
            restored: sums.of(EntryKind::Restored),
            transferred_in: sums.of(EntryKind::TransferredIn),
            adjusted: sums.of(EntryKind::Adjusted),
            spent: sums.of(EntryKind::Spent),
            expired: sums.of(EntryKind::Expired),
            cancelled: sums.of(EntryKind::Cancelled),
            clawed_back: sums.of(EntryKind::ClawedBack),
            debt_repaid: sums.of(EntryKind::DebtRepaid),
            transferred_out: sums.of(EntryKind::TransferredOut),
            closing: has,
            debt_opened: sums.of(EntryKind::DebtOpened),
            debt_closing: owes,
            activated: sums.of(EntryKind::Activated),
            entries: sums.entries as i64,
        });
    }
    rows
}
