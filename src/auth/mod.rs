//! Who may log in, decided at once and in memory.
//!
//! [`roster::Roster`] takes every event of desired state synchronously, lets the guard look at what would turn from
//! Granted to Denied, and keeps [`index::AuthIndex`], which the [`listener`] asks at each login. Nothing here waits for
//! I/O, and nothing here calls a gateway: what must be cut is returned to the caller.

pub mod index;
pub mod listener;
pub mod roster;
