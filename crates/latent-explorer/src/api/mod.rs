//! The endpoints under `/api/`, and their description as OpenAPI 3.1: both are read off one list of [`Endpoint`]s, so that
//! neither can have what the other lacks.
//!
//! ```text
//! run        what is explored, and how far the work is       map        places, fields, codes of rows; the planes
//! rows       one row, its picture, search, neighbours        decode     codes to pictures or rows of a table
//! dimensions what each dimension carries                      draws      samples, and log P(x) draw by draw
//! bring      rows of one's own                                ways       between two codes; means of groups
//! ```
//!
//! Blocks of numbers go as raw little-endian bytes: the header `x-shape` says how many of what, `x-type` is `f32` or `u8`.

mod bring;
mod decode;
mod dimensions;
mod draws;
mod map;
mod openapi;
mod rows;
mod run;
mod ways;

use std::sync::Arc;

use axum::extract::rejection::{BytesRejection, JsonRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::MethodRouter;
use axum::{Json, Router};
use latent::array::Array;
use schemars::Schema;
use serde::de::DeserializeOwned;

pub(crate) use decode::pixels_of;
pub(crate) use dimensions::all as all_dimensions;
pub(crate) use map::field_of;
pub(crate) use run::of as run_of;

use crate::error::Refusal;
use crate::explored::Explored;
use crate::shared::Shared;

/// One endpoint.
pub(crate) struct Endpoint {
    pub path: &'static str,
    pub method: &'static str,
    pub about: &'static str,
    /// The schema of what stands behind `?`.
    pub query: Option<Schema>,
    /// What is sent.
    pub body: Sent,
    /// What is answered.
    pub answer: Sent,
    pub handler: MethodRouter<Arc<Shared>>,
}

/// What a body is.
pub(crate) enum Sent {
    Nothing,
    Json(Schema),
    /// Raw numbers with `x-shape` and `x-type`.
    Numbers,
    /// A file of any kind.
    File,
}

/// All endpoints.
pub(crate) fn endpoints() -> Vec<Endpoint> {
    let mut all = run::endpoints();
    all.extend(map::endpoints());
    all.extend(rows::endpoints());
    all.extend(decode::endpoints());
    all.extend(dimensions::endpoints());
    all.extend(ways::endpoints());
    all.extend(draws::endpoints());
    all.extend(bring::endpoints());
    all
}

/// The routes of all endpoints, and of their description.
pub(crate) fn router() -> Router<Arc<Shared>> {
    let router = endpoints()
        .into_iter()
        .fold(Router::new(), |router, endpoint| router.route(endpoint.path, endpoint.handler));
    router.route("/api/openapi.json", axum::routing::get(|| async { Json(openapi::document()) }))
}

type Result<T, E = Refusal> = std::result::Result<T, E>;

/// What stands behind `?`.
pub(crate) struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        let refused = |error: QueryRejection| Refusal::new(error.status(), error.body_text());
        axum::extract::Query::from_request_parts(parts, state)
            .await
            .map(|query| Self(query.0))
            .map_err(refused)
    }
}

/// A body of JSON.
pub(crate) struct Asked<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Asked<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self> {
        let refused = |error: JsonRejection| Refusal::new(error.status(), error.body_text());
        Json::from_request(request, state).await.map(|body| Self(body.0)).map_err(refused)
    }
}

/// A body as it is.
pub(crate) struct Raw(pub Vec<u8>);

impl<S: Send + Sync> FromRequest<S> for Raw {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self> {
        let refused = |error: BytesRejection| Refusal::new(error.status(), error.body_text());
        let bytes = axum::body::Bytes::from_request(request, state).await.map_err(refused)?;
        Ok(Self(bytes.to_vec()))
    }
}

/// A block of numbers.
pub(crate) struct Numbers {
    pub shape: Vec<usize>,
    pub kind: &'static str,
    pub bytes: Vec<u8>,
}

impl Numbers {
    /// Numbers of single precision.
    pub fn single(shape: &[usize], values: impl IntoIterator<Item = f32>) -> Self {
        let bytes = values.into_iter().flat_map(f32::to_le_bytes).collect();
        Self { shape: shape.to_vec(), kind: "f32", bytes }
    }

    /// Places on a map.
    pub fn places(places: &[[f32; 2]]) -> Self {
        Self::single(&[places.len(), 2], places.iter().flatten().copied())
    }

    /// Codes.
    pub fn codes(codes: &Array) -> Self {
        Self::single(&[codes.rows(), codes.width()], codes.values.iter().copied())
    }
}

impl IntoResponse for Numbers {
    fn into_response(self) -> Response {
        let shape: Vec<String> = self.shape.iter().map(ToString::to_string).collect();
        let mut response = self.bytes.into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        headers.insert("x-type", HeaderValue::from_static(self.kind));
        if let Ok(shape) = HeaderValue::from_str(&shape.join(",")) {
            headers.insert("x-shape", shape);
        }
        response
    }
}

/// Rows at once, of whatever is decoded, drawn or asked for.
const MOST_ROWS: usize = 2048;

/// Codes from JSON, as the latent can have them.
pub(crate) fn codes_of(explored: &Explored, codes: Vec<Vec<f32>>) -> Result<Array> {
    let dims = explored.model.dims();
    if codes.is_empty() || codes.len() > MOST_ROWS {
        return Err(Refusal::bad(format!("{} codes; give 1 to {MOST_ROWS}", codes.len())));
    }
    if let Some(wrong) = codes.iter().find(|code| code.len() != dims) {
        return Err(Refusal::bad(format!("a code of {} numbers; this model's have {dims}", wrong.len())));
    }
    let mut codes = Array::matrix(codes.concat(), dims);
    explored.tidy(&mut codes);
    Ok(codes)
}
