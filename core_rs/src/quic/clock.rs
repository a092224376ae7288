//! Seconds of a caller's clock as the instants that quinn and rustls count in.
use quinn_proto::TimeSource;
use rustls::{pki_types::UnixTime, time_provider::TimeProvider};
use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant, SystemTime},
};

/// Longest time that a clock counts, in seconds: some thirty years.
const END: f64 = 1e9;

/// Knows what time the caller said it was last. The instants are made up: nothing is read after construction.
pub(super) struct Clock {
    base: Instant,
    /// The caller's time at `base`.
    start: f64,
    /// Since the Unix epoch, at `base`.
    wall: Duration,
    /// Nanoseconds since `base`.
    current: AtomicU64,
}

impl Clock {
    pub(super) fn new(now: f64, wall: Duration) -> Self {
        Self { base: Instant::now(), start: now, wall, current: AtomicU64::new(0) }
    }

    /// Time goes on to `now`, and never back.
    pub(super) fn advance(&self, now: f64) -> Instant {
        let passed = now - self.start;
        // The comparison is false for NaN, too.
        let nanoseconds = if passed > 0.0 { (passed.min(END) * 1e9) as u64 } else { 0 };
        self.current.fetch_max(nanoseconds, Ordering::Relaxed);
        self.now()
    }

    pub(super) fn now(&self) -> Instant {
        self.base + self.passed()
    }

    /// An instant in the caller's seconds.
    pub(super) fn seconds(&self, instant: Instant) -> f64 {
        self.start + instant.saturating_duration_since(self.base).as_secs_f64()
    }

    fn passed(&self) -> Duration {
        Duration::from_nanos(self.current.load(Ordering::Relaxed))
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Clock({:?})", self.passed())
    }
}

/// For the age of address validation tokens, which outlive processes.
pub(super) struct Wall(pub(super) std::sync::Arc<Clock>);

impl TimeSource for Wall {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + self.0.wall + self.0.passed()
    }
}

/// For the age of session tickets.
impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(self.wall + self.passed()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_what_the_caller_says_and_never_goes_back() {
        let clock = Clock::new(1000.0, Duration::from_secs(1_800_000_000));
        let start = clock.now();
        assert_eq!(clock.advance(1000.25) - start, Duration::from_millis(250));
        assert_eq!(clock.advance(999.0) - start, Duration::from_millis(250));
        assert_eq!(clock.advance(f64::NAN) - start, Duration::from_millis(250));
        assert!((clock.seconds(start + Duration::from_millis(1500)) - 1001.5).abs() < 1e-9);
        assert_eq!(clock.current_time().unwrap().as_secs(), 1_800_000_000);
        clock.advance(f64::INFINITY);
        assert_eq!(clock.now() - start, Duration::from_secs(END as u64));
    }
}
