//! Events of the HR system: who sent them, what they say, which of them counts, and the inbox in which each is durable before it
//! is answered.
//!
//! Signatures, bodies and the order are pure. Nothing here decides about access or touches desired state; what an event comes to
//! is a use case.

pub mod event;
pub mod order;
pub mod signature;
