//! Doubles and fixtures shared by the scenarios.

#[allow(dead_code, reason = "a scenario takes what it needs of the double")]
pub mod blitz;
#[allow(dead_code, reason = "a scenario takes what it needs of it")]
pub mod document;
pub mod gate;
#[allow(dead_code, reason = "a scenario takes what it needs of it")]
pub mod hr;
pub mod hysteria_node;
#[allow(dead_code, reason = "a scenario takes what it needs of the double")]
pub mod kube;
pub mod log;
pub mod net;
#[allow(dead_code, reason = "a scenario takes what it needs of the double")]
pub mod smtp;
#[allow(dead_code, reason = "the numbers take more of the double than the scenarios")]
pub mod telegram;

use secrecy::SecretBox;
use vpn_operator::credentials::{AuditKeys, MasterKey};

/// Keys to seal an audit with, where nothing depends on which they are.
pub fn audit_keys() -> AuditKeys {
    MasterKey::from_bytes(SecretBox::new(Box::new([0x6f; 32]))).audit_keys()
}
