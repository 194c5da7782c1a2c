//! Values of settings as people write them.

use std::{fmt, net::IpAddr, path::PathBuf, str::FromStr, time::Duration};

use clap::builder::{OsStringValueParser, TypedValueParser};
use ipnet::IpNet;
use jiff::SignedDuration;
use url::Url;

/// Where desired state lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DesiredLocation {
    /// A folder of YAML files.
    Folder(PathBuf),
    /// The namespace of a Kubernetes cluster in which the operator runs.
    Kubernetes,
}

impl FromStr for DesiredLocation {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "kubernetes" => Ok(Self::Kubernetes),
            Some(("folder", path)) if !path.is_empty() => Ok(Self::Folder(path.into())),
            _ => Err("give folder:PATH, like folder:./vpn, or kubernetes".to_owned()),
        }
    }
}

impl fmt::Display for DesiredLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path) => write!(f, "folder:{}", path.display()),
            Self::Kubernetes => f.write_str("kubernetes"),
        }
    }
}

/// Public UDP ports: `443`, `20000-50000`, or a comma-separated list of both. The spelling is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ports(pub String);

impl FromStr for Ports {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let port = |text: &str| {
            text.parse::<u16>()
                .ok()
                .filter(|port| *port > 0 && !text.starts_with('+'))
        };
        let good = text.split(',').all(|part| match part.split_once('-') {
            None => port(part).is_some(),
            Some((from, to)) => matches!((port(from), port(to)), (Some(from), Some(to)) if from <= to),
        });
        if good {
            Ok(Self(text.to_owned()))
        } else {
            Err("give a port (443), a range (20000-50000), or a list of them (443,20000-50000)".to_owned())
        }
    }
}

impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Base URLs of traffic statistics APIs, written comma-separated; without a trailing slash.
///
/// # Errors
/// Says which entry is wrong and why. The text itself is not repeated: it may hold a password.
pub(super) fn stats_urls(text: &str) -> Result<Vec<String>, String> {
    let mut urls = Vec::new();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let number = urls.len() + 1;
        base_url(part, "HYSTERIA_STATS_SECRET").map_err(|message| format!("entry {number} {message}"))?;
        let url = part.trim_end_matches('/').to_owned();
        if urls.contains(&url) {
            return Err(format!("entry {number} stands there twice"));
        }
        urls.push(url);
    }
    Ok(urls)
}

/// Checks a base URL; what is wrong is said without its subject. Its secret belongs in the variable `secret`.
fn base_url(text: &str, secret: &str) -> Result<(), String> {
    let url = Url::parse(text).map_err(|error| format!("is no URL ({error}): give one like http://10.0.0.5:9999"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err("must begin with http:// or https://".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(format!("has a user in it: the secret belongs in {secret}"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("has a query: give the base URL only".to_owned());
    }
    Ok(())
}

/// A URL of a panel, without a slash at its end. Its secret belongs in the variable `secret`.
pub(crate) fn panel_url(text: &str, secret: &str) -> Result<String, String> {
    base_url(text, secret).map_err(|message| format!("it {message}"))?;
    Ok(text.trim_end_matches('/').to_owned())
}

/// Networks, written comma-separated; a lone address is a network of one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProxyNetworks(pub Vec<IpNet>);

impl FromStr for ProxyNetworks {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        text.split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty())
            .map(|part| {
                part.parse::<IpNet>()
                    .or_else(|_| part.parse::<IpAddr>().map(IpNet::from))
                    .map_err(|_| format!("{part} is no network: give one like 10.0.0.0/8 or an address"))
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

/// A span of time as people write it: `500ms`, `5s`, `1h 30m`, `24h`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let bad = || "give a time like 500ms, 30s, 5m or 24h".to_owned();
    text.parse::<jiff::SignedDuration>()
        .map_err(|_| bad())
        .and_then(|span| Duration::try_from(span).map_err(|_| bad()))
}

/// A pause between polls: neither so short that it burdens the nodes, nor so long that quotas mean nothing.
pub(crate) fn poll_interval(text: &str) -> Result<Duration, String> {
    duration(text).and_then(|span| {
        if (Duration::from_millis(100)..=Duration::from_secs(300)).contains(&span) {
            Ok(span)
        } else {
            Err("give a time between 100ms and 5m".to_owned())
        }
    })
}

/// A pause between backups: each is a copy of everything, and a month without one is none.
pub(super) fn backup_interval(text: &str) -> Result<Duration, String> {
    duration(text).and_then(|span| {
        if (Duration::from_secs(60)..=Duration::from_secs(31 * 86_400)).contains(&span) {
            Ok(span)
        } else {
            Err("give a time between 1m and 31d".to_owned())
        }
    })
}

/// A window of the guard: long enough to count anything in, short enough that a day ends it.
pub(super) fn guard_window(text: &str) -> Result<SignedDuration, String> {
    let (least, most) = (SignedDuration::from_secs(1), SignedDuration::from_hours(24));
    let window = duration(text).ok().and_then(|span| SignedDuration::try_from(span).ok());
    window
        .filter(|window| (least..=most).contains(window))
        .ok_or_else(|| "give a time between 1s and 24h, like 10m".to_owned())
}

/// A path that may be empty, which templates write for absent.
pub(crate) fn optional_path() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().map(PathBuf::from)
}
