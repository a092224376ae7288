//! The paths of Chiron where microseconds count. Pure logic: no clock (`now` is an argument), no system calls.
pub mod tls;
pub mod websocket;

#[cfg(feature = "python")]
mod py;
