//! The rules for keys of `custom_data`, one function each.

use std::borrow::Cow;

use crate::event::json::{self, Flaw, Shape};
use crate::event::normalise::trim;
use crate::event::{MAX_ITEMS, firewall, tables};

/// A rule: writes the value.
pub(super) type Rule = fn(&str, &mut Vec<u8>) -> Result<Outcome, Flaw>;

/// What a rule made of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Unusable: the key is to be dropped.
    Dropped,
    /// Written, and nothing personal can be in it.
    Written,
    /// Written, and the firewall should have a closer look.
    Suspect,
}

impl Outcome {
    fn written(suspect: bool) -> Self {
        if suspect {
            Self::Suspect
        } else {
            Self::Written
        }
    }
}

/// `currency`: an ISO 4217 code, upper-case; other characters do not count.
pub(super) fn currency(raw: &str, out: &mut Vec<u8>) -> Result<Outcome, Flaw> {
    if json::shape(raw) != Shape::Text {
        return Ok(Outcome::Dropped);
    }
    let text = json::text(raw)?;
    // as it should be, before anything is made of it
    let code = tables::find_in(tables::CURRENCIES, &text).or_else(|| {
        let mut code = text.to_uppercase();
        code.retain(|c| c.is_ascii_uppercase());
        tables::find_in(tables::CURRENCIES, &code)
    });
    let Some(code) = code else {
        return Ok(Outcome::Dropped);
    };
    json::write_text(out, code);
    Ok(Outcome::Written)
}

/// `value`, `predicted_ltv`, `net_revenue`: a finite number, also as plain decimal text.
pub(super) fn number(raw: &str, out: &mut Vec<u8>) -> Result<Outcome, Flaw> {
    match json::shape(raw) {
        Shape::Number if json::is_finite(raw) => out.extend_from_slice(raw.as_bytes()),
        Shape::Number => return Err(Flaw::Syntax),
        Shape::Text => {
            let text = json::text(raw)?;
            let Some(number) = plain_decimal(trim(&text)) else {
                return Ok(Outcome::Dropped);
            };
            out.extend_from_slice(number.as_bytes());
        }
        _ => return Ok(Outcome::Dropped),
    }
    Ok(Outcome::Written)
}

/// Text of the form `-12.50` as a JSON number, without leading zeros.
fn plain_decimal(text: &str) -> Option<Cow<'_, str>> {
    let (sign, unsigned) = match text.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", text),
    };
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let (whole, fraction) = match unsigned.split_once('.') {
        Some((whole, fraction)) if is_digits(fraction) => (whole, Some(fraction)),
        Some(_) => return None,
        None => (unsigned, None),
    };
    if !is_digits(whole) {
        return None;
    }
    let number = if whole.len() > 1 && whole.starts_with('0') {
        let whole = whole.trim_start_matches('0');
        let whole = if whole.is_empty() { "0" } else { whole };
        Cow::Owned(match fraction {
            Some(fraction) => format!("{sign}{whole}.{fraction}"),
            None => format!("{sign}{whole}"),
        })
    } else {
        Cow::Borrowed(text)
    };
    json::is_finite(&number).then_some(number)
}

/// `num_items`: a non-negative integer, also as digits in a string.
pub(super) fn count(raw: &str, out: &mut Vec<u8>) -> Result<Outcome, Flaw> {
    let Some(text) = json::scalar(raw)? else {
        return Ok(Outcome::Dropped);
    };
    let digits = trim(&text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(Outcome::Dropped);
    }
    let Some(number) = plain_decimal(digits) else {
        return Ok(Outcome::Dropped);
    };
    out.extend_from_slice(number.as_bytes());
    Ok(Outcome::Written)
}

/// `order_id`: a trimmed string; an integer becomes one.
pub(super) fn order_id(raw: &str, out: &mut Vec<u8>) -> Result<Outcome, Flaw> {
    let text = json::scalar(raw)?.unwrap_or_default();
    let id = trim(&text);
    if id.is_empty() {
        return Ok(Outcome::Dropped);
    }
    json::write_text(out, id);
    Ok(Outcome::written(firewall::is_suspect(id)))
}

/// `content_ids`: a list of trimmed strings; a single id becomes a list, integers strings, and
/// what is empty or no id is left out. Order, case and repetition stay.
pub(super) fn content_ids(raw: &str, out: &mut Vec<u8>) -> Result<Outcome, Flaw> {
    let elements = if json::shape(raw) == Shape::List {
        json::elements(raw, MAX_ITEMS)?
    } else {
        json::List::from_slice(&[raw])
    };
    out.push(b'[');
    let (start, mut suspect) = (out.len(), false);
    for element in elements {
        let Some(text) = json::scalar(element)? else {
            continue;
        };
        let id = trim(&text);
        if id.is_empty() {
            continue;
        }
        if out.len() > start {
            out.push(b',');
        }
        suspect |= firewall::is_suspect(id);
        json::write_text(out, id);
    }
    if out.len() == start {
        return Ok(Outcome::Dropped);
    }
    out.push(b']');
    Ok(Outcome::written(suspect))
}

/// `delivery_category`: one of three words, in any case.
pub(super) fn delivery_category(raw: &str, out: &mut Vec<u8>) -> Result<Outcome, Flaw> {
    let text = json::scalar(raw)?.unwrap_or_default();
    let word = trim(&text).to_lowercase();
    if !["in_store", "curbside", "home_delivery"].contains(&word.as_str()) {
        return Ok(Outcome::Dropped);
    }
    json::write_text(out, &word);
    Ok(Outcome::Written)
}

/// `contents`: passed, but with `id` as a string and `quantity` and `item_price` as numbers, where
/// they came as the other.
pub(super) fn contents(raw: &str, out: &mut Vec<u8>) -> Result<Outcome, Flaw> {
    // then no text within needs a look of its own
    let is_plain = !firewall::is_suspect(raw);
    let (mut changes, mut suspect) = (false, false);
    let mut look = |members: &[json::Member<'_>]| {
        for (key, value) in members {
            suspect |= firewall::names_a_secret(key.as_bytes());
            if !is_plain {
                suspect |= firewall::is_suspect(key);
            }
            if !is_plain || json::shape(value) != Shape::Text {
                suspect |= json::vet(value)?;
            }
            changes |= matches!(wire_form(key, value)?, Cow::Owned(_));
        }
        Ok(())
    };
    let is_list = json::shape(raw) == Shape::List;
    if !is_list || !json::objects(raw, MAX_ITEMS, &mut look)? {
        out.extend_from_slice(raw.as_bytes());
        return json::vet(raw).map(Outcome::written);
    }
    if changes {
        write_items(raw, out)?;
    } else {
        out.extend_from_slice(raw.as_bytes());
    }
    Ok(Outcome::written(suspect))
}

/// Writes a list of items that were looked at before.
fn write_items(raw: &str, out: &mut Vec<u8>) -> Result<(), Flaw> {
    out.push(b'[');
    for (index, item) in json::elements(raw, MAX_ITEMS)?.into_iter().enumerate() {
        out.extend_from_slice(if index == 0 { b"{" } else { b",{" });
        for (key, value) in json::members(item)? {
            json::write_key(out, &key);
            out.extend_from_slice(wire_form(&key, value)?.as_bytes());
        }
        out.push(b'}');
    }
    out.push(b']');
    Ok(())
}

/// A value of an item in the type that Meta documents for it; borrowed when it is so already.
fn wire_form<'a>(key: &str, raw: &'a str) -> Result<Cow<'a, str>, Flaw> {
    let own = match (key, json::shape(raw)) {
        ("id", Shape::Number) if json::is_integer(raw) => Some(format!("\"{raw}\"")),
        ("quantity" | "item_price", Shape::Text) => {
            let text = json::text(raw)?;
            plain_decimal(trim(&text)).map(Cow::into_owned)
        }
        _ => None,
    };
    Ok(own.map_or(Cow::Borrowed(raw), Cow::Owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(rule: Rule, raw: &str) -> String {
        let mut out = Vec::new();
        match rule(raw, &mut out) {
            Ok(Outcome::Dropped) => "dropped".to_owned(),
            Ok(_) => String::from_utf8(out).unwrap(),
            Err(_) => "refused".to_owned(),
        }
    }

    #[test]
    fn rules_of_the_table() {
        let cases: &[(Rule, &str, &str)] = &[
            (number, "142.5", "142.5"),
            (number, "0", "0"),
            (number, "1e2", "1e2"),
            (number, "1e999", "refused"),
            (number, "\" 00012.50 \"", "12.50"),
            (number, "\"-0.5\"", "-0.5"),
            (number, "\"1e2\"", "dropped"),
            (number, "\".5\"", "dropped"),
            (number, "\"5.\"", "dropped"),
            (number, "\"+5\"", "dropped"),
            (number, "\"1,5\"", "dropped"),
            (number, "\"$5\"", "dropped"),
            (number, "true", "dropped"),
            (currency, "\"u.s.d.\"", "\"USD\""),
            (currency, "\"US$\"", "dropped"),
            (currency, "840", "dropped"),
            (count, "4", "4"),
            (count, "\"04\"", "4"),
            (count, "4.0", "dropped"),
            (count, "-1", "dropped"),
            (order_id, "12345678901234567890", "\"12345678901234567890\""),
            (order_id, "\" a \"", "\"a\""),
            (order_id, "null", "dropped"),
            (content_ids, "\"a\"", "[\"a\"]"),
            (content_ids, "7", "[\"7\"]"),
            (
                content_ids,
                "[7,\" \",null,\" A \",\"A\",[1],1.5]",
                "[\"7\",\"A\",\"A\"]",
            ),
            (content_ids, "[null]", "dropped"),
            (delivery_category, "\" In_Store\"", "\"in_store\""),
            (delivery_category, "\"pickup\"", "dropped"),
            (
                contents,
                "[ {\"id\":\"a\",\"quantity\":1} ]",
                "[ {\"id\":\"a\",\"quantity\":1} ]",
            ),
            (
                contents,
                "[{\"id\":7,\"quantity\":\"2\",\"item_price\":\"9.90\",\"x\":\"1\"}]",
                "[{\"id\":\"7\",\"quantity\":2,\"item_price\":9.90,\"x\":\"1\"}]",
            ),
            (contents, "\"[]\"", "\"[]\""),
            (contents, "[{\"id\":1,\"id\":2}]", "refused"),
        ];
        for (rule, raw, want) in cases {
            assert_eq!(one(*rule, raw), *want, "{raw}");
        }
    }
}
