//! What is said to a panel, and what it answers.

use jiff::civil::Date;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An account as the panel lists it.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its password.
    pub password: SecretString,
    /// Bytes that it may move, up and down together; nothing means no limit.
    pub limit: Option<u64>,
    /// Days from `created` on after which it is over; nothing means for ever.
    pub days: Option<u32>,
    /// Since when the days count. Nothing until the panel has seen it move a byte.
    pub created: Option<Date>,
    /// Nobody is let in.
    pub blocked: bool,
    /// The auth service asks for neither limit nor days.
    pub unlimited: bool,
    /// What people, and the operator, noted.
    pub note: String,
    /// Bytes that the panel has counted: up and down.
    pub moved: (u64, u64),
    /// Devices online now.
    pub online: u32,
}

#[derive(Deserialize)]
pub(super) struct Listed {
    username: String,
    #[serde(deserialize_with = "secret")]
    password: SecretString,
    max_download_bytes: i64,
    expiration_days: i64,
    account_creation_date: Option<String>,
    blocked: bool,
    unlimited_user: bool,
    note: Option<String>,
    upload_bytes: Option<u64>,
    download_bytes: Option<u64>,
    #[serde(default)]
    online_count: u32,
}

impl Listed {
    pub(super) fn entry(self) -> (String, Entry) {
        let positive = |it: i64| u64::try_from(it).ok().filter(|it| *it > 0);
        let entry = Entry {
            password: self.password,
            limit: positive(self.max_download_bytes),
            days: positive(self.expiration_days).map(|it| u32::try_from(it).unwrap_or(u32::MAX)),
            created: self.account_creation_date.and_then(|it| it.parse().ok()),
            blocked: self.blocked,
            unlimited: self.unlimited_user,
            note: self.note.unwrap_or_default(),
            moved: (self.upload_bytes.unwrap_or(0), self.download_bytes.unwrap_or(0)),
            online: self.online_count,
        };
        (self.username, entry)
    }
}

/// A new account.
#[derive(Debug, Clone)]
pub struct NewAccount {
    /// Its password.
    pub password: SecretString,
    /// Whole GB (of 2^30 bytes); 0 means no limit.
    pub limit_gb: u32,
    /// Days; 0 means for ever.
    pub days: u32,
    /// What is noted.
    pub note: String,
}

/// What is to change of an account. What is `None` stays.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Change {
    /// Nobody is let in, or people are again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blocked: Option<bool>,
    /// The password.
    #[serde(
        rename = "new_password",
        skip_serializing_if = "Option::is_none",
        serialize_with = "exposed"
    )]
    pub password: Option<SecretString>,
    /// Whole GB (of 2^30 bytes); 0 means no limit.
    #[serde(rename = "new_traffic_limit", skip_serializing_if = "Option::is_none")]
    pub limit_gb: Option<u32>,
    /// Days; 0 means for ever.
    #[serde(rename = "new_expiration_days", skip_serializing_if = "Option::is_none")]
    pub days: Option<u32>,
    /// Whether limit and days count.
    #[serde(rename = "unlimited_ip", skip_serializing_if = "Option::is_none")]
    pub unlimited: Option<bool>,
    /// What is noted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl Change {
    /// Whether nothing is to change. Such a call would kick all the same.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.blocked.is_none()
            && self.password.is_none()
            && self.limit_gb.is_none()
            && self.days.is_none()
            && self.unlimited.is_none()
            && self.note.is_none()
    }
}

#[expect(clippy::ref_option, reason = "serde hands over the field as it is")]
fn exposed<S: Serializer>(secret: &Option<SecretString>, to: S) -> Result<S::Ok, S::Error> {
    secret.as_ref().map(ExposeSecret::expose_secret).serialize(to)
}

#[derive(Deserialize)]
pub(super) struct Linked {
    username: String,
    ipv4: Option<Uri>,
    ipv6: Option<Uri>,
    #[serde(default)]
    nodes: Vec<LinkedNode>,
}

#[derive(Deserialize)]
struct LinkedNode {
    name: String,
    uri: Uri,
}

/// An address with a password in it.
#[derive(Deserialize)]
struct Uri(#[serde(deserialize_with = "secret")] SecretString);

impl Linked {
    /// The account, and its links: the panel's own addresses first.
    pub(super) fn links(self) -> (String, PanelLinks) {
        let own = [("IPv4", self.ipv4), ("IPv6", self.ipv6)];
        let own = own
            .into_iter()
            .filter_map(|(name, uri)| Some((name.to_owned(), uri?.0)));
        let further = self.nodes.into_iter().map(|node| (node.name, node.uri.0));
        (self.username, own.chain(further).collect())
    }
}

fn secret<'de, D: Deserializer<'de>>(from: D) -> Result<SecretString, D::Error> {
    String::deserialize(from).map(SecretString::from)
}

/// An account's links, as the panel writes them: the name of the node, and the address with name and password as they are.
pub type PanelLinks = Vec<(String, SecretString)>;

/// The body of an add.
#[derive(Serialize)]
pub(super) struct Add<'a> {
    username: &'a str,
    password: &'a str,
    traffic_limit: u32,
    expiration_days: u32,
    unlimited: bool,
    note: &'a str,
}

impl<'a> Add<'a> {
    pub(super) fn new(name: &'a str, account: &'a NewAccount) -> Self {
        Self {
            username: name,
            password: account.password.expose_secret(),
            traffic_limit: account.limit_gb,
            expiration_days: account.days,
            unlimited: false,
            note: &account.note,
        }
    }
}

/// The body of a call that is about several accounts.
#[derive(Serialize)]
pub(super) struct Accounts<'a> {
    usernames: Vec<&'a str>,
}

impl<'a> Accounts<'a> {
    pub(super) fn of(names: &'a [impl AsRef<str>]) -> Self {
        let usernames = names.iter().map(AsRef::as_ref).collect();
        Self { usernames }
    }
}

/// What the panel says about an error.
#[derive(Deserialize)]
pub(super) struct Refusal {
    pub(super) detail: String,
}
