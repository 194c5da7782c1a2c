//! Events of the HR system: received, durable before they are answered, and carried out, each to its end and as often as it takes.
//!
//! HR is a feed: what it denies is a hold of its own, which the guard counts. It lifts only what it placed itself. Which event
//! counts is decided by [`crate::inbox::order`].

mod activation;
mod answers;
mod carry_out;
mod denial;
mod desk;
mod outcome;
mod receive;
mod role;
mod standing;
mod task;
mod worker;

use self::task::Task;
pub use self::{
    answers::{EventPage, HrHealth},
    desk::{HrDesk, HrSettings},
    receive::{Delivery, Received},
    worker::HrGauges,
};
use crate::model::guard::Feed;

/// The source of the holds that events of HR place.
const SOURCE: &str = Feed::Hr.source();
