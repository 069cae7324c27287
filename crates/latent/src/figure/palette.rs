//! Colours that people with any colour vision can tell apart.
//!
//! The first seven classes have the hues of Okabe and Ito (2008), the others those of Tol's muted scheme,
//! which differ from them in lightness; further classes repeat in a lighter or darker tone.

/// Text.
pub(super) const INK: &str = "#1f2430";
/// Labels of lesser weight: ticks, captions.
pub(super) const MUTED: &str = "#5b6270";
/// Axes.
pub(super) const AXIS: &str = "#8a909c";
/// Lines of the grid.
pub(super) const GRID: &str = "#e7e9ee";
/// Behind everything.
pub(super) const PAPER: &str = "#ffffff";

/// Paper and inks, and the class colours that are too dark for dark paper: what they are there.
const ON_DARK: [(&str, &str); 9] = [
    (PAPER, "#1c2028"),
    (INK, "#e6e8ee"),
    (MUTED, "#a3aab8"),
    (AXIS, "#7d8490"),
    (GRID, "#303642"),
    ("#0072b2", "#3d9be0"),
    ("#332288", "#8f80e8"),
    ("#882255", "#cf5f98"),
    ("#5a3a1a", "#b58a5c"),
];

/// The text of an SVG with the colours of dark paper. Numbers of images hold no `#`, so that they stay.
pub(super) fn on_dark(svg: &str) -> String {
    ON_DARK.iter().fold(svg.to_string(), |svg, (light, dark)| svg.replace(light, dark))
}

const CLASSES: [[u8; 3]; 14] = [
    [0x00, 0x72, 0xb2], // blue
    [0xe6, 0x9f, 0x00], // orange
    [0x00, 0x9e, 0x73], // green
    [0xd5, 0x5e, 0x00], // vermilion
    [0x56, 0xb4, 0xe9], // sky
    [0xcc, 0x79, 0xa7], // pink
    [0x33, 0x22, 0x88], // indigo
    [0x99, 0x99, 0x33], // olive
    [0x88, 0x22, 0x55], // wine
    [0x7a, 0x80, 0x8c], // grey
    [0x5a, 0x3a, 0x1a], // brown
    [0x44, 0xd0, 0xb0], // mint
    [0xdd, 0xcc, 0x77], // sand
    [0xe0, 0x30, 0x50], // red
];

/// The colour of class `index`.
pub(super) fn class(index: usize) -> [u8; 3] {
    let base = CLASSES[index % CLASSES.len()];
    match index / CLASSES.len() % 3 {
        0 => base,
        1 => base.map(|level| level / 2 + 110),
        _ => base.map(|level| (f32::from(level) * 0.55) as u8),
    }
}

/// A colour as SVG writes it.
pub(super) fn hex([red, green, blue]: [u8; 3]) -> String {
    format!("#{red:02x}{green:02x}{blue:02x}")
}

/// The colour of class or series `index` as SVG writes it.
pub(super) fn class_hex(index: usize) -> String {
    hex(class(index))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_forty_classes_differ() {
        let colours: std::collections::BTreeSet<_> = (0..40).map(class).collect();
        assert_eq!(colours.len(), 40);
    }
}
