//! Reasons of conditions that are not reasons of a decision.

/// The gateways agree with the decision.
pub const RECONCILED: &str = crate::model::condition::texts::RECONCILED;
/// Sessions are being ended.
pub const REVOKING: &str = "Revoking";
/// A gateway has not said yet whether the account is there.
pub const CONVERGING: &str = "Converging";
/// `spec.gateways` names a gateway that does not exist.
pub const GATEWAY_NOT_FOUND: &str = "GatewayNotFound";
/// The guard holds a denial back until a person confirms it.
pub const GUARD_HELD_BACK: &str = crate::model::condition::texts::GUARD_HELD_BACK;
/// The `VpnGateway` cannot run as it is declared.
pub const GATEWAY_NOT_RUNNING: &str = "GatewayNotRunning";
/// A node cannot be run as it is declared.
pub const NODE_NOT_RUNNING: &str = "NodeNotRunning";
/// A node has no statistics API, so that sessions on it can neither be ended nor proved gone.
pub const NO_STATISTICS: &str = "NoStatistics";
/// An annotation pauses the object.
pub const PAUSED: &str = "Paused";
/// A Secret that belongs to somebody else has the name of the user's own.
pub const SECRET_CONFLICT: &str = "SecretConflict";
/// The user's Secret could not be written yet.
pub const SECRET_PENDING: &str = "SecretPending";
/// What `spec.credentialsFrom` names is being read for the first time.
pub const CREDENTIALS_PENDING: &str = "CredentialsPending";
/// What `spec.credentialsFrom` names cannot be read.
pub const CREDENTIALS_NOT_FOUND: &str = "CredentialsNotFound";
/// Another object had the account first, or a gateway has one of this name that the operator did not make.
pub const ACCOUNT_CONFLICT: &str = "AccountConflict";
/// A gateway does not accept the account.
pub const ACCOUNT_REJECTED: &str = "AccountRejected";
