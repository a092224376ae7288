//! The realtime protocol (`docs/protocol.md`): frames of clients parsed, frames of the server encoded once and shared.
mod client;
mod members;
mod server;

pub use client::{ClientFrame, MAX_FRAMES, Violation, parse};
pub use members::MAX_DEPTH;
pub use server::{Frame, FrameError, Framing};
