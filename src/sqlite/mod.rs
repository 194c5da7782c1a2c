//! What the operator's SQLite files have in common: one process owns each, nobody else on the machine may read it, and what
//! is wrong with it is said in words that say what to do.
//!
//! What stands in a file, and what is begun in place of one that is damaged, is the business of the room that has it.

mod damaged;
mod fault;
mod files;
mod lock;

pub use self::{
    damaged::{claim, keep_log, log_of, move_aside, read_damaged},
    fault::{Fault, is_environmental, needs_reopen},
    files::{FileId, beside, create_private, file_id, quick_check, sync_folder, tighten_modes},
    lock::{NotTaken, OwnerLock},
};
