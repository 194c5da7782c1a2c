//! A Blitz panel as a gateway.

mod calls;
mod client;
mod events;
mod faults;
mod guard;
mod house;
mod kicks;
mod lane;
mod revocation;
mod rollout;
mod schedule;
