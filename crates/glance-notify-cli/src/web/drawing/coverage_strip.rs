//! The covered and the blind time of a source: [`CoverageStrip`].

use askama::Template;
use notify_archive::question::{Calendar, Coverage};

use super::{DrawingWidth, pixel};

/// A strip of time, to scale, with a gap for each blind time.
#[derive(Template)]
#[template(path = "strip.svg")]
pub(in super::super) struct CoverageStrip {
    width: DrawingWidth,
    summary: String,
    gaps: Vec<BlindGap>,
}

struct BlindGap {
    x: String,
    width: String,
    title: String,
}

impl CoverageStrip {
    /// Draws the coverage of a source.
    pub(in super::super) fn new(
        coverage: &Coverage,
        calendar: &Calendar,
        width: DrawingWidth,
    ) -> Self {
        let start = coverage.interval.start;
        let all = (coverage.interval.end - start).as_seconds_f64().max(f64::MIN_POSITIVE);
        let gap = |(range, reason): &(std::ops::Range<_>, String)| {
            let place =
                |time| ((time - start) as glance_notify::time::Duration).as_seconds_f64() / all;
            let (from, to) = (place(range.start) * width.pixels, place(range.end) * width.pixels);
            BlindGap {
                x: pixel(from),
                // A blind second in a month is visible.
                width: pixel((to - from).max(1.5)),
                title: format!(
                    "blind {} to {} ({reason})",
                    calendar.shown(range.start),
                    calendar.shown(range.end)
                ),
            }
        };
        Self {
            width,
            summary: coverage.shown(calendar),
            gaps: coverage.blind.iter().take(MOST_GAPS).map(gap).collect(),
        }
    }
}

/// The most gaps of a drawing.
const MOST_GAPS: usize = 500;
