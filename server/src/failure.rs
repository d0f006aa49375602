//! Why a command ends with something else than 0 (docs/cli.md).

use std::fmt;
use std::process::ExitCode;

/// What the process says to its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Ok = 0,
    /// It did not work.
    Failed = 1,
    /// It was asked wrongly: flags, configuration.
    Usage = 2,
    /// It was done, and something does not hold: `verify`, `rules check`, `rules test`.
    Broken = 3,
    /// There is no such member, order, coupon, dead letter.
    NotFound = 4,
    /// Another process has the store.
    Busy = 5,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

/// An error that knows how the process is to end; any other ends it with [`Exit::Failed`].
#[derive(Debug)]
pub struct Failure {
    /// How.
    pub exit: Exit,
    /// One lower-case line: what, where, hint.
    pub message: String,
}

impl Failure {
    /// Asked wrongly.
    pub fn usage(message: impl Into<String>) -> anyhow::Error {
        Failure { exit: Exit::Usage, message: message.into() }.into()
    }

    /// Not there.
    pub fn not_found(message: impl Into<String>) -> anyhow::Error {
        Failure { exit: Exit::NotFound, message: message.into() }.into()
    }

    /// Does not hold.
    pub fn broken(message: impl Into<String>) -> anyhow::Error {
        Failure { exit: Exit::Broken, message: message.into() }.into()
    }

    /// An error in one line: what was tried, and why not; nothing twice.
    pub fn told(error: &anyhow::Error) -> String {
        let told = error.chain().map(ToString::to_string).fold(String::new(), |told, cause| match told.as_str() {
            "" => cause,
            // Many errors name their cause themselves.
            _ if told.contains(&cause) => told,
            _ => format!("{told}: {cause}"),
        });
        // Through libraries it comes as a text only.
        let is_new = told.contains("No space left on device") && !told.contains("the disk is full");
        if is_new { format!("{told}; the disk is full: free some space, then run it again") } else { told }
    }

    /// How an error ends the process.
    pub fn exit_of(error: &anyhow::Error) -> Exit {
        if let Some(failure) = error.downcast_ref::<Failure>() {
            return failure.exit;
        }
        let locked = error.chain().any(|cause| matches!(cause.downcast_ref(), Some(accrue_store::StoreError::Locked { .. })));
        if locked { Exit::Busy } else { Exit::Failed }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;
    use accrue_store::StoreError;
    use anyhow::Context;

    #[test]
    fn the_exit_survives_a_context() {
        let error = Err::<(), _>(Failure::not_found("no such member")).context("asking").expect_err("is one");
        assert_eq!(Failure::exit_of(&error), Exit::NotFound);
        let locked = StoreError::Locked { path: "x".into(), pid: "7".into() };
        assert_eq!(Failure::exit_of(&anyhow::Error::from(locked).context("opening")), Exit::Busy);
        assert_eq!(Failure::exit_of(&anyhow::anyhow!("no")), Exit::Failed);
    }

    #[test]
    fn nothing_is_said_twice() {
        let error = anyhow::anyhow!("disk full").context("can't write x: disk full").context("checkpoint");
        assert_eq!(Failure::told(&error), "checkpoint: can't write x: disk full");
        let full = anyhow::anyhow!(std::io::Error::from_raw_os_error(28)).context("can't write x");
        let told = Failure::told(&full);
        assert!(told.starts_with("can't write x: ") && told.ends_with("the disk is full: free some space, then run it again"));
        assert_eq!(Failure::told(&anyhow::anyhow!(told.clone()).context("exporting")), format!("exporting: {told}"));
    }
}
