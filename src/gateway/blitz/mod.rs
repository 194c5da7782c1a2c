//! A Blitz panel that keeps the accounts itself.
//!
//! The panel works on one call at a time, and every call costs most of a second, so one task a panel makes all of them.

pub mod client;
