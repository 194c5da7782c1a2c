//! Corporate IDs: who got which, and where each stands. Unique for ever.

pub mod draw;
pub mod entry;
pub mod status;
pub mod table;
