//! Every scenario's store, exported and read again: the balances are those of the engine.

use super::json;
use anyhow::{Context as _, Result, ensure};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Rows of a CSV file of an export, by column.
pub fn rows(path: &Path) -> Result<Vec<BTreeMap<String, String>>> {
    let mut reader = csv::Reader::from_path(path).with_context(|| path.display().to_string())?;
    Ok(reader.deserialize().collect::<Result<_, _>>()?)
}

fn number(row: &BTreeMap<String, String>, name: &str) -> i64 {
    row.get(name).and_then(|text| text.parse().ok()).unwrap_or(i64::MIN)
}

/// Compares a store's export with the lists of its members; how many were compared.
fn check(store: &Path, out: &Path) -> Result<usize> {
    let tables = "balances,lots,entries,members";
    let manifest = json(store, &["export", "csv", "--out", &out.display().to_string(), "--tables", tables])?;
    let mut members = 0;
    for name in manifest["rules"].as_object().context("programs")?.keys() {
        let of = |table: &str| rows(&out.join(name).join(format!("{table}.csv")));
        let (balances, lots, entries) = (of("balances")?, of("lots")?, of("entries")?);
        let listed = json(store, &["member", "list", "--program", name, "--limit", "100000"])?;
        let listed = listed["members"].as_array().context("members")?.clone();
        ensure!(of("members")?.len() == listed.len(), "{name}: other members");
        for member in &listed {
            members += 1;
            let id = member["member"].as_str().context("an id")?;
            // Ids that a spreadsheet would take for formulas are told apart by an apostrophe.
            let of_main =
                |row: &&BTreeMap<String, String>| row["member"].trim_start_matches('\'') == id && row["ledger"] == "main";
            let sum = |rows: &[BTreeMap<String, String>], name: &str| {
                rows.iter().filter(of_main).map(|row| number(row, name)).sum::<i64>()
            };
            for column in ["active", "pending", "debt", "earned", "spent", "expired"] {
                let is = sum(&balances, column);
                ensure!(member[column] == is, "{name}/{id}: {column} is {is} in the export, {} here", member[column]);
            }
            let has = sum(&balances, "active") + sum(&balances, "pending");
            ensure!(sum(&lots, "left") == has, "{name}/{id}: lots hold {}, not {has}", sum(&lots, "left"));
            let last = entries.iter().rev().find(of_main).map_or(0, |row| number(row, "active_after"));
            ensure!(last == sum(&balances, "active"), "{name}/{id}: the last entry leaves {last}");
        }
    }
    Ok(members)
}

#[test]
fn every_scenario_comes_back_from_its_export() -> Result<()> {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let scratch = tempfile::tempdir()?;
    let reports = accrue_projections::story::run(&[here], scratch.path())?;
    let mut members = 0;
    for (number, report) in reports.iter().enumerate() {
        let folder = scratch.path().join(number.to_string());
        members += check(&folder.join("store"), &folder.join("out")).with_context(|| report.file.display().to_string())?;
    }
    ensure!(reports.len() > 30 && members > reports.len() / 2, "{members} members of {} scenarios", reports.len());
    Ok(())
}
