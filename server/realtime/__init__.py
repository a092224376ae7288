"""Links: what a client's realtime connection means, on top of the Rust hub (`docs/protocol.md`)."""
