//! Makes the gateways agree with what is declared, and says so.
//!
//! [`intake`] feeds every event to the roster (which decides at once) and hands sessions that must end to the gateways;
//! [`plan`] is the pure heart: what must be done and reported about one user; [`user`] carries a plan out;
//! [`gateway_convergence`] keeps the running gateways in step with what is declared, and reports them. Nothing here waits for a gateway, and nothing here answers
//! a person.

mod access_cause;
pub mod access_record;
pub mod access_writer;
pub mod audit_keeper;
pub mod auth_guard;
pub mod backoff;
pub mod core;
pub mod denials;
pub mod follow;
pub mod gateway_convergence;
mod gateway_report;
pub mod gateways;
pub mod hold_work;
pub mod holds;
pub mod imported;
pub mod intake;
pub mod linked;
mod listing;
pub mod namespace_teardown;
pub mod overdue;
pub mod plan;
mod record;
pub mod runner;
pub mod see_off;
pub mod status_write_cache;
mod tell;
pub mod unobserved;
pub mod upkeep;
pub mod usage;
pub mod user;
