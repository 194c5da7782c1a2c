//! A Blitz panel as a gateway.

mod client;
