//! Looking IDs up.

use std::collections::HashMap;

use super::super::{AccessError, Dependencies, HoldFilter, HoldView, Result, UseCases};
use crate::{
    model::{
        access::{Access, Reason},
        corporate_id::CorporateId,
    },
    registry::{Change, Entry, Owner, Search, TelegramLink},
};

/// Changes that are shown with an ID.
const CHANGES: u32 = 50;

/// What is said of an ID to somebody who wants to know whether it is good.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Validity {
    /// Somebody may use it: it is issued or active, or a person is declared with it who is active.
    pub valid: bool,
    /// The status in the registry; `declared` where only a person is declared with it, `unknown` where nothing is known.
    pub status: &'static str,
    /// Whose it is.
    pub owner: Option<String>,
}

/// A page of IDs.
#[derive(Debug, Clone)]
pub struct IdPage {
    /// The IDs, in their order.
    pub entries: Vec<Entry>,
    /// `after` of the next page, if there may be one.
    pub next: Option<String>,
}

/// Everything that is known of an ID.
#[derive(Debug, Clone)]
pub struct IdView {
    /// The ID.
    pub entry: Entry,
    /// What was done with it, newest first.
    pub changes: Vec<Change>,
    /// The Telegram account that the former service had linked to it.
    pub telegram: Option<TelegramLink>,
    /// What auth does with the person now; `None` if nobody is declared or held.
    pub access: Option<(Access, Reason)>,
    /// Every hold on it.
    pub holds: Vec<HoldView>,
}

impl UseCases {
    /// Whether an ID is good, and whose it is.
    ///
    /// # Errors
    /// The registry cannot be read.
    pub async fn validate_id(&self, id: &CorporateId) -> Result<Validity> {
        let dependencies = &self.dependencies;
        let entry = dependencies.registry().get(id).await?;
        let user = dependencies.known_user(id);
        let declared_owner = user.as_ref().and_then(|user| user.spec.owner.clone());
        Ok(match (entry, user) {
            (Some(entry), _) => Validity {
                valid: entry.status.is_valid(),
                status: entry.status.as_str(),
                owner: declared_owner.or(entry.owner.owner),
            },
            (None, Some(user)) => Validity {
                valid: user.spec.active && user.metadata.deletion_timestamp.is_none(),
                status: "declared",
                owner: declared_owner,
            },
            (None, None) => Validity {
                status: "unknown",
                ..Validity::default()
            },
        })
    }

    /// IDs in their order, from behind `after` on.
    ///
    /// # Errors
    /// The registry cannot be read.
    pub async fn ids(&self, search: Search, limit: u32, after: Option<String>) -> Result<IdPage> {
        let entries = self.dependencies.registry().search(search, after, limit).await?;
        let full = u32::try_from(entries.len()).is_ok_and(|len| len >= limit);
        let next = entries.last().filter(|_| full).map(|last| last.id.to_string());
        Ok(IdPage { entries, next })
    }

    /// Everything that is known of an ID.
    ///
    /// # Errors
    /// There is no such ID, or the registry cannot be read.
    pub async fn id(&self, id: &CorporateId) -> Result<IdView> {
        let dependencies = &self.dependencies;
        let registry = dependencies.registry();
        let Some(entry) = registry.get(id).await? else {
            return Err(AccessError::UnknownId(id.clone()));
        };
        let person = dependencies.people.person(id);
        let holds = dependencies.holds(&HoldFilter {
            corporate_id: Some(id.clone()),
            ..HoldFilter::default()
        });
        Ok(IdView {
            changes: registry.changes(id, CHANGES).await?,
            telegram: registry.telegram(id).await?,
            access: person.map(|person| (person.effective.access, person.reason())),
            holds,
            entry,
        })
    }

    /// Whose IDs these are: in the words of who declared the person, and where nobody is declared, of the registry. Without
    /// those of whom neither knows anything. A registry that cannot be read knows nothing.
    pub async fn owners(&self, ids: &[CorporateId]) -> HashMap<CorporateId, Owner> {
        self.dependencies.owners(ids).await
    }
}

impl Dependencies {
    pub(in crate::access) async fn owners(&self, ids: &[CorporateId]) -> HashMap<CorporateId, Owner> {
        let (mut owners, mut rest) = (HashMap::new(), Vec::new());
        for id in ids {
            match self.known_user(id) {
                Some(user) => {
                    let owner = Owner {
                        owner: user.spec.owner.clone(),
                        email: user.spec.email.clone(),
                        department: None,
                    };
                    owners.insert(id.clone(), owner);
                }
                None => rest.push(id.clone()),
            }
        }
        match self.registry().owners(rest).await {
            Ok(registered) => owners.extend(registered),
            Err(error) => tracing::warn!(%error, "the registry cannot say whose IDs these are"),
        }
        owners
    }

    /// Refuses to declare somebody with an ID that is revoked or archived.
    pub(in crate::access) async fn refuse_revoked_id(&self, id: &CorporateId) -> Result<()> {
        match self.registry().get(id).await? {
            Some(entry) if !entry.status.is_valid() => Err(AccessError::RevokedId {
                status: entry.status,
                corporate_id: entry.id,
            }),
            Some(_) | None => Ok(()),
        }
    }
}
