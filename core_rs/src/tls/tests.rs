//! A session against rustls' own client, in memory.
use super::{Event, Failure, Session, Settings, TlsError};
use proptest::prelude::*;
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, SupportedProtocolVersion,
    client::Resumption,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName},
    version::{TLS12, TLS13},
};
use std::{
    io::{Read, Write},
    sync::Arc,
};

const NAME: &str = "chiron.test";
const VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];

/// A self-signed leaf, which clients trust as it is.
struct Identity {
    chain: String,
    key: String,
    certificate: CertificateDer<'static>,
}

fn identity() -> Identity {
    let made = rcgen::generate_simple_self_signed(vec![NAME.to_owned()]).unwrap();
    Identity { chain: made.cert.pem(), key: made.signing_key.serialize_pem(), certificate: made.cert.der().clone() }
}

fn ticket_key(fill: u8) -> Vec<u8> {
    vec![fill; 32]
}

fn settings(identity: &Identity, ticket_keys: &[Vec<u8>]) -> Settings {
    Settings::new(identity.chain.as_bytes(), identity.key.as_bytes(), ticket_keys).unwrap()
}

/// A client's settings, with the tickets it was given.
fn trusting(identities: &[&Identity], version: &'static SupportedProtocolVersion) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    for identity in identities {
        roots.add(identity.certificate.clone()).unwrap();
    }
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config
}

/// A client and a session, and what the session reported.
struct Pair {
    client: ClientConnection,
    server: Session,
    events: Vec<Event>,
}

impl Pair {
    fn new(client: &Arc<ClientConfig>, server: &Settings) -> Self {
        let mut client = ClientConnection::new(client.clone(), ServerName::try_from(NAME).unwrap()).unwrap();
        client.set_buffer_limit(None);
        Self { client, server: Session::new(server).unwrap(), events: Vec::new() }
    }

    fn connected(client: &Arc<ClientConfig>, server: &Settings) -> Self {
        let mut pair = Self::new(client, server);
        pair.exchange(usize::MAX).unwrap();
        assert!(pair.server.is_secured() && !pair.client.is_handshaking());
        pair
    }

    fn client_bytes(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        while self.client.wants_write() {
            self.client.write_tls(&mut bytes).unwrap();
        }
        bytes
    }

    fn server_bytes(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.server.take_output(&mut bytes);
        bytes
    }

    /// Carries bytes both ways, at most `step` at a time, until both are silent.
    fn exchange(&mut self, step: usize) -> Result<(), Failure> {
        loop {
            let sent = self.client_bytes();
            for chunk in sent.chunks(step) {
                self.server.receive(chunk, &mut self.events)?;
            }
            let answered = self.server_bytes();
            for chunk in answered.chunks(step) {
                self.client_receives(chunk).unwrap();
            }
            if sent.is_empty() && answered.is_empty() {
                return Ok(());
            }
        }
    }

    fn client_receives(&mut self, mut bytes: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        let mut plaintext = Vec::new();
        while !bytes.is_empty() && self.client.read_tls(&mut bytes).unwrap() > 0 {
            let state = self.client.process_new_packets()?;
            let mut chunk = vec![0; state.plaintext_bytes_to_read()];
            self.client.reader().read_exact(&mut chunk).unwrap();
            plaintext.extend(chunk);
        }
        Ok(plaintext)
    }

    /// What the server sends arrives.
    fn server_says(&mut self, plaintext: &[u8]) {
        let mut bytes = Vec::new();
        assert!(self.server.send(plaintext, &mut bytes));
        assert_eq!(self.client_receives(&bytes).unwrap(), plaintext);
    }

    /// What the client sends arrives, and nothing else.
    fn client_says(&mut self, plaintext: &[u8]) {
        self.client.writer().write_all(plaintext).unwrap();
        let bytes = self.client_bytes();
        let mut events = Vec::new();
        self.server.receive(&bytes, &mut events).unwrap();
        assert_eq!(events, [Event::Plaintext(plaintext.to_vec())]);
    }

    fn resumed(&self) -> bool {
        matches!(self.events[0], Event::Secured { resumed: true, .. })
    }
}

/// (content type, payload) of each record.
fn records(mut bytes: &[u8]) -> Vec<(u8, &[u8])> {
    let mut found = Vec::new();
    while let [kind, _, _, high, low, rest @ ..] = bytes {
        let (payload, behind) = rest.split_at(usize::from(u16::from_be_bytes([*high, *low])));
        found.push((*kind, payload));
        bytes = behind;
    }
    found
}

fn secured(protocol: Option<&str>) -> Event {
    Event::Secured { protocol: protocol.map(str::to_owned), server_name: Some(NAME.to_owned()), resumed: false }
}

#[test]
fn a_handshake_may_be_cut_at_every_byte() {
    let identity = identity();
    let server = settings(&identity, &[ticket_key(1)]);
    for version in VERSIONS {
        let mut client = trusting(&[&identity], version);
        client.resumption = Resumption::disabled();
        let client = Arc::new(client);
        for step in [1, 2, 7, usize::MAX] {
            let mut pair = Pair::new(&client, &server);
            pair.exchange(step).unwrap();
            assert_eq!(pair.events, [secured(Some("http/1.1"))]);
            assert!(pair.server.is_secured());
            pair.client_says(b"ping");
            pair.server_says(b"pong");
        }
        let first_flight = Pair::new(&client, &server).client_bytes().len();
        for cut in 1..first_flight {
            let mut pair = Pair::new(&client, &server);
            let hello = pair.client_bytes();
            pair.server.receive(&hello[..cut], &mut pair.events).unwrap();
            assert!(!pair.server.wants_write(), "an answer to half a ClientHello");
            pair.server.receive(&hello[cut..], &mut pair.events).unwrap();
            pair.exchange(usize::MAX).unwrap();
            assert_eq!(pair.events, [secured(Some("http/1.1"))]);
        }
    }
}

#[test]
fn plaintext_behind_the_handshake_in_the_same_read_comes_after_it() {
    let identity = identity();
    let server = settings(&identity, &[]);
    for version in VERSIONS {
        let mut pair = Pair::new(&Arc::new(trusting(&[&identity], version)), &server);
        pair.client.writer().write_all(b"at once").unwrap();
        pair.exchange(usize::MAX).unwrap();
        assert_eq!(pair.events, [secured(Some("http/1.1")), Event::Plaintext(b"at once".to_vec())]);
    }
}

#[test]
fn test_rfc7301_3_2_alpn() {
    let identity = identity();
    let server = settings(&identity, &[]);
    for version in VERSIONS {
        let mut silent = trusting(&[&identity], version);
        silent.alpn_protocols.clear();
        assert_eq!(Pair::connected(&Arc::new(silent), &server).events, [secured(None)]);

        let mut foreign = trusting(&[&identity], version);
        foreign.alpn_protocols = vec![b"h2".to_vec()];
        let mut pair = Pair::new(&Arc::new(foreign), &server);
        assert_eq!(pair.exchange(usize::MAX).unwrap_err().alert, 120);
        let alert = pair.server_bytes();
        assert_eq!(
            pair.client_receives(&alert),
            Err(rustls::Error::AlertReceived(rustls::AlertDescription::NoApplicationProtocol))
        );
    }
}

#[test]
fn test_rfc6066_3_a_client_may_name_no_server() {
    let identity = identity();
    let mut client = trusting(&[&identity], &TLS13);
    client.enable_sni = false;
    let pair = Pair::connected(&Arc::new(client), &settings(&identity, &[]));
    assert!(matches!(pair.events[..], [Event::Secured { server_name: None, .. }]));
}

#[test]
fn test_rfc5077_3_3_a_ticket_resumes_at_another_process_with_the_same_key() {
    let identity = identity();
    let keys = [ticket_key(1)];
    for version in VERSIONS {
        let client = Arc::new(trusting(&[&identity], version));
        assert!(!Pair::connected(&client, &settings(&identity, &keys)).resumed());
        let mut pair = Pair::connected(&client, &settings(&identity, &keys));
        assert!(pair.resumed());
        pair.client_says(b"again");
        pair.server_says(b"welcome back");
    }
}

#[test]
fn test_rfc5077_5_5_ticket_keys_rotate() {
    let identity = identity();
    for version in VERSIONS {
        let server = settings(&identity, &[ticket_key(1)]);
        let [client, late] = [(); 2].map(|()| Arc::new(trusting(&[&identity], version)));
        Pair::connected(&client, &server);
        Pair::connected(&late, &server);
        server.set_ticket_keys(&[ticket_key(2), ticket_key(1)]).unwrap();
        assert!(Pair::connected(&client, &server).resumed(), "the second key still opens");
        server.set_ticket_keys(&[ticket_key(3), ticket_key(2)]).unwrap();
        assert!(!Pair::connected(&late, &server).resumed(), "a key that was dropped does not open");
        assert!(Pair::connected(&client, &server).resumed(), "the first key sealed");
    }
}

#[test]
fn without_ticket_keys_nothing_is_resumed() {
    let identity = identity();
    let server = settings(&identity, &[]);
    for version in VERSIONS {
        let client = Arc::new(trusting(&[&identity], version));
        Pair::connected(&client, &server);
        assert!(!Pair::connected(&client, &server).resumed());
    }
}

#[test]
fn test_rfc8446_4_2_10_no_early_data_is_offered_or_taken() {
    let identity = identity();
    let server = settings(&identity, &[ticket_key(1)]);
    let mut client = trusting(&[&identity], &TLS13);
    client.enable_early_data = true;
    let client = Arc::new(client);
    Pair::connected(&client, &server);
    let mut pair = Pair::new(&client, &server);
    assert!(pair.client.early_data().is_none());
    pair.exchange(usize::MAX).unwrap();
    assert!(pair.resumed() && !pair.client.is_early_data_accepted());
}

#[test]
fn a_certificate_is_exchanged_while_connections_live() {
    let [old, new] = [(); 2].map(|()| identity());
    let server = settings(&old, &[]);
    for version in VERSIONS {
        server.reload(old.chain.as_bytes(), old.key.as_bytes()).unwrap();
        let client = Arc::new(trusting(&[&old, &new], version));
        let mut before = Pair::connected(&client, &server);
        let mut during = Pair::new(&client, &server);
        let hello = during.client_bytes();
        during.server.receive(&hello, &mut during.events).unwrap();

        server.clone().reload(new.chain.as_bytes(), new.key.as_bytes()).unwrap();
        during.exchange(usize::MAX).unwrap();
        let after = Pair::connected(&client, &server);
        assert_eq!(before.client.peer_certificates().unwrap(), std::slice::from_ref(&old.certificate));
        assert_eq!(during.client.peer_certificates().unwrap(), std::slice::from_ref(&old.certificate));
        assert_eq!(after.client.peer_certificates().unwrap(), std::slice::from_ref(&new.certificate));
        before.client_says(b"still here");
        before.server_says(b"so am I");
    }
}

#[test]
fn settings_that_cannot_be_used_are_refused_and_the_old_ones_stay() {
    let [identity, other] = [(); 2].map(|()| identity());
    let (chain, key) = (identity.chain.as_bytes(), identity.key.as_bytes());
    let server = settings(&identity, &[ticket_key(1)]);
    let cut = &identity.chain[..identity.chain.len() / 2];
    assert!(matches!(server.reload(b"no PEM", key), Err(TlsError::NoCertificate)));
    assert!(matches!(server.reload(cut.as_bytes(), key), Err(TlsError::Chain(_))));
    assert!(matches!(server.reload(chain, chain), Err(TlsError::Key)));
    assert!(matches!(server.reload(chain, other.key.as_bytes()), Err(TlsError::Mismatch)));
    let rubbish = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert!(matches!(server.reload(rubbish.as_bytes(), key), Err(TlsError::Unusable(_))));
    assert!(matches!(server.set_ticket_keys(&[ticket_key(2), vec![0; 31]]), Err(TlsError::TicketKey(31))));

    let client = Arc::new(trusting(&[&identity], &TLS13));
    let pair = Pair::connected(&client, &server);
    assert_eq!(pair.client.peer_certificates().unwrap(), std::slice::from_ref(&identity.certificate));
    assert!(Pair::connected(&client, &settings(&identity, &[ticket_key(1)])).resumed());
}

#[test]
fn keys_are_read_as_pkcs8_sec1_and_pkcs1() {
    use ::aws_lc_rs::{
        agreement::{ECDH_P256, PrivateKey},
        encoding::{AsDer, EcPrivateKeyRfc5915Der, Pkcs8V1Der},
        rsa,
    };
    use base64::{Engine, prelude::BASE64_STANDARD};
    let pem = |label: &str, der: &[u8]| {
        format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", BASE64_STANDARD.encode(der))
    };

    let pair = rcgen::KeyPair::generate().unwrap();
    let chain = rcgen::CertificateParams::new([NAME.to_owned()]).unwrap().self_signed(&pair).unwrap().pem();
    let private = PrivateKey::from_private_key_der(&ECDH_P256, &pair.serialize_der()).unwrap();
    let sec1: EcPrivateKeyRfc5915Der<'_> = private.as_der().unwrap();
    Settings::new(chain.as_bytes(), pair.serialize_pem().as_bytes(), &[]).unwrap();
    Settings::new(chain.as_bytes(), pem("EC PRIVATE KEY", sec1.as_ref()).as_bytes(), &[]).unwrap();

    let pkcs8: Pkcs8V1Der<'_> = rsa::KeyPair::generate(rsa::KeySize::Rsa2048).unwrap().as_der().unwrap();
    // RFC 8017 A.1.2 inside RFC 5208 §5: version, algorithm and the headers before it take 26 bytes.
    let pkcs1 = &pkcs8.as_ref()[26..];
    let pair = rcgen::KeyPair::try_from(pkcs8.as_ref()).unwrap();
    let chain = rcgen::CertificateParams::new([NAME.to_owned()]).unwrap().self_signed(&pair).unwrap().pem();
    Settings::new(chain.as_bytes(), pem("RSA PRIVATE KEY", pkcs1).as_bytes(), &[]).unwrap();
}

#[test]
fn test_rfc8446_4_6_3_a_key_update_is_answered() {
    let identity = identity();
    let mut pair = Pair::connected(&Arc::new(trusting(&[&identity], &TLS13)), &settings(&identity, &[]));
    for _ in 0..3 {
        pair.client.refresh_traffic_keys().unwrap();
        pair.client_says(b"under new keys");
        let mut answer = Vec::new();
        assert!(pair.server.send(b"likewise", &mut answer));
        assert_eq!(records(&answer).len(), 2, "KeyUpdate, then data under the new key");
        assert_eq!(pair.client_receives(&answer).unwrap(), b"likewise");
    }
}

#[test]
fn test_rfc8446_6_1_close_notify_ends_one_direction() {
    let identity = identity();
    let server = settings(&identity, &[]);
    for version in VERSIONS {
        let mut pair = Pair::connected(&Arc::new(trusting(&[&identity], version)), &server);
        pair.client.writer().write_all(b"last words").unwrap();
        pair.client.send_close_notify();
        let mut bytes = pair.client_bytes();
        bytes.extend(b"bytes behind it are ignored");
        let mut events = Vec::new();
        pair.server.receive(&bytes, &mut events).unwrap();
        pair.server.receive(b"these too", &mut events).unwrap();
        assert_eq!(events, [Event::Plaintext(b"last words".to_vec()), Event::CloseNotify]);

        pair.server_says(b"the answer");
        let mut bytes = Vec::new();
        pair.server.close(&mut bytes);
        assert_eq!(records(&bytes).len(), 1);
        pair.client_receives(&bytes).unwrap();
        assert_eq!(pair.client.reader().read(&mut [0; 8]).unwrap(), 0, "a clean end");
        assert!(!pair.server.send(b"afterthought", &mut bytes));
        pair.server.close(&mut bytes);
        assert_eq!(records(&bytes).len(), 1, "close_notify is sent once");
    }
}

#[test]
fn test_rfc8446_6_1_without_close_notify_no_end_is_reported() {
    let identity = identity();
    let mut pair = Pair::connected(&Arc::new(trusting(&[&identity], &TLS13)), &settings(&identity, &[]));
    pair.client.writer().write_all(b"cut off").unwrap();
    let bytes = pair.client_bytes();
    let mut events = Vec::new();
    pair.server.receive(&bytes[..bytes.len() - 1], &mut events).unwrap();
    assert!(events.is_empty());
}

#[test]
fn test_rfc8446_5_2_a_changed_record_is_bad_record_mac() {
    let identity = identity();
    let server = settings(&identity, &[]);
    for version in VERSIONS {
        let mut pair = Pair::connected(&Arc::new(trusting(&[&identity], version)), &server);
        pair.client.writer().write_all(b"sound").unwrap();
        let mut bytes = pair.client_bytes();
        pair.client.writer().write_all(b"changed").unwrap();
        bytes.extend(pair.client_bytes());
        *bytes.last_mut().unwrap() ^= 1;
        let mut events = Vec::new();
        assert_eq!(pair.server.receive(&bytes, &mut events).unwrap_err().alert, 20);
        assert_eq!(events, [Event::Plaintext(b"sound".to_vec())], "what came before is kept");
        let mut out = Vec::new();
        assert!(!pair.server.send(b"too late", &mut out));
        assert!(pair.server.wants_write());
        pair.server.take_output(&mut out);
        assert_eq!(
            pair.client_receives(&out),
            Err(rustls::Error::AlertReceived(rustls::AlertDescription::BadRecordMac))
        );
        assert_eq!(pair.server.receive(&bytes, &mut events), Ok(()), "nothing is read behind a failure");
        assert_eq!(events.len(), 1);
    }
}

#[test]
fn an_alert_of_the_peer_is_reported_by_its_number() {
    let mut pair = Pair::new(&Arc::new(trusting(&[], &TLS13)), &settings(&identity(), &[]));
    let hello = pair.client_bytes();
    pair.server.receive(&hello, &mut pair.events).unwrap();
    let answer = pair.server_bytes();
    pair.client_receives(&answer).unwrap_err();
    let alert = pair.client_bytes();
    let failure = pair.server.receive(&alert, &mut pair.events).unwrap_err();
    assert_eq!(failure.alert, 48, "unknown_ca: {}", failure.reason);
    assert!(pair.events.is_empty());
}

#[test]
fn a_plain_http_request_is_answered_by_an_alert() {
    let mut session = Session::new(&settings(&identity(), &[])).unwrap();
    let mut events = Vec::new();
    let failure = session.receive(b"GET / HTTP/1.1\r\nHost: chiron.test\r\n\r\n", &mut events).unwrap_err();
    let mut out = Vec::new();
    session.take_output(&mut out);
    assert_eq!(records(&out), [(21, &[2, failure.alert as u8][..])]);
    assert!(events.is_empty());
    assert!(!session.is_secured());
}

#[test]
fn a_mebibyte_in_one_read_is_drained_without_loss() {
    let identity = identity();
    let server = settings(&identity, &[]);
    let data: Vec<u8> = (0..1 << 20).map(|i: u32| (i % 251) as u8).collect();
    for version in VERSIONS {
        let mut pair = Pair::connected(&Arc::new(trusting(&[&identity], version)), &server);
        pair.client_says(&data);
        pair.server_says(&data);
        pair.client_says(b"and on");
    }
}

#[test]
fn nothing_is_taken_before_the_handshake_is_complete() {
    let identity = identity();
    let mut pair = Pair::new(&Arc::new(trusting(&[&identity], &TLS13)), &settings(&identity, &[]));
    let mut out = Vec::new();
    assert!(!pair.server.send(b"early", &mut out));
    let hello = pair.client_bytes();
    pair.server.receive(&hello, &mut pair.events).unwrap();
    assert!(!pair.server.send(b"half a round trip early", &mut out));
    assert!(out.is_empty());
    pair.exchange(usize::MAX).unwrap();
    pair.server_says(b"now");
}

#[test]
fn a_session_costs_a_connection_without_tls_nothing() {
    assert!(size_of::<Option<Session>>() <= 16);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_damage_to_a_client_hello_is_survived_and_the_alert_is_the_one_reported(
        damage in prop::collection::vec((0.0..1.0f64, any::<u8>()), 1..4),
        tls13: bool,
    ) {
        let identity = identity();
        let client = Arc::new(trusting(&[&identity], VERSIONS[usize::from(tls13)]));
        let mut pair = Pair::new(&client, &settings(&identity, &[ticket_key(1)]));
        let mut hello = pair.client_bytes();
        for (place, octet) in damage {
            let place = (place * hello.len() as f64) as usize;
            hello[place] = octet;
        }
        if let Err(failure) = pair.server.receive(&hello, &mut pair.events) {
            let out = pair.server_bytes();
            // Behind a ServerHello the alert is encrypted; a handshake message of over 64 KiB rustls drops without one.
            if let [(21, alert)] = records(&out)[..] {
                prop_assert_eq!(alert, [2, failure.alert as u8], "{}", failure.reason);
            }
        }
        prop_assert!(pair.events.is_empty());
    }
}
