//! Looking people up, and erasing them, where their names are in different shards.

use super::SHARDS;
use super::spending::{fact, plain};
use super::world::World;
use accrue_ledger::Instant;
use accrue_projections::AsOf;
use accrue_projections::LookUp;
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use std::collections::BTreeSet;

const NOW: Instant = Instant(1_710_000_000_000_000);
const EMAIL: &str = "ann@example.org";

fn found(world: &mut World, by: &LookUp) -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    for shard in 0..world.desks.count() {
        found.extend(world.desks.desk(shard).reader()?.look_up("test", by, AsOf::default(), NOW)?);
    }
    Ok(found)
}

fn key(world: &mut World, member: &str) -> Result<Option<Vec<u8>>> {
    let shard = world.desks.shard_of("test", member);
    let log = world.desks.desk(shard).store().shard(u32::try_from(shard)?)?;
    Ok(log.vault_if_any()?.context("keys")?.wrapped_key("test", member)?)
}

/// A merge of two shards, and who is merged into whom.
fn merged(erased: &str) -> Result<(World, [String; 2])> {
    let mut world = World::open(&plain(), SHARDS)?;
    let home = world.desks.shard_of("test", "m0");
    let other = (1..).find(|member| world.desks.shard_of("test", &format!("m{member}")) != home).context("another")?;
    let names = ["m0".to_owned(), format!("m{other}")];
    let profile = |email: &str| json!({ "name": "Ann", "email": email });
    let mut facts: Vec<Value> = vec![
        fact(0, 0, "member_profile_changed", profile("other@example.org")),
        fact(1, other, "card_issued", json!({ "code": "C1" })),
        fact(2, other, "member_profile_changed", profile(EMAIL)),
        fact(3, 0, "members_merged", json!({ "loser": names[1] })),
    ];
    match erased {
        "winner" => facts.push(fact(4, 0, "member_erased", json!({}))),
        "loser" => facts.push(fact(4, other, "member_erased", json!({}))),
        _ => facts.insert(0, fact(4, 0, "member_erased", json!({}))),
    }
    for fact in &facts {
        if fact.get("member_erased").is_some() && erased != "before" {
            for by in [LookUp::Card("C1".into()), LookUp::Email(EMAIL.into())] {
                ensure!(found(&mut world, &by)? == BTreeSet::from(["m0".to_owned()]), "{by:?}");
            }
            ensure!(key(&mut world, &names[0])?.is_some() && key(&mut world, &names[1])?.is_some());
        }
        world.tell(fact)?;
    }
    Ok((world, names))
}

#[test]
fn who_is_erased_is_erased_under_all_names_in_all_shards() -> Result<()> {
    for erased in ["winner", "loser", "before"] {
        let (mut world, names) = merged(erased)?;
        for by in [LookUp::Card("C1".into()), LookUp::Email(EMAIL.into())] {
            ensure!(found(&mut world, &by)?.is_empty(), "{erased}: {by:?} finds {:?}", found(&mut world, &by)?);
        }
        for name in &names {
            ensure!(key(&mut world, name)?.is_none(), "{erased}: the key of {name} is still there");
        }
        world.is_whole()?;
    }
    Ok(())
}
