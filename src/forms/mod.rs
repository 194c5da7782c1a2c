//! The forms of a subscription: what each kind of VPN client reads, made of the servers of a person and the person's credentials.
//!
//! Pure but for a memory of its own: all but the credentials is the same for everybody who has the same servers, so it is made
//! once and the credentials are put into it. It decides nothing, and never logs what it makes.

pub mod clients;
mod empty;
mod hysteria;
mod mihomo;
mod names;
mod prepared;
mod quoted;
mod sing_box;
pub mod template;
mod uri;
mod yaml;

use std::sync::{Arc, PoisonError, RwLock};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use secrecy::SecretString;

pub use self::{empty::empty, template::Templates};
use self::{names::Named, prepared::Prepared};
use crate::gateway::{Credentials, server::Server};

/// What a document is to look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Form {
    /// One link a line.
    Uri,
    /// [`Self::Uri`] in base64.
    Base64,
    /// A configuration of the official client, for one server.
    Hysteria,
    /// A profile of sing-box.
    SingBox,
    /// A profile of mihomo.
    Mihomo,
}

impl Form {
    /// Every form.
    pub const ALL: [Self; 5] = [Self::Uri, Self::Base64, Self::Hysteria, Self::SingBox, Self::Mihomo];

    /// Media type of a document.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Uri | Self::Base64 => "text/plain; charset=utf-8",
            Self::Hysteria | Self::Mihomo => "application/yaml; charset=utf-8",
            Self::SingBox => "application/json",
        }
    }

    /// What a file name of a document ends with. Nothing where clients show the name as that of the profile.
    #[must_use]
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Uri | Self::Base64 | Self::Mihomo => "",
            Self::Hysteria => ".yaml",
            Self::SingBox => ".json",
        }
    }
}

/// A document for one person.
#[derive(Debug)]
pub struct Document {
    /// What the client reads. The credentials are in it.
    pub body: SecretString,
    /// Changes, but for chance, when the body does: hexadecimal digits.
    pub tag: String,
}

/// None of a person's servers can be used by clients that read this form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("none of the servers can be used with this kind of client: use another client")]
pub struct NoServer;

/// How many documents without credentials are remembered. Each is for one form and one set of servers, in one order.
const REMEMBERED: usize = 64;

struct Remembered {
    form: Form,
    servers: Vec<Arc<Server>>,
    prepared: Arc<Prepared>,
}

/// Makes documents.
pub struct Forms {
    templates: Templates,
    insecure: bool,
    remembered: RwLock<Vec<Remembered>>,
}

impl Default for Forms {
    fn default() -> Self {
        Self::new(Templates::default(), true)
    }
}

impl Forms {
    /// With these templates. `insecure`: documents may tell clients not to verify a certificate where nothing else is possible.
    #[must_use]
    pub const fn new(templates: Templates, insecure: bool) -> Self {
        Self {
            templates,
            insecure,
            remembered: RwLock::new(Vec::new()),
        }
    }

    /// Whether documents may tell clients not to verify a certificate.
    #[must_use]
    pub const fn allow_insecure(&self) -> bool {
        self.insecure
    }

    /// The document with which these credentials connect to these servers, the first of them first.
    ///
    /// # Errors
    /// Clients that read this form can use none of the servers.
    pub fn document(
        &self,
        form: Form,
        servers: &[Arc<Server>],
        credentials: &Credentials,
    ) -> Result<Document, NoServer> {
        // Base64 depends on every byte: it is made of the text of this person.
        let base = if form == Form::Base64 { Form::Uri } else { form };
        let prepared = match self.known(base, servers) {
            Some(known) => known,
            None => self.remember(base, servers)?,
        };
        let (mut body, mut tag) = prepared.with(credentials);
        if form == Form::Base64 {
            body = STANDARD.encode(body);
            tag.push('b');
        }
        Ok(Document { body: body.into(), tag })
    }

    fn known(&self, form: Form, servers: &[Arc<Server>]) -> Option<Arc<Prepared>> {
        let remembered = self.remembered.read().unwrap_or_else(PoisonError::into_inner);
        let same = |it: &&Remembered| it.form == form && same(&it.servers, servers);
        remembered.iter().find(same).map(|it| Arc::clone(&it.prepared))
    }

    fn remember(&self, form: Form, servers: &[Arc<Server>]) -> Result<Arc<Prepared>, NoServer> {
        let prepared = Arc::new(self.prepare(form, servers)?);
        let mut remembered = self.remembered.write().unwrap_or_else(PoisonError::into_inner);
        if remembered.len() >= REMEMBERED {
            remembered.remove(0);
        }
        remembered.push(Remembered {
            form,
            servers: servers.to_vec(),
            prepared: Arc::clone(&prepared),
        });
        Ok(prepared)
    }

    fn prepare(&self, form: Form, servers: &[Arc<Server>]) -> Result<Prepared, NoServer> {
        let usable: Vec<&Server> = servers
            .iter()
            .map(|server| &**server)
            .filter(|server| match form {
                Form::SingBox => sing_box::knows(server),
                Form::Mihomo => mihomo::knows(server),
                Form::Uri | Form::Base64 | Form::Hysteria => true,
            })
            .collect();
        let first = usable.first().ok_or(NoServer)?;
        let (templates, insecure) = (&self.templates, self.insecure);
        let named = |reserved: &[String]| Named::all(&usable, reserved);
        Ok(match form {
            Form::Uri | Form::Base64 => {
                Prepared::link(usable.len(), |secret| uri::document(&named(&[]), secret, insecure))
            }
            Form::Hysteria => Prepared::quoted(1, |secret| hysteria::document(first, secret, insecure)),
            Form::SingBox => {
                let named = named(&templates.sing_box.reserved());
                Prepared::quoted(usable.len(), |secret| {
                    sing_box::document(&templates.sing_box, &named, secret, insecure)
                })
            }
            Form::Mihomo => {
                let named = named(&templates.mihomo.reserved());
                Prepared::quoted(usable.len(), |secret| {
                    mihomo::document(&templates.mihomo, &named, secret, insecure)
                })
            }
        })
    }
}

/// Mostly the very same: gateways keep what they hand out while nothing changes.
fn same(one: &[Arc<Server>], other: &[Arc<Server>]) -> bool {
    let mut pairs = one.iter().zip(other);
    one.len() == other.len() && pairs.all(|(one, other)| Arc::ptr_eq(one, other) || one == other)
}

#[cfg(test)]
mod tests;
