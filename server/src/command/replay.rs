//! `accrue replay`: entries or facts as a stream, under any rules.

use super::Ctx;
use super::export::Bar;
use crate::answers::Answers;
use crate::cli::Replay;
use crate::failure::Failure;
use crate::replay::{ReplayAsked, ReplayForm, To, last_token};
use accrue_ingest::Clock;
use accrue_projections::Swept;
use anyhow::{Context as _, Result};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

pub(super) fn run(ctx: &Ctx, asked: &Replay) -> Result<()> {
    if asked.format == ReplayForm::Parquet && asked.resume {
        return Err(Failure::usage("a Parquet file is there whole or not at all: --resume is for JSON lines and CSV"));
    }
    let (open, token) = begin(asked)?;
    let of = ReplayAsked {
        format: asked.format,
        facts: asked.facts,
        member: asked.member.clone(),
        from: asked.from.map(|at| at.to_string()),
        to: asked.to.map(|at| at.to_string()),
        after: token.or_else(|| asked.after.clone()),
        past: asked.past.asked()?,
    };
    let answers = ctx.answers()?;
    let mut bar = Bar::new("replaying");
    let done = written(&answers, &of, || target(asked, open), |shard, swept| bar.at(shard, swept));
    bar.end();
    match done {
        // A reader that went away is none of our business.
        Err(error) if asked.out.is_none() && is_broken_pipe(&error) => Ok(()),
        done => done,
    }
}

/// Writes it there, once it is known that it can begin.
fn written(
    answers: &Answers,
    of: &ReplayAsked,
    target: impl FnOnce() -> Result<Target>,
    progress: impl FnMut(u32, Swept),
) -> Result<()> {
    match answers {
        Answers::Local(local) => {
            let replay = of.find(&local.readers, Clock::system().now())?;
            let Target { to, whole } = target()?;
            end(replay.write(to, progress), whole)
        }
        Answers::Remote(client, _) => {
            let mut from = client.replay(of)?;
            let Target { mut to, whole } = target()?;
            let copied = io::copy(&mut from, &mut to).and_then(|_| to.flush());
            let broken_off = || "it ended before all was told: go on with --resume, or --after the last token".to_owned();
            end(copied.with_context(broken_off), whole)
        }
        Answers::Beside(answers, _) => written(answers, of, target, progress),
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let of_csv =
        |cause: &csv::Error| matches!(cause.kind(), csv::ErrorKind::Io(error) if error.kind() == io::ErrorKind::BrokenPipe);
    error.chain().any(|cause| {
        cause.downcast_ref::<io::Error>().is_some_and(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
            || cause.downcast_ref::<csv::Error>().is_some_and(of_csv)
    })
}

/// Where it goes.
struct Target {
    to: To,
    whole: Option<Whole>,
}

/// A file that is there when it is whole.
struct Whole {
    part: PathBuf,
    place: PathBuf,
}

/// Puts what is whole in its place, and removes what is not.
fn end(done: Result<()>, whole: Option<Whole>) -> Result<()> {
    match (done, whole) {
        (Ok(()), Some(Whole { part, place })) => {
            let failed = || format!("can't write {}", place.display());
            File::open(&part).and_then(|file| file.sync_all()).with_context(failed)?;
            fs::rename(&part, &place).with_context(failed)
        }
        (Err(error), Some(Whole { part, .. })) => {
            fs::remove_file(&part).with_context(|| format!("can't remove {}", part.display()))?;
            Err(error)
        }
        (done, None) => done,
    }
}

/// The file to write to, and the token where it ends, when it is to be taken up again.
fn begin(asked: &Replay) -> Result<(Option<File>, Option<String>)> {
    let Some(path) = asked.out.as_ref().filter(|_| asked.resume) else { return Ok((None, None)) };
    let failed = || format!("can't write {}", path.display());
    let mut file = OpenOptions::new().read(true).append(true).create(true).open(path).with_context(failed)?;
    let found = last_token(&mut file).with_context(failed)?;
    file.set_len(found.as_ref().map_or(0, |(_, end)| *end)).with_context(failed)?;
    Ok((Some(file), found.map(|(token, _)| token)))
}

fn target(asked: &Replay, open: Option<File>) -> Result<Target> {
    let (to, whole): (To, _) = match (open, &asked.out) {
        (Some(file), _) => (Box::new(file), None),
        (None, Some(place)) if asked.format == ReplayForm::Parquet => {
            let whole = part_of(place)?;
            let failed = || format!("can't write {}", whole.part.display());
            (Box::new(File::create(&whole.part).with_context(failed)?), Some(whole))
        }
        (None, Some(path)) if path.exists() => {
            let shown = path.display();
            return Err(Failure::usage(format!("{shown} is there: --resume goes on with it, or choose another --out")));
        }
        (None, Some(path)) => {
            (Box::new(File::create_new(path).with_context(|| format!("can't write {}", path.display()))?), None)
        }
        (None, None) if asked.format == ReplayForm::Parquet => {
            return Err(Failure::usage("Parquet needs a file: name it with --out"));
        }
        (None, None) => (Box::new(io::stdout()), None),
    };
    Ok(Target { to, whole })
}

fn part_of(place: &Path) -> Result<Whole> {
    if place.exists() {
        return Err(Failure::usage(format!("{} is there: choose another --out", place.display())));
    }
    let name = place.file_name().with_context(|| format!("{} is no name of a file", place.display()))?;
    let part = place.with_file_name(format!(".{}.part", name.to_string_lossy()));
    Ok(Whole { part, place: place.to_owned() })
}
