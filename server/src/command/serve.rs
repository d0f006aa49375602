//! `accrue serve`: until SIGTERM or SIGINT; a second one ends it at once.

use super::Ctx;
use crate::print::Style;
use crate::serve;
use anyhow::{Context as _, Result};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// How the process ends when it is told twice: what is on its way is not answered, what was answered is durable.
const IMPATIENT: i32 = 1;

pub(super) fn run(ctx: &Ctx) -> Result<()> {
    let mut signals = Signals::new([SIGTERM, SIGINT]).context("can't listen to signals")?;
    let handle = signals.handle();
    let (told, stop) = crossbeam_channel::bounded::<()>(1);
    // Also while the store is being opened.
    let listener = std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        for (count, _) in signals.forever().enumerate() {
            if count > 0 {
                std::process::exit(IMPATIENT);
            }
            // Full: it was told.
            let _ = told.try_send(());
        }
    });
    listener.context("can't start the thread that listens to signals")?;
    let serving = serve::start(&ctx.config)?;
    let style = Style::of_stderr();
    eprintln!("{} http://{}   health and metrics http://{}   ctrl-c ends it", style.green("serving"), serving.api, serving.admin);
    // An error: the thread is gone, and nobody can tell any more.
    let _ = stop.recv();
    serving.stop()?;
    handle.close();
    Ok(())
}
