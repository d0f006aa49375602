//! What can be asked: one list, for the command line, the API, and the way between them.

use crate::problem::Problem;
use accrue_projections::{About, AsKnown, AsOf, LookUp};
use accrue_store::Position;
use std::fmt::Write as _;

/// Rows of a page where nothing is said.
pub const PAGE_SIZE: usize = 100;

/// A member, and which past.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfMember {
    /// The program.
    pub program: String,
    /// The member.
    pub member: String,
    /// Which past.
    pub as_of: AsOf,
    /// Wait until this position of the member's shard is part of the answer.
    pub min_position: Option<Position>,
}

/// A question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// Another one, answered by a generation that is not live.
    InGeneration(u32, Box<Question>),
    /// Which programs there are.
    Programs,
    /// A member's balances, lots, coupons.
    Member(OfMember),
    /// What changed a member's numbers.
    Entries {
        /// Whose.
        of: OfMember,
        /// Behind so many.
        after: u64,
        /// Rows.
        limit: usize,
    },
    /// Why an order gave what it gave.
    Order {
        /// Whose.
        of: OfMember,
        /// The order.
        order: String,
    },
    /// What a number of a member is made of.
    Explain {
        /// Whose.
        of: OfMember,
        /// Which.
        about: About,
    },
    /// How a member came from one tier to another.
    Tiers(OfMember),
    /// Whom a member brought.
    Referrals(OfMember),
    /// Points that end soon.
    Expiring {
        /// The program.
        program: String,
        /// A duration: `P30D`.
        within: String,
        /// Which past.
        as_of: AsOf,
        /// Rows.
        limit: usize,
    },
    /// Members by id.
    Members {
        /// The program.
        program: String,
        /// Behind this one.
        after: String,
        /// Rows.
        limit: usize,
        /// Which past.
        as_of: AsOf,
    },
    /// Members with the largest numbers.
    Top {
        /// The program.
        program: String,
        /// A column of a member's row.
        sort: String,
        /// Rows.
        limit: usize,
        /// Which past.
        as_of: AsOf,
    },
    /// Exceptions that wait for a person.
    Exceptions {
        /// The program.
        program: String,
        /// Of the members behind this one.
        after: String,
        /// Members.
        limit: usize,
        /// Which past.
        as_of: AsOf,
    },
    /// Members by what they show or say.
    Find {
        /// The program.
        program: String,
        /// Card, number, e-mail or phone.
        by: LookUp,
        /// Which past.
        as_of: AsOf,
    },
    /// A coupon.
    Coupon {
        /// The program.
        program: String,
        /// Its code.
        code: String,
        /// Which past.
        as_of: AsOf,
    },
    /// What members have, or how it came by day or month.
    Totals {
        /// The program.
        program: String,
        /// `day`, `month`; `None`: what members have.
        by: Option<String>,
        /// Which past.
        as_of: AsOf,
    },
    /// Who was in which tier, and the moves between them.
    TierMoves {
        /// The program.
        program: String,
        /// Which past.
        as_of: AsOf,
    },
    /// How rules were applied to what was there already.
    Applications {
        /// The program.
        program: String,
    },
    /// The program's rulesets over time.
    Rulesets {
        /// The program.
        program: String,
    },
    /// A hash over everything derived.
    Digest {
        /// The program.
        program: String,
    },
    /// What could not be booked.
    DeadLetters {
        /// Behind this one: shard and number.
        after: (u32, u64),
        /// Rows.
        limit: usize,
        /// Also those that are not open.
        all: bool,
    },
    /// One of them, whole.
    DeadLetter {
        /// The shard.
        shard: u32,
        /// Its number there.
        seq: u64,
    },
}

impl Question {
    /// Which past is asked about; `None`: it has none.
    pub fn as_of(&self) -> Option<AsOf> {
        match self {
            Question::Member(of) | Question::Tiers(of) | Question::Referrals(of) => Some(of.as_of),
            Question::Entries { of, .. } | Question::Order { of, .. } | Question::Explain { of, .. } => Some(of.as_of),
            Question::Expiring { as_of, .. } | Question::Members { as_of, .. } | Question::Top { as_of, .. } => Some(*as_of),
            Question::Exceptions { as_of, .. } | Question::Find { as_of, .. } | Question::Coupon { as_of, .. } => Some(*as_of),
            Question::Totals { as_of, .. } | Question::TierMoves { as_of, .. } => Some(*as_of),
            Question::Programs | Question::Rulesets { .. } | Question::Applications { .. } | Question::Digest { .. } => None,
            // It is told with the answer to the other one.
            Question::InGeneration(..) => None,
            Question::DeadLetters { .. } | Question::DeadLetter { .. } => None,
        }
    }

    /// Path and query under which the API answers it.
    pub fn url(&self) -> String {
        match self {
            Question::InGeneration(generation, question) => {
                let url = question.url();
                let separator = if url.contains('?') { '&' } else { '?' };
                format!("{url}{separator}generation={generation}")
            }
            Question::Programs => "/v1/programs".to_owned(),
            Question::Member(of) => of.url("", |_| {}),
            Question::Entries { of, after, limit } => of.url("/entries", |query| {
                query.add("page_size", &limit.to_string());
                query.add("page_token", &token(&after.to_string()));
            }),
            Question::Order { of, order } => of.url(&format!("/orders/{}/explain", encoded(order)), |_| {}),
            Question::Explain { of, about } => of.url("/explain", |query| query.about(about)),
            Question::Tiers(of) => of.url("/tiers", |_| {}),
            Question::Referrals(of) => of.url("/referrals", |_| {}),
            Question::Expiring { program, within, as_of, limit } => of_program(program, "expiring", |query| {
                query.add("within", within);
                query.past(as_of);
                query.add("top", &limit.to_string());
            }),
            Question::Members { program, after, limit, as_of } => of_program(program, "members", |query| {
                query.past(as_of);
                query.add("page_size", &limit.to_string());
                query.add("page_token", &token(after));
            }),
            Question::Top { program, sort, limit, as_of } => of_program(program, "members", |query| {
                query.past(as_of);
                query.add("sort", sort);
                query.add("top", &limit.to_string());
            }),
            Question::Exceptions { program, after, limit, as_of } => of_program(program, "exceptions", |query| {
                query.past(as_of);
                query.add("page_size", &limit.to_string());
                query.add("page_token", &token(after));
            }),
            Question::Find { program, by, as_of } => of_program(program, "members", |query| {
                query.past(as_of);
                match by {
                    LookUp::Card(card) => query.add("card", card),
                    LookUp::Number(number) => query.add("id", number),
                    LookUp::Email(email) => query.add("email", email),
                    LookUp::Phone(phone) => query.add("phone", phone),
                }
            }),
            Question::Coupon { program, code, as_of } => {
                of_program(program, &format!("coupons/{}", encoded(code)), |query| query.past(as_of))
            }
            Question::Totals { program, by, as_of } => of_program(program, "totals", |query| {
                by.iter().for_each(|by| query.add("by", by));
                query.past(as_of);
            }),
            Question::TierMoves { program, as_of } => of_program(program, "tiers", |query| query.past(as_of)),
            Question::Applications { program } => of_program(program, "rules/applications", |_| {}),
            Question::Rulesets { program } => of_program(program, "rulesets", |_| {}),
            Question::Digest { program } => of_program(program, "digest", |_| {}),
            Question::DeadLetters { after, limit, all } => {
                let mut query = Query::default();
                query.add("page_size", &limit.to_string());
                query.add("page_token", &token(&format!("{}/{}", after.0, after.1)));
                query.add("all", &all.to_string());
                format!("/v1/dead-letters{}", query.0)
            }
            Question::DeadLetter { shard, seq } => format!("/v1/dead-letters/{shard}/{seq}"),
        }
    }
}

impl OfMember {
    fn url(&self, below: &str, more: impl FnOnce(&mut Query)) -> String {
        let mut query = Query::default();
        query.past(&self.as_of);
        self.min_position.iter().for_each(|position| query.add("min_position", &position.to_string()));
        more(&mut query);
        format!("/v1/programs/{}/members/{}{below}{}", encoded(&self.program), encoded(&self.member), query.0)
    }
}

fn of_program(program: &str, below: &str, more: impl FnOnce(&mut Query)) -> String {
    let mut query = Query::default();
    more(&mut query);
    format!("/v1/programs/{}/{below}{}", encoded(program), query.0)
}

#[derive(Default)]
struct Query(String);

impl Query {
    fn past(&mut self, past: &AsOf) {
        past.as_of.iter().for_each(|at| self.add("as_of", &at.to_string()));
        match past.known {
            AsKnown::Now => {}
            AsKnown::At(at) => self.add("as_known_at", &at.to_string()),
            AsKnown::Position(position) => self.add("as_known_at", &position.to_string()),
        }
    }

    fn about(&mut self, about: &About) {
        match about {
            About::Balance => {}
            About::Number { ledger, name } => {
                self.add("number", name);
                self.add("ledger", ledger);
            }
            About::Entry(number) => self.add("entry", &number.to_string()),
            About::Lot(number) => self.add("lot", &number.to_string()),
            About::Tier => self.add("number", "tier"),
            About::Coupon(code) => self.add("coupon", code),
        }
    }

    fn add(&mut self, name: &str, value: &str) {
        if value.is_empty() {
            return;
        }
        self.0.push(if self.0.is_empty() { '?' } else { '&' });
        self.0.push_str(name);
        self.0.push('=');
        self.0.push_str(&encoded(value));
    }
}

/// For a segment of a path or a value of a query.
pub fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            // Nothing that is written to a string fails.
            _ => drop(write!(out, "%{byte:02X}")),
        }
    }
    out
}

/// Where a page ends, opaque: nobody is to count on what is in it.
pub fn token(last: &str) -> String {
    last.bytes().map(|byte| format!("{byte:02x}")).collect()
}

/// What [`token`] was made of.
///
/// # Errors
/// It was not made here.
pub fn token_text(token: &str) -> Result<String, Problem> {
    let bytes =
        token.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok()));
    let bytes: Option<Vec<u8>> = if token.len().is_multiple_of(2) { bytes.collect() } else { None };
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    text.ok_or_else(|| Problem::new("bad_request", format!("page_token {token:?} is not one of ours")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use accrue_ledger::Instant;

    #[test]
    fn urls() {
        let at = Instant::parse("2024-03-01T00:00:00Z").expect("valid");
        let of = OfMember {
            program: "acme".into(),
            member: "a/b ü".into(),
            as_of: AsOf { as_of: Some(at), known: AsKnown::Position(Position(7)) },
            min_position: Some(Position(9)),
        };
        let past = "as_of=2024-03-01T00%3A00%3A00Z&as_known_at=7&min_position=9";
        assert_eq!(Question::Member(of.clone()).url(), format!("/v1/programs/acme/members/a%2Fb%20%C3%BC?{past}"));
        assert_eq!(
            Question::Order { of, order: "A?1".into() }.url(),
            format!("/v1/programs/acme/members/a%2Fb%20%C3%BC/orders/A%3F1/explain?{past}")
        );
        assert_eq!(
            Question::Members { program: "p".into(), after: String::new(), limit: 5, as_of: AsOf::default() }.url(),
            "/v1/programs/p/members?page_size=5"
        );
        let month = Question::Totals { program: "p".into(), by: Some("month".into()), as_of: AsOf::default() };
        assert_eq!(month.url(), "/v1/programs/p/totals?by=month");
        let beside = |question| Question::InGeneration(3, Box::new(question)).url();
        assert_eq!(beside(month), "/v1/programs/p/totals?by=month&generation=3");
        assert_eq!(beside(Question::Programs), "/v1/programs?generation=3");
    }

    #[test]
    fn tokens_are_read_back() {
        assert_eq!(token_text(&token("m-ü/1")), Ok("m-ü/1".to_owned()));
        assert_eq!(token_text(""), Ok(String::new()));
        for bad in ["a", "zz", "ff", "€"] {
            assert!(token_text(bad).is_err(), "{bad}");
        }
    }
}
