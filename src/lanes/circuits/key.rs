//! The name of a circuit.

use std::fmt;

use crate::graph::Scope;
use crate::pixel::PixelId;
use crate::tokens::{AppKey, TokenKey};

/// Which circuit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::lanes) enum Key {
    App(AppKey),
    Token(TokenKey),
    Pixel(PixelId),
}

impl Key {
    pub(in crate::lanes) fn scope(self) -> Scope {
        match self {
            Self::App(_) => Scope::App,
            Self::Token(_) => Scope::Token,
            Self::Pixel(_) => Scope::Pixel,
        }
    }
}

/// The id an operator sees: `pixel:123`, `token:ab12cd34` (a fingerprint), `app:123`.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.scope().code())?;
        match self {
            Self::App(AppKey::Id(id)) => write!(f, ":{id}"),
            Self::App(AppKey::Secret(key) | AppKey::Token(key)) | Self::Token(key) => {
                write!(f, ":{key}")
            }
            Self::Pixel(pixel) => write!(f, ":{pixel}"),
        }
    }
}
