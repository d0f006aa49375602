//! One row, read: what it is part of, when, whose, and the line it is.

use super::cells::Cells;
use super::mapping::{Column, Currency, LineId, Mapping, Price, Skip};
use super::number::{self, LineMoney};
use super::time::Clockface;
use accrue_ledger::Instant;
use accrue_proto::money;

/// What a row is part of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Whole {
    /// A refund, else an order.
    pub(super) refund: bool,
    pub(super) id: String,
}

/// What all rows of an order or refund say alike.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Common {
    pub(super) member: String,
    pub(super) currency: String,
    /// Refunds: the order they are of.
    pub(super) order: String,
    pub(super) channel: String,
    pub(super) coupons: Vec<String>,
    pub(super) discount: Option<i64>,
    pub(super) shipping: Option<i64>,
    pub(super) tax: Option<i64>,
    pub(super) paid_with_gift_card: Option<i64>,
    pub(super) paid_with_points: Option<i64>,
}

/// The line of an order or refund that a row is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct RowLine {
    /// `None`: to be numbered.
    pub(super) id: Option<String>,
    pub(super) sku: String,
    pub(super) quantity: i64,
    pub(super) money: LineMoney,
    pub(super) collections: Vec<String>,
    pub(super) tags: Vec<String>,
}

/// A row.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) at: Instant,
    pub(super) common: Common,
    pub(super) line: RowLine,
}

/// Reads the table's row as a row of orders and refunds.
pub(super) struct RowReader<'a> {
    pub(super) cells: Cells<'a>,
    pub(super) mapping: &'a Mapping,
}

impl RowReader<'_> {
    /// Which entry of `[[skip]]` leaves this row out.
    pub(super) fn skipped_by(&self, refund: bool) -> Option<usize> {
        let fits = |skip: &Skip| skip.of_refund.is_none_or(|of| of == refund) && self.cells.holds(&skip.condition);
        self.mapping.skip.iter().position(fits)
    }

    pub(super) fn is_refund(&self) -> bool {
        self.mapping.refund.as_ref().is_some_and(|refund| self.cells.holds(&refund.when))
    }

    /// The order or refund it is part of.
    pub(super) fn whole(&self, refund: bool) -> Result<Whole, String> {
        let id = self.cells.text(&self.mapping.order.id);
        if id.is_empty() {
            return Err(format!("{} is empty: of which order is this row?", self.cells.place(&self.mapping.order.id)));
        }
        Ok(Whole { refund, id })
    }

    /// The rest of it.
    pub(super) fn row(&self, refund: bool, clock: &mut Clockface) -> Result<Row, String> {
        let cells = &self.cells;
        let at = clock.read(&cells.text(&self.mapping.time)).map_err(|error| cells.in_column(&self.mapping.time, error))?;
        let (currency, exponent) = self.currency()?;
        let order = &self.mapping.order;
        let member = cells.member(&order.member)?;
        let amount = |column: &Option<Column>| cells.amount(column.as_ref(), exponent);
        let common = Common {
            member,
            currency,
            order: self.cells.some_text(self.mapping.refund.as_ref().filter(|_| refund).and_then(|refund| refund.order.as_ref())),
            channel: self.cells.some_text(order.channel.as_ref()),
            coupons: self.cells.list(order.coupons.as_ref()),
            discount: amount(&order.discount)?,
            shipping: amount(&order.shipping)?,
            tax: amount(&order.tax)?,
            paid_with_gift_card: amount(&order.paid_with_gift_card)?,
            paid_with_points: amount(&order.paid_with_points)?,
        };
        Ok(Row { at, common, line: self.line(refund, exponent)? })
    }

    fn currency(&self) -> Result<(String, u8), String> {
        match &self.mapping.currency {
            Currency::Fixed { code, exponent } => Ok((code.clone(), *exponent)),
            Currency::From(column) => {
                let code = self.cells.text(column);
                let exponent = money::exponent(&code);
                let exponent =
                    exponent.ok_or_else(|| self.cells.in_column(column, format!("\"{code}\" is no ISO 4217 currency")))?;
                Ok((code, exponent))
            }
        }
    }

    fn line(&self, refund: bool, exponent: u8) -> Result<RowLine, String> {
        let lines = &self.mapping.lines;
        let negative = refund && self.mapping.refund.as_ref().is_some_and(|refund| refund.negative);
        let numbers = &self.mapping.file.numbers;
        let pieces =
            numbers.pieces(&self.cells.text(&lines.quantity)).map_err(|error| self.cells.in_column(&lines.quantity, error))?;
        let quantity = if negative { -pieces } else { pieces };
        if quantity < 0 || (refund && quantity == 0) {
            let what = if refund { "a refund" } else { "an order" };
            let hint =
                if refund { "set refund.sign" } else { "leave such rows out with [[skip]] … at_most = \"0\", of = \"order\"" };
            return Err(self.cells.in_column(&lines.quantity, format!("{what} has {pieces} pieces; {hint}")));
        }
        let (Price::Unit { column, .. } | Price::Total { column, .. }) = &lines.price;
        let money =
            self.price(&lines.price, quantity, negative, exponent).map_err(|error| self.cells.in_column(column, error))?;
        let money = match &lines.discount {
            None => money,
            Some(column) => self.discounted(money, column, exponent)?,
        };
        Ok(RowLine {
            id: match &lines.id {
                LineId::Column(column) => Some(self.cells.text(column)),
                LineId::Number | LineId::SkuNumber => None,
            },
            sku: self.cells.some_text(lines.sku.as_ref()),
            quantity,
            money,
            collections: self.cells.list(lines.collections.as_ref()),
            tags: self.cells.list(lines.tags.as_ref()),
        })
    }

    fn price(&self, price: &Price, quantity: i64, negative: bool, exponent: u8) -> Result<LineMoney, String> {
        let read = |column: &Column| self.mapping.file.numbers.read(&self.cells.text(column));
        match price {
            Price::Unit { column, rounded_once } => {
                let price = read(column)?;
                if price.is_sign_negative() && !price.is_zero() {
                    return Err(format!("{price} is below 0"));
                }
                if *rounded_once {
                    number::line_rounded_once(quantity, price, exponent)
                } else {
                    number::line_exact(quantity, price, exponent)
                }
            }
            Price::Total { column, rounded } => {
                let total = read(column)?;
                let minor = if *rounded { number::minor_rounded(total, exponent)? } else { number::minor(total, exponent)? };
                let minor = if negative { -minor } else { minor };
                if minor < 0 { Err(format!("{total} has the wrong sign")) } else { number::line_split(quantity, minor) }
            }
        }
    }

    fn discounted(&self, money: LineMoney, column: &Column, exponent: u8) -> Result<LineMoney, String> {
        let off = self.cells.amount(Some(column), exponent)?.unwrap_or(0);
        if off > money.total {
            let told = format!("\"{}\" is more than the line's value", self.cells.text(column));
            return Err(self.cells.in_column(column, told));
        }
        Ok(LineMoney { discount: money.discount + off, total: money.total - off, ..money })
    }
}

impl Common {
    /// Takes over what another row of the same order says; `Err`: they disagree.
    pub(super) fn merge(&mut self, other: Common) -> Result<(), String> {
        same("customer", &mut self.member, other.member)?;
        same("currency", &mut self.currency, other.currency)?;
        same("refunded order", &mut self.order, other.order)?;
        same("channel", &mut self.channel, other.channel)?;
        for coupon in other.coupons {
            if !self.coupons.contains(&coupon) {
                self.coupons.push(coupon);
            }
        }
        let amounts = [
            ("discount", &mut self.discount, other.discount),
            ("shipping", &mut self.shipping, other.shipping),
            ("tax", &mut self.tax, other.tax),
            ("gift card payment", &mut self.paid_with_gift_card, other.paid_with_gift_card),
            ("points payment", &mut self.paid_with_points, other.paid_with_points),
        ];
        for (what, mine, other) in amounts {
            match (*mine, other) {
                (Some(mine), Some(other)) if mine != other => return Err(format!("rows of one order have more than one {what}")),
                (None, Some(_)) => *mine = other,
                _ => {}
            }
        }
        Ok(())
    }
}

/// What only some rows say counts for all.
fn same(what: &str, mine: &mut String, other: String) -> Result<(), String> {
    if mine.is_empty() {
        *mine = other;
    } else if !other.is_empty() && *mine != other {
        return Err(format!("rows of one order have more than one {what}: \"{mine}\" and \"{other}\""));
    }
    Ok(())
}
