//! A Secret for a password that exists already, to be named in `spec.credentialsFrom`. Made once, and never written onto.

use std::collections::BTreeMap;

use k8s_openapi::{ByteString, api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::{Api, Client, ResourceExt};
use secrecy::{ExposeSecret, SecretString};

use super::call::{Subject, call, create};
use crate::desired::{DesiredError, FieldManager, Result};

/// Label of such a Secret, and its value. Not [`MANAGED_BY`](super::MANAGED_BY): the operator writes those, and does not read from them.
const IMPORTED: (&str, &str) = ("app.kubernetes.io/managed-by", "vpn-operator-import");

/// Key under which the password stands.
pub const PASSWORD_KEY: &str = "password";

/// What became of the Secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GivenPassword {
    /// It was created.
    Made,
    /// There is one of ours with this password.
    There,
    /// Something else has the name, or another password stands in it. It stays as it is.
    Taken,
}

/// Keeps a password in a Secret of this name.
///
/// # Errors
/// The API server refuses, or cannot be reached.
pub async fn keep_password(
    client: &Client,
    namespace: &str,
    name: &str,
    password: &SecretString,
) -> Result<GivenPassword> {
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let subject = Subject { kind: "Secret", name };
    let (label, value) = IMPORTED;
    let content = password.expose_secret().as_bytes();
    let wanted = Secret {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            labels: Some(BTreeMap::from([(label.to_owned(), value.to_owned())])),
            ..ObjectMeta::default()
        },
        type_: Some("Opaque".to_owned()),
        data: Some(BTreeMap::from([(
            PASSWORD_KEY.to_owned(),
            ByteString(content.to_vec()),
        )])),
        ..Secret::default()
    };
    match create(&api, subject, &wanted, FieldManager::Api).await {
        Ok(_) => Ok(GivenPassword::Made),
        Err(DesiredError::AlreadyExists { .. }) => {
            let there = call(subject, api.get(name)).await?;
            let ours = there.labels().get(label).is_some_and(|it| it == value);
            let data = there.data.as_ref().and_then(|data| data.get(PASSWORD_KEY));
            let same = data.is_some_and(|data| data.0 == content);
            Ok(if ours && same {
                GivenPassword::There
            } else {
                GivenPassword::Taken
            })
        }
        Err(error) => Err(error),
    }
}
