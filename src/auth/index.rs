//! The table that every login is decided from.
