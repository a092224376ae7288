//! The paths of Chiron where microseconds count. Pure logic: no clock (`now` is an argument), no system calls but those
//! of `quic::udp`, on sockets that the caller bound.
pub mod admission;
pub mod error;
pub mod http3;
pub mod hub;
mod json;
pub mod jwt;
pub mod limit;
#[cfg(feature = "python")]
mod py;
pub mod quic;
pub mod score;
pub mod tls;
pub mod websocket;
pub mod wheel;
pub mod wire;
