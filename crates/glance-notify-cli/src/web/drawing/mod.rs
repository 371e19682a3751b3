//! Drawings in SVG, made of rectangles, circles and texts with attributes only.
//!
//! A page has each drawing in two widths and shows one of them, because a picture that shrinks to a telephone
//! has no legible text. Colours come from the style sheet, so that they follow the viewer's scheme.

pub(super) mod bar_chart;
pub(super) mod column_chart;
pub(super) mod coverage_strip;
pub(super) mod life_diagram;

/// The width of a drawing in pixels, and the class that shows it where it fits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct DrawingWidth {
    pub(super) pixels: f64,
    pub(super) class: &'static str,
}

/// The two widths of every drawing.
pub(super) const WIDTHS: [DrawingWidth; 2] = [
    DrawingWidth { pixels: 1100.0, class: "wide" },
    DrawingWidth { pixels: 340.0, class: "narrow" },
];

/// Returns the width of a text in pixels, about: letters differ, and no font is known here.
pub(super) fn text_width(text: &str) -> f64 {
    let characters = u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
    f64::from(characters) * 7.0
}

/// Returns a coordinate with one decimal.
pub(super) fn pixel(number: f64) -> String {
    format!("{number:.1}")
}
