//! Scenarios of this room.
