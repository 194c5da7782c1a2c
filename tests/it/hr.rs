//! Events of the HR system over the real roster, inbox and use cases, with desired state in memory.

mod crashes;
mod fuzz;
mod histories;
mod requests;
mod world;
