//! What a person needs to connect: credentials, links and the subscription link, made in one place for whoever hands them out.
//!
//! It reads memory, and decides nothing: who may have what it makes is asked before. What it makes is secret, and held in
//! [`SecretString`] until a shell writes it.

mod keys;

use std::sync::Arc;

use secrecy::{ExposeSecret as _, SecretString};
use subtle::ConstantTimeEq as _;

pub use keys::{Derived, Keys};

use crate::{
    config::PublicUrl,
    desired::connection_secrets::{ConnectionSecret, Profile},
    forms::{Document, Form, Forms, NoServer},
    gateway::{Credentials, Link},
    model::{corporate_id::CorporateId, user::VpnUser},
};

/// The running gateways, as far as links are made of them.
pub trait Linking: Send + Sync + 'static {
    /// Client links of an account on the gateway of this name, one a node; none where it does not run or its links are not
    /// known yet.
    fn links(&self, gateway: &str, credentials: &Credentials) -> Vec<Link>;
}

/// Makes what people need to connect. Cheap to clone.
#[derive(Clone)]
pub struct Issuer {
    keys: Arc<dyn Keys>,
    gateways: Arc<dyn Linking>,
    public_url: PublicUrl,
    forms: Arc<Forms>,
    profiles: Arc<[Profile]>,
}

/// What a person connects with.
#[derive(Debug, Clone)]
pub struct Connection {
    /// Name and password.
    pub credentials: Credentials,
    /// Client links, one a node of each of the user's gateways. Those that have not answered for minutes are the last.
    pub links: Vec<Link>,
}

impl Issuer {
    /// An issuer of an installation that is reached at `public_url`.
    #[must_use]
    pub fn new(keys: Arc<dyn Keys>, gateways: Arc<dyn Linking>, public_url: PublicUrl) -> Self {
        Self {
            keys,
            gateways,
            public_url,
            forms: Arc::default(),
            profiles: Arc::default(),
        }
    }

    /// Makes documents like these, and puts `profiles` beside what is kept for each person where others read it.
    #[must_use]
    pub fn with_forms(mut self, forms: Forms, profiles: &[Profile]) -> Self {
        self.forms = Arc::new(forms);
        self.profiles = profiles.into();
        self
    }

    /// Where people reach the HTTP shell.
    #[must_use]
    pub const fn public_url(&self) -> &PublicUrl {
        &self.public_url
    }

    /// Client links of a user; see [`Self::connection`].
    #[must_use]
    pub fn links(&self, user: &VpnUser) -> Vec<Link> {
        self.connection(user)
            .map(|connection| connection.links)
            .unwrap_or_default()
    }

    /// What a user connects with. Without links where no gateway has one; `None` if the password cannot be read now.
    #[must_use]
    pub fn connection(&self, user: &VpnUser) -> Option<Connection> {
        let credentials = self.keys.credentials(user)?;
        let mut links = self.links_with(user, &credentials);
        // The order of declaration holds otherwise, so that what clients remember stays what it was.
        links.sort_by_key(|link| link.silent);
        Some(Connection { credentials, links })
    }

    fn links_with(&self, user: &VpnUser, credentials: &Credentials) -> Vec<Link> {
        let gateways = user.spec.gateway_names();
        let mut links: Vec<Link> = gateways
            .iter()
            .flat_map(|name| self.gateways.links(name, credentials))
            .collect();
        if !self.forms.allow_insecure() {
            for link in &mut links {
                link.insecure = false;
            }
        }
        links
    }

    /// The document in which a client of this kind finds what a user connects with.
    ///
    /// # Errors
    /// Clients of this kind can use none of the servers.
    pub fn document(&self, form: Form, links: &[Link], credentials: &Credentials) -> Result<Document, NoServer> {
        let servers: Vec<_> = links.iter().map(|link| Arc::clone(&link.server)).collect();
        self.forms.document(form, &servers, credentials)
    }

    /// The subscription link of a user: `<public URL>/sub/<id>.<token>`.
    ///
    /// The ID in front makes the lookup one step without a table of tokens; the token behind it is what counts.
    #[must_use]
    pub fn subscription_url(&self, user: &VpnUser) -> SecretString {
        let id = &user.spec.corporate_id;
        let token = self.keys.subscription_token(id, user.spec.subscription_generation);
        self.address(id, token.expose_secret())
    }

    /// The link of which the last part is this one. It was found to be right: the token is not made again.
    #[must_use]
    pub fn subscription_url_with(&self, user: &VpnUser, last_part: &str) -> SecretString {
        let (_, token) = last_part.rsplit_once('.').unwrap_or_default();
        self.address(&user.spec.corporate_id, token)
    }

    fn address(&self, id: &CorporateId, token: &str) -> SecretString {
        let path = ["/sub/", id.key(), ".", token].concat();
        self.public_url.address(&path).into()
    }

    /// The user to whom the last part of a subscription link belongs, among those that `known` answers by ID. For an ID that
    /// nobody has a token is made as well, so that the time does not tell which there are.
    pub fn owner_of_token(
        &self,
        token: &str,
        known: impl FnOnce(&CorporateId) -> Option<Arc<VpnUser>>,
    ) -> Option<Arc<VpnUser>> {
        let (id, token) = token.rsplit_once('.')?;
        let id = CorporateId::parse(id).ok()?;
        let user = known(&id);
        let generation = user.as_ref().map_or(1, |user| user.spec.subscription_generation);
        let expected = self.keys.subscription_token(&id, generation);
        let same: bool = expected.expose_secret().as_bytes().ct_eq(token.as_bytes()).into();
        user.filter(|_| same)
    }

    /// What is kept for a user where others read it, whether access is granted or not; `None` while there is nothing to connect
    /// to, or the password is not known.
    #[must_use]
    pub fn connection_secret(&self, user: &VpnUser) -> Option<ConnectionSecret> {
        let credentials = self.keys.credentials(user)?;
        // Whatever answers at present: what is kept is not to change with that.
        let links = self.links_with(user, &credentials);
        let profile = |profile: &Profile| {
            let form = match profile {
                Profile::SingBox => Form::SingBox,
                Profile::Mihomo => Form::Mihomo,
            };
            // Where clients of a kind can use no server, there is nothing to keep for them.
            let document = self.document(form, &links, &credentials).ok()?;
            Some((*profile, document.body))
        };
        Some(ConnectionSecret {
            profiles: self.profiles.iter().filter_map(profile).collect(),
            hy2_url: links.first()?.url(&credentials),
            subscription_url: self.subscription_url(user),
            username: credentials.username,
            password: credentials.password,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        forms::Templates,
        gateway::{hysteria::ports::Ports, server::Server},
    };

    /// Two nodes, the first of which is silent.
    struct Two;

    impl Keys for Two {
        fn credentials(&self, _: &VpnUser) -> Option<Credentials> {
            Some(Credentials {
                username: "corp_a".to_owned(),
                password: "pw".into(),
            })
        }
        fn subscription_token(&self, _: &CorporateId, _: i64) -> SecretString {
            "token".into()
        }
    }

    impl Linking for Two {
        fn links(&self, _: &str, _: &Credentials) -> Vec<Link> {
            let link = |name: &str, silent| {
                let server = Server {
                    name: name.to_owned(),
                    host: format!("{name}.example.com"),
                    ports: Ports::DEFAULT,
                    sni: None,
                    pin_sha256: None,
                    insecure: true,
                    certificate: None,
                    obfs: None,
                };
                Link {
                    silent,
                    ..Link::new(Arc::new(server))
                }
            };
            vec![link("one", true), link("two", false)]
        }
    }

    fn issuer(insecure: bool, profiles: &[Profile]) -> Issuer {
        let two = Arc::new(Two);
        let url = PublicUrl::parse("https://vpn.example.com").unwrap();
        Issuer::new(Arc::clone(&two) as _, two, url).with_forms(Forms::new(Templates::default(), insecure), profiles)
    }

    fn user() -> VpnUser {
        VpnUser::new("a", serde_json::from_value(json!({ "corporateId": "A" })).unwrap())
    }

    #[test]
    fn silent_nodes_are_the_last_of_what_is_handed_out_and_change_nothing_that_is_kept() {
        let issuer = issuer(true, &[Profile::SingBox]);
        let links = issuer.links(&user());
        let names: Vec<&str> = links.iter().map(Link::name).collect();
        assert_eq!(names, ["two", "one"]);
        let kept = issuer.connection_secret(&user()).unwrap();
        assert!(kept.hy2_url.expose_secret().contains("one.example.com"));
        let [(profile, document)] = kept.profiles.as_slice() else {
            panic!("{:?}", kept.profiles);
        };
        let document: serde_json::Value = serde_json::from_str(document.expose_secret()).unwrap();
        let outbounds = document["outbounds"].as_array().unwrap();
        assert_eq!((*profile, &outbounds[3]["tag"]), (Profile::SingBox, &json!("one")));
        assert_eq!(outbounds[3]["password"], "corp_a:pw");
    }

    #[test]
    fn where_it_is_forbidden_no_link_tells_a_client_to_verify_nothing() {
        let links = |insecure| {
            let Connection { credentials, links } = issuer(insecure, &[]).connection(&user()).unwrap();
            let said = links
                .iter()
                .filter(|link| link.url(&credentials).expose_secret().contains("insecure"));
            (links.len(), said.count(), links[1].silent)
        };
        assert_eq!((links(true), links(false)), ((2, 2, true), (2, 0, true)));
    }
}
