//! The views of docs/sql by the real DuckDB, over an export: the numbers are those of the engine.

use super::{AS_OF, Shop, json, run};
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

type Row = BTreeMap<String, String>;

/// Rows that DuckDB answers with; it is fetched where it is missing.
fn ask(export: &Path, sql: &str) -> Result<Vec<Row>> {
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../deploy/duckdb/duckdb-dev");
    let done = Command::new(&script).arg("sql").arg(export).arg(sql).output().context("bash and python3 are needed")?;
    ensure!(done.status.success(), "{sql}: {}", String::from_utf8_lossy(&done.stderr).trim());
    Ok(csv::Reader::from_reader(&done.stdout[..]).deserialize().collect::<Result<_, _>>()?)
}

fn whole(row: &Row, name: &str) -> i64 {
    row.get(name).and_then(|text| text.parse().ok()).unwrap_or(i64::MIN)
}

fn list<'a>(of: &'a Value, name: &str) -> &'a [Value] {
    of[name].as_array().map_or(&[], Vec::as_slice)
}

/// Every number of a row that both have.
fn same(what: &str, is: &Row, must: &Value, columns: &[&str]) -> Result<()> {
    for column in columns {
        ensure!(
            must[*column] == whole(is, column),
            "{what}: {column} is {} by DuckDB, {} by the engine",
            is[*column],
            must[*column]
        );
    }
    Ok(())
}

const FLOWS: [&str; 15] = [
    "opening",
    "earned",
    "imported",
    "restored",
    "transferred_in",
    "adjusted",
    "spent",
    "expired",
    "cancelled",
    "clawed_back",
    "debt_repaid",
    "transferred_out",
    "closing",
    "debt_opened",
    "debt_closing",
];

#[test]
fn duckdb_says_what_the_engine_says() -> Result<()> {
    let shop = Shop::make()?;
    let (store, export) = (shop.store(), shop.path("export"));
    run(&store, &["export", "parquet", "--out", &export.display().to_string(), "--as-of", AS_OF])?;
    let owed = json(&store, &["liability", "--vintages", "--as-of", AS_OF])?;
    let ledgers = list(&owed["programs"][0], "ledgers");
    ensure!(ledgers.len() == 2, "{owed}");
    let (rolled, aged) = (ask(&export, "FROM liability_roll_forward")?, ask(&export, "FROM vintages")?);
    let runway = ask(&export, "FROM expiry_runway")?;
    let mut months = 0;
    for ledger in ledgers {
        let name = ledger["ledger"].as_str().context("a name")?;
        let of = |rows: &[Row], column: &str, value: &str| -> Vec<Row> {
            rows.iter().filter(|row| row["ledger"] == name && row[column] == value).cloned().collect()
        };
        for must in list(ledger, "rows").iter().filter(|row| row["entries"] != 0) {
            let month = must["period"].as_str().context("a period")?;
            let rows = of(&rolled, "month", month);
            ensure!(rows.len() == 1, "{name} {month}: {rows:?}");
            same(&format!("{name} {month}"), &rows[0], must, &FLOWS)?;
            months += 1;
        }
        for vintage in list(ledger, "vintages") {
            let month = vintage["month"].as_str().context("a month")?;
            let rows = of(&aged, "vintage", month);
            ensure!(rows.len() == list(vintage, "ages").len(), "{name} {month}: {} ages", rows.len());
            for must in list(vintage, "ages") {
                let row =
                    rows.iter().find(|row| must["age"] == whole(row, "age")).with_context(|| format!("{name} {month} {must}"))?;
                same(&format!("{name} {month}"), row, must, &["earned", "spent", "expired", "clawed_back", "other"])?;
            }
        }
        let ends: i64 = runway.iter().filter(|row| row["ledger"] == name).map(|row| whole(row, "points")).sum();
        let lots = &ledger["lots"];
        ensure!(lots["active"].as_i64().zip(lots["pending"].as_i64()).is_some_and(|(a, p)| a + p == ends), "{name}: {ends} end");
    }
    ensure!(months == rolled.len() && months > 20, "{months} months of {}", rolled.len());
    balances(&store, &export)?;
    tiers_and_cohorts(&store, &export)
}

/// At the export's instant, and at one before.
fn balances(store: &Path, export: &Path) -> Result<()> {
    for at in [AS_OF, "2025-07-15T10:30:00Z"] {
        let rows = ask(export, &format!("FROM balances_at('{at}') ORDER BY member, ledger"))?;
        let totals = json(store, &["totals", "demo", "--at", at])?;
        for ledger in ["main", "stamps"] {
            let sum = |column: &str| rows.iter().filter(|row| row["ledger"] == ledger).map(|row| whole(row, column)).sum::<i64>();
            let must = &totals["ledgers"][ledger];
            let outstanding = must["active"].as_i64().zip(must["pending"].as_i64()).map(|(active, pending)| active + pending);
            ensure!(must["active"] == sum("active") && must["debt"] == sum("debt"), "{ledger} at {at}: {must}");
            ensure!(outstanding == Some(sum("outstanding")), "{ledger} at {at}: {must}, {}", sum("outstanding"));
        }
        for row in rows.iter().filter(|row| row["ledger"] == "main").step_by(40) {
            let shown = json(store, &["member", "show", "demo", &row["member"], "--as-of", at])?;
            ensure!(shown["balance"]["main"]["active"] == whole(row, "active"), "{} at {at}", row["member"]);
        }
    }
    Ok(())
}

fn tiers_and_cohorts(store: &Path, export: &Path) -> Result<()> {
    let tiers = json(store, &["tiers", "demo", "--at", AS_OF])?;
    for row in ask(export, "FROM tier_counts")? {
        let must = list(&tiers, "tiers").iter().find(|tier| tier["tier"] == row["tier"]).context("a tier")?;
        ensure!(must["now"] == whole(&row, "members"), "{row:?}, {must}");
    }
    let (mut spent, owed) = (0, json(store, &["liability", "--as-of", AS_OF])?);
    for row in list(&owed["programs"][0], "ledgers").iter().flat_map(|ledger| list(ledger, "rows")) {
        spent -= ["spent", "restored"].iter().filter_map(|kind| row[*kind].as_i64()).sum::<i64>();
    }
    let cohorts = ask(export, "SELECT sum(points) AS points, sum(redeemers) AS redeemers FROM cohort_redemption")?;
    ensure!(whole(&cohorts[0], "redeemers") > 10 && whole(&cohorts[0], "points") == spent, "{cohorts:?}, {spent} by the engine");
    let moved = ask(export, &format!("FROM tier_counts_at('{AS_OF}')"))?;
    ensure!(moved.len() > 1, "{moved:?}");
    Ok(())
}

/// The rows behind a comparison, from a running service, come to its sums; and to what an export under the other rules has.
#[test]
fn rows_of_a_comparison_come_to_its_sums() -> Result<()> {
    let shop = Shop::make()?;
    let store = shop.store();
    let out = |name: &str| shop.path(name).display().to_string();
    std::fs::write(shop.path("rules.toml"), super::service::RULES)?;
    let rules = out("rules.toml");
    let answer = json(&store, &["rules", "diff", "live", &rules, "--at", AS_OF, "--parquet", &out("diff")])?;
    let (export, then) = (shop.path("export"), ["--as-of", AS_OF, "--rules", &rules]);
    run(&store, &[&["export", "parquet", "--out", &out("export")][..], &then].concat())?;
    let rows = format!("read_parquet('{}')", shop.path("diff").join("*/*/*.parquet").display());
    let sums = ask(
        &export,
        &format!(
            "SELECT s.ledger, sum(active_new) AS active, sum(debt_new) AS debt, sum(delta) AS delta, count(DISTINCT s.member) AS members,
                sum(b.active) AS exported, sum(b.debt) AS exported_debt
             FROM {rows} s LEFT JOIN balances b ON b.member = s.member AND b.ledger = s.ledger GROUP BY s.ledger ORDER BY s.ledger"
        ),
    )?;
    ensure!(sums.len() == 2, "{sums:?}, {answer}");
    for row in &sums {
        let must = &answer["ledgers"][&row["ledger"]];
        let change = |name: &str| must["delta"][name].as_i64().unwrap_or(i64::MIN);
        ensure!(whole(row, "delta") == change("active") + change("pending") - change("debt"), "{row:?}, {must}");
        ensure!(must["new"]["active"] == whole(row, "active") && must["new"]["debt"] == whole(row, "debt"), "{row:?}, {must}");
        let exported = (whole(row, "exported"), whole(row, "exported_debt"));
        ensure!(row["ledger"] != "main" || exported == (whole(row, "active"), whole(row, "debt")), "{row:?}");
    }
    let counted = "SELECT count(DISTINCT member) AS members, count(DISTINCT member) FILTER (WHERE changed) AS changed";
    let counted = ask(&export, &format!("{counted} FROM {rows}"))?;
    ensure!(answer["changed"] == whole(&counted[0], "changed") && whole(&counted[0], "changed") > 100, "{counted:?}, {answer}");
    ensure!(answer["members"] == whole(&counted[0], "members"), "{counted:?}, {}", answer["members"]);
    Ok(())
}
