//! The Hysteria gateway against doubles of nodes.

mod double;
mod house;
mod nodes;
mod revocation;
mod usage;
