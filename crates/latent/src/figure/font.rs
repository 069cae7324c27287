//! The one font of every figure: Inter, cut down to Latin, Greek and mathematical signs, compiled in.
//!
//! No system font is ever looked up: the same figure has the same pixels everywhere. The cut has no kerning,
//! so the width of a text is the sum of its advances.

use std::sync::{Arc, LazyLock};

use resvg::usvg::fontdb;

static REGULAR: &[u8] = include_bytes!("../../assets/font/Inter-Regular.otf");
static SEMI_BOLD: &[u8] = include_bytes!("../../assets/font/Inter-SemiBold.otf");

/// The family in SVG text; the alternatives serve browsers, which don't have our font.
pub(super) const FAMILY: &str = "Inter, 'Helvetica Neue', Arial, sans-serif";

/// The database that the rasteriser reads: our two files and nothing else.
pub(super) fn database() -> Arc<fontdb::Database> {
    static DATABASE: LazyLock<Arc<fontdb::Database>> = LazyLock::new(|| {
        let mut database = fontdb::Database::new();
        database.load_font_source(fontdb::Source::Binary(Arc::new(REGULAR)));
        database.load_font_source(fontdb::Source::Binary(Arc::new(SEMI_BOLD)));
        database.set_sans_serif_family("Inter");
        Arc::new(database)
    });
    DATABASE.clone()
}

/// The width of a text in pixels.
pub(super) fn text_width(text: &str, size: f64, bold: bool) -> f64 {
    static FACES: LazyLock<[Option<ttf_parser::Face<'static>>; 2]> =
        LazyLock::new(|| [REGULAR, SEMI_BOLD].map(|bytes| ttf_parser::Face::parse(bytes, 0).ok()));
    let Some(face) = &FACES[usize::from(bold)] else { return 0.6 * size * text.chars().count() as f64 };
    let em = f64::from(face.units_per_em());
    let advance = |c| face.glyph_index(c).and_then(|glyph| face.glyph_hor_advance(glyph));
    text.chars().map(|c| advance(c).map_or(0.6 * size, |units| f64::from(units) / em * size)).sum()
}

/// The text, or as much of its beginning as fits `width`, with an ellipsis.
pub(super) fn fitted(text: &str, size: f64, bold: bool, width: f64) -> String {
    if text_width(text, size, bold) <= width {
        return text.to_owned();
    }
    let mut kept: String = text.to_owned();
    while kept.pop().is_some() {
        let shortened = format!("{}…", kept.trim_end());
        if text_width(&shortened, size, bold) <= width {
            return shortened;
        }
    }
    String::new()
}

/// The text broken at spaces into lines no wider than `width` (a single longer word is shortened).
pub(super) fn wrapped(text: &str, size: f64, bold: bool, width: f64) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if text_width(&format!("{line} {word}"), size, bold) <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(fitted(word, size, bold, width)),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_faces_load_and_measure() {
        assert_eq!(database().len(), 2);
        let thin = text_width("illi", 10.0, false);
        let wide = text_width("MWWM", 10.0, false);
        assert!(thin > 5.0 && wide > 2.0 * thin, "{thin} {wide}");
        let faces = database();
        let weights: Vec<u16> = faces.faces().map(|face| face.weight.0).collect();
        assert!(weights == [400, 600] && faces.faces().all(|face| face.families[0].0 == "Inter"));
        assert!(text_width("β σ μ → ≤ −3 10⁻⁴", 10.0, true) > 60.0);
    }

    #[test]
    fn long_texts_are_shortened_or_wrapped() {
        let text = "a rather long caption of many words";
        let short = fitted(text, 12.0, false, 80.0);
        assert!(short.ends_with('…') && text_width(&short, 12.0, false) <= 80.0);
        let lines = wrapped(text, 12.0, false, 80.0);
        assert!(lines.len() > 1 && lines.iter().all(|line| text_width(line, 12.0, false) <= 80.0));
        assert_eq!(lines.join(" "), text);
    }
}
