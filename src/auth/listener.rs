//! The HTTP endpoint that Hysteria nodes ask.
