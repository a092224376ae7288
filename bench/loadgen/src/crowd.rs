//! All connections of the generator, on one epoll, and the orders that they carry out.
use crate::{
    link::{Link, Publishing},
    orders::{Answer, Order, Report, TlsOrder},
    socket::{Socket, Tls},
    tally::Tally,
    websocket,
};
use mio::{Events, Interest, Poll, Token};
use std::{
    collections::HashMap,
    io,
    time::{Duration, Instant},
};

const BUFFER_BYTES: usize = 256 * 1024;

/// Publishes of one link in flight during a fan-out, as many as the protocol lets every client have.
const IN_FLIGHT: usize = 16;

enum Kind {
    Link(Box<Link>),
    /// Counts what it is sent; `head` is what came of the answer to its handshake, until that is complete.
    Sink {
        head: Option<Vec<u8>>,
    },
}

struct Client {
    socket: Socket,
    kind: Kind,
    open: bool,
}

pub(crate) struct Crowd {
    poll: Poll,
    events: Events,
    clients: Vec<Option<Client>>,
    /// Connections by name of their group.
    groups: HashMap<String, Vec<usize>>,
    buffer: Vec<u8>,
    tally: Tally,
    zero: Instant,
    /// Bytes that sinks got and `Await` has not asked for yet.
    sunk: u64,
    /// Links that wait before they publish again.
    resting: Vec<usize>,
}

impl Crowd {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            poll: Poll::new()?,
            events: Events::with_capacity(1024),
            clients: Vec::new(),
            groups: HashMap::new(),
            buffer: vec![0; BUFFER_BYTES],
            tally: Tally::new(),
            zero: Instant::now(),
            resting: Vec::new(),
            sunk: 0,
        })
    }

    pub(crate) fn registry(&self) -> &mio::Registry {
        self.poll.registry()
    }

    /// Carries an order out. `say` is told each answer, the last one included.
    pub(crate) fn obey(&mut self, order: Order, say: &mut dyn FnMut(&Answer<'_>)) {
        self.tally = Tally::new();
        let outcome = match order {
            Order::Open { group, address, tls, links, at_once } => self.open(&group, address, tls, links, at_once),
            Order::Sink { group, address, connections, websocket } => {
                self.sink(&group, address, connections, websocket)
            }
            Order::Fanout { group, channel, messages, burst, per_second, text_bytes, patience } => {
                let publishing = Publishing {
                    channel,
                    wanted: 0,
                    burst: burst as usize,
                    in_flight: IN_FLIGHT.max(burst as usize),
                    text_bytes,
                };
                self.fan_out(&group, publishing, messages, per_second, patience)
            }
            Order::Publish { group, channel, in_flight, warm, seconds, text_bytes, patience } => {
                let publishing = Publishing { channel, wanted: u64::MAX, burst: 1, in_flight, text_bytes };
                self.publish(&group, publishing, warm, seconds, patience, say)
            }
            Order::Await { bytes, patience } => self.wait(bytes, patience),
            Order::Close { group } => {
                self.close(&group);
                Ok(self.tally.report(0))
            }
        };
        match outcome {
            Ok(report) => say(&Answer::Done(&report)),
            Err(reason) => say(&Answer::Failed { reason }),
        }
    }

    /// Lets connections do what they do on their own, until something else wakes the poll.
    pub(crate) fn idle(&mut self) -> io::Result<()> {
        self.turn(None)
    }

    // ------------------------------------------------------------------------------------------------------- opening

    fn open(
        &mut self,
        group: &str,
        address: std::net::SocketAddr,
        tls: Option<TlsOrder>,
        links: Vec<crate::orders::LinkOrder>,
        at_once: usize,
    ) -> Result<Report, String> {
        let tls = tls.map(|order| Tls::new(&order.authority, &order.name)).transpose()?;
        let count = links.len();
        let mut links = links.into_iter();
        let mut begun = 0;
        while self.tally.ready < count {
            while begun < count && begun - self.tally.ready < at_once {
                let Some(order) = links.next() else { break };
                let index = self.clients.len();
                let mut link = Link::new(index, self.zero, order);
                link.open(&address.to_string());
                self.add(group, address, tls.as_ref(), Kind::Link(Box::new(link)))?;
                begun += 1;
            }
            self.progress(10.0)?;
            if self.tally.ended > 0 || !self.tally.troubles.is_empty() {
                return Err(format!("a link cannot be opened: {:?}", self.tally.troubles));
            }
        }
        Ok(self.tally.report(count))
    }

    fn sink(
        &mut self,
        group: &str,
        address: std::net::SocketAddr,
        connections: usize,
        websocket: bool,
    ) -> Result<Report, String> {
        for begun in 0..connections {
            let head = websocket.then(Vec::new);
            let index = self.add(group, address, None, Kind::Sink { head })?;
            if websocket {
                let request = websocket::request(&address.to_string(), "/", None);
                let client = self.clients[index].as_mut().ok_or("gone")?;
                client.socket.queue(&request).map_err(|error| error.to_string())?;
            } else {
                self.tally.ready += 1;
            }
            while begun + 1 - self.tally.ready > 64 {
                self.progress(10.0)?;
            }
        }
        while self.tally.ready < connections {
            self.progress(10.0)?;
        }
        Ok(self.tally.report(connections))
    }

    fn add(
        &mut self,
        group: &str,
        address: std::net::SocketAddr,
        tls: Option<&Tls>,
        kind: Kind,
    ) -> Result<usize, String> {
        let index = self.clients.len();
        let mut socket = Socket::connect(address, tls).map_err(|error| format!("cannot connect: {error}"))?;
        self.poll
            .registry()
            .register(&mut socket.stream, Token(index), Interest::READABLE | Interest::WRITABLE)
            .map_err(|error| error.to_string())?;
        self.clients.push(Some(Client { socket, kind, open: true }));
        self.groups.entry(group.to_owned()).or_default().push(index);
        Ok(index)
    }

    fn close(&mut self, group: &str) {
        for index in self.groups.remove(group).unwrap_or_default() {
            self.clients[index] = None;
        }
    }

    // -------------------------------------------------------------------------------------------------------- events

    /// One turn that must bring something within `patience` seconds of the last that came.
    fn progress(&mut self, patience: f64) -> Result<(), String> {
        self.turn(Some(Duration::from_millis(50))).map_err(|error| error.to_string())?;
        if self.tally.heard.elapsed().as_secs_f64() > patience {
            return Err(format!("nothing came for {patience} s; {:?}", self.tally.troubles));
        }
        Ok(())
    }

    fn turn(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        match self.poll.poll(&mut self.events, timeout) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            result => result?,
        }
        let Self { events, clients, buffer, tally, resting, sunk, .. } = self;
        let now = Instant::now();
        for event in events.iter() {
            let index = event.token().0;
            let Some(client) = clients.get_mut(index).and_then(Option::as_mut) else { continue };
            tally.heard = now;
            if let Err(reason) = client.handle(buffer, now, tally, sunk) {
                if std::mem::replace(&mut client.open, false) {
                    tally.ended += 1;
                    tally.trouble(reason);
                }
            }
            if let Kind::Link(link) = &client.kind {
                if link.rests() && !resting.contains(&index) {
                    resting.push(index);
                }
            }
        }
        for index in std::mem::take(resting) {
            let Some(client) = clients.get_mut(index).and_then(Option::as_mut) else { continue };
            client.pump(now, tally);
            if matches!(&client.kind, Kind::Link(link) if link.rests()) {
                resting.push(index);
            }
        }
        Ok(())
    }

    fn links<'a>(&'a self, group: &str) -> impl Iterator<Item = &'a Link> {
        let indices = self.groups.get(group).map(Vec::as_slice).unwrap_or_default();
        indices.iter().filter_map(|&index| match &self.clients[index] {
            Some(Client { kind: Kind::Link(link), .. }) => Some(&**link),
            _ => None,
        })
    }

    fn each_link(&mut self, group: &str, mut act: impl FnMut(&mut Client)) {
        let indices = self.groups.get(group).map(Vec::as_slice).unwrap_or_default();
        for &index in indices {
            if let Some(client) = self.clients[index].as_mut() {
                act(client);
            }
        }
    }

    // ------------------------------------------------------------------------------------------------------- fan-out

    fn fan_out(
        &mut self,
        group: &str,
        publishing: Publishing,
        messages: u64,
        per_second: f64,
        patience: f64,
    ) -> Result<Report, String> {
        let Publishing { channel, burst, in_flight, text_bytes, .. } = publishing;
        let mut audience: HashMap<String, u64> = HashMap::new();
        for link in self.links(group) {
            let name = link.channels.get(channel).ok_or("a link has not so many channels")?;
            *audience.entry(name.clone()).or_default() += 1;
        }
        let publishers = self.groups.get(group).cloned().unwrap_or_default();
        if publishers.is_empty() {
            return Err(format!("nobody is in {group}"));
        }
        self.each_link(group, |client| {
            if let Kind::Link(link) = &mut client.kind {
                link.publishing = Publishing { channel, wanted: 0, burst, in_flight, text_bytes };
            }
        });
        // Neighbours share a room of ten: steps over them make each burst one of another room.
        let stride = (11..).find(|&stride| coprime(stride, publishers.len())).unwrap_or(1);
        let bursts = messages / burst as u64;
        let interval = burst as f64 / per_second;
        let (mut sent, mut expected) = (0, 0);
        loop {
            let elapsed = self.tally.began.elapsed().as_secs_f64();
            let due = bursts.min((elapsed / interval) as u64 + 1);
            let now = Instant::now();
            while sent < due {
                let index = publishers[(sent as usize * stride) % publishers.len()];
                let Some(client) = self.clients[index].as_mut() else { break };
                let Kind::Link(link) = &mut client.kind else { break };
                if link.waiting() + burst > in_flight {
                    break;
                }
                expected += (audience[&link.channels[channel]] - 1) * burst as u64;
                link.publishing.wanted += burst as u64;
                client.pump(now, &mut self.tally);
                sent += 1;
            }
            let answered = self.tally.acked + self.tally.failed;
            if sent == bursts && answered >= bursts * burst as u64 && self.tally.deliveries >= expected {
                break;
            }
            if self.tally.heard.elapsed().as_secs_f64() > patience || self.tally.ended > 0 {
                break;
            }
            let wait = if sent < bursts { (sent as f64 * interval - elapsed).max(0.0) } else { 0.05 };
            self.turn(Some(Duration::from_secs_f64(wait.min(0.05)))).map_err(|error| error.to_string())?;
        }
        let mut report = self.judged(group);
        report.expected = expected;
        Ok(report)
    }

    /// What the order came to, with what the links saw wrong, which is forgiven for the next one.
    fn judged(&mut self, group: &str) -> Report {
        let mut report = self.tally.report(self.links(group).count());
        (report.lost, report.repeated) = self.tally.gaps();
        for link in self.links(group) {
            let (lost, repeated, disordered) = link.verdict(|channel| self.tally.head(channel));
            report.lost += lost;
            report.repeated += repeated;
            report.disordered += disordered;
        }
        let tally = std::mem::replace(&mut self.tally, Tally::new());
        self.each_link(group, |client| {
            if let Kind::Link(link) = &mut client.kind {
                link.forgive(|channel| tally.head(channel));
            }
        });
        report
    }

    // ------------------------------------------------------------------------------------------------------- publish

    fn publish(
        &mut self,
        group: &str,
        publishing: Publishing,
        warm: f64,
        seconds: f64,
        patience: f64,
        say: &mut dyn FnMut(&Answer<'_>),
    ) -> Result<Report, String> {
        let Publishing { channel, in_flight, text_bytes, .. } = publishing;
        let now = Instant::now();
        let indices = self.groups.get(group).cloned().unwrap_or_default();
        for index in indices {
            let Some(client) = self.clients[index].as_mut() else { continue };
            if let Kind::Link(link) = &mut client.kind {
                link.publishing = Publishing { channel, wanted: u64::MAX, burst: 1, in_flight, text_bytes };
            }
            client.pump(now, &mut self.tally);
        }
        self.run_for(warm)?;
        say(&Answer::Begun);
        let offsets = std::mem::replace(&mut self.tally, Tally::new());
        self.run_for(seconds)?;
        say(&Answer::Measured(&self.tally.report(self.links(group).count())));
        self.each_link(group, |client| {
            if let Kind::Link(link) = &mut client.kind {
                link.publishing.wanted = 0;
            }
        });
        while self.links(group).any(|link| link.waiting() > 0) {
            self.progress(patience)?;
        }
        self.tally.absorb(offsets);
        Ok(self.judged(group))
    }

    fn run_for(&mut self, seconds: f64) -> Result<(), String> {
        let end = Instant::now() + Duration::from_secs_f64(seconds);
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            self.turn(Some(left.min(Duration::from_millis(10)))).map_err(|error| error.to_string())?;
            if self.tally.ended > 0 {
                return Err(format!("a link ended: {:?}", self.tally.troubles));
            }
        }
    }

    // --------------------------------------------------------------------------------------------------------- sinks

    fn wait(&mut self, bytes: u64, patience: f64) -> Result<Report, String> {
        while self.sunk < bytes {
            self.progress(patience)?;
        }
        self.sunk -= bytes;
        Ok(self.tally.report(0))
    }
}

impl Client {
    /// The poll says that something can be read or written.
    fn handle(&mut self, buffer: &mut [u8], now: Instant, tally: &mut Tally, sunk: &mut u64) -> Result<(), String> {
        let Self { socket, kind, .. } = self;
        let goes_on = match kind {
            Kind::Link(link) => socket.receive(buffer, |bytes| link.receive(bytes, now, tally)),
            Kind::Sink { head } => socket.receive(buffer, |bytes| swallow(head, bytes, tally, sunk)),
        };
        if !goes_on.map_err(|error| error.to_string())? {
            return Err("the server closed a connection".to_owned());
        }
        self.pump(now, tally);
        Ok(())
    }

    /// Sends what is to be sent.
    fn pump(&mut self, now: Instant, tally: &mut Tally) {
        let Self { socket, kind, .. } = self;
        let mut send = || -> io::Result<()> {
            if let Kind::Link(link) = kind {
                link.pump(now, tally);
                socket.queue(&link.out)?;
                link.out.clear();
            }
            socket.flush()
        };
        if let Err(error) = send() {
            tally.trouble(error.to_string());
        }
    }
}

fn swallow(head: &mut Option<Vec<u8>>, bytes: &[u8], tally: &mut Tally, sunk: &mut u64) {
    let Some(begun) = head else {
        *sunk += bytes.len() as u64;
        return;
    };
    begun.extend_from_slice(bytes);
    match websocket::response(begun) {
        Ok(None) => {}
        Ok(Some(end)) => {
            *sunk += (begun.len() - end) as u64;
            tally.ready += 1;
            *head = None;
        }
        Err(reason) => tally.trouble(reason),
    }
}

fn coprime(mut a: usize, mut b: usize) -> bool {
    while b > 0 {
        (a, b) = (b, a % b);
    }
    a == 1
}
