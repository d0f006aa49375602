//! A generation beside the live one, built and compared row by row.

use accrue_ledger::Instant;
use accrue_projections::story::{Desk, told_rows};
use accrue_projections::{BuildOptions, Compared, GenerationState, Keeper, LedgerOptions};
use anyhow::{Context as _, Result, bail, ensure};
use std::time::Duration;

/// Every round is one part, as if there were no memory.
pub const SMALL: BuildOptions = BuildOptions { threads: 2, memory_bytes: 1, io_bytes_per_second: None };
/// Between two looks.
pub const WAIT: Duration = Duration::from_millis(10);
const TRIES: u32 = 3_000;
const LATER: Instant = Instant(2_000_000_000_000_000);

/// Waits until a generation is at a position.
///
/// # Errors
/// It fails, or does not come there.
pub fn wait_for(keeper: &Keeper, generation: u32, next: u64) -> Result<()> {
    for _ in 0..TRIES {
        let all = keeper.status(LATER)?;
        let of = all.iter().find(|status| status.generation == generation).context("it is not there")?;
        if let Some(detail) = &of.detail {
            bail!("generation {generation}: {detail}");
        }
        let whole = of.state != GenerationState::Building && of.state != GenerationState::CatchingUp;
        if whole && of.next_position == next {
            return Ok(());
        }
        std::thread::sleep(WAIT);
    }
    bail!("generation {generation} is not in step: {:?}", keeper.status(LATER)?)
}

/// Whether two generations have the same rows, but for how checkpoints cut them.
///
/// # Errors
/// They have not.
pub fn same_rows(desk: &mut Desk, live: u32, other: u32) -> Result<()> {
    desk.checkpoint()?;
    let shard = desk.reader()?.shard();
    let rows = |generation| Ok::<_, anyhow::Error>(told_rows(&desk.store().view(shard, generation)?)?);
    let (one, two) = (rows(live)?, rows(other)?);
    let differ: Vec<_> = one.keys().chain(two.keys()).filter(|key| one.get(*key) != two.get(*key)).collect();
    let shown = |key: &&Vec<u8>| format!("{}: {:?}, {:?}", key.escape_ascii(), one.get(*key), two.get(*key));
    let shown: Vec<String> = differ.iter().take(5).map(shown).collect();
    ensure!(differ.is_empty(), "{} rows of {live} and {other} differ:\n{}", differ.len(), shown.join("\n"));
    Ok(())
}

/// Whether a comparison finds nothing.
///
/// # Errors
/// It does.
pub fn nothing_differs(desk: &Desk, keeper: &Keeper, other: u32) -> Result<()> {
    let (live, other) = (desk.reader()?, keeper.reader(other).context("it answers")?);
    for program in live.programs() {
        let found = live.difference((&other, Compared::All), &program, LATER, 3)?;
        ensure!(found.changed == 0 && found.unsettled == 0 && found.digests[0] == found.digests[1], "{program}: {found:?}");
        ensure!(found.members == 0 || found.slices > 0 && found.slices == found.slices_equal, "{program}: {found:?}");
        ensure!(live.digest(&program)? == other.digest(&program)?);
    }
    Ok(())
}

/// Builds a generation of everything there is, compares it, and drops it.
///
/// # Errors
/// It is another one.
pub fn built_beside_is_the_same(desk: &mut Desk, options: LedgerOptions) -> Result<()> {
    let keeper = Keeper::open(desk.store(), desk.reader()?, options)?;
    let built = keeper.next_number()?;
    keeper.plan(built, SMALL, None)?;
    keeper.begin(built)?;
    wait_for(&keeper, built, desk.next_position().0)?;
    nothing_differs(desk, &keeper, built)?;
    keeper.stop()?;
    same_rows(desk, keeper.live()?, built)?;
    desk.store().drop_view(keeper.shard(), built)?;
    Ok(())
}
