//! The covered and the blind time of a source: [`CoverageStrip`].

use std::ops::Range;

use askama::Template;
use glance_notify::time::OffsetDateTime;
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

/// One gap, or several that begin in one pixel.
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
        let place = |time: OffsetDateTime| (time - start).as_seconds_f64() / all * width.pixels;
        let gap = |gaps: &[(Range<OffsetDateTime>, String)]| {
            let ((first, reason), (last, _)) = (gaps.first()?, gaps.last()?);
            let (from, to) = (place(first.start), place(last.end));
            let times = format!("{} to {}", calendar.shown(first.start), calendar.shown(last.end));
            Some(BlindGap {
                x: pixel(from),
                // A blind second in a month is visible.
                width: pixel((to - from).max(1.5)),
                title: match gaps.len() {
                    1 => format!("blind {times} ({reason})"),
                    count => format!("{count} gaps, {times}"),
                },
            })
        };
        // Gaps that begin in one pixel are one rectangle, so that their number is bounded.
        let pixels = coverage
            .blind
            .chunk_by(|(one, _), (next, _)| place(next.start) < place(one.start).floor() + 1.0);
        Self { width, summary: coverage.shown(calendar), gaps: pixels.filter_map(gap).collect() }
    }
}

#[cfg(test)]
mod tests {
    use glance_notify::time::Duration;
    use notify_archive::question::AttachedInterval;

    use super::super::WIDTHS;
    use super::*;

    /// The strip has every gap, the newest too, in no more rectangles than it has pixels.
    #[test]
    fn many_gaps_reach_to_the_end() {
        let at = |minute| OffsetDateTime::UNIX_EPOCH + Duration::minutes(minute);
        let attached = |number: i64| AttachedInterval {
            attached_at: at(2 * number),
            detached_at: Some(at(2 * number + 1)),
            reason: None,
        };
        let attached: Vec<_> = (0..1000).map(attached).collect();
        let coverage = Coverage::of("north", &attached, at(0)..at(2000));
        assert_eq!(coverage.blind.len(), 1000);
        for width in WIDTHS {
            let strip = CoverageStrip::new(&coverage, &Calendar::utc(), width);
            let x: f64 = strip.gaps.last().unwrap().x.parse().unwrap();
            assert!(x >= 0.99 * width.pixels, "{x}");
            let count = f64::from(u32::try_from(strip.gaps.len()).unwrap());
            assert!(count <= width.pixels, "{count}");
        }
    }
}
