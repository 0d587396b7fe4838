//! Writes `custom_data`: a few keys under a rule, everything else byte for byte.

use std::borrow::Cow;

use super::firewall;
use super::json::{self, Flaw, Member, Shape};
use super::normalise::trim;
use super::reject::{EventError, path_of};
use super::work::Work;
use super::{MAX_ITEMS, tables};

const PATH: &str = "custom_data";

/// What was written of `custom_data` that other rules ask for.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Written {
    pub(super) value: bool,
    pub(super) currency: bool,
}

/// A rule: writes the value; `false` when it is unusable and the key is to be dropped.
type Rule = fn(&str, &mut Vec<u8>) -> Result<bool, Flaw>;

/// The keys under a rule.
static RULES: [(&str, Rule); 9] = [
    ("value", number),
    ("currency", currency),
    ("order_id", order_id),
    ("content_ids", content_ids),
    ("contents", contents),
    ("num_items", count),
    ("predicted_ltv", number),
    ("net_revenue", number),
    ("delivery_category", delivery_category),
];

/// Meta's words for `customer_segmentation`.
static SEGMENTS: [&str; 9] = [
    "new_customer_to_business",
    "new_customer_to_business_line",
    "new_customer_to_product_area",
    "new_customer_to_medium",
    "existing_customer_to_business",
    "existing_customer_to_business_line",
    "existing_customer_to_product_area",
    "existing_customer_to_medium",
    "customer_in_loyalty_program",
];

/// Writes the object.
pub(super) fn write(
    members: &[Member<'_>],
    work: &mut Work<'_>,
    out: &mut Vec<u8>,
) -> Result<Written, EventError> {
    let mut written = Written::default();
    out.push(b'{');
    for (key, raw) in members {
        let rule = RULES.iter().find(|(name, _)| *name == key.as_ref());
        let Some((name, rule)) = rule else {
            remark(key, raw, work);
            work.pass(PATH, key, raw, out)?;
            continue;
        };
        let start = out.len();
        json::write_key(out, name);
        let value_start = out.len();
        if !rule(raw, out).map_err(|flaw| flaw.at(&path_of(PATH, name)))? {
            out.truncate(start);
            work.warn(
                path_of(PATH, name),
                "dropped",
                "dropped: not a usable value of this key",
            );
            continue;
        }
        match *name {
            "value" => written.value = true,
            "currency" => written.currency = true,
            "order_id" | "content_ids" | "contents" => redact(name, value_start, work, out),
            _ => {}
        }
    }
    out.push(b'}');
    Ok(written)
}

/// Replaces what was written since `start` when it holds an address.
fn redact(key: &str, start: usize, work: &mut Work<'_>, out: &mut Vec<u8>) {
    let raw = out
        .get(start..)
        .and_then(|bytes| std::str::from_utf8(bytes).ok());
    let Some(raw) = raw.filter(|raw| work.rules.pii_firewall && json::vet(raw) == Ok(true)) else {
        return;
    };
    let mut clean = Vec::with_capacity(raw.len());
    if firewall::rewrite(key, raw, &mut clean) {
        out.truncate(start);
        out.extend_from_slice(&clean);
        work.warn_redacted(path_of(PATH, key));
    }
}

/// Warnings about keys that pass.
fn remark(key: &str, raw: &str, work: &mut Work<'_>) {
    match key {
        "event_id" => work.warn(
            "custom_data.event_id",
            "misplaced",
            "event_id belongs beside custom_data; here it does not deduplicate",
        ),
        "customer_segmentation" => remark_segment("custom_data.customer_segmentation", raw, work),
        _ => {}
    }
}

/// A warning when a `customer_segmentation` is none of Meta's words.
pub(super) fn remark_segment(path: &'static str, raw: &str, work: &mut Work<'_>) {
    let word = json::scalar(raw).ok().flatten().unwrap_or_default();
    if !SEGMENTS.contains(&word.as_ref()) {
        work.warn(path, "unknown_value", "not one of the documented segments");
    }
}

/// `currency`: an ISO 4217 code, upper-case; other characters do not count.
fn currency(raw: &str, out: &mut Vec<u8>) -> Result<bool, Flaw> {
    if json::shape(raw) != Shape::Text {
        return Ok(false);
    }
    let mut code = json::text(raw)?.to_uppercase();
    code.retain(|c| c.is_ascii_uppercase());
    let Some(code) = tables::find_in(tables::CURRENCIES, &code) else {
        return Ok(false);
    };
    json::write_text(out, code);
    Ok(true)
}

/// `value`, `predicted_ltv`, `net_revenue`: a finite number, also as plain decimal text.
fn number(raw: &str, out: &mut Vec<u8>) -> Result<bool, Flaw> {
    match json::shape(raw) {
        Shape::Number if json::is_finite(raw) => out.extend_from_slice(raw.as_bytes()),
        Shape::Number => return Err(Flaw::Syntax),
        Shape::Text => {
            let text = json::text(raw)?;
            let Some(number) = plain_decimal(trim(&text)) else {
                return Ok(false);
            };
            out.extend_from_slice(number.as_bytes());
        }
        _ => return Ok(false),
    }
    Ok(true)
}

/// Text of the form `-12.50` as a JSON number, without leading zeros.
fn plain_decimal(text: &str) -> Option<String> {
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
    let whole = whole.trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    let number = match fraction {
        Some(fraction) => format!("{sign}{whole}.{fraction}"),
        None => format!("{sign}{whole}"),
    };
    json::is_finite(&number).then_some(number)
}

/// `num_items`: a non-negative integer, also as digits in a string.
fn count(raw: &str, out: &mut Vec<u8>) -> Result<bool, Flaw> {
    let Some(text) = json::scalar(raw)? else {
        return Ok(false);
    };
    let digits = trim(&text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(false);
    }
    let Some(number) = plain_decimal(digits) else {
        return Ok(false);
    };
    out.extend_from_slice(number.as_bytes());
    Ok(true)
}

/// `order_id`: a trimmed string; an integer becomes one.
fn order_id(raw: &str, out: &mut Vec<u8>) -> Result<bool, Flaw> {
    let text = json::scalar(raw)?.unwrap_or_default();
    let id = trim(&text);
    if id.is_empty() {
        return Ok(false);
    }
    json::write_text(out, id);
    Ok(true)
}

/// `content_ids`: a list of trimmed strings; a single id becomes a list, integers strings, and
/// what is empty or no id is left out. Order, case and repetition stay.
fn content_ids(raw: &str, out: &mut Vec<u8>) -> Result<bool, Flaw> {
    let elements = if json::shape(raw) == Shape::List {
        json::elements(raw, MAX_ITEMS)?
    } else {
        vec![raw]
    };
    out.push(b'[');
    let start = out.len();
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
        json::write_text(out, id);
    }
    let any = out.len() > start;
    out.push(b']');
    Ok(any)
}

/// `delivery_category`: one of three words, in any case.
fn delivery_category(raw: &str, out: &mut Vec<u8>) -> Result<bool, Flaw> {
    let text = json::scalar(raw)?.unwrap_or_default();
    let word = trim(&text).to_lowercase();
    if !["in_store", "curbside", "home_delivery"].contains(&word.as_str()) {
        return Ok(false);
    }
    json::write_text(out, &word);
    Ok(true)
}

/// `contents`: passed, but with `id` as a string and `quantity` and `item_price` as numbers, where
/// they came as the other.
fn contents(raw: &str, out: &mut Vec<u8>) -> Result<bool, Flaw> {
    json::vet(raw)?;
    let start = out.len();
    let changed = json::shape(raw) == Shape::List && write_items(raw, out)?;
    if !changed {
        out.truncate(start);
        out.extend_from_slice(raw.as_bytes());
    }
    Ok(true)
}

/// Writes the list of items; `false` when it would be the same, or is no list of objects.
fn write_items(raw: &str, out: &mut Vec<u8>) -> Result<bool, Flaw> {
    let mut changed = false;
    out.push(b'[');
    for (index, item) in json::elements(raw, MAX_ITEMS)?.into_iter().enumerate() {
        if json::shape(item) != Shape::Object {
            return Ok(false);
        }
        out.extend_from_slice(if index == 0 { b"{" } else { b",{" });
        for (key, value) in json::members(item)? {
            json::write_key(out, &key);
            let value = wire_form(&key, value)?;
            changed |= matches!(value, Cow::Owned(_));
            out.extend_from_slice(value.as_bytes());
        }
        out.push(b'}');
    }
    out.push(b']');
    Ok(changed)
}

/// A value of an item in the type that Meta documents for it; borrowed when it is so already.
fn wire_form<'a>(key: &str, raw: &'a str) -> Result<Cow<'a, str>, Flaw> {
    let own = match (key, json::shape(raw)) {
        ("id", Shape::Number) if json::is_integer(raw) => Some(format!("\"{raw}\"")),
        ("quantity" | "item_price", Shape::Text) => plain_decimal(trim(&json::text(raw)?)),
        _ => None,
    };
    Ok(own.map_or(Cow::Borrowed(raw), Cow::Owned))
}

/// Keys that are often put beside `custom_data` by mistake, where Meta does not read them.
pub(super) fn belongs_here(key: &str) -> bool {
    RULES.iter().any(|(name, _)| *name == key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Rules;
    use crate::time::UnixMs;

    fn run(custom_data: &str) -> Result<(String, Vec<String>), EventError> {
        let rules = Rules::default();
        let mut work = Work {
            rules: &rules,
            now: UnixMs(0),
            warnings: Vec::new(),
        };
        let mut out = Vec::new();
        write(&json::members(custom_data).unwrap(), &mut work, &mut out)?;
        let warnings = work.warnings.iter().map(|w| w.path.to_string()).collect();
        Ok((String::from_utf8(out).unwrap(), warnings))
    }

    fn one(rule: Rule, raw: &str) -> String {
        let mut out = Vec::new();
        match rule(raw, &mut out) {
            Ok(true) => String::from_utf8(out).unwrap(),
            Ok(false) => "dropped".to_owned(),
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

    #[test]
    fn other_keys_pass_byte_for_byte() {
        let raw = r#"{"big":12345678901234567890,"f":1.50,"n":null,"e":"","o":{ "a" : [ ] }}"#;
        assert_eq!(run(raw).unwrap(), (raw.to_owned(), vec![]));
    }

    #[test]
    fn addresses_are_redacted_under_every_key() {
        let (json, warnings) = run(
            r#"{"order_id":"o-jane@example.com","content_ids":["jane@example.com"],
                "contents":[{"id":"jane@example.com"}],"note":"to jane@example.com","status":"ok"}"#,
        )
        .unwrap();
        assert!(!json.contains("jane"), "{json}");
        assert!(json.contains("\"note\":\"to [redacted]\""), "{json}");
        assert_eq!(warnings.len(), 4);
    }

    #[test]
    fn hostile_values_name_their_path() {
        for (raw, path, code) in [
            (r#"{"x":{"a":1,"a":2}}"#, "custom_data.x.a", "repeated_key"),
            (r#"{"x":["\ud800"]}"#, "custom_data.x", "malformed"),
            (r#"{"x":1e999}"#, "custom_data.x", "malformed"),
            (r#"{"value":1e999}"#, "custom_data.value", "malformed"),
        ] {
            let error = run(raw).unwrap_err();
            assert_eq!((error.path(), error.code()), (path, code), "{raw}");
        }
    }
}
