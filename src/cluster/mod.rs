//! What exists only in a Kubernetes cluster: the client of its API server, the lease that lets one
//! process act, and the `ConfigMap` in which the end of the audit is published.
//!
//! It may use the model, the clock, the fence and the API server. It never decides about access, never touches a gateway,
//! and nothing that works with a folder alone may need it.

pub mod audit_head;
pub mod client;
pub mod lease;
