//! Writes `custom_data`: a few keys under a rule, everything else byte for byte.

mod rule;

use super::firewall;
use super::json::{self, Member};
use super::reject::{EventError, path_of};
use super::work::Work;
use crate::codes;
use rule::{Outcome, Rule};

const PATH: &str = "custom_data";

/// What was written of `custom_data` that other rules ask for.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Written {
    pub(super) value: bool,
    pub(super) currency: bool,
}

/// The keys under a rule.
static RULES: [(&str, Rule); 9] = [
    ("value", rule::number),
    ("currency", rule::currency),
    ("order_id", rule::order_id),
    ("content_ids", rule::content_ids),
    ("contents", rule::contents),
    ("num_items", rule::count),
    ("predicted_ltv", rule::number),
    ("net_revenue", rule::number),
    ("delivery_category", rule::delivery_category),
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
        let rule = RULES.iter().find(|(name, _)| json::same(name, key));
        let Some((name, rule)) = rule else {
            remark(key, raw, work);
            work.pass(PATH, key, raw, out)?;
            continue;
        };
        let start = out.len();
        json::write_name(out, name);
        let value_start = out.len();
        match rule(raw, out).map_err(|flaw| flaw.at(&path_of(PATH, name)))? {
            Outcome::Written => {
                if out.get(value_start..) != Some(raw.as_bytes()) {
                    work.marks.custom_data(name);
                }
            }
            Outcome::Suspect => redact(name, value_start, work, out),
            Outcome::Dropped => {
                out.truncate(start);
                let text = "dropped: not a usable value of this key";
                work.warn(path_of(PATH, name), codes::DROPPED, text);
                continue;
            }
        }
        written.value |= *name == "value";
        written.currency |= *name == "currency";
    }
    out.push(b'}');
    Ok(written)
}

/// Replaces what was written since `start` when it holds an address.
fn redact(key: &str, start: usize, work: &mut Work<'_>, out: &mut Vec<u8>) {
    let raw = out
        .get(start..)
        .and_then(|bytes| std::str::from_utf8(bytes).ok());
    let Some(raw) = raw.filter(|_| work.rules.pii_firewall) else {
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
            codes::MISPLACED,
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
        work.warn(
            path,
            codes::UNKNOWN_VALUE,
            "not one of the documented segments",
        );
    }
}

/// Keys that are often put beside `custom_data` by mistake, where Meta does not read them.
pub(super) fn belongs_here(key: &str) -> bool {
    RULES.iter().any(|(name, _)| *name == key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Rules;
    use crate::event::changes::Marks;
    use crate::time::UnixMs;

    fn run(custom_data: &str) -> Result<(String, Vec<String>), EventError> {
        let rules = Rules::default();
        let mut work = Work {
            rules: &rules,
            now: UnixMs(0),
            warnings: Vec::new(),
            marks: Marks::default(),
        };
        let mut out = Vec::new();
        write(&json::members(custom_data).unwrap(), &mut work, &mut out)?;
        let warnings = work.warnings.iter().map(|w| w.path.to_string()).collect();
        Ok((String::from_utf8(out).unwrap(), warnings))
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
            assert_eq!((error.path(), error.code().word()), (path, code), "{raw}");
        }
    }
}
