//! A service that is killed at every named moment of a rebuild, a flip and a drop, while facts come in.

use crate::shop::{Shop, build, digest, flip, is_the_same, is_whole, live, post, settled};
use accrue_projections::Point;
use accrue_tests::service::{Service, Setup};
use anyhow::{Context as _, Result, anyhow, ensure};

const BEFORE: usize = 6_000;
const ALL: usize = 7_000;

/// Everything there is to do with a generation, as long as the service lives.
fn live_through(service: &Service) -> Result<()> {
    let built = build(service)?;
    flip(service, built)?;
    settled(service)?;
    let (status, told) = service.delete("v1/generations/1")?;
    Err(anyhow!("it lived through everything: {status} {told}"))
}

fn killed_at(setup: &Setup<'_>, point: Point) -> Result<()> {
    let service = Service::start_killed(setup, &point)?;
    let url = service.url()?;
    let ended = std::thread::scope(|scope| {
        let publisher = scope.spawn(|| post(&url, BEFORE..ALL));
        let ended = live_through(&service);
        // It ends with the service, or has told everything.
        let _ = publisher.join();
        ended
    });
    let told = ended.err().map(|error| error.to_string()).unwrap_or_default();
    service.killed().with_context(|| told)
}

/// What is live in each shard is the old generation or the new one.
fn live_as_expected(service: &Service, point: Point) -> Result<()> {
    let rows = settled(service)?;
    let there = live(service)?;
    // The shards flip at the same time: the other one may have come further, or less far.
    let flipped = there.iter().filter(|live| **live == 2).count();
    let expected = match point {
        Point::FlipNoted => 0..=1,
        Point::Flipped => 1..=2,
        Point::DropNoted => 2..=2,
        _ => 0..=0,
    };
    ensure!(there.len() == 2 && expected.contains(&flipped) && there.iter().all(|live| [1, 2].contains(live)), "live {there:?}");
    ensure!(point != Point::DropNoted || !rows.iter().any(|row| (row.0, row.1) == (0, 1)), "dropped, and there: {rows:?}");
    Ok(())
}

/// It goes on: all facts, everything that was begun, and a generation from the beginning.
fn goes_on(shop: &Shop, setup: &Setup<'_>, point: Point) -> Result<()> {
    let service = Service::start(setup)?;
    live_as_expected(&service, point)?;
    shop.publish(setup, BEFORE..ALL)?;
    settled(&service)?;
    if point == Point::Begun {
        // The second shard knows nothing of it: all shards or none.
        let (status, told) = service.post("v1/generations/2/flip", "")?;
        ensure!(status == 404 && live(&service)? == [1, 1], "{status} {told}, live {:?}", live(&service)?);
    } else {
        if point != Point::DropNoted && live(&service)? != [1, 1] {
            let (status, told) = service.post("v1/generations/rollback", "")?;
            ensure!(status == 200 && live(&service)? == [1, 1], "{status} {told}, live {:?}", live(&service)?);
        }
        is_the_same(&service, 2)?;
        flip(&service, 2)?;
    }
    let built = build(&service)?;
    is_the_same(&service, built)?;
    flip(&service, built)?;
    service.terminate()
}

#[test]
fn at_every_moment_of_a_rebuild_a_flip_and_a_drop() -> Result<()> {
    let shop = Shop::open(0..BEFORE)?;
    let wanted = shop.undisturbed(BEFORE..ALL)?;
    for point in Point::ALL {
        let dir = shop.copy(&format!("{point:?}"))?;
        let setup = Setup::embedded(&dir);
        let told = || format!("killed at {point:?}");
        killed_at(&setup, point).with_context(told)?;
        goes_on(&shop, &setup, point).with_context(told)?;
        is_whole(&setup).with_context(told)?;
        let found = digest(&setup)?;
        ensure!(found == wanted, "{point:?}: {found}, undisturbed {wanted}");
        std::fs::remove_dir_all(&dir)?;
    }
    Ok(())
}
