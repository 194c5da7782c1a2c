//! What the API says, for those who write clients against it: the types of requests and answers, a client, and who a caller
//! may be.
//!
//! The HTTP layer makes these answers, and the command line and the bot read them. In one process the client asks the same router in
//! memory; apart it asks over HTTP. Answers may gain fields in later versions, and readers pass over those they do not know.

pub mod client;
pub mod handover;
pub mod principal;
pub mod role;
pub mod telegram;
