//! Moving over from another system: what stands there, and what it comes to here.
//!
//! Reads and says; others write. May use the words of the model, of history and of a panel's list, and never puts a secret into a
//! message.

pub mod blitz;
pub mod legacy;
mod person;

pub use self::person::{Person, PlannedHold, Terms};
