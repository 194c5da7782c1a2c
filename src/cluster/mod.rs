//! What exists only in a Kubernetes cluster: so far the lease that lets one process act.
//!
//! It may use the model, the clock, the fence and the API server. It never decides about access, never touches a gateway,
//! and nothing that works with a folder alone may need it.

pub mod lease;
