//! Scenarios of the reconcile room: what statuses say, what is cut, and what outlives a process.

mod deadlines;
mod follower;
mod histories;
mod in_force;
mod scenarios;
mod statuses;
mod who;
mod world;
