//! The Hysteria gateway against doubles of nodes.

mod double;
pub mod house;
mod nodes;
mod revocation;
mod usage;
