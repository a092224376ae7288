//! What the generator of HTTP/3 is told, a JSON object a line, and how it answers.
use crate::orders::Latency;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf};

#[derive(Debug, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Order {
    /// Open connections; done when all of them have spoken HTTP/3.
    Open {
        group: String,
        at: Server,
        connections: usize,
        at_once: usize,
    },
    /// Open so many connections and close each as soon as its handshake is complete.
    Handshakes {
        at: Server,
        connections: usize,
        at_once: usize,
    },
    /// Ask for `path` so often in all, with `streams` requests of each connection on their way at any time.
    Get {
        group: String,
        path: String,
        token: Option<String>,
        streams: usize,
        requests: u64,
        body_bytes: u64,
    },
    /// Open connections, a WebTransport session on each, and a bidirectional stream in each session. One with a token
    /// connects its link and attaches its channel.
    Sessions {
        group: String,
        at: Server,
        path: String,
        links: Vec<LinkOrder>,
        at_once: usize,
    },
    /// Publish `messages`, `burst` at a time, `per_second` in all, by the first link; done when every ack and every
    /// delivery has come.
    Publish {
        group: String,
        messages: u64,
        burst: u64,
        per_second: f64,
        text_bytes: usize,
    },
    /// Raise the watermarks of other links, of each in turn; done when every answer has come and every event, or, since
    /// datagrams may be lost, nothing has for a while.
    Mark {
        group: String,
        marks: u64,
        burst: u64,
        per_second: f64,
    },
    /// Done when links have got so many records and datagrams more than were asked for before.
    Hear {
        records: u64,
        datagrams: u64,
    },
    Close {
        group: String,
    },
}

/// Where a server is, and how it is known.
#[derive(Debug, Deserialize)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) authority: PathBuf,
    pub(crate) name: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct LinkOrder {
    pub(crate) token: Option<String>,
    pub(crate) channel: String,
}

#[derive(Debug, Serialize)]
#[serde(tag = "at", rename_all = "snake_case")]
pub(crate) enum Answer<'a> {
    Done(&'a Report),
    Failed { reason: String },
}

/// What was seen since the order began.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    pub(crate) seconds: f64,
    /// Handshakes, answers, ready links, acked publishes or watermarks: what was asked for.
    pub(crate) done: u64,
    /// Of bodies of answers.
    pub(crate) bytes: u64,
    /// Deliveries on streams.
    pub(crate) records: u64,
    /// Watermark events, by how they came, and events of other kinds.
    pub(crate) datagrams: u64,
    pub(crate) events: u64,
    pub(crate) others: u64,
    pub(crate) expected: u64,
    pub(crate) lost: u64,
    pub(crate) disordered: u64,
    /// Of a request, or from the sending of a publish to its delivery.
    pub(crate) latency_ms: Latency,
    /// A delivery, or an event, as it came.
    pub(crate) sample: String,
    pub(crate) troubles: BTreeMap<String, u64>,
}
