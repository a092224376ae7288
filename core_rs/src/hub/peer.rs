//! One peer: how its bytes are read, what waits to be sent to it, and how far each direction has come.
//!
//! ```text
//!   output:  Open ──(close frame queued: peer closed, or broke a rule)──► Closing ──finish──► Finishing ──► Finished
//!              └───────────────────────────finish─────────────────────────────────────────────────▲   (all was given)
//!   input:   Reading ──close_notify, FIN──► Ended          Reading ──breach──► Broken ──close_notify, FIN──► Ended
//! ```
//! Only `Open` takes more to send: nothing may follow a close frame (RFC 6455 §5.5.1). A breach ends reading, so that
//! one mistake is reported once. Input outlives output: after `finish` the peer's own close is still reported, but its
//! messages are not, because nobody could be answered.
use super::{
    event::{Breach, Event, Layer},
    lanes::{Encoded, Lanes},
    link::{Link, Stage},
    records::Records,
};
use crate::{
    limit::Limiter,
    tls,
    websocket::{self, Parser, opcode},
    wire::Framing,
};

/// What carries a peer's bytes.
pub(super) enum Carrier {
    /// A byte stream that the edge owns.
    Transport { tls: Option<Box<tls::Session>>, mode: Mode },
    /// A stream of somebody else's connection, whose bytes are records. Events whose body has at most `datagram` bytes
    /// leave beside it.
    Stream { records: Records, datagram: usize },
}

/// What a transport's plaintext is.
pub(super) enum Mode {
    Http,
    /// WebSocket messages for whoever upgraded the connection.
    Message(Parser),
    /// WebSocket messages that are wire frames.
    Link(Parser),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Output {
    Open,
    Closing,
    Finishing,
    Finished,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Input {
    Reading,
    Broken,
    Ended,
}

pub(super) struct Peer {
    pub(super) carrier: Carrier,
    pub(super) lanes: Lanes,
    pub(super) link: Option<Box<Link>>,
    pub(super) output: Output,
    pub(super) input: Input,
    /// The transport takes no more.
    pub(super) paused: bool,
    /// Stands in the queue of those that flush visits.
    pub(super) scheduled: bool,
}

/// Where reading puts its events, and what it asks.
pub struct Reading<'a> {
    pub now: f64,
    /// Shared by all links of a person; without one nothing is limited.
    pub limiter: Option<&'a mut Limiter>,
    pub events: &'a mut Vec<Event>,
}

impl Peer {
    pub(super) fn transport(tls: Option<Box<tls::Session>>) -> Self {
        Self::new(Carrier::Transport { tls, mode: Mode::Http }, None)
    }

    pub(super) fn stream(link: Link, datagram: usize) -> Self {
        Self::new(Carrier::Stream { records: Records::default(), datagram }, Some(Box::new(link)))
    }

    fn new(carrier: Carrier, link: Option<Box<Link>>) -> Self {
        Self {
            carrier,
            lanes: Lanes::default(),
            link,
            output: Output::Open,
            input: Input::Reading,
            paused: false,
            scheduled: false,
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.output == Output::Open
    }

    pub(super) fn framing(&self) -> Framing {
        match self.carrier {
            Carrier::Transport { .. } => Framing::WebSocket,
            Carrier::Stream { .. } => Framing::Record,
        }
    }

    pub(super) fn is_websocket(&self) -> bool {
        matches!(self.carrier, Carrier::Transport { mode: Mode::Message(_) | Mode::Link(_), .. })
    }

    /// Whether `flush` would give something, were the peer not paused.
    pub(super) fn has_output(&self) -> bool {
        match self.output {
            Output::Finished => false,
            Output::Finishing => true,
            Output::Open | Output::Closing => match &self.carrier {
                Carrier::Transport { tls: Some(session), .. } => {
                    session.wants_write() || (session.is_secured() && !self.lanes.is_empty())
                }
                Carrier::Transport { tls: None, .. } | Carrier::Stream { .. } => !self.lanes.is_empty(),
            },
        }
    }

    // ------------------------------------------------------------------------------------------------------- reading

    /// Bytes of the carrier.
    pub(super) fn receive(&mut self, bytes: &[u8], reading: &mut Reading<'_>) {
        if self.input != Input::Reading {
            return;
        }
        let Carrier::Transport { tls: Some(session), .. } = &mut self.carrier else {
            return self.plaintext(bytes, reading);
        };
        let mut found = Vec::new();
        let outcome = session.receive(bytes, &mut found);
        for event in found {
            match event {
                tls::Event::Secured { protocol, server_name, resumed } => {
                    reading.events.push(Event::Secured { protocol, server_name, resumed });
                }
                tls::Event::Plaintext(data) => self.plaintext(&data, reading),
                tls::Event::CloseNotify => self.end(true, reading),
            }
        }
        if let Err(failure) = outcome {
            // Only the alert can still leave, and the session holds that one itself.
            self.lanes = Lanes::default();
            self.break_off(failure.into(), reading);
        }
    }

    /// A datagram that belongs to the stream.
    pub(super) fn receive_datagram(&mut self, data: &[u8], reading: &mut Reading<'_>) {
        let open = self.input == Input::Reading && self.is_open() && matches!(self.carrier, Carrier::Stream { .. });
        let Some(link) = self.link.as_mut().filter(|_| open) else { return };
        if let Err(breach) = link.datagram(data, reading) {
            self.break_off(breach, reading);
        }
    }

    /// The carrier saw FIN. Over TLS that alone is no clean end (RFC 8446 §6.1).
    pub(super) fn receive_end(&mut self, reading: &mut Reading<'_>) {
        let clean = !matches!(self.carrier, Carrier::Transport { tls: Some(_), .. });
        self.end(clean, reading);
    }

    fn end(&mut self, clean: bool, reading: &mut Reading<'_>) {
        if self.input != Input::Ended {
            self.input = Input::Ended;
            reading.events.push(Event::Ended { clean });
        }
    }

    pub(super) fn plaintext(&mut self, bytes: &[u8], reading: &mut Reading<'_>) {
        if self.input != Input::Reading || bytes.is_empty() {
            return;
        }
        if matches!(self.carrier, Carrier::Transport { mode: Mode::Http, .. }) {
            if self.is_open() {
                reading.events.push(Event::Data(bytes.to_vec()));
            }
        } else if let Err(breach) = self.messages(bytes, reading) {
            self.break_off(breach, reading);
        }
    }

    /// Reads messages until the bytes end, or until a link has to be bound before more of them may be read.
    fn messages(&mut self, mut bytes: &[u8], reading: &mut Reading<'_>) -> Result<(), Breach> {
        loop {
            if let Some(link) = &mut self.link {
                if link.stage == Stage::Presented {
                    return if self.output == Output::Open { link.hold(bytes) } else { Ok(()) };
                }
            }
            let Some(event) = self.next_event(&mut bytes)? else { return Ok(()) };
            match event {
                websocket::Event::Message { data, text } => match &mut self.link {
                    _ if self.output != Output::Open => {}
                    Some(link) => link.message(&data, text, reading)?,
                    None => reading.events.push(Event::Message { data, text }),
                },
                websocket::Event::Ping(body) => {
                    if self.is_open() {
                        let mut frame = Vec::new();
                        websocket::write_frame(opcode::PONG, &body, &mut frame);
                        self.lanes.push_pong(frame.into());
                    }
                }
                websocket::Event::Pong(_) => {}
                websocket::Event::Close { code, reason } => {
                    self.close_websocket(code, "");
                    reading.events.push(Event::PeerClosed { code, reason });
                }
            }
        }
    }

    fn next_event(&mut self, bytes: &mut &[u8]) -> Result<Option<websocket::Event>, Breach> {
        match &mut self.carrier {
            Carrier::Transport { mode: Mode::Http, .. } => Ok(None),
            Carrier::Transport { mode: Mode::Message(parser) | Mode::Link(parser), .. } => Ok(parser.next(bytes)?),
            Carrier::Stream { records, .. } => {
                let maximum = self.link.as_ref().map_or(0, |link| link.max_message());
                match records.next(bytes, maximum) {
                    Ok(record) => Ok(record.map(|data| websocket::Event::Message { data, text: true })),
                    Err(_) => Err(Breach::wire(websocket::code::TOO_BIG, "the message is too large")),
                }
            }
        }
    }

    /// Nothing more is read; the peer may be told why.
    fn break_off(&mut self, breach: Breach, reading: &mut Reading<'_>) {
        self.input = Input::Broken;
        if breach.layer == Layer::Tls {
            self.end_output(Output::Closing);
        } else {
            self.close_websocket(breach.code, &breach.reason);
        }
        reading.events.push(Event::Broken(breach));
    }

    // ------------------------------------------------------------------------------------------------------- writing

    /// Queues the close frame, if none was, and takes nothing behind it. A stream has none: whoever owns it says the code.
    fn close_websocket(&mut self, code: u16, reason: &str) {
        if self.is_open() && self.is_websocket() {
            let mut frame = Vec::new();
            websocket::write_close(code, reason, &mut frame);
            self.lanes.push_control(frame.into(), usize::MAX);
        }
        self.end_output(Output::Closing);
    }

    fn end_output(&mut self, output: Output) {
        if self.is_open() || output == Output::Finishing {
            self.output = output;
        }
        self.lanes.drop_deliveries();
    }

    /// What waits in the control lane leaves, then the close frame of an upgraded connection, then close_notify of TLS.
    pub(super) fn finish(&mut self, code: u16, reason: &str) {
        if matches!(self.output, Output::Finishing | Output::Finished) {
            return;
        }
        self.close_websocket(code, reason);
        if matches!(&self.carrier, Carrier::Transport { tls: Some(session), .. } if !session.is_secured()) {
            // Nothing can be encrypted, now or ever.
            self.lanes = Lanes::default();
        }
        self.end_output(Output::Finishing);
    }

    /// Appends to `out` what may leave now, `budget` bytes of plaintext at most (a record that is longer leaves alone),
    /// and gives `datagrams` the records that leave beside it; whether those were the last bytes.
    pub(super) fn emit(
        &mut self,
        out: &mut Vec<u8>,
        plaintext: &mut Vec<u8>,
        budget: usize,
        datagrams: impl FnMut(Encoded),
    ) -> bool {
        match &mut self.carrier {
            Carrier::Stream { datagram, .. } => self.lanes.gather_records(out, budget, *datagram, datagrams),
            Carrier::Transport { tls: None, .. } => self.lanes.gather(out, budget),
            Carrier::Transport { tls: Some(session), .. } => {
                session.take_output(out);
                if session.is_secured() {
                    plaintext.clear();
                    self.lanes.gather(plaintext, budget);
                    session.send(plaintext, out);
                }
            }
        }
        if self.output != Output::Finishing || !self.lanes.is_empty() {
            return false;
        }
        self.output = Output::Finished;
        // Behind a fatal alert there is no close_notify (RFC 8446 §6.2); the session knows.
        if let Carrier::Transport { tls: Some(session), .. } = &mut self.carrier {
            session.close(out);
        }
        true
    }
}
