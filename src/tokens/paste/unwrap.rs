//! Takes off what stands around a value: quotation marks, names, JSON, an address.

use serde_json::Value;
use url::form_urlencoded;
use zeroize::Zeroizing;

use super::{Kind, Notes, PasteError, PasteNote};

/// Layers that are taken off, such as quotation marks within quotation marks.
const MAX_LAYERS: usize = 16;

/// Characters of the name of a variable.
const MAX_VARIABLE: usize = 100;

/// What a terminal puts around a paste.
const BRACKETED: [&str; 2] = ["\u{1b}[200~", "\u{1b}[201~"];

/// Opening and closing marks.
const MARKS: [(char, char); 10] = [
    ('"', '"'),
    ('\'', '\''),
    ('`', '`'),
    ('“', '”'),
    ('„', '“'),
    ('‘', '’'),
    ('‚', '‘'),
    ('«', '»'),
    ('<', '>'),
    ('[', ']'),
];

/// The marks that stand around names and values in code.
const QUOTES: [char; 2] = ['"', '\''];

/// Words before a value, in small letters; a blank, `=` or `:` follows.
const WORDS: [&str; 4] = ["authorization", "bearer", "oauth", "token"];

impl Kind {
    /// The names under which such a value stands in JSON, an address or a form.
    fn names(self) -> &'static [&'static str] {
        match self {
            Self::LaneToken | Self::AppToken => &["access_token"],
            Self::AppSecret => &["client_secret", "app_secret"],
            Self::Code => &["code"],
        }
    }
}

/// The text without what cannot be seen; line breaks and tabs stay.
pub(super) fn visible(raw: &str, notes: &mut Notes) -> Zeroizing<String> {
    let mut plain = Zeroizing::new(raw.to_owned());
    for mark in BRACKETED {
        plain = Zeroizing::new(plain.replace(mark, ""));
    }
    let is_seen = |c: &char| (!c.is_control() || c.is_whitespace()) && !is_invisible(*c);
    let mut seen = Zeroizing::new(String::with_capacity(plain.len()));
    // any white space is a blank from here on, also one beyond ASCII, and the vertical tab
    for c in plain.chars().filter(is_seen) {
        let is_odd_blank = c.is_whitespace() && !c.is_ascii_whitespace();
        seen.push(if is_odd_blank { ' ' } else { c });
    }
    let kept = plain.chars().filter(is_seen).count();
    if kept != raw.chars().count() {
        notes.add(PasteNote::Invisible);
    }
    seen
}

fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// The value alone; white space may be left inside.
pub(super) fn unwrap(
    text: &str,
    kind: Kind,
    notes: &mut Notes,
) -> Result<Zeroizing<String>, PasteError> {
    let mut bare = Zeroizing::new(text.to_owned());
    for _ in 0..MAX_LAYERS {
        match layer(&bare, kind, notes)? {
            Some(inner) => bare = inner,
            None => break,
        }
    }
    Ok(bare)
}

/// What is under the outermost layer, if there is one.
fn layer(
    text: &str,
    kind: Kind,
    notes: &mut Notes,
) -> Result<Option<Zeroizing<String>>, PasteError> {
    let mut found = |inner: &str, note| {
        notes.add(note);
        Ok(Some(Zeroizing::new(inner.to_owned())))
    };
    let trimmed = text.trim();
    if trimmed.len() < text.len() {
        return found(trimmed, PasteNote::OuterSpace);
    }
    // around a word and the value; marks inside stand around each of them
    let around = unquoted(text).filter(|inner| !inner.contains(QUOTES));
    if let Some(inner) = around {
        return found(inner, PasteNote::Quotes);
    }
    if let Some(inner) = without_word(text) {
        return found(inner, PasteNote::Prefix);
    }
    if let Some(inner) = unquoted(text) {
        return found(inner, PasteNote::Quotes);
    }
    if let Some(inner) = assigned(text) {
        return found(inner, PasteNote::Prefix);
    }
    if let Some(inner) = text.strip_suffix([',', ';']) {
        return found(inner, PasteNote::Punctuation);
    }
    if text.starts_with('{') {
        notes.add(PasteNote::FromJson);
        return from_json(text, kind).map(Some);
    }
    if is_address(text) {
        notes.add(PasteNote::FromUrl);
        return from_address(text, kind).map(Some);
    }
    if let Some(form) = as_form(text, kind) {
        let is_more = form.contains(['&', '#']);
        notes.add(if is_more {
            PasteNote::FromUrl
        } else {
            PasteNote::Prefix
        });
        return from_form(form, kind).map(Some);
    }
    if kind == Kind::Code
        && let Some(at) = text.find(['#', '&'])
    {
        return found(&text[..at], PasteNote::Tail);
    }
    Ok(None)
}

fn unquoted(text: &str) -> Option<&str> {
    MARKS
        .iter()
        .find_map(|(open, close)| text.strip_prefix(*open)?.strip_suffix(*close))
}

/// `Bearer EAA…`, `Authorization: Bearer EAA…`, `access_token: EAA…`, `"access_token": "EAA…"`.
fn without_word(text: &str) -> Option<&str> {
    let all = [Kind::LaneToken, Kind::AppSecret, Kind::Code];
    let names = all.into_iter().flat_map(|kind| kind.names().iter());
    let text = text.strip_prefix(QUOTES).unwrap_or(text);
    WORDS.iter().chain(names).find_map(|word| {
        let (head, rest) = text.split_at_checked(word.len())?;
        let rest = rest.strip_prefix(QUOTES).unwrap_or(rest);
        let inner = rest.trim_start();
        let inner = match inner.strip_prefix(':') {
            Some(inner) => inner,
            None if inner.len() < rest.len() || rest.is_empty() => inner,
            None => return None,
        };
        (head.eq_ignore_ascii_case(word) && !inner.starts_with('=')).then_some(inner.trim_start())
    })
}

/// `NAME='…'`, `NAME=EAA…`, `export NAME="…"`, as a shell or the file of an environment has it. A
/// bare name in small letters is a parameter of an address.
fn assigned(text: &str) -> Option<&str> {
    let exported = text.strip_prefix("export");
    let exported = exported.filter(|rest| rest.starts_with([' ', '\t']));
    let line = exported.map_or(text, str::trim_start);
    let (name, value) = line.split_once('=')?;
    let is_sure = exported.is_some() || value.starts_with(QUOTES);
    let is_name = |b: u8| {
        b.is_ascii_uppercase()
            || b.is_ascii_digit()
            || b == b'_'
            || is_sure && b.is_ascii_lowercase()
    };
    let is_variable = name.starts_with(|c: char| c == '_' || c.is_ascii_alphabetic())
        && name.len() <= MAX_VARIABLE
        && name.bytes().all(is_name);
    (is_variable && !value.is_empty()).then_some(value)
}

fn is_address(text: &str) -> bool {
    ["https://", "http://"].iter().any(|scheme| {
        text.get(..scheme.len())
            .is_some_and(|head| head.eq_ignore_ascii_case(scheme))
    })
}

fn from_json(text: &str, kind: Kind) -> Result<Zeroizing<String>, PasteError> {
    let parsed = serde_json::from_str::<Value>(text).or_else(|_| {
        // a terminal has broken a text inside; no JSON needs its line breaks
        let whole = Zeroizing::new(text.replace(['\n', '\r'], ""));
        serde_json::from_str(&whole)
    });
    let Ok(Value::Object(answer)) = parsed else {
        return Err(PasteError::NotInJson);
    };
    if answer.contains_key("error") {
        return Err(PasteError::ErrorAnswer);
    }
    let value = kind
        .names()
        .iter()
        .find_map(|name| answer.get(*name)?.as_str());
    let value = value.ok_or(PasteError::NotInJson)?;
    Ok(visible(value, &mut Notes::default()))
}

fn from_address(text: &str, kind: Kind) -> Result<Zeroizing<String>, PasteError> {
    let whole: Zeroizing<String> = Zeroizing::new(text.split_ascii_whitespace().collect());
    let at = whole.find(['?', '#']).ok_or(PasteError::NotInUrl)?;
    from_form(&whole[at..], kind)
}

/// The text as a query or fragment, if it has such a parameter.
fn as_form(text: &str, kind: Kind) -> Option<&str> {
    let is_named = |part: &str| {
        let name = part.split('=').next().unwrap_or_default().trim();
        part.contains('=') && kind.names().contains(&name)
    };
    let marked = text.strip_prefix(['?', '#']);
    let is_form = text.split(['?', '#', '&']).any(is_named);
    (is_form || marked.is_some_and(|rest| rest.contains('='))).then_some(text)
}

fn from_form(text: &str, kind: Kind) -> Result<Zeroizing<String>, PasteError> {
    // a plus is a plus in such values, and a blank in a form
    let text = Zeroizing::new(text.replace('+', "%2B"));
    let parts = text.split(['?', '#', '&']).filter(|part| !part.is_empty());
    let mut values = Vec::new();
    let mut is_refusal = false;
    for part in parts {
        for (name, value) in form_urlencoded::parse(part.as_bytes()) {
            let name = name.trim();
            is_refusal |= matches!(name, "error" | "error_code" | "error_message");
            if kind.names().contains(&name) {
                values.push(Zeroizing::new(value.trim().to_owned()));
            }
        }
    }
    match values.as_slice() {
        _ if is_refusal => Err(PasteError::RefusedLogin),
        [value] => Ok(visible(value, &mut Notes::default())),
        [] => Err(PasteError::NotInUrl),
        [..] => Err(PasteError::Several),
    }
}
