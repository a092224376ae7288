//! Heads of HTTP/3: of requests (RFC 9114 §4.3.1) that came whole and refer to no dynamic table (RFC 9204 §4.5), and of
//! responses.
//!
//! A request that is not plainly good is not read here: the reader gives nothing, and has done nothing, so that one place says
//! what is wrong with a request, and reads all that need more than their head.
mod field;
mod huffman;
mod qpack;
mod request;
mod response;

pub use request::{Head, Limits, Make, Reader};
pub use response::{HeadError, Writer};
