//! Plots as SVG: lines over an axis with marks. The files are small enough to read as text.

use std::fmt::Write as _;

/// A plot. Its vertical axis starts at 0.
pub(crate) struct Plot<'a> {
    pub(crate) title: &'a str,
    pub(crate) x: &'a str,
    pub(crate) y: &'a str,
    /// The labels below the horizontal axis, at equal distances.
    pub(crate) marks: Vec<String>,
    /// The lines with their names. The numbers of each line span the whole width.
    pub(crate) lines: Vec<(&'a str, Vec<f64>)>,
}

impl Plot<'_> {
    /// Returns the plot as SVG.
    pub(crate) fn draw(&self) -> String {
        let numbers = self.lines.iter().flat_map(|(_, numbers)| numbers);
        let top = round_up(numbers.copied().fold(0.0, f64::max));
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
             font-family=\"sans-serif\" font-size=\"12\">\n\
             <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>\n"
        );
        let mut text = |x: f64, y: f64, anchor: &str, text: &str| {
            let _ = writeln!(
                svg,
                "<text x=\"{x:.0}\" y=\"{y:.0}\" text-anchor=\"{anchor}\">{text}</text>"
            );
        };
        text(WIDTH / 2.0, 20.0, "middle", self.title);
        text(WIDTH / 2.0, HEIGHT - 8.0, "middle", self.x);
        text(8.0, 38.0, "start", self.y);
        for step in 0..=STEPS {
            let part = f64::from(step) / f64::from(STEPS);
            text(LEFT - 6.0, height(part) + 4.0, "end", &format!("{}", top * part));
        }
        for (at, mark) in self.marks.iter().enumerate() {
            text(across(at, self.marks.len()), BOTTOM + 18.0, "middle", mark);
        }
        for (at, (name, _)) in self.lines.iter().enumerate() {
            text(LEFT + 30.0 + 190.0 * at as f64, 56.0, "start", name);
        }
        for step in 0..=STEPS {
            let y = height(f64::from(step) / f64::from(STEPS));
            let _ = writeln!(svg, "<path d=\"M{LEFT} {y:.1}H{RIGHT}\" stroke=\"#ddd\"/>");
        }
        for (at, (_, numbers)) in self.lines.iter().enumerate() {
            let color = COLORS[at % COLORS.len()];
            let points = numbers.iter().enumerate().map(|(number, value)| {
                format!("{:.1},{:.1}", across(number, numbers.len()), height(value / top))
            });
            let points = points.collect::<Vec<_>>().join(" ");
            let x = LEFT + 8.0 + 190.0 * at as f64;
            let _ = writeln!(
                svg,
                "<path d=\"M{x} 52h16\" stroke=\"{color}\" stroke-width=\"2\"/>\n\
                 <polyline points=\"{points}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"2\"/>"
            );
        }
        svg.push_str("</svg>\n");
        svg
    }
}

/// Rounds up to a number that suits the labels of an axis: 1, 2, 2.5, 5 or 10 times a power of 10.
fn round_up(number: f64) -> f64 {
    let magnitude = 10_f64.powf(number.max(f64::MIN_POSITIVE).log10().floor());
    let steps = [1.0, 2.0, 2.5, 5.0, 10.0].map(|step| step * magnitude);
    steps.into_iter().find(|&step| step >= number).unwrap_or(number)
}

/// Returns the horizontal position of point `at` of `count` points.
fn across(at: usize, count: usize) -> f64 {
    LEFT + (RIGHT - LEFT) * at as f64 / (count.max(2) - 1) as f64
}

/// Returns the vertical position of a part of the axis, from 0 to 1.
fn height(part: f64) -> f64 {
    BOTTOM - (BOTTOM - TOP) * part
}

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 320.0;
const LEFT: f64 = 52.0;
const RIGHT: f64 = 616.0;
const TOP: f64 = 70.0;
const BOTTOM: f64 = 262.0;
const STEPS: i32 = 5;
const COLORS: [&str; 4] = ["#1f5fa8", "#c4501b", "#2e7d4f", "#7a4b94"];
