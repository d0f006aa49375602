//! The binary `accrue`, killed by SIGKILL at the moment that `ACCRUE_KILLED_AT` names.

use accrue_projections::point::AT_POINTS;
use rustix::process::{Signal, getpid, kill_process};
use std::fmt::Debug;
use std::process::ExitCode;

fn end(point: &dyn Debug) {
    if std::env::var("ACCRUE_KILLED_AT").is_ok_and(|name| name == format!("{point:?}"))
        && kill_process(getpid(), Signal::KILL).is_ok()
    {
        // Nothing is done before the signal is there.
        loop {
            std::thread::park();
        }
    }
}

fn main() -> ExitCode {
    AT_POINTS.get_or_init(|| end);
    accrue_server::main(std::env::args_os())
}
