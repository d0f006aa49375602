//! A real Apache Kafka for tests: one or three nodes on loopback, as children that cannot outlive the test.
//!
//! ```no_run
//! let mut broker = accrue_tests::broker::Broker::start(1)?;
//! broker.create_topic("facts", 6, 1)?;
//! println!("bootstrap.servers = {}", broker.bootstrap());
//! broker.kill_node(0)?;
//! broker.start_node(0)?;
//! # anyhow::Ok(())
//! ```
//!
//! Jars, configuration and JVM flags are those of `deploy/kafka-dev/kafka-dev`, which fetches the jars when they are missing.

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, File, OpenOptions};
use std::future::Future;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A node that does not answer by then is an error.
const READY_MAX: Duration = Duration::from_secs(60);
/// A node that has not ended by then after SIGTERM is an error.
const STOP_MAX: Duration = Duration::from_secs(30);
/// One question to a node.
const ANSWER_MAX: Duration = Duration::from_secs(2);
/// Between two looks.
const POLL: Duration = Duration::from_millis(50);
/// Spawns that wait for their turn; more wait to wait.
const SPAWNS_MAX: usize = 8;
/// Below the range from which the system takes the ports of outgoing connections: while a node is down, no client can be given its port.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// A cluster of its own: own ports, own folder, gone when dropped.
pub struct Broker {
    nodes: Vec<Node>,
    bootstrap: String,
    dir: TempDir,
}

struct Node {
    port: Lease,
    controller_port: Lease,
    child: Option<Child>,
}

impl Broker {
    /// Starts 1 or 3 nodes (broker and controller in one process) and waits until each answers and knows all.
    /// The first start on a machine fetches the jars. At most 60 s after that.
    pub fn start(nodes: usize) -> Result<Broker> {
        ensure!(nodes == 1 || nodes == 3, "a cluster has 1 or 3 nodes, not {nodes}");
        let dir = tempfile::Builder::new().prefix("accrue-kafka-").tempdir()?;
        let nodes = (0..nodes)
            .map(|_| Ok(Node { port: Lease::take()?, controller_port: Lease::take()?, child: None }))
            .collect::<Result<Vec<_>>>()?;
        let ports: Vec<String> =
            nodes.iter().flat_map(|node| [node.port.number.to_string(), node.controller_port.number.to_string()]).collect();
        let prepared = Command::new(script())
            .arg("prepare")
            .arg("--dir")
            .arg(dir.path())
            .args(["--ports", &ports.join(",")])
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("{} does not run", script().display()))?;
        ensure!(prepared.status.success(), "{}", String::from_utf8_lossy(&prepared.stderr).trim());

        let bootstrap = nodes.iter().map(Node::address).collect::<Vec<_>>().join(",");
        let mut broker = Broker { nodes, bootstrap, dir };
        let until = Deadline::after(READY_MAX);
        for index in 0..broker.nodes.len() {
            broker.spawn(index)?;
        }
        for index in 0..broker.nodes.len() {
            broker.wait_ready(index, &until)?;
        }
        Ok(broker)
    }

    /// `bootstrap.servers`: all nodes, running or not.
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// How many nodes it was started with.
    pub fn nodes(&self) -> usize {
        self.nodes.len()
    }

    /// SIGTERM, and waits for the orderly end (at most 30 s). Nodes are counted from 0.
    pub fn stop_node(&mut self, index: usize) -> Result<()> {
        self.signal(index, Signal::TERM)?;
        let until = Deadline::after(STOP_MAX);
        while let Some(child) = &mut self.nodes[index].child {
            if child.try_wait()?.is_some() {
                self.nodes[index].child = None;
            } else {
                until.pause().with_context(|| format!("node {index} does not stop: {}", self.last_words(index)))?;
            }
        }
        Ok(())
    }

    /// SIGKILL. What the node had not written out to the system is lost; the others notice after some seconds.
    pub fn kill_node(&mut self, index: usize) -> Result<()> {
        self.signal(index, Signal::KILL)?;
        if let Some(mut child) = self.nodes[index].child.take() {
            child.wait()?;
        }
        Ok(())
    }

    /// Starts a stopped or killed node again, on the same port and with the same log, and waits until it answers and,
    /// when all nodes run, until every partition has a leader again.
    pub fn start_node(&mut self, index: usize) -> Result<()> {
        self.spawn(index)?;
        self.wait_ready(index, &Deadline::after(READY_MAX))
    }

    /// SIGSTOP: the node hangs, its connections stay open.
    pub fn pause_node(&mut self, index: usize) -> Result<()> {
        self.signal(index, Signal::STOP)
    }

    /// SIGCONT: it goes on where it was.
    pub fn resume_node(&mut self, index: usize) -> Result<()> {
        self.signal(index, Signal::CONT)
    }

    /// Creates a topic and waits until every partition has a leader.
    pub fn create_topic(&self, name: &str, partitions: i32, replication: i32) -> Result<()> {
        let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(replication));
        let outcome = block_on(self.admin()?.create_topics([&topic], &admin_options()))?;
        outcome.into_iter().try_for_each(|one| one.map(drop)).map_err(|(topic, code)| anyhow!("topic {topic}: {code}"))?;
        let until = Deadline::after(READY_MAX);
        let client = client(&self.bootstrap)?;
        loop {
            let led = client.fetch_metadata(Some(name), ANSWER_MAX).is_ok_and(|answer| {
                answer.topics().iter().any(|topic| {
                    let led = topic.partitions().iter().filter(|partition| partition.leader() >= 0).count();
                    topic.name() == name && led == usize::try_from(partitions).unwrap_or(0)
                })
            });
            if led {
                return Ok(());
            }
            until.pause().with_context(|| format!("topic {name} gets no leaders"))?;
        }
    }

    /// Deletes a topic and waits until nobody lists it any more.
    pub fn delete_topic(&self, name: &str) -> Result<()> {
        let outcome = block_on(self.admin()?.delete_topics(&[name], &admin_options()))?;
        outcome.into_iter().try_for_each(|one| one.map(drop)).map_err(|(topic, code)| anyhow!("topic {topic}: {code}"))?;
        let until = Deadline::after(READY_MAX);
        let client = client(&self.bootstrap)?;
        while client.fetch_metadata(None, ANSWER_MAX).map_or(true, |all| all.topics().iter().any(|topic| topic.name() == name)) {
            until.pause().with_context(|| format!("topic {name} does not go away"))?;
        }
        Ok(())
    }

    fn admin(&self) -> Result<AdminClient<DefaultClientContext>> {
        Ok(config(&self.bootstrap).create()?)
    }

    fn spawn(&mut self, index: usize) -> Result<()> {
        ensure!(self.nodes[index].child.is_none(), "node {index} runs already");
        let dir = self.node_dir(index);
        let out = OpenOptions::new().create(true).append(true).open(dir.join("out"))?;
        // The kernel kills the node when the test ends, however it ends.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]).arg(script()).arg("exec").arg(&dir);
        command.stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out);
        self.nodes[index].child = Some(spawn_from_lasting_thread(command)?);
        Ok(())
    }

    fn wait_ready(&mut self, index: usize, until: &Deadline) -> Result<()> {
        let running = self.nodes.iter().filter(|node| node.child.is_some()).count();
        let all = running == self.nodes.len();
        let client = client(&self.nodes[index].address())?;
        loop {
            let ready = client.fetch_metadata(None, ANSWER_MAX).is_ok_and(|answer| {
                let leaderless = |topic: &rdkafka::metadata::MetadataTopic| topic.partitions().iter().any(|one| one.leader() < 0);
                answer.brokers().len() >= running && !(all && answer.topics().iter().any(leaderless))
            });
            if ready {
                return Ok(());
            }
            if let Some(child) = &mut self.nodes[index].child
                && let Some(status) = child.try_wait()?
            {
                self.nodes[index].child = None;
                bail!("node {index} ended ({status}): {}", self.last_words(index));
            }
            until.pause().with_context(|| format!("node {index} does not answer: {}", self.last_words(index)))?;
        }
    }

    fn signal(&self, index: usize, signal: Signal) -> Result<()> {
        let child = self.nodes[index].child.as_ref().with_context(|| format!("node {index} is not running"))?;
        kill_process(Pid::from_child(child), signal).with_context(|| format!("signal to node {index}"))
    }

    fn node_dir(&self, index: usize) -> PathBuf {
        self.dir.path().join((index + 1).to_string())
    }

    fn last_words(&self, index: usize) -> String {
        let out = fs::read_to_string(self.node_dir(index).join("out")).unwrap_or_default();
        let lines: Vec<&str> = out.lines().collect();
        lines[lines.len().saturating_sub(5)..].join("\n")
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        for child in self.nodes.iter_mut().filter_map(|node| node.child.as_mut()) {
            // Nothing to be done about a failure here: it has ended already, or the kernel ends it with this process.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Node {
    fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port.number)
    }
}

/// A free port that no other test of this user is given while this is held.
struct Lease {
    number: u16,
    _lock: File,
}

impl Lease {
    fn take() -> Result<Lease> {
        let dir = cache_dir()?.join("ports");
        fs::create_dir_all(&dir)?;
        // Each process begins elsewhere, so that those that run at once seldom meet.
        let first = usize::try_from(std::process::id())? * 97 % PORTS.len();
        for number in PORTS.cycle().skip(first).take(PORTS.len()) {
            let lock = OpenOptions::new().create(true).truncate(false).write(true).open(dir.join(number.to_string()))?;
            if lock.try_lock().is_ok() && TcpListener::bind((Ipv4Addr::LOCALHOST, number)).is_ok() {
                return Ok(Lease { number, _lock: lock });
            }
        }
        bail!("no free port from {} to {}", PORTS.start, PORTS.end)
    }
}

/// A moment after which waiting is an error.
struct Deadline(Instant);

impl Deadline {
    #[expect(clippy::disallowed_methods, reason = "bounds how long a test waits for another process; no result depends on it")]
    fn after(wait: Duration) -> Deadline {
        Deadline(Instant::now() + wait)
    }

    #[expect(clippy::disallowed_methods, reason = "bounds how long a test waits for another process; no result depends on it")]
    fn pause(&self) -> Result<()> {
        ensure!(Instant::now() < self.0, "out of time");
        thread::sleep(POLL);
        Ok(())
    }
}

/// The parent-death signal comes when the **thread** that spawned ends, and the thread of a test ends before a broker that
/// several tests share: so all nodes are spawned from one thread that lives as long as the process.
fn spawn_from_lasting_thread(command: Command) -> Result<Child> {
    type Job = (Command, SyncSender<std::io::Result<Child>>);
    static SPAWNER: OnceLock<SyncSender<Job>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (sender, jobs) = sync_channel::<Job>(SPAWNS_MAX);
        thread::spawn(move || {
            for (mut command, reply) in jobs {
                // Whoever asked may be gone: then the child is nobody's, and dropping the reply's value leaves it to the kernel.
                let _ = reply.send(command.spawn());
            }
        });
        sender
    });
    let (reply, child) = sync_channel(1);
    spawner.send((command, reply)).map_err(|_| anyhow!("the spawning thread is gone"))?;
    child.recv()?.context("setpriv does not run (package util-linux)")
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/kafka-dev/kafka-dev")
}

/// As in `kafka-dev`.
fn cache_dir() -> Result<PathBuf> {
    let folder = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    folder("ACCRUE_CACHE")
        .or_else(|| folder("XDG_CACHE_HOME").map(|cache| cache.join("accrue")))
        .or_else(|| folder("HOME").map(|home| home.join(".cache/accrue")))
        .context("none of ACCRUE_CACHE, XDG_CACHE_HOME and HOME is set")
}

fn config(bootstrap: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap).set("reconnect.backoff.ms", "50").set("reconnect.backoff.max.ms", "200");
    config
}

fn client(bootstrap: &str) -> Result<BaseConsumer> {
    Ok(config(bootstrap).create()?)
}

fn admin_options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(READY_MAX)).operation_timeout(Some(READY_MAX))
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits for one future on this thread (the admin client's are woken by a thread of its own).
fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(value) => return value,
            Poll::Pending => thread::park(),
        }
    }
}
