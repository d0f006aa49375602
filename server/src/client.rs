//! Asks a running service.

use crate::answering::{Compare, Manage};
use crate::export::ExportAsked;
use crate::problem::Problem;
use crate::progress;
use crate::question::Question;
use crate::replay::ReplayAsked;
use anyhow::{Context as _, Result, anyhow};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::Duration;
use ureq::http::Response;
use ureq::{Agent, BodyReader, RequestBuilder};

const CONNECT_WAIT: Duration = Duration::from_secs(10);
/// What does not go through all of history is answered in so long.
const ANSWER_WAIT: Duration = if cfg!(test) { Duration::from_millis(300) } else { Duration::from_secs(120) };
/// Bytes of an answer, at most.
const ANSWER_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// A running service.
pub struct Client {
    agent: Agent,
    base: String,
}

/// What a service writes into its data directory, so that commands find it: `serve.json`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Notice {
    /// The process.
    pub pid: u32,
    /// The API.
    pub url: String,
    /// Metrics and health.
    pub admin_url: String,
}

impl Notice {
    /// Where it is.
    pub fn path(data_dir: &Path) -> PathBuf {
        data_dir.join("serve.json")
    }

    /// Writes it.
    ///
    /// # Errors
    /// The file system says no.
    pub fn write(&self, data_dir: &Path) -> Result<()> {
        let path = Notice::path(data_dir);
        let text = serde_json::to_string_pretty(self)?;
        std::fs::write(&path, text + "\n").with_context(|| format!("can't write {}", path.display()))
    }

    /// Reads it; `None`: it is not there, or is something else.
    pub fn read(data_dir: &Path) -> Option<Notice> {
        serde_json::from_slice(&std::fs::read(Notice::path(data_dir)).ok()?).ok()
    }
}

fn patient<B>(request: RequestBuilder<B>) -> RequestBuilder<B> {
    request.config().timeout_global(None).build()
}

impl Client {
    /// `base`: `http://127.0.0.1:8080`.
    pub fn new(base: &str) -> Client {
        let base = if base.contains("://") { base.to_owned() } else { format!("http://{base}") };
        let config = Agent::config_builder().http_status_as_error(false);
        let config = config.timeout_connect(Some(CONNECT_WAIT)).timeout_global(Some(ANSWER_WAIT)).build();
        Client { agent: config.into(), base: base.trim_end_matches('/').to_owned() }
    }

    /// Its address.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Asks.
    ///
    /// # Errors
    /// It does not answer, or has a problem with the question.
    pub fn ask(&self, question: &Question) -> Result<Value> {
        // Of a past, everybody is folded again.
        self.read(patient(self.agent.get(format!("{}{}", self.base, question.url()))).call())
    }

    /// Hands in an array of facts; the receipts.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub fn facts(&self, array: &[u8]) -> Result<Vec<Value>> {
        let url = format!("{}/v1/facts", self.base);
        let response = self.agent.post(url).content_type("application/json").send(array);
        match self.read(response)?.get_mut("receipts").map(Value::take) {
            Some(Value::Array(receipts)) => Ok(receipts),
            _ => Err(anyhow!("{} answered without receipts", self.base)),
        }
    }

    /// What a basket would do: `body` is `{"member": …, "basket": {…}}`.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub fn quote(&self, program: &str, body: &Value) -> Result<Value> {
        let url = format!("{}/v1/programs/{}/quote", self.base, crate::question::encoded(program));
        let response = self.agent.post(url).content_type("application/json").send(body.to_string());
        self.read(response)
    }

    /// What a member would be if something were otherwise.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub fn what_if(&self, program: &str, member: &str, body: &Value) -> Result<Value> {
        self.post(program, &format!("members/{}/explain", crate::question::encoded(member)), body)
    }

    /// What other rules would make of a program's whole history.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub fn compare(&self, program: &str, body: &Value) -> Result<Value> {
        self.post(program, "rules/diff", body)
    }

    /// Manages generations.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub fn manage(&self, what: &Manage) -> Result<Value> {
        let url = format!("{}{}", self.base, what.url());
        match what {
            Manage::Status => self.read(self.agent.get(url).call()),
            Manage::Diff { .. } => self.patiently(|| patient(self.agent.get(url)).call()),
            Manage::Start(build) => {
                let body = serde_json::to_string(build)?;
                self.read(self.agent.post(url).content_type("application/json").send(body))
            }
            Manage::Flip(_) | Manage::RollBack => self.patiently(|| patient(self.agent.post(url)).send_empty()),
            Manage::Drop(_) => self.patiently(|| patient(self.agent.delete(url)).call()),
        }
    }

    /// What is owed to members.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub fn owed(&self, body: &Value) -> Result<Value> {
        self.post_to("liability", body)
    }

    /// Has rules applied, undone or completed: `what` is `apply`, `undo` or `resume`.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub fn rules(&self, program: &str, what: &str, body: &Value) -> Result<Value> {
        self.post(program, &format!("rules/{what}"), body)
    }

    /// Lets the service that has a data directory copy it (`POST /snapshot` of the admin address).
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub fn snapshot(&self) -> Result<Value> {
        let response = self.agent.post(format!("{}/snapshot", self.base)).send_empty();
        self.read(response)
    }

    /// An export: [`crate::export::frames`], as they come.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub fn export(&self, asked: &ExportAsked) -> Result<BodyReader<'static>> {
        self.stream("export", asked)
    }

    /// A replay, as it comes. Broken off by the service, reading it fails.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub fn replay(&self, asked: &ReplayAsked) -> Result<BodyReader<'static>> {
        self.stream("replay", asked)
    }

    /// What other rules would make of a program's whole history, and the rows behind it: [`crate::export::frames`].
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub fn compare_rows(&self, program: &str, asked: &Compare) -> Result<BodyReader<'static>> {
        self.stream(&format!("programs/{}/rules/diff/rows", crate::question::encoded(program)), asked)
    }

    /// What takes as long as it takes, and is handed out as it comes.
    fn stream(&self, path: &str, asked: &impl serde::Serialize) -> Result<BodyReader<'static>> {
        let url = format!("{}/v1/{path}", self.base);
        match patient(self.agent.post(url).content_type("application/json")).send(serde_json::to_string(asked)?) {
            Ok(response) if response.status().is_success() => {
                Ok(response.into_body().into_with_config().limit(u64::MAX).reader())
            }
            response => match self.read(response) {
                Ok(_) => Err(anyhow!("{} answered with something else", self.base)),
                Err(error) => Err(error),
            },
        }
    }

    fn post(&self, program: &str, what: &str, body: &Value) -> Result<Value> {
        self.post_to(&format!("programs/{}/{what}", crate::question::encoded(program)), body)
    }

    fn post_to(&self, path: &str, body: &Value) -> Result<Value> {
        let url = format!("{}/v1/{path}", self.base);
        self.patiently(|| patient(self.agent.post(url).content_type("application/json")).send(body.to_string()))
    }

    /// What takes as long as it takes: people see that it is being waited for.
    fn patiently(&self, send: impl FnOnce() -> Result<Response<ureq::Body>, ureq::Error>) -> Result<Value> {
        let bar = progress::spinner("the service is at it");
        let answer = self.read(send());
        bar.finish_and_clear();
        answer
    }

    /// Hands dead letters in again, each `shard/number`; their receipts.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub fn requeue(&self, letters: &[String]) -> Result<Vec<Value>> {
        let url = format!("{}/v1/dead-letters/requeue", self.base);
        let response = self.agent.post(url).content_type("application/json").send(json!({ "letters": letters }).to_string());
        let mut answer = self.read(response)?;
        match answer.get_mut("requeued").map(Value::take) {
            Some(Value::Array(rows)) => Ok(rows.into_iter().map(|mut row| row["receipt"].take()).collect()),
            _ => Err(anyhow!("{} answered without receipts", self.base)),
        }
    }

    fn read(&self, response: Result<Response<ureq::Body>, ureq::Error>) -> Result<Value> {
        let mut response =
            response.map_err(|error| anyhow!("can't reach {}: {error}; is `accrue serve` running there?", self.base))?;
        let status = response.status().as_u16();
        let text = response.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_string();
        let text = text.with_context(|| format!("{} did not answer to the end", self.base))?;
        let body: Value = serde_json::from_str(&text)
            .with_context(|| format!("{} answered {status} with something else than json", self.base))?;
        if (200..300).contains(&status) {
            return Ok(body);
        }
        match Problem::from_body(status, &body) {
            Some(problem) => Err(problem.into()),
            None => Err(anyhow!("{} answered {status}", self.base)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use std::net::{Shutdown, TcpListener};

    /// Answers everybody when twice the time has passed that an answer may take.
    fn slow() -> Result<Client> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let client = Client::new(&listener.local_addr()?.to_string());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream?;
                std::thread::spawn(move || {
                    std::thread::sleep(2 * ANSWER_WAIT);
                    write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{{}}")?;
                    stream.shutdown(Shutdown::Write)?;
                    // Closed with something unread, a connection is reset, and the answer with it.
                    std::io::copy(&mut stream, &mut std::io::sink())
                });
            }
            Ok::<(), std::io::Error>(())
        });
        Ok(client)
    }

    #[test]
    fn what_goes_through_all_of_history_is_waited_for() -> Result<()> {
        let client = slow()?;
        let nothing = json!({});
        let wait = |ask: &dyn Fn() -> Result<Value>| ask().map_err(|error| format!("{error:#}"));
        assert_eq!(wait(&|| client.owed(&nothing)), Ok(json!({})));
        assert_eq!(wait(&|| client.compare("p", &nothing)), Ok(json!({})));
        assert_eq!(wait(&|| client.rules("p", "apply", &nothing)), Ok(json!({})));
        assert!(wait(&|| client.manage(&Manage::Status)).is_err_and(|told| told.contains("timeout")));
        Ok(())
    }
}
