//! Refreshes 60-day tokens of system users in time: a new token beside the old one, checked before
//! anything is sent with it, then current in its place, with the old one to go back to.

use super::alarms::is_refreshable;
use super::inspect::{Seen, inspect};
use super::{Kept, Policy, Source};
use crate::graph::oauth::{OauthClient, OauthError};
use crate::time::UnixMs;
use crate::tokens::{
    ChangeError, Contents, Facts, Name, Obtained, Slot, State, TokenRecord, Vault, VaultError,
};

/// Why a token was not refreshed. The old one is where it was.
#[derive(Debug, thiserror::Error)]
pub enum RefreshError {
    /// It is not of the kind that can be.
    #[error(
        "only a 60-day token of a system user in the vault can be refreshed, with its app's secret in the vault (`capigate token app add`)"
    )]
    NotRefreshable,
    /// Another process is at it, or was.
    #[error("another process refreshes it, or has just done so: look at `capigate token list`")]
    Elsewhere,
    /// Meta refused, or could not be reached.
    #[error(transparent)]
    Oauth(#[from] OauthError),
    /// The new token does not do what the old one does.
    #[error("the new token {0}; the old one stays")]
    Unfit(&'static str),
    /// The vault could not be changed.
    #[error(transparent)]
    Vault(#[from] VaultError),
}

impl From<ChangeError> for RefreshError {
    fn from(error: ChangeError) -> Self {
        Self::Vault(error.into())
    }
}

/// Whether it is time.
pub fn is_due(kept: &Kept, facts: &Facts, policy: &Policy, now: UnixMs) -> bool {
    let Some(end) = facts.expires.at() else {
        return false;
    };
    let age = facts
        .issued_at
        .or(kept.added_at)
        .map(|since| now.since(since));
    is_refreshable(kept, facts)
        && end > now
        && (end.since(now) <= policy.refresh_before
            || age.is_some_and(|age| age >= policy.refresh_after))
}

/// Gets a new token for an old one that is valid, checks it, and puts it into the slots of the
/// pixels that have the old one. Gives its name.
pub async fn refresh(
    client: &OauthClient,
    vault: &Vault,
    kept: &Kept,
    facts: &Facts,
    now: UnixMs,
) -> Result<(Name, Seen), RefreshError> {
    let (Source::Vault(old), Some(app)) = (&kept.source, &kept.app) else {
        return Err(RefreshError::NotRefreshable);
    };
    let Some(_turn) = vault.refresh_turn()? else {
        return Err(RefreshError::Elsewhere);
    };
    if !is_served(vault, old).await? {
        return Err(RefreshError::Elsewhere);
    }
    let granted = client.extend(app, &kept.secret, true).await?;
    let seen = inspect(client, &granted.token, Some(app), &Facts::default(), now).await?;
    let fresh = &seen.facts;
    if fresh.state != State::Valid {
        return Err(RefreshError::Unfit("is not valid"));
    }
    if fresh.app_id != facts.app_id && facts.app_id.is_some() {
        return Err(RefreshError::Unfit("belongs to another app"));
    }
    if !facts
        .scopes
        .iter()
        .all(|scope| fresh.scopes.contains(scope))
    {
        return Err(RefreshError::Unfit("has fewer scopes"));
    }
    if let (Some(new), Some(before)) = (fresh.expires.at(), facts.expires.at())
        && new <= before
    {
        return Err(RefreshError::Unfit("does not live longer"));
    }
    let record = TokenRecord {
        secret: granted.token,
        obtained: Obtained::Refreshed,
        added_at: now,
        facts: fresh.clone(),
    };
    let (vault, old) = (vault.clone(), old.clone());
    let write = move || {
        vault.update(|contents| -> Result<Name, RefreshError> {
            Ok(supersede(contents, &old, record, now)?)
        })
    };
    let written = tokio::task::spawn_blocking(write).await;
    let name = written.map_err(|_| RefreshError::Unfit("could not be written down"))??;
    Ok((name, seen))
}

/// Whether a pixel has the token as current or next, or nobody has it at all: what only retires has
/// its successor already.
async fn is_served(vault: &Vault, name: &Name) -> Result<bool, RefreshError> {
    let (vault, name) = (vault.clone(), name.clone());
    let read = tokio::task::spawn_blocking(move || -> Result<bool, VaultError> {
        let contents = vault.read()?;
        let mut users = contents.users(&name).peekable();
        let is_alone = users.peek().is_none();
        Ok(is_alone || users.any(|(_, slot)| slot != Slot::Retiring))
    });
    let read = read
        .await
        .map_err(|_| RefreshError::Unfit("could not be looked for"))?;
    Ok(read?)
}

/// Puts a token into the vault, and into every current or next slot that an older one has; where
/// that was current it becomes retiring.
pub fn supersede(
    contents: &mut Contents,
    old: &Name,
    record: TokenRecord,
    now: UnixMs,
) -> Result<Name, ChangeError> {
    let name = add_after(contents, old, record)?;
    let users: Vec<_> = contents.users(old).collect();
    for (pixel, slot) in users {
        if slot != Slot::Retiring {
            contents.bind(pixel, slot, &name, now)?;
        }
    }
    Ok(name)
}

/// Puts a token into the vault, in no slot, with a name that follows that of an older one.
pub fn add_after(
    contents: &mut Contents,
    old: &Name,
    record: TokenRecord,
) -> Result<Name, ChangeError> {
    let name = contents.free_name(&successor(old));
    contents.add(name.clone(), record)?;
    Ok(name)
}

/// `shop` → `shop-2`, `shop-2` → `shop-3`.
fn successor(old: &Name) -> String {
    let text = old.as_str();
    let numbered = text.rsplit_once('-').and_then(|(stem, number)| {
        let number: u32 = number.parse().ok().filter(|number| *number < 1_000)?;
        Some(format!("{stem}-{}", number + 1))
    });
    numbered.unwrap_or_else(|| format!("{text}-2"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::oauth::App;
    use crate::secret::Secret;
    use crate::tokens::{Expiry, Kind, TokenKey};

    const NOW: UnixMs = UnixMs(1_800_000_000_000);

    fn record(token: &str) -> TokenRecord {
        TokenRecord {
            secret: Secret::new(token.to_owned()),
            obtained: Obtained::Pasted,
            added_at: NOW,
            facts: Facts::default(),
        }
    }

    #[test]
    fn it_is_due_by_what_is_left_or_by_age() {
        let secret = Secret::new("EAArefresh".to_owned());
        let kept = Kept {
            label: "shop".to_owned(),
            key: TokenKey::of(&secret),
            secret,
            source: Source::Vault("shop".parse().unwrap()),
            app: Some(App {
                id: "42".to_owned(),
                secret: Secret::new("s".to_owned()),
            }),
            pixels: Vec::new(),
            added_at: Some(NOW),
            noted: Facts::default(),
        };
        let day = |count: i64| UnixMs(NOW.0 + count * 86_400_000);
        let facts = |kind, end| Facts {
            kind,
            expires: Expiry::At(end),
            ..Facts::default()
        };
        let policy = Policy::default();
        let due = |kept: &Kept, facts: &Facts, now| is_due(kept, facts, &policy, now);
        let long = facts(Kind::SystemUser, day(60));
        assert!(!due(&kept, &long, day(29)));
        assert!(due(&kept, &long, day(30)), "old enough");
        let short = facts(Kind::SystemUser, day(25));
        assert!(!due(&kept, &short, day(4)));
        assert!(due(&kept, &short, day(5)), "20 days are left");
        assert!(!due(&kept, &short, day(25)), "too late");
        assert!(!due(&kept, &facts(Kind::User, day(3)), NOW));
        let never = Facts {
            expires: Expiry::Never,
            ..long
        };
        assert!(!due(&kept, &never, day(300)));
        let alone = Kept { app: None, ..kept };
        assert!(!due(&alone, &short, day(10)), "no app secret");
    }

    #[test]
    fn the_new_one_takes_the_places_of_the_old_one() {
        let mut contents = Contents::default();
        let old: Name = "shop".parse().unwrap();
        contents.add(old.clone(), record("a")).unwrap();
        let pixel = |id| crate::pixel::PixelId::from_u64(id).unwrap();
        contents.bind(pixel(1), Slot::Current, &old, NOW).unwrap();
        contents.bind(pixel(2), Slot::Next, &old, NOW).unwrap();
        let name = supersede(&mut contents, &old, record("b"), NOW).unwrap();
        assert_eq!(name.as_str(), "shop-2");
        let slots = |id| {
            let names = contents.pixels[&pixel(id)].names();
            let shown: Vec<_> = names
                .map(|(slot, name)| format!("{}={name}", slot.code()))
                .collect();
            shown.join(" ")
        };
        assert_eq!(slots(1), "current=shop-2 retiring=shop");
        assert_eq!(slots(2), "next=shop-2");
        let third = supersede(&mut contents, &name, record("c"), NOW).unwrap();
        assert_eq!(third.as_str(), "shop-3");
    }
}
