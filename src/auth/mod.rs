//! Who may log in, decided at once and in memory.
//!
//! [`roster::Roster`] takes every event of desired state synchronously, lets the [`guard`] look at what would turn from
//! Granted to Denied, and keeps [`index::AuthIndex`], which the [`listener`] asks at each login and the gateways ask about
//! each session. Nothing here waits for I/O, and nothing here calls a gateway: what must be cut is returned to the caller.
//!
//! Uses the model, the clock, credentials, the gateway room's words and metrics. Must never reach for a source of desired
//! state, history or the network (the listener's own sockets apart), and never say yes when in doubt.

mod blocks;
mod entry;
mod evaluate;
mod facts;
pub mod follow;
pub mod guard;
pub mod index;
mod ledger;
pub mod listener;
pub mod serve;

mod password;
mod people;
mod register;
pub mod roster;

mod slots;
