//! TLS 1.2 and 1.3 for a server's connections, without I/O: rustls behind a seam of our own.
//!
//! [`Settings`] belong to a listener and are shared by its sessions; they carry what changes while connections live
//! (certificate, ticket keys). A [`Session`] is one connection: bytes of the peer in, [`Event`]s and bytes out.
mod alert;
pub(crate) mod certificate;
mod session;
mod settings;
pub(crate) mod tickets;

#[cfg(test)]
mod tests;

pub use session::{Event, Failure, Session};
pub use settings::Settings;

/// Settings that cannot be used. Texts never quote keys.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("the certificate chain is not readable PEM: {0}")]
    Chain(rustls::pki_types::pem::Error),
    #[error("the certificate chain is empty")]
    NoCertificate,
    #[error("the private key is not a readable PEM of PKCS#8, SEC 1 or PKCS#1")]
    Key,
    #[error("the certificate and the private key do not belong together")]
    Mismatch,
    #[error("a ticket key has {0} bytes instead of 32")]
    TicketKey(usize),
    #[error("the certificate or its key cannot be used: {0}")]
    Unusable(rustls::Error),
}
