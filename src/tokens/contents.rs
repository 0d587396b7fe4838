//! What is in a vault: apps with their secrets, tokens by name, and the slots of each pixel.
//!
//! A pixel has three slots. *current* is what its events travel with; *next* is what it falls back
//! on when Graph refuses that, and what a rotation puts in its place; *retiring* was current
//! before a rotation, and is kept until the new one has proved itself. A token may be in the slots
//! of several pixels.

mod error;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::credential::TokenKey;
use super::facts::Facts;
use crate::pixel::PixelId;
use crate::secret::Secret;
use crate::time::UnixMs;

pub use error::ChangeError;

/// Most characters of a [`Name`].
pub const MAX_NAME: usize = 64;

/// What a person calls a token: 1 to 64 ASCII letters, digits, `.`, `_` and `-`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

/// Why a text is no [`Name`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a name: 1 to {MAX_NAME} letters, digits, dots, dashes and underscores, such as shop-2026")]
pub struct NameError;

/// Everything in a vault.
#[derive(Clone, Debug, Default)]
pub struct Contents {
    /// Counts the changes.
    pub generation: u64,
    /// The apps, by id.
    pub apps: BTreeMap<String, AppRecord>,
    /// The tokens, by name.
    pub tokens: BTreeMap<Name, TokenRecord>,
    /// Which token each pixel has where.
    pub pixels: BTreeMap<PixelId, Slots>,
}

/// An app whose secret is known.
#[derive(Clone, Debug)]
pub struct AppRecord {
    /// Its secret.
    pub secret: Secret,
    /// When it was put here.
    pub added_at: UnixMs,
}

/// A token with what is known about it.
#[derive(Clone, Debug)]
pub struct TokenRecord {
    /// The token.
    pub secret: Secret,
    /// How it came here.
    pub obtained: Obtained,
    /// When it came here.
    pub added_at: UnixMs,
    /// What Meta says about it.
    pub facts: Facts,
}

/// How a token came into the vault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Obtained {
    /// A person pasted it.
    Pasted,
    /// By the login dialog.
    Login,
    /// From a short-lived one.
    Extended,
    /// From a person's token, for a page.
    Page,
    /// Made for a system user.
    SystemUser,
    /// A 60-day token, refreshed in time.
    Refreshed,
}

/// The slots of one pixel.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Slots {
    /// What events travel with.
    pub current: Option<Name>,
    /// What takes its place.
    pub next: Option<Name>,
    /// What was current before.
    pub retiring: Option<Retiring>,
}

/// A token that was current before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retiring {
    /// Its name.
    pub name: Name,
    /// Since when another one is current.
    pub since: UnixMs,
}

/// One of the three slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Slot {
    /// What events travel with.
    Current,
    /// What takes its place.
    Next,
    /// What was current before.
    Retiring,
}

impl Slot {
    /// The stable word for listings and metrics.
    pub fn code(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Next => "next",
            Self::Retiring => "retiring",
        }
    }
}

impl Slots {
    /// The names in the order in which they are tried.
    pub fn names(&self) -> impl Iterator<Item = (Slot, &Name)> {
        let retiring = self.retiring.as_ref().map(|retiring| &retiring.name);
        [
            (Slot::Current, self.current.as_ref()),
            (Slot::Next, self.next.as_ref()),
            (Slot::Retiring, retiring),
        ]
        .into_iter()
        .filter_map(|(slot, name)| Some((slot, name?)))
    }

    fn is_empty(&self) -> bool {
        self.names().next().is_none()
    }

    fn drop_name(&mut self, name: &Name) {
        for slot in [&mut self.current, &mut self.next] {
            if slot.as_ref() == Some(name) {
                *slot = None;
            }
        }
        if self.retiring.as_ref().is_some_and(|one| one.name == *name) {
            self.retiring = None;
        }
    }
}

impl Contents {
    /// Puts a token in under a name of its own.
    pub fn add(&mut self, name: Name, record: TokenRecord) -> Result<(), ChangeError> {
        if let Some((twin, _)) = self.find(TokenKey::of(&record.secret)) {
            return Err(ChangeError::SameToken(twin.clone()));
        }
        if self.tokens.contains_key(&name) {
            return Err(ChangeError::NameTaken(name));
        }
        self.tokens.insert(name, record);
        Ok(())
    }

    /// The token with this key.
    pub fn find(&self, key: TokenKey) -> Option<(&Name, &TokenRecord)> {
        let mut all = self.tokens.iter();
        all.find(|(_, record)| TokenKey::of(&record.secret) == key)
    }

    /// A name that is free, made from `wish`.
    pub fn free_name(&self, wish: &str) -> Name {
        let clean = |c: char| if is_name_char(c) { c } else { '-' };
        let cleaned: String = wish.chars().map(clean).take(MAX_NAME - 4).collect();
        let trimmed = cleaned.trim_matches('-');
        // what could not be read back is no name
        let stem = if trimmed.parse::<Name>().is_ok() {
            trimmed
        } else {
            "token"
        };
        let first = Name(stem.to_owned());
        let numbered = (2..).map(|number| Name(format!("{stem}-{number}")));
        let mut names = std::iter::once(first.clone()).chain(numbered);
        names
            .find(|name| !self.tokens.contains_key(name))
            .unwrap_or(first)
    }

    /// Puts a token that is in the vault into a slot of a pixel; out of the pixel's other slots.
    /// What is current becomes retiring when another one takes its place.
    pub fn bind(
        &mut self,
        pixel: PixelId,
        slot: Slot,
        name: &Name,
        now: UnixMs,
    ) -> Result<(), ChangeError> {
        if !self.tokens.contains_key(name) {
            return Err(ChangeError::NoToken(name.clone()));
        }
        let slots = self.pixels.entry(pixel).or_default();
        if slot != Slot::Current && slots.current.as_ref() == Some(name) {
            return Err(ChangeError::IsCurrent(name.clone(), pixel));
        }
        let before = slots.current.clone().filter(|current| current != name);
        slots.drop_name(name);
        match slot {
            Slot::Current => {
                slots.current = Some(name.clone());
                if let Some(name) = before {
                    slots.retiring = Some(Retiring { name, since: now });
                }
            }
            Slot::Next => slots.next = Some(name.clone()),
            Slot::Retiring => {
                slots.retiring = Some(Retiring {
                    name: name.clone(),
                    since: now,
                });
            }
        }
        Ok(())
    }

    /// Whether a slot of a pixel is free, or has this token already.
    pub fn check_free(
        &self,
        pixel: PixelId,
        slot: Slot,
        own: Option<&Name>,
    ) -> Result<(), ChangeError> {
        let other = self.in_slot(pixel, slot).filter(|name| Some(*name) != own);
        other.map_or(Ok(()), |name| {
            Err(ChangeError::Occupied(pixel, slot, name.clone()))
        })
    }

    /// Next becomes current, and current retiring.
    pub fn promote(&mut self, pixel: PixelId, now: UnixMs) -> Result<Name, ChangeError> {
        let slots = self.pixels.entry(pixel).or_default();
        let Some(next) = slots.next.take() else {
            return Err(ChangeError::NoNext(pixel));
        };
        if let Some(name) = slots.current.replace(next.clone()) {
            slots.retiring = Some(Retiring { name, since: now });
        }
        Ok(next)
    }

    /// Puts a token in the place of `old`, which a pixel sends with and which becomes retiring. That
    /// it is current already is as good; that another one is current by now is an error.
    pub fn replace(
        &mut self,
        pixel: PixelId,
        old: &Name,
        name: &Name,
        now: UnixMs,
    ) -> Result<(), ChangeError> {
        match self.in_slot(pixel, Slot::Current) {
            Some(current) if current == name => return Ok(()),
            Some(current) if current != old => {
                return Err(ChangeError::Moved(pixel, current.clone()));
            }
            _ => {}
        }
        self.bind(pixel, Slot::Next, name, now)?;
        self.promote(pixel, now).map(|_| ())
    }

    /// Undoes a promotion: retiring becomes current again, and what was current is in no slot.
    pub fn roll_back(&mut self, pixel: PixelId) -> Result<Name, ChangeError> {
        let slots = self.pixels.entry(pixel).or_default();
        let Some(retiring) = slots.retiring.take() else {
            return Err(ChangeError::NoRetiring(pixel));
        };
        slots.current = Some(retiring.name.clone());
        Ok(retiring.name)
    }

    /// Empties the retiring slot; gives the token's name when no pixel has it any more.
    pub fn finish(&mut self, pixel: PixelId) -> Result<Option<Name>, ChangeError> {
        let slots = self.pixels.entry(pixel).or_default();
        let Some(retiring) = slots.retiring.take() else {
            return Err(ChangeError::NoRetiring(pixel));
        };
        Ok(Some(retiring.name).filter(|name| self.users(name).next().is_none()))
    }

    /// Takes a token out of every slot and out of the vault; `force` also what events travel with,
    /// and then the pixel's next or retiring token becomes current.
    pub fn remove(&mut self, name: &Name, force: bool) -> Result<TokenRecord, ChangeError> {
        if !self.tokens.contains_key(name) {
            return Err(ChangeError::NoToken(name.clone()));
        }
        let current = self.users(name).find(|(_, slot)| *slot == Slot::Current);
        if let Some((pixel, _)) = current.filter(|_| !force) {
            return Err(ChangeError::InUse(name.clone(), pixel));
        }
        for slots in self.pixels.values_mut() {
            slots.drop_name(name);
            if slots.current.is_none() {
                let retiring = || Some(slots.retiring.take()?.name);
                slots.current = slots.next.take().or_else(retiring);
            }
        }
        self.pixels.retain(|_, slots| !slots.is_empty());
        let removed = self.tokens.remove(name);
        removed.ok_or_else(|| ChangeError::NoToken(name.clone()))
    }

    /// The pixels that have a token, and in which slot.
    pub fn users(&self, name: &Name) -> impl Iterator<Item = (PixelId, Slot)> {
        let all = self.pixels.iter();
        all.flat_map(move |(pixel, slots)| {
            let own = slots.names().filter(move |(_, other)| *other == name);
            own.map(|(slot, _)| (*pixel, slot))
        })
    }

    /// The token in a slot of a pixel.
    pub fn in_slot(&self, pixel: PixelId, slot: Slot) -> Option<&Name> {
        let mut names = self.pixels.get(&pixel)?.names();
        names.find_map(|(other, name)| (other == slot).then_some(name))
    }

    /// The tokens of a pixel in the order in which they are tried.
    pub fn candidates(&self, pixel: PixelId) -> impl Iterator<Item = (Slot, &Name, &TokenRecord)> {
        let slots = self.pixels.get(&pixel);
        let names = slots.into_iter().flat_map(Slots::names);
        names.filter_map(|(slot, name)| Some((slot, name, self.tokens.get(name)?)))
    }
}

fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')
}

impl Name {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::try_from(text.to_owned())
    }
}

impl TryFrom<String> for Name {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        let good = (1..=MAX_NAME).contains(&text.len()) && text.chars().all(is_name_char);
        // a token pasted in the place of its name would be shown from then on
        let is_token = text.starts_with("EAA") && text.len() > 20;
        if good && !is_token && !text.starts_with('-') {
            Ok(Self(text))
        } else {
            Err(NameError)
        }
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

#[cfg(test)]
mod tests;
