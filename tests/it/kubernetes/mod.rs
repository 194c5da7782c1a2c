//! Kubernetes: the API server's behaviour on which the operator relies, in the double and in a real server, and the
//! faults of the double.

mod cluster;
mod contract;
mod faults;
mod house;
mod scenarios;
