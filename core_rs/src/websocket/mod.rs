//! The server's side of WebSocket frames (RFC 6455 §5 to §8): bytes of a client in, messages out, and the other way.
//!
//! The opening handshake is HTTP and happened elsewhere; no extension is negotiated, so every reserved bit is zero.
mod mask;
mod parser;
mod writer;

pub use parser::{Event, Parser, Violation};
pub use writer::{write_close, write_frame, write_header};

/// Opcodes of RFC 6455 §5.2 that an application chooses; continuation (0) is chosen by the parser alone.
pub mod opcode {
    pub const TEXT: u8 = 0x1;
    pub const BINARY: u8 = 0x2;
    pub const CLOSE: u8 = 0x8;
    pub const PING: u8 = 0x9;
    pub const PONG: u8 = 0xA;
}

/// Status codes of RFC 6455 §7.4.1 that this module itself gives or takes.
pub mod code {
    pub const NORMAL: u16 = 1000;
    pub const PROTOCOL_ERROR: u16 = 1002;
    /// Stands for a close frame without a body; it never travels.
    pub const NONE: u16 = 1005;
    pub const INVALID_DATA: u16 = 1007;
    pub const TOO_BIG: u16 = 1009;
}

/// Most bytes of payload that a control frame may have (RFC 6455 §5.5).
pub const MAX_CONTROL: usize = 125;
