//! The static files of the page, which are part of the program. Nothing else is readable: there is no path to follow.

use std::sync::Arc;

use axum::Router;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;
use latent::figure::font_files;

use crate::shared::Shared;

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// The page.
pub(crate) const INDEX: &str = include_str!("../page/index.html");
/// How it looks.
pub(crate) const STYLE: &str = include_str!("../page/style.css");
/// The sign in the tab.
const ICON: &str = include_str!("../page/icon.svg");

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
    "points.js",
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
    let [regular, semi_bold] = font_files();
    let font = |bytes: &'static [u8]| get(move || async move { ([(header::CONTENT_TYPE, "font/otf")], bytes).into_response() });
    let router = Router::new()
        .route("/inter-400.otf", font(regular))
        .route("/inter-600.otf", font(semi_bold))
        .route("/", file(HTML, INDEX))
        .route("/style.css", file("text/css; charset=utf-8", STYLE))
        .route("/icon.svg", file("image/svg+xml", ICON));
    SCRIPTS.iter().fold(router, |router, (name, text)| router.route(&format!("/{name}"), file(SCRIPT, text)))
}
