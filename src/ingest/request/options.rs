//! What stands beside the events and applies to all of them.

use serde::Deserialize;

use super::{Value, fault};
use crate::codes;
use crate::event::Warning;
use crate::ingest::answer::Rejection;
use crate::journal::{Platform, Progress, RequestOptions};

/// Characters of a request option such as `test_event_code`.
pub const MAX_OPTION: usize = 128;
/// Characters of `partner_agent`.
const MAX_AGENT: usize = 22;
/// Letters that `partner_agent` has at least.
const MIN_AGENT_LETTERS: usize = 2;
/// Entries of `platforms`.
pub const MAX_PLATFORMS: usize = 8;

/// Reads the options; `of` gives the member of a name.
pub(super) fn read<'a>(
    of: impl Fn(&'static str) -> Option<&'a Value<'a>>,
) -> Result<RequestOptions, Rejection> {
    let text = |path| match of(path) {
        Some(value) => text_option(value, path),
        None => Ok(None),
    };
    Ok(RequestOptions {
        test_event_code: text("test_event_code")?,
        partner_agent: text("partner_agent")?,
        upload_tag: text("upload_tag")?,
        upload_id: text("upload_id")?,
        upload_source: text("upload_source")?,
        namespace_id: text("namespace_id")?,
        platforms: of("platforms").map_or(Ok(Vec::new()), platforms)?,
        progress: of("progress").map_or(Ok(None), progress)?,
        trace: of("trace").map_or(Ok(None), trace)?,
    })
}

/// Leaves a `partner_agent` out that Meta does not take: the events need not go with it.
pub(super) fn check_agent(options: &mut RequestOptions) -> Option<Warning> {
    let is_good = |agent: &String| {
        let letters = agent.chars().filter(char::is_ascii_alphabetic).count();
        letters >= MIN_AGENT_LETTERS && agent.chars().count() <= MAX_AGENT
    };
    options.partner_agent.take_if(|agent| !is_good(agent))?;
    Some(Warning {
        path: "partner_agent".into(),
        code: codes::DROPPED,
        text: format!(
            "left out: it has {MIN_AGENT_LETTERS} letters or more and at most {MAX_AGENT} characters, such as {}",
            example("partner_agent")
        )
        .into(),
    })
}

/// The caller's key, which may be of any length.
pub(super) fn key<'a>(value: Option<&'a Value<'_>>) -> Result<Option<&'a str>, Rejection> {
    match value {
        Some(value) => text(value, "access_token", usize::MAX),
        None => Ok(None),
    }
}

/// Graph takes another method in the member `method`; none but POST makes events.
pub(super) fn check_ignored(name: &str, value: &Value<'_>) -> Result<(), Rejection> {
    let is_other = |value: &Value<'_>| match value {
        Value::Text(text) => !text.is_empty() && !text.eq_ignore_ascii_case("post"),
        Value::Json(_) | Value::Events(_) => false,
    };
    if name == "method" && is_other(value) {
        return Err(Rejection::Method);
    }
    Ok(())
}

/// A request option. It is kept and sent in clear, so nothing passes that could be an e-mail
/// address, and nothing that is a phone number.
fn text_option(value: &Value<'_>, path: &'static str) -> Result<Option<String>, Rejection> {
    let Some(text) = text(value, path, MAX_OPTION)?.filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    // these two are names with letters; the others may be dates or numbers
    let is_name = matches!(path, "test_event_code" | "partner_agent");
    let lacks_letter = is_name && !text.contains(|c: char| c.is_ascii_alphabetic());
    if lacks_letter || !is_plain(text) {
        let rule = format!(
            "ASCII letters, digits, blanks and _ . : / - only, such as {}",
            example(path)
        );
        return Err(fault(codes::MALFORMED, path, rule));
    }
    Ok(Some(text.to_owned()))
}

fn is_plain(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_.:/ -".contains(c);
    text.chars().all(plain)
}

/// A string, or null for none.
fn text<'a>(
    value: &'a Value<'_>,
    path: &'static str,
    max: usize,
) -> Result<Option<&'a str>, Rejection> {
    let text = match value {
        Value::Text(text) => text,
        Value::Json("null") => return Ok(None),
        Value::Json(_) | Value::Events(_) => {
            return Err(fault(
                codes::MALFORMED,
                path,
                format!("a string is expected, such as {}", example(path)),
            ));
        }
    };
    if text.chars().count() > max {
        return Err(fault(
            codes::MALFORMED,
            path,
            format!("at most {max} characters, such as {}", example(path)),
        ));
    }
    Ok(Some(text))
}

fn platforms(value: &Value<'_>) -> Result<Vec<Platform>, Rejection> {
    let list: Vec<Platform> = json(value, "platforms")?.unwrap_or_default();
    let is_good = |text: &String| !text.is_empty() && text.len() <= MAX_OPTION && is_plain(text);
    let good = |one: &Platform| {
        is_good(&one.name) && is_good(&one.kind) && one.version.as_ref().is_none_or(is_good)
    };
    if list.len() > MAX_PLATFORMS || !list.iter().all(good) {
        let rule = format!(
            "at most {MAX_PLATFORMS} entries, whose texts are 1 to {MAX_OPTION} ASCII letters, digits, blanks and _ . : / -, such as {}",
            example("platforms")
        );
        return Err(fault(codes::MALFORMED, "platforms", rule));
    }
    Ok(list)
}

fn progress(value: &Value<'_>) -> Result<Option<Progress>, Rejection> {
    let progress: Option<Progress> = json(value, "progress")?;
    if progress.is_some_and(|p| p.start_inclusive < 0 || p.end_exclusive < p.start_inclusive) {
        return Err(wrong("progress"));
    }
    Ok(progress)
}

fn trace(value: &Value<'_>) -> Result<Option<u32>, Rejection> {
    json(value, "trace")
}

/// What a JSON value, or a text that is one, says; nothing for an empty text.
fn json<'a, T: Deserialize<'a>>(
    value: &'a Value<'_>,
    path: &'static str,
) -> Result<Option<T>, Rejection> {
    let text = value.json();
    if text.is_empty() {
        return Ok(None);
    }
    serde_json::from_str(text).map_err(|_| wrong(path))
}

fn wrong(path: &'static str) -> Rejection {
    let what = match path {
        "platforms" => "an array of objects with name, type and version",
        "progress" => "an object with two numbers",
        _ => "a number from 0 to 4294967295",
    };
    fault(
        codes::MALFORMED,
        path,
        format!("{what} is expected, such as {}", example(path)),
    )
}

/// A made-up value of a member.
pub(in crate::ingest) fn example(path: &str) -> &'static str {
    match path {
        "" | "data" => "{\"data\":[{…}]}",
        "test_event_code" => "\"TEST12345\"",
        "partner_agent" => "\"myplatform\"",
        "access_token" => "the ingest key of your source",
        "platforms" => "[{\"name\":\"shopsoft\",\"type\":\"ecommerce\",\"version\":\"2.1\"}]",
        "progress" => "{\"start_inclusive\":0,\"end_exclusive\":100}",
        "trace" => "1",
        "method" => "\"POST\"",
        "relative_url" => "\"v26.0/1234567890123456/events\"",
        "batch" => {
            "[{\"method\":\"POST\",\"relative_url\":\"v26.0/1234567890123456/events\",\"body\":\"data=[{…}]\"}]"
        }
        "attached_files" | "depends_on" => "null",
        _ => "\"2026-11-22\"",
    }
}
