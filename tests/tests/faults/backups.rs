//! Backups of a store whose live generation is not the first and that supposes other rules beside it; made and restored by
//! commands that are killed at every named moment, while the service goes on.

use crate::shop::{RULES, Shop, build, digest, flip, generations, is_the_same, is_whole, live, settled};
use accrue_server::backup::Point;
use accrue_tests::service::{Service, Setup};
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use std::path::Path;

/// Orders of each step: there is something new to send.
const STEP: usize = 50;

fn text(path: &Path) -> Result<&str> {
    path.to_str().context("a path")
}

/// Every backup of a place is whole; how many there are.
fn whole(setup: &Setup<'_>, place: &str) -> Result<usize> {
    let told = setup.run_on_store(&["backup", "verify", place])?;
    let rows = told["backups"].as_array().context("backups")?;
    ensure!(rows.iter().all(|row| row["state"] == "whole"), "{told}");
    Ok(rows.len())
}

/// The second of two backups is killed, of which one is to be kept.
fn create_killed(shop: &Shop, setup: &Setup<'_>, point: Point, first: usize) -> Result<()> {
    let place = shop.path(&format!("place-{point:?}"));
    let create = ["backup", "create", text(&place)?, "--keep", "1"];
    setup.run(&create)?;
    shop.publish(setup, first..first + STEP)?;
    setup.run_killed(&create, &point)?;
    let there = whole(setup, text(&place)?)?;
    ensure!(there == if point == Point::Named { 2 } else { 1 }, "{there} backups");
    let made = setup.run(&create)?;
    ensure!(made["state"] == "whole" && whole(setup, text(&place)?)? == 1, "{made}");
    std::fs::remove_dir_all(place)?;
    Ok(())
}

/// Nothing is there, or everything.
fn restore_killed(setup: &Setup<'_>, place: &str, point: Point) -> Result<()> {
    let restore = ["backup", "restore", place];
    setup.run_killed(&restore, &point)?;
    ensure!(setup.dir.exists() == (point == Point::InPlace), "restored?");
    if !setup.dir.exists() {
        setup.run(&restore)?;
    }
    Ok(())
}

/// What was live is live, without what was beside it; and it goes on.
fn goes_on(setup: &Setup<'_>) -> Result<()> {
    let service = Service::start(setup)?;
    let rows = settled(&service)?;
    ensure!(live(&service)? == [2, 2] && rows.len() == 2, "{rows:?}");
    let (status, told) = service.post("v1/generations/rollback", "")?;
    ensure!(status != 200 && told["detail"].as_str().is_some_and(|why| why.contains("nothing was live before")), "{told}");
    let built = build(&service)?;
    is_the_same(&service, built)?;
    flip(&service, built)?;
    service.terminate()
}

#[test]
fn of_a_store_with_generations() -> Result<()> {
    let shop = Shop::open(0..STEP)?;
    let data = shop.copy("data")?;
    let setup = Setup::embedded(&data);
    let service = Service::start(&setup)?;
    ensure!(build(&service)? == 2, "the first that was built");
    flip(&service, 2)?;
    let what_if = json!({ "what_if": RULES.replace("points = 1", "points = 2") });
    let (status, told) = service.post("v1/generations", &what_if.to_string())?;
    ensure!(status == 200, "{told}");
    ensure!(settled(&service)?.iter().filter(|row| row.2 == "what_if").count() == 2, "{:?}", generations(&service)?);

    let mut orders = STEP;
    for point in Point::CREATING {
        create_killed(&shop, &setup, point, orders).with_context(|| format!("killed at {point:?}"))?;
        orders += STEP;
    }
    let place = shop.path("place");
    setup.run(&["backup", "create", text(&place)?])?;
    let deep = setup.run_on_store(&["backup", "verify", text(&place)?, "--deep"])?;
    ensure!(deep["backups"][0]["state"] == "whole", "{deep}");
    service.terminate()?;
    is_whole(&setup)?;
    let wanted: Value = digest(&setup)?;
    ensure!(wanted == shop.undisturbed(0..orders)?, "killed backups changed the store: {wanted}");

    for point in Point::RESTORING {
        let told = || format!("killed at {point:?}");
        let restored = shop.path(&format!("restored-{point:?}"));
        let setup = Setup::embedded(&restored);
        restore_killed(&setup, text(&place)?, point).with_context(told)?;
        is_whole(&setup).with_context(told)?;
        let found = digest(&setup)?;
        ensure!(found == wanted, "{point:?}: {found}, backed up {wanted}");
        goes_on(&setup).with_context(told)?;
        ensure!(digest(&setup)? == wanted, "{point:?}: after a generation of its own");
    }
    Ok(())
}
