//! The verification of a token for a pixel, rung by rung: its shape, what Meta says of it, whether
//! it sees the pixel, and, only when asked to, whether a test event arrives.

use serde::Serialize;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::alarms::{NEEDED_SCOPE, extra_scopes, is_of_dataset, nearing};
use super::inspect::{Seen, inspect};
use crate::alerts::Severity;
use crate::graph::Text;
use crate::graph::oauth::{App, Context, Exit, MetaError, OauthClient, OauthError, TestSent};
use crate::pixel::PixelId;
use crate::secret::Secret;
use crate::time::UnixMs;
use crate::tokens::paste::pixel_shape;
use crate::tokens::{Expiry, Facts, Kind, State};

/// The name of the event that a test sends; nobody optimises for it.
pub const TEST_EVENT: &str = "GatewayTokenCheck";

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mark {
    /// As it should be.
    Pass,
    /// Could not be told, and that is no fault.
    Skipped,
    /// Works, but someone should know.
    Warn,
    /// Does not work.
    Fail,
}

/// One check and how it came out.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// What it is about, where a report is about several things, such as `pixel 1234567890123456`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// A stable word for what was checked.
    pub check: &'static str,
    /// How it came out.
    pub mark: Mark,
    /// What was found, in words.
    pub says: String,
    /// What to do, where something is to be done.
    pub next: Option<String>,
    /// Meta's codes, such as `190/463`.
    pub code: Option<String>,
    /// Meta's own words, where its codes do not tell all.
    pub words: Option<String>,
    /// The row of the catalogue, a stable word.
    pub row: Option<&'static str>,
    /// Meta's trace id: what to give to its support.
    pub trace_id: Option<String>,
    /// What a command ends with for it.
    #[serde(skip)]
    pub exit: Option<Exit>,
}

impl Finding {
    /// A finding in words alone.
    pub fn new(check: &'static str, mark: Mark, says: impl Into<String>) -> Self {
        Self {
            subject: None,
            check,
            mark,
            says: says.into(),
            next: None,
            code: None,
            words: None,
            row: None,
            trace_id: None,
            exit: None,
        }
    }

    /// The same, with what to do.
    #[must_use]
    pub fn next(mut self, next: impl Into<String>) -> Self {
        self.next = Some(next.into());
        self
    }

    /// The same, with what a command ends with.
    #[must_use]
    pub fn exit(mut self, exit: Exit) -> Self {
        self.exit = Some(exit);
        self
    }

    /// What an error of Meta's endpoints means.
    pub fn of(check: &'static str, mark: Mark, context: Context, error: &OauthError) -> Self {
        let row = error.explain(context);
        let meta = error.meta();
        Self {
            subject: None,
            check,
            mark,
            says: format!("{}: {}", row.title, row.says),
            next: Some(row.next.to_owned()),
            code: meta.map(ToString::to_string),
            words: meta.and_then(words),
            row: Some(row.slug),
            trace_id: meta.and_then(|meta| meta.trace_id.as_ref().map(ToString::to_string)),
            exit: Some(row.exit),
        }
    }
}

/// What Meta says for people, else its message.
fn words(error: &MetaError) -> Option<String> {
    let title = error.user_title.iter().map(Text::as_str);
    let told: Vec<&str> = title
        .chain(error.user_message.iter().map(Text::as_str))
        .collect();
    if told.is_empty() {
        return error.message.as_ref().map(ToString::to_string);
    }
    Some(told.join(": "))
}

/// The gravest mark of all, and what a command ends with.
pub fn verdict(findings: &[Finding]) -> (Mark, Option<Exit>) {
    let mark = findings.iter().map(|one| one.mark).max();
    let failed = findings.iter().find(|one| one.mark == Mark::Fail);
    let exit = failed.map(|one| one.exit.unwrap_or(Exit::Token));
    (mark.unwrap_or(Mark::Pass), exit)
}

/// Everything about one token for one pixel that can be told without sending anything: shape,
/// `debug_token`, and reading the pixel. Also what Meta said, for whoever keeps it.
pub async fn verify(
    client: &OauthClient,
    token: &Secret,
    app: Option<&App>,
    pixel: Option<PixelId>,
    before: &Facts,
    now: UnixMs,
) -> (Vec<Finding>, Option<Seen>) {
    match inspect(client, token, app, before, now).await {
        Ok(seen) => {
            let findings = rungs(client, token, app, pixel, &seen, now).await;
            (findings, Some(seen))
        }
        Err(error) => {
            let mut findings: Vec<Finding> = pixel.map(shape).into_iter().collect();
            findings.push(Finding::of("token", Mark::Fail, Context::Debug, &error));
            if let Some(pixel) = pixel {
                findings.extend(sees(client, token, app, pixel, now).await);
            }
            (findings, None)
        }
    }
}

/// The same for a token that Meta has been asked about already.
pub async fn rungs(
    client: &OauthClient,
    token: &Secret,
    app: Option<&App>,
    pixel: Option<PixelId>,
    seen: &Seen,
    now: UnixMs,
) -> Vec<Finding> {
    let mut findings: Vec<Finding> = pixel.map(shape).into_iter().collect();
    findings.extend(about(seen, pixel, now));
    if let Some(pixel) = pixel
        && !seen.facts.state.is_dead()
    {
        // the proof of another app's secret would be refused
        let app = app.filter(|_| !seen.foreign);
        findings.extend(sees(client, token, app, pixel, now).await);
    }
    findings
}

fn shape(pixel: PixelId) -> Finding {
    match pixel_shape(&pixel.to_string()) {
        Ok((_, None)) => Finding::new("pixel_id", Mark::Pass, format!("pixel id {pixel}")),
        Ok((_, Some(note))) => Finding::new("pixel_id", Mark::Warn, note.to_string()),
        Err(error) => {
            Finding::new("pixel_id", Mark::Fail, error.to_string()).exit(Exit::Permission)
        }
    }
}

/// What `debug_token` says, point by point.
pub fn about(seen: &Seen, pixel: Option<PixelId>, now: UnixMs) -> Vec<Finding> {
    let facts = &seen.facts;
    let mut findings = Vec::new();
    if let Some(row) = seen.row {
        let mut bad = Finding::new("token", Mark::Fail, format!("{}: {}", row.title, row.says))
            .next(row.next)
            .exit(row.exit);
        let code = seen.error.as_ref().map(ToString::to_string);
        bad.code = code.or_else(|| facts.cause.clone());
        bad.row = Some(row.slug);
        bad.words = seen.error.as_ref().and_then(words);
        bad.trace_id = (seen.error.as_ref())
            .and_then(|error| error.trace_id.as_ref().map(ToString::to_string));
        findings.push(bad);
    } else if !seen.verdict {
        findings.push(
            Finding::new(
                "token",
                Mark::Skipped,
                "Meta does not let this token look at itself, which says nothing about it; a dataset token often cannot",
            )
            .next("to know more, put the app's secret into the vault: `capigate token app add`"),
        );
    } else if facts.state == State::Valid {
        findings.push(Finding::new("token", Mark::Pass, "valid"));
    } else {
        let says = format!("{}, Meta does not say why", facts.state.code());
        findings.push(Finding::new("token", Mark::Fail, says).exit(Exit::Token));
    }
    if seen.foreign {
        findings.push(
            Finding::new(
                "app",
                Mark::Warn,
                "the app in the vault is not the one this token belongs to, or its secret is not right any more",
            )
            .next("add the secret of the right app: `capigate token app add`"),
        );
    }
    if !seen.verdict {
        return findings;
    }
    findings.push(kind(facts));
    findings.push(expiry("expires", "expires", facts.expires, now));
    if facts.data_access != Expiry::Never {
        findings.push(expiry(
            "data_access",
            "data access ends",
            facts.data_access,
            now,
        ));
    }
    findings.extend(scopes(facts, pixel));
    findings
}

fn kind(facts: &Facts) -> Finding {
    match &facts.kind {
        Kind::SystemUser => Finding::new(
            "kind",
            Mark::Pass,
            "a system user's token: tied to the business, not to a person",
        ),
        Kind::User => Finding::new(
            "kind",
            Mark::Warn,
            "a person's token: it dies with that person's password, role or consent",
        )
        .next("use a dataset token from the Events Manager or a system user's token"),
        Kind::Page => Finding::new(
            "kind",
            Mark::Warn,
            "a page's token: not made for website datasets",
        )
        .next("use a dataset token from the Events Manager or a system user's token"),
        Kind::App => Finding::new("kind", Mark::Fail, "an app's token: it cannot send events")
            .next("use a dataset token from the Events Manager or a system user's token")
            .exit(Exit::Token),
        Kind::Other(word) => Finding::new("kind", Mark::Pass, format!("of the type {word}")),
        Kind::Unknown => Finding::new("kind", Mark::Skipped, "Meta does not say of which type"),
    }
}

fn expiry(check: &'static str, verb: &str, expires: Expiry, now: UnixMs) -> Finding {
    let at = match expires {
        Expiry::Never => return Finding::new(check, Mark::Pass, format!("{verb}: never")),
        Expiry::Unknown => {
            let says = format!("{verb}: Meta does not say (that is not never)");
            return Finding::new(check, Mark::Skipped, says);
        }
        Expiry::At(at) => at,
    };
    let says = format!("{verb} {}", when(at, now));
    match nearing(expires, now) {
        None | Some((Severity::Info, _)) => Finding::new(check, Mark::Pass, says),
        Some((_, left)) if left.is_zero() => {
            Finding::new(check, Mark::Fail, says).exit(Exit::Token)
        }
        Some(_) => Finding::new(check, Mark::Warn, says),
    }
}

/// A moment for people: `2027-01-01T00:00:00Z (in 32 days)`.
pub fn when(at: UnixMs, now: UnixMs) -> String {
    let stamp = jiff::Timestamp::from_second(at.secs());
    let stamp = stamp.map_or_else(|_| "at an unreadable time".to_owned(), |at| at.to_string());
    let (ahead, behind) = (at.since(now).as_secs(), now.since(at).as_secs());
    let span = |seconds: u64| match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    };
    if ahead > 0 {
        format!("{stamp} (in {})", span(ahead))
    } else {
        format!("{stamp} ({} ago)", span(behind))
    }
}

fn scopes(facts: &Facts, pixel: Option<PixelId>) -> Vec<Finding> {
    let mut findings = Vec::new();
    if facts.scopes.is_empty() {
        findings.push(Finding::new(
            "scopes",
            Mark::Skipped,
            "Meta lists no scopes",
        ));
        return findings;
    }
    let list = facts.scopes.join(", ");
    if facts.scopes.iter().any(|scope| scope == NEEDED_SCOPE) {
        findings.push(Finding::new(
            "scopes",
            Mark::Pass,
            format!("scopes: {list}"),
        ));
    } else if is_of_dataset(facts) {
        let says = format!(
            "scopes: {list} alone, as a dataset token has; whether it may send is not told by that"
        );
        findings.push(Finding::new("scopes", Mark::Skipped, says));
    } else {
        findings.push(
            Finding::new(
                "scopes",
                Mark::Warn,
                format!("scopes: {list}; {NEEDED_SCOPE} is missing, which sending usually needs"),
            )
            .next("see whether it can send: `capigate token verify --send-test`"),
        );
    }
    let extra: Vec<&str> = extra_scopes(facts).collect();
    if !extra.is_empty() {
        findings.push(
            Finding::new(
                "extra_scopes",
                Mark::Warn,
                format!("it may do more than sending needs: {}", extra.join(", ")),
            )
            .next("make the next one with fewer scopes"),
        );
    }
    // dataset ids may not be listed there at all, so nothing more than a hint
    let target = facts
        .targets
        .iter()
        .find(|target| target.scope == NEEDED_SCOPE);
    if let (Some(target), Some(pixel)) = (target, pixel)
        && !target.ids.contains(&pixel.to_string())
    {
        findings.push(Finding::new(
            "targets",
            Mark::Skipped,
            format!(
                "{NEEDED_SCOPE} is restricted to {}; whether the pixel belongs to one of them is not told",
                target.ids.join(", ")
            ),
        ));
    }
    findings
}

/// Whether the token sees the pixel. One that cannot read may still send.
async fn sees(
    client: &OauthClient,
    token: &Secret,
    app: Option<&App>,
    pixel: PixelId,
    now: UnixMs,
) -> Vec<Finding> {
    let secret = app.map(|app| &app.secret);
    let info = match client.pixel(token, secret, pixel).await {
        Ok(info) => info,
        Err(OauthError::Meta(error)) => {
            let error = OauthError::Meta(error);
            let row = error.explain(Context::Pixel);
            // a dataset token often reads nothing at all
            let mark = match row.exit {
                Exit::Permission => Mark::Warn,
                _ => Mark::Fail,
            };
            return vec![Finding::of("pixel", mark, Context::Pixel, &error)];
        }
        Err(error) => return vec![Finding::of("pixel", Mark::Fail, Context::Pixel, &error)],
    };
    let name = info.name.as_ref().map_or("no name", |name| name.as_str());
    let mut findings = vec![Finding::new(
        "pixel",
        Mark::Pass,
        format!("sees the pixel ({name})"),
    )];
    let Some(details) = info.details else {
        return findings;
    };
    if details.is_unavailable == Some(true) {
        findings.push(
            Finding::new(
                "pixel_available",
                Mark::Fail,
                "the pixel is there and cannot be used",
            )
            .next("look at it in the Events Manager")
            .exit(Exit::Permission),
        );
    }
    let active = details.last_fired.map(|at| (at, now.since(at)));
    findings.push(match active {
        Some((at, ago)) if ago <= super::alarms::DAY * 7 => Finding::new(
            "activity",
            Mark::Pass,
            format!("active, last event {}", when(at, now)),
        ),
        Some((at, _)) => Finding::new(
            "activity",
            Mark::Skipped,
            format!("no recent activity, last event {}", when(at, now)),
        ),
        None => Finding::new("activity", Mark::Skipped, "no activity yet"),
    });
    findings
}

/// Sends one test event with a code, which Meta counts as a real one: never without asking a
/// person first.
///
/// # Errors
///
/// As [`OauthClient::send_test`].
pub async fn send_test(
    client: &OauthClient,
    token: &Secret,
    app: Option<&App>,
    pixel: PixelId,
    code: &str,
    now: UnixMs,
) -> Result<TestSent, OauthError> {
    let hash = |text: &str| hex::encode(Sha256::digest(text.as_bytes()));
    let id = uuid::Uuid::new_v4();
    let event = json!({
        "event_name": TEST_EVENT,
        "event_time": now.secs(),
        "event_id": id.to_string(),
        "action_source": "system_generated",
        "user_data": {
            "em": [hash("verify@example.invalid")],
            "external_id": [hash(&id.to_string())],
        },
    });
    let secret = app.map(|app| &app.secret);
    client.send_test(token, secret, pixel, code, &event).await
}
