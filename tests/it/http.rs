//! The API over the real history and keys, and doubles of the other rooms below it: every answer's shape, and what must never
//! happen.

mod access;
mod documents;
mod gateways;
mod handover;
mod holds;
mod id_files;
mod ids;
mod journal;
mod orders;
mod own_page;
mod page;
mod people;
mod public;
mod release_many;
mod renewal;
mod roles;
mod shell;
mod subscription;
mod world;

use std::net::SocketAddr;

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::ConnectInfo,
    http::{HeaderMap, Method, Request, StatusCode, header},
};
use serde_json::Value;
use tower::ServiceExt as _;

use self::world::{SECRET, World};

/// An answer, read to its end.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error} in {}", self.text))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Checks that this is a problem document with everything that one has, and answers its detail.
    pub fn problem(&self, status: u16) -> String {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        assert_eq!(self.header("content-type"), "application/problem+json", "{}", self.text);
        let document = self.json();
        assert_eq!(document["status"], status);
        assert_eq!(document["request_id"], self.header("x-request-id"));
        assert!(
            document["type"]
                .as_str()
                .unwrap()
                .starts_with("urn:vpn-operator:problem:")
        );
        assert!(!document["title"].as_str().unwrap().is_empty());
        document["detail"].as_str().unwrap().to_owned()
    }
}

/// A request with the secret, and without a body unless one is set.
pub struct Ask(axum::http::request::Builder, Body);

pub fn ask(method: &str, path: &str) -> Ask {
    bare(method, path).header("x-corporate-secret", SECRET)
}

pub fn bare(method: &str, path: &str) -> Ask {
    let peer: SocketAddr = "192.0.2.1:4711".parse().unwrap();
    let method: Method = method.parse().unwrap();
    let builder = Request::builder().method(method).uri(path).extension(ConnectInfo(peer));
    Ask(builder, Body::empty())
}

impl Ask {
    pub fn header(self, name: &str, value: &str) -> Self {
        Self(self.0.header(name, value), self.1)
    }

    pub fn from(self, peer: &str) -> Self {
        let peer: SocketAddr = peer.parse().unwrap();
        Self(self.0.extension(ConnectInfo(peer)), self.1)
    }

    pub fn json(self, body: &Value) -> Self {
        self.header(header::CONTENT_TYPE.as_str(), "application/json")
            .body(body.to_string())
    }

    pub fn body(self, body: impl Into<Body>) -> Self {
        Self(self.0, body.into())
    }

    pub async fn of(self, router: &Router) -> Answer {
        let response = router.clone().oneshot(self.0.body(self.1).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, 1 << 22).await.unwrap();
        Answer {
            status: parts.status,
            headers: parts.headers,
            text: String::from_utf8(bytes.to_vec()).unwrap(),
        }
    }
}
