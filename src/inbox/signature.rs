//! Who sent an event: the two signature schemes, over the bytes as they were sent. Pure.
//!
//! - `hub`: the header `X-Hub-Signature-256` with `sha256=` and the HMAC-SHA256 of the body in hex. It has no time, so a copy of a
//!   request is told by its body alone.
//! - `standard`: Standard Webhooks, `webhook-id`, `webhook-timestamp` and `webhook-signature` with one or more of `v1,` and the
//!   HMAC-SHA256 of `id.timestamp.body` in base64. A copy is told by its id, and is too old after five minutes.
//!
//! Every secret is tried with every signature, and all of them are compared in constant time.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::{SignedDuration, Timestamp};
use secrecy::ExposeSecret as _;
use sha2::Sha256;
use subtle::{Choice, ConstantTimeEq as _};

pub use super::keys::{Keys, Scheme, SecretError};

/// How far the time of a signature may be from now.
pub const TOLERANCE: SignedDuration = SignedDuration::from_mins(5);

/// Header of the scheme `hub`.
pub const HUB: &str = "x-hub-signature-256";
/// The three headers of the scheme `standard`.
pub const ID: &str = "webhook-id";
/// See [`ID`].
pub const TIMESTAMP: &str = "webhook-timestamp";
/// See [`ID`].
pub const SIGNATURE: &str = "webhook-signature";

/// Most characters of a `webhook-id`.
const MAX_ID: usize = 255;
/// Most signatures that one request may bring: enough for every rotation, and few enough to try them all.
const MAX_SIGNATURES: usize = 16;

/// The signature headers of a request: every value of each, in the order in which they came.
#[derive(Debug, Clone, Default)]
pub struct SignatureHeaders<'a> {
    /// [`HUB`].
    pub hub: Vec<&'a [u8]>,
    /// [`ID`].
    pub id: Vec<&'a [u8]>,
    /// [`TIMESTAMP`].
    pub timestamp: Vec<&'a [u8]>,
    /// [`SIGNATURE`].
    pub signature: Vec<&'a [u8]>,
}

/// Who an event is from, as far as it is proved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sender {
    /// By which scheme. Of both, [`Scheme::Standard`].
    pub scheme: Scheme,
    /// The id that the sender gave the event. [`Scheme::Standard`] only.
    pub webhook_id: Option<String>,
}

/// Why an event is not taken. Never holds a signature or a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A secret is configured, and nothing is signed.
    #[error(
        "the event is not signed: send X-Hub-Signature-256, or webhook-id, webhook-timestamp and webhook-signature, made with a \
         secret that is configured here"
    )]
    Unsigned,
    /// A header that may stand once stands twice.
    #[error("the header {0} is there more than once: send it once")]
    Repeated(&'static str),
    /// Some headers of Standard Webhooks are there and others are not.
    #[error("the header {0} is missing: webhook-id, webhook-timestamp and webhook-signature belong together")]
    Incomplete(&'static str),
    /// A header has not the form that its scheme says.
    #[error("the header {header} cannot be read: it must be {wanted}")]
    Malformed {
        /// The header.
        header: &'static str,
        /// What it must be.
        wanted: &'static str,
    },
    /// Nobody told this operator a secret of the scheme.
    #[error("the header {header} came, but no secret of the scheme {} is configured here", .scheme.as_str())]
    NoSecret {
        /// The header.
        header: &'static str,
        /// Its scheme.
        scheme: Scheme,
    },
    /// It is somebody else's, or the body was changed on the way.
    #[error("the signature in {0} does not fit the body: compare the secrets, and sign the body exactly as it is sent")]
    Wrong(&'static str),
    /// It was signed too long ago.
    #[error("webhook-timestamp is more than five minutes ago: sign anew for every attempt, and set the sender's clock")]
    TooOld,
    /// It was signed in the future.
    #[error("webhook-timestamp is more than five minutes ahead: set the sender's clock")]
    TooNew,
}

impl Refusal {
    /// Every cause, for metrics.
    pub const CAUSES: [&'static str; 5] = ["unsigned", "malformed", "no_secret", "wrong", "time"];

    /// The cause as a constant.
    #[must_use]
    pub const fn cause(&self) -> &'static str {
        match self {
            Self::Unsigned => "unsigned",
            Self::Repeated(_) | Self::Incomplete(_) | Self::Malformed { .. } => "malformed",
            Self::NoSecret { .. } => "no_secret",
            Self::Wrong(_) => "wrong",
            Self::TooOld | Self::TooNew => "time",
        }
    }
}

/// Checks every signature that came. `body` is what was sent, before anything was unpacked.
///
/// Without a single secret an event without a signature is taken as [`Scheme::Unsigned`]: whether that is allowed at all is for
/// the caller to know.
///
/// # Errors
/// Says what is wrong with the first header that does not fit.
pub fn verify(keys: &Keys, headers: &SignatureHeaders<'_>, body: &[u8], now: Timestamp) -> Result<Sender, Refusal> {
    let hub = one(HUB, &headers.hub)?;
    let standard = Standard::read(headers)?;
    if let Some(value) = hub {
        let given = hub_signature(value)?;
        check(keys, Scheme::Hub, HUB, &[body], &[given])?;
    }
    if let Some(standard) = &standard {
        let content: [&[u8]; 5] = [standard.id.as_bytes(), b".", standard.timestamp.as_bytes(), b".", body];
        check(keys, Scheme::Standard, SIGNATURE, &content, &standard.signatures)?;
        standard.check_time(now)?;
    }
    let (scheme, webhook_id) = match (standard, hub) {
        (Some(standard), _) => (Scheme::Standard, Some(standard.id.to_owned())),
        (None, Some(_)) => (Scheme::Hub, None),
        (None, None) if keys.is_empty() => (Scheme::Unsigned, None),
        (None, None) => return Err(Refusal::Unsigned),
    };
    Ok(Sender { scheme, webhook_id })
}

fn one<'a>(header: &'static str, values: &[&'a [u8]]) -> Result<Option<&'a [u8]>, Refusal> {
    match values {
        [] => Ok(None),
        [value] => Ok(Some(value)),
        _ => Err(Refusal::Repeated(header)),
    }
}

fn check(
    keys: &Keys,
    scheme: Scheme,
    header: &'static str,
    content: &[&[u8]],
    given: &[[u8; 32]],
) -> Result<(), Refusal> {
    let keys = keys.of(scheme);
    if keys.is_empty() {
        return Err(Refusal::NoSecret { header, scheme });
    }
    let mut fits = Choice::from(0);
    for key in keys {
        // HMAC takes a key of any length.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key.expose_secret()) else {
            continue;
        };
        for part in content {
            mac.update(part);
        }
        let wanted: [u8; 32] = mac.finalize().into_bytes().into();
        for given in given {
            fits |= wanted.ct_eq(given);
        }
    }
    if fits.into() {
        Ok(())
    } else {
        Err(Refusal::Wrong(header))
    }
}

fn hub_signature(value: &[u8]) -> Result<[u8; 32], Refusal> {
    let digits = value.strip_prefix(b"sha256=").and_then(from_hex);
    digits.ok_or(Refusal::Malformed {
        header: HUB,
        wanted: "sha256= and 64 hexadecimal digits",
    })
}

fn from_hex(digits: &[u8]) -> Option<[u8; 32]> {
    let (pairs, rest) = digits.as_chunks::<2>();
    if pairs.len() != 32 || !rest.is_empty() {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut bytes = [0; 32];
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(bytes)
}

/// The three headers of Standard Webhooks.
struct Standard<'a> {
    id: &'a str,
    timestamp: &'a str,
    seconds: i64,
    signatures: Vec<[u8; 32]>,
}

impl<'a> Standard<'a> {
    fn read(headers: &SignatureHeaders<'a>) -> Result<Option<Self>, Refusal> {
        let found = [
            (ID, one(ID, &headers.id)?),
            (TIMESTAMP, one(TIMESTAMP, &headers.timestamp)?),
            (SIGNATURE, one(SIGNATURE, &headers.signature)?),
        ];
        if found.iter().all(|(_, value)| value.is_none()) {
            return Ok(None);
        }
        let needed = |(header, value): (&'static str, Option<&'a [u8]>)| value.ok_or(Refusal::Incomplete(header));
        let [id, timestamp, signature] = found;
        let (id, timestamp, signature) = (needed(id)?, needed(timestamp)?, needed(signature)?);
        let malformed = |header, wanted| Refusal::Malformed { header, wanted };
        let visible =
            |text: &&str| (1..=MAX_ID).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        let id = std::str::from_utf8(id).ok().filter(visible);
        let id = id.ok_or_else(|| malformed(ID, "1 to 255 visible ASCII characters without spaces"))?;
        let seconds = std::str::from_utf8(timestamp)
            .ok()
            .filter(|text| (1..=12).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit()));
        let read = seconds.and_then(|text| Some((text, text.parse().ok()?)));
        let (timestamp, seconds) = read.ok_or_else(|| malformed(TIMESTAMP, "seconds since 1970, in digits"))?;
        let signatures = signatures(signature).ok_or_else(|| {
            malformed(
                SIGNATURE,
                "v1, and 32 bytes in base64; several are separated by spaces, 16 at most",
            )
        })?;
        Ok(Some(Self {
            id,
            timestamp,
            seconds,
            signatures,
        }))
    }

    fn check_time(&self, now: Timestamp) -> Result<(), Refusal> {
        let Ok(at) = Timestamp::from_second(self.seconds) else {
            return Err(Refusal::TooNew);
        };
        let age = now.duration_since(at);
        if age > TOLERANCE {
            Err(Refusal::TooOld)
        } else if age < -TOLERANCE {
            Err(Refusal::TooNew)
        } else {
            Ok(())
        }
    }
}

/// The signatures of version 1; those of other versions are left out. `None` if none is left, or one cannot be read.
fn signatures(value: &[u8]) -> Option<Vec<[u8; 32]>> {
    let text = std::str::from_utf8(value).ok()?;
    let mut signatures = Vec::new();
    for part in text.split_ascii_whitespace() {
        let (version, signature) = part.split_once(',')?;
        if version != "v1" {
            continue;
        }
        signatures.push(STANDARD.decode(signature).ok()?.try_into().ok()?);
        if signatures.len() > MAX_SIGNATURES {
            return None;
        }
    }
    (!signatures.is_empty()).then_some(signatures)
}

#[cfg(test)]
#[path = "signature_tests.rs"]
mod tests;
