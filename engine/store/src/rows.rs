//! The protobuf rows of the log (`proto/accrue/v1/store.proto`) under the names used here.

pub(crate) use accrue_proto::pb::{
    DeadLetterHeader, DeadLetterRow, DeadLetterStatus, LiveGeneration, LogCounters, LogHead, LogSource,
};
