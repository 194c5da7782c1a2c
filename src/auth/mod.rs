//! The table that every login is decided from, in memory, and the listener that nodes ask.
//!
//! [`index::AuthIndex`] is filled by the roster, one floor above, and asked by the [`listener`] at each login and by the
//! gateways about each session. Nothing here waits for I/O, and nothing here calls a gateway: what must be revoked is returned
//! to the caller. Only a login that would be refused for too many devices has nodes asked, through [`inquiry`], and waits for
//! what they show; and one at a server of a panel is the panel's own auth service to permit as well (`guarded`).
//!
//! Uses the model, the clock, the gateway room's words and metrics. Must never know of the roster, reach for a source of
//! desired state, history or the network (the listener's own sockets and that service apart), and never say yes when in doubt.

mod account;
mod blocks;
mod guarded;
pub mod index;
pub mod inquiry;
mod ledger;
pub mod listener;
pub mod node;
mod notices;
pub(crate) mod password;
mod slots;
pub mod upstream;
pub mod words;
mod wrong_form;
