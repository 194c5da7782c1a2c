//! Doubles and fixtures shared by the scenarios.

#[allow(dead_code, reason = "a scenario takes what it needs of the double")]
pub mod blitz;
#[allow(dead_code, reason = "a scenario takes what it needs of it")]
pub mod hr;
pub mod hysteria_node;
#[allow(dead_code, reason = "a scenario takes what it needs of the double")]
pub mod kube;
pub mod log;
pub mod net;
