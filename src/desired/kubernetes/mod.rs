//! Desired state in one namespace of a Kubernetes cluster.
//!
//! Every change is server-side apply under the field manager of whoever asks, and only where something differs. Releasing a
//! finalizer and marking a released hold are the two exceptions: both must work on an object whatever became of it. Reads
//! come from watches; what is asked for by name is read from the API server.

mod board;
mod call;
mod events;
mod finalizer;
mod guarded;
mod handouts;
mod owned;
mod pace;
mod referenced;
mod source;

pub use self::{
    events::{EventAnnouncer, Publisher},
    handouts::SecretHandouts,
    referenced::ReferencedSecrets,
    source::KubernetesSource,
};

/// Label of what the operator makes, and its value.
pub const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "vpn-operator");
