//! Looking people up.

use std::sync::Arc;

use super::{
    AccessError, Dependencies, Former, HoldFilter, HoldView, Proof, Result, TRAFFIC_DAYS, UseCases, canonical,
};
use crate::{
    history::{AuditRow, Page, RevocationRow, Totals, TrafficRow},
    model::{
        access::{Access, Reason},
        corporate_id::CorporateId,
        user::VpnUser,
    },
    registry::Owner,
    roster::Person,
};

/// Rows of history that are shown with a person.
const ROWS: u32 = 20;

/// Whom to list.
#[derive(Debug, Clone, Default)]
pub struct UserFilter {
    /// Only people with this access.
    pub access: Option<Access>,
    /// Only people for this reason.
    pub reason: Option<Reason>,
    /// Only people with a live hold, or only people without.
    pub held: Option<bool>,
    /// Only people with a session at the last poll, or only people of whom none is known.
    pub online: Option<bool>,
    /// Only people whose ID, owner, email or role holds this text, whatever the case.
    pub q: Option<String>,
}

/// A person in a list.
#[derive(Debug, Clone)]
pub struct UserSummary {
    /// Name of the object; keyset of the page.
    pub name: String,
    /// ID as declared.
    pub corporate_id: CorporateId,
    /// The object; `None` if only holds exist.
    pub user: Option<Arc<VpnUser>>,
    /// Account on the gateways.
    pub username: String,
    /// What auth does now.
    pub access: Access,
    /// Why.
    pub reason: Reason,
    /// Names of the holds that are live.
    pub live_holds: Vec<String>,
    /// Since when the person has access only because the guard holds a denial back.
    pub held_back_since: Option<jiff::Timestamp>,
    /// Sessions online at the last poll; `None` while none is known of and a node has not said anything yet.
    pub sessions: Option<u32>,
}

/// A page of people.
#[derive(Debug, Clone)]
pub struct UserPage {
    /// The people, in the order of their object names.
    pub users: Vec<UserSummary>,
    /// `after` of the next page, if there may be one.
    pub next: Option<String>,
}

/// Everything that is known of a person, without secrets.
#[derive(Debug, Clone)]
pub struct UserView {
    /// As in a list.
    pub summary: UserSummary,
    /// When access changes by itself.
    pub next_change: Option<jiff::Timestamp>,
    /// Traffic; `None` when history cannot be read.
    pub traffic: Option<Totals>,
    /// Bytes that count against the limit at present.
    pub used: Option<u64>,
    /// Whose ID it is in the words of the registry, where nobody is declared with it.
    pub registered: Option<Owner>,
    /// Every hold, live or not.
    pub holds: Vec<HoldView>,
    /// The revocation of the present epoch.
    pub revocation: Option<Proof>,
    /// Latest audit rows; `None` when history cannot be read.
    pub audit: Option<Vec<AuditRow>>,
    /// Latest revocations; `None` when history cannot be read.
    pub revocations: Option<Vec<RevocationRow>>,
    /// Traffic of the last days; `None` when history cannot be read.
    pub traffic_by_day: Option<Vec<TrafficRow>>,
    /// When the object was deleted, if only holds are left.
    pub deleted_at: Option<jiff::Timestamp>,
}

impl UseCases {
    /// People in the order of their object names, from behind `after` on.
    ///
    /// # Errors
    /// Only an internal one.
    pub async fn users(&self, filter: UserFilter, limit: usize, after: Option<String>) -> Result<UserPage> {
        let dependencies = self.dependencies.clone();
        // A filter that few people pass looks at everybody: not on the threads that answer logins.
        let page = tokio::task::spawn_blocking(move || dependencies.users(&filter, limit, after.as_deref()))
            .await
            .map_err(|_| AccessError::Interrupted);
        self.dependencies.answerable().await;
        page
    }

    /// Everything that is known of a person.
    ///
    /// # Errors
    /// Nothing is known.
    pub async fn user(&self, id: &CorporateId) -> Result<UserView> {
        let dependencies = &self.dependencies;
        let user = dependencies.known_user(id);
        let person = dependencies.people.person(id);
        let Some(id) = user
            .as_ref()
            .map(|user| user.spec.corporate_id.clone())
            .or_else(|| person.as_ref().map(|person| person.corporate_id.clone()))
        else {
            return Err(dependencies.nobody(id).await);
        };
        let heard = dependencies.every_node_was_heard();
        let summary = dependencies.summary(&id, user.clone(), person.as_ref(), heard);
        let revocation = person
            .as_ref()
            .map(|person| dependencies.recorded(person))
            .filter(|proof| proof.denied_at.is_some());
        let journal = &dependencies.journal;
        let page = Page {
            limit: ROWS,
            before: None,
        };
        let key: String = canonical(&id).into();
        let (traffic, audit, revocations, traffic_by_day) = tokio::join!(
            dependencies.traffic(&summary.username),
            journal.audit_rows(Some(key.clone()), page),
            journal.revocations(key, ROWS),
            journal.traffic_by_day(summary.username.clone(), TRAFFIC_DAYS),
        );
        dependencies.answerable().await;
        let period = user
            .as_ref()
            .and_then(|user| user.spec.traffic.as_ref())
            .map(|t| t.period);
        let counted = traffic.map(|totals| {
            totals
                .usage
                .in_period(period.unwrap_or_default(), dependencies.clock.now())
        });
        // Of somebody who is gone the gateways forget in the end what they proved: the history has it.
        let last = revocations.as_ref().ok().and_then(|rows| rows.first());
        let former = last.filter(|_| user.is_none());
        let registered = match user {
            Some(_) => None,
            None => dependencies.owners(std::slice::from_ref(&id)).await.remove(&id),
        };
        Ok(UserView {
            registered,
            deleted_at: former.and_then(|row| row.deleted_at),
            summary,
            next_change: person.and_then(|person| person.declared.next_change),
            traffic,
            used: counted,
            holds: dependencies.holds(&HoldFilter {
                corporate_id: Some(id),
                ..HoldFilter::default()
            }),
            revocation: revocation.or_else(|| Some(dependencies.recorded_of_former(former?))),
            audit: audit.ok(),
            revocations: revocations.ok(),
            traffic_by_day: traffic_by_day.ok(),
        })
    }
}

impl Dependencies {
    /// What is said of somebody of whom no object and no hold is left: that they are nobody, and what happened to them last.
    async fn nobody(&self, id: &CorporateId) -> AccessError {
        let key: String = canonical(id).into();
        let page = Page { limit: 1, before: None };
        let (revocations, audit) = tokio::join!(
            self.journal.revocations(key.clone(), 1),
            self.journal.audit_rows(Some(key), page)
        );
        let revocation = revocations.ok().and_then(|rows| rows.into_iter().next());
        let row = audit.ok().and_then(|rows| rows.into_iter().next());
        let proof = revocation.as_ref().map(|row| self.recorded_of_former(row));
        let last = match (&revocation, row) {
            (Some(revocation), _) => last_revocation(revocation, proof.as_ref()),
            (None, Some(row)) => format!("{} by {} at {}", row.entry.action, row.entry.actor, row.at),
            (None, None) => return AccessError::UnknownPerson(id.clone()),
        };
        AccessError::Former(Box::new(Former {
            corporate_id: id.clone(),
            deleted_at: revocation.and_then(|row| row.deleted_at),
            revocation: proof,
            last,
        }))
    }

    fn users(&self, filter: &UserFilter, limit: usize, after: Option<&str>) -> UserPage {
        let q = filter.q.as_deref().map(str::to_lowercase);
        let asks_person = filter.access.is_some() || filter.reason.is_some() || filter.held.is_some();
        let mut keep = |user: &VpnUser| {
            q.as_deref().is_none_or(|q| mentions(user, q))
                && filter
                    .online
                    .is_none_or(|wanted| wanted == (self.links.sessions(&user.spec.account()) > 0))
                && (!asks_person || {
                    let person = self.people.person(&user.spec.corporate_id);
                    let (access, reason) = verdict(person.as_ref());
                    let held = person.is_some_and(|person| !person.live_holds.is_empty());
                    filter.access.is_none_or(|wanted| wanted == access)
                        && filter.reason.is_none_or(|wanted| wanted == reason)
                        && filter.held.is_none_or(|wanted| wanted == held)
                })
        };
        let found = self.directory.users(after, limit, &mut keep);
        let next = found
            .last()
            .filter(|_| found.len() >= limit)
            .and_then(|user| user.metadata.name.clone());
        let heard = self.every_node_was_heard();
        let users = found
            .into_iter()
            .map(|user| {
                let id = user.spec.corporate_id.clone();
                let person = self.people.person(&id);
                self.summary(&id, Some(user), person.as_ref(), heard)
            })
            .collect();
        UserPage { users, next }
    }

    /// Whether every node has shown since the start of this process who is online.
    pub(super) fn every_node_was_heard(&self) -> bool {
        self.links.health().iter().all(|node| node.polled_at.is_some())
    }

    fn summary(
        &self,
        id: &CorporateId,
        user: Option<Arc<VpnUser>>,
        person: Option<&Person>,
        every_node_was_heard: bool,
    ) -> UserSummary {
        let username = match (&user, person) {
            (Some(user), _) => user.spec.account(),
            (None, Some(person)) => person.account.clone(),
            (None, None) => id.account(),
        };
        let (access, reason) = verdict(person);
        let sessions = self.links.sessions(&username);
        UserSummary {
            name: id.object_name(),
            corporate_id: id.clone(),
            sessions: Some(sessions).filter(|sessions| *sessions > 0 || every_node_was_heard),
            user,
            username,
            access,
            reason,
            live_holds: person.map(|person| person.live_holds.clone()).unwrap_or_default(),
            held_back_since: person.and_then(|person| person.held_back_since),
        }
    }
}

fn last_revocation(revocation: &RevocationRow, proof: Option<&Proof>) -> String {
    let RevocationRow { reason, denied_at, .. } = revocation;
    let deleted = match revocation.deleted_at {
        Some(at) => format!("deleted at {at}, "),
        None => String::new(),
    };
    let contained = match revocation.contained_at {
        Some(at) => format!("no session passed another byte from {at} on"),
        None => "that every session was cut is not proved".to_owned(),
    };
    let waiting: &[String] = proof.map_or(&[], |proof| &proof.waiting_for);
    let zero = match revocation.sessions_zero_at {
        Some(at) => format!("no session was left from {at} on"),
        None if waiting.is_empty() => "that no session was left was never seen".to_owned(),
        None => format!("that no session is left is waited for from {}", waiting.join(", ")),
    };
    format!("{deleted}access was revoked at {denied_at} ({reason}), {contained}, {zero}")
}

fn verdict(person: Option<&Person>) -> (Access, Reason) {
    person.map_or((Access::Denied, Reason::Deleted), |person| {
        (person.effective.access, person.reason())
    })
}

fn mentions(user: &VpnUser, q: &str) -> bool {
    let spec = &user.spec;
    spec.corporate_id.key().contains(q)
        || [&spec.owner, &spec.email, &spec.role]
            .into_iter()
            .flatten()
            .any(|text| text.to_lowercase().contains(q))
}
