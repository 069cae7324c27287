//! The static files of the page, which are part of the program. Nothing else is readable: there is no path to follow.

use std::sync::Arc;

use axum::Router;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;

use crate::shared::Shared;

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// The page.
pub(crate) const INDEX: &str = include_str!("../page/index.html");
/// How it looks.
pub(crate) const STYLE: &str = include_str!("../page/style.css");
/// The sign in the tab.
const ICON: &str = include_str!("../page/icon.svg");

/// The font of the figures, regular and semibold (Inter, OFL).
pub(crate) const FONTS: [(&str, &[u8]); 2] = [
    ("/inter-400.otf", include_bytes!("../page/inter/Inter-Regular.otf")),
    ("/inter-600.otf", include_bytes!("../page/inter/Inter-SemiBold.otf")),
];

macro_rules! scripts {
    ($($name:literal),* $(,)?) => { &[$(($name, include_str!(concat!("../page/", $name)))),*] };
}

/// What it does, each after those that it imports.
pub(crate) const SCRIPTS: &[(&str, &str)] = scripts![
    "dom.js",
    "state.js",
    "offline.js",
    "api.js",
    "colours.js",
    "charts.js",
    "pictures.js",
    "save.js",
    "rows.js",
    "blend.js",
    "points.js",
    "vector.js",
    "map.js",
    "panel.js",
    "dimensions.js",
    "between.js",
    "judge.js",
    "bring.js",
    "training.js",
    "app.js",
];

/// The routes of the static files.
pub(crate) fn router() -> Router<Arc<Shared>> {
    let file = |kind: &'static str, text: &'static str| {
        get(move || async move { ([(header::CONTENT_TYPE, kind)], text).into_response() })
    };
    let font = |bytes: &'static [u8]| {
        get(move || async move { ([(header::CONTENT_TYPE, "font/otf")], bytes).into_response() })
    };
    let router = Router::new()
        .route("/inter-400.otf", font(FONTS[0].1))
        .route("/inter-600.otf", font(FONTS[1].1))
        .route("/", file(HTML, INDEX))
        .route("/style.css", file("text/css; charset=utf-8", STYLE))
        .route("/icon.svg", file("image/svg+xml", ICON));
    SCRIPTS.iter().fold(router, |router, (name, text)| router.route(&format!("/{name}"), file(SCRIPT, text)))
}
