//! Scenarios of the auth room: what nodes ask over HTTP and are answered.

mod listener;
