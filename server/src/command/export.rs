//! `accrue export`: files for analysts, out of the whole log.

use super::Ctx;
use crate::answers::Answers;
use crate::cli::{Export, Output};
use crate::export::frames::take;
use crate::export::{ExportAsked, Folder};
use crate::print::points;
use crate::progress;
use accrue_ingest::Clock;
use accrue_projections::Swept;
use anyhow::Result;
use serde_json::Value;

pub(super) fn run(ctx: &Ctx, asked: &Export) -> Result<()> {
    let of = ExportAsked {
        form: asked.form,
        dates: asked.dates,
        tables: asked.tables.clone(),
        from: asked.from.map(|at| at.to_string()),
        to: asked.to.map(|at| at.to_string()),
        past: asked.past.asked()?,
    };
    let mut bar = Bar::new("exporting");
    let manifest = written(&ctx.answers()?, &of, Folder::begin(&asked.out)?, |shard, swept| bar.at(shard, swept))?;
    bar.end();
    match ctx.printer.output() {
        Output::Json => ctx.printer.json(&manifest),
        Output::Csv | Output::Table => ctx.printer.text(&told(asked, &manifest)),
    }
}

/// Writes it into a folder; its manifest.
fn written(answers: &Answers, of: &ExportAsked, folder: Folder, progress: impl FnMut(u32, Swept)) -> Result<Value> {
    match answers {
        Answers::Local(local) => {
            let export = of.find(&local.readers, Clock::system().now())?;
            let manifest = export.write(folder.outlet(), progress)?;
            folder.complete(&manifest)?;
            Ok(manifest)
        }
        Answers::Remote(client, _) => Ok(take(client.export(of)?, folder, progress)?.manifest),
        Answers::Beside(answers, _) => written(answers, of, folder, progress),
    }
}

fn told(asked: &Export, manifest: &Value) -> String {
    let files = manifest["files"].as_array().map_or(&[][..], Vec::as_slice);
    let bytes: u64 = files.iter().filter_map(|file| file["bytes"].as_u64()).sum();
    let rows = manifest["rows"].as_object().into_iter().flatten();
    let rows: Vec<String> = rows.map(|(table, rows)| format!("{} {table}", points(rows.as_i64().unwrap_or(0)))).collect();
    format!(
        "{}: {}\n{} files, {} bytes · digest {}\n",
        asked.out.display(),
        rows.join(", "),
        files.len(),
        points(i64::try_from(bytes).unwrap_or(i64::MAX)),
        manifest["digest"].as_str().unwrap_or_default()
    )
}

/// How far a fold of all shards is.
pub(super) struct Bar {
    bar: indicatif::ProgressBar,
    shard: Option<u32>,
    before: u64,
}

impl Bar {
    pub(super) fn new(what: &'static str) -> Bar {
        Bar { bar: progress::facts(what, 0), shard: None, before: 0 }
    }

    pub(super) fn at(&mut self, shard: u32, swept: Swept) {
        if self.shard != Some(shard) {
            self.bar.inc_length(swept.of);
            (self.shard, self.before) = (Some(shard), 0);
        }
        self.bar.inc(swept.facts - self.before);
        self.before = swept.facts;
    }

    pub(super) fn end(&self) {
        self.bar.finish_and_clear();
    }
}
