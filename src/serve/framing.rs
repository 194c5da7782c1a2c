//! HTTP/1 requests that say their length in two ways are refused.
//!
//! A request with both `Content-Length` and `Transfer-Encoding` is how requests are smuggled past a proxy that believes the
//! other one (RFC 9112, 6.1 and 11.2). The HTTP library believes the latter and takes the former away before anybody sees
//! it, so the bytes are looked at on their way to it. The head of such a request is spoiled in its last byte: the library
//! answers 400 and closes the connection, behind the answers to what was sent before.
//!
//! What is looked at here decides nothing else: should it ever lose its place in a stream, the library's own reading counts.

use axum_server::accept::Accept;
use futures::future::{MapOk, TryFutureExt as _};

use super::watched_stream::{Watch, WatchedStream};

/// Name of a header; longer ones are none of the two.
const LONGEST: usize = 18;
/// How HTTP/2 begins.
const PREFACE: &[u8] = b"PRI * HTTP/2.0";
/// What a head cannot hold anywhere.
const SPOILED: u8 = 0;

/// What the next byte belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// The request line, which has begun as [`PREFACE`] does for so many bytes. Empty lines before it are allowed.
    RequestLine { alike: usize },
    /// The request line, which is no preface.
    Request,
    /// The name of a header, in lower case; `len` may pass the end of the array.
    Name { name: [u8; LONGEST], len: usize },
    /// The value of a header.
    Value(Header),
    /// A body of so many bytes.
    Body(u64),
    /// The size of a chunk, and whether its digits are over.
    ChunkSize { size: u64, digits_over: bool },
    /// So much of a chunk with its line break.
    Chunk(u64),
    /// What follows the last chunk; `empty` while nothing of the line was seen.
    Trailer { empty: bool },
    /// HTTP/2, or nothing that can be understood: no more is looked at.
    Elsewhere,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Header {
    ContentLength(u64),
    TransferEncoding,
    Other,
}

/// Follows the requests of one connection. No request on its stream says its length twice.
#[derive(Debug)]
pub struct Framing {
    at: At,
    content_length: Option<u64>,
    transfer_encoding: bool,
}

const BEGIN: At = At::RequestLine { alike: 0 };
const NO_NAME: At = At::Name {
    name: [0; LONGEST],
    len: 0,
};

impl Framing {
    const fn new() -> Self {
        Self {
            at: BEGIN,
            content_length: None,
            transfer_encoding: false,
        }
    }

    /// Looks at bytes, and spoils the head of a request that says its length twice.
    fn pass(&mut self, bytes: &mut [u8]) {
        let mut next = 0;
        while let Some(byte) = bytes.get_mut(next) {
            match self.at {
                At::Elsewhere => return,
                At::Body(left) | At::Chunk(left) => {
                    let step = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len() - next);
                    self.skip(left, step);
                    next += step;
                }
                _ => {
                    if !self.step(*byte) {
                        *byte = SPOILED;
                        self.at = At::Elsewhere;
                    }
                    next += 1;
                }
            }
        }
    }

    /// Passes over bytes of a body.
    fn skip(&mut self, left: u64, step: usize) {
        let left = left.saturating_sub(step as u64);
        self.at = match (self.at, left) {
            (At::Body(_), 0) => BEGIN,
            (At::Body(_), left) => At::Body(left),
            (_, 0) => At::ChunkSize {
                size: 0,
                digits_over: false,
            },
            (_, left) => At::Chunk(left),
        };
    }

    /// Takes one byte of a line. `false`: with it the head would be over, and says its length twice.
    fn step(&mut self, byte: u8) -> bool {
        self.at = match (self.at, byte) {
            (At::RequestLine { alike: 0 }, b'\r' | b'\n') => BEGIN,
            (At::RequestLine { alike }, byte) if PREFACE.get(alike) == Some(&byte) => match alike + 1 {
                alike if alike == PREFACE.len() => At::Elsewhere,
                alike => At::RequestLine { alike },
            },
            (At::RequestLine { .. } | At::Request, b'\n') => NO_NAME,
            (At::RequestLine { .. } | At::Request, _) => At::Request,
            (at @ At::Name { len: 0, .. }, b'\r') | (at @ (At::Body(_) | At::Chunk(_) | At::Elsewhere), _) => at,
            (At::Name { len: 0, .. }, b'\n') => {
                if self.content_length.is_some() && self.transfer_encoding {
                    return false;
                }
                self.end_of_head()
            }
            // A line that is no header: the library refuses it.
            (At::Name { .. }, b'\n') => NO_NAME,
            (At::Name { name, len }, b':') => self.named(&name, len),
            (At::Name { mut name, len }, byte) => {
                if let Some(place) = name.get_mut(len) {
                    *place = byte.to_ascii_lowercase();
                }
                At::Name { name, len: len + 1 }
            }
            (At::Value(header), b'\n') => {
                if let Header::ContentLength(length) = header {
                    self.content_length = Some(length);
                }
                NO_NAME
            }
            (At::Value(Header::ContentLength(length)), b'0'..=b'9') => {
                let digit = u64::from(byte - b'0');
                At::Value(Header::ContentLength(length.saturating_mul(10).saturating_add(digit)))
            }
            (At::ChunkSize { size: 0, .. }, b'\n') => At::Trailer { empty: true },
            // The line break behind a chunk, which has two bytes.
            (At::ChunkSize { size, .. }, b'\n') => At::Chunk(size.saturating_add(2)),
            (
                At::ChunkSize {
                    size,
                    digits_over: false,
                },
                byte,
            ) => match char::from(byte).to_digit(16) {
                Some(digit) => At::ChunkSize {
                    size: size.saturating_mul(16).saturating_add(digit.into()),
                    digits_over: false,
                },
                None => At::ChunkSize {
                    size,
                    digits_over: true,
                },
            },
            (at @ (At::Value(_) | At::ChunkSize { .. }), _) => at,
            (At::Trailer { empty: true }, b'\n') => {
                self.content_length = None;
                self.transfer_encoding = false;
                BEGIN
            }
            (At::Trailer { .. }, b'\n') => At::Trailer { empty: true },
            (At::Trailer { empty }, b'\r') => At::Trailer { empty },
            (At::Trailer { .. }, _) => At::Trailer { empty: false },
        };
        true
    }

    fn named(&mut self, name: &[u8; LONGEST], len: usize) -> At {
        At::Value(match name.get(..len) {
            Some(b"content-length") => Header::ContentLength(0),
            Some(b"transfer-encoding") => {
                self.transfer_encoding = true;
                Header::TransferEncoding
            }
            _ => Header::Other,
        })
    }

    fn end_of_head(&mut self) -> At {
        let length = self.content_length.take().unwrap_or(0);
        match (std::mem::take(&mut self.transfer_encoding), length) {
            (true, _) => At::ChunkSize {
                size: 0,
                digits_over: false,
            },
            (false, 0) => BEGIN,
            (false, length) => At::Body(length),
        }
    }
}

impl Watch for Framing {
    fn read(&mut self, bytes: &mut [u8]) {
        self.pass(bytes);
    }
}

/// Looks at what every connection sends.
#[derive(Clone)]
pub struct Strict<A>(pub A);

type Accepted<I, S> = fn((I, S)) -> (WatchedStream<I, Framing>, S);

impl<A, I, S> Accept<I, S> for Strict<A>
where
    A: Accept<I, S>,
{
    type Stream = WatchedStream<A::Stream, Framing>;
    type Service = A::Service;
    type Future = MapOk<A::Future, Accepted<A::Stream, A::Service>>;

    fn accept(&self, stream: I, service: S) -> Self::Future {
        let accepted: Accepted<A::Stream, A::Service> = |(stream, service)| {
            let watch = Framing::new();
            (WatchedStream { stream, watch }, service)
        };
        self.0.accept(stream, service).map_ok(accepted)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What the library gets when the bytes arrive in such pieces.
    fn passed(sent: &[u8], pieces: &[usize]) -> Vec<u8> {
        let mut framing = Framing::new();
        let mut got = sent.to_vec();
        let mut rest = got.as_mut_slice();
        let mut pieces = pieces.iter().cycle();
        while !rest.is_empty() {
            let step = (*pieces.next().unwrap()).min(rest.len());
            let (piece, later) = rest.split_at_mut(step);
            framing.pass(piece);
            rest = later;
        }
        got
    }

    const SMUGGLED: [&str; 5] = [
        "POST /x HTTP/1.1\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\nHost: a\r\nCONTENT-LENGTH:4\r\n\r\n",
        "POST /x HTTP/1.1\ntransfer-encoding: chunked\ncontent-length: 0\n\n",
        "GET / HTTP/1.1\r\nContent-Length: 0\r\nTransfer-Encoding: identity\r\n\r\n",
        "\r\nPRI /x HTTP/1.1\r\ncontent-length: 99999999999999999999\r\ntransfer-encoding: \r\n\r\n",
    ];

    fn request() -> impl Strategy<Value = Vec<u8>> {
        let evil = b"\r\n\r\nPOST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n";
        let body = prop_oneof![proptest::collection::vec(any::<u8>(), 0..40), Just(evil.to_vec())];
        let chunks = proptest::collection::vec(body.clone(), 0..4);
        let by_length = body.prop_map(|body| {
            let head = format!(
                "POST /a?b HTTP/1.1\r\nX-Transfer-Encoding: 1\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            [head.into_bytes(), body].concat()
        });
        let chunked = (chunks, any::<bool>()).prop_map(|(chunks, trailer)| {
            let mut sent = b"POST / HTTP/1.1\r\ntransfer-Encoding: chunked\r\nX: content-length: 3\r\n\r\n".to_vec();
            for chunk in chunks.iter().filter(|chunk| !chunk.is_empty()) {
                sent.extend(format!("{:X};ext=\"1\"\r\n", chunk.len()).bytes());
                sent.extend(chunk);
                sent.extend(b"\r\n");
            }
            sent.extend(if trailer {
                &b"0\r\nContent-Length: 4\r\n\r\n"[..]
            } else {
                b"0\r\n\r\n"
            });
            sent
        });
        let bare = Just(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n".to_vec());
        prop_oneof![by_length, chunked, bare]
    }

    proptest! {
        #[test]
        fn only_a_request_that_says_its_length_twice_is_spoiled(
            before in proptest::collection::vec(request(), 0..5),
            smuggled in proptest::sample::select(&SMUGGLED[..]),
            pieces in proptest::collection::vec(1..50usize, 1..6),
        ) {
            let good = before.concat();
            prop_assert_eq!(passed(&good, &pieces), good.clone());
            let sent = [&good[..], smuggled.as_bytes(), b"0\r\n\r\n"].concat();
            let mut expected = sent.clone();
            expected[good.len() + smuggled.len() - 1] = SPOILED;
            prop_assert_eq!(passed(&sent, &pieces), expected);
        }

        #[test]
        fn nothing_of_http_2_is_touched(frames in proptest::collection::vec(any::<u8>(), 0..200), pieces in proptest::collection::vec(1..50usize, 1..6)) {
            let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
            let sent = [&preface[..], &frames, SMUGGLED[0].as_bytes()].concat();
            prop_assert_eq!(passed(&sent, &pieces), sent);
        }
    }
}
