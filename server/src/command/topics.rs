//! `accrue topics plan | apply`

use super::Ctx;
use crate::cli::Topics;
use crate::failure::Failure;
use crate::print::{Column, right, text};
use accrue_ingest::kafka::{PlannedTopic, TopicAdmin, TopicOptions, TopicState};
use anyhow::{Context as _, Result};
use serde_json::{Value, json};

const ROWS: [Column; 6] = [
    text("topic", "/topic"),
    text("state", "/state"),
    right("partitions", "/partitions"),
    right("replication", "/replication"),
    text("settings", "/settings_text"),
    text("differs", "/differs"),
];

pub(super) fn run(ctx: &Ctx, topics: &Topics) -> Result<()> {
    let kafka = ctx.config.kafka()?;
    let options = TopicOptions {
        topic: kafka.topic.clone(),
        dead_letter_topic: None,
        partitions: kafka.topic_partitions,
        replication: kafka.topic_replication,
        retention_ms: kafka.topic_retention_ms,
    };
    let brokers = || format!("brokers {}", kafka.brokers);
    let admin = TopicAdmin::connect(&kafka.connection()).with_context(brokers)?;
    let plan = match topics {
        Topics::Plan => admin.plan(&options),
        Topics::Apply => admin.apply(&options),
    };
    let plan = plan.with_context(brokers)?;
    let rows: Vec<Value> = plan.topics.iter().map(row).collect();
    ctx.printer.rows(&json!({ "topics": rows }), &rows, &ROWS)?;
    let differing = plan.topics.iter().filter(|topic| matches!(topic.state, TopicState::Differs(_))).count();
    if differing > 0 {
        return Err(Failure::broken(format!(
            "{differing} topics are not as they should be; they are left alone: mend them, or the configuration"
        )));
    }
    Ok(())
}

fn row(topic: &PlannedTopic) -> Value {
    let (state, differs) = match &topic.state {
        TopicState::Right => ("right", Vec::new()),
        TopicState::Missing => ("missing", Vec::new()),
        TopicState::Made => ("made", Vec::new()),
        TopicState::Differs(differences) => {
            ("differs", differences.iter().map(|of| format!("{} is {}, should be {}", of.what, of.found, of.wanted)).collect())
        }
    };
    let settings: Vec<String> = topic.settings.iter().map(|(name, value)| format!("{name}={value}")).collect();
    json!({
        "topic": topic.name,
        "state": state,
        "partitions": topic.partitions,
        "replication": topic.replication,
        "settings": topic.settings,
        "settings_text": settings.join(" "),
        "differs": differs,
    })
}
