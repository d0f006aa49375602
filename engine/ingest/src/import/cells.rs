//! The cells of a row by the columns of a mapping, and whether what they hold can be booked.

use super::mapping::{Column, Condition, Test};
use super::number;
use super::table::Table;
use super::time::Clockface;
use accrue_ledger::Instant;
use accrue_proto::{pb, read_fact, to_timestamp, write_fact};

/// Reads columns of the table's row.
pub(super) struct Cells<'a> {
    pub(super) table: &'a Table,
    /// As the mapping has them.
    pub(super) headers: &'a [(String, String)],
}

impl Cells<'_> {
    /// Text of a column.
    pub(super) fn text(&self, column: &Column) -> String {
        match column {
            Column::Constant(text) => text.clone(),
            Column::Cell { header, prefix, .. } => match self.table.cell(*header) {
                "" => String::new(),
                cell => format!("{prefix}{cell}"),
            },
        }
    }

    pub(super) fn some_text(&self, column: Option<&Column>) -> String {
        column.map_or_else(String::new, |column| self.text(column))
    }

    /// Entries of a column that may hold several.
    pub(super) fn list(&self, column: Option<&Column>) -> Vec<String> {
        let Some(column) = column else { return Vec::new() };
        let (cell, prefix, split) = match column {
            Column::Constant(text) => (text.as_str(), "", None),
            Column::Cell { header, prefix, split } => (self.table.cell(*header), prefix.as_str(), split.as_deref()),
        };
        let entries = split.map_or_else(|| vec![cell], |split| cell.split(split).collect());
        entries.into_iter().map(str::trim).filter(|entry| !entry.is_empty()).map(|entry| format!("{prefix}{entry}")).collect()
    }

    pub(super) fn member(&self, column: &Column) -> Result<String, String> {
        let member = self.text(column);
        if member.is_empty() {
            return Err(format!(
                "{} is empty: leave such rows out with [[skip]] column = …, empty = true, reason = …",
                self.place(column)
            ));
        }
        Ok(member)
    }

    /// `None`: the cell is empty.
    pub(super) fn instant(&self, column: Option<&Column>, clock: &mut Clockface) -> Result<Option<Instant>, String> {
        let Some(column) = column else { return Ok(None) };
        let text = self.text(column);
        if text.is_empty() {
            return Ok(None);
        }
        clock.read(&text).map(Some).map_err(|error| self.in_column(column, error))
    }

    /// Minor units, not below zero; `None`: the cell is empty.
    pub(super) fn amount(&self, column: Option<&Column>, exponent: u8) -> Result<Option<i64>, String> {
        let Some(column) = column else { return Ok(None) };
        let text = self.text(column);
        if text.is_empty() {
            return Ok(None);
        }
        let amount = self.table.style.numbers.read(&text).and_then(|amount| number::minor(amount, exponent));
        let checked = amount.and_then(|amount| if amount < 0 { Err(format!("\"{text}\" is below 0")) } else { Ok(amount) });
        checked.map(Some).map_err(|error| self.in_column(column, error))
    }

    /// Where a value is from, for messages.
    pub(super) fn place(&self, column: &Column) -> String {
        match column {
            Column::Constant(_) => "a constant".to_owned(),
            Column::Cell { header, .. } => format!("column \"{}\"", self.headers[*header].0),
        }
    }

    pub(super) fn in_column(&self, column: &Column, error: String) -> String {
        format!("{}: {error}", self.place(column))
    }

    pub(super) fn holds(&self, condition: &Condition) -> bool {
        let cell = self.table.cell(condition.header);
        match &condition.test {
            Test::Empty(empty) => cell.is_empty() == *empty,
            Test::Equals(texts) => texts.iter().any(|text| text == cell),
            Test::StartsWith(texts) => texts.iter().any(|text| cell.starts_with(text.as_str())),
            Test::AtMost(bound) => self.table.style.numbers.read(cell).is_ok_and(|number| number <= *bound),
        }
    }
}

/// What a fact is, beside its body.
pub(super) struct Head<'a> {
    pub(super) id: String,
    pub(super) source: &'a str,
    pub(super) program: &'a str,
    pub(super) member: String,
    pub(super) at: Instant,
}

impl Head<'_> {
    /// Makes the fact and reads it back, so that what the door would refuse is told here, with its lines.
    pub(super) fn fact(self, body: pb::fact::Body) -> Result<pb::Fact, String> {
        let fact = pb::Fact {
            id: self.id,
            source: self.source.to_owned(),
            program: self.program.to_owned(),
            member: self.member,
            occurred_at: Some(to_timestamp(self.at)),
            actor: String::new(),
            body: Some(body),
        };
        let mut bytes = Vec::new();
        write_fact(&fact, &mut bytes);
        read_fact(&bytes).map_err(|malformed| malformed.to_string())?;
        Ok(fact)
    }
}
