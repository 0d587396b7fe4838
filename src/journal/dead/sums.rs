//! What letters come to that are alike: kept for each file, so that asking for it reads nothing.

use std::collections::BTreeMap;

use super::line::Stored;
use super::{DeadLetter, Refusal};
use crate::event::{EncodedEvent, Money};
use crate::pixel::PixelId;
use crate::time::UnixMs;

/// What letters have in common.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Alike {
    /// Whose they are.
    pub pixel: PixelId,
    /// Why they were given up.
    pub reason: String,
    /// Graph's code.
    pub code: Option<i64>,
    /// Its subcode.
    pub subcode: Option<i64>,
}

/// What letters come to.
#[derive(Clone, Debug, PartialEq)]
pub struct Sum {
    /// How many.
    pub letters: u64,
    /// When the first of them died.
    pub first: UnixMs,
    /// When the last did.
    pub last: UnixMs,
    /// How many of the events say what they are worth.
    pub valued: u64,
    /// What those come to, by currency.
    pub money: BTreeMap<&'static str, f64>,
}

/// The sums of some letters.
pub(super) type Sums = BTreeMap<Alike, Sum>;

impl Alike {
    fn new(pixel: PixelId, reason: &str, refusal: Option<&Refusal>) -> Self {
        Self {
            pixel,
            reason: reason.to_owned(),
            code: refusal.map(|refusal| refusal.code),
            subcode: refusal.and_then(|refusal| refusal.subcode),
        }
    }
}

impl Sum {
    fn one(at: UnixMs, money: Option<Money>) -> Self {
        Self {
            letters: 1,
            first: at,
            last: at,
            valued: u64::from(money.is_some()),
            money: money
                .map(|money| (money.currency(), money.value()))
                .into_iter()
                .collect(),
        }
    }

    /// Counts others, too.
    fn join(&mut self, other: &Self) {
        self.letters += other.letters;
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
        self.valued += other.valued;
        for (currency, value) in &other.money {
            *self.money.entry(currency).or_default() += value;
        }
    }
}

impl From<&Stored<'_>> for Alike {
    fn from(stored: &Stored<'_>) -> Self {
        Self::new(stored.pixel, &stored.reason, stored.refusal.as_ref())
    }
}

impl From<&DeadLetter> for (Alike, Sum) {
    fn from(letter: &DeadLetter) -> Self {
        let alike = Alike::new(letter.lane.pixel, letter.reason, letter.refusal.as_ref());
        (alike, Sum::one(letter.dead_at, letter.event.money()))
    }
}

impl From<&Stored<'_>> for (Alike, Sum) {
    fn from(stored: &Stored<'_>) -> Self {
        let money = EncodedEvent::money_of(stored.event.get().as_bytes());
        (stored.into(), Sum::one(UnixMs(stored.dead_at), money))
    }
}

/// Adds one to others.
pub(super) fn join(sums: &mut Sums, alike: Alike, sum: &Sum) {
    match sums.get_mut(&alike) {
        Some(known) => known.join(sum),
        None => {
            sums.insert(alike, sum.clone());
        }
    }
}
