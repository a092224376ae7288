//! What all clients have seen since an order began.
use super::orders::Report;
use crate::orders::Latency;
use hdrhistogram::Histogram;
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

pub(super) struct Seen {
    pub(super) began: Instant,
    /// Requests that are still to be made.
    pub(super) unasked: u64,
    pub(super) done: u64,
    pub(super) bytes: u64,
    pub(super) records: u64,
    pub(super) datagrams: u64,
    /// Watermark events on streams.
    pub(super) events: u64,
    pub(super) others: u64,
    pub(super) lost: u64,
    pub(super) disordered: u64,
    pub(super) sample: String,
    pub(super) troubles: BTreeMap<String, u64>,
    /// When something last came.
    pub(super) heard: Instant,
    latency: Histogram<u64>,
}

impl Seen {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self {
            began: now,
            unasked: 0,
            done: 0,
            bytes: 0,
            records: 0,
            datagrams: 0,
            events: 0,
            others: 0,
            lost: 0,
            disordered: 0,
            sample: String::new(),
            troubles: BTreeMap::new(),
            heard: now,
            // Up to a minute, in microseconds and finer.
            latency: Histogram::new_with_bounds(1_000, 60_000_000_000, 3).expect("the bounds are in order"),
        }
    }

    pub(super) fn trouble(&mut self, what: impl Into<String>) {
        *self.troubles.entry(what.into()).or_default() += 1;
    }

    pub(super) fn answered(&mut self, took: Duration, bytes: u64) {
        self.done += 1;
        self.bytes += bytes;
        self.took(took);
    }

    pub(super) fn took(&mut self, took: Duration) {
        self.latency.saturating_record(took.as_nanos() as u64);
    }

    pub(super) fn report(&self) -> Report {
        let at = |quantile| self.latency.value_at_quantile(quantile) as f64 / 1e6;
        Report {
            seconds: self.began.elapsed().as_secs_f64(),
            done: self.done,
            bytes: self.bytes,
            records: self.records,
            datagrams: self.datagrams,
            events: self.events,
            others: self.others,
            expected: 0,
            lost: self.lost,
            disordered: self.disordered,
            latency_ms: Latency { p50: at(0.5), p99: at(0.99), max: self.latency.max() as f64 / 1e6 },
            sample: self.sample.clone(),
            troubles: self.troubles.clone(),
        }
    }
}
