//! The paths of Chiron where microseconds count. Pure logic: no clock (`now` is an argument), no system calls.
pub mod error;
pub mod hub;
mod json;
pub mod jwt;
pub mod limit;
#[cfg(feature = "python")]
mod py;
pub mod tls;
pub mod websocket;
pub mod wheel;
pub mod wire;
