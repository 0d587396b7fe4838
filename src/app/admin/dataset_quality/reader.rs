//! Asks Meta, seldom, and only when somebody looks: each answer is kept for a while, and nothing is
//! asked with a token, or about a pixel, that events have to wait for.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;

use super::Trouble;
use crate::app::admin::Inner;
use crate::app::admin::problem::Problem;
use crate::app::admin::work::beside;
use crate::graph::oauth::{DatasetQuality, OauthClient, OauthError, Unreachable};
use crate::lanes::Lanes;
use crate::lanes::snapshot::HoldSnapshot;
use crate::pixel::PixelId;
use crate::time::UnixMs;
use crate::tokens::{AppKey, Credential, Note, Refused, State, TokenKey, Tokens};

/// Pixels whose figures are kept.
const MAX_PIXELS: usize = 64;
/// For how long figures are kept: Meta counts over days.
const LASTS: Duration = Duration::from_mins(15);
/// For how long an error is kept.
const ERROR_LASTS: Duration = Duration::from_mins(2);
/// Questions at once.
const MAX_ASKING: usize = 2;
/// Questions in a minute, of all pixels.
const MAX_PER_MINUTE: usize = 10;
/// How long one question may wait for its place, and then for its answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// What Meta is asked with.
pub(in crate::app) struct Meta {
    /// The client.
    pub(in crate::app) client: OauthClient,
    /// The token that each pixel goes with.
    pub(in crate::app) tokens: Tokens,
}

/// Asks, and remembers.
pub(in crate::app::admin) struct Reader {
    /// None where no gateway runs.
    meta: Option<Meta>,
    pixels: Mutex<HashMap<PixelId, Entry>>,
    places: Semaphore,
    /// When Meta was asked in the last minute.
    asked: Mutex<VecDeque<UnixMs>>,
}

#[derive(Default)]
struct Entry {
    kept: Option<Kept>,
    /// Held by who asks about it.
    turn: Arc<tokio::sync::Mutex<()>>,
}

/// What came of a question.
#[derive(Clone)]
pub(in crate::app::admin) struct Kept {
    pub(in crate::app::admin) at: UnixMs,
    pub(in crate::app::admin) until: UnixMs,
    pub(in crate::app::admin) said: Result<Arc<DatasetQuality>, Box<Trouble>>,
    token: TokenKey,
}

impl Kept {
    fn is_fresh(&self, token: TokenKey, now: UnixMs) -> bool {
        // a clock that was put back must not make it last
        self.token == token && self.at <= now && now < self.until
    }
}

impl Reader {
    pub(in crate::app::admin) fn new(meta: Option<Meta>) -> Self {
        Self {
            meta,
            pixels: Mutex::default(),
            places: Semaphore::new(MAX_ASKING),
            asked: Mutex::default(),
        }
    }

    /// What was said a short time ago, with this token.
    fn fresh(&self, pixel: PixelId, token: TokenKey, now: UnixMs) -> Option<Kept> {
        let pixels = lock(&self.pixels);
        let kept = pixels.get(&pixel)?.kept.as_ref()?;
        kept.is_fresh(token, now).then(|| kept.clone())
    }

    /// The turn of who asks about a pixel. For want of room the oldest answer is forgotten; none when
    /// all of them are being asked for.
    fn turn(&self, pixel: PixelId) -> Option<Arc<tokio::sync::Mutex<()>>> {
        let mut pixels = lock(&self.pixels);
        if !pixels.contains_key(&pixel) && pixels.len() >= MAX_PIXELS {
            let idle = pixels
                .iter()
                .filter(|(_, entry)| Arc::strong_count(&entry.turn) == 1);
            let oldest = idle.min_by_key(|(_, entry)| entry.kept.as_ref().map(|kept| kept.at));
            let oldest = *oldest?.0;
            pixels.remove(&oldest);
        }
        Some(Arc::clone(&pixels.entry(pixel).or_default().turn))
    }

    fn keep(&self, pixel: PixelId, kept: Kept) {
        // it is there: nobody removes the entry of who asks
        if let Some(entry) = lock(&self.pixels).get_mut(&pixel) {
            entry.kept = Some(kept);
        }
    }

    /// Whether there is room for one more question in this minute, which is taken then.
    fn may_ask(&self, now: UnixMs) -> bool {
        let mut asked = lock(&self.asked);
        asked.retain(|at| *at <= now && now.since(*at) < Duration::from_mins(1));
        let may = asked.len() < MAX_PER_MINUTE;
        if may {
            asked.push_back(now);
        }
        may
    }
}

/// What Meta says of a pixel; one question about it is under way at a time.
pub(super) async fn ask(
    inner: &Arc<Inner>,
    pixel: PixelId,
) -> Result<Result<Kept, Box<Trouble>>, Problem> {
    let reader = &inner.reader;
    let Some(meta) = &reader.meta else {
        return Ok(Err(Trouble::offline()));
    };
    let Some(credential) = meta.tokens.get(pixel) else {
        return Ok(Err(Trouble::no_token()));
    };
    let token = credential.token_key();
    if let Some(kept) = reader.fresh(pixel, token, inner.clock.now()) {
        return Ok(Ok(kept));
    }
    let Some(turn) = reader.turn(pixel) else {
        return Ok(Err(Trouble::paced()));
    };
    let _turn = turn.lock().await;
    if let Some(kept) = reader.fresh(pixel, token, inner.clock.now()) {
        return Ok(Ok(kept));
    }
    let scopes = {
        let (inner, credential) = (Arc::clone(inner), Arc::clone(&credential));
        let look = move || scopes(&inner, pixel, &credential);
        match beside(look).await? {
            Ok(scopes) => scopes,
            Err(trouble) => return Ok(Err(trouble)),
        }
    };
    let place = tokio::time::timeout(PATIENCE, reader.places.acquire()).await;
    let Ok(Ok(_place)) = place else {
        return Ok(Err(Trouble::paced()));
    };
    let at = inner.clock.now();
    if !reader.may_ask(at) {
        return Ok(Err(Trouble::paced()));
    }
    let (token_value, app_secret) = (&credential.token, credential.app_secret.as_ref());
    let question = (meta.client).dataset_quality(token_value, app_secret, pixel);
    let answer = tokio::time::timeout(PATIENCE, question).await;
    let answer = answer.unwrap_or(Err(OauthError::Unreachable(Unreachable::Timeout)));
    if let Err(error) = &answer {
        tracing::info!(pixel = %pixel, code = error.code(), %error, "dataset quality could not be read");
    }
    let lasts = answer.as_ref().map_or_else(error_lasts, |_| LASTS);
    let kept = Kept {
        at,
        until: at.plus(lasts),
        said: answer
            .map(Arc::new)
            .map_err(|error| Trouble::of(&error, &scopes)),
        token,
    };
    reader.keep(pixel, kept.clone());
    Ok(Ok(kept))
}

/// After a limit Meta is left alone for as long as it says, and not for less than figures would last.
fn error_lasts(error: &OauthError) -> Duration {
    let row = error.explain(crate::graph::oauth::Context::DatasetQuality);
    let asked = error.meta().and_then(|meta| meta.retry_after);
    let least = if row.slug == "rate-limit" {
        LASTS
    } else {
        ERROR_LASTS
    };
    asked.unwrap_or_default().max(least)
}

/// The scopes of the token, as far as they are known; or why it is not to be used now. Blocks.
fn scopes(
    inner: &Inner,
    pixel: PixelId,
    credential: &Credential,
) -> Result<Vec<String>, Box<Trouble>> {
    let token = credential.token_key();
    if let Some(meta) = &inner.reader.meta {
        let is_it = |one: &Refused| one.token == token && one.pixel.is_none_or(|one| one == pixel);
        if meta.tokens.refused().iter().any(is_it) {
            return Err(Trouble::refused());
        }
    }
    let now = inner.clock.now();
    let notes = inner.notes.read(&inner.in_force().config.journal.dir, now);
    let facts = notes
        .tokens
        .get(&token.to_string())
        .map(|note: &Note| &note.facts);
    let is_dead = facts.is_some_and(|facts| {
        facts.state.is_dead() || facts.state == State::Blocked || facts.expires.is_over(now)
    });
    if is_dead {
        return Err(Trouble::refused());
    }
    let holds = inner.lanes.get().map(Lanes::holds).unwrap_or_default();
    let app = match credential.app_key() {
        AppKey::Id(id) => format!("app:{id}"),
        AppKey::Secret(key) | AppKey::Token(key) => format!("app:{key}"),
    };
    let ids = [app, format!("token:{token}"), format!("pixel:{pixel}")];
    let stops = |hold: &&HoldSnapshot| {
        hold.scope != "lane" && (hold.pixels.contains(&pixel) || ids.contains(&hold.id))
    };
    match holds.iter().find(stops) {
        Some(hold) => Err(Trouble::held(hold)),
        None => Ok(facts.map(|facts| facts.scopes.clone()).unwrap_or_default()),
    }
}

/// The values under these locks are whole at any moment.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    fn kept(at: i64, token: TokenKey) -> Kept {
        let at = UnixMs::from_secs(at);
        Kept {
            at,
            until: at.plus(LASTS),
            said: Ok(Arc::default()),
            token,
        }
    }

    fn pixel(id: u64) -> PixelId {
        PixelId::from_u64(id).unwrap()
    }

    #[test]
    fn an_answer_lasts_for_its_time_and_its_token() {
        let (one, other) = ["one", "other"]
            .map(|name| TokenKey::of(&Secret::new(name.to_owned())))
            .into();
        let kept = kept(1000, one);
        let at = UnixMs::from_secs;
        assert!(kept.is_fresh(one, at(1000)) && kept.is_fresh(one, at(1899)));
        assert!(!kept.is_fresh(one, at(1900)) && !kept.is_fresh(one, at(999)));
        assert!(!kept.is_fresh(other, at(1000)));
    }

    #[test]
    fn the_oldest_answer_makes_room_and_none_that_is_asked_for() {
        let reader = Reader::new(None);
        let token = TokenKey::of(&Secret::new("t".to_owned()));
        let mut turns = Vec::new();
        for id in 1..=MAX_PIXELS as u64 {
            turns.push(reader.turn(pixel(id)).unwrap());
            reader.keep(pixel(id), kept(1000 - id as i64, token));
        }
        assert!(
            reader.turn(pixel(1000)).is_none(),
            "all are being asked for"
        );
        turns.truncate(MAX_PIXELS - 2);
        assert!(reader.turn(pixel(1000)).is_some());
        let now = UnixMs::from_secs(1001);
        let is_there = |id: usize| reader.fresh(pixel(id as u64), token, now).is_some();
        assert!(!is_there(MAX_PIXELS) && is_there(MAX_PIXELS - 1));
        assert_eq!(lock(&reader.pixels).len(), MAX_PIXELS);
    }

    #[test]
    fn few_questions_a_minute_are_asked() {
        let reader = Reader::new(None);
        let may = |at| reader.may_ask(UnixMs::from_secs(at));
        assert!((0..MAX_PER_MINUTE).all(|_| may(1000)));
        assert!(!may(1000) && !may(1059));
        assert!(may(1060));
    }
}
