//! What the API says, for those who write clients against it: the types of requests and answers, a client, and who a caller
//! may be.
//!
//! The HTTP layer makes these answers, and the command line and the bot read them. In one process the client asks the same router in
//! memory; apart it asks over HTTP.
//!
//! # Client and operator of different versions
//! A bot or a command line may be older than the operator that it asks, or newer:
//!
//! - Answers gain fields. Readers pass over those that they do not know.
//! - What may be absent or null in an answer may be absent for a reader: it is an `Option`, or has a default. A field that an answer gains
//!   after it was once released is of this kind, so that a newer reader reads the answers of an older operator.
//! - What is required in an answer is there in every later version.
//! - Words of which there may be more one day (`status`, `phase`, `reason`, …) are texts, and a reader has a way to go for one that it
//!   does not know.
//! - Requests are read strictly: a field that the operator does not know is refused, so that nothing that was asked for is left undone in
//!   silence. What a request may leave out is not sent when it is not set.

pub mod access;
pub mod audit;
pub mod backup;
pub mod client;
pub mod events;
pub mod forget;
pub mod gateways;
pub mod guard;
pub mod handover;
pub mod health;
pub mod holds;
pub mod ids;
mod moment;
pub mod principal;
pub mod problem;
pub mod proof;
pub mod records;
pub mod role;
pub(crate) mod schemas;
pub mod telegram;
pub mod users;
