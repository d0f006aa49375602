//! `accrue config check | show`

use super::Ctx;
use crate::cli::ConfigCommand;
use crate::config::{Origin, Shown};
use crate::failure::Failure;
use crate::print::{Column, text};
use anyhow::Result;
use serde_json::{Value, json};

const ROWS: [Column; 3] = [text("key", "/key"), text("value", "/value"), text("from", "/from")];

pub(super) fn run(ctx: &Ctx, command: &ConfigCommand) -> Result<()> {
    let shown = ctx.config.shown();
    let chosen = |row: &&Shown| row.origin != Origin::Default;
    match command {
        // It was read and checked before any command began.
        ConfigCommand::Check => {
            if let Some(kafka) = &ctx.config.kafka {
                kafka.options().check().map_err(|error| Failure::usage(error.to_string()))?;
            }
            eprintln!(
                "the configuration is right: {} keys are chosen, the others have their defaults",
                shown.iter().filter(chosen).count()
            );
            Ok(())
        }
        ConfigCommand::Show { effective } => {
            let rows = shown.iter().filter(|row| *effective || chosen(row));
            let rows: Vec<Value> =
                rows.map(|row| json!({ "key": row.key, "value": row.value, "from": row.origin.to_string() })).collect();
            ctx.printer.rows(&json!({ "keys": rows }), &rows, &ROWS)
        }
    }
}
