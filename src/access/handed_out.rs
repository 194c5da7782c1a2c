//! What of a person's credentials was handed out to whom, for the audit: that it was, and never what stood in it.
//!
//! Whoever asks with a secret has a row for each answer. A subscription link is fetched by clients every few hours for as long as
//! they live, so a row says that one was fetched from a network by a kind of client from which it was not fetched for a month: a
//! link that is used somewhere else than usual shows, and the rows of a year are a few for each device.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
};

use ipnet::IpNet;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::{Caller, Configuration, Dependencies, Result, UseCases, canonical, tell};
use crate::{
    history::{AuditEntry, OWN_SOURCE},
    model::corporate_id::CorporateId,
};

/// Action of a row about an answer with credentials in it.
const HANDED_OUT: &str = "credentials.handed-out";
/// Action of a row about a fetched subscription.
const FETCHED: &str = "subscription.fetched";

/// How long a network and a kind of client are not told of again.
const AGAIN_AFTER: SignedDuration = SignedDuration::from_hours(24 * 30);
/// Most fetches that are remembered; then it is looked up in the audit again.
const REMEMBERED: usize = 100_000;
/// Fetches of a person among which one is looked up.
const LOOKED_THROUGH: u32 = 500;
/// Most characters of the name of a client.
const MAX_CLIENT: usize = 32;

/// Fetches that a row tells of already, each in one text, and when that was.
#[derive(Debug, Default)]
pub(super) struct Fetches(Mutex<HashMap<String, Timestamp>>);

impl Fetches {
    /// Whether a row tells of it; `now` counts as told from here on.
    fn is_told(&self, fetch: String, now: Timestamp) -> bool {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if told.get(&fetch).is_some_and(|at| now.duration_since(*at) < AGAIN_AFTER) {
            return true;
        }
        if told.len() >= REMEMBERED {
            told.clear();
        }
        told.insert(fetch, now);
        false
    }
}

impl UseCases {
    /// As [`Self::configuration`], for a caller to whom it is handed out: a row of the audit says so.
    ///
    /// # Errors
    /// As [`Self::configuration`].
    pub async fn hand_out(&self, caller: &Caller, id: &CorporateId) -> Result<Configuration> {
        let configuration = self.configuration(id).await?;
        self.dependencies.note_handed_out(caller, id).await;
        Ok(configuration)
    }

    /// Somebody fetched a person's subscription from this address, with a client that calls itself so. Nobody waits for its row.
    pub fn subscription_fetched(&self, id: &CorporateId, address: IpAddr, client: &str) {
        let (client, network) = (kind(client), network(address));
        let now = self.dependencies.clock.now();
        if self.fetches.is_told([id.key(), &client, &network].join(" "), now) {
            return;
        }
        let told = tell::json(&json!({ "client": client, "network": network }));
        let (dependencies, id) = (self.dependencies.clone(), canonical(id));
        self.tasks.spawn(async move {
            if dependencies.has_fetched(&id, &told, now).await {
                return;
            }
            let entry = AuditEntry {
                actor: id.as_str().to_owned(),
                source: OWN_SOURCE.to_owned(),
                action: FETCHED.to_owned(),
                corporate_id: Some(id.into()),
                after: Some(told),
                address: Some(address.to_string()),
                ..AuditEntry::default()
            };
            dependencies.audit_denial(entry).await;
        });
    }
}

impl Dependencies {
    /// Says in the audit that a caller was handed out what a person needs to connect. A history that cannot be written keeps nobody
    /// from it.
    pub(super) async fn note_handed_out(&self, caller: &Caller, id: &CorporateId) {
        self.audit_denial(caller.entry(HANDED_OUT, Some(id))).await;
    }

    /// Whether the audit tells of such a fetch not long ago.
    async fn has_fetched(&self, id: &CorporateId, told: &str, now: Timestamp) -> bool {
        let rows = self
            .journal
            .own_rows(id.as_str().to_owned(), FETCHED, LOOKED_THROUGH)
            .await;
        rows.unwrap_or_default()
            .iter()
            .any(|row| row.entry.after.as_deref() == Some(told) && now.duration_since(row.at) < AGAIN_AFTER)
    }
}

/// The network that an address lies in, as coarse as one household or office has it.
fn network(address: IpAddr) -> String {
    let length = if address.is_ipv4() { 24 } else { 48 };
    IpNet::new(address, length).map_or_else(|_| address.to_string(), |net| net.trunc().to_string())
}

/// What a client calls itself, without its version and everything behind it.
fn kind(client: &str) -> String {
    let name = client.split(['/', ' ', '(']).next().unwrap_or_default();
    let plain = name
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
    let name: String = plain.take(MAX_CLIENT).collect();
    if name.is_empty() { "unknown".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_told_by_its_name_and_its_network() {
        assert_eq!(kind("HiddifyNext/2.0.5 (android) like ClashMeta"), "HiddifyNext");
        assert_eq!(kind("https://token@host"), "https");
        assert_eq!(kind(""), "unknown");
        assert_eq!(kind(&"x".repeat(100)).len(), MAX_CLIENT);
        assert_eq!(network("192.0.2.77".parse().unwrap()), "192.0.2.0/24");
        assert_eq!(network("2001:db8:1:2::7".parse().unwrap()), "2001:db8:1::/48");
    }

    #[test]
    fn a_fetch_is_told_once_a_month() {
        let fetches = Fetches::default();
        let noon: Timestamp = "2026-03-15T12:00:00Z".parse().unwrap();
        let fetch = || "ab1 clash here".to_owned();
        assert!(!fetches.is_told(fetch(), noon));
        assert!(fetches.is_told(fetch(), noon + SignedDuration::from_hours(24 * 29)));
        assert!(!fetches.is_told("ab1 clash there".to_owned(), noon));
        assert!(!fetches.is_told(fetch(), noon + AGAIN_AFTER));
    }
}
