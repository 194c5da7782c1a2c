//! Doubles and fixtures shared by the scenarios.

pub mod hysteria_node;
#[allow(dead_code, reason = "a scenario takes what it needs of the double")]
pub mod kube;
pub mod log;
