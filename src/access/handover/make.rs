//! Making a link, and listing those that there are.

use jiff::SignedDuration;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;

use crate::{
    access::{AccessError, Caller, Denial, Dependencies, Result, UseCases, announced::row, request_key, tell},
    handover::{Handover, Handovers, NewHandover},
    model::corporate_id::CorporateId,
};

/// Where links are opened, with the code behind it. Below the path of subscriptions: whatever lets those through, an Ingress or a
/// proxy, lets these through as well.
pub const OPEN_PATH: &str = "/sub/open/";

/// Shortest and longest time that a link may be good.
pub const SHORTEST_HANDOVER: SignedDuration = SignedDuration::from_mins(1);
/// See [`SHORTEST_HANDOVER`].
pub const LONGEST_HANDOVER: SignedDuration = SignedDuration::from_hours(24 * 30);
/// How long it is good where nothing else is said.
const USUAL: SignedDuration = SignedDuration::from_hours(24);

/// Most times that a link may open a page.
pub const MOST_USES: u32 = 20;

/// A link that somebody hands over.
#[derive(Debug, Clone)]
pub struct HandedOver {
    /// The link.
    pub handover: Handover,
    /// Its address.
    pub address: SecretString,
    /// Why the person has no access at present, and sees that instead of the page.
    pub denied: Option<Denial>,
}

impl UseCases {
    /// Makes a link for a person, whether or not they have access: a help desk may hand it over while access is on its way, and the
    /// page says how it stands. The same `request` of the same caller (what that one calls it) makes it once, however often it is
    /// made.
    ///
    /// # Errors
    /// A value is out of bounds, nobody is declared with this ID, or history or the links cannot be written: then there is no link.
    pub async fn hand_over(
        &self,
        caller: Caller,
        id: CorporateId,
        valid: Option<SignedDuration>,
        uses: Option<u32>,
        reason: Option<String>,
        request: Option<String>,
    ) -> Result<HandedOver> {
        let valid = valid.unwrap_or(USUAL);
        if !(SHORTEST_HANDOVER..=LONGEST_HANDOVER).contains(&valid) {
            return Err(AccessError::Invalid {
                field: "ttl",
                message: "give a time from 1m to 720h (30 days), like 24h".to_owned(),
            });
        }
        let uses = uses.unwrap_or(1);
        if !(1..=MOST_USES).contains(&uses) {
            return Err(AccessError::Invalid {
                field: "uses",
                message: format!("give a number from 1 to {MOST_USES}"),
            });
        }
        request_key::check(request.as_deref())?;
        let dependencies = self.dependencies.clone();
        let wanted = Wanted {
            id,
            valid,
            uses,
            reason,
            request,
        };
        self.to_the_end(async move { dependencies.hand_over(&caller, wanted).await })
            .await
    }

    /// Links that open a person's page at present, newest first.
    ///
    /// # Errors
    /// Nobody is declared with this ID, and there are none; or the links cannot be read.
    pub async fn handovers(&self, id: &CorporateId) -> Result<Vec<Handover>> {
        let found = self.dependencies.handovers.open_of(id).await?;
        if found.is_empty() && self.dependencies.known_user(id).is_none() {
            return Err(AccessError::UnknownPerson(id.clone()));
        }
        Ok(found)
    }
}

/// A link as it is asked for.
struct Wanted {
    id: CorporateId,
    valid: SignedDuration,
    uses: u32,
    reason: Option<String>,
    request: Option<String>,
}

impl Dependencies {
    async fn hand_over(&self, caller: &Caller, wanted: Wanted) -> Result<HandedOver> {
        let user = self
            .known_user(&wanted.id)
            .ok_or_else(|| AccessError::UnknownPerson(wanted.id.clone()))?;
        let id = user.spec.corporate_id.clone();
        let denied = match self.permitted(&user) {
            Err(AccessError::Denied(denial)) => Some(denial),
            other => {
                other?;
                None
            }
        };
        if let Some(error) = self.journal.last_error() {
            return Err(error.into());
        }
        let request = wanted.request.map(|key| own(caller, &key));
        let code = match &request {
            Some(request) => self.handovers.code_of(&id, request),
            None => Handovers::draw().map_err(|error| {
                tracing::error!(%error, "the operating system gives no random numbers: no link is made");
                AccessError::Interrupted
            })?,
        };
        let path = format!("{OPEN_PATH}{}", code.expose_secret());
        let address = SecretString::from(self.issuer.public_url().address(&path));
        let new = NewHandover {
            made_by: caller.actor.clone(),
            valid: wanted.valid,
            uses: wanted.uses,
            id: id.clone(),
            code,
            request,
        };
        let mut entry = caller.entry("handover.made", Some(&id));
        entry.reason = wanted.reason;
        let told = move |link: &Handover| {
            entry.after = Some(tell::json(
                &json!({ "link": link.number, "validUntil": link.valid_until, "uses": link.uses }),
            ));
            row(&entry)
        };
        let made = self.handovers.make(new, told).await?;
        if let Some(unaudited) = made.unaudited
            && let Err(error) = self.audit_announced(&self.handovers.outbox(), &[unaudited]).await
        {
            if let Err(error) = self.handovers.unmake(made.handover.number, unaudited).await {
                tracing::warn!(%error, "a link that nobody was told of stays until its time is over");
            }
            return Err(error);
        }
        Ok(HandedOver {
            handover: made.handover,
            address,
            denied,
        })
    }
}

/// The name of a request with the name of whose it is, wherever they ask from: what one calls a request is nothing by which another
/// one is given its answer.
fn own(caller: &Caller, key: &str) -> String {
    let Caller {
        actor, source, address, ..
    } = caller;
    let name = match address {
        Some(address) if actor == address => "",
        Some(address) => actor.strip_suffix(&format!(" ({address})")).unwrap_or(actor),
        None => actor,
    };
    json!([source, name, key]).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desired::FieldManager;

    #[test]
    fn a_request_is_the_same_from_another_address_and_another_one_of_somebody_else() {
        let caller = |actor: &str, source: &str, address: &str| Caller {
            actor: actor.to_owned(),
            source: source.to_owned(),
            address: Some(address.to_owned()),
            request_id: None,
            event: None,
            manager: FieldManager::Api,
        };
        let anna = own(&caller("anna (10.0.0.1)", "bot", "10.0.0.1"), "k");
        assert_eq!(own(&caller("anna (10.0.0.2)", "bot", "10.0.0.2"), "k"), anna);
        assert_eq!(
            own(&caller("10.0.0.1", "api", "10.0.0.1"), "k"),
            own(&caller("10.0.0.2", "api", "10.0.0.2"), "k")
        );
        for other in [
            own(&caller("boris (10.0.0.1)", "bot", "10.0.0.1"), "k"),
            own(&caller("anna (10.0.0.1)", "helpdesk", "10.0.0.1"), "k"),
            own(&caller("anna (10.0.0.1)", "bot", "10.0.0.1"), "l"),
        ] {
            assert_ne!(other, anna);
        }
    }
}
