//! Desired state in one namespace of a Kubernetes cluster.
//!
//! What is not there is created, and nothing is written onto an object that somebody else made: an apply names the `uid` of the
//! object that it is for. Changes are server-side apply under the field manager of whoever asks, and only where something
//! differs. Releasing a finalizer, marking a released hold, and the Secret of a user are the exceptions: they must come right
//! whatever others made of the object. Reads come from watches; what is asked for by name is read from the API server.

mod call;
mod events;
mod finalizer;
mod given_password;
mod id_claims;
mod lenient;
mod owned;
mod pace;
mod referenced;
mod source;
mod source_status;
mod user_secret;
mod user_secrets;
mod watching;

pub use self::{
    events::{EventAnnouncer, Publisher},
    given_password::{GivenPassword, PASSWORD_KEY, keep_password},
    id_claims::ConfigMapClaims,
    referenced::ReferencedSecrets,
    source::KubernetesSource,
    user_secrets::UserSecrets,
};

/// Label of what the operator makes, and its value.
pub const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "vpn-operator");
