//! The progress line: the last line of the terminal, which the command redraws.
//!
//! It appears only if standard error is a terminal and `-q` is absent, so that files and pipes stay free of
//! it. Every other line on standard error passes through [`write_beside_progress`], which removes the
//! progress line, writes, and draws it again: no log line ever tears it.
//!
//! ```text
//! 45 %, 3 s left: 11800 delivered, 200 pending, 4012/s
//! ```
//!
//! The parts come in the order of their importance, because a narrow terminal cuts the end off.

use std::fmt;
use std::io::{Write, stderr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::console::is_quiet;

/// The progress line of one command. Dropping it removes it from the screen.
pub(crate) struct ProgressLine {
    bar: ProgressBar,
    rate: RateMeter,
}

impl ProgressLine {
    /// Creates a line that is not on the screen yet.
    ///
    /// `total` is the whole amount of work where the end is known, in any unit.
    pub(crate) fn new(total: Option<u64>) -> Self {
        let target = if is_quiet() {
            ProgressDrawTarget::hidden()
        } else {
            ProgressDrawTarget::stderr_with_hz(REDRAWS_PER_SECOND)
        };
        let bar = ProgressBar::with_draw_target(total.filter(|total| *total > 0), target);
        bar.set_style(ProgressStyle::with_template("{msg}").unwrap_or_else(|_| {
            // The template is a constant, so this never happens.
            ProgressStyle::default_bar()
        }));
        *CURRENT.lock().unwrap_or_else(PoisonError::into_inner) = Some(bar.clone());
        Self { bar, rate: RateMeter::new() }
    }

    /// Sets the whole amount of work, which may grow.
    pub(crate) fn set_total(&self, total: u64) {
        if total > 0 {
            self.bar.set_length(total);
        }
    }

    /// Draws the line. `done` is the finished part of the total, and `count` the number of finished
    /// notifications, which gives the rate.
    ///
    /// `counts` must be printable: it is written without escapes.
    pub(crate) fn show(&mut self, done: u64, count: u64, counts: fmt::Arguments<'_>) {
        if self.bar.is_hidden() {
            return;
        }
        self.bar.set_position(done);
        let rate = self.rate.update(count, Instant::now());
        let mut text = String::new();
        if let Some(total) = self.bar.length() {
            let done = done.min(total);
            text = format!("{} %", u128::from(done) * 100 / u128::from(total.max(1)));
            let left = self.bar.eta();
            if done > 0 && done < total && !left.is_zero() {
                text = format!("{text}, {} left", DisplayDuration(left));
            }
            text.push_str(": ");
        }
        let rate = rate.map(|rate| format!(", {rate:.0}/s")).unwrap_or_default();
        self.bar.set_message(format!("{text}{counts}{rate}"));
    }

    /// Removes the line from the screen for good.
    pub(crate) fn clear(&self) {
        self.bar.finish_and_clear();
        *CURRENT.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Drop for ProgressLine {
    fn drop(&mut self) {
        self.clear();
    }
}

/// Writes whole lines to standard error, above the progress line if there is one.
///
/// Ignores write errors: there is no better place to report them.
pub(crate) fn write_beside_progress(lines: &[u8]) {
    let current = CURRENT.lock().unwrap_or_else(PoisonError::into_inner);
    let write = || drop(stderr().write_all(lines));
    match &*current {
        Some(bar) => bar.suspend(write),
        None => write(),
    }
}

/// The number of finished notifications per second, over the last seconds.
struct RateMeter {
    /// The count and its time at the last update of `rate`.
    last: Option<(u64, Instant)>,
    rate: Option<f64>,
}

impl RateMeter {
    fn new() -> Self {
        Self { last: None, rate: None }
    }

    /// Adds a count at a time and returns the rate, once it is known.
    ///
    /// Newer seconds weigh more than older ones, so that the rate is steady and still follows changes.
    fn update(&mut self, count: u64, now: Instant) -> Option<f64> {
        let Some((last_count, last_time)) = self.last else {
            self.last = Some((count, now));
            return None;
        };
        let elapsed = now.duration_since(last_time);
        if elapsed >= RATE_INTERVAL {
            let recent =
                f64::from(u32::try_from(count.saturating_sub(last_count)).unwrap_or(u32::MAX))
                    / elapsed.as_secs_f64();
            self.rate = Some(self.rate.map_or(recent, |rate| rate * 0.7 + recent * 0.3));
            self.last = Some((count, now));
        }
        self.rate
    }
}

/// A duration in one unit: `45 s`, `12 min`, `3 h`.
struct DisplayDuration(Duration);

impl fmt::Display for DisplayDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        match seconds {
            0..120 => write!(f, "{} s", seconds.max(1)),
            120..7200 => write!(f, "{} min", seconds / 60),
            _ => write!(f, "{} h", seconds / 3600),
        }
    }
}

/// The bar on the screen, if any.
static CURRENT: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// The largest number of redraws per second.
const REDRAWS_PER_SECOND: u8 = 5;

/// The shortest time over which the rate is measured.
const RATE_INTERVAL: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    /// The rate is unknown at first, then follows the count.
    #[test]
    fn the_rate_follows_the_count() {
        let (mut rate, start) = (RateMeter::new(), Instant::now());
        assert_eq!(rate.update(0, start), None);
        assert_eq!(rate.update(100, start + Duration::from_secs(1)), Some(100.0));
        let later = rate.update(100, start + Duration::from_secs(2)).unwrap();
        assert!((later - 70.0).abs() < 0.001, "{later}");
    }

    /// A duration has one unit, and never reads as nothing.
    #[test]
    fn durations_have_one_unit() {
        for (seconds, shown) in [(0, "1 s"), (119, "119 s"), (120, "2 min"), (7200, "2 h")] {
            assert_eq!(DisplayDuration(Duration::from_secs(seconds)).to_string(), shown);
        }
    }
}
