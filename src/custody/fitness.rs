//! Whether a token that somebody hands over is fit for its pixel: asks Meta in the name of the right
//! app, and holds it to what the token before could do.

use super::Kept;
use super::inspect::{Seen, inspect};
use super::ladder::{Finding, Mark, when};
use crate::graph::oauth::{App, Exit, OauthClient, OauthError};
use crate::secret::Secret;
use crate::time::UnixMs;
use crate::tokens::{Contents, Facts, Kind, Note, Notes};

/// A person's token with no more seconds left than this is a short-lived one, which no pixel gets.
pub const SHORT_LIVED_SECS: u64 = 7_200;

/// Apps of the vault that are asked in turn when nobody knows whose token it is.
const MAX_APPS: usize = 8;

/// Who asks, and in whose name it may.
pub struct Asker<'a> {
    /// The way to Meta.
    pub client: &'a OauthClient,
    /// The apps of the vault.
    pub contents: &'a Contents,
    /// The app of a token with these facts, where its secret is known.
    pub app_of: &'a (dyn Fn(&Facts) -> Option<App> + Sync),
    /// The moment.
    pub now: UnixMs,
}

/// What Meta says of a token, and the app it belongs to where the secret of that is known.
#[derive(Clone, Debug)]
pub struct Looked {
    /// What Meta says.
    pub seen: Seen,
    /// Its app.
    pub app: Option<App>,
}

/// Asks Meta about a token: in the name of the app that it is said to belong to, else of each app
/// in the vault, else in its own.
///
/// # Errors
///
/// As [`inspect`].
pub async fn look(
    asker: &Asker<'_>,
    token: &Secret,
    told: Option<App>,
    before: &Facts,
) -> Result<Looked, OauthError> {
    let Asker { client, now, .. } = *asker;
    let app_of = asker.app_of;
    let mut apps: Vec<App> = told.into_iter().chain(app_of(before)).collect();
    let is_guess = apps.is_empty() && before.app_id.is_none();
    if is_guess {
        let all = asker.contents.apps.iter().take(MAX_APPS);
        apps.extend(all.map(|(id, app)| App {
            id: id.clone(),
            secret: app.secret.clone(),
        }));
    }
    let mut last = None;
    for app in apps {
        let seen = inspect(client, token, Some(&app), before, now).await?;
        if !seen.foreign {
            let app = Some(app);
            return Ok(Looked { seen, app });
        }
        let own = app_of(&seen.facts);
        let is_known = seen.verdict && seen.facts.app_id.is_some();
        if let Some(own) = own.filter(|own| is_known && own.id != app.id) {
            let seen = inspect(client, token, Some(&own), before, now).await?;
            let app = (!seen.foreign).then_some(own);
            return Ok(Looked { seen, app });
        }
        let is_told = seen.verdict;
        // nobody has said that it was of this app: that it is of another one is no fault
        let is_others = seen.facts.app_id.as_ref().is_some_and(|id| *id != app.id);
        let foreign = seen.foreign && !(is_guess && is_told && is_others);
        last = Some(Seen { foreign, ..seen });
        if is_told {
            break;
        }
    }
    let seen = match last {
        Some(seen) => seen,
        None => inspect(client, token, None, before, now).await?,
    };
    Ok(Looked { seen, app: None })
}

/// What is known about a token, by the gateway or by the vault, whichever asked later, and what
/// came of sending with it.
pub fn known(kept: &Kept, notes: &Notes) -> Note {
    let noted = notes.tokens.get(&kept.key.to_string());
    let mut note = noted.cloned().unwrap_or_default();
    if kept.noted.checked_at >= note.facts.checked_at {
        note.facts = kept.noted.clone();
    }
    note
}

/// Whether it is a person's token that is about to end, and may be extended.
pub fn is_short_lived(facts: &Facts, now: UnixMs) -> bool {
    let is_persons = !matches!(facts.kind, Kind::SystemUser | Kind::Page | Kind::App);
    let left = facts.expires.at().map(|at| at.since(now).as_secs());
    is_persons && !facts.state.is_dead() && left.is_some_and(|left| left <= SHORT_LIVED_SECS)
}

/// What speaks against giving a short-lived token to a pixel.
pub fn too_short(facts: &Facts, now: UnixMs) -> Option<Finding> {
    let ends = facts.expires.at().filter(|_| is_short_lived(facts, now))?;
    let says = format!(
        "it is short-lived, expiring {}, so no pixel gets it",
        when(ends, now)
    );
    let next = "extend it first: `capigate token add`, on the machine of the gateway, offers that";
    let finding = Finding::new("short_lived", Mark::Fail, says).next(next);
    Some(finding.exit(Exit::Token))
}

/// What speaks against giving a page's token to a pixel.
pub fn of_a_page(facts: &Facts) -> Option<Finding> {
    let says = "a page's token is not given to a pixel";
    let next = "use a dataset token from the Events Manager or a system user's token; or keep it without --pixel";
    let finding = Finding::new("page_token", Mark::Fail, says).next(next);
    (facts.kind == Kind::Page).then(|| finding.exit(Exit::Token))
}

/// What a token lacks of these scopes, if anything.
pub fn missing(facts: &Facts, scopes: &[String]) -> Option<String> {
    let lacks = |scope: &&String| !facts.scopes.contains(scope);
    let missing: Vec<&str> = scopes.iter().filter(lacks).map(String::as_str).collect();
    (!missing.is_empty()).then(|| missing.join(", "))
}

/// What it is, or may do, less than the token it is to replace.
pub fn less_than(facts: &Facts, old: &Facts) -> Vec<Finding> {
    let mut unfit = Vec::new();
    if old.app_id.is_some() && facts.app_id.is_some() && old.app_id != facts.app_id {
        let says = "it belongs to another app than the one it is to replace";
        let next = "make it with the same app; if the change is meant, say --force";
        unfit.push(
            Finding::new("same_app", Mark::Fail, says)
                .next(next)
                .exit(Exit::App),
        );
    }
    // what Meta does not list is not missing
    let is_listed = !facts.scopes.is_empty();
    if let Some(missing) = missing(facts, &old.scopes).filter(|_| is_listed) {
        let says = format!("it may do less than the one it is to replace: {missing}");
        let next = "make it with these permissions; if they are not needed, say --force";
        unfit.push(
            Finding::new("same_scopes", Mark::Fail, says)
                .next(next)
                .exit(Exit::Permission),
        );
    }
    unfit
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::tokens::Expiry;

    #[test]
    fn a_token_may_do_no_less_than_the_one_before() {
        let facts = |app: &str, scopes: &[&str]| Facts {
            app_id: Some(app.to_owned()),
            scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
            ..Facts::default()
        };
        let old = facts("1", &["ads_management", "business_management"]);
        let checks = |new: &Facts| {
            let all = less_than(new, &old).into_iter();
            all.map(|one| one.check).collect::<Vec<_>>()
        };
        assert_eq!(checks(&old), [""; 0]);
        assert_eq!(
            checks(&facts("1", &[])),
            [""; 0],
            "not listed is not missing"
        );
        assert_eq!(
            checks(&facts("2", &["ads_management"])),
            ["same_app", "same_scopes"]
        );
    }

    #[test]
    fn only_persons_tokens_are_short_lived() {
        let now = UnixMs(1);
        let short = |kind: Kind| Facts {
            kind,
            expires: Expiry::At(now.plus(Duration::from_secs(SHORT_LIVED_SECS))),
            ..Facts::default()
        };
        assert!(too_short(&short(Kind::User), now).is_some());
        assert!(too_short(&short(Kind::SystemUser), now).is_none());
        assert!(
            too_short(
                &Facts {
                    kind: Kind::User,
                    ..Facts::default()
                },
                now
            )
            .is_none()
        );
    }
}
