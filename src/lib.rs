//! Corporate VPN access over Hysteria2 as a reconciled resource.
//!
//! The floors of the house, from the ground up; a room uses only what stands on the floors before it in this list, and
//! beside it what does not use it back:
//! [`model`], [`clock`], [`fence`], [`sqlite`], [`store`] and [`texts`]; [`desired`], [`credentials`], [`gateway`], [`history`], [`verdicts`], [`registry`], [`metrics`], [`cluster`],
//! [`api`], [`config`], [`serve`], [`telemetry`], [`simulation`], [`import`], [`inbox`], [`linking`], [`handover`], [`mail`] and [`backup`]; [`auth`]; [`forms`]; [`roster`]; [`issue`]; [`reconcile`]; [`access`]; [`http`] and [`bot`]; [`cli`].

pub mod access;
pub mod api;
pub mod auth;
pub mod backup;
pub mod bot;
pub mod cli;
pub mod clock;
pub mod cluster;
pub mod config;
pub mod credentials;
pub mod desired;
pub mod fence;
pub mod forms;
pub mod gateway;
pub mod handover;
pub mod history;
pub mod http;
pub mod import;
pub mod inbox;
pub mod issue;
pub mod linking;
pub mod mail;
pub mod metrics;
pub mod model;
pub mod reconcile;
pub mod registry;
pub mod roster;
pub mod serve;
pub mod simulation;
pub mod sqlite;
pub mod store;
pub mod telemetry;
pub mod texts;
pub mod verdicts;
