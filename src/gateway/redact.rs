//! The one rule by which addresses and failures of the network are shown: no user info, no query, no fragment.

use url::Url;

/// An address as it may stand in a log, an error or a status: scheme, host, port and path.
///
/// A path can hold a secret too (the token of the auth listener); such an address is not to be shown at all.
#[must_use]
pub fn url(url: &Url) -> String {
    bare(url).into()
}

/// An address without user info, query and fragment.
pub(super) fn bare(url: &Url) -> Url {
    let mut bare = url.clone();
    // Addresses that cannot hold user info (`data:…`) refuse the change, and have none to hide.
    let _ = bare.set_username("");
    let _ = bare.set_password(None);
    bare.set_query(None);
    bare.set_fragment(None);
    bare
}

/// The innermost cause of a transport error, which names no address.
#[must_use]
pub fn cause(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut innermost: &dyn std::error::Error = &error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_info_query_and_fragment_are_not_shown() {
        let address = Url::parse("https://admin:hunter2@node.example:9999/stats?token=abc#def").unwrap();
        assert_eq!(url(&address), "https://node.example:9999/stats");
    }
}
