//! The name of a circuit.

use std::fmt;

use crate::graph::Scope;
use crate::journal::Class;
use crate::lanes::by_hand;
use crate::pixel::PixelId;
use crate::tokens::{AppKey, TokenKey};

/// Which circuit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::lanes) enum Key {
    App(AppKey),
    Token(TokenKey),
    Pixel(PixelId),
    /// The lanes of a pixel that carry this class of events.
    Lane(PixelId, Class),
    /// A pixel that a person has stopped: no circuit, and in the way all the same.
    ByHand(PixelId),
}

impl Key {
    pub(in crate::lanes) fn scope(self) -> Scope {
        match self {
            Self::App(_) => Scope::App,
            Self::Token(_) => Scope::Token,
            Self::Pixel(_) | Self::ByHand(_) => Scope::Pixel,
            Self::Lane(..) => Scope::Lane,
        }
    }

    /// Whether it is of this class alone, or of all.
    pub(in crate::lanes) fn concerns(self, class: Class) -> bool {
        match self {
            Self::Lane(_, own) => own == class,
            Self::App(_) | Self::Token(_) | Self::Pixel(_) | Self::ByHand(_) => true,
        }
    }
}

/// The id an operator sees: `lane:123:business_messaging`, `pixel:123`, `token:ab12cd34` (a
/// fingerprint), `app:123`, `by_hand:123`.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Self::ByHand(pixel) = self {
            return f.write_str(&by_hand::id(*pixel));
        }
        f.write_str(self.scope().code())?;
        match self {
            Self::App(AppKey::Id(id)) => write!(f, ":{id}"),
            Self::App(AppKey::Secret(key) | AppKey::Token(key)) | Self::Token(key) => {
                write!(f, ":{key}")
            }
            Self::Pixel(pixel) | Self::ByHand(pixel) => write!(f, ":{pixel}"),
            Self::Lane(pixel, class) => write!(f, ":{pixel}:{}", class.code()),
        }
    }
}
