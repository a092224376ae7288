//! One connection's TLS, from the first byte to close_notify.
use super::{Settings, TlsError, alert};
use rustls::{HandshakeKind, ServerConnection};
use std::io::{BufRead, Write};

/// What a peer's bytes meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The handshake is complete; comes once, before any plaintext.
    Secured {
        /// ALPN (RFC 7301): `http/1.1`, or `None` when the client offered nothing.
        protocol: Option<String>,
        /// SNI (RFC 6066 §3).
        server_name: Option<String>,
        resumed: bool,
    },
    Plaintext(Vec<u8>),
    /// The peer will send nothing more (RFC 8446 §6.1). A FIN without it means that the end may be cut off.
    CloseNotify,
}

/// The session is lost; send what [`Session::take_output`] gives (an alert, as a rule), then end the connection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Failure {
    /// Number of the alert that was received, or that names what was wrong (RFC 8446 §6.2).
    pub alert: u16,
    pub reason: String,
}

/// A server's end of one TLS connection. Holds no plaintext between calls.
pub struct Session {
    /// Boxed: it is large, and most of what embeds a session is small.
    connection: Box<ServerConnection>,
    secured: bool,
    /// Nothing is read any more: close_notify received, or failed.
    read_closed: bool,
    /// Nothing is written any more: close_notify sent.
    write_closed: bool,
}

impl Session {
    pub fn new(settings: &Settings) -> Result<Self, TlsError> {
        let connection = ServerConnection::new(settings.config.clone()).map_err(TlsError::Unusable)?;
        Ok(Self { connection: Box::new(connection), secured: false, read_closed: false, write_closed: false })
    }

    /// Reads all of `bytes` and appends what they meant to `events`; what came before a failure stays there.
    ///
    /// Look at [`wants_write`](Self::wants_write) afterwards. Bytes behind close_notify or a failure are ignored.
    pub fn receive(&mut self, mut bytes: &[u8], events: &mut Vec<Event>) -> Result<(), Failure> {
        while !bytes.is_empty() && !self.read_closed {
            // rustls takes a few KiB at a time, and nothing while plaintext waits: drain after each step.
            let found = match self.connection.read_tls(&mut bytes) {
                Ok(_) => self.connection.process_new_packets(),
                Err(error) => Err(rustls::Error::General(error.to_string())),
            };
            self.report_secured(events);
            self.drain(bytes.len(), events);
            match found {
                Ok(state) if state.peer_has_closed() => {
                    self.read_closed = true;
                    events.push(Event::CloseNotify);
                }
                Ok(_) => {}
                Err(error) => {
                    self.read_closed = true;
                    self.write_closed = true;
                    return Err(Failure { alert: u16::from(u8::from(alert::of(&error))), reason: error.to_string() });
                }
            }
        }
        Ok(())
    }

    fn report_secured(&mut self, events: &mut Vec<Event>) {
        if self.secured || self.connection.is_handshaking() {
            return;
        }
        self.secured = true;
        events.push(Event::Secured {
            protocol: self.connection.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned()),
            server_name: self.connection.server_name().map(str::to_owned),
            resumed: self.connection.handshake_kind() == Some(HandshakeKind::Resumed),
        });
    }

    /// Moves plaintext out of rustls, joined to what this read already gave; `behind` bytes of it are still to be read.
    fn drain(&mut self, behind: usize, events: &mut Vec<Event>) {
        let mut reader = self.connection.reader();
        loop {
            // An error says that nothing waits, or that a close was reported: both are known from the state.
            let Ok(chunk) = reader.fill_buf() else { return };
            let size = chunk.len();
            if size == 0 {
                return;
            }
            if let Some(Event::Plaintext(data)) = events.last_mut() {
                data.extend_from_slice(chunk);
            } else {
                let mut data = Vec::with_capacity(size + behind);
                data.extend_from_slice(chunk);
                events.push(Event::Plaintext(data));
            }
            reader.consume(size);
        }
    }

    /// Encrypts `plaintext` and appends the records to `out`, behind whatever else was waiting.
    ///
    /// Takes nothing and returns false before the handshake is complete and after `close` or a failure.
    pub fn send(&mut self, plaintext: &[u8], out: &mut Vec<u8>) -> bool {
        if !self.secured || self.write_closed {
            return false;
        }
        let mut rest = plaintext;
        while !rest.is_empty() {
            // rustls holds a bounded number of bytes of unsent records: take them out after each step.
            match self.connection.writer().write(rest) {
                Ok(0) | Err(_) => return false,
                Ok(size) => rest = &rest[size..],
            }
            self.take_output(out);
        }
        self.take_output(out);
        true
    }

    /// Appends close_notify to `out`: nothing more will be sent (RFC 8446 §6.1). Reading goes on.
    pub fn close(&mut self, out: &mut Vec<u8>) {
        self.write_closed = true;
        self.connection.send_close_notify();
        self.take_output(out);
    }

    /// Whether [`take_output`](Self::take_output) has something: handshake, tickets, alerts.
    pub fn wants_write(&self) -> bool {
        self.connection.wants_write()
    }

    /// Appends to `out` what the protocol itself has to say.
    pub fn take_output(&mut self, out: &mut Vec<u8>) {
        while self.connection.wants_write() {
            if self.connection.write_tls(out).is_err() {
                unreachable!("a Vec takes every write");
            }
        }
    }

    /// Whether the handshake is complete.
    pub fn is_secured(&self) -> bool {
        self.secured
    }
}
