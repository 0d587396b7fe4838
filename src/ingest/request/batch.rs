//! Several requests in one, as Graph's clients send them: `batch=[{"method":"POST",
//! "relative_url":"v26.0/1234567890123456/events","body":"data=…"},…]`.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::DeserializeSeed;
use serde_json::value::RawValue;

use super::events::List;
use super::json::Text;
use super::{Members, Value, fault, options, parse_form, parse_json, twice};
use crate::codes;
use crate::ingest::answer::Rejection;

/// Operations of a batch, as Graph documents it.
pub const MAX_OPERATIONS: usize = 50;

/// A batch that has been read. Its operations are kept apart, so that a bad one hides no other.
pub struct Batch<'a> {
    /// The operations, in order.
    pub operations: Vec<Result<Operation<'a>, Rejection>>,
    /// The member `access_token`, for the operations without one of their own.
    pub key: Option<&'a str>,
    /// Whether the answers are to tell their headers.
    pub include_headers: bool,
}

/// One request of a batch; its method is POST.
pub struct Operation<'a> {
    /// What follows the host, with the query: `v26.0/1234567890123456/events`.
    url: Cow<'a, str>,
    /// A form, or a JSON object.
    body: Value<'a>,
    /// Its member `access_token`, which goes behind those in `url` and `body`.
    pub key: Option<Cow<'a, str>>,
}

impl fmt::Debug for Batch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Batch({} operations)", self.operations.len())
    }
}

impl fmt::Debug for Operation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Operation")
    }
}

impl Operation<'_> {
    /// The path, without the slash it may begin with.
    pub fn path(&self) -> &str {
        let path = self.url.split(['?', '#']).next().unwrap_or_default();
        path.strip_prefix('/').unwrap_or(path)
    }

    /// The members of its query. `max_events` is `ingest.max_events`.
    pub fn query(&self, max_events: usize) -> Result<Members<'_>, Rejection> {
        let query = self.url.split_once('?').map_or("", |(_, query)| query);
        parse_form(query.as_bytes(), max_events)
    }

    /// The members of its body: an object of JSON, or a form.
    pub fn members(&self, max_events: usize) -> Result<Members<'_>, Rejection> {
        let body = self.body.json().as_bytes();
        if body.trim_ascii_start().first() == Some(&b'{') {
            return parse_json(body, max_events);
        }
        parse_form(body, max_events)
    }
}

/// What the members of a query and those of a body mean together, as a batch.
pub fn parse_batch<'a>(
    query: &'a Members<'_>,
    body: &'a Members<'_>,
) -> Result<Batch<'a>, Rejection> {
    let of = |name: &'static str| match (query.get(name), body.get(name)) {
        (Some(one), Some(other)) if one != other && name == "batch" => Err(twice(name)),
        (one, other) => Ok(one.or(other)),
    };
    let members = query.list.iter().chain(&body.list);
    if members
        .map(|(name, _)| name)
        .any(|name| name.starts_with("batch["))
    {
        return Err(wrong(
            "batch",
            "all operations stand in one field, as the text of a JSON array",
        ));
    }
    // nothing else is posted to its path
    let batch = of("batch")?.ok_or_else(|| {
        let example = options::example("batch");
        let rule = format!("a request to this path is a batch, such as {example}; events alone go to /{{version}}/{{pixel_id}}/events");
        fault(codes::MISSING, "batch", rule)
    })?;
    let include_headers = of("include_headers")?.is_none_or(|value| {
        let text = value.json();
        !text.eq_ignore_ascii_case("false") && text != "0"
    });
    let mut json = serde_json::Deserializer::from_str(batch.json());
    let list = List {
        max: MAX_OPERATIONS,
    };
    let operations = list
        .deserialize(&mut json)
        .and_then(|operations| json.end().map(|()| operations))
        .map_err(|_| wrong("batch", "an array of operations is expected"))?;
    let operations = match operations {
        Err(_) => {
            return Err(fault(
                codes::TOO_MANY_OPERATIONS,
                "batch",
                format!("at most {MAX_OPERATIONS} operations"),
            ));
        }
        Ok(list) if list.is_empty() => {
            return Err(wrong("batch", "at least one operation is expected"));
        }
        Ok(list) => list.into_iter().map(operation).collect(),
    };
    Ok(Batch {
        operations,
        key: options::key(of("access_token")?)?,
        include_headers,
    })
}

/// The members of an operation that mean something here. `headers`, `name` and
/// `omit_response_on_success` do not: an operation of ours has none to choose, and no other may ask
/// for its result.
#[derive(Deserialize)]
struct Raw<'a> {
    #[serde(borrow)]
    method: Option<Text<'a>>,
    #[serde(borrow)]
    relative_url: Option<Text<'a>>,
    #[serde(borrow)]
    body: Option<&'a RawValue>,
    /// Meta's SDK for Node writes it `attachedFiles`, with an empty text for none.
    #[serde(borrow, alias = "attachedFiles")]
    attached_files: Option<&'a RawValue>,
    #[serde(borrow)]
    depends_on: Option<&'a RawValue>,
    #[serde(borrow)]
    access_token: Option<Text<'a>>,
}

fn operation(text: &str) -> Result<Operation<'_>, Rejection> {
    let raw: Raw<'_> = serde_json::from_str(text).map_err(|_| {
        wrong(
            "batch",
            "an operation is an object with method, relative_url and body",
        )
    })?;
    let is_some = |value: Option<&RawValue>| {
        value.is_some_and(|value| !matches!(value.get(), "null" | "\"\"" | "[]"))
    };
    if is_some(raw.attached_files) {
        return Err(wrong(
            "attached_files",
            "files cannot be attached; the events are in body",
        ));
    }
    if is_some(raw.depends_on) {
        return Err(wrong(
            "depends_on",
            "an operation of events depends on no other",
        ));
    }
    let method = raw.method.ok_or_else(|| missing("method"))?;
    if !method.0.eq_ignore_ascii_case("post") {
        return Err(Rejection::Method);
    }
    let url = raw.relative_url.ok_or_else(|| missing("relative_url"))?.0;
    let body = raw.body.map(Value::of_json);
    Ok(Operation {
        url,
        body: body.unwrap_or(Value::Json("")),
        key: raw.access_token.map(|key| key.0),
    })
}

fn missing(path: &'static str) -> Rejection {
    let rule = format!("an operation needs it, such as {}", options::example(path));
    fault(codes::MISSING, path, rule)
}

fn wrong(path: &'static str, rule: &str) -> Rejection {
    let rule = format!("{rule}, such as {}", options::example(path));
    fault(codes::MALFORMED, path, rule)
}
