//! A Blitz panel as a gateway.

mod client;
mod faults;
mod house;
mod lane;
mod revocation;
mod rollout;
