//! Moving over from another system: what stands there, and what it comes to here.
//!
//! Reads and says; others write. May use the words of the model and of history, and never puts a secret into a message.

pub mod legacy;
