//! Who is asked about, and as of when.

use accrue_ledger::Instant;
use accrue_projections::{AsKnown, AsOf};
use accrue_store::Position;
use clap::Args;
use std::collections::BTreeMap;

/// A member and a past.
#[derive(Args, Debug)]
pub struct MemberArgs {
    /// PROGRAM/MEMBER, or PROGRAM MEMBER, or MEMBER where there is only one program
    #[arg(required = true, num_args = 1..=2, value_name = "PROGRAM/MEMBER")]
    who: Vec<String>,
    /// The program
    #[arg(long)]
    program: Option<String>,
    /// Which past
    #[command(flatten)]
    past: PastArgs,
}

/// A past, on two axes.
#[derive(Args, Debug)]
pub struct PastArgs {
    /// True then [default: now]
    #[arg(long, alias = "at", value_name = "INSTANT", value_parser = instant)]
    as_of: Option<Instant>,
    /// As known then: without what was recorded later; an instant, or a position of the shard
    #[arg(long, value_name = "INSTANT|POSITION", value_parser = known)]
    as_known_at: Option<AsKnown>,
}

impl PastArgs {
    /// Which past is meant.
    pub fn as_of(&self) -> AsOf {
        AsOf { as_of: self.as_of, known: self.as_known_at.unwrap_or_default() }
    }
}

/// A position, or an instant.
fn known(text: &str) -> Result<AsKnown, String> {
    match text.parse() {
        Ok(position) => Ok(AsKnown::Position(Position(position))),
        Err(_) => instant(text).map(AsKnown::At).map_err(|error| format!("write a position as a number; else {error}")),
    }
}

/// A member; the program may be left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Who {
    /// The program, if it was named.
    pub program: Option<String>,
    /// The member.
    pub member: String,
}

impl MemberArgs {
    /// Who is meant. The program's id has no slash, a member's may.
    pub fn who(&self) -> Who {
        match (self.who.as_slice(), &self.program) {
            ([program, member], _) => Who { program: Some(program.clone()), member: member.clone() },
            ([member], Some(program)) => Who { program: Some(program.clone()), member: member.clone() },
            ([one], None) => match one.split_once('/') {
                Some((program, member)) => Who { program: Some(program.to_owned()), member: member.to_owned() },
                None => Who { program: None, member: one.clone() },
            },
            _ => Who { program: None, member: String::new() },
        }
    }

    /// Which past is meant.
    pub fn as_of(&self) -> AsOf {
        self.past.as_of()
    }
}

/// `2024-10-12T07:20:50Z`, or the beginning of a day in UTC: `2024-10-12`.
///
/// # Errors
/// It is neither.
pub fn instant(text: &str) -> Result<Instant, String> {
    let day = || text.parse::<jiff::civil::Date>().ok().and_then(|_| Instant::parse(&format!("{text}T00:00:00Z")));
    Instant::parse(text)
        .or_else(day)
        .ok_or_else(|| "write it as 2024-10-12T07:20:50Z or 2024-10-12 (its beginning, UTC), at most 9999-12-30".to_owned())
}

/// `0:120045,1:98234`
pub(super) fn before_positions(text: &str) -> Result<BTreeMap<u32, u64>, String> {
    let one = |part: &str| part.split_once(':').and_then(|(shard, position)| Some((shard.parse().ok()?, position.parse().ok()?)));
    let all: Option<BTreeMap<u32, u64>> = text.split(',').map(one).collect();
    all.ok_or_else(|| "write it as SHARD:POSITION,SHARD:POSITION,…".to_owned())
}

/// `SHARD/NUMBER`
pub(super) fn letter(text: &str) -> Result<(u32, u64), String> {
    let parsed = text.split_once('/').and_then(|(shard, seq)| Some((shard.parse().ok()?, seq.parse().ok()?)));
    parsed.ok_or_else(|| "write it as SHARD/NUMBER, as `accrue dlq list` does".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        asked: MemberArgs,
    }

    fn who(line: &str) -> Who {
        Line::try_parse_from(["x"].into_iter().chain(line.split(' '))).unwrap_or_else(|error| panic!("{error}")).asked.who()
    }

    #[test]
    fn four_ways_to_name_a_member() {
        let is = |program: Option<&str>, member: &str| Who { program: program.map(str::to_owned), member: member.to_owned() };
        assert_eq!(who("acme/m1"), is(Some("acme"), "m1"));
        assert_eq!(who("acme m1"), is(Some("acme"), "m1"));
        assert_eq!(who("acme/a/b"), is(Some("acme"), "a/b"));
        assert_eq!(who("--program acme a/b"), is(Some("acme"), "a/b"));
        assert_eq!(who("m1"), is(None, "m1"));
    }

    #[test]
    fn days_and_instants() {
        assert!(instant("10000-01-01").is_err_and(|error| error.contains("at most 9999-12-30")) && instant("9999-12-30").is_ok());
        assert_eq!(instant("2024-10-12").map(|at| at.to_string()).as_deref(), Ok("2024-10-12T00:00:00Z"));
        assert_eq!(instant("2024-10-12T02:00:00+02:00"), instant("2024-10-12"));
        assert!(instant("2024-13-12").is_err() && instant("now").is_err());
        assert_eq!(before_positions("0:7,3:12"), Ok(BTreeMap::from([(0, 7), (3, 12)])));
        assert!(before_positions("7").is_err() && before_positions("0:7,").is_err());
        assert_eq!(letter("2/17"), Ok((2, 17)));
        assert!(letter("17").is_err() && letter("a/1").is_err());
        assert_eq!(known("17"), Ok(AsKnown::Position(Position(17))));
        assert!(matches!(known("2024-10-12"), Ok(AsKnown::At(_))) && known("then").is_err());
    }
}
