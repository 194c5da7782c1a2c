//! What a person needs to connect.

use secrecy::SecretString;

use super::{AccessError, Denial, Dependencies, Result, UseCases};
use crate::{
    forms::{Document, Form, NoServer},
    gateway::{Credentials, Link},
    history::Totals,
    issue::Connection,
    model::{
        access::{Access, Reason},
        corporate_id::CorporateId,
        user::VpnUser,
    },
};

/// Everything that a person needs to connect.
#[derive(Debug, Clone)]
pub struct Configuration {
    /// ID as declared.
    pub corporate_id: CorporateId,
    /// Account on the gateways, with its password.
    pub credentials: Credentials,
    /// Where clients fetch the links, and browsers a page.
    pub subscription_url: SecretString,
    /// Client links, one a node. Never empty.
    pub links: Vec<Link>,
    /// Traffic so far; `None` when history cannot be read.
    pub traffic: Option<Totals>,
}

impl Configuration {
    /// The link of the first node.
    #[must_use]
    pub fn first_link(&self) -> SecretString {
        self.links
            .first()
            .map(|link| link.url(&self.credentials))
            .unwrap_or_default()
    }
}

impl UseCases {
    /// A configuration in the form that a kind of client reads.
    ///
    /// # Errors
    /// Clients of this kind can use none of the servers.
    pub fn document(&self, form: Form, configuration: &Configuration) -> std::result::Result<Document, NoServer> {
        let Configuration { links, credentials, .. } = configuration;
        self.dependencies.issuer.document(form, links, credentials)
    }

    /// The configuration of a person who has access.
    ///
    /// # Errors
    /// The person is unknown or denied, or there is nothing to connect to.
    pub async fn configuration(&self, id: &CorporateId) -> Result<Configuration> {
        let dependencies = &self.dependencies;
        let user = dependencies
            .known_user(id)
            .ok_or_else(|| AccessError::UnknownPerson(id.clone()))?;
        let permitted = dependencies.permitted(&user);
        dependencies.answerable().await;
        permitted?;
        dependencies.configuration_of(&user).await
    }
}

impl Dependencies {
    /// Refuses whom auth refuses.
    pub(super) fn permitted(&self, user: &VpnUser) -> Result<()> {
        let id = &user.spec.corporate_id;
        if self.people.access(id) == Access::Granted {
            return Ok(());
        }
        let (reason, holds) = match self.people.person(id) {
            None => (Reason::Deleted, Vec::new()),
            // Granted this very moment.
            Some(person) if person.effective.access == Access::Granted => return Ok(()),
            Some(person) => (person.effective.reason, person.live_holds),
        };
        Err(AccessError::Denied(Denial {
            corporate_id: id.clone(),
            reason,
            holds,
        }))
    }

    /// The configuration of a user, without a look at access.
    pub(super) async fn configuration_of(&self, user: &VpnUser) -> Result<Configuration> {
        self.configuration_at(user, self.issuer.subscription_url(user)).await
    }

    /// The configuration of a user whose subscription has this address, without a look at access.
    pub(super) async fn configuration_at(&self, user: &VpnUser, address: SecretString) -> Result<Configuration> {
        let id = &user.spec.corporate_id;
        let connection = self.issuer.connection(user);
        let Some(Connection { credentials, links }) = connection.filter(|it| !it.links.is_empty()) else {
            return Err(self.no_link(user));
        };
        Ok(Configuration {
            corporate_id: id.clone(),
            subscription_url: address,
            links,
            traffic: self.traffic(&user.spec.account()).await,
            credentials,
        })
    }

    /// Says why there is no link.
    pub(super) fn no_link(&self, user: &VpnUser) -> AccessError {
        AccessError::NoLink {
            id: user.spec.corporate_id.clone(),
            why: self.links.obstacles(user),
        }
    }

    /// Totals of an account; a history that cannot be read keeps nobody from a configuration. From memory where they are there:
    /// clients ask often, and a question to the history costs more than all the rest of the answer.
    pub(super) async fn traffic(&self, account: &str) -> Option<Totals> {
        if let Some(totals) = self.links.totals(account) {
            return Some(totals);
        }
        match self.journal.totals(account.to_owned()).await {
            Ok(totals) => Some(totals),
            Err(error) => {
                tracing::warn!(%error, "traffic totals cannot be read");
                None
            }
        }
    }
}
