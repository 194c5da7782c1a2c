//! Doubles and fixtures shared by the scenarios.

pub mod hysteria_node;
pub mod log;
