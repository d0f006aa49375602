//! From the words of a mapping to what they mean: refuses what can't be, with the line and a hint.

use super::error::{MappingError, nearest};
use super::mapping::{
    Column, Condition, Currency, Differs, FileStyle, LineColumns, LineId, Mapping, OrderColumns, Price, RefundRows, Skip, Test,
};
use super::number::NumberStyle;
use super::time::Clockface;
use super::words::{
    ColumnText, ConditionText, DiffersText, FileText, KindText, LineIdText, MappingText, PriceDecimalsText, RowsApartText,
    SignText, SkipText,
};
use accrue_proto::money::exponent;
use jiff::tz::TimeZone;
use rust_decimal::Decimal;
use serde::de::DeserializeOwned;

impl Mapping {
    /// Reads and checks a mapping.
    ///
    /// # Errors
    /// [`MappingError`] with the line, what is wrong and a hint; unknown keys are errors.
    pub fn parse(text: &str) -> Result<Mapping, MappingError> {
        located(text, |words: MappingText, headers| words.check(headers))
    }
}

/// Reads words and checks them; what is wrong is told with its line.
pub(super) fn located<W: DeserializeOwned, M>(
    text: &str,
    check: impl FnOnce(W, &mut Headers) -> Checked<M>,
) -> Result<M, MappingError> {
    let at = |offset: usize, message: String| {
        let before = &text[..offset.min(text.len())];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |last| last.chars().count()) + 1;
        MappingError { line, column, message }
    };
    let words: W =
        toml::from_str(text).map_err(|error| at(error.span().map_or(0, |span| span.start), with_hint(error.message())))?;
    let mut headers = Headers::default();
    // A value that can't be is found by its key: the table and the key are looked for in the text.
    check(words, &mut headers).map_err(|(key, message)| at(offset_of(text, &key), format!("{key}: {message}")))
}

/// Where `lines.sku` is: the line that begins with `sku` after `[lines]`, else the table, else the beginning.
fn offset_of(text: &str, key: &str) -> usize {
    let (table, name) = key.rsplit_once('.').unwrap_or(("", key));
    let found = |table: &str| text.find(&format!("[{table}]"));
    if let Some(at) = found(key) {
        return at;
    }
    let table_at = if table.is_empty() { 0 } else { found(table).unwrap_or(0) };
    let mut at = table_at;
    for line in text[table_at..].split_inclusive('\n') {
        let word = line.trim_start().split(['=', ' ', '.']).next().unwrap_or_default();
        if word == name {
            return at + line.len() - line.trim_start().len();
        }
        at += line.len();
    }
    table_at
}

/// Adds "did you mean" to serde's list of known keys.
fn with_hint(message: &str) -> String {
    let mut quoted = message.split('`').skip(1).step_by(2);
    let Some(given) = quoted.next().filter(|_| message.starts_with("unknown")) else {
        return message.to_owned();
    };
    nearest(given, quoted).map_or_else(|| message.to_owned(), |known| format!("{message}; did you mean `{known}`?"))
}

pub(super) type Checked<T> = Result<T, (String, String)>;

pub(super) fn wrong<T>(key: &str, message: impl Into<String>) -> Checked<T> {
    Err((key.to_owned(), message.into()))
}

/// Every header that is named, once.
#[derive(Default)]
pub(super) struct Headers(Vec<(String, String)>);

impl Headers {
    /// All of them; none are left.
    pub(super) fn take(&mut self) -> Vec<(String, String)> {
        std::mem::take(&mut self.0)
    }

    fn slot(&mut self, key: &str, header: &str) -> Checked<usize> {
        if header.is_empty() {
            return wrong(key, "a column's name is empty");
        }
        if let Some(slot) = self.0.iter().position(|(known, _)| known == header) {
            return Ok(slot);
        }
        self.0.push((header.to_owned(), key.to_owned()));
        Ok(self.0.len() - 1)
    }

    pub(super) fn column(&mut self, key: &str, text: &ColumnText) -> Checked<Column> {
        let (column, value, prefix, split) = match text {
            ColumnText::Name(name) => (Some(name), None, None, None),
            ColumnText::Table(table) => (table.column.as_ref(), table.value.as_ref(), table.prefix.clone(), table.split.clone()),
        };
        match (column, value) {
            (Some(name), None) if split.as_deref() != Some("") => {
                Ok(Column::Cell { header: self.slot(key, name)?, prefix: prefix.unwrap_or_default(), split })
            }
            (None, Some(value)) if prefix.is_none() && split.is_none() => Ok(Column::Constant(value.clone())),
            _ => wrong(key, "give a column's name, { column = \"…\", prefix = \"…\", split = \"…\" } or { value = \"…\" }"),
        }
    }

    pub(super) fn some(&mut self, key: &str, text: Option<&ColumnText>) -> Checked<Option<Column>> {
        text.map(|text| self.column(key, text)).transpose()
    }

    fn condition(&mut self, key: &str, text: &ConditionText) -> Checked<Condition> {
        let tests = [
            text.empty.map(Test::Empty),
            text.equals.clone().map(|texts| Test::Equals(texts.all())),
            text.starts_with.clone().map(|texts| Test::StartsWith(texts.all())),
            match text.at_most.as_deref().map(Decimal::from_str_exact) {
                None => None,
                Some(Ok(bound)) => Some(Test::AtMost(bound)),
                Some(Err(_)) => return wrong(key, "at_most is a number in quotes, such as \"0\""),
            },
        ];
        let mut given = tests.into_iter().flatten();
        match (given.next(), given.next()) {
            (Some(test), None) => Ok(Condition { header: self.slot(key, &text.column)?, test }),
            _ => wrong(key, "give exactly one of empty, equals, starts_with and at_most"),
        }
    }
}

impl MappingText {
    fn check(&self, headers: &mut Headers) -> Checked<Mapping> {
        for (key, value) in [("program", &self.program), ("source", &self.source)] {
            if value.is_empty() {
                return wrong(key, "is empty");
            }
        }
        if self.program.contains('/') {
            return wrong("program", "\"/\" is not allowed in a program's id");
        }
        let Ok(zone) = TimeZone::get(&self.time.zone) else {
            return wrong(
                "time.zone",
                format!("\"{}\" is not a time zone, such as \"Europe/London\" or \"UTC\"", self.time.zone),
            );
        };
        let (order, lines) = (self.order(headers)?, self.lines(headers)?);
        let time = headers.column("time.column", &ColumnText::Name(self.time.column.clone()))?;
        let currency = match &self.currency {
            ColumnText::Name(code) => match exponent(code) {
                Some(exponent) => Currency::Fixed { code: code.clone(), exponent },
                None => {
                    return wrong(
                        "currency",
                        format!("\"{code}\" is not an ISO 4217 code; a column is {{ column = \"{code}\" }}"),
                    );
                }
            },
            table @ ColumnText::Table(_) => Currency::From(headers.column("currency", table)?),
        };
        let (refund, skip) = (self.refund_rows(&lines.id, headers)?, skipped(&self.skip, headers)?);
        Ok(Mapping {
            program: self.program.clone(),
            source: self.source.clone(),
            file: file(&self.file)?,
            headers: headers.take(),
            time,
            clock: Clockface::new(&self.time.format, zone),
            differs: match self.time.rows_differ {
                DiffersText::Error => Differs::Error,
                DiffersText::Earliest => Differs::Earliest,
                DiffersText::Latest => Differs::Latest,
            },
            currency,
            order,
            lines,
            refund,
            skip,
        })
    }

    fn refund_rows(&self, line_id: &LineId, headers: &mut Headers) -> Checked<Option<RefundRows>> {
        let Some(refund) = &self.refund else {
            return Ok(None);
        };
        let order = headers.some("refund.order", refund.order.as_ref())?;
        if order.is_some() && !matches!(line_id, LineId::Column(_)) {
            return wrong("refund.order", "refunds that name their order need lines.id from a column, the same in both");
        }
        let when = headers.condition("refund.when", &refund.when)?;
        let negative = refund.sign == SignText::Negative;
        Ok(Some(RefundRows { when, negative, order }))
    }

    fn order(&self, headers: &mut Headers) -> Checked<OrderColumns> {
        let order = &self.order;
        Ok(OrderColumns {
            id: headers.column("order.id", &order.id)?,
            member: headers.column("order.member", &order.member)?,
            rows_apart: match order.rows_apart {
                RowsApartText::Rows(0) => return wrong("order.rows_apart", "must be above 0, or \"any\""),
                RowsApartText::Rows(rows) => rows,
                RowsApartText::Any(_) => u64::MAX,
            },
            channel: headers.some("order.channel", order.channel.as_ref())?,
            coupons: headers.some("order.coupons", order.coupons.as_ref())?,
            discount: headers.some("order.discount", order.discount.as_ref())?,
            shipping: headers.some("order.shipping", order.shipping.as_ref())?,
            tax: headers.some("order.tax", order.tax.as_ref())?,
            paid_with_gift_card: headers.some("order.paid_with_gift_card", order.paid_with_gift_card.as_ref())?,
            paid_with_points: headers.some("order.paid_with_points", order.paid_with_points.as_ref())?,
        })
    }

    fn lines(&self, headers: &mut Headers) -> Checked<LineColumns> {
        let lines = &self.lines;
        let rounded = lines.price_decimals == PriceDecimalsText::ExactLine;
        let unit = headers.some("lines.unit_price", lines.unit_price.as_ref())?;
        let total = headers.some("lines.total", lines.total.as_ref())?;
        let price = match (unit, total) {
            (Some(column), None) => Price::Unit { column, rounded_once: rounded },
            (None, Some(column)) => Price::Total { column, rounded },
            _ => {
                return wrong("lines", "give either unit_price (of one piece) or total (of all pieces of the line)");
            }
        };
        let sku = headers.some("lines.sku", lines.sku.as_ref())?;
        let id = match &lines.id {
            LineIdText::Column(column) => LineId::Column(headers.column("lines.id", column)?),
            LineIdText::Number { .. } => LineId::Number,
            LineIdText::SkuNumber { .. } if sku.is_none() => return wrong("lines.id", "sku_number needs lines.sku"),
            LineIdText::SkuNumber { .. } => LineId::SkuNumber,
        };
        if sku.is_none() && self.refund.as_ref().is_some_and(|refund| refund.order.is_none()) {
            return wrong("lines.sku", "refunds that name no order find their line by sku");
        }
        Ok(LineColumns {
            id,
            sku,
            quantity: headers.column("lines.quantity", &lines.quantity)?,
            price,
            discount: headers.some("lines.discount", lines.discount.as_ref())?,
            collections: headers.some("lines.collections", lines.collections.as_ref())?,
            tags: headers.some("lines.tags", lines.tags.as_ref())?,
        })
    }
}

pub(super) fn skipped(skip: &[SkipText], headers: &mut Headers) -> Checked<Vec<Skip>> {
    let one = |text: &SkipText| {
        Ok(Skip {
            condition: headers.condition("skip", &text.condition())?,
            of_refund: text.of.map(KindText::is_refund),
            reason: text.reason.clone(),
        })
    };
    skip.iter().map(one).collect()
}

pub(super) fn file(file: &FileText) -> Checked<FileStyle> {
    let byte = |key: &str, text: &str| match text.as_bytes() {
        [byte] if byte.is_ascii() && !byte.is_ascii_alphanumeric() => Ok(*byte),
        _ => wrong(key, format!("\"{text}\" is not one ASCII sign, such as \",\", \";\", \"|\" or \"\\t\"")),
    };
    let sign = |key: &str, text: &str| byte(key, text).map(char::from);
    let delimiter = byte("file.delimiter", &file.delimiter)?;
    let quote = if file.quote.is_empty() { None } else { Some(byte("file.quote", &file.quote)?) };
    let decimal = sign("file.decimal", &file.decimal)?;
    let thousands = if file.thousands.is_empty() { None } else { Some(sign("file.thousands", &file.thousands)?) };
    if thousands == Some(decimal) {
        return wrong("file.thousands", "is the same as file.decimal");
    }
    Ok(FileStyle { delimiter, quote, encoding: file.encoding, numbers: NumberStyle { decimal, thousands } })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = "program = \"p\"\nsource = \"s\"\ncurrency = \"GBP\"\n[time]\ncolumn = \"When\"\nformat = \"%Y-%m-%d\"\n\
                         zone = \"UTC\"\n[order]\nid = \"Order\"\nmember = \"Who\"\n[lines]\nsku = \"Sku\"\nquantity = \"Q\"\nunit_price = \"P\"\n";

    #[track_caller]
    fn check_error(from: &str, to: &str, line: usize, message: &str) {
        assert!(SMALL.contains(from), "{from}");
        let error = Mapping::parse(&SMALL.replacen(from, to, 1)).expect_err("must be refused");
        assert!(error.message.contains(message), "{error}");
        assert_eq!(error.line, line, "{error}");
    }

    #[test]
    fn the_least_there_must_be() {
        let mapping = Mapping::parse(SMALL).expect("valid");
        let names: Vec<&str> = mapping.headers.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["Order", "Who", "P", "Sku", "Q", "When"]);
        assert_eq!((mapping.order.rows_apart, mapping.differs), (1, Differs::Error));
        assert!(matches!(mapping.lines.id, LineId::Number));
    }

    #[test]
    fn refuses_what_cant_be() {
        check_error("currency = \"GBP\"", "currency = \"Currency\"", 3, "{ column = \"Currency\" }");
        check_error("[time]", "[tiem]", 4, "did you mean `time`?");
        check_error("member =", "membre =", 10, "did you mean `member`?");
        check_error("\"UTC\"", "\"Mars\"", 7, "is not a time zone");
        check_error("member = \"Who\"", "member = { value = \"x\", prefix = \"y\" }", 10, "order.member: give a column's name");
        check_error("unit_price = \"P\"", "", 11, "either unit_price");
        check_error("unit_price = \"P\"", "unit_price = \"P\"\ntotal = \"T\"", 11, "either unit_price");
        check_error("quantity = \"Q\"", "quantity = \"\"", 13, "name is empty");
        check_error("[order]", "[file]\ndelimiter = \"::\"\n[order]", 9, "not one ASCII sign");
        check_error("[order]", "[file]\nencoding = \"utf8\"\n[order]", 9, "did you mean `utf-8`?");
        check_error("[order]", "[file]\nthousands = \".\"\n[order]", 9, "the same as file.decimal");
        check_error("[order]", "[order]\nrows_apart = 0", 9, "above 0");
        check_error("[lines]", "[refund]\nwhen = { column = \"Order\" }\n[lines]", 12, "exactly one of");
        check_error(
            "[lines]",
            "[refund]\norder = \"Of\"\nwhen = { column = \"K\", empty = false }\n[lines]",
            12,
            "need lines.id",
        );
        check_error(
            "[lines]",
            "[[skip]]\ncolumn = \"Who\"\nat_most = \"none\"\nreason = \"x\"\n[lines]",
            11,
            "a number in quotes",
        );
        check_error("sku = \"Sku\"", "id = { sku_number = true }", 12, "needs lines.sku");
    }
}
