//! A Blitz panel whose accounts were made by hand, by the list of its users API.
//!
//! [`Matches`] is what people say of whose an account is, where its name does not tell. [`map`] says, purely, what is to be made of
//! each account: every one becomes a person, or a [`Fate`] says why not.

mod lines;
mod map;
mod matches;

pub use self::{
    map::{Account, Circumstances, Fate, Plan, map},
    matches::{LineFault, Matches},
};
