//! A process that ends at any named moment leaves a store that answers as before, and goes on where it was.

use super::{BuildOptions, Compared, GenerationState, Keeper, Point, Supposed};
use crate::digest::Digest;
use crate::filter;
use crate::ledger::LedgerOptions;
use crate::point::AT_POINTS;
use crate::reader::AsOf;
use crate::story::{Delivered, Desk};
use crate::verify::verify;
use accrue_ledger::Instant;
use accrue_proto::json::{Defaults, fact_from_json};
use std::fmt::Debug;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

const RULES: &str = "program = \"p\"\ncurrency = \"GBP\"\ntime_zone = \"UTC\"\n[[earn]]\nid = \"base\"\non = \"order\"\npoints = 1\nper = \"1.00\"\n";
pub const ORDERS: u32 = 3_000;
const LATER: Instant = Instant(1_800_000_000_000_000);
/// So many rounds that they are scattered into a file.
pub const SMALL: BuildOptions = BuildOptions { threads: 2, memory_bytes: 1_000_000, io_bytes_per_second: None };

fn written(text: &str) -> Vec<u8> {
    let fact = fact_from_json(text.as_bytes(), &Defaults::default()).expect("valid");
    let mut bytes = Vec::new();
    accrue_proto::write_fact(&fact, &mut bytes);
    bytes
}

pub fn order(n: u32) -> Vec<u8> {
    written(&format!(
        r#"{{"id": "{n}", "source": "s", "program": "p", "member": "m{}", "occurred_at": "2024-03-01T10:{:02}:{:02}Z",
           "actor": "{:0200}", "order_placed": {{"order_id": "order-{n}", "currency": "GBP",
           "lines": [{{"line_id": "1", "sku": "x", "quantity": 1, "unit_price": "5.00"}}]}}}}"#,
        n % 211,
        n / 60,
        n % 60,
        0
    ))
}

fn merge() -> Vec<u8> {
    written(
        r#"{"id": "merge", "source": "s", "program": "p", "member": "m1", "occurred_at": "2024-03-02T00:00:00Z",
           "members_merged": {"loser": "m2"}}"#,
    )
}

pub fn filled(dir: &Path) -> Desk {
    let mut desk = Desk::open(dir, LedgerOptions::default()).expect("opens");
    desk.activate("p", RULES, Instant(0)).expect("in force");
    let orders: Vec<Vec<u8>> = (0..ORDERS).map(order).chain([merge()]).collect();
    for group in orders.chunks(500) {
        let became = desk.deliver_group(group).expect("taken");
        assert!(became.iter().all(|one| matches!(one, Delivered::Booked { .. })), "{:?}", became.last());
    }
    desk.checkpoint().expect("written");
    desk
}

pub fn keeper(desk: &Desk) -> Keeper {
    Keeper::open(desk.store(), desk.reader().expect("open"), LedgerOptions::default()).expect("opens")
}

pub fn wait_for(keeper: &Keeper, generation: u32) {
    for _ in 0..2_000 {
        let all = keeper.status(LATER).expect("told");
        let state = all.iter().find(|one| one.generation == generation).expect("it is there").state;
        if !matches!(state, GenerationState::Building | GenerationState::CatchingUp) {
            assert_ne!(state, GenerationState::Failed, "{all:?}");
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("generation {generation} is not in step");
}

/// The writer goes on while it is asked.
fn flip(desk: &mut Desk, keeper: &Keeper, generation: u32) {
    std::thread::scope(|scope| {
        let asked = scope.spawn(|| keeper.flip(generation));
        while !asked.is_finished() {
            desk.checkpoint().expect("written");
            std::thread::sleep(Duration::from_millis(2));
        }
        asked.join().expect("no panic").expect("flipped");
    });
}

/// Everything there is to do with a generation.
fn live_through(dir: &Path) {
    let mut desk = Desk::open(dir, LedgerOptions::default()).expect("opens");
    let keeper = keeper(&desk);
    keeper.plan(2, SMALL, None).expect("planned");
    keeper.begin(2).expect("begun");
    wait_for(&keeper, 2);
    flip(&mut desk, &keeper, 2);
    wait_for(&keeper, 1);
    keeper.drop(1).expect("dropped");
    keeper.stop().expect("stopped");
}

fn digest(desk: &Desk) -> Digest {
    desk.reader().expect("open").digest("p").expect("reads")
}

/// Not a test of its own: what another one starts as a process that ends in the middle.
#[test]
fn a_process_that_ends() {
    let (Ok(dir), Ok(point)) = (std::env::var("ACCRUE_TEST_DIR"), std::env::var("ACCRUE_TEST_POINT")) else { return };
    let end: fn(&dyn Debug) = |point| {
        if std::env::var("ACCRUE_TEST_POINT").is_ok_and(|name| name == format!("{point:?}")) {
            std::process::abort();
        }
    };
    AT_POINTS.set(end).expect("nobody else");
    live_through(Path::new(&dir));
    panic!("point {point} was not reached");
}

#[test]
fn a_process_may_end_at_every_point() {
    for point in Point::ALL {
        let dir = tempfile::tempdir().expect("dir");
        let before = digest(&filled(dir.path()));
        let exe = std::env::current_exe().expect("this test");
        let mut child = Command::new(exe);
        child.args(["--exact", "generation::tests::a_process_that_ends"]);
        child.env("ACCRUE_TEST_DIR", dir.path()).env("ACCRUE_TEST_POINT", format!("{point:?}"));
        let ended = child.output().expect("runs");
        assert!(ended.status.code().is_none(), "{point:?}: {}", String::from_utf8_lossy(&ended.stdout));
        let mut desk = Desk::open(dir.path(), LedgerOptions::default()).expect("opens");
        assert_eq!(digest(&desk), before, "{point:?}");
        let keeper = keeper(&desk);
        let flipped = [Point::Flipped, Point::DropNoted].contains(&point);
        assert_eq!(keeper.live().expect("reads"), if flipped { 2 } else { 1 }, "{point:?}");
        let there = desk.store().generations(0).expect("reads");
        assert_eq!(there, if point == Point::DropNoted { vec![2] } else { vec![1, 2] }, "{point:?}");
        if !flipped {
            wait_for(&keeper, 2);
            let other = keeper.reader(2).expect("complete");
            let found = desk.reader().expect("open").difference((&other, Compared::All), "p", LATER, 1).expect("compared");
            assert_eq!((found.changed, found.unsettled, found.members), (0, 0, 211), "{point:?}: {found:?}");
            drop(other);
            flip(&mut desk, &keeper, 2);
        }
        desk.deliver(&order(ORDERS)).expect("taken");
        keeper.stop().expect("stopped");
        let scratch = tempfile::tempdir().expect("dir");
        let reader = desk.reader().expect("open");
        let report = verify(desk.store(), &reader, LedgerOptions::default(), scratch.path(), |_| ()).expect("verified");
        assert!(report.is_whole(), "{point:?}: {:?}", report.broken);
    }
}

#[test]
fn a_build_tells_its_filter_of_everybody() {
    let dir = tempfile::tempdir().expect("dir");
    let desk = filled(dir.path());
    let keeper = keeper(&desk);
    keeper.plan(2, SMALL, None).expect("planned");
    keeper.begin(2).expect("begun");
    wait_for(&keeper, 2);
    let view = desk.store().view(0, 2).expect("opens");
    let kept = filter::kept(&view).expect("beside the rows");
    let rows = filter::of_view(&view, &AtomicBool::new(false)).expect("read");
    assert!(kept.is_complete() && kept.knows_all_of(&rows) && !filter::Filter::new(true).knows_all_of(&rows));
    keeper.stop().expect("stopped");
}

#[test]
fn what_if_can_be_asked_and_never_be_live() {
    let dir = tempfile::tempdir().expect("dir");
    let mut desk = filled(dir.path());
    let keeper = keeper(&desk);
    let two = RULES.replace("points = 1", "points = 2");
    let from = Instant::parse("2024-03-01T10:25:00Z").map(|from| from.0);
    keeper.plan(2, SMALL, Some(Supposed { ruleset: two, from })).expect("planned");
    keeper.begin(2).expect("begun");
    wait_for(&keeper, 2);
    // It follows, under its own rules.
    desk.deliver(&order(ORDERS)).expect("taken");
    let (live, other) = (desk.reader().expect("open"), keeper.reader(2).expect("complete"));
    while other.next_position() < live.next_position() {
        std::thread::sleep(Duration::from_millis(5));
    }
    let active = |n: u32| {
        let told = |reader: &crate::LedgerReader| reader.member("p", &format!("m{n}"), AsOf::default(), LATER).expect("reads");
        [&live, &other].map(|reader| told(reader).expect("a member").balance["main"].active)
    };
    // Orders of m0: 0, 211, …, 2954, and 2 × 5 for each from the 1,500th on.
    assert_eq!(active(0), [75, 110]);
    let found = live.difference((&other, Compared::All), "p", LATER, 3).expect("compared");
    let sums = &found.sums["main"]["earned"];
    assert_eq!((sums.live, sums.other), (15_005, 15_005 + 1_501 * 5));
    assert_eq!((found.changed, found.named.len(), found.slices_equal < found.slices), (210, 3, true), "{found:?}");
    assert!(found.named[0].fields.contains_key("balance.main.active"), "{:?}", found.named[0]);
    assert!(keeper.flip(2).is_err());
    drop((live, other));
    keeper.drop(2).expect("dropped");
    assert_eq!(desk.store().generations(0).expect("reads"), [1]);
    keeper.stop().expect("stopped");
}
