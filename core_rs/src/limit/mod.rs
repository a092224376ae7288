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

/// How a key stands after it was asked.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Standing {
    /// 0.0 when the cost was taken; else seconds until it could be, infinity when never.
    pub wait: f64,
    /// Cost that could be taken now.
    pub left: f64,
    /// Seconds until a whole burst could be.
    pub rest: f64,
}

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

    /// The same, and how `key` stands now: for those who are to know how much is left before they are refused.
    pub fn take(&mut self, key: &str, cost: f64, rate: f64, burst: f64, now: f64) -> Standing {
        let wait = self.check(key, cost, rate, burst, now);
        let rest = self.arrivals.get(key).map_or(0, |arrival| arrival.saturating_sub(nanos(now)));
        // A key that found no room stands as if it had used up everything: there is nothing that it could take.
        let full = wait > 0.0 && rest == 0 && wait.is_finite();
        let rest = if full { wait } else { seconds(rest) };
        let left = if full { 0.0 } else { (burst - rest * rate).max(0.0) };
        Standing { wait, left, rest }
    }

    /// Whether `check` would certainly take `cost`. False also where it would first have to forget others.
    pub fn fits(&self, key: &str, cost: f64, rate: f64, burst: f64, now: f64) -> bool {
        let (now, increment, tolerance) = (nanos(now), nanos(cost / rate), nanos(burst / rate));
        let known = self.arrivals.get(key);
        let arrival = known.map_or(now, |&arrival| arrival.max(now)).saturating_add(increment);
        arrival <= now.saturating_add(tolerance) && (known.is_some() || self.arrivals.len() < self.capacity)
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_burst_then_the_rate() {
        let mut limiter = Limiter::new(1);
        let mut check = |now| limiter.check("k", 1.0, 10.0, 3.0, now);
        assert_eq!([check(1.0), check(1.0), check(1.0)], [0.0; 3]);
        assert_eq!(check(1.0), 0.1);
        assert_eq!(check(1.1), 0.0);
        assert_eq!(check(1.15), 0.05);
        assert_eq!([check(9.0), check(9.0), check(9.0), check(9.0)], [0.0, 0.0, 0.0, 0.1]);
    }

    #[test]
    fn costs_weigh() {
        let mut limiter = Limiter::new(1);
        assert_eq!(limiter.check("k", 5.0, 10.0, 5.0, 0.0), 0.0);
        assert_eq!(limiter.check("k", 2.0, 10.0, 5.0, 0.0), 0.2);
        assert_eq!(limiter.check("k", 0.0, 10.0, 5.0, 0.0), 0.0);
        assert_eq!(limiter.check("k", 5.1, 10.0, 5.0, 9.0), f64::INFINITY);
    }

    #[test]
    fn how_a_key_stands() {
        let mut limiter = Limiter::new(1);
        let mut take = |cost, now| {
            let standing = limiter.take("k", cost, 10.0, 5.0, now);
            (standing.wait, standing.left, standing.rest)
        };
        assert_eq!(take(0.0, 1.0), (0.0, 5.0, 0.0));
        assert_eq!(take(2.0, 1.0), (0.0, 3.0, 0.2));
        assert_eq!(take(3.0, 1.1), (0.0, 1.0, 0.4));
        assert_eq!(take(2.0, 1.1), (0.1, 1.0, 0.4), "what is refused takes nothing");
        assert_eq!(take(6.0, 1.1), (f64::INFINITY, 1.0, 0.4));
        assert_eq!(take(1.0, 9.0), (0.0, 4.0, 0.1));
        assert_eq!(limiter.take("other", 1.0, 10.0, 5.0, 9.0).left, 0.0, "there is no room for another key");
    }

    #[test]
    fn full_of_live_keys_new_ones_wait_for_the_first_to_rest() {
        let mut limiter = Limiter::new(2);
        limiter.check("a", 1.0, 1.0, 5.0, 0.0);
        limiter.check("b", 3.0, 1.0, 5.0, 0.0);
        assert_eq!(limiter.check("c", 1.0, 1.0, 5.0, 0.25), 0.75);
        assert_eq!(limiter.check("b", 3.0, 1.0, 5.0, 0.25), 0.75, "known keys are as exact as ever");
        assert_eq!(limiter.check("c", 1.0, 1.0, 5.0, 1.0), 0.0);
        assert_eq!(limiter.len(), 2);
        assert_eq!(limiter.check("a", 1.0, 1.0, 5.0, 1.0), 1.0, "its place is c's now");
    }

    #[test]
    fn what_fits_is_taken() {
        let mut limiter = Limiter::new(2);
        assert!(limiter.fits("a", 5.0, 1.0, 5.0, 0.0));
        assert!(!limiter.fits("a", 5.1, 1.0, 5.0, 0.0));
        limiter.check("a", 3.0, 1.0, 5.0, 0.0);
        assert!(limiter.fits("a", 2.0, 1.0, 5.0, 0.0) && !limiter.fits("a", 2.5, 1.0, 5.0, 0.0));
        limiter.check("b", 1.0, 1.0, 5.0, 0.0);
        assert!(!limiter.fits("c", 1.0, 1.0, 5.0, 9.0), "somebody would have to be forgotten");
        assert!(limiter.fits("b", 1.0, 1.0, 5.0, 9.0));
    }

    #[test]
    fn memory_follows_the_live_keys() {
        let mut limiter = Limiter::new(1_000_000);
        for second in 0..10_000_u32 {
            limiter.check(&second.to_string(), 1.0, 1.0, 5.0, second.into());
        }
        assert!(limiter.len() < 5, "{} keys", limiter.len());
        assert_eq!(limiter.len(), limiter.order.len());
    }

    #[test]
    fn without_room_nothing_passes_and_nothing_ends_the_process() {
        assert!(Limiter::new(0).check("k", 1.0, 1.0, 1.0, 0.0) > 0.0);
        let mut limiter = Limiter::new(1);
        assert_eq!(limiter.check("k", 1e300, 1e-300, 1e301, 1e300), 0.0);
        assert!(limiter.check("k", 1e300, 1e-300, 1e301, 0.0) >= 0.0);
    }

    /// One check and the pause before it. Pauses are whole milliseconds, which both sides turn into the same nanoseconds.
    #[derive(Debug, Clone)]
    struct Check {
        key: u8,
        cost: u16,
        rate: u16,
        burst: u16,
        pause_ms: u32,
    }

    fn checks(keys: u8) -> impl Strategy<Value = Vec<Check>> {
        let check = (0..keys, 0..8_u16, 1..8_u16, 1..20_u16, prop_oneof![Just(0), 0..3_000_u32])
            .prop_map(|(key, cost, rate, burst, pause_ms)| Check { key, cost, rate, burst, pause_ms });
        prop::collection::vec(check, 0..200)
    }

    /// The algorithm as the recommendation states it: one number per key, for ever.
    #[derive(Default)]
    struct Model(HashMap<u8, u128>);

    impl Model {
        /// Whether the cost is taken, else the nanoseconds to wait; None when there is no use in waiting.
        fn check(&mut self, check: &Check, now: u128) -> Option<u128> {
            let nanos = |cost: u16| (f64::from(cost) / f64::from(check.rate) * 1e9).round() as u128;
            let (increment, tolerance) = (nanos(check.cost), nanos(check.burst));
            let arrival = self.0.get(&check.key).copied().unwrap_or(0).max(now) + increment;
            if increment > tolerance {
                return None;
            }
            if arrival > now + tolerance {
                return Some(arrival - now - tolerance);
            }
            self.0.insert(check.key, arrival);
            Some(0)
        }

        fn live(&self, now: u128) -> usize {
            self.0.values().filter(|&&arrival| arrival > now).count()
        }
    }

    proptest! {
        #[test]
        fn exact_while_live_keys_fit(checks in checks(12), capacity in 1..12_usize) {
            let (mut limiter, mut model, mut now_ms) = (Limiter::new(capacity), Model::default(), 0_u64);
            for check in checks {
                now_ms += u64::from(check.pause_ms);
                let now = u128::from(now_ms) * 1_000_000;
                let known = model.0.get(&check.key).is_some_and(|&arrival| arrival > now);
                let full = !known && model.live(now) >= capacity;
                let wait = limiter.check(
                    &check.key.to_string(),
                    check.cost.into(),
                    check.rate.into(),
                    check.burst.into(),
                    now_ms as f64 / 1e3,
                );
                if full && check.cost > 0 && check.cost <= check.burst {
                    prop_assert!(wait > 0.0, "a new key was let in where live ones fill the room");
                } else {
                    let expected = model.check(&check, now).map_or(f64::INFINITY, |nanos| nanos as f64 / 1e9);
                    prop_assert_eq!(wait, expected);
                }
                prop_assert!(limiter.len() <= capacity);
                prop_assert_eq!(limiter.len(), limiter.order.len());
            }
        }

        /// What is said to be left can be taken, and not a whole unit more.
        #[test]
        fn what_is_left_can_be_taken(checks in checks(1)) {
            let (mut limiter, mut now_ms) = (Limiter::new(1), 0_u64);
            let (rate, burst) = (4.0, 16.0);
            for check in checks {
                now_ms += u64::from(check.pause_ms);
                let now = now_ms as f64 / 1e3;
                let standing = limiter.take("k", check.cost.into(), rate, burst, now);
                let mut more = |cost: f64| limiter.check("k", cost, rate, burst, now);
                prop_assert!(more(standing.left + 1.0) > 0.0);
                prop_assert_eq!(more((standing.left - 1e-6).max(0.0)), 0.0);
            }
        }

        /// Whatever is asked, and when: in any window, at most burst + rate × window is taken.
        #[test]
        fn no_window_gives_more_than_burst_and_rate(pauses in prop::collection::vec(0..800_u32, 1..80)) {
            let (rate, burst) = (2.0, 4.0);
            let (mut limiter, mut now, mut taken) = (Limiter::new(1), 0.0, Vec::new());
            for pause in pauses {
                now += f64::from(pause) / 1e3;
                if limiter.check("k", 1.0, rate, burst, now) == 0.0 {
                    taken.push(now);
                }
            }
            for (from, start) in taken.iter().enumerate() {
                for (to, end) in taken.iter().enumerate().skip(from) {
                    prop_assert!((to - from + 1) as f64 <= burst + rate * (end - start) + 1e-6);
                }
            }
        }
    }
}
