//! How names and passwords stand in links.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, PercentEncode, utf8_percent_encode};

/// Everything but the unreserved characters of RFC 3986.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A text as it may stand anywhere in a link.
pub(super) fn encoded(text: impl AsRef<str>) -> String {
    pieces(text.as_ref()).collect()
}

/// The same in pieces.
pub(super) fn pieces(text: &str) -> PercentEncode<'_> {
    utf8_percent_encode(text, RESERVED)
}
