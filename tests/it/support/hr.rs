//! A sender of HR events: both signature schemes, made without the code under test.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

pub const HUB_SECRET: &str = "the-secret-of-the-hr-system";
/// `whsec_` and this.
pub const STANDARD_KEY: &str = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn mac(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().to_vec()
}

/// The value of `X-Hub-Signature-256`.
pub fn hub(body: &[u8]) -> String {
    let digits = mac(HUB_SECRET.as_bytes(), &[body])
        .iter()
        .fold(String::new(), |digits, byte| digits + &format!("{byte:02x}"));
    format!("sha256={digits}")
}

/// The three headers of Standard Webhooks.
pub fn standard(id: &str, seconds: i64, body: &[u8]) -> [(&'static str, String); 3] {
    let at = seconds.to_string();
    let key = STANDARD.decode(STANDARD_KEY).unwrap();
    let signature = STANDARD.encode(mac(&key, &[id.as_bytes(), b".", at.as_bytes(), b".", body]));
    [
        ("webhook-id", id.to_owned()),
        ("webhook-timestamp", at),
        ("webhook-signature", format!("v1,{signature}")),
    ]
}

/// An event.
pub fn event(event_type: &str, id: &str, at: &str, data: Value) -> Value {
    let mut event = json!({ "event_type": event_type, "corporate_id": id, "timestamp": at });
    event["event_data"] = data;
    event
}
