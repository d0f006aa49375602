//! Reading: a path and a query become a question.

use super::Service;
use crate::answering::{about, answer, known};
use crate::problem::Problem;
use crate::question::{OfMember, PAGE_SIZE, Question, token_text};
use accrue_ledger::Instant;
use accrue_projections::{About, AsKnown, AsOf, LookUp};
use accrue_store::Position;
use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

type Answer = Result<Json<Value>, Problem>;

impl Service {
    async fn ask_in(self, generation: Option<u32>, question: Question) -> Answer {
        let question = match generation {
            Some(generation) => Question::InGeneration(generation, Box::new(question)),
            None => question,
        };
        self.ask(question).await
    }

    async fn ask(self, question: Question) -> Answer {
        let answered = self.work(move |service| answer(&service.0.readers, &question, service.0.clock.now()));
        answered.await.map(Json)
    }

    /// Rows of a page, within bounds.
    fn page_size(&self, asked: Option<usize>) -> Result<usize, Problem> {
        let max = self.0.limits.page_size_max;
        match asked {
            None => Ok(PAGE_SIZE.min(max)),
            Some(0) => Err(Problem::new("bad_request", "page_size is 0, it has to be 1 or more")),
            Some(asked) if asked > max => {
                Err(Problem::new("page_too_large", format!("page_size is {asked}, it has to be at most {max}")))
            }
            Some(asked) => Ok(asked),
        }
    }
}

/// The words of a path.
pub(super) type Words<T> = Result<Path<T>, PathRejection>;
/// The words of a query. Those that are not known are refused.
pub(super) type Asked<T> = Result<Query<T>, QueryRejection>;

pub(super) fn words<T>(words: Words<T>) -> Result<T, Problem> {
    words.map(|Path(words)| words).map_err(|error| Problem::new("bad_request", error.body_text()))
}

pub(super) fn asked<T: DeserializeOwned>(asked: Asked<T>) -> Result<T, Problem> {
    asked.map(|Query(asked)| asked).map_err(|error| Problem::new("bad_request", error.body_text()))
}

pub(super) fn instant(name: &str, text: Option<&str>) -> Result<Option<Instant>, Problem> {
    let read = |text: &str| {
        Instant::parse(text)
            .ok_or_else(|| Problem::new("bad_request", format!("{name} is {text:?}, it has to be like 2024-10-12T07:20:50Z")))
    };
    text.map(read).transpose()
}

/// Both axes.
pub(super) fn past(as_of: Option<&str>, known_at: Option<&str>, position: Option<u64>) -> Result<AsOf, Problem> {
    let known = match (known_at, position) {
        (Some(_), Some(_)) => {
            return Err(Problem::new(
                "bad_request",
                "as_known_at and as_known_position are two answers to one question: give one",
            ));
        }
        (None, Some(position)) => AsKnown::Position(Position(position)),
        (at, None) => known(at)?,
    };
    Ok(AsOf { as_of: instant("as_of", as_of)?, known })
}

/// Which past.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Past {
    as_of: Option<String>,
    as_known_at: Option<String>,
    as_known_position: Option<u64>,
    min_position: Option<u64>,
    generation: Option<u32>,
    page_size: Option<usize>,
    page_token: Option<String>,
}

impl Past {
    fn as_of(&self) -> Result<AsOf, Problem> {
        past(self.as_of.as_deref(), self.as_known_at.as_deref(), self.as_known_position)
    }

    fn of(&self, program: String, member: String) -> Result<OfMember, Problem> {
        Ok(OfMember { program, member, as_of: self.as_of()?, min_position: self.min_position.map(Position) })
    }

    /// Only lists have pages.
    fn no_page(&self) -> Result<(), Problem> {
        match (self.page_size, &self.page_token) {
            (None, None) => Ok(()),
            _ => Err(Problem::new("bad_request", "this answer has no pages: leave page_size and page_token out")),
        }
    }
}

pub(super) async fn programs(State(service): State<Service>) -> Answer {
    service.ask(Question::Programs).await
}

pub(super) async fn member(State(service): State<Service>, path: Words<(String, String)>, query: Asked<Past>) -> Answer {
    let ((program, member), past) = (words(path)?, asked(query)?);
    past.no_page()?;
    let of = past.of(program, member)?;
    service.ask_in(past.generation, Question::Member(of)).await
}

pub(super) async fn entries(State(service): State<Service>, path: Words<(String, String)>, query: Asked<Past>) -> Answer {
    let ((program, member), past) = (words(path)?, asked(query)?);
    let limit = service.page_size(past.page_size)?;
    let token = past.page_token.as_deref().unwrap_or_default();
    let after = match token_text(token)?.as_str() {
        "" => 0,
        number => number.parse().map_err(|_| Problem::new("bad_request", "page_token is that of another list"))?,
    };
    let of = past.of(program, member)?;
    service.ask_in(past.generation, Question::Entries { of, after, limit }).await
}

/// Which number.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WhichNumber {
    as_of: Option<String>,
    as_known_at: Option<String>,
    as_known_position: Option<u64>,
    min_position: Option<u64>,
    number: Option<String>,
    ledger: Option<String>,
    entry: Option<u32>,
    lot: Option<u32>,
    coupon: Option<String>,
}

impl WhichNumber {
    fn about(&self) -> Result<About, Problem> {
        let number = self.number.as_deref().map(|name| about(name, self.ledger.as_deref()));
        let entry = self.entry.map(|entry| Ok(About::Entry(entry)));
        let coupon = self.coupon.clone().map(|code| Ok(About::Coupon(code)));
        let mut all = number.into_iter().chain(entry).chain(self.lot.map(|lot| Ok(About::Lot(lot)))).chain(coupon);
        match (all.next(), all.next()) {
            (None, _) => Ok(About::Balance),
            (Some(one), None) => one,
            _ => Err(Problem::new("bad_request", "ask for one of number, entry, lot and coupon")),
        }
    }
}

pub(super) async fn explain(State(service): State<Service>, path: Words<(String, String)>, query: Asked<WhichNumber>) -> Answer {
    let ((program, member), which) = (words(path)?, asked(query)?);
    let as_of = past(which.as_of.as_deref(), which.as_known_at.as_deref(), which.as_known_position)?;
    let of = OfMember { program, member, as_of, min_position: which.min_position.map(Position) };
    let about = which.about()?;
    service.ask(Question::Explain { of, about }).await
}

pub(super) async fn tiers(State(service): State<Service>, path: Words<(String, String)>, query: Asked<Past>) -> Answer {
    let ((program, member), past) = (words(path)?, asked(query)?);
    past.no_page()?;
    let of = past.of(program, member)?;
    service.ask_in(past.generation, Question::Tiers(of)).await
}

pub(super) async fn referrals(State(service): State<Service>, path: Words<(String, String)>, query: Asked<Past>) -> Answer {
    let ((program, member), past) = (words(path)?, asked(query)?);
    past.no_page()?;
    let of = past.of(program, member)?;
    service.ask_in(past.generation, Question::Referrals(of)).await
}

pub(super) async fn order(State(service): State<Service>, path: Words<(String, String, String)>, query: Asked<Past>) -> Answer {
    let ((program, member, order), past) = (words(path)?, asked(query)?);
    past.no_page()?;
    let of = past.of(program, member)?;
    service.ask_in(past.generation, Question::Order { of, order }).await
}

/// Which members.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    page_size: Option<usize>,
    page_token: Option<String>,
    sort: Option<String>,
    top: Option<usize>,
    card: Option<String>,
    id: Option<String>,
    email: Option<String>,
    phone: Option<String>,
    as_of: Option<String>,
    as_known_at: Option<String>,
    as_known_position: Option<u64>,
}

impl Which {
    fn past(&self) -> Result<AsOf, Problem> {
        past(self.as_of.as_deref(), self.as_known_at.as_deref(), self.as_known_position)
    }

    /// What somebody is looked for by.
    fn look_up(&mut self) -> Result<Option<LookUp>, Problem> {
        let card = self.card.take().map(LookUp::Card);
        let number = self.id.take().map(LookUp::Number);
        let email = self.email.take().map(LookUp::Email);
        let mut all = card.into_iter().chain(number).chain(email).chain(self.phone.take().map(LookUp::Phone));
        let first = all.next();
        let list = self.page_size.is_some() || self.page_token.is_some() || self.sort.is_some() || self.top.is_some();
        match first {
            Some(_) if list || all.next().is_some() => {
                Err(Problem::new("bad_request", "look for members by one of card, id, email and phone, and nothing beside"))
            }
            first => Ok(first),
        }
    }
}

pub(super) async fn members(State(service): State<Service>, path: Words<String>, query: Asked<Which>) -> Answer {
    let (program, mut which) = (words(path)?, asked(query)?);
    let as_of = which.past()?;
    if let Some(by) = which.look_up()? {
        return service.ask(Question::Find { program, by, as_of }).await;
    }
    let question = match (which.sort, which.top) {
        (None, None) => {
            let limit = service.page_size(which.page_size)?;
            Question::Members { program, after: token_text(which.page_token.as_deref().unwrap_or_default())?, limit, as_of }
        }
        _ if which.page_size.is_some() || which.page_token.is_some() => {
            return Err(Problem::new("bad_request", "the largest are one page: leave page_size and page_token out"));
        }
        (sort, top) => {
            let limit = service.page_size(top)?;
            Question::Top { program, sort: sort.unwrap_or_else(|| "active".to_owned()), limit, as_of }
        }
    };
    service.ask(question).await
}

pub(super) async fn exceptions(State(service): State<Service>, path: Words<String>, query: Asked<Past>) -> Answer {
    let (program, which) = (words(path)?, asked(query)?);
    let as_of = which.as_of()?;
    let limit = service.page_size(which.page_size)?;
    let after = token_text(which.page_token.as_deref().unwrap_or_default())?;
    service.ask(Question::Exceptions { program, after, limit, as_of }).await
}

pub(super) async fn coupon(State(service): State<Service>, path: Words<(String, String)>, query: Asked<Past>) -> Answer {
    let ((program, code), past) = (words(path)?, asked(query)?);
    past.no_page()?;
    let as_of = past.as_of()?;
    service.ask(Question::Coupon { program, code, as_of }).await
}

/// Which totals.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WhichTotals {
    by: Option<String>,
    #[serde(alias = "at")]
    as_of: Option<String>,
    as_known_at: Option<String>,
    as_known_position: Option<u64>,
    generation: Option<u32>,
}

pub(super) async fn totals(State(service): State<Service>, path: Words<String>, query: Asked<WhichTotals>) -> Answer {
    let (program, which) = (words(path)?, asked(query)?);
    let as_of = past(which.as_of.as_deref(), which.as_known_at.as_deref(), which.as_known_position)?;
    service.ask_in(which.generation, Question::Totals { program, by: which.by, as_of }).await
}

/// What ends.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WhatEnds {
    within: String,
    #[serde(alias = "at")]
    as_of: Option<String>,
    as_known_at: Option<String>,
    as_known_position: Option<u64>,
    top: Option<usize>,
}

pub(super) async fn expiring(State(service): State<Service>, path: Words<String>, query: Asked<WhatEnds>) -> Answer {
    let (program, which) = (words(path)?, asked(query)?);
    let as_of = past(which.as_of.as_deref(), which.as_known_at.as_deref(), which.as_known_position)?;
    let limit = service.page_size(which.top)?;
    service.ask(Question::Expiring { program, within: which.within, as_of, limit }).await
}

/// Up to when.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UpTo {
    #[serde(alias = "at")]
    as_of: Option<String>,
    as_known_at: Option<String>,
    as_known_position: Option<u64>,
}

pub(super) async fn ladder(State(service): State<Service>, path: Words<String>, query: Asked<UpTo>) -> Answer {
    let (program, which) = (words(path)?, asked(query)?);
    let as_of = past(which.as_of.as_deref(), which.as_known_at.as_deref(), which.as_known_position)?;
    service.ask(Question::TierMoves { program, as_of }).await
}

pub(super) async fn rulesets(State(service): State<Service>, path: Words<String>, query: Asked<WhichGeneration>) -> Answer {
    let (program, which) = (words(path)?, asked(query)?);
    service.ask_in(which.generation, Question::Rulesets { program }).await
}

/// Of which generation.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WhichGeneration {
    generation: Option<u32>,
}

pub(super) async fn digest(State(service): State<Service>, path: Words<String>, query: Asked<WhichGeneration>) -> Answer {
    let (program, which) = (words(path)?, asked(query)?);
    service.ask_in(which.generation, Question::Digest { program }).await
}

pub(super) async fn applications(State(service): State<Service>, path: Words<String>) -> Answer {
    let program = words(path)?;
    service.ask(Question::Applications { program }).await
}

/// Which dead letters.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WhichLetters {
    page_size: Option<usize>,
    page_token: Option<String>,
    #[serde(default)]
    all: bool,
}

pub(super) async fn dead_letters(State(service): State<Service>, query: Asked<WhichLetters>) -> Answer {
    let which = asked(query)?;
    let limit = service.page_size(which.page_size)?;
    let text = token_text(which.page_token.as_deref().unwrap_or_default())?;
    let after = match text.split_once('/') {
        None if text.is_empty() => Some((0, 0)),
        None => None,
        Some((shard, seq)) => shard.parse().ok().zip(seq.parse().ok()),
    };
    let after = after.ok_or_else(|| Problem::new("bad_request", "page_token is that of another list"))?;
    service.ask(Question::DeadLetters { after, limit, all: which.all }).await
}

pub(super) async fn dead_letter(State(service): State<Service>, path: Words<(u32, u64)>) -> Answer {
    let (shard, seq) = words(path)?;
    service.ask(Question::DeadLetter { shard, seq }).await
}
