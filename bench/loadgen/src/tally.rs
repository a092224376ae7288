//! What all links of the generator have seen since an order began.
use crate::orders::{Latency, Report};
use hdrhistogram::Histogram;
use std::{
    collections::{BTreeMap, HashMap},
    time::{Duration, Instant},
};

/// One link in so many measures how long deliveries take: enough for a quantile, and cheap for the generator.
pub(crate) const SAMPLED: usize = 8;

pub(crate) struct Tally {
    pub(crate) began: Instant,
    pub(crate) published: u64,
    pub(crate) acked: u64,
    pub(crate) refused: u64,
    pub(crate) failed: u64,
    pub(crate) deliveries: u64,
    pub(crate) disordered: u64,
    pub(crate) events: u64,
    pub(crate) sample: String,
    pub(crate) troubles: BTreeMap<String, u64>,
    /// When something last came.
    pub(crate) heard: Instant,
    /// Links that became ready, and ends of links.
    pub(crate) ready: usize,
    pub(crate) ended: usize,
    /// Acked offsets by channel.
    offsets: HashMap<String, Vec<u64>>,
    ack: Histogram<u64>,
    delivery: Histogram<u64>,
}

impl Tally {
    pub(crate) fn new() -> Self {
        let now = Instant::now();
        // Up to a minute, in microseconds and finer.
        let histogram = || Histogram::new_with_bounds(1_000, 60_000_000_000, 3).expect("the bounds are in order");
        Self {
            began: now,
            published: 0,
            acked: 0,
            refused: 0,
            failed: 0,
            deliveries: 0,
            disordered: 0,
            events: 0,
            sample: String::new(),
            troubles: BTreeMap::new(),
            heard: now,
            ready: 0,
            ended: 0,
            offsets: HashMap::new(),
            ack: histogram(),
            delivery: histogram(),
        }
    }

    pub(crate) fn trouble(&mut self, what: impl Into<String>) {
        *self.troubles.entry(what.into()).or_default() += 1;
    }

    pub(crate) fn ack(&mut self, channel: &str, offset: u64, took: Duration) {
        self.acked += 1;
        self.ack.saturating_record(took.as_nanos() as u64);
        match self.offsets.get_mut(channel) {
            Some(offsets) => offsets.push(offset),
            None => drop(self.offsets.insert(channel.to_owned(), vec![offset])),
        }
    }

    pub(crate) fn delivered(&mut self, took: Duration) {
        self.delivery.saturating_record(took.as_nanos() as u64);
    }

    /// Newest acked offset of a channel.
    pub(crate) fn head(&self, channel: &str) -> u64 {
        self.offsets.get(channel).and_then(|offsets| offsets.iter().max()).copied().unwrap_or(0)
    }

    /// Offsets between the first and the last ack of a channel that nobody got, and those that two publishes got.
    pub(crate) fn gaps(&self) -> (u64, u64) {
        let (mut lost, mut repeated) = (0, 0);
        for offsets in self.offsets.values() {
            let mut sorted = offsets.clone();
            sorted.sort_unstable();
            for pair in sorted.windows(2) {
                match pair[1] - pair[0] {
                    0 => repeated += 1,
                    step => lost += step - 1,
                }
            }
        }
        (lost, repeated)
    }

    /// Takes over the acked offsets and the troubles of an earlier part of the same order.
    pub(crate) fn absorb(&mut self, earlier: Self) {
        for (channel, offsets) in earlier.offsets {
            self.offsets.entry(channel).or_default().extend(offsets);
        }
        for (trouble, count) in earlier.troubles {
            *self.troubles.entry(trouble).or_default() += count;
        }
        self.published += earlier.published;
        self.acked += earlier.acked;
        self.refused += earlier.refused;
        self.failed += earlier.failed;
        self.disordered += earlier.disordered;
    }

    pub(crate) fn report(&self, links: usize) -> Report {
        Report {
            seconds: self.began.elapsed().as_secs_f64(),
            links,
            published: self.published,
            acked: self.acked,
            refused: self.refused,
            failed: self.failed,
            deliveries: self.deliveries,
            disordered: self.disordered,
            events: self.events,
            ack_ms: latency(&self.ack),
            delivery_ms: latency(&self.delivery),
            sample: self.sample.clone(),
            troubles: self.troubles.clone(),
            ..Report::default()
        }
    }
}

fn latency(histogram: &Histogram<u64>) -> Latency {
    let at = |quantile| histogram.value_at_quantile(quantile) as f64 / 1e6;
    Latency { p50: at(0.5), p99: at(0.99), max: histogram.max() as f64 / 1e6 }
}
