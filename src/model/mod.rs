//! The resources and the words of the domain. Pure: no I/O, no clock, no other room.
//!
//! A newcomer starts here: [`user::VpnUser`] says who should have access, [`hold::VpnHold`] says who must stay
//! out, [`gateway::VpnGateway`] says where, and [`access::decide`] turns them into one [`access::Decision`].

pub mod access;
pub mod advice;
pub mod condition;
pub mod corporate_id;
mod definitions;
pub mod gateway;
pub mod guard;
pub mod guard_limits;
pub mod hold;
pub mod hr;
pub mod quantity;
pub mod secret_source;
pub mod separation;
pub mod session;
pub mod shape;
pub mod syntax;
pub mod traffic;
pub mod user;
pub mod validate;

pub use definitions::{Kind, crds, crds_yaml};

/// API group of every resource.
pub const GROUP: &str = "vpn-operator.io";
/// API version of every resource.
pub const VERSION: &str = "v1alpha1";
/// `apiVersion` as it is written in a document.
pub const API_VERSION: &str = "vpn-operator.io/v1alpha1";
/// Keeps a deleted object until its access is proved gone.
pub const FINALIZER: &str = "vpn-operator.io/access";
/// Annotation of a deleted [`hold::VpnHold`] that was lifted on purpose. A hold that disappears without it may be a loss,
/// which the guard looks at.
pub const RELEASED: &str = "vpn-operator.io/released";
/// Annotation of a [`hold::VpnHold`] whose file the operator keeps itself, outside of what people write. Nobody lifts such a hold
/// by removing its file.
pub const OWN: &str = "vpn-operator.io/kept-by-operator";
/// Annotation of a [`hold::VpnHold`] that was placed through the API or the command line: who ordered it, as the audit names
/// them. It decides nothing.
pub const ORDERED_BY: &str = "vpn-operator.io/ordered-by";
/// Annotation by which an admin lets a deleted user go although a gateway cannot confirm any more, or although the guard holds
/// the denial back. Its value must be `true`.
pub const LET_GO: &str = "vpn-operator.io/let-go";
/// Annotation by which somebody keeps the operator from granting on gateways and from writing the Secret of a user. Its value
/// must be `true`. A denial is never paused.
pub const PAUSE: &str = "vpn-operator.io/pause";
/// Annotation by which somebody asks for a reconcile now. A new value is repeated in the status when that is done.
pub const RECONCILE_NOW: &str = "vpn-operator.io/reconcile-now";
/// `status.observedGeneration` of an object that nobody has looked at yet.
pub const UNOBSERVED: i64 = -1;

/// [`UNOBSERVED`], for `serde`.
const fn unobserved() -> i64 {
    UNOBSERVED
}
