//! Referrals among members who are merged and parted, where codes, referrers and friends are in different shards.

use super::world::World;
use super::{SHARDS, WHOLE_EVERY, seeds, world};
use accrue_tests::history::random::Random;
use accrue_tests::history::{Delivery, Expected, History};
use anyhow::{Result, ensure};
use serde_json::{Value, json};

const RULES: &str = r#"
program = "test"
currency = "GBP"
time_zone = "UTC"
[referral]
pending_until = "P10D"
friend_first_order = { min_eligible = "20.00" }
[[earn]]
id = "base"
on = "order"
points = 1
per = "1.00"
[[earn]]
id = "joined"
on = "referral_joined"
points = 5
[[earn]]
id = "completed"
on = "referral_completed"
points = 100
"#;
const MEMBERS: usize = 6;
const STEPS: usize = 40;
/// Who came earlier than was known, by the same code; what was told and withdrawn before anything else of its member.
const FAILED_ONCE: [u64; 3] = [447, 486, 570];

fn name(member: usize) -> String {
    format!("m{member}")
}

/// Orders are few, so that they are cancelled and told again; each member wishes for a code that nobody else wants.
fn step(random: &mut Random, number: usize, merges: bool) -> Value {
    let (member, other, day) = (random.below(MEMBERS), random.below(MEMBERS), 1 + random.below(28));
    let order = format!("o{member}-{}", random.below(2));
    let (kind, body) = match random.below(if merges { 12 } else { 9 }) {
        0 | 1 => ("referral_code_changed", json!({ "slug": format!("of-{member}-{}", random.below(2)) })),
        2 | 3 => ("referral_joined", json!({ "code": format!("of-{other}-{}", random.below(2)) })),
        4..7 => {
            let line =
                json!({ "line_id": "1", "sku": "tea", "quantity": 1, "unit_price": format!("{}.00", 10 + random.below(40)) });
            ("order_placed", json!({ "order_id": format!("{order}-{number}"), "currency": "GBP", "lines": [line] }))
        }
        7 => ("order_cancelled", json!({ "order_id": format!("{order}-{}", random.below(number + 1)) })),
        8 => ("referral_visited", json!({ "code": "of-0-0" })),
        9 | 10 => ("members_merged", json!({ "loser": name(other) })),
        _ => ("members_unmerged", json!({ "loser": name(other) })),
    };
    let at = format!("2024-02-{day:02}T00:{:02}:{:02}Z", number / 60, number % 60);
    json!({ "id": format!("f{number}"), "source": "s", "program": "test", "member": name(member), "occurred_at": at, kind: body })
}

fn merged(seed: u64) -> bool {
    !seed.is_multiple_of(3)
}

fn history(seed: u64) -> History {
    let mut random = Random::new(seed ^ 0xF1E2);
    let facts = (0..STEPS).map(|number| step(&mut random, number, merged(seed)));
    History {
        rules_toml: RULES.to_owned(),
        later_rules: Vec::new(),
        members: (0..MEMBERS).map(name).collect(),
        deliveries: facts.map(|fact| Delivery { fact, expected: Expected::New }).collect(),
    }
}

/// In the middle, and at the end of all time.
const INSTANTS: [i64; 2] = [1_707_955_200_000_000, i64::MAX / 4];

/// How many facts there are depends on what was told and taken back meanwhile.
fn answer(world: &World, member: &str, at: i64) -> Result<Value> {
    let mut answer = world.answer_then(member, at, INSTANTS[1])?;
    answer.as_object_mut().map(|of| of.remove("facts"));
    Ok(answer)
}

#[test]
fn friends_are_the_same_in_one_shard_and_in_several() -> Result<()> {
    for seed in seeds().chain(FAILED_ONCE) {
        let history = history(seed);
        let (mut one, mut many) = (World::open(&history, 1)?, World::open(&history, SHARDS)?);
        let mut random = Random::new(seed ^ 0x5AD5);
        let mut facts = history.facts();
        if seed % 2 == 1 {
            random.shuffle(&mut facts);
        }
        for fact in &facts {
            one.tell(fact)?;
            many.tell_only(fact)?;
            many.disturb(&mut random)?;
        }
        many.settle()?;
        // Before a merge that is known since, codes and friends are those of today's member.
        let instants = if merged(seed) { &INSTANTS[1..] } else { &INSTANTS[..] };
        for (member, at) in history.members.iter().flat_map(|member| instants.iter().map(move |at| (member, *at))) {
            let (one, many) = (answer(&one, member, at)?, answer(&many, member, at)?);
            ensure!(one == many, "seed {seed}, {member} at {at}:\n{}", world::differences(&one, &many));
        }
        if seed % WHOLE_EVERY == 0 {
            many.is_whole()?;
        }
    }
    Ok(())
}
