//! Says in the log that events go out with a test code, so that nobody forgets it.

use std::time::Duration;

use tokio::time::Instant;

use super::{Entry, TestMode};
use crate::time::UnixMs;

/// How often it is said while it lasts.
const REPEAT: Duration = Duration::from_mins(10);
/// How soon an end is noticed.
const LOOK: Duration = Duration::from_secs(5);

impl TestMode {
    /// Tells of active codes at once, at each change, and every ten minutes while there are some.
    /// Never ends.
    pub async fn tell(self) {
        let mut told: Vec<Entry> = Vec::new();
        let mut at = Instant::now();
        loop {
            self.show();
            let active = self.active();
            if active != told {
                for ended in told.iter().filter(|entry| !active.contains(entry)) {
                    let key = ended.key.as_deref();
                    tracing::info!(pixel.id = %ended.pixel, source.name = ended.source.as_deref(), test_mode.code = %ended.code, test_mode.key = key, "test mode has ended");
                }
            }
            if active != told || at.elapsed() >= REPEAT {
                active.iter().for_each(tell);
                at = Instant::now();
            }
            told = active;
            let wait = if told.is_empty() { REPEAT } else { LOOK };
            let _ = tokio::time::timeout(wait, self.0.changed.notified()).await;
        }
    }
}

fn tell(entry: &Entry) {
    let until = entry.until.map(|until| UnixMs(until).to_rfc3339());
    tracing::warn!(
        pixel.id = %entry.pixel,
        source.name = entry.source.as_deref(),
        test_mode.code = %entry.code,
        test_mode.until = until.as_deref().unwrap_or("no end"),
        test_mode.mirror = entry.mirror,
        test_mode.key = entry.key.as_deref(),
        "TEST MODE: events go out with a test event code, and count as real ones all the same; `capigate test-mode stop {}` ends it",
        entry.pixel
    );
}
