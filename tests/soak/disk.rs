//! The disk that fills and frees.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use fastrand::Rng;

use super::laws::SETTLED;

/// Not full before.
const QUIET_START: Duration = Duration::from_secs(5);

pub(crate) struct Disk {
    /// It is full while this file is there.
    control: PathBuf,
    started: Instant,
    full_since: Option<Instant>,
    /// When it was full last.
    was_full: Option<(Instant, Instant)>,
    until: Instant,
}

impl Disk {
    pub(crate) fn new(control: PathBuf) -> Self {
        let now = Instant::now();
        Self {
            control,
            started: now,
            full_since: None,
            was_full: None,
            until: now,
        }
    }

    /// Now and then it is full for a few seconds; when that begins, gives for how long.
    pub(crate) fn step(&mut self, rng: &mut Rng) -> Option<Duration> {
        let now = Instant::now();
        if now < self.until {
            return None;
        }
        let fills = self.full_since.is_none() && now > self.started + QUIET_START;
        let next = Duration::from_millis(if fills {
            rng.u64(4000..9000)
        } else {
            rng.u64(5000..20_000)
        });
        if fills {
            std::fs::write(&self.control, "").unwrap();
            self.full_since = Some(now);
        } else {
            self.free();
        }
        self.until = now + next;
        fills.then_some(next)
    }

    pub(crate) fn free(&mut self) {
        if let Some(since) = self.full_since.take() {
            std::fs::remove_file(&self.control).unwrap();
            self.was_full = Some((since, Instant::now()));
        }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.full_since.is_some()
    }

    /// For how long deliveries may not have been noted on disk, beside the usual time.
    pub(crate) fn unnoted(&self) -> Duration {
        let just_now = self.was_full.filter(|(_, freed)| freed.elapsed() < SETTLED);
        let since = self.full_since.or(just_now.map(|(since, _)| since));
        since.map_or(Duration::ZERO, |since| since.elapsed())
    }
}
