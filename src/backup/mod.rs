//! Copies of what the operator has on the disk, taken while it runs: each in a folder of its own, checked when it is written,
//! with a manifest; and putting one back.
//!
//! In a backup are the databases, as they were at one moment, and the holds that were ordered. Secrets are not: they are kept
//! apart, once, when they are made.
//!
//! It uses history, to walk the chain of a copy, and `sqlite`. Nobody waits for it, and nothing is decided here.

mod check;
mod error;
mod manifest;
mod noted;
mod restore;
mod rotate;
mod schedule;
mod take;
#[cfg(test)]
mod tests;

pub use self::{
    check::check,
    error::BackupError,
    manifest::{AuditEnd, BackupFile, Manifest},
    noted::{NotedRestore, forget_restores, note_restore, noted_restores},
    restore::{Restored, restore},
    rotate::list,
    schedule::{BackupHealth, Backups, Plan},
    take::{CopyOwned, Source, take},
};
