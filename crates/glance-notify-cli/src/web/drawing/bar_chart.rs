//! Horizontal bars, one for each group: [`BarChart`].

use askama::Template;

use super::super::page_text::PageText;
use super::{DrawingWidth, pixel};

/// A chart of one bar for each group, the longest first.
#[derive(Template)]
#[template(path = "bars.svg")]
pub(in super::super) struct BarChart {
    width: DrawingWidth,
    height: String,
    summary: String,
    bars: Vec<ChartBar>,
}

/// The value of a group, and its text.
#[derive(Clone, Debug)]
pub(in super::super) struct ChartValue {
    pub(in super::super) label: PageText,
    pub(in super::super) value: f64,
    pub(in super::super) shown: String,
}

struct ChartBar {
    label: PageText,
    shown: String,
    label_y: String,
    y: String,
    length: String,
}

impl BarChart {
    /// Draws the values in their order. `summary` is the chart in words.
    pub(in super::super) fn new(values: &[ChartValue], summary: &str, width: DrawingWidth) -> Self {
        let largest = values.iter().map(|value| value.value).fold(0.0, f64::max);
        let bar = |(index, value): (usize, &ChartValue)| {
            let top = f64::from(u32::try_from(index).unwrap_or(u32::MAX)) * ROW;
            let part = if largest > 0.0 { value.value / largest } else { 0.0 };
            ChartBar {
                label: PageText::up_to(value.label.as_str(), LONGEST_LABEL),
                shown: value.shown.clone(),
                label_y: pixel(top + 15.0),
                y: pixel(top + 21.0),
                // A value above zero is visible.
                length: pixel((part * width.pixels).max(if part > 0.0 { 2.0 } else { 0.0 })),
            }
        };
        let bars: Vec<_> = values.iter().enumerate().map(bar).collect();
        let height = pixel(f64::from(u32::try_from(bars.len()).unwrap_or(u32::MAX)) * ROW);
        Self { width, height, summary: summary.to_owned(), bars }
    }
}

/// The height of a bar with its label.
const ROW: f64 = 40.0;
/// The most characters of a label, so that it fits beside the number on a telephone.
const LONGEST_LABEL: usize = 30;
