//! Whether Meta can be reached, and what time it has.

use std::time::{Duration, Instant, UNIX_EPOCH};

use reqwest::header::DATE;

use super::OauthClient;
use super::error::OauthError;
use super::wire::Call;
use crate::time::UnixMs;

/// What came of a request without a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reached {
    /// The HTTP status; without a token 400 is as good as any.
    pub status: u16,
    /// From before the connection to the end of the answer.
    pub took: Duration,
    /// Meta's clock, to the second, if it tells.
    pub date: Option<UnixMs>,
    /// Ours, half way through.
    pub now: UnixMs,
}

impl Reached {
    /// How many milliseconds our clock is ahead of Meta's; negative if it is behind. No better
    /// than a second and the time it took.
    pub fn ahead_ms(&self) -> Option<i64> {
        Some(self.now.0.saturating_sub(self.date?.0))
    }
}

impl OauthClient {
    /// Reaches for the Graph API without any token. Any answer will do, also an error of Meta's.
    pub async fn reach(&self) -> Result<Reached, OauthError> {
        let before = self.clock.now();
        let start = Instant::now();
        let got = self.send(Call::get("me")).await?;
        let took = start.elapsed();
        let date = got.headers.get(DATE).and_then(|date| {
            let date = httpdate::parse_http_date(date.to_str().ok()?).ok()?;
            let since = date.duration_since(UNIX_EPOCH).ok()?;
            Some(UnixMs(0).plus(since))
        });
        Ok(Reached {
            status: got.status,
            took,
            date,
            now: before.plus(took / 2),
        })
    }
}
