//! What should be told about a token, from what is known about it: pure, so that a test can move
//! the clock.

use std::time::Duration;

use super::{Kept, Policy, Source};
use crate::alerts::{Alert, Severity};
use crate::time::UnixMs;
use crate::tokens::{Expiry, Facts, Kind, Note, Slot, State};

/// Days before an end at which it is told, the widest first, and how grave that is.
pub const EXPIRY_DAYS: [(u64, Severity); 3] = [
    (30, Severity::Info),
    (7, Severity::Warning),
    (1, Severity::Critical),
];

/// The scope that sending needs.
pub const NEEDED_SCOPE: &str = "ads_management";

/// The only scope of a token from the Events Manager, which sends to its dataset all the same; the
/// console reads Meta's figures with it.
pub const DATASET_SCOPE: &str = "read_ads_dataset_quality";

/// Scopes that nobody has to wonder about.
const USUAL_SCOPES: [&str; 5] = [
    NEEDED_SCOPE,
    "ads_read",
    DATASET_SCOPE,
    "business_management",
    "public_profile",
];

/// A day.
pub(super) const DAY: Duration = Duration::from_hours(24);

/// Everything to be told about one token at this moment. Each has a key of its own that stays the
/// same for as long as the matter does. Of a token that no pixel has, or that
/// only retires, nothing is.
pub fn alarms(kept: &Kept, note: &Note, policy: &Policy, now: UnixMs) -> Vec<Alert> {
    // of what retires the successor is there, and its end is what is wanted
    if kept.pixels.is_empty() || only_retires(kept) {
        return Vec::new();
    }
    let facts = &note.facts;
    let about = |what: &str, severity, title: String, text: String, next: String| Alert {
        key: format!("token:{}:{what}", kept.key),
        severity,
        title,
        text,
        next,
        pixels: kept.pixels.iter().map(|(pixel, _)| *pixel).collect(),
        token: Some(kept.key.to_string()),
        at: now,
    };
    let label = &kept.label;
    let mut all = Vec::new();
    if is_bad(facts.state) {
        let cause = facts.cause.as_deref().unwrap_or("no code given");
        all.push(about(
            "state",
            gravity(kept),
            format!("Token {label} is {}", facts.state.code()),
            format!(
                "Meta says that the token {label} is {} ({cause}). {}",
                facts.state.code(),
                effect(kept)
            ),
            remedy(kept, facts),
        ));
    } else if let Some((severity, left)) = nearing(facts.expires, now) {
        let refreshed = if is_refreshable(kept, facts) {
            " It is refreshed by itself before that; if you read this, see the log for why it was not yet."
        } else {
            ""
        };
        all.push(about(
            "expires",
            severity,
            format!("Token {label} {}", ends("expires", left)),
            format!(
                "The token {label} {}.{refreshed} Events that come after it are taken and wait.",
                ends("expires", left)
            ),
            remedy(kept, facts),
        ));
    }
    if !facts.state.is_dead()
        && let Some((severity, left)) = nearing(facts.data_access, now)
    {
        all.push(about(
            "data_access",
            severity.min(Severity::Warning),
            format!("Data access of token {label} {}", ends("ends", left)),
            format!(
                "The token itself stays valid, but Meta's access to the person's data {}, since that person has not used the app for long.",
                ends("ends", left)
            ),
            format!("log in again with `capigate token login{}`", for_pixels(kept)),
        ));
    }
    if !facts.state.is_dead() {
        all.extend(age(kept, note, policy, now).map(|(severity, days)| {
            about(
                "age",
                severity,
                format!("Token {label} is {days} days old"),
                "A token should be replaced every 6 to 12 months, so that an old leak is worth nothing.".to_owned(),
                format!("make a new one, then {}", replace(kept)),
            )
        }));
    }
    // what nothing is sent with may be of any shape
    if !facts.state.is_dead() && !kept.pixels.is_empty() {
        let next = format!(
            "make the next one for a system user with {NEEDED_SCOPE} alone, or for the dataset in the Events Manager, then {}",
            replace(kept)
        );
        let odd = shape(kept, note).into_iter();
        all.extend(
            odd.map(|(what, severity, title, text)| {
                about(what, severity, title, text, next.clone())
            }),
        );
    }
    let mut pixels: Vec<String> = kept
        .pixels
        .iter()
        .map(|(pixel, _)| pixel.to_string())
        .collect();
    pixels.dedup();
    if pixels.len() > 1 && !policy.allow_shared {
        all.push(about(
            "shared",
            Severity::Info,
            format!("Token {label} serves {} pixels", pixels.len()),
            format!(
                "The pixels {} send with the same token: when it dies, all of them wait.",
                pixels.join(", ")
            ),
            "give each pixel a token of its own, or set tokens.allow_shared".to_owned(),
        ));
    }
    all
}

/// Whether Meta has something against a token.
pub(super) fn is_bad(state: State) -> bool {
    !matches!(state, State::Unknown | State::Valid)
}

/// A token that nothing is sent with stops nothing.
fn gravity(kept: &Kept) -> Severity {
    let is_current = kept.pixels.iter().any(|(_, slot)| *slot == Slot::Current);
    if is_current {
        Severity::Critical
    } else {
        Severity::Warning
    }
}

fn effect(kept: &Kept) -> &'static str {
    match gravity(kept) {
        Severity::Critical => {
            "Events of its pixels are taken and wait, unless the pixel has a next token."
        }
        _ => "Nothing is sent with it now.",
    }
}

/// How grave it is that something ends, and how long that is away; none while it is far away.
pub(super) fn nearing(expires: Expiry, now: UnixMs) -> Option<(Severity, Duration)> {
    let left = expires.at()?.since(now);
    let days = |count: u64| DAY * u32::try_from(count).unwrap_or(u32::MAX);
    let reached = EXPIRY_DAYS
        .iter()
        .rev()
        .find(|(count, _)| left <= days(*count));
    reached.map(|(_, severity)| (*severity, left))
}

/// `expires in 6 days`, `expires in 5 hours`, `expires now or has already`.
fn ends(verb: &str, left: Duration) -> String {
    let hours = left.as_secs() / 3600;
    match hours {
        0 if left.is_zero() => format!("{verb} now, or did already"),
        0 => format!("{verb} within the hour"),
        1..48 => format!("{verb} in {hours} hours"),
        _ => format!("{verb} in {} days", hours / 24),
    }
}

/// How old a token is, once that is worth telling. One that ends by itself is replaced anyway.
fn age(kept: &Kept, note: &Note, policy: &Policy, now: UnixMs) -> Option<(Severity, u64)> {
    if note.facts.expires.at().is_some() {
        return None;
    }
    let since = note.facts.issued_at.or(kept.added_at).or(note.first_seen)?;
    let age = now.since(since);
    let severity = if age >= policy.rotate_by {
        Severity::Warning
    } else if age >= policy.rotate_after {
        Severity::Info
    } else {
        return None;
    };
    Some((severity, age.as_secs() / DAY.as_secs()))
}

/// What is odd about what the token is, or what it may do.
fn shape(kept: &Kept, note: &Note) -> Vec<(&'static str, Severity, String, String)> {
    let (facts, label) = (&note.facts, &kept.label);
    let mut odd = Vec::new();
    match facts.kind {
        Kind::User => odd.push((
            "kind",
            Severity::Info,
            format!("Token {label} is tied to a person"),
            "It dies with that person's password, role or consent. A token of a system user does not.".to_owned(),
        )),
        Kind::Page => odd.push((
            "kind",
            Severity::Warning,
            format!("Token {label} is a page token"),
            "Page tokens are not made for website datasets.".to_owned(),
        )),
        Kind::App => odd.push((
            "kind",
            Severity::Warning,
            format!("Token {label} is an app token"),
            "App tokens cannot send events.".to_owned(),
        )),
        Kind::SystemUser | Kind::Other(_) | Kind::Unknown => {}
    }
    // what Meta does not list, and what works without it, is no reason to worry anyone
    let is_known = facts.checked_at.is_some() && !facts.scopes.is_empty();
    let lacks = !facts.scopes.iter().any(|scope| scope == NEEDED_SCOPE) && !is_of_dataset(facts);
    if is_known && lacks && note.usage.events == 0 {
        odd.push((
            "scope_missing",
            Severity::Warning,
            format!("Token {label} lacks {NEEDED_SCOPE}"),
            format!(
                "Its scopes are {}. Sending usually needs {NEEDED_SCOPE}; nothing has been delivered with it yet.",
                facts.scopes.join(", ")
            ),
        ));
    }
    let extra: Vec<&str> = extra_scopes(facts).collect();
    if !extra.is_empty() {
        odd.push((
            "scopes",
            Severity::Info,
            format!("Token {label} may do more than it needs"),
            format!(
                "Beyond what sending needs it has {}. Whoever gets hold of it may use that.",
                extra.join(", ")
            ),
        ));
    }
    odd
}

/// Whether it is a dataset token, as the Events Manager makes them: of an app of Meta's own, and what
/// it may send is in none of its scopes.
pub fn is_of_dataset(facts: &Facts) -> bool {
    let is_other = matches!(facts.kind, Kind::User | Kind::Page | Kind::App);
    !is_other && matches!(facts.scopes.as_slice(), [only] if only == DATASET_SCOPE)
}

/// The scopes that a token for sending has no use for.
pub fn extra_scopes(facts: &Facts) -> impl Iterator<Item = &str> {
    let scopes = facts.scopes.iter().map(String::as_str);
    scopes.filter(|scope| !USUAL_SCOPES.contains(scope))
}

/// Whether all that pixels have it for is to go back to: another one is in its place.
pub(super) fn only_retires(kept: &Kept) -> bool {
    let mut slots = kept.pixels.iter();
    !kept.pixels.is_empty() && slots.all(|(_, slot)| *slot == Slot::Retiring)
}

/// Whether the gateway can refresh it by itself: a 60-day token of a system user in the vault,
/// with the secret of its app at hand.
pub(super) fn is_refreshable(kept: &Kept, facts: &Facts) -> bool {
    matches!(kept.source, Source::Vault(_))
        && facts.kind == Kind::SystemUser
        && facts.expires.at().is_some()
        && kept.app.is_some()
        && !facts.state.is_dead()
}

/// The command that puts a good token in the place of this one.
pub fn remedy(kept: &Kept, facts: &Facts) -> String {
    let pixels = for_pixels(kept);
    let Source::Vault(name) = &kept.source else {
        return format!(
            "put a new token where {} points to; the gateway takes it over by itself if that is a file, else restart it",
            kept.label
        );
    };
    match (&facts.kind, kept.app.is_some()) {
        (Kind::User, _) => format!("log in again: `capigate token login{pixels}`"),
        (Kind::Page, _) => {
            let page = facts.page_id.as_deref().unwrap_or("ID");
            format!(
                "get it again from its person's token: `capigate token page --page-id {page} --from NAME`"
            )
        }
        (Kind::SystemUser, true) if !facts.state.is_dead() => {
            format!("refresh it: `capigate token system-user refresh {name}`")
        }
        _ => format!(
            "generate a new one (Events Manager, the dataset's Settings, Conversions API, Generate access token; or Business settings, System users), then `capigate token rotate{pixels}` and paste it"
        ),
    }
}

/// How a new token comes into the place of this one.
fn replace(kept: &Kept) -> String {
    match kept.source {
        Source::Vault(_) => format!("run `capigate token rotate{}`", for_pixels(kept)),
        Source::Config => format!("put it where {} points to", kept.label),
    }
}

fn for_pixels(kept: &Kept) -> String {
    let first = kept.pixels.first();
    first.map_or_else(String::new, |(pixel, _)| format!(" --pixel {pixel}"))
}

#[cfg(test)]
mod tests;
