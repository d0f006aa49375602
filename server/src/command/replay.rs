//! `accrue replay`: entries or facts as a stream, under any rules.

use super::Ctx;
use super::export::Bar;
use crate::cli::{Replay, ReplayForm};
use crate::export::parquet::File as ParquetFile;
use crate::failure::Failure;
use crate::past::Past;
use crate::replay::{Asked, Lines, columns, last_token, replay};
use accrue_ingest::Clock;
use accrue_ledger::Instant;
use accrue_projections::export::{EntryRow, FactRow};
use anyhow::{Context as _, Result};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// Bytes written at a time.
const WRITE_BYTES: usize = 256 * 1024;

pub(super) fn run(ctx: &Ctx, asked: &Replay) -> Result<()> {
    if asked.facts && asked.past.rules.is_some() {
        return Err(Failure::usage("facts are what they are: --rules is for entries"));
    }
    let mut of = Asked {
        past: asked.past.asked()?,
        facts: asked.facts,
        member: asked.member.clone(),
        from: asked.from.unwrap_or(Instant::MIN),
        until: asked.to.unwrap_or(Instant::MAX),
    };
    let (open, token) = begin(asked)?;
    let after = token.or_else(|| asked.after.clone()).map(|token| of.again(&token)).transpose()?;
    let local = ctx.store_itself("replay")?;
    let past = Past::of(&local.readers, &of.past, Clock::system().now())?;
    let (mut lines, whole) = lines(asked, open, after.is_none())?;
    let mut bar = Bar::new("replaying");
    let done = replay(&past, &of, after.as_ref(), &mut lines, |shard, swept| bar.at(shard, swept)).and_then(|()| lines.finish());
    bar.end();
    match (done, whole) {
        (Ok(()), Some(Whole { part, place })) => Ok(fs::rename(part, place)?),
        (Err(error), Some(Whole { part, .. })) => {
            fs::remove_file(&part).with_context(|| format!("can't remove {}", part.display()))?;
            Err(error)
        }
        // A reader that went away is none of our business.
        (Err(error), None) if asked.out.is_none() && is_broken_pipe(&error) => Ok(()),
        (done, None) => done,
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

/// A file that is there when it is whole.
struct Whole {
    part: PathBuf,
    place: PathBuf,
}

/// The file to write to, and the token where it ends, when it is to be taken up again.
fn begin(asked: &Replay) -> Result<(Option<File>, Option<String>)> {
    let Some(path) = asked.out.as_ref().filter(|_| asked.format != ReplayForm::Parquet) else { return Ok((None, None)) };
    let failed = || format!("can't write {}", path.display());
    if !asked.resume {
        return Ok((None, None));
    }
    let mut file = OpenOptions::new().read(true).append(true).create(true).open(path).with_context(failed)?;
    let found = last_token(&mut file).with_context(failed)?;
    file.set_len(found.as_ref().map_or(0, |(_, end)| *end)).with_context(failed)?;
    Ok((Some(file), found.map(|(token, _)| token)))
}

fn lines(asked: &Replay, open: Option<File>, head: bool) -> Result<(Lines, Option<Whole>)> {
    if asked.format == ReplayForm::Parquet {
        return parquet(asked);
    }
    let to: Box<dyn Write> = match (open, &asked.out) {
        (Some(file), _) => Box::new(BufWriter::with_capacity(WRITE_BYTES, file)),
        (None, Some(path)) => {
            let file = File::create_new(path).with_context(|| format!("can't write {}", path.display()))?;
            Box::new(BufWriter::with_capacity(WRITE_BYTES, file))
        }
        (None, None) => Box::new(BufWriter::with_capacity(WRITE_BYTES, io::stdout())),
    };
    let lines = match (asked.format, asked.facts) {
        (ReplayForm::Csv, false) => Lines::csv::<EntryRow>(to, head, true)?,
        (ReplayForm::Csv, true) => Lines::csv::<FactRow>(to, head, false)?,
        (ReplayForm::Jsonl | ReplayForm::Parquet, _) => Lines::Jsonl(to),
    };
    Ok((lines, None))
}

fn parquet(asked: &Replay) -> Result<(Lines, Option<Whole>)> {
    let place = asked.out.clone().ok_or_else(|| Failure::usage("Parquet needs a file: name it with --out"))?;
    if asked.resume {
        return Err(Failure::usage("a Parquet file is there whole or not at all: --resume is for JSON lines and CSV"));
    }
    if place.exists() {
        return Err(Failure::usage(format!("{} is there: choose another --out", place.display())));
    }
    let name = place.file_name().with_context(|| format!("{} is no name of a file", place.display()))?;
    let name = format!(".{}.part", name.to_string_lossy());
    let folder = place.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let part = folder.join(&name);
    // What a killed one left.
    if part.exists() {
        fs::remove_file(&part).with_context(|| format!("can't remove {}", part.display()))?;
    }
    let columns = if asked.facts { columns::<FactRow>(false) } else { columns::<EntryRow>(true) };
    let file = ParquetFile::create(folder, name, &columns)?;
    Ok((Lines::Parquet(Box::new(file)), Some(Whole { part, place })))
}
