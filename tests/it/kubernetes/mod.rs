//! Kubernetes: the API server's behaviour on which the operator relies, in the double and in a real server, the faults of the
//! double, and the operator among them.

mod claims;
mod cluster;
mod contract;
mod faults;
mod house;
mod scenarios;
mod sweep;
