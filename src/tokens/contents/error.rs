//! Why the contents of a vault stay as they are.

use super::{Name, Slot};
use crate::pixel::PixelId;

/// Why the contents cannot be changed as asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// The name is taken.
    #[error(
        "there is a token {0} already: choose another name with --name, or remove that one first with `capigate token remove {0}`"
    )]
    NameTaken(Name),
    /// The same token is there under another name.
    #[error("this very token is in the vault already, as {0}")]
    SameToken(Name),
    /// No such token.
    #[error("there is no token {0} in the vault: `capigate token list` shows them")]
    NoToken(Name),
    /// No next token.
    #[error(
        "pixel {0} has no next token: put one there with `capigate token add --pixel {0} --slot next`"
    )]
    NoNext(PixelId),
    /// No token was current before.
    #[error("pixel {0} has no retiring token to go back to")]
    NoRetiring(PixelId),
    /// Another token is there.
    #[error("pixel {0} has a {slot} token already, {2}: {way}", slot = .1.code(), way = way_out(*.0, *.1, .2))]
    Occupied(PixelId, Slot, Name),
    /// The pixel sends with another token than the one that was to be replaced.
    #[error(
        "pixel {0} sends with {1} by now, so nothing was replaced: look at `capigate token list`, and rotate again"
    )]
    Moved(PixelId, Name),
    /// A pixel cannot fall back on what it sends with.
    #[error(
        "token {0} is what pixel {1} sends with, so it is no token to fall back on: make another one"
    )]
    IsCurrent(Name, PixelId),
    /// It is in use.
    #[error("token {0} is what pixel {1} sends with: rotate that pixel first, or say --force")]
    InUse(Name, PixelId),
}

/// What to do about a token that is in the way.
fn way_out(pixel: PixelId, slot: Slot, name: &Name) -> String {
    match slot {
        Slot::Next => format!(
            "put that one in place, `capigate token rotate --pixel {pixel} --from-next`, or take it out of the vault, `capigate token remove {name}`, and hand over the other one then; --force puts another in its place at once"
        ),
        Slot::Current | Slot::Retiring => format!(
            "`capigate token rotate --pixel {pixel}` replaces one without a gap (with --from-next, by the next token); --force puts another in its place at once"
        ),
    }
}
