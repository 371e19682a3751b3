//! The drawn life of an image or task: [`LifeDiagram`].
//!
//! Seconds and months stand side by side in a life, so the axis is not to scale: a longer time takes more room,
//! but only as its logarithm does. The durations are written into the drawing.

use askama::Template;
use glance_notify::event::{EventType, Priority};
use glance_notify::time::{Duration, OffsetDateTime};
use notify_archive::question::{Calendar, TimelineEntry};

use super::super::life_phase::LifeStatus;
use super::super::life_records::MOST_LINES;
use super::super::page_request::PageTime;
use super::super::units::{grouped, shown_duration};
use super::{DrawingWidth, pixel, text_width};

/// The events of a life on an axis, with a coloured band for each phase.
#[derive(Template)]
#[template(path = "life.svg")]
pub(in super::super) struct LifeDiagram {
    width: DrawingWidth,
    summary: String,
    bands: Vec<PhaseBand>,
    marks: Vec<EventMark>,
    labels: Vec<MarkLabel>,
    times: Vec<AxisTime>,
}

/// The time between two events in which the phase did not change.
struct PhaseBand {
    x: String,
    width: String,
    middle: String,
    class: &'static str,
    /// The status and its duration, if there is room.
    label: Option<String>,
    title: String,
}

/// An event on the axis.
struct EventMark {
    x: String,
    class: &'static str,
    is_download: bool,
    title: String,
}

/// The name of an event, above the axis.
struct MarkLabel {
    x: String,
    y: &'static str,
    text: String,
    class: &'static str,
}

/// A time below the axis.
struct AxisTime {
    x: String,
    day: String,
    clock: String,
    anchor: &'static str,
}

impl LifeDiagram {
    /// Draws the first events of a life, as many as its list has, and describes all of them. `entries` are in the
    /// order of their times, and `count` is the number of events with those that they leave out.
    pub(in super::super) fn new(
        entries: &[TimelineEntry],
        count: usize,
        calendar: &Calendar,
        width: DrawingWidth,
    ) -> Self {
        let summary = summary(entries, count);
        let entries = drawn(entries);
        let times: Vec<_> = entries.iter().map(|entry| entry.record.timestamp).collect();
        let places = places(&times, width.pixels);
        let titles: Vec<_> = entries.iter().map(|entry| title(entry, calendar)).collect();
        let marks = entries.iter().zip(&places).zip(&titles).map(|((entry, x), title)| EventMark {
            x: pixel(*x),
            class: mark_class(entry),
            is_download: entry.record.event_type == EventType::ImageSend,
            title: title.clone(),
        });
        let ends = [(0, "start"), (times.len().saturating_sub(1), "end")];
        let ends = if times.len() > 1 { &ends[..] } else { &ends[..times.len()] };
        let axis = ends.iter().map(|(index, anchor)| {
            let PageTime { day, clock, .. } = PageTime::new(times[*index], calendar);
            AxisTime { x: pixel(places[*index]), day, clock, anchor }
        });
        Self {
            width,
            summary,
            bands: bands(entries, &places),
            labels: labels(entries, &places, width.pixels),
            times: axis.collect(),
            marks: marks.collect(),
        }
    }
}

/// Returns a sentence about the events that the drawing of a life and its list have room for.
pub(in super::super) fn caption(entries: &[TimelineEntry], count: usize) -> String {
    let drawn = drawn(entries).len();
    if drawn == count {
        return "The list below has every event.".to_owned();
    }
    format!("The drawing ends with the first {drawn} of {} events.", grouped(count))
}

/// Returns the events that a drawing has room for.
fn drawn(entries: &[TimelineEntry]) -> &[TimelineEntry] {
    &entries[..entries.len().min(MOST_LINES)]
}

/// Returns the place of each time on an axis of this width.
fn places(times: &[OffsetDateTime], width: f64) -> Vec<f64> {
    let weight = |gap: Duration| SMALLEST_GAP + gap.as_seconds_f64().max(0.0).ln_1p();
    let gaps: Vec<_> = times.windows(2).map(|pair| weight(pair[1] - pair[0])).collect();
    let all: f64 = gaps.iter().sum();
    let scale = if all > 0.0 { (width - 2.0 * MARGIN) / all } else { 0.0 };
    let mut x = MARGIN;
    let mut places: Vec<_> = times.first().map(|_| x).into_iter().collect();
    for gap in gaps {
        x += gap * scale;
        places.push(x);
    }
    places
}

/// Returns a band for each time in which the status did not change.
fn bands(entries: &[TimelineEntry], places: &[f64]) -> Vec<PhaseBand> {
    let mut bands = Vec::new();
    let mut status = LifeStatus::default();
    let mut start = 0;
    for (index, entry) in entries.iter().enumerate() {
        let next = status.clone().after(entry);
        if next != status {
            bands.extend(band(entries, places, &status, start..index));
            (status, start) = (next, index);
        }
    }
    bands.extend(band(entries, places, &status, start..entries.len().saturating_sub(1)));
    bands
}

/// Returns the band of a status between two events.
fn band(
    entries: &[TimelineEntry],
    places: &[f64],
    status: &LifeStatus,
    range: std::ops::Range<usize>,
) -> Option<PhaseBand> {
    if status.word.is_empty() || range.is_empty() {
        return None;
    }
    let width = places[range.end] - places[range.start];
    let time = |index: usize| entries[index].record.timestamp;
    let duration = shown_duration(time(range.end) - time(range.start));
    let title = format!("{} for {duration}", status.word);
    let short = format!("{} {duration}", status.word);
    let fits = |text: &String| text_width(text) + 8.0 < width;
    Some(PhaseBand {
        x: pixel(places[range.start]),
        width: pixel(width.max(1.0)),
        middle: pixel(places[range.start] + width / 2.0),
        class: status.phase.class(),
        label: [short, duration].into_iter().find(fits),
        title,
    })
}

/// Returns the names of events that have room above the axis, on two lines.
fn labels(entries: &[TimelineEntry], places: &[f64], width: f64) -> Vec<MarkLabel> {
    let mut labels: Vec<MarkLabel> = Vec::new();
    let mut ends = [f64::MIN; 2];
    for (entry, place) in entries.iter().zip(places) {
        if entry.record.event_type == EventType::ImageSend {
            continue;
        }
        let name = entry.record.event_type.as_str();
        let action = name.split_once('.').map_or(name, |(_, action)| action);
        // A timeline has the audit events of refused requests only.
        let text = if entry.record.is_audit() { "refused" } else { action }.to_owned();
        let half = text_width(&text) / 2.0;
        let x = place.clamp(half, (width - half).max(half));
        let Some(line) = ends.iter().position(|end| x - half > *end) else { continue };
        ends[line] = x + half + 6.0;
        let (y, class) = (LABEL_LINES[line], mark_class(entry));
        labels.push(MarkLabel { x: pixel(x), y, text, class });
    }
    labels
}

fn mark_class(entry: &TimelineEntry) -> &'static str {
    let is_error = matches!(entry.record.priority, Priority::Error | Priority::Critical);
    match (is_error, entry.is_possibly_related) {
        (_, true) => "mark related",
        (true, false) => "mark bad",
        (false, false) => "mark",
    }
}

/// Returns the text that the browser shows beside an event of the drawing.
fn title(entry: &TimelineEntry, calendar: &Calendar) -> String {
    let time = calendar.shown(entry.record.timestamp);
    format!("{} {} at {time}", entry.record.event_type.as_str(), entry.record.priority.as_str())
}

/// Returns the life in words.
fn summary(entries: &[TimelineEntry], count: usize) -> String {
    let (Some(first), Some(last)) = (entries.first(), entries.last()) else {
        return "No event".to_owned();
    };
    let duration = shown_duration(last.record.timestamp - first.record.timestamp);
    let status = entries.iter().fold(LifeStatus::default(), LifeStatus::after);
    let word = if status.word.is_empty() { "unknown" } else { &status.word };
    format!("Timeline of {} events in {duration}; the last known status is {word}", grouped(count))
}

/// The room beside the axis.
const MARGIN: f64 = 12.0;
/// The weight of no time at all, so that two events at once are two marks.
const SMALLEST_GAP: f64 = 0.4;
/// The baselines of the labels, the lower one first.
const LABEL_LINES: [&str; 2] = ["38", "20"];
