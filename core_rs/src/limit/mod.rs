//! Rate limits: the generic cell rate algorithm (GCRA, ITU-T I.371 annex A, "virtual scheduling") per key, in bounded memory.
//!
//! A key's whole state is its *theoretical arrival time* (TAT). When that is not in the future, the entry says the same
//! as none at all: a full burst is allowed. So entries can be forgotten then without anybody noticing, and only then.
//! When every entry is live and there is no room, a new key is refused; the alternative, forgetting a live one, would
//! let whoever sends from many addresses buy a fresh burst for each.
//!
//! Inside, times and costs are whole nanoseconds, so that sums neither drift nor depend on their order.
use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
    sync::Arc,
};

/// Nanoseconds of the caller's clock.
type Nanos = u64;

/// Entries looked at when a new key comes while there is room, so that memory follows the number of live keys.
const SWEEP: usize = 2;

/// One timestamp per key, for at most `capacity` keys.
#[derive(Debug)]
pub struct Limiter {
    capacity: usize,
    arrivals: HashMap<Arc<str>, Nanos>,
    /// Each key once, under its TAT or an earlier one that it had: the first tells when anything can be forgotten.
    order: BinaryHeap<Reverse<(Nanos, Arc<str>)>>,
}

impl Limiter {
    pub fn new(capacity: usize) -> Self {
        Self { capacity, arrivals: HashMap::new(), order: BinaryHeap::new() }
    }

    /// Takes `cost` from what `key` may do, or says how long to wait for it.
    ///
    /// `rate` is the cost that comes back per second, `burst` the cost that can be taken at once after a long rest.
    /// Returns 0.0 when the cost was taken; otherwise nothing was, and the result is the seconds until it could be:
    /// infinity when `cost` is more than `burst`. Arguments are finite, `rate` and `burst` above 0, `cost` and `now` not
    /// below.
    ///
    /// A known key takes constant time. A new one adds a step in a heap, and pays at most for one such step of each
    /// check that succeeded before it.
    pub fn check(&mut self, key: &str, cost: f64, rate: f64, burst: f64, now: f64) -> f64 {
        let now = nanos(now);
        let (increment, tolerance) = (nanos(cost / rate), nanos(burst / rate));
        if increment > tolerance {
            return f64::INFINITY;
        }
        let known = self.arrivals.get_mut(key);
        let arrival = known.as_deref().map_or(now, |&arrival| arrival.max(now)).saturating_add(increment);
        let limit = now.saturating_add(tolerance);
        if arrival > limit {
            return seconds(arrival - limit);
        }
        if increment == 0 {
            return 0.0;
        }
        if let Some(known) = known {
            *known = arrival;
            return 0.0;
        }
        if let Err(first_free) = self.make_room(now) {
            return seconds(first_free - now);
        }
        let key: Arc<str> = key.into();
        self.arrivals.insert(key.clone(), arrival);
        self.order.push(Reverse((arrival, key)));
        0.0
    }

    /// Keys that are remembered; some of them may be as good as forgotten.
    pub fn len(&self) -> usize {
        self.arrivals.len()
    }

    pub fn is_empty(&self) -> bool {
        self.arrivals.is_empty()
    }

    /// Forgets entries that say nothing until one more fits; else the time before which none will.
    fn make_room(&mut self, now: Nanos) -> Result<(), Nanos> {
        let mut steps = 0;
        while steps < SWEEP || self.arrivals.len() >= self.capacity {
            steps += 1;
            match self.order.peek_mut() {
                Some(mut first) if first.0.0 <= now => {
                    let arrival = self.arrivals.get(&first.0.1).copied().unwrap_or(0);
                    if arrival > now {
                        first.0.0 = arrival; // was used meanwhile: goes down to its place
                    } else {
                        let Reverse((_, key)) = std::collections::binary_heap::PeekMut::pop(first);
                        self.arrivals.remove(&key);
                    }
                }
                Some(first) if self.arrivals.len() >= self.capacity => return Err(first.0.0),
                None if self.capacity == 0 => return Err(Nanos::MAX),
                _ => break,
            }
        }
        Ok(())
    }
}

/// Seconds as whole nanoseconds; out of range they stay at the end of it.
fn nanos(seconds: f64) -> Nanos {
    (seconds * 1e9).round() as Nanos
}

fn seconds(nanos: Nanos) -> f64 {
    nanos as f64 / 1e9
}
