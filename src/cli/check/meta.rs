//! The way to Meta: the network, the clock, and the apps in whose name it is asked.

use super::{Checks, Whole};
use crate::custody::ladder::{Finding, Mark};
use crate::graph::oauth::{App, Context, Exit};

/// A clock that is this much off is told.
const SKEW_WARN_MS: u64 = 60_000;
/// A proof with a time in it is good for so long, so a clock that is more off spoils it.
const SKEW_FAIL_MS: u64 = 5 * 60_000;

impl Whole {
    /// Whether Meta is there, what time it has, and whether it knows the apps.
    pub(super) async fn meta(&self, checks: &mut Checks<'_, '_>) -> anyhow::Result<()> {
        checks.about("Meta")?;
        if self.is_offline {
            let says = "was not asked (--offline)";
            return checks.tell(Finding::new("graph", Mark::Skipped, says));
        }
        match self.desk.client.reach().await {
            Err(error) => {
                return checks.tell(Finding::of("graph", Mark::Fail, Context::Any, &error));
            }
            Ok(reached) => {
                let took = reached.took.as_millis();
                let is_well = reached.status < 500;
                checks.tell(if is_well {
                    Finding::new("graph", Mark::Pass, format!("answers, in {took} ms"))
                } else {
                    let says = format!("answers with HTTP {}, in {took} ms", reached.status);
                    Finding::new("graph", Mark::Warn, says).next("look at metastatus.com")
                })?;
                checks.tell(skew(reached.ahead_ms(), self.uses_app_secrets()))?;
            }
        }
        for (id, app) in &self.contents.apps {
            let app = App {
                id: id.clone(),
                secret: app.secret.clone(),
            };
            checks.about(format!("app {id}"))?;
            checks.tell(match self.desk.client.app_token(&app).await {
                Ok(_) => Finding::new("app_secret", Mark::Pass, "id and secret belong together"),
                Err(error) => Finding::of("app_secret", Mark::Fail, Context::App, &error),
            })?;
        }
        Ok(())
    }

    fn uses_app_secrets(&self) -> bool {
        let mut pixels = self.desk.config.pixels.values();
        !self.contents.apps.is_empty() || pixels.any(|pixel| pixel.app_secret.is_some())
    }
}

/// What a clock that is so many milliseconds ahead of Meta's means.
fn skew(ahead_ms: Option<i64>, uses_app_secrets: bool) -> Finding {
    let Some(ahead_ms) = ahead_ms else {
        let says = "Meta does not tell the time here, so the clock was not compared";
        return Finding::new("clock", Mark::Skipped, says);
    };
    let off = ahead_ms.unsigned_abs();
    let way = if ahead_ms < 0 { "behind" } else { "ahead of" };
    let says = format!("this machine's clock is {} s {way} Meta's", off / 1000);
    let set = "let the clock be set by NTP (`timedatectl set-ntp true`)";
    if off > SKEW_FAIL_MS && uses_app_secrets {
        let says = format!("{says}: proofs of app secrets may be refused");
        Finding::new("clock", Mark::Fail, says)
            .next(set)
            .exit(Exit::App)
    } else if off > SKEW_WARN_MS {
        Finding::new("clock", Mark::Warn, says).next(set)
    } else {
        Finding::new("clock", Mark::Pass, "the clock agrees with Meta's")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_told_from_a_minute_and_fails_from_five_where_it_matters() {
        for (ahead_ms, uses, mark) in [
            (None, true, Mark::Skipped),
            (Some(0), true, Mark::Pass),
            (Some(60_000), true, Mark::Pass),
            (Some(-61_000), true, Mark::Warn),
            (Some(300_000), true, Mark::Warn),
            (Some(300_001), true, Mark::Fail),
            (Some(-300_001), true, Mark::Fail),
            (Some(3_600_000), false, Mark::Warn),
            (Some(i64::MIN), true, Mark::Fail),
        ] {
            let found = skew(ahead_ms, uses);
            assert_eq!(found.mark, mark, "{ahead_ms:?} {uses}");
        }
        assert!(skew(Some(-61_000), true).says.contains("61 s behind"));
    }
}
