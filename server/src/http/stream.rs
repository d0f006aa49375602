//! What analysts take away, while it is made: the body of an answer that has no length yet.

use super::Service;
use super::facts::{Body, too_large};
use crate::answering::{Compare, compare};
use crate::export::ExportAsked;
use crate::export::frames::Frames;
use crate::export::shifts::{self, Shifts};
use crate::failure::Failure;
use crate::problem::Problem;
use crate::replay::{ReplayAsked, ReplayForm};
use accrue_projections::Swept;
use anyhow::Result;
use axum::body::{Body as AnswerBody, Bytes, HttpBody};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use http_body::Frame;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::io::{self, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::sync::mpsc;

/// Streams at the same time; each has threads and memory of its own.
pub(super) const STREAMS_MAX: usize = 4;
/// Pieces that wait for whoever reads them.
const WAITING_PIECES: usize = 8;
/// Files, as [`crate::export::frames`] has them.
const FILES: &str = "application/vnd.accrue.files";

type Piece = io::Result<Bytes>;

/// The body: pieces as they come.
struct Pieces(mpsc::Receiver<Piece>);

impl HttpBody for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        self.get_mut().0.poll_recv(context).map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }
}

/// Where pieces are put.
#[derive(Clone)]
struct Sender(mpsc::Sender<Piece>);

impl Sender {
    /// Waits until there is room.
    fn send(&self, piece: Piece) -> io::Result<()> {
        self.0.blocking_send(piece).map_err(|_| io::Error::new(io::ErrorKind::BrokenPipe, "nobody reads it any more"))
    }

    fn frames(&self) -> Frames {
        let sender = self.clone();
        Frames::new(move |bytes| sender.send(Ok(bytes.into())))
    }
}

impl Write for Sender {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.send(Ok(Bytes::copy_from_slice(bytes))).map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Service {
    /// Begins a stream: `begin` may find that it can't, then that is the answer. What fails later breaks the stream off.
    async fn stream<T, J>(
        &self,
        kind: &'static str,
        body: Body,
        begin: impl FnOnce(&Service, T) -> Result<J, Problem> + Send + 'static,
    ) -> Result<Response, Problem>
    where
        T: DeserializeOwned,
        J: FnOnce(&Sender) -> Result<()> + Send + 'static,
    {
        let busy = || Problem::new("busy", format!("{STREAMS_MAX} exports and replays are being made; ask again"));
        let turn = Arc::clone(&self.0.streams).try_acquire_owned().map_err(|_| busy())?;
        let body = body.map_err(too_large(self))?;
        let begun = self.work(move |service| {
            let asked = serde_json::from_slice(&body).map_err(|error| Problem::new("invalid_json", error.to_string()))?;
            begin(service, asked)
        });
        let job = begun.await?;
        let (send, receive) = mpsc::channel(WAITING_PIECES);
        tokio::task::spawn_blocking(move || {
            let _held = turn;
            let sender = Sender(send);
            if let Err(error) = job(&sender) {
                let told = Failure::told(&error);
                tracing::warn!(error = told, "a stream was broken off");
                // Nobody may read it: that may be why.
                let _ = sender.send(Err(io::Error::other(told)));
            }
        });
        Ok(([(header::CONTENT_TYPE, kind)], AnswerBody::new(Pieces(receive))).into_response())
    }
}

/// Makes files, and says why where it can't.
fn files(to: &Sender, make: impl FnOnce(&Frames) -> Result<Value>) -> Result<()> {
    let frames = to.frames();
    let made = make(&frames);
    let told = made.map_err(|error| {
        let told = Failure::told(&error);
        tracing::warn!(error = told, "an export was given up");
        Problem::new("internal", told)
    });
    Ok(frames.end(told)?)
}

/// An export, file by file.
pub(super) async fn export(State(service): State<Service>, body: Body) -> Result<Response, Problem> {
    let begin = |service: &Service, asked: ExportAsked| {
        let export = asked.find(&service.0.readers, service.0.clock.now())?;
        Ok(move |to: &Sender| files(to, |frames| export.write(frames.outlet(), told(frames))))
    };
    service.stream(FILES, body, begin).await
}

/// How far it is, told to whoever reads; that nobody does is found out with the next piece.
fn told(frames: &Frames) -> impl FnMut(u32, Swept) {
    |shard, swept| drop(frames.swept(shard, swept))
}

/// A replay, row by row.
pub(super) async fn replay(State(service): State<Service>, body: Body) -> Result<Response, Problem> {
    let mut kind = "application/x-ndjson";
    if let Ok(Ok(asked)) = body.as_ref().map(|body| serde_json::from_slice::<ReplayAsked>(body)) {
        kind = match asked.format {
            ReplayForm::Jsonl => kind,
            ReplayForm::Csv => "text/csv; charset=utf-8",
            ReplayForm::Parquet => "application/vnd.apache.parquet",
        };
    }
    let begin = |service: &Service, asked: ReplayAsked| {
        let replay = asked.find(&service.0.readers, service.0.clock.now())?;
        Ok(move |to: &Sender| replay.write(Box::new(to.clone()), |_, _| ()))
    };
    service.stream(kind, body, begin).await
}

/// What other rules would make of everything, and the rows behind it.
pub(super) async fn compared_rows(
    State(service): State<Service>,
    path: Result<Path<String>, PathRejection>,
    body: Body,
) -> Result<Response, Problem> {
    let Path(program) = path.map_err(|error| Problem::new("bad_request", error.body_text()))?;
    let begin = |service: &Service, asked: Compare| {
        let (readers, now) = (service.0.readers.clone(), service.0.clock.now());
        Ok(move |to: &Sender| {
            files(to, |frames| {
                let answer = compare(&readers, &program, &asked, now, |_, _| ())?;
                let of = Shifts::of(&program, &asked, &answer)?;
                frames.answer(answer.clone())?;
                shifts::write(&readers, &of, &answer, frames.outlet(), told(frames))
            })
        })
    };
    service.stream(FILES, body, begin).await
}
