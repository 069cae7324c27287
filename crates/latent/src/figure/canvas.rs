//! A sheet to draw on, written as SVG.
//!
//! Coordinates are pixels at scale 1, y downward. Shapes take their presentation as SVG attributes; every text
//! is escaped here and nowhere else.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::font::FAMILY;
use super::palette::{INK, PAPER};
use super::render::Figure;

/// A rectangle: left, top, width, height.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rect {
    pub x: f64,
    pub y: f64,
    pub width: f64,
    pub height: f64,
}

impl Rect {
    pub fn new(x: f64, y: f64, width: f64, height: f64) -> Self {
        Self { x, y, width, height }
    }

    pub fn right(self) -> f64 {
        self.x + self.width
    }

    pub fn bottom(self) -> f64 {
        self.y + self.height
    }

    pub fn overlaps(self, other: Self) -> bool {
        self.x < other.right() && other.x < self.right() && self.y < other.bottom() && other.y < self.bottom()
    }
}

/// How a text stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct TextStyle {
    size: f64,
    anchor: &'static str,
    bold: bool,
    colour: &'static str,
    upward: bool,
    halo: bool,
}

impl TextStyle {
    pub fn new(size: f64) -> Self {
        Self { size, anchor: "start", bold: false, colour: INK, upward: false, halo: false }
    }

    pub fn middle(self) -> Self {
        Self { anchor: "middle", ..self }
    }

    pub fn end(self) -> Self {
        Self { anchor: "end", ..self }
    }

    pub fn bold(self) -> Self {
        Self { bold: true, ..self }
    }

    pub fn colour(self, colour: &'static str) -> Self {
        Self { colour, ..self }
    }

    /// Turned a quarter to the left, as the label of a vertical axis.
    pub fn upward(self) -> Self {
        Self { upward: true, ..self }
    }

    /// With a rim of paper, so that it can be read on top of a drawing.
    pub fn halo(self) -> Self {
        Self { halo: true, ..self }
    }
}

/// A sheet of paper and what is on it.
pub(super) struct Canvas {
    width: f64,
    height: f64,
    body: String,
    clips: usize,
}

impl Canvas {
    /// An empty sheet.
    pub fn new(width: f64, height: f64) -> Self {
        Self { width: width.ceil(), height: height.ceil(), body: String::new(), clips: 0 }
    }

    pub fn rect(&mut self, rect: Rect, style: &str) {
        let Rect { x, y, width, height } = rect;
        self.push(&format!(
            r#"<rect x="{}" y="{}" width="{}" height="{}" {style}/>"#,
            number(x),
            number(y),
            number(width.max(0.0)),
            number(height.max(0.0))
        ));
    }

    pub fn line(&mut self, from: [f64; 2], to: [f64; 2], style: &str) {
        self.push(&format!(
            r#"<line x1="{}" y1="{}" x2="{}" y2="{}" {style}/>"#,
            number(from[0]),
            number(from[1]),
            number(to[0]),
            number(to[1])
        ));
    }

    /// A line through points, or the outline of a surface where `closed`.
    pub fn path(&mut self, points: &[[f64; 2]], closed: bool, style: &str) {
        if points.is_empty() {
            return;
        }
        let mut data = String::with_capacity(points.len() * 12);
        for (index, [x, y]) in points.iter().enumerate() {
            let _ = write!(data, "{}{} {}", if index == 0 { 'M' } else { 'L' }, number(*x), number(*y));
        }
        if closed {
            data.push('Z');
        }
        self.push(&format!(r#"<path d="{data}" {style}/>"#));
    }

    /// Pieces of line that need not touch each other.
    pub fn segments(&mut self, segments: &[[[f64; 2]; 2]], style: &str) {
        if segments.is_empty() {
            return;
        }
        let mut data = String::with_capacity(segments.len() * 24);
        for [[x1, y1], [x2, y2]] in segments {
            let _ = write!(data, "M{} {}L{} {}", number(*x1), number(*y1), number(*x2), number(*y2));
        }
        self.push(&format!(r#"<path d="{data}" fill="none" {style}/>"#));
    }

    /// An ellipse about `centre`, its axes turned by `degrees`.
    pub fn ellipse(&mut self, centre: [f64; 2], radii: [f64; 2], degrees: f64, style: &str) {
        let [x, y] = centre.map(number);
        let [rx, ry] = radii.map(number);
        let turned = if degrees == 0.0 {
            String::new()
        } else {
            format!(r#" transform="rotate({} {x} {y})""#, number(degrees))
        };
        self.push(&format!(r#"<ellipse cx="{x}" cy="{y}" rx="{rx}" ry="{ry}"{turned} {style}/>"#));
    }

    pub fn circle(&mut self, centre: [f64; 2], radius: f64, style: &str) {
        self.push(&format!(
            r#"<circle cx="{}" cy="{}" r="{}" {style}/>"#,
            number(centre[0]),
            number(centre[1]),
            number(radius)
        ));
    }

    /// A text whose baseline is at `y`.
    pub fn text(&mut self, x: f64, y: f64, text: &str, style: TextStyle) {
        let TextStyle { size, anchor, bold, colour, upward, halo } = style;
        let weight = if bold { r#" font-weight="600""# } else { "" };
        let turned = if upward {
            format!(r#" transform="rotate(-90 {} {})""#, number(x), number(y))
        } else {
            String::new()
        };
        // The rim is a text of its own: painting order is not understood by every reader of SVG.
        for rim in [true, false].into_iter().filter(|rim| !rim || halo) {
            let paint = if rim {
                format!(r#"fill="{PAPER}" stroke="{PAPER}" stroke-width="3.5" stroke-linejoin="round""#)
            } else {
                format!(r#"fill="{colour}""#)
            };
            self.push(&format!(
                r#"<text x="{}" y="{}" font-size="{}" text-anchor="{anchor}"{weight} xml:space="preserve" {paint}{turned}>{}</text>"#,
                number(x),
                number(y),
                number(size),
                escaped(text)
            ));
        }
    }

    /// A PNG; `crisp` keeps the pixels of a small image square when it is enlarged.
    pub fn image(&mut self, rect: Rect, png: &[u8], crisp: bool) {
        let Rect { x, y, width, height } = rect;
        let style = if crisp { r#" style="image-rendering:pixelated""# } else { "" };
        self.push(&format!(
            r#"<image x="{}" y="{}" width="{}" height="{}" preserveAspectRatio="none"{style} href="data:image/png;base64,{}"/>"#,
            number(x), number(y), number(width), number(height), BASE64.encode(png)
        ));
    }

    /// Whatever `draw` draws is seen only inside of `rect`.
    pub fn clipped(&mut self, rect: Rect, draw: impl FnOnce(&mut Self)) {
        let id = self.clips;
        self.clips += 1;
        self.push(&format!(r#"<clipPath id="clip{id}">"#));
        self.rect(rect, "");
        self.push("</clipPath>");
        self.push(&format!(r#"<g clip-path="url(#clip{id})">"#));
        draw(self);
        self.push("</g>");
    }

    /// The finished picture.
    pub fn finish(self) -> Figure {
        let (width, height) = (number(self.width), number(self.height));
        Figure {
            svg: format!(
                "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
                 viewBox=\"0 0 {width} {height}\" font-family=\"{FAMILY}\">\n\
                 <rect width=\"{width}\" height=\"{height}\" fill=\"{PAPER}\"/>\n{}</svg>\n",
                self.body
            ),
        }
    }

    fn push(&mut self, element: &str) {
        self.body.push_str(element);
        self.body.push('\n');
    }
}

/// A coordinate with at most two decimals; a number that is not finite becomes 0, to keep the file well formed.
fn number(value: f64) -> String {
    if !value.is_finite() {
        return "0".into();
    }
    let text = format!("{:.2}", value.clamp(-1e7, 1e7));
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".into() } else { text.into() }
}

/// Text as XML and HTML may hold it: markup is escaped, characters that neither allows become spaces.
pub(super) fn escaped(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => result.push_str("&amp;"),
            '<' => result.push_str("&lt;"),
            '>' => result.push_str("&gt;"),
            '"' => result.push_str("&quot;"),
            '\'' => result.push_str("&#39;"),
            '\n' | '\t' => result.push(c),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => result.push(' '),
            c => result.push(c),
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_and_control_characters_are_escaped() {
        assert_eq!(escaped("a<b & \"c\" 'd'\u{0}\u{1b}>"), "a&lt;b &amp; &quot;c&quot; &#39;d&#39;  &gt;");
    }

    #[test]
    fn coordinates_are_short_and_finite() {
        assert_eq!([1.0, 1.5, -0.001, f64::NAN, 1.0 / 3.0].map(number), ["1", "1.5", "0", "0", "0.33"]);
    }

    #[test]
    fn what_is_drawn_is_well_formed() {
        let mut canvas = Canvas::new(40.0, 30.0);
        canvas.clipped(Rect::new(0.0, 0.0, 10.0, 10.0), |canvas| {
            canvas.line([0.0, 0.0], [9.0, f64::INFINITY], r##"stroke="#000""##);
        });
        canvas.text(3.0, 9.0, "<&\u{7}>", TextStyle::new(12.0).bold().halo().upward());
        let figure = canvas.finish();
        assert_eq!(figure.size().unwrap(), (40.0, 30.0));
    }
}
