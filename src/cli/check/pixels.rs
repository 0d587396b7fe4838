//! The pixels: what they are called, which tokens they have, and whether those work.

use serde_json::Value;

use super::machine::channels;
use super::{Checks, Whole};
use crate::app::roster;
use crate::cli::token::look::{Looked, known, look, moment, shown};
use crate::config::{Pixel, SecretRefError};
use crate::custody::alarms::alarms;
use crate::custody::inspect::Seen;
use crate::custody::ladder::{Finding, Mark, about, rungs};
use crate::custody::{Kept, Source};
use crate::graph::oauth::{App, Context, Exit, OauthError};
use crate::pixel::PixelId;
use crate::time::UnixMs;
use crate::tokens::{Facts, Kind, Note, Slot};

/// Matters of a token that nothing else here tells.
const TOLD_BY_ALARMS: [&str; 2] = ["age", "shared"];

/// The word of the catalogue for a proof that is missing.
const PROOF_MISSING: &str = "proof-missing";

impl Whole {
    /// Looks at each pixel of the configuration.
    pub(super) async fn pixels(&self, checks: &mut Checks<'_, '_>) -> anyhow::Result<()> {
        let kept = self.desk.kept(&self.contents);
        let now = self.desk.clock.now();
        let warnings = self.desk.config.warnings(now);
        let mut tokens = Vec::new();
        for (id, pixel) in &self.desk.config.pixels {
            checks.about(format!("pixel {id}"))?;
            checks.tell_all(self.settings(*id, pixel, &warnings))?;
            let mut own: Vec<(Slot, &Kept)> = (kept.iter())
                .flat_map(|kept| kept.pixels.iter().map(move |(id, slot)| (*id, *slot, kept)))
                .filter(|(other, _, _)| other == id)
                .map(|(_, slot, kept)| (slot, kept))
                .collect();
            own.sort_by_key(|(slot, _)| *slot);
            if own.is_empty() {
                checks.tell(self.without_token(*id, pixel))?;
            }
            for (place, (slot, kept)) in own.into_iter().enumerate() {
                let sends = place == 0;
                if !sends {
                    let label = &kept.label;
                    checks.about(format!("pixel {id}, {} token {label}", slot.code()))?;
                }
                let (found, facts) = self.token(*id, kept, sends).await;
                checks.tell_all(found)?;
                let mut shown = shown(&kept.label, &kept.secret, &facts, now);
                shown["pixel"] = id.to_string().into();
                shown["slot"] = slot.code().into();
                tokens.push(shown);
            }
        }
        checks.report.set("tokens", Value::Array(tokens))
    }

    /// What is set for a pixel, apart from its token.
    fn settings(&self, id: PixelId, pixel: &Pixel, warnings: &[String]) -> Vec<Finding> {
        let mut findings = Vec::new();
        let mine = |warning: &&String| {
            let rest = warning.strip_prefix(&format!("pixels.{id}"));
            rest.is_some_and(|rest| rest.starts_with([' ', '.']))
        };
        let mine = warnings.iter().filter(mine).cloned();
        findings.extend(mine.map(|warning| Finding::new("config", Mark::Warn, warning)));
        match (&pixel.name, &pixel.site) {
            (Some(name), Some(site)) => {
                let says = format!("{name}, on {site}");
                findings.push(Finding::new("name", Mark::Pass, says));
            }
            (name, site) => {
                let missing = |key, set: bool| (!set).then_some(key);
                let missing: Vec<&str> = missing("name", name.is_some())
                    .into_iter()
                    .chain(missing("site", site.is_some()))
                    .collect();
                let says = format!("not set: {}", missing.join(" and "));
                findings.push(Finding::new("name", Mark::Skipped, says).next(format!(
                    "say in [pixels.{id}] whose it is, such as name = \"Example Shop, web\" and site = \"https://shop.example\""
                )));
            }
        }
        if pixel.test_event_code.is_some() {
            let next = format!("take it out of [pixels.{id}] before you go live");
            findings.push(self.test_code("test_event_code is set", next));
        }
        findings
    }

    /// Why there is no token that events could travel with.
    fn without_token(&self, id: PixelId, pixel: &Pixel) -> Finding {
        let add = format!(
            "get one, `capigate token guide dataset-token`, and hand it over: `capigate token add --pixel {id}`"
        );
        let Some(place) = &pixel.token else {
            return if self.is_vault_broken {
                let says = "whether it has a token cannot be told before the vault can be read";
                Finding::new("token", Mark::Skipped, says)
            } else {
                Finding::new("token", Mark::Fail, "has no token, so its events wait")
                    .next(add)
                    .exit(Exit::Token)
            };
        };
        let Err(error) = place.read_with(&|name| std::env::var(name).ok()) else {
            return Finding::new(
                "token",
                Mark::Skipped,
                "its token could not be read a moment ago",
            );
        };
        let says = format!("pixels.{id}.token: {error}");
        match error {
            // a service has variables of its own
            SecretRefError::NotSet(_) | SecretRefError::NoCredentials(_) => {
                Finding::new("token", Mark::Warn, says)
                    .next("run this with the gateway's user and environment to look at the token")
            }
            _ => Finding::new("token", Mark::Fail, says)
                .next("put a token there, and let the gateway's user alone read it")
                .exit(Exit::Usage),
        }
    }

    /// Looks at one token of a pixel; gives what was found, and what is known of it then. Events
    /// travel with one that `sends`; trouble with another one stops nothing.
    async fn token(&self, id: PixelId, kept: &Kept, sends: bool) -> (Vec<Finding>, Facts) {
        let (now, client) = (self.desk.clock.now(), &self.desk.client);
        let mut note = known(kept, &self.desk.notes());
        let mut found = Vec::new();
        if self.is_offline {
            found.extend(remembered(&note, id, now));
        } else {
            let (secret, app) = (&kept.secret, kept.app.clone());
            let looked = look(
                &self.desk,
                &self.contents,
                secret,
                app,
                Some(id),
                &note.facts,
            );
            match looked.await {
                Err(error) => {
                    found.push(Finding::of("token", Mark::Fail, Context::Debug, &error));
                }
                Ok(Looked { seen, app }) => {
                    note.facts = seen.facts.clone();
                    found.extend(rungs(client, secret, app.as_ref(), Some(id), &seen, now).await);
                    let is_told = found.iter().any(|one| one.row == Some(PROOF_MISSING));
                    if sends && !is_told && !note.facts.state.is_dead() {
                        found.push(self.proof(kept, app.as_ref()).await);
                    }
                }
            }
        }
        if sends {
            found.extend(self.due(kept, &note));
        } else {
            for finding in &mut found {
                finding.mark = finding.mark.min(Mark::Warn);
            }
        }
        (found, note.facts)
    }

    /// Whether the token's app wants a proof of its secret with each request.
    async fn proof(&self, kept: &Kept, app: Option<&App>) -> Finding {
        let bare = self.desk.client.me(&kept.secret, None).await;
        match (bare, app) {
            (Ok(_), _) => Finding::new(
                "proof",
                Mark::Pass,
                "its app demands no proof of its secret",
            ),
            (Err(error), app) => {
                let is_missing = error.explain(Context::Any).slug == PROOF_MISSING;
                match (is_missing, app) {
                    (true, Some(_)) => Finding::new(
                        "proof",
                        Mark::Pass,
                        "its app demands a proof of its secret, which is known",
                    ),
                    (true, None) => Finding::of("proof", Mark::Fail, Context::Any, &error),
                    (false, _) => unasked(&error),
                }
            }
        }
    }

    /// What has to be done about it in time.
    fn due(&self, kept: &Kept, note: &Note) -> Vec<Finding> {
        let now = self.desk.clock.now();
        let policy = roster::policy(&self.desk.config);
        let all = alarms(kept, note, &policy, now).into_iter();
        let told = all.filter_map(|alarm| {
            let what = alarm.key.rsplit(':').next().unwrap_or_default();
            let check = TOLD_BY_ALARMS.into_iter().find(|word| *word == what)?;
            let says = format!("{}. {}", alarm.title, alarm.text);
            Some(Finding::new(check, Mark::Warn, says).next(alarm.next))
        });
        let mut findings: Vec<Finding> = told.collect();
        let renews_itself = matches!(kept.source, Source::Vault(_))
            && note.facts.kind == Kind::SystemUser
            && kept.app.is_some();
        let ends = note.facts.expires.at().is_some();
        if self.is_production && ends && !renews_itself && channels(&self.desk.config).is_empty() {
            findings.push(
                Finding::new(
                    "renewal",
                    Mark::Warn,
                    "it ends, a person has to replace it in time, and no alert would say so",
                )
                .next(
                    "set alerts.webhook_url or alerts.email_to, or use a token that does not end",
                ),
            );
        }
        findings
    }
}

/// The probe itself was refused for some other reason.
fn unasked(error: &OauthError) -> Finding {
    let says = format!(
        "whether its app demands a proof of its secret cannot be told ({})",
        error.explain(Context::Any).title
    );
    Finding::new("proof", Mark::Skipped, says)
}

/// What was known the last time somebody asked.
fn remembered(note: &Note, id: PixelId, now: UnixMs) -> Vec<Finding> {
    let facts = &note.facts;
    let Some(at) = facts.checked_at else {
        let says = "nobody has asked Meta about this token yet";
        return vec![Finding::new("token", Mark::Skipped, says)];
    };
    let stamp = moment(at);
    let asked = format!("as Meta said at {}", stamp.as_str().unwrap_or("some time"));
    if facts.state.is_dead() {
        let cause = facts.cause.as_deref().unwrap_or("no code given");
        let says = format!("{} ({cause}), {asked}", facts.state.code());
        let dead = Finding::new("token", Mark::Fail, says).exit(Exit::Token);
        return vec![dead.next(format!("replace it: `capigate token rotate --pixel {id}`"))];
    }
    let seen = Seen {
        facts: facts.clone(),
        row: None,
        error: None,
        verdict: true,
        foreign: false,
    };
    let mut findings = vec![Finding::new("asked", Mark::Skipped, asked)];
    findings.extend(about(&seen, Some(id), now));
    findings
}
