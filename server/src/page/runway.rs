//! How long points live, drawn: `░` waiting, `█` spendable, from now to the end of the last lot that has one.

use accrue_ledger::Instant;

/// Width of the drawing, cells.
const CELLS: i64 = 24;
const DAY: i64 = 86_400_000_000;
/// Nothing is drawn on a smaller scale than this.
const DAYS_MIN: i64 = 30;
const EIGHTHS: [char; 8] = [' ', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];

/// The scale of all lots of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Runway {
    now: i64,
    span: i64,
}

impl Runway {
    /// From `now` to the last of these ends that is one.
    pub fn new(now: Instant, ends: impl Iterator<Item = Instant>) -> Runway {
        let last = ends.filter(|end| *end < Instant::MAX).max().unwrap_or(now);
        let span = last.0.saturating_sub(now.0).max(DAYS_MIN * DAY);
        Runway { now: now.0, span }
    }

    /// What stands above the column.
    pub fn head(&self) -> String {
        format!("now to {}", Instant(self.now + self.span).to_string().chars().take(10).collect::<String>())
    }

    /// The life of points from `starts` to `ends`.
    pub fn draw(&self, starts: Instant, ends: Instant) -> String {
        let eighths = |at: Instant| {
            let since = at.0.saturating_sub(self.now).clamp(0, self.span);
            // Fits: both factors are bounded by the calendar.
            (i128::from(since) * i128::from(CELLS * 8) / i128::from(self.span)) as i64
        };
        let (from, until) = (eighths(starts), eighths(ends));
        let waiting = from / 8;
        let mut drawn: String = std::iter::repeat_n('░', waiting as usize).collect();
        let full = (until / 8).max(waiting);
        drawn.extend(std::iter::repeat_n('█', (full - waiting) as usize));
        let rest = (until - full * 8).clamp(0, 7) as usize;
        if rest > 0 {
            drawn.push(EIGHTHS[rest]);
        }
        if drawn.is_empty() {
            // Less than an eighth of a cell is still something.
            drawn.push('▏');
        }
        if ends == Instant::MAX {
            drawn.push('▶');
        }
        drawn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale_from_now_to_the_last_end() {
        let days = |days: i64| Instant(days * DAY);
        let runway = Runway::new(days(0), [days(240), days(120), Instant::MAX].into_iter());
        assert_eq!(runway.head(), "now to 1970-08-29");
        assert_eq!(runway.draw(days(-5), days(120)), "████████████");
        assert_eq!(runway.draw(days(60), days(120)), "░░░░░░██████");
        assert_eq!(runway.draw(days(0), days(25)), "██▌");
        assert_eq!(runway.draw(days(0), Instant(1)), "▏");
        assert_eq!(runway.draw(days(0), Instant::MAX), "████████████████████████▶");
        assert_eq!(Runway::new(days(0), [].into_iter()).span, 30 * DAY);
    }
}
