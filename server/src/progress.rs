//! Progress, on standard error, and only on a terminal.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::time::Duration;

/// How often it is drawn.
const DRAW_EVERY: Duration = Duration::from_millis(120);

/// Something that takes a while of which the end is not known.
pub fn spinner(what: &'static str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix} {msg} {elapsed}") {
        bar.set_style(style);
    }
    bar.set_prefix(what);
    bar.enable_steady_tick(DRAW_EVERY);
    bar
}

/// So many facts, as far as is known.
pub fn facts(what: &'static str, total: u64) -> ProgressBar {
    with("{prefix} {wide_bar} {human_pos}/{human_len} facts  {per_sec:>14}  {eta:>4}", what, total)
}

/// So many bytes of a file.
pub fn bytes(what: &'static str, total: u64) -> ProgressBar {
    with("{prefix} {wide_bar} {bytes}/{total_bytes}  {msg}", what, total)
}

fn with(template: &str, what: &'static str, total: u64) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("█▉▊▋▌▍▎▏ "));
    }
    bar.set_prefix(what);
    bar
}
