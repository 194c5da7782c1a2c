//! What a person sees of themselves, and does with their own access: by the same use cases as everybody else.

use jiff::Timestamp;

use crate::{
    access::{AccessError, Caller, Configuration, Dependencies, Result, Rotate, Rotation, UseCases},
    linking::Link,
    model::{access::Access, corporate_id::CorporateId},
    roster::Person,
};

/// A person, as they may see themselves.
#[derive(Debug, Clone)]
pub struct LinkedView {
    /// The link.
    pub link: Link,
    /// ID as declared.
    pub corporate_id: CorporateId,
    /// Whether logins are let in now.
    pub granted: bool,
    /// Why not, or `Granted`.
    pub reason: &'static str,
    /// First moment of access.
    pub valid_from: Option<Timestamp>,
    /// First moment after access.
    pub valid_until: Option<Timestamp>,
    /// Devices online at the last poll; `None` while no node has said anything.
    pub devices: Option<u32>,
    /// How many devices may be connected at a time.
    pub max_devices: Option<u32>,
    /// Bytes moved in the present period; `None` while history cannot be read.
    pub used: Option<u64>,
    /// Bytes that may be moved in a period.
    pub limit: Option<u64>,
    /// When the count begins anew.
    pub resets_at: Option<Timestamp>,
    /// Holds that deny now.
    pub holds: Vec<OwnHold>,
}

/// A hold, as the person may see it who is held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnHold {
    /// By which way in it was placed.
    pub source: String,
    /// When it ends by itself.
    pub until: Option<Timestamp>,
}

/// The word for why somebody has access or not, as they are told it.
pub(super) fn word(person: Option<&Person>) -> (bool, &'static str) {
    let Some(person) = person else {
        return (false, "Undeclared");
    };
    match (person.effective.access, &person.user) {
        (Access::Granted, Some(_)) => (true, "Granted"),
        (_, None) if person.live_holds.is_empty() => (false, "Undeclared"),
        (_, _) => (false, person.effective.reason.as_str()),
    }
}

impl UseCases {
    /// The person of an account, as they may see themselves.
    ///
    /// # Errors
    /// The account is not linked, or the links cannot be read.
    pub async fn linked_person(&self, account: i64) -> Result<LinkedView> {
        let link = self.link_of_account(account).await?;
        let dependencies = &self.dependencies;
        let id = &link.id;
        let (user, person) = (dependencies.known_user(id), dependencies.people.person(id));
        let (granted, reason) = word(person.as_ref());
        let account = match (&user, &person) {
            (Some(user), _) => user.spec.account(),
            (None, Some(person)) => person.account.clone(),
            (None, None) => id.account(),
        };
        let now = dependencies.clock.now();
        let spec = user.as_ref().map(|user| &user.spec);
        let traffic = spec.and_then(|spec| spec.traffic.as_ref());
        let period = traffic.map(|traffic| traffic.period).unwrap_or_default();
        let sessions = dependencies.links.sessions(&account);
        let heard = sessions > 0 || dependencies.links.health().iter().all(|node| node.polled_at.is_some());
        let totals = dependencies.traffic(&account).await;
        let live = person.map(|person| person.live_holds).unwrap_or_default();
        dependencies.answerable().await;
        Ok(LinkedView {
            corporate_id: spec.map_or_else(|| id.clone(), |spec| spec.corporate_id.clone()),
            granted,
            reason,
            valid_from: spec.and_then(|spec| spec.valid_from),
            valid_until: spec.and_then(|spec| spec.valid_until),
            devices: heard.then_some(sessions),
            max_devices: spec.and_then(|spec| spec.max_devices),
            used: totals.map(|totals| totals.usage.in_period(period, now)),
            limit: traffic.map(|traffic| traffic.limit.get()),
            resets_at: traffic.and_then(|traffic| traffic.period.end(now)),
            holds: dependencies.holds_as_seen(&live),
            link,
        })
    }

    /// The configuration of the person of an account.
    ///
    /// # Errors
    /// The account is not linked, the person is denied or not declared, or there is nothing to connect to.
    pub async fn configuration_of_account(&self, caller: Caller, account: i64) -> Result<Configuration> {
        let link = self.link_of_account(account).await?;
        undeclared(self.hand_out(&caller.of_account(account), &link.id).await)
    }

    /// Rotates what the person of an account connects with.
    ///
    /// # Errors
    /// The account is not linked, the person is denied or not declared, or as [`Self::rotate`].
    pub async fn rotate_of_account(&self, caller: Caller, account: i64, what: Rotate) -> Result<Rotation> {
        let link = self.link_of_account(account).await?;
        let user = self
            .dependencies
            .known_user(&link.id)
            .ok_or_else(|| AccessError::Undeclared(link.id.clone()))?;
        self.dependencies.permitted(&user)?;
        undeclared(self.rotate(caller.of_account(account), link.id, what).await)
    }
}

/// Whoever is linked is somebody, and hears that nobody is declared with their ID.
fn undeclared<T>(done: Result<T>) -> Result<T> {
    done.map_err(|error| match error {
        AccessError::UnknownPerson(id) => AccessError::Undeclared(id),
        other => other,
    })
}

impl Dependencies {
    fn holds_as_seen(&self, names: &[String]) -> Vec<OwnHold> {
        let holds = names.iter().filter_map(|name| self.directory.hold(name));
        holds
            .map(|hold| OwnHold {
                source: hold.spec.source.clone(),
                until: hold.spec.until,
            })
            .collect()
    }
}
