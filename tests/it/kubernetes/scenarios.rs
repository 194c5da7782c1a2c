//! The whole operator in a cluster, as a process: the real binary with the chart's own Role, doubles of the API server and of a
//! node.

mod annotations;
mod events;
mod first_user;
mod guard;
mod healing;
mod holds;
mod hr_events;
mod import_blitz;
mod lease;
mod legacy;
mod listeners;
mod managers;
mod outages;
mod role;
mod secrets;
mod separation;
mod status;
mod unreadable;
