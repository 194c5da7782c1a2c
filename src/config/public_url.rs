//! Where people reach the HTTP API: the one place that builds public addresses.

use std::fmt;

use url::Url;

/// The base of every public address, without a slash at its end. A reverse proxy may serve the API under a path of its own
/// (`https://vpn.example.com/vpn`), which it takes away before it asks the operator; that path is in every address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl {
    base: String,
    path: String,
}

impl PublicUrl {
    /// Reads a base, with a slash at its end or without.
    ///
    /// # Errors
    /// What is wrong with the text, and what to give instead.
    pub fn parse(text: &str) -> Result<Self, String> {
        let url = Url::parse(text).map_err(|error| format!("{error}; give one like https://vpn.example.com"))?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err("give a URL that begins with https:// or http://".to_owned());
        }
        if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
            return Err("give scheme, host and path only".to_owned());
        }
        Ok(Self {
            base: url.as_str().trim_end_matches('/').to_owned(),
            path: url.path().trim_end_matches('/').to_owned(),
        })
    }

    /// The whole address of a path of the API, which begins with a slash.
    #[must_use]
    pub fn address(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// The same without scheme and host, for whoever is on this host already: `/vpn/user/AB123456`. Right also for those who
    /// reach the host by another name.
    #[must_use]
    pub fn path(&self, path: &str) -> String {
        format!("{}{path}", self.path)
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.base)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_carries_the_path_of_the_proxy_whatever_slash_is_at_its_end() {
        for (given, address, path) in [
            ("https://x.example", "https://x.example/docs", "/docs"),
            ("https://x.example/", "https://x.example/docs", "/docs"),
            ("https://x.example/vpn", "https://x.example/vpn/docs", "/vpn/docs"),
            ("https://x.example/vpn/", "https://x.example/vpn/docs", "/vpn/docs"),
            ("http://[::1]:8080/a/b//", "http://[::1]:8080/a/b/docs", "/a/b/docs"),
            ("https://x.example/ü", "https://x.example/%C3%BC/docs", "/%C3%BC/docs"),
        ] {
            let public = PublicUrl::parse(given).unwrap();
            assert_eq!(
                (public.address("/docs").as_str(), public.path("/docs").as_str()),
                (address, path)
            );
            assert_eq!(PublicUrl::parse(&public.to_string()).unwrap(), public);
        }
    }

    #[test]
    fn what_is_no_base_is_refused_with_what_to_give() {
        for (given, why) in [
            ("vpn.example.com", "https://vpn.example.com"),
            ("ftp://x.example", "https:// or http://"),
            ("https://a:b@x.example", "scheme, host and path only"),
            ("https://x.example/?a", "scheme, host and path only"),
            ("https://x.example/#a", "scheme, host and path only"),
        ] {
            assert!(PublicUrl::parse(given).unwrap_err().contains(why), "{given}");
        }
    }
}
