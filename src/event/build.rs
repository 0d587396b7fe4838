//! The steps from raw to hashed, in their order.

use std::borrow::Cow;
use std::ops::Range;

use super::changes::{Change, EVENT_ID, Marks};
use super::firewall::{self, Mark};
use super::hashed::HashedEvent;
use super::json::{self, Shape};
use super::raw::{Label, RawEvent};
use super::reject::{EventError, path_of};
use super::source::ActionSource;
use super::visit::Visit;
use super::work::{Work, boolean, malformed, missing, string, string_or_integer};
use super::{
    Rules, app_data, click_id, custom_data, identity, messaging, moment, privacy, user_data,
};
use crate::codes;
use crate::pixel::PixelId;
use crate::time::UnixMs;

/// Takes an event all the way from raw to hashed.
pub(super) fn build<'a>(
    raw: &RawEvent<'a>,
    pixel: PixelId,
    rules: &Rules,
    now: UnixMs,
    visit: Option<&Visit>,
) -> Result<HashedEvent<'a>, EventError> {
    let mut work = Work {
        rules,
        now,
        warnings: Vec::new(),
        marks: Marks::default(),
    };
    // what was dropped on the way may be why the rest does not do
    steps(raw, pixel, visit, &mut work)
        .map_err(|error| error.after(std::mem::take(&mut work.warnings)))
}

fn steps<'a>(
    raw: &RawEvent<'a>,
    pixel: PixelId,
    visit: Option<&Visit>,
    work: &mut Work<'_>,
) -> Result<HashedEvent<'a>, EventError> {
    let (rules, now) = (work.rules, work.now);
    let event_name = event_name(raw.event_name, work)?;
    let source = action_source(raw.action_source)?;
    let messaging = source == ActionSource::BusinessMessaging;
    if messaging {
        messaging::check_name(&event_name)?;
    }
    let moment = moment::read(raw.event_time, source, work)?;
    let given_id = event_id(raw.event_id, work)?;

    let page = url(raw.event_source_url, "event_source_url")?;
    let referrer = url(raw.referrer_url, "referrer_url")?;
    let mut rest = Vec::with_capacity(raw.bytes + 512);

    let visit = visit.filter(|_| source.has_page());

    // user_data; what does not depend on the arrival makes the event's identity
    let members = match &raw.user_data {
        Some(members) => members.as_slice(),
        None if visit.is_some() => &[],
        None => {
            return Err(missing(
                "user_data",
                "an event needs user_data",
                "{\"external_id\":\"customer-1\"}",
            ));
        }
    };
    json::write_name(&mut rest, "user_data");
    let user_data_start = rest.len();
    let mut user_data = user_data::write(members, source, work, &mut rest)?;
    let user_data_range = user_data_start..rest.len();
    let sent = user_data.match_keys();
    let person = visit.filter(|_| !user_data.can_match()).map(Visit::person);
    if source.has_page() && !user_data.has("fbc") {
        let cookie = visit.and_then(|visit| visit.fbc.as_deref());
        let (page, referrer) = (page.as_deref(), referrer.as_deref());
        let fbc = click_id::fbc(page, referrer, cookie, rules.subdomain_index, now);
        user_data::add("fbc", fbc.as_deref(), &mut user_data, &mut rest);
    }
    if let Some(visit) = visit {
        for (key, value) in [
            ("fbp", &visit.fbp),
            ("client_ip_address", &visit.address),
            ("client_user_agent", &visit.user_agent),
        ] {
            user_data::add(key, value.as_deref(), &mut user_data, &mut rest);
        }
    }
    rest.push(b'}');
    let added = user_data.match_keys().without(sent);
    work.marks.add(Change::Added, added.bits());
    if !user_data.can_match() {
        return Err(EventError::new(
            codes::NO_MATCH_KEYS,
            "user_data",
            "what is left after checking cannot identify anyone: give em, ph, external_id, fbc, \
             or address and browser together",
            "{\"external_id\":\"customer-1\"}",
        ));
    }
    let channel = messaging::channel(raw.messaging_channel)?;
    if messaging {
        messaging::check_identifiers(channel, user_data)?;
    }

    let page_range = write_url("event_source_url", page, messaging, work, &mut rest);
    write_url("referrer_url", referrer, messaging, work, &mut rest);
    let custom_data_range = write_custom_data(raw, &event_name, messaging, work, &mut rest)?;
    write_app_data(raw, source, work, &mut rest)?;
    if let Some(channel) = channel {
        messaging::write(channel, &mut rest);
    }
    if let Some(value) = raw.opt_out
        && let Some(value) = boolean(value, "opt_out")?
    {
        json::write_name(&mut rest, "opt_out");
        rest.extend_from_slice(if value { b"true" } else { b"false" });
    }
    privacy::write(
        raw.data_processing_options,
        raw.data_processing_options_country,
        raw.data_processing_options_state,
        work,
        &mut rest,
    )?;
    write_other(raw, work, &mut rest)?;
    if source == ActionSource::Website {
        remark_website(user_data, page_range.is_empty(), work);
    }

    let part = |range: Range<usize>| rest.get(range).unwrap_or_default();
    let brought_id = given_id.is_some();
    let event_id = given_id.or_else(|| {
        let content = identity::Content {
            pixel,
            event_name: &event_name,
            event_time: moment.sent,
            user_data: part(user_data_range),
            custom_data: part(custom_data_range),
            event_source_url: part(page_range),
            person: person.as_deref(),
        };
        identity::make(rules.event_id, &content).map(Cow::Owned)
    });
    if event_id.is_some() && !brought_id {
        work.marks.add(Change::Added, 1 << EVENT_ID);
    }
    Ok(HashedEvent {
        event_name,
        event_time: moment.time,
        expires_at: source.expiry(UnixMs::from_secs(moment.time), now),
        event_id,
        brought_id,
        match_keys: user_data.match_keys(),
        action_source: source,
        rest,
        warnings: std::mem::take(&mut work.warnings),
        marks: work.marks,
        max_bytes: rules.max_event_bytes,
    })
}

/// What the event is called, without personal values.
pub(super) fn label(raw: &RawEvent<'_>, rules: &Rules) -> Label {
    let mut work = Work {
        rules,
        now: UnixMs(0),
        warnings: Vec::new(),
        marks: Marks::default(),
    };
    Label {
        event_name: event_name(raw.event_name, &mut work)
            .map_or_else(|_| String::new(), Cow::into_owned),
        event_id: event_id(raw.event_id, &mut work)
            .unwrap_or_default()
            .map(Cow::into_owned),
    }
}

fn event_name<'a>(raw: Option<&'a str>, work: &mut Work<'_>) -> Result<Cow<'a, str>, EventError> {
    let (path, example) = ("event_name", "\"Purchase\"");
    let name = match raw {
        Some(raw) => string(raw, path, example)?,
        None => None,
    };
    let name = name
        .filter(|name| !name.trim().is_empty())
        .ok_or_else(|| missing(path, "an event needs a name", example))?;
    let clean = work.redact(&name, Mark::Bracketed, || path.into());
    Ok(clean.map_or(name, Cow::Owned))
}

fn action_source(raw: Option<&str>) -> Result<ActionSource, EventError> {
    let (path, example) = ("action_source", "\"website\"");
    let rule = "must be one of website, app, physical_store, system_generated, \
                business_messaging, email, phone_call, chat, other";
    let word = match raw {
        Some(raw) => string(raw, path, example)?,
        None => None,
    };
    match word.as_deref().map(str::trim) {
        None | Some("") => Err(missing(path, rule, example)),
        Some(word) => ActionSource::read(word).ok_or_else(|| malformed(path, rule, example)),
    }
}

fn event_id<'a>(
    raw: Option<&'a str>,
    work: &mut Work<'_>,
) -> Result<Option<Cow<'a, str>>, EventError> {
    let path = "event_id";
    let Some(id) = raw
        .map(|raw| string_or_integer(raw, path, "\"order-1001\""))
        .transpose()?
        .flatten()
        .filter(|id| !id.trim().is_empty())
    else {
        return Ok(None);
    };
    let clean = work.redact(&id, Mark::Digest, || path.into());
    Ok(Some(clean.map_or(id, Cow::Owned)))
}

fn url<'a>(raw: Option<&'a str>, path: &'static str) -> Result<Option<Cow<'a, str>>, EventError> {
    let Some(raw) = raw else {
        return Ok(None);
    };
    let url = string(raw, path, "\"https://shop.example/thank-you\"")?;
    Ok(url.filter(|url| !url.trim().is_empty()))
}

/// Writes a URL without personal values; gives where its text stands.
fn write_url(
    key: &'static str,
    url: Option<Cow<'_, str>>,
    messaging: bool,
    work: &mut Work<'_>,
    out: &mut Vec<u8>,
) -> Range<usize> {
    let Some(url) = url else {
        return 0..0;
    };
    if messaging {
        work.warn(key, codes::STRIPPED, "not sent for business_messaging");
        return 0..0;
    }
    let clean = firewall::url::clean(&url).filter(|_| work.rules.pii_firewall);
    if clean.is_some() {
        work.warn_redacted(key.into());
    }
    json::write_name(out, key);
    let start = out.len();
    json::write_text(out, clean.as_deref().unwrap_or(&url));
    start..out.len()
}

fn write_custom_data(
    raw: &RawEvent<'_>,
    event_name: &str,
    messaging: bool,
    work: &mut Work<'_>,
    out: &mut Vec<u8>,
) -> Result<Range<usize>, EventError> {
    let before = out.len();
    let members = raw.custom_data.as_deref().unwrap_or_default();
    json::write_name(out, "custom_data");
    let start = out.len();
    let written = custom_data::write(members, work, out)?;
    let range = if out.len() == start + 2 {
        out.truncate(before);
        0..0
    } else {
        start..out.len()
    };
    let purchase = event_name == "Purchase";
    if purchase && !written.value {
        return Err(EventError::new(
            codes::WITHOUT_VALUE,
            "custom_data.value",
            "a purchase needs its value as a number",
            "129.9",
        ));
    }
    if !written.currency && (purchase || (messaging && messaging::is_order(event_name))) {
        return Err(EventError::new(
            codes::WITHOUT_CURRENCY,
            "custom_data.currency",
            "a purchase or order needs its currency as an ISO 4217 code",
            "\"EUR\"",
        ));
    }
    Ok(range)
}

fn write_app_data(
    raw: &RawEvent<'_>,
    source: ActionSource,
    work: &mut Work<'_>,
    out: &mut Vec<u8>,
) -> Result<(), EventError> {
    let is_app = source == ActionSource::App;
    match &raw.app_data {
        Some(members) if is_app || !members.is_empty() => {
            json::write_name(out, "app_data");
            app_data::write(members, is_app, work, out)
        }
        None if is_app => Err(app_data::absent()),
        _ => Ok(()),
    }
}

/// Options of a whole request.
const BESIDE_DATA: [&str; 6] = [
    "test_event_code",
    "partner_agent",
    "upload_tag",
    "upload_id",
    "upload_source",
    "namespace_id",
];

/// Members that no rule knows pass; some of them deserve a remark.
fn write_other(
    raw: &RawEvent<'_>,
    work: &mut Work<'_>,
    out: &mut Vec<u8>,
) -> Result<(), EventError> {
    for (key, value) in &raw.other {
        if json::shape(value) == Shape::Null {
            continue;
        }
        match key.as_ref() {
            "access_token" => {
                work.warn(
                    "access_token",
                    codes::STRIPPED,
                    "a token does not belong in an event; it was not kept",
                );
                continue;
            }
            "customer_segmentation" => {
                custom_data::remark_segment("customer_segmentation", value, work);
            }
            key if BESIDE_DATA.contains(&key) => work.warn(
                path_of("", key),
                codes::MISPLACED,
                "belongs beside data; in an event Meta does not read it",
            ),
            key if custom_data::belongs_here(key) => work.warn(
                path_of("", key),
                codes::MISPLACED,
                "belongs in custom_data; here Meta does not read it",
            ),
            _ => {}
        }
        work.pass("", key, value, out)?;
    }
    Ok(())
}

/// What Meta documents as required on websites, but takes the event without.
fn remark_website(user_data: user_data::Written, no_page: bool, work: &mut Work<'_>) {
    if no_page {
        work.warn(
            "event_source_url",
            codes::MISSING,
            "Meta asks for the page's URL with every event of a website",
        );
    }
    if !user_data.has("client_user_agent") {
        work.warn(
            "user_data.client_user_agent",
            codes::MISSING,
            "Meta asks for the browser's user agent with every event of a website",
        );
    }
}
