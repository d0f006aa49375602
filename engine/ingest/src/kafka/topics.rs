//! The topics that the engine needs: what is there, what differs, what would be made; and making it.

use super::settings::{Connection, dead_letter_topic};
use crate::IngestError;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Duration;

/// How long the brokers may take for one question.
const ANSWER_WAIT: Duration = Duration::from_secs(15);
/// Replicas where nothing else is said, if there are as many brokers.
const REPLICATION_MAX: i32 = 3;
/// Dead letters are kept in the store; in Kafka for thirty days.
const DEAD_LETTERS_MS: &str = "2592000000";

/// How topics are to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicOptions {
    /// The topic of the facts.
    pub topic: String,
    /// The dead-letter topic; `None`: [`dead_letter_topic`].
    pub dead_letter_topic: Option<String>,
    /// Partitions of each. Fixed for good: another number moves members to other shards.
    pub partitions: i32,
    /// Replicas; `None`: three, or as many as there are brokers.
    pub replication: Option<i32>,
    /// How long facts stay in the topic, ms; −1: for ever.
    pub retention_ms: i64,
}

/// What is with one topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TopicState {
    /// As it should be.
    Right,
    /// There, but not as it should be. Left alone.
    Differs(Vec<Difference>),
    /// Would be made.
    Missing,
    /// Was made just now.
    Made,
}

/// One thing that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// `partitions`, `replication`, or the name of a setting.
    pub what: String,
    /// As it should be.
    pub wanted: String,
    /// As it is.
    pub found: String,
}

/// One topic of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedTopic {
    /// Its name.
    pub name: String,
    /// Its partitions.
    pub partitions: i32,
    /// Its replicas.
    pub replication: i32,
    /// Its settings.
    pub settings: BTreeMap<String, String>,
    /// What is with it.
    pub state: TopicState,
}

/// What is there and what is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Every topic that is needed.
    pub topics: Vec<PlannedTopic>,
}

impl Plan {
    /// Whether applying it would change something.
    pub fn changes(&self) -> bool {
        self.topics.iter().any(|topic| topic.state == TopicState::Missing)
    }
}

/// Looks at topics and makes them.
pub struct TopicAdmin {
    client: AdminClient<DefaultClientContext>,
}

impl TopicAdmin {
    /// # Errors
    /// A setting is wrong.
    pub fn connect(connection: &Connection) -> Result<TopicAdmin, IngestError> {
        let client = connection.config().create().map_err(IngestError::kafka("make an admin client"))?;
        Ok(TopicAdmin { client })
    }

    /// Looks at what is there.
    ///
    /// # Errors
    /// No broker answers.
    pub fn plan(&self, options: &TopicOptions) -> Result<Plan, IngestError> {
        let all = self.client.inner().fetch_metadata(None, ANSWER_WAIT).map_err(IngestError::kafka("list topics"))?;
        let brokers = i32::try_from(all.brokers().len()).unwrap_or(REPLICATION_MAX);
        let mut topics = wanted(options, brokers);
        for topic in &mut topics {
            let Some(found) = all.topics().iter().find(|known| known.name() == topic.name) else {
                continue;
            };
            let partitions = found.partitions();
            let mut differences = Vec::new();
            let mut compare = |what: &str, wanted: &str, found: String| {
                if wanted != found {
                    differences.push(Difference { what: what.to_owned(), wanted: wanted.to_owned(), found });
                }
            };
            compare("partitions", &topic.partitions.to_string(), partitions.len().to_string());
            let replicas = partitions.iter().map(|partition| partition.replicas().len()).min().unwrap_or(0);
            compare("replication", &topic.replication.to_string(), replicas.to_string());
            let settings = self.settings(&topic.name)?;
            for (name, wanted) in &topic.settings {
                compare(name, wanted, settings.get(name).cloned().unwrap_or_default());
            }
            topic.state = if differences.is_empty() { TopicState::Right } else { TopicState::Differs(differences) };
        }
        Ok(Plan { topics })
    }

    /// Makes what is missing; what is there stays as it is.
    ///
    /// # Errors
    /// A broker says no.
    pub fn apply(&self, options: &TopicOptions) -> Result<Plan, IngestError> {
        let mut plan = self.plan(options)?;
        for topic in plan.topics.iter_mut().filter(|topic| topic.state == TopicState::Missing) {
            let mut new = NewTopic::new(&topic.name, topic.partitions, TopicReplication::Fixed(topic.replication));
            for (name, value) in &topic.settings {
                new = new.set(name, value);
            }
            let made = block_on(self.client.create_topics([&new], &admin_options())).and_then(|all| {
                all.into_iter().try_for_each(|one| match one {
                    // Somebody was quicker.
                    Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => Ok(()),
                    Err((_, code)) => Err(KafkaError::AdminOp(code)),
                })
            });
            made.map_err(IngestError::kafka("make a topic"))?;
            topic.state = TopicState::Made;
        }
        Ok(plan)
    }

    fn settings(&self, topic: &str) -> Result<BTreeMap<String, String>, IngestError> {
        let failed = IngestError::kafka("read a topic's settings");
        let all = match block_on(self.client.describe_configs([&ResourceSpecifier::Topic(topic)], &admin_options())) {
            Ok(all) => all,
            Err(error) => return Err(failed(error)),
        };
        let mut settings = BTreeMap::new();
        for resource in all {
            let resource = resource.map_err(|code| IngestError::kafka("read a topic's settings")(KafkaError::AdminOp(code)))?;
            settings.extend(resource.entries.into_iter().map(|entry| (entry.name, entry.value.unwrap_or_default())));
        }
        Ok(settings)
    }
}

fn wanted(options: &TopicOptions, brokers: i32) -> Vec<PlannedTopic> {
    let replication = options.replication.unwrap_or(brokers.clamp(1, REPLICATION_MAX));
    // With three replicas one may be missing and writes go on.
    let in_sync = if replication >= 3 { "2" } else { "1" };
    let topic = |name: String, retention: String| PlannedTopic {
        name,
        partitions: options.partitions,
        replication,
        settings: [("cleanup.policy", "delete"), ("retention.ms", &retention), ("min.insync.replicas", in_sync)]
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        state: TopicState::Missing,
    };
    let dead_letters = options.dead_letter_topic.clone().unwrap_or_else(|| dead_letter_topic(&options.topic));
    vec![topic(options.topic.clone(), options.retention_ms.to_string()), topic(dead_letters, DEAD_LETTERS_MS.to_owned())]
}

fn admin_options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(ANSWER_WAIT)).operation_timeout(Some(ANSWER_WAIT))
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits for a future of the admin client on this thread; a thread of the client wakes it.
fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(value) => return value,
            Poll::Pending => std::thread::park(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_topics_with_as_many_partitions() {
        let options =
            TopicOptions { topic: "facts".into(), dead_letter_topic: None, partitions: 6, replication: None, retention_ms: -1 };
        for (brokers, replication, in_sync) in [(1, 1, "1"), (2, 2, "1"), (3, 3, "2"), (9, 3, "2")] {
            let topics = wanted(&options, brokers);
            assert_eq!(
                topics.iter().map(|topic| (topic.name.as_str(), topic.partitions)).collect::<Vec<_>>(),
                [("facts", 6), ("facts-dlt", 6)]
            );
            assert_eq!((topics[0].replication, topics[0].settings["min.insync.replicas"].as_str()), (replication, in_sync));
            assert_eq!(
                (topics[0].settings["retention.ms"].as_str(), topics[1].settings["retention.ms"].as_str()),
                ("-1", DEAD_LETTERS_MS)
            );
        }
    }
}
