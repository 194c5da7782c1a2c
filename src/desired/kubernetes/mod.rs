//! Desired state in one namespace of a Kubernetes cluster.
//!
//! Every change is server-side apply under the field manager of whoever asks, and only where something differs. Releasing a
//! finalizer and marking a released hold are the two exceptions: both must work on an object whatever became of it. Reads
//! come from watches; what is asked for by name is read from the API server.

mod call;
mod events;
mod finalizer;
mod lenient;
mod owned;
mod pace;
mod referenced;
mod source;
mod source_status;
mod user_secrets;

pub use self::{
    events::{EventAnnouncer, Publisher},
    referenced::ReferencedSecrets,
    source::KubernetesSource,
    user_secrets::UserSecrets,
};

/// Label of what the operator makes, and its value.
pub const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "vpn-operator");
