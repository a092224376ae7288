//! The realtime protocol (`docs/protocol.md`): frames of clients parsed, frames of the server encoded once and shared.
mod client;
mod server;

pub use client::{ClientFrame, MAX_DEPTH, MAX_FRAMES, Violation, parse};
pub use server::{Frame, FrameError, Framing};
