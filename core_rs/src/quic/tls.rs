//! TLS 1.3 of QUIC connections (RFC 9001): which certificate, and how sessions are resumed.
//!
//! rustls accepts early data only with sessions that it believes to be stored at the server. Ours are in tickets, which
//! every worker opens, also after a restart. So the store that rustls is given seals what it is told to keep, and
//! [`Session`] puts what was sealed in place of the name under which rustls thinks it was kept, in the NewSessionTicket
//! messages on their way out (RFC 8446 §4.6.1). Tickets can be used more than once: whoever acts on early data has to
//! bear its repetition (RFC 8446 §8), or wait for the end of the handshake.
use super::hello::Hello;
use crate::tls::{
    TlsError, certificate,
    tickets::{LIFETIME, Tickets},
};
use quinn_proto::{
    ConnectionId, Side, TransportError,
    crypto::{
        self, ExportKeyingMaterialError, HeaderKey, KeyPair, Keys, PacketKey, UnsupportedVersion,
        rustls::{HandshakeData, QuicServerConfig},
    },
    transport_parameters::TransportParameters,
};
use rustls::{
    crypto::{CryptoProvider, aws_lc_rs},
    server::{ClientHello, ProducesTickets, ResolvesServerCert, StoresServerSessions},
    sign::CertifiedKey,
    time_provider::TimeProvider,
    version::TLS13,
};
use std::{
    any::Any,
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
};

/// Handshake message types (RFC 8446 §4).
const NEW_SESSION_TICKET: u8 = 4;
const CERTIFICATE: u8 = 11;
const FINISHED: u8 = 20;

/// A PEM chain, leaf first, and the PEM key of the leaf.
pub type Pem<'a> = (&'a [u8], &'a [u8]);

/// What a handshake told, once it is known.
pub(super) struct Handshake {
    pub(super) server_name: Option<String>,
    /// The server proved who it is by an earlier session instead of a certificate.
    pub(super) resumed: bool,
}

/// TLS of one endpoint's connections: ALPN `h3`, early data, resumption by tickets.
pub(super) struct Settings {
    provider: Arc<CryptoProvider>,
    certificates: Arc<Certificates>,
    tickets: Arc<Tickets>,
}

impl Settings {
    pub(super) fn new(
        plain: Pem<'_>,
        named: Option<Pem<'_>>,
        ticket_keys: &[Vec<u8>],
        time: Arc<dyn TimeProvider>,
    ) -> Result<(Self, Arc<dyn crypto::ServerConfig>), TlsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let certificates = Arc::new(Certificates(RwLock::new(Chosen::read(plain, named, &provider)?)));
        let tickets = Arc::new(Tickets::new(ticket_keys)?);
        let sealing = Arc::new(Sealing { tickets: tickets.clone(), sealed: Mutex::default() });
        let mut config = rustls::ServerConfig::builder_with_details(provider.clone(), time)
            .with_protocol_versions(&[&TLS13])
            .map_err(TlsError::Unusable)?
            .with_no_client_auth()
            .with_cert_resolver(certificates.clone());
        config.alpn_protocols = vec![b"h3".to_vec()];
        config.session_storage = sealing.clone();
        config.send_tls13_tickets = 2;
        // The one value besides 0 that QUIC allows (RFC 9001 §4.6.1): flow control limits early data.
        config.max_early_data_size = u32::MAX;
        let inner = QuicServerConfig::try_from(config)
            .map_err(|error| TlsError::Unusable(rustls::Error::General(error.to_string())))?;
        let server = Arc::new(Server { inner: Arc::new(inner), sealing });
        Ok((Self { provider, certificates, tickets }, server))
    }

    /// Presents other certificates from the next handshake on. After an error the old ones stay.
    pub(super) fn reload(&self, plain: Pem<'_>, named: Option<Pem<'_>>) -> Result<(), TlsError> {
        let chosen = Chosen::read(plain, named, &self.provider)?;
        *self.certificates.0.write().unwrap_or_else(PoisonError::into_inner) = chosen;
        Ok(())
    }

    pub(super) fn set_ticket_keys(&self, ticket_keys: &[Vec<u8>]) -> Result<(), TlsError> {
        self.tickets.replace(ticket_keys)
    }
}

#[derive(Debug)]
struct Chosen {
    /// For clients that name no server: they know an address only.
    plain: Arc<CertifiedKey>,
    /// For those that do (RFC 6066 §3).
    named: Arc<CertifiedKey>,
}

impl Chosen {
    fn read(plain: Pem<'_>, named: Option<Pem<'_>>, provider: &CryptoProvider) -> Result<Self, TlsError> {
        let plain = Arc::new(certificate::read(plain.0, plain.1, provider)?);
        let named = match named {
            Some((chain, key)) => Arc::new(certificate::read(chain, key, provider)?),
            None => plain.clone(),
        };
        Ok(Self { plain, named })
    }
}

#[derive(Debug)]
struct Certificates(RwLock<Chosen>);

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let chosen = self.0.read().unwrap_or_else(PoisonError::into_inner);
        Some(if hello.server_name().is_some() { chosen.named.clone() } else { chosen.plain.clone() })
    }
}

/// Names under which rustls believes sessions to be stored, and their tickets, until they are put into messages.
type Sealed = VecDeque<(Vec<u8>, Vec<u8>)>;

/// As many sealed tickets may wait for their messages; a connection that ends between the two leaves its behind.
const MAX_SEALED: usize = 64;

/// The store of sessions that stores nothing.
#[derive(Debug)]
struct Sealing {
    tickets: Arc<Tickets>,
    sealed: Mutex<Sealed>,
}

impl Sealing {
    fn sealed(&self) -> MutexGuard<'_, Sealed> {
        self.sealed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn claim(&self, name: &[u8]) -> Option<Vec<u8>> {
        let mut sealed = self.sealed();
        let place = sealed.iter().position(|(candidate, _)| candidate == name)?;
        sealed.remove(place).map(|(_, ticket)| ticket)
    }
}

impl StoresServerSessions for Sealing {
    fn put(&self, name: Vec<u8>, state: Vec<u8>) -> bool {
        let Some(ticket) = self.tickets.encrypt(&state) else { return false };
        let mut sealed = self.sealed();
        if sealed.len() == MAX_SEALED {
            sealed.pop_front();
        }
        sealed.push_back((name, ticket));
        true
    }

    fn get(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        self.tickets.decrypt(ticket)
    }

    fn take(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        self.get(ticket)
    }

    fn can_cache(&self) -> bool {
        self.tickets.enabled()
    }
}

struct Server {
    inner: Arc<QuicServerConfig>,
    sealing: Arc<Sealing>,
}

impl crypto::ServerConfig for Server {
    fn initial_keys(&self, version: u32, destination: &ConnectionId) -> Result<Keys, UnsupportedVersion> {
        self.inner.initial_keys(version, destination)
    }

    fn retry_tag(&self, version: u32, original: &ConnectionId, packet: &[u8]) -> [u8; 16] {
        self.inner.retry_tag(version, original, packet)
    }

    fn start_session(self: Arc<Self>, version: u32, params: &TransportParameters) -> Box<dyn crypto::Session> {
        let inner = self.inner.clone().start_session(version, params);
        Box::new(Session {
            inner,
            sealing: self.sealing.clone(),
            hello: Hello::default(),
            certified: false,
            resumed: false,
        })
    }
}

struct Session {
    inner: Box<dyn crypto::Session>,
    sealing: Arc<Sealing>,
    hello: Hello,
    /// A certificate was sent.
    certified: bool,
    /// Finished was sent, and no certificate.
    resumed: bool,
}

impl Session {
    /// Copies handshake messages that rustls wrote, and looks at what they say.
    fn forward(&mut self, mut messages: &[u8], out: &mut Vec<u8>) {
        while let Some((&[kind, high, middle, low], rest)) = messages.split_first_chunk() {
            let length = u32::from_be_bytes([0, high, middle, low]) as usize;
            // rustls writes whole messages.
            let Some(body) = rest.get(..length) else { break };
            match kind {
                CERTIFICATE => self.certified = true,
                FINISHED => self.resumed = !self.certified,
                _ => {}
            }
            match kind {
                NEW_SESSION_TICKET => {
                    // Without its ticket the message would name a session that nobody stored.
                    if let Some(body) = self.with_ticket(body) {
                        out.push(NEW_SESSION_TICKET);
                        out.extend_from_slice(&(body.len() as u32).to_be_bytes()[1..]);
                        out.extend_from_slice(&body);
                    }
                }
                _ => out.extend_from_slice(&messages[..4 + length]),
            }
            messages = &rest[length..];
        }
        out.extend_from_slice(messages);
    }

    /// NewSessionTicket: lifetime (4), age_add (4), nonce (1 + n), ticket (2 + n), extensions (RFC 8446 §4.6.1).
    fn with_ticket(&self, body: &[u8]) -> Option<Vec<u8>> {
        let (age_add, rest) = body.get(4..)?.split_at_checked(4)?;
        let (nonce, rest) = rest.split_at_checked(1 + usize::from(*rest.first()?))?;
        let (&length, rest) = rest.split_first_chunk::<2>()?;
        let (name, extensions) = rest.split_at_checked(usize::from(u16::from_be_bytes(length)))?;
        let ticket = self.sealing.claim(name)?;
        let length = u16::try_from(ticket.len()).ok()?;
        Some([&LIFETIME.to_be_bytes(), age_add, nonce, &length.to_be_bytes(), &ticket, extensions].concat())
    }
}

impl crypto::Session for Session {
    fn initial_keys(&self, destination: &ConnectionId, side: Side) -> Keys {
        self.inner.initial_keys(destination, side)
    }

    fn handshake_data(&self) -> Option<Box<dyn Any>> {
        let data = self.inner.handshake_data()?.downcast::<HandshakeData>().ok()?;
        Some(Box::new(Handshake { server_name: data.server_name, resumed: self.resumed }))
    }

    fn peer_identity(&self) -> Option<Box<dyn Any>> {
        self.inner.peer_identity()
    }

    fn early_crypto(&self) -> Option<(Box<dyn HeaderKey>, Box<dyn PacketKey>)> {
        self.inner.early_crypto()
    }

    fn early_data_accepted(&self) -> Option<bool> {
        self.inner.early_data_accepted()
    }

    fn is_handshaking(&self) -> bool {
        self.inner.is_handshaking()
    }

    fn read_handshake(&mut self, bytes: &[u8]) -> Result<bool, TransportError> {
        self.hello.check(bytes)?;
        self.inner.read_handshake(bytes)
    }

    fn transport_parameters(&self) -> Result<Option<TransportParameters>, TransportError> {
        self.inner.transport_parameters()
    }

    fn write_handshake(&mut self, out: &mut Vec<u8>) -> Option<Keys> {
        let mut messages = Vec::new();
        let keys = self.inner.write_handshake(&mut messages);
        self.forward(&messages, out);
        keys
    }

    fn next_1rtt_keys(&mut self) -> Option<KeyPair<Box<dyn PacketKey>>> {
        self.inner.next_1rtt_keys()
    }

    fn is_valid_retry(&self, original: &ConnectionId, header: &[u8], payload: &[u8]) -> bool {
        self.inner.is_valid_retry(original, header, payload)
    }

    fn export_keying_material(
        &self,
        out: &mut [u8],
        label: &[u8],
        context: &[u8],
    ) -> Result<(), ExportKeyingMaterialError> {
        self.inner.export_keying_material(out, label, context)
    }
}
