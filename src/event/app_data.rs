//! Writes `app_data`: the device and the choices about tracking, of an event in an app.

use super::MAX_ITEMS;
use super::json::{self, Member, Shape};
use super::normalise::trim;
use super::reject::{EventError, path_of};
use super::work::{Work, boolean, malformed, missing};
use crate::codes;

const PATH: &str = "app_data";
const EXTINFO: &str = "app_data.extinfo";

/// How many places `extinfo` has; what is unknown is an empty string in its place.
const EXTINFO_PLACES: usize = 16;
/// Where in `extinfo` the version of the operating system stands.
const OS_VERSION: usize = 4;

const EXTINFO_RULE: &str = "must be a list of exactly 16 values, unknown ones as \"\"";
const EXTINFO_EXAMPLE: &str = "[\"a2\",\"com.example.app\",\"771\",\"7.7.1\",\"15\",\"Pixel 9\",\
     \"en_US\",\"PST\",\"\",\"1080\",\"2424\",\"2.6\",\"8\",\"128\",\"54\",\"America/Los_Angeles\"]";

/// Writes the object. When the event happened in an app (`required`), the rules for such events
/// are enforced; otherwise the values only get their types.
pub(super) fn write(
    members: &[Member<'_>],
    required: bool,
    work: &mut Work<'_>,
    out: &mut Vec<u8>,
) -> Result<(), EventError> {
    let (mut extinfo, mut tracking) = (false, false);
    out.push(b'{');
    for (key, raw) in members {
        match key.as_ref() {
            "advertiser_tracking_enabled" => {
                let path = "app_data.advertiser_tracking_enabled";
                tracking = write_flag(key, raw, path, out)?;
            }
            "application_tracking_enabled" => {
                write_flag(key, raw, "app_data.application_tracking_enabled", out)?;
            }
            "extinfo" if json::shape(raw) == Shape::List => {
                let places = json::elements(raw, MAX_ITEMS).map_err(|flaw| flaw.at(EXTINFO))?;
                extinfo = write_extinfo(&places, required, work, out)?;
            }
            "extinfo" if required && json::shape(raw) == Shape::Object => {
                extinfo = write_extinfo(&indexed(raw)?, required, work, out)?;
            }
            "extinfo" if json::shape(raw) == Shape::Null => {}
            "extinfo" if required => {
                return Err(malformed(EXTINFO, EXTINFO_RULE, EXTINFO_EXAMPLE));
            }
            _ => work.pass(PATH, key, raw, out)?,
        }
    }
    out.push(b'}');
    if required && !extinfo {
        return Err(missing(EXTINFO, EXTINFO_RULE, EXTINFO_EXAMPLE));
    }
    if required && !tracking {
        work.warn(
            "app_data.advertiser_tracking_enabled",
            codes::MISSING,
            "Meta asks for it with every event of an app: 1 or 0",
        );
    }
    Ok(())
}

/// The error for an event of an app without `app_data`.
pub(super) fn absent() -> EventError {
    missing(
        PATH,
        "an event of an app needs app_data with extinfo and advertiser_tracking_enabled",
        "{\"advertiser_tracking_enabled\":1,\"extinfo\":[\"a2\",\"\",\"\",\"\",\"15\"]}",
    )
}

fn write_flag(
    key: &str,
    raw: &str,
    path: &'static str,
    out: &mut Vec<u8>,
) -> Result<bool, EventError> {
    let Some(flag) = boolean(raw, path)? else {
        return Ok(false);
    };
    json::write_key(out, key);
    out.push(if flag { b'1' } else { b'0' });
    Ok(true)
}

/// The places of an object by index, which Meta's SDK for Node sends in place of a list; it leaves
/// out what is unknown.
fn indexed(raw: &str) -> Result<Vec<&str>, EventError> {
    let mut places = vec!["null"; EXTINFO_PLACES];
    for (key, value) in json::members(raw).map_err(|flaw| flaw.at(EXTINFO))? {
        let place = key.parse().ok().and_then(|at: usize| places.get_mut(at));
        *place.ok_or_else(|| malformed(EXTINFO, EXTINFO_RULE, EXTINFO_EXAMPLE))? = value;
    }
    Ok(places)
}

fn write_extinfo(
    places: &[&str],
    required: bool,
    work: &mut Work<'_>,
    out: &mut Vec<u8>,
) -> Result<bool, EventError> {
    if required && places.len() != EXTINFO_PLACES {
        return Err(malformed(EXTINFO, EXTINFO_RULE, EXTINFO_EXAMPLE));
    }
    json::write_key(out, "extinfo");
    out.push(b'[');
    for (index, place) in places.iter().enumerate() {
        let text = match json::shape(place) {
            Shape::Null => String::new(),
            Shape::Text => json::text(place).map_err(|f| f.at(EXTINFO))?.into_owned(),
            Shape::Number if json::is_finite(place) => (*place).to_owned(),
            _ => return Err(malformed(EXTINFO, EXTINFO_RULE, EXTINFO_EXAMPLE)),
        };
        if required {
            check_place(index, trim(&text))?;
        }
        if index > 0 {
            out.push(b',');
        }
        let clean = work.redact(&text, super::firewall::Mark::Bracketed, || {
            path_of(PATH, "extinfo")
        });
        json::write_text(out, clean.as_deref().unwrap_or(&text));
    }
    out.push(b']');
    Ok(true)
}

fn check_place(index: usize, text: &str) -> Result<(), EventError> {
    if index == 0 && !matches!(text, "a2" | "i2") {
        return Err(malformed(
            "app_data.extinfo[0]",
            "must be a2 (Android) or i2 (iOS)",
            "\"a2\"",
        ));
    }
    if index == OS_VERSION && text.is_empty() {
        return Err(EventError::new(
            codes::OS_VERSION,
            "app_data.extinfo[4]",
            "the version of the operating system must not be empty",
            "\"15\"",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Rules;
    use crate::event::changes::Marks;
    use crate::time::UnixMs;

    fn run(app_data: &str, required: bool) -> Result<(String, usize), EventError> {
        let rules = Rules::default();
        let mut work = Work {
            rules: &rules,
            now: UnixMs(0),
            warnings: Vec::new(),
            marks: Marks::default(),
        };
        let mut out = Vec::new();
        write(
            &json::members(app_data).unwrap(),
            required,
            &mut work,
            &mut out,
        )?;
        Ok((String::from_utf8(out).unwrap(), work.warnings.len()))
    }

    #[test]
    fn places_become_strings_and_flags_numbers() {
        let raw = format!(
            r#"{{"advertiser_tracking_enabled":true,"application_tracking_enabled":"0","extinfo":["i2",null,1,2.50,"18"{}],"x":"y"}}"#,
            ",\"\"".repeat(11)
        );
        let want = format!(
            r#"{{"advertiser_tracking_enabled":1,"application_tracking_enabled":0,"extinfo":["i2","","1","2.50","18"{}],"x":"y"}}"#,
            ",\"\"".repeat(11)
        );
        assert_eq!(run(&raw, true).unwrap(), (want, 0));
    }

    #[test]
    fn an_object_by_index_is_read_as_the_list() {
        let raw = r#"{"advertiser_tracking_enabled":1,"extinfo":{"0":"a2","4":"15","9":1080,"15":"UTC"}}"#;
        let want = r#"{"advertiser_tracking_enabled":1,"extinfo":["a2","","","","15","","","","","1080","","","","","","UTC"]}"#;
        assert_eq!(run(raw, true).unwrap(), (want.to_owned(), 0));
        // of another event nothing is asked, and nothing changed
        assert_eq!(run(raw, false).unwrap().0, raw);
        for (raw, path) in [
            (r#"{"extinfo":{"0":"a2","16":""}}"#, "app_data.extinfo"),
            (r#"{"extinfo":{"version":"a2"}}"#, "app_data.extinfo"),
            (r#"{"extinfo":{"0":"a2","4":["15"]}}"#, "app_data.extinfo"),
            (r#"{"extinfo":{"0":"a2"}}"#, "app_data.extinfo[4]"),
            (r#"{"extinfo":{}}"#, "app_data.extinfo[0]"),
        ] {
            assert_eq!(run(raw, true).unwrap_err().path(), path, "{raw}");
        }
    }

    #[test]
    fn an_app_event_needs_its_device() {
        let list = |first: &str, os: &str, n: usize| {
            let mut places = vec!["\"\"".to_owned(); n];
            places[0] = format!("\"{first}\"");
            places[4] = format!("\"{os}\"");
            format!("{{\"extinfo\":[{}]}}", places.join(","))
        };
        for (raw, path, code) in [
            ("{}".to_owned(), "app_data.extinfo", "missing"),
            (
                "{\"extinfo\":null}".to_owned(),
                "app_data.extinfo",
                "missing",
            ),
            (
                "{\"extinfo\":\"a2\"}".to_owned(),
                "app_data.extinfo",
                "malformed",
            ),
            (list("a2", "15", 15), "app_data.extinfo", "malformed"),
            (list("a2", "15", 17), "app_data.extinfo", "malformed"),
            (list("b2", "15", 16), "app_data.extinfo[0]", "malformed"),
            (list("a2", " ", 16), "app_data.extinfo[4]", "os_version"),
        ] {
            let error = run(&raw, true).unwrap_err();
            assert_eq!((error.path(), error.code().word()), (path, code), "{raw}");
        }
        let (_, warnings) = run(&list("a2", "15", 16), true).unwrap();
        assert_eq!(warnings, 1, "tracking choice missing");
        assert!(
            run(&list("a2", "", 5), false).is_ok(),
            "elsewhere it only passes"
        );
    }
}
