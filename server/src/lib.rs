//! The binary `accrue` as a library: command line, configuration, HTTP, metrics. It wires the rest; there is no rule here.
//!
//! ```no_run
//! # fn main() -> anyhow::Result<()> {
//! use accrue_server::config::{Config, Layers};
//! let mut layers = Layers::default();
//! ["data_dir=/var/lib/accrue", "listen=127.0.0.1:0", "admin_listen=127.0.0.1:0"].iter().try_for_each(|set| layers.set(set))?;
//! let serving = accrue_server::serve::start(&Config::of(layers)?)?;
//! println!("http://{}", serving.api);
//! serving.stop()?;
//! # Ok(())
//! # }
//! ```
//!
//! # Reading order
//! [`cli`] and [`config`] are what a person says; [`question`] what can be asked, [`answering`] the answer, [`http`] and
//! [`client`] the way there, [`answers`] who answers a command; [`intake`] how facts come in; [`command`] one file a
//! command, [`past`] and [`export`] what analysts take away, [`page`] and [`print`](mod@print) what it shows; [`serve`] the running
//! service; [`backup`] copies of its store elsewhere.

pub mod answering;
pub mod answers;
pub mod backup;
pub mod cli;
pub mod client;
pub mod command;
pub mod config;
pub mod export;
pub mod failure;
pub mod http;
pub mod intake;
pub mod page;
pub mod past;
pub mod print;
pub mod problem;
mod progress;
pub mod question;
pub mod readers;
pub mod replay;
pub mod serve;
pub mod telemetry;

use clap::Parser;
use failure::{Exit, Failure};
use std::ffi::OsString;
use std::process::ExitCode;

/// What the binary does with its arguments.
pub fn main(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let cli = match cli::Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are answers, the rest is a wrong question; clap knows where each goes.
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage.into() } else { Exit::Ok.into() };
        }
    };
    match command::run(cli) {
        Ok(()) => Exit::Ok.into(),
        Err(error) => {
            let style = print::Style::of_stderr();
            eprintln!("{} {}", style.red("accrue:"), Failure::told(&error));
            Failure::exit_of(&error).into()
        }
    }
}
