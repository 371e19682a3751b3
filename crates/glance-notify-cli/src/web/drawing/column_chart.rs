//! Columns, one for each month: [`ColumnChart`].

use askama::Template;

use super::bar_chart::ChartValue;
use super::{DrawingWidth, pixel, text_width};

/// A chart of one column for each month, in the order of time.
#[derive(Template)]
#[template(path = "columns.svg")]
pub(in super::super) struct ColumnChart {
    width: DrawingWidth,
    summary: String,
    columns: Vec<ChartColumn>,
}

struct ChartColumn {
    x: String,
    middle: String,
    width: String,
    y: String,
    height: String,
    value_y: String,
    /// The month, where there is room.
    label: Option<String>,
    /// The number, where there is room.
    shown: Option<String>,
    title: String,
}

impl ColumnChart {
    /// Draws the values in their order. `summary` is the chart in words.
    pub(in super::super) fn new(values: &[ChartValue], summary: &str, width: DrawingWidth) -> Self {
        let largest = values.iter().map(|value| value.value).fold(0.0, f64::max);
        let count = f64::from(u32::try_from(values.len().max(1)).unwrap_or(u32::MAX));
        let step = width.pixels / count;
        let thickness = (step * 0.7).min(WIDEST);
        // Where labels would overlap, every second or third column has one.
        let widest =
            values.iter().map(|value| text_width(value.label.as_str())).fold(0.0, f64::max);
        let fits = |index: usize| {
            let every = ((widest + 8.0) / step).ceil().max(1.0);
            (f64::from(u32::try_from(index).unwrap_or(u32::MAX)) % every) == 0.0
        };
        let column = |(index, value): (usize, &ChartValue)| {
            let left = f64::from(u32::try_from(index).unwrap_or(u32::MAX)) * step;
            let part = if largest > 0.0 { value.value / largest } else { 0.0 };
            let height = (part * FULL).max(if part > 0.0 { 2.0 } else { 0.0 });
            ChartColumn {
                x: pixel(left + (step - thickness) / 2.0),
                middle: pixel(left + step / 2.0),
                width: pixel(thickness),
                y: pixel(TOP + FULL - height),
                height: pixel(height),
                value_y: pixel(TOP + FULL - height - 6.0),
                label: fits(index).then(|| value.label.to_string()),
                shown: (text_width(&value.shown) < step).then(|| value.shown.clone()),
                title: format!("{}: {}", value.label, value.shown),
            }
        };
        let columns = values.iter().enumerate().map(column).collect();
        Self { width, summary: summary.to_owned(), columns }
    }
}

/// The room above the highest column, for its number.
const TOP: f64 = 22.0;
/// The height of the highest column.
const FULL: f64 = 160.0;
/// The widest column.
const WIDEST: f64 = 64.0;
