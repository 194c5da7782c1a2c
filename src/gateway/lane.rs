//! The order in which targets go to a gateway that is called account by account.
//!
//! One entry an account, the latest target wins; denials first, then what somebody waits for, then the rest, each in the
//! order of arrival. Hysteria needs no lane: its cuts are put straight into the state that the node tasks share.
