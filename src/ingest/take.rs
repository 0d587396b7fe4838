//! One request, from its head to the group commit that holds its events.

use std::sync::Arc;

use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;

use super::admission::{COPIES, Reservation};
use super::answer::{Accepted, Limit, Rejection};
use super::auth::Source;
use super::body::Arriving;
use super::caller::Caller;
use super::coded::Coded;
use super::events::{Checked, Job, check, others};
use super::live::Watched;
use super::refused::Refused;
use super::request::{self, Kind, Members, Parsed};
use super::{Shared, body, feed, once, policies, refused, trouble};
use crate::codes;
use crate::event::Warning;
use crate::pixel::PixelId;
use crate::secret::KeyDigest;
use crate::traffic::Place;

/// Bodies from this size on, and packed ones, are worked on beside the workers: at some 10 µs an
/// event, a large request would otherwise keep the other requests of its worker waiting.
const HASH_APART: usize = 128 * 1024;

/// Takes one request: reads it, checks the caller, hashes the events, and makes them durable.
pub(super) async fn take(
    shared: &Shared,
    pixel: PixelId,
    head: &Parts,
    body: &mut Arriving,
) -> Result<Accepted, Rejection> {
    let caller = Caller::of(head);
    if let Some(key) = caller.key {
        // a wrong key is answered before its body is read
        let allowed = by_key(shared, key, pixel);
        allowed.inspect_err(|refused| unread(shared, pixel, &caller, Some(key), refused))?;
    }
    let max_events = shared.settings.max_events;
    let read = |query: &Members<'_>, body: &Members<'_>| {
        let key = |own: Option<&str>| caller.key.or_else(|| own.map(KeyDigest::of));
        let parsed = request::read(query, body, max_events);
        let parsed = parsed.inspect_err(|refused| {
            let key = key(query.key().or(body.key()));
            unread(shared, pixel, &caller, key, refused);
        })?;
        let key = key(parsed.key);
        check_all(shared, pixel, &caller, key, parsed)
    };
    let worked = work(shared, &caller, head, body, read).await;
    let (checked, reservation) =
        worked.inspect_err(|refused| unread(shared, pixel, &caller, caller.key, refused))?;
    keep(shared, pixel, checked?, Arc::new(reservation)).await
}

/// Counts a request that is refused before its events were seen, if its sender is known.
pub(super) fn unread(
    shared: &Shared,
    pixel: PixelId,
    caller: &Caller<'_>,
    key: Option<KeyDigest>,
    rejection: &Rejection,
) {
    let source = match key {
        Some(key) => shared.sources.find(key),
        None => by_page(shared, caller.page(), pixel).ok(),
    };
    if let Some(source) = source {
        refused::unread(shared, pixel, source, rejection);
    }
}

/// Takes a JSON body as if the source of this name had posted it for `pixel`, whether it is for
/// browsers or not.
pub(super) async fn take_as(
    shared: &Shared,
    source: &str,
    pixel: PixelId,
    body: &[u8],
) -> Result<Accepted, Rejection> {
    let max_events = shared.settings.max_events;
    let source = shared.sources.named(source).ok_or(Rejection::Forbidden)?;
    let unread = |rejection: &Rejection| refused::unread(shared, pixel, source, rejection);
    let reservation = may_post(shared, source, pixel)
        .and_then(|_| room(shared, body))
        .inspect_err(unread)?;
    let work = || {
        let members = Kind::Json.members(body, max_events).inspect_err(unread)?;
        let query = Members::default();
        let parsed = request::read(&query, &members, max_events).inspect_err(unread)?;
        check_of(shared, pixel, None, source, parsed)
    };
    let checked = if body.len() >= HASH_APART {
        apart(work)
    } else {
        work()
    };
    keep(shared, pixel, checked?, Arc::new(reservation)).await
}

/// Room for a body that is in memory already.
fn room(shared: &Shared, body: &[u8]) -> Result<Reservation, Rejection> {
    if body.len() > shared.settings.max_body {
        return Err(Rejection::Limited(Limit::MaxBody, None));
    }
    let mut reservation = shared.admission.open(true);
    let held = shared.admission.grow(&mut reservation, body.len());
    held.map_err(|_| Rejection::Limited(Limit::MaxInFlight, Some(1)))?;
    Ok(reservation)
}

/// Reads a body, and does with its members, and those of the query, what is not to be done while
/// other requests wait. The reservation is to be held until the events are durable.
pub(super) async fn work<T>(
    shared: &Shared,
    caller: &Caller<'_>,
    head: &Parts,
    body: &mut Arriving,
    then: impl FnOnce(&Members<'_>, &Members<'_>) -> T,
) -> Result<(T, Reservation), Rejection> {
    let max_events = shared.settings.max_events;
    let kind = Kind::of(head.headers.get(CONTENT_TYPE))?;
    let query = query(head, max_events)?;
    let packed = body::read(shared, &head.headers, body, caller.key.is_some()).await?;
    let is_large = packed.is_large(HASH_APART);
    let turn = packed.turn(shared).await;
    let work = || {
        let mut held = packed.unpack(shared)?;
        drop(turn);
        if !matches!(kind, Kind::Json | Kind::Unsaid) {
            // its fields are decoded beside it, and the events out of those
            let copies = (COPIES - 1) * held.bytes.len();
            held.grow(shared, copies)?;
        }
        let members = kind.members(&held.bytes, max_events)?;
        Ok((then(&query, &members), held.reservation))
    };
    if is_large { apart(work) } else { work() }
}

/// Makes the good events durable.
pub(super) async fn keep(
    shared: &Shared,
    pixel: PixelId,
    checked: Checked,
    reservation: Arc<Reservation>,
) -> Result<Accepted, Rejection> {
    let (came, events) = (checked.came, checked.events());
    let pixels: Vec<(PixelId, Place)> = (checked.envelopes.iter())
        .map(|one| (one.envelope.lane.pixel, one.counted))
        .collect();
    let watched = Watched::of(shared, &checked.envelopes, checked.source.as_ref());
    let (mut tally, mut copied) = (checked.tally, checked.copied);
    let appended = once::append(shared, checked.envelopes, reservation).await;
    let twins = appended.map_err(|error| {
        let rejection = error.into();
        let refused = Refused {
            pixel,
            source: tally.source(),
            events: came,
            rejection: &rejection,
        };
        refused::note(shared, refused);
        rejection
    })?;
    let duplicates: Vec<usize> = twins.iter().map(|twin| twin.at).collect();
    let mut warnings = checked.warnings;
    let mut own_duplicates = Vec::new();
    if !twins.is_empty() {
        for twin in twins {
            let Some((of, counted)) = pixels.get(twin.at) else {
                continue;
            };
            shared.duplicates.count(*of, 1);
            let tally = if *of == pixel {
                Some(&mut tally)
            } else {
                copied.get_mut(of)
            };
            if let Some(tally) = tally {
                tally.duplicate(*counted, twin.event_id);
            }
        }
        for at in &duplicates {
            if let (Some(index), Some((of, _))) = (checked.places.get(*at), pixels.get(*at)) {
                let is_copy = *of != pixel;
                // the event says it for its copies, too
                if is_copy && own_duplicates.last() == Some(index) {
                    continue;
                }
                warnings.push((*index, duplicate(is_copy.then_some(*of))));
                own_duplicates.extend((!is_copy).then_some(*index));
            }
        }
        warnings.sort_by_key(|(index, _)| *index);
    }
    let mut changed = checked.changed;
    changed.retain(|one| duplicates.binary_search(&one.envelope).is_err());
    policies::tell(shared, &checked.filtered, changed);
    let accepted = Accepted {
        events,
        warnings,
        faults: checked.faults,
        filtered: checked.filtered,
        duplicates: own_duplicates,
        pixel,
        unknown_members: checked.unknown_members,
        request_warnings: checked.request_warnings,
    };
    feed::accepted(&shared.traffic, tally, copied, &accepted);
    trouble::accepted(&shared.issues, &accepted);
    if let Some(watched) = watched {
        watched.durable(shared, &duplicates, &accepted);
    }
    Ok(accepted)
}

pub(super) fn code_left_out(source: &str) -> Warning {
    Warning {
        path: "test_event_code".into(),
        code: codes::TEST_CODE_LEFT_OUT,
        text: format!("not taken from this source, its events are: allow it with sources.{source}.allow_test_event_code").into(),
    }
}

/// `copy` is the pixel of the copy that was left out, where it is no more than that.
fn duplicate(copy: Option<PixelId>) -> Warning {
    let text = match copy {
        None => "an event with this name and id was received before; it is not sent again".into(),
        Some(pixel) => format!(
            "an event with this name and id was received before for pixel {pixel}; the copy for that pixel is not sent again"
        )
        .into(),
    };
    Warning {
        path: "event_id".into(),
        code: codes::DUPLICATE,
        text,
    }
}

/// The parameters of the address.
fn query(head: &Parts, max_events: usize) -> Result<Members<'_>, Rejection> {
    let query = head.uri.query().unwrap_or_default();
    request::parse_form(query.as_bytes(), max_events).map_err(|rejection| match rejection {
        Rejection::Body {
            code,
            path: "",
            rule,
        } => Rejection::Body {
            code,
            path: "query",
            rule,
        },
        other => other,
    })
}

/// What is left to do with a request that has been read, short of storing its events.
pub(super) fn check_all(
    shared: &Shared,
    pixel: PixelId,
    caller: &Caller<'_>,
    key: Option<KeyDigest>,
    parsed: Parsed<'_>,
) -> Result<Checked, Rejection> {
    let source = match key {
        Some(key) => by_key(shared, key, pixel).inspect_err(|rejection| {
            if let Some(source) = shared.sources.find(key) {
                let (source, events) = (&source.name, parsed.events.len());
                let refused = Refused {
                    pixel,
                    source,
                    events,
                    rejection,
                };
                refused::note(shared, refused);
            }
        })?,
        None => by_page(shared, caller.page(), pixel)?,
    };
    check_of(shared, pixel, Some(caller), source, parsed)
}

/// Without a caller, nothing is known of an address or a browser.
fn check_of(
    shared: &Shared,
    pixel: PixelId,
    caller: Option<&Caller<'_>>,
    source: &Source,
    parsed: Parsed<'_>,
) -> Result<Checked, Rejection> {
    let events = parsed.events.len();
    let checked = admit_and_check(shared, pixel, caller, source, parsed);
    checked.inspect_err(|rejection| {
        let refused = Refused {
            pixel,
            source: &source.name,
            events,
            rejection,
        };
        refused::note(shared, refused);
    })
}

fn admit_and_check(
    shared: &Shared,
    pixel: PixelId,
    caller: Option<&Caller<'_>>,
    source: &Source,
    parsed: Parsed<'_>,
) -> Result<Checked, Rejection> {
    let events = parsed.events.len();
    let mut visit = None;
    let mut give_back = None;
    if let (Some(pages), Some(caller)) = (&source.pages, caller) {
        // before the rate of all, so that one address cannot spend it
        let address = caller.address(&shared.settings.trusted_proxies);
        pages
            .admit(address.caller, events)
            .map_err(|seconds| Rejection::Limited(Limit::RatePerAddress, Some(seconds)))?;
        give_back = Some((pages, address.caller));
        visit = Some(caller.visit(address.customer));
    }
    source.admit(events).map_err(|seconds| {
        if let Some((pages, address)) = give_back {
            pages.give_back(address, events);
        }
        Rejection::Limited(Limit::Rate, Some(seconds))
    })?;
    let now = shared.clock.now();
    let (coded, copies) = Coded::with_copies(&shared.test_mode, pixel, source, parsed.options, now);
    let job = Job {
        pixel,
        options: coded.options,
        mirror: coded.mirror,
        source,
        sources: &shared.sources,
        copies,
        now,
        visit,
    };
    let has_code = job.mirror.is_some() || job.options.test_event_code.is_some();
    let mut checked = check(&parsed.events, &job);
    if has_code {
        checked.tally.coded();
    }
    if shared.tail.is_watched() {
        checked.source = Some(source.name.to_string());
    }
    if coded.left_out {
        checked.request_warnings.push(code_left_out(&source.name));
    }
    checked.request_warnings.extend(parsed.warnings);
    checked.unknown_members = parsed.unknown_members;
    let is_strict = source.strict || shared.sources.is_strict(pixel);
    let is_nothing = checked.envelopes.is_empty() && checked.filtered.is_empty();
    if is_nothing || (is_strict && !checked.faults.is_empty()) {
        return Err(Rejection::Events {
            others: others(&parsed.events, &checked.faults, &job),
            faults: checked.faults,
        });
    }
    Ok(checked)
}

fn by_key(shared: &Shared, key: KeyDigest, pixel: PixelId) -> Result<&Source, Rejection> {
    let source = shared
        .sources
        .find(key)
        .ok_or(Rejection::Unauthorized { shown: true })?;
    may_post(shared, source, pixel)
}

fn may_post<'s>(
    shared: &Shared,
    source: &'s Source,
    pixel: PixelId,
) -> Result<&'s Source, Rejection> {
    if !shared.sources.knows(pixel) {
        return Err(Rejection::UnknownPixel);
    }
    if !source.pixels.contains(&pixel) {
        return Err(Rejection::Forbidden);
    }
    Ok(source)
}

/// The source of a caller without a key: of no two are both the origins and a pixel the same.
fn by_page<'s>(
    shared: &'s Shared,
    origin: Option<&str>,
    pixel: PixelId,
) -> Result<&'s Source, Rejection> {
    let sources = &shared.sources;
    let mut allowed = origin
        .into_iter()
        .flat_map(|origin| sources.of_page(origin));
    if let Some(source) = allowed.find(|source| source.pixels.contains(&pixel)) {
        return Ok(source);
    }
    if origin.is_some_and(|origin| sources.allow(origin)) {
        return Err(if sources.knows(pixel) {
            Rejection::Forbidden
        } else {
            Rejection::UnknownPixel
        });
    }
    let is_page = origin.is_some() && sources.has_pages();
    if is_page || sources.take_from_pages(pixel) {
        return Err(Rejection::ForbiddenOrigin);
    }
    Err(Rejection::Unauthorized { shown: false })
}

/// Runs long work so that the other tasks of this worker move on.
fn apart<T>(work: impl FnOnce() -> T) -> T {
    let flavor = tokio::runtime::Handle::current().runtime_flavor();
    if flavor == tokio::runtime::RuntimeFlavor::MultiThread {
        tokio::task::block_in_place(work)
    } else {
        work()
    }
}
