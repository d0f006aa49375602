//! The running service: store, writers, listeners, in the order in which they depend on each other.

use crate::answers::open_store;
use crate::client::Notice;
use crate::config::{Config, Kafka};
use crate::failure::Failure;
use crate::http::{self, Health, Service, admin_router, router};
use crate::intake::{self, Door, Topic};
use crate::readers::Readers;
use crate::telemetry;
use accrue_ingest::kafka::{KafkaPublisher, KafkaSource};
use accrue_ingest::{Clock, Embedded};
use accrue_store::Store;
use anyhow::{Context as _, Result};
use crossbeam_channel::{RecvTimeoutError, Sender, bounded};
use parking_lot::Mutex;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// A service that runs until it is stopped.
pub struct Serving {
    /// Where the API is.
    pub api: SocketAddr,
    /// Where metrics and health are.
    pub admin: SocketAddr,
    listeners: http::Running,
    health: Health,
    source: Source,
    readers: Readers,
    data_dir: PathBuf,
}

/// Where facts come from.
enum Source {
    Embedded(Arc<Embedded>),
    Kafka { source: KafkaSource, topic: Arc<Topic>, asking: Asking },
}

/// The thread that asks a broker how many partitions there are.
struct Asking {
    stop: Sender<()>,
    thread: JoinHandle<()>,
}

/// Between two tries to reach a broker.
const ASK_EVERY: Duration = Duration::from_secs(2);

/// Opens the store, recovers, and serves. Returns when it answers.
///
/// # Errors
/// An address is taken, the store can't be opened, or a shard can't be recovered.
pub fn start(config: &Config) -> Result<Serving> {
    let (api_socket, api) = http::bind(&config.listen)?;
    let (admin_socket, admin) = http::bind(&config.admin_listen)?;
    let readers = Readers::default();
    let health = Health::new(readers.clone(), telemetry::recorder()?);
    let mut listeners = http::start()?;
    listeners.serve(admin_socket, admin_router(health.clone()))?;
    let store = open_store(config)?;
    let source = Source::open(config, &store, &readers, &health)?;
    let service = Service::new(readers.clone(), source.door(), config.http, Clock::system());
    listeners.serve(api_socket, router(service))?;
    let notice = Notice { pid: std::process::id(), url: format!("http://{api}"), admin_url: format!("http://{admin}") };
    notice.write(&config.data_dir)?;
    tracing::info!(%api, %admin, shards = store.shard_ids().len(), "serving");
    Ok(Serving { api, admin, listeners, health, source, readers, data_dir: config.data_dir.clone() })
}

impl Serving {
    /// Takes nothing more, answers what is asked, writes checkpoints, and lets go of the store.
    ///
    /// # Errors
    /// A shard had failed, or its checkpoint can't be written.
    pub fn stop(self) -> Result<()> {
        tracing::info!("stopping");
        self.health.stopping();
        // The next command is not to be sent here.
        let notice = Notice::path(&self.data_dir);
        if let Err(error) = std::fs::remove_file(&notice) {
            tracing::debug!(%error, "serve.json was not there");
        }
        self.listeners.stop();
        self.readers.stop_keepers();
        self.source.stop()?;
        tracing::info!("stopped: everything taken in is durable, views are written");
        Ok(())
    }
}

impl Source {
    fn open(config: &Config, store: &Store, readers: &Readers, health: &Health) -> Result<Source> {
        if let Some(kafka) = &config.kafka {
            return Source::from_kafka(config, kafka, store, readers, health);
        }
        readers.set_spread(store.embedded_shards());
        let options = intake::options(config, readers);
        let told = |status: &accrue_ingest::Status| health.opening(status.not_ready());
        if store.embedded_shards().is_none() {
            let path = store.path().display();
            return Err(Failure::usage(format!("the store {path} is filled from Kafka: name its brokers (kafka.brokers)")));
        }
        let embedded = Embedded::open_with_progress(store, readers.make_inline(config.ledger), options, told)?;
        health.open(store.clone(), Arc::clone(embedded.status()));
        Ok(Source::Embedded(Arc::new(embedded)))
    }

    fn from_kafka(config: &Config, kafka: &Kafka, store: &Store, readers: &Readers, health: &Health) -> Result<Source> {
        readers.set_spread(None);
        let mut options = kafka.options();
        options.on_shard = readers.on_shard();
        let queue_batches_max = options.writer.queue_batches_max;
        options.writer = accrue_ingest::WriterOptions { queue_batches_max, ..intake::writer(config, readers) };
        let source = KafkaSource::start(store, readers.make_inline(config.ledger), options)?;
        health.open(store.clone(), Arc::clone(source.status()));
        let topic = Arc::new(Topic { name: kafka.topic.clone(), connection: kafka.connection(), through: Mutex::default() });
        let asking = ask_for_partitions(Arc::clone(&topic), readers.clone())?;
        Ok(Source::Kafka { source, topic, asking })
    }

    fn door(&self) -> Door {
        match self {
            Source::Embedded(embedded) => Door::Embedded(Arc::clone(embedded)),
            Source::Kafka { topic, .. } => Door::Kafka(Arc::clone(topic)),
        }
    }

    fn stop(self) -> Result<()> {
        match self {
            Source::Embedded(embedded) => {
                let embedded = Arc::into_inner(embedded).context("a request still holds the log: it is closed when that ends")?;
                Ok(embedded.stop()?)
            }
            Source::Kafka { source, topic, asking } => {
                // It may be waiting for a broker; nothing depends on it.
                drop(asking.stop);
                if asking.thread.is_finished() {
                    asking.thread.join().map_err(|_| anyhow::anyhow!("the thread that asks for partitions panicked"))?;
                }
                drop(topic);
                Ok(source.stop()?)
            }
        }
    }
}

/// Asks until a broker answers: over how many partitions members are spread.
fn ask_for_partitions(topic: Arc<Topic>, readers: Readers) -> Result<Asking> {
    let (stop, stopped) = bounded::<()>(0);
    let ask = move || loop {
        match KafkaPublisher::connect(&topic.connection, &topic.name, None) {
            Ok(publisher) => {
                readers.set_spread(u32::try_from(publisher.partitions()).ok());
                return;
            }
            Err(error) => tracing::debug!(%error, "asking how many partitions there are"),
        }
        if let Err(RecvTimeoutError::Disconnected) = stopped.recv_timeout(ASK_EVERY) {
            return;
        }
    };
    let thread = std::thread::Builder::new().name("partitions".to_owned()).spawn(ask).context("can't start a thread")?;
    Ok(Asking { stop, thread })
}
