//! What each command does: one file each.

mod backup;
mod bench;
mod chart;
mod compare;
mod config;
mod demo;
mod dlq;
mod exceptions;
mod explain;
mod export;
mod import;
mod ladder;
mod liability;
mod member;
mod person;
mod programs;
mod publish;
mod quote;
mod rebuild;
mod referrals;
mod replay;
mod rules;
mod serve;
mod tiers;
mod topics;
mod triangle;
mod verify;

use crate::answers::Answers;
use crate::cli::{Cli, Command, Member, MemberArgs};
use crate::config::Config;
use crate::print::Printer;
use crate::question::{OfMember, Question};
use crate::telemetry;
use anyhow::Result;
use serde_json::Value;

/// What is logged where nobody chose.
const LOG_SERVE: &str = "info";
/// The same of commands that end by themselves.
const LOG_COMMAND: &str = "warn";

/// What every command has.
pub(crate) struct Ctx {
    config: Config,
    url: Option<String>,
    printer: Printer,
}

/// Does what the command line says.
///
/// # Errors
/// It did not work; `Failure::exit_of` says how the process is to end.
pub fn run(cli: Cli) -> Result<()> {
    let mut flags: Vec<(String, String, String)> = Vec::new();
    let mut flag = |name: &str, key: &str, value: Option<String>| {
        flags.extend(value.map(|value| (name.to_owned(), key.to_owned(), value)));
    };
    flag("--dir", "data_dir", cli.global.dir.as_ref().map(|dir| dir.display().to_string()));
    flag("--brokers", "kafka.brokers", cli.global.brokers.clone());
    flag("--topic", "kafka.topic", cli.global.topic.clone());
    flag("--log-level", "log.level", cli.global.log_level.clone());
    if let Command::Serve(serve) = &cli.command {
        flag("--listen", "listen", serve.listen.clone());
        flag("--admin-listen", "admin_listen", serve.admin_listen.clone());
    }
    let variables = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let config = Config::load(cli.global.config.as_deref(), variables, &flags, &cli.global.sets)?;
    let serves = matches!(cli.command, Command::Serve(_));
    telemetry::logs(&config.log_format, config.log_level(if serves { LOG_SERVE } else { LOG_COMMAND }))?;
    let ctx = Ctx { config, url: cli.global.url, printer: Printer::new(cli.global.output) };
    match cli.command {
        Command::Serve(_) => serve::run(&ctx),
        Command::Demo(demo) => demo::run(&ctx, &demo),
        Command::Publish(publish) => publish::run(&ctx, &publish),
        Command::Import(import) => import::run(&ctx, &import),
        Command::Member(Member::Show(show)) => member::show(&ctx, &show),
        Command::Member(Member::Tiers(show)) => tiers::moves(&ctx, &show),
        Command::Member(Member::Referrals(show)) => referrals::run(&ctx, &show),
        Command::Member(Member::List(list)) => member::list(&ctx, &list),
        Command::Member(Member::Find(find)) => person::find(&ctx, &find),
        Command::Member(Member::Qr(qr)) => person::qr(&ctx, &qr),
        Command::Entries(entries) => explain::entries(&ctx, &entries),
        Command::Quote(quote) => quote::run(&ctx, &quote),
        Command::Explain(explain) => explain::run(&ctx, &explain),
        Command::Coupon(coupon) => programs::coupon(&ctx, &coupon),
        Command::Expiring(asked) => tiers::expiring(&ctx, &asked),
        Command::Totals(totals) => programs::totals(&ctx, &totals),
        Command::Tiers(of) => ladder::run(&ctx, &of),
        Command::Liability(asked) => liability::run(&ctx, &asked),
        Command::Replay(asked) => replay::run(&ctx, &asked),
        Command::Export(asked) => export::run(&ctx, &asked),
        Command::Rules(rules) => rules::run(&ctx, rules),
        Command::Rebuild(rebuild) => rebuild::run(&ctx, rebuild),
        Command::Verify => verify::run(&ctx),
        Command::Digest(of) => programs::digest(&ctx, &of),
        Command::Dlq(dlq) => dlq::run(&ctx, dlq),
        Command::Exceptions(exceptions) => exceptions::run(&ctx, exceptions),
        Command::Topics(topics) => topics::run(&ctx, &topics),
        Command::Config(command) => config::run(&ctx, &command),
        Command::Backup(backup) => backup::run(&ctx, backup),
        Command::Bench(bench) => bench::run(&ctx, &bench),
    }
}

impl Ctx {
    fn answers(&self) -> Result<Answers> {
        Answers::open(&self.config, self.url.as_deref())
    }

    /// `None`: from the live generation.
    fn answers_in(&self, generation: Option<u32>) -> Result<Answers> {
        self.answers()?.in_generation(generation)
    }
}

/// The member and the past that are meant.
fn of_member(answers: &Answers, asked: &MemberArgs) -> Result<OfMember> {
    let who = asked.who();
    let program = answers.program(who.program.as_deref())?;
    Ok(OfMember { program, member: who.member, as_of: asked.as_of(), min_position: None })
}

/// All rows of a list, page by page: `ask` gets the size of a page and where the last one ended. Whether there are more.
fn pages(
    name: &str,
    page_rows: usize,
    limit: usize,
    mut ask: impl FnMut(usize, &str) -> Result<Value>,
) -> Result<(Vec<Value>, bool)> {
    let (mut rows, mut token) = (Vec::new(), String::new());
    loop {
        let mut page = ask(page_rows.min(limit - rows.len()), &token)?;
        if let Value::Array(more) = page[name].take() {
            rows.extend(more);
        }
        match page["next_page_token"].as_str() {
            None => return Ok((rows, false)),
            Some(_) if rows.len() >= limit => return Ok((rows, true)),
            Some(next) => token = crate::question::token_text(next)?,
        }
    }
}

/// All entries of a member.
fn all_entries(answers: &Answers, of: &OfMember) -> Result<Vec<Value>> {
    let entries = |limit: usize, after: &str| {
        let after = if after.is_empty() { 0 } else { after.parse()? };
        answers.ask(&Question::Entries { of: of.clone(), after, limit })
    };
    Ok(pages("entries", answers.page_rows(), usize::MAX, entries)?.0)
}

/// The last entries of a member.
fn last_entries(answers: &Answers, of: &OfMember, count: usize) -> Result<Vec<Value>> {
    let page = |after: u64, limit: usize| answers.ask(&Question::Entries { of: of.clone(), after, limit });
    let number = page(0, 1)?["of"].as_u64().unwrap_or(0);
    match page(number.saturating_sub(count as u64), count.max(1))?["entries"].take() {
        Value::Array(rows) => Ok(rows),
        _ => Ok(Vec::new()),
    }
}
