//! Which token each pixel's events travel with now, and what came of it.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use tokio::sync::watch;

use super::credential::{Credential, TokenKey};
use super::usage::{LastError, Usage};
use crate::pixel::PixelId;
use crate::time::UnixMs;

/// Tokens whose use is remembered though no pixel has them any more.
const MAX_USED: usize = 4096;

/// The credentials of one pixel in the order in which they are tried: current, next, retiring.
pub type Candidates = Vec<Credential>;

/// A token that Graph has refused: for the pixel, or for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Refused {
    /// Which token.
    pub token: TokenKey,
    /// For which pixel; for all when none.
    pub pixel: Option<PixelId>,
}

/// The credentials of all configured pixels. Cheap to clone; clones see each other's changes.
///
/// A pixel goes with the first of its candidates that Graph has not refused; when it has refused
/// all of them, with the first that it has refused for this pixel alone, else with the first: that
/// one is probed.
#[derive(Clone, Debug)]
pub struct Tokens(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    live: ArcSwap<Live>,
    /// Held while `live` is replaced.
    turn: Mutex<()>,
    usage: Mutex<HashMap<TokenKey, Usage>>,
    changed: watch::Sender<u64>,
    refusals: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Live {
    candidates: HashMap<PixelId, Vec<Arc<Credential>>>,
    refused: BTreeSet<Refused>,
    chosen: HashMap<PixelId, Arc<Credential>>,
}

impl Live {
    fn new(candidates: HashMap<PixelId, Vec<Arc<Credential>>>, refused: BTreeSet<Refused>) -> Self {
        let is_refused = |pixel: Option<PixelId>, credential: &Arc<Credential>| {
            let token = credential.token_key();
            refused.contains(&Refused { token, pixel })
        };
        let chosen = |(pixel, candidates): (&PixelId, &Vec<Arc<Credential>>)| {
            // one that is alive, and may yet be given what it lacks, is worth more tries than a
            // dead one
            let alive = || candidates.iter().filter(|one| !is_refused(None, one));
            let good = alive().find(|one| !is_refused(Some(*pixel), one));
            let best = good.or_else(|| alive().next()).or(candidates.first());
            Some((*pixel, Arc::clone(best?)))
        };
        Self {
            chosen: candidates.iter().filter_map(chosen).collect(),
            candidates,
            refused,
        }
    }

    /// Whether some pixel goes with another token than in `before`.
    fn differs(&self, before: &Self) -> bool {
        self.chosen.len() != before.chosen.len()
            || self.chosen.iter().any(|(pixel, one)| {
                let other = before.chosen.get(pixel);
                other.is_none_or(|other| !Arc::ptr_eq(one, other) && !one.is_same(other))
            })
    }
}

impl Tokens {
    /// Holds the credentials of each pixel.
    pub fn new(credentials: HashMap<PixelId, Candidates>) -> Self {
        Self(Arc::new(Inner {
            live: ArcSwap::from_pointee(Live::new(shared(credentials), BTreeSet::new())),
            turn: Mutex::default(),
            usage: Mutex::default(),
            changed: watch::Sender::new(0),
            refusals: watch::Sender::new(0),
        }))
    }

    /// The credential of `pixel`; none when the pixel is not configured (any more), or has no token.
    pub fn get(&self, pixel: PixelId) -> Option<Arc<Credential>> {
        self.0.live.load().chosen.get(&pixel).cloned()
    }

    /// Takes the place of all credentials, and tells [`Tokens::changed`]. What was refused stays
    /// so, for tokens that are still there; but one that has become a pixel's first choice, or has
    /// another app or app secret now, gets its chance.
    pub fn replace(&self, credentials: HashMap<PixelId, Candidates>) {
        let _turn = lock(&self.0.turn);
        let candidates = shared(credentials);
        let keys: BTreeSet<TokenKey> = (candidates.values().flatten())
            .map(|credential| credential.token_key())
            .collect();
        let before = self.0.live.load_full();
        let mut refused = before.refused.clone();
        refused.retain(|one| keys.contains(&one.token));
        let was = |pixel: &PixelId, one: &Credential| {
            let own = before.candidates.get(pixel)?.iter();
            let key = one.token_key();
            own.into_iter()
                .find(|other| other.token_key() == key)
                .cloned()
        };
        for (pixel, own) in &candidates {
            for one in own {
                if was(pixel, one).is_some_and(|was| !was.is_same(one)) {
                    refused.retain(|refused| refused.token != one.token_key());
                }
            }
            let first = |all: &[Arc<Credential>]| all.first().map(|one| one.token_key());
            let was = before.candidates.get(pixel).and_then(|all| first(all));
            if let Some(now) = first(own).filter(|now| Some(*now) != was) {
                refused.retain(|one| {
                    one.token != now || one.pixel.is_some_and(|other| other != *pixel)
                });
            }
        }
        let mut usage = lock(&self.0.usage);
        if usage.len() > MAX_USED {
            usage.retain(|key, _| keys.contains(key));
        }
        drop(usage);
        self.0.live.store(Arc::new(Live::new(candidates, refused)));
        self.0.changed.send_modify(|generation| *generation += 1);
    }

    /// Graph has refused a token: pixels that have another one go on with that. True when one
    /// does.
    pub fn refuse(&self, refused: Refused) -> bool {
        let moved = self.change(|all| all.insert(refused));
        if moved.is_some() {
            self.0.refusals.send_modify(|count| *count += 1);
        }
        moved == Some(true)
    }

    /// Graph has taken events of `pixel` with this token: when it is the one the pixel goes with,
    /// what was said against it is forgotten.
    pub fn accept(&self, pixel: PixelId, token: TokenKey) {
        {
            let live = self.0.live.load();
            // the usual case, without a lock
            if !live.refused.iter().any(|one| one.token == token) {
                return;
            }
            let is_chosen = |one: &Arc<Credential>| one.token_key() == token;
            if !live.chosen.get(&pixel).is_some_and(is_chosen) {
                // the answer to a batch from before the fall-back
                return;
            }
        }
        self.change(|all| {
            let before = all.len();
            all.retain(|one| one.token != token || one.pixel.is_some_and(|other| other != pixel));
            all.len() != before
        });
    }

    /// Meta says that a token is good: it may be tried again where it was refused for all.
    pub fn absolve(&self, token: TokenKey) {
        self.change(|all| all.remove(&Refused { token, pixel: None }));
    }

    /// What Graph has refused and nobody has taken back.
    pub fn refused(&self) -> Vec<Refused> {
        self.0.live.load().refused.iter().copied().collect()
    }

    /// Every token there is, by key, with the pixels whose candidate it is, the first choice first.
    pub fn all(&self) -> HashMap<PixelId, Vec<Arc<Credential>>> {
        self.0.live.load().candidates.clone()
    }

    /// Changes whenever some pixel may go with another token.
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.0.changed.subscribe()
    }

    /// Changes with every token that Graph refuses.
    pub fn refusals(&self) -> watch::Receiver<u64> {
        self.0.refusals.subscribe()
    }

    /// A batch of `events` events of `pixel` was taken with this token.
    pub fn sent(&self, token: TokenKey, pixel: PixelId, events: u64, at: UnixMs) {
        let mut all = lock(&self.0.usage);
        let usage = all.entry(token).or_default();
        usage.events = usage.events.saturating_add(events);
        usage.last_used = Some(at);
        usage.used_by.insert(pixel, at);
    }

    /// Graph has answered a batch with an error.
    pub fn failed(&self, token: TokenKey, error: LastError) {
        let mut all = lock(&self.0.usage);
        let usage = all.entry(token).or_default();
        usage.errors = usage.errors.saturating_add(1);
        usage.last_error = Some(error);
    }

    /// What came of each token since the start of the process.
    pub fn usage(&self) -> HashMap<TokenKey, Usage> {
        lock(&self.0.usage).clone()
    }

    /// Changes what is refused: none when nothing was to change, else whether some pixel goes
    /// with another token now.
    fn change(&self, work: impl FnOnce(&mut BTreeSet<Refused>) -> bool) -> Option<bool> {
        let _turn = lock(&self.0.turn);
        let before = self.0.live.load_full();
        let mut refused = before.refused.clone();
        if !work(&mut refused) {
            return None;
        }
        let live = Live::new(before.candidates.clone(), refused);
        let moved = live.differs(&before);
        self.0.live.store(Arc::new(live));
        if moved {
            self.0.changed.send_modify(|generation| *generation += 1);
        }
        Some(moved)
    }
}

fn shared(credentials: HashMap<PixelId, Candidates>) -> HashMap<PixelId, Vec<Arc<Credential>>> {
    let share = |candidates: Candidates| candidates.into_iter().map(Arc::new).collect();
    let all = credentials.into_iter();
    all.map(|(pixel, candidates)| (pixel, share(candidates)))
        .collect()
}

/// The values under these locks are whole at any moment.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    fn credential(token: &str) -> Credential {
        Credential {
            token: Secret::new(token.to_owned()),
            app_secret: None,
            app_id: None,
        }
    }

    fn pixel(id: u64) -> PixelId {
        PixelId::from_u64(id).unwrap()
    }

    fn key(token: &str) -> TokenKey {
        credential(token).token_key()
    }

    fn tokens(pixels: &[(u64, &[&str])]) -> Tokens {
        let candidates = |names: &[&str]| names.iter().map(|name| credential(name)).collect();
        let all = pixels.iter();
        Tokens::new(
            all.map(|(id, names)| (pixel(*id), candidates(names)))
                .collect(),
        )
    }

    fn chosen(tokens: &Tokens, id: u64) -> TokenKey {
        tokens.get(pixel(id)).unwrap().token_key()
    }

    #[test]
    fn a_change_is_seen_by_every_clone() {
        let tokens = Tokens::new(HashMap::new());
        let (clone, mut changed) = (tokens.clone(), tokens.changed());
        assert!(clone.get(pixel(7)).is_none());
        tokens.replace(HashMap::from([(pixel(7), vec![credential("a")])]));
        assert!(clone.get(pixel(7)).is_some());
        assert!(changed.has_changed().unwrap());
        changed.mark_unchanged();
    }

    #[test]
    fn a_refused_token_gives_way_to_the_next_one_of_its_pixel() {
        let tokens = tokens(&[(1, &["a", "b"]), (2, &["a"]), (3, &["c", "a"])]);
        let changed = tokens.changed();
        let all = |token| Refused {
            token: key(token),
            pixel: None,
        };
        assert!(tokens.refuse(all("a")));
        assert!(changed.has_changed().unwrap());
        assert_eq!(chosen(&tokens, 1), key("b"));
        // nothing to fall back on: it is probed
        assert_eq!(chosen(&tokens, 2), key("a"));
        assert_eq!(chosen(&tokens, 3), key("c"));
        assert!(!tokens.refuse(all("a")), "again is nothing new");
        // all refused: the first is probed, and when it works it is good again
        tokens.refuse(all("b"));
        assert_eq!(chosen(&tokens, 1), key("a"));
        tokens.accept(pixel(1), key("b"));
        assert_eq!(
            tokens.refused().len(),
            2,
            "b is not what the pixel goes with"
        );
        tokens.accept(pixel(1), key("a"));
        assert_eq!(tokens.refused(), [all("b")]);
    }

    #[test]
    fn a_token_may_be_refused_for_one_pixel_alone() {
        let tokens = tokens(&[(1, &["a", "b"]), (2, &["a", "b"])]);
        tokens.refuse(Refused {
            token: key("a"),
            pixel: Some(pixel(1)),
        });
        assert_eq!(chosen(&tokens, 1), key("b"));
        assert_eq!(chosen(&tokens, 2), key("a"));
    }

    #[test]
    fn when_all_are_refused_the_one_that_lives_is_probed() {
        let tokens = tokens(&[(1, &["dead", "alive"])]);
        for (token, pixel) in [("dead", None), ("alive", Some(pixel(1)))] {
            tokens.refuse(Refused {
                token: key(token),
                pixel,
            });
        }
        assert_eq!(chosen(&tokens, 1), key("alive"));
        tokens.accept(pixel(1), key("alive"));
        assert_eq!(tokens.refused().len(), 1);
    }

    #[test]
    fn what_was_refused_stays_so_while_the_token_is_there() {
        let tokens = tokens(&[(1, &["a", "b"])]);
        tokens.refuse(Refused {
            token: key("a"),
            pixel: None,
        });
        tokens.replace([(pixel(1), vec![credential("a"), credential("c")])].into());
        assert_eq!(chosen(&tokens, 1), key("c"));
        // with another app secret, what the proof has done to it is forgotten
        let with_secret = Credential {
            app_secret: Some(Secret::new("s".to_owned())),
            ..credential("a")
        };
        let before = tokens.refused();
        tokens.replace([(pixel(1), vec![with_secret, credential("c")])].into());
        assert_eq!((before.len(), tokens.refused().len()), (1, 0));
        tokens.replace([(pixel(1), vec![credential("a"), credential("c")])].into());
        tokens.refuse(before[0]);
        // an operator has made it current again
        tokens.replace([(pixel(1), vec![credential("c"), credential("a")])].into());
        assert_eq!(tokens.refused().len(), 1);
        tokens.replace([(pixel(1), vec![credential("a"), credential("c")])].into());
        assert_eq!(chosen(&tokens, 1), key("a"));
        tokens.refuse(Refused {
            token: key("a"),
            pixel: None,
        });
        tokens.absolve(key("a"));
        assert_eq!(chosen(&tokens, 1), key("a"));
        tokens.replace([(pixel(1), vec![credential("d")])].into());
        assert_eq!(tokens.refused(), []);
    }

    #[test]
    fn use_is_counted_by_token() {
        let tokens = tokens(&[(1, &["a", "b"])]);
        tokens.sent(key("a"), pixel(1), 3, UnixMs(5));
        tokens.sent(key("a"), pixel(1), 4, UnixMs(9));
        tokens.failed(
            key("a"),
            LastError {
                at: UnixMs(11),
                code: 190,
                subcode: Some(463),
            },
        );
        let usage = tokens.usage()[&key("a")].clone();
        assert_eq!((usage.events, usage.errors), (7, 1));
        assert_eq!(usage.last_used, Some(UnixMs(9)));
        assert_eq!(usage.used_by, [(pixel(1), UnixMs(9))].into());
        assert!(!tokens.usage().contains_key(&key("b")));
    }
}
