//! What the values of Meta look like today, which says little about tomorrow.

use super::{Kind, PasteNote};
use crate::pixel::{PixelId, TEST_CODE_RULE, is_test_code};

/// Characters that every access token seen so far has at least.
pub(super) const MIN_TOKEN: usize = 50;

/// Characters that every code seen so far has at least.
const MIN_CODE: usize = 50;

/// Digits of a pixel id that is taken at all.
const PIXEL_DIGITS: std::ops::RangeInclusive<usize> = 5..=20;

/// Digits of the pixel ids that are seen today.
const USUAL_PIXEL_DIGITS: std::ops::RangeInclusive<usize> = 15..=16;

/// A pixel id that is unusual.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PixelNote;

/// Why a text is no pixel id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a pixel (dataset) id is 5 to 20 digits, the first of them not 0, such as 1234567890123456; the Events Manager shows it under the name of the dataset"
)]
pub struct PixelShapeError;

/// Why a text is no test code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a test code is {TEST_CODE_RULE}; the Events Manager makes one under Test events")]
pub struct TestCodeError;

impl PixelShapeError {
    /// The stable word for this error.
    pub fn code(self) -> &'static str {
        "bad_pixel"
    }
}

impl TestCodeError {
    /// The stable word for this error.
    pub fn code(self) -> &'static str {
        "bad_test_code"
    }
}

impl std::fmt::Display for PixelNote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(
            "pixel ids have 15 or 16 digits today; check that this is the id of the dataset and was copied whole",
        )
    }
}

/// The pixel id in a text, white space around it left out, and a note where it is not of 15 or 16
/// digits.
pub fn pixel_shape(text: &str) -> Result<(PixelId, Option<PixelNote>), PixelShapeError> {
    let text = text.trim();
    if !PIXEL_DIGITS.contains(&text.len()) {
        return Err(PixelShapeError);
    }
    let pixel = text.parse().map_err(|_| PixelShapeError)?;
    let is_usual = USUAL_PIXEL_DIGITS.contains(&text.len());
    Ok((pixel, (!is_usual).then_some(PixelNote)))
}

/// The test code in a text, white space around it left out.
pub fn test_code_shape(text: &str) -> Result<&str, TestCodeError> {
    let text = text.trim();
    is_test_code(text).then_some(text).ok_or(TestCodeError)
}

/// What is unusual about a value.
pub(super) fn unusual(value: &str, kind: Kind) -> Vec<PasteNote> {
    let short = |least: usize| (value.len() < least).then_some(PasteNote::Short);
    let not_eaa = (!value.starts_with("EAA")).then_some(PasteNote::NotEaa);
    let notes = match kind {
        Kind::LaneToken if is_hex32(value) => [Some(PasteNote::LooksLikeAppSecret), None],
        Kind::LaneToken => [not_eaa, short(MIN_TOKEN)],
        Kind::AppToken if is_app_token(value) => {
            let secret = value.split('|').next_back().unwrap_or_default();
            [(!is_hex32(secret)).then_some(PasteNote::NotHex32), None]
        }
        Kind::AppToken => [Some(PasteNote::NoAppId), short(MIN_TOKEN)],
        Kind::AppSecret => [(!is_hex32(value)).then_some(PasteNote::NotHex32), None],
        Kind::Code => [short(MIN_CODE), None],
    };
    notes.into_iter().flatten().collect()
}

/// A number, one `|`, and something behind it.
pub(super) fn is_app_token(value: &str) -> bool {
    value.split_once('|').is_some_and(|(app, secret)| {
        let digits = app.bytes().all(|b| b.is_ascii_digit());
        !app.is_empty() && digits && !secret.is_empty() && !secret.contains('|')
    })
}

fn is_hex32(value: &str) -> bool {
    value.len() == 32
        && value
            .bytes()
            .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}
