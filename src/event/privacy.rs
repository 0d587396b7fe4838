//! Writes `data_processing_options` and its country and state: Limited Data Use.

use super::MAX_LIST;
use super::json::{self, Shape};
use super::reject::EventError;
use super::work::{Work, malformed, string_or_integer};
use crate::codes;

const OPTIONS: &str = "data_processing_options";
const COUNTRY: &str = "data_processing_options_country";
const STATE: &str = "data_processing_options_state";

/// Writes the three members as far as they were given.
///
/// An empty list says "no limit" and is kept. Limited use without a place asks Meta to locate the
/// event: `0` and `0`.
pub(super) fn write(
    options: Option<&str>,
    country: Option<&str>,
    state: Option<&str>,
    work: &mut Work<'_>,
    out: &mut Vec<u8>,
) -> Result<(), EventError> {
    let limited = match options {
        Some(raw) => read_options(raw)?,
        None => None,
    };
    let mut country = code(country, COUNTRY, "must be 0 or 1", "1", |code| code <= 1)?;
    let mut state = code(state, STATE, "must be 0 or 1000 to 1099", "1000", |code| {
        code == 0 || (1000..1100).contains(&code)
    })?;
    match limited {
        Some(true) => {
            json::write_name(out, OPTIONS);
            out.extend_from_slice(b"[\"LDU\"]");
            if country.is_none() && state.is_none() {
                (country, state) = (Some(0), Some(0));
            }
        }
        Some(false) => {
            json::write_name(out, OPTIONS);
            out.extend_from_slice(b"[]");
        }
        None => {}
    }
    if state.is_some_and(|state| state > 0) && country != Some(1) {
        work.warn(
            STATE,
            codes::UNKNOWN_VALUE,
            "a state counts only with country 1",
        );
    }
    for (key, code) in [(COUNTRY, country), (STATE, state)] {
        if let Some(code) = code {
            json::write_name(out, key);
            out.extend_from_slice(itoa::Buffer::new().format(code).as_bytes());
        }
    }
    Ok(())
}

/// Whether use is limited; `None` when nothing is said.
fn read_options(raw: &str) -> Result<Option<bool>, EventError> {
    let wrong = || malformed(OPTIONS, "must be [] or [\"LDU\"]", "[\"LDU\"]");
    let words = match json::shape(raw) {
        Shape::Null => return Ok(None),
        Shape::List => json::elements(raw, MAX_LIST).map_err(|flaw| flaw.at(OPTIONS))?,
        Shape::Text => json::List::from_slice(&[raw]),
        _ => return Err(wrong()),
    };
    for word in &words {
        let word = json::scalar(word).map_err(|flaw| flaw.at(OPTIONS))?;
        if !word.is_some_and(|word| word.trim().eq_ignore_ascii_case("LDU")) {
            return Err(wrong());
        }
    }
    Ok(Some(!words.is_empty()))
}

fn code(
    raw: Option<&str>,
    path: &'static str,
    rule: &'static str,
    example: &'static str,
    is_known: impl Fn(u32) -> bool,
) -> Result<Option<u32>, EventError> {
    let Some(text) = raw
        .map(|raw| string_or_integer(raw, path, example))
        .transpose()?
        .flatten()
    else {
        return Ok(None);
    };
    match text.trim() {
        "" => Ok(None),
        digits => match digits.parse() {
            Ok(code) if is_known(code) => Ok(Some(code)),
            _ => Err(malformed(path, rule, example)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Rules;
    use crate::event::changes::Marks;
    use crate::time::UnixMs;

    fn run(options: &str, country: &str, state: &str) -> Result<String, EventError> {
        let rules = Rules::default();
        let mut work = Work {
            rules: &rules,
            now: UnixMs(0),
            warnings: Vec::new(),
            marks: Marks::default(),
        };
        let mut out = vec![b'{'];
        let [options, country, state] =
            [options, country, state].map(|raw| Some(raw).filter(|raw| !raw.is_empty()));
        write(options, country, state, &mut work, &mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn limited_use_and_its_place() {
        for (options, country, state, want) in [
            ("", "", "", "{"),
            ("[]", "", "", "{\"data_processing_options\":[]"),
            ("null", "null", "null", "{"),
            (
                "[\"LDU\"]",
                "",
                "",
                "{\"data_processing_options\":[\"LDU\"],\"data_processing_options_country\":0,\"data_processing_options_state\":0",
            ),
            (
                "\"ldu\"",
                "\"1\"",
                "1013",
                "{\"data_processing_options\":[\"LDU\"],\"data_processing_options_country\":1,\"data_processing_options_state\":1013",
            ),
            (
                "[\"LDU\"]",
                "1",
                "",
                "{\"data_processing_options\":[\"LDU\"],\"data_processing_options_country\":1",
            ),
        ] {
            assert_eq!(run(options, country, state).unwrap(), want);
        }
    }

    #[test]
    fn other_words_and_codes_are_refused() {
        for (options, country, state, path) in [
            ("[\"GDPR\"]", "", "", OPTIONS),
            ("[\"\"]", "", "", OPTIONS),
            ("{}", "", "", OPTIONS),
            ("[\"LDU\"]", "2", "", COUNTRY),
            ("[\"LDU\"]", "1.0", "", COUNTRY),
            ("[\"LDU\"]", "1", "999", STATE),
            ("[\"LDU\"]", "1", "-1", STATE),
            ("[\"LDU\"]", "1", "99999999999", STATE),
        ] {
            assert_eq!(run(options, country, state).unwrap_err().path(), path);
        }
    }
}
