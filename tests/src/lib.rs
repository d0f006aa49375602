//! What the tests of the whole share: a real broker, and what answers are compared with.

pub mod beside;
pub mod broker;
pub mod bucket;
pub mod history;
pub mod oracle;
pub mod service;
pub mod traffic;
