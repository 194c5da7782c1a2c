//! What the operator relies on, written once for the double and for a real API server.

mod applying;
mod collecting;
mod deleting;
mod reading;
mod watching;
mod writing;
