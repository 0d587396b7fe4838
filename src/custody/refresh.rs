//! Refreshes 60-day tokens of system users in time: a new token beside the old one, checked before
//! anything is sent with it, then current in its place, with the old one to go back to.

use super::alarms::{is_refreshable, only_retires};
use super::inspect::{Seen, inspect};
use super::{Kept, Policy, Source};
use crate::graph::oauth::{App, OauthClient, OauthError};
use crate::secret::Secret;
use crate::time::UnixMs;
use crate::tokens::{
    ChangeError, Contents, Facts, Name, Obtained, Slot, State, TokenKey, TokenRecord, Vault,
    VaultError,
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
    /// The task that works on the vault has died.
    #[error("the work on the vault has failed: see the log")]
    Died,
}

impl From<ChangeError> for RefreshError {
    fn from(error: ChangeError) -> Self {
        Self::Vault(error.into())
    }
}

/// A token that was refreshed.
#[derive(Clone, Debug)]
pub struct Refreshed {
    /// What the new one is called; the old one's name if Meta gave the same token again.
    pub name: Name,
    /// Tells the new one apart.
    pub key: TokenKey,
    /// What Meta says about it.
    pub seen: Seen,
}

/// Whether it is time. What only retires has its successor already.
pub fn is_due(kept: &Kept, facts: &Facts, policy: &Policy, now: UnixMs) -> bool {
    let Some(end) = facts.expires.at() else {
        return false;
    };
    let since = match kept.obtained {
        // it may still bear the date of the first one
        Some(Obtained::Refreshed) => facts.issued_at.max(kept.added_at),
        _ => facts.issued_at.or(kept.added_at),
    };
    let age = since.map(|since| now.since(since));
    is_refreshable(kept, facts)
        && !only_retires(kept)
        && end > now
        && (end.since(now) <= policy.refresh_before
            || age.is_some_and(|age| age >= policy.refresh_after))
}

/// Gets a new token for an old one that is valid, checks it, and puts it into the slots of the
/// pixels that have the old one. Nothing is asked for unless the vault can be written, and what
/// Meta has given and does not end up there is taken back.
pub async fn refresh(
    client: &OauthClient,
    vault: &Vault,
    kept: &Kept,
    facts: &Facts,
    now: UnixMs,
) -> Result<Refreshed, RefreshError> {
    let (Source::Vault(old), Some(app)) = (&kept.source, &kept.app) else {
        return Err(RefreshError::NotRefreshable);
    };
    let (at, name, key) = (vault.clone(), old.clone(), kept.key);
    let _turn = blocking(move || begin(&at, &name, key)).await?;
    let granted = client.extend(app, &kept.secret, true).await?.token;
    let key = TokenKey::of(&granted);
    match keep(client, vault, kept, app, &granted, facts, now).await {
        Ok((name, seen)) => Ok(Refreshed { name, key, seen }),
        Err(error) => {
            if key != kept.key {
                drop_again(client, vault, kept, app, &granted).await;
            }
            Err(error)
        }
    }
}

/// Work on the vault, which blocks.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, RefreshError> + Send + 'static,
) -> Result<T, RefreshError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_| RefreshError::Died)?
}

/// Takes the turn, until the result is dropped, and tries whether the vault can be written. Blocks.
fn begin(
    vault: &Vault,
    name: &Name,
    key: TokenKey,
) -> Result<impl Sized + Send + use<>, RefreshError> {
    let Some(turn) = vault.refresh_turn()? else {
        return Err(RefreshError::Elsewhere);
    };
    vault.probe()?;
    let contents = vault.read()?;
    let own = contents.tokens.get(name);
    let is_same = own.is_some_and(|record| TokenKey::of(&record.secret) == key);
    // what only retires has its successor already
    let mut users = contents.users(name).peekable();
    let is_alone = users.peek().is_none();
    let serves = is_alone || users.any(|(_, slot)| slot != Slot::Retiring);
    (is_same && serves)
        .then_some(turn)
        .ok_or(RefreshError::Elsewhere)
}

/// Looks at what Meta has given, and writes it down.
async fn keep(
    client: &OauthClient,
    vault: &Vault,
    kept: &Kept,
    app: &App,
    granted: &Secret,
    facts: &Facts,
    now: UnixMs,
) -> Result<(Name, Seen), RefreshError> {
    let Source::Vault(old) = &kept.source else {
        return Err(RefreshError::NotRefreshable);
    };
    let seen = inspect(client, granted, Some(app), &Facts::default(), now).await?;
    compare(&seen.facts, facts)?;
    let record = TokenRecord {
        secret: granted.clone(),
        obtained: Obtained::Refreshed,
        added_at: now,
        facts: seen.facts.clone(),
    };
    let (vault, old) = (vault.clone(), old.clone());
    let write = move || vault.update(|contents| Ok(supersede(contents, &old, record, now)?));
    Ok((blocking(write).await?, seen))
}

/// Whether the new one does what the old one does, for longer.
fn compare(fresh: &Facts, before: &Facts) -> Result<(), RefreshError> {
    let has = |scope| fresh.scopes.contains(scope);
    let unfit = if fresh.state != State::Valid {
        "is not valid"
    } else if fresh.app_id != before.app_id && before.app_id.is_some() {
        "belongs to another app"
    } else if !before.scopes.iter().all(has) {
        "has fewer scopes"
    } else if let (Some(new), Some(old)) = (fresh.expires.at(), before.expires.at())
        && new <= old
    {
        "does not live longer"
    } else {
        return Ok(());
    };
    Err(RefreshError::Unfit(unfit))
}

/// Takes back at Meta what nobody has kept, so that no live token is about that nobody knows. What
/// is in the vault, or may be, stays as it is.
async fn drop_again(client: &OauthClient, vault: &Vault, kept: &Kept, app: &App, granted: &Secret) {
    let (label, key) = (&kept.label, TokenKey::of(granted));
    let vault = vault.clone();
    let look = move || Ok(vault.read()?.find(key).is_none());
    if !blocking(look).await.is_ok_and(|is_nowhere| is_nowhere) {
        return;
    }
    match client.revoke(app, granted, &kept.secret).await {
        Ok(()) => {
            tracing::info!(token.name = %label, token.new = %key, "the new token is not used, it was taken back");
        }
        Err(error) => {
            tracing::warn!(token.name = %label, token.new = %key, code = error.code(), %error, "the new token is not used, and could not be taken back");
        }
    }
}

/// Whether a token that no pixel has is what an earlier refresh has left behind: the one with the
/// next name came later, and is of the same user and app.
pub fn is_left_behind(kept: &Kept, all: &[Kept]) -> bool {
    let Source::Vault(name) = &kept.source else {
        return false;
    };
    let next = successor(name);
    kept.pixels.is_empty()
        && kept.noted.user_id.is_some()
        && all.iter().any(|other| {
            other.label == next
                && matches!(other.source, Source::Vault(_))
                && other.added_at > kept.added_at
                && other.noted.user_id == kept.noted.user_id
                && other.noted.app_id == kept.noted.app_id
        })
}

/// Puts a token into the vault, and into every current or next slot that an older one has; where
/// that was current it becomes retiring. An older one that no pixel has makes way for it, and its
/// name goes on. If both are the same token, what is known is replaced.
pub fn supersede(
    contents: &mut Contents,
    old: &Name,
    record: TokenRecord,
    now: UnixMs,
) -> Result<Name, ChangeError> {
    let key = TokenKey::of(&record.secret);
    if let Some(same) = contents
        .tokens
        .get_mut(old)
        .filter(|same| TokenKey::of(&same.secret) == key)
    {
        // Meta has let it live longer
        *same = record;
        return Ok(old.clone());
    }
    if contents.users(old).next().is_none() {
        contents.remove(old, true)?;
        contents.add(old.clone(), record)?;
        return Ok(old.clone());
    }
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
mod tests;
