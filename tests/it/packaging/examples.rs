//! What somebody copies and runs as it is reaches nobody: nothing of it leaves the machine before it was changed.

use std::{fs, path::Path};

use regex::Regex;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Networks that documentation may name, and that belong to nobody.
const DOCUMENTATION: [&str; 3] = ["192.0.2.", "198.51.100.", "203.0.113."];

/// Hosts that stand in what a person reads or what is given to others, and that the operator never connects to.
const NAMES: [&str; 3] = ["example.com", "example.org", "example.net"];

fn collect(path: &Path, found: &mut Vec<(String, String)>) {
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            collect(&entry.unwrap().path(), found);
        }
        return;
    }
    let name = path.strip_prefix(ROOT).unwrap().to_str().unwrap().to_owned();
    let text = fs::read_to_string(path).unwrap();
    let markdown = path.extension().is_some_and(|extension| extension == "md");
    found.push((name, if markdown { blocks(&text) } else { text }));
}

/// What of a document is to be typed or copied: its code blocks.
fn blocks(markdown: &str) -> String {
    let parts = markdown.split("```").enumerate();
    let blocks = parts.filter(|(number, _)| number % 2 == 1).map(|(_, block)| block);
    blocks.collect::<Vec<_>>().join("\n")
}

/// Everything that is meant to be copied.
fn examples() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for name in [
        "README.md",
        ".env.example",
        "docker-compose.yml",
        "Dockerfile",
        "docs",
        "examples",
        "charts/vpn-operator/values.yaml",
        "charts/vpn-operator/ci",
        "templates",
    ] {
        collect(&Path::new(ROOT).join(name), &mut found);
    }
    assert!(found.len() > 15, "{} files were found", found.len());
    found
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host == "[::1]" || host.starts_with("127.")
}

fn is_within(host: &str, names: &[&str]) -> bool {
    names
        .iter()
        .any(|name| host == *name || host.strip_suffix(name).is_some_and(|rest| rest.ends_with('.')))
}

/// Addresses in a text that are neither this machine's, nor documentation's, nor a network's.
fn foreign_addresses(text: &str) -> Vec<String> {
    let address = Regex::new(r"(?:^|[^0-9.])((?:[0-9]{1,3}\.){3}[0-9]{1,3})(/[0-9]+)?").unwrap();
    let found = address.captures_iter(text).filter(|found| found.get(2).is_none());
    found
        .map(|found| found[1].to_owned())
        .filter(|host| !is_loopback(host) && host != "0.0.0.0")
        .filter(|host| !DOCUMENTATION.iter().any(|network| host.starts_with(network)))
        .collect()
}

/// Statistics APIs in a text that the operator would ask: of a node that is neither on this machine nor nobody's.
fn reachable_nodes(text: &str) -> Vec<String> {
    let url = Regex::new(r#"(?:statsUrl:|HYSTERIA_STATS_URLS[=:])\s*"?(https?://[^\s"'}]+)"#).unwrap();
    let urls = url
        .captures_iter(text)
        .flat_map(|found| found[1].split(',').map(str::to_owned).collect::<Vec<_>>());
    urls.filter(|url| {
        let host = host(url);
        // Other containers of the compose file.
        let of_compose = ["hysteria", "blitz"].contains(&host);
        !is_loopback(host) && !is_within(host, &["invalid"]) && !of_compose
    })
    .collect()
}

/// Other URLs in a text that name somebody's host.
fn foreign_urls(text: &str) -> Vec<String> {
    let url = Regex::new(r#"https?://[^\s"'`)<>}]+"#).unwrap();
    let urls = url
        .find_iter(text)
        .map(|found| found.as_str().trim_end_matches(['.', ',']));
    urls.filter(|url| {
        let host = host(url);
        let known = is_loopback(host) || is_within(host, &NAMES) || is_within(host, &["invalid", "internal"]);
        // One label is a container, a Service, or a word like HOST.
        let one_label = !host.contains('.');
        let of_cluster = is_within(host, &["svc"]);
        // Names of schemas are compared, not fetched.
        let schema = host == "json-schema.org" || host == "www.w3.org";
        !known && !one_label && !of_cluster && !schema
    })
    .map(str::to_owned)
    .collect()
}

fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.starts_with('[') {
        return authority.split_inclusive(']').next().unwrap_or_default();
    }
    authority.split(':').next().unwrap_or_default()
}

#[test]
fn nothing_that_is_meant_to_be_copied_reaches_beyond_the_machine() {
    let mut faults = Vec::new();
    for (name, text) in examples() {
        let found = [
            ("a node that is asked", reachable_nodes(&text)),
            ("an address", foreign_addresses(&text)),
            ("a URL", foreign_urls(&text)),
        ];
        for (what, found) in found {
            faults.extend(found.iter().map(|found| format!("{name}: {what}: {found}")));
        }
    }
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn what_reaches_somebody_is_found() {
    assert_eq!(
        reachable_nodes("statsUrl: http://10.0.0.5:9999\nHYSTERIA_STATS_URLS=http://127.0.0.1:1,http://192.0.2.7:2"),
        ["http://10.0.0.5:9999", "http://192.0.2.7:2"],
        "packets to a documentation address leave the machine as well"
    );
    assert_eq!(reachable_nodes("statsUrl: \"http://fra1.nodes.invalid:9999\""), [""; 0]);
    assert_eq!(
        foreign_addresses("10.0.0.5 10.0.0.0/8 192.0.2.7 127.0.0.1 0.0.0.0:1 8.8.8.8:53"),
        ["10.0.0.5", "8.8.8.8"]
    );
    assert_eq!(
        foreign_urls("http://vpn.example.com http://HOST:8081 https://hub.somebody.io/x http://notexample.com"),
        ["https://hub.somebody.io/x", "http://notexample.com"]
    );
    assert_eq!(blocks("http://a\n```sh\nhttp://b\n```\nhttp://c"), "sh\nhttp://b\n");
}
