//! From the text of a figure to pixels and files.

use std::path::Path;

use resvg::{tiny_skia, usvg};

use super::FigureError;
use super::font;
use super::images::png_bytes;
use super::palette::on_dark;
use crate::files::write_whole;

/// The largest picture that is rasterised, in pixels (about a gigabyte while it is drawn).
const MOST_PIXELS: u64 = 1 << 28;

/// A finished picture, as the text of an SVG file.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// The whole SVG file.
    pub svg: String,
}

impl Figure {
    /// Pixels of a PNG for each pixel of the layout: 2 keeps labels sharp on any screen.
    pub const SCALE: f32 = 2.0;

    /// Width and height of the layout, in pixels at scale 1.
    ///
    /// # Errors
    /// Where `svg` is not a picture that can be read.
    pub fn size(&self) -> Result<(f32, f32), FigureError> {
        let size = self.tree()?.size();
        Ok((size.width(), size.height()))
    }

    /// The same on dark paper, for pages that are dark; images in it stay as they are.
    pub fn dark(&self) -> Self {
        Self { svg: on_dark(&self.svg) }
    }

    /// The bytes of a PNG file, `scale` pixels for each pixel of the layout.
    ///
    /// # Errors
    /// Where the picture is too large, or the rasteriser refuses it.
    pub fn png(&self, scale: f32) -> Result<Vec<u8>, FigureError> {
        let tree = self.tree()?;
        let [width, height] =
            [tree.size().width(), tree.size().height()].map(|side| (side * scale).ceil().max(1.0));
        let too_large = || FigureError::TooLarge { width: width as u64, height: height as u64 };
        if width as u64 * height as u64 > MOST_PIXELS {
            return Err(too_large());
        }
        let mut pixels = tiny_skia::Pixmap::new(width as u32, height as u32).ok_or_else(too_large)?;
        pixels.fill(tiny_skia::Color::WHITE);
        resvg::render(&tree, tiny_skia::Transform::from_scale(scale, scale), &mut pixels.as_mut());
        // A sheet has paper everywhere: without its alpha channel the file is a good deal smaller.
        let opaque =
            pixels.pixels().iter().flat_map(|pixel| [pixel.red(), pixel.green(), pixel.blue()]).collect();
        let picture = image::RgbImage::from_raw(width as u32, height as u32, opaque).ok_or_else(too_large)?;
        png_bytes(&picture)
    }

    /// Writes the figure whole or not at all; the name's ending, `.png` or `.svg`, says how.
    ///
    /// # Errors
    /// Where the ending is another one, or the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), FigureError> {
        let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        let bytes = match extension.to_ascii_lowercase().as_str() {
            "png" => self.png(Self::SCALE)?,
            "svg" => self.svg.clone().into_bytes(),
            _ => return Err(FigureError::Extension { path: path.to_owned() }),
        };
        write_whole(path, |file| file.write_all(&bytes))
            .map_err(|source| FigureError::Io { path: path.to_owned(), source })
    }

    fn tree(&self) -> Result<usvg::Tree, FigureError> {
        let options = usvg::Options {
            fontdb: font::database(),
            font_family: "Inter".into(),
            ..usvg::Options::default()
        };
        usvg::Tree::from_str(&self.svg, &options)
            .map_err(|error| FigureError::Raster { what: error.to_string() })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Width and height of a PNG file.
    pub fn png_size(png: &[u8]) -> (u32, u32) {
        let image = image::load_from_memory(png).unwrap();
        (image.width(), image.height())
    }

    /// What holds for every figure: well-formed, with the same bytes when drawn twice, and of the stated size.
    pub fn check(draw: impl Fn() -> Figure) -> Figure {
        let figure = draw();
        assert_eq!(figure, draw(), "drawing is not deterministic");
        let (width, height) = figure.size().unwrap();
        let png = figure.png(1.0).unwrap();
        assert_eq!(png_size(&png), (width as u32, height as u32));
        assert_eq!(png, figure.png(1.0).unwrap(), "rasterising is not deterministic");
        figure
    }

    #[test]
    fn text_is_drawn_with_the_embedded_font() {
        let blank = r#"<svg xmlns="http://www.w3.org/2000/svg" width="60" height="20"></svg>"#;
        let word = r#"<svg xmlns="http://www.w3.org/2000/svg" width="60" height="20"><text y="15" font-family="Inter">σ word</text></svg>"#;
        let [blank, word] = [blank, word].map(|svg| Figure { svg: svg.into() }.png(1.0).unwrap());
        assert_ne!(blank, word);
    }

    #[test]
    fn dark_paper_is_dark_and_has_light_ink() {
        let mut canvas = super::super::canvas::Canvas::new(40.0, 20.0);
        canvas.text(4.0, 15.0, "█", super::super::canvas::TextStyle::new(16.0));
        let figure = canvas.finish();
        let corner = |figure: &Figure| {
            image::load_from_memory(&figure.png(1.0).unwrap()).unwrap().to_luma8().get_pixel(39, 0).0[0]
        };
        assert!(corner(&figure) == 255 && corner(&figure.dark()) < 60);
        assert!(!figure.dark().svg.contains(super::super::palette::INK));
        assert_eq!(figure.dark().size().unwrap(), (40.0, 20.0));
    }

    #[test]
    fn a_figure_is_saved_by_its_ending() {
        let figure = super::super::canvas::Canvas::new(10.0, 20.0).finish();
        let folder = tempfile::tempdir().unwrap();
        figure.save(&folder.path().join("a.png")).unwrap();
        figure.save(&folder.path().join("a.svg")).unwrap();
        assert_eq!(png_size(&std::fs::read(folder.path().join("a.png")).unwrap()), (20, 40));
        let error = figure.save(&folder.path().join("a.gif")).unwrap_err().to_string();
        assert!(error.contains("a.gif") && error.contains(".png or .svg"), "{error}");
        assert!(matches!(figure.png(1e6), Err(FigureError::TooLarge { .. })));
        let missing = folder.path().join("none").join("a.png");
        assert!(matches!(figure.save(&missing), Err(FigureError::Io { .. })));
    }
}
