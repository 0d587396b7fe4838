//! Who is signed in.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::header::COOKIE;
use axum::http::{HeaderMap, HeaderValue};

use super::super::auth::Caller;
use super::super::problem::Problem;
use crate::config::AdminKey;
use crate::secret::KeyDigest;
use crate::time::UnixMs;

/// The cookie that a session is known by.
const COOKIE_NAME: &str = "capigate_session";
/// For how long a session lives after its last request.
pub(super) const IDLE: Duration = Duration::from_hours(1);
/// For how long it lives at most.
pub(super) const LIFE: Duration = Duration::from_hours(12);
/// Sessions of one key at once; beyond it the one of that key that was used least lately ends.
const MAX_SESSIONS: usize = 64;

/// The sessions of the console. A restart ends them all.
#[derive(Default)]
pub(in crate::app::admin) struct Sessions(Mutex<HashMap<[u8; 32], Session>>);

struct Session {
    /// The key it was opened with; it ends when that is configured no more.
    key: [u8; 32],
    csrf: String,
    opened: UnixMs,
    used: UnixMs,
    /// What the next page says came of the last change.
    said: Option<String>,
}

/// Who looks at a page.
#[derive(Clone)]
pub(super) struct Viewer {
    pub(super) caller: Caller,
    pub(super) csrf: String,
    pub(super) said: Option<String>,
}

impl Sessions {
    /// Opens one for the owner of `key`; what the browser is to keep.
    pub(super) fn open(
        &self,
        key: [u8; 32],
        now: UnixMs,
        is_https: bool,
    ) -> Result<HeaderValue, Problem> {
        let (id, csrf) = (random()?, random()?);
        let session = Session {
            key,
            csrf,
            opened: now,
            used: now,
            said: None,
        };
        let mut all = self.locked();
        all.retain(|_, session| session.lives(now));
        let own = || all.iter().filter(|(_, session)| session.key == key);
        if own().count() >= MAX_SESSIONS {
            let oldest = own().min_by_key(|(_, session)| session.used.0);
            let oldest = oldest.map(|(id, _)| *id);
            oldest.map(|id| all.remove(&id));
        }
        all.insert(digest(&id), session);
        let seconds = LIFE.as_secs();
        let secure = if is_https { "; Secure" } else { "" };
        cookie(&format!("{id}; Max-Age={seconds}{secure}"))
    }

    /// Whose request it is. A page that a person has asked for keeps the session alive, and takes what
    /// is to be said on it; what a page asks for by itself does neither.
    pub(super) fn viewer(
        &self,
        headers: &HeaderMap,
        keys: &[AdminKey],
        now: UnixMs,
        is_person: bool,
    ) -> Option<Viewer> {
        let id = digest(&id_of(headers)?);
        let mut all = self.locked();
        let session = all.get_mut(&id)?;
        let key = keys.iter().find(|known| known.digest == session.key);
        let Some(key) = key.filter(|_| session.lives(now)) else {
            all.remove(&id);
            return None;
        };
        if is_person {
            session.used = now;
        }
        Some(Viewer {
            caller: Caller::of(key),
            csrf: session.csrf.clone(),
            said: if is_person { session.said.take() } else { None },
        })
    }

    /// Keeps a sentence for the next page.
    pub(super) fn say(&self, headers: &HeaderMap, text: String) {
        if let Some(id) = id_of(headers)
            && let Some(session) = self.locked().get_mut(&digest(&id))
        {
            session.said = Some(text);
        }
    }

    /// Ends a session; what the browser is to forget.
    pub(super) fn end(&self, headers: &HeaderMap) -> Result<HeaderValue, Problem> {
        if let Some(id) = id_of(headers) {
            self.locked().remove(&digest(&id));
        }
        cookie("; Max-Age=0")
    }

    fn locked(&self) -> MutexGuard<'_, HashMap<[u8; 32], Session>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Session {
    fn lives(&self, now: UnixMs) -> bool {
        now.since(self.used) < IDLE && now.since(self.opened) < LIFE
    }
}

impl Viewer {
    /// Whether a form came from a page of this session.
    pub(super) fn has_sent(&self, csrf: &str) -> bool {
        KeyDigest::of(csrf).is(&digest(&self.csrf))
    }
}

/// Kept and looked up as a digest, so that the time of a look-up says nothing about an id.
fn digest(text: &str) -> [u8; 32] {
    use sha2::{Digest, Sha256};
    Sha256::digest(text.as_bytes()).into()
}

fn random() -> Result<String, Problem> {
    let mut bytes = [0; 32];
    aws_lc_rs::rand::fill(&mut bytes)
        .map_err(|_| Problem::failed("random", "the system gives no random bytes; try again"))?;
    let mut text = String::with_capacity(64);
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    Ok(text)
}

fn cookie(rest: &str) -> Result<HeaderValue, Problem> {
    let text = format!("{COOKIE_NAME}={rest}; Path=/console; HttpOnly; SameSite=Strict");
    text.parse()
        .map_err(|_| Problem::failed("cookie", "report it"))
}

fn id_of(headers: &HeaderMap) -> Option<String> {
    let all = headers.get_all(COOKIE).iter();
    let mut pairs = all
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'));
    pairs.find_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        (name == COOKIE_NAME).then(|| value.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Role;

    fn key(name: &str, role: Role) -> AdminKey {
        AdminKey {
            name: name.to_owned(),
            role,
            digest: digest(name),
        }
    }

    fn shown(set: &HeaderValue) -> HeaderMap {
        let text = set.to_str().unwrap();
        let pair = text.split(';').next().unwrap();
        HeaderMap::from_iter([(COOKIE, format!("a=b; {pair}").parse().unwrap())])
    }

    #[test]
    fn a_session_ends_with_its_time_its_key_and_when_it_is_told() {
        let (sessions, start) = (Sessions::default(), UnixMs::from_secs(1_000_000));
        let keys = [key("one", Role::Admin), key("two", Role::View)];
        let late = |span: Duration| UnixMs(start.0 + span.as_millis() as i64);
        let set = sessions.open(keys[1].digest, start, true).unwrap();
        let text = set.to_str().unwrap();
        assert!(text.ends_with("; Secure; Path=/console; HttpOnly; SameSite=Strict"));
        let headers = shown(&set);
        let seen = |now, keys: &[AdminKey]| sessions.viewer(&headers, keys, now, true);
        let viewer = seen(start, &keys).unwrap();
        assert_eq!(viewer.caller.role, Role::View);
        assert!(viewer.has_sent(&viewer.csrf) && !viewer.has_sent(""));
        assert!(seen(late(IDLE / 2), &keys).is_some());
        assert!(seen(late(IDLE), &keys).is_some(), "it was used meanwhile");
        assert!(seen(late(IDLE * 2), &keys).is_none());
        assert!(seen(start, &keys).is_none(), "it is gone for good");

        let headers = shown(&sessions.open(keys[0].digest, start, false).unwrap());
        assert!(
            sessions
                .viewer(&headers, &keys[1..], start, false)
                .is_none()
        );
        let headers = shown(&sessions.open(keys[0].digest, start, false).unwrap());
        let mut now = start;
        while now.since(start) < LIFE {
            assert!(sessions.viewer(&headers, &keys, now, true).is_some());
            now = UnixMs(now.0 + 1_800_000);
        }
        assert!(sessions.viewer(&headers, &keys, now, true).is_none());

        let headers = shown(&sessions.open(keys[0].digest, start, false).unwrap());
        sessions.say(&headers, "done".to_owned());
        let said = |takes| sessions.viewer(&headers, &keys, start, takes).unwrap().said;
        assert_eq!(
            (said(false), said(true), said(true)),
            (None, Some("done".to_owned()), None)
        );
        let forgotten = sessions.end(&headers).unwrap();
        assert!(forgotten.to_str().unwrap().contains("Max-Age=0"));
        assert!(sessions.viewer(&headers, &keys, start, false).is_none());
    }

    #[test]
    fn there_are_few_sessions_and_the_idle_go_first() {
        let keys = [key("one", Role::View), key("two", Role::Admin)];
        let sessions = Sessions::default();
        let at = |n: usize| UnixMs(1_000_000 + n as i64);
        let other = shown(&sessions.open(keys[1].digest, at(0), false).unwrap());
        let all: Vec<HeaderMap> = (0..MAX_SESSIONS + 3)
            .map(|n| shown(&sessions.open(keys[0].digest, at(n), false).unwrap()))
            .collect();
        let alive = |n: usize| sessions.viewer(&all[n], &keys, at(9999), false).is_some();
        assert_eq!((alive(0), alive(2), alive(3)), (false, false, true));
        assert!(alive(MAX_SESSIONS + 2));
        assert!(
            sessions.viewer(&other, &keys, at(9999), false).is_some(),
            "those of one key end none of another's"
        );
    }
}
