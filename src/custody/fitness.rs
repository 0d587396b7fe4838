//! Whether a token that somebody hands over is fit for its pixel: asks Meta in the name of the right
//! app, and holds it to what the token before could do.

use super::Kept;
use super::alarms::{NEEDED_SCOPE, is_of_dataset};
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
/// The permission of which it is not known whether it is enough to send.
const READ_SCOPE: &str = "ads_read";

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
    let next = "use a dataset token from the Events Manager or a system user's token; `capigate token add` without --pixel keeps it for none";
    let finding = Finding::new("page_token", Mark::Fail, says).next(next);
    (facts.kind == Kind::Page).then(|| finding.exit(Exit::Token))
}

/// What a token lacks of these scopes, if anything.
pub fn missing(facts: &Facts, scopes: &[String]) -> Option<String> {
    let lacks = |scope: &&String| !facts.scopes.contains(scope);
    let missing: Vec<&str> = scopes.iter().filter(lacks).map(String::as_str).collect();
    (!missing.is_empty()).then(|| missing.join(", "))
}

/// What it is, or may do, less than the token it is to replace. `force` says, in words such as `say
/// --force`, how it is taken all the same.
pub fn less_than(facts: &Facts, old: &Facts, force: &str) -> Vec<Finding> {
    let mut unfit = Vec::new();
    // a dataset token is of Meta's own app, with a scope of its own, so there is nothing to compare
    let is_another_kind = is_of_dataset(facts) || is_of_dataset(old);
    if old.app_id.is_some() && facts.app_id.is_some() && old.app_id != facts.app_id {
        let says = "it belongs to another app than the one it is to replace";
        unfit.push(if is_another_kind {
            let says = format!("{says}: dataset tokens are all of an app of Meta's own");
            Finding::new("same_app", Mark::Warn, says)
        } else {
            let next = format!("make it with the same app; if the change is meant, {force}");
            Finding::new("same_app", Mark::Fail, says)
                .next(next)
                .exit(Exit::App)
        });
    }
    // what Meta does not list is not missing
    let is_listed = !facts.scopes.is_empty();
    if let Some(missing) = missing(facts, &old.scopes).filter(|_| is_listed) {
        unfit.push(if is_another_kind {
            let says = format!(
                "it lists other scopes than the one it is to replace, without {missing}: those of dataset tokens do not tell what they may send"
            );
            Finding::new("same_scopes", Mark::Warn, says)
        } else {
            let says = format!("it may do less than the one it is to replace: {missing}");
            let next =
                format!("make it with these permissions; if they are not needed, {force}");
            Finding::new("same_scopes", Mark::Fail, says)
                .next(next)
                .exit(Exit::Permission)
        });
    }
    unfit
}

/// What speaks against giving a pixel a token that lacks the scope to send. Of dataset tokens, and
/// where Meta lists no scopes, nothing does: what those may send is not known. Whether `ads_read` is
/// enough is reported both ways, so of that it is only said. `force` as for [`less_than`].
pub fn only_reads(facts: &Facts, force: &str) -> Option<Finding> {
    let has = |scope: &str| facts.scopes.iter().any(|one| one == scope);
    if facts.scopes.is_empty() || has(NEEDED_SCOPE) || is_of_dataset(facts) {
        return None;
    }
    if has(READ_SCOPE) {
        let says = format!(
            "it has {READ_SCOPE} and not {NEEDED_SCOPE}: whether that is enough to send, people report both ways"
        );
        let next = format!("make it with {NEEDED_SCOPE}, or watch that its events are delivered");
        return Some(Finding::new("needed_scope", Mark::Warn, says).next(next));
    }
    let says = format!(
        "it lacks {NEEDED_SCOPE}, which sending needs: it has {}",
        facts.scopes.join(", ")
    );
    let next = format!("make it with {NEEDED_SCOPE}; if it is known to send all the same, {force}");
    let finding = Finding::new("needed_scope", Mark::Fail, says).next(next);
    Some(finding.exit(Exit::Permission))
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
            let all = less_than(new, &old, "say --force").into_iter();
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
    fn a_dataset_token_is_of_another_app_and_lists_other_scopes_by_its_nature() {
        let of = |app: &str, scope: &str| Facts {
            kind: Kind::SystemUser,
            app_id: Some(app.to_owned()),
            scopes: vec![scope.to_owned()],
            ..Facts::default()
        };
        let (own, dataset) = (of("1", NEEDED_SCOPE), of("2", "read_ads_dataset_quality"));
        for (new, old) in [(&dataset, &own), (&own, &dataset)] {
            let found = less_than(new, old, "say --force");
            let marks: Vec<_> = found.iter().map(|one| (one.check, one.mark)).collect();
            let expected = [("same_app", Mark::Warn), ("same_scopes", Mark::Warn)];
            assert_eq!(marks, expected);
        }
        // a person's token with the same scope is none
        let person = Facts {
            kind: Kind::User,
            ..dataset
        };
        assert_eq!(less_than(&person, &own, "x")[0].mark, Mark::Fail);
    }

    #[test]
    fn a_token_without_a_scope_to_send_is_unfit_where_that_is_known() {
        let with = |scopes: &[&str]| {
            let scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
            let facts = Facts {
                scopes,
                ..Facts::default()
            };
            only_reads(&facts, "send \"force\": true")
        };
        let unfit = with(&["read_insights"]).unwrap();
        assert_eq!(unfit.mark, Mark::Fail);
        assert!(unfit.next.unwrap().ends_with("send \"force\": true"));
        for reads in [&[READ_SCOPE][..], &[READ_SCOPE, "read_ads_dataset_quality"]] {
            assert_eq!(with(reads).unwrap().mark, Mark::Warn);
        }
        for fit in [&[NEEDED_SCOPE][..], &["read_ads_dataset_quality"], &[]] {
            assert!(with(fit).is_none(), "{fit:?}");
        }
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
