//! What the generator is told, a JSON object a line, and how it answers.
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf};

#[derive(Debug, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Order {
    /// Open links, connect, attach; done when all are ready.
    Open {
        group: String,
        address: SocketAddr,
        tls: Option<TlsOrder>,
        links: Vec<LinkOrder>,
        /// Links that are on their way at once.
        at_once: usize,
    },
    /// Open connections that only count what they are sent: the other side is no realtime server.
    Sink {
        group: String,
        address: SocketAddr,
        connections: usize,
        /// Upgrade to WebSocket first.
        websocket: bool,
    },
    /// Publish `messages`, `burst` in one frame, `per_second` in all, each burst from another link; done when every
    /// ack and every delivery has come, or nothing has for `patience` seconds.
    Fanout {
        group: String,
        /// Which of each link's channels.
        channel: usize,
        messages: u64,
        burst: u64,
        per_second: f64,
        text_bytes: usize,
        patience: f64,
    },
    /// Keep `in_flight` publishes of each link on their way: `begun` is said after `warm` seconds, `measured` after
    /// `seconds` more, then done when all are answered.
    Publish {
        group: String,
        channel: usize,
        in_flight: usize,
        warm: f64,
        seconds: f64,
        text_bytes: usize,
        patience: f64,
    },
    /// Done when sinks have got so many bytes more.
    Await {
        bytes: u64,
        patience: f64,
    },
    Close {
        group: String,
    },
}

#[derive(Debug, Deserialize)]
pub(crate) struct TlsOrder {
    pub(crate) authority: PathBuf,
    pub(crate) name: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct LinkOrder {
    pub(crate) token: String,
    pub(crate) channels: Vec<String>,
    /// Whether to attach them.
    pub(crate) attach: bool,
}

#[derive(Debug, Serialize)]
#[serde(tag = "at", rename_all = "snake_case")]
pub(crate) enum Answer<'a> {
    Done(&'a Report),
    Begun,
    Measured(&'a Report),
    Failed { reason: String },
}

/// What was seen since the order began.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    pub(crate) seconds: f64,
    pub(crate) links: usize,
    /// Publishes begun; those sent again count once.
    pub(crate) published: u64,
    pub(crate) acked: u64,
    /// Temporary errors: those publishes were sent again.
    pub(crate) refused: u64,
    /// Publishes refused for good.
    pub(crate) failed: u64,
    /// Without repeats.
    pub(crate) deliveries: u64,
    pub(crate) expected: u64,
    /// Offsets that a link did not get, and acked offsets that are missing in a channel's row of them.
    pub(crate) lost: u64,
    pub(crate) repeated: u64,
    /// Deliveries, answers or offsets of one link's publishes out of order.
    pub(crate) disordered: u64,
    pub(crate) events: u64,
    /// From the first sending of a publish to its ack.
    pub(crate) ack_ms: Latency,
    /// From the first sending of a publish to a delivery of it.
    pub(crate) delivery_ms: Latency,
    /// A delivery as it came.
    pub(crate) sample: String,
    /// Whatever else was said or happened, and how often.
    pub(crate) troubles: BTreeMap<String, u64>,
}

#[derive(Debug, Default, Serialize)]
pub(crate) struct Latency {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) max: f64,
}
