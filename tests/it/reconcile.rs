//! Scenarios of the reconcile room: what statuses say, what is cut, and what outlives a process.

mod follower;
mod histories;
mod scenarios;
mod world;
