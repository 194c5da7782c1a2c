//! What the threads of the source share.

use std::sync::atomic::AtomicBool;

use super::{mailbox::Mailbox, scan::Digests, source_status::SourceStatus, walk::Roots, writers::Writers};
use crate::clock::SharedClock;

/// What the threads of the source share.
pub(super) struct Shared {
    pub clock: SharedClock,
    /// The first load is over. Until then files that a process left half-written are removed.
    pub loaded: AtomicBool,
    pub roots: Roots,
    pub source_status: SourceStatus,
    pub mailbox: Mailbox,
    pub digests: Digests,
    pub writers: Writers,
}
