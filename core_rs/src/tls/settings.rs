//! What the sessions of one listener share.
use super::{
    TlsError,
    certificate::{self, Current},
    tickets::Tickets,
};
use rustls::{
    ServerConfig,
    crypto::{CryptoProvider, aws_lc_rs},
    server::NoServerSessionStorage,
    version::{TLS12, TLS13},
};
use std::sync::Arc;

/// A server's settings: TLS 1.2 and 1.3, ALPN `http/1.1`, resumption by tickets, no early data. Cheap to clone; clones
/// share certificate and ticket keys.
#[derive(Clone)]
pub struct Settings {
    pub(super) config: Arc<ServerConfig>,
    provider: Arc<CryptoProvider>,
    certificate: Arc<Current>,
    tickets: Arc<Tickets>,
}

impl Settings {
    /// PEM chain, leaf first; PEM key (PKCS#8, SEC 1 or PKCS#1); ticket keys of 32 bytes, of which the first seals and
    /// all open. Without ticket keys, sessions are not resumed.
    pub fn new(chain_pem: &[u8], key_pem: &[u8], ticket_keys: &[Vec<u8>]) -> Result<Self, TlsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let certificate = Arc::new(Current::new(certificate::read(chain_pem, key_pem, &provider)?));
        let tickets = Arc::new(Tickets::new(ticket_keys)?);
        let mut config = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&TLS13, &TLS12])
            .map_err(TlsError::Unusable)?
            .with_no_client_auth()
            .with_cert_resolver(certificate.clone());
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config.ticketer = tickets.clone();
        // State lives in tickets alone: a process keeps none, and another one can resume what it began.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 2;
        // What a replayed first flight could do twice is not ours to judge (RFC 8446 §8).
        config.max_early_data_size = 0;
        Ok(Self { config: Arc::new(config), provider, certificate, tickets })
    }

    /// Presents another certificate from the next handshake on. After an error the old one stays.
    pub fn reload(&self, chain_pem: &[u8], key_pem: &[u8]) -> Result<(), TlsError> {
        self.certificate.replace(certificate::read(chain_pem, key_pem, &self.provider)?);
        Ok(())
    }

    /// Uses other ticket keys from the next handshake on. After an error the old ones stay.
    pub fn set_ticket_keys(&self, ticket_keys: &[Vec<u8>]) -> Result<(), TlsError> {
        self.tickets.replace(ticket_keys)
    }
}
