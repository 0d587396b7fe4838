//! The path of a member of an event, one level deep.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::event::custom_data;

/// Bytes of a member's name.
const MAX_NAME: usize = 128;

/// Members of the event itself that Meta documents, but for the three sections.
pub(super) const MEMBERS: [&str; 16] = [
    "event_name",
    "event_time",
    "event_id",
    "action_source",
    "event_source_url",
    "referrer_url",
    "opt_out",
    "messaging_channel",
    "data_processing_options",
    "data_processing_options_country",
    "data_processing_options_state",
    "customer_segmentation",
    "original_event_data",
    "attribution_data",
    "advanced_measurement_table",
    "advertiser_tracking_enabled",
];

/// Where a member stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Section {
    /// In the event itself.
    Event,
    /// In `user_data`.
    UserData,
    /// In `custom_data`.
    CustomData,
    /// In `app_data`.
    AppData,
}

const SECTIONS: [(&str, Section); 3] = [
    ("user_data", Section::UserData),
    ("custom_data", Section::CustomData),
    ("app_data", Section::AppData),
];

/// A member of an event: `event_source_url`, `custom_data.value`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Path {
    section: Section,
    name: String,
}

/// Why a text is not a [`Path`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a member of the event, or one of user_data, custom_data or app_data with a dot in between (\"custom_data.value\")"
)]
pub struct PathError;

impl Path {
    /// Where the member stands.
    pub fn section(&self) -> Section {
        self.section
    }

    /// Its name there.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The member of the same name in the event, where this one is in `custom_data`, or the other
    /// way round; none where Meta has one of that name there.
    pub(super) fn elsewhere(&self) -> Option<Self> {
        let section = match self.section {
            Section::Event => Section::CustomData,
            Section::CustomData => Section::Event,
            Section::UserData | Section::AppData => return None,
        };
        let name = self.name.clone();
        let is_free = match section {
            Section::Event => {
                let is_section = SECTIONS.iter().any(|(known, _)| *known == name);
                !is_section && !MEMBERS.contains(&name.as_str())
            }
            _ => !custom_data::belongs_here(&name),
        };
        is_free.then_some(Self { section, name })
    }

    /// Whether Meta documents a member of the event of this name; in a section any may be.
    pub(super) fn is_known(&self) -> bool {
        self.section != Section::Event || MEMBERS.contains(&self.name.as_str())
    }
}

impl FromStr for Path {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        let (section, name) = match text.split_once('.') {
            Some((section, name)) => {
                let known = SECTIONS.iter().find(|(known, _)| *known == section);
                (known.ok_or(PathError)?.1, name)
            }
            None => (Section::Event, text),
        };
        let is_section = SECTIONS.iter().any(|(known, _)| *known == text);
        let plain = !name.contains('.') && !name.contains(char::is_control);
        if is_section || !plain || !(1..=MAX_NAME).contains(&name.len()) {
            return Err(PathError);
        }
        Ok(Self {
            section,
            name: name.to_owned(),
        })
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match SECTIONS
            .iter()
            .find(|(_, section)| *section == self.section)
        {
            Some((section, _)) => write!(f, "{section}.{}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

impl Serialize for Path {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Path {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_level_and_known_sections() {
        for good in [
            "event_name",
            "custom_data.value",
            "user_data.em",
            "app_data.x",
            "note",
        ] {
            assert_eq!(good.parse::<Path>().unwrap().to_string(), good);
        }
        for bad in [
            "",
            ".",
            "custom_data",
            "user_data",
            "custom_data.",
            ".value",
            "custom.value",
            "custom_data.contents.id",
            "a\nb",
        ] {
            assert_eq!(bad.parse::<Path>(), Err(PathError), "{bad:?}");
        }
    }
}
