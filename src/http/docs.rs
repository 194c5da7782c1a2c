//! The OpenAPI document, and a page to read it that needs nothing from elsewhere.

use std::sync::LazyLock;

use askama::Template;
use axum::{
    Extension,
    http::{StatusCode, header},
    response::{Html, IntoResponse, Response},
};
use serde_json::Value;

use super::problem::Problem;

/// Policy of the page: its own styles, and nothing else.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";

/// The OpenAPI document and the page, as they are answered.
pub(super) struct Documentation {
    document: String,
    page: Option<String>,
}

impl Documentation {
    /// Renders both.
    pub(super) fn of(document: &utoipa::openapi::OpenApi) -> Self {
        let document = document.to_pretty_json().unwrap_or_default();
        let parsed = serde_json::from_str::<Value>(&document).ok();
        Self {
            page: parsed.and_then(|parsed| Page::of(&parsed).render().ok()),
            document,
        }
    }
}

/// Rendered when it is first asked for.
pub(super) type Rendered = Extension<&'static LazyLock<Documentation>>;

#[derive(Template)]
#[template(path = "docs.html")]
struct Page {
    title: String,
    version: String,
    description: Vec<String>,
    tags: Vec<Tag>,
    schemas: Vec<Schema>,
}

struct Tag {
    name: String,
    description: String,
    operations: Vec<Operation>,
}

struct Operation {
    method: String,
    path: String,
    summary: String,
    description: String,
    secret: bool,
    parameters: Vec<Field>,
    body: Option<String>,
    responses: Vec<Answer>,
}

struct Answer {
    status: String,
    description: String,
    schema: Option<String>,
}

struct Schema {
    name: String,
    description: String,
    fields: Vec<Field>,
}

struct Field {
    name: String,
    type_: String,
    schema: Option<String>,
    required: bool,
    description: String,
}

impl Page {
    fn of(document: &Value) -> Self {
        let paths = document["paths"].as_object();
        let operations: Vec<(String, Operation)> = paths
            .into_iter()
            .flatten()
            .flat_map(|(path, item)| item.as_object().into_iter().flatten().map(move |entry| (path, entry)))
            .map(|(path, (method, operation))| (text(&operation["tags"][0]), Operation::of(path, method, operation)))
            .collect();
        let mut tags: Vec<Tag> = list(&document["tags"])
            .map(|tag| Tag {
                name: text(&tag["name"]),
                description: text(&tag["description"]),
                operations: Vec::new(),
            })
            .collect();
        for (name, operation) in operations {
            if let Some(tag) = tags.iter_mut().find(|tag| tag.name == name) {
                tag.operations.push(operation);
            }
        }
        let schemas = document["components"]["schemas"].as_object();
        Self {
            title: text(&document["info"]["title"]),
            version: text(&document["info"]["version"]),
            description: text(&document["info"]["description"])
                .split("\n\n")
                .map(str::to_owned)
                .collect(),
            tags,
            schemas: schemas
                .into_iter()
                .flatten()
                .map(|(name, schema)| Schema::of(name, schema))
                .collect(),
        }
    }
}

impl Operation {
    fn of(path: &str, method: &str, operation: &Value) -> Self {
        let responses = operation["responses"].as_object();
        Self {
            method: method.to_uppercase(),
            path: path.to_owned(),
            summary: text(&operation["summary"]),
            description: text(&operation["description"]),
            secret: operation.get("security").is_none(),
            parameters: list(&operation["parameters"])
                .map(|parameter| {
                    let required = parameter["required"] == true;
                    let mut field = Field::of(&text(&parameter["name"]), &parameter["schema"], required);
                    field.description = text(&parameter["description"]);
                    field
                })
                .collect(),
            body: schema_of(&operation["requestBody"]),
            responses: responses
                .into_iter()
                .flatten()
                .map(|(status, response)| Answer {
                    status: status.clone(),
                    description: text(&response["description"]),
                    schema: schema_of(response),
                })
                .collect(),
        }
    }
}

impl Schema {
    fn of(name: &str, schema: &Value) -> Self {
        let parts = std::iter::once(schema).chain(list(&schema["allOf"]));
        let mut fields = Vec::new();
        for part in parts {
            if let Some(inner) = reference(part) {
                let mut field = Field::of("…", part, true);
                field.description = format!("every field of {inner}");
                fields.push(field);
            }
            for (name, property) in part["properties"].as_object().into_iter().flatten() {
                let required = list(&part["required"]).any(|required| required == name.as_str());
                fields.push(Field::of(name, property, required));
            }
        }
        let choices: Vec<String> = list(&schema["enum"]).map(text).collect();
        let mut description = text(&schema["description"]);
        if !choices.is_empty() {
            description = format!("{description} One of: {}.", choices.join(", "));
        }
        Self {
            name: name.to_owned(),
            description,
            fields,
        }
    }
}

impl Field {
    fn of(name: &str, schema: &Value, required: bool) -> Self {
        let target = reference(schema).or_else(|| reference(&schema["items"]));
        let one_of = list(&schema["oneOf"]).find_map(reference);
        let type_ = match &schema["type"] {
            Value::Array(types) => types.iter().map(text).collect::<Vec<_>>().join(" or "),
            other => text(other),
        };
        let format = text(&schema["format"]);
        Self {
            name: name.to_owned(),
            type_: if format.is_empty() {
                type_
            } else {
                format!("{type_}, {format}")
            },
            schema: target.or(one_of),
            required,
            description: text(&schema["description"]),
        }
    }
}

/// The page shows plain text: the marks of code are left out.
fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().replace('`', "")
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn reference(schema: &Value) -> Option<String> {
    let target = schema["$ref"].as_str()?;
    target.rsplit('/').next().map(str::to_owned)
}

/// Name of the schema of a body.
fn schema_of(body: &Value) -> Option<String> {
    let (_, content) = body["content"].as_object()?.iter().next()?;
    let schema = &content["schema"];
    reference(schema).or_else(|| list(&schema["oneOf"]).find_map(reference))
}

/// The OpenAPI document.
#[utoipa::path(
    get, path = "/openapi.json", operation_id = "show_openapi", tag = "documentation", security(()),
    responses((status = 200, description = "OpenAPI 3.1", body = Object))
)]
pub(super) async fn document(Extension(documentation): Rendered) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "max-age=300"),
    ];
    (headers, documentation.document.as_str()).into_response()
}

/// A page to read it.
#[utoipa::path(
    get, path = "/docs", operation_id = "show_docs", tag = "documentation", security(()),
    responses((status = 200, description = "The page", body = String, content_type = "text/html"))
)]
pub(super) async fn page(Extension(documentation): Rendered) -> Response {
    match documentation.page.as_deref() {
        Some(page) => {
            let headers = [
                (header::CONTENT_SECURITY_POLICY, POLICY),
                (header::CACHE_CONTROL, "max-age=300"),
            ];
            (StatusCode::OK, headers, Html(page)).into_response()
        }
        None => Problem::internal().into_response(),
    }
}
