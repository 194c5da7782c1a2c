//! Corporate VPN access over Hysteria2 as a reconciled resource.
//!
//! The floors of the house, from the ground up; a room uses only what stands above it in this list:
//! [`model`], [`clock`] and [`fence`]; [`desired`], [`credentials`], [`gateway`], [`history`], [`metrics`], [`cluster`],
//! [`config`], [`serve`] and [`telemetry`]; [`auth`]; [`roster`]; [`reconcile`]; [`access`]; [`http`]; [`cli`].

pub mod access;
pub mod auth;
pub mod cli;
pub mod clock;
pub mod cluster;
pub mod config;
pub mod credentials;
pub mod desired;
pub mod fence;
pub mod gateway;
pub mod history;
pub mod http;
pub mod metrics;
pub mod model;
pub mod reconcile;
pub mod roster;
pub mod serve;
pub mod telemetry;
