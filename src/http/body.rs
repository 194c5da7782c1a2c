//! The text of a body in whatever encoding it came: byte order marks, UTF-16, Latin-1, gzip.
//!
//! For denials, which are done whatever was said beside them. What is read otherwise than it should have been sent is
//! remarked upon.

use std::{io::Read as _, time::Duration};

use axum::{
    body::Body,
    http::{HeaderMap, header},
};
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};
use flate2::read::{MultiGzDecoder, ZlibDecoder};
use futures::StreamExt as _;

/// How long a denial waits for its body.
const PATIENCE: Duration = Duration::from_secs(5);

/// How many times the largest body is taken and thrown away, so that a client that is still sending hears the answer.
const DRAINED: usize = 64;

/// Why a body could not be taken whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cut {
    /// It is larger than this many bytes.
    TooLarge(usize),
    /// The connection broke, or the client did not send what it announced.
    BrokeOff,
    /// It did not come in time.
    Late,
}

impl std::fmt::Display for Cut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::TooLarge(limit) => write!(f, "the body is larger than {limit} bytes"),
            Self::BrokeOff => f.write_str("the body broke off"),
            Self::Late => write!(f, "the body did not come within {} seconds", PATIENCE.as_secs()),
        }
    }
}

/// Takes a body of at most `limit` bytes, within a bounded time.
pub(super) async fn take(body: Body, limit: usize) -> Result<Vec<u8>, Cut> {
    let whole = async {
        let mut chunks = body.into_data_stream();
        let (mut taken, mut seen) = (Vec::new(), 0_usize);
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|_| Cut::BrokeOff)?;
            seen = seen.saturating_add(chunk.len());
            if seen <= limit {
                taken.extend_from_slice(&chunk);
            } else if seen > limit.saturating_mul(DRAINED) {
                break;
            }
        }
        if seen > limit {
            Err(Cut::TooLarge(limit))
        } else {
            Ok(taken)
        }
    };
    tokio::time::timeout(PATIENCE, whole).await.unwrap_or(Err(Cut::Late))
}

/// A text, and what was unusual about the way in which it came.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Text {
    pub(super) text: String,
    pub(super) remarks: Vec<String>,
}

/// Why a body cannot be unpacked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Packed {
    /// It is larger than this many bytes then.
    TooLarge(usize),
    /// It is packed in a way that is not understood.
    Unknown(String),
    /// It is not what it says to be.
    Broken(&'static str),
}

impl std::fmt::Display for Packed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::TooLarge(limit) => write!(f, "the body is larger than {limit} bytes when it is unpacked"),
            Self::Unknown(named) => write!(f, "the Content-Encoding '{named}' is not understood"),
            Self::Broken(packed) => write!(f, "the body cannot be unpacked ({packed})"),
        }
    }
}

/// Reads a body as text. `limit` is the most bytes that it may have unpacked.
///
/// # Errors
/// It is packed in a way that cannot be unpacked; the message says so.
pub(super) fn read(headers: &HeaderMap, bytes: Vec<u8>, limit: usize) -> Result<Text, Packed> {
    let mut remarks = Vec::new();
    let bytes = unpacked(headers, bytes, limit, &mut remarks)?;
    let (encoding, mark) = encoding(headers, &bytes);
    let (text, replaced) = encoding.decode_with_bom_removal(&bytes);
    if encoding != UTF_8 || mark {
        let (mark, without) = if mark {
            (" with a byte order mark", " without one")
        } else {
            ("", "")
        };
        remarks.push(format!(
            "the body was read as {}{mark}: send UTF-8{without}",
            encoding.name()
        ));
    }
    if replaced {
        remarks.push("characters of the body that cannot be read were replaced".to_owned());
    }
    Ok(Text {
        text: text.into_owned(),
        remarks,
    })
}

/// What the bytes say counts more than the header: a proxy may have unpacked them already.
fn unpacked(headers: &HeaderMap, bytes: Vec<u8>, limit: usize, remarks: &mut Vec<String>) -> Result<Vec<u8>, Packed> {
    let named = text_of(headers, header::CONTENT_ENCODING);
    let packed = if bytes.starts_with(&[0x1f, 0x8b]) {
        Some("gzip")
    } else if named == "deflate" && bytes.first() == Some(&0x78) {
        Some("deflate")
    } else {
        None
    };
    let Some(packed) = packed else {
        let plain = matches!(named.as_str(), "" | "identity" | "gzip" | "x-gzip" | "deflate") || bytes.is_empty();
        return if plain {
            Ok(bytes)
        } else {
            Err(Packed::Unknown(shown(&named)))
        };
    };
    let mut unpacked = Vec::new();
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    let read = if packed == "gzip" {
        MultiGzDecoder::new(bytes.as_slice())
            .take(most)
            .read_to_end(&mut unpacked)
    } else {
        ZlibDecoder::new(bytes.as_slice()).take(most).read_to_end(&mut unpacked)
    };
    if read.is_err() {
        return Err(Packed::Broken(packed));
    }
    if unpacked.len() > limit {
        return Err(Packed::TooLarge(limit));
    }
    remarks.push(format!("the body was unpacked ({packed}): send it as it is"));
    Ok(unpacked)
}

/// By the byte order mark, by the header, by the zeros of UTF-16, and what is no UTF-8 is Latin-1.
fn encoding(headers: &HeaderMap, bytes: &[u8]) -> (&'static Encoding, bool) {
    if let Some((encoding, _)) = Encoding::for_bom(bytes) {
        return (encoding, true);
    }
    let content_type = text_of(headers, header::CONTENT_TYPE);
    let label = content_type
        .split(';')
        .filter_map(|part| part.trim().strip_prefix("charset="))
        .map(|label| label.trim_matches('"'))
        .next();
    let named = label.and_then(|label| Encoding::for_label(label.as_bytes()));
    let encoding = match (bytes, named) {
        ([0, second, ..], _) if *second != 0 => UTF_16BE,
        ([first, 0, ..], _) if *first != 0 => UTF_16LE,
        (_, Some(named)) if named != UTF_8 && named.is_ascii_compatible() => named,
        _ if std::str::from_utf8(bytes).is_ok() => UTF_8,
        _ => WINDOWS_1252,
    };
    (encoding, false)
}

fn text_of(headers: &HeaderMap, name: header::HeaderName) -> String {
    let value = headers
        .get(name)
        .map(axum::http::HeaderValue::as_bytes)
        .unwrap_or_default();
    String::from_utf8_lossy(value).trim().to_ascii_lowercase()
}

/// What a client wrote, short and harmless enough for a message.
pub(super) fn shown(text: &str) -> String {
    text.chars().take(40).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::{
        Compression,
        write::{GzEncoder, ZlibEncoder},
    };
    use proptest::prelude::*;

    use super::*;

    const LIMIT: usize = 1000;

    fn headers(all: &[(header::HeaderName, &'static str)]) -> HeaderMap {
        all.iter()
            .map(|(name, value)| (name.clone(), axum::http::HeaderValue::from_static(value)))
            .collect()
    }

    fn wide(text: &str, mark: bool, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
        let mark = mark.then_some(0xfeff);
        mark.into_iter().chain(text.encode_utf16()).flat_map(bytes).collect()
    }

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut out = GzEncoder::new(Vec::new(), Compression::default());
        out.write_all(text).unwrap();
        out.finish().unwrap()
    }

    #[test]
    fn a_text_is_the_same_in_every_encoding_that_systems_send() {
        let text = "{\"reason\":\"Jürgen left\"}";
        let latin: Vec<u8> = text.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
        zlib.write_all(text.as_bytes()).unwrap();
        let none = HeaderMap::new();
        for (headers, bytes, remarked) in [
            (none.clone(), text.as_bytes().to_vec(), ""),
            (
                none.clone(),
                [b"\xef\xbb\xbf", text.as_bytes()].concat(),
                "UTF-8 with a byte order mark",
            ),
            (
                none.clone(),
                wide(text, true, u16::to_le_bytes),
                "UTF-16LE with a byte order mark",
            ),
            (
                none.clone(),
                wide(text, true, u16::to_be_bytes),
                "UTF-16BE with a byte order mark",
            ),
            (none.clone(), wide(text, false, u16::to_le_bytes), "UTF-16LE"),
            (none.clone(), wide(text, false, u16::to_be_bytes), "UTF-16BE"),
            (none.clone(), latin.clone(), "windows-1252"),
            (
                headers(&[(header::CONTENT_TYPE, "application/json; charset=\"ISO-8859-1\"")]),
                latin.clone(),
                "windows-1252",
            ),
            (
                headers(&[(header::CONTENT_TYPE, "application/json; charset=utf-8")]),
                latin,
                "windows-1252",
            ),
            (
                headers(&[(header::CONTENT_TYPE, "application/json; charset=utf-16")]),
                text.as_bytes().to_vec(),
                "",
            ),
            (none.clone(), gzip(text.as_bytes()), "gzip"),
            (
                headers(&[(header::CONTENT_ENCODING, "gzip")]),
                gzip(&wide(text, true, u16::to_le_bytes)),
                "gzip",
            ),
            (
                headers(&[(header::CONTENT_ENCODING, "deflate")]),
                zlib.finish().unwrap(),
                "deflate",
            ),
            (
                headers(&[(header::CONTENT_ENCODING, "gzip")]),
                text.as_bytes().to_vec(),
                "",
            ),
        ] {
            let read = read(&headers, bytes, LIMIT).unwrap();
            assert_eq!(read.text, text, "{remarked}");
            assert_eq!(read.remarks.is_empty(), remarked.is_empty(), "{:?}", read.remarks);
            assert!(read.remarks.join(" ").contains(remarked), "{:?}", read.remarks);
            let said = read.remarks.join(" ");
            assert_eq!(said.contains("without one"), said.contains("byte order mark"), "{said}");
        }
    }

    #[test]
    fn what_cannot_be_unpacked_is_said_and_unpacks_no_further_than_the_limit() {
        let broken = &gzip(b"{}")[..12];
        assert!(
            read(&HeaderMap::new(), broken.to_vec(), LIMIT)
                .unwrap_err()
                .to_string()
                .contains("gzip")
        );
        let bomb = gzip(&vec![b' '; 1 << 22]);
        assert!(
            read(&HeaderMap::new(), bomb, LIMIT)
                .unwrap_err()
                .to_string()
                .contains("1000 bytes")
        );
        let brotli = headers(&[(header::CONTENT_ENCODING, "br")]);
        assert!(
            read(&brotli, vec![0x8b, 0], LIMIT)
                .unwrap_err()
                .to_string()
                .contains("'br'")
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused_with_words(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            match read(&HeaderMap::new(), bytes, LIMIT) {
                Ok(read) => prop_assert!(read.remarks.len() <= 3),
                Err(why) => prop_assert!(!why.to_string().is_empty()),
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_is_taken_within_bounds_of_size_and_time() {
        use futures::stream::{self, StreamExt as _};
        let of = |chunks: Vec<Result<&'static str, std::io::Error>>| Body::from_stream(stream::iter(chunks));
        assert_eq!(take(of(vec![Ok("ab"), Ok("cd")]), 4).await, Ok(b"abcd".to_vec()));
        assert_eq!(take(of(vec![Ok("ab"), Ok("cde")]), 4).await, Err(Cut::TooLarge(4)));
        let broken = of(vec![Ok("ab"), Err(std::io::Error::other("gone"))]);
        assert_eq!(take(broken, 4).await, Err(Cut::BrokeOff));
        let endless = Body::from_stream(stream::repeat("x").map(Ok::<_, std::io::Error>));
        assert_eq!(take(endless, 4).await, Err(Cut::TooLarge(4)));
        let stuck = stream::once(async { Ok::<_, std::io::Error>("a") }).chain(stream::pending());
        assert_eq!(take(Body::from_stream(stuck), 4).await, Err(Cut::Late));
    }
}
