//! From raw slices to envelopes: each event on its own, faults collected by index.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::answer::{EventFault, Told};
use super::auth::{Source, Sources};
use crate::codes;
use crate::event::policy::{Applied, KeptBack, Policy};
use crate::event::{EncodedEvent, EventError, RawEvent, Visit, Warning};
use crate::journal::{Class, Envelope, LaneKey, RequestOptions};
use crate::pixel::PixelId;
use crate::time::UnixMs;
use crate::traffic::{Place, Tally};

/// What the events of one request have in common.
pub struct Job<'a> {
    /// The pixel of the request's path.
    pub pixel: PixelId,
    /// What goes to Graph beside the events.
    pub options: Arc<RequestOptions>,
    /// What goes beside a copy of each, where there is to be one.
    pub mirror: Option<Arc<RequestOptions>>,
    /// Whose events they are.
    pub source: &'a Source,
    /// Where the policies of the pixels are.
    pub sources: &'a Sources,
    /// The other pixels that get a copy of each event.
    pub copies: Vec<Copied>,
    /// When they arrived.
    pub now: UnixMs,
    /// What the browser's request tells, if they come from one.
    pub visit: Option<Visit>,
}

/// An event on its way into the journal, perhaps with a copy of it.
#[derive(Clone, Debug)]
pub struct Posted {
    /// The event.
    pub envelope: Envelope,
    /// The options its copy travels with. The copy is accepted when the event is, and never alone.
    pub mirror: Option<Arc<RequestOptions>>,
    /// Where in the tally of its pixel it is counted.
    pub counted: Place,
}

impl Posted {
    /// Without a copy for an event of which Meta would count the copy, too.
    fn of(envelope: Envelope, mirror: Option<&Arc<RequestOptions>>, counted: Place) -> Self {
        let counts_twice = envelope.lane.class == Class::BusinessMessaging;
        Self {
            mirror: mirror.filter(|_| !counts_twice).cloned(),
            envelope,
            counted,
        }
    }

    /// The event, and its copy.
    pub fn into_envelopes(self) -> impl Iterator<Item = Envelope> {
        let copy = self.mirror.map(|options| Envelope {
            lane: LaneKey {
                options,
                ..self.envelope.lane.clone()
            },
            ..self.envelope.clone()
        });
        std::iter::once(self.envelope).chain(copy)
    }
}

/// Where a copy of each event goes.
#[derive(Debug)]
pub struct Copied {
    /// The other pixel.
    pub pixel: PixelId,
    /// What goes to Graph beside the copies.
    pub options: Arc<RequestOptions>,
    /// As [`Job::mirror`], for that pixel.
    pub mirror: Option<Arc<RequestOptions>>,
}

/// The events of one request after the checks.
#[derive(Debug, Default)]
pub struct Checked {
    /// How many came.
    pub came: usize,
    /// The good ones, hashed and ready to store; one event may have several, which go to
    /// different pixels or with different options.
    pub envelopes: Vec<Posted>,
    /// Of each envelope, the place of its event in `data`; in rising order.
    pub places: Vec<usize>,
    /// What was changed or is missing in them.
    pub warnings: Vec<(usize, Warning)>,
    /// The bad ones.
    pub faults: Vec<EventFault>,
    /// Those, or copies of those, that a policy has kept back.
    pub filtered: Vec<Filtered>,
    /// What policies have changed or made.
    pub changed: Vec<Changed>,
    /// Whether the body had members that Graph does not know.
    pub unknown_members: bool,
    /// What is to be known about the request as a whole.
    pub request_warnings: Vec<Warning>,
    /// The good ones in numbers.
    pub tally: Tally,
    /// Their copies in numbers.
    pub copied: BTreeMap<PixelId, Tally>,
    /// The name of their source, while somebody looks at what happens.
    pub source: Option<String>,
}

/// An event that is neither accepted nor bad.
#[derive(Debug)]
pub struct Filtered {
    /// Place in `data`, from 0.
    pub index: usize,
    /// The pixel it was for.
    pub pixel: PixelId,
    /// The policy that has kept it back.
    pub kept_back: KeptBack,
    /// What it is called and worth.
    pub told: Told,
}

/// An envelope whose event a policy has changed or made.
#[derive(Debug)]
pub struct Changed {
    /// Its place among the envelopes.
    pub envelope: usize,
    /// The pixel it is for.
    pub pixel: PixelId,
    /// The policies.
    pub applied: Applied,
    /// The event.
    pub event: EncodedEvent,
}

impl Checked {
    /// How many events have an envelope.
    pub fn events(&self) -> usize {
        self.places.chunk_by(|a, b| a == b).count()
    }

    fn keep_back(
        &mut self,
        index: usize,
        pixel: PixelId,
        kept_back: KeptBack,
        event: &RawEvent<'_>,
        job: &Job<'_>,
    ) {
        self.filtered.push(Filtered {
            index,
            pixel,
            kept_back,
            told: told(event, job),
        });
    }

    fn add(&mut self, index: usize, posted: Posted) {
        self.envelopes.push(posted);
        self.places.push(index);
    }
}

/// Asks the policies of every event, checks and hashes it; a bad one hides none of its neighbours.
/// Nothing but what is given decides: asked twice, it says the same (but for random ids).
pub fn check(events: &[Cow<'_, str>], job: &Job<'_>) -> Checked {
    let mut checked = Checked {
        came: events.len(),
        envelopes: Vec::with_capacity(events.len()),
        places: Vec::with_capacity(events.len()),
        tally: Tally::of(Arc::clone(&job.source.name)),
        ..Checked::default()
    };
    let routes = Routes::of(job);
    for (index, text) in events.iter().enumerate() {
        if let Err(error) = one(index, text, job, &routes, &mut checked) {
            // read again: the others need not be
            let event = RawEvent::parse(text).ok();
            let told = event.map(|event| told(&event, job));
            checked.faults.push(EventFault { index, error, told });
        }
    }
    checked
}

/// What the events are called and worth that are not among the faults.
pub(super) fn others(events: &[Cow<'_, str>], faults: &[EventFault], job: &Job<'_>) -> Vec<Told> {
    let is_good = |index: &usize| faults.binary_search_by_key(index, |one| one.index).is_err();
    let good = (events.iter().enumerate()).filter(|(index, _)| is_good(index));
    good.filter_map(|(_, text)| Some(told(&RawEvent::parse(text).ok()?, job)))
        .collect()
}

fn told(event: &RawEvent<'_>, job: &Job<'_>) -> Told {
    Told {
        label: event.label(&job.source.rules),
        money: event.money(),
        keys: event.keys(),
    }
}

/// Where an event goes, and under whose policy.
struct Route<'j> {
    pixel: PixelId,
    options: &'j Arc<RequestOptions>,
    mirror: Option<&'j Arc<RequestOptions>>,
    /// The pixel's own policy, if it says anything.
    policy: Option<&'j Policy>,
}

/// The ways of every event of a request, looked up once for all of them.
struct Routes<'j> {
    own: Route<'j>,
    copies: Vec<Route<'j>>,
}

impl<'j> Routes<'j> {
    fn of(job: &'j Job<'j>) -> Self {
        let route = |pixel, options, mirror: &'j Option<Arc<RequestOptions>>| Route {
            pixel,
            options,
            mirror: mirror.as_ref(),
            policy: job.sources.policy(pixel).filter(|policy| !policy.is_idle()),
        };
        let copies = job.copies.iter();
        Self {
            own: route(job.pixel, &job.options, &job.mirror),
            copies: copies
                .map(|copy| route(copy.pixel, &copy.options, &copy.mirror))
                .collect(),
        }
    }
}

fn one(
    index: usize,
    text: &str,
    job: &Job<'_>,
    routes: &Routes<'_>,
    checked: &mut Checked,
) -> Result<(), EventError> {
    let mut event = RawEvent::parse(text)?;
    let applied = match job.source.policy.ask(&mut event, job.visit.as_ref()) {
        Ok(applied) => applied,
        Err(kept_back) => {
            checked.keep_back(index, job.pixel, kept_back, &event, job);
            return Ok(());
        }
    };
    let mut way = Way {
        index,
        job,
        is_copied: false,
        id: None,
        checked,
    };
    if routes.copies.is_empty() {
        return way.go(event, &routes.own, applied);
    }
    way.go(event.clone(), &routes.own, applied)?;
    for copy in &routes.copies {
        let made = applied.and(Applied::FAN_OUT);
        if let Err(error) = way.go(event.clone(), copy, made) {
            way.checked
                .warnings
                .push((index, copy_refused(copy.pixel, &error)));
        }
    }
    Ok(())
}

/// The ways of one event to its pixels.
struct Way<'j, 'c> {
    index: usize,
    job: &'j Job<'j>,
    /// Whether one was good already; the others get its id.
    is_copied: bool,
    id: Option<String>,
    checked: &'c mut Checked,
}

impl<'j> Way<'j, '_> {
    /// Asks the pixel's own policy, checks, hashes, and puts into an envelope.
    fn go(
        &mut self,
        mut event: RawEvent<'j>,
        route: &Route<'j>,
        mut applied: Applied,
    ) -> Result<(), EventError> {
        let (job, pixel) = (self.job, route.pixel);
        if let Some(policy) = route.policy {
            match policy.ask(&mut event, job.visit.as_ref()) {
                Ok(more) => applied = applied.and(more),
                Err(kept_back) => {
                    let checked = &mut *self.checked;
                    checked.keep_back(self.index, pixel, kept_back, &event, job);
                    return Ok(());
                }
            }
            policy.strip(&mut event);
        }
        job.source.policy.strip(&mut event);
        // an id is made for the pixel of the request, also that of a copy
        let (rules, now) = (&job.source.rules, job.now);
        let mut hashed = match &job.visit {
            Some(visit) => event.hash_visit(job.pixel, rules, now, visit),
            None => event.hash(job.pixel, rules, now),
        }?;
        if self.is_copied {
            hashed = hashed.with_event_id(self.id.clone());
        }
        let event = hashed.encode()?;
        let checked = &mut *self.checked;
        if !self.is_copied {
            self.is_copied = true;
            if !job.copies.is_empty() {
                self.id = hashed.event_id().map(str::to_owned);
            }
            let warnings = hashed.warnings().iter();
            let warnings = warnings.map(|warning| (self.index, warning.clone()));
            checked.warnings.extend(warnings);
        }
        let tally = if pixel == job.pixel {
            &mut checked.tally
        } else {
            let source = &job.source.name;
            (checked.copied.entry(pixel)).or_insert_with(|| Tally::of(Arc::clone(source)))
        };
        let (name, keys) = (hashed.event_name(), hashed.match_keys().names());
        let age = job.now.secs().saturating_sub(hashed.event_time());
        let counted = tally.event(name, hashed.brought_id(), keys, age);
        if !applied.is_empty() {
            checked.changed.push(Changed {
                envelope: checked.envelopes.len(),
                pixel,
                applied,
                event: event.clone(),
            });
        }
        let envelope = Envelope {
            lane: LaneKey::of(pixel, Arc::clone(route.options), &event),
            event,
            received_at: job.now,
            expires_at: hashed.expires_at(),
        };
        checked.add(self.index, Posted::of(envelope, route.mirror, counted));
        Ok(())
    }
}

fn copy_refused(pixel: PixelId, error: &EventError) -> Warning {
    Warning {
        path: error.path().to_owned().into(),
        code: codes::COPY_REFUSED,
        text: format!("the copy for pixel {pixel} is not sent: {}", error.rule()).into(),
    }
}
