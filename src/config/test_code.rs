//! What pixels and sources have in common about test codes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Fault;
use super::units::from_text;
use crate::pixel::{TEST_CODE_RULE, is_test_code};
use crate::time::UnixMs;

/// A moment, written as in RFC 3339: `"2027-01-31T18:00:00Z"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment(UnixMs);

/// Why a text is not a [`Moment`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a moment as in RFC 3339, with its zone: 2027-01-31T18:00:00Z")]
pub struct MomentError;

/// A test code as it stands in `[pixels.ID]` or `[sources.NAME]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestCode {
    /// The code.
    pub code: String,
    /// When it ends; none means when someone takes it out.
    pub until: Option<UnixMs>,
    /// Whether events go out without it, and a copy of each with it.
    pub mirror: bool,
}

/// The keys of one section.
pub(super) struct Keys<'a> {
    /// `pixels.1234567890123456` or `sources.shop`.
    pub(super) section: String,
    pub(super) code: Option<&'a String>,
    pub(super) until: Option<Moment>,
    pub(super) mirror: bool,
}

impl Moment {
    /// The moment.
    pub fn get(self) -> UnixMs {
        self.0
    }
}

impl From<UnixMs> for Moment {
    fn from(at: UnixMs) -> Self {
        Self(at)
    }
}

impl FromStr for Moment {
    type Err = MomentError;

    fn from_str(text: &str) -> Result<Self, MomentError> {
        let at: jiff::Timestamp = text.parse().map_err(|_| MomentError)?;
        Ok(Self(UnixMs(at.as_millisecond())))
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_rfc3339())
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer)
    }
}

impl Keys<'_> {
    pub(super) fn test_code(&self) -> Option<TestCode> {
        Some(TestCode {
            code: self.code?.clone(),
            until: self.until.map(Moment::get),
            mirror: self.mirror,
        })
    }

    pub(super) fn validate(&self, faults: &mut Vec<Fault>) {
        if !self.code.is_none_or(|code| is_test_code(code)) {
            let key = format!("{}.test_event_code", self.section);
            faults.push(Fault::cross(key, TEST_CODE_RULE));
        }
    }

    pub(super) fn warnings(&self, now: UnixMs) -> Vec<String> {
        let section = &self.section;
        let warning = match (self.code, self.until) {
            (Some(_), None) => {
                format!(
                    "{section}.test_event_code has no end: give it one with {section}.test_event_code_until, such as \"{}\"",
                    UnixMs::from_secs(now.secs() + 86_400).to_rfc3339()
                )
            }
            (Some(_), Some(until)) if until.get() <= now => format!(
                "{section}.test_event_code has ended at {until} and is not in force: take it out"
            ),
            (None, Some(_)) => format!(
                "{section}.test_event_code_until does nothing without test_event_code: take it out"
            ),
            (None, None) if self.mirror => format!(
                "{section}.test_event_mirror does nothing without test_event_code: take it out"
            ),
            _ => return Vec::new(),
        };
        vec![warning]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_has_a_zone_and_reads_back() {
        for (text, secs) in [
            ("2027-01-31T18:00:00Z", 1_801_418_400),
            ("2027-01-31T19:00:00+01:00", 1_801_418_400),
        ] {
            let moment: Moment = text.parse().unwrap();
            assert_eq!(moment.get().secs(), secs, "{text}");
            assert_eq!(moment.to_string(), "2027-01-31T18:00:00Z");
        }
        for bad in ["", "2027-01-31", "2027-01-31T18:00:00", "tomorrow", "2h"] {
            assert_eq!(bad.parse::<Moment>(), Err(MomentError), "{bad}");
        }
    }

    #[test]
    fn each_odd_setting_has_its_warning() {
        let now = UnixMs::from_secs(1_801_418_400);
        let code = "TEST1".to_owned();
        let says = |code: Option<&String>, until: Option<i64>, mirror| {
            let keys = Keys {
                section: "pixels.1".to_owned(),
                code,
                until: until.map(|secs| UnixMs::from_secs(now.secs() + secs).into()),
                mirror,
            };
            keys.warnings(now).join("\n")
        };
        assert_eq!(says(Some(&code), Some(1), true), "");
        assert_eq!(says(None, None, false), "");
        let text = says(Some(&code), None, false);
        assert!(text.contains("pixels.1.test_event_code_until, such as \"2027-02-01T18:00:00Z\""));
        assert!(says(Some(&code), Some(0), false).contains("has ended at 2027-01-31T18:00:00Z"));
        assert!(says(None, Some(1), false).contains("test_event_code_until does nothing"));
        assert!(says(None, None, true).contains("test_event_mirror does nothing"));
    }
}
