//! Values as people paste them: what went wrong on the way from a web page to the terminal.
//!
//! **Promises.** What can be mended without guessing is mended, with a note; the rest is refused
//! with what to do. No note and no error ever shows the value, or a part of it.
//! **Refuses** to judge whether Meta takes a value: lengths and prefixes change, so an unusual
//! shape is a warning.
//! **Limits.** [`MAX_PASTE`] bytes.

mod shape;
mod unwrap;

use std::fmt;

use zeroize::Zeroizing;

use crate::secret::Secret;

pub use shape::{PixelNote, PixelShapeError, TestCodeError, pixel_shape, test_code_shape};

/// Bytes of a pasted text that are looked at; a longer one is refused.
pub const MAX_PASTE: usize = 64 * 1024;

/// Pieces that a terminal may have broken one value into.
const MAX_PIECES: usize = 64;

/// What is being asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A token that events are sent with: of a system user, a dataset or a person.
    LaneToken,
    /// `{app id}|{app secret}`, which inspects other tokens.
    AppToken,
    /// The secret of an app.
    AppSecret,
    /// The code that Facebook's login gives back, to be exchanged for a token.
    Code,
}

/// What was mended, or is unusual and was left as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PasteNote {
    /// White space around it was taken off.
    OuterSpace,
    /// Quotation marks or brackets around it were taken off.
    Quotes,
    /// A comma or semicolon behind it was taken off.
    Punctuation,
    /// `Bearer`, `OAuth` or a name before it was taken off.
    Prefix,
    /// Line breaks or blanks inside, as a terminal makes them, were taken out.
    InnerSpace,
    /// A byte-order mark or other characters that nobody sees were taken out.
    Invisible,
    /// The first letter was there twice.
    DoubledLetter,
    /// It was taken out of a whole JSON answer.
    FromJson,
    /// It was taken out of an address.
    FromUrl,
    /// What Facebook appends to an address (`#_=_`, `&state=`) was cut off.
    Tail,
    /// It does not begin with `EAA`, as tokens do today.
    NotEaa,
    /// It is shorter than tokens or codes are.
    Short,
    /// It is not 32 lower-case hex digits, as app secrets are.
    NotHex32,
    /// A lane token that has the shape of an app secret.
    LooksLikeAppSecret,
    /// An app token without an app id and `|` in front.
    NoAppId,
}

/// Why a pasted text cannot be used. Says what to do; never holds the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasteError {
    /// Nothing is left.
    #[error("nothing was pasted: copy the value again, the whole of it")]
    Empty,
    /// More than [`MAX_PASTE`].
    #[error(
        "this is longer than {MAX_PASTE} bytes: paste the value alone, not a whole page or file"
    )]
    TooLong,
    /// Dots, stars or bullets stand for a part of it.
    #[error(
        "this is a masked display (… or ***), not the value: copy it where it is shown in full, or make a new one"
    )]
    Masked,
    /// Letters beyond ASCII.
    #[error(
        "there are characters in it that no such value has (beyond ASCII): copy it again from its source, not through a word processor or chat"
    )]
    NotAscii,
    /// Words, or pieces that do not make one value.
    #[error(
        "there are blanks or line breaks inside and the pieces do not make one value: copy it again, without a word before or behind it"
    )]
    InnerSpace,
    /// Two tokens at once.
    #[error("more than one value was pasted: paste one")]
    Several,
    /// A `|` where none may be.
    #[error(
        "this is an app or client token (a number, | and the rest), which cannot send events: paste a token that begins with EAA, of a system user or from the Events Manager (Settings, Conversions API, Generate access token)"
    )]
    AppTokenAsLaneToken,
    /// A `|` in a secret or a code.
    #[error(
        "there is a | in it: an app secret stands behind the | of an app token, and a code has none; paste that part alone"
    )]
    Pipe,
    /// Not `number|rest`.
    #[error(
        "an app token is the app id, one | and the app secret, such as 1234567890|<app secret>"
    )]
    NotAnAppToken,
    /// A token where the app secret should be.
    #[error(
        "this is an access token, not the app secret: the secret is in the App Dashboard under App settings, Basic"
    )]
    TokenAsAppSecret,
    /// JSON that is no JSON, or has no such member.
    #[error("this is JSON in which the value is not to be found: paste the value alone")]
    NotInJson,
    /// Meta's error answer.
    #[error(
        "this is an error answer of Meta's, not a value: mend what its message says, and copy what comes then"
    )]
    ErrorAnswer,
    /// An address or query that has no such parameter.
    #[error("the value is not to be found in this address: paste the value alone")]
    NotInUrl,
    /// The address that Facebook comes back to after a refusal.
    #[error("this address says that the login was refused or failed: start the login again")]
    RefusedLogin,
}

impl PasteNote {
    /// The stable word for this note.
    pub fn code(self) -> &'static str {
        self.row().0
    }

    /// Whether nothing was changed and the value may be wrong.
    pub fn is_warning(self) -> bool {
        self.row().1
    }

    fn row(self) -> (&'static str, bool, &'static str) {
        match self {
            Self::OuterSpace => ("outer_space", false, "took white space off its ends"),
            Self::Quotes => (
                "quotes",
                false,
                "took off the quotation marks or brackets around it",
            ),
            Self::Punctuation => ("punctuation", false, "took off the punctuation behind it"),
            Self::Prefix => ("prefix", false, "took off the name or word before it"),
            Self::InnerSpace => (
                "inner_space",
                false,
                "took out the line breaks or blanks inside, which a terminal makes",
            ),
            Self::Invisible => (
                "invisible",
                false,
                "took out characters that cannot be seen",
            ),
            Self::DoubledLetter => (
                "doubled_letter",
                false,
                "its first letter was there twice; took one off",
            ),
            Self::FromJson => ("from_json", false, "took it out of the JSON around it"),
            Self::FromUrl => ("from_url", false, "took it out of the address around it"),
            Self::Tail => (
                "tail",
                false,
                "cut off what Facebook appends to the address",
            ),
            Self::NotEaa => (
                "not_eaa",
                true,
                "it does not begin with EAA, as access tokens do today; check that it is one",
            ),
            Self::Short => (
                "short",
                true,
                "it is shorter than such values are; check that it was copied whole",
            ),
            Self::NotHex32 => (
                "not_hex32",
                true,
                "it is not 32 digits and letters a to f, as app secrets are; check that it was copied whole",
            ),
            Self::LooksLikeAppSecret => (
                "looks_like_app_secret",
                true,
                "it looks like an app secret, which cannot send events; check which of the two it is",
            ),
            Self::NoAppId => (
                "no_app_id",
                true,
                "an app token is the app id, | and the app secret; this one has no |, so it must be a token of a developer of the app",
            ),
        }
    }
}

impl fmt::Display for PasteNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.row().2)
    }
}

impl PasteError {
    /// The stable word for this error.
    pub fn code(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::TooLong => "too_long",
            Self::Masked => "masked",
            Self::NotAscii => "not_ascii",
            Self::InnerSpace => "inner_space",
            Self::Several => "several",
            Self::AppTokenAsLaneToken => "app_token_as_lane_token",
            Self::Pipe => "pipe",
            Self::NotAnAppToken => "not_an_app_token",
            Self::TokenAsAppSecret => "token_as_app_secret",
            Self::NotInJson => "not_in_json",
            Self::ErrorAnswer => "error_answer",
            Self::NotInUrl => "not_in_url",
            Self::RefusedLogin => "refused_login",
        }
    }
}

/// The value in a pasted text, and what was mended or is unusual, each once and in the order in
/// which it was found.
///
/// The value is one word of visible ASCII. The copies made on the way are wiped, except those of a
/// JSON parser.
pub fn tidy(raw: &str, kind: Kind) -> Result<(Secret, Vec<PasteNote>), PasteError> {
    if raw.len() > MAX_PASTE {
        return Err(PasteError::TooLong);
    }
    let mut notes = Notes::default();
    let seen = unwrap::visible(raw, &mut notes);
    let bare = unwrap::unwrap(&seen, kind, &mut notes)?;
    if bare.is_empty() {
        return Err(PasteError::Empty);
    }
    if is_masked(&bare) {
        return Err(PasteError::Masked);
    }
    if !bare.is_ascii() {
        return Err(PasteError::NotAscii);
    }
    let mut value = join(&bare, kind, &mut notes)?;
    if kind == Kind::LaneToken && value.starts_with("EEAA") {
        value.remove(0);
        notes.add(PasteNote::DoubledLetter);
    }
    check_kind(&value, kind)?;
    for note in shape::unusual(&value, kind) {
        notes.add(note);
    }
    Ok((Secret::new(std::mem::take(&mut *value)), notes.0))
}

/// What was found so far, each once.
#[derive(Default)]
struct Notes(Vec<PasteNote>);

impl Notes {
    fn add(&mut self, note: PasteNote) {
        if !self.0.contains(&note) {
            self.0.push(note);
        }
    }
}

/// Takes white space out where what is left is as such values are: anything else may be words.
fn join(bare: &str, kind: Kind, notes: &mut Notes) -> Result<Zeroizing<String>, PasteError> {
    let pieces: Vec<&str> = bare.split_ascii_whitespace().collect();
    let joined = Zeroizing::new(pieces.concat());
    if pieces.len() == 1 {
        return Ok(joined);
    }
    let begins = |piece: &&&str| piece.starts_with("EAA") && piece.len() >= shape::MIN_TOKEN;
    if pieces.iter().filter(begins).count() > 1 {
        return Err(PasteError::Several);
    }
    let whole = joined
        .strip_prefix('E')
        .filter(|rest| rest.starts_with("EAA"));
    if pieces.len() > MAX_PIECES || !shape::unusual(whole.unwrap_or(&joined), kind).is_empty() {
        return Err(PasteError::InnerSpace);
    }
    notes.add(PasteNote::InnerSpace);
    Ok(joined)
}

fn is_masked(text: &str) -> bool {
    ["…", "...", "***", "••", "●●", "∗∗∗"]
        .iter()
        .any(|mask| text.contains(mask))
}

fn check_kind(value: &str, kind: Kind) -> Result<(), PasteError> {
    let pipes = value.matches('|').count();
    match kind {
        Kind::LaneToken if pipes > 0 => Err(PasteError::AppTokenAsLaneToken),
        Kind::AppSecret | Kind::Code if pipes > 0 => Err(PasteError::Pipe),
        Kind::AppToken if pipes > 0 && !shape::is_app_token(value) => {
            Err(PasteError::NotAnAppToken)
        }
        Kind::AppSecret if value.starts_with("EAA") && value.len() >= shape::MIN_TOKEN => {
            Err(PasteError::TokenAsAppSecret)
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
