//! What the threads of the source share.

use super::{mailbox::Mailbox, scan::Digests, source_status::SourceStatus, walk::Roots, writers::Writers};
use crate::clock::SharedClock;

/// What the threads of the source share.
pub(super) struct Shared {
    pub clock: SharedClock,
    pub roots: Roots,
    pub source_status: SourceStatus,
    pub mailbox: Mailbox,
    pub digests: Digests,
    pub writers: Writers,
}
