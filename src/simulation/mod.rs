//! A simulated Hysteria2 node with simulated devices, for trying the operator out: nothing of it leaves the process, and nobody
//! can really connect.
//!
//! It stands where the world outside stands. The operator meets it as it meets a real node: it asks the statistics API over
//! HTTP, and is asked at its auth listener. So this room knows no other room, and no other room knows that a node is simulated.

pub mod devices;
pub mod node;
pub mod statistics;
