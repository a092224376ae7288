//! Load over HTTP/3: requests, handshakes, and links over WebTransport. Each client has a UDP socket of its own, as clients
//! have; one thread drives them all.
mod client;
mod http3;
mod orders;
mod seen;
mod talk;

use crate::socket::authority;
use client::{Asking, Buffers, Client, Stage};
use mio::{Events, Interest, Poll, Token};
pub(crate) use orders::Answer;
use orders::{LinkOrder, Order, Report, Server};
use quinn_proto::{ClientConfig, TransportConfig, VarInt, crypto::rustls::QuicClientConfig};
use rustls::client::Resumption;
use seen::Seen;
use std::{
    collections::HashMap,
    io, mem,
    sync::Arc,
    time::{Duration, Instant},
};
use talk::Talk;

/// Seconds without a word from the servers after which an order has failed.
const PATIENCE: f64 = 20.0;

/// Publishes that a link has on their way at most; the server closes one that has more than 64.
const IN_FLIGHT: u64 = 48;

/// Seconds of silence after which datagrams that have not come are lost.
const SILENCE: f64 = 1.5;

/// Clients keep their connections from idling out.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

pub(crate) struct Fleet {
    poll: Poll,
    events: Events,
    clients: Vec<Option<Client>>,
    /// Places of clients that are gone.
    free: Vec<usize>,
    groups: HashMap<String, Vec<usize>>,
    buffers: Buffers,
    seen: Seen,
    zero: Instant,
}

impl Fleet {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            poll: Poll::new()?,
            events: Events::with_capacity(1024),
            clients: Vec::new(),
            free: Vec::new(),
            groups: HashMap::new(),
            buffers: Buffers::new(),
            seen: Seen::new(),
            zero: Instant::now(),
        })
    }

    pub(crate) fn registry(&self) -> &mio::Registry {
        self.poll.registry()
    }

    /// Carries an order out.
    pub(crate) fn obey(&mut self, order: Order) -> Result<Report, String> {
        if !matches!(order, Order::Hear { .. }) {
            self.seen = Seen::new();
        }
        match order {
            Order::Open { group, at, connections, at_once } => {
                self.open(&group, &at, connections, at_once, |_| (None, None))?;
            }
            Order::Handshakes { at, connections, at_once } => self.handshakes(&at, connections, at_once)?,
            Order::Get { group, path, token, streams, requests, body_bytes } => {
                let at = self.group(&group)?.to_vec();
                let request = http3::get("localhost", &path, token.as_deref()).into();
                self.seen.unasked = requests;
                for &index in &at {
                    if let Some(client) = &mut self.clients[index] {
                        client.asking = Asking { request: bytes::Bytes::clone(&request), body_bytes, streams };
                    }
                    self.drive(index);
                }
                self.until(|seen| seen.done >= requests)?;
                for &index in &at {
                    if let Some(client) = &mut self.clients[index] {
                        client.asking.streams = 0; // what others are told to ask for is not theirs
                    }
                }
            }
            Order::Sessions { group, at, path, links, at_once } => {
                let request = http3::session("localhost", &path);
                let zero = self.zero;
                let mut links: Vec<Option<LinkOrder>> = links.into_iter().map(Some).collect();
                let count = links.len();
                self.open(&group, &at, count, at_once, |index| {
                    let talk = links[index].take().map(|order| Box::new(Talk::new(index, zero, order)));
                    (Some(request.clone()), talk)
                })?;
            }
            Order::Publish { group, messages, burst, per_second, text_bytes } => {
                let expected = self.publish(&group, messages, burst, per_second, text_bytes)?;
                return Ok(Report { expected, ..self.report() });
            }
            Order::Mark { group, marks, burst, per_second } => {
                let expected = self.mark(&group, marks, burst, per_second)?;
                return Ok(Report { expected, ..self.report() });
            }
            Order::Hear { records, datagrams } => {
                self.seen.heard = Instant::now();
                let heard = self.until(|seen| seen.records >= records && seen.datagrams >= datagrams);
                let report = self.report();
                // Datagrams may be lost, and whoever asks sees how many.
                return if datagrams > 0 || heard.is_ok() { Ok(report) } else { heard.map(|()| report) };
            }
            Order::Close { group } => self.close(&group),
        }
        Ok(self.report())
    }

    /// What was seen, which counts no more: from now on comes what the next order, if it is to hear, waits for.
    fn report(&mut self) -> Report {
        mem::replace(&mut self.seen, Seen::new()).report()
    }

    /// Keeps connections alive until the next order.
    pub(crate) fn idle(&mut self) -> io::Result<()> {
        self.turn(Duration::from_millis(200))
    }

    fn group(&self, group: &str) -> Result<&[usize], String> {
        self.groups.get(group).map(Vec::as_slice).ok_or_else(|| format!("nobody is in {group}"))
    }

    // ------------------------------------------------------------------------------------------------------ the poll

    /// Waits until something comes, a timer is due, or for `longest`.
    fn turn(&mut self, longest: Duration) -> io::Result<()> {
        let now = Instant::now();
        let due = self.clients.iter().flatten().filter_map(|client| client.timer).min();
        let timeout = due.map_or(longest, |due| longest.min(due.saturating_duration_since(now)));
        match self.poll.poll(&mut self.events, Some(timeout)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            result => result?,
        }
        let now = Instant::now();
        let mut heard: Vec<usize> = self.events.iter().map(|event| event.token().0).collect();
        for &index in &heard {
            if let Some(client) = self.clients.get_mut(index).and_then(Option::as_mut) {
                let outcome = client.receive(now, &mut self.buffers);
                self.judge(index, outcome);
                self.seen.heard = now;
            }
        }
        for (index, client) in self.clients.iter_mut().enumerate() {
            if let Some(client) = client.as_mut().filter(|client| client.timer.is_some_and(|timer| timer <= now)) {
                client.expire(now);
                heard.push(index);
            }
        }
        for index in heard {
            self.drive(index);
        }
        Ok(())
    }

    fn drive(&mut self, index: usize) {
        if let Some(client) = self.clients.get_mut(index).and_then(Option::as_mut) {
            let outcome = client.drive(Instant::now(), &mut self.buffers, &mut self.seen);
            self.judge(index, outcome);
        }
    }

    /// Ends a client that failed.
    fn judge(&mut self, index: usize, outcome: Result<(), String>) {
        if let Err(reason) = outcome {
            self.seen.lost += 1;
            self.seen.trouble(reason);
            self.forget(index);
        }
    }

    fn forget(&mut self, index: usize) {
        if let Some(mut client) = self.clients[index].take() {
            let _ = self.poll.registry().deregister(&mut client);
            self.free.push(index);
        }
    }

    /// Goes on until the order is done. Fails when a client is lost meanwhile, or the servers say nothing.
    fn until(&mut self, mut done: impl FnMut(&Seen) -> bool) -> Result<(), String> {
        while !done(&self.seen) {
            if self.seen.lost > 0 || self.seen.heard.elapsed().as_secs_f64() > PATIENCE {
                return Err(format!("{} were done, {:?}", self.seen.done, self.seen.troubles));
            }
            self.turn(Duration::from_millis(50)).map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    // --------------------------------------------------------------------------------------------------- connections

    fn connect(
        &mut self,
        at: &Server,
        config: &ClientConfig,
        wanted: Option<Vec<u8>>,
        talk: Option<Box<Talk>>,
    ) -> Result<usize, String> {
        let mut client = Client::connect(at.address, &at.name, config.clone(), Instant::now())?;
        client.wanted = wanted;
        client.talk = talk;
        let index = self.free.pop().unwrap_or(self.clients.len());
        self.poll
            .registry()
            .register(&mut client, Token(index), Interest::READABLE)
            .map_err(|error| error.to_string())?;
        if index == self.clients.len() {
            self.clients.push(Some(client));
        } else {
            self.clients[index] = Some(client);
        }
        self.drive(index);
        Ok(index)
    }

    fn open(
        &mut self,
        group: &str,
        at: &Server,
        connections: usize,
        at_once: usize,
        mut made: impl FnMut(usize) -> (Option<Vec<u8>>, Option<Box<Talk>>),
    ) -> Result<(), String> {
        let config = configuration(at)?;
        for begun in 0..connections {
            let (wanted, talk) = made(begun);
            let index = self.connect(at, &config, wanted, talk)?;
            self.groups.entry(group.to_owned()).or_default().push(index);
            self.until(|seen| seen.done + at_once as u64 > begun as u64)?;
        }
        self.until(|seen| seen.done >= connections as u64)
    }

    fn handshakes(&mut self, at: &Server, connections: usize, at_once: usize) -> Result<(), String> {
        let config = configuration(at)?;
        let (mut begun, mut ended, mut flying) = (0, 0, Vec::new());
        while ended < connections {
            while begun < connections && flying.len() < at_once {
                flying.push((self.connect(at, &config, None, None)?, Instant::now()));
                begun += 1;
            }
            let sofar = self.seen.done;
            self.until(|seen| seen.done > sofar)?;
            for (index, since) in mem::take(&mut flying) {
                match &mut self.clients[index] {
                    Some(client) if client.stage == Stage::Open => {
                        client.close(Instant::now());
                        self.drive(index);
                        self.forget(index);
                        self.seen.took(since.elapsed());
                        ended += 1;
                    }
                    _ => flying.push((index, since)),
                }
            }
        }
        Ok(())
    }

    fn close(&mut self, group: &str) {
        for index in self.groups.remove(group).unwrap_or_default() {
            if let Some(client) = &mut self.clients[index] {
                client.close(Instant::now());
                self.drive(index);
                self.forget(index);
            }
        }
    }

    // --------------------------------------------------------------------------------------------------------- links

    /// How many records should have come.
    fn publish(
        &mut self,
        group: &str,
        messages: u64,
        burst: u64,
        per_second: f64,
        text_bytes: usize,
    ) -> Result<u64, String> {
        let links = self.group(group)?.to_vec();
        let expected = messages * (links.len() as u64 - 1);
        let began = Instant::now();
        for turn in 0..messages / burst {
            self.rest_until(began + Duration::from_secs_f64((turn * burst) as f64 / per_second))?;
            self.until(|seen| (turn + 1) * burst <= seen.done + IN_FLIGHT)?;
            self.with(links[0], |talk| talk.publish(burst, text_bytes, Instant::now()));
        }
        self.until(|seen| seen.done >= messages && seen.records >= expected)?;
        Ok(expected)
    }

    /// How many should have come.
    fn mark(&mut self, group: &str, marks: u64, burst: u64, per_second: f64) -> Result<u64, String> {
        let links = self.group(group)?.to_vec();
        let expected = marks * (links.len() as u64 - 1);
        // Who has published has read.
        let readers = &links[1..];
        let began = Instant::now();
        for turn in 0..marks / burst {
            self.rest_until(began + Duration::from_secs_f64((turn * burst) as f64 / per_second))?;
            for position in turn * burst..(turn + 1) * burst {
                self.with(readers[position as usize % readers.len()], Talk::mark);
            }
        }
        self.until(|seen| {
            let came = seen.datagrams + seen.events;
            seen.done >= marks && (came >= expected || seen.heard.elapsed().as_secs_f64() > SILENCE)
        })?;
        Ok(expected)
    }

    fn with(&mut self, index: usize, act: impl FnOnce(&mut Talk)) {
        if let Some(talk) = self.clients[index].as_mut().and_then(|client| client.talk.as_mut()) {
            act(talk);
        }
        self.drive(index);
    }

    /// Lets the clients go on until `due`.
    fn rest_until(&mut self, due: Instant) -> Result<(), String> {
        loop {
            if self.seen.lost > 0 {
                return Err(format!("{:?}", self.seen.troubles));
            }
            let rest = due.saturating_duration_since(Instant::now());
            if rest.is_zero() {
                return Ok(());
            }
            self.turn(rest).map_err(|error| error.to_string())?;
        }
    }
}

/// What clients of a server share. Every handshake is a full one.
fn configuration(at: &Server) -> Result<ClientConfig, String> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| error.to_string())?
        .with_root_certificates(authority(&at.authority)?)
        .with_no_client_auth();
    tls.alpn_protocols = vec![b"h3".to_vec()];
    tls.resumption = Resumption::disabled();
    let crypto = QuicClientConfig::try_from(tls).map_err(|error| error.to_string())?;
    let mut transport = TransportConfig::default();
    transport
        .keep_alive_interval(Some(KEEP_ALIVE))
        .stream_receive_window(VarInt::from_u32(8 << 20))
        .receive_window(VarInt::from_u32(16 << 20))
        .datagram_receive_buffer_size(Some(1 << 20));
    let mut config = ClientConfig::new(Arc::new(crypto));
    config.transport_config(Arc::new(transport));
    Ok(config)
}
