//! Files on their way from a service (docs/http.md, "Exports"): lines of JSON; behind one that announces a piece of a file come its
//! bytes. The last line is the manifest, or why there is none: without it, nothing that came is whole.

use super::{Appending, Folder, Outlet, Sealed};
use crate::problem::Problem;
use accrue_projections::Swept;
use anyhow::{Context as _, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{self, BufRead, Read as _};
use std::path::{Component, Path};
use std::sync::Arc;

/// A line is not longer than this.
const LINE_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// What a line says.
#[derive(Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum Frame {
    /// So many bytes of a file follow.
    Piece { path: String, bytes: u64 },
    /// How far a shard is.
    Swept { shard: u32, facts: u64, of: u64 },
    /// What was found beside the files.
    Answer(Value),
    /// That was all: what the files are.
    Manifest(Value),
    /// There will be no more.
    Problem(Value),
}

/// Takes what is sent.
type Send = dyn Fn(Vec<u8>) -> io::Result<()> + std::marker::Send + Sync;

/// The sender's side. Cheap to clone.
#[derive(Clone)]
pub struct Frames(Arc<Send>);

impl Frames {
    /// Frames that go there, each at once.
    pub fn new(send: impl Fn(Vec<u8>) -> io::Result<()> + std::marker::Send + Sync + 'static) -> Frames {
        Frames(Arc::new(send))
    }

    fn send(&self, frame: &Frame, bytes: &[u8]) -> io::Result<()> {
        let mut line = serde_json::to_vec(frame)?;
        line.push(b'\n');
        line.extend_from_slice(bytes);
        (self.0)(line)
    }

    /// Files that go this way.
    pub fn outlet(&self) -> Outlet {
        let frames = self.clone();
        Outlet::Pieces(Arc::new(move |path, bytes| {
            frames.send(&Frame::Piece { path: path.to_owned(), bytes: bytes.len() as u64 }, bytes)
        }))
    }

    /// Says how far it is.
    ///
    /// # Errors
    /// Nobody takes it.
    pub fn swept(&self, shard: u32, Swept { facts, of }: Swept) -> io::Result<()> {
        self.send(&Frame::Swept { shard, facts, of }, &[])
    }

    /// Says what was found beside the files.
    ///
    /// # Errors
    /// Nobody takes it.
    pub fn answer(&self, answer: Value) -> io::Result<()> {
        self.send(&Frame::Answer(answer), &[])
    }

    /// Says the last word.
    ///
    /// # Errors
    /// Nobody takes it.
    pub fn end(&self, done: Result<Value, Problem>) -> io::Result<()> {
        match done {
            Ok(manifest) => self.send(&Frame::Manifest(manifest), &[]),
            Err(problem) => self.send(&Frame::Problem(problem.body()), &[]),
        }
    }
}

/// What came.
pub struct Taken {
    /// What the files are.
    pub manifest: Value,
    /// What was found beside them.
    pub answer: Option<Value>,
}

/// Puts files that come into their folder. What is not what the manifest says is not put there.
///
/// # Errors
/// They do not come to the end, are not what was sent, or can't be written: then nothing is there.
pub fn take(from: impl io::Read, folder: Folder, mut progress: impl FnMut(u32, Swept)) -> Result<Taken> {
    let mut from = io::BufReader::new(from);
    let outlet = folder.outlet();
    let (mut files, mut found): (BTreeMap<String, Appending>, _) = (BTreeMap::new(), None);
    loop {
        match next(&mut from)? {
            Frame::Piece { path, bytes } => {
                let file = match files.entry(path) {
                    std::collections::btree_map::Entry::Occupied(file) => file.into_mut(),
                    std::collections::btree_map::Entry::Vacant(none) => {
                        let inside = |part| matches!(part, Component::Normal(_));
                        ensure!(Path::new(none.key()).components().all(inside), "a file is to be outside: {}", none.key());
                        let file = Appending::create(&outlet, none.key())?;
                        none.insert(file)
                    }
                };
                let came = io::copy(&mut from.by_ref().take(bytes), file)?;
                ensure!(came == bytes, "it ended within a file");
            }
            Frame::Swept { shard, facts, of } => progress(shard, Swept { facts, of }),
            Frame::Answer(answer) => found = Some(answer),
            Frame::Problem(body) => match Problem::from_body(0, &body) {
                Some(problem) => return Err(problem.into()),
                None => bail!("it was given up: {body}"),
            },
            Frame::Manifest(manifest) => {
                files_are(files, &manifest)?;
                folder.complete(&manifest)?;
                return Ok(Taken { manifest, answer: found });
            }
        }
    }
}

fn next(from: &mut impl BufRead) -> Result<Frame> {
    let mut line = Vec::new();
    from.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line)?;
    ensure!(line.ends_with(b"\n"), "it ended before it was whole");
    serde_json::from_slice(&line).with_context(|| "this is no export".to_owned())
}

/// Whether what came is what was sent, file by file.
fn files_are(files: BTreeMap<String, Appending>, manifest: &Value) -> Result<()> {
    #[derive(Deserialize)]
    struct Named {
        path: String,
        #[serde(flatten)]
        sealed: Sealed,
    }
    let named: Vec<Named> = serde_json::from_value(manifest["files"].clone()).context("a manifest without files")?;
    let named: BTreeMap<String, Sealed> = named.into_iter().map(|file| (file.path, file.sealed)).collect();
    let sealed = files.into_iter().map(|(path, file)| Ok((path, file.seal()?)));
    let sealed = sealed.collect::<Result<BTreeMap<String, Sealed>>>()?;
    ensure!(named == sealed, "what came is not what was sent");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use parking_lot::Mutex;
    use serde_json::json;
    use std::io::Write as _;

    /// What is sent when two files are written, piece by piece.
    fn sent(path: &str) -> Vec<u8> {
        let all: Arc<Mutex<Vec<u8>>> = Arc::default();
        let to = Arc::clone(&all);
        let frames = Frames::new(move |bytes| {
            to.lock().extend(bytes);
            Ok(())
        });
        let outlet = frames.outlet();
        let mut files = [path, "b.csv"].map(|path| (path, Appending::create(&outlet, path).expect("begins")));
        for _ in 0..3 {
            files.iter_mut().for_each(|(path, file)| file.write_all(path.repeat(20_000).as_bytes()).expect("sent"));
        }
        frames.swept(0, Swept { facts: 2, of: 3 }).expect("sent");
        frames.answer(json!({ "members": 7 })).expect("sent");
        let files = files.map(|(path, file)| {
            let sealed = file.seal().expect("sealed");
            json!({ "path": path, "bytes": sealed.bytes, "sha256": sealed.sha256 })
        });
        frames.end(Ok(json!({ "files": files }))).expect("sent");
        all.lock().clone()
    }

    fn taken(sent: &[u8]) -> (Result<Taken>, Vec<String>) {
        let dir = tempfile::tempdir().expect("a directory");
        let taken = take(sent, Folder::begin(&dir.path().join("out")).expect("begins"), |_, _| ());
        let there = std::fs::read_dir(dir.path()).expect("reads");
        (taken, there.map(|entry| entry.expect("one").file_name().to_string_lossy().into_owned()).collect())
    }

    #[test]
    fn what_does_not_come_to_the_end_is_not_there() {
        let whole = sent("a/a.csv");
        let (done, there) = taken(&whole);
        let done = done.expect("whole");
        assert_eq!((done.answer, there), (Some(json!({ "members": 7 })), vec!["out".to_owned()]));
        for end in (0..whole.len()).step_by(9_973).chain([whole.len() - 1]) {
            let (cut, there) = taken(&whole[..end]);
            assert!(cut.is_err() && there.is_empty(), "cut at {end}: {there:?}");
        }
        let mut other = whole.clone();
        let place = whole.len() / 2;
        other[place] = if other[place] == b'a' { b'b' } else { b'a' };
        assert!(taken(&other).0.is_err(), "another byte");
        for outside in ["../a.csv", "/tmp/a.csv"] {
            assert!(taken(&sent(outside)).0.is_err_and(|error| error.to_string().contains("outside")), "{outside}");
        }
    }

    #[test]
    fn why_there_is_none_comes_through() {
        let all: Arc<Mutex<Vec<u8>>> = Arc::default();
        let to = Arc::clone(&all);
        let frames = Frames::new(move |bytes| {
            to.lock().extend(bytes);
            Ok(())
        });
        frames.end(Err(Problem::new("internal", "the sums do not hold"))).expect("sent");
        let (taken, there) = taken(&all.lock());
        assert_eq!((taken.err().map(|error| error.to_string()), there.len()), (Some("the sums do not hold".into()), 0));
    }
}
