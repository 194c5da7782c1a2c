//! Orders that deny, read as far as they can be: a leaver must not stay in because of what was said beside the order.
//!
//! Whom a denial concerns, in whose name, and from when to when is never guessed. Why, by whom it was said, and how the body
//! was encoded is taken as it came, cut, or replaced by a note; the answer and the audit say so.

use std::collections::BTreeMap;

use axum::{
    extract::{FromRequest, Request},
    http::{HeaderMap, StatusCode},
};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::Value;

use super::{
    HttpState, auth,
    body::{self, Cut, Text, shown},
    extract,
    problem::Problem,
};
use crate::{
    access::{Caller, Why},
    api::schemas::MAX_REASON,
    history::redact,
};

/// Fields without a meaning that a remark names.
const NAMED: usize = 5;

/// An order about the person in the path. Its body is optional, and never a reason to refuse it.
pub(super) struct Order {
    pub(super) caller: Caller,
    pub(super) why: Why,
}

impl FromRequest<HttpState> for Order {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &HttpState) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let mut remarks = Vec::new();
        let caller = auth::caller(&parts, state, |headers| Ok(auth::any_actor(headers, &mut remarks)))?;
        let limit = state.settings.max_body;
        let why = match body::take(body, limit).await {
            Ok(bytes) => why(&parts.headers, bytes, limit),
            Err(cut) => note(&cut.to_string()),
        };
        remarks.extend(why.remarks);
        Ok(Self {
            caller,
            why: Why {
                reason: why.reason,
                remarks,
            },
        })
    }
}

/// An order that says in its body whom it concerns: a JSON object, whatever its encoding and the content type.
pub(super) struct OrderOf<T> {
    pub(super) caller: Caller,
    pub(super) body: T,
    /// What of it could not be taken as it came.
    pub(super) remarks: Vec<String>,
}

impl<T: DeserializeOwned> FromRequest<HttpState> for OrderOf<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &HttpState) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let headers = &parts.headers;
        let mut remarks = Vec::new();
        let caller = auth::caller(&parts, state, |headers| Ok(auth::any_actor(headers, &mut remarks)))?;
        let limit = state.settings.max_body;
        let bytes = body::take(body, limit).await.map_err(not_taken)?;
        let unreadable =
            |detail| Problem::new(StatusCode::BAD_REQUEST, "unreadable", "The body cannot be read", detail);
        let read = body::read(headers, bytes, limit).map_err(|packed| unreadable(packed.to_string()))?;
        remarks.extend(read.remarks);
        if !extract::is_json(headers) {
            serde_json::from_str::<IgnoredAny>(&read.text).map_err(|_| extract::wrong_media_type())?;
            remarks.push(as_json(headers));
        }
        let body = extract::object(read.text.as_bytes())?;
        Ok(Self { caller, body, remarks })
    }
}

fn not_taken(cut: Cut) -> Problem {
    let (status, kind) = match cut {
        Cut::TooLarge(_) => (StatusCode::PAYLOAD_TOO_LARGE, "too-large"),
        Cut::BrokeOff => (StatusCode::BAD_REQUEST, "unreadable"),
        Cut::Late => (StatusCode::REQUEST_TIMEOUT, "timeout"),
    };
    Problem::new(status, kind, "The body cannot be read", cut.to_string())
}

/// Why, from the bytes of a body.
fn why(headers: &HeaderMap, bytes: Vec<u8>, limit: usize) -> Why {
    match body::read(headers, bytes, limit) {
        Err(packed) => note(&packed.to_string()),
        Ok(Text { text, remarks }) if text.trim().is_empty() => Why { reason: None, remarks },
        Ok(Text { text, mut remarks }) => {
            let said = said(headers, &text, &mut remarks);
            let mut why = match said {
                Ok(value) => reason(value, remarks),
                Err(what) => {
                    let mut why = note(&what);
                    why.remarks.splice(0..0, remarks);
                    why
                }
            };
            why.remarks.dedup();
            why
        }
    }
}

/// The reason in a text: of a JSON object, whatever the content type says; of a form; or a text that is nothing but it.
///
/// # Errors
/// Something was said, and it cannot be read.
fn said(headers: &HeaderMap, text: &str, remarks: &mut Vec<String>) -> Result<Value, String> {
    let essence = extract::essence(headers);
    match serde_json::from_str::<Value>(text) {
        Ok(Value::Object(mut fields)) => {
            if !extract::is_json(headers) {
                remarks.push(as_json(headers));
            }
            let reason = fields.remove("reason");
            without_meaning(fields.keys().map(String::as_str), reason.is_none(), remarks)?;
            Ok(reason.unwrap_or_default())
        }
        Ok(Value::Null) => Ok(Value::Null),
        Ok(text @ Value::String(_)) => {
            remarks.push("the body is a text alone, and was taken for the reason".to_owned());
            Ok(text)
        }
        Ok(_) => Err("the body is no JSON object".to_owned()),
        Err(_) if essence == "application/x-www-form-urlencoded" => {
            let mut fields: BTreeMap<String, String> =
                url::form_urlencoded::parse(text.as_bytes()).into_owned().collect();
            let reason = fields.remove("reason");
            without_meaning(fields.keys().map(String::as_str), reason.is_none(), remarks)?;
            remarks.push("the body was read as a form: send JSON".to_owned());
            Ok(reason.map(Value::String).unwrap_or_default())
        }
        Err(_) if essence == "text/plain" && !text.trim_start().starts_with(['{', '[', '<']) => {
            remarks.push("the body is a text alone, and was taken for the reason".to_owned());
            Ok(Value::String(text.to_owned()))
        }
        Err(_) => Err("the body is not well-formed JSON".to_owned()),
    }
}

/// Remarks upon fields that mean nothing. Where there is no reason, one of them may have been meant for it.
fn without_meaning<'a>(
    names: impl Iterator<Item = &'a str>,
    instead: bool,
    remarks: &mut Vec<String>,
) -> Result<(), String> {
    let names: Vec<&str> = names.collect();
    if names.is_empty() {
        return Ok(());
    }
    let more = names.len().saturating_sub(NAMED);
    let mut list: Vec<String> = names
        .iter()
        .take(NAMED)
        .map(|name| format!("'{}'", shown(&redact(name))))
        .collect();
    if more > 0 {
        list.push(format!("{more} more"));
    }
    let what = format!("there is no field {}", list.join(", "));
    if instead {
        return Err(format!("{what}, and no 'reason'"));
    }
    remarks.push(format!("{what}: left out"));
    Ok(())
}

fn as_json(headers: &HeaderMap) -> String {
    match extract::essence(headers).as_str() {
        "" => "the body was read as JSON: say so with Content-Type: application/json".to_owned(),
        other => format!(
            "the body was read as JSON although Content-Type says '{}'",
            shown(other)
        ),
    }
}

/// What stands where a reason would, if none can be read.
fn note(what: &str) -> Why {
    Why {
        reason: Some(format!("(the reason could not be read: {what})")),
        remarks: vec![format!("the reason could not be read: {what}")],
    }
}

/// A reason as it is kept: without links, with control characters escaped, at most [`MAX_REASON`] characters long.
pub(super) fn reason(value: Value, mut remarks: Vec<String>) -> Why {
    let text = match value {
        Value::Null => return Why { reason: None, remarks },
        Value::String(text) => text,
        number @ (Value::Number(_) | Value::Bool(_)) => number.to_string(),
        Value::Array(_) | Value::Object(_) => {
            let mut why = note("it is no text");
            why.remarks.splice(0..0, remarks);
            return why;
        }
    };
    let text = redact(text.trim()).into_owned();
    let mut kept = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            kept.extend(c.escape_default());
        } else {
            kept.push(c);
        }
    }
    if kept != text {
        remarks.push("control characters in the reason are written as escapes".to_owned());
    }
    if kept.chars().count() > MAX_REASON {
        kept = kept.chars().take(MAX_REASON - 1).collect();
        kept.push('…');
        remarks.push(format!("the reason was cut to {MAX_REASON} characters"));
    }
    Why {
        reason: (!kept.is_empty()).then_some(kept),
        remarks,
    }
}

#[cfg(test)]
mod tests {
    use axum::http::header;
    use proptest::prelude::*;

    use super::*;

    fn of(content_type: &'static str, body: &str) -> Why {
        let mut headers = HeaderMap::new();
        if !content_type.is_empty() {
            headers.insert(header::CONTENT_TYPE, axum::http::HeaderValue::from_static(content_type));
        }
        why(&headers, body.into(), 10_000)
    }

    #[test]
    fn a_reason_is_found_wherever_it_was_put_and_what_was_unusual_is_said() {
        let json = "application/json";
        let form = "application/x-www-form-urlencoded";
        for (content_type, body, reason, remarked) in [
            (json, "{\"reason\":\"left\"}", Some("left"), ""),
            (json, "", None, ""),
            ("", " \r\n", None, ""),
            (json, "null", None, ""),
            (json, "{}", None, ""),
            (json, "{\"reason\":null}", None, ""),
            (json, "{\"reason\":\"  \"}", None, ""),
            ("text/json", "{\"reason\":\"left\"}", Some("left"), "text/json"),
            ("", "{\"reason\":\"left\"}", Some("left"), "Content-Type"),
            (form, "{\"reason\":\"left\"}", Some("left"), "urlencoded"),
            (form, "reason=left+today&by=x", Some("left today"), "no field 'by'"),
            (json, "{\"reason\":7}", Some("7"), ""),
            (json, "\"left\"", Some("left"), "text alone"),
            ("text/plain", "left", Some("left"), "text alone"),
            (
                json,
                "{\"reason\":\"left\",\"by\":\"x\"}",
                Some("left"),
                "no field 'by'",
            ),
            (json, "{\"reason\":\"a\\tb\"}", Some("a\\tb"), "escapes"),
            (
                json,
                "{\"reason\":\"see hysteria2://u:p@h\"}",
                Some("see hysteria2://[redacted]"),
                "",
            ),
        ] {
            let why = of(content_type, body);
            assert_eq!(why.reason.as_deref(), reason, "{body}");
            assert_eq!(why.remarks.is_empty(), remarked.is_empty(), "{body}: {:?}", why.remarks);
            assert!(why.remarks.join(" ").contains(remarked), "{body}: {:?}", why.remarks);
        }
    }

    #[test]
    fn what_cannot_be_read_is_replaced_by_a_note() {
        for (content_type, body, what) in [
            ("application/json", "{\"reason\":\"le", "not well-formed"),
            ("application/xml", "<reason>left</reason>", "not well-formed"),
            ("application/json", "[[]]", "no JSON object"),
            ("application/json", "{\"reason\":[\"left\"]}", "no text"),
            ("application/json", "{\"raeson\":\"left\"}", "'raeson'"),
            ("application/x-www-form-urlencoded", "raeson=left", "'raeson'"),
            ("application/json", "{\"hy2://u:p@h\":1}", "'hy2://[redacted]'"),
        ] {
            let why = of(content_type, body);
            assert!(why.reason.unwrap().contains(what), "{body}");
            assert!(why.remarks.join(" ").contains(what), "{body}");
        }
        let many: serde_json::Map<String, Value> = (0..100).map(|n| (format!("\u{1b}{n}"), Value::Null)).collect();
        let why = of("application/json", &Value::Object(many).to_string());
        let said = why.reason.unwrap();
        assert!(said.contains("95 more") && !said.contains('\u{1b}'), "{said}");
    }

    proptest! {
        #[test]
        fn whatever_is_said_is_kept_as_one_short_line(text in prop_oneof![any::<String>(), "[a\n\u{7f}\u{85}]{490,520}"]) {
            let why = of("application/json", &serde_json::json!({ "reason": text }).to_string());
            if let Some(reason) = &why.reason {
                prop_assert!(reason.chars().count() <= MAX_REASON && !reason.chars().any(char::is_control));
            }
            prop_assert_eq!(why.reason.is_none(), text.trim().is_empty());
            let harmless = text.trim().chars().count() <= MAX_REASON && !text.trim().chars().any(char::is_control);
            prop_assert!(!harmless || why.remarks.is_empty());
        }
    }
}
