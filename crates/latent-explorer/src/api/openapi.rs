//! The description of `/api/` as OpenAPI 3.1, whose schemas are those of JSON Schema.

use serde_json::{Map, Value, json};

use super::{Endpoint, Sent, endpoints};
use crate::error::Refused;

/// The document.
pub(crate) fn document() -> Value {
    let mut paths = Map::new();
    for endpoint in endpoints() {
        let operation = operation(&endpoint);
        if let Value::Object(of) = paths.entry(endpoint.path).or_insert_with(|| json!({})) {
            of.insert(endpoint.method.into(), operation);
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "latent explore",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "A trained generative autoencoder, on loopback. Every request carries the token of the printed \
                            link. Raw numbers are little-endian; their shape stands in the header x-shape (such as 10,2), \
                            their type in x-type (f32 or u8; pictures are u8: rows, height, width, channels).",
        },
        "components": {
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
            "schemas": { "Refused": schemars::schema_for!(Refused) },
        },
        "security": [{ "token": [] }],
        "paths": paths,
    })
}

fn operation(endpoint: &Endpoint) -> Value {
    let refused = json!({
        "description": "refused, with the reason",
        "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Refused" } } },
    });
    let mut answer = json!({ "description": "as asked" });
    if let Some(content) = content(&endpoint.answer) {
        answer["content"] = content;
    }
    let mut operation = json!({
        "summary": endpoint.about,
        "responses": { "200": answer, "default": refused },
    });
    if let Some(query) = &endpoint.query {
        operation["parameters"] = parameters(query.as_value());
    }
    if let Some(content) = content(&endpoint.body) {
        operation["requestBody"] = json!({ "required": true, "content": content });
    }
    operation
}

fn content(sent: &Sent) -> Option<Value> {
    match sent {
        Sent::Nothing => None,
        Sent::Json(schema) => Some(json!({ "application/json": { "schema": schema } })),
        Sent::Numbers | Sent::File => Some(json!({ "application/octet-stream": {} })),
    }
}

/// Each property of a query's schema is a parameter.
fn parameters(schema: &Value) -> Value {
    let required: Vec<&str> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let of = schema["properties"].as_object().into_iter().flatten();
    of.map(|(name, schema)| {
        let mut schema = schema.clone();
        let about = schema.as_object_mut().and_then(|schema| schema.remove("description"));
        json!({
            "name": name, "in": "query", "required": required.contains(&name.as_str()),
            "description": about, "schema": schema,
        })
    })
    .collect()
}
