//! The former Python service beside a Blitz panel, by its database `users.db`.
//!
//! [`read`] takes the rows as they are, from a copy: the database itself is never written to, nor anything beside it. [`map`]
//! says, purely, what is to be made of each: every row becomes something, or a [`Remark`] says why not.

mod accounts;
mod events;
mod map;
mod read;
mod registry;
mod row;
mod snapshot;
mod table;
mod times;
mod traffic;

pub use self::{
    accounts::FormerUser,
    map::{Plan, map},
    read::{ReadError, Tables, read},
    row::{Cell, Remark, Row},
    snapshot::SnapshotError,
    table::{Table, Tally},
    times::Times,
};
