//! Writes `user_data`: every value through its field's rule, hashed or passed.

mod hashing;

use std::borrow::Cow;

use smallvec::SmallVec;

use super::changes::Change;
use super::field::{self, EVERY_BROAD, FIELD_COUNT, Field, Treat};
use super::json::{self, Shape};
use super::look::{Becomes, Look};
use super::match_keys::MatchKeys;
use super::normalise::{Context, Named, place, trim};
use super::pii::Pii;
use super::reject::{EventError, path_of};
use super::source::ActionSource;
use super::work::Work;
use super::{MAX_LIST, Rules};
use crate::codes;
use crate::time::UnixMs;

const PATH: &str = "user_data";

/// Bytes of most normal forms, at most.
const USUAL_NORMAL: usize = 64;

/// What was written of `user_data`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Written {
    /// The fields, a bit each by their place in the table.
    fields: u64,
    /// The too broad combinations that all fields share; see [`Field::too_broad`].
    too_broad: u8,
}

impl Written {
    /// Whether a field was written.
    pub(super) fn has(self, key: &str) -> bool {
        field::index_of(key).is_some_and(|index| self.fields & (1 << index) != 0)
    }

    /// The fields that were written.
    pub(super) fn match_keys(self) -> MatchKeys {
        MatchKeys(self.fields)
    }

    /// Whether the fields could match anyone.
    pub(super) fn can_match(self) -> bool {
        self.too_broad == 0
    }

    fn add(&mut self, index: usize, field: &Field) {
        self.fields |= 1 << index;
        self.too_broad &= field.too_broad;
    }
}

/// How a key of the client was understood.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reading {
    Field(usize),
    Alias(usize),
    Unknown,
}

impl Reading {
    fn of(key: &str) -> Self {
        if let Some(index) = field::index_of(key) {
            return Self::Field(index);
        }
        field::index_of_alias(key).map_or(Self::Unknown, Self::Alias)
    }

    fn index(self) -> Option<usize> {
        match self {
            Self::Field(index) | Self::Alias(index) => Some(index),
            Self::Unknown => None,
        }
    }
}

/// The readings of all keys.
type Readings = SmallVec<[Reading; 24]>;

/// What the first country of a value names, be it alone or in a list.
fn named_country(raw: &str, buffer: &mut String) -> Named {
    if let Some(text) = json::only_text(raw) {
        return place::named(text, buffer);
    }
    let first = match json::shape(raw) {
        Shape::List => json::elements(raw, MAX_LIST)
            .ok()
            .and_then(|list| list.first().copied()),
        _ => Some(raw),
    };
    let text = first.and_then(|raw| json::scalar(raw).ok().flatten());
    text.map_or(Named::Nothing, |text| place::named(&text, buffer))
}

/// What rules may know beside each value.
fn context(
    readings: &[Reading],
    members: &[(Cow<'_, str>, Pii<'_>)],
    rules: &Rules,
    now: UnixMs,
    buffer: &mut String,
) -> Context {
    let countries = readings.iter().zip(members).filter(|(reading, _)| {
        let field = reading.index().and_then(field::at);
        field.is_some_and(|field| field.key == "country")
    });
    Context {
        now,
        default_country: rules.default_country,
        external_id: rules.external_id,
        named: countries
            .map(|(_, (_, value))| named_country(value.open(), buffer))
            .find(|named| *named != Named::Nothing)
            .unwrap_or(Named::Nothing),
    }
}

/// What a person may see of the members, by the same rules as [`write()`].
pub(super) fn look(members: &[(Cow<'_, str>, Pii<'_>)], rules: &Rules, now: UnixMs) -> Vec<Look> {
    let readings: Readings = members.iter().map(|(key, _)| Reading::of(key)).collect();
    let mut buffer = String::new();
    let context = context(&readings, members, rules, now, &mut buffer);
    let pairs = readings.iter().zip(members);
    let looks = pairs.map(|(reading, (key, value))| {
        let field = reading.index().and_then(field::at);
        let raw = value.open();
        let list = match json::shape(raw) {
            Shape::List => json::elements(raw, MAX_LIST).unwrap_or_default(),
            _ => json::List::from_slice(&[raw]),
        };
        let values = list.into_iter().map(|raw| match field {
            Some(field) => becomes(field, raw, &context, &mut buffer),
            None if rules.allow_user_data.iter().any(|allowed| allowed == key) => {
                Becomes::Clear(raw.chars().count())
            }
            None => Becomes::Dropped("dropped: not a field of user_data"),
        });
        Look {
            path: path_of(PATH, key),
            field: field.map(|field| field.key),
            values: values.collect(),
        }
    });
    looks.collect()
}

fn becomes(field: &Field, raw: &str, context: &Context, buffer: &mut String) -> Becomes {
    if field.is_hashed() {
        return hashing::look(field, raw, context, buffer);
    }
    let scalar = json::scalar(raw).ok().flatten();
    let text = scalar.as_deref().map(trim);
    let normal = text.and_then(|text| (field.normalise)(text, context, buffer));
    normal.map_or(Becomes::Dropped(hashing::UNUSABLE), |text| {
        Becomes::Clear(text.chars().count())
    })
}

/// Writes the members of the object, without its closing brace.
pub(super) fn write(
    members: &[(Cow<'_, str>, Pii<'_>)],
    source: ActionSource,
    work: &mut Work<'_>,
    out: &mut Vec<u8>,
) -> Result<Written, EventError> {
    let readings: Readings = members.iter().map(|(key, _)| Reading::of(key)).collect();
    let mut buffer = String::with_capacity(USUAL_NORMAL);
    let context = context(&readings, members, work.rules, work.now, &mut buffer);
    let mut counts = [0_u16; FIELD_COUNT];
    for index in readings.iter().filter_map(|reading| reading.index()) {
        if let Some(count) = counts.get_mut(index) {
            *count += 1;
        }
    }
    let mut written = Written {
        fields: 0,
        too_broad: EVERY_BROAD,
    };
    out.push(b'{');
    for (reading, (key, value)) in readings.iter().zip(members) {
        let Some(index) = reading.index() else {
            unknown(key, *value, &mut written, work, out)?;
            continue;
        };
        let Some(field) = field::at(index) else {
            continue;
        };
        if matches!(reading, Reading::Alias(_)) {
            let text = format!("read as {}", field.key);
            work.warn(path_of(PATH, key), codes::ALIAS, text);
        }
        let count = counts
            .get_mut(index)
            .map(std::mem::take)
            .unwrap_or_default();
        let done = match count {
            // a later member of a field that is written already
            0 => continue,
            _ if is_stripped(field, source) => {
                work.warn(
                    path_of(PATH, field.key),
                    codes::STRIPPED,
                    "not sent for business_messaging",
                );
                continue;
            }
            1 => write_field((index, field), &[*value], &context, &mut buffer, work, out)?,
            _ => {
                let own = Reading::Field(index);
                let other = Reading::Alias(index);
                let of = |wanted: Reading| {
                    let pairs = readings.iter().zip(members);
                    pairs
                        .filter(move |(r, _)| **r == wanted)
                        .map(|(_, (_, v))| *v)
                };
                let values: Vec<Pii<'_>> = of(own).chain(of(other)).collect();
                write_field((index, field), &values, &context, &mut buffer, work, out)?
            }
        };
        if done {
            written.add(index, field);
        }
    }
    Ok(written)
}

/// Adds a valid value that the client did not send, if the field is not there already.
pub(super) fn add(key: &str, value: Option<&str>, written: &mut Written, out: &mut Vec<u8>) {
    let field = field::index_of(key).and_then(|index| Some((index, field::at(index)?)));
    let (Some(value), Some((index, field))) = (value, field) else {
        return;
    };
    if written.has(key) {
        return;
    }
    json::write_name(out, field.key);
    json::write_text(out, value);
    written.add(index, field);
}

/// Messaging events carry the identifiers of their channel, not those of a browser.
fn is_stripped(field: &Field, source: ActionSource) -> bool {
    source == ActionSource::BusinessMessaging
        && matches!(
            field.key,
            "client_ip_address" | "client_user_agent" | "fbc" | "fbp"
        )
}

fn unknown(
    key: &str,
    value: Pii<'_>,
    written: &mut Written,
    work: &mut Work<'_>,
    out: &mut Vec<u8>,
) -> Result<(), EventError> {
    if work
        .rules
        .allow_user_data
        .iter()
        .any(|allowed| allowed == key)
    {
        let raw = value.open();
        if !matches!(raw, "null" | "\"\"" | "[]") {
            work.pass(PATH, key, raw, out)?;
            written.too_broad = 0;
        }
        return Ok(());
    }
    work.warn(
        path_of(PATH, key),
        codes::UNKNOWN_KEY,
        "dropped: not a field of user_data; it can be allowed by name for the source",
    );
    Ok(())
}

/// Writes one field from all the values given for it; says whether anything was left to write.
fn write_field(
    (index, field): (usize, &Field),
    values: &[Pii<'_>],
    context: &Context,
    buffer: &mut String,
    work: &mut Work<'_>,
    out: &mut Vec<u8>,
) -> Result<bool, EventError> {
    let start = out.len();
    json::write_name(out, field.key);
    let mut remarks = hashing::Remarks::default();
    let done = if field.is_hashed() {
        hashing::write(field, values, context, &mut remarks, buffer, out)?
    } else {
        write_plain(field, values, (context, buffer), work, &mut remarks, out)?
    };
    if !done {
        out.truncate(start);
    }
    remarks.make((index, field), work);
    Ok(done)
}

fn write_plain(
    field: &Field,
    values: &[Pii<'_>],
    (context, buffer): (&Context, &mut String),
    work: &mut Work<'_>,
    remarks: &mut hashing::Remarks,
    out: &mut Vec<u8>,
) -> Result<bool, EventError> {
    for value in values {
        let scalar = json::scalar(value.open()).map_err(|f| f.at(&path_of(PATH, field.key)))?;
        let text = scalar.as_deref().map(trim);
        let Some(plain) = text.and_then(|text| (field.normalise)(text, context, buffer)) else {
            remarks.dropped = Some(hashing::UNUSABLE);
            continue;
        };
        let (sent, trimmed) = (scalar.as_deref().map(str::len), text.unwrap_or_default());
        let did = &mut remarks.did;
        did.add_if(Change::Trimmed, sent != Some(trimmed.len()));
        did.add_if(Change::Normalised, plain != trimmed);
        if work.rules.pii_firewall && json::any_of(plain.as_bytes(), [b'@']) {
            work.warn(
                path_of(PATH, field.key),
                codes::UNKNOWN_VALUE,
                "sent in clear and may hold an e-mail address",
            );
        }
        if field.treat == Treat::PassInteger && is_exact(plain) {
            out.extend_from_slice(plain.as_bytes());
        } else {
            json::write_text(out, plain);
        }
        return Ok(true);
    }
    Ok(false)
}

/// Whether digits mean the same as a JSON integer: no leading zero to lose, 64 bits at most.
fn is_exact(digits: &str) -> bool {
    (digits == "0" || !digits.starts_with('0')) && digits.parse::<u64>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::super::digest::Sha256Hex;
    use super::*;
    use crate::event::Rules;
    use crate::event::changes::Marks;
    use crate::time::UnixMs;

    fn run(user_data: &str, rules: &Rules) -> (String, Written, Vec<String>) {
        let members: Vec<(Cow<'_, str>, Pii<'_>)> = json::members(user_data)
            .unwrap()
            .into_iter()
            .map(|(key, raw)| (key, Pii::new(raw)))
            .collect();
        let mut work = Work {
            rules,
            now: UnixMs::from_secs(1_795_341_600),
            warnings: Vec::new(),
            marks: Marks::default(),
        };
        let mut out = Vec::new();
        let written = write(&members, ActionSource::Website, &mut work, &mut out).unwrap();
        out.push(b'}');
        let warnings = work.warnings.iter().map(ToString::to_string).collect();
        (String::from_utf8(out).unwrap(), written, warnings)
    }

    #[test]
    fn aliases_join_their_field_behind_its_own_values() {
        let (json, written, warnings) = run(
            r#"{"email":"b@example.com","em":["a@example.com","B@example.com"]}"#,
            &Rules::default(),
        );
        let digests: Vec<String> = ["a@example.com", "b@example.com"]
            .map(|text| Sha256Hex::of(text).unwrap().to_string())
            .to_vec();
        assert_eq!(
            json,
            format!("{{\"em\":[\"{}\",\"{}\"]}}", digests[0], digests[1])
        );
        assert!(written.has("em") && written.can_match());
        assert_eq!(warnings, ["user_data.email: read as em"]);
    }

    #[test]
    fn unknown_keys_go_unless_allowed() {
        let raw = r#"{"shoe":"42","jane@example.com":1,"club":["x", 7],"madid":"M"}"#;
        let (json, _, warnings) = run(raw, &Rules::default());
        assert_eq!(json, r#"{"madid":"m"}"#);
        assert!(warnings[0].starts_with("user_data.shoe: dropped"));
        assert!(warnings[1].starts_with("user_data.*: dropped"));
        let rules = Rules {
            allow_user_data: vec!["club".to_owned()],
            ..Rules::default()
        };
        assert_eq!(run(raw, &rules).0, r#"{"club":["x", 7],"madid":"m"}"#);
    }

    #[test]
    fn integers_stay_exact() {
        for (raw, want) in [
            ("12345678901234567", "12345678901234567"),
            ("\"12345678901234567\"", "12345678901234567"),
            ("\"0012\"", "\"0012\""),
            ("99999999999999999999999", "\"99999999999999999999999\""),
        ] {
            let (json, ..) = run(&format!("{{\"lead_id\":{raw}}}"), &Rules::default());
            assert_eq!(json, format!("{{\"lead_id\":{want}}}"));
        }
    }

    #[test]
    fn what_is_unusable_leaves_no_trace() {
        for raw in [
            "null",
            "\"\"",
            "[]",
            "[null]",
            "true",
            "{}",
            "[[\"a@b.io\"]]",
            "1.5",
        ] {
            let (json, written, warnings) = run(&format!("{{\"em\":{raw}}}"), &Rules::default());
            assert_eq!(json, "{}", "{raw}");
            assert!(!written.can_match());
            assert_eq!(warnings.len(), 1, "{raw}");
        }
    }

    #[test]
    fn too_broad_combinations_match_nobody() {
        for (keys, can) in [
            (&[][..], false),
            (
                &["ct", "country", "st", "zp", "ge", "client_user_agent"],
                false,
            ),
            (&["db", "client_user_agent"], false),
            (&["fn", "ge"], false),
            (&["ln", "ge"], false),
            (&["fn", "ln"], true),
            (&["fn", "client_user_agent"], true),
            (&["db", "ge"], true),
            (&["ct", "em"], true),
            (&["client_ip_address", "client_user_agent"], true),
        ] {
            let mut written = Written {
                fields: 0,
                too_broad: EVERY_BROAD,
            };
            for key in keys {
                let index = field::index_of(key).unwrap();
                written.add(index, field::at(index).unwrap());
            }
            assert_eq!(written.can_match(), can, "{keys:?}");
        }
    }
}
