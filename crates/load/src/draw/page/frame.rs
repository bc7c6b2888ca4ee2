//! The frame of a chart: where its picture lies, its axes, and what its parts say.

use super::{escape, push};

/// The width of a chart, in its own units; it is shown as wide as there is room for.
const WIDTH: f64 = 520.0;

/// A chart in the making.
pub(super) struct Frame {
    /// The picture's own corner and size, axes not counted.
    pub(super) left: f64,
    pub(super) top: f64,
    pub(super) width: f64,
    pub(super) height: f64,
    /// What of its upper end is left out.
    pub(super) crop: f64,
    whole: f64,
    svg: String,
}

impl Frame {
    /// A frame with room for the figures of `rows` at its left, for those of columns beneath, and for
    /// so much above and to the right.
    pub(super) fn new(rows: &[(f64, String)], above: f64, height: f64, right: f64) -> Frame {
        let left = rows.iter().map(|(_, text)| half_width(text)).fold(8.0, f64::max) * 2.0 + 8.0;
        let mut frame = Frame::bare(left, above, height, 24.0);
        frame.width -= right;
        frame.rows(rows);
        frame
    }

    /// A frame without axes.
    pub(super) fn bare(left: f64, top: f64, height: f64, beneath: f64) -> Frame {
        let whole = top + height + beneath;
        Frame {
            left,
            top,
            width: WIDTH - left - 12.0,
            height,
            crop: 0.0,
            whole,
            svg: String::new(),
        }
    }

    /// How far to the right a place from 0 to 1 lies.
    pub(super) fn x(&self, place: f64) -> f64 {
        self.left + place.clamp(0.0, 1.0) * self.width
    }

    /// How far down a height from 0 (the bottom) to 1 lies.
    pub(super) fn y(&self, height: f64) -> f64 {
        self.top + (1.0 - height.clamp(0.0, 1.0)) * self.height
    }

    pub(super) fn line(&mut self, class: &str, from: (f64, f64), to: (f64, f64)) {
        let (x1, y1, x2, y2) = (from.0, from.1, to.0, to.1);
        self.add(format_args!(
            "<line class=\"{class}\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>"
        ));
    }

    /// Text at a point; `anchor` is start, middle or end.
    pub(super) fn text(&mut self, class: &str, anchor: &str, at: (f64, f64), text: &str) {
        let ((x, y), text) = (at, escape(text));
        self.add(format_args!(
            "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>"
        ));
    }

    /// A rectangle from its upper left corner.
    pub(super) fn rect(&mut self, class: &str, at: (f64, f64), size: (f64, f64)) {
        let ((x, y), (width, height)) = (at, size);
        self.add(format_args!(
            "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" \
             height=\"{height:.1}\"/>"
        ));
    }

    pub(super) fn circle(&mut self, class: &str, at: (f64, f64), radius: f64) {
        let (x, y) = at;
        self.add(format_args!(
            "<circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius}\"/>"
        ));
    }

    /// A line through points; closed and filled where `class` says so.
    pub(super) fn path(&mut self, class: &str, points: &[(f64, f64)], close: bool) {
        let mut steps = String::new();
        for (number, (x, y)) in points.iter().enumerate() {
            let letter = if number == 0 { 'M' } else { 'L' };
            push(&mut steps, format_args!("{letter}{x:.1} {y:.1}"));
        }
        let end = if close { "Z" } else { "" };
        self.add(format_args!("<path class=\"{class}\" d=\"{steps}{end}\"/>"));
    }

    /// A part that says something where it is pointed at: what `draw` draws, and a column or row
    /// of the frame that is easy to hit.
    pub(super) fn says(
        &mut self,
        said: &str,
        at: (f64, f64),
        size: (f64, f64),
        draw: impl FnOnce(&mut Frame),
    ) {
        let said = escape(said);
        self.add(format_args!("<g><title>{said}</title>"));
        draw(self);
        self.rect("hit", at, size);
        self.add(format_args!("</g>"));
    }

    /// The axis at the left: lines across, each with its figure.
    fn rows(&mut self, rows: &[(f64, String)]) {
        for (height, text) in rows {
            let y = self.y(*height);
            self.line("axis", (self.left, y), (self.left + self.width, y));
            self.text("", "end", (self.left - 6.0, y + 4.0), text);
        }
    }

    /// The axis beneath: figures at places, those that would touch the last one left out.
    pub(super) fn columns(&mut self, columns: &[(f64, String)]) {
        let bottom = self.top + self.height;
        let mut free = f64::NEG_INFINITY;
        for (place, text) in columns {
            let x = self.x(*place);
            let half = half_width(text);
            let middle = x.min(WIDTH - half - 1.0);
            if middle - half < free {
                continue;
            }
            free = middle + half + 8.0;
            self.line("axis", (x, bottom), (x, bottom + 4.0));
            self.text("", "middle", (middle, bottom + 17.0), text);
        }
    }

    /// The element.
    pub(super) fn finish(self) -> String {
        let (svg, crop, height) = (self.svg, self.crop, self.whole - self.crop);
        format!("<svg viewBox=\"0 {crop:.0} {WIDTH} {height:.0}\" role=\"img\">{svg}</svg>\n")
    }

    fn add(&mut self, text: std::fmt::Arguments<'_>) {
        push(&mut self.svg, text);
    }
}

/// Half of the room that a text takes, about.
pub(super) fn half_width(text: &str) -> f64 {
    text.chars().count() as f64 * 3.4
}
