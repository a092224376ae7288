//! What an endpoint is made of, and what quinn is told of it.
use super::{
    Limits, Pem,
    clock::{Clock, Wall},
    ids::Ids,
    negotiation::VERSION,
    tls, tokens,
};
use crate::error::Error;
use aws_lc_rs::{hkdf, hmac};
use quinn_proto::{EndpointConfig, IdleTimeout, ServerConfig, TransportConfig};
use std::{sync::Arc, time::Duration};

/// What an endpoint is made of.
pub struct Setup<'a> {
    /// For clients that name no server, and, unless there is another for them, for those that do.
    pub plain: Pem<'a>,
    pub named: Option<Pem<'a>>,
    /// 32 bytes that all workers share, also after a restart.
    pub secret: &'a [u8],
    /// 32 unforeseeable bytes of this endpoint alone.
    pub seed: [u8; 32],
    pub ticket_keys: &'a [Vec<u8>],
    /// First byte of connection ids.
    pub worker: u8,
    pub limits: Limits,
    /// Seconds of the caller's clock, and the Unix time then.
    pub now: f64,
    pub wall: Duration,
}

pub(super) struct Built {
    pub(super) clock: Arc<Clock>,
    pub(super) tls: tls::Settings,
    pub(super) quic: quinn_proto::Endpoint,
}

impl Setup<'_> {
    pub(super) fn build(&self) -> Result<Built, Error> {
        if self.secret.len() != 32 {
            return Err(Error::Argument("the secret must have 32 bytes"));
        }
        let clock = Arc::new(Clock::new(self.now, self.wall));
        let (tls, crypto) = tls::Settings::new(self.plain, self.named, self.ticket_keys, clock.clone())?;
        let secret = Secret(hkdf::Salt::new(hkdf::HKDF_SHA256, b"chiron quic").extract(self.secret));

        let mut config = EndpointConfig::new(Arc::new(secret.mac(b"stateless reset")));
        let (worker, ids, seed) = (self.worker, secret.mac(b"connection id"), self.seed);
        config.cid_generator(move || Box::new(Ids::new(worker, ids.clone(), &seed)));
        config.supported_versions(vec![VERSION]);
        config.rng_seed(Some(self.seed));

        let token_key = hkdf::Salt::new(hkdf::HKDF_SHA256, b"chiron quic token").extract(self.secret);
        let mut server = ServerConfig::new(crypto, Arc::new(token_key));
        server.transport_config(Arc::new(transport(&self.limits)?));
        server.time_source(Arc::new(Wall(clock.clone())));
        server.validation_token.lifetime(tokens::LIFETIME).log(Arc::new(tokens::UsedTokens::default())).sent(1);
        let quic = quinn_proto::Endpoint::new(Arc::new(config), Some(Arc::new(server)), true, None);
        Ok(Built { clock, tls, quic })
    }
}

/// Keys for several ends out of one secret (RFC 5869).
struct Secret(hkdf::Prk);

impl Secret {
    fn mac(&self, purpose: &[u8]) -> hmac::Key {
        let mut key = [0; 32];
        let info = [purpose];
        let filled = self.0.expand(&info, hkdf::HKDF_SHA256).and_then(|material| material.fill(&mut key));
        assert!(filled.is_ok(), "the length of a hash can be derived");
        hmac::Key::new(hmac::HMAC_SHA256, &key)
    }
}

fn transport(limits: &Limits) -> Result<TransportConfig, Error> {
    let idle = Duration::try_from_secs_f64(limits.idle_seconds).ok().filter(|idle| !idle.is_zero());
    let idle = idle.and_then(|idle| IdleTimeout::try_from(idle).ok());
    let mut transport = TransportConfig::default();
    transport
        .max_idle_timeout(Some(idle.ok_or(Error::Argument("idle_seconds must be finite and above 0"))?))
        .max_concurrent_bidi_streams(limits.streams_bidi.into())
        .max_concurrent_uni_streams(limits.streams_uni.into())
        .stream_receive_window(limits.stream_window.into())
        .receive_window(limits.connection_window.into())
        .datagram_receive_buffer_size(Some(limits.datagram_queue))
        .datagram_send_buffer_size(limits.datagram_queue);
    if Duration::try_from_secs_f64(limits.handshake_seconds).is_err() {
        return Err(Error::Argument("handshake_seconds must be finite and not below 0"));
    }
    Ok(transport)
}
