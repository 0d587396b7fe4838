//! Renames, drops and sets members of an event, by a list without a language.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::path::{Path, PathError, Section};
use crate::event::RawEvent;
use crate::event::source::ActionSource;
use crate::event::{field, firewall};

/// Values a list may have that is set.
const MAX_VALUES: usize = 100;

/// Fields of `user_data` that go out in clear, and that nothing but such a value can stand in.
const CHECKED: [&str; 3] = ["client_ip_address", "fbc", "fbp"];

/// Members whose address is cleaned, under these names only.
const PAGES: [&str; 2] = ["event_source_url", "referrer_url"];

/// Members without which every event is refused.
const NEEDED: [&str; 3] = ["event_name", "event_time", "action_source"];

/// One change of a member. A field of `user_data` is meant under all the names that it is read by.
///
///
/// Written as `{ rename = "custom_data.total", to = "custom_data.value" }`,
/// `{ drop = "custom_data.note" }` or
/// `{ set = "custom_data.currency", value = "EUR", when = "absent" }`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub enum Edit {
    /// Moves a value. A value that is there already stays, and the other is dropped. Of a field
    /// of `user_data` that stands there under several names the first moves.
    Rename {
        /// Where from.
        from: Path,
        /// Where to.
        to: Path,
    },
    /// Leaves a member out.
    Drop(Path),
    /// Gives a member a value of the operator's.
    Set {
        /// Which member.
        path: Path,
        /// A scalar or a list of scalars.
        value: Value,
        /// The value as JSON text.
        raw: String,
        /// In which events.
        when: When,
    },
}

/// In which events a member is set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum When {
    /// In all.
    #[default]
    Always,
    /// Where it is not there, or null.
    Absent,
    /// Where it is there.
    Present,
}

/// Why a table is not an [`Edit`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// Neither of the three, or more than one, or with members of another.
    #[error("one of {{ rename, to }}, {{ drop }} and {{ set, value }}, the last perhaps with when")]
    Kind,
    /// No path.
    #[error("{0}")]
    Path(#[from] PathError),
    /// A member of the event that Meta does not know.
    #[error("a member that Meta documents: {}, or one of user_data, custom_data or app_data", super::path::MEMBERS.join(", "))]
    Unknown,
    /// To where it is.
    #[error("another member in to than in rename")]
    Same,
    /// What is in `user_data` would leave it.
    #[error("a member of user_data in to: what is in user_data stays there, where it is hashed")]
    Leaves,
    /// What is to be hashed would go out in clear.
    #[error(
        "a hashed field of user_data in to (user_data.em, for one), or client_ip_address, fbc or fbp: in other fields the value would go out in clear"
    )]
    Clear,
    /// A source may send it as it is.
    #[error(
        "another member than user_data.external_id in to: a source with external_id = \"raw\" sends it in clear (set may give it a constant)"
    )]
    External,
    /// The firewall would no longer know it.
    #[error(
        "a hashed field of user_data in to, or a name that says the same as that in rename: the firewall knows phone numbers, e-mail addresses and tokens by such names"
    )]
    Named,
    /// An address of a page, where nothing cleans it.
    #[error(
        "event_source_url or referrer_url in to: elsewhere the query of such an address is not cleaned"
    )]
    Page,
    /// Every event would be refused.
    #[error(
        "a text that is not empty as value of event_name, and one of Meta's words as that of action_source (\"website\"): every event would be refused"
    )]
    Refused,
    /// Each event needs its own.
    #[error("another member than event_id and event_time: each event needs its own")]
    Own,
    /// No scalar.
    #[error("a text, a number, true or false, or a list of up to {MAX_VALUES} such, as value")]
    Value,
}

/// An edit as it is written.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rename: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    to: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    drop: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    set: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    when: Option<When>,
}

impl TryFrom<Written> for Edit {
    type Error = EditError;

    fn try_from(written: Written) -> Result<Self, EditError> {
        match written {
            Written {
                rename: Some(from),
                to: Some(to),
                drop: None,
                set: None,
                value: None,
                when: None,
            } => Self::rename(from.parse()?, to.parse()?),
            Written {
                drop: Some(path),
                rename: None,
                to: None,
                set: None,
                value: None,
                when: None,
            } => Ok(Self::Drop(path.parse()?)),
            Written {
                set: Some(path),
                value: Some(value),
                when,
                rename: None,
                to: None,
                drop: None,
            } => Self::set(path.parse()?, value, when.unwrap_or_default()),
            _ => Err(EditError::Kind),
        }
    }
}

impl From<Edit> for Written {
    fn from(edit: Edit) -> Self {
        match edit {
            Edit::Rename { from, to } => Self {
                rename: Some(from.to_string()),
                to: Some(to.to_string()),
                ..Self::default()
            },
            Edit::Drop(path) => Self {
                drop: Some(path.to_string()),
                ..Self::default()
            },
            Edit::Set {
                path, value, when, ..
            } => Self {
                set: Some(path.to_string()),
                value: Some(value),
                when: (when != When::Always).then_some(when),
                ..Self::default()
            },
        }
    }
}

impl Edit {
    /// A change that moves a value, if it stays as safe as it was.
    pub fn rename(from: Path, to: Path) -> Result<Self, EditError> {
        if from == to {
            return Err(EditError::Same);
        }
        if !to.is_known() {
            return Err(EditError::Unknown);
        }
        match (from.section(), to.section()) {
            (Section::UserData, Section::UserData) => {
                let was_clear = field_of(&from).is_some_and(|field| !field.is_hashed());
                let is_clear = field_of(&to).is_some_and(|field| !field.is_hashed());
                if !(is_safe(&to) || was_clear && is_clear) {
                    return Err(EditError::Clear);
                }
            }
            (Section::UserData, _) => return Err(EditError::Leaves),
            (_, Section::UserData) if !is_safe(&to) => return Err(EditError::Clear),
            _ => {}
        }
        let target = field_of(&to).filter(|_| to.section() == Section::UserData);
        let is_external = |path: &Path| {
            let field = field_of(path).filter(|_| path.section() == Section::UserData);
            field.is_some_and(|field| field.key == "external_id")
        };
        if is_external(&to) && !is_external(&from) {
            return Err(EditError::External);
        }
        let is_page =
            |path: &Path| path.section() == Section::Event && PAGES.contains(&path.name());
        if is_page(&from) && !is_page(&to) {
            return Err(EditError::Page);
        }
        let said = firewall::says(from.name());
        let is_hashed = target.is_some_and(field::Field::is_hashed);
        if said.is_some() && !is_hashed && said != firewall::says(to.name()) {
            return Err(EditError::Named);
        }
        Ok(Self::Rename { from, to })
    }

    /// A change that gives a member a value.
    pub fn set(path: Path, value: Value, when: When) -> Result<Self, EditError> {
        if !path.is_known() {
            return Err(EditError::Unknown);
        }
        if path.section() == Section::Event && matches!(path.name(), "event_id" | "event_time") {
            return Err(EditError::Own);
        }
        let text = value.as_str().map(str::trim).unwrap_or_default();
        let is_refused = match path.name() {
            _ if path.section() != Section::Event => false,
            "event_name" => text.is_empty(),
            "action_source" => ActionSource::read(text).is_none(),
            _ => false,
        };
        if is_refused {
            return Err(EditError::Refused);
        }
        let is_value = match &value {
            Value::Array(list) => list.len() <= MAX_VALUES && list.iter().all(is_scalar),
            one => is_scalar(one),
        };
        if !is_value {
            return Err(EditError::Value);
        }
        Ok(Self::Set {
            raw: value.to_string(),
            path,
            value,
            when,
        })
    }

    /// Makes the change; says whether there was anything to change.
    pub(super) fn apply<'a>(&'a self, event: &mut RawEvent<'a>) -> bool {
        match self {
            Self::Rename { from, to } => {
                let Some(value) = event.get(from) else {
                    return false;
                };
                event.take(from);
                if event.get(to).is_none() {
                    event.set(to, value);
                }
                true
            }
            Self::Drop(path) => event.take(path).is_some(),
            Self::Set {
                path, raw, when, ..
            } => {
                let is_there = event.get(path).is_some();
                let wanted = match when {
                    When::Always => true,
                    When::Absent => !is_there,
                    When::Present => is_there,
                };
                if wanted {
                    event.set(path, raw);
                }
                wanted
            }
        }
    }
}

/// The first member that every event needs and none would have after these edits.
pub fn missing_after(edits: &[Edit]) -> Option<&'static str> {
    let is_gone = |name: &&str| {
        let is = |path: &Path| path.section() == Section::Event && path.name() == *name;
        edits.iter().fold(false, |gone, edit| match edit {
            Edit::Drop(path) if is(path) => true,
            Edit::Rename { from, .. } if is(from) => true,
            Edit::Rename { to, .. } if is(to) => false,
            Edit::Set { path, when, .. } if is(path) && *when != When::Present => false,
            _ => gone,
        })
    };
    NEEDED.into_iter().find(is_gone)
}

fn is_scalar(value: &Value) -> bool {
    matches!(value, Value::String(_) | Value::Number(_) | Value::Bool(_))
}

fn field_of(path: &Path) -> Option<&'static field::Field> {
    let name = path.name();
    field::read(name).and_then(field::at)
}

/// Whether a personal value that is put here does not go out in clear: it is hashed, or the field
/// takes nothing that is personal in that way.
fn is_safe(to: &Path) -> bool {
    field_of(to).is_some_and(|field| field.is_hashed() || CHECKED.contains(&field.key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::str::FromStr;

    fn read(text: &str) -> Result<Edit, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    fn edited(event: &str, edits: &[&str]) -> String {
        let edits: Vec<Edit> = edits.iter().map(|text| read(text).unwrap()).collect();
        let mut raw = RawEvent::parse(event).unwrap();
        let changed = edits
            .iter()
            .map(|edit| edit.apply(&mut raw))
            .collect::<Vec<_>>();
        let show = |path: &str| {
            let path: Path = path.parse().unwrap();
            raw.get(&path).unwrap_or("-").to_owned()
        };
        let all = [
            "a",
            "event_name",
            "custom_data.v",
            "custom_data.w",
            "user_data.em",
        ];
        let all: Vec<String> = all.iter().map(|path| show(path)).collect();
        format!("{} {changed:?}", all.join(" "))
    }

    #[test]
    fn members_are_renamed_dropped_and_set_in_order() {
        let event = r#"{"a":1,"event_name":"x","custom_data":{"v":1.50,"n":null},"user_data":{}}"#;
        for (edits, want) in [
            (
                vec![r#"{"rename":"custom_data.v","to":"custom_data.w"}"#],
                r#"1 "x" - 1.50 - [true]"#,
            ),
            (
                // what stands there already stays
                vec![
                    r#"{"set":"custom_data.w","value":2}"#,
                    r#"{"rename":"custom_data.v","to":"custom_data.w"}"#,
                ],
                r#"1 "x" - 2 - [true, true]"#,
            ),
            (
                vec![
                    r#"{"rename":"custom_data.n","to":"custom_data.w"}"#,
                    r#"{"drop":"b"}"#,
                ],
                r#"1 "x" 1.50 - - [false, false]"#,
            ),
            (
                vec![r#"{"drop":"a"}"#, r#"{"set":"event_name","value":"Lead"}"#],
                r#"- "Lead" 1.50 - - [true, true]"#,
            ),
            (
                vec![
                    r#"{"set":"custom_data.v","value":["a",2],"when":"present"}"#,
                    r#"{"set":"custom_data.w","value":true,"when":"present"}"#,
                    r#"{"set":"custom_data.w","value":"q\"","when":"absent"}"#,
                    r#"{"set":"custom_data.w","value":0,"when":"absent"}"#,
                ],
                r#"1 "x" ["a",2] "q\"" - [true, false, true, false]"#,
            ),
            (
                vec![
                    r#"{"rename":"a","to":"user_data.em"}"#,
                    r#"{"set":"app_data.x","value":1}"#,
                ],
                r#"- "x" 1.50 - 1 [true, true]"#,
            ),
        ] {
            assert_eq!(edited(event, &edits), want);
        }
    }

    #[test]
    fn nothing_personal_gets_past_hashing() {
        let error =
            |from: &str, to: &str| Edit::rename(from.parse().unwrap(), to.parse().unwrap()).err();
        for (from, to) in [
            ("user_data.em", "custom_data.mail"),
            ("user_data.unknown", "event_id"),
            ("user_data.fn", "app_data.x"),
        ] {
            assert_eq!(error(from, to), Some(EditError::Leaves), "{from} {to}");
        }
        for (from, to) in [
            ("user_data.em", "user_data.anon_id"),
            ("user_data.Email", "user_data.subscription_id"),
            ("user_data.phone", "user_data.lead_id"),
            ("user_data.name", "user_data.client_user_agent"),
            ("user_data.em", "user_data.my_own"),
            ("custom_data.mail", "user_data.anon_id"),
            ("custom_data.mail", "user_data.my_own"),
            ("mail", "user_data.user_agent"),
        ] {
            assert_eq!(error(from, to), Some(EditError::Clear), "{from} {to}");
        }
        for (from, to) in [
            ("custom_data.mail", "user_data.em"),
            ("custom_data.mail", "user_data.email"),
            ("user_data.full_name", "user_data.fn"),
            ("user_data.fbp", "user_data.fbc"),
            ("user_data.ip", "user_data.client_ip_address"),
            ("user_data.anon_id", "user_data.subscription_id"),
            ("note", "custom_data.note"),
        ] {
            assert_eq!(error(from, to), None, "{from} {to}");
        }
    }

    #[test]
    fn nothing_gets_past_what_goes_by_names() {
        let error =
            |from: &str, to: &str| Edit::rename(from.parse().unwrap(), to.parse().unwrap()).err();
        for (from, to, want) in [
            (
                "user_data.fn",
                "user_data.external_id",
                Some(EditError::External),
            ),
            (
                "user_data.ct",
                "user_data.External_IDs",
                Some(EditError::External),
            ),
            (
                "custom_data.name",
                "user_data.external_id",
                Some(EditError::External),
            ),
            ("user_data.external_ids", "user_data.external_id", None),
            (
                "custom_data.phone",
                "custom_data.note",
                Some(EditError::Named),
            ),
            ("custom_data.Tel", "event_id", Some(EditError::Named)),
            (
                "mobile_number",
                "custom_data.contact",
                Some(EditError::Named),
            ),
            ("custom_data.email", "app_data.x", Some(EditError::Named)),
            ("custom_data.email", "event_name", Some(EditError::Named)),
            (
                "custom_data.access_token",
                "custom_data.phone",
                Some(EditError::Named),
            ),
            ("access_token", "custom_data.key", Some(EditError::Named)),
            ("custom_data.phone", "user_data.ph", None),
            ("custom_data.mail", "user_data.em", None),
            ("custom_data.tel", "custom_data.phone", None),
            (
                "event_source_url",
                "custom_data.page",
                Some(EditError::Page),
            ),
            ("referrer_url", "event_id", Some(EditError::Page)),
            ("referrer_url", "event_source_url", None),
            ("custom_data.page", "event_source_url", None),
        ] {
            assert_eq!(error(from, to), want, "{from} {to}");
        }
        let external = Path::from_str("user_data.external_id").unwrap();
        assert!(Edit::set(external, "all".into(), When::Always).is_ok());
    }

    #[test]
    fn a_field_of_user_data_is_meant_under_all_its_names() {
        let event = r#"{"user_data":{"Email":"a","em":null,"emails":["b"],"x":1}}"#;
        for (edit, want) in [
            (r#"{"drop":"user_data.em"}"#, "x=1"),
            (r#"{"drop":"user_data.EMAIL_ADDRESS"}"#, "x=1"),
            (
                r#"{"drop":"user_data.X"}"#,
                r#"Email="a" em=null emails=["b"] x=1"#,
            ),
            (
                r#"{"rename":"user_data.em","to":"user_data.ph"}"#,
                r#"x=1 ph="a""#,
            ),
            (r#"{"set":"user_data.em","value":"c"}"#, r#"x=1 em="c""#),
            (
                r#"{"set":"user_data.em","value":"c","when":"absent"}"#,
                r#"Email="a" em=null emails=["b"] x=1"#,
            ),
        ] {
            let edit = read(edit).unwrap();
            let mut raw = RawEvent::parse(event).unwrap();
            edit.apply(&mut raw);
            let members = raw.user_data.iter().flatten();
            let members: Vec<String> = members
                .map(|(key, value)| format!("{key}={}", value.open()))
                .collect();
            assert_eq!(members.join(" "), want, "{edit:?}");
        }
    }

    #[test]
    fn edits_after_which_no_event_is_one() {
        let missing = |edits: &[&str]| {
            let edits: Vec<Edit> = edits.iter().map(|text| read(text).unwrap()).collect();
            missing_after(&edits)
        };
        let drop = r#"{"drop":"event_name"}"#;
        assert_eq!(missing(&[drop]), Some("event_name"));
        assert_eq!(
            missing(&[r#"{"rename":"event_time","to":"custom_data.at"}"#]),
            Some("event_time")
        );
        assert_eq!(
            missing(&[drop, r#"{"set":"event_name","value":"Lead"}"#]),
            None
        );
        assert_eq!(missing(&[r#"{"drop":"event_id"}"#]), None);
        assert_eq!(missing(&[r#"{"drop":"custom_data.event_name"}"#]), None);
    }

    #[test]
    fn what_is_no_edit_is_told_why() {
        for (text, want) in [
            ("{}", "one of"),
            (r#"{"drop":"a","value":1}"#, "one of"),
            (r#"{"rename":"a"}"#, "one of"),
            (r#"{"set":"custom_data.a"}"#, "one of"),
            (r#"{"set":"event_name","value":"a","to":"b"}"#, "one of"),
            (r#"{"drop":"custom.a"}"#, "a member of the event"),
            (r#"{"set":"evnt_name","value":"a"}"#, "Meta documents"),
            (r#"{"rename":"a","to":"b"}"#, "Meta documents"),
            (
                r#"{"rename":"event_name","to":"event_name"}"#,
                "another member",
            ),
            (r#"{"set":"event_id","value":"a"}"#, "its own"),
            (r#"{"set":"event_name","value":" "}"#, "would be refused"),
            (r#"{"set":"event_name","value":7}"#, "would be refused"),
            (
                r#"{"set":"action_source","value":"web"}"#,
                "would be refused",
            ),
            (r#"{"set":"custom_data.a","value":{"b":1}}"#, "a text"),
            (r#"{"set":"custom_data.a","value":[[1]]}"#, "a text"),
            (
                r#"{"set":"custom_data.a","value":1,"when":"never"}"#,
                "never",
            ),
            (r#"{"move":"a"}"#, "unknown field"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(want), "{text}: {error}");
        }
    }

    #[test]
    fn what_is_written_reads_back() {
        for text in [
            r#"{"rename":"custom_data.a","to":"event_name"}"#,
            r#"{"drop":"user_data.em"}"#,
            r#"{"set":"custom_data.a","value":[1,"b",true]}"#,
            r#"{"set":"custom_data.a","value":1.5,"when":"absent"}"#,
        ] {
            let edit = read(text).unwrap();
            assert_eq!(serde_json::to_string(&edit).unwrap(), text);
        }
    }
}
