//! Hysteria2 nodes that ask the operator whom to let in.
