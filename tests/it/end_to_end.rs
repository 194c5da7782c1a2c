//! The whole operator as a process: the real binary on free ports, a folder of YAML, a data folder, doubles of nodes.

mod audit;
mod audit_export;
mod bot;
mod connections;
mod damaged;
mod declaring;
mod failing;
mod guard;
mod hr_events;
mod ids;
pub mod import_blitz;
mod imported;
mod in_force;
pub mod legacy;
mod limits;
mod linking;
mod nodes;
pub mod operator;
mod panel;
mod panel_guard;
mod quickstart;
mod replica;
mod secrets;
mod starting;
mod taken_back;
mod telling;
mod twice;
