//! The real binary: its commands, and `accrue serve` as a child that cannot outlive the thread that started it.
//!
//! ```no_run
//! # use accrue_tests::service::{Service, Setup};
//! # let dir = std::path::Path::new("/tmp/data");
//! let setup = Setup { dir, brokers: "127.0.0.1:9092", topic: "facts", group: "g", sets: &[] };
//! let service = Service::start(&setup)?;
//! service.until("1,000 are durable", |service| Ok(service.durable()? >= 1_000))?;
//! service.kill()?;
//! # anyhow::Ok(())
//! ```

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::fs::{self, OpenOptions};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;
use ureq::Agent;

/// What is waited for and has not come by then is an error.
pub const WAIT_MAX: Duration = Duration::from_secs(60);
/// One request.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// Between two looks: short, so that a kill hits what it aims at.
const POLL: Duration = Duration::from_millis(4);
/// Lines of the log in an error.
const TAIL_LINES: usize = 25;

/// The binary that was built beside this test.
///
/// # Errors
/// It was not built.
pub fn binary() -> Result<PathBuf> {
    built("accrue")
}

fn built(name: &str) -> Result<PathBuf> {
    let test = std::env::current_exe()?;
    let found = test.parent().and_then(Path::parent).map(|profile| profile.join(name));
    found
        .filter(|path| path.is_file())
        .with_context(|| format!("there is no binary beside {}: cargo build --workspace --bins", test.display()))
}

/// The binary without what the caller's environment would choose for it.
fn command(dir: &Path) -> Result<Command> {
    Ok(of(binary()?, dir))
}

/// The same that kills itself at a named moment.
fn killed_at(point: &dyn Debug, dir: &Path) -> Result<Command> {
    let mut command = of(built("accrue-killed")?, dir);
    command.env("ACCRUE_KILLED_AT", format!("{point:?}"));
    Ok(command)
}

fn of(binary: PathBuf, dir: &Path) -> Command {
    // The kernel ends it with the thread that started it.
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]).arg(binary);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("ACCRUE__")) {
        command.env_remove(name);
    }
    // No `accrue.toml` there.
    let cwd = dir.parent().unwrap_or(dir);
    command.env("RUST_BACKTRACE", "0").current_dir(cwd).stdin(Stdio::null());
    command
}

/// Where a service keeps its store and takes its facts from.
#[derive(Clone, Copy, Debug)]
pub struct Setup<'a> {
    /// The data directory.
    pub dir: &'a Path,
    /// `bootstrap.servers`; empty: facts are handed in, and this and the next two say nothing.
    pub brokers: &'a str,
    /// The topic of facts.
    pub topic: &'a str,
    /// The consumer group.
    pub group: &'a str,
    /// More of the configuration, `key=value`.
    pub sets: &'a [&'a str],
}

impl<'a> Setup<'a> {
    /// Facts are handed in.
    pub fn embedded(dir: &'a Path) -> Setup<'a> {
        Setup { dir, brokers: "", topic: "", group: "", sets: &[] }
    }

    fn add_to(&self, command: &mut Command) {
        command.arg("--dir").arg(self.dir);
        let own = match self.brokers {
            "" => Vec::new(),
            brokers => vec![
                format!("kafka.brokers={brokers}"),
                format!("kafka.topic={}", self.topic),
                format!("kafka.group={}", self.group),
            ],
        };
        for set in own.iter().map(String::as_str).chain(self.sets.iter().copied()) {
            command.args(["--set", set]);
        }
    }

    /// A command that has to work, its answer as JSON.
    ///
    /// # Errors
    /// It ends with something else than 0, or does not answer in JSON.
    pub fn run(&self, words: &[&str]) -> Result<Value> {
        self.run_in(&[], words)
    }

    /// The same, with more in its environment.
    ///
    /// # Errors
    /// As [`Setup::run`].
    pub fn run_in(&self, environment: &[(&'static str, String)], words: &[&str]) -> Result<Value> {
        let mut command = command(self.dir)?;
        command.args(words).args(["--output", "json"]).envs(environment.iter().map(|(name, value)| (name, value)));
        self.add_to(&mut command);
        let done = command.output().context("setpriv does not run (package util-linux)")?;
        let told = String::from_utf8_lossy(&done.stderr);
        ensure!(done.status.success(), "accrue {}: {}: {}", words.join(" "), done.status, told.trim());
        serde_json::from_slice(&done.stdout).with_context(|| format!("accrue {}: not json", words.join(" ")))
    }

    /// A command that has to be killed at a named moment.
    ///
    /// # Errors
    /// It ends otherwise.
    pub fn run_killed(&self, words: &[&str], point: &dyn Debug) -> Result<()> {
        let mut command = killed_at(point, self.dir)?;
        command.args(words);
        self.add_to(&mut command);
        let done = command.output()?;
        let told = String::from_utf8_lossy(&done.stderr);
        ensure!(is_killed(done.status), "accrue {} was not killed at {point:?}: {}: {told}", words.join(" "), done.status);
        Ok(())
    }

    /// A command that reads only the store, so that its shards are all that is in the directory.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn run_on_store(&self, words: &[&str]) -> Result<Value> {
        let mut command = command(self.dir)?;
        let done = command.args(words).args(["--output", "json", "--dir"]).arg(self.dir).output()?;
        let told = String::from_utf8_lossy(&done.stderr);
        ensure!(
            done.status.success(),
            "accrue {}: {}: {} {}",
            words.join(" "),
            done.status,
            told.trim(),
            String::from_utf8_lossy(&done.stdout)
        );
        serde_json::from_slice(&done.stdout).with_context(|| format!("accrue {}: not json", words.join(" ")))
    }
}

/// A running `accrue serve`. Killed when dropped.
pub struct Service {
    child: RefCell<Child>,
    log: PathBuf,
    dir: PathBuf,
    agent: Agent,
    /// Known once it serves.
    addresses: RefCell<Option<(String, String)>>,
}

/// A shard as `/readyz?verbose` has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// The first offset that is not durable.
    pub next_offset: u64,
    /// What is behind that, where known.
    pub lag: Option<u64>,
}

impl Service {
    /// Starts it and waits until it answers: which it does before it has any partition.
    ///
    /// # Errors
    /// It ends, or does not answer in time; with the end of its log.
    pub fn start(setup: &Setup<'_>) -> Result<Service> {
        Service::of(command(setup.dir)?, setup)
    }

    /// The same, killed at a named moment.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_killed(setup: &Setup<'_>, point: &dyn Debug) -> Result<Service> {
        Service::of(killed_at(point, setup.dir)?, setup)
    }

    fn of(mut command: Command, setup: &Setup<'_>) -> Result<Service> {
        let log = setup.dir.with_extension("log");
        let out = OpenOptions::new().create(true).append(true).open(&log)?;
        command.args(["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]);
        setup.add_to(&mut command);
        command.stdout(out.try_clone()?).stderr(out);
        let child = command.spawn().context("setpriv does not run (package util-linux)")?;
        let config = Agent::config_builder().http_status_as_error(false).timeout_global(Some(ANSWER_MAX));
        let service = Service {
            child: RefCell::new(child),
            log,
            dir: setup.dir.to_path_buf(),
            agent: config.build().into(),
            addresses: RefCell::new(None),
        };
        service.until("it serves", |service| Ok(service.find_addresses() && service.get("livez")?.0 == 200))?;
        Ok(service)
    }

    /// The notice may be that of one that was killed.
    fn find_addresses(&self) -> bool {
        let read = || -> Option<(String, String)> {
            let notice: Value = serde_json::from_slice(&fs::read(self.dir.join("serve.json")).ok()?).ok()?;
            let ours = notice["pid"].as_u64() == Some(u64::from(self.child.borrow().id()));
            ours.then_some((notice["url"].as_str()?.to_owned(), notice["admin_url"].as_str()?.to_owned()))
        };
        let found = read();
        let is_found = found.is_some();
        *self.addresses.borrow_mut() = found;
        is_found
    }

    /// Asks until it holds.
    ///
    /// # Errors
    /// It ends meanwhile, or it does not hold in time; with the end of its log.
    pub fn until(&self, what: &str, mut holds: impl FnMut(&Service) -> Result<bool>) -> Result<()> {
        let begun = stopwatch();
        let told = || format!("still not so: {what}; the service last said\n{}", self.tail());
        while !holds(self).with_context(told)? {
            if let Some(status) = self.child.borrow_mut().try_wait()? {
                bail!("the service ended by itself ({status}): {}", self.tail());
            }
            ensure!(begun.elapsed() < WAIT_MAX, "{} after {WAIT_MAX:?}", told());
            std::thread::sleep(POLL);
        }
        Ok(())
    }

    /// Status and text of a path of the admin address.
    ///
    /// # Errors
    /// It does not answer.
    pub fn get(&self, path: &str) -> Result<(u16, String)> {
        let base = self.addresses.borrow().as_ref().map(|(_, admin)| admin.clone()).context("it does not serve yet")?;
        self.ask(&format!("{base}/{path}"))
    }

    /// Status and text of a path of the API.
    ///
    /// # Errors
    /// It does not answer.
    pub fn api(&self, path: &str) -> Result<(u16, String)> {
        let base = self.url()?;
        self.ask(&format!("{base}/{path}"))
    }

    /// Status and JSON of what the API says to a body.
    ///
    /// # Errors
    /// It does not answer, or not in JSON.
    pub fn post(&self, path: &str, body: &str) -> Result<(u16, Value)> {
        let base = self.url()?;
        let request = self.agent.post(format!("{base}/{path}")).content_type("application/json");
        let mut answer = request.send(body).with_context(|| path.to_owned())?;
        Ok((answer.status().as_u16(), serde_json::from_str(&answer.body_mut().read_to_string()?)?))
    }

    /// Where the API is.
    ///
    /// # Errors
    /// It does not serve yet.
    pub fn url(&self) -> Result<String> {
        self.addresses.borrow().as_ref().map(|(api, _)| api.clone()).context("it does not serve yet")
    }

    /// Status and text of what the API says to a removal.
    ///
    /// # Errors
    /// It does not answer.
    pub fn delete(&self, path: &str) -> Result<(u16, String)> {
        let mut answer = self.agent.delete(format!("{}/{path}", self.url()?)).call().with_context(|| path.to_owned())?;
        Ok((answer.status().as_u16(), answer.body_mut().read_to_string()?))
    }

    fn ask(&self, url: &str) -> Result<(u16, String)> {
        let mut answer = self.agent.get(url).call().with_context(|| url.to_owned())?;
        Ok((answer.status().as_u16(), answer.body_mut().read_to_string()?))
    }

    /// Its shards, as far as they are open.
    ///
    /// # Errors
    /// It does not answer.
    pub fn shards(&self) -> Result<BTreeMap<u32, Shard>> {
        let report: Value = serde_json::from_str(&self.get("readyz?verbose")?.1)?;
        let mut shards = BTreeMap::new();
        for row in report["shards"].as_array().context("no shards")? {
            let shard = row["shard"].as_u64().context("no shard")?;
            let next_offset = row["next_offset"].as_i64().context("no next_offset")?.max(0).unsigned_abs();
            shards.insert(u32::try_from(shard)?, Shard { next_offset, lag: row["lag"].as_u64() });
        }
        Ok(shards)
    }

    /// Messages that are durable, of all shards that are open.
    ///
    /// # Errors
    /// It does not answer.
    pub fn durable(&self) -> Result<u64> {
        Ok(self.shards()?.values().map(|shard| shard.next_offset).sum())
    }

    /// Waits until it was killed at its moment.
    ///
    /// # Errors
    /// It ends otherwise, or not in time.
    pub fn killed(self) -> Result<()> {
        let status = self.ended()?;
        ensure!(is_killed(status), "it ended with {status}: {}", self.tail());
        Ok(())
    }

    fn ended(&self) -> Result<ExitStatus> {
        let begun = stopwatch();
        loop {
            if let Some(status) = self.child.borrow_mut().try_wait()? {
                return Ok(status);
            }
            ensure!(begun.elapsed() < WAIT_MAX, "it does not end: {}", self.tail());
            std::thread::sleep(POLL);
        }
    }

    /// SIGKILL.
    ///
    /// # Errors
    /// It had ended by itself.
    pub fn kill(self) -> Result<()> {
        let mut child = self.child.borrow_mut();
        ensure!(child.try_wait()?.is_none(), "it had ended by itself: {}", self.tail());
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    /// SIGTERM; it has to end in order.
    ///
    /// # Errors
    /// It ends with something else than 0, or not in time.
    pub fn terminate(self) -> Result<()> {
        kill_process(Pid::from_child(&self.child.borrow()), Signal::TERM)?;
        let status = self.ended()?;
        ensure!(status.success(), "after SIGTERM it ended with {status}: {}", self.tail());
        Ok(())
    }

    /// The end of what it said.
    pub fn tail(&self) -> String {
        let said = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = said.lines().collect();
        lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let mut child = self.child.borrow_mut();
        // It has ended already, or the kernel ends it with this thread.
        let _ = child.kill();
        let _ = child.wait();
    }
}

fn is_killed(status: ExitStatus) -> bool {
    status.signal() == Some(Signal::KILL.as_raw())
}

#[expect(clippy::disallowed_methods, reason = "bounds how long a test waits for another process; no result depends on it")]
fn stopwatch() -> std::time::Instant {
    std::time::Instant::now()
}
