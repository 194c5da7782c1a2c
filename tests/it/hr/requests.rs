//! What the webhook does with any request: it answers with words, keeps what is signed, and nothing else.

use std::{io::Write as _, sync::Arc};

use axum::{
    body::{Body, to_bytes},
    http::{HeaderValue, Request},
};
use flate2::{Compression, write::GzEncoder};
use proptest::{
    prelude::*,
    strategy::ValueTree as _,
    test_runner::{RngAlgorithm, TestRng, TestRunner},
};
use serde_json::{Value, json};
use tower::ServiceExt as _;
use vpn_operator::{
    http::{self, HttpState},
    inbox::State,
    metrics::Metrics,
};

use super::world::{Crash, Operator, Place, live};
use crate::support::hr::{event, hub};

const ANNA: &str = "AB123456";
const CASES: usize = 400;

fn router(place: &Place, operator: &Operator) -> axum::Router {
    http::router(HttpState::new(
        operator.use_cases.clone(),
        Arc::new(Metrics::new()),
        place.clock.clone(),
        http::Settings::default(),
    ))
}

type Headers = Vec<(&'static str, Vec<u8>)>;

async fn post(router: &axum::Router, headers: Headers, body: Vec<u8>) -> (u16, Value) {
    let mut request = Request::post("/webhooks/hr-events");
    for (name, value) in headers {
        request = request.header(name, HeaderValue::from_bytes(&value).unwrap());
    }
    let request = request.body(Body::from(body)).unwrap();
    let answer = router.clone().oneshot(request).await.unwrap();
    let status = answer.status().as_u16();
    let bytes = to_bytes(answer.into_body(), 1 << 20).await.unwrap();
    (status, serde_json::from_slice(&bytes).unwrap())
}

fn signed(body: &[u8]) -> (&'static str, Vec<u8>) {
    ("X-Hub-Signature-256", hub(body).into_bytes())
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn encodings_are_taken_as_http_means_them_and_the_signature_is_over_what_was_sent() {
    let place = Place::new();
    live(&place, Crash::never(), async |operator| {
        let router = router(&place, operator);
        let text = |second: u32| {
            let at = format!("2026-05-01T11:00:{second:02}Z");
            event("user_deactivated", ANNA, &at, json!({ "deactivation_reason": "Zoë" })).to_string()
        };
        let latin: Vec<u8> = text(1).chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
        let wide: Vec<u8> = text(2).encode_utf16().flat_map(u16::to_le_bytes).collect();
        let marked = ["\u{feff}", &text(3)].concat().into_bytes();
        let named = |charset: &str| {
            (
                "Content-Type",
                format!("application/json; charset={charset}").into_bytes(),
            )
        };
        for (header, body) in [
            (named("utf-8"), text(0).into_bytes()),
            (named("iso-8859-1"), latin),
            (named("utf-16le"), wide),
            (named("utf-8"), marked),
            (("Content-Encoding", b"gzip".to_vec()), gzip(text(4).as_bytes())),
        ] {
            let shown = String::from_utf8_lossy(&header.1).into_owned();
            let (status, answer) = post(&router, vec![header, signed(&body)], body).await;
            assert_eq!(
                (status, &answer["status"]),
                (200, &json!("processed")),
                "{shown}: {answer}"
            );
            let event = operator.events().await.remove(0);
            assert!(event.text.unwrap().contains("Zoë"), "{shown}");
        }
        // Unpacked it is signed otherwise; and what unpacks to too much is refused.
        let packed = gzip(text(5).as_bytes());
        let (status, _) = post(&router, vec![signed(text(5).as_bytes())], packed).await;
        assert_eq!(status, 401);
        let bomb = gzip(&vec![b' '; 1 << 22]);
        let (status, _) = post(&router, vec![signed(&bomb)], bomb).await;
        assert_eq!(status, 413);
    });
}

#[test]
fn what_is_signed_and_makes_no_sense_is_kept_as_failed_with_a_reason() {
    let place = Place::new();
    live(&place, Crash::never(), async |operator| {
        let router = router(&place, operator);
        let at = "2026-05-01T11:00:00Z";
        for body in [
            String::new(),
            "no json".to_owned(),
            "[]".to_owned(),
            "{}".to_owned(),
            event("user_hired", ANNA, at, json!({})).to_string(),
            event("user_deactivated", "a/b", at, json!({})).to_string(),
            event("user_suspended", ANNA, at, json!({ "duration_days": "many" })).to_string(),
            event(
                "user_suspended",
                ANNA,
                at,
                json!({ "duration_days": 3, "effective_date": "9999-12-31" }),
            )
            .to_string(),
            event("user_role_changed", ANNA, at, json!({ "new_role": "Lead" })).to_string(),
            event("user_deactivated", ANNA, "soon", json!({})).to_string(),
            event("user_deactivated", ANNA, "2026-05-01T12:05:01Z", json!({})).to_string(),
        ] {
            let (status, answer) = post(&router, vec![signed(body.as_bytes())], body.clone().into_bytes()).await;
            assert_eq!((status, &answer["status"]), (200, &json!("failed")), "{body}: {answer}");
            assert!(!answer["detail"].as_str().unwrap().is_empty(), "{body}");
        }
        assert!(operator.events().await.iter().all(|event| event.state == State::Failed));
        assert!(operator.holds(&place).is_empty());
    });
}

fn bytes(most: usize) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..most)
}

/// Bytes that a header can have.
fn value() -> impl Strategy<Value = Vec<u8>> {
    bytes(60).prop_map(|bytes| {
        bytes
            .into_iter()
            .filter(|byte| *byte >= 0x20 && *byte != 0x7f)
            .collect()
    })
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    let field = prop_oneof![
        "\\PC{0,20}".prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        Just(Value::Null),
        Just(json!([{}])),
        Just(json!("2026-05-01")),
        Just(json!(ANNA)),
    ];
    let types = prop::sample::select(vec![
        "user_deactivated",
        "user_suspended",
        "user_role_changed",
        "user_activated",
        "x",
    ]);
    let shaped = (types, field.clone(), field.clone(), field).prop_map(|(event_type, id, at, value)| {
        json!({
            "event_type": event_type, "corporate_id": id, "timestamp": at,
            "event_data": { "effective_date": value, "duration_days": value, "new_role": value, "deactivated_by": value },
        })
        .to_string()
        .into_bytes()
    });
    prop_oneof![bytes(80), shaped]
}

fn request() -> impl Strategy<Value = (Headers, Vec<u8>, bool)> {
    let names = prop::sample::select(vec![
        "X-Hub-Signature-256",
        "x-hub-signature-256",
        "webhook-id",
        "webhook-timestamp",
        "webhook-signature",
        "Content-Encoding",
        "Content-Type",
    ]);
    let packed = prop::option::weighted(0.2, Just(()));
    (
        prop::collection::vec((names, value()), 0..3),
        body(),
        packed,
        any::<bool>(),
    )
        .prop_map(|(headers, body, packed, sign)| {
            let body = if packed.is_some() { gzip(&body) } else { body };
            (headers, body, sign)
        })
}

#[test]
fn any_request_is_answered_with_words_and_only_what_is_signed_is_kept() {
    let place = Place::new();
    live(&place, Crash::never(), async |operator| {
        let router = router(&place, operator);
        let mut runner = TestRunner::new_with_rng(
            ProptestConfig::default(),
            TestRng::deterministic_rng(RngAlgorithm::ChaCha),
        );
        let requests = request();
        let mut kept = 0;
        for _ in 0..CASES {
            let (mut headers, body, sign) = requests.new_tree(&mut runner).unwrap().current();
            let claims = headers.iter().any(|(name, _)| !name.starts_with("Content"));
            if sign {
                headers.push(signed(&body));
            }
            let shown = format!("{headers:?} {body:?}");
            let (status, answer) = post(&router, headers, body).await;
            assert!([200, 400, 401].contains(&status), "{shown}: {answer}");
            assert!(status != 200 || (sign && !claims), "{shown}: {answer}");
            assert!(
                status == 200 || answer["detail"].as_str().is_some_and(|detail| !detail.is_empty()),
                "{shown}"
            );
            kept += usize::from(status == 200 && answer["repeated"] == false);
        }
        assert!(kept > CASES / 10, "only {kept} were kept");
        assert_eq!(operator.events().await.len(), kept);
    });
}
